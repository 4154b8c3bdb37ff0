#!/bin/bash
# Runs every fuzz target for some seconds: tests/fuzz.sh [SECONDS] [SEED]. Works with the stable toolchain; the flags are those of cargo-fuzz.
# The seed is fixed, so that a run that was green stays green; explore with another one, or for longer. Prints "FUZZED n" at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-5}
seed=${2:-1}
# The same versions of all dependencies as the gateway's.
cp Cargo.lock fuzz/Cargo.lock
cd fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
# --target keeps these flags out of build scripts.
cargo build --release --target "$host" --bins
ran=0
for source in fuzz_targets/*.rs; do
    target=$(basename "$source" .rs)
    mkdir -p "corpus/$target" "artifacts/$target"
    echo "fuzzing $target for $seconds s"
    log=$(mktemp)
    if ! cargo run --quiet --release --target "$host" --bin "$target" -- "corpus/$target" \
        -max_total_time="$seconds" -seed="$seed" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="artifacts/$target/" >"$log" 2>&1; then
        tail -40 "$log"
        echo "fuzz target $target FAILED; the input is in fuzz/artifacts/$target" >&2
        exit 1
    fi
    grep -E '^Done |stat::number_of_executed' "$log" || tail -3 "$log"
    rm -f "$log"
    ran=$((ran + 1))
done
echo "FUZZED $ran"
