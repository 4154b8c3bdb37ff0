//! Receipts that matched nothing yet: most outran their submit_sm_resp. They are on record, wait by carrier and phone number, and become orphans when
//! their time is over.

use super::carry::Home;
use super::index::same_id;
use super::port::{CarrierId, CarrierMessageId, ReceiptFacts};
use crate::number::{ends_alike, tail};
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// One of them.
#[derive(Debug)]
pub struct ParkedReceipt {
    /// Who sent it.
    pub carrier: CarrierId,
    /// What it says.
    pub facts: ReceiptFacts,
    /// When it came, wall milliseconds.
    pub at_ms: u64,
    /// Where its record lives.
    pub home: Home,
}

/// All parked receipts.
#[derive(Debug, Default)]
pub struct Parked {
    items: BTreeMap<u64, ParkedReceipt>,
    by_number: HashMap<(CarrierId, u64), Vec<u64>>,
    last: u64,
}

impl Parked {
    /// Parks one; its key comes back.
    pub fn insert(&mut self, receipt: ParkedReceipt) -> u64 {
        self.last += 1;
        for number in numbers(&receipt.facts) {
            self.by_number.entry((receipt.carrier, number)).or_default().push(self.last);
        }
        self.items.insert(self.last, receipt);
        self.last
    }

    /// Takes the receipt of `carrier` for the phone `number` whose id is `sent_id` in any known form.
    pub fn take_match(&mut self, carrier: CarrierId, number: u64, sent_id: &[u8]) -> Option<ParkedReceipt> {
        if self.items.is_empty() {
            return None;
        }
        let keys = self.by_number.get(&(carrier, tail(number))).or_else(|| self.by_number.get(&(carrier, 0)))?;
        let same = |p: &ParkedReceipt| same_id(sent_id, &p.facts.id) || same_id(sent_id, &p.facts.other_id);
        let key = *keys.iter().find(|key| self.items.get(*key).is_some_and(same))?;
        self.remove(key)
    }

    /// The id of the oldest final receipt of `carrier` for the phone `number` that came at `since_ms` or later.
    pub fn id_for(&self, carrier: CarrierId, number: u64, since_ms: u64) -> Option<CarrierMessageId> {
        let keys = self.by_number.get(&(carrier, tail(number)))?;
        let fits = |p: &&ParkedReceipt| {
            let phones = &p.facts.numbers;
            p.at_ms >= since_ms && p.facts.is_final && !p.facts.id.is_empty() && phones.iter().any(|&phone| ends_alike(phone, number))
        };
        keys.iter().filter_map(|key| self.items.get(key)).find(fits).map(|p| p.facts.id.clone())
    }

    /// Takes one out.
    pub fn remove(&mut self, key: u64) -> Option<ParkedReceipt> {
        let parked = self.items.remove(&key)?;
        for number in numbers(&parked.facts) {
            if let Some(keys) = self.by_number.get_mut(&(parked.carrier, number)) {
                keys.retain(|&k| k != key);
                if keys.is_empty() {
                    self.by_number.remove(&(parked.carrier, number));
                }
            }
        }
        Some(parked)
    }

    /// The oldest one, if it came before `before_ms` or there are more than `bound`.
    pub fn pop_old(&mut self, before_ms: u64, bound: usize) -> Option<(u64, ParkedReceipt)> {
        let (&key, oldest) = self.items.first_key_value()?;
        (oldest.at_ms < before_ms || self.items.len() > bound).then(|| self.remove(key).map(|p| (key, p))).flatten()
    }

    /// For carrying.
    pub fn get_mut(&mut self, key: u64) -> Option<&mut ParkedReceipt> {
        self.items.get_mut(&key)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// The phone numbers under which a receipt may be found; 0 where it gave none.
fn numbers(facts: &ReceiptFacts) -> impl Iterator<Item = u64> {
    let [a, b] = facts.numbers.map(tail);
    let first = if a == 0 && b == 0 { Some(0) } else { Some(a).filter(|&n| n != 0) };
    first.into_iter().chain(Some(b).filter(|&n| n != 0 && n != a))
}
