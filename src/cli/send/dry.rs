//! What would become of a file: the gateway's own foretelling of batch after batch, added up. Nothing is sent.

use super::post::{Defaults, Row, body};
use super::progress::Progress;
use super::rejects::Rejects;
use super::{DUPLICATE, show_rejects};
use crate::cli::Output;
use crate::cli::admin::Client;
use crate::cli::balance::credits;
use crate::cli::ranges::grouped;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Foretold {
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
    foretell(client, account, defaults, job, rows).map(|foretold| foretold.repeated)
}

/// The sums.
pub(super) struct Dry<'a> {
    client: &'a Client,
    account: &'a str,
    defaults: &'a Defaults,
    job: &'a str,
    sums: Sums,
}

#[derive(Default)]
struct Sums {
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
    /// Rate, segments, and what waits before them.
    paces: BTreeMap<String, (f64, u64, u64)>,
}

fn add(to: &mut BTreeMap<String, u64>, more: BTreeMap<String, u64>) {
    more.into_iter().for_each(|(name, count)| *to.entry(name).or_default() += count);
}

impl<'a> Dry<'a> {
    pub(super) fn new(client: &'a Client, account: &'a str, defaults: &'a Defaults, job: &'a str) -> Dry<'a> {
        Dry { client, account, defaults, job, sums: Sums::default() }
    }

    /// One more batch.
    pub(super) fn look_at(&mut self, rows: &[Row], rejects: &mut Rejects<'_>, progress: &mut Progress) -> Result<(), String> {
        let told = foretell(self.client, self.account, self.defaults, self.job, rows)?;
        for refused in &told.refused {
            let row = rows.get(refused.at).ok_or("the answer names a line that was not asked about")?;
            rejects.add(row.line, &refused.code, &refused.detail, &row.written)?;
        }
        let sums = &mut self.sums;
        sums.taken += told.taken;
        sums.repeated += told.repeated;
        sums.segments += told.segments;
        if let Some(charge) = told.charge {
            *sums.charge.get_or_insert(0) += charge;
        }
        (sums.within_reach, sums.places) = (told.within_reach, told.places);
        add(&mut sums.encodings, told.encodings);
        add(&mut sums.operators, told.operators);
        add(&mut sums.regions, told.regions);
        add(&mut sums.carriers, told.carriers);
        for Pace { bucket, per_s, segments, before_it } in told.paces {
            let (rate, sum, before) = sums.paces.entry(bucket).or_default();
            (*rate, *sum, *before) = (per_s, *sum + segments, before_it);
        }
        progress.at(sums.taken + sums.repeated, rejects.total(), "");
        Ok(())
    }

    /// Seconds, and what takes that long: of all that they share, what is used up last. `None`: nothing limits them.
    fn slowest(&self, rate: Option<u32>) -> Option<(f64, &str)> {
        let paces = self.sums.paces.iter().filter(|(_, pace)| pace.1 > 0);
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
        output.heading(&format!("{} lines; nothing is sent", grouped(lines)));
        output.line(&format!("  {:<24} {:>13}  in {} segments", "would be sent", grouped(sums.taken), grouped(sums.segments)));
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
