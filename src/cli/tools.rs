//! `hongyan smsc`, `hongyan load`, `hongyan relay` and `hongyan bench`: the tools around a gateway. What they do is in `sim` and `load`.

use super::Output;
use crate::load::bench::{self, BenchArgs, CarrierEnd};
use crate::load::command::{self as load, LoadArgs, RelayArgs};
use crate::model::mark::{RunId, RunMarks};
use crate::sim::smsc::args::{SmscArgs, run as run_smsc};
use crate::sim::smsc::{Smsc, SmscSettings};
use std::net::SocketAddr;

/// Progress goes to standard error, so that results can be piped.
fn progress(text: &str) {
    eprintln!("{text}");
}

pub(super) fn smsc(args: &SmscArgs, output: &mut Output) -> Result<(), String> {
    let report = run_smsc(args, &mut progress)?;
    output.json(&report, false);
    Ok(())
}

pub(super) fn load(args: &LoadArgs, output: &mut Output) -> Result<(), String> {
    let report = load::run(args, &mut progress)?;
    if args.json {
        output.json(&report, false);
    } else {
        load::describe(&report).iter().for_each(|line| output.line(line));
    }
    Ok(())
}

pub(super) fn relay(args: &RelayArgs, output: &mut Output) -> Result<(), String> {
    load::run_relay(args, &mut |line| output.line(line))
}

pub(super) fn bench(args: &BenchArgs, output: &mut Output) -> Result<(), String> {
    let start = |window| {
        Smsc::start(SmscSettings { window, ..SmscSettings::default() }).map_err(|error| format!("can't start the carrier: {error}"))
    };
    let result = bench::run(args, &start, &mut progress)?;
    if args.json {
        output.json(&result, false);
    } else {
        bench::describe(&result).iter().for_each(|line| output.line(line));
    }
    Ok(())
}

impl CarrierEnd for Smsc {
    fn address(&self) -> SocketAddr {
        self.local_addr()
    }

    fn marks(&self, run: RunId) -> Option<RunMarks> {
        Smsc::marks(self, run)
    }

    fn cpu_us(&self) -> u64 {
        Smsc::cpu_us(self)
    }
}
