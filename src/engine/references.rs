//! References of long texts: a phone joins parts of one sender by their reference, so that no two sets of parts on their way to it may share one within the
//! time that it waits. Parts that upstream cut carry upstream's reference, as long as nothing else from that sender to that phone does: another account's
//! set, an earlier set under the same number, or a text cut here. Else all parts of the later set get another one, in the width of the old, already when
//! they are taken: the message that is written down is the one that leaves, over whichever bind and after whichever crash.

use super::Engine;
use super::event::Event;
use crate::model::message::Part;
use crate::model::{CarrierId, Message, MessageId};
use crate::text::udh;
use hashbrown::HashMap;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// How long a reference stays in use after it was last seen, at least.
const KEPT_US: u64 = 600_000_000;
/// References and sets that are remembered at once, in two generations; past that they are forgotten earlier.
const USED_MAX: usize = 200_000;
/// In place of a set: a text that was cut here.
const OWN: u64 = 0;
/// The name of the ledger's blob with references in use.
pub const REFERENCES_BLOB: &str = "references";
/// Octets of an entry there, and of each part behind it.
const ENTRY: usize = 23;
const PART: usize = 5;
/// In place of a carrier: none yet.
const NO_CARRIER: u16 = u16::MAX;
/// References up to here are one octet wide, and stay so.
const NARROW_MAX: u16 = 0xff;

/// One set of parts, as upstream numbers it.
#[derive(Debug, Clone, Default)]
struct Set {
    /// The reference that its parts leave with.
    reference: u16,
    /// Parts seen, each with a digest of its text: another text under a number that was there begins another set.
    parts: Vec<(u8, u32)>,
}

/// Who uses a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Use {
    /// The set (of which there may be a newer one of the same name by now).
    set: u64,
    /// The carrier that the first of its parts went to: the others follow it.
    carrier: Option<CarrierId>,
    /// The set's reference as upstream wrote it.
    upstream: u16,
}

const OWN_USE: Use = Use { set: OWN, carrier: None, upstream: 0 };

#[derive(Debug, Default)]
struct Generation {
    /// By sender and phone, and reference.
    used: HashMap<(u64, u16), Use>,
    sets: HashMap<u64, Set>,
}

/// References in use. Remembered for ten to twenty minutes, shorter past the bound.
#[derive(Debug, Default)]
pub struct References {
    recent: Generation,
    older: Generation,
    turned_us: u64,
}

impl References {
    /// A reference for a text that is cut here.
    pub fn next(&mut self, message: &Message, narrow: bool, now_us: u64) -> u16 {
        self.turn(now_us);
        // Anywhere, so that after a restart it doesn't start where it started before.
        let reference = self.free(pair_of(message), (message.id.0 / 7) as u16, if narrow { NARROW_MAX } else { u16::MAX });
        self.recent.used.insert((pair_of(message), reference), OWN_USE);
        reference
    }

    /// The reference for a part that upstream cut: its own, or that of its set.
    fn pass(&mut self, message: &Message, part: Part, now_us: u64) -> u16 {
        self.turn(now_us);
        let (pair, name) = (pair_of(message), set_of(message, part));
        let seen = (part.number, digest_of(message));
        if let Some(mut set) = self.take_set(name) {
            let before = set.parts.iter().find(|(number, _)| *number == part.number).copied();
            if before.is_none_or(|before| before == seen) {
                if before.is_none() {
                    set.parts.push(seen);
                }
                let reference = set.reference;
                self.keep(pair, name, part.reference, set);
                return reference;
            }
        }
        let reference = match self.is_used(pair, part.reference) {
            true => self.free(pair, (name >> 32) as u16, if part.reference > NARROW_MAX { u16::MAX } else { NARROW_MAX }),
            false => part.reference,
        };
        self.keep(pair, name, part.reference, Set { reference, parts: vec![seen] });
        reference
    }

    /// The carrier of a part's set, or `first` from now on.
    pub fn carrier(&mut self, message: &Message, part: Part, first: CarrierId, now_us: u64) -> CarrierId {
        self.turn(now_us);
        let pair = pair_of(message);
        let mut by =
            self.used_by(pair, part.reference).unwrap_or(Use { set: set_of(message, part), carrier: None, upstream: part.reference });
        let carrier = *by.carrier.get_or_insert(first);
        self.recent.used.insert((pair, part.reference), by);
        carrier
    }

    fn keep(&mut self, pair: u64, name: u64, upstream: u16, set: Set) {
        let carrier = self.used_by(pair, set.reference).filter(|by| by.set == name).and_then(|by| by.carrier);
        self.recent.used.insert((pair, set.reference), Use { set: name, carrier, upstream });
        self.recent.sets.insert(name, set);
    }

    fn take_set(&mut self, name: u64) -> Option<Set> {
        self.recent.sets.remove(&name).or_else(|| self.older.sets.remove(&name))
    }

    fn turn(&mut self, now_us: u64) {
        let is_full = self.recent.used.len() >= USED_MAX || self.recent.sets.len() >= USED_MAX;
        if now_us > self.turned_us + KEPT_US || is_full {
            self.older = std::mem::take(&mut self.recent);
            if now_us > self.turned_us + 2 * KEPT_US {
                self.older = Generation::default();
            }
            self.turned_us = now_us;
        }
    }

    fn used_by(&self, pair: u64, reference: u16) -> Option<Use> {
        let key = (pair, reference);
        self.recent.used.get(&key).or_else(|| self.older.used.get(&key)).copied()
    }

    fn is_used(&self, pair: u64, reference: u16) -> bool {
        self.used_by(pair, reference).is_some()
    }

    /// The first free one from `start` on; `start` itself where all are in use.
    fn free(&self, pair: u64, start: u16, mask: u16) -> u16 {
        let candidates = (0..=mask).map(|step| start.wrapping_add(step) & mask);
        candidates.into_iter().find(|&reference| !self.is_used(pair, reference)).unwrap_or(start & mask)
    }

    /// Recovery: this set has this reference.
    pub(super) fn renamed(&mut self, pair: u64, name: u64, [upstream, reference]: [u16; 2], now_us: u64) {
        self.turn(now_us);
        self.add_part(pair, name, [upstream, reference], None);
    }

    /// Recovery: this part was taken.
    fn taken_before(&mut self, message: &Message, part: Part, now_us: u64) {
        self.turn(now_us);
        let pair = pair_of(message);
        let by = self.used_by(pair, part.reference).filter(|by| by.set != OWN);
        let (name, upstream) = by.map_or_else(|| (set_of(message, part), part.reference), |by| (by.set, by.upstream));
        self.add_part(pair, name, [upstream, part.reference], Some((part.number, digest_of(message))));
    }

    fn add_part(&mut self, pair: u64, name: u64, [upstream, reference]: [u16; 2], seen: Option<(u8, u32)>) {
        let before = self.take_set(name).filter(|set| set.reference == reference);
        let mut set = before.unwrap_or(Set { reference, parts: Vec::new() });
        if let Some(seen) = seen.filter(|seen| !set.parts.contains(seen)) {
            set.parts.push(seen);
        }
        self.keep(pair, name, upstream, set);
    }

    /// All of it for the ledger, which outlives the journal's groups: pair, reference, set and (of a set) its carrier and its parts, in
    /// order of pair and reference.
    pub(super) fn to_octets(&self) -> Vec<u8> {
        let mut all: Vec<_> = self.older.used.iter().chain(&self.recent.used).map(|(key, by)| (*key, *by)).collect();
        all.sort_unstable();
        let mut out = Vec::new();
        for ((pair, reference), Use { set: name, carrier, upstream }) in all {
            let set = self.recent.sets.get(&name).or_else(|| self.older.sets.get(&name)).filter(|set| set.reference == reference);
            let parts = set.map_or(&[][..], |set| &set.parts[..set.parts.len().min(255)]);
            out.extend_from_slice(&pair.to_le_bytes());
            out.extend_from_slice(&reference.to_le_bytes());
            out.extend_from_slice(&name.to_le_bytes());
            out.extend_from_slice(&upstream.to_le_bytes());
            out.extend_from_slice(&carrier.map_or(NO_CARRIER, |carrier| carrier.0).to_le_bytes());
            out.push(parts.len() as u8);
            for (number, digest) in parts {
                out.push(*number);
                out.extend_from_slice(&digest.to_le_bytes());
            }
        }
        out
    }

    /// What [`References::to_octets`] wrote; what can't be read any more is left out.
    pub(super) fn read(&mut self, octets: &[u8], now_us: u64) {
        self.turn(now_us);
        let mut rest = octets;
        while let Some((head, tail)) = rest.split_first_chunk::<ENTRY>() {
            let number = |from: usize| head[from..from + 8].try_into().map_or(0, u64::from_le_bytes);
            let (pair, reference, name) = (number(0), u16::from_le_bytes([head[8], head[9]]), number(10));
            let Some((parts, after)) = tail.split_at_checked(usize::from(head[ENTRY - 1]) * PART) else { return };
            let parts: Vec<_> = parts.chunks_exact(PART).map(|p| (p[0], u32::from_le_bytes([p[1], p[2], p[3], p[4]]))).collect();
            let upstream = u16::from_le_bytes([head[18], head[19]]);
            let carrier = Some(u16::from_le_bytes([head[20], head[21]])).filter(|&carrier| carrier != NO_CARRIER).map(CarrierId);
            self.recent.used.insert((pair, reference), Use { set: name, carrier, upstream });
            if !parts.is_empty() {
                self.recent.sets.insert(name, Set { reference, parts });
            }
            rest = after;
        }
    }
}

/// Names a sender and a phone.
fn pair_of(message: &Message) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&message.source.digits);
    hash.update(&[0xff]);
    hash.update(&message.number.to_le_bytes());
    hash.digest()
}

/// Names the set of parts that belong together; never that of our own texts.
fn set_of(message: &Message, part: Part) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&message.account.0.to_le_bytes());
    hash.update(&message.source.digits);
    hash.update(&[0xff]);
    hash.update(&message.number.to_le_bytes());
    hash.update(&part.reference.to_le_bytes());
    hash.update(&[part.total]);
    hash.digest().max(OWN + 1)
}

fn digest_of(message: &Message) -> u32 {
    xxh3_64(message.body.text()) as u32
}

impl Engine {
    /// A part that upstream cut is about to be taken: where its reference is in use, it gets that of its set.
    pub(super) fn name_part(&mut self, message: &mut Message) {
        let Some(part) = message.part else { return };
        let reference = self.references.pass(message, part, self.now.mono_us);
        if reference != part.reference {
            let (pair, set) = (pair_of(message), set_of(message, part));
            self.record(&Event::Renamed { pair, set, upstream: part.reference, reference });
            message.part = Some(Part { reference, ..part });
            udh::rewrite_reference(&mut message.body.octets, reference);
        }
    }

    /// A part whose reference was changed, as its sender handed it in; `None`: it is so already.
    pub(super) fn as_handed_in(&self, message: &Message) -> Option<Message> {
        let part = message.part?;
        let by = self.references.used_by(pair_of(message), part.reference).filter(|by| by.set != OWN && by.upstream != part.reference)?;
        let mut before = message.clone();
        before.part = Some(Part { reference: by.upstream, ..part });
        udh::rewrite_reference(&mut before.body.octets, by.upstream);
        Some(before)
    }

    /// Recovery: what was taken before the process ended keeps its set together afterwards.
    pub(super) fn part_taken_before(&mut self, message: &Message) {
        if let Some(part) = message.part {
            self.references.taken_before(message, part, self.now.mono_us);
        }
    }

    /// Recovery: a carrier had taken a part. Its reference stays in use.
    pub(super) fn sent_before(&mut self, id: MessageId, parts: u8, carrier: CarrierId, reference: u16) {
        let Some(entry) = self.messages.get(&id) else { return };
        if parts > 1 {
            self.references.recent.used.insert((pair_of(&entry.message), reference), OWN_USE);
        }
        self.stays_with(id, carrier);
    }

    /// Recovery: a part may be with this carrier. Its set stays there.
    pub(super) fn stays_with(&mut self, id: MessageId, carrier: CarrierId) {
        let Some(entry) = self.messages.get(&id) else { return };
        if let Some(part) = entry.message.part {
            self.references.carrier(&entry.message, part, carrier, self.now.mono_us);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountId, Address, Body, Class, Encoding};

    const MINUTE_US: u64 = 60_000_000;

    fn part(account: u32, reference: u16, number: u8, text: &str) -> Message {
        let octets = text.as_bytes().into();
        Message {
            id: MessageId(7_000_000),
            part: Some(Part { reference, total: 2, number }),
            ..Message::new(
                AccountId(account),
                Class::Transactional,
                [Address::new(5, 0, b"SHOP").unwrap(), Address::new(1, 1, b"8613800138000").unwrap()],
                crate::number::pack(b"8613800138000").unwrap(),
                Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets },
            )
        }
    }

    fn passed(references: &mut References, message: &Message, now_us: u64) -> u16 {
        references.pass(message, message.part.unwrap(), now_us)
    }

    #[test]
    fn a_reference_that_nobody_uses_stays_upstreams() {
        let mut references = References::default();
        let mut passed = |message| passed(&mut references, &message, 1);
        assert_eq!((passed(part(0, 5, 1, "a")), passed(part(0, 5, 2, "b"))), (5, 5));
        assert_eq!(passed(part(0, 5, 1, "a")), 5, "the same part once more");
        assert_eq!((passed(part(0, 0x1205, 2, "d")), passed(part(0, 0x1205, 1, "c"))), (0x1205, 0x1205));
    }

    #[test]
    fn another_accounts_set_gets_another_reference_of_the_same_width_for_all_its_parts() {
        for reference in [5, 0x1205] {
            let mut references = References::default();
            let mut passed = |message| passed(&mut references, &message, 1);
            assert_eq!(passed(part(0, reference, 1, "a")), reference);
            let other = passed(part(1, reference, 1, "c"));
            assert_ne!(other, reference);
            assert_eq!(other > NARROW_MAX, reference > NARROW_MAX);
            assert_eq!((passed(part(0, reference, 2, "b")), passed(part(1, reference, 2, "d"))), (reference, other));
        }
    }

    #[test]
    fn another_text_under_a_number_that_was_there_begins_another_set() {
        let mut references = References::default();
        let mut passed = |message| passed(&mut references, &message, 1);
        assert_eq!((passed(part(0, 1, 1, "a")), passed(part(0, 1, 2, "b"))), (1, 1));
        let second = passed(part(0, 1, 1, "c"));
        assert_eq!(passed(part(0, 1, 2, "d")), second);
        let third = passed(part(0, 1, 1, "e"));
        assert!(second != 1 && third != 1 && second != third);
    }

    #[test]
    fn own_texts_and_passed_sets_avoid_each_other() {
        let mut references = References::default();
        let own = Message { part: None, ..part(0, 0, 1, "") };
        let taken = references.next(&own, true, 1);
        assert_ne!(passed(&mut references, &part(0, taken, 1, "a"), 1), taken);
        assert_eq!(passed(&mut references, &part(0, taken.wrapping_add(1) & 0xff, 1, "b"), 1), taken.wrapping_add(1) & 0xff);
        let mut seen = std::collections::BTreeSet::from([taken]);
        for _ in 0..200 {
            assert!(seen.insert(references.next(&own, true, 1)));
        }
        assert!(seen.iter().all(|reference| *reference <= NARROW_MAX));
    }

    #[test]
    fn a_reference_is_free_again_after_twenty_minutes_and_not_before_ten() {
        let mut references = References::default();
        assert_eq!(passed(&mut references, &part(0, 5, 1, "a"), 1), 5);
        assert_ne!(passed(&mut references, &part(1, 5, 1, "b"), 9 * MINUTE_US), 5);
        assert_eq!(passed(&mut references, &part(2, 5, 1, "c"), 40 * MINUTE_US), 5, "two turns have passed");
    }

    #[test]
    fn what_the_ledger_keeps_is_all_of_it() {
        let mut references = References::default();
        passed(&mut references, &part(0, 5, 1, "a"), 1);
        let renamed = passed(&mut references, &part(1, 5, 1, "b"), 1);
        let own = references.next(&Message { part: None, ..part(0, 0, 1, "") }, true, 1);
        let mut again = References::default();
        again.read(&references.to_octets(), 1);
        assert_eq!(again.to_octets(), references.to_octets());
        assert_eq!(passed(&mut again, &part(1, 5, 2, "c"), 1), renamed);
        assert_ne!(passed(&mut again, &part(1, 5, 1, "d"), 1), renamed, "part 1 was there");
        assert_ne!(passed(&mut again, &part(2, own, 1, "e"), 1), own);
        again.read(&[7; 50], 1);
    }

    #[test]
    fn other_phones_and_senders_have_references_of_their_own() {
        let mut references = References::default();
        let message = part(0, 5, 1, "a");
        let phone = Message { account: AccountId(1), number: message.number + 1, ..message.clone() };
        let sender = Message { account: AccountId(1), source: Address::new(5, 0, b"BANK").unwrap(), ..message.clone() };
        assert_eq!([message, phone, sender].map(|message| passed(&mut references, &message, 1)), [5, 5, 5]);
    }
}
