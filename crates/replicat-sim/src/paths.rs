//! The paths that users of a simulated folder use.

use replicat_core::path::RelPath;

/// A small universe, so that operations meet.
const PATHS: [&str; 13] = [
    "a", "b", "c", "d", "d/a", "d/b", "d/s", "d/s/a", "e", "e/a", "e/b", "e/s", "e/s/a",
];

/// How many paths there are.
pub const COUNT: u8 = PATHS.len() as u8;

thread_local! {
    static TABLE: Vec<RelPath> = PATHS
        .iter()
        .map(|text| RelPath::new(text.as_bytes()).unwrap_or_else(|_| RelPath::root()))
        .collect();
}

/// The `number`-th path, modulo their count.
#[must_use]
pub fn path(number: u8) -> RelPath {
    TABLE.with(|table| table[usize::from(number % COUNT)].clone())
}
