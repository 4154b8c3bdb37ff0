//! Settings of the process itself: gateway, listener, metrics endpoint, and the policy of each class.

use super::Hours;
use super::Zone;
use super::check::Checks;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `[gateway]`: the process, its data and its bounds.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gateway {
    /// Digit of this gateway in message ids. Default 0; 0 to 9.
    pub node: u8,
    /// Where journal and ledger live; made if missing; relative to the configuration file. Default `data`.
    pub data_dir: PathBuf,
    /// Threads for sockets; 0 means half the cores, at least one. Default 0; 0 to 256.
    pub io_threads: u16,
    /// Country of numbers written without a country code, as its ISO 3166 letters. Default `CN`; two capital letters.
    pub home_region: String,
    /// Time zone of recipients whose range tells none. Default `Asia/Shanghai`.
    pub home_zone: Zone,
    /// How long a stop may take to drain windows and unbind. Default 10,000; 0 to 600,000.
    pub shutdown_deadline_ms: u64,
    /// Messages that may wait in memory and overflow together. Default 10,000,000; 1 to 1,000,000,000.
    pub max_waiting: u64,
    /// Octets of texts in memory beyond which new messages are refused with 0x14. Default 1 GiB; 1 MiB to 1 TiB.
    pub max_waiting_bytes: u64,
    /// Size of the journal beyond which stragglers are carried into the ledger. Default 256 MiB; 16 MiB to 64 GiB.
    pub journal_max_bytes: u64,
    /// Messages in memory beyond which the ends of lanes, and what waits for receipts, wait on disk; at an eighth more nothing new is taken until there is
    /// room again. Default 1,000,000; 1,000 to 100,000,000.
    pub max_in_memory: u64,
    /// Messages due later than this wait on disk until shortly before. Default 600 (ten minutes); 10 to 86,400.
    pub defer_on_disk_s: u32,
    /// Messages that have waited so long for a receipt wait on disk; a tenth of it when memory is full. Default 600 (ten minutes); 10 to 86,400.
    pub sent_on_disk_s: u32,
    /// Receipts that may be parked until the answer that names their id comes. Default 200,000; 100 to 10,000,000.
    pub max_parked_receipts: u32,
    /// How long a parked receipt is kept before it counts as orphaned. Default 3,600; 60 to 604,800.
    pub parked_age_s: u32,
    /// Parts of inbound messages that may wait for their siblings. Default 100,000; 100 to 10,000,000.
    pub max_inbound_parts: u32,
    /// How long they wait before what is there goes on. Default 300; 10 to 86,400.
    pub inbound_age_s: u32,
    /// A carrier without any bind for so long hands its messages to the next carrier of their routes. Default 5,000; 0 to 3,600,000.
    pub failover_after_ms: u64,
    /// Free space kept for outcomes: below it new messages are refused with 0x14. Default 256 MiB; 1 MiB to 1 TiB.
    pub disk_reserve_bytes: u64,
    /// A commit that takes longer makes the gateway refuse new messages with 0x58. Default 2,000; 10 to 60,000.
    pub disk_slow_ms: u64,
    /// Logs on standard error.
    pub log: Log,
}

impl Default for Gateway {
    fn default() -> Gateway {
        Gateway {
            node: 0,
            data_dir: PathBuf::from("data"),
            io_threads: 0,
            home_region: "CN".to_owned(),
            home_zone: "Asia/Shanghai".parse().unwrap_or_default(),
            shutdown_deadline_ms: 10_000,
            max_waiting: 10_000_000,
            max_waiting_bytes: 1 << 30,
            journal_max_bytes: 256 << 20,
            max_in_memory: 1_000_000,
            defer_on_disk_s: 600,
            sent_on_disk_s: 600,
            max_parked_receipts: 200_000,
            parked_age_s: 3_600,
            max_inbound_parts: 100_000,
            inbound_age_s: 300,
            failover_after_ms: 5_000,
            disk_reserve_bytes: 256 << 20,
            disk_slow_ms: 2_000,
            log: Log::default(),
        }
    }
}

impl Gateway {
    /// Threads for sockets on a machine of `cores` cores.
    pub fn io_threads_on(&self, cores: usize) -> usize {
        if self.io_threads > 0 { usize::from(self.io_threads) } else { (cores / 2).max(1) }
    }

    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        c.range(at, "node", self.node, 0..=9);
        c.range(at, "io_threads", self.io_threads, 0..=256);
        let letters = self.home_region.len() == 2 && self.home_region.bytes().all(|c| c.is_ascii_uppercase());
        c.require(at, "home_region", letters, &format!("'{}' is no country", self.home_region), "two capital letters: CN, US, DE ...");
        c.range(at, "shutdown_deadline_ms", self.shutdown_deadline_ms, 0..=600_000);
        c.range(at, "max_waiting", self.max_waiting, 1..=1_000_000_000);
        c.range(at, "max_waiting_bytes", self.max_waiting_bytes, 1 << 20..=1 << 40);
        c.range(at, "max_in_memory", self.max_in_memory, 1_000..=100_000_000);
        c.range(at, "defer_on_disk_s", self.defer_on_disk_s, 10..=86_400);
        c.range(at, "sent_on_disk_s", self.sent_on_disk_s, 10..=86_400);
        c.range(at, "journal_max_bytes", self.journal_max_bytes, 16 << 20..=64 << 30);
        c.range(at, "max_parked_receipts", self.max_parked_receipts, 100..=10_000_000);
        c.range(at, "parked_age_s", self.parked_age_s, 60..=604_800);
        c.range(at, "max_inbound_parts", self.max_inbound_parts, 100..=10_000_000);
        c.range(at, "inbound_age_s", self.inbound_age_s, 10..=86_400);
        c.range(at, "failover_after_ms", self.failover_after_ms, 0..=3_600_000);
        c.range(at, "disk_reserve_bytes", self.disk_reserve_bytes, 1 << 20..=1 << 40);
        c.range(at, "disk_slow_ms", self.disk_slow_ms, 10..=60_000);
        c.require(at, "data_dir", !self.data_dir.as_os_str().is_empty(), "is empty", "a directory");
        c.require(&format!("{at}.log"), "level", self.log.level_is_valid(), "is unknown", "off, error, warn, info, debug or trace");
    }
}

/// `[gateway.log]`: what is written to standard error.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `text` for people, `json` for machines. Default `text`.
    pub format: LogFormat,
    /// off, error, warn, info, debug or trace. Default `info`; the environment variable HONGYAN_LOG, if set, wins.
    pub level: String,
}

impl Default for Log {
    fn default() -> Log {
        Log { format: LogFormat::Text, level: "info".to_owned() }
    }
}

impl Log {
    fn level_is_valid(&self) -> bool {
        ["off", "error", "warn", "info", "debug", "trace"].contains(&self.level.as_str())
    }
}

/// Form of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// `[listen]`: the SMPP port for upstreams and what one connection may cost.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Address and port. Default `127.0.0.1:2775`; port 0 lets the system choose.
    pub address: SocketAddr,
    /// system_id that we give in bind responses. Default `hongyan`; up to 15 characters.
    pub system_id: String,
    /// Our version towards upstreams: 0x34 or 0x50. Default 0x34.
    pub interface_version: u8,
    /// Connections at once, bound or not. Default 1,000; 1 to 100,000.
    pub max_connections: u32,
    /// From connect to bind. Default 5,000; 100 to 30,000.
    pub session_init_ms: u64,
    /// Silence after which we ask with enquire_link. Default 30,000; 100 to 3,600,000.
    pub enquire_link_ms: u64,
    /// No octet for so long after that: closed. Default 10,000; 100 to 600,000.
    pub enquire_link_timeout_ms: u64,
    /// No PDU for so long: unbound and closed; 0 turns it off. Default 120,000; 0 to 86,400,000.
    pub inactivity_ms: u64,
    /// From a PDU's first octet to its last. Default 10,000; 100 to 60,000.
    pub pdu_completion_ms: u64,
    /// Answer to a delivery of ours; then it counts as not taken. Default 30,000; 100 to 600,000.
    pub response_timeout_ms: u64,
    /// Answer to our unbind. Default 5,000; 100 to 60,000.
    pub unbind_timeout_ms: u64,
    /// Longest PDU. Default 128 KiB; 4 KiB to 1 MiB.
    pub max_pdu_bytes: u32,
    /// Unsent octets of a connection at which we stop reading from it. Default 256 KiB; 16 KiB to 64 MiB.
    pub max_unsent_bytes: u32,
    /// A peer that reads nothing for so long while output waits is closed. Default 30,000; 1,000 to 600,000.
    pub write_stall_ms: u64,
    /// Failed binds on one connection before it is closed. Default 3; 1 to 10.
    pub max_failed_binds: u8,
    /// First delay after a failed bind from an address; doubles with each, up to a minute. Default 1,000; 0 to 60,000.
    pub failed_bind_delay_ms: u64,
}

impl Default for Listen {
    fn default() -> Listen {
        Listen {
            address: SocketAddr::from(([127, 0, 0, 1], 2775)),
            system_id: "hongyan".to_owned(),
            interface_version: 0x34,
            max_connections: 1_000,
            session_init_ms: 5_000,
            enquire_link_ms: 30_000,
            enquire_link_timeout_ms: 10_000,
            inactivity_ms: 120_000,
            pdu_completion_ms: 10_000,
            response_timeout_ms: 30_000,
            unbind_timeout_ms: 5_000,
            max_pdu_bytes: 128 << 10,
            max_unsent_bytes: 256 << 10,
            write_stall_ms: 30_000,
            max_failed_binds: 3,
            failed_bind_delay_ms: 1_000,
        }
    }
}

impl Listen {
    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        c.length(at, "system_id", &self.system_id, 0..=15);
        c.version(at, "interface_version", self.interface_version);
        c.range(at, "max_connections", self.max_connections, 1..=100_000);
        c.range(at, "session_init_ms", self.session_init_ms, 100..=30_000);
        c.range(at, "enquire_link_ms", self.enquire_link_ms, 100..=3_600_000);
        c.range(at, "enquire_link_timeout_ms", self.enquire_link_timeout_ms, 100..=600_000);
        c.range(at, "inactivity_ms", self.inactivity_ms, 0..=86_400_000);
        c.range(at, "pdu_completion_ms", self.pdu_completion_ms, 100..=60_000);
        c.range(at, "response_timeout_ms", self.response_timeout_ms, 100..=600_000);
        c.range(at, "unbind_timeout_ms", self.unbind_timeout_ms, 100..=60_000);
        c.range(at, "max_pdu_bytes", self.max_pdu_bytes, 4 << 10..=1 << 20);
        c.range(at, "max_unsent_bytes", self.max_unsent_bytes, 16 << 10..=64 << 20);
        c.range(at, "write_stall_ms", self.write_stall_ms, 1_000..=600_000);
        c.range(at, "max_failed_binds", self.max_failed_binds, 1..=10);
        c.range(at, "failed_bind_delay_ms", self.failed_bind_delay_ms, 0..=60_000);
        let alive = self.inactivity_ms == 0 || self.inactivity_ms > self.enquire_link_ms;
        c.require(
            at,
            "inactivity_ms",
            alive,
            "is not above enquire_link_ms: every quiet session would be closed",
            "0, or more than enquire_link_ms",
        );
    }
}

/// `[metrics]`: the Prometheus endpoint.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Serve `/metrics` at all. Default true.
    pub enabled: bool,
    /// Address and port. Default `127.0.0.1:9464`; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Whether a message that a carrier took was delivered is judged so long after, in seconds. 1 to 604800, default 600.
    pub matured_after_s: u32,
    /// Combinations of carrier, operator and region that are told apart; those with less traffic are told together, as `other`. 0 to 10000, default 200.
    pub max_ranges: u32,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics { enabled: true, address: SocketAddr::from(([127, 0, 0, 1], 9464)), matured_after_s: 600, max_ranges: 200 }
    }
}

/// `[class.*]`: what each class of message gets.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(from = "ClassesKeys")]
pub struct Classes {
    /// One-time codes.
    pub otp: ClassPolicy,
    /// Notices.
    pub transactional: ClassPolicy,
    /// Campaigns.
    pub marketing: ClassPolicy,
}

impl Default for Classes {
    fn default() -> Classes {
        Classes {
            otp: ClassPolicy {
                share_percent: 0,
                hours: Vec::new(),
                spread_s: 0,
                retry_by_status: BTreeMap::new(),
                default_validity_s: 300,
                retry_s: vec![1, 2, 5, 10, 30],
                max_attempts: 6,
                doubt_wait_s: 60,
                resend_in_doubt: false,
            },
            transactional: ClassPolicy {
                share_percent: 20,
                hours: Vec::new(),
                spread_s: 0,
                retry_by_status: BTreeMap::new(),
                default_validity_s: 86_400,
                retry_s: vec![5, 30, 120, 600, 1_800],
                max_attempts: 20,
                doubt_wait_s: 10,
                resend_in_doubt: true,
            },
            marketing: ClassPolicy {
                share_percent: 5,
                hours: Vec::new(),
                spread_s: 0,
                retry_by_status: BTreeMap::new(),
                default_validity_s: 172_800,
                retry_s: vec![60, 300, 1_800, 3_600],
                max_attempts: 10,
                doubt_wait_s: 10,
                resend_in_doubt: true,
            },
        }
    }
}

impl Classes {
    /// The policy of `class`.
    pub fn of(&self, class: crate::model::Class) -> &ClassPolicy {
        match class {
            crate::model::Class::Otp => &self.otp,
            crate::model::Class::Transactional => &self.transactional,
            crate::model::Class::Marketing => &self.marketing,
        }
    }

    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        for class in crate::model::Class::ALL {
            self.of(class).check(&format!("{at}.{}", class.name()), c);
        }
    }
}

/// What may stand in the file: each class has defaults of its own for what doesn't.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ClassesKeys {
    otp: PolicyKeys,
    transactional: PolicyKeys,
    marketing: PolicyKeys,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PolicyKeys {
    share_percent: Option<u8>,
    hours: Option<Vec<Hours>>,
    spread_s: Option<u32>,
    retry_by_status: Option<BTreeMap<String, Vec<u32>>>,
    default_validity_s: Option<u32>,
    retry_s: Option<Vec<u32>>,
    max_attempts: Option<u16>,
    doubt_wait_s: Option<u32>,
    resend_in_doubt: Option<bool>,
}

impl From<ClassesKeys> for Classes {
    fn from(keys: ClassesKeys) -> Classes {
        let Classes { otp, transactional, marketing } = Classes::default();
        Classes {
            otp: keys.otp.over(otp),
            transactional: keys.transactional.over(transactional),
            marketing: keys.marketing.over(marketing),
        }
    }
}

impl PolicyKeys {
    fn over(self, default: ClassPolicy) -> ClassPolicy {
        ClassPolicy {
            share_percent: self.share_percent.unwrap_or(default.share_percent),
            hours: self.hours.unwrap_or(default.hours),
            spread_s: self.spread_s.unwrap_or(default.spread_s),
            retry_by_status: self.retry_by_status.unwrap_or(default.retry_by_status),
            default_validity_s: self.default_validity_s.unwrap_or(default.default_validity_s),
            retry_s: self.retry_s.unwrap_or(default.retry_s),
            max_attempts: self.max_attempts.unwrap_or(default.max_attempts),
            doubt_wait_s: self.doubt_wait_s.unwrap_or(default.doubt_wait_s),
            resend_in_doubt: self.resend_in_doubt.unwrap_or(default.resend_in_doubt),
        }
    }
}

/// A command_status as the configuration writes it: hexadecimal, `0x08`.
pub fn status_of(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// Policy of one class. Each class has defaults of its own.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassPolicy {
    /// Share of a carrier that the class gets whenever it has something to send, whatever is more urgent, percent. 0 to 50.
    pub share_percent: u8,
    /// Hours in which its messages may leave, in the recipient's own time; empty: always. Up to 50.
    pub hours: Vec<Hours>,
    /// Time over which what has gathered leaves at an opening, seconds. 0 to 86,400.
    pub spread_s: u32,
    /// Other schedules than `retry_s` for refusals with these statuses: `{ "0x08" = [60, 600] }`. Up to 100.
    pub retry_by_status: BTreeMap<String, Vec<u32>>,
    /// Validity of a message that names none. 1 to 604,800 (a week).
    pub default_validity_s: u32,
    /// Pause before each further attempt; the last one repeats. 1 to 20 entries, each 0 to 86,400.
    pub retry_s: Vec<u32>,
    /// Attempts at one carrier before the next is tried or the message is rejected. 1 to 100.
    pub max_attempts: u16,
    /// How long a doubt may be settled by a late answer or a receipt before the next key decides. 0 to 86,400.
    pub doubt_wait_s: u32,
    /// In doubt: sent once again (true) or never twice (false).
    pub resend_in_doubt: bool,
}

impl ClassPolicy {
    /// Pause in seconds before attempt `attempt` (2 is the first retry).
    pub fn retry_after_s(&self, attempt: u16) -> u32 {
        let step = usize::from(attempt.saturating_sub(2)).min(self.retry_s.len().saturating_sub(1));
        self.retry_s.get(step).copied().unwrap_or(60)
    }

    fn check(&self, at: &str, c: &mut Checks) {
        c.range(at, "share_percent", self.share_percent, 0..=50);
        c.range(at, "default_validity_s", self.default_validity_s, 1..=604_800);
        c.range(at, "doubt_wait_s", self.doubt_wait_s, 0..=86_400);
        c.range(at, "max_attempts", self.max_attempts, 1..=100);
        let sane = |pauses: &[u32]| (1..=20).contains(&pauses.len()) && pauses.iter().all(|&pause| pause <= 86_400);
        c.require(at, "retry_s", sane(&self.retry_s), "is not a retry schedule", "1 to 20 pauses, each 0 to 86400");
        c.require(at, "hours", self.hours.len() <= 50, &format!("has {} entries", self.hours.len()), "up to 50");
        c.range(at, "spread_s", self.spread_s, 0..=86_400);
        c.require(at, "retry_by_status", self.retry_by_status.len() <= 100, "has too many entries", "up to 100");
        for (status, pauses) in &self.retry_by_status {
            let sound = status_of(status).is_some() && sane(pauses);
            c.require(
                at,
                "retry_by_status",
                sound,
                &format!("'{status}' or its pauses are wrong"),
                "a status as 0x08, and 1 to 20 pauses, each 0 to 86400",
            );
        }
    }
}
