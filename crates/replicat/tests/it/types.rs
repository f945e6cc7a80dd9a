//! Paths that change their kind, and what cannot be synced.
