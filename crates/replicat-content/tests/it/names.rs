//! Fixed names: a change of parameters, encoding or derivation would rename every content.

use std::io;

use fastcdc::v2020::FastCDC;
use replicat_content::cut::SizeClass;
use replicat_content::{Chunker, Content, Source, Span};

/// Bytes from a recurrence simple enough to repeat in any language: x = x * 6364136223846793005 +
/// 1442695040888963407 modulo 2^64, from x = 1; each byte is the topmost of the next x.
fn recurrence(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn assert_name(bytes: &[u8], chunks: usize, name: &str) {
    let content = Content::of_bytes(bytes);
    let found = content.manifest.map_or(1, |manifest| manifest.chunks.len());
    assert_eq!((found, content.hash.to_string()), (chunks, name.to_owned()));
}

#[test]
fn the_empty_content_is_the_hash_of_nothing() {
    assert_name(
        b"",
        1,
        "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    );
}

#[test]
fn up_to_64_kib_the_name_is_the_hash_of_the_bytes() {
    let bytes = recurrence(65_536);
    let expected = blake3::hash(&bytes).to_hex().to_string();
    assert_name(&bytes, 1, &expected);
    assert_name(
        &bytes,
        1,
        "f1a7ac4ecaa656acfbc190b4c94b1d30a0002b6c50c9bd02b7e79fe59b96bc21",
    );
}

#[test]
fn one_chunk_over_64_kib_is_still_the_hash_of_the_bytes() {
    let zeros = vec![0; 200_000];
    assert_name(&zeros, 1, blake3::hash(&zeros).to_hex().as_ref());
}

#[test]
fn a_medium_content_is_named_by_its_manifest() {
    assert_name(
        &recurrence(1_000_000),
        12,
        "2c728e6e7fa5d2b43cc5bf1c5acc812b89dbe6f5376e2caa745f887a4d9d979a",
    );
}

/// Some bytes, then a gibibyte of zeros.
struct DataAndHole(Vec<u8>, usize);

impl Source for DataAndHole {
    fn next_span(&mut self, buffer: &mut [u8]) -> io::Result<Span> {
        let rest = &self.0[self.1.min(self.0.len())..];
        if rest.is_empty() {
            let hole = self.1 == self.0.len();
            self.1 = self.0.len() + 1;
            return Ok(if hole {
                Span::Zeros(1 << 30)
            } else {
                Span::End
            });
        }
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.1 += length;
        Ok(Span::Data(length))
    }
}

#[test]
fn a_large_content_is_named_by_its_coarser_manifest() {
    let data = recurrence(5_000_000);
    let size = (1 << 30) + data.len() as u64;
    let content = Chunker::default().read(size, DataAndHole(data, 0)).unwrap();
    assert_eq!(content.manifest.unwrap().chunks.len(), 1039);
    assert_eq!(
        content.hash.to_string(),
        "f6803c3011e90bf2a2e2de97a1930b90139c49ac829923baf588a39aa3b849ca"
    );
}

#[test]
fn cuts_are_those_of_the_published_algorithm() {
    let bytes = recurrence(20_000_000);
    for (class, minimum) in [(SizeClass::Medium, 16_384), (SizeClass::Large, 65_536)] {
        let published = FastCDC::new(&bytes, minimum, 4 * minimum, 16 * minimum);
        let mut rest = bytes.as_slice();
        for chunk in published {
            assert_eq!(class.cut(rest), chunk.length);
            rest = &rest[chunk.length..];
        }
        assert!(rest.is_empty());
    }
}
