//! The thread that owns the journal: gathers what waits into one group, appends it, says what became durable. What is in a batch, and what
//! to do about a slow or full disk, is the engine's business.
//!
//! There is no fixed gather time. A group is whatever waits when the last sync returns; only when many tiny groups would follow each other, or when
//! nobody waits for the answer, does it wait a moment for company.

use super::tail::Feed;
use super::{Journal, StoreError};
use crossbeam::queue::ArrayQueue;
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// Settings of the journal's thread. The defaults are the measured ones.
#[derive(Debug, Clone)]
pub struct WriterSettings {
    /// A group takes no further batch beyond this many octets: a sync of more takes ten times as long on the disks measured.
    pub group_octets: usize,
    /// Batches that may wait; more are refused as `Busy`.
    pub queue_batches: usize,
    /// Octets that may wait; more are refused as `Busy`.
    pub queue_octets: usize,
    /// A group below this is tiny: its commit costs more than its content.
    pub tiny_octets: usize,
    /// How long a tiny group waits for company if another tiny one ended less than `lull` ago.
    pub gather: Duration,
    /// After this long without a commit, the next batch is appended at once.
    pub lull: Duration,
    /// How long batches that nobody waits for wait for company.
    pub company: Duration,
    /// Pause before another try when there is no space.
    pub full_retry: Duration,
    /// Who gets each group once it is synced.
    pub feed: Option<Arc<Feed>>,
}

impl Default for WriterSettings {
    fn default() -> Self {
        WriterSettings {
            group_octets: 512 << 10,
            queue_batches: 8192,
            queue_octets: 64 << 20,
            tiny_octets: 16 << 10,
            gather: Duration::from_micros(500),
            lull: Duration::from_millis(1),
            company: Duration::from_millis(5),
            full_retry: Duration::from_millis(100),
            feed: None,
        }
    }
}

/// What the thread reports, from the thread itself: the callback must be short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriterEvent {
    /// Every batch up to `batch` is durable; the last of them in the group at `position`.
    Committed {
        /// The last batch of the group.
        batch: u64,
        /// The group's position in the journal.
        position: u64,
        /// Octets of the group.
        octets: usize,
        /// How long append and sync took, in microseconds.
        sync_us: u64,
        /// From handing in the first batch of the group to its being durable, in microseconds.
        commit_us: u64,
        /// Batches in the group.
        batches: usize,
    },
    /// No space for the group that begins with `batch`. It is kept and tried again; said once until something is committed.
    Full {
        /// The first batch that waits.
        batch: u64,
    },
    /// The journal has failed. Nothing from `batch` on is known to be durable, nothing more will be.
    Poisoned {
        /// The first batch that was not acknowledged.
        batch: u64,
        /// The failure.
        why: String,
    },
}

/// Why a batch was not taken; it comes back inside.
#[derive(Debug, PartialEq, Eq)]
pub enum AppendError {
    /// Too much waits already: the disk is slow or full.
    Busy(Vec<u8>),
    /// The journal has failed, or the writer was shut down.
    Stopped(Vec<u8>),
}

/// What the thread did so far, for metrics.
#[derive(Debug, Clone)]
pub struct WriterStats {
    /// Groups committed.
    pub groups: u64,
    /// Batches in them.
    pub batches: u64,
    /// Octets in them.
    pub octets: u64,
    /// Duration of append and sync, in microseconds, up to a minute.
    pub sync_us: Histogram<u64>,
    /// Octets of a group.
    pub group_octets: Histogram<u64>,
    /// Times that a group found no space.
    pub full: u64,
}

impl WriterStats {
    fn new() -> Self {
        let histogram = |most| Histogram::new_with_bounds(1, most, 2).expect("bounds in order");
        WriterStats { groups: 0, batches: 0, octets: 0, sync_us: histogram(60_000_000), group_octets: histogram(1 << 30), full: 0 }
    }
}

enum Request {
    Append { batch: u64, events: Vec<u8>, urgent: bool, at_us: u64 },
    DropBefore(u64),
}

/// The thread works and will look at the queue again before it sleeps.
const AWAKE: u8 = 0;
/// It waits a moment for company; only an urgent batch cuts that short.
const IN_COMPANY: u8 = 1;
/// It sleeps until something comes.
const IDLE: u8 = 2;

struct Shared {
    queue: ArrayQueue<Request>,
    queued_octets: AtomicUsize,
    state: AtomicU8,
    stop: AtomicBool,
    failed: AtomicBool,
    /// When the oldest batch of the group that is being written was handed in, in microseconds since `epoch`, plus one; 0: none.
    oldest_us: AtomicU64,
    epoch: Instant,
    stats: Mutex<WriterStats>,
}

impl Shared {
    fn now_us(&self) -> u64 {
        self.epoch.elapsed().as_micros() as u64
    }
}

/// Starts the journal's thread.
#[derive(Debug)]
pub struct JournalWriter;

impl JournalWriter {
    /// Moves the journal to a thread of its own. `on_event` is called on that thread.
    pub fn spawn(
        journal: Box<dyn Journal>,
        on_event: Box<dyn FnMut(WriterEvent) + Send>,
        settings: WriterSettings,
    ) -> Result<JournalHandle, StoreError> {
        let shared = Arc::new(Shared {
            queue: ArrayQueue::new(settings.queue_batches.max(1)),
            queued_octets: AtomicUsize::new(0),
            state: AtomicU8::new(AWAKE),
            stop: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            oldest_us: AtomicU64::new(0),
            epoch: Instant::now(),
            stats: Mutex::new(WriterStats::new()),
        });
        let queue_octets = settings.queue_octets;
        let worker = Worker {
            journal,
            on_event,
            settings,
            shared: shared.clone(),
            group: Group::default(),
            carry: None,
            last_end: None,
            last_tiny: false,
            full: false,
        };
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || worker.run())
            .map_err(|error| StoreError::io("starting the journal's thread", error))?;
        Ok(JournalHandle { shared, queue_octets, waker: thread.thread().clone(), thread: Some(thread) })
    }
}

/// The engine's side of the thread. Dropping it flushes and ends the thread.
pub struct JournalHandle {
    shared: Arc<Shared>,
    queue_octets: usize,
    waker: Thread,
    thread: Option<JoinHandle<()>>,
}

impl JournalHandle {
    /// Hands a batch in; never waits. Batches are appended in the order of calls, and their numbers must grow.
    ///
    /// A group is the octets of its batches one after the other, with nothing between them. `urgent`: somebody waits for it.
    pub fn append(&self, batch: u64, events: Vec<u8>, urgent: bool) -> Result<(), AppendError> {
        let shared = &*self.shared;
        if shared.failed.load(Ordering::Acquire) || shared.stop.load(Ordering::Relaxed) {
            return Err(AppendError::Stopped(events));
        }
        let octets = events.len();
        let before = shared.queued_octets.fetch_add(octets, Ordering::Relaxed);
        // A batch larger than the bound still goes into an empty queue, or it never would.
        let too_much = before > 0 && before + octets > self.queue_octets;
        let request = Request::Append { batch, events, urgent, at_us: shared.now_us() };
        let rejected = if too_much { Some(request) } else { shared.queue.push(request).err() };
        if let Some(Request::Append { events, .. }) = rejected {
            shared.queued_octets.fetch_sub(octets, Ordering::Relaxed);
            return Err(AppendError::Busy(events));
        }
        self.wake(urgent);
        Ok(())
    }

    /// Lets the journal forget groups before `position`, between two groups. False if the queue is full: ask again later.
    pub fn drop_before(&self, position: u64) -> bool {
        let taken = self.shared.queue.push(Request::DropBefore(position)).is_ok();
        self.wake(false);
        taken
    }

    /// How long the oldest batch of the group that is being written has been waiting; zero while nothing is written.
    pub fn oldest_wait(&self) -> Duration {
        match self.shared.oldest_us.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_micros((self.shared.now_us() + 1).saturating_sub(since)),
        }
    }

    /// Octets that wait or are being written.
    pub fn queued_octets(&self) -> usize {
        self.shared.queued_octets.load(Ordering::Relaxed)
    }

    /// A copy of the figures.
    pub fn stats(&self) -> WriterStats {
        self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Appends what waits, then ends the thread. What finds no space then stays unacknowledged.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.waker.unpark();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// Wakes the thread if it sleeps for want of this. The queue was filled before the state is read, and the thread looks at the queue after it
    /// has set the state (both sequentially consistent): one of the two sees the other, so no wake-up is lost.
    fn wake(&self, urgent: bool) {
        std::sync::atomic::fence(Ordering::SeqCst);
        match self.shared.state.load(Ordering::SeqCst) {
            AWAKE => {}
            IN_COMPANY if !urgent => {}
            _ => {
                // Only one of many callers pays for the system call.
                if self.shared.state.swap(AWAKE, Ordering::SeqCst) != AWAKE {
                    self.waker.unpark();
                }
            }
        }
    }
}

impl Drop for JournalHandle {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The batches that will be one row.
#[derive(Default)]
struct Group {
    octets: Vec<u8>,
    first_batch: u64,
    last_batch: u64,
    batches: usize,
    oldest_us: u64,
    urgent: bool,
}

impl Group {
    fn add(&mut self, batch: u64, events: Vec<u8>, urgent: bool, at_us: u64) {
        if self.batches == 0 {
            (self.first_batch, self.oldest_us) = (batch, at_us);
            // The first is taken over as it is: a group of one copies nothing.
            self.octets = events;
        } else {
            self.octets.extend_from_slice(&events);
        }
        self.last_batch = batch;
        self.batches += 1;
        self.urgent |= urgent;
    }
}

struct Worker {
    journal: Box<dyn Journal>,
    on_event: Box<dyn FnMut(WriterEvent) + Send>,
    settings: WriterSettings,
    shared: Arc<Shared>,
    group: Group,
    /// A batch that did not fit into the last group.
    carry: Option<Request>,
    last_end: Option<Instant>,
    last_tiny: bool,
    full: bool,
}

impl Worker {
    fn run(mut self) {
        loop {
            let stopping = self.shared.stop.load(Ordering::SeqCst);
            self.gather();
            if self.group.batches == 0 {
                if stopping {
                    return;
                }
                self.sleep(IDLE, None);
                continue;
            }
            if !stopping {
                self.wait_for_company();
            }
            if !self.commit() {
                return;
            }
        }
    }

    /// Takes what waits, up to the size of a group. Requests to drop are done on the way: they do not touch what is being gathered.
    fn gather(&mut self) {
        while self.group.octets.len() < self.settings.group_octets {
            let Some(request) = self.carry.take().or_else(|| self.shared.queue.pop()) else { return };
            match request {
                Request::DropBefore(position) => {
                    // A poisoned journal says so at the next append.
                    let _ = self.journal.drop_before(position);
                }
                Request::Append { batch, events, urgent, at_us } => {
                    if self.group.batches > 0 && self.group.octets.len() + events.len() > self.settings.group_octets {
                        self.carry = Some(Request::Append { batch, events, urgent, at_us });
                        return;
                    }
                    self.group.add(batch, events, urgent, at_us);
                }
            }
        }
    }

    /// The two reasons to wait, see the head of this file.
    fn wait_for_company(&mut self) {
        if !self.group.urgent {
            let deadline = self.shared.epoch + Duration::from_micros(self.group.oldest_us) + self.settings.company;
            while !self.group.urgent && self.group.octets.len() < self.settings.group_octets && self.carry.is_none() {
                if self.shared.stop.load(Ordering::SeqCst) || Instant::now() >= deadline {
                    return;
                }
                self.sleep(IN_COMPANY, Some(deadline));
                self.gather();
            }
            return;
        }
        let just_now = self.last_end.is_some_and(|end| end.elapsed() < self.settings.lull);
        if self.last_tiny && just_now && self.group.octets.len() < self.settings.tiny_octets {
            // Asleep, not waiting on the queue: each batch that comes in would wake this thread, which is the cost to be saved.
            std::thread::sleep(self.settings.gather);
            self.gather();
        }
    }

    /// Sleeps until something comes that ends this state, or until the deadline.
    fn sleep(&mut self, state: u8, deadline: Option<Instant>) {
        self.shared.state.store(state, Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
        // In company the queue is not looked at: an urgent batch that came before the state was set must still end the wait, so it is
        // gathered once more here.
        let before = self.group.batches;
        self.gather();
        let news = self.group.batches > before || self.carry.is_some();
        let wake = match state {
            IDLE => news,
            _ => self.group.urgent || self.carry.is_some(),
        };
        if !wake && !self.shared.stop.load(Ordering::SeqCst) {
            match deadline {
                None => std::thread::park(),
                Some(deadline) => std::thread::park_timeout(deadline.saturating_duration_since(Instant::now())),
            }
        }
        self.shared.state.store(AWAKE, Ordering::SeqCst);
    }

    /// Appends the group and reports; false if the thread is to end.
    fn commit(&mut self) -> bool {
        let group = std::mem::take(&mut self.group);
        self.shared.oldest_us.store(group.oldest_us + 1, Ordering::Relaxed);
        let octets = group.octets.len();
        loop {
            let start = Instant::now();
            match self.journal.append(&group.octets) {
                Ok(position) => {
                    let end = Instant::now();
                    let sync_us = end.duration_since(start).as_micros() as u64;
                    (self.last_end, self.last_tiny, self.full) = (Some(end), octets < self.settings.tiny_octets, false);
                    self.shared.queued_octets.fetch_sub(octets, Ordering::Relaxed);
                    self.shared.oldest_us.store(0, Ordering::Relaxed);
                    self.count(&group, sync_us);
                    let Group { last_batch: batch, batches, oldest_us, octets: written, .. } = group;
                    let commit_us = (self.shared.now_us()).saturating_sub(oldest_us);
                    (self.on_event)(WriterEvent::Committed { batch, position, octets, sync_us, commit_us, batches });
                    // After the yes is on its way.
                    if let Some(feed) = &self.settings.feed {
                        feed.synced(position, written);
                    }
                    return true;
                }
                Err(StoreError::Full { .. }) => {
                    self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner).full += 1;
                    if !std::mem::replace(&mut self.full, true) {
                        (self.on_event)(WriterEvent::Full { batch: group.first_batch });
                    }
                    if self.shared.stop.load(Ordering::SeqCst) {
                        return false;
                    }
                    // Never skipped: what is committed later would acknowledge this too.
                    std::thread::park_timeout(self.settings.full_retry);
                }
                Err(error) => {
                    self.shared.failed.store(true, Ordering::Release);
                    (self.on_event)(WriterEvent::Poisoned { batch: group.first_batch, why: error.to_string() });
                    return false;
                }
            }
        }
    }

    fn count(&self, group: &Group, sync_us: u64) {
        let mut stats = self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.groups += 1;
        stats.batches += group.batches as u64;
        stats.octets += group.octets.len() as u64;
        stats.sync_us.saturating_record(sync_us.max(1));
        stats.group_octets.saturating_record((group.octets.len() as u64).max(1));
    }
}
