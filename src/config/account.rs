//! `[[account]]`: an upstream customer's credentials, limits, and the form in which receipts are told to it.

use super::check::Checks;
use super::profile::Alphabet;
use super::{AccountBalance, AccountDedupe, Cidr, Secret, SourcePattern, Zone};
use crate::model::Class;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// One upstream customer.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Account {
    /// Name in logs, metrics and on disk; unique. 1 to 40 of a-z, 0-9, `-`, `_`.
    pub name: String,
    /// system_id of its binds; unique. 1 to 15 characters, up to 63 with `long_credentials`.
    pub system_id: String,
    /// Its password; or use one of the next three. 1 to 8 characters, up to 64 with `long_credentials`.
    pub password: Option<Secret>,
    /// Its password as an argon2id PHC string (`$argon2id$...`).
    pub password_hash: Option<Secret>,
    /// Environment variable that holds its password.
    pub password_env: Option<String>,
    /// File that holds its password, relative to the configuration file; an ending line break is cut.
    pub password_file: Option<String>,
    /// What the bind is checked against; filled from the four above.
    #[serde(skip)]
    pub secret: AccountSecret,
    /// Accept system ids and passwords beyond the specification's bounds. Default false.
    pub long_credentials: bool,
    /// Class of its messages. Default `transactional`.
    #[serde(deserialize_with = "class", serialize_with = "class_name")]
    pub class: Class,
    /// Address blocks it may connect from; empty: from anywhere. Default empty.
    pub allowed_addresses: Vec<Cidr>,
    /// Sessions at once. Default 10; 1 to 10,000.
    pub max_binds: u32,
    /// Its requests in progress per session; beyond it and a small slack they are answered 0x58. Default 100; 1 to 10,000.
    pub window: u32,
    /// Kinds of bind it may use. Default all three.
    pub bind_types: Vec<BindType>,
    /// Senders it may use; empty: any. Default empty.
    pub allowed_sources: Vec<SourcePattern>,
    /// Sender where the submission names none; empty: none. Default empty.
    pub default_source: String,
    /// Segments a second; 0 pauses it; absent: no limit. 0 to 1,000,000.
    pub rate_per_s: Option<u32>,
    /// Its share against other accounts of the same class. Default 1; 1 to 1000.
    pub weight: u32,
    /// Its messages that may wait at once. Default 1,000,000; 1 to 1,000,000,000.
    pub max_waiting: u64,
    /// Receipts and inbound messages that may wait for its receivers. Default 1,000,000; 100 to 100,000,000.
    pub max_outbox: u64,
    /// Service numbers whose inbound messages are its own. Default empty; each up to 20 characters.
    pub service_numbers: Vec<String>,
    /// What may be done to text so that it fits the short alphabet. Default `none`.
    pub transliterate: Transliterate,
    /// What its data_coding 0 means. Default `gsm7`.
    pub default_alphabet: Alphabet,
    /// TLVs of its submissions that are passed on to carriers (which must allow them too). Default empty.
    pub allow_tlvs: Vec<u16>,
    /// Tag of a TLV in which its submissions name their campaign. Default absent: they don't; 0x1400 to 0x3FFF.
    pub campaign_tlv: Option<u16>,
    /// The form of its receipts.
    pub receipts: AccountReceipts,
    /// To whom and what it may write.
    pub rules: super::AccountRules,
    /// What is remembered of its messages, so that the same one isn't sent twice.
    pub dedupe: AccountDedupe,
    /// What its messages cost. Default absent: nothing is counted.
    pub balance: Option<AccountBalance>,
    /// Where its deliveries go besides its sessions. Default absent.
    pub hook: Option<super::AccountHook>,
    /// A log of its receipts and messages from phones, to be read by HTTP. Default absent.
    pub events: Option<super::AccountEvents>,
    /// Keys with which it may use the HTTP API.
    #[serde(rename = "api_key")]
    pub api_keys: Vec<super::ApiKey>,
}

impl Default for Account {
    fn default() -> Account {
        Account {
            name: String::new(),
            system_id: String::new(),
            password: None,
            password_hash: None,
            password_env: None,
            password_file: None,
            secret: AccountSecret::Plain(Secret::default()),
            long_credentials: false,
            class: Class::Transactional,
            allowed_addresses: Vec::new(),
            max_binds: 10,
            window: 100,
            bind_types: BindType::ALL.to_vec(),
            allowed_sources: Vec::new(),
            default_source: String::new(),
            rate_per_s: None,
            weight: 1,
            max_waiting: 1_000_000,
            max_outbox: 1_000_000,
            service_numbers: Vec::new(),
            transliterate: Transliterate::None,
            default_alphabet: Alphabet::Gsm7,
            allow_tlvs: Vec::new(),
            campaign_tlv: None,
            receipts: AccountReceipts::default(),
            rules: super::AccountRules::default(),
            dedupe: AccountDedupe::default(),
            balance: None,
            hook: None,
            events: None,
            api_keys: Vec::new(),
        }
    }
}

impl Account {
    /// Reports on what it hands in by HTTP have somewhere to go without a callback.
    pub fn is_told_by_http(&self) -> bool {
        self.hook.is_some() || self.events.is_some()
    }

    /// An account with a plain password and defaults otherwise; `name` is its system_id too.
    pub fn plain(name: &str, password: &str) -> Account {
        Account {
            name: name.to_owned(),
            system_id: name.to_owned(),
            password: Some(Secret::new(password)),
            secret: AccountSecret::Plain(Secret::new(password)),
            ..Account::default()
        }
    }

    /// True if it may connect from `address`.
    pub fn allows_address(&self, address: std::net::IpAddr) -> bool {
        self.allowed_addresses.is_empty() || self.allowed_addresses.iter().any(|block| block.contains(address))
    }

    /// True if it may send as `source`.
    pub fn allows_source(&self, source: &[u8]) -> bool {
        self.allowed_sources.is_empty() || self.allowed_sources.iter().any(|pattern| pattern.matches(source))
    }

    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        c.name(at, "name", &self.name);
        c.length(at, "system_id", &self.system_id, 1..=if self.long_credentials { 63 } else { 15 });
        c.range(at, "max_binds", self.max_binds, 1..=10_000);
        c.range(at, "window", self.window, 1..=10_000);
        c.range(at, "weight", self.weight, 1..=1_000);
        c.require(at, "bind_types", !self.bind_types.is_empty(), "is empty: nobody could bind", "one or more of tx, rx, trx");
        c.length(at, "default_source", &self.default_source, 0..=crate::model::address::ADDRESS_MAX);
        c.range(at, "max_waiting", self.max_waiting, 1..=1_000_000_000);
        c.range(at, "max_outbox", self.max_outbox, 100..=100_000_000);
        for number in &self.service_numbers {
            c.length(at, "service_numbers", number, 1..=crate::model::address::ADDRESS_MAX);
        }
        c.range(at, "rate_per_s", self.rate_per_s.unwrap_or(1), 0..=1_000_000);
        if self.rate_per_s == Some(0) {
            c.warn(at, "rate_per_s", "0 pauses this account: every submission is refused with 0x58");
        }
        if !self.default_source.is_empty() && !self.allows_source(self.default_source.as_bytes()) {
            c.problem(at, "default_source", "is not one of allowed_sources; allowed: a sender that the account may use");
        }
        c.range(at, "campaign_tlv", self.campaign_tlv.unwrap_or(0x1400), 0x1400..=0x3FFF);
        self.receipts.check(&format!("{at}.receipts"), c);
        self.rules.check(&format!("{at}.rules"), c);
        self.dedupe.check(&format!("{at}.dedupe"), c);
        if let Some(balance) = &self.balance {
            balance.check(&format!("{at}.balance"), c);
        }
        if let Some(hook) = &self.hook {
            hook.check(&format!("{at}.hook"), c);
        }
        if let Some(events) = &self.events {
            events.check(&format!("{at}.events"), c);
        }
    }
}

/// How an account proves itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountSecret {
    /// The password itself.
    Plain(Secret),
    /// An argon2id PHC string.
    Hash(Secret),
}

impl Default for AccountSecret {
    fn default() -> AccountSecret {
        AccountSecret::Plain(Secret::default())
    }
}

/// Kinds of bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BindType {
    /// bind_transmitter.
    Tx,
    /// bind_receiver.
    Rx,
    /// bind_transceiver.
    Trx,
}

impl BindType {
    /// All kinds.
    pub const ALL: [BindType; 3] = [BindType::Tx, BindType::Rx, BindType::Trx];
}

/// What may be done to text that doesn't fit the short alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transliterate {
    /// Nothing.
    #[default]
    None,
    /// Only what no reader notices: typographic quotes, dashes, odd spaces.
    Safe,
    /// Accents go too.
    Lossy,
}

/// Form of our id in receipts and submit_sm_resp (they are always equal, octet for octet).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptIdForm {
    /// 19 decimal digits.
    #[default]
    Decimal,
    /// 16 lower-case hexadecimal digits.
    Hex,
}

/// `[account.receipts]`: how this account is told what became of its messages.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountReceipts {
    /// Form of message ids towards this account: `decimal` or `hex`. Default `decimal`.
    pub id: ReceiptIdForm,
    /// Zone of the dates in the text: UTC, an IANA name or an offset. Default `UTC`.
    pub zone: Zone,
    /// Digits of the dates: 10 (minutes) or 12 (seconds). Default 10.
    pub date_digits: u8,
    /// Write receipted_message_id, message_state and network_error_code (never to a 3.3 bind). Default true.
    pub tlvs: bool,
    /// Write the usual text (Appendix B). Default true.
    pub text: bool,
    /// Send receipts as data_sm instead of deliver_sm. Default false.
    pub data_sm: bool,
    /// Send intermediate notifications where the submission asks for them. Default true.
    pub intermediate: bool,
    /// Send a second, correcting receipt when a carrier's final replaces a verdict of ours. Default false.
    pub correcting: bool,
    /// Unanswered receipts per session. Default 100; 1 to 10,000.
    pub window: u32,
    /// Oldest receipt or inbound message that is still delivered, in hours. Default 72; 1 to 720.
    pub max_age_h: u32,
    /// Carrier's error text to the text that this account sees; at most 8 characters each. Default empty.
    pub error_map: BTreeMap<String, String>,
}

impl Default for AccountReceipts {
    fn default() -> AccountReceipts {
        AccountReceipts {
            id: ReceiptIdForm::Decimal,
            zone: Zone::default(),
            date_digits: 10,
            tlvs: true,
            text: true,
            data_sm: false,
            intermediate: true,
            correcting: false,
            window: 100,
            max_age_h: 72,
            error_map: BTreeMap::new(),
        }
    }
}

impl AccountReceipts {
    fn check(&self, at: &str, c: &mut Checks) {
        c.require(at, "date_digits", matches!(self.date_digits, 10 | 12), &format!("is {}", self.date_digits), "10 or 12");
        c.range(at, "window", self.window, 1..=10_000);
        c.range(at, "max_age_h", self.max_age_h, 1..=720);
        c.require(at, "text", self.text || self.tlvs, "and tlvs are both off: receipts would say nothing", "text or tlvs, or both");
        let short = self.error_map.iter().all(|(from, to)| from.len() <= 8 && to.len() <= 8 && to.is_ascii());
        c.require(at, "error_map", short, "has a long entry", "texts of at most 8 ASCII characters");
    }
}

fn class_name<S: serde::Serializer>(class: &Class, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(class.name())
}

/// A class by its name in the configuration.
pub(super) fn class<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Class, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Name {
        Otp,
        Transactional,
        Marketing,
    }
    Ok(match Name::deserialize(deserializer)? {
        Name::Otp => Class::Otp,
        Name::Transactional => Class::Transactional,
        Name::Marketing => Class::Marketing,
    })
}
