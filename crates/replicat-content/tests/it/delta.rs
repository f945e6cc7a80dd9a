//! A planned delta rebuilds the new content, and fetches only what is not at hand.

use proptest::prelude::*;
use replicat_content::delta::{Origin, Piece, SourceId, plan};
use replicat_content::{Content, Manifest};

use crate::random_bytes;

const KIB: usize = 1024;
const MIB: usize = 1 << 20;

fn manifest_of(bytes: &[u8]) -> Manifest {
    let content = Content::of_bytes(bytes);
    content
        .manifest
        .unwrap_or_else(|| Manifest::of_one_chunk(content.hash, bytes.len() as u32))
}

/// Carries out a plan as a receiver would, front to back. Returns the content and the bytes fetched.
fn rebuild(pieces: &[Piece], new: &[u8], sources: &[Vec<u8>]) -> (Vec<u8>, u64) {
    let mut built = Vec::new();
    let mut fetched = 0;
    for piece in pieces {
        assert_eq!(piece.offset, built.len() as u64);
        let length = piece.length as usize;
        match piece.origin {
            Origin::Copy { source, offset } => {
                let from = offset as usize;
                built.extend_from_slice(&sources[source.0 as usize][from..from + length]);
            }
            Origin::Repeat { offset } => {
                let from = offset as usize;
                assert!(from + length <= built.len());
                built.extend_from_within(from..from + length);
            }
            Origin::Zeros => built.resize(built.len() + length, 0),
            Origin::Fetch => {
                fetched += piece.length;
                built.extend_from_slice(&new[built.len()..built.len() + length]);
            }
        }
    }
    (built, fetched)
}

fn plan_and_rebuild(new: &[u8], sources: &[Vec<u8>]) -> (Vec<Piece>, u64) {
    let manifests: Vec<_> = sources.iter().map(|bytes| manifest_of(bytes)).collect();
    let available: Vec<_> = manifests.iter().zip((0..).map(SourceId)).collect();
    let new_manifest = manifest_of(new);
    let pieces = plan(&new_manifest, &available);
    let mut next = 0;
    for piece in &pieces {
        assert_eq!(piece.chunks.start, next);
        assert!(piece.chunks.end > next);
        next = piece.chunks.end;
    }
    assert_eq!(next, new_manifest.chunks.len());
    let (built, fetched) = rebuild(&pieces, new, sources);
    assert!(built == new, "the rebuilt content differs");
    (pieces, fetched)
}

#[test]
fn a_few_bytes_overwritten_cost_a_few_chunks() {
    let old = random_bytes(1, 8 * MIB);
    let mut new = old.clone();
    new[4 * MIB..4 * MIB + 8].copy_from_slice(b"replaced");
    let (pieces, fetched) = plan_and_rebuild(&new, &[old]);
    assert!(fetched <= 512 * KIB as u64, "{fetched} bytes fetched");
    assert_eq!(pieces.len(), 3);
}

#[test]
fn a_byte_prepended_costs_a_few_chunks() {
    let old = random_bytes(2, 8 * MIB);
    let new = [b"x".as_slice(), &old].concat();
    let (_, fetched) = plan_and_rebuild(&new, &[old]);
    assert!(fetched <= 512 * KIB as u64, "{fetched} bytes fetched");
}

#[test]
fn an_equal_content_is_one_copy_from_the_first_source() {
    let bytes = random_bytes(3, 2 * MIB);
    let (pieces, _) = plan_and_rebuild(&bytes, &[bytes.clone(), bytes.clone()]);
    let origin = Origin::Copy {
        source: SourceId(0),
        offset: 0,
    };
    assert_eq!(pieces.len(), 1);
    assert_eq!(pieces[0].origin, origin);
}

#[test]
fn what_repeats_is_fetched_once() {
    let part = random_bytes(4, MIB);
    let (pieces, fetched) = plan_and_rebuild(&part.repeat(6), &[]);
    assert!(fetched < 2 * MIB as u64, "{fetched} bytes fetched");
    let repeats = |piece: &&Piece| matches!(piece.origin, Origin::Repeat { .. });
    assert!(pieces.iter().filter(repeats).count() >= 4);
}

#[test]
fn zeros_are_neither_fetched_nor_copied() {
    let new = [
        random_bytes(5, MIB),
        vec![0; 10 * MIB],
        random_bytes(6, MIB),
    ]
    .concat();
    let (pieces, fetched) = plan_and_rebuild(&new, &[]);
    assert_eq!(pieces.len(), 3);
    assert_eq!(pieces[1].origin, Origin::Zeros);
    assert!(fetched < 3 * MIB as u64, "{fetched} bytes fetched");
}

#[test]
fn the_empty_content_needs_nothing() {
    assert_eq!(plan(&Manifest::default(), &[]), []);
}

/// A step of an edit script: which source, where from, how much; no source means new bytes.
fn part() -> impl Strategy<Value = (Option<usize>, usize, usize)> {
    (prop::option::of(0..3usize), 0..MIB, 0..MIB)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_mixture_is_rebuilt(
        lengths in prop::collection::vec(0..2 * MIB, 3),
        parts in prop::collection::vec(part(), 0..8),
    ) {
        let sources: Vec<_> = (10..).zip(lengths).map(|(seed, length)| random_bytes(seed, length)).collect();
        let mut new = Vec::new();
        for (source, start, length) in parts {
            match source {
                Some(source) => {
                    let bytes = &sources[source];
                    let start = start.min(bytes.len());
                    new.extend_from_slice(&bytes[start..(start + length).min(bytes.len())]);
                }
                None => new.extend_from_slice(&random_bytes(start as u64, length)),
            }
        }
        plan_and_rebuild(&new, &sources);
    }
}
