//! Digests: proof, in a few bytes, that two replicas hold the same versions.

use crate::entry::Entry;
use crate::path::RelPath;
use crate::store::Digest;

/// The digest of what one path shares; 0 for an empty entry. It speaks of dots alone: the rest of a version
/// follows from its dot, and contexts may differ between replicas that hold the same versions.
#[must_use]
pub fn of_entry(path: &RelPath, entry: &Entry) -> Digest {
    if entry.versions().is_empty() {
        return Digest::default();
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(path.as_bytes());
    for version in entry.versions() {
        hasher.update(&[0]);
        hasher.update(&version.dot.replica.0.to_le_bytes());
        hasher.update(&version.dot.counter.to_le_bytes());
    }
    let mut low = [0; 16];
    low.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    Digest(u128::from_le_bytes(low))
}

impl Digest {
    /// The sum of two digests, which does not depend on their order.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// Takes `other` out of a sum.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }
}
