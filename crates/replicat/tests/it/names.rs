//! Names that are hard to carry.
