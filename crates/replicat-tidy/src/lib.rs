//! Holds the repository to its own rules.
//!
//! Goals: what a reviewer would otherwise say again and again (a function too long, a crate that knows
//! of another it must not know) fails as a test, with the place and the way out.
//! Non-goals: style that `cargo fmt` and clippy check already.
//!
//! There is nothing here to use: the rules are in `tests/it/`.
