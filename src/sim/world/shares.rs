//! The judge of fairness, in worlds with a constant backlog before one carrier: accounts of a class share by weight, campaigns of an account equally, each class
//! gets at least what it is guaranteed, and nobody's limit leaves the carrier idle. Judged from the segments that are handed out, in the order in which they paid.
//!
//! The bounds. The next to be served is whoever has the least tag, and to be served adds (segments / weight) to one's tag. So of two that have a backlog all the
//! time neither's tag is ever ahead of the other's by more than its own last message: -l₂/w₂ ≤ tag₁ - tag₂ ≤ l₁/w₁, where l is the largest message, in
//! segments. What one got between two moments, over its weight, is what its tag has grown by. So in *any* interval |W₁/w₁ - W₂/w₂| ≤ l₁/w₁ + l₂/w₂: with
//! messages of one segment, within one segment of each. (Goyal, Vin, Cheng: Start-time fair queueing, theorem 1.)
//!
//! A class with the share p is owed p of every segment that anybody sends while it has something, and once it is owed a segment it goes before all that are
//! owed less. When its claim reaches one segment it may do so by p·l at once, and at most the two other classes, each with its one message, stand before
//! it: it lags behind p·W by less than 1 + 3·l in any interval.
//!
//! A lane that a limit holds back (those to [`SLOW`]) takes part in nothing of this, and must not change it for others.

use super::dispatch::{CAMPAIGNS, Dispatch};
use super::judge::{Judged, Record, Wrong, wrong};
use super::pace::Paid;
use std::collections::BTreeMap;

/// The campaign that a limit holds back.
const SLOW: &str = CAMPAIGNS[2];
/// Tags are whole numbers of millionths of a segment, and rounded down.
const EPSILON: f64 = 0.001;

/// Somebody who shares: what it got so far over its weight, its largest message over its weight, and the place in order at which its backlog ends.
#[derive(Debug, Clone)]
struct Sharer {
    name: String,
    weight: f64,
    /// Which messages are its.
    messages: Vec<bool>,
    largest: f64,
    until: usize,
}

impl Sharer {
    /// All messages that `is_its`; its backlog ends with the last of them that no limit holds back.
    fn new(name: String, weight: u32, records: &[Record], paid: &[Paid], is_its: impl Fn(&Record) -> bool) -> Sharer {
        let messages: Vec<bool> = records.iter().map(is_its).collect();
        let of_it = paid.iter().enumerate().filter(|(_, paid)| messages[paid.number]);
        let largest = of_it.clone().map(|(_, paid)| paid.segments).max().unwrap_or(1);
        let until = of_it.filter(|(_, paid)| records[paid.number].campaign != Some(SLOW)).map(|(at, _)| at).max().unwrap_or(0);
        let weight = f64::from(weight);
        Sharer { name, weight, messages, largest: f64::from(largest) / weight, until }
    }
}

/// Holds what left, in order, against all of it. `from_us`: since then everybody has a backlog.
pub fn check(dispatch: &Dispatch, records: &[Record], paid: &[Paid], from_us: u64) -> Judged {
    let from = paid.iter().position(|paid| paid.at_us > from_us).unwrap_or(paid.len());
    let mut accounts: BTreeMap<_, Vec<Sharer>> = BTreeMap::new();
    let mut campaigns: BTreeMap<_, Vec<Sharer>> = BTreeMap::new();
    let mut classes = BTreeMap::new();
    for flow in dispatch.backlog.iter().filter(|flow| flow.campaign != Some(SLOW)) {
        let (class, account, campaign) = (flow.class, flow.account, flow.campaign);
        let sharers = accounts.entry(class).or_default();
        let name = format!("{class:?} of account {account}");
        if sharers.iter().all(|sharer| sharer.name != name) {
            let is_its = |record: &Record| record.class == class && record.account == account;
            sharers.push(Sharer::new(name, dispatch.weights[account], records, paid, is_its));
        }
        let name = format!("campaign {campaign:?} of {class:?} of account {account}");
        let is_its = |record: &Record| record.class == class && record.account == account && record.campaign == campaign;
        campaigns.entry((class, account)).or_default().push(Sharer::new(name, 1, records, paid, is_its));
        classes.entry(class).or_insert_with(|| Sharer::new(format!("{class:?}"), 1, records, paid, |record| record.class == class));
    }
    for sharers in accounts.values().chain(campaigns.values()) {
        for (at, one) in sharers.iter().enumerate() {
            sharers[at + 1..].iter().try_for_each(|other| pair(one, other, paid, from))?;
        }
    }
    for (class, sharer) in &classes {
        guaranteed(sharer, f64::from(dispatch.shares[*class as usize]) / 100.0, paid, from)?;
    }
    let last = classes.values().map(|sharer| sharer.until).max().unwrap_or(0);
    busy(dispatch, paid, from, last)
}

/// The places at which an instant ends: who left before whom within one is not known where several binds are up.
fn instants(paid: &[Paid], from: usize, until: usize) -> impl Iterator<Item = usize> + '_ {
    (from..until).filter(|&at| paid.get(at + 1).is_none_or(|next| next.at_us > paid[at].at_us))
}

/// Two that share.
fn pair(one: &Sharer, other: &Sharer, paid: &[Paid], from: usize) -> Judged {
    let until = one.until.min(other.until);
    let (mut ahead, mut least, mut most, mut next) = (0.0f64, 0.0f64, 0.0f64, from);
    for at in instants(paid, from, until) {
        for paid in &paid[next..=at] {
            let segments = f64::from(paid.segments);
            ahead += if one.messages[paid.number] { segments / one.weight } else { 0.0 };
            ahead -= if other.messages[paid.number] { segments / other.weight } else { 0.0 };
        }
        next = at + 1;
        (least, most) = (least.min(ahead), most.max(ahead));
        if most - least > one.largest + other.largest + EPSILON {
            let what =
                format!("{} and {} are {:.3} segments apart by weight at {} ms", one.name, other.name, most - least, paid[at].at_us / 1000);
            return wrong(paid[at].number, what);
        }
    }
    Ok(())
}

/// A class with a share.
fn guaranteed(class: &Sharer, share: f64, paid: &[Paid], from: usize) -> Judged {
    let largest = f64::from(paid.iter().map(|paid| paid.segments).max().unwrap_or(1));
    let (mut lag, mut least, mut next) = (0.0f64, 0.0f64, from);
    for at in instants(paid, from, class.until) {
        for paid in &paid[next..=at] {
            lag += f64::from(paid.segments) * (share - if class.messages[paid.number] { 1.0 } else { 0.0 });
        }
        next = at + 1;
        least = least.min(lag);
        if lag - least > 1.0 + 3.0 * largest {
            return wrong(
                paid[at].number,
                format!("{} lacks {:.2} segments of its share at {} ms", class.name, lag - least, paid[at].at_us / 1000),
            );
        }
    }
    Ok(())
}

/// While anybody has a backlog the carrier gets what it allows.
fn busy(dispatch: &Dispatch, paid: &[Paid], from: usize, until: usize) -> Judged {
    let Some(per_s) = dispatch.carriers[0].rate_per_s else { return Ok(()) };
    let (Some(first), Some(last)) = (paid.get(from), paid.get(until)) else { return Ok(()) };
    let segments: u32 = paid[from..until].iter().map(|paid| paid.segments).sum();
    let largest = paid.iter().map(|paid| paid.segments).max().unwrap_or(1);
    let allowed = f64::from(per_s) * (last.at_us - first.at_us) as f64 / 1e6;
    if f64::from(segments) < 0.98 * allowed - f64::from(largest) {
        return Err(Wrong { what: format!("{segments} segments left where {allowed:.1} were allowed and waited"), message: None });
    }
    Ok(())
}
