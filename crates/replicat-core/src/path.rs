//! Relative paths, checked once, when they are made.
//!
//! A [`RelPath`] can only name something inside a root: no absolute path, no `.` or `..`, no empty
//! component, no NUL. Its bytes need not be UTF-8. Paths are ordered component by component, so that
//! a directory is followed by all that it holds before its next sibling comes.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// The longest path in bytes. Longer than `PATH_MAX`, since trees can be deeper than one call reaches.
pub const PATH_BYTES_MAX: usize = 32 * 1024;
/// The longest component in bytes, as on every common filesystem.
pub const NAME_BYTES_MAX: usize = 255;

/// Why some bytes are not a relative path.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PathError {
    /// A leading slash.
    #[error("path {0:?} is absolute; paths are relative to the root")]
    Absolute(String),
    /// An empty, `.` or `..` component.
    #[error("path {0:?} has an empty, `.` or `..` component")]
    Component(String),
    /// A NUL byte.
    #[error("path {0:?} holds a NUL byte")]
    Nul(String),
    /// The path or one of its components is too long.
    #[error(
        "path of {0} bytes has a component over {NAME_BYTES_MAX} bytes, or is over {PATH_BYTES_MAX}"
    )]
    TooLong(usize),
}

/// A path relative to a replica's root, as raw bytes. The empty path is the root itself.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RelPath(Arc<[u8]>);

impl RelPath {
    /// The root itself.
    #[must_use]
    pub fn root() -> Self {
        Self(Arc::from(&b""[..]))
    }

    /// Checks `bytes` and makes a path of them; empty bytes are the root.
    ///
    /// # Errors
    /// [`PathError`] if the bytes could name anything but one place below the root.
    pub fn new(bytes: &[u8]) -> Result<Self, PathError> {
        let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(256)]).into_owned();
        if bytes.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong(bytes.len()));
        }
        if bytes.is_empty() {
            return Ok(Self::root());
        }
        if bytes[0] == b'/' {
            return Err(PathError::Absolute(shown()));
        }
        if bytes.contains(&0) {
            return Err(PathError::Nul(shown()));
        }
        for component in bytes.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." | b".." => return Err(PathError::Component(shown())),
                long if long.len() > NAME_BYTES_MAX => {
                    return Err(PathError::TooLong(bytes.len()));
                }
                _ => {}
            }
        }
        Ok(Self(Arc::from(bytes)))
    }

    /// The path's bytes; empty for the root.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The components, from the top; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0
            .split(|&byte| byte == b'/')
            .filter(|component| !component.is_empty())
    }

    /// The last component; empty for the root.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|&byte| byte == b'/').next().unwrap_or(b"")
    }

    /// The directory that holds this path; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        Some(Self(Arc::from(&self.0[..end])))
    }

    /// The directories above this path, nearest first, the root last.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// The path of `name` in this directory.
    ///
    /// # Errors
    /// [`PathError`] if `name` is not one component.
    pub fn join(&self, name: &[u8]) -> Result<Self, PathError> {
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        bytes.extend_from_slice(&self.0);
        if !self.is_root() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        if name.is_empty() || name.contains(&b'/') {
            return Err(PathError::Component(
                String::from_utf8_lossy(name).into_owned(),
            ));
        }
        Self::new(&bytes)
    }

    /// Whether this path is `directory` or lies below it.
    #[must_use]
    pub fn is_within(&self, directory: &Self) -> bool {
        directory.is_root()
            || self
                .0
                .strip_prefix(directory.as_bytes())
                .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }

    /// This path with its leading `from` replaced by `to`; `None` if it does not lie within `from`
    /// or would become too long.
    #[must_use]
    pub fn rebase(&self, from: &Self, to: &Self) -> Option<Self> {
        if !self.is_within(from) {
            return None;
        }
        let rest = &self.0[from.0.len()..];
        let rest = rest.strip_prefix(b"/").unwrap_or(rest);
        if rest.is_empty() {
            return Some(to.clone());
        }
        let mut bytes = to.0.to_vec();
        if !to.is_root() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(rest);
        Self::new(&bytes).ok()
    }
}

/// How many bytes of two paths are compared at once while they are equal.
const COMPARED_BYTES: usize = 16;

impl Ord for RelPath {
    fn cmp(&self, other: &Self) -> Ordering {
        // Neighbours share long beginnings, which need not be looked at byte by byte.
        let (one, other) = (&*self.0, &*other.0);
        let chunks = one.chunks_exact(COMPARED_BYTES);
        let equal = chunks.zip(other.chunks_exact(COMPARED_BYTES));
        let equal = equal.take_while(|(one, other)| one == other).count() * COMPARED_BYTES;
        // A slash sorts below every byte a name can hold, which orders by component.
        let key = |&byte: &u8| if byte == b'/' { 0 } else { byte };
        one[equal..]
            .iter()
            .map(key)
            .cmp(other[equal..].iter().map(key))
    }
}

impl PartialOrd for RelPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn refuses_whatever_could_leave_the_root() {
        for bad in [
            "/", "/etc", "a//b", "a/", "..", "a/../b", "./a", "a/.", "a\0b",
        ] {
            assert!(
                RelPath::new(bad.as_bytes()).is_err(),
                "{bad:?} was accepted"
            );
        }
        assert!(RelPath::new(&[b'x'; 256]).is_err());
        assert!(RelPath::root().join(b"a/b").is_err());
        assert!(RelPath::root().join(b"..").is_err());
    }

    #[test]
    fn orders_a_directory_before_what_it_holds_and_that_before_its_siblings() {
        let mut paths = [
            path("a.b"),
            path("a/b"),
            path("a"),
            path("a/b/c"),
            path("b"),
            path("a\u{1}"),
        ];
        paths.sort();
        let shown: Vec<_> = paths.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a", "a/b", "a/b/c", "a\u{1}", "a.b", "b"]);
    }

    #[test]
    fn rebases_within_a_directory_only() {
        assert_eq!(
            path("a/b/c").rebase(&path("a"), &path("x/y")),
            Some(path("x/y/b/c"))
        );
        assert_eq!(path("a").rebase(&path("a"), &path("x")), Some(path("x")));
        assert_eq!(path("ab").rebase(&path("a"), &path("x")), None);
        assert_eq!(
            path("a").rebase(&RelPath::root(), &path("x")),
            Some(path("x/a"))
        );
    }

    #[test]
    fn knows_its_parents() {
        let above: Vec<_> = path("a/b/c").ancestors().collect();
        assert_eq!(above, [path("a/b"), path("a"), RelPath::root()]);
        assert_eq!(path("a/b").name(), b"b");
        assert_eq!(RelPath::root().parent(), None);
    }
}
