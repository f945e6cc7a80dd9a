//! Changes that are hard to see.
