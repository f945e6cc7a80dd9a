//! The rules of replicat, as a pure state machine.
//!
//! Goals: what a replica must do, given what it has seen, decided without a clock, I/O, threads,
//! randomness or unordered iteration, so that the simulator runs the very code that production runs.
//! Non-goals: reading files, keeping state (see [`store::Store`]), moving bytes.
//!
//! The algorithm is explained in `docs/algorithm.md`.

mod acquaintance;
mod below;
pub mod conflict;
mod deletion;
pub mod digest;
mod draft;
pub mod entry;
mod follow;
mod give_up;
pub mod id;
pub mod memory;
mod merge;
pub mod message;
pub mod name;
pub mod observe;
pub mod path;
pub mod plan;
pub mod record;
mod repair;
pub mod replica;
pub mod resolve;
pub mod restore;
mod revert;
mod scope;
pub mod session;
mod settle;
pub mod store;
pub mod version;
pub mod wire;
