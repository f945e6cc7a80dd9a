//! The log of what was displaced from where: one line each, appended before the displacement.
//!
//! Goals: a user can read it; a line cut short by a crash is recognised.
//! Non-goals: saying whether the displacement took place. The file is there or not.
//!
//! A line of version 1: `1 <id> <seconds since 1970> <content or -> <path, percent-encoded> .`

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::fd::{AsFd, BorrowedFd};

use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::apply::calls::{At, Calls};
use crate::state_owner::StateOwner;

/// The name of a log in the directory that it describes.
pub(crate) const LOG: &str = "log";
const VERSION: &str = "1";
const END: &str = ".";

/// The identity of one displacement, rising with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrashId(pub u64);

impl std::fmt::Display for TrashId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl TrashId {
    /// Reads an id as [`Self`]'s `Display` writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = u64::from_str_radix(text, 16).ok()?;
        is_id.then_some(Self(id))
    }
}

/// What is about to be displaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Displacement {
    pub(crate) id: TrashId,
    pub(crate) seconds: i64,
    pub(crate) content: Option<ContentHash>,
    pub(crate) path: RelPath,
}

impl Displacement {
    fn line(&self) -> String {
        let content = self
            .content
            .map_or_else(|| "-".to_owned(), |content| content.to_string());
        let path = encode(self.path.as_bytes());
        let Self { id, seconds, .. } = self;
        format!("{VERSION} {id} {seconds} {content} {path} {END}\n")
    }

    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(' ').collect();
        let &[VERSION, id, seconds, content, path, END] = fields.as_slice() else {
            return None;
        };
        Some(Self {
            id: TrashId::parse(id)?,
            seconds: seconds.parse().ok()?,
            content: parse_content(content),
            path: RelPath::new(&decode(path)?).ok()?,
        })
    }
}

/// Appends to the log in `directory`, in one write; says how many bytes.
pub(crate) fn append(
    calls: &Calls,
    directory: BorrowedFd<'_>,
    owner: &StateOwner,
    displacements: &[Displacement],
) -> Result<usize, Errno> {
    let log = calls.create_log(At::new(&directory, OsStr::new(LOG)))?;
    owner.give(log.as_fd());
    // A line that a crash cut short must not swallow the next one: each write starts a line.
    let mut text = String::from("\n");
    for displacement in displacements {
        text.push_str(&displacement.line());
    }
    calls.write(log.as_fd(), text.as_bytes())?;
    Ok(text.len())
}

/// Reads the log in `directory`; lines cut short are left out, and a missing log is empty.
pub(crate) fn read(directory: BorrowedFd<'_>) -> Result<Vec<Displacement>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let log = match rustix::fs::openat(directory, LOG, flags, Mode::empty()) {
        Ok(log) => log,
        Err(Errno::NOENT) => return Ok(Vec::new()),
        Err(reason) => return Err(reason),
    };
    let mut bytes = Vec::new();
    let mut file = std::fs::File::from(log);
    std::io::Read::read_to_end(&mut file, &mut bytes)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().filter_map(Displacement::parse).collect())
}

fn encode(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for &byte in path {
        if byte.is_ascii_graphic() && byte != b'%' {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02x}");
        }
    }
    text
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    Some(bytes)
}

/// Reads a content's name as its `Display` writes it.
pub(crate) fn parse_content(text: &str) -> Option<ContentHash> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(ContentHash(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Displacement {
        Displacement {
            id: TrashId(0xfeed),
            seconds: 1_700_000_000,
            content: Some(ContentHash([0xab; 32])),
            path: RelPath::new(b"a dir/\xff 100%\nx").unwrap(),
        }
    }

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        let line = sample().line();
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(Displacement::parse(line.trim_end()), Some(sample()));
    }

    #[test]
    fn a_line_cut_short_anywhere_is_left_out() {
        let line = sample().line();
        for end in 0..line.trim_end().len() {
            assert_eq!(Displacement::parse(&line[..end]), None, "{}", &line[..end]);
        }
    }
}
