#!/bin/bash
# Installs what the tests need and this machine lacks; quiet and quick when all is there. A peer that is missing fails its test, so
# this runs first in tests/all.sh. Nothing is installed outside of the project but Debian packages.
set -euo pipefail
cd "$(dirname "$0")/.."

# Debian packages, each with the command that shows that it is there.
missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need cc gcc              # SQLite is compiled from source
need c++ g++             # the fuzzers' own loop
need strace strace       # shows that no yes leaves before its sync
need tshark tshark       # reads what we send
need text2pcap tshark    # in a package that tshark depends on
need tmux tmux          # a terminal to look at `hongyan top` in
need unshare util-linux  # a small disk that only one test sees
need mount mount
need python3 python3
need node nodejs
need promtool prometheus # reads our metrics, rules and dashboards' queries
need npm npm

python_has_all() { "$1" -c 'import smpplib, duckdb, twilio, schemathesis, grafana_foundation_sdk' >/dev/null 2>&1; }
venv=tests/peers/venv
make_venv=false
if ! python_has_all "$venv/bin/python3" && ! python_has_all python3; then
    make_venv=true
    python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing+=(python3-venv)
fi

if [ ${#missing[@]} -gt 0 ]; then
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || { echo "setup: install these Debian packages, then try again: ${missing[*]}" >&2; exit 1; }
        as_root=(sudo)
    fi
    command -v apt-get >/dev/null 2>&1 || { echo "setup: no apt-get here; install what these Debian packages hold: ${missing[*]}" >&2; exit 1; }
    echo "setup: installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    # Prometheus' package would start a server of its own; a unit that is masked never starts.
    if [[ " ${missing[*]} " == *" prometheus "* ]] && [ ! -e /etc/systemd/system/prometheus.service ] && [ -d /etc/systemd/system ]; then
        "${as_root[@]}" ln -s /dev/null /etc/systemd/system/prometheus.service
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# PyPI's smpplib, duckdb, which reads record files, and twilio, whose requests we take, schemathesis, which tries our API, and Grafana's model of dashboards; in an environment of the tests' own.
if $make_venv; then
    echo "setup: installing smpplib, duckdb, twilio, schemathesis and grafana-foundation-sdk"
    python3 -m venv "$venv"
    "$venv/bin/python3" -m pip install --quiet --disable-pip-version-check smpplib==2.2.4 duckdb==2.0.1 twilio==9.13.0 schemathesis==4.32.5 'grafana-foundation-sdk==1769699998!10.1.0'
fi

# npm's smpp (node-smpp), as tests/peers/package.json says.
if [ ! -f tests/peers/node_modules/smpp/package.json ]; then
    echo "setup: installing smpp for node"
    (cd tests/peers && npm install --silent --no-audit --no-fund --no-package-lock)
fi

command -v cargo >/dev/null 2>&1 || { echo "setup: cargo is missing; install the Rust toolchain named in Cargo.toml (rust-version)" >&2; exit 1; }
