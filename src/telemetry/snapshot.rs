//! Plain figures as engine, links and journal hand them over. Arrays by [`State`] and [`Class`] follow `State::ALL` and `Class::ALL`,
//! lists of accounts and carriers follow their ids.
//!
//! [`State`]: crate::model::State
//! [`Class`]: crate::model::Class

use super::histogram::TimeHistogram;
use crate::model::{CarrierId, Class, Refusal, State};

/// What the engine has counted, all at one journal position.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EngineSnapshot {
    /// Journal position at which the figures hold.
    pub position: u64,
    /// By account.
    pub accounts: Vec<AccountFigures>,
    /// By carrier.
    pub carriers: Vec<CarrierFigures>,
    /// Receipts.
    pub receipts: ReceiptFigures,
    /// Who may be written to.
    pub rules: RulesFigures,
    /// Doubts, deliveries, inbound messages.
    pub other: OtherFigures,
    /// From a message's acceptance (or its time, if it has one) to its leaving for a carrier, by class; at its first try.
    pub queue_times: [TimeHistogram; Class::ALL.len()],
    /// From a report's coming to be to upstream's taking it.
    pub delivery_times: TimeHistogram,
    /// How carriers deliver, by where the numbers are.
    pub quality: Vec<QualityFigures>,
    /// Operators' changes in force, in the order of [`CHANGES`].
    pub changes: [u64; CHANGES.len()],
    /// The conservation sum.
    pub conservation: Conservation,
}

/// Names of operators' changes.
pub const CHANGES: [&str; 6] = ["pause", "drain", "reroute", "unbind", "cancel", "limit"];

/// One account in the engine's eyes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountFigures {
    /// Messages accepted since the start.
    pub accepted: u64,
    /// Messages handed in since the start, whatever the answer.
    pub submitted: u64,
    /// Segments of what was accepted since the start.
    pub segments: u64,
    /// Segments a second that it may hand in; `None`: no limit.
    pub rate_limit: Option<u32>,
    /// Messages of it that may wait at once.
    pub waiting_limit: u64,
    /// Its messages by state.
    pub states: [u64; State::ALL.len()],
    /// What waits for its receivers.
    pub outbox: u64,
    /// What was dropped from its outbox since the start.
    pub outbox_dropped: u64,
    /// Messages that it handed in twice, since the start.
    pub repeats: RepeatCounts,
    /// Texts and identities remembered of it.
    pub remembered: u64,
    /// Of these, what had to go before its time since the start: the bound was reached.
    pub forgotten: u64,
    /// topped_up, available, reserved and spent, thousandths of a credit; in the order of [`BALANCE_TERMS`].
    pub balance: [i64; BALANCE_TERMS.len()],
}

/// Terms of a balance: the first is the sum of the others.
pub const BALANCE_TERMS: [&str; 4] = ["topped_up", "available", "reserved", "spent"];

/// Names of what becomes of a repetition, in the order of [`RepeatCounts::counts`].
pub const REPEATS: [&str; 4] = ["identity", "dropped", "refused", "flagged"];

/// Messages handed in twice, by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RepeatCounts {
    /// Of a known identity: answered with the first one's id.
    pub identity: u64,
    /// Of the same text: answered with the first one's id.
    pub dropped: u64,
    /// Of the same text: refused.
    pub refused: u64,
    /// Of the same text: sent and marked.
    pub flagged: u64,
}

impl RepeatCounts {
    /// In the order of [`REPEATS`].
    pub fn counts(&self) -> [u64; REPEATS.len()] {
        [self.identity, self.dropped, self.refused, self.flagged]
    }
}

/// One carrier in the engine's eyes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CarrierFigures {
    /// Messages that were handed to it, by state.
    pub states: [u64; State::ALL.len()],
    /// Messages in its lanes, by class.
    pub lanes: [u64; Class::ALL.len()],
    /// What waits in them, by class.
    pub waits: [WaitFigures; Class::ALL.len()],
    /// Time in which messages waited and no permit was left, microseconds.
    pub throttled_us: u64,
    /// Segments a second that the configuration (or an operator) allows; `None`: no limit.
    pub rate_limit: Option<f64>,
    /// Segments a second that may leave now: the limit, or less after throttle answers; `None`: no limit.
    pub rate_allowed: Option<f64>,
    /// From a carrier's taking a message to its final receipt.
    pub receipt_times: TimeHistogram,
    /// What it said to parts, since the start.
    pub outcomes: OutcomeCounts,
    /// How it fares.
    pub health: HealthFigures,
}

/// Names of what holds lanes back.
pub const WAIT_CAUSES: [&str; 13] = [
    "no_bind",
    "rate_zero",
    "window_full",
    "carrier_rate",
    "throttled_by_carrier",
    "carrier_takes_nothing",
    "bind_rate",
    "limit",
    "paused",
    "clearing",
    "hours",
    "on_disk",
    "turn",
];

/// What waits in front of a carrier, of one class.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct WaitFigures {
    /// Age of the oldest message at the head of a lane that is neither paused nor out of its hours, milliseconds since its acceptance (or its time, if it has
    /// one), on disk or not; 0: none waits.
    pub oldest_ms: u64,
    /// Messages by what holds their lane back, in the order of [`WAIT_CAUSES`]; in lanes, where some may have ended since.
    pub causes: [u64; WAIT_CAUSES.len()],
    /// When all of it will have left, seconds: at the speed of late, or at the allowed rate where that is what it waits for. `None`: part of it can't leave,
    /// or nobody can say.
    pub drains_in_s: Option<f64>,
}

/// How a carrier delivers in one operator's region. Texts are the range table's; empty: not known; `other`: what is too little to stand alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QualityFigures {
    /// The carrier.
    pub carrier: CarrierId,
    /// ISO 3166 letters.
    pub country: String,
    /// Operator.
    pub operator: String,
    /// Region inside the country.
    pub region: String,
    /// Messages that the carrier took.
    pub sent: u64,
    /// Messages that ended with it, by state.
    pub ends: [u64; State::ALL.len()],
    /// Those that failed, by state and cause.
    pub failures: Vec<(State, String, u64)>,
    /// Messages that it took long enough ago for their receipts to be there.
    pub matured: u64,
    /// Of these, delivered by then.
    pub matured_delivered: u64,
}

/// What routing thinks of a carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum HealthState {
    /// It gets what its routes give it.
    #[default]
    Well = 0,
    /// Messages that have another carrier avoid it.
    Out = 1,
    /// A few messages are tried with it.
    Probing = 2,
    /// Its share grows again.
    Recovering = 3,
}

impl HealthState {
    /// All of them.
    pub const ALL: [HealthState; 4] = [HealthState::Well, HealthState::Out, HealthState::Probing, HealthState::Recovering];

    /// The name in metrics and explanations.
    pub fn name(self) -> &'static str {
        match self {
            HealthState::Well => "well",
            HealthState::Out => "out",
            HealthState::Probing => "probing",
            HealthState::Recovering => "recovering",
        }
    }
}

/// A carrier's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HealthFigures {
    /// Its state.
    pub state: HealthState,
    /// Since when, wall milliseconds; 0: since the start.
    pub since_ms: u64,
    /// Why it was taken out last: `none`, `answers`, `receipts`, `slow` or `probe`.
    pub cause: &'static str,
}

/// Names of the outcomes, in the order of [`OutcomeCounts::counts`].
pub const OUTCOMES: [&str; 6] = ["sent", "later", "throttled", "elsewhere", "never", "in_doubt"];

/// Parts by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutcomeCounts {
    /// Taken.
    pub sent: u64,
    /// Refused for now.
    pub later: u64,
    /// Refused, and the whole carrier slowed.
    pub throttled: u64,
    /// Refused here.
    pub elsewhere: u64,
    /// Refused for good.
    pub never: u64,
    /// Not answered in time.
    pub in_doubt: u64,
}

impl OutcomeCounts {
    /// In the order of [`OUTCOMES`].
    pub fn counts(&self) -> [u64; OUTCOMES.len()] {
        [self.sent, self.later, self.throttled, self.elsewhere, self.never, self.in_doubt]
    }
}

/// Receipts since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceiptFigures {
    /// Found their message.
    pub matched: u64,
    /// Waiting for the answer that names their id, now.
    pub parked: u64,
    /// Never found their message.
    pub orphaned: u64,
    /// Said again what was known, or came after the end.
    pub repeated: u64,
    /// Came from a carrier that the message had left for another.
    pub late: u64,
    /// Not taken for now: too many waited for what is on disk.
    pub put_off: u64,
}

/// Names of kinds of lists, of levels, of causes and of replies, in the order of the arrays of [`RulesFigures`].
pub const LIST_KINDS: [&str; 2] = ["block", "opt_out"];
/// See [`LIST_KINDS`].
pub const LIST_LEVELS: [&str; 3] = ["platform", "account", "sender"];
/// See [`LIST_KINDS`].
pub const STOPPED_CAUSES: [&str; 4] = ["blocked", "opted_out", "country", "phrase"];
/// See [`LIST_KINDS`].
pub const REPLIES: [&str; 2] = ["out", "back"];

/// What the rules have done and know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RulesFigures {
    /// Numbers in lists, by kind and level.
    pub listed: [[u64; LIST_LEVELS.len()]; LIST_KINDS.len()],
    /// Accepted messages that were stopped before they left, by cause.
    pub stopped: [u64; STOPPED_CAUSES.len()],
    /// Replies that opted out, and in again.
    pub replies: [u64; REPLIES.len()],
    /// Counters of velocity that are kept.
    pub velocity_counters: u64,
    /// Hits of the first phrases of each list, of those that were found; the others of a list are one.
    pub phrases: Vec<PhraseFigure>,
}

/// Hits of one phrase.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PhraseFigure {
    /// Whose list: `account NAME` or `carrier NAME`.
    pub of: String,
    /// At most 40 characters of the phrase, or `other`.
    pub phrase: String,
    /// Texts that had it.
    pub hits: u64,
}

/// What else the engine counts, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OtherFigures {
    /// Doubts settled by a late answer or by a receipt.
    pub doubts_settled: u64,
    /// Messages sent once again because their outcome was in doubt.
    pub doubts_resent: u64,
    /// Deliveries that upstream took.
    pub deliveries_taken: u64,
    /// Deliveries dropped: refused for good, too old, or past the outbox's bound.
    pub deliveries_dropped: u64,
    /// Inbound messages that belong to an account.
    pub inbound_owned: u64,
    /// Inbound messages that belong to none.
    pub inbound_unowned: u64,
    /// Messages that wait on disk, out of memory.
    pub on_disk: u64,
    /// Messages that went to another carrier after a negative receipt.
    pub rerouted: u64,
    /// Sent messages that wait for receipts on disk.
    pub sent_on_disk: u64,
}

/// The conservation sum: accepted = all terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conservation {
    /// Messages accepted since the data directory was made.
    pub accepted: u64,
    /// Messages in each state.
    pub states: [u64; State::ALL.len()],
}

impl Conservation {
    /// Accepted minus all terms; anything but 0 is a lost (above) or doubled (below) message.
    pub fn difference(&self) -> i64 {
        self.accepted as i64 - self.states.iter().sum::<u64>() as i64
    }
}

/// What the links have counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkSnapshot {
    /// By account.
    pub accounts: Vec<SessionFigures>,
    /// By carrier.
    pub carriers: Vec<WindowFigures>,
    /// Every configured bind.
    pub binds: Vec<BindFigures>,
    /// Binds refused since the start, in the order of [`BIND_REFUSALS`].
    pub bind_refusals: [u64; BIND_REFUSALS.len()],
}

/// Names of the causes for which binds are refused.
pub const BIND_REFUSALS: [&str; 6] = ["unknown_system_id", "wrong_password", "not_allowed", "limit", "delayed", "busy"];

/// Causes for which requests of upstreams are refused: those of [`Refusal`], and last what could not be read at all.
pub const REFUSAL_CAUSES: usize = Refusal::ALL.len() + 1;

/// The name of a cause, by its place in [`SessionFigures::refusals`].
pub fn refusal_cause(place: usize) -> &'static str {
    Refusal::ALL.get(place).map_or("malformed", |cause| cause.name())
}

/// One account in the links' eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionFigures {
    /// Bound sessions.
    pub sessions: u32,
    /// Requests that all of them may have in progress.
    pub window_size: u32,
    /// Requests in progress.
    pub window_used: u32,
    /// Requests refused since the start, by cause (see [`refusal_cause`]), whoever refused them: each is counted where its answer is written.
    pub refusals: [u64; REFUSAL_CAUSES],
}

/// One carrier in the links' eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WindowFigures {
    /// Binds that are up.
    pub binds_up: u32,
    /// Window slots of all of them.
    pub window_size: u32,
    /// Slots in use.
    pub window_used: u32,
}

/// Names of the states of a bind.
pub const BIND_STATES: [&str; 4] = ["up", "connecting", "waiting", "down"];

/// One configured bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindFigures {
    /// Whose.
    pub carrier: CarrierId,
    /// Which, from 0.
    pub bind: u16,
    /// One of [`BIND_STATES`].
    pub state: &'static str,
    /// Since when, wall milliseconds.
    pub since_ms: u64,
    /// Slots of its window.
    pub window_size: u32,
    /// Slots in use.
    pub window_used: u32,
    /// What it has counted.
    pub counts: BindCounts,
}

/// What a bind counts, over all its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BindCounts {
    /// Parts written to the socket.
    pub sent: u64,
    /// Receipts and inbound messages that came.
    pub received: u64,
    /// Answers to parts, by what they said; `in_doubt`: none in time.
    pub answers: OutcomeCounts,
    /// From writing a part to its answer.
    pub response_times: TimeHistogram,
}

/// What the journal's thread knows of its space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JournalSnapshot {
    /// Size on disk.
    pub bytes: u64,
    /// Groups kept.
    pub groups: u64,
    /// Free space where it lies.
    pub disk_free_bytes: u64,
    /// Space under which nothing new is taken.
    pub disk_reserve_bytes: u64,
}
