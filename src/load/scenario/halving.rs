//! A carrier that halves what it allows, under a constant backlog: how soon the gateway's own rate follows, how many throttle answers that costs, and how
//! much of the new allowance is used.

use super::{Common, Scene, Setup, Stage, sleep_ms, start, without_receipts};
use crate::load::bench::CarrierEnd;
use crate::load::ledger::AtCarrier;
use serde_json::json;

/// Arguments of `hongyan bench halving`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  hongyan bench halving\n  hongyan bench halving --rate 500 --after 60 --json")]
pub struct Args {
    /// What the carrier allows at first, messages a second, and what the gateway is configured for
    #[arg(long, default_value_t = 2_000)]
    rate: u32,
    /// How long it allows that, seconds
    #[arg(long, default_value_t = 10)]
    before: u64,
    /// How long it is looked at after that, seconds
    #[arg(long, default_value_t = 40)]
    after: u64,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Between two looks at the carrier's counters.
const LOOK_MS: u64 = 100;
/// Looks in a window over which a rate is told.
const WINDOW: usize = 10;
/// The share of an allowance from which on it counts as used.
const USED: f64 = 0.95;

pub(super) fn run<C: CarrierEnd>(args: &Args, stage: &mut Stage<'_, C>) -> Result<Scene, String> {
    let carrier = stage.carrier()?;
    let half = (args.rate / 2).max(1);
    carrier.allow(args.rate, (args.rate / 10).max(1));
    let setup = Setup::new(&stage.directory, args.common.records).account("sales", "transactional").carrier(
        "fickle",
        carrier.address(),
        "",
        &format!("rate_per_s = {}", args.rate),
    );
    let gateway = stage.gateway(&setup)?;
    let messages = u64::from(args.rate) * (args.before + args.after + 10);
    let mut backlog = stage.load(&gateway, "sales", *b"half", messages);
    backlog.shape = without_receipts(backlog.shape);
    let load = start(backlog)?;
    stage.say(&format!("{} messages/s for {} s, then {half} for {} s", args.rate, args.before, args.after));
    // The first second is that of loading and binding.
    sleep_ms(1_000);
    let first = carrier.taken_and_throttled();
    sleep_ms(args.before * 1000);
    let halved = carrier.taken_and_throttled();
    carrier.allow(half, (half / 10).max(1));
    let mut looks = vec![halved];
    for _ in 0..args.after * 1000 / LOOK_MS {
        sleep_ms(LOOK_MS);
        looks.push(carrier.taken_and_throttled());
    }
    let (report, judged) = load.join(|| carrier.marks(*b"half"));
    let AtCarrier { reached, repeated, .. } = judged.unwrap_or_default();
    gateway.kill();
    let last = looks.last().copied().unwrap_or_default();
    let before_per_s = (halved.0 - first.0) as f64 / args.before.max(1) as f64;
    let window_s = WINDOW as f64 * LOOK_MS as f64 / 1000.0;
    let used = |at: usize| (looks[at + WINDOW].0 - looks[at].0) as f64 / window_s >= USED * f64::from(half);
    let windows = looks.len().saturating_sub(WINDOW);
    // Settled: no later window of a second that uses less.
    let settled = (0..windows).rev().find(|&at| !used(at)).map_or(0, |at| at + 1);
    let settled_s = (settled < windows).then_some(settled as f64 * LOOK_MS as f64 / 1000.0);
    let ten_s = ((10_000 / LOOK_MS) as usize).min(looks.len() - 1);
    let after_ten = (last.0 - looks[ten_s].0) as f64 / ((looks.len() - 1 - ten_s).max(1) as f64 * LOOK_MS as f64 / 1000.0);
    let share = after_ten / f64::from(half);
    let result = json!({
        "settings": { "rate_per_s": args.rate, "halved_to": half, "before_s": args.before, "after_s": args.after },
        "before": { "taken_per_s": before_per_s, "throttled": halved.1 - first.1 },
        "after": { "settled_s": settled_s, "throttled": last.1 - halved.1, "throttled_after_10_s": last.1 - looks[ten_s].1, "taken_per_s_after_10_s": after_ten, "share_after_10_s": share },
        "accepted": report.tally.accepted, "reached": reached, "repeated": repeated,
    });
    let settled_words = settled_s.map_or("never within the time".to_owned(), |s| format!("{s:.1} s"));
    let lines = vec![
        format!("before: {before_per_s:.0}/s of {} allowed, {} throttled", args.rate, halved.1 - first.1),
        format!("after the halving: every second uses {:.0} % of the new allowance from {settled_words} on", USED * 100.0),
        format!(
            "  from 10 s on: {after_ten:.0}/s of {half} allowed ({:.1} %), {} throttled in that time",
            share * 100.0,
            last.1 - looks[ten_s].1
        ),
        format!("  throttle answers after the halving: {}", last.1 - halved.1),
        format!("accepted {}, {reached} of them at the carrier when the look ended, {repeated} twice", report.tally.accepted),
    ];
    let mut problems = Vec::new();
    if repeated > 0 {
        problems.push(format!("{repeated} reached the carrier more than once"));
    }
    if report.tally.accepted != messages {
        problems.push(format!("only {} of {messages} were accepted, refused {:?}", report.tally.accepted, report.tally.refused));
    }
    Ok(Scene { result, lines, problems })
}
