//! What of a new content is at hand already, and what has to be fetched.

use std::collections::HashMap;
use std::ops::Range;

use crate::cut::SizeClass;
use crate::manifest::{ChunkReference, Manifest};

/// A content at hand, as numbered by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// Where a piece of the new content comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From a content at hand.
    Copy {
        /// Which one.
        source: SourceId,
        /// Where the piece begins in it, in bytes.
        offset: u64,
    },
    /// From an earlier piece of the new content itself, which ends before this one begins.
    Repeat {
        /// Where the bytes begin in the new content.
        offset: u64,
    },
    /// It is all zeros: a hole.
    Zeros,
    /// From a peer.
    Fetch,
}

/// A run of chunks with one origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which chunks of the new content.
    pub chunks: Range<usize>,
    /// Where they begin in the new content, in bytes.
    pub offset: u64,
    /// How many bytes they are.
    pub length: u64,
    /// Where they come from.
    pub origin: Origin,
}

/// Where a chunk is at hand.
#[derive(Clone, Copy)]
struct Place {
    /// Which of the contents at hand; beyond the last one for the new content itself.
    source: usize,
    chunk: usize,
    offset: u64,
}

/// How to build the content `new`, front to back, from the contents `available` and a peer's help.
///
/// The pieces cover `new` exactly, in order, each as long as possible. Of several places that hold a
/// chunk, the one that continues the previous piece is taken, then the first in the order of `available`.
/// A chunk that occurs often is fetched once. Copied chunks are to be verified like fetched ones: what a
/// source holds may have changed since its manifest was made.
///
/// Memory is bounded by the number of chunks of `new`.
#[must_use]
pub fn plan(new: &Manifest, available: &[(&Manifest, SourceId)]) -> Vec<Piece> {
    let mut planner = Planner {
        new,
        available,
        places: places_of(new, available),
        next: None,
        pieces: Vec::new(),
    };
    let zeros = SizeClass::of(new.size()).zero_chunk();
    let mut offset = 0;
    for (index, chunk) in new.chunks.iter().enumerate() {
        let place = if *chunk == zeros {
            Found::Zeros
        } else {
            planner.find(chunk)
        };
        planner.push(index, offset, place);
        offset += u64::from(chunk.length);
    }
    planner.pieces
}

/// The first place of each chunk of `new` that some source holds; `None` for one that none holds.
fn places_of(
    new: &Manifest,
    available: &[(&Manifest, SourceId)],
) -> HashMap<ChunkReference, Option<Place>> {
    let mut places: HashMap<_, _> = new.chunks.iter().map(|chunk| (*chunk, None)).collect();
    for (source, (manifest, _)) in available.iter().enumerate() {
        let mut offset = 0;
        for (index, chunk) in manifest.chunks.iter().enumerate() {
            if let Some(place @ None) = places.get_mut(chunk) {
                *place = Some(Place {
                    source,
                    chunk: index,
                    offset,
                });
            }
            offset += u64::from(chunk.length);
        }
    }
    places
}

/// Where one chunk comes from.
#[derive(Clone, Copy)]
enum Found {
    At(Place),
    Zeros,
    Nowhere,
}

struct Planner<'a> {
    new: &'a Manifest,
    available: &'a [(&'a Manifest, SourceId)],
    places: HashMap<ChunkReference, Option<Place>>,
    /// What follows the previous chunk in the place it was copied from.
    next: Option<Place>,
    pieces: Vec<Piece>,
}

impl Planner<'_> {
    fn find(&self, chunk: &ChunkReference) -> Found {
        if let Some(next) = self.next
            && self.chunks_of(next.source).get(next.chunk) == Some(chunk)
        {
            return Found::At(next);
        }
        match self.places.get(chunk) {
            Some(Some(place)) => Found::At(*place),
            _ => Found::Nowhere,
        }
    }

    fn chunks_of(&self, source: usize) -> &[ChunkReference] {
        match self.available.get(source) {
            Some((manifest, _)) => &manifest.chunks,
            None => &self.new.chunks,
        }
    }

    fn push(&mut self, index: usize, offset: u64, found: Found) {
        let chunk = self.new.chunks[index];
        let length = u64::from(chunk.length);
        self.next = None;
        let origin = match found {
            Found::Zeros => Origin::Zeros,
            Found::At(place) => {
                self.next = Some(Place {
                    source: place.source,
                    chunk: place.chunk + 1,
                    offset: place.offset + length,
                });
                self.origin_at(place)
            }
            Found::Nowhere => {
                // From here on it is at hand: in the new content itself.
                let place = Place {
                    source: self.available.len(),
                    chunk: index,
                    offset,
                };
                self.places.insert(chunk, Some(place));
                Origin::Fetch
            }
        };
        self.append(index, offset, length, origin);
    }

    fn origin_at(&self, place: Place) -> Origin {
        let offset = place.offset;
        match self.available.get(place.source) {
            Some((_, source)) => Origin::Copy {
                source: *source,
                offset,
            },
            None => Origin::Repeat { offset },
        }
    }

    /// Adds one chunk to the last piece if it continues it, otherwise as a piece of its own.
    fn append(&mut self, index: usize, offset: u64, length: u64, origin: Origin) {
        match self.pieces.last_mut() {
            Some(last) if last.is_continued_by(origin, length) => {
                last.chunks.end = index + 1;
                last.length += length;
            }
            _ => self.pieces.push(Piece {
                chunks: index..index + 1,
                offset,
                length,
                origin,
            }),
        }
    }
}

impl Piece {
    /// Whether `length` bytes from `origin` can be appended.
    fn is_continued_by(&self, origin: Origin, length: u64) -> bool {
        match (self.origin, origin) {
            (Origin::Fetch, Origin::Fetch) | (Origin::Zeros, Origin::Zeros) => true,
            (
                Origin::Copy { source, offset },
                Origin::Copy {
                    source: next_source,
                    offset: next_offset,
                },
            ) => source == next_source && offset + self.length == next_offset,
            (Origin::Repeat { offset }, Origin::Repeat { offset: next }) => {
                // Not beyond the start of the piece: those bytes are not there yet.
                offset + self.length == next && next + length <= self.offset
            }
            _ => false,
        }
    }
}
