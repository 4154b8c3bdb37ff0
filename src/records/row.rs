//! One finished (or live) message as the files, the API and the command line tell it: names instead of numbers, the trail as steps.

use super::numbers::Numbers;
use crate::engine::event::PartReceipt;
use crate::engine::trail::{Course, Trail, What};
use crate::model::{CampaignId, CarrierId, MessageId, State};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// Names of what the journal names by number.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// In the order of their ids.
    pub accounts: Vec<String>,
    /// See `accounts`.
    pub carriers: Vec<String>,
    /// By their numbers.
    pub campaigns: HashMap<CampaignId, String>,
}

impl Names {
    fn carrier(&self, carrier: CarrierId) -> &str {
        self.carriers.get(carrier.0 as usize).map_or("", String::as_str)
    }
}

/// One step of the trail.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, utoipa::ToSchema)]
#[schema(as = TrailStep)]
pub struct RowStep {
    /// Wall milliseconds.
    pub at_ms: u64,
    /// What: the names of [`What`].
    pub step: Cow<'static, str>,
    /// The carrier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// The part, from 0; 255: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<u8>,
    /// The carrier's id of the part; of a flagged message, the other's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The state that was said: of a receipt the carrier's, of a verdict ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Cow<'static, str>>,
    /// The state of a message that this means, if it ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub means: Option<Cow<'static, str>>,
    /// The carrier's error as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// network_error_code: kind and number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_error: Option<String>,
    /// A refusal's command_status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u32>,
    /// The done date of the receipt, wall milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_ms: Option<u64>,
    /// Which report, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<u8>,
}

/// A message. Times are wall milliseconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, utoipa::ToSchema)]
#[schema(as = MessageRecord)]
pub struct Row {
    /// Its id.
    #[serde(serialize_with = "as_digits")]
    #[schema(value_type = String)]
    pub message: u64,
    /// 0, or which correction of its end.
    pub revision: u8,
    /// Its acceptance is known, and so all that follows from it.
    pub complete: bool,
    /// Its state; of a live one, waiting or sent_waiting.
    pub state: Cow<'static, str>,
    /// Whose.
    #[schema(value_type = String)]
    pub account: Arc<str>,
    /// Its class.
    pub class: Cow<'static, str>,
    /// Its campaign; empty for none.
    pub campaign: String,
    /// Its number as [`Numbers`] writes it.
    pub number: String,
    /// Its source as upstream wrote it.
    pub source: String,
    /// gsm7, latin1, ucs2, binary.
    pub encoding: Cow<'static, str>,
    /// Where it was last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub carrier: Option<Arc<str>>,
    /// Parts that it was cut into, once sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<u8>,
    /// What it cost, thousandths of a credit.
    pub price: u32,
    /// Identity computed by its sender, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Its sender's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Its sender's words for what it belongs to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_ms: Option<u64>,
    /// Not before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_ms: Option<u64>,
    /// When a carrier took its first part (the last time).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_ms: Option<u64>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_ms: Option<u64>,
    /// The done date of the receipt that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_ms: Option<u64>,
    /// When its sender took the last report; to a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_ms: Option<u64>,
    /// The carrier's state, as in a receipt's `stat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier_state: Option<Cow<'static, str>>,
    /// The carrier's error as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier_error: Option<String>,
    /// network_error_code: kind and number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_error: Option<String>,
    /// The last refusal's command_status, or our own cause; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u32>,
    /// The carrier's id of the first part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier_id: Option<String>,
    /// Times that it was given to a carrier.
    pub attempts: u8,
    /// Its text, if texts are kept and it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What happened, in order.
    pub trail: Vec<RowStep>,
}

fn as_digits<S: serde::Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&MessageId(*id).to_string())
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn network(code: Option<[u8; 3]>) -> Option<String> {
    code.map(|[kind, high, low]| format!("{kind}:{}", u16::from_be_bytes([high, low])))
}

/// Account and carrier names that many rows share.
#[derive(Debug, Default)]
pub struct Shared {
    accounts: Vec<Arc<str>>,
    carriers: Vec<Arc<str>>,
}

impl Shared {
    /// Of these.
    pub fn new(names: &Names) -> Shared {
        let all = |names: &[String]| names.iter().map(|name| Arc::from(name.as_str())).collect();
        Shared { accounts: all(&names.accounts), carriers: all(&names.carriers) }
    }
}

impl Row {
    /// The row of a trail. With `plain_too` the trail is always told; else not where the other columns say all of it ([`Row::is_plain`]).
    pub fn of(message: MessageId, revision: u8, trail: &Trail, names: &Names, shared: &Shared, numbers: &Numbers, plain_too: bool) -> Row {
        let mut row = Row { message: message.0, revision, complete: trail.message.is_some(), ..Row::default() };
        row.message_says(trail, names, shared, numbers);
        let told_all = plain_too || !is_plain(trail);
        let mut course = Course::default();
        for (at, step) in trail.steps.iter().enumerate() {
            course.follow(trail, at);
            if told_all {
                row.trail.push(step_of(step.at_ms, &step.what, course.carrier, names));
            }
        }
        // An attempt's group says no time of its own; the answer to it came no earlier.
        for at in (1..row.trail.len()).rev() {
            if row.trail[at - 1].step == "attempt" {
                row.trail[at - 1].at_ms = row.trail[at - 1].at_ms.min(row.trail[at].at_ms);
            }
        }
        row.carrier = course.carrier.and_then(|carrier| shared.carriers.get(carrier.0 as usize).cloned());
        if let Some((at, parts)) = course.sent
            && let What::Sent { id, .. } = &trail.steps[at].what
        {
            (row.sent_ms, row.segments, row.carrier_id) = (Some(trail.steps[at].at_ms), Some(parts), Some(text(id)));
            row.price = trail.charge;
        }
        let told = trail.steps.iter().rev().find(|step| matches!(step.what, What::Told { .. }));
        row.told_ms = told.filter(|step| matches!(step.what, What::Told { taken: true, .. })).map(|step| step.at_ms);
        let given = |what: &What| matches!(what, What::Sent { part: 0, .. } | What::Moved { .. });
        row.attempts = trail.steps.iter().filter(|step| given(&step.what)).count().min(255) as u8;
        match course.end {
            Some(end) => {
                row.state = end.state.name().into();
                row.final_ms = Some(end.at_ms);
                row.status = Some(end.status).filter(|&status| status != 0);
                if let Some(facts) = end.facts {
                    row.carrier_says(&facts);
                }
            }
            None => {
                let state = if row.sent_ms.is_some() { State::SentWaiting } else { State::Waiting };
                row.state = state.name().into();
            }
        }
        row
    }

    fn message_says(&mut self, trail: &Trail, names: &Names, shared: &Shared, numbers: &Numbers) {
        let Some(message) = &trail.message else { return };
        self.account = shared.accounts.get(message.account.0 as usize).cloned().unwrap_or_default();
        self.class = message.class.name().into();
        self.campaign = names.campaigns.get(&message.campaign).cloned().unwrap_or_default();
        self.number = match message.number {
            0 => numbers.write(&message.destination.digits),
            number => numbers.write(&crate::number::unpack(number)),
        };
        self.source = text(&message.source.digits);
        self.encoding = message.body.encoding.name().into();
        self.identity = (message.identity != 0).then(|| format!("{:016x}", message.identity));
        if let Some(notes) = &message.notes {
            self.reference = Some(notes.reference.to_string()).filter(|reference| !reference.is_empty());
            self.tags = notes.tags.iter().map(|tag| tag.to_string()).collect();
        }
        self.accepted_ms = Some(message.accepted_ms);
        self.due_ms = Some(message.due_ms).filter(|&ms| ms != 0);
        if !message.body.octets.is_empty() {
            self.text = crate::text::transcode::text_of(&message.body);
        }
    }

    fn carrier_says(&mut self, facts: &PartReceipt) {
        self.carrier_state = Some(facts.state.stat().into());
        self.carrier_error = Some(text(&facts.error));
        self.network_error = network(facts.network_error);
        self.done_ms = Some(facts.done_ms);
    }

    /// Tells the trail that the other columns imply, if none is there.
    pub fn fill_trail(&mut self) {
        if !self.trail.is_empty() {
            return;
        }
        let carrier = || self.carrier.as_deref().map(str::to_owned);
        let mut steps = vec![RowStep { at_ms: self.accepted_ms.unwrap_or(0), step: "accepted".into(), ..RowStep::default() }];
        if let Some(at_ms) = self.sent_ms {
            let id = self.carrier_id.clone();
            steps.push(RowStep { at_ms, step: "sent".into(), carrier: carrier(), part: Some(0), id, ..RowStep::default() });
        }
        steps.push(RowStep {
            at_ms: self.final_ms.unwrap_or(0),
            step: "receipt".into(),
            carrier: carrier(),
            part: Some(0),
            state: self.carrier_state.clone(),
            means: Some(self.state.clone()),
            error: self.carrier_error.clone(),
            network_error: self.network_error.clone(),
            done_ms: self.done_ms,
            ..RowStep::default()
        });
        if let Some(at_ms) = self.told_ms {
            steps.push(RowStep { at_ms, step: "told".into(), report: Some(0), ..RowStep::default() });
        }
        self.trail = steps;
    }
}

/// Nothing but: accepted, sent once in one part, one final receipt for it, and perhaps its sender told.
fn is_plain(trail: &Trail) -> bool {
    let mut steps = trail.steps.iter().map(|step| &step.what);
    matches!(steps.next(), Some(What::Accepted))
        && matches!(steps.next(), Some(What::Sent { part: 0, parts: 1, .. }))
        && matches!(steps.next(), Some(What::Receipt { part: 0, facts }) if facts.is_final)
        && matches!(steps.next(), None | Some(What::Told { serial: 0, taken: true }))
        && steps.next().is_none()
}

fn step_of(at_ms: u64, what: &What, with: Option<CarrierId>, names: &Names) -> RowStep {
    let name = |carrier: CarrierId| Some(names.carrier(carrier).to_owned());
    let mut step = RowStep { at_ms, step: what.name().into(), ..RowStep::default() };
    match what {
        What::Accepted | What::Replaced | What::Forgotten => {}
        What::Flagged(original) => step.id = Some(original.to_string()),
        What::Attempt(carrier) => step.carrier = name(*carrier),
        What::Sent { carrier, part, id, .. } => (step.carrier, step.part, step.id) = (name(*carrier), Some(*part), Some(text(id))),
        What::Receipt { part, .. } => (step.carrier, step.part) = (with.and_then(name), Some(*part)),
        What::Moved { carrier, status } => (step.carrier, step.status) = (name(*carrier), Some(*status)),
        What::Rerouted { carrier, part, .. } | What::Late { carrier, part, .. } => {
            (step.carrier, step.part) = (name(*carrier), Some(*part));
        }
        What::Verdict { state, status, .. } => {
            (step.state, step.status) = (Some(state.name().into()), Some(*status).filter(|&status| status != 0));
        }
        What::Told { serial, .. } => step.report = Some(*serial),
    }
    if let Some(facts) = what.facts() {
        step.state = Some(facts.state.stat().into());
        step.means = facts.is_final.then(|| facts.state.message_state().name().into());
        step.error = Some(text(&facts.error));
        step.network_error = network(facts.network_error);
        step.done_ms = Some(facts.done_ms);
    }
    step
}
