//! What is changed while running: pauses, drains, reroutes, unbinds, limits and cancels in force, each with who, when, why and maybe an end. The
//! configuration is static; the overlay lies over it and wins. It is kept as one blob of the ledger and as events of the journal after it, so that it
//! survives any crash; a change that has an end is lifted by itself. The last changes are kept with it, for the audit.
//!
//! [`Overlay::holds`] is asked for every message that is about to leave: with nothing in force it costs one comparison.
#![allow(missing_docs)] // every variant has its line; its fields are the words of the design

use super::campaigns::Campaigns;
use super::cancel::Cancelling;
use super::lanes::LaneKey;
use super::plan::Plan;
use super::port::CarrierId;
use super::scope::{Fault, Matcher, Scope, account_of, carrier_of};
use super::waits::WaitsOn;
use crate::model::{Message, MessageId};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// The name of the ledger's blob.
pub const OVERLAY_BLOB: &str = "overlay";
/// Changes that may be in force at once.
pub const CHANGES_MAX: usize = 1_000;
/// Records kept for the audit.
pub const AUDIT_MAX: usize = 1_000;
/// How long a top-up's reference is remembered, milliseconds.
pub const PAID_AGE_MS: u64 = 72 * 3_600_000;
/// Top-ups whose references are remembered.
pub const PAID_MAX: usize = 10_000;
/// Longest reason and longest name of who asks, octets.
pub const REASON_MAX: usize = 500;

/// Names a change for ever.
pub type ChangeId = u64;

/// Another limit than the configuration's, of one account or one carrier. What is absent stays as configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limit {
    /// Of this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Of this carrier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// Segments a second; 0 pauses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<u32>,
    /// No limit of the rate at all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unlimited: bool,
    /// Segments at once, of a carrier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Messages that may wait, of an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_waiting: Option<u64>,
}

/// What a change does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "action", deny_unknown_fields)]
pub enum Action {
    /// What is meant waits.
    Pause { scope: Scope },
    /// A carrier or bind takes no more; once nothing is in flight it is unbound, if asked.
    Drain {
        scope: Scope,
        /// Its binds go down once nothing is in flight.
        #[serde(default)]
        then_unbind: bool,
    },
    /// What is meant goes to another carrier.
    Reroute {
        scope: Scope,
        /// The other carrier.
        to: String,
    },
    /// A carrier's binds, or one of them, stay down.
    Unbind { scope: Scope },
    /// What is meant and was accepted up to `upto` ends.
    Cancel {
        scope: Scope,
        /// Whatever is asked, the last one that was accepted when it began.
        #[serde(default)]
        upto: u64,
    },
    /// Another limit.
    Limit { limit: Limit },
}

impl Action {
    /// Its name, as in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Pause { .. } => "pause",
            Action::Drain { .. } => "drain",
            Action::Reroute { .. } => "reroute",
            Action::Unbind { .. } => "unbind",
            Action::Cancel { .. } => "cancel",
            Action::Limit { .. } => "limit",
        }
    }

    /// What it is about, if that is told by a scope.
    pub fn scope(&self) -> Option<&Scope> {
        match self {
            Action::Pause { scope } | Action::Drain { scope, .. } | Action::Reroute { scope, .. } => Some(scope),
            Action::Unbind { scope } | Action::Cancel { scope, .. } => Some(scope),
            Action::Limit { .. } => None,
        }
    }
}

/// One change in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Change {
    /// Its number.
    #[schema(value_type = u64)]
    pub id: ChangeId,
    /// Since when, wall milliseconds.
    pub at_ms: u64,
    /// Who asked for it.
    pub who: String,
    /// Why.
    pub reason: String,
    /// When it ends by itself, wall milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// What it does.
    #[serde(flatten)]
    pub action: Action,
}

impl Change {
    /// Which and why, in a few words: `pause 3 (maintenance)`.
    pub fn brief(&self) -> WaitsOn {
        WaitsOn { what: format!("{} {}", self.action.name(), self.id), reason: self.reason.clone() }
    }
}

/// One line of the audit, and what the journal holds of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Record {
    /// A change began.
    Began(Change),
    /// Changes ended.
    Ended {
        #[schema(value_type = Vec<u64>)]
        ids: Vec<ChangeId>,
        at_ms: u64,
        who: String,
        reason: String,
    },
    /// Somebody paid in, or took out: thousandths of a credit.
    ToppedUp { account: String, change: i64, reference: String, at_ms: u64, who: String, reason: String },
    /// Something was done that leaves nothing in force.
    Did { what: String, at_ms: u64, who: String, reason: String },
}

/// What lies in the ledger.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    last: ChangeId,
    changes: Vec<Change>,
    audit: VecDeque<Record>,
    paid: VecDeque<Paid>,
}

/// A top-up whose reference is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Paid {
    account: String,
    reference: String,
    change: i64,
    at_ms: u64,
}

/// Messages that a pause keeps back, in the order in which they came.
#[derive(Debug, Default)]
struct HeldBack {
    messages: VecDeque<(CarrierId, MessageId)>,
    /// At this length those that have ended meanwhile are taken out.
    tidy_at: usize,
}

/// Everything that is changed while running.
#[derive(Debug, Default)]
pub struct Overlay {
    changes: BTreeMap<ChangeId, Change>,
    last: ChangeId,
    audit: VecDeque<Record>,
    /// Top-ups of late, oldest first.
    paid: VecDeque<Paid>,
    pauses: Vec<(ChangeId, Matcher)>,
    reroutes: Vec<(ChangeId, Matcher, CarrierId)>,
    pub(super) cancels: Vec<Cancelling>,
    pub(super) budget: super::cancel::Budget,
    /// Binds and carriers that take nothing: by pauses, drains and unbinds.
    pub(super) closed: Vec<(ChangeId, CarrierId, Option<u16>)>,
    held: HashMap<ChangeId, HeldBack>,
    next_end_ms: Option<u64>,
    /// Binds that stay down were told to the links as of the last look.
    pub(super) told_down: Vec<(CarrierId, Option<u16>)>,
    /// Drains that have run empty and are to be unbound.
    pub(super) emptied: Vec<ChangeId>,
    pub(super) tests: super::trial::Tests,
}

impl Overlay {
    /// Nothing is asked of a message that is about to leave.
    pub fn is_quiet(&self) -> bool {
        self.pauses.is_empty() && self.cancels.is_empty() && self.reroutes.is_empty()
    }

    /// The pause that keeps this message from leaving by `carrier`.
    pub fn holds(&self, message: &Message, carrier: CarrierId) -> Option<ChangeId> {
        self.pauses.iter().find(|(_, matcher)| matcher.matches(message, Some(carrier))).map(|&(id, _)| id)
    }

    /// The pause that means all of this lane: it waits as a whole, on disk too.
    pub(super) fn holds_lane(&self, lane: &LaneKey, carrier: CarrierId) -> Option<ChangeId> {
        self.pauses.iter().find(|(_, matcher)| matcher.means_lane(lane, carrier)).map(|&(id, _)| id)
    }

    /// Where the message goes instead of `carrier`: the latest reroute that means it decides.
    pub(super) fn rerouted(&self, message: &Message, carrier: CarrierId) -> Option<CarrierId> {
        let meant = self.reroutes.iter().rev().find(|(_, matcher, _)| matcher.matches(message, Some(carrier)));
        meant.map(|&(_, _, to)| to).filter(|&to| to != carrier)
    }

    /// All that waits at `carrier` goes to another one, whatever it is.
    pub(super) fn empties(&self, carrier: CarrierId) -> bool {
        self.reroutes.iter().any(|(_, matcher, to)| *to != carrier && matcher.of_carrier_only() == Some(carrier))
    }

    /// The earliest wall time at which a change ends by itself.
    pub(super) fn next_end_ms(&self) -> Option<u64> {
        self.next_end_ms
    }

    /// Changes in force, oldest first.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = &Change> {
        self.changes.values()
    }

    /// The change of this number, if it is in force.
    pub fn change(&self, id: ChangeId) -> Option<&Change> {
        self.changes.get(&id)
    }

    /// What was done, newest last.
    pub fn audit(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.audit.iter()
    }

    /// Room for one more change, and its number.
    pub(super) fn next_id(&self) -> Result<ChangeId, Fault> {
        match self.changes.len() < CHANGES_MAX {
            true => Ok(self.last + 1),
            false => Err(Fault::of("too_many_changes", "", format!("{CHANGES_MAX} changes are in force"), "resume some of them first")),
        }
    }

    /// What a record means. Live and in replay; [`Overlay::compile`] follows.
    pub(super) fn apply(&mut self, record: Record) {
        match &record {
            Record::Began(change) => {
                self.last = self.last.max(change.id);
                if let Action::Limit { limit } = &change.action {
                    // A later limit of the same account or carrier takes the earlier one's place.
                    let same = |c: &Change| matches!(&c.action, Action::Limit { limit: l } if (&l.account, &l.carrier) == (&limit.account, &limit.carrier));
                    self.changes.retain(|_, earlier| !same(earlier));
                }
                self.changes.insert(change.id, change.clone());
            }
            Record::Ended { ids, .. } => ids.iter().for_each(|id| {
                self.changes.remove(id);
            }),
            Record::ToppedUp { account, change, reference, at_ms, .. } => {
                self.forget_paid(*at_ms);
                self.paid.push_back(Paid { account: account.clone(), reference: reference.clone(), change: *change, at_ms: *at_ms });
            }
            Record::Did { .. } => {}
        }
        if self.audit.len() >= AUDIT_MAX {
            self.audit.pop_front();
        }
        self.audit.push_back(record);
    }

    fn forget_paid(&mut self, now_ms: u64) {
        while self.paid.front().is_some_and(|paid| paid.at_ms + PAID_AGE_MS <= now_ms) {
            self.paid.pop_front();
        }
    }

    /// What a top-up of this account with this reference was about, if there was one of late.
    pub(super) fn paid(&self, account: &str, reference: &str, now_ms: u64) -> Option<i64> {
        let same = |paid: &&Paid| paid.account == account && paid.reference == reference && paid.at_ms + PAID_AGE_MS > now_ms;
        self.paid.iter().find(same).map(|paid| paid.change)
    }

    /// There is room to remember one more top-up.
    pub(super) fn may_pay(&mut self, now_ms: u64) -> Result<(), Fault> {
        self.forget_paid(now_ms);
        match self.paid.len() < PAID_MAX {
            true => Ok(()),
            false => Err(Fault::of(
                "busy",
                "reference",
                format!("{PAID_MAX} top-ups were made within 72 hours"),
                "later, or fewer and larger ones",
            )),
        }
    }

    /// A cancel has ended all that it means: it is no longer asked. Not on record: after a restart it looks once more and finds nothing.
    pub(super) fn cancelled(&mut self, id: ChangeId) {
        self.changes.remove(&id);
        self.cancels.retain(|cancel| cancel.id != id);
    }

    /// The latest id that a cancel in force means. A message accepted later must get a later one: also after a crash lost the group of the message that
    /// had this id, with a wall clock that was set back meanwhile.
    pub(super) fn cancelled_upto(&self) -> Option<MessageId> {
        self.cancels.iter().map(|cancel| cancel.upto).max()
    }

    /// Makes the lists that are asked from the changes in force. What names something that is gone means nothing.
    pub(super) fn compile(&mut self, plan: &Plan, campaigns: &Campaigns, in_memory: usize) {
        let before = std::mem::take(&mut self.cancels);
        self.pauses.clear();
        self.reroutes.clear();
        self.closed.clear();
        self.next_end_ms = self.changes.values().filter_map(|change| change.until_ms).min();
        for (&id, change) in &self.changes {
            let Some(Ok(matcher)) = change.action.scope().map(|scope| scope.matcher(plan, campaigns)) else { continue };
            match &change.action {
                Action::Pause { .. } | Action::Drain { .. } | Action::Unbind { .. } if matcher.of_carrier_only().is_some() => {
                    self.closed.extend(matcher.carrier.map(|carrier| (id, carrier, matcher.bind)));
                }
                Action::Pause { .. } => self.pauses.push((id, matcher)),
                Action::Reroute { to, .. } => self.reroutes.extend(carrier_of(to, plan).ok().map(|to| (id, matcher, to))),
                Action::Cancel { upto, .. } => {
                    let cancel = before.iter().find(|cancel| cancel.id == id).cloned();
                    self.cancels.push(cancel.unwrap_or_else(|| Cancelling::new(id, matcher, MessageId(*upto), in_memory)));
                }
                Action::Drain { .. } | Action::Unbind { .. } | Action::Limit { .. } => {}
            }
        }
        self.emptied.retain(|id| self.changes.contains_key(id));
    }

    /// The plan with the limits in force.
    pub(super) fn merged(&self, plan: &Plan) -> Option<Plan> {
        let mut merged: Option<Plan> = None;
        for change in self.changes.values() {
            let Action::Limit { limit } = &change.action else { continue };
            let merged = merged.get_or_insert_with(|| plan.clone());
            if let Some(Ok(id)) = limit.account.as_ref().map(|name| account_of(name, plan)) {
                let account = &mut merged.accounts[id.0 as usize];
                account.rate_per_s = if limit.unlimited { None } else { limit.rate_per_s.or(account.rate_per_s) };
                account.max_waiting = limit.max_waiting.unwrap_or(account.max_waiting);
            }
            if let Some(Ok(id)) = limit.carrier.as_ref().map(|name| carrier_of(name, plan)) {
                let carrier = &mut merged.carriers[id.0 as usize];
                carrier.rate_per_s = if limit.unlimited { None } else { limit.rate_per_s.or(carrier.rate_per_s) };
                carrier.burst = limit.burst.unwrap_or(carrier.burst);
            }
        }
        merged
    }

    /// The carrier is paused as a whole (not drained): what waits there stays.
    pub(super) fn is_paused(&self, carrier: CarrierId) -> Option<ChangeId> {
        let paused = |&&(id, of, bind): &&(ChangeId, CarrierId, Option<u16>)| {
            of == carrier && bind.is_none() && self.changes.get(&id).is_some_and(|c| matches!(c.action, Action::Pause { .. }))
        };
        self.closed.iter().find(paused).map(|&(id, _, _)| id)
    }

    // ---- what pauses keep back ----

    /// Keeps a message back for the pause `id`. `lives` says whether one that was kept back before still waits.
    pub(super) fn keep_back(&mut self, id: ChangeId, held: (CarrierId, MessageId), lives: impl Fn(MessageId, CarrierId) -> bool) {
        let back = self.held.entry(id).or_default();
        if back.messages.len() >= back.tidy_at.max(1024) {
            back.messages.retain(|&(carrier, message)| lives(message, carrier));
            back.tidy_at = 2 * back.messages.len();
        }
        back.messages.push_back(held);
    }

    /// Messages kept back by pauses, those that have ended since included.
    pub fn held(&self) -> usize {
        self.held.values().map(|back| back.messages.len()).sum()
    }

    /// Messages kept back by one pause, those that have ended since included.
    pub fn held_by(&self, id: ChangeId) -> usize {
        self.held.get(&id).map_or(0, |back| back.messages.len())
    }

    /// What the pauses that are over kept back, in order.
    pub(super) fn released(&mut self) -> Vec<VecDeque<(CarrierId, MessageId)>> {
        let pauses = &self.pauses;
        let mut over: Vec<ChangeId> = self.held.keys().copied().filter(|id| !pauses.iter().any(|(pause, _)| pause == id)).collect();
        over.sort_unstable();
        over.iter().filter_map(|id| self.held.remove(id)).map(|back| back.messages).collect()
    }

    // ---- the ledger ----

    /// For the ledger.
    pub(super) fn to_octets(&self) -> Vec<u8> {
        let kept =
            Kept { last: self.last, changes: self.changes.values().cloned().collect(), audit: self.audit.clone(), paid: self.paid.clone() };
        serde_json::to_vec(&kept).expect("plain data can be written")
    }

    /// From the ledger.
    pub(super) fn from_octets(octets: &[u8]) -> Result<Overlay, serde_json::Error> {
        let kept: Kept = serde_json::from_slice(octets)?;
        let changes = kept.changes.into_iter().map(|change| (change.id, change)).collect();
        Ok(Overlay { changes, last: kept.last, audit: kept.audit, paid: kept.paid, ..Overlay::default() })
    }
}
