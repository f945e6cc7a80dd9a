//! Tests of `replicat-fs` on real directories.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]

mod applies;
mod crashes;
mod filters;
mod identities;
mod names;
mod scans;
mod scenery;
mod stand;
mod watches;
mod xattrs;
