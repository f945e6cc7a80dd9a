//! A simulator of replicas: seeded random histories, executed by the very rules that production runs, and judged by
//! a naive oracle.
//!
//! Goals: users, crashes, lost state and broken connections at every point; the same seed gives the same history; a
//! failing history is an explicit list of operations that can be cut down and kept as a test.
//! Non-goals: real files, real time, real networks: those have tests of their own.

pub mod act;
mod apply;
pub mod check;
mod conclude;
pub mod disk;
mod exchange;
pub mod generate;
mod hold;
pub mod journal;
pub mod minimise;
pub mod node;
pub mod op;
pub mod oracle;
pub mod paths;
mod policy;
mod refuse;
mod scan;
pub mod world;
