//! One-time codes beside a backlog of campaign messages, on one carrier that allows little: what a code waits between its acceptance and the carrier,
//! alone and beside the backlog.

use super::{Common, Scene, Setup, Stage, accept_to_submit, sleep_ms};
use crate::load::bench::CarrierEnd;
use crate::load::generator::LoadSettings;
use crate::load::ledger::LatencySummary;
use crate::load::subject::Subject;
use crate::load::verdict;
use crate::model::mark::RunId;
use serde_json::{Value, json};

/// Arguments of `hongyan bench otp`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  hongyan bench otp\n  hongyan bench otp --backlog 100000 --seconds 10 --data-dir /var/tmp")]
pub struct Args {
    /// Campaign messages that are loaded first
    #[arg(long, default_value_t = 10_000_000)]
    backlog: u64,
    /// Codes a second
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// How long codes are sent, alone and beside the backlog, seconds
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// What the carrier allows, messages a second
    #[arg(long, default_value_t = 2_000)]
    carrier_rate: u32,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn run<C: CarrierEnd>(args: &Args, stage: &mut Stage<'_, C>) -> Result<Scene, String> {
    let carrier = stage.carrier()?;
    let setup = Setup::new(&stage.directory, args.common.records).account("codes", "otp").account("sales", "marketing").carrier(
        "slow",
        carrier.address(),
        "",
        &format!("rate_per_s = {}", args.carrier_rate),
    );
    let gateway = stage.gateway(&setup)?;
    let mut problems = Vec::new();
    stage.say("codes alone");
    let alone = codes(args, stage, &gateway, &carrier, *b"alon", &mut problems)?;
    stage.say(&format!("loading {} campaign messages", args.backlog));
    let loaded_per_s = stage.load_all(&gateway, "sales", args.backlog, |_| {})?;
    // What loading did to caches and disk is not the question.
    sleep_ms(3_000);
    stage.say("codes beside the backlog");
    let before = carrier.taken_and_throttled();
    let beside = codes(args, stage, &gateway, &carrier, *b"besi", &mut problems)?;
    let after = carrier.taken_and_throttled();
    let waiting = gateway.metric("hongyan_messages", "state=\"waiting\"") as u64;
    let usage = gateway.usage();
    gateway.kill();
    let ratio = beside.p99_us as f64 / alone.p99_us.max(1) as f64;
    let carried_per_s = (after.0 - before.0) as f64 / args.seconds;
    let result = json!({
        "settings": { "backlog": args.backlog, "codes_per_s": args.rate, "seconds": args.seconds, "carrier_rate_per_s": args.carrier_rate },
        "alone": alone, "beside": beside, "p99_ratio": ratio,
        "backlog": { "accepted": args.backlog, "per_s": loaded_per_s, "waiting_after": waiting },
        "carrier": { "taken_per_s_beside": carried_per_s, "throttled": after.1 },
        "rss": usage.rss, "peak_rss": usage.peak_rss,
    });
    let words = |name: &str, latency: &LatencySummary| {
        let ms = |us: u64| us as f64 / 1000.0;
        format!(
            "{name}: {} codes, from acceptance to the carrier p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            latency.count,
            ms(latency.p50_us),
            ms(latency.p99_us),
            ms(latency.max_us)
        )
    };
    let lines = vec![
        words("alone", &alone),
        words("beside the backlog", &beside),
        format!("p99 beside the backlog is {ratio:.2} times that alone"),
        format!(
            "backlog: {} accepted at {:.0}/s; {waiting} still waited at the end; the carrier took {carried_per_s:.0}/s of {} meanwhile, and throttled {} in all",
            args.backlog, loaded_per_s, args.carrier_rate, after.1
        ),
        format!("resident memory {:.0} MiB, {:.0} at most", super::mib(usage.rss), super::mib(usage.peak_rss)),
    ];
    Ok(Scene { result, lines, problems })
}

/// Sends codes at their rate, waits for their receipts, and says what they waited.
fn codes<C: CarrierEnd>(
    args: &Args,
    stage: &mut Stage<'_, C>,
    gateway: &Subject,
    carrier: &C,
    run: RunId,
    problems: &mut Vec<String>,
) -> Result<LatencySummary, String> {
    let count = (args.rate * args.seconds) as u64;
    carrier.time(run, count as usize);
    let settings = LoadSettings { rate_per_s: args.rate, timed: true, ..stage.load(gateway, "codes", run, count) };
    let (report, judged) = stage.run(settings, || carrier.marks(run))?;
    let value: Value = serde_json::to_value(&report).map_err(|error| error.to_string())?;
    problems.extend(verdict::of_load(&value, true));
    let at_carrier = judged.unwrap_or_default();
    if at_carrier.repeated + at_carrier.missing > 0 {
        problems.push(format!("{} codes came twice to the carrier, {} accepted ones never", at_carrier.repeated, at_carrier.missing));
    }
    Ok(accept_to_submit(&report, &carrier.marks(run).unwrap_or_default()).summary())
}
