#!/bin/bash
# All tests: installs what they need when it is missing, runs unit tests, the suite (real peers and crashes among it) and the documentation's
# examples, then every fuzz target for some seconds (HONGYAN_FUZZ_SECONDS, 0: none). The last line counts them all.
set -uo pipefail
cd "$(dirname "$0")/.."
bash tests/setup.sh || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed_runs=0
cargo test --no-fail-fast 2>&1 | tee "$log"
[ "${PIPESTATUS[0]}" -eq 0 ] || failed_runs=1
if [ "${HONGYAN_FUZZ_SECONDS:-5}" -gt 0 ]; then
    bash tests/fuzz.sh "${HONGYAN_FUZZ_SECONDS:-5}" 2>&1 | tee -a "$log"
    [ "${PIPESTATUS[0]}" -eq 0 ] || failed_runs=$((failed_runs + 1))
fi
# Cargo's own summaries, one for each binary, and the fuzz targets.
awk -v failed_runs="$failed_runs" '
    /^test result:/ { for (i = 1; i < NF; i++) { if ($(i + 1) == "passed;") passed += $i; if ($(i + 1) == "failed;") failed += $i } }
    /^FUZZED/ { passed += $2 }
    END { if (failed_runs > 0 && failed == 0) failed = failed_runs; printf "\n%d passed, %d failed\n", passed, failed; exit failed > 0 }
' "$log"
