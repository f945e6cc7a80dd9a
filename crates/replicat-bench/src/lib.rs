//! Benchmarks of replicat, alone and against the tools its users know.
