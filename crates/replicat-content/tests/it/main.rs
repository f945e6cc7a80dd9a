//! The crate as its users see it.

#![allow(clippy::unwrap_used)]

mod delta;
mod names;
mod streaming;

/// `length` bytes that no one would guess, the same for the same seed.
fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}
