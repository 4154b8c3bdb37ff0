//! The journal's tail: its groups in order from a saved position, for whoever builds something from them, off the hot path. What was just synced comes from
//! memory ([`Feed`]: the journal's thread hands over what it has written anyway, and never waits); what did not fit there, and what came before the start, is
//! read from the journal. What is made of the groups is the consumer's.
//!
//! The journal keeps what the tail still needs, up to a bound of octets; a tail that is further behind loses its place, which is counted and told.

use super::{JournalReader, StoreError};
use crossbeam::queue::ArrayQueue;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Groups in memory that may wait for the tail, and octets in them; beyond either they are read from the journal.
const QUEUE_GROUPS: usize = 4_096;
const QUEUE_OCTETS: usize = 32 << 20;
/// How fine the feed knows how much of the journal lies behind a position.
const MARK_OCTETS: u64 = 1 << 20;
/// Marks that are remembered: of 64 GiB.
const MARKS_MAX: usize = 64 << 10;
/// Groups read from the journal at once: a longer read would keep it from using its log again.
const GROUPS_PER_READ: u32 = 64;

/// How much journal there is: octets up to positions, a mark a mebibyte.
#[derive(Debug, Default)]
struct Extent {
    marks: VecDeque<(u64, u64)>,
    octets: u64,
}

/// What the journal's thread and the tail share.
#[derive(Debug)]
pub struct Feed {
    queue: ArrayQueue<(u64, Vec<u8>)>,
    queued: AtomicUsize,
    /// The last durable position.
    last: AtomicU64,
    /// Octets written so far, since the start.
    octets: AtomicU64,
    extent: Mutex<Extent>,
    /// The first position that the tail still needs.
    needed: AtomicU64,
    /// Groups before it are gone although the tail needed them.
    lost_before: AtomicU64,
    lost: AtomicU64,
    closed: AtomicBool,
}

impl Feed {
    /// Of a journal whose last position is `last`, for a tail that needs what follows `needed`.
    pub fn new(last: u64, needed: u64) -> Feed {
        Feed {
            queue: ArrayQueue::new(QUEUE_GROUPS),
            queued: AtomicUsize::new(0),
            last: AtomicU64::new(last),
            octets: AtomicU64::new(0),
            extent: Mutex::new(Extent::default()),
            needed: AtomicU64::new(needed),
            lost_before: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// The group at `position` is durable. Called by the journal's thread; never waits.
    pub fn synced(&self, position: u64, group: Vec<u8>) {
        let octets = group.len();
        let all = self.octets.fetch_add(octets as u64, Ordering::Relaxed) + octets as u64;
        let marked = self.extent.lock().map_or(0, |extent| extent.octets);
        if all >= marked + MARK_OCTETS {
            let mut extent = self.extent.lock().unwrap_or_else(PoisonError::into_inner);
            if extent.marks.len() >= MARKS_MAX {
                extent.marks.pop_front();
            }
            extent.marks.push_back((position, all));
            extent.octets = all;
        }
        if self.queued.load(Ordering::Relaxed) + octets <= QUEUE_OCTETS && self.queue.push((position, group)).is_ok() {
            self.queued.fetch_add(octets, Ordering::Relaxed);
        }
        self.last.store(position, Ordering::Release);
    }

    /// The last durable position.
    pub fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    /// The tail needs nothing before `position` any more, whatever happens.
    pub fn keep_from(&self, position: u64) {
        self.needed.store(position, Ordering::Release);
    }

    /// From where the journal must be kept, if groups before `wanted` are to go: the tail's place, but never more than about `bound` octets of journal. The
    /// tail that needed more has lost its place when this returns.
    pub fn keep_back(&self, wanted: u64, bound: u64) -> u64 {
        let needed = self.needed.load(Ordering::Acquire);
        let floor = self.floor(bound).min(wanted);
        if needed < floor {
            self.needed.store(floor, Ordering::Release);
            self.lost_before.store(floor, Ordering::Release);
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        wanted.min(needed.max(floor))
    }

    /// The last position behind which there are more than about `bound` octets of journal; 0: there is none, as far as was written since the start.
    pub fn floor(&self, bound: u64) -> u64 {
        let all = self.octets.load(Ordering::Relaxed);
        let extent = self.extent.lock().unwrap_or_else(PoisonError::into_inner);
        let older = extent.marks.partition_point(|&(_, octets)| octets + bound < all);
        older.checked_sub(1).map_or(0, |at| extent.marks[at].0)
    }

    /// How often the tail lost its place.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// No group follows: the journal's thread has ended.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// See [`Feed::close`].
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// What a pull came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulled {
    /// A group was given; there may be more.
    Group,
    /// Nothing is there now.
    Nothing,
    /// Groups up to (without) `from` are gone: the place was lost.
    Lost {
        /// Where it goes on.
        from: u64,
    },
}

/// What a tail calls for a group: its position, its octets, and whether it came from memory (just now) or was read.
pub type EachPulled<'a> = &'a mut dyn FnMut(u64, &[u8], bool);

/// The reading end.
pub struct Tail {
    feed: std::sync::Arc<Feed>,
    reader: Box<dyn JournalReader>,
    /// The next position to be given.
    next: u64,
    /// A group from memory that is further on.
    ahead: Option<(u64, Vec<u8>)>,
}

impl Tail {
    /// Reads on from `next`.
    pub fn new(feed: std::sync::Arc<Feed>, reader: Box<dyn JournalReader>, next: u64) -> Tail {
        Tail { feed, reader, next: next.max(1), ahead: None }
    }

    /// The next position.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Gives what comes next: one group from memory, or some from the journal.
    ///
    /// # Errors
    /// The journal can't be read, or is damaged.
    pub fn pull(&mut self, each: EachPulled<'_>) -> Result<Pulled, StoreError> {
        let lost = self.feed.lost_before.load(Ordering::Acquire);
        if self.next < lost {
            self.next = lost;
            return Ok(Pulled::Lost { from: lost });
        }
        if self.ahead.is_none() {
            self.ahead = self.feed.queue.pop();
            if let Some((_, group)) = &self.ahead {
                self.feed.queued.fetch_sub(group.len(), Ordering::Relaxed);
            }
        }
        match self.ahead.take() {
            Some((position, _)) if position < self.next => Ok(Pulled::Group),
            Some((position, group)) if position == self.next => {
                self.next += 1;
                each(position, &group, true);
                Ok(Pulled::Group)
            }
            ahead => {
                let last = ahead.as_ref().map_or_else(|| self.feed.last(), |(position, _)| position - 1);
                self.ahead = ahead;
                self.read(last, each)
            }
        }
    }

    /// Reads some groups up to `last` from the journal.
    fn read(&mut self, last: u64, each: EachPulled<'_>) -> Result<Pulled, StoreError> {
        if self.next > last {
            return Ok(Pulled::Nothing);
        }
        let most = GROUPS_PER_READ.min(u32::try_from(last - self.next + 1).unwrap_or(u32::MAX));
        let next = self.reader.read(self.next, most, &mut |position, group| {
            each(position, group, false);
            Ok(())
        })?;
        if next == self.next {
            // Dropped meanwhile?
            let (first, _) = self.reader.bounds()?;
            if first > self.next {
                self.next = first;
                return Ok(Pulled::Lost { from: first });
            }
            return Err(StoreError::Corrupt { position: next, why: "missing".into() });
        }
        self.next = next;
        Ok(Pulled::Group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::EachGroup;
    use std::sync::Arc;

    /// A journal from `first` on; each group is its position.
    struct Stored(u64, Arc<Feed>);

    impl JournalReader for Stored {
        fn read(&mut self, from: u64, most: u32, each: EachGroup<'_>) -> Result<u64, StoreError> {
            if from < self.0 {
                return Ok(from);
            }
            let end = self.1.last().min(from + u64::from(most) - 1);
            (from..=end).try_for_each(|position| each(position, &position.to_le_bytes()))?;
            Ok(end + 1)
        }

        fn bounds(&mut self) -> Result<(u64, u64), StoreError> {
            Ok((self.0, self.1.last()))
        }
    }

    /// Pulls all there is: positions from memory, positions that were read, places lost.
    fn all(tail: &mut Tail) -> (Vec<u64>, Vec<u64>, Vec<u64>) {
        let (mut live, mut read, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            let pulled = tail.pull(&mut |position, _, is_live| if is_live { live.push(position) } else { read.push(position) }).unwrap();
            match pulled {
                Pulled::Group => {}
                Pulled::Nothing => return (live, read, lost),
                Pulled::Lost { from } => lost.push(from),
            }
        }
    }

    #[test]
    fn what_was_there_before_is_read_and_what_comes_is_from_memory_each_once_in_order() {
        let feed = Arc::new(Feed::new(100, 41));
        let mut tail = Tail::new(feed.clone(), Box::new(Stored(1, feed.clone())), 41);
        feed.synced(101, vec![1]);
        assert_eq!(all(&mut tail), (vec![101], (41..=100).collect(), vec![]));
        // More than memory takes: the rest is read, and what follows is from memory again.
        (102..102 + QUEUE_GROUPS as u64 + 500).for_each(|position| feed.synced(position, vec![1]));
        let last = feed.last();
        let (live, read, _) = all(&mut tail);
        assert_eq!((live.len(), read.len()), (QUEUE_GROUPS, 500));
        assert_eq!(live.into_iter().chain(read).collect::<Vec<_>>(), (102..=last).collect::<Vec<_>>());
        feed.synced(last + 1, vec![1]);
        assert_eq!(all(&mut tail).0, [last + 1]);
    }

    #[test]
    fn the_journal_is_kept_for_the_tail_up_to_a_bound_and_beyond_it_the_place_is_lost_and_counted() {
        let feed = Arc::new(Feed::new(0, 1));
        let mut tail = Tail::new(feed.clone(), Box::new(Stored(1, feed.clone())), 1);
        (1..=10).for_each(|position| feed.synced(position, vec![0; MARK_OCTETS as usize]));
        assert_eq!((feed.keep_back(8, 20 * MARK_OCTETS), feed.lost()), (1, 0), "within the bound");
        assert_eq!((feed.keep_back(2, 2 * MARK_OCTETS), feed.lost()), (2, 1), "no more than the gateway lets go");
        assert_eq!((feed.keep_back(8, 3 * MARK_OCTETS), feed.lost()), (6, 2));
        assert_eq!(all(&mut tail).2, [6]);
        feed.keep_from(11);
        assert_eq!((feed.keep_back(8, MARK_OCTETS), feed.lost()), (8, 2), "one that has followed costs nothing");
    }
}
