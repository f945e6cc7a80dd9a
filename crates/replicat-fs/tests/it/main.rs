//! Tests of `replicat-fs` on real directories.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]

mod filters;
mod names;
mod scans;
mod scenery;
mod xattrs;
