//! Names of displaced things.
//!
//! What a commit displaces lands at a slot, `<id>.<origin>-<name>`, in the directory `displaced`. For an exchange the
//! slot first holds our own staged file, whose inode the name gives: after a crash, another inode there is a
//! user's file and must be kept.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::trash::log::TrashId;

/// What is left of a name in 255 bytes beside an id, an origin and two separators. In the trash it is cut to the same.
pub(crate) const LABEL_BYTES_MAX: usize = 255 - 16 - 17 - 2;

/// What a slot holds, or held before an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Our own staged file with this inode.
    Own(u64),
    /// One more name of the user's file with this inode.
    Adopted(u64),
    /// A user's file, moved here from its path.
    User,
    /// A file taken from the trash.
    Trash,
    /// Nothing: it notes that the directory at the path had these permission bits before it was opened to a change.
    Opened(u32),
}

impl Origin {
    fn encode(self) -> String {
        match self {
            Self::Own(inode) => format!("o{inode:x}"),
            Self::Adopted(inode) => format!("a{inode:x}"),
            Self::User => "u".to_owned(),
            Self::Trash => "t".to_owned(),
            Self::Opened(mode) => format!("m{mode:x}"),
        }
    }

    fn decode(text: &str) -> Option<Self> {
        let (kind, number) = text.split_at_checked(1)?;
        let number = || u64::from_str_radix(number, 16).ok();
        match kind {
            "o" => Some(Self::Own(number()?)),
            "a" => Some(Self::Adopted(number()?)),
            "u" => Some(Self::User),
            "t" => Some(Self::Trash),
            "m" => Some(Self::Opened(u32::try_from(number()?).ok()?)),
            _ => None,
        }
    }
}

/// A slot: which displacement, what is there, and what it was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) id: TrashId,
    pub(crate) origin: Origin,
    /// The last component of the path, for people; cut if it is long.
    pub(crate) label: Vec<u8>,
}

impl Slot {
    pub(crate) fn new(id: TrashId, origin: Origin, name: &[u8]) -> Self {
        let label = name[..name.len().min(LABEL_BYTES_MAX)].to_vec();
        Self { id, origin, label }
    }

    pub(crate) fn name(&self) -> OsString {
        let mut name = format!("{}.{}-", self.id, self.origin.encode()).into_bytes();
        name.extend_from_slice(&self.label);
        OsString::from_vec(name)
    }

    pub(crate) fn parse(name: &OsStr) -> Option<Self> {
        let bytes = name.as_bytes();
        let dash = bytes.iter().position(|&byte| byte == b'-')?;
        let (id, origin) = std::str::from_utf8(&bytes[..dash]).ok()?.split_once('.')?;
        Some(Self {
            id: TrashId::parse(id)?,
            origin: Origin::decode(origin)?,
            label: bytes[dash + 1..].to_vec(),
        })
    }
}

const DAY_NANOSECONDS: u64 = 86_400 * 1_000_000_000;

/// Gives out ids that rise with time and are never given twice.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    last: AtomicU64,
    /// A time that is past, in nanoseconds since 1970.
    past: AtomicU64,
}

impl Ids {
    /// Notes a time that is past, in seconds since 1970: no id will tell of an earlier one.
    pub(crate) fn not_before(&self, seconds: i64) {
        let seconds = u64::try_from(seconds).unwrap_or_default();
        self.past
            .store(seconds.saturating_mul(1_000_000_000), Ordering::Relaxed);
    }

    pub(crate) fn next(&self) -> TrashId {
        let now = u64::try_from(since_1970().as_nanos()).unwrap_or(u64::MAX / 2);
        let now = not_before(self.past.load(Ordering::Relaxed), now);
        let rise = |last: u64| Some(now.max(last + 1));
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, rise)
            .unwrap_or_default();
        TrashId(now.max(last + 1))
    }
}

/// What to call the time `now`, of a clock that may be behind the time `past`. The time of day is kept, so that no two
/// processes give the same ids.
fn not_before(past: u64, now: u64) -> u64 {
    match now < past {
        true => past.saturating_add(now % DAY_NANOSECONDS),
        false => now,
    }
}

/// The time of day, for names and ages; nothing is decided by it.
pub(crate) fn since_1970() -> std::time::Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// The time of day in whole seconds.
pub(crate) fn now_seconds() -> i64 {
    i64::try_from(since_1970().as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_name_reads_back_and_fits() {
        let own = Origin::Own(u64::MAX);
        for origin in [
            own,
            Origin::Adopted(1),
            Origin::User,
            Origin::Trash,
            Origin::Opened(0o555),
        ] {
            let slot = Slot::new(TrashId(7), origin, &[b'-'; 255]);
            assert!(slot.name().len() <= 255);
            assert_eq!(Slot::parse(&slot.name()), Some(slot));
        }
        assert_eq!(Slot::parse(OsStr::new("notes.txt")), None);
    }

    #[test]
    fn no_id_tells_of_a_time_before_one_that_is_past() {
        let ids = Ids::default();
        let far = now_seconds() + 1_000_000;
        ids.not_before(far);
        let given: Vec<_> = (0..1000).map(|_| ids.next()).collect();
        assert!(given.windows(2).all(|pair| pair[0] < pair[1]));
        let seconds = i64::try_from(given[0].0 / 1_000_000_000).unwrap();
        assert!((far..=far + 86_400).contains(&seconds), "{seconds}");
        assert_eq!((not_before(500, 499), not_before(500, 500)), (999, 500));
    }

    #[test]
    fn ids_rise() {
        let ids = Ids::default();
        let given: Vec<_> = (0..1000).map(|_| ids.next()).collect();
        assert!(given.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
