//! Stop 8, the table: which route a message takes. Compiled from the configuration, read only.
//!
//! Two kinds of route. One with conditions is an exception: exceptions are looked at in the order of the file, and the first whose conditions all
//! hold is taken. Where none fits, the plain routes decide, which have prefixes and nothing else: the longest prefix wins. Which carrier of the route it
//! is, [`super::choice`] says.

use super::health::HealthRules;
use super::why::{Recorder, Why};
use crate::model::{AccountId, Address, CarrierId, Class, Encoding, Message};
use crate::number::prefix::{PrefixError, PrefixTable};
use crate::number::{RangeId, RangeTable};
use crate::text::segment::{self, SegmentRule};
use hashbrown::HashMap;

/// Most carriers of one route.
pub const CARRIERS_MAX: usize = 16;
/// Exceptions for one account and class beyond which what their unchanging conditions say is remembered.
const SCANNED_MAX: usize = 8;
/// Such answers kept; at the bound all of them are forgotten.
const MEMO_MAX: usize = 65_536;

/// One carrier of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The carrier.
    pub carrier: CarrierId,
    /// Carriers of the same rank are equals; a lower rank goes first.
    pub rank: u8,
    /// Its share among its equals; `None` where cost decides.
    pub weight: Option<u32>,
    /// Price of a segment in millionths of whatever unit the operator counts in; the lowest is taken where there are no weights.
    pub cost: u64,
}

impl Choice {
    /// A carrier at its place in an ordered list.
    pub fn ranked(carrier: CarrierId, rank: u8) -> Choice {
        Choice { carrier, rank, weight: None, cost: 0 }
    }
}

/// After which negative receipts another carrier is tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiptCauses {
    /// Bits of final states, by their number in message_state.
    pub states: u16,
    /// Error codes, as a report shows them.
    pub codes: Vec<[u8; 3]>,
}

impl ReceiptCauses {
    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.states == 0 && self.codes.is_empty()
    }

    /// True if a receipt of this state and error is one of them.
    pub fn contains(&self, state: crate::model::state::ReceiptState, error: [u8; 3]) -> bool {
        self.states & 1 << state as u8 != 0 || self.codes.contains(&error)
    }
}

/// The kind of a text, as conditions name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum TextKind {
    /// GSM 7-bit.
    Gsm7 = 0,
    /// ISO 8859-1.
    Latin1 = 1,
    /// UTF-16.
    Ucs2 = 2,
    /// Octets that nobody reads.
    Binary = 3,
}

impl TextKind {
    /// The kind of a body in this encoding.
    pub fn of(encoding: Encoding) -> TextKind {
        match encoding {
            Encoding::Gsm7 => TextKind::Gsm7,
            Encoding::Latin1 => TextKind::Latin1,
            Encoding::Ucs2 => TextKind::Ucs2,
            Encoding::Binary | Encoding::Opaque => TextKind::Binary,
        }
    }
}

/// A sender: exact, or a beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderPattern {
    /// Its characters.
    pub text: Box<[u8]>,
    /// Whatever follows them fits too.
    pub open: bool,
}

impl SenderPattern {
    fn fits(&self, sender: &[u8]) -> bool {
        if self.open { sender.starts_with(&self.text) } else { *sender == *self.text }
    }
}

/// Hours of the day on days of the week, in a zone.
#[derive(Debug, Clone)]
pub struct Hours {
    /// First minute of the day.
    pub from: u16,
    /// The minute after the last; less than `from` means over midnight, and belongs to the day on which it begins.
    pub to: u16,
    /// Bits of days, Monday is 1; 0 for all.
    pub days: u8,
    /// Whose clock.
    pub zone: jiff::tz::TimeZone,
}

impl Hours {
    /// True at this wall time.
    pub fn holds(&self, wall_ms: u64) -> bool {
        let Ok(instant) = jiff::Timestamp::from_millisecond(wall_ms as i64) else { return false };
        let local = self.zone.to_datetime(instant);
        let minute = local.hour() as u16 * 60 + local.minute() as u16;
        let today = local.weekday().to_monday_zero_offset() as u8;
        let on = |day: u8| self.days == 0 || self.days & 1 << day != 0;
        match self.from < self.to {
            true => on(today) && (self.from..self.to).contains(&minute),
            false => (on(today) && minute >= self.from) || (on((today + 6) % 7) && minute < self.to),
        }
    }
}

/// What is known of a number by its range.
#[derive(Debug, Clone, Copy)]
pub struct Whereabouts<'a> {
    table: &'a RangeTable,
    range: RangeId,
}

impl<'a> Whereabouts<'a> {
    /// Of a packed number.
    pub fn of(table: &'a RangeTable, number: u64) -> Option<Whereabouts<'a>> {
        Some(Whereabouts { table, range: table.find(number)? })
    }

    /// The attribute of this place in [`ATTRIBUTES`]; empty where unknown.
    fn attribute(&self, at: usize) -> &'a str {
        let range = self.table.get(self.range);
        match at {
            0 => self.table.name(range.country),
            1 => self.table.name(range.operator),
            2 => self.table.name(range.region),
            _ => range.kind.name(),
        }
    }

    fn has_tag(&self, tag: &str) -> bool {
        self.table.get(self.range).tags.iter().any(|&has| self.table.name(has) == tag)
    }
}

/// Attributes of ranges that conditions may name.
pub const ATTRIBUTES: [&str; 4] = ["country", "operator", "region", "kind"];

/// A condition that a message may fail to meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Of another account.
    Account,
    /// Of another class.
    Class,
    /// No such prefix.
    Prefix,
    /// The number's range is elsewhere: which of [`ATTRIBUTES`].
    Attribute(usize),
    /// The number's range has none of the tags.
    Tag,
    /// Another sender.
    Sender,
    /// Another kind of text.
    Text,
    /// Too short or too long.
    Segments,
    /// Not at this time.
    Hours,
}

/// What must hold for a message to take a route. Empty lists, and 0 for sets of bits, mean anything.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// One of these accounts.
    pub accounts: Vec<AccountId>,
    /// Bits of classes.
    pub classes: u8,
    /// The number begins with one of these.
    pub prefixes: Vec<String>,
    /// Its range has one of these countries, operators, regions, kinds.
    pub attributes: [Vec<String>; 4],
    /// Its range has one of these tags.
    pub tags: Vec<String>,
    /// One of these senders.
    pub senders: Vec<SenderPattern>,
    /// Bits of [`TextKind`].
    pub texts: u8,
    /// Least and most segments.
    pub segments: Option<(u8, u8)>,
    /// At these times.
    pub hours: Option<Hours>,
}

impl Conditions {
    /// The first condition on account and class that doesn't hold.
    fn unmet_by_account(&self, account: AccountId, class: Class) -> Option<Condition> {
        if !self.accounts.is_empty() && !self.accounts.contains(&account) {
            return Some(Condition::Account);
        }
        (self.classes != 0 && self.classes & 1 << class as u8 == 0).then_some(Condition::Class)
    }

    /// The first other condition on number, sender and text that doesn't hold.
    fn unmet(&self, prefixes: &PrefixTable<()>, message: &Message, place: Option<Whereabouts<'_>>) -> Option<Condition> {
        if !prefixes.is_empty() && prefixes.get(message.number).is_none() {
            return Some(Condition::Prefix);
        }
        for (at, wanted) in self.attributes.iter().enumerate() {
            if !wanted.is_empty() && !place.is_some_and(|place| wanted.iter().any(|w| *w == place.attribute(at))) {
                return Some(Condition::Attribute(at));
            }
        }
        if !self.tags.is_empty() && !place.is_some_and(|place| self.tags.iter().any(|tag| place.has_tag(tag))) {
            return Some(Condition::Tag);
        }
        if !self.senders.is_empty() && !self.senders.iter().any(|pattern| pattern.fits(&message.source.digits)) {
            return Some(Condition::Sender);
        }
        let kind = TextKind::of(message.body.encoding);
        (self.texts != 0 && self.texts & 1 << kind as u8 == 0).then_some(Condition::Text)
    }

    /// The first condition that the message's number, sender and kind of text don't settle for ever, and that doesn't hold.
    fn unmet_now(&self, message: &Message, rule: &SegmentRule, wall_ms: u64) -> Option<Condition> {
        if let Some((least, most)) = self.segments {
            let segments = segment::count(&message.body, rule);
            if segments < usize::from(least) || segments > usize::from(most) {
                return Some(Condition::Segments);
            }
        }
        self.hours.as_ref().is_some_and(|hours| !hours.holds(wall_ms)).then_some(Condition::Hours)
    }

    fn is_unchanging(&self) -> bool {
        self.segments.is_none() && self.hours.is_none()
    }
}

/// A route, as it is handed in.
#[derive(Debug, Clone, Default)]
pub struct RouteRule {
    /// Its name; empty for none.
    pub name: String,
    /// A plain route's prefixes; an exception has its own in `conditions`.
    pub prefixes: Vec<String>,
    /// What makes it an exception.
    pub conditions: Option<Conditions>,
    /// Its carriers, at most [`CARRIERS_MAX`], in order of rank.
    pub choices: Vec<Choice>,
    /// Among weighted equals a number always gets the same carrier, while that can take it.
    pub sticky: bool,
    /// After which receipts the next carrier is tried; `None`: as the carrier that sent the receipt says.
    pub on_receipt: Option<ReceiptCauses>,
}

/// What depends on a carrier and not on the route.
#[derive(Debug, Clone, Default)]
pub struct CarrierRouting {
    /// After which of its receipts another carrier is tried.
    pub on_receipt: ReceiptCauses,
    /// How messages are cut for it.
    pub segments: SegmentRule,
}

/// A compiled route.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its name, or what it was made from.
    pub name: Box<str>,
    /// Its carriers in order of rank; at least one.
    pub choices: Box<[Choice]>,
    /// See [`RouteRule::sticky`].
    pub sticky: bool,
    /// No two carriers are equals: the first that can take the message does.
    pub is_ordered: bool,
    /// Where its turns are counted, if it has weights.
    pub turns: Option<u32>,
    on_receipt: Option<Box<ReceiptCauses>>,
    exception: Option<Box<(Conditions, PrefixTable<()>)>>,
}

/// All routes.
#[derive(Debug, Clone)]
pub struct Routes {
    routes: Vec<Route>,
    plain: PrefixTable<u32>,
    /// Exceptions in order; those that fit account and class at all.
    exceptions: Vec<[Box<[u32]>; 3]>,
    /// All exceptions' prefixes: numbers of the same longest one are alike to them.
    alike: PrefixTable<u32>,
    carriers: Vec<CarrierRouting>,
    keeps: Vec<bool>,
    /// How often a message may go to another carrier after a negative receipt, by class.
    pub reroutes: [u8; 3],
    /// When a carrier counts as ill.
    pub health: HealthRules,
    weighted: usize,
}

impl Routes {
    /// Compiles the routes for `accounts` accounts and these carriers.
    pub fn new(
        rules: Vec<RouteRule>,
        accounts: usize,
        carriers: Vec<CarrierRouting>,
        reroutes: [u8; 3],
        health: HealthRules,
    ) -> Result<Routes, PrefixError> {
        let mut plain = Vec::new();
        let mut alike = Vec::new();
        for (at, rule) in rules.iter().enumerate() {
            match &rule.conditions {
                None => plain.extend(rule.prefixes.iter().map(|prefix| (prefix.as_str(), at as u32))),
                Some(conditions) => alike.extend(conditions.prefixes.iter().map(String::as_str)),
            }
        }
        alike.sort_unstable();
        alike.dedup();
        let (plain, alike) = (PrefixTable::new(plain)?, PrefixTable::new(alike.into_iter().zip(1..))?);
        let fitting = |account: usize, class: Class| -> Box<[u32]> {
            let fits = |c: &Conditions| c.unmet_by_account(AccountId(account as u32), class).is_none();
            let exceptions = rules.iter().enumerate().filter(|(_, rule)| rule.conditions.as_ref().is_some_and(fits));
            exceptions.map(|(at, _)| at as u32).collect()
        };
        let any = rules.iter().any(|rule| rule.conditions.is_some());
        let exceptions = (0..if any { accounts } else { 0 }).map(|account| Class::ALL.map(|class| fitting(account, class))).collect();
        let mut keeps: Vec<bool> = carriers.iter().map(|carrier| !carrier.on_receipt.is_empty()).collect();
        let mut weighted = 0;
        let mut routes = Vec::with_capacity(rules.len());
        for (at, rule) in rules.into_iter().enumerate() {
            let asked = rule.on_receipt.as_ref().is_some_and(|causes| !causes.is_empty());
            for choice in rule.choices.iter().filter(|_| asked) {
                if let Some(keeps) = keeps.get_mut(choice.carrier.0 as usize) {
                    *keeps = true;
                }
            }
            routes.push(compile(rule, at, &mut weighted)?);
        }
        Ok(Routes { routes, plain, exceptions, alike, carriers, keeps, reroutes, health, weighted })
    }

    /// Plain routes only: prefixes and carriers in order of preference.
    pub fn plain<'a>(rows: impl IntoIterator<Item = (&'a str, Vec<CarrierId>)>) -> Result<Routes, PrefixError> {
        let rule = |(prefix, carriers): (&str, Vec<CarrierId>)| RouteRule {
            prefixes: vec![prefix.to_owned()],
            choices: carriers.into_iter().zip(0..).map(|(carrier, rank)| Choice::ranked(carrier, rank)).collect(),
            ..RouteRule::default()
        };
        Routes::new(rows.into_iter().map(rule).collect(), 0, Vec::new(), [0; 3], HealthRules::default())
    }

    /// The route of this number.
    pub fn get(&self, at: u32) -> Option<&Route> {
        self.routes.get(at as usize)
    }

    /// Places in which routes count their turns.
    pub fn weighted(&self) -> usize {
        self.weighted
    }

    /// After which receipts of `carrier` a message on `route` goes to another one.
    pub fn receipt_causes<'a>(&'a self, route: &'a Route, carrier: CarrierId) -> Option<&'a ReceiptCauses> {
        route.on_receipt.as_deref().or_else(|| self.carrier_causes(carrier))
    }

    /// After which receipts of `carrier` another one may help, whatever the route.
    pub fn carrier_causes(&self, carrier: CarrierId) -> Option<&ReceiptCauses> {
        self.carriers.get(carrier.0 as usize).map(|carrier| &carrier.on_receipt)
    }

    /// A message of `class` that `carrier` took may have to be sent once more: its text is kept until then.
    pub fn keeps_body(&self, carrier: CarrierId, class: Class) -> bool {
        self.reroutes[class as usize] > 0 && self.keeps.get(carrier.0 as usize).is_some_and(|&keeps| keeps)
    }

    /// The route that the message takes at `wall_ms`. `place`: what is known of its number.
    pub fn find<'p, R: Recorder>(
        &self,
        message: &Message,
        place: impl FnOnce() -> Option<Whereabouts<'p>>,
        wall_ms: u64,
        memo: &mut Memo,
        why: &mut R,
    ) -> Option<u32> {
        let exceptions = self.exceptions.get(message.account.0 as usize).map_or(&[][..], |by| &by[message.class as usize]);
        if R::ON {
            self.note_others(message, exceptions, why);
        }
        if !exceptions.is_empty()
            && let Some(found) = self.exception(message, exceptions, place(), wall_ms, memo, why)
        {
            return Some(found);
        }
        let found = self.plain.get(message.number).copied();
        why.note(|| found.map_or(Why::NoPlainRoute, |route| Why::PlainRoute { route }));
        found
    }

    /// Exceptions that are not for this account and class at all.
    fn note_others<R: Recorder>(&self, message: &Message, fitting: &[u32], why: &mut R) {
        for (at, route) in self.routes.iter().enumerate() {
            let Some(exception) = &route.exception else { continue };
            if !fitting.contains(&(at as u32))
                && let Some(unmet) = exception.0.unmet_by_account(message.account, message.class)
            {
                why.note(|| Why::Unmet { route: at as u32, unmet });
            }
        }
    }

    fn exception<R: Recorder>(
        &self,
        message: &Message,
        exceptions: &[u32],
        place: Option<Whereabouts<'_>>,
        wall_ms: u64,
        memo: &mut Memo,
        why: &mut R,
    ) -> Option<u32> {
        if exceptions.len() <= SCANNED_MAX || R::ON {
            return exceptions.iter().copied().find(|&at| self.takes(at, message, place, wall_ms, true, why));
        }
        let key = MemoKey {
            account: message.account,
            class: message.class,
            text: TextKind::of(message.body.encoding) as u8,
            alike: self.alike.get(message.number).copied().unwrap_or(0),
            place: place.map(|place| place.range),
            sender: message.source.clone(),
        };
        if memo.0.len() >= MEMO_MAX {
            memo.0.clear();
        }
        let fitting = memo.0.entry(key).or_insert_with(|| self.fitting(message, exceptions, place));
        fitting.iter().copied().find(|&at| self.takes(at, message, place, wall_ms, false, why))
    }

    /// Exceptions whose unchanging conditions hold, up to the first that has no others.
    fn fitting(&self, message: &Message, exceptions: &[u32], place: Option<Whereabouts<'_>>) -> Box<[u32]> {
        let mut fitting = Vec::new();
        for &at in exceptions {
            let Some((conditions, prefixes)) = self.routes[at as usize].exception.as_deref() else { continue };
            if conditions.unmet(prefixes, message, place).is_none() {
                fitting.push(at);
                if conditions.is_unchanging() {
                    break;
                }
            }
        }
        fitting.into()
    }

    /// True if the message takes this exception. `all`: its unchanging conditions must be looked at too.
    fn takes<R: Recorder>(&self, at: u32, message: &Message, place: Option<Whereabouts<'_>>, wall_ms: u64, all: bool, why: &mut R) -> bool {
        let route = &self.routes[at as usize];
        let Some((conditions, prefixes)) = route.exception.as_deref() else { return false };
        let default = SegmentRule::default();
        let first = route.choices[0].carrier.0 as usize;
        let segments = self.carriers.get(first).map_or(&default, |carrier| &carrier.segments);
        let unmet = all.then(|| conditions.unmet(prefixes, message, place)).flatten();
        let unmet = unmet.or_else(|| conditions.unmet_now(message, segments, wall_ms));
        why.note(|| unmet.map_or(Why::Exception { route: at }, |unmet| Why::Unmet { route: at, unmet }));
        unmet.is_none()
    }
}

fn compile(rule: RouteRule, at: usize, weighted: &mut usize) -> Result<Route, PrefixError> {
    debug_assert!((1..=CARRIERS_MAX).contains(&rule.choices.len()), "checked with the configuration");
    let name = match (rule.name.is_empty(), rule.prefixes.first()) {
        (false, _) => rule.name,
        (true, Some(prefix)) if rule.conditions.is_none() && prefix.is_empty() => "every number".to_owned(),
        (true, Some(prefix)) if rule.conditions.is_none() => format!("prefix {prefix}"),
        _ => format!("route {}", at + 1),
    };
    let turns = rule.choices.iter().any(|choice| choice.weight.is_some()).then(|| {
        *weighted += 1;
        *weighted as u32 - 1
    });
    let exception = match rule.conditions {
        None => None,
        Some(conditions) => {
            let prefixes = PrefixTable::new(conditions.prefixes.iter().map(|prefix| (prefix.as_str(), ())))?;
            Some(Box::new((conditions, prefixes)))
        }
    };
    Ok(Route {
        name: name.into(),
        is_ordered: rule.choices.windows(2).all(|pair| pair[0].rank < pair[1].rank),
        choices: rule.choices.into(),
        sticky: rule.sticky,
        turns,
        on_receipt: rule.on_receipt.map(Box::new),
        exception,
    })
}

/// What unchanging conditions depend on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct MemoKey {
    account: AccountId,
    class: Class,
    text: u8,
    alike: u32,
    place: Option<RangeId>,
    sender: Address,
}

/// Which exceptions fit messages that are alike. Belongs to one table of routes and one of ranges.
#[derive(Debug, Clone, Default)]
pub struct Memo(HashMap<MemoKey, Box<[u32]>>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::why::Nobody;
    use crate::model::{Body, MessageId};
    use crate::number::pack;

    fn message(account: u32, class: Class, number: &str, sender: &[u8], text: &str) -> Message {
        Message {
            id: MessageId(1),
            ..Message::new(
                AccountId(account),
                class,
                [Address::new(5, 0, sender).unwrap(), Address::new(1, 1, number.as_bytes()).unwrap()],
                pack(number.as_bytes()).unwrap(),
                Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: text.as_bytes().into() },
            )
        }
    }

    fn exception(conditions: Conditions) -> RouteRule {
        RouteRule { conditions: Some(conditions), choices: vec![Choice::ranked(CarrierId(0), 0)], ..RouteRule::default() }
    }

    fn plain(prefix: &str) -> RouteRule {
        RouteRule { prefixes: vec![prefix.into()], choices: vec![Choice::ranked(CarrierId(0), 0)], ..RouteRule::default() }
    }

    fn routes(rules: Vec<RouteRule>) -> Routes {
        Routes::new(rules, 3, Vec::new(), [0; 3], HealthRules::default()).unwrap()
    }

    const NOON: u64 = 1_790_000_000_000 - 1_790_000_000_000 % 86_400_000 + 43_200_000;

    fn found(routes: &Routes, message: &Message, wall_ms: u64) -> Option<u32> {
        let table = RangeTable::shipped();
        routes.find(message, || Whereabouts::of(&table, message.number), wall_ms, &mut Memo::default(), &mut Nobody)
    }

    #[test]
    fn each_condition_holds_for_what_it_names_and_for_nothing_else() {
        let any = Conditions::default;
        let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let pattern = |text: &str, open| SenderPattern { text: text.as_bytes().into(), open };
        let msg = || message(1, Class::Otp, "8613800138000", b"10690001", "hi");
        let other = |change: fn(&mut Message)| {
            let mut other = msg();
            change(&mut other);
            other
        };
        let number = |m: &mut Message| m.number = pack(b"4915112345678").unwrap();
        let cases: Vec<(&str, Conditions, Message)> = vec![
            ("account", Conditions { accounts: vec![AccountId(1)], ..any() }, other(|m| m.account = AccountId(0))),
            ("class", Conditions { classes: 1 << Class::Otp as u8, ..any() }, other(|m| m.class = Class::Marketing)),
            ("prefix", Conditions { prefixes: strings(&["49", "86138"]), ..any() }, other(|m| m.number = pack(b"8613900138000").unwrap())),
            ("country", Conditions { attributes: [strings(&["CN"]), vec![], vec![], vec![]], ..any() }, other(number)),
            (
                "kind",
                Conditions { attributes: [vec![], vec![], vec![], strings(&["mobile"])], ..any() },
                other(|m| m.number = pack(b"12125551234").unwrap()),
            ),
            ("sender", Conditions { senders: vec![pattern("10690001", false)], ..any() }, other(|m| m.source.digits.push(b'2'))),
            ("senders", Conditions { senders: vec![pattern("1069", true)], ..any() }, other(|m| m.source.digits[0] = b'2')),
            ("text", Conditions { texts: 1 << TextKind::Gsm7 as u8, ..any() }, other(|m| m.body.encoding = Encoding::Ucs2)),
            ("segments", Conditions { segments: Some((1, 1)), ..any() }, other(|m| m.body.octets = "x".repeat(161).into_bytes().into())),
        ];
        for (what, conditions, other) in cases {
            let routes = routes(vec![exception(conditions), plain("")]);
            assert_eq!((found(&routes, &msg(), NOON), found(&routes, &other, NOON)), (Some(0), Some(1)), "{what}");
        }
        let tagged = routes(vec![exception(Conditions { tags: strings(&["no such tag"]), ..any() }), plain("")]);
        assert_eq!(found(&tagged, &msg(), NOON), Some(1));
    }

    #[test]
    fn exceptions_are_looked_at_in_order_and_the_longest_plain_prefix_comes_after_them() {
        let by_account = |account| exception(Conditions { accounts: vec![AccountId(account)], ..Conditions::default() });
        let late = exception(Conditions { accounts: vec![AccountId(1)], classes: 1 << Class::Otp as u8, ..Conditions::default() });
        let routes = routes(vec![plain("86"), plain("8613"), by_account(1), late]);
        let to = |account, number| message(account, Class::Otp, number, b"S", "hi");
        assert_eq!(found(&routes, &to(1, "8613800138000"), NOON), Some(2), "the one behind it is never taken");
        assert_eq!(found(&routes, &to(0, "8613800138000"), NOON), Some(1));
        assert_eq!(found(&routes, &to(0, "8620123456789"), NOON), Some(0));
        assert_eq!(found(&routes, &to(0, "4915112345678"), NOON), None);
    }

    #[test]
    fn hours_are_those_of_their_zone_and_over_midnight_belong_to_the_day_they_begin_on() {
        let hours = |from: u16, to: u16, days, zone: &str| Hours {
            from: from * 60,
            to: to * 60,
            days,
            zone: jiff::tz::TimeZone::get(zone).unwrap(),
        };
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64;
        let shanghai = hours(8, 20, 0, "Asia/Shanghai");
        assert!(shanghai.holds(at("2026-11-26T00:00:00Z")) && !shanghai.holds(at("2026-11-26T12:00:00Z")));
        // A Thursday's night lasts into Friday; Friday's own does not begin.
        let night = hours(22, 6, 1 << 3, "UTC");
        for (time, holds) in [
            ("2026-11-26T21:59:59Z", false),
            ("2026-11-26T22:00:00Z", true),
            ("2026-11-27T05:59:59Z", true),
            ("2026-11-27T06:00:00Z", false),
            ("2026-11-27T22:00:00Z", false),
            ("2026-11-26T05:00:00Z", false),
        ] {
            assert_eq!(night.holds(at(time)), holds, "{time}");
        }
        // Berlin's summer: eight o'clock is six UTC, and seven in winter.
        let berlin = hours(8, 9, 0, "Europe/Berlin");
        assert!(
            berlin.holds(at("2026-07-01T06:30:00Z"))
                && berlin.holds(at("2026-12-01T07:30:00Z"))
                && !berlin.holds(at("2026-12-01T06:30:00Z"))
        );
        let day = Hours { days: 1 << 3, ..hours(0, 24, 0, "UTC") };
        assert!(day.holds(at("2026-11-26T23:59:59Z")) && !day.holds(at("2026-11-27T00:00:00Z")));
    }

    #[test]
    fn what_is_remembered_of_many_exceptions_is_what_looking_at_each_says() {
        let mut seed = 11u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let mut rules: Vec<RouteRule> = (0..60)
            .map(|_| {
                let mut conditions = Conditions { classes: [0, 1, 7][random(3) as usize], ..Conditions::default() };
                conditions.prefixes = (0..random(3)).map(|_| (860 + random(40)).to_string()).collect();
                conditions.senders =
                    (0..random(2)).map(|_| SenderPattern { text: vec![b'A' + random(4) as u8].into(), open: random(2) == 0 }).collect();
                conditions.segments = (random(4) == 0).then_some((2, 3));
                conditions.hours = (random(4) == 0).then_some(Hours { from: 0, to: 720, days: 0, zone: jiff::tz::TimeZone::UTC });
                exception(conditions)
            })
            .collect();
        rules.push(plain("86"));
        let routes = routes(rules);
        let (table, mut memo) = (RangeTable::shipped(), Memo::default());
        let mut taken = std::collections::BTreeSet::new();
        for _ in 0..3_000 {
            let number = format!("{}12345678", 860 + random(40));
            let text = "x".repeat(1 + random(400) as usize);
            let sender = [b'A' + random(5) as u8, b'X'];
            let m = message(random(3) as u32, Class::ALL[random(3) as usize], &number, &sender[..1 + random(2) as usize], &text);
            let wall_ms = NOON - 3_600_000 + random(2) * 7_200_000;
            let place = || Whereabouts::of(&table, m.number);
            let remembered = routes.find(&m, place, wall_ms, &mut memo, &mut Nobody);
            // Somebody who listens gets each one looked at.
            let looked = routes.find(&m, place, wall_ms, &mut Memo::default(), &mut Vec::new());
            assert_eq!(remembered, looked);
            taken.insert(looked);
        }
        assert!(taken.len() > 5 && !memo.0.is_empty(), "{taken:?}");
    }
}
