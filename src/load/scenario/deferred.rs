//! Tens of millions of messages that are due next week: what they cost in memory and on disk, and how soon the gateway listens after a kill. A run that was
//! broken off is gone on with: the gateway says how many it has, and only the rest is loaded.

use super::{Common, Scene, Setup, Stage, mib, octets_in, sleep_ms};
use crate::load::bench::CarrierEnd;
use serde_json::json;

/// Arguments of `hongyan bench deferred`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Needs about 250 octets of disk a message of 80 characters (50 million: 12 GB), in the directory hongyan-deferred of --data-dir. With --keep, or after a break,\nthe same command goes on with what is there; without, the directory is removed at the end.\n\nExamples:\n  hongyan bench deferred --messages 1000000\n  hongyan bench deferred --keep --data-dir /var/tmp"
)]
pub struct Args {
    /// Messages in all
    #[arg(long, default_value_t = 50_000_000)]
    messages: u64,
    #[command(flatten)]
    pub(super) common: Common,
}

/// How long the gateway may take to bring what was accepted last from memory to disk, seconds.
const SETTLE_S: u64 = 180;
/// Nothing moved for so long: it has settled. What is in memory then may stay there: up to `max_in_memory` messages.
const STILL_S: u64 = 12;

pub(super) fn run<C: CarrierEnd>(args: &Args, stage: &mut Stage<'_, C>) -> Result<Scene, String> {
    let carrier = stage.carrier()?;
    let setup = Setup::new(&stage.directory, args.common.records).account("sales", "marketing").carrier("any", carrier.address(), "", "");
    let gateway = stage.gateway(&setup)?;
    let there = gateway.metric("hongyan_messages", "state=\"waiting\"") as u64;
    let loaded = args.messages.saturating_sub(there);
    stage.say(&format!("{there} are there, {loaded} are loaded"));
    // A week from now, relative, so that a run that goes on means the same.
    let loaded_per_s = stage.load_all(&gateway, "sales", loaded, |load| {
        load.binds = 4;
        load.shape.schedule = "000007000000000R".to_owned();
    })?;
    let (mut waited_s, mut still_s, mut before) = (0, 0, f64::NAN);
    while still_s < STILL_S && waited_s < SETTLE_S {
        sleep_ms(1_000);
        let on_disk = gateway.metric("hongyan_messages_on_disk", "");
        still_s = if on_disk == before { still_s + 1 } else { 0 };
        (before, waited_s) = (on_disk, waited_s + 1);
    }
    let (usage, on_disk) = (gateway.usage(), gateway.metric("hongyan_messages_on_disk", "") as u64);
    let disk = octets_in(&stage.directory.join("data"));
    stage.say("killed, and started again");
    gateway.kill();
    let again = stage.gateway(&setup)?;
    let restart_s = again.started_in.as_secs_f64();
    let waiting = again.metric("hongyan_messages", "state=\"waiting\"") as u64;
    let (after, difference) = (again.usage(), again.metric("hongyan_conservation_difference", ""));
    again.stop();
    let each = |octets: u64| octets as f64 / args.messages.max(1) as f64;
    let result = json!({
        "settings": { "messages": args.messages }, "were_there": there, "loaded": loaded, "loaded_per_s": loaded_per_s,
        "waiting_after_restart": waiting, "on_disk": on_disk, "rss": usage.rss, "peak_rss": usage.peak_rss,
        "disk_octets": disk, "restart_s": restart_s, "rss_after_restart": after.rss, "peak_rss_after_restart": after.peak_rss, "conservation_difference": difference,
    });
    let lines = vec![
        format!("{there} were there, {loaded} loaded at {loaded_per_s:.0}/s; {on_disk} on disk after {waited_s} s more"),
        format!(
            "resident memory {:.0} MiB ({:.1} octets a message), {:.0} MiB at most while loading",
            mib(usage.rss),
            each(usage.rss),
            mib(usage.peak_rss)
        ),
        format!("disk {:.0} MiB ({:.0} octets a message)", mib(disk), each(disk)),
        format!(
            "after kill -9 it listens after {restart_s:.2} s, with {waiting} waiting, {:.0} MiB resident ({:.0} at most)",
            mib(after.rss),
            mib(after.peak_rss)
        ),
    ];
    let mut problems = Vec::new();
    if waiting != args.messages || difference != 0.0 {
        problems.push(format!("{waiting} wait after the restart, {} should; the sum differs by {difference}", args.messages));
    }
    Ok(Scene { result, lines, problems })
}
