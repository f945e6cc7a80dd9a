//! Crashes: a process that is killed, and a disk that loses what was not flushed.

mod history;
mod killed;
mod points;
mod power;
pub(crate) mod tracer;

pub(crate) use points::sample;
