//! `[[carrier]]`: where an operator is reached, with which binds, how fast.
//! Habits of the operator stand in its [`Profile`].

use super::Secret;
use super::check::Checks;
use super::profile::Profile;
use super::route::ReceiptCause;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One operator.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Carrier {
    /// Name in logs, metrics and on disk; unique. 1 to 40 of a-z, 0-9, `-`, `_`.
    pub name: String,
    /// `host:port` in order of preference; names are resolved again at each connect. 1 to 16.
    pub hosts: Vec<String>,
    /// system_id of our binds. Up to 63 characters.
    pub system_id: String,
    /// Our password; or use one of the next two. Up to 64 characters.
    pub password: Option<Secret>,
    /// Environment variable that holds it.
    pub password_env: Option<String>,
    /// File that holds it, relative to the configuration file; an ending line break is cut.
    pub password_file: Option<String>,
    /// What we bind with; filled from the three above.
    #[serde(skip)]
    pub secret: Secret,
    /// system_type of our binds. Default empty; up to 12 characters.
    pub system_type: String,
    /// address_range of our binds. Default empty; up to 40 characters.
    pub address_range: String,
    /// `trx`, or `tx+rx` for separate sessions. Default `trx`.
    pub bind: BindMode,
    /// How many binds; with `tx+rx`, pairs. Default 1; 1 to 64.
    pub binds: u16,
    /// Version that we offer: 0x33, 0x34 or 0x50. Default 0x34.
    pub interface_version: u8,
    /// Account (its name) that owns inbound messages whose service number is nobody's; absent: they are dropped and counted.
    pub inbound_account: Option<String>,
    /// Local address to connect from; absent: the system's choice.
    pub local_address: Option<IpAddr>,
    /// PDUs in flight per bind. Default 10; 1 to 10,000.
    pub window: u32,
    /// Segments a second over all binds; 0 pauses the carrier; absent: no limit. 0 to 1,000,000.
    pub rate_per_s: Option<u32>,
    /// Segments that may leave at once; 0 means 100 ms of the rate, at least one. Default 0; 0 to 1,000,000.
    pub burst: u32,
    /// Segments a second that each bind allows; absent: no limit. 1 to 1,000,000.
    pub bind_rate_per_s: Option<u32>,
    /// Its throttle answers lower its rate no further, segments a second. Default 1; 1 to 1,000,000.
    pub floor_per_s: u32,
    /// Answers that take longer than this on average lower its rate too, milliseconds. Default 10,000; 0 (never) to 600,000.
    pub slow_answer_ms: u64,
    /// Share of the window and of the burst that marketing leaves to what is more urgent. Default 10; 0 to 90.
    pub marketing_reserve_percent: u8,
    /// TCP keepalive after so much silence; 0 turns it off. Default 60,000; 0 to 7,200,000.
    pub keepalive_ms: u64,
    /// Send small segments at once (TCP_NODELAY). Default true.
    pub nodelay: bool,
    /// Its negative receipts after which another carrier may help: states and error codes. Default empty: none.
    pub failover_on_receipt: Vec<ReceiptCause>,
    /// Timers of its sessions.
    pub timers: CarrierTimers,
    /// How a lost bind comes back.
    pub reconnect: Reconnect,
    /// What must not be sent to it.
    pub rules: super::CarrierRules,
    /// Name of the profile (shipped, or a file `profiles/NAME.toml` beside the configuration, or a path); or a table `[carrier.profile]` with
    /// `base` and the keys that differ. Default `standard`.
    #[serde(rename = "profile")]
    pub profile_name: String,
    /// The profile, with what the table overrides.
    #[serde(skip)]
    pub profile: Profile,
}

impl Default for Carrier {
    fn default() -> Carrier {
        Carrier {
            name: String::new(),
            hosts: Vec::new(),
            system_id: String::new(),
            password: None,
            password_env: None,
            password_file: None,
            secret: Secret::default(),
            system_type: String::new(),
            address_range: String::new(),
            bind: BindMode::Trx,
            binds: 1,
            interface_version: 0x34,
            inbound_account: None,
            local_address: None,
            window: 10,
            rate_per_s: None,
            burst: 0,
            bind_rate_per_s: None,
            floor_per_s: 1,
            slow_answer_ms: 10_000,
            marketing_reserve_percent: 10,
            keepalive_ms: 60_000,
            nodelay: true,
            failover_on_receipt: Vec::new(),
            timers: CarrierTimers::default(),
            reconnect: Reconnect::default(),
            rules: super::CarrierRules::default(),
            profile_name: "standard".to_owned(),
            profile: Profile::default(),
        }
    }
}

impl Carrier {
    /// A carrier on one host with defaults otherwise; system_id and password are `hongyan` and `carrier`, which `hongyan smsc` takes.
    pub fn to_host(name: &str, host: &str, profile: Profile) -> Carrier {
        Carrier {
            name: name.to_owned(),
            hosts: vec![host.to_owned()],
            system_id: "hongyan".to_owned(),
            password: Some(Secret::new("carrier")),
            secret: Secret::new("carrier"),
            bind: profile.simulate.bind,
            profile_name: profile.name.clone(),
            profile,
            ..Carrier::default()
        }
    }

    /// Burst in segments: as set, or 100 ms of the rate and at least one. `None` without a rate.
    pub fn burst_segments(&self) -> Option<u32> {
        let rate = self.rate_per_s?;
        Some(if self.burst > 0 { self.burst } else { (rate / 10).max(1) })
    }

    /// Window slots of one bind that marketing leaves free: its percentage, at least one where the window is over 1.
    pub fn marketing_reserve(&self) -> u32 {
        if self.window <= 1 || self.marketing_reserve_percent == 0 {
            return 0;
        }
        (self.window * u32::from(self.marketing_reserve_percent) / 100).max(1)
    }

    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        self.rules.check(&format!("{at}.rules"), c);
        c.name(at, "name", &self.name);
        c.require(at, "hosts", (1..=16).contains(&self.hosts.len()), &format!("has {} entries", self.hosts.len()), "1 to 16 of host:port");
        for host in &self.hosts {
            let port = host.rsplit_once(':').filter(|(name, _)| !name.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
            c.require(at, "hosts", port.is_some_and(|port| port > 0), &format!("'{host}' is no host:port"), "host:port, port 1 to 65535");
        }
        c.length(at, "system_id", &self.system_id, 0..=63);
        c.length(at, "system_type", &self.system_type, 0..=12);
        c.length(at, "address_range", &self.address_range, 0..=40);
        c.range(at, "binds", self.binds, 1..=64);
        c.version(at, "interface_version", self.interface_version);
        c.range(at, "window", self.window, 1..=10_000);
        c.range(at, "rate_per_s", self.rate_per_s.unwrap_or(1), 0..=1_000_000);
        c.range(at, "burst", self.burst, 0..=1_000_000);
        c.range(at, "bind_rate_per_s", self.bind_rate_per_s.unwrap_or(1), 1..=1_000_000);
        c.range(at, "floor_per_s", self.floor_per_s, 1..=1_000_000);
        c.range(at, "slow_answer_ms", self.slow_answer_ms, 0..=600_000);
        c.range(at, "marketing_reserve_percent", self.marketing_reserve_percent, 0..=90);
        c.range(at, "keepalive_ms", self.keepalive_ms, 0..=7_200_000);
        if self.rate_per_s == Some(0) {
            c.warn(at, "rate_per_s", "0 pauses this carrier: its messages wait");
        }
        self.timers.check(&format!("{at}.timers"), c);
        self.reconnect.check(&format!("{at}.reconnect"), c);
    }
}

/// How we bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
pub enum BindMode {
    /// One session does both.
    #[default]
    #[serde(rename = "trx")]
    Trx,
    /// A transmitter and a receiver.
    #[serde(rename = "tx+rx")]
    TxRx,
}

/// `[carrier.timers]`: timers of a session with the carrier (SMPP v3.4 section 7.2).
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CarrierTimers {
    /// TCP connect. Default 10,000; 100 to 120,000.
    pub connect_timeout_ms: u64,
    /// Answer to our bind. Default 10,000; 100 to 120,000.
    pub bind_response_ms: u64,
    /// Answer to a submit; then it is in doubt. Default 30,000; 100 to 600,000.
    pub response_timeout_ms: u64,
    /// Late answers are still matched so long. Default 300,000; 0 to 3,600,000.
    pub late_response_ms: u64,
    /// Silence after which we ask with enquire_link. Default 30,000; 100 to 3,600,000.
    pub enquire_link_ms: u64,
    /// No octet for so long after that: closed. Default 10,000; 100 to 600,000.
    pub enquire_link_timeout_ms: u64,
    /// From a PDU's first octet to its last. Default 10,000; 100 to 60,000.
    pub pdu_completion_ms: u64,
    /// Answer to our unbind, and to what is in flight then. Default 5,000; 100 to 60,000.
    pub unbind_timeout_ms: u64,
}

impl Default for CarrierTimers {
    fn default() -> CarrierTimers {
        CarrierTimers {
            connect_timeout_ms: 10_000,
            bind_response_ms: 10_000,
            response_timeout_ms: 30_000,
            late_response_ms: 300_000,
            enquire_link_ms: 30_000,
            enquire_link_timeout_ms: 10_000,
            pdu_completion_ms: 10_000,
            unbind_timeout_ms: 5_000,
        }
    }
}

impl CarrierTimers {
    fn check(&self, at: &str, c: &mut Checks) {
        c.range(at, "connect_timeout_ms", self.connect_timeout_ms, 100..=120_000);
        c.range(at, "bind_response_ms", self.bind_response_ms, 100..=120_000);
        c.range(at, "response_timeout_ms", self.response_timeout_ms, 100..=600_000);
        c.range(at, "late_response_ms", self.late_response_ms, 0..=3_600_000);
        c.range(at, "enquire_link_ms", self.enquire_link_ms, 100..=3_600_000);
        c.range(at, "enquire_link_timeout_ms", self.enquire_link_timeout_ms, 100..=600_000);
        c.range(at, "pdu_completion_ms", self.pdu_completion_ms, 100..=60_000);
        c.range(at, "unbind_timeout_ms", self.unbind_timeout_ms, 100..=60_000);
    }
}

/// `[carrier.reconnect]`: delays before a bind is tried again, doubling, with jitter.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reconnect {
    /// First delay after a lost or refused connection. Default 1,000; 10 to 600,000.
    pub min_ms: u64,
    /// Longest delay after that. Default 60,000; 10 to 3,600,000.
    pub max_ms: u64,
    /// Each delay is shortened by up to so much at random, so that binds don't come back all at once. Default 20; 0 to 100.
    pub jitter_percent: u8,
    /// First delay after "already bound" (0x05): the old session may be half dead. Default 30,000; 10 to 3,600,000.
    pub already_bound_ms: u64,
    /// First delay after refused credentials (0x0D, 0x0E, 0x0F, 0x53); doubles up to `credentials_max_ms`. Default 60,000; 10 to 3,600,000.
    pub credentials_ms: u64,
    /// Longest delay after refused credentials. Default 1,800,000; 10 to 86,400,000.
    pub credentials_max_ms: u64,
}

impl Default for Reconnect {
    fn default() -> Reconnect {
        Reconnect {
            min_ms: 1_000,
            max_ms: 60_000,
            jitter_percent: 20,
            already_bound_ms: 30_000,
            credentials_ms: 60_000,
            credentials_max_ms: 1_800_000,
        }
    }
}

impl Reconnect {
    fn check(&self, at: &str, c: &mut Checks) {
        c.range(at, "min_ms", self.min_ms, 10..=600_000);
        c.range(at, "max_ms", self.max_ms, 10..=3_600_000);
        c.range(at, "jitter_percent", self.jitter_percent, 0..=100);
        c.range(at, "already_bound_ms", self.already_bound_ms, 10..=3_600_000);
        c.range(at, "credentials_ms", self.credentials_ms, 10..=3_600_000);
        c.range(at, "credentials_max_ms", self.credentials_max_ms, 10..=86_400_000);
        c.require(at, "max_ms", self.max_ms >= self.min_ms, "is below min_ms", "min_ms or more");
        let ordered = self.credentials_max_ms >= self.credentials_ms;
        c.require(at, "credentials_max_ms", ordered, "is below credentials_ms", "credentials_ms or more");
    }
}
