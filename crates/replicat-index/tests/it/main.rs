//! The index as its owner sees it: against the store in memory, on failing disks, from damaged files.

#![allow(clippy::unwrap_used)]

mod crash;
mod damage;
mod differential;
mod generate;
mod owner;
