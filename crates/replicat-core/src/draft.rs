//! What an event is made of that a change of the own storage calls for.

use crate::entry::{Carry, Entry, Metadata, PLACED, Payload, Stamps, Version};
use crate::id::ContentHash;
use crate::record::Base;
use crate::replica::{Draft, Now};
use crate::version::{Context, Hlc};

/// The base of an event that only describes what a storage in the state `held` holds: what was placed stays placed.
pub(crate) fn base_again(entry: &Entry, held: &Base) -> Option<ContentHash> {
    let placed = |version: &Version| version.base == Some(PLACED) && held.embodies(version);
    if entry.versions().iter().any(placed) {
        return Some(PLACED);
    }
    held.payload.substance()
}

/// An event that changes nothing, on top of what the storage holds.
pub(crate) fn draft_again(held: Base) -> Draft {
    Draft {
        hlc: Hlc(held.hlc.0 + 1),
        base: held.payload.substance(),
        payload: held.payload,
        context: held.context,
        metadata: held.metadata,
        stamps: held.stamps,
        carry: None,
        conflict_of: held.conflict_of,
    }
}

/// The version that was to carry `content` here from an event that is among the `known`.
pub(crate) fn carried_from<'entry>(
    entry: &'entry Entry,
    content: ContentHash,
    known: &Context,
) -> Option<&'entry Version> {
    let is_known = |carry: Carry| known.covers(carry.dot());
    let carries = |version: &&Version| {
        version.payload.substance() == Some(content) && version.carry.is_some_and(is_known)
    };
    entry.versions().iter().find(carries)
}

/// An event that makes of what the storage held, if anything, what was found.
pub(crate) fn draft_of_change(
    now: Now,
    before: Option<Base>,
    payload: Payload,
    metadata: Metadata,
    changed: Hlc,
    touched: Hlc,
) -> Draft {
    let Some(before) = before else {
        let hlc = changed.min(now.hlc());
        let stamps = Stamps::all(hlc);
        return Draft {
            context: Context::default(),
            hlc,
            payload,
            metadata,
            stamps,
            base: None,
            carry: None,
            conflict_of: None,
        };
    };
    let content_changed = payload != before.payload;
    let when = if content_changed { changed } else { touched };
    let hlc = when.min(now.hlc()).max(Hlc(before.hlc.0 + 1));
    let metadata = metadata.or(&before.metadata);
    let stamps = stamps_of_change(&before, &metadata, hlc, content_changed);
    Draft {
        context: before.context,
        hlc,
        base: before.payload.substance(),
        payload,
        metadata,
        stamps,
        carry: None,
        conflict_of: before.conflict_of,
    }
}

fn stamps_of_change(before: &Base, metadata: &Metadata, at: Hlc, content_changed: bool) -> Stamps {
    let stamp = |same: bool, held: Hlc| if same { held } else { at };
    Stamps {
        mode: stamp(metadata.mode == before.metadata.mode, before.stamps.mode),
        mtime: stamp(
            metadata.mtime == before.metadata.mtime && !content_changed,
            before.stamps.mtime,
        ),
        owner: stamp(metadata.owner == before.metadata.owner, before.stamps.owner),
        xattrs: stamp(
            metadata.xattrs == before.metadata.xattrs,
            before.stamps.xattrs,
        ),
    }
}
