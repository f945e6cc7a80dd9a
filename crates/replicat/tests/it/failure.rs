//! Failures: what a sync must survive.
