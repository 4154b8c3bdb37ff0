//! The engine's task and the threads of its stores: carries inputs in, outputs out, and the disk's state to the engine. One wake of this task
//! takes everything that waits.

use super::asides::Aside;
use super::lines::{Line, Lines};
use crate::engine::Engine;
use crate::engine::port::{DiskState, Input, Output};
use crate::http::desk::Desk;
use crate::link::lists::ListsDesk;
use crate::link::registry::Registry;
use crate::link::submissions::SubmissionsDesk;
use crate::model::clock::SystemClock;
use crate::records::Records;
use crate::store::ledger_writer::{LedgerEvent, LedgerHandle, LedgerWriter};
use crate::store::local::{LocalJournal, LocalLedger, free_space};
use crate::store::space::{SpaceGauge, SpaceLevel};
use crate::store::writer::{AppendError, JournalHandle, JournalWriter, WriterEvent, WriterSettings};
use crate::store::{LedgerUpdate, StoreError};
use crate::telemetry::{EngineSnapshot, JournalSnapshot, RecordsSnapshot, Telemetry};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// Batches of inputs taken in one step.
const BATCHES_PER_STEP: usize = 256;
/// How often the disk's state is looked at.
const DISK_LOOK: Duration = Duration::from_millis(100);
/// How often the figures are published.
const PUBLISH: Duration = Duration::from_secs(1);

/// Journal and ledger, each on a thread of its own, and what they say.
pub struct Stores {
    journal: JournalHandle,
    ledger: LedgerHandle,
    space: SpaceGauge,
    /// `Committed` and `LedgerApplied`, and failures.
    events: mpsc::UnboundedReceiver<StoreEvent>,
    /// Batches that the journal's thread had no room for, in order.
    backlog: VecDeque<(u64, Vec<u8>, bool)>,
    updates: u64,
    absorbed: u64,
    waiting_update: Option<Box<LedgerUpdate>>,
    /// Updates that are not the engine's and are being made durable, in order, and who waits for each.
    asides: VecDeque<(u64, oneshot::Sender<()>)>,
    last_aside: u64,
    /// What the ledger's thread had no room to be asked for; the engine asks for a few at a time.
    unread: VecDeque<Unread>,
    records: Option<Recording>,
}

/// The records, for which the journal is kept longer.
pub struct Recording {
    /// The way to them.
    pub records: Records,
    /// Their thread.
    pub thread: std::thread::JoinHandle<()>,
    /// Octets of journal that may be kept for them.
    pub max_behind_octets: u64,
}

/// Something to be read from the ledger.
#[derive(Clone, Copy)]
enum Unread {
    Chunk(u64),
    Page(u8, u64),
}

/// Updates of the ledger that are not the engine's have numbers from here on.
const ASIDE: u64 = 1 << 63;

enum StoreEvent {
    Input(Input),
    /// An update that is not the engine's is durable.
    Aside(u64),
    Failed(String),
}

impl Stores {
    /// Moves both to their threads. The queue of events is bounded by the journal's own queue: one event a group.
    pub fn start(
        journal: LocalJournal,
        ledger: LocalLedger,
        space: SpaceGauge,
        telemetry: Arc<Telemetry>,
        records: Option<Recording>,
    ) -> Result<Stores, StoreError> {
        let (sender, events) = mpsc::unbounded_channel();
        let said = sender.clone();
        let on_journal = move |event| {
            let event = match event {
                WriterEvent::Committed { batch, position, octets, sync_us, commit_us, batches } => {
                    telemetry.journal_committed(batches as u64, octets as u64, commit_us, sync_us);
                    StoreEvent::Input(Input::Committed { batch, position })
                }
                WriterEvent::Full { .. } => StoreEvent::Input(Input::Disk(DiskState::Reserve)),
                WriterEvent::Poisoned { why, .. } => StoreEvent::Failed(why),
            };
            // Nobody listens any more only while the gateway ends.
            let _ = said.send(event);
        };
        let on_ledger = move |event| {
            // As above: nobody listens only while the gateway ends. A full disk is told by the gauge of space.
            let _ = match event {
                LedgerEvent::Applied { number, .. } if number >= ASIDE => sender.send(StoreEvent::Aside(number)),
                LedgerEvent::Applied { .. } => sender.send(StoreEvent::Input(Input::LedgerApplied)),
                LedgerEvent::Failed { why, .. } => sender.send(StoreEvent::Failed(why)),
                LedgerEvent::Found { id, chunk } => {
                    let found = chunk.map(|(chunk, dead)| (chunk.octets, dead));
                    sender.send(StoreEvent::Input(Input::Chunk { id, found }))
                }
                LedgerEvent::FoundPage { kind, id, octets: found } => sender.send(StoreEvent::Input(Input::Page { kind, id, found })),
                LedgerEvent::Full { .. } => Ok(()),
            };
        };
        let feed = records.as_ref().map(|records| Arc::clone(records.records.feed()));
        let journal = JournalWriter::spawn(Box::new(journal), Box::new(on_journal), WriterSettings { feed, ..WriterSettings::default() })?;
        let ledger = LedgerWriter::spawn(Box::new(ledger), Box::new(on_ledger))?;
        Ok(Stores {
            journal,
            ledger,
            space,
            events,
            backlog: VecDeque::new(),
            updates: 0,
            absorbed: 0,
            waiting_update: None,
            asides: VecDeque::new(),
            last_aside: ASIDE,
            unread: VecDeque::new(),
            records,
        })
    }

    fn append(&mut self, batch: u64, events: Vec<u8>, urgent: bool) {
        self.backlog.push_back((batch, events, urgent));
        self.push_backlog();
    }

    fn push_backlog(&mut self) {
        while let Some((batch, events, urgent)) = self.backlog.pop_front() {
            match self.journal.append(batch, events, urgent) {
                Ok(()) => {}
                Err(AppendError::Busy(events)) => return self.backlog.push_front((batch, events, urgent)),
                // The failure itself is reported as an event.
                Err(AppendError::Stopped(_)) => return,
            }
        }
    }

    fn update(&mut self, update: Box<LedgerUpdate>) {
        self.absorbed = update.absorbed;
        self.updates += 1;
        self.waiting_update = self.ledger.apply(self.updates, update).err();
    }

    /// Hands in an update that is not the engine's. The one who waits learns that it can't be had by the end of the channel.
    fn aside(&mut self, (update, done): Aside) {
        self.last_aside += 1;
        if self.ledger.apply(self.last_aside, update).is_ok() {
            self.asides.push_back((self.last_aside, done));
        }
    }

    fn read(&mut self, what: Unread) {
        self.unread.push_back(what);
        self.push_reads();
    }

    fn push_reads(&mut self) {
        while let Some(&what) = self.unread.front()
            && self.waiting_update.is_none()
            && self.ask(what)
        {
            self.unread.pop_front();
        }
    }

    fn ask(&self, what: Unread) -> bool {
        match what {
            Unread::Chunk(id) => self.ledger.read(id),
            Unread::Page(kind, id) => self.ledger.read_page(kind, id),
        }
    }

    /// From where the journal must be kept, if the engine needs it from `wanted` on.
    fn keep_back(&self, wanted: u64) -> u64 {
        let Some(recording) = &self.records else { return wanted };
        let feed = recording.records.feed();
        let lost = feed.lost();
        let position = feed.keep_back(wanted, recording.max_behind_octets);
        if feed.lost() > lost {
            tracing::error!(position, "records are further behind than records.max_behind_bytes: they lose their place in the journal");
        }
        position
    }

    fn disk(&self, slow: Duration) -> DiskState {
        if self.space.level() == SpaceLevel::Reserve {
            DiskState::Reserve
        } else if !self.backlog.is_empty() || self.journal.oldest_wait() > slow {
            DiskState::Slow
        } else {
            DiskState::Ok
        }
    }
}

/// Everything that the engine's task owns.
pub struct EngineTask {
    pub engine: Engine,
    pub inputs: mpsc::Receiver<Vec<Input>>,
    /// The way back to the engine for what was asked elsewhere.
    pub back: mpsc::WeakSender<Vec<Input>>,
    pub stores: Stores,
    pub registry: Arc<Registry>,
    /// Where requests about lists wait.
    pub lists: Arc<ListsDesk>,
    /// Where batches of messages wait that came by no session.
    pub submissions: Arc<SubmissionsDesk>,
    /// Where operators wait.
    pub desk: Arc<Desk>,
    /// What others want kept in the ledger.
    pub asides: mpsc::Receiver<Aside>,
    pub telemetry: Arc<Telemetry>,
    pub clock: SystemClock,
    pub disk_slow: Duration,
    /// For the metrics.
    pub disk_reserve_bytes: u64,
    pub fail: watch::Sender<Option<String>>,
    pub directory: PathBuf,
    /// The engine's figures, once a second.
    pub figures: watch::Sender<Arc<EngineSnapshot>>,
    /// What the log tells of them.
    pub lines: Lines,
}

impl EngineTask {
    /// Runs until all links have let go of the engine, then flushes the journal.
    pub async fn run(mut self) {
        let mut batches = Vec::with_capacity(BATCHES_PER_STEP);
        let mut inputs = Vec::new();
        let mut outputs = Vec::new();
        let mut disk = DiskState::Ok;
        let (mut look, mut publish) = (interval(DISK_LOOK), interval(PUBLISH));
        look.set_missed_tick_behavior(MissedTickBehavior::Skip);
        publish.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let far = Duration::from_secs(86_400);
        let sleep = sleep_until(Instant::now() + far);
        tokio::pin!(sleep);
        loop {
            let deadline = self.engine.deadline();
            let at = deadline.map_or(Instant::now() + far, |us| Instant::from_std(self.clock.instant_at(us)));
            if deadline.is_some() && at <= Instant::now() {
                // Due already: a look at the queues without sleeping, and others get their turn.
                tokio::task::yield_now().await;
            } else {
                sleep.as_mut().reset(at);
                tokio::select! {
                    taken = self.inputs.recv_many(&mut batches, BATCHES_PER_STEP) => if taken == 0 { break },
                    event = self.stores.events.recv() => self.heard(event, &mut inputs, &mut disk),
                    () = sleep.as_mut() => {}
                    Some(aside) = self.asides.recv() => self.stores.aside(aside),
                    _ = look.tick() => self.look(&mut disk, &mut inputs),
                    _ = publish.tick() => self.publish(),
                }
            }
            while batches.len() < BATCHES_PER_STEP
                && let Ok(batch) = self.inputs.try_recv()
            {
                batches.push(batch);
            }
            while let Ok(event) = self.stores.events.try_recv() {
                self.heard(Some(event), &mut inputs, &mut disk);
            }
            batches.drain(..).for_each(|batch| inputs.extend(batch));
            self.engine.step(self.clock.now(), &mut inputs, &mut outputs);
            if self.engine.has_failed() && disk != DiskState::Failed {
                self.heard(Some(StoreEvent::Failed("a chunk of the ledger can't be read back".to_owned())), &mut inputs, &mut disk);
            }
            outputs.drain(..).for_each(|output| self.carry_out(output, &mut inputs));
        }
        self.finish(inputs, outputs).await;
    }

    fn carry_out(&mut self, output: Output, inputs: &mut Vec<Input>) {
        match output {
            Output::Upstream { session, replies } => self.registry.reply(session, replies),
            Output::HandedIn { answers } => self.submissions.answered(answers),
            Output::Bind { bind, commands } => inputs.extend(self.registry.command(bind, commands)),
            Output::Append { batch, events, urgent } => self.stores.append(batch, events, urgent),
            Output::Ledger(update) => self.stores.update(update),
            Output::ReadChunk(id) => self.stores.read(Unread::Chunk(id)),
            Output::ReadPage { kind, id } => self.stores.read(Unread::Page(kind, id)),
            Output::Rules { token, answer } => self.lists.answered(token, answer),
            Output::Controlled { token, answer } => self.desk.answered(token, *answer),
            Output::StayDown(binds) => self.registry.stay_down(binds),
            Output::Recall { number, message } => self.recall(number, message),
        }
    }

    /// Asks the records beside the tasks; the engine bounds how many such questions there are.
    fn recall(&self, number: u64, message: crate::model::MessageId) {
        let (records, engine) = (self.stores.records.as_ref().map(|recording| recording.records.clone()), self.back.clone());
        tokio::spawn(async move {
            let look = move || records.and_then(|records| super::recording::finished(&records, message));
            let found = tokio::task::spawn_blocking(look).await.ok().flatten();
            if let Some(engine) = engine.upgrade() {
                // The engine has ended otherwise.
                let _ = engine.send(vec![Input::Recalled { number, found }]).await;
            }
        });
    }

    fn heard(&mut self, event: Option<StoreEvent>, inputs: &mut Vec<Input>, disk: &mut DiskState) {
        match event {
            Some(StoreEvent::Input(Input::LedgerApplied)) => {
                // Only now may the groups go whose content the ledger has.
                let position = self.stores.keep_back(self.stores.absorbed + 1);
                self.stores.journal.drop_before(position);
                inputs.push(Input::LedgerApplied);
            }
            Some(StoreEvent::Input(Input::Disk(state))) => {
                *disk = state;
                inputs.push(Input::Disk(state));
            }
            Some(StoreEvent::Input(input)) => inputs.push(input),
            Some(StoreEvent::Aside(number)) => {
                // In the order in which they were handed in; whoever waits may have gone away.
                while let Some((_, done)) = self.stores.asides.pop_front_if(|(waiting, _)| *waiting <= number) {
                    let _ = done.send(());
                }
            }
            Some(StoreEvent::Failed(why)) => {
                tracing::error!(%why, "the store has failed; the gateway stops");
                *disk = DiskState::Failed;
                inputs.push(Input::Disk(DiskState::Failed));
                self.fail.send_replace(Some(why));
            }
            None => {}
        }
    }

    fn look(&mut self, disk: &mut DiskState, inputs: &mut Vec<Input>) {
        self.stores.push_backlog();
        if let Some(update) = self.stores.waiting_update.take() {
            self.stores.waiting_update = self.stores.ledger.apply(self.stores.updates, update).err();
        }
        self.stores.push_reads();
        let state = self.stores.disk(self.disk_slow);
        if *disk != DiskState::Failed && state != *disk {
            tracing::warn!(before = ?*disk, now = ?state, "the disk's state changed");
            *disk = state;
            inputs.push(Input::Disk(state));
        }
    }

    fn publish(&mut self) {
        let snapshot = Arc::new(self.engine.snapshot());
        let plan = self.engine.plan();
        let links = self.registry.snapshot(&self.engine.sessions_by_account(), plan.carriers.len());
        self.lines.of(&snapshot, &links, plan, self.clock.now().mono_ms()).iter().for_each(Line::write);
        self.telemetry.publish_engine(&snapshot);
        self.figures.send_replace(snapshot);
        self.telemetry.publish_links(links);
        let bytes = self.engine.journal_octets();
        let disk_free_bytes = free_space(&self.directory).unwrap_or(0);
        self.telemetry.publish_journal(&JournalSnapshot {
            bytes,
            groups: self.engine.journal_groups(),
            disk_free_bytes,
            disk_reserve_bytes: self.disk_reserve_bytes,
        });
        if let Some(recording) = &self.stores.records {
            let figures = recording.records.figures();
            self.telemetry.publish_records(&RecordsSnapshot {
                written: figures.written,
                behind_groups: figures.behind_groups,
                unwritten: figures.unwritten,
                in_memory: figures.in_memory,
                on_disk: figures.on_disk,
                lost: figures.lost,
                failures: figures.failures,
            });
        }
        self.telemetry.upkeep();
    }

    /// All links are gone: what they said last is written down.
    async fn finish(mut self, mut inputs: Vec<Input>, mut outputs: Vec<Output>) {
        self.engine.step(self.clock.now(), &mut inputs, &mut outputs);
        outputs.drain(..).for_each(|output| self.carry_out(output, &mut inputs));
        let counts = self.engine.counts();
        if counts.imbalance() != 0 {
            tracing::error!(imbalance = counts.imbalance(), "messages accepted and messages accounted for differ");
        }
        let Stores { journal, ledger, records, .. } = self.stores;
        let flushing = tokio::task::spawn_blocking(move || {
            journal.shutdown();
            if let Some(Recording { records, thread, .. }) = records {
                // It reads to the end and writes what is over; the ledger keeps the directory locked meanwhile.
                records.feed().close();
                let _ = thread.join();
            }
            ledger.shutdown();
        });
        let _ = flushing.await;
    }
}
