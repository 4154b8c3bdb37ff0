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
    let outcome = load::run(args, &mut progress)?;
    if args.json {
        output.json(&outcome.report, false);
    } else {
        load::describe(&outcome.report).iter().for_each(|line| output.line(line));
    }
    let mut problems = outcome.problems;
    if let Some(warning) = outcome.warning {
        output.warning(&warning);
        problems.push("the carrier's report could not be compared".to_owned());
    }
    judge(&problems)
}

pub(super) fn relay(args: &RelayArgs, output: &mut Output) -> Result<(), String> {
    load::run_relay(args, &mut |line| output.line(line))
}

pub(super) fn replay(args: &crate::load::replay::ReplayArgs, output: &mut Output) -> Result<(), String> {
    let report = crate::load::replay::run(args, &mut progress)?;
    output.json(&report, std::io::IsTerminal::is_terminal(&std::io::stdout()));
    Ok(())
}

pub(super) fn bench(args: &BenchArgs, output: &mut Output) -> Result<(), String> {
    let start = |window, clock| {
        Smsc::start(SmscSettings { window, clock, ..SmscSettings::default() }).map_err(|error| format!("can't start the carrier: {error}"))
    };
    if let Some(scenario) = &args.scenario {
        let scene = scenario.run(&start, &mut progress)?;
        if scenario.json() {
            output.json(&scene.result, false);
        } else {
            scene.lines.iter().for_each(|line| output.line(line));
        }
        return judge(&scene.problems);
    }
    let result = bench::run(args, &start, &mut progress)?;
    if args.json {
        output.json(&result, false);
    } else {
        bench::describe(&result).iter().for_each(|line| output.line(line));
    }
    judge(&bench::problems(&result))
}

/// Failed if there is any problem; the result has been printed already.
fn judge<T: AsRef<str>>(problems: &[T]) -> Result<(), String> {
    if problems.is_empty() { Ok(()) } else { Err(problems.iter().map(AsRef::as_ref).collect::<Vec<_>>().join("\n")) }
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

    fn taken_and_throttled(&self) -> (u64, u64) {
        let counts = self.stats();
        (counts.taken, counts.throttled)
    }

    fn time(&self, run: RunId, count: usize) {
        Smsc::time(self, run, count);
    }

    fn allow(&self, rate_per_s: u32, burst: u32) {
        self.change(|behaviour| (behaviour.rate_per_s, behaviour.burst) = (rate_per_s, burst));
    }

    fn fall_silent(&self) {
        self.change(|behaviour| {
            behaviour.lost_answers = 1.0;
            behaviour.receipts.clear();
        });
    }
}
