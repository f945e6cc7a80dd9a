//! How rows are laid out in bytes. One module per format; [`FORMAT_VERSION`] is the one written now.
//!
//! Nothing here trusts its input: every length is checked against the bytes that are left before
//! anything is allocated, and what does not decode is an error.

pub(crate) mod bytes;
#[cfg(test)]
mod fuzz;
pub(crate) mod keys;
pub(crate) mod rows;
pub(crate) mod v1;

/// The format that this version of replicat writes. Older ones are migrated when an index is opened.
pub const FORMAT_VERSION: u32 = 5;
