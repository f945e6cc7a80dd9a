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

# Three directories that become equal, in a temporary place.
demo:
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --quiet --release
    replicat=$(pwd)/target/release/replicat
    place=$(mktemp -d)
    trap 'rm -rf "$place"' EXIT
    cd "$place"
    mkdir office laptop server
    echo "buy milk" > office/list
    mkdir -p laptop/photos && echo "a photo" > laptop/photos/one
    "$replicat" sync --itemize-changes office laptop server
    mv server/photos server/pictures
    echo "buy bread" > office/list
    echo "buy tea" > laptop/list
    "$replicat" sync --itemize-changes office laptop server || true
    "$replicat" conflicts office
    find office laptop server -name .replicat -prune -o -type f -print | sort
