//! What a simulated carrier remembers of submits: parts for which one receipt comes in all, and states for query_sm. Bounded; the oldest goes first.

use super::delivery::{IdText, Party};
use crate::model::message::Part;
use crate::model::state::ReceiptState;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::hash::Hash;

/// Sets of parts, and states, that are remembered.
const REMEMBERED_MAX: usize = 50_000;

/// A map that forgets the oldest beyond its bound.
#[derive(Debug)]
struct Recent<K, V> {
    map: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Hash + Eq + Clone, V> Default for Recent<K, V> {
    fn default() -> Self {
        Recent { map: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    fn insert(&mut self, key: K, value: V) {
        if self.map.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.map.remove(&oldest);
        }
    }
}

/// Which parts make one text: sender, phone, reference, number of parts.
type SetKey = (Party, Party, u16, u8);

/// See the module.
#[derive(Debug, Default)]
pub struct Memory {
    sets: Recent<SetKey, Vec<u8>>,
    states: Recent<IdText, (ReceiptState, u64)>,
}

impl Memory {
    /// A part was taken; true if its text is whole now.
    pub fn completes(&mut self, source: Party, destination: Party, part: Part) -> bool {
        let key = (source, destination, part.reference, part.total);
        let mut seen = self.sets.map.get(&key).cloned().unwrap_or_default();
        // What was whole begins anew.
        if seen.len() == usize::from(part.total) {
            seen.clear();
        }
        if !seen.contains(&part.number) {
            seen.push(part.number);
        }
        let whole = seen.len() == usize::from(part.total);
        self.sets.insert(key, seen);
        whole
    }

    /// The message of this id will be in `state` from `at_ms` on.
    pub fn will_be(&mut self, id: IdText, state: ReceiptState, at_ms: u64) {
        self.states.insert(id, (state, at_ms));
    }

    /// The state of a message, and when it reached it (0 if it isn't final).
    pub fn state(&self, id: &[u8], now_ms: u64) -> Option<(ReceiptState, u64)> {
        let id = IdText::try_from(id).ok()?;
        let &(state, at_ms) = self.states.map.get(&id)?;
        Some(if at_ms <= now_ms { (state, at_ms) } else { (ReceiptState::Enroute, 0) })
    }
}
