//! Hands batches in and sees to it that nothing is lost on the way: what is refused for the moment waits and is handed in again, a gateway that is away is
//! waited for, and identities make all of that safe.

use super::job;
use super::progress::Progress;
use super::rejects::Rejects;
use crate::cli::admin::{Client, Failed};
use crate::number::unpack;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Messages in one batch at most: each is one step of the engine, which an urgent message may have to wait for.
pub(super) const BATCH_MAX: usize = 1_000;
/// Pauses before something is tried again.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Refusals that mean the moment and yet won't pass soon: they are told of and passed over.
const NOT_SOON: &str = "velocity";
/// Refusals of what all lines share: if all of the first batch get one of them, so will the rest.
const SHARED: [&str; 5] = ["source", "bad_value", "schedule", "validity", "length"];

/// A line that is to be sent.
#[derive(Debug)]
pub(super) struct Row {
    pub line: u64,
    /// Packed.
    pub number: u64,
    /// `None`: the text that all have.
    pub text: Option<String>,
    /// As it was written; empty if nobody wants that.
    pub written: String,
}

/// What holds for all lines, as the admin port reads it.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Defaults {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    pub encoding: String,
    pub report: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_at_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expire_at_ms: Option<u64>,
}

#[derive(Serialize)]
struct Item<'a> {
    to: String,
    identity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

#[derive(Serialize)]
struct Batch<'a> {
    account: &'a str,
    defaults: &'a Defaults,
    items: Vec<Item<'a>>,
}

/// The body of a batch.
pub(super) fn body(account: &str, defaults: &Defaults, job: &str, rows: &[Row]) -> String {
    let item = |row: &Row| format!("+{}", String::from_utf8_lossy(&unpack(row.number)));
    let items =
        rows.iter().map(|row| Item { to: item(row), identity: job::identity(job, row.number), text: row.text.as_deref() }).collect();
    serde_json::to_string(&Batch { account, defaults, items }).expect("plain data can be written")
}

#[derive(Deserialize)]
struct Receipt {
    items: Vec<Told>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Told {
    segments: u64,
    repeated: bool,
    code: Option<String>,
    field: String,
    detail: String,
    fix: String,
    retry: bool,
}

/// The way of all batches of a job.
pub(super) struct Post<'a> {
    client: &'a Client,
    account: &'a str,
    defaults: &'a Defaults,
    pub job: &'a str,
    /// How long a gateway that is away is waited for.
    patience: Duration,
    /// Messages a second, if somebody wishes.
    rate: Option<u32>,
    /// When the next batch may go.
    next: Instant,
    /// Taken now, taken before, and the segments of the former.
    pub accepted: u64,
    pub repeated: u64,
    pub segments: u64,
}

impl<'a> Post<'a> {
    /// Nothing is handed in yet.
    pub(super) fn new(
        client: &'a Client,
        account: &'a str,
        defaults: &'a Defaults,
        job: &'a str,
        patience: Duration,
        rate: Option<u32>,
    ) -> Post<'a> {
        Post { client, account, defaults, job, patience, rate, next: Instant::now(), accepted: 0, repeated: 0, segments: 0 }
    }

    /// Messages in one batch.
    pub(super) fn batch_size(&self) -> usize {
        self.rate.map_or(BATCH_MAX, |rate| (rate as usize / 4).clamp(1, BATCH_MAX))
    }

    /// Returns when each of `rows` is taken or told of in `rejects`.
    pub(super) fn hand_in(&mut self, mut rows: Vec<Row>, rejects: &mut Rejects<'_>, progress: &mut Progress) -> Result<(), String> {
        self.pace(rows.len());
        let is_first = self.accepted + self.repeated == 0;
        let (mut pause, mut heard) = (PAUSE_MIN, Instant::now());
        while !rows.is_empty() {
            let before = rows.len();
            let note = match self.client.try_post("/v1/messages", body(self.account, self.defaults, self.job, &rows)) {
                Ok(text) => {
                    let receipt: Receipt = serde_json::from_str(&text).map_err(|error| format!("the answer can't be read: {error}"))?;
                    heard = Instant::now();
                    if is_first {
                        refuse_what_all_share(&receipt)?;
                    }
                    let (left, why) = self.settle(rows, receipt, rejects)?;
                    rows = left;
                    why
                }
                Err(failed) if failed.may_pass() && heard.elapsed() < self.patience => failed.to_string(),
                Err(failed) => return Err(failed.to_string()),
            };
            progress.at(self.accepted + self.repeated, rejects.total(), &note);
            if !rows.is_empty() {
                pause = if rows.len() < before { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
                std::thread::sleep(pause);
            }
        }
        Ok(())
    }

    /// What the gateway said to each row; gives those that are to be handed in again, and why.
    fn settle(&mut self, rows: Vec<Row>, receipt: Receipt, rejects: &mut Rejects<'_>) -> Result<(Vec<Row>, String), String> {
        if receipt.items.len() != rows.len() {
            return Err(format!("the gateway answered {} of {} messages; that is a mistake of its own", receipt.items.len(), rows.len()));
        }
        let (mut left, mut why, mut stop) = (Vec::new(), String::new(), None);
        for (row, told) in rows.into_iter().zip(receipt.items) {
            match told.code.as_deref() {
                None if told.repeated => self.repeated += 1,
                None => {
                    self.accepted += 1;
                    self.segments += told.segments;
                }
                Some("no_credit") => stop = Some(format!("line {}: {}; {}, and run it again to go on", row.line, told.detail, told.fix)),
                Some(code) if told.retry && code != NOT_SOON => {
                    why = format!("waits: {}", told.detail);
                    left.push(row);
                }
                Some(code) => rejects.add(row.line, code, &told.detail, &row.written)?,
            }
        }
        stop.map_or(Ok((left, why)), Err)
    }

    fn pace(&mut self, messages: usize) {
        let Some(rate) = self.rate else { return };
        let now = Instant::now();
        if self.next > now {
            std::thread::sleep(self.next - now);
        }
        self.next = self.next.max(now) + Duration::from_secs_f64(messages as f64 / f64::from(rate));
    }
}

fn refuse_what_all_share(receipt: &Receipt) -> Result<(), String> {
    let Some(first) = receipt.items.first() else { return Ok(()) };
    let Some(code) = first.code.as_deref().filter(|code| SHARED.contains(code)) else { return Ok(()) };
    let all = receipt.items.len() > 1 && receipt.items.iter().all(|told| told.code.as_deref() == Some(code) && told.detail == first.detail);
    match all {
        true => Err(format!("{}: {}; {}", first.field, first.detail, first.fix)),
        false => Ok(()),
    }
}

impl Failed {
    /// The gateway is away, or has too much to do: the same may pass later.
    fn may_pass(&self) -> bool {
        match self {
            Failed::Unreachable(_) => true,
            Failed::Refused(problem) => problem.status == 503,
            Failed::Odd(_) => false,
        }
    }
}
