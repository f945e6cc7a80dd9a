//! However a content is read, its name and its chunks are those of its bytes.

use std::io::{self, Read};

use proptest::prelude::*;
use replicat_content::chunker::Workers;
use replicat_content::cut::SizeClass;
use replicat_content::{
    Chunker, Content, ContentError, ContentHasher, Source, Span, chunk_reader, hash_chunk,
    verify_chunk,
};

use crate::random_bytes;

const MIB: usize = 1 << 20;

/// A run of bytes, written out or not.
#[derive(Clone, Debug)]
enum Run {
    Random(u64, usize),
    Zeros(usize),
}

fn bytes_of(runs: &[Run]) -> Vec<u8> {
    runs.iter()
        .flat_map(|run| match run {
            Run::Random(seed, length) => random_bytes(*seed, *length),
            Run::Zeros(length) => vec![0; *length],
        })
        .collect()
}

/// Gives the runs in spans of at most `span_max` bytes, zeros as holes.
struct Holey {
    runs: Vec<(Option<Vec<u8>>, usize)>,
    span_max: usize,
}

impl Holey {
    fn new(runs: &[Run], span_max: usize) -> Self {
        let runs = runs.iter().rev().map(|run| match run {
            Run::Random(seed, length) => (Some(random_bytes(*seed, *length)), *length),
            Run::Zeros(length) => (None, *length),
        });
        Self {
            runs: runs.filter(|(_, length)| *length > 0).collect(),
            span_max,
        }
    }
}

impl Source for Holey {
    fn next_span(&mut self, buffer: &mut [u8]) -> io::Result<Span> {
        let Some((bytes, rest)) = self.runs.last_mut() else {
            return Ok(Span::End);
        };
        let span = match bytes {
            None => {
                let length = std::mem::take(rest);
                Span::Zeros(length as u64)
            }
            Some(bytes) => {
                let length = (*rest).min(buffer.len()).min(self.span_max);
                let start = bytes.len() - *rest;
                buffer[..length].copy_from_slice(&bytes[start..start + length]);
                *rest -= length;
                Span::Data(length)
            }
        };
        if *rest == 0 {
            self.runs.pop();
        }
        Ok(span)
    }
}

/// Reads at most `span_max` bytes at a time, now and then interrupted.
struct Choppy<'a> {
    bytes: &'a [u8],
    span_max: usize,
    reads: usize,
}

impl Read for Choppy<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        if self.reads.is_multiple_of(7) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = buffer.len().min(self.span_max);
        self.bytes.read(&mut buffer[..length])
    }
}

fn check_chunks(content: &Content, bytes: &[u8]) {
    assert_eq!(content.size, bytes.len() as u64);
    let Some(manifest) = &content.manifest else {
        return assert_eq!(content.hash, hash_chunk(bytes).hash);
    };
    manifest.verify(&content.hash).unwrap();
    let mut rest = bytes;
    for chunk in &manifest.chunks {
        let (front, after) = rest.split_at(chunk.length as usize);
        verify_chunk(front, &chunk.hash).unwrap();
        rest = after;
    }
    assert!(rest.is_empty());
}

fn run() -> impl Strategy<Value = Run> {
    prop_oneof![
        (any::<u64>(), 0..3 * MIB).prop_map(|(seed, length)| Run::Random(seed, length)),
        (0..5 * MIB).prop_map(Run::Zeros),
        (any::<u64>(), 0..300usize).prop_map(|(seed, length)| Run::Random(seed, length)),
        (0..300_000usize).prop_map(Run::Zeros),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn holes_change_nothing(runs in prop::collection::vec(run(), 0..6), span_max in 1000..MIB) {
        let bytes = bytes_of(&runs);
        let expected = Content::of_bytes(&bytes);
        check_chunks(&expected, &bytes);
        let mut chunker = Chunker::new(Workers::Calling);
        let content = chunker.read(bytes.len() as u64, Holey::new(&runs, span_max)).unwrap();
        prop_assert_eq!(content, expected);
    }

    #[test]
    fn the_size_of_reads_changes_nothing(seed: u64, length in 0..4 * MIB, span_max in 100..2 * MIB) {
        let bytes = random_bytes(seed, length);
        let choppy = Choppy { bytes: &bytes, span_max, reads: 0 };
        prop_assert_eq!(chunk_reader(length as u64, choppy).unwrap(), Content::of_bytes(&bytes));
    }

    #[test]
    fn a_content_that_is_brought_in_pieces_has_the_same_name(runs in prop::collection::vec(run(), 0..6), piece in 1000..MIB) {
        let bytes = bytes_of(&runs);
        let mut hasher = ContentHasher::new(bytes.len() as u64);
        bytes.chunks(piece).for_each(|piece| hasher.update(piece));
        prop_assert_eq!(hasher.finish(), Content::of_bytes(&bytes));
    }

    #[test]
    fn another_size_than_promised_is_a_change(length in 0..MIB, promised in 0..MIB) {
        prop_assume!(length != promised);
        let bytes = random_bytes(1, length);
        let error = chunk_reader(promised as u64, bytes.as_slice()).unwrap_err();
        let changed = matches!(error, ContentError::Changed { expected, .. } if expected == promised as u64);
        prop_assert!(changed, "{error}");
    }
}

#[test]
fn two_threads_agree_with_one() {
    let runs = [
        Run::Random(5, 9 * MIB + 77),
        Run::Zeros(12 * MIB + 5),
        Run::Random(6, 20 * MIB),
        Run::Zeros(MIB),
    ];
    let bytes = bytes_of(&runs);
    let expected = Content::of_bytes(&bytes);
    let size = bytes.len() as u64;
    for workers in [Workers::Calling, Workers::Pair] {
        let mut chunker = Chunker::new(workers);
        assert_eq!(
            chunker.read(size, Holey::new(&runs, MIB)).unwrap(),
            expected
        );
        // The same reader again, on another content, and back.
        let small = chunker
            .read(5, Holey::new(&[Run::Random(1, 5)], 2))
            .unwrap();
        assert_eq!(small, Content::of_bytes(&random_bytes(1, 5)));
        assert_eq!(
            chunker.read(size, Holey::new(&runs, 4 * MIB)).unwrap(),
            expected
        );
    }
}

#[test]
fn two_threads_report_a_change_and_a_failure() {
    let mut chunker = Chunker::new(Workers::Pair);
    let runs = [Run::Random(5, 17 * MIB)];
    for promised in [16 * MIB, 18 * MIB] {
        let error = chunker
            .read(promised as u64, Holey::new(&runs, MIB))
            .unwrap_err();
        assert!(matches!(error, ContentError::Changed { .. }), "{error}");
    }
    struct Broken(usize);
    impl Source for Broken {
        fn next_span(&mut self, buffer: &mut [u8]) -> io::Result<Span> {
            self.0 += buffer.len();
            if self.0 > 10 * MIB {
                return Err(io::Error::other("the disk is gone"));
            }
            Ok(Span::Data(buffer.len()))
        }
    }
    let error = chunker.read(100 << 20, Broken(0)).unwrap_err();
    assert!(error.to_string().contains("the disk is gone"), "{error}");
}

/// A sparse image of a terabyte: its zeros must cost no reading, and the class is the large one.
#[test]
fn a_terabyte_of_holes_is_read_in_no_time() {
    let size = (1u64 << 40) + 3 * MIB as u64;
    struct Sparse(Vec<Span>);
    impl Source for Sparse {
        fn next_span(&mut self, buffer: &mut [u8]) -> io::Result<Span> {
            let span = self.0.pop().unwrap_or(Span::End);
            if let Span::Data(length) = span {
                let length = length.min(buffer.len());
                buffer[..length].fill(9);
                if let Span::Data(whole) = span
                    && whole > length
                {
                    self.0.push(Span::Data(whole - length));
                }
                return Ok(Span::Data(length));
            }
            Ok(span)
        }
    }
    let spans = vec![Span::Zeros((1 << 40) + MIB as u64), Span::Data(2 * MIB)];
    let content = Chunker::default().read(size, Sparse(spans)).unwrap();
    let manifest = content.manifest.unwrap();
    let zeros = SizeClass::Large.zero_chunk();
    let count = manifest
        .chunks
        .iter()
        .filter(|chunk| **chunk == zeros)
        .count();
    assert_eq!(manifest.size(), size);
    assert_eq!(count, (1 << 20) + 1);
}
