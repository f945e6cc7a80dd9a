//! Bad input: refused with a reason.
