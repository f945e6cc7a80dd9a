//! `.replicatignore`: gitignore's syntax, in any directory, for what lies below it.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use replicat_core::path::RelPath;
use rustix::fs::FileType;
use rustix::io::Errno;

use crate::root::open_file_at;

/// The name of the files that say what is left out.
pub const IGNORE_FILE_NAME: &[u8] = b".replicatignore";
/// The largest such file.
pub const IGNORE_FILE_BYTES_MAX: usize = 1 << 20;
/// The most lines of such a file: compiling more takes seconds and much memory.
pub const IGNORE_FILE_LINES_MAX: usize = 10_000;
/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// A line of an ignore file that is not a pattern, and leaves nothing out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterWarning {
    /// The directory that holds the file.
    pub directory: RelPath,
    /// The line, counted from 1.
    pub line: usize,
    /// Why.
    pub reason: String,
}

/// What an ignore file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Silent,
    /// Leave it out.
    Exclude,
    /// Keep it, whatever files further up say.
    Include,
}

/// The patterns of one ignore file.
#[derive(Debug)]
pub(super) struct IgnoreFile {
    matcher: Gitignore,
}

impl IgnoreFile {
    /// Reads the ignore file of `directory`; `None` if there is none.
    pub(super) fn read(
        descriptor: BorrowedFd<'_>,
        directory: &RelPath,
    ) -> Result<Option<(Self, Vec<FilterWarning>)>, Errno> {
        match read_text(descriptor)? {
            Some(text) => Self::parse(&text, directory).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the lines of an ignore file.
    fn parse(text: &[u8], directory: &RelPath) -> Result<(Self, Vec<FilterWarning>), Errno> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        if text.split(|&byte| byte == b'\n').count() > IGNORE_FILE_LINES_MAX {
            return Err(Errno::FBIG);
        }
        let mut builder = GitignoreBuilder::new("");
        let mut warnings = Vec::new();
        for (at, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let added = match std::str::from_utf8(line) {
                Ok(line) => match builder.add_line(None, &with_plain_braces(line)) {
                    Ok(_) => Ok(()),
                    Err(error) => Err(error.to_string()),
                },
                Err(_) => Err("the line is not UTF-8".to_owned()),
            };
            if let Err(reason) = added {
                warnings.push(FilterWarning {
                    directory: directory.clone(),
                    line: at + 1,
                    reason,
                });
            }
        }
        // The lines were checked one by one; together they can only be too much.
        let matcher = builder.build().map_err(|_| Errno::FBIG)?;
        Ok((Self { matcher }, warnings))
    }

    /// What the file says of `path`, relative to its own directory.
    pub(super) fn verdict(&self, path: &[u8], is_directory: bool) -> Verdict {
        let path = Path::new(OsStr::from_bytes(path));
        match self.matcher.matched(path, is_directory) {
            Match::None => Verdict::Silent,
            Match::Ignore(_) => Verdict::Exclude,
            Match::Whitelist(_) => Verdict::Include,
        }
    }
}

/// A line whose braces stand for themselves, as they do for git; the library would take them for alternatives.
fn with_plain_braces(line: &str) -> Cow<'_, str> {
    if !line.contains(['{', '}']) {
        return Cow::Borrowed(line);
    }
    let mut plain = String::with_capacity(line.len() + 4);
    let mut is_escaped = false;
    let mut is_in_class = false;
    for character in line.chars() {
        match character {
            '{' | '}' if !is_escaped && !is_in_class => plain.push('\\'),
            '[' if !is_escaped => is_in_class = true,
            ']' => is_in_class = false,
            _ => {}
        }
        is_escaped = character == '\\' && !is_escaped;
        plain.push(character);
    }
    Cow::Owned(plain)
}

fn read_limited(file: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::new();
    loop {
        text.reserve(READ_BYTES);
        match rustix::io::read(file, rustix::buffer::spare_capacity(&mut text)) {
            Ok(0) => return Ok(text),
            Ok(_) if text.len() > IGNORE_FILE_BYTES_MAX => return Err(Errno::FBIG),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The text of the ignore file of a directory; `None` if it has none.
pub(super) fn read_text(directory: BorrowedFd<'_>) -> Result<Option<Vec<u8>>, Errno> {
    let file = match open_file_at(directory, IGNORE_FILE_NAME) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error),
    };
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    read_limited(&file).map(Some)
}

/// The line of an ignore file that decides about `path`, relative to its directory, and its number: the last that matches.
pub(super) fn deciding_line(
    text: &[u8],
    path: &[u8],
    is_directory: bool,
) -> Option<(usize, Vec<u8>)> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lines: Vec<_> = text.split(|&byte| byte == b'\n').enumerate().collect();
    let decides = |line: &[u8]| {
        let alone = IgnoreFile::parse(line, &RelPath::root());
        alone.is_ok_and(|(file, _)| file.verdict(path, is_directory) != Verdict::Silent)
    };
    let (at, line) = lines.into_iter().rev().find(|(_, line)| decides(line))?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Some((at + 1, line.to_vec()))
}
