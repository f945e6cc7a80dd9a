//! Generated paths, records and identities.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use replicat_core::entry::{
    Carry, Entry, Metadata, Owner, Payload, Stamps, Timestamp, Version, Xattr,
};
use replicat_core::id::{ContentHash, FolderId, LinkId, ReplicaId};
use replicat_core::path::RelPath;
use replicat_core::record::{Base, Excluded, Fingerprint, Local, Record};
use replicat_core::store::Identity;
use replicat_core::version::{Context, Dot, Hlc};

pub(crate) fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

pub(crate) fn identity() -> Identity {
    Identity {
        folder: FolderId(7),
        replica: ReplicaId(1),
        name: "one".to_owned(),
        counter: 0,
        confirmed: 0,
        published: Vec::new(),
    }
}

/// A few paths, so that histories meet; some sort differently as paths than as bytes.
pub(crate) const PATHS: [&str; 16] = [
    "", "a", "a/b", "a/b/c", "a/b/d", "a/e", "a.b", "a\u{1}", "b", "b/c", "b/c/d", "c", "c/a",
    "c/a/b", "c/b", "d/e/f/g",
];

pub(crate) fn any_path() -> impl Strategy<Value = RelPath> {
    (0..PATHS.len()).prop_map(|place| path(PATHS[place]))
}

/// Extremes and neighbours of a clock's numbers, where encodings change their length.
pub(crate) fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..4_u64,
        1_700_000_000_000..1_700_000_100_000_u64,
        any::<u64>()
    ]
}

fn replica() -> impl Strategy<Value = ReplicaId> {
    prop_oneof![4 => (1..4_u64).prop_map(ReplicaId), 1 => any::<u64>().prop_map(ReplicaId)]
}

pub(crate) fn dot() -> impl Strategy<Value = Dot> {
    (replica(), number()).prop_map(|(replica, counter)| Dot { counter, replica })
}

/// Few contents, two of which differ only beyond the prefix that keys have.
pub(crate) fn contents() -> [ContentHash; 4] {
    [0, 1, 2, 3].map(|number| {
        let mut hash = [number / 2; 32];
        hash[31] = number;
        ContentHash(hash)
    })
}

fn content() -> impl Strategy<Value = ContentHash> {
    (0..4_usize).prop_map(|number| contents()[number])
}

fn link() -> impl Strategy<Value = LinkId> {
    prop_oneof![(1..3_u64).prop_map(LinkId), any::<u64>().prop_map(LinkId)]
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    let seconds = prop_oneof![1_700_000_000..1_700_000_100_i64, any::<i64>()];
    (seconds, prop_oneof![Just(0), 0..1_000_000_000_u32]).prop_map(|(seconds, nanoseconds)| {
        Timestamp {
            seconds,
            nanoseconds,
        }
    })
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let owner = (any::<u32>(), any::<u32>()).prop_map(|(user, group)| Owner { user, group });
    let bytes = || vec(any::<u8>(), 0..6);
    let xattr = (bytes(), bytes()).prop_map(|(name, value)| Xattr { name, value });
    let parts = (
        option::of(any::<u32>()),
        option::of(timestamp()),
        option::of(owner),
        option::of(vec(xattr, 0..3)),
    );
    parts.prop_map(|(mode, mtime, owner, xattrs)| Metadata {
        mode,
        mtime,
        owner,
        xattrs,
    })
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        4 => (content(), number(), option::of(link()))
            .prop_map(|(content, size, link)| Payload::File { content, size, link }),
        1 => Just(Payload::Directory),
        1 => vec(any::<u8>(), 0..20).prop_map(|target| Payload::Symlink { target }),
        1 => option::of(any_path()).prop_map(|moved_to| Payload::Tombstone { moved_to }),
    ]
}

fn context() -> impl Strategy<Value = Context> {
    let some = (vec(dot(), 0..4), vec(dot(), 0..3)).prop_map(|(vector, mut carried)| {
        carried.sort();
        Context {
            vector: vector.into_iter().collect(),
            carried,
        }
    });
    prop_oneof![Just(Context::default()), some]
}

fn stamps(hlc: Hlc) -> impl Strategy<Value = Stamps> {
    let some = [number(), number(), number(), number()].prop_map(|[a, b, c, d]| Stamps {
        mode: Hlc(a),
        mtime: Hlc(b),
        owner: Hlc(c),
        xattrs: Hlc(d),
    });
    prop_oneof![Just(Stamps::all(hlc)), some]
}

prop_compose! {
    fn base()(hlc in number().prop_map(Hlc))(
        hlc in Just(hlc),
        context in context(),
        payload in payload(),
        metadata in metadata(),
        stamps in stamps(hlc),
        conflict_of in option::of(dot()),
    ) -> Base {
        Base { context, hlc, payload, metadata, stamps, conflict_of }
    }
}

fn carry() -> impl Strategy<Value = Carry> {
    prop_oneof![dot().prop_map(Carry::Copy), dot().prop_map(Carry::Follow)]
}

prop_compose! {
    fn version()(
        dot in dot(),
        state in base(),
        base in option::of(content()),
        carry in option::of(carry()),
    ) -> Version {
        Version {
            dot,
            context: state.context,
            hlc: state.hlc,
            payload: state.payload,
            metadata: state.metadata,
            stamps: state.stamps,
            base,
            carry,
            conflict_of: state.conflict_of,
        }
    }
}

fn local() -> impl Strategy<Value = Local> {
    let times = (
        timestamp(),
        option::of(timestamp()),
        option::of(timestamp()),
    );
    let fingerprint =
        (number(), number(), times).prop_map(|(inode, size, (mtime, ctime, birth))| Fingerprint {
            inode,
            size,
            mtime,
            ctime: ctime.unwrap_or(mtime),
            birth: birth.or(ctime).unwrap_or(mtime),
        });
    (
        fingerprint,
        any::<bool>(),
        option::of(base().prop_map(Box::new)),
        prop_oneof![4 => Just(None), 1 => metadata().prop_map(|found| Some(Box::new(found)))],
    )
        .prop_map(|(fingerprint, racy, base, unheld)| Local {
            fingerprint,
            racy,
            base,
            unheld,
        })
}

pub(crate) fn record() -> impl Strategy<Value = Record> {
    let versions = prop_oneof![4 => vec(version(), 1), 1 => vec(version(), 0..4)];
    let scope = prop_oneof![4 => Just(false), 1 => Just(true)];
    (versions, option::of(local()), any::<bool>(), scope).prop_map(
        |(mut versions, local, pending, is_excluded)| {
            versions.sort_by_key(|version| version.dot);
            versions.dedup_by_key(|version| version.dot);
            let (local, excluded) = match is_excluded {
                true => (None, Some(Excluded { held: local })),
                false => (local, None),
            };
            Record {
                entry: Entry::from_stored(versions),
                local,
                excluded,
                pending,
            }
        },
    )
}

/// A record whose dots are its path's alone, as the dot of an event is.
pub(crate) fn record_at(path: &RelPath, record: Record) -> Record {
    let place = PATHS
        .iter()
        .position(|text| text.as_bytes() == path.as_bytes());
    let place = place.unwrap_or(0) as u64;
    let mut versions = record.entry.versions().to_vec();
    for version in &mut versions {
        version.dot.counter = version.dot.counter % 64 * PATHS.len() as u64 + place;
    }
    versions.sort_by_key(|version| version.dot);
    versions.dedup_by_key(|version| version.dot);
    Record {
        entry: Entry::from_stored(versions),
        ..record
    }
}
