//! The id index: a carrier's id → the part that it stands for. An entry is a 128-bit hash of carrier and canonical id, the message and the
//! part. How a carrier writes its ids in receipts against its answers is found out here: the receipt's id is transformed when probing, variants are
//! never stored. What is here is the newest generation; parts of messages that are out of memory are found through [`super::runs`].

use super::messages::Messages;
use super::plan::Plan;
use super::port::CarrierId;
use crate::model::MessageId;
use crate::text::id_form::{Id, IdForm};
use arrayvec::ArrayVec;
use hashbrown::{HashMap, HashSet};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Forms that a receipt's id is tried in; the stored form is [`IdForm::StripZeros`] of the answer's id.
const FORMS: [IdForm; 3] = [IdForm::StripZeros, IdForm::HexToDecimal, IdForm::DecimalToHex];
/// Ids of ended messages that are remembered, so that a repeated receipt is known as one; two generations of this many.
const ENDED_MAX: usize = 100_000;

/// Names an entry.
pub type Key = u128;

/// Which id forms a carrier's receipts have used so far.
#[derive(Debug, Clone, Default)]
struct Learned {
    hits: [u64; FORMS.len()],
    /// Set in the configuration: nothing else is tried.
    fixed: Option<usize>,
}

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// This part; the key is for [`IdIndex::end`].
    Part(MessageId, u8, Key),
    /// A message that has ended.
    Ended,
    /// Nothing.
    Nothing,
}

/// Carrier ids of everything that is sent and alive.
#[derive(Debug)]
pub struct IdIndex {
    map: HashMap<Key, (MessageId, u8)>,
    ended: HashSet<Key>,
    ended_before: HashSet<Key>,
    learned: Vec<Learned>,
}

fn key_of(carrier: CarrierId, id: &[u8], form: IdForm, scratch: &mut Id) -> Option<Key> {
    // An id of nothing but zeros has no other form than itself.
    let usable = form.apply(id, scratch) || IdForm::Identity.apply(id, scratch);
    // The seed is spread over all bits: for short ids the hash adds it to their octets, and small seeds would make "1000003" of one carrier
    // the same as "3000001" of the next but one.
    usable.then(|| xxh3_128_with_seed(scratch, u64::from(carrier.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// True if a receipt's `id` means the answer's `sent` in any form.
pub fn same_id(sent: &[u8], id: &[u8]) -> bool {
    let (mut a, mut b) = (Id::new(), Id::new());
    if sent.is_empty() || id.is_empty() {
        return false;
    }
    let Some(stored) = key_of(CarrierId(0), sent, IdForm::StripZeros, &mut a) else { return false };
    FORMS.iter().any(|&form| form.apply(id, &mut b) && key_of(CarrierId(0), id, form, &mut a) == Some(stored))
}

/// The key under which the id of an answer is kept.
pub fn answer_key(carrier: CarrierId, sent: &[u8]) -> Option<Key> {
    (!sent.is_empty()).then(|| key_of(carrier, sent, IdForm::StripZeros, &mut Id::new())).flatten()
}

/// The keys that a receipt's id may mean, in any form.
pub fn receipt_keys(carrier: CarrierId, id: &[u8]) -> impl Iterator<Item = Key> {
    FORMS.iter().filter_map(move |&form| if id.is_empty() { None } else { key_of(carrier, id, form, &mut Id::new()) })
}

impl IdIndex {
    /// An empty index for `carriers` carriers.
    pub fn new(carriers: usize) -> IdIndex {
        IdIndex { map: HashMap::new(), ended: HashSet::new(), ended_before: HashSet::new(), learned: vec![Learned::default(); carriers] }
    }

    /// An empty index for the carriers of `plan`, with the forms that it fixes.
    pub fn of(plan: &Plan) -> IdIndex {
        let mut index = IdIndex::new(0);
        index.follow(plan);
        index
    }

    /// The carriers of `plan` from now on, with the forms that it fixes; what was found out about the others stays.
    pub(super) fn follow(&mut self, plan: &Plan) {
        self.learned.resize_with(plan.carriers.len(), Learned::default);
        for (learned, carrier) in self.learned.iter_mut().zip(&plan.carriers) {
            learned.fixed = carrier.id_form.map(|form| FORMS.iter().position(|&f| f == form).unwrap_or(0));
        }
    }

    /// Remembers a part under the id of its answer; gives the key. Ids come round after days: the newest open submission is meant.
    pub fn insert(&mut self, carrier: CarrierId, id: &[u8], part: (MessageId, u8)) -> Key {
        let key = key_of(carrier, id, IdForm::StripZeros, &mut Id::new()).unwrap_or(0);
        self.insert_key(key, part);
        key
    }

    /// Remembers a part under a key that is known from before. Key 0 means none.
    pub fn insert_key(&mut self, key: Key, part: (MessageId, u8)) {
        if key != 0 {
            self.map.insert(key, part);
        }
    }

    /// The same for a part that comes back into memory: a newer submission under the same key keeps it.
    pub fn insert_back(&mut self, key: Key, part: (MessageId, u8)) {
        if key != 0 {
            let newest = self.map.entry(key).or_insert(part);
            if newest.0 < part.0 {
                *newest = part;
            }
        }
    }

    /// The message under this key leaves memory.
    pub fn leave(&mut self, key: Key, message: MessageId) {
        if self.map.get(&key).is_some_and(|part| part.0 == message) {
            self.map.remove(&key);
        }
    }

    /// Places in `FORMS` to be tried for a carrier, the most likely one first.
    fn order(&self, carrier: CarrierId) -> ArrayVec<usize, { FORMS.len() }> {
        let learned = &self.learned[carrier.0 as usize];
        let best = learned.fixed.unwrap_or_else(|| (0..FORMS.len()).max_by_key(|&at| (learned.hits[at], FORMS.len() - at)).unwrap_or(0));
        let others = (0..FORMS.len()).filter(|&at| at != best && learned.fixed.is_none());
        std::iter::once(best).chain(others).collect()
    }

    /// The keys that a receipt's id may mean, the most likely one first.
    pub fn keys(&self, carrier: CarrierId, id: &[u8]) -> ArrayVec<Key, { FORMS.len() }> {
        let mut scratch = Id::new();
        let mut keys = ArrayVec::new();
        for at in self.order(carrier).into_iter().filter(|_| !id.is_empty()) {
            keys.extend(key_of(carrier, id, FORMS[at], &mut scratch).filter(|key| !keys.contains(key)));
        }
        keys
    }

    /// A receipt's id has meant this key: its form counts.
    pub fn learn(&mut self, carrier: CarrierId, id: &[u8], key: Key) {
        let at = (0..FORMS.len()).find(|&at| key_of(carrier, id, FORMS[at], &mut Id::new()) == Some(key));
        if let Some(at) = at {
            self.learned[carrier.0 as usize].hits[at] += 1;
        }
    }

    /// Looks for a receipt's id in the carrier's learned form first, then in all others. `agrees` says whether the phone number fits.
    pub fn find(&mut self, carrier: CarrierId, id: &[u8], agrees: impl Fn(MessageId) -> bool) -> Found {
        if id.is_empty() {
            return Found::Nothing;
        }
        let mut ended = false;
        let mut scratch = Id::new();
        for at in self.order(carrier) {
            let Some(key) = key_of(carrier, id, FORMS[at], &mut scratch) else { continue };
            if let Some(&(message, part)) = self.map.get(&key)
                && agrees(message)
            {
                self.learned[carrier.0 as usize].hits[at] += 1;
                return Found::Part(message, part, key);
            }
            ended |= self.ended.contains(&key) || self.ended_before.contains(&key);
        }
        if ended { Found::Ended } else { Found::Nothing }
    }

    /// The part has had its last word; a repetition of it will be known as one.
    pub fn end(&mut self, key: Key, message: MessageId) {
        self.leave(key, message);
        if self.ended.len() >= ENDED_MAX {
            self.ended_before = std::mem::take(&mut self.ended);
        }
        self.ended.insert(key);
    }

    /// Drops entries whose message has ended without a receipt, once they are more than those alive.
    pub fn tidy(&mut self, messages: &Messages) {
        if self.map.len() > 50_000 + 2 * messages.len() {
            self.map.retain(|_, (message, _)| messages.contains_key(message));
        }
    }

    /// Entries.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_in_whatever_form_the_receipt_writes_it() {
        let carrier = CarrierId(0);
        for (answer, receipt) in [
            ("1a2B3c", "1A2b3C"),
            ("0012", "12"),
            ("499602d2", "1234567890"),
            ("1234567890", "0x499602D2"),
            ("a-b-c", "A-B-C"),
            ("000", "000"),
        ] {
            let mut index = IdIndex::new(1);
            index.insert(carrier, answer.as_bytes(), (MessageId(7), 0));
            assert!(matches!(index.find(carrier, receipt.as_bytes(), |_| true), Found::Part(MessageId(7), 0, _)), "{answer} {receipt}");
            assert!(same_id(answer.as_bytes(), receipt.as_bytes()), "{answer} {receipt}");
            assert_eq!(index.find(carrier, receipt.as_bytes(), |_| false), Found::Nothing, "the number must agree");
        }
        assert!(!same_id(b"12", b"13"));
        assert!(!same_id(b"", b""));
    }

    #[test]
    fn ids_of_different_carriers_have_different_keys() {
        let mut keys = HashSet::new();
        for carrier in 0..16 {
            for number in (0..10_000_000).step_by(997) {
                assert!(keys.insert(answer_key(CarrierId(carrier), number.to_string().as_bytes())), "carrier {carrier}, id {number}");
            }
        }
        let [one, other] = [(0, "1000003"), (2, "3000001")].map(|(carrier, id)| answer_key(CarrierId(carrier), id.as_bytes()));
        assert_ne!(one, other);
    }

    #[test]
    fn an_ended_id_is_known_as_ended_and_other_carriers_are_not_confused() {
        let mut index = IdIndex::new(2);
        index.insert(CarrierId(0), b"77", (MessageId(1), 0));
        assert_eq!(index.find(CarrierId(1), b"77", |_| true), Found::Nothing);
        let Found::Part(_, _, key) = index.find(CarrierId(0), b"77", |_| true) else { panic!("not found") };
        index.end(key, MessageId(1));
        assert_eq!(index.find(CarrierId(0), b"77", |_| true), Found::Ended);
    }
}
