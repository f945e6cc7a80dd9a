//! Tests of `replicat-fs` on real directories.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]

mod applies;
mod crashes;
mod filters;
mod identities;
mod names;
mod permissions;
mod races;
mod scans;
mod scenery;
mod stages;
mod stand;
mod trashes;
mod watches;
mod xattrs;
