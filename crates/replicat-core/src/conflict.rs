//! Conflict copies: what they are called, and whether a loser already has one.

use crate::entry::{Carry, Version};
use crate::id::ContentHash;
use crate::path::{NAME_BYTES_MAX, RelPath};
use crate::record::{Base, Record};
use crate::replica::Replica;
use crate::store::{Store, StoreError};
use crate::version::Hlc;

/// How many paths of one content are looked at when an existing copy is sought.
const SAME_CONTENT_LOOKED_AT_MAX: usize = 64;
/// What marks the name of a conflict copy.
pub const MARK: &str = ".conflict-";

/// How many characters of a copy's name are made from its content: 25 bits.
const TAG_CHARACTERS: usize = 5;
/// The characters of a tag. Source: Douglas Crockford's Base32, which leaves out i, l, o and u.
const TAG_ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The name of the conflict copy of `name`, with `content`, lost by `node` at `hlc`:
/// `name.conflict-<node>-<yyyymmdd-hhmmss>-<tag>.ext`, at most 255 bytes. The tag is made from the content, so that two
/// losers of one second do not meet. A name that has to be cut carries a hash of the whole, so that two long names do
/// not meet.
#[must_use]
pub fn copy_name(name: &[u8], node: &str, hlc: Hlc, content: ContentHash) -> Vec<u8> {
    let (stem, extension) = split_extension(name);
    let (stamp, tag) = (utc_stamp(hlc), tag_of(content));
    let mut mark = format!("{MARK}{node}-{stamp}-{tag}").into_bytes();
    if stem.len() + mark.len() + extension.len() <= NAME_BYTES_MAX {
        return [stem, &mark, extension].concat();
    }
    let hash = blake3::hash(name).to_hex();
    let tag = format!("~{}", &hash.as_str()[..8]);
    mark.splice(0..0, tag.bytes());
    let room = NAME_BYTES_MAX.saturating_sub(mark.len() + extension.len());
    [cut(stem, room), &mark, extension].concat()
}

fn tag_of(content: ContentHash) -> String {
    let hash = blake3::hash(&content.0);
    let bits = u64::from_be_bytes(std::array::from_fn(|at| hash.as_bytes()[at]));
    let character = |number: usize| {
        let place = bits >> (64 - 5 * (number + 1)) & 31;
        char::from(TAG_ALPHABET[place as usize])
    };
    (0..TAG_CHARACTERS).map(character).collect()
}

/// Where a name's extension begins: at its last dot, unless that is the first byte or the extension is long.
fn split_extension(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().rposition(|&byte| byte == b'.') {
        Some(at) if at > 0 && name.len() - at <= 16 => name.split_at(at),
        _ => (name, b""),
    }
}

/// At most `room` bytes of `stem`, not ending within a UTF-8 character.
fn cut(stem: &[u8], room: usize) -> &[u8] {
    let mut end = room.min(stem.len());
    while end > 0 && end < stem.len() && stem[end] & 0b1100_0000 == 0b1000_0000 {
        end -= 1;
    }
    &stem[..end]
}

/// `yyyymmdd-hhmmss` in UTC. Source of the calendar: Howard Hinnant, `civil_from_days`.
fn utc_stamp(hlc: Hlc) -> String {
    let seconds = hlc.0 / 1000;
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!(
        "{year:04}{month:02}{day:02}-{hour:02}{minute:02}{:02}",
        second % 60
    )
}

impl<S: Store> Replica<S> {
    /// Where `loser`, a version that lost `path`, is preserved; `None` if it is not yet.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn preserving_copy(
        &self,
        path: &RelPath,
        loser: &Version,
    ) -> Result<Option<RelPath>, StoreError> {
        if let Some(copy) = self.store().by_copy(loser.dot)? {
            return Ok(Some(copy));
        }
        if let Some(copy) = self.copy_path(path, loser)? {
            // The copy that was made there may have been edited since by somebody who did not know it for one.
            let entry = self.record(&copy)?.entry;
            let mut versions = entry.versions().iter();
            if versions.any(|v| v.context.carried.binary_search(&loser.dot).is_ok()) {
                return Ok(Some(copy));
            }
        }
        self.copy_of_equal_content(path, loser)
    }

    /// A live conflict copy of another loser of `path` with the same content: it serves this one too.
    fn copy_of_equal_content(
        &self,
        path: &RelPath,
        loser: &Version,
    ) -> Result<Option<RelPath>, StoreError> {
        let Some(content) = loser.payload.leaf_substance() else {
            return Ok(None);
        };
        let stem = [split_extension(path.name()).0, MARK.as_bytes()].concat();
        for other in self
            .store()
            .by_content(content, SAME_CONTENT_LOOKED_AT_MAX)?
        {
            if other.parent() != path.parent() || !other.name().starts_with(&stem) {
                continue;
            }
            let entry = self.record(&other)?.entry;
            let serves = entry.shown().is_some_and(|shown| {
                shown.winner.conflict_of.is_some() && shown.payload().substance() == Some(content)
            });
            if serves {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }

    /// The losers, not yet preserved, that the own storage holds at `path`, in the state `held`, and the paths that
    /// they lost: `path` itself, where a move took the content, or any other path at which it lost. What is about to go
    /// counts as any loser of equal content: who holds that one may never come back.
    pub(crate) fn unpreserved(
        &self,
        path: &RelPath,
        record: &Record,
        held: &Base,
    ) -> Result<Vec<(RelPath, Version)>, StoreError> {
        let mut paths = vec![path.clone()];
        let versions = record.entry.versions().iter();
        paths.extend(versions.filter_map(|v| v.payload.moved_to().cloned()));
        if let Some(content) = held.payload.leaf_substance() {
            paths.extend(
                self.store()
                    .by_content(content, SAME_CONTENT_LOOKED_AT_MAX)?,
            );
        }
        paths.sort();
        paths.dedup();
        let shown = record.entry.shown();
        let stays =
            shown.is_some_and(|shown| shown.payload().substance() == held.payload.substance());
        let mut found = Vec::new();
        for other in paths {
            let entry = self.record(&other)?.entry;
            let Some(shown) = entry.shown() else { continue };
            for loser in shown.losers {
                let equal = held.payload.substance() == loser.payload.substance();
                if (held.embodies(loser) || equal && !stays)
                    && self.preserving_copy(&other, loser)?.is_none()
                {
                    found.push((other.clone(), loser.clone()));
                }
            }
        }
        Ok(found)
    }

    /// Where the conflict copy of `loser` goes; `None` if it is no file or symlink.
    pub(crate) fn copy_path(
        &self,
        path: &RelPath,
        loser: &Version,
    ) -> Result<Option<RelPath>, StoreError> {
        let Some(content) = loser.payload.leaf_substance() else {
            return Ok(None);
        };
        // Several replicas may have carried one edit here, and each may copy its own: that is one copy.
        let author = loser.carry.map_or(loser.dot, Carry::dot).replica;
        let members = self.store().members()?;
        let node = members
            .into_iter()
            .find(|(id, _)| *id == author)
            .map(|(_, member)| member.name)
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| author.to_string());
        let name = copy_name(path.name(), &node, loser.hlc, content);
        Ok(path.parent().and_then(|parent| parent.join(&name).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy_of(name: &str) -> String {
        copy_with(name, ContentHash([7; 32]))
    }

    fn copy_with(name: &str, content: ContentHash) -> String {
        let name = copy_name(name.as_bytes(), "alpha", Hlc(1_700_000_000_000), content);
        String::from_utf8(name).unwrap()
    }

    #[test]
    fn copies_keep_their_extension() {
        assert_eq!(
            copy_of("report.txt"),
            "report.conflict-alpha-20231114-221320-xeqrb.txt"
        );
        assert_eq!(
            copy_of("Makefile"),
            "Makefile.conflict-alpha-20231114-221320-xeqrb"
        );
        assert_eq!(
            copy_of(".profile"),
            ".profile.conflict-alpha-20231114-221320-xeqrb"
        );
    }

    #[test]
    fn copies_of_one_second_have_names_of_their_own() {
        let (one, other) = (ContentHash([1; 32]), ContentHash([2; 32]));
        assert_ne!(copy_with("list", one), copy_with("list", other));
        assert_eq!(copy_with("list", one), copy_with("list", one));
    }

    #[test]
    fn the_longest_names_are_cut_at_a_character_and_stay_apart() {
        let long = "é".repeat(127);
        let one = copy_of(&format!("{long}x"));
        let other = copy_of(&format!("{long}y"));
        assert!(one.len() <= NAME_BYTES_MAX && one.len() > NAME_BYTES_MAX - 3);
        assert_ne!(one, other);
    }
}
