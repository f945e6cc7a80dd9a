//! Keys: fixed-width big-endian numbers first, so that rows sort as they are asked for.

use replicat_core::id::{ContentHash, LinkId};
use replicat_core::path::RelPath;

use crate::error::Fault;
use crate::format::bytes::Input;

/// The length of a dot as a key, in bytes.
pub(crate) const DOT_BYTES: usize = 12;

/// The number of a directory. Names in it are kept under that number.
pub(crate) type DirectoryId = u32;

/// The number of the root.
pub(crate) const ROOT: DirectoryId = 0;

/// How much of a content hash is in its key: enough to find few paths, which are then verified.
const HASH_PREFIX_BYTES: usize = 8;

/// A place: a directory's number and a name in it. The root itself is the empty name in itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) directory: DirectoryId,
    pub(crate) name: &'a [u8],
}

impl<'a> Place<'a> {
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut input = Input::new(bytes);
        let directory = DirectoryId::from_be_bytes(input.array()?);
        let name = input.raw(input.left())?;
        Ok(Self { directory, name })
    }

    /// The key of the place itself.
    pub(crate) fn key(self) -> Vec<u8> {
        self.after(&[])
    }

    /// The key of the place among others that share `prefix`.
    pub(crate) fn after(self, prefix: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(prefix.len() + 4 + self.name.len());
        key.extend_from_slice(prefix);
        key.extend_from_slice(&self.directory.to_be_bytes());
        key.extend_from_slice(self.name);
        key
    }
}

/// (replica number, counter).
pub(crate) fn dot(replica: u32, counter: u64) -> [u8; DOT_BYTES] {
    let mut key = [0; DOT_BYTES];
    key[..4].copy_from_slice(&replica.to_be_bytes());
    key[4..].copy_from_slice(&counter.to_be_bytes());
    key
}

/// The counter of a dot's key.
pub(crate) fn counter_of(key: &[u8]) -> Result<u64, Fault> {
    let mut input = Input::new(key);
    input.raw(4)?;
    input.array().map(u64::from_be_bytes)
}

/// The prefix under which the places of a content are found.
pub(crate) fn content(content: ContentHash) -> [u8; HASH_PREFIX_BYTES] {
    let mut key = [0; HASH_PREFIX_BYTES];
    key.copy_from_slice(&content.0[..HASH_PREFIX_BYTES]);
    key
}

/// The prefix under which the places of a hard-link group are found.
pub(crate) fn link(link: LinkId) -> [u8; 8] {
    link.0.to_be_bytes()
}

/// A page of the manifest of a content.
pub(crate) fn manifest_page(content: ContentHash, number: u32) -> [u8; 36] {
    let mut key = [0; 36];
    key[..32].copy_from_slice(&content.0);
    key[32..].copy_from_slice(&number.to_be_bytes());
    key
}

/// A path, so that keys sort in path order: a slash below every byte a name can hold.
pub(crate) fn path(path: &RelPath) -> Vec<u8> {
    path_in(path, b"")
}

/// The same of the path of `name` in `directory`. The empty name is the directory itself.
pub(crate) fn path_in(directory: &RelPath, name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(directory.as_bytes().len() + 1 + name.len());
    let byte = |&byte: &u8| if byte == b'/' { 0 } else { byte };
    key.extend(directory.as_bytes().iter().map(byte));
    if !key.is_empty() && !name.is_empty() {
        key.push(0);
    }
    key.extend_from_slice(name);
    key
}

/// The path of such a key.
pub(crate) fn path_of(key: &[u8]) -> Result<RelPath, Fault> {
    let byte = |&byte: &u8| if byte == 0 { b'/' } else { byte };
    let bytes: Vec<u8> = key.iter().map(byte).collect();
    RelPath::new(&bytes).map_err(|error| Fault::damaged(error.to_string()))
}

/// The key that follows every key with `prefix`; `None` if no key does.
pub(crate) fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_keys_sort_as_paths_do_and_come_back() {
        let mut paths: Vec<RelPath> = ["", "a", "a/b", "a\u{1}", "a.b", "a/b/c", "b"]
            .iter()
            .map(|text| RelPath::new(text.as_bytes()).unwrap())
            .collect();
        paths.sort();
        let keys: Vec<Vec<u8>> = paths.iter().map(path).collect();
        assert!(keys.is_sorted());
        for below in paths.iter().filter(|path| !path.is_root()) {
            let directory = below.parent().unwrap();
            assert_eq!(path_in(&directory, below.name()), path(below), "{below}");
        }
        let back: Vec<RelPath> = keys.iter().map(|key| path_of(key).unwrap()).collect();
        assert_eq!(back, paths);
    }

    #[test]
    fn a_prefix_ends_where_the_next_one_begins() {
        assert_eq!(end_of(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(end_of(&[1, 255]), Some(vec![2]));
        assert_eq!(end_of(&[255, 255]), None);
    }
}
