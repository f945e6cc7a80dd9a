//! Where contents are cut: FastCDC in its 2020 form, with the parameters of two size classes.
//!
//! Source of the algorithm: W. Xia et al., "The Design of Fast Content-Defined Chunking for Data
//! Deduplication Based Storage Systems", IEEE TPDS 31(9), 2020; normalisation level 1.

use std::sync::LazyLock;

use fastcdc::v2020::{self, Normalization};

use crate::hashing::hash_chunk;
use crate::manifest::ChunkReference;

/// The longest content that is never cut, in bytes.
pub const UNCUT_SIZE_MAX: u64 = 64 * KIB as u64;

/// The longest content of class [`SizeClass::Medium`], in bytes.
pub const MEDIUM_SIZE_MAX: u64 = 1 << 30;

/// The longest chunk of any class, in bytes.
pub const CHUNK_LENGTH_MAX: usize = 1024 * KIB;

const KIB: usize = 1024;

/// How finely a content is cut, by its size alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeClass {
    /// Up to 64 KiB: one chunk.
    Small,
    /// Up to 1 GiB: chunks of 16 to 256 KiB, 64 KiB on average.
    Medium,
    /// Over 1 GiB: chunks of 64 KiB to 1 MiB, 256 KiB on average.
    Large,
}

/// The parameters of one class, in bytes, and the masks that follow from the average.
struct Parameters {
    minimum: usize,
    average: usize,
    maximum: usize,
    mask_before_average: u64,
    mask_after_average: u64,
}

impl Parameters {
    fn new(minimum: usize, average: usize, maximum: usize) -> Self {
        let (mask_before_average, mask_after_average) =
            v2020::select_masks(average, Normalization::Level1);
        Self {
            minimum,
            average,
            maximum,
            mask_before_average,
            mask_after_average,
        }
    }
}

static MEDIUM: LazyLock<Parameters> =
    LazyLock::new(|| Parameters::new(16 * KIB, 64 * KIB, 256 * KIB));
static LARGE: LazyLock<Parameters> =
    LazyLock::new(|| Parameters::new(64 * KIB, 256 * KIB, CHUNK_LENGTH_MAX));

static SMALL_ZEROS: LazyLock<ChunkReference> = LazyLock::new(|| zeros_of(SizeClass::Small));
static MEDIUM_ZEROS: LazyLock<ChunkReference> = LazyLock::new(|| zeros_of(SizeClass::Medium));
static LARGE_ZEROS: LazyLock<ChunkReference> = LazyLock::new(|| zeros_of(SizeClass::Large));

fn zeros_of(class: SizeClass) -> ChunkReference {
    hash_chunk(&vec![0; class.chunk_length_max()])
}

impl SizeClass {
    /// The class of a content of `size` bytes.
    #[must_use]
    pub fn of(size: u64) -> Self {
        if size <= UNCUT_SIZE_MAX {
            Self::Small
        } else if size <= MEDIUM_SIZE_MAX {
            Self::Medium
        } else {
            Self::Large
        }
    }

    /// The longest chunk of this class, in bytes.
    #[must_use]
    pub fn chunk_length_max(self) -> usize {
        match self {
            Self::Small => 64 * KIB,
            Self::Medium => MEDIUM.maximum,
            Self::Large => LARGE.maximum,
        }
    }

    /// The length of the first chunk of `bytes`, which are the rest of the content or at least
    /// [`SizeClass::chunk_length_max`] of it; what follows them does not matter.
    #[must_use]
    pub fn cut(self, bytes: &[u8]) -> usize {
        let parameters = match self {
            Self::Small => return bytes.len().min(self.chunk_length_max()),
            Self::Medium => &*MEDIUM,
            Self::Large => &*LARGE,
        };
        let (_, length) = v2020::cut(
            bytes,
            parameters.minimum,
            parameters.average,
            parameters.maximum,
            parameters.mask_before_average,
            parameters.mask_after_average,
            parameters.mask_before_average << 1,
            parameters.mask_after_average << 1,
        );
        length
    }

    /// The chunk into which a long run of zeros is cut: zeros never meet a mask, so that it is the
    /// longest of the class.
    #[must_use]
    pub fn zero_chunk(self) -> ChunkReference {
        match self {
            Self::Small => *SMALL_ZEROS,
            Self::Medium => *MEDIUM_ZEROS,
            Self::Large => *LARGE_ZEROS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_begin_where_the_format_says() {
        assert_eq!(SizeClass::of(0), SizeClass::Small);
        assert_eq!(SizeClass::of(65_536), SizeClass::Small);
        assert_eq!(SizeClass::of(65_537), SizeClass::Medium);
        assert_eq!(SizeClass::of(1 << 30), SizeClass::Medium);
        assert_eq!(SizeClass::of((1 << 30) + 1), SizeClass::Large);
    }

    #[test]
    fn zeros_are_cut_at_the_maximum_in_every_class() {
        for class in [SizeClass::Small, SizeClass::Medium, SizeClass::Large] {
            let zeros = vec![0; 2 * CHUNK_LENGTH_MAX];
            for length in [
                2 * class.chunk_length_max(),
                class.chunk_length_max() - 1,
                3,
            ] {
                let expected = length.min(class.chunk_length_max());
                assert_eq!(class.cut(&zeros[..length]), expected);
            }
            assert_eq!(class.zero_chunk().length as usize, class.chunk_length_max());
        }
    }
}
