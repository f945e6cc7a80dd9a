//! The repository's own rules, as tests.

#![allow(clippy::expect_used)] // The helpers of a test may panic as the test itself may.

mod arrows;
mod repository;
mod source;
mod tidy;
