//! What an n-way synchroniser must survive: the real binary on real directories, scenario by scenario.
//!
//! A test is named by the number of its scenario. The harness in `world` checks after each that all roots
//! are equal, that nothing was lost, and that a second sync has nothing to do.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]

mod cluster;
mod conflicts;
mod crash;
mod daily_work;
mod detection;
mod failure;
mod forgetting;
mod fuse;
mod input;
mod key_change;
mod machine;
mod metadata;
mod moves;
mod names;
mod network;
mod notifying;
mod random;
mod reflink;
mod roots;
mod scopes;
mod selecting;
mod types;
mod waiting;
mod watching;
mod world;
