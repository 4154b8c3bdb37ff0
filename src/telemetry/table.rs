//! The table of metrics: name (unit last), kind, labels, meaning. Whatever is exported stands here.

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process runs.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Samples in buckets.
    Histogram,
}

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name, with its unit at the end (before `_total`) unless it counts things.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// One line of meaning.
    pub help: &'static str,
}

const fn metric(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind, labels, help }
}

use Kind::{Counter, Gauge, Histogram};

pub(super) const BUILD: Metric = metric("hongyan_build", Gauge, &["version"], "Always 1; the label tells the version");

pub(super) const ACCEPTED: Metric = metric(
    "hongyan_accepted_total",
    Counter,
    &["account"],
    "Messages accepted (made durable and answered yes) since the start; as all figures here, up to a second old",
);
pub(super) const MESSAGES: Metric = metric("hongyan_messages", Gauge, &["account", "state"], "Accepted messages by the state they are in");
pub(super) const REFUSALS: Metric =
    metric("hongyan_refusals_total", Counter, &["account", "cause"], "Requests of a bound upstream answered with a refusal, by cause");
pub(super) const BINDS_REFUSED: Metric =
    metric("hongyan_binds_refused_total", Counter, &["cause"], "Binds of upstreams that were refused, by cause");
pub(super) const SESSIONS: Metric = metric("hongyan_sessions", Gauge, &["account"], "Bound upstream sessions");
pub(super) const OUTBOX: Metric =
    metric("hongyan_outbox", Gauge, &["account"], "Receipts and inbound messages that wait for a receiver of the account");
pub(super) const OUTBOX_DROPPED: Metric =
    metric("hongyan_outbox_dropped_total", Counter, &["account"], "Receipts and inbound messages dropped by age, count or refusal");
pub(super) const REPEATED: Metric = metric(
    "hongyan_repeated_total",
    Counter,
    &["account", "end"],
    "Messages handed in twice: a known identity, or a duplicate text that was dropped, refused, or flagged and sent",
);
pub(super) const REMEMBERED: Metric =
    metric("hongyan_remembered", Gauge, &["account"], "Texts and identities that are remembered so that they aren't sent twice");
pub(super) const FORGOTTEN: Metric = metric(
    "hongyan_forgotten_total",
    Counter,
    &["account"],
    "Texts and identities forgotten before their time: the account's bound was reached",
);
pub(super) const BALANCE: Metric = metric(
    "hongyan_balance_thousandths",
    Gauge,
    &["account", "term"],
    "Thousandths of a credit: topped_up is the sum of available, reserved and spent",
);

pub(super) const CARRIER_MESSAGES: Metric =
    metric("hongyan_carrier_messages", Gauge, &["carrier", "state"], "Messages handed to a carrier, by the state they are in");
pub(super) const CARRIER_OUTCOMES: Metric =
    metric("hongyan_carrier_outcomes_total", Counter, &["carrier", "outcome"], "Parts answered by a carrier, by what it said");
pub(super) const CARRIER_HEALTH: Metric = metric(
    "hongyan_carrier_health",
    Gauge,
    &["carrier", "state"],
    "1 for the state a carrier is in: well, out (avoided where there is another), probing (a few messages try it), recovering (its share grows)",
);
pub(super) const CARRIER_HEALTH_SINCE: Metric = metric(
    "hongyan_carrier_health_since_seconds",
    Gauge,
    &["carrier"],
    "Unix time of a carrier's last change of health; 0: none since the start",
);
pub(super) const REROUTED: Metric =
    metric("hongyan_rerouted_total", Counter, &[], "Messages that went to another carrier after a negative receipt");
pub(super) const LANE: Metric =
    metric("hongyan_lane", Gauge, &["carrier", "class"], "Messages that wait in the lanes in front of a carrier");
pub(super) const THROTTLED: Metric = metric(
    "hongyan_carrier_throttled_ms_total",
    Counter,
    &["carrier"],
    "Time in which messages waited and no permit was left, in milliseconds",
);
pub(super) const BINDS_UP: Metric = metric("hongyan_binds_up", Gauge, &["carrier"], "Binds that are up");
pub(super) const WINDOW_SIZE: Metric = metric("hongyan_window_size", Gauge, &["carrier"], "Window slots of all binds that are up");
pub(super) const WINDOW_USED: Metric =
    metric("hongyan_window_used", Gauge, &["carrier"], "Window slots in use: parts sent and not answered");

pub(super) const RECEIPTS: Metric = metric(
    "hongyan_receipts_total",
    Counter,
    &["result"],
    "Receipts from carriers, by what was made of them: matched, orphaned, repeated, late (of a carrier that the message had left), put_off (not taken for now: \
     too many waited for what is on disk)",
);
pub(super) const DOUBTS: Metric =
    metric("hongyan_doubts_total", Counter, &["end"], "Doubts by their end: settled by a late answer or a receipt, or the message resent");
pub(super) const DELIVERIES: Metric =
    metric("hongyan_deliveries_total", Counter, &["end"], "Receipts and inbound messages for upstream, by their end: taken or dropped");
pub(super) const INBOUND: Metric =
    metric("hongyan_inbound_total", Counter, &["owner"], "Messages from phones: owned by an account, or by none");
pub(super) const LISTED: Metric =
    metric("hongyan_listed_numbers", Gauge, &["list", "level"], "Numbers in block and opt-out lists, by level: platform, account, sender");
pub(super) const STOPPED: Metric =
    metric("hongyan_stopped_total", Counter, &["cause"], "Accepted messages that a rule stopped before they left, by cause");
pub(super) const OPT_REPLIES: Metric =
    metric("hongyan_opt_replies_total", Counter, &["way"], "Messages from phones that opted out, or back in");
pub(super) const VELOCITY_COUNTERS: Metric =
    metric("hongyan_velocity_counters", Gauge, &[], "Ranges whose messages are counted for velocity limits");
pub(super) const PHRASE_HITS: Metric = metric(
    "hongyan_phrase_hits_total",
    Counter,
    &["of", "phrase"],
    "Texts with a denied phrase, for the first 50 phrases of each list; others together",
);
/// Deferred messages and the ends of long lanes.
pub(super) const ON_DISK: Metric =
    metric("hongyan_messages_on_disk", Gauge, &[], "Waiting messages that are out of memory: due later, or at the end of a long lane");
pub(super) const SENT_ON_DISK: Metric =
    metric("hongyan_sent_on_disk", Gauge, &[], "Sent messages that wait for their receipts out of memory");
pub(super) const RECEIPTS_PARKED: Metric =
    metric("hongyan_receipts_parked", Gauge, &[], "Receipts that wait for the answer that names their id");

pub(super) const CONSERVATION_ACCEPTED: Metric =
    metric("hongyan_conservation_accepted", Gauge, &[], "Messages accepted since the data directory was made: the left side of the sum");
pub(super) const CONSERVATION_TERM: Metric = metric(
    "hongyan_conservation_term",
    Gauge,
    &["state"],
    "Messages in each state, at the same journal position: the right side of the sum",
);
pub(super) const CONSERVATION_DIFFERENCE: Metric =
    metric("hongyan_conservation_difference", Gauge, &[], "Left side minus right side; anything but 0 is a lost or doubled message");

pub(super) const JOURNAL_COMMITS: Metric = metric("hongyan_journal_commits_total", Counter, &[], "Groups made durable");
pub(super) const JOURNAL_WRITTEN: Metric = metric("hongyan_journal_written_bytes_total", Counter, &[], "Octets of groups made durable");
pub(super) const JOURNAL_GROUP_BATCHES: Metric = metric("hongyan_journal_group_batches", Histogram, &[], "Batches in a group");
pub(super) const JOURNAL_COMMIT: Metric =
    metric("hongyan_journal_commit_seconds", Histogram, &[], "From handing a batch to the journal to its being durable");
pub(super) const JOURNAL_SYNC: Metric = metric("hongyan_journal_sync_seconds", Histogram, &[], "Append and sync of a group");
pub(super) const JOURNAL_BYTES: Metric = metric("hongyan_journal_bytes", Gauge, &[], "Size of the journal on disk");
pub(super) const JOURNAL_GROUPS: Metric = metric("hongyan_journal_groups", Gauge, &[], "Groups kept in the journal");
pub(super) const DISK_FREE: Metric = metric("hongyan_disk_free_bytes", Gauge, &[], "Free space where the data directory lies");

pub(super) const RECORDS_WRITTEN: Metric =
    metric("hongyan_records_written_total", Counter, &[], "Finished messages written into record files since the start");
pub(super) const RECORDS_BEHIND: Metric =
    metric("hongyan_records_behind_groups", Gauge, &[], "Groups of the journal that the records have not read yet");
pub(super) const RECORDS_UNWRITTEN: Metric =
    metric("hongyan_records_unwritten", Gauge, &[], "Finished messages that are in no record file yet (they are found in memory)");
pub(super) const RECORDS_OPEN: Metric = metric(
    "hongyan_records_open",
    Gauge,
    &["where"],
    "Messages whose trail is followed: in memory (finished ones that are not written yet too), and on disk",
);
pub(super) const RECORDS_LOST: Metric = metric(
    "hongyan_records_places_lost_total",
    Counter,
    &[],
    "Times that groups of the journal were gone before they were in the records, ever",
);
pub(super) const RECORDS_FAILURES: Metric = metric(
    "hongyan_records_failures_total",
    Counter,
    &[],
    "Failures to read the journal for the records, or to write them; each is tried again",
);

pub(super) const HOOK_DELIVERIES: Metric = metric(
    "hongyan_hook_deliveries_total",
    Counter,
    &["end"],
    "Deliveries to addresses: taken, failed (for now), retried (put off for another try), dead (given up and kept as a dead letter)",
);
pub(super) const HOOK_WAITING: Metric = metric(
    "hongyan_hook_waiting",
    Gauge,
    &[],
    "Deliveries that wait for their turn at an endpoint; those that wait longer are in the outbox",
);
pub(super) const HOOK_REQUESTS: Metric = metric("hongyan_hook_requests", Gauge, &[], "Requests to endpoints that are under way");
pub(super) const DEAD_LETTERS: Metric = metric("hongyan_dead_letters", Gauge, &[], "Dead letters that are kept");
pub(super) const DEAD_LETTERS_DROPPED: Metric =
    metric("hongyan_dead_letters_dropped_total", Counter, &[], "Dead letters that went because their account had too many");

pub(super) const PROCESS_CPU: Metric =
    metric("hongyan_process_cpu_us_total", Counter, &[], "CPU time of the process, user and system, in microseconds");
pub(super) const PROCESS_RESIDENT: Metric = metric("hongyan_process_resident_bytes", Gauge, &[], "Resident memory of the process");

/// All metrics.
pub const METRICS: &[Metric] = &[
    BUILD,
    ACCEPTED,
    MESSAGES,
    REFUSALS,
    BINDS_REFUSED,
    SESSIONS,
    OUTBOX,
    OUTBOX_DROPPED,
    REPEATED,
    REMEMBERED,
    FORGOTTEN,
    BALANCE,
    CARRIER_MESSAGES,
    CARRIER_OUTCOMES,
    CARRIER_HEALTH,
    CARRIER_HEALTH_SINCE,
    REROUTED,
    LANE,
    THROTTLED,
    BINDS_UP,
    WINDOW_SIZE,
    WINDOW_USED,
    RECEIPTS,
    RECEIPTS_PARKED,
    ON_DISK,
    SENT_ON_DISK,
    DOUBTS,
    DELIVERIES,
    INBOUND,
    LISTED,
    STOPPED,
    OPT_REPLIES,
    VELOCITY_COUNTERS,
    PHRASE_HITS,
    CONSERVATION_ACCEPTED,
    CONSERVATION_TERM,
    CONSERVATION_DIFFERENCE,
    JOURNAL_COMMITS,
    JOURNAL_WRITTEN,
    JOURNAL_GROUP_BATCHES,
    JOURNAL_COMMIT,
    JOURNAL_SYNC,
    JOURNAL_BYTES,
    JOURNAL_GROUPS,
    DISK_FREE,
    RECORDS_WRITTEN,
    RECORDS_BEHIND,
    RECORDS_UNWRITTEN,
    RECORDS_OPEN,
    RECORDS_LOST,
    RECORDS_FAILURES,
    HOOK_DELIVERIES,
    HOOK_WAITING,
    HOOK_REQUESTS,
    DEAD_LETTERS,
    DEAD_LETTERS_DROPPED,
    PROCESS_CPU,
    PROCESS_RESIDENT,
];
