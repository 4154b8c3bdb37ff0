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
pub(super) const BINDS_REFUSED: Metric = metric(
    "hongyan_binds_refused_total",
    Counter,
    &["cause"],
    "Binds of upstreams, and passwords at the HTTP doors, that were refused, by cause",
);
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
pub(super) const BALANCE: Metric =
    metric("hongyan_balance_credits", Gauge, &["account", "term"], "Credits: topped_up is the sum of available, reserved and spent");

pub(super) const SUBMITTED: Metric = metric(
    "hongyan_submitted_total",
    Counter,
    &["account"],
    "Messages handed in since the start that could be read, by SMPP or HTTP, whatever the answer",
);
pub(super) const SEGMENTS: Metric = metric(
    "hongyan_segments_total",
    Counter,
    &["account"],
    "Segments of accepted messages since the start: what the account's rate limits",
);
pub(super) const ACCOUNT_RATE_LIMIT: Metric =
    metric("hongyan_account_rate_limit", Gauge, &["account"], "Segments a second that an account may hand in; absent: no limit; 0: paused");
pub(super) const ACCOUNT_WAITING_LIMIT: Metric =
    metric("hongyan_account_waiting_limit", Gauge, &["account"], "Messages of an account that may wait at once");
pub(super) const SESSION_WINDOW_SIZE: Metric =
    metric("hongyan_session_window_size", Gauge, &["account"], "Requests that all sessions of an account may have in progress");
pub(super) const SESSION_WINDOW_USED: Metric =
    metric("hongyan_session_window_used", Gauge, &["account"], "Requests of an account's sessions in progress");
pub(super) const QUEUE: Metric = metric(
    "hongyan_queue_seconds",
    Histogram,
    &["class"],
    "From a message's acceptance (or its time, if it has one) to its leaving for a carrier at its first try",
);
pub(super) const DELIVERY: Metric = metric(
    "hongyan_delivery_seconds",
    Histogram,
    &[],
    "From the making of a receipt (or an inbound message's coming) to upstream's taking it",
);

pub(super) const BIND_STATE: Metric = metric(
    "hongyan_bind_state",
    Gauge,
    &["carrier", "bind", "state"],
    "1 for the state a bind is in: up, connecting, waiting (before the next try), down (an operator wants it so)",
);
pub(super) const BIND_SINCE: Metric =
    metric("hongyan_bind_since_seconds", Gauge, &["carrier", "bind"], "Unix time of a bind's last change of state");
pub(super) const BIND_WINDOW_SIZE: Metric =
    metric("hongyan_bind_window_size", Gauge, &["carrier", "bind"], "Window slots of a bind; 0 while it isn't up");
pub(super) const BIND_WINDOW_USED: Metric =
    metric("hongyan_bind_window_used", Gauge, &["carrier", "bind"], "Window slots of a bind in use: parts sent and not answered");
pub(super) const BIND_SENT: Metric = metric("hongyan_bind_sent_total", Counter, &["carrier", "bind"], "Parts written to a bind's socket");
pub(super) const BIND_RECEIVED: Metric =
    metric("hongyan_bind_received_total", Counter, &["carrier", "bind"], "Receipts and inbound messages that came by a bind");
pub(super) const BIND_ANSWERS: Metric = metric(
    "hongyan_bind_answers_total",
    Counter,
    &["carrier", "bind", "answer"],
    "Answers to parts, by class of their status: sent, later, throttled, elsewhere, never; in_doubt: none in time",
);
pub(super) const BIND_RESPONSE: Metric =
    metric("hongyan_bind_response_seconds", Histogram, &["carrier", "bind"], "From writing a part to its answer");
pub(super) const RECEIPT_TIME: Metric =
    metric("hongyan_receipt_seconds", Histogram, &["carrier"], "From a carrier's taking a message to its final receipt");
pub(super) const CARRIER_RATE_LIMIT: Metric =
    metric("hongyan_carrier_rate_limit", Gauge, &["carrier"], "Segments a second that a carrier is configured for; absent: no limit");
pub(super) const CARRIER_RATE_ALLOWED: Metric = metric(
    "hongyan_carrier_rate_allowed",
    Gauge,
    &["carrier"],
    "Segments a second that may leave for a carrier now: its limit, or less after throttle answers; absent: no limit",
);
pub(super) const LANE_OLDEST: Metric = metric(
    "hongyan_lane_oldest_seconds",
    Gauge,
    &["carrier", "class"],
    "Age of the oldest message at the head of a lane, on disk or not, that is neither paused nor out of its hours; 0: none waits",
);
pub(super) const WAITING: Metric = metric(
    "hongyan_waiting",
    Gauge,
    &["carrier", "class", "cause"],
    "Messages in lanes (some may have ended since) by what holds their lane back: no_bind, rate_zero, window_full, carrier_rate, throttled_by_carrier, \
     carrier_takes_nothing, bind_rate, limit, paused, clearing, hours, on_disk, or nothing but its turn",
);
pub(super) const CHANGES_IN_FORCE: Metric =
    metric("hongyan_changes_in_force", Gauge, &["action"], "Operators' changes in force: pauses, drains and the like");
pub(super) const LANE_DRAIN: Metric = metric(
    "hongyan_lane_drain_seconds",
    Gauge,
    &["carrier", "class"],
    "When all that waits will have left, at the speed of late, or at the allowed rate where that is what it waits for; absent while part of it can't leave",
);
pub(super) const QUALITY_SENT: Metric = metric(
    "hongyan_quality_sent_total",
    Counter,
    &["carrier", "country", "operator", "region"],
    "Messages that a carrier took, by where their numbers are; ranges with little traffic together as 'other'",
);
pub(super) const QUALITY_ENDED: Metric = metric(
    "hongyan_quality_ended_total",
    Counter,
    &["carrier", "country", "operator", "region", "state"],
    "Messages that ended with a carrier, by final state (one in doubt that is settled later counts again) and by where their numbers are",
);
pub(super) const QUALITY_FAILED: Metric = metric(
    "hongyan_quality_failed_total",
    Counter,
    &["carrier", "country", "operator", "region", "state", "cause"],
    "Messages that ended with a carrier undelivered, by final state and cause: err_ and a receipt's error, status_ and a refusal's; none: none is told",
);
pub(super) const QUALITY_MATURED: Metric = metric(
    "hongyan_quality_matured_total",
    Counter,
    &["carrier", "country", "operator", "region"],
    "Messages that a carrier took metrics.matured_after_s ago or earlier, and that await a receipt or had one by then",
);
pub(super) const QUALITY_MATURED_DELIVERED: Metric = metric(
    "hongyan_quality_matured_delivered_total",
    Counter,
    &["carrier", "country", "operator", "region"],
    "Of the matured messages, those that were delivered by then: divided by them it is a delivery rate that receipts on their way don't lower",
);

pub(super) const CARRIER_MESSAGES: Metric =
    metric("hongyan_carrier_messages", Gauge, &["carrier", "state"], "Messages that have ended with a carrier, by how");
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
pub(super) const THROTTLED: Metric =
    metric("hongyan_carrier_throttled_seconds_total", Counter, &["carrier"], "Time in which messages waited and no permit was left");
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
pub(super) const DISK_RESERVE: Metric = metric("hongyan_disk_reserve_bytes", Gauge, &[], "Free space under which no new message is taken");

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
    "Deliveries owed to endpoints: under way, or waiting for their turn, their next try or the end of a rest",
);
pub(super) const HOOK_REQUESTS: Metric = metric("hongyan_hook_requests", Gauge, &[], "Requests to endpoints that are under way");
pub(super) const DEAD_LETTERS: Metric = metric("hongyan_dead_letters", Gauge, &[], "Dead letters that are kept");
pub(super) const DEAD_LETTERS_DROPPED: Metric =
    metric("hongyan_dead_letters_dropped_total", Counter, &[], "Dead letters that went because their account had too many");

// Under the names that Prometheus' own clients use.
pub(super) const PROCESS_CPU: Metric = metric("process_cpu_seconds_total", Counter, &[], "CPU time of the process, user and system");
pub(super) const PROCESS_RESIDENT: Metric = metric("process_resident_memory_bytes", Gauge, &[], "Resident memory of the process");
pub(super) const PROCESS_THREADS: Metric = metric("process_threads", Gauge, &[], "Threads of the process");
pub(super) const PROCESS_OPEN_FDS: Metric = metric("process_open_fds", Gauge, &[], "File handles that the process has open");
pub(super) const PROCESS_MAX_FDS: Metric = metric("process_max_fds", Gauge, &[], "File handles that it may have open; absent: no limit");
pub(super) const PROCESS_START: Metric = metric("process_start_time_seconds", Gauge, &[], "Unix time of the start of the process");
pub(super) const TASKS: Metric =
    metric("hongyan_tasks", Gauge, &[], "Tasks of the runtime that are alive: one for each connection, and a few more");

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
    SUBMITTED,
    SEGMENTS,
    ACCOUNT_RATE_LIMIT,
    ACCOUNT_WAITING_LIMIT,
    SESSION_WINDOW_SIZE,
    SESSION_WINDOW_USED,
    QUEUE,
    DELIVERY,
    BIND_STATE,
    BIND_SINCE,
    BIND_WINDOW_SIZE,
    BIND_WINDOW_USED,
    BIND_SENT,
    BIND_RECEIVED,
    BIND_ANSWERS,
    BIND_RESPONSE,
    RECEIPT_TIME,
    CARRIER_RATE_LIMIT,
    CARRIER_RATE_ALLOWED,
    LANE_OLDEST,
    LANE_DRAIN,
    WAITING,
    CHANGES_IN_FORCE,
    QUALITY_SENT,
    QUALITY_ENDED,
    QUALITY_FAILED,
    QUALITY_MATURED,
    QUALITY_MATURED_DELIVERED,
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
    DISK_RESERVE,
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
    PROCESS_THREADS,
    PROCESS_OPEN_FDS,
    PROCESS_MAX_FDS,
    PROCESS_START,
    TASKS,
];
