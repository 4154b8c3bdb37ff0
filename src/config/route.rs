//! `[[route]]`, `[health]` and `[failover_on_receipt]`: which messages go to which carriers, when a carrier is avoided, and how often a message
//! whose carrier reported that it failed is tried with another one.

use super::check::Checks;
use super::{Account, Carrier, SourcePattern, Zone};
use crate::model::Class;
use crate::model::state::ReceiptState;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use std::fmt;
use std::str::FromStr;

/// Most exceptions (routes with conditions).
const EXCEPTIONS_MAX: usize = 5_000;

/// One route. Without conditions but its prefixes it is a plain route: of those the longest prefix wins. With any other condition it is an exception:
/// exceptions are looked at first, in the order of the file, and the first whose conditions all hold is taken.
#[derive(Debug, Clone, PartialEq, Default, serde::Deserialize, serde::Serialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// Its name in explanations. Default: what it is made from.
    pub name: String,
    /// Beginning of the E.164 number, digits only; empty: every number.
    pub prefix: String,
    /// Several of them, instead of `prefix`.
    pub prefixes: Vec<String>,
    /// Messages of these accounts, by name. Default empty: any, as for all lists of conditions.
    pub accounts: Vec<String>,
    /// Messages of these classes.
    #[serde(deserialize_with = "classes", serialize_with = "class_names")]
    #[schema(value_type = Vec<String>, default = json!([]))]
    pub classes: Vec<Class>,
    /// Numbers whose range is in these countries (`CN`).
    pub countries: Vec<String>,
    /// Numbers whose range belongs to these operators.
    pub operators: Vec<String>,
    /// Numbers whose range is in these regions.
    pub regions: Vec<String>,
    /// Numbers whose range is of these kinds (`mobile`, `fixed`).
    pub kinds: Vec<String>,
    /// Numbers whose range has one of these tags.
    pub tags: Vec<String>,
    /// Messages from these senders: exact, or a beginning with `*`.
    #[schema(value_type = Vec<String>)]
    pub senders: Vec<SourcePattern>,
    /// Texts of these kinds: `gsm7`, `latin1`, `ucs2`, `binary`.
    #[schema(value_type = Vec<String>)]
    pub texts: Vec<TextKind>,
    /// Texts of so many segments or more. 1 to 255; absent: any.
    pub min_segments: Option<u8>,
    /// Texts of so many segments at most. 1 to 255; absent: any.
    pub max_segments: Option<u8>,
    /// From this time of day on, `HH:MM`; with `to` before it, over midnight. Absent: 00:00.
    #[schema(value_type = Option<String>)]
    pub from: Option<TimeOfDay>,
    /// Until this time of day. Absent: 24:00.
    #[schema(value_type = Option<String>)]
    pub to: Option<TimeOfDay>,
    /// On these days (`mon` to `sun`); hours over midnight belong to the day on which they begin.
    #[schema(value_type = Vec<String>)]
    pub days: Vec<Day>,
    /// Zone of `from`, `to` and `days`. Default `UTC`.
    #[schema(value_type = String)]
    pub zone: Zone,
    /// Carriers: names in order of preference, or tables with `carrier`, `weight`, `cost` and `rank`. 1 to 16.
    pub carriers: Vec<RouteCarrier>,
    /// `none`, or `number`: among weighted carriers a number always gets the same one. Default `none`.
    #[schema(value_type = String)]
    pub sticky: Sticky,
    /// After these negative receipts the next carrier is tried; absent: as each carrier says.
    #[schema(value_type = Option<Vec<String>>)]
    pub failover_on_receipt: Option<Vec<ReceiptCause>>,
}

/// One carrier of a route: its name alone, or a table.
#[derive(Debug, Clone, PartialEq, Default, serde::Deserialize, serde::Serialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RouteCarrier {
    /// Its name.
    pub carrier: String,
    /// Its share among its equals, those beside it that have weights too. 0 (only what no other can take) to 1,000; absent: none.
    pub weight: Option<u32>,
    /// Price of a segment, in any unit: of equals without weights the cheapest goes first. 0 to 1,000,000; absent: none.
    pub cost: Option<f64>,
    /// Carriers of the same rank are equals, a lower one goes first. 0 to 255; absent: one more than the one before, or the same where both have a weight, or
    /// both a cost and no weight.
    pub rank: Option<u8>,
}

fn class_names<S: serde::Serializer>(classes: &[Class], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(classes.iter().map(|class| class.name()))
}

/// Classes by their names in the configuration.
fn classes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Class>, D::Error> {
    #[derive(serde::Deserialize)]
    struct Named(#[serde(deserialize_with = "super::account::class")] Class);
    Ok(Vec::<Named>::deserialize(deserializer)?.into_iter().map(|named| named.0).collect())
}

impl From<&str> for RouteCarrier {
    fn from(name: &str) -> RouteCarrier {
        RouteCarrier { carrier: name.to_owned(), ..RouteCarrier::default() }
    }
}

impl serde::Serialize for RouteCarrier {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // What is derived for the remote "Self".
        RouteCarrier::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for RouteCarrier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RouteCarrier, D::Error> {
        struct NameOrTable;
        impl<'de> Visitor<'de> for NameOrTable {
            type Value = RouteCarrier;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a carrier's name, or a table { carrier, weight, cost, rank }")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<RouteCarrier, E> {
                Ok(RouteCarrier::from(name))
            }
            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<RouteCarrier, A::Error> {
                RouteCarrier::deserialize(de::value::MapAccessDeserializer::new(table))
            }
        }
        deserializer.deserialize_any(NameOrTable)
    }
}

/// What keeps a number with a carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sticky {
    /// Nothing: weighted carriers take turns.
    #[default]
    None,
    /// The number chooses.
    Number,
}

/// Kinds of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TextKind {
    /// GSM 7-bit.
    Gsm7,
    /// ISO 8859-1.
    Latin1,
    /// UTF-16.
    Ucs2,
    /// Binary, and alphabets that we don't read.
    Binary,
}

/// Days of the week, Monday first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // their names say it
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A time of day in minutes, 0 to 1440.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay(pub u16);

impl FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<TimeOfDay, String> {
        let digits = |part: &str| (part.len() == 2).then(|| part.parse::<u16>().ok()).flatten();
        let time = text.split_once(':').and_then(|(hour, minute)| Some((digits(hour)?, digits(minute)?)));
        match time {
            Some((hour, minute)) if minute < 60 && hour * 60 + minute <= 1440 => Ok(TimeOfDay(hour * 60 + minute)),
            _ => Err(format!("'{text}' is no time of day; allowed: \"00:00\" to \"24:00\"")),
        }
    }
}

/// A negative receipt: by its state, or by its error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptCause {
    /// Every receipt of this state.
    State(ReceiptState),
    /// Every negative receipt with these three characters as its error.
    Code([u8; 3]),
}

impl FromStr for ReceiptCause {
    type Err = String;

    fn from_str(text: &str) -> Result<ReceiptCause, String> {
        let bad = || {
            format!(
                "'{text}' is no negative receipt; allowed: undeliverable, rejected, expired, deleted, unknown, skipped, or an error code of three characters (\"045\")"
            )
        };
        let state = match text {
            "undeliverable" => ReceiptState::Undeliverable,
            "rejected" => ReceiptState::Rejected,
            "expired" => ReceiptState::Expired,
            "deleted" => ReceiptState::Deleted,
            "unknown" => ReceiptState::Unknown,
            "skipped" => ReceiptState::Skipped,
            code => {
                let code: [u8; 3] = code.as_bytes().try_into().map_err(|_| bad())?;
                return if code.iter().all(u8::is_ascii_alphanumeric) { Ok(ReceiptCause::Code(code)) } else { Err(bad()) };
            }
        };
        Ok(ReceiptCause::State(state))
    }
}

macro_rules! from_string {
    ($($kind:ty),*) => {$(
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}
from_string!(TimeOfDay, ReceiptCause);

impl Route {
    /// Numbers that begin with `prefix` go to these carriers, in order.
    pub fn plain(prefix: &str, carriers: &[&str]) -> Route {
        Route { prefix: prefix.to_owned(), carriers: carriers.iter().map(|name| RouteCarrier::from(*name)).collect(), ..Route::default() }
    }

    /// Its prefixes: none means every number.
    pub fn all_prefixes(&self) -> Vec<&str> {
        match self.prefixes.is_empty() {
            true => Vec::from_iter((!self.prefix.is_empty()).then_some(self.prefix.as_str())),
            false => self.prefixes.iter().map(String::as_str).collect(),
        }
    }

    /// It has conditions besides its prefixes.
    pub fn is_exception(&self) -> bool {
        let lists = [&self.accounts, &self.countries, &self.operators, &self.regions, &self.kinds, &self.tags];
        lists.iter().any(|list| !list.is_empty())
            || !(self.classes.is_empty() && self.senders.is_empty() && self.texts.is_empty())
            || self.min_segments.is_some()
            || self.max_segments.is_some()
            || self.has_hours()
    }

    /// It holds only at some times.
    pub fn has_hours(&self) -> bool {
        self.from.is_some() || self.to.is_some() || !self.days.is_empty()
    }

    /// Minutes of the day between which it holds; the second may be the lesser: over midnight.
    pub fn hours(&self) -> (u16, u16) {
        (self.from.map_or(0, |from| from.0), self.to.map_or(1440, |to| to.0))
    }

    /// Least and most segments.
    pub fn segments(&self) -> (u8, u8) {
        (self.min_segments.unwrap_or(1), self.max_segments.unwrap_or(255))
    }

    /// The rank of each carrier.
    pub fn ranks(&self) -> Vec<u8> {
        let mut ranks: Vec<u8> = Vec::new();
        for (at, carrier) in self.carriers.iter().enumerate() {
            let kind = |c: &RouteCarrier| (c.weight.is_some(), c.weight.is_none() && c.cost.is_some());
            let rank = match at.checked_sub(1).map(|before| (ranks[before], kind(&self.carriers[before]))) {
                None => 0,
                Some((rank, before)) if before == kind(carrier) && before != (false, false) => rank,
                Some((rank, _)) => rank.saturating_add(1),
            };
            ranks.push(carrier.rank.unwrap_or(rank));
        }
        ranks
    }

    pub(super) fn check(&self, at: &str, accounts: &[Account], carriers: &[Carrier], c: &mut Checks) {
        let digits = |prefix: &str| prefix.len() <= 15 && prefix.bytes().all(|digit| digit.is_ascii_digit());
        let allowed = "up to 15 digits without + (empty: every number)";
        c.require(at, "prefix", digits(&self.prefix), &format!("'{}' is no number prefix", self.prefix), allowed);
        for (index, prefix) in self.prefixes.iter().enumerate() {
            let fits = digits(prefix) && !prefix.is_empty();
            c.require(at, &format!("prefixes[{index}]"), fits, &format!("'{prefix}' is no number prefix"), "1 to 15 digits without +");
        }
        let both = !self.prefix.is_empty() && !self.prefixes.is_empty();
        c.require(at, "prefixes", !both, "stands beside prefix", "one of the two");
        let named = self.name.len() <= 60 && !self.name.contains(char::is_control);
        c.require(at, "name", named, "is no name", "up to 60 characters");
        let names = accounts.iter().map(|account| account.name.as_str()).collect::<Vec<_>>();
        for (index, name) in self.accounts.iter().enumerate() {
            let known = names.contains(&name.as_str());
            c.require(at, &format!("accounts[{index}]"), known, &format!("no account is called '{name}'"), &names.join(", "));
        }
        for (index, country) in self.countries.iter().enumerate() {
            let plain = country.len() == 2 && country.bytes().all(|letter| letter.is_ascii_uppercase());
            c.require(at, &format!("countries[{index}]"), plain, &format!("'{country}' is no country"), "two capital letters, as CN");
        }
        let (least, most) = self.segments();
        c.range(at, "min_segments", least, 1..=255);
        c.range(at, "max_segments", most, 1..=255);
        c.require(at, "max_segments", least <= most, "is below min_segments", "min_segments or more");
        let (from, to) = self.hours();
        c.require(at, "to", from != to && from < 1440, "is from too: no time is left", "another time than from, which is 23:59 at most");
        let zoned = self.zone == Zone::default() || self.has_hours();
        c.require(at, "zone", zoned, "has no hours to be the zone of", "with from, to or days");
        self.check_carriers(at, carriers, c);
    }

    fn check_carriers(&self, at: &str, carriers: &[Carrier], c: &mut Checks) {
        let count = self.carriers.len();
        c.require(at, "carriers", (1..=16).contains(&count), &format!("has {count} entries"), "1 to 16 carrier names");
        let names = carriers.iter().map(|carrier| carrier.name.as_str()).collect::<Vec<_>>().join(", ");
        let ranks = self.ranks();
        for (index, entry) in self.carriers.iter().enumerate() {
            let (key, name) = (format!("carriers[{index}]"), &entry.carrier);
            let known = carriers.iter().any(|carrier| carrier.name == *name);
            c.require(at, &key, known, &format!("no carrier is called '{name}'"), &names);
            let twice = self.carriers[..index].iter().any(|other| other.carrier == *name);
            c.require(at, &key, !twice, &format!("'{name}' stands here twice"), "each carrier once");
            c.range(at, &format!("{key}.weight"), entry.weight.unwrap_or(1), 0..=1_000);
            c.range(at, &format!("{key}.cost"), entry.cost.unwrap_or(0.0), 0.0..=1_000_000.0);
            let Some(before) = index.checked_sub(1) else { continue };
            let (rank, last) = (ranks[index], ranks[before]);
            c.require(at, &format!("{key}.rank"), rank >= last, &format!("{rank} is below the one before"), "ranks that don't fall");
            let alike = rank != last || entry.weight.is_some() == self.carriers[before].weight.is_some();
            c.require(
                at,
                &format!("{key}.weight"),
                alike,
                "stands beside an equal of the same rank without one",
                "a weight for each equal, or for none",
            );
        }
        let weighted = self.carriers.iter().any(|entry| entry.weight.is_some());
        c.require(at, "sticky", weighted || self.sticky == Sticky::None, "has no weighted carriers to choose from", "with weights");
    }

    /// Whatever fits `other` fits this one too.
    fn covers(&self, other: &Route) -> bool {
        fn within<T: PartialEq>(mine: &[T], theirs: &[T]) -> bool {
            mine.is_empty() || (!theirs.is_empty() && theirs.iter().all(|one| mine.contains(one)))
        }
        let (mine, theirs) = (self.all_prefixes(), other.all_prefixes());
        let prefixes =
            mine.is_empty() || (!theirs.is_empty() && theirs.iter().all(|one| mine.iter().any(|prefix| one.starts_with(prefix))));
        let senders = self.senders.is_empty()
            || (!other.senders.is_empty() && other.senders.iter().all(|o| self.senders.iter().any(|s| s.covers(o))));
        let ((least, most), (low, high)) = (self.segments(), other.segments());
        let hours = !self.has_hours() || (self.hours() == other.hours() && self.zone == other.zone && within(&self.days, &other.days));
        prefixes
            && senders
            && hours
            && least <= low
            && high <= most
            && within(&self.accounts, &other.accounts)
            && within(&self.classes, &other.classes)
            && within(&self.countries, &other.countries)
            && within(&self.operators, &other.operators)
            && within(&self.regions, &other.regions)
            && within(&self.kinds, &other.kinds)
            && within(&self.tags, &other.tags)
            && within(&self.texts, &other.texts)
    }
}

/// Each route by itself, and all of them beside each other.
pub(super) fn check_all(routes: &[Route], accounts: &[Account], carriers: &[Carrier], c: &mut Checks) {
    let mut plain = std::collections::HashSet::new();
    let mut exceptions: Vec<usize> = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        let at = format!("route[{index}]");
        route.check(&at, accounts, carriers, c);
        if route.is_exception() {
            if let Some(first) = exceptions.iter().find(|&&before| routes[before].covers(route)) {
                let what = format!("no message ever takes this route: whatever fits it takes route[{first}] before it");
                c.warn(&at, "", &what);
            }
            exceptions.push(index);
            continue;
        }
        let prefixes = route.all_prefixes();
        let key = if route.prefixes.is_empty() { "prefix" } else { "prefixes" };
        for prefix in if prefixes.is_empty() { vec![""] } else { prefixes } {
            c.require(&at, key, plain.insert(prefix), "has a route above already", "one plain route for each prefix");
        }
        if exceptions.len() > EXCEPTIONS_MAX {
            break;
        }
    }
    let what = format!("has {} routes with conditions", exceptions.len());
    c.require("", "route", exceptions.len() <= EXCEPTIONS_MAX, &what, &format!("at most {EXCEPTIONS_MAX}"));
    let everybody = exceptions.iter().any(|&at| Route::default().covers(&routes[at]) && routes[at].covers(&Route::default()));
    if !routes.is_empty() && plain.is_empty() && !everybody {
        c.warn("", "route", "every route has conditions: messages that fit none are refused");
    }
}

/// `[health]`: when a carrier is avoided, and how it comes back.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Health {
    /// Avoid carriers that fail. Default true.
    pub enabled: bool,
    /// Answers and receipts of so long a time are looked at. Default 60; 1 to 3,600.
    pub window_s: u32,
    /// With fewer of them nothing is judged. Default 50; 1 to 1,000,000.
    pub min_sample: u32,
    /// Share of answers that blame the carrier, or didn't come in time, at which it is out. Default 50; 1 to 100.
    pub failed_percent: u8,
    /// Share of receipts for which another carrier may be tried (`failover_on_receipt`) at which it is out. Default 80; 1 to 100.
    pub receipts_failed_percent: u8,
    /// Mean time of its answers at which it is out; 0: never for that. Default 0; 0 to 600,000.
    pub slow_ms: u32,
    /// It stays out so long the first time; the pause doubles each time. Default 10; 1 to 3,600.
    pub pause_s: u32,
    /// Longest pause. Default 600; 1 to 86,400.
    pub pause_max_s: u32,
    /// Messages that are tried with it after a pause; all must do well. Default 5; 1 to 16.
    pub probes: u8,
    /// Then its share grows back over this time, from a tenth. Default 30; 0 to 3,600.
    pub slow_start_s: u32,
}

impl Default for Health {
    fn default() -> Health {
        Health {
            enabled: true,
            window_s: 60,
            min_sample: 50,
            failed_percent: 50,
            receipts_failed_percent: 80,
            slow_ms: 0,
            pause_s: 10,
            pause_max_s: 600,
            probes: 5,
            slow_start_s: 30,
        }
    }
}

impl Health {
    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        c.range(at, "window_s", self.window_s, 1..=3_600);
        c.range(at, "min_sample", self.min_sample, 1..=1_000_000);
        c.range(at, "failed_percent", self.failed_percent, 1..=100);
        c.range(at, "receipts_failed_percent", self.receipts_failed_percent, 1..=100);
        c.range(at, "slow_ms", self.slow_ms, 0..=600_000);
        c.range(at, "pause_s", self.pause_s, 1..=3_600);
        c.range(at, "pause_max_s", self.pause_max_s, 1..=86_400);
        c.require(at, "pause_max_s", self.pause_max_s >= self.pause_s, "is below pause_s", "pause_s or more");
        c.range(at, "probes", self.probes, 1..=16);
        c.range(at, "slow_start_s", self.slow_start_s, 0..=3_600);
    }
}

/// `[failover_on_receipt]`: how often a message of each class may go to another carrier after a negative receipt.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FailoverOnReceipt {
    /// Codes: a late second copy is worse than none. Default 0; 0 to 15.
    pub otp: u8,
    /// Notices. Default 1; 0 to 15.
    pub transactional: u8,
    /// Campaigns. Default 1; 0 to 15.
    pub marketing: u8,
}

impl Default for FailoverOnReceipt {
    fn default() -> FailoverOnReceipt {
        FailoverOnReceipt { otp: 0, transactional: 1, marketing: 1 }
    }
}

impl FailoverOnReceipt {
    /// By class, in order of [`Class::ALL`].
    pub fn by_class(&self) -> [u8; 3] {
        [self.otp, self.transactional, self.marketing]
    }

    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        for (class, budget) in Class::ALL.iter().zip(self.by_class()) {
            c.range(at, class.name(), budget, 0..=15);
        }
    }
}
