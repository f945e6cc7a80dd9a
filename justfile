# The recipes of daily work; `just --list` shows them.

# Everything a change must pass, as continuous integration runs it.
check:
    .ci/run

# All tests, or those whose name holds FILTER.
test *FILTER:
    cargo test --workspace -- {{FILTER}}

# Random histories of the core against the oracle; a seed given replays exactly.
sim HISTORIES="1000000" SEED="1":
    cargo run --release -p replicat-sim -- run --histories {{HISTORIES}} --seed {{SEED}}

# Property tests with many more cases than a test run takes.
fuzz CASES="100000":
    PROPTEST_CASES={{CASES}} cargo test --release --workspace --lib --test it

# Benchmarks against other tools. Needs root, to mount fresh filesystems.
bench *ARGUMENTS:
    cargo build --release
    cargo run --release -p replicat-bench --bin replicat-bench -- {{ARGUMENTS}}

# Formats the code.
fmt:
    cargo fmt --all

# The documentation of our crates, without those they are built from.
doc:
    cargo doc --workspace --no-deps

# Three nodes at work, in a temporary place, until Ctrl-C.
demo:
    cargo run --release -- demo
