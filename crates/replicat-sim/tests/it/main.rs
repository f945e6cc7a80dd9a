//! Tests of the rules by simulation.

mod budget;
mod regressions;
