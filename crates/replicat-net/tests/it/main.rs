//! Endpoints against each other, and against those that do not keep to the protocol.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod breakage;
mod fixture;
mod flow;
mod hostile;
mod identity;
mod key;
mod links;
mod race;
mod raw;
mod reception;
mod refusals;
mod secrecy;
