//! What one account handed in within a span of time: keys of texts, or identities, each with the id of the message that was made of it.
//!
//! Entries stand in *generations* by time, of which the oldest is dropped whole when all of it is past the span, or when the account has more entries than
//! it may. An id tells when it was made, so whether an entry is within the span is exact. In the ledger a generation is a row of chunks of
//! [`PER_CHUNK`] entries that are written once, and one last chunk that is written anew while it grows: a walk writes what came since the last one, not all.

use super::table::Table;
use crate::model::MessageId;
use std::collections::VecDeque;

/// Entries of a chunk: some 64 KiB.
pub const PER_CHUNK: usize = 4_096;
/// Tables of a generation. A table grows at once; small ones don't hold up a step.
const SHARDS: usize = 16;
/// A generation holds at most this part of the entries that an account may have, and of the span of time.
const PARTS_BY_COUNT: usize = 2;
const PARTS_BY_TIME: u64 = 2;

/// How long and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// An entry counts for so long, milliseconds.
    pub window_ms: u64,
    /// Entries that may be remembered; the oldest go first.
    pub max_entries: usize,
}

/// One entry: key and id.
pub type Entry = (u64, MessageId);

#[derive(Debug)]
struct Generation {
    number: u64,
    /// When its first and its last entry were made, wall milliseconds.
    first_ms: u64,
    last_ms: u64,
    tables: Vec<Table>,
    entries: usize,
    /// Full chunks of the ledger that hold it.
    chunks: Vec<u64>,
    /// The chunk that holds the first `saved` of `tail`; 0 for none.
    tail_chunk: u64,
    saved: usize,
    /// Entries that are in no full chunk, in order.
    tail: Vec<Entry>,
}

impl Generation {
    fn new(number: u64, at_ms: u64) -> Generation {
        Generation {
            number,
            first_ms: at_ms,
            last_ms: at_ms,
            tables: (0..SHARDS).map(|_| Table::default()).collect(),
            entries: 0,
            chunks: Vec::new(),
            tail_chunk: 0,
            saved: 0,
            tail: Vec::new(),
        }
    }

    fn get(&self, key: u64) -> Option<MessageId> {
        self.tables[key as usize % SHARDS].get(key)
    }

    fn put(&mut self, key: u64, id: MessageId) -> bool {
        self.first_ms = self.first_ms.min(id.made_at_ms());
        self.last_ms = self.last_ms.max(id.made_at_ms());
        let is_new = self.tables[key as usize % SHARDS].insert(key, id);
        self.entries += usize::from(is_new);
        is_new
    }
}

/// The entries of one account.
#[derive(Debug, Default)]
pub struct Window {
    /// Oldest first.
    generations: VecDeque<Generation>,
    entries: usize,
    last_number: u64,
    pushed_out: u64,
    /// Chunks of generations that are gone.
    dead: Vec<u64>,
}

impl Window {
    /// The message made of `key` within the span before `now_ms`.
    pub fn find(&self, key: u64, now_ms: u64, span: Span) -> Option<MessageId> {
        let id = self.generations.iter().rev().find_map(|generation| generation.get(key))?;
        (now_ms.saturating_sub(id.made_at_ms()) < span.window_ms).then_some(id)
    }

    /// Remembers that `id` was made of `key`. What generations there are afterwards follows from the entries and their order alone.
    pub fn insert(&mut self, key: u64, id: MessageId, span: Span) {
        let at_ms = id.made_at_ms();
        let is_over = |newest: &Generation| {
            at_ms.saturating_sub(newest.first_ms) >= span.window_ms.div_ceil(PARTS_BY_TIME)
                || newest.entries >= span.max_entries.div_ceil(PARTS_BY_COUNT)
        };
        if self.generations.back().is_none_or(is_over) {
            self.last_number += 1;
            self.generations.push_back(Generation::new(self.last_number, at_ms));
            self.forget_old(at_ms, span);
        }
        if self.entries >= span.max_entries {
            self.forget_old(at_ms, span);
        }
        while self.entries >= span.max_entries && self.generations.len() > 1 {
            self.pushed_out += self.generations.front().map_or(0, |oldest| oldest.entries as u64);
            self.forget_oldest();
        }
        let Some(newest) = self.generations.back_mut() else { return };
        self.entries += usize::from(newest.put(key, id));
        newest.tail.push((key, id));
    }

    /// Drops generations that are past the span.
    pub fn forget_old(&mut self, now_ms: u64, span: Span) {
        while self.generations.front().is_some_and(|oldest| now_ms.saturating_sub(oldest.last_ms) >= span.window_ms) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.generations.pop_front() else { return };
        self.entries -= oldest.entries;
        self.dead.extend(oldest.chunks);
        self.dead.extend(Some(oldest.tail_chunk).filter(|&chunk| chunk != 0));
    }

    /// Entries remembered.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Entries that had to go before their time.
    pub fn pushed_out(&self) -> u64 {
        self.pushed_out
    }

    /// Octets of memory that the entries take, without those that the ledger doesn't have yet.
    pub fn octets(&self) -> usize {
        self.generations.iter().flat_map(|generation| &generation.tables).map(Table::octets).sum()
    }

    /// Gives every chunk that isn't in the ledger as it is now: its id, its generation, its entries. `last_chunk` is the last id that was used.
    pub fn save(&mut self, last_chunk: &mut u64, put: &mut dyn FnMut(u64, u64, &[Entry])) {
        let newest = self.last_number;
        for generation in self.generations.iter_mut().filter(|generation| !generation.tail.is_empty()) {
            if generation.saved < generation.tail.len() {
                generation.save(last_chunk, put);
            }
            if generation.number != newest {
                generation.chunks.extend(Some(std::mem::take(&mut generation.tail_chunk)).filter(|&chunk| chunk != 0));
                (generation.tail, generation.saved) = (Vec::new(), 0);
            }
        }
    }

    /// A chunk of the ledger.
    pub fn load(&mut self, number: u64, chunk: u64, entries: Vec<Entry>) {
        let Some(&(_, first)) = entries.first() else { return };
        let at = self.generations.partition_point(|generation| generation.number < number);
        if self.generations.get(at).is_none_or(|generation| generation.number != number) {
            self.generations.insert(at, Generation::new(number, first.made_at_ms()));
        }
        self.last_number = self.last_number.max(number);
        let generation = &mut self.generations[at];
        for &(key, id) in &entries {
            self.entries += usize::from(generation.put(key, id));
        }
        if entries.len() >= PER_CHUNK {
            generation.chunks.push(chunk);
        } else {
            (generation.tail_chunk, generation.saved, generation.tail) = (chunk, entries.len(), entries);
        }
    }

    /// Chunks that the ledger needn't keep any more.
    pub fn take_dead(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.dead)
    }

    /// Forgets everything.
    pub fn forget_all(&mut self) {
        while !self.generations.is_empty() {
            self.forget_oldest();
        }
    }
}

impl Generation {
    fn save(&mut self, last_chunk: &mut u64, put: &mut dyn FnMut(u64, u64, &[Entry])) {
        let mut full = 0;
        for entries in self.tail.chunks(PER_CHUNK) {
            let id = match std::mem::take(&mut self.tail_chunk) {
                0 => {
                    *last_chunk += 1;
                    *last_chunk
                }
                id => id,
            };
            put(id, self.number, entries);
            match entries.len() {
                PER_CHUNK => {
                    self.chunks.push(id);
                    full += PER_CHUNK;
                }
                _ => self.tail_chunk = id,
            }
        }
        self.tail.drain(..full);
        self.saved = self.tail.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use xxhash_rust::xxh3::xxh3_64;

    const SPAN: Span = Span { window_ms: 60_000, max_entries: 20_000 };
    const START_MS: u64 = 1_790_000_000_000;

    fn key(n: u64) -> u64 {
        xxh3_64(&n.to_le_bytes())
    }

    /// The id that is made at this time, as the `n`th.
    fn id(at_ms: u64, n: u64) -> MessageId {
        let mut ids = crate::model::id::MessageIds::new(1);
        MessageId(ids.next(at_ms).0 + n % 1000)
    }

    #[test]
    fn an_entry_counts_exactly_as_long_as_the_span() {
        let mut window = Window::default();
        window.insert(key(1), id(START_MS, 0), SPAN);
        assert_eq!(window.find(key(1), START_MS + 59_999, SPAN), Some(id(START_MS, 0)));
        assert_eq!(window.find(key(1), START_MS + 60_000, SPAN), None);
        assert_eq!(window.find(key(2), START_MS, SPAN), None);
        // Again, and the later one counts from then on.
        window.insert(key(1), id(START_MS + 70_000, 0), SPAN);
        assert_eq!(window.find(key(1), START_MS + 129_999, SPAN), Some(id(START_MS + 70_000, 0)));
    }

    #[test]
    fn what_is_past_the_span_is_dropped_and_what_is_within_it_is_not() {
        let mut window = Window::default();
        for n in 0..600 {
            window.insert(key(n), id(START_MS + n * 1000, n), SPAN);
            for back in 0..60.min(n) {
                assert!(window.find(key(n - back), START_MS + n * 1000, SPAN).is_some(), "{n} - {back}");
            }
            assert!(window.entries() <= 91 && window.generations.len() <= 4, "{} in {}", window.entries(), window.generations.len());
        }
        assert_eq!(window.pushed_out(), 0);
        window.forget_old(START_MS + 600_000 + 60_000, SPAN);
        assert_eq!(window.entries(), 0);
    }

    #[test]
    fn past_the_bound_the_oldest_go_first() {
        let mut window = Window::default();
        for n in 0..50_000 {
            window.insert(key(n), id(START_MS + n / 100, n), SPAN);
            assert!(window.entries() <= 20_000);
        }
        assert!(window.pushed_out() >= 30_000);
        assert!((40_000..50_000).all(|n| window.find(key(n), START_MS + 500, SPAN).is_some()), "at least half is kept");
        assert_eq!(window.find(key(0), START_MS + 500, SPAN), None);
    }

    /// A ledger of chunks, and the window that comes back from it.
    fn reload(chunks: &BTreeMap<u64, (u64, Vec<Entry>)>) -> Window {
        let mut window = Window::default();
        chunks.iter().for_each(|(&id, (generation, entries))| window.load(*generation, id, entries.clone()));
        window
    }

    #[test]
    fn what_was_saved_comes_back_and_a_save_writes_only_what_came_since() {
        let (mut window, mut chunks, mut last) = (Window::default(), BTreeMap::new(), 0);
        for round in 0..20u64 {
            for n in round * 1500..(round + 1) * 1500 {
                window.insert(key(n), id(START_MS + n * 3, n), SPAN);
            }
            let mut written = 0;
            window.save(&mut last, &mut |id, generation, entries| {
                written += entries.len();
                chunks.insert(id, (generation, entries.to_vec()));
            });
            assert!(written <= 1500 + 2 * PER_CHUNK, "{written}");
            window.take_dead().iter().for_each(|id| assert!(chunks.remove(id).is_some()));
            let now_ms = START_MS + (round + 1) * 4500;
            let again = reload(&chunks);
            for n in 0..(round + 1) * 1500 {
                assert_eq!(again.find(key(n), now_ms, SPAN), window.find(key(n), now_ms, SPAN), "round {round}, {n}");
            }
            assert_eq!((again.entries(), again.generations.len()), (window.entries(), window.generations.len()));
            if round % 3 == 2 {
                // Life goes on from what was on disk.
                window = again;
            }
        }
        let mut written = 0;
        window.save(&mut last, &mut |_, _, _| written += 1);
        assert_eq!(written, 0, "nothing new, nothing written");
        window.forget_all();
        let mut dead = window.take_dead();
        dead.sort_unstable();
        assert_eq!(dead, chunks.keys().copied().collect::<Vec<_>>(), "every chunk is deleted in the end");
    }

    #[test]
    fn an_entry_takes_at_most_32_octets() {
        let mut window = Window::default();
        let span = Span { window_ms: 60_000, max_entries: 1_000_000 };
        for n in 0..300_000 {
            window.insert(key(n), id(START_MS, n), span);
        }
        assert!(window.octets() <= 33 * window.entries(), "{} for {}", window.octets(), window.entries());
    }
}
