//! Things that are to happen later, in buckets of one millisecond: what is due is taken by the bucket, so that a timer
//! costs a push and not a task.

use std::collections::BTreeMap;

/// Items by the millisecond at which they are due, in order of adding within it.
#[derive(Debug)]
pub struct Agenda<T> {
    /// The bucket that was added to last; most items of one batch share it.
    open: Vec<T>,
    open_ms: u64,
    buckets: BTreeMap<u64, Vec<T>>,
    spare: Vec<Vec<T>>,
    len: usize,
}

/// Empty buckets kept for reuse.
const SPARE_MAX: usize = 16;

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Agenda { open: Vec::new(), open_ms: 0, buckets: BTreeMap::new(), spare: Vec::new(), len: 0 }
    }
}

impl<T> Agenda<T> {
    /// Adds `item`, due at `due_us` rounded up to a millisecond.
    pub fn add(&mut self, due_us: u64, item: T) {
        let ms = due_us.div_ceil(1000);
        if ms != self.open_ms {
            self.switch_to(ms);
        }
        self.open.push(item);
        self.len += 1;
    }

    fn switch_to(&mut self, ms: u64) {
        let next = self.buckets.remove(&ms).or_else(|| self.spare.pop()).unwrap_or_default();
        let last = std::mem::replace(&mut self.open, next);
        if last.is_empty() {
            self.keep(last);
        } else {
            self.buckets.insert(self.open_ms, last);
        }
        self.open_ms = ms;
    }

    fn keep(&mut self, bucket: Vec<T>) {
        if self.spare.len() < SPARE_MAX && bucket.capacity() > 0 {
            self.spare.push(bucket);
        }
    }

    /// When the first item is due, microseconds.
    pub fn next_us(&self) -> Option<u64> {
        let open = (!self.open.is_empty()).then_some(self.open_ms);
        let first = self.buckets.first_key_value().map(|(ms, _)| *ms);
        [open, first].into_iter().flatten().min().map(|ms| ms * 1000)
    }

    /// Moves everything due by `now_us` to `into`, earliest first.
    pub fn take_due(&mut self, now_us: u64, into: &mut Vec<T>) {
        let now_ms = now_us / 1000;
        loop {
            let first = self.buckets.first_key_value().map(|(ms, _)| *ms);
            let open_is_first = !self.open.is_empty() && first.is_none_or(|first| self.open_ms < first);
            if open_is_first {
                if self.open_ms > now_ms {
                    return;
                }
                self.len -= self.open.len();
                into.append(&mut self.open);
            } else {
                match self.buckets.first_entry() {
                    Some(entry) if *entry.key() <= now_ms => {
                        let mut bucket = entry.remove();
                        self.len -= bucket.len();
                        into.append(&mut bucket);
                        self.keep(bucket);
                    }
                    _ => return,
                }
            }
        }
    }

    /// How many items wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Does nothing wait?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_by_due_time_and_never_early() {
        let mut agenda = Agenda::default();
        for (due, item) in [(5_000, 'c'), (1_001, 'a'), (5_000, 'd'), (2_000, 'b'), (9_000_000, 'e')] {
            agenda.add(due, item);
        }
        let mut out = Vec::new();
        agenda.take_due(1_999, &mut out);
        assert!(out.is_empty(), "1.001 ms is due at 2 ms");
        assert_eq!(agenda.next_us(), Some(2_000));
        agenda.take_due(6_000, &mut out);
        assert_eq!(out, ['a', 'b', 'c', 'd']);
        assert_eq!((agenda.len(), agenda.next_us()), (1, Some(9_000_000)));
        agenda.take_due(9_000_000, &mut out);
        assert!(agenda.is_empty() && agenda.next_us().is_none());
    }
}
