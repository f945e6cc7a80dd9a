//! Failures: a full disk, refused access, state that is lost or old, clocks, roots that are not what they were.

mod accident;
mod clock;
mod disk;
mod failed_root;
mod owner;
mod refusal;
mod state;
mod tidied;
