//! The thread that keeps records: pulls the journal's tail, follows every message, writes those that are over into files, and answers what memory knows. It has
//! the lowest priority and never holds up the gateway: if it can't follow, the journal's bound decides, and that is counted and told.

use super::columns::Columns;
use super::files::{self, HOUR_MS, RecordFile};
use super::find::Files;
use super::merge;
use super::numbers::Numbers;
use super::place::{Change, Place, Places};
use super::row::{Names, Row, Shared};
use crate::engine::event::Event;
use crate::engine::trail::Trail;
use crate::engine::trail::table::{Kept, Trails, Written};
use crate::model::{CampaignId, MessageId};
use crate::store::tail::{Feed, Pulled, Tail};
use crate::store::{JournalReader, StoreError};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long it sleeps when there is nothing to read: a wake costs the more the shorter this is, and look-ups wake it anyway.
const REST: Duration = Duration::from_millis(50);
/// Finished messages that are written at the latest.
const ROWS_MAX: usize = 64 << 10;
/// Messages in memory; beyond it the oldest that have not ended go into the database of places.
const LIVE_MAX: usize = 400_000;
/// Octets of them.
const OCTETS_MAX: usize = 256 << 20;
/// A message that has not ended goes there after so long: the journal is kept for it no longer.
const LIVE_AGE: Duration = Duration::from_secs(300);
/// Messages there that one look-up goes through, newest first: some milliseconds.
const OPEN_LOOK_MAX: usize = 10_000;
/// An end is written after so long although its sender has not taken the report.
const TOLD_AGE: Duration = Duration::from_secs(20);
/// Least time between two writes only because too much journal is needed.
const PINNED: Duration = Duration::from_secs(1);
/// Pause after a failure before it is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// How often it looks for files that are too old or too small, and pause after a merge that failed.
const TIDY: Duration = Duration::from_secs(5);
const MERGE_AGAIN: Duration = Duration::from_secs(600);
/// Groups read in a row before requests are looked at.
const GROUPS_IN_A_ROW: usize = 64;

/// What the thread works with.
pub struct KeeperSettings {
    /// Folder of the files and the database.
    pub root: PathBuf,
    /// Finished messages wait so long at most.
    pub flush: Duration,
    /// Days that files are kept.
    pub keep_days: u32,
    /// Texts are kept.
    pub texts: bool,
    /// How numbers are written.
    pub numbers: Numbers,
    /// Octets of journal that may be needed: messages that need older groups leave memory at half of it.
    pub max_behind_octets: u64,
}

/// What it did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct KeeperFigures {
    /// The last position that was read.
    pub position: u64,
    /// Groups behind the journal's end.
    pub behind_groups: u64,
    /// Rows written since the data directory was made.
    pub rows: u64,
    /// Rows written since the start.
    pub written: u64,
    /// Octets in files since the start.
    pub octets: u64,
    /// Messages in memory: under way, and finished but in no file yet.
    pub in_memory: u64,
    /// Finished and in no file yet.
    pub unwritten: u64,
    /// Messages under way in the database.
    pub on_disk: u64,
    /// Times that groups were gone before they were read.
    pub lost: u64,
    /// Failures to write, since the start.
    pub failures: u64,
    /// How long ago the oldest finished message in no file yet was read, milliseconds.
    pub lag_ms: u64,
}

/// What memory is asked.
pub(super) enum Ask {
    /// One message.
    Message(MessageId, Sender<Option<Row>>),
    /// All that fit.
    Where(Where, Sender<UnderWay>),
    /// Names that are new.
    Names(Vec<String>, Vec<String>),
    /// Write everything that is over, now.
    Flush(Sender<Result<(), String>>),
}

/// Which messages under way are meant.
pub(super) struct Where {
    /// Whether a row is.
    pub fits: Box<dyn Fn(&Row) -> bool + Send>,
    /// To this packed number.
    pub number: Option<u64>,
    /// From this id, and up to but without the other.
    pub ids: (u64, u64),
    /// They may have left memory: not if an end is asked for, which is in a file.
    pub also_on_disk: bool,
    /// At most so many from memory, and so many from disk.
    pub most: usize,
}

/// Messages under way.
pub(super) struct UnderWay {
    /// In no order.
    pub rows: Vec<Row>,
    /// On disk, and not looked at; those that could not have been meant are among them.
    pub not_looked_at: u64,
}

/// The thread's own.
pub(super) struct Keeper {
    pub settings: KeeperSettings,
    pub tail: Tail,
    pub feed: Arc<Feed>,
    pub trails: Trails,
    pub places: Places,
    pub place: Place,
    pub names: Names,
    pub files: Arc<Files>,
    pub asked: Receiver<Ask>,
    pub figures: Arc<Mutex<KeeperFigures>>,
    shared: Shared,
    /// What was read before the start is read again up to here.
    again: u64,
    last_write: Instant,
    /// Where the journal was when: for ages.
    marks: VecDeque<(Instant, u64)>,
    written: u64,
    octets: u64,
    failures: u64,
    tidied: Option<Instant>,
    merging: Option<JoinHandle<Result<merge::Job, String>>>,
    /// After a failure there is no other merge before this.
    merge_from: Instant,
    removed_hour: u64,
}

/// What [`Keeper::open`] needs.
pub struct Start {
    /// See [`KeeperSettings`].
    pub settings: KeeperSettings,
    /// The names.
    pub names: Names,
    /// The journal, beside the one who appends.
    pub reader: Box<dyn JournalReader>,
}

impl Keeper {
    /// Opens the records; the feed must not have been fed yet. `last`: the journal's last position.
    pub(super) fn open(start: Start, last: u64, asked: Receiver<Ask>) -> Result<Keeper, String> {
        let Start { settings, names, mut reader } = start;
        std::fs::create_dir_all(&settings.root).map_err(|error| format!("{}: {error}", settings.root.display()))?;
        let places = Places::open(&settings.root.join("records.db"))?;
        let (first, _) = reader.bounds().map_err(|error| error.to_string())?;
        let mut place = places.place()?.unwrap_or(Place { low: first.max(1), ..Place::default() });
        if place.written.over > last {
            return Err(format!(
                "records are written up to journal position {}, but the journal ends at {last}: the two do not belong together; \
                 move the records folder away to begin anew",
                place.written.over
            ));
        }
        files::tidy(&settings.root, place.writes)?;
        if place.low < first {
            place.lost += 1;
            tracing::warn!(from = place.low, to = first, "groups of the journal are gone before they were in the records");
            place.low = first;
        }
        let known = places.known(place.low)?;
        let trails = Trails::new(settings.texts, place.written, known);
        let feed = Arc::new(Feed::new(last, place.low));
        let tail = Tail::new(Arc::clone(&feed), reader, place.low);
        let files = Arc::new(Files::open(settings.root.clone(), settings.numbers.clone())?);
        let shared = Shared::new(&names);
        let again = place.written.over;
        let figures = Arc::new(Mutex::new(KeeperFigures { rows: place.rows, lost: place.lost, ..KeeperFigures::default() }));
        let keeper = Keeper {
            settings,
            tail,
            feed,
            trails,
            places,
            place,
            names,
            files,
            asked,
            figures,
            shared,
            again,
            last_write: Instant::now(),
            marks: VecDeque::new(),
            written: 0,
            octets: 0,
            failures: 0,
            tidied: None,
            merging: None,
            merge_from: Instant::now(),
            removed_hour: 0,
        };
        Ok(keeper)
    }

    /// Runs until the feed is closed and all is read, or nobody can ask any more.
    pub(super) fn run(mut self) {
        // On Linux this is the thread's own.
        let _ = rustix::process::setpriority_process(None, 10);
        loop {
            let busy = match self.pull() {
                Ok(busy) => busy,
                Err(error) => {
                    self.failures += 1;
                    tracing::error!(%error, "records: the journal can't be read; trying again");
                    std::thread::sleep(AGAIN);
                    false
                }
            };
            let ending = !busy && self.feed.is_closed();
            if self.is_due() || ending {
                self.write_or_tell();
            }
            self.publish();
            if ending {
                return;
            }
            match self.asked.recv_timeout(if busy { Duration::ZERO } else { REST }) {
                Ok(ask) => self.answer(ask),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if self.feed.is_closed() => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(if busy { Duration::ZERO } else { REST }),
            }
            self.tidy();
        }
    }

    /// Reads what is there, some groups of it; true if there is more.
    fn pull(&mut self) -> Result<bool, String> {
        for _ in 0..GROUPS_IN_A_ROW {
            let (trails, names, places) = (&mut self.trails, &mut self.names, &self.places);
            let now_ms = wall_ms();
            let mut bad = None;
            let mut last = 0;
            let pulled = self.tail.pull(&mut |position, group, live| {
                let mut other = |event| learn(names, event);
                last = position;
                if let Err(error) = trails.take(position, live.then_some(now_ms), group, &mut other) {
                    bad = Some(format!("group {position}: {error}"));
                }
                let missing = trails.missing();
                if !missing.is_empty() {
                    match places.get(&missing) {
                        Ok(found) => trails.restore(position, found),
                        Err(error) => bad = Some(error),
                    }
                }
            });
            if let Some(error) = bad {
                return Err(error);
            }
            if self.again > 0 && self.tail.next() > self.again {
                self.trails.caught_up();
                self.again = 0;
            }
            match pulled.map_err(|error: StoreError| error.to_string())? {
                Pulled::Group => {}
                Pulled::Nothing => return Ok(false),
                Pulled::Lost { from } => {
                    self.place.lost += 1;
                    tracing::warn!(
                        from,
                        "records have lost their place: what is missing in them was further behind than records.max_behind_bytes"
                    );
                }
            }
            if self.trails.waiting() >= ROWS_MAX {
                return Ok(true);
            }
        }
        Ok(true)
    }

    fn mark(&mut self) {
        let now = Instant::now();
        if self.marks.back().is_none_or(|(at, _)| now.duration_since(*at) > Duration::from_secs(1)) {
            self.marks.push_back((now, self.tail.next() - 1));
        }
        while self.marks.len() > 1 && now.duration_since(self.marks[1].0) > LIVE_AGE {
            self.marks.pop_front();
        }
    }

    /// The position that was the last so long ago.
    fn position_before(&self, age: Duration) -> u64 {
        let now = Instant::now();
        self.marks.iter().rev().find(|(at, _)| now.duration_since(*at) >= age).map_or(0, |(_, position)| *position)
    }

    /// Groups before this one are too much journal to be needed still.
    fn floor(&self) -> u64 {
        self.feed.floor(self.settings.max_behind_octets / 2)
    }

    fn is_due(&mut self) -> bool {
        self.mark();
        let (live, octets) = self.trails.size();
        let late = self.last_write.elapsed() >= self.settings.flush
            && (self.tail.next() > self.place.written.over + 1 || self.trails.waiting() > 0);
        let full = live > LIVE_MAX + ROWS_MAX || octets > OCTETS_MAX;
        let pins = self.last_write.elapsed() >= PINNED && self.place.low < self.floor();
        self.again == 0 && (self.trails.waiting() >= ROWS_MAX || full || late || pins)
    }

    fn write_or_tell(&mut self) {
        if self.again > 0 {
            return;
        }
        if let Err(error) = self.write() {
            self.failures += 1;
            tracing::error!(%error, "records can't be written; trying again");
            self.last_write = Instant::now() - self.settings.flush.saturating_sub(AGAIN);
        } else {
            self.last_write = Instant::now();
        }
    }

    /// Everything that is over goes into files, what has been under way for long into the database.
    fn write(&mut self) -> Result<(), String> {
        let over = self.tail.next() - 1;
        let mut upto = self.position_before(TOLD_AGE).max(self.place.written.ended).max(self.floor().min(over));
        if self.trails.waiting() >= ROWS_MAX {
            // They must go somewhere.
            upto = upto.max(self.position_before(Duration::from_secs(2)));
            if self.trails.waiting() >= 2 * ROWS_MAX {
                upto = over;
            }
        }
        let mut written = Vec::new();
        let write = self.place.writes + 1;
        let (rows, octets) = self.write_files(upto, write, &mut written).inspect_err(|_| self.take_back(write))?;
        let mut delete: Vec<MessageId> = written.iter().copied().filter(|&id| self.trails.is_kept(id)).collect();
        delete.extend(self.trails.gone());
        self.trails.forget(&written);
        let put = self.to_give_away();
        let given: Vec<MessageId> = put.iter().map(|kept| kept.message).collect();
        delete.retain(|id| given.binary_search(id).is_err() && self.trails.get(*id).is_none());
        let low = self.needed_without(&given);
        let place =
            Place { low, written: Written { over, ended: upto }, rows: self.place.rows + rows, lost: self.place.lost, writes: write };
        // From here on the files are in the way of no other, whatever becomes of the database.
        self.place.writes = write;
        self.places.change(over, &Change { place, put, delete: &delete })?;
        self.trails.give_away(&given);
        self.place = place;
        self.feed.keep_from(low);
        (self.written, self.octets) = (self.written + rows, self.octets + octets);
        Ok(())
    }

    /// Files of a write that did not come to its end: what is in them is written again.
    fn take_back(&self, write: u64) {
        self.files.forget(|file| file.last == write);
        if let Err(error) = files::take_back(&self.settings.root, write) {
            tracing::error!(%error, "a record file that is not whole can't be removed: its messages will be doubled until the next start");
        }
    }

    fn needed_without(&self, given: &[MessageId]) -> u64 {
        self.trails.needs(self.tail.next(), |id| given.binary_search(&id).is_ok())
    }

    /// Writes the files; gives rows and octets, and adds what was written.
    fn write_files(&mut self, upto: u64, write: u64, written: &mut Vec<MessageId>) -> Result<(u64, u64), String> {
        let (mut rows, mut octets) = (0, 0);
        let mut hours: BTreeMap<u64, Columns> = BTreeMap::new();
        for ended in self.trails.ended(upto) {
            let trail = Trail::read(ended.octets).map_err(|error| format!("message {}: {error}", ended.message))?;
            let row = Row::of(ended.message, ended.revision, &trail, &self.names, &self.shared, &self.settings.numbers, false);
            hours.entry(row.final_ms.unwrap_or(0) / HOUR_MS).or_default().push(&row);
            written.push(ended.message);
            rows += 1;
        }
        for (hour, mut columns) in hours {
            let file = RecordFile { hour, first: write, last: write };
            octets += files::write(&self.settings.root, &file, &mut columns)?;
            self.files.add(file)?;
        }
        Ok((rows, octets))
    }

    fn to_give_away(&self) -> Vec<Kept> {
        let (live, octets) = self.trails.size();
        let crowded = live > LIVE_MAX || octets > OCTETS_MAX / 2;
        let before = if crowded { u64::MAX } else { self.position_before(LIVE_AGE).max(self.floor() + 1) };
        let most = if crowded { live.saturating_sub(LIVE_MAX / 2) } else { LIVE_MAX };
        let ids = self.trails.old(before, most);
        let kept = |id: MessageId| {
            let live = self.trails.get(id)?;
            Some(Kept { message: id, revision: live.revision, octets: live.octets.to_vec() })
        };
        ids.into_iter().filter_map(kept).collect()
    }

    /// Files that are too old go; small files of hours that have passed become one.
    fn tidy(&mut self) {
        // After a merge the next one begins at once: the thread has the lowest priority, and what isn't merged makes look-ups slow.
        let is_merged = self.merging.as_ref().is_some_and(JoinHandle::is_finished);
        if !is_merged && self.tidied.is_some_and(|at| at.elapsed() < TIDY) {
            return;
        }
        self.tidied = Some(Instant::now());
        let hour = wall_ms() / HOUR_MS;
        let oldest = hour.saturating_sub(u64::from(self.settings.keep_days) * 24);
        if self.removed_hour != oldest {
            match self.files.remove_before(oldest) {
                Ok(removed) => {
                    self.removed_hour = oldest;
                    let days = u64::from(self.settings.keep_days) * 24 * HOUR_MS;
                    if let Err(error) = self.places.forget_before(super::find::id_at(wall_ms().saturating_sub(days.max(30 * 24 * HOUR_MS))))
                    {
                        tracing::warn!(%error, "old messages can't be removed from records.db");
                    }
                    if removed > 0 {
                        tracing::info!(hours = removed, "record files past records.keep_days were removed");
                    }
                }
                Err(error) => tracing::warn!(%error, "old record files can't be removed"),
            }
        }
        // After what is too old has gone.
        self.merge();
    }

    /// Begins a merge, or puts one that has come to its end in its place.
    fn merge(&mut self) {
        if let Some(merging) = self.merging.take_if(|merging| merging.is_finished()) {
            let merged = merging.join().unwrap_or_else(|_| Err("the merge panicked".to_owned()));
            let placed = merged.and_then(|job| {
                let root = &self.settings.root;
                merge::prepare(root, &job)?;
                self.files.replace(&job.inputs, job.output(), &job.aside(root), || merge::swap(root, &job))?;
                merge::remove_old(root, &job)
            });
            if let Err(error) = placed {
                self.failures += 1;
                tracing::error!(%error, "record files can't be merged");
                self.merge_from = Instant::now() + MERGE_AGAIN;
            }
        }
        if self.merging.is_none() && self.merge_from <= Instant::now() {
            let files: Vec<(RecordFile, u64)> = self.files.list().into_iter().map(|(file, rows, _)| (file, rows)).collect();
            let is_behind = self.tail.next() <= self.feed.last();
            self.merging = merge::next(&files, wall_ms(), is_behind).and_then(|job| merge::begin(self.settings.root.clone(), job).ok());
        }
    }

    fn answer(&mut self, ask: Ask) {
        // What was durable when it was asked is read first.
        let upto = self.feed.last();
        while self.tail.next() <= upto && matches!(self.pull(), Ok(true)) {}
        // Whoever asked may have gone away.
        match ask {
            Ask::Message(id, answer) => drop(answer.send(self.message(id))),
            Ask::Where(wanted, answer) => drop(answer.send(self.all_where(&wanted))),
            Ask::Names(accounts, carriers) => {
                (self.names.accounts, self.names.carriers) = (accounts, carriers);
                self.shared = Shared::new(&self.names);
            }
            Ask::Flush(answer) => {
                let written = self.write();
                self.publish();
                drop(answer.send(written));
            }
        }
    }

    fn row(&self, message: MessageId, revision: u8, octets: &[u8]) -> Option<Row> {
        let trail = Trail::read(octets).ok()?;
        Some(Row::of(message, revision, &trail, &self.names, &self.shared, &self.settings.numbers, true))
    }

    fn message(&self, id: MessageId) -> Option<Row> {
        if let Some(live) = self.trails.get(id) {
            return self.row(id, live.revision, live.octets);
        }
        let kept = self.places.get(&[id]).ok()?.pop()?;
        self.row(id, kept.revision, &kept.octets)
    }

    fn all_where(&self, wanted: &Where) -> UnderWay {
        let is_to = |number: Option<u64>| wanted.number.is_none_or(|wanted| number == Some(wanted));
        let mut candidates: Vec<_> = self.trails.all().filter(|live| is_to(live.number())).collect();
        candidates.sort_unstable_by_key(|live| std::cmp::Reverse(live.message));
        let rows = candidates.into_iter().filter_map(|live| self.row(live.message, live.revision, live.octets));
        let mut rows: Vec<Row> = rows.filter(|row| (wanted.fits)(row)).take(wanted.most).collect();
        let mut not_looked_at = 0;
        if wanted.also_on_disk && self.places.open_messages() > 0 {
            let enough = rows.len() + wanted.most;
            let looked = self.places.newest(wanted.ids, OPEN_LOOK_MAX, &mut |kept| {
                // What is in memory too is newer there.
                if is_to(kept.number()) && self.trails.get(kept.message).is_none() {
                    let row = self.row(kept.message, kept.revision, &kept.octets);
                    rows.extend(row.filter(|row| (wanted.fits)(row)));
                }
                rows.len() >= enough
            });
            not_looked_at = match looked {
                Ok(true) => self.places.open_messages().saturating_sub(OPEN_LOOK_MAX as u64),
                Ok(false) => 0,
                // Where it can't be read none of it was looked at.
                Err(_) => self.places.open_messages(),
            };
        }
        UnderWay { rows, not_looked_at }
    }

    fn publish(&self) {
        let (live, _) = self.trails.size();
        let waiting = self.trails.waiting() as u64;
        let figures = KeeperFigures {
            position: self.tail.next() - 1,
            behind_groups: (self.feed.last() + 1).saturating_sub(self.tail.next()),
            rows: self.place.rows,
            written: self.written,
            octets: self.octets,
            in_memory: live as u64,
            unwritten: waiting,
            on_disk: self.places.open_messages(),
            lost: self.place.lost,
            failures: self.failures,
            lag_ms: if waiting > 0 { self.last_write.elapsed().as_millis() as u64 } else { 0 },
        };
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }
}

fn learn(names: &mut Names, event: Event) {
    if let Event::Campaign { campaign, name } = event {
        names.campaigns.insert(CampaignId(campaign.0), name.into());
    }
}

fn wall_ms() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64)
}
