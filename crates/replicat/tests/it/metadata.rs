//! Metadata alone.
