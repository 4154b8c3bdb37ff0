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

    /// The position behind which there are about `bound` octets.
    fn floor(&self, bound: u64) -> u64 {
        let all = self.octets.load(Ordering::Relaxed);
        let mut extent = self.extent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut floor = 0;
        while let Some(&(position, octets)) = extent.marks.front()
            && octets + bound < all
        {
            floor = position;
            extent.marks.pop_front();
        }
        if floor > 0 {
            // Told again as long as nothing newer is known.
            extent.marks.push_front((floor, all.saturating_sub(bound + 1)));
        }
        floor
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
