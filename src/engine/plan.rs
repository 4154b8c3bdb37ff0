//! The plan: the immutable snapshot of accounts, carriers, routes and policies that the hot path reads. `app` builds
//! it from the configuration and swaps it whole.

use super::routes::{Routes, Whereabouts};
use crate::config::{Hours, Zone};
use crate::model::{AccountId, CarrierId, Class, DuplicateAction};
use crate::number::prefix::PrefixTable;
use crate::number::{HomeRegion, RangeTable};
use crate::text::segment::SegmentRule;
use std::sync::Arc;

/// Everything the engine decides by.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Our node number (0-9), part of every message id.
    pub node: u8,
    /// Country of numbers written without a country code.
    pub home: HomeRegion,
    /// Time zone of recipients whose range tells none.
    pub home_zone: Zone,
    /// What is known of numbers; behind its own pointer, so that a new plan shares it.
    pub ranges: Arc<RangeTable>,
    /// Accounts by [`AccountId`].
    pub accounts: Vec<AccountPlan>,
    /// Carriers by [`CarrierId`].
    pub carriers: Vec<CarrierPlan>,
    /// Which messages go to which carriers.
    pub routes: Arc<Routes>,
    /// Policies by class, in order of [`Class::ALL`].
    pub classes: [ClassPlan; 3],
    /// Limits beyond those of carriers.
    pub limits: Vec<LimitPlan>,
    /// Bounds of memory and disk.
    pub bounds: Bounds,
    /// Who may be written to, and whose inbound messages are.
    pub rules: super::rules::plan::RulesPlan,
}

/// A limit on the messages that fit all of its conditions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LimitPlan {
    /// Its name; unique.
    pub name: String,
    /// Only in front of this carrier.
    pub carrier: Option<CarrierId>,
    /// Only of this class.
    pub class: Option<Class>,
    /// Only of this account.
    pub account: Option<AccountId>,
    /// Only of the campaign of this name.
    pub campaign: Option<String>,
    /// Only from this sender; with `true`: from every sender that starts so.
    pub sender: Option<(Vec<u8>, bool)>,
    /// Only to numbers that start with these digits.
    pub prefix: Option<String>,
    /// Only to numbers whose range has these attributes, as the range table writes them.
    pub country: Option<String>,
    /// See `country`.
    pub operator: Option<String>,
    /// See `country`.
    pub region: Option<String>,
    /// Segments per second; 0 holds them back.
    pub rate_per_s: u32,
    /// Burst in segments; 0: the larger of 100 ms of the rate and one segment.
    pub burst: u32,
}

/// What the engine knows of an account.
#[derive(Debug, Clone)]
pub struct AccountPlan {
    /// Name; what the journal and the metrics call it.
    pub name: String,
    /// Segments per second it may submit; `None` for no limit, 0 for paused.
    pub rate_per_s: Option<u32>,
    /// Its share against other accounts of the same class: 1 to 1000.
    pub weight: u32,
    /// Messages of it that may wait at once.
    pub max_waiting: u64,
    /// Deliveries that may wait in its outbox.
    pub max_outbox: usize,
    /// How long a delivery waits for it, milliseconds.
    pub outbox_age_ms: u64,
    /// Its inbound messages go to its hook, not to its receivers.
    pub inbound_by_hook: bool,
    /// Wants a correcting second final when a carrier's final replaces our own verdict.
    pub correcting_receipt: bool,
    /// Service numbers (destination of inbound messages) that belong to it; empty: none.
    pub service_numbers: Vec<Vec<u8>>,
    /// What is remembered of its messages, so that the same one isn't sent twice.
    pub dedupe: DedupePlan,
    /// What its messages cost; `None`: nothing is counted.
    pub balance: Option<BalancePlan>,
}

/// How an account's messages are held against those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DedupePlan {
    /// The same text to the same number within this time is a duplicate, milliseconds; 0: never.
    pub window_ms: u64,
    /// What becomes of a duplicate.
    pub action: DuplicateAction,
    /// Texts that are remembered; the oldest go first.
    pub max_entries: usize,
    /// An identity is remembered for so long, milliseconds.
    pub identity_ms: u64,
    /// Identities that are remembered; the oldest go first.
    pub max_identities: usize,
}

impl Default for DedupePlan {
    fn default() -> Self {
        let identity_ms = 72 * 3_600_000;
        DedupePlan { window_ms: 0, action: DuplicateAction::Drop, max_entries: 1_000_000, identity_ms, max_identities: 10_000_000 }
    }
}

/// What an account pays.
#[derive(Debug, Clone)]
pub struct BalancePlan {
    /// How far below 0 its balance may go, thousandths of a credit.
    pub limit: i64,
    /// Price of a segment in thousandths of a credit, by prefix of the number. A number without a price is not sent to.
    pub prices: PrefixTable<u32>,
    /// Prices that go before those, by [`RangeId`](crate::number::RangeId) of the plan's ranges; empty: none.
    pub by_range: Vec<Option<u32>>,
}

impl BalancePlan {
    /// Thousandths of a credit for a segment to `number`.
    pub fn price(&self, number: u64, ranges: &RangeTable) -> Option<u32> {
        let of_range = if self.by_range.is_empty() { None } else { ranges.find(number) };
        let of_range = of_range.and_then(|range| self.by_range.get(range.0 as usize).copied().flatten());
        of_range.or_else(|| self.prices.get(number).copied())
    }
}

/// What the engine knows of a carrier.
#[derive(Debug, Clone)]
pub struct CarrierPlan {
    /// Name; what the journal and the metrics call it.
    pub name: String,
    /// Segments per second it allows; `None` for no limit, 0 for paused.
    pub rate_per_s: Option<u32>,
    /// Burst in segments; 0: the larger of 100 ms of the rate and one segment.
    pub burst: u32,
    /// Segments per second that each of its binds allows; `None` for no limit.
    pub bind_rate_per_s: Option<u32>,
    /// Rate below which its throttle answers never bring it, segments per second.
    pub floor_per_s: u32,
    /// Answers that take longer than this on average lower its rate, milliseconds; 0: never.
    pub slow_answer_ms: u64,
    /// Share of a window that marketing leaves free, percent.
    pub marketing_reserve_percent: u8,
    /// How long messages are cut for it.
    pub segments: SegmentRule,
    /// A receipt comes once per message, not once per part.
    pub one_receipt: bool,
    /// Receipts are asked for, whatever the sender wished (so that the engine knows the truth); false: only if the sender asked.
    pub always_ask_receipt: bool,
    /// Receipts are never asked for (registered_delivery overridden to 0).
    pub never_ask_receipt: bool,
    /// A receipt older than this is no longer expected, milliseconds.
    pub no_receipt_after_ms: u64,
    /// How the receipt's id is written against the submit's; `None`: found out.
    pub id_form: Option<crate::text::id_form::IdForm>,
    /// The account that owns inbound messages which nobody else claims.
    pub inbound_account: Option<AccountId>,
}

/// What the engine knows of a class.
#[derive(Debug, Clone)]
pub struct ClassPlan {
    /// What it gets of a carrier whenever it has something to send, whatever is more urgent, percent.
    pub share_percent: u8,
    /// Hours in which its messages may leave, in the recipient's time; empty: always.
    pub hours: Vec<Hours>,
    /// Time over which what has gathered leaves at an opening, milliseconds.
    pub spread_ms: u64,
    /// Other delays than `retry_ms` for refusals with these statuses, milliseconds.
    pub retry_by_status: Vec<(u32, Vec<u64>)>,
    /// Validity where the sender gave none, milliseconds.
    pub validity_ms: u64,
    /// Delays between tries at one carrier, milliseconds; the last one repeats.
    pub retry_ms: Vec<u64>,
    /// Tries at one carrier before the next one, or the end.
    pub max_attempts: u8,
    /// How long a doubt may be settled by a late answer or a receipt before the class's policy decides, milliseconds.
    pub doubt_wait_ms: u64,
    /// In doubt: sent once again (true) or never twice (false).
    pub resend_in_doubt: bool,
}

/// Bounds with names.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Messages that may be alive, in memory or not.
    pub max_messages: usize,
    /// Messages alive in memory at which the ends of long lanes leave it.
    pub max_in_memory: usize,
    /// Messages due later than this leave memory, milliseconds; they come back in half that time before they are due.
    pub cold_after_ms: u64,
    /// Sent messages leave memory after waiting so long for their receipts, milliseconds; when memory is crowded after a tenth of it.
    pub sent_cold_after_ms: u64,
    /// Notes of where messages out of memory are that are kept in memory before they become a run: see [`super::runs`].
    pub notes_per_run: usize,
    /// Octets of bodies that may be alive in memory.
    pub max_body_octets: usize,
    /// Journal octets at which what is old is carried into the ledger.
    pub journal_octets: u64,
    /// Receipts that may be parked.
    pub max_parked: usize,
    /// How long an unmatched receipt is kept, milliseconds.
    pub parked_age_ms: u64,
    /// Parts of inbound messages that may wait for their siblings.
    pub max_inbound_parts: usize,
    /// How long they wait, milliseconds.
    pub inbound_age_ms: u64,
    /// A carrier without any bind for this long hands its messages to the next carrier of their routes, milliseconds.
    pub failover_after_ms: u64,
    /// Whether a sent message was delivered is judged after so long, milliseconds.
    pub matured_after_ms: u64,
    /// Combinations of carrier, operator and region whose quality is told apart.
    pub max_quality_rows: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            max_messages: 4_000_000,
            max_in_memory: 1_000_000,
            cold_after_ms: 600_000,
            sent_cold_after_ms: 600_000,
            notes_per_run: 1 << 18,
            max_body_octets: 1 << 30,
            journal_octets: 256 << 20,
            max_parked: 200_000,
            parked_age_ms: 3_600_000,
            max_inbound_parts: 100_000,
            inbound_age_ms: 300_000,
            failover_after_ms: 5_000,
            matured_after_ms: 600_000,
            max_quality_rows: 200,
        }
    }
}

impl Plan {
    /// The account's plan. Ids come from this plan, so the index holds.
    pub fn account(&self, id: AccountId) -> &AccountPlan {
        &self.accounts[id.0 as usize]
    }

    /// The carrier's plan. Ids come from this plan, so the index holds.
    pub fn carrier(&self, id: CarrierId) -> &CarrierPlan {
        &self.carriers[id.0 as usize]
    }

    /// The class's policies.
    pub fn class(&self, class: Class) -> &ClassPlan {
        &self.classes[class as usize]
    }

    /// What is known of a number, for the conditions of routes.
    pub fn whereabouts(&self, number: u64) -> Option<Whereabouts<'_>> {
        Whereabouts::of(&self.ranges, number)
    }
}
