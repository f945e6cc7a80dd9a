//! What is sent arrives, and what should not arrive is refused.

use bytes::Bytes;
use proptest::prelude::*;

use super::{WireError, decode, encode, schema};
use crate::entry::{Carry, Entry, Metadata, Owner, Payload, Stamps, Timestamp, Version, Xattr};
use crate::id::{ContentHash, FolderId, LinkId, ReplicaId};
use crate::message::{Hello, Message, TreePage, TreeReply, TreeRow, Want};
use crate::path::RelPath;
use crate::store::{Digest, Member};
use crate::version::{Context, Dot, Hlc, VersionVector};

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

fn dot(replica: u64, counter: u64) -> Dot {
    Dot {
        counter,
        replica: ReplicaId(replica),
    }
}

fn full_version() -> Version {
    let mut context = Context::default();
    context.vector.add(dot(7, 1));
    context.add_carried(dot(8, 2));
    Version {
        dot: dot(9, 3),
        context,
        hlc: Hlc(4),
        payload: Payload::File {
            content: ContentHash([5; 32]),
            size: 6,
            link: Some(LinkId(1)),
        },
        metadata: Metadata {
            mode: Some(0o4755),
            mtime: Some(Timestamp {
                seconds: -5,
                nanoseconds: 999_999_999,
            }),
            owner: Some(Owner {
                user: 0,
                group: u32::MAX,
            }),
            xattrs: Some(vec![Xattr {
                name: b"user.a".to_vec(),
                value: vec![0, 255],
            }]),
        },
        stamps: Stamps {
            mode: Hlc(1),
            mtime: Hlc(2),
            owner: Hlc(3),
            xattrs: Hlc(4),
        },
        base: Some(ContentHash([6; 32])),
        carry: Some(Carry::Follow(dot(1, 1))),
        conflict_of: Some(dot(2, 2)),
    }
}

/// An entry of a version of each kind, and an empty one.
fn full_entries() -> Vec<(RelPath, Entry)> {
    let mut gone = full_version();
    gone.dot = dot(1, 1);
    gone.payload = Payload::Tombstone {
        moved_to: Some(path("x/y")),
    };
    let mut bare = full_version();
    bare.dot = dot(2, 1);
    bare.payload = Payload::Symlink {
        target: b"../\xff".to_vec(),
    };
    bare.metadata = Metadata::default();
    bare.stamps = Stamps::all(bare.hlc);
    (bare.base, bare.carry, bare.conflict_of) = (None, Some(Carry::Copy(dot(0, 0))), None);
    let entry = Entry::from_stored(vec![full_version(), gone, bare]);
    vec![(path("a/b"), entry), (RelPath::root(), Entry::default())]
}

fn messages() -> Vec<Message> {
    let knowledge: crate::version::VersionVector = [dot(1, 2), dot(3, 4)].into_iter().collect();
    let entries = full_entries();
    let content = ContentHash([3; 32]);
    vec![
        Message::Hello(Hello {
            protocol: 1,
            folder: FolderId(u128::MAX - 1),
            replica: ReplicaId(u64::MAX),
            knowledge: knowledge.clone(),
            applied: knowledge.clone(),
            names: vec![(ReplicaId(0), "a-b_c.d".to_owned())],
            presences: vec![(ReplicaId(0), 3)],
        }),
        Message::Entries(entries.clone()),
        Message::Sent {
            knowledge: knowledge.clone(),
        },
        Message::Sum {
            digest: Digest(7),
            knowledge,
        },
        Message::Tree(TreePage {
            directory: path("d"),
            after: b"a".to_vec(),
            until: vec![],
            rows: vec![TreeRow {
                name: b"n".to_vec(),
                own: Digest(1),
                below: Digest(2),
            }],
        }),
        Message::TreeReply(TreeReply {
            directory: path("d"),
            entries: entries.clone(),
            descend: vec![path("d/e")],
            until: b"e".to_vec(),
        }),
        Message::Repair(entries),
        Message::Want(vec![Want {
            content,
            path: path("f"),
            offset: 1,
            length: 2,
        }]),
        Message::Manifest {
            content,
            chunks: Bytes::from_static(b"xyz"),
        },
        Message::Piece {
            content,
            offset: 9,
            bytes: Bytes::from_static(b""),
        },
        Message::Missing { content },
        Message::Members(vec![(
            ReplicaId(3),
            Member {
                name: "c".to_owned(),
                applied: VersionVector::new(),
                presence: 1,
            },
        )]),
    ]
}

#[test]
fn every_message_arrives_as_it_was_sent() {
    for message in messages() {
        assert_eq!(decode(encode(&message)).unwrap(), message);
    }
}

#[test]
fn paths_that_leave_the_root_are_refused() {
    use prost::Message as _;
    for bad in ["../x", "/x", "a//b", "a/./b", "a\0"] {
        let entry = schema::Entry {
            path: Bytes::from(bad),
            versions: vec![],
        };
        let body = schema::Body::Entries(schema::Entries {
            entries: vec![entry],
        });
        let bytes = schema::Envelope { body: Some(body) }.encode_to_vec();
        assert!(
            matches!(decode(bytes.into()), Err(WireError::Path(_))),
            "{bad:?}"
        );
    }
}

#[test]
fn names_of_replicas_cannot_smuggle_a_path() {
    let Message::Hello(mut hello) = messages().remove(0) else {
        panic!()
    };
    hello.names[0].1 = "../../etc".to_owned();
    assert_eq!(
        decode(encode(&Message::Hello(hello))),
        Err(WireError::Field("name"))
    );
}

#[test]
fn a_dot_cannot_stand_twice_in_an_entry() {
    let entry = Entry::from_stored(vec![full_version(), full_version()]);
    let message = Message::Entries(vec![(path("a"), entry)]);
    assert_eq!(decode(encode(&message)), Err(WireError::Field("versions")));
}

proptest! {
    #[test]
    fn damaged_messages_are_errors_or_messages_never_panics(
        which in 0..11_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = encode(&messages()[which]).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(message) = decode(bytes.into()) {
            prop_assert_eq!(decode(encode(&message)).unwrap(), message);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(bytes.into());
    }
}
