//! What would become of a file: the gateway's own foretelling of batch after batch, added up. Nothing is sent.

use super::post::{Defaults, Row, body};
use super::progress::Progress;
use super::rejects::Rejects;
use super::{DUPLICATE, show_rejects};
use crate::cli::Output;
use crate::cli::admin::Client;
use crate::cli::balance::credits;
use crate::cli::counts::{counted, grouped};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is told of a batch, and of all batches together.
#[derive(Default, Deserialize)]
struct Totals {
    taken: u64,
    repeated: u64,
    segments: u64,
    charge: Option<u64>,
    within_reach: Option<i64>,
    places: u64,
    encodings: BTreeMap<String, u64>,
    operators: BTreeMap<String, u64>,
    regions: BTreeMap<String, u64>,
    carriers: BTreeMap<String, u64>,
}

impl Totals {
    /// One more batch. What is left to the account is as it was told last.
    fn add(&mut self, more: Totals) {
        self.taken += more.taken;
        self.repeated += more.repeated;
        self.segments += more.segments;
        if let Some(charge) = more.charge {
            *self.charge.get_or_insert(0) += charge;
        }
        (self.within_reach, self.places) = (more.within_reach, more.places);
        for (to, more) in [
            (&mut self.encodings, more.encodings),
            (&mut self.operators, more.operators),
            (&mut self.regions, more.regions),
            (&mut self.carriers, more.carriers),
        ] {
            more.into_iter().for_each(|(name, count)| *to.entry(name).or_default() += count);
        }
    }
}

#[derive(Deserialize)]
struct Foretold {
    #[serde(flatten)]
    totals: Totals,
    paces: Vec<Pace>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Pace {
    bucket: String,
    per_s: f64,
    segments: u64,
    before_it: u64,
}

#[derive(Deserialize)]
struct Refused {
    at: usize,
    code: String,
    detail: String,
}

/// Asks what would become of `rows`.
fn foretell(client: &Client, account: &str, defaults: &Defaults, job: &str, rows: &[Row]) -> Result<Foretold, String> {
    let text = client.try_post("/v1/explain/batch", body(account, defaults, job, rows)).map_err(|failed| failed.to_string())?;
    serde_json::from_str(&text).map_err(|error| format!("the answer can't be read: {error}"))
}

/// How many of `rows` the gateway knows from before in this job.
pub(super) fn known(client: &Client, account: &str, defaults: &Defaults, job: &str, rows: &[Row]) -> Result<u64, String> {
    foretell(client, account, defaults, job, rows).map(|foretold| foretold.totals.repeated)
}

/// The sums.
pub(super) struct Dry<'a> {
    client: &'a Client,
    account: &'a str,
    defaults: &'a Defaults,
    job: &'a str,
    sums: Totals,
    /// By bucket: its rate, segments, and what waits before them.
    paces: BTreeMap<String, (f64, u64, u64)>,
}

impl<'a> Dry<'a> {
    pub(super) fn new(client: &'a Client, account: &'a str, defaults: &'a Defaults, job: &'a str) -> Dry<'a> {
        Dry { client, account, defaults, job, sums: Totals::default(), paces: BTreeMap::new() }
    }

    /// One more batch.
    pub(super) fn look_at(&mut self, rows: &[Row], rejects: &mut Rejects<'_>, progress: &mut Progress) -> Result<(), String> {
        let told = foretell(self.client, self.account, self.defaults, self.job, rows)?;
        for refused in &told.refused {
            let row = rows.get(refused.at).ok_or("the answer names a line that was not asked about")?;
            rejects.add(row.line, &refused.code, &refused.detail, &row.written)?;
        }
        self.sums.add(told.totals);
        for Pace { bucket, per_s, segments, before_it } in told.paces {
            let (rate, sum, before) = self.paces.entry(bucket).or_default();
            (*rate, *sum, *before) = (per_s, *sum + segments, before_it);
        }
        progress.at(self.sums.taken + self.sums.repeated, rejects.total(), "");
        Ok(())
    }

    /// Seconds, and what takes that long: of all that they share, what is used up last. `None`: nothing limits them.
    fn slowest(&self, rate: Option<u32>) -> Option<(f64, &str)> {
        let paces = self.paces.iter().filter(|(_, pace)| pace.1 > 0);
        let own = rate.map(|rate| (self.sums.taken as f64 / f64::from(rate), "--rate"));
        let all = paces.map(|(bucket, &(per_s, segments, before))| ((segments + before) as f64 / per_s, bucket.as_str())).chain(own);
        all.max_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// The result.
    pub(super) fn tell(&self, lines: u64, rate: Option<u32>, rejects: &Rejects<'_>, output: &mut Output) {
        let (sums, slowest) = (&self.sums, self.slowest(rate));
        if self.client.json {
            return output.json(&self.to_json(lines, slowest, rejects), false);
        }
        output.heading(&format!("{}; nothing is sent", counted(lines, "line", "lines")));
        output.line(&format!(
            "  {:<24} {:>13}  in {}",
            "would be sent",
            grouped(sums.taken),
            counted(sums.segments, "segment", "segments")
        ));
        if sums.repeated > 0 {
            output.line(&format!("  {:<24} {:>13}", "handed in before", grouped(sums.repeated)));
        }
        for (title, counts) in [
            ("encodings", &sums.encodings),
            ("operators", &sums.operators),
            ("regions", &sums.regions),
            ("segments by carrier", &sums.carriers),
        ] {
            if counts.keys().any(|name| !name.is_empty()) {
                output.heading(title);
                for (name, &count) in counts {
                    let share = count as f64 * 100.0 / counts.values().sum::<u64>().max(1) as f64;
                    let name = if name.is_empty() { "(not known)" } else { name };
                    output.line(&format!("  {name:<24} {:>13} {share:>5.1} %", grouped(count)));
                }
            }
        }
        output.heading("cost and time");
        if let Some(charge) = sums.charge {
            output.line(&format!("  {:<24} {:>17}", "credits", credits(charge as i64)));
            output.line(&format!("  {:<24} {:>17}", "the account may spend", credits(sums.within_reach.unwrap_or(0))));
        }
        output.line(&format!("  {:<24} {}", "time at these rates", self.time(slowest)));
        self.warnings().iter().for_each(|warning| output.warning(warning));
        show_rejects(rejects, output);
    }

    fn time(&self, slowest: Option<(f64, &str)>) -> String {
        match slowest {
            None => "as fast as the carriers take them: nothing limits the rate".to_owned(),
            Some((seconds, what)) if !seconds.is_finite() => format!("never: {what} is paused"),
            Some((seconds, what)) => {
                let (whole, rest) = (seconds as u64, seconds.fract());
                let told = match whole {
                    0..60 => format!("{:.1} s", whole as f64 + rest),
                    60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
                    _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
                };
                format!("{told}, by {what}")
            }
        }
    }

    fn warnings(&self) -> Vec<String> {
        let sums = &self.sums;
        let mut warnings = Vec::new();
        if let (Some(charge), Some(reach)) = (sums.charge, sums.within_reach)
            && charge as i64 > reach
        {
            warnings.push("the account's balance does not bear all of it".to_owned());
        }
        if sums.taken > sums.places {
            warnings.push(format!(
                "only {} more messages of the account may wait at once: the rest is handed in as they leave",
                grouped(sums.places)
            ));
        }
        warnings
    }

    fn to_json(&self, lines: u64, slowest: Option<(f64, &str)>, rejects: &Rejects<'_>) -> Value {
        let sums = &self.sums;
        json!({
            "dry_run": true, "job": self.job, "lines": lines, "would_send": sums.taken, "repeated": sums.repeated, "segments": sums.segments,
            "duplicates": rejects.of(DUPLICATE), "charge_thousandths": sums.charge, "within_reach_thousandths": sums.within_reach,
            "encodings": sums.encodings, "operators": sums.operators, "regions": sums.regions, "segments_by_carrier": sums.carriers,
            // Nothing in JSON says "never".
            "seconds": slowest.map(|(seconds, _)| seconds).filter(|seconds| seconds.is_finite()),
            "slowest": slowest.map(|(_, what)| what), "warnings": self.warnings(), "not_sent": rejects.to_json(),
        })
    }
}
