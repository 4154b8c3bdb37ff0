//! Every setting of the gateway, typed: unit in its name, default, bounds and one line of meaning. Reads the TOML file and the
//! profiles it names and refuses whatever can be wrong, with line, key and what is allowed. Leaves acting on it to `app`.
//!
//! A [`Config`] that came out of [`Config::load`] or [`Config::parse`] has been checked; everybody else may rely on the bounds.

mod account;
mod admin;
mod carrier;
mod check;
mod compliance;
mod credit;
mod export;
mod gateway;
mod hooks;
mod hours;
mod http;
mod limit;
mod load;
mod locate;
mod profile;
mod ranges;
mod recorder;
mod records;
mod route;
mod rules;
mod secret;
mod simulate;
mod values;

pub use account::{Account, AccountReceipts, AccountSecret, BindType, ReceiptIdForm, Transliterate};
pub use admin::Admin;
pub use carrier::{BindMode, Carrier, CarrierTimers, Reconnect};
pub use check::{ConfigError, Problem, is_name};
pub use compliance::{AccountRules, CarrierRules, DenyAction, InboundRoute, OptOut, OptOutCountry, OptOutLevel, VelocityLimit};
pub use credit::{AccountBalance, AccountDedupe, RangePrice};
pub use export::Difference;
pub use gateway::status_of;
pub use gateway::{ClassPolicy, Classes, Gateway, Listen, Log, LogFormat, Metrics};
pub use hooks::{AccountEvents, AccountHook, Hooks};
pub use hours::Hours;
pub use http::{ApiKey, Http, KEY_MAX, Scope, hash_of, hex, new_key};
pub use limit::Limit;
pub use profile::{
    Abilities, AddressForm, AddressShape, Alphabet, Alphabets, Concatenation, ErrorRules, IdSource, Profile, ReceiptHabits, ReceiptIdHabit,
    Shaping, StaticTlv, Validity,
};
pub use ranges::Ranges;
pub use recorder::{Recorder, RecorderMode};
pub use records::{NumberForm, Records};
pub use route::{Day, FailoverOnReceipt, Health, ReceiptCause, Route, RouteCarrier, Sticky, TextKind, TimeOfDay};
pub use rules::{ErrorClass, default_error_class};
pub use secret::Secret;
pub use simulate::{Simulate, SimulatedGrammar, SimulatedId, SimulatedWords};
pub use values::{Cidr, NationalLanguage, OctetRule, SourcePattern, Zone};

use crate::model::{AccountId, CarrierId};
use serde::{Deserialize, Serialize};

/// Profiles that ship with the binary, by name: what stands in `config/profiles/`.
pub const SHIPPED_PROFILES: [(&str, &str); 10] = [
    ("standard", include_str!("../../config/profiles/standard.toml")),
    ("hex-ids", include_str!("../../config/profiles/hex-ids.toml")),
    ("text-receipts", include_str!("../../config/profiles/text-receipts.toml")),
    ("plain-class-receipts", include_str!("../../config/profiles/plain-class-receipts.toml")),
    ("tlv-only", include_str!("../../config/profiles/tlv-only.toml")),
    ("reordered-receipts", include_str!("../../config/profiles/reordered-receipts.toml")),
    ("joined-labels", include_str!("../../config/profiles/joined-labels.toml")),
    ("accepts-first", include_str!("../../config/profiles/accepts-first.toml")),
    ("packed-septets", include_str!("../../config/profiles/packed-septets.toml")),
    ("chinese-gateway", include_str!("../../config/profiles/chinese-gateway.toml")),
];

/// The whole configuration.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The process: node, data directory, memory and disk bounds.
    pub gateway: Gateway,
    /// The SMPP listener for upstreams.
    pub listen: Listen,
    /// The Prometheus endpoint.
    pub metrics: Metrics,
    /// The admin port.
    pub admin: Admin,
    /// The public HTTP API.
    pub http: Http,
    /// Deliveries to addresses.
    pub hooks: Hooks,
    /// Files of finished messages.
    pub records: Records,
    /// The latest PDUs of each session.
    pub recorder: Recorder,
    /// What each class of message gets.
    pub class: Classes,
    /// What is known of numbers.
    pub ranges: Ranges,
    /// When a carrier is avoided.
    pub health: Health,
    /// Second tries after negative receipts.
    pub failover_on_receipt: FailoverOnReceipt,
    /// Upstream customers; the index is the [`AccountId`].
    #[serde(rename = "account")]
    pub accounts: Vec<Account>,
    /// Operators; the index is the [`CarrierId`].
    #[serde(rename = "carrier")]
    pub carriers: Vec<Carrier>,
    /// Which numbers go to which carriers.
    #[serde(rename = "route")]
    pub routes: Vec<Route>,
    /// Limits on parts of the traffic.
    #[serde(rename = "limit")]
    pub limits: Vec<Limit>,
    /// What is made of phones' wishes not to be written to.
    pub opt_out: OptOut,
    /// Whose inbound messages are, besides the accounts' own service numbers.
    #[serde(rename = "inbound")]
    pub inbound: Vec<InboundRoute>,
    /// What is allowed but looks like a mistake; filled by the checks.
    #[serde(skip)]
    pub warnings: Vec<String>,
    /// The file that it was read from, if it was: what a reload reads again.
    #[serde(skip)]
    pub file: Option<std::path::PathBuf>,
}

impl Config {
    /// The account of this system_id.
    pub fn account_by_system_id(&self, system_id: &str) -> Option<(AccountId, &Account)> {
        let index = self.accounts.iter().position(|account| account.system_id == system_id)?;
        Some((AccountId(index as u32), &self.accounts[index]))
    }

    /// The carrier of this name.
    pub fn carrier_by_name(&self, name: &str) -> Option<(CarrierId, &Carrier)> {
        let index = self.carriers.iter().position(|carrier| carrier.name == name)?;
        Some((CarrierId(index as u16), &self.carriers[index]))
    }

    /// A configuration for demonstrations and tests: the defaults with ports chosen by the system, the data in
    /// `data_dir`, one account `demo` (password `demo`) and no carrier yet; see [`Config::with_carrier`].
    pub fn demo(data_dir: &std::path::Path) -> Config {
        let mut config = Config::default();
        config.gateway.data_dir = data_dir.to_path_buf();
        config.listen.address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        config.metrics.address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        config.admin.address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        config.http.address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        config.with_account("demo", "demo")
    }

    /// Adds an account of this name, which is its system_id too, and password.
    #[must_use]
    pub fn with_account(mut self, name: &str, password: &str) -> Config {
        self.accounts.push(Account::plain(name, password));
        self
    }

    /// Adds a carrier on `host` (`address:port`) with the shipped profile `profile`, reached by the default route if it is the first.
    ///
    /// # Panics
    /// If no profile of that name ships with the binary.
    #[must_use]
    pub fn with_carrier(mut self, name: &str, host: &str, profile: &str) -> Config {
        let profile = Profile::shipped(profile).expect("the caller names a shipped profile");
        if self.routes.is_empty() {
            self.routes.push(Route::default());
        }
        if let Some(route) = self.routes.iter_mut().find(|route| !route.is_exception() && route.all_prefixes().is_empty()) {
            route.carriers.push(name.into());
        }
        self.carriers.push(Carrier::to_host(name, host, profile));
        self
    }
}
