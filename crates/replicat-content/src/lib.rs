//! What files hold: cutting contents into chunks, naming them, and finding what two of them share.
//!
//! Goals: every content has one name, whoever computes it and however it is read; no byte is hashed
//! twice; a manifest proves itself against the name and each chunk against the manifest; memory stays
//! bounded by the window and 36 bytes a chunk.
//! Non-goals: opening files, moving bytes, keeping manifests. Bytes come through [`source::Source`],
//! and what [`delta::plan`] returns is carried out by others.
//!
//! Names and the encoding of manifests are laid down in `docs/format.md`.

pub mod chunker;
pub mod cut;
pub mod delta;
mod hasher;
mod hashing;
pub mod manifest;
mod pipeline;
pub mod source;
mod stream;

pub use chunker::{Chunker, Content, ContentError, chunk_reader};
pub use hasher::ContentHasher;
pub use hashing::{ChunkMismatch, hash_chunk, verify_chunk};
pub use manifest::{ChunkReference, Manifest, ManifestError, Offsets};
pub use source::{Source, Span};
