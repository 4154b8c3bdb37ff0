//! A cancel of all that an account has waiting, by the million, while its carrier takes them: how soon it is answered, and that nothing leaves from that
//! answer on, as the carrier sees it.

use super::{Common, Scene, Setup, Stage, sleep_ms, start};
use crate::load::bench::CarrierEnd;
use crate::load::ledger::AtCarrier;
use serde_json::json;
use std::time::{Duration, Instant};

/// Arguments of `hongyan bench cancel`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  hongyan bench cancel\n  hongyan bench cancel --messages 100000")]
pub struct Args {
    /// Messages that wait
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// What the carrier is given meanwhile, messages a second
    #[arg(long, default_value_t = 2_000)]
    carrier_rate: u32,
    #[command(flatten)]
    pub(super) common: Common,
}

/// How long the reports of what was cancelled may take.
const SWEEP_MAX: Duration = Duration::from_secs(120);
const RUN: [u8; 4] = *b"canc";

pub(super) fn run<C: CarrierEnd>(args: &Args, stage: &mut Stage<'_, C>) -> Result<Scene, String> {
    let carrier = stage.carrier()?;
    let setup = Setup::new(&stage.directory, args.common.records).account("sales", "marketing").carrier(
        "slow",
        carrier.address(),
        "",
        &format!("rate_per_s = {}", args.carrier_rate),
    );
    let gateway = stage.gateway(&setup)?;
    stage.say(&format!("loading {} messages", args.messages));
    let load = start(super::LoadSettings { wait_ms: 30_000, ..stage.load(&gateway, "sales", RUN, args.messages) })?;
    let began = Instant::now();
    while load.tally().accepted < args.messages {
        if began.elapsed() > SWEEP_MAX || load.is_finished() {
            load.stop();
            let (report, _) = load.join(|| None);
            return Err(format!("only {} were accepted, refused {:?}", report.tally.accepted, report.tally.refused));
        }
        sleep_ms(20);
    }
    // Until what loading left to do is done.
    sleep_ms(1_000);
    let waiting = gateway.metric("hongyan_messages", "state=\"waiting\"") as u64;
    let asked_us = stage.clock.now().mono_us;
    gateway.post("/v1/changes", &json!({ "action": "cancel", "scope": { "account": "sales" }, "reason": "bench" }))?;
    let answered_us = stage.clock.now().mono_us;
    stage.say(&format!("cancelled, answered after {:.2} ms; its sender is told of each message", (answered_us - asked_us) as f64 / 1000.0));
    let swept_from = Instant::now();
    super::follow(&load, stage.line)?;
    let swept_s = swept_from.elapsed().as_secs_f64();
    let (report, judged) = load.join(|| carrier.marks(RUN));
    let marks = carrier.marks(RUN).unwrap_or_default();
    let difference = gateway.metric("hongyan_conservation_difference", "");
    gateway.kill();
    let AtCarrier { reached, repeated, .. } = judged.unwrap_or_default();
    let last_ms = (marks.last_us as i64 - answered_us as i64) as f64 / 1000.0;
    let in_force_ms = (answered_us - asked_us) as f64 / 1000.0;
    let deleted = report.tally.states.iter().filter(|(state, _)| **state == 4).map(|(_, count)| *count).sum::<u64>();
    let result = json!({
        "settings": { "messages": args.messages, "carrier_rate_per_s": args.carrier_rate },
        "waiting": waiting, "answered_ms": in_force_ms, "last_at_carrier_after_answer_ms": last_ms,
        "reached": reached, "repeated": repeated, "reported": report.tally.reported, "reported_as_deleted": deleted, "unreported": report.tally.unreported,
        "all_reported_s": swept_s, "conservation_difference": difference,
    });
    let lines = vec![
        format!("{waiting} waited; the cancel was answered, durable and in force, after {in_force_ms:.2} ms"),
        format!(
            "the last message came to the carrier {:.2} ms {} the answer",
            last_ms.abs(),
            if last_ms > 0.0 { "after" } else { "before" }
        ),
        format!(
            "{} accepted = {reached} at the carrier + {} cancelled before; all {} reported within {swept_s:.1} s, {deleted} of them as deleted",
            report.tally.accepted,
            report.tally.accepted - reached,
            report.tally.reported
        ),
    ];
    let mut problems = Vec::new();
    // What was on the wire when it was answered may still arrive; anything a second later left after the answer.
    if last_ms > 1000.0 {
        problems.push(format!("a message came to the carrier {last_ms:.0} ms after the cancel was answered"));
    }
    if repeated > 0 || report.tally.unreported > 0 || reached + deleted != report.tally.accepted || difference != 0.0 {
        problems.push(format!(
            "{} accepted, {reached} at the carrier ({repeated} twice), {deleted} reported as deleted, {} not reported",
            report.tally.accepted, report.tally.unreported
        ));
    }
    Ok(Scene { result, lines, problems })
}
