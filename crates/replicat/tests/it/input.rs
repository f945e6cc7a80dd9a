//! Input that cannot be meant, interruptions, and the commands that look at a root.

mod looking;
mod refused;
mod restoring;
mod skipped;
mod stopped;

pub(crate) use looking::objects;
