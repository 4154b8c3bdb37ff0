//! What accounts can read of their receipts and of messages from phones: a log for each account that wants one (`[account.events]`), in files below
//! `data_dir/events/{account}`, an event of JSON a line.
//!
//! Why a log and not the outbox itself: the outbox forgets a delivery when somebody has taken it, and whoever reads by polling or from a stream may read again from
//! where it was, in several places at once, as slowly as it likes. So the log is one more taker. The deliverer of hooks ([`super::hooks`]) writes each delivery
//! down here, synced, before it tells the engine that it is taken; a crash between the two writes it twice, with the same id. From then on nothing in
//! the gateway waits for a reader, and what a reader costs is its own reads of a file.
//!
//! A reader's place is a segment and an offset in it; cursors are that. Whole segments go when the account's bounds of age and size say so; a reader whose
//! place is gone begins with the oldest that is left, and is told.

use crate::config::AccountEvents;
use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Octets after which a segment is closed, unless the account's bound asks for less.
const SEGMENT_MAX: u64 = 4 << 20;
/// Parts that an account's bounds of age and size are cut into: what is kept beyond them is less than one.
const SEGMENTS: u64 = 8;
/// Octets read at once; longer than any event.
const CHUNK: u64 = 1 << 20;

/// Streams of one account at once.
const READERS_MAX: usize = 16;
/// Times that a read begins anew because a segment went away under it.
const LOOKS: usize = 5;

/// A place between two events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The segment.
    pub segment: u64,
    /// Octets of it that come before.
    pub offset: u64,
}

/// Some events, one after the other.
#[derive(Debug, Default)]
pub struct Page {
    /// Each as JSON, with the place behind it.
    pub events: Vec<(Vec<u8>, Place)>,
    /// Where the next one will be; `None`: there is no log yet.
    pub next: Option<Place>,
    /// There are more already.
    pub more: bool,
    /// Some were removed before they were read.
    pub missed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    number: u64,
    /// Octets that are whole and durable.
    length: u64,
    began_ms: u64,
    last_ms: u64,
}

#[derive(Debug, Default)]
struct Segments {
    all: VecDeque<Segment>,
    /// The end of the last one that was removed: who stands there has missed nothing.
    gone: Option<Place>,
}

/// The log of one account.
pub struct EventLog {
    directory: PathBuf,
    segments: Mutex<Segments>,
    /// Who writes; the last segment, if it is open.
    file: Mutex<Option<File>>,
    /// Grows with each write.
    grown: watch::Sender<u64>,
    /// Places for those who follow it.
    readers: Arc<Semaphore>,
}

fn name(number: u64) -> String {
    format!("{number:012}.ndjson")
}

fn ms(time: io::Result<std::time::SystemTime>) -> u64 {
    time.ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).map_or(0, |since| since.as_millis() as u64)
}

/// The length of a segment without what a crash left of its last line.
fn whole(path: &Path) -> io::Result<u64> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(CHUNK);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let end = memchr::memrchr(b'\n', &tail).map_or(0, |at| from + at as u64 + 1);
    if end < length {
        file.set_len(end)?;
        file.sync_data()?;
    }
    Ok(end)
}

impl EventLog {
    fn open(directory: PathBuf) -> io::Result<EventLog> {
        std::fs::create_dir_all(&directory)?;
        let mut segments = Vec::new();
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".ndjson")?.parse().ok());
            let Some(number) = number else { continue };
            let metadata = std::fs::metadata(&path)?;
            let last_ms = ms(metadata.modified());
            let began_ms = ms(metadata.created()).min(last_ms);
            segments.push(Segment { number, length: whole(&path)?, began_ms, last_ms });
        }
        segments.sort_by_key(|segment| segment.number);
        let (file, grown, readers) = (Mutex::new(None), watch::channel(0).0, Arc::new(Semaphore::new(READERS_MAX)));
        Ok(EventLog { directory, segments: Mutex::new(Segments { all: segments.into(), gone: None }), file, grown, readers })
    }

    fn segments(&self) -> MutexGuard<'_, Segments> {
        // Nothing that can panic runs under this lock, so a poisoned one is still whole.
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one who follows it; `None`: there are too many.
    pub fn reader(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.readers).try_acquire_owned().ok()
    }

    /// Told whenever there is more to read.
    pub fn grown(&self) -> watch::Receiver<u64> {
        self.grown.subscribe()
    }

    /// Writes whole lines; they are durable on return. Waits for the disk.
    ///
    /// # Errors
    /// Nothing of it is in the log.
    pub fn append(&self, lines: &[u8], bounds: &AccountEvents, now_ms: u64) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.segments().all.back().copied();
        let is_full = |last: Segment| last.length >= bounds.segment() || last.began_ms + bounds.keep_ms() / SEGMENTS < now_ms;
        let number = match last {
            Some(last) if !is_full(last) => last.number,
            last => {
                *file = None;
                last.map_or(1, |last| last.number + 1)
            }
        };
        let is_new = last.is_none_or(|last| last.number != number);
        let length = if is_new { 0 } else { last.map_or(0, |last| last.length) };
        let mut open = match file.take() {
            Some(open) => open,
            None => OpenOptions::new().create(true).truncate(false).write(true).open(self.directory.join(name(number)))?,
        };
        // What a failed write may have left is written over.
        open.set_len(length)?;
        open.seek(SeekFrom::Start(length))?;
        open.write_all(lines)?;
        open.sync_data()?;
        if is_new {
            File::open(&self.directory)?.sync_all()?;
        }
        *file = Some(open);
        let mut segments = self.segments();
        if is_new {
            segments.all.push_back(Segment { number, length: 0, began_ms: now_ms, last_ms: now_ms });
        }
        if let Some(last) = segments.all.back_mut() {
            (last.length, last.last_ms) = (length + lines.len() as u64, now_ms);
        }
        drop(segments);
        self.shorten(bounds, now_ms);
        self.grown.send_modify(|grown| *grown += 1);
        Ok(())
    }

    /// Removes what is beyond the bounds.
    fn shorten(&self, bounds: &AccountEvents, now_ms: u64) {
        let mut segments = self.segments();
        while segments.all.len() > 1 {
            let octets: u64 = segments.all.iter().map(|segment| segment.length).sum();
            let first = segments.all[0];
            if octets <= bounds.max_bytes && first.last_ms + bounds.keep_ms() >= now_ms {
                break;
            }
            // One that stays is removed by the next start.
            let _ = std::fs::remove_file(self.directory.join(name(first.number)));
            segments.all.pop_front();
            segments.gone = Some(Place { segment: first.number, offset: first.length });
        }
    }

    /// Events from a place on (`None`: from the oldest), at most so many. Waits for the disk.
    ///
    /// # Errors
    /// `InvalidInput`: there is no such place. Else the disk.
    pub fn read(&self, from: Option<Place>, limit: usize) -> io::Result<Page> {
        for _ in 0..LOOKS {
            match self.read_once(from, limit) {
                // Removed since it was looked at.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                read => return read,
            }
        }
        Err(io::Error::other("files of the log are missing; were they removed by hand?"))
    }

    fn read_once(&self, from: Option<Place>, limit: usize) -> io::Result<Page> {
        let (segments, gone) = {
            let segments = self.segments();
            (segments.all.clone(), segments.gone)
        };
        let (Some(first), Some(last)) = (segments.front(), segments.back()) else {
            return match from {
                None => Ok(Page::default()),
                Some(_) => Err(io::ErrorKind::InvalidInput.into()),
            };
        };
        let oldest = Place { segment: first.number, offset: 0 };
        let missed = from.is_some_and(|place| place < oldest && Some(place) != gone);
        let mut place = from.unwrap_or(oldest).max(oldest);
        let end = Place { segment: last.number, offset: last.length };
        if place > end {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut page = Page { missed, ..Page::default() };
        let begin = place.segment;
        for segment in segments.iter().filter(|segment| segment.number >= begin) {
            if segment.number > place.segment {
                place = Place { segment: segment.number, offset: 0 };
            }
            if place.offset > segment.length {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            if place.offset < segment.length {
                self.read_segment(segment, &mut place, limit, &mut page.events)?;
            }
            if page.events.len() >= limit || place.offset < segment.length {
                break;
            }
        }
        (page.next, page.more) = (Some(place), place < end);
        Ok(page)
    }

    /// Reads on in one segment, a chunk at most.
    fn read_segment(&self, segment: &Segment, place: &mut Place, limit: usize, events: &mut Vec<(Vec<u8>, Place)>) -> io::Result<()> {
        let mut file = File::open(self.directory.join(name(segment.number)))?;
        // Behind a line end: else it is no place between two events.
        let before = place.offset.saturating_sub(1);
        file.seek(SeekFrom::Start(before))?;
        let mut octets = Vec::new();
        file.take((segment.length - before).min(CHUNK + 1)).read_to_end(&mut octets)?;
        let mut rest = &octets[..];
        if place.offset > 0 {
            rest = rest.strip_prefix(b"\n").ok_or(io::ErrorKind::InvalidInput)?;
        }
        while events.len() < limit
            && let Some(at) = memchr::memchr(b'\n', rest)
        {
            place.offset += at as u64 + 1;
            events.push((rest[..at].to_vec(), *place));
            rest = &rest[at + 1..];
        }
        Ok(())
    }
}

impl AccountEvents {
    fn keep_ms(&self) -> u64 {
        u64::from(self.keep_h) * 3_600_000
    }

    fn segment(&self) -> u64 {
        (self.max_bytes / SEGMENTS).min(SEGMENT_MAX)
    }
}

/// The logs of all accounts.
pub struct EventLogs {
    root: PathBuf,
    logs: Mutex<HashMap<String, Arc<EventLog>>>,
}

impl EventLogs {
    /// Below this folder.
    pub fn new(root: PathBuf) -> EventLogs {
        EventLogs { root, logs: Mutex::default() }
    }

    /// An account's log; looks at the disk the first time.
    ///
    /// # Errors
    /// The folder can't be read or made.
    pub fn of(&self, account: &str) -> io::Result<Arc<EventLog>> {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = logs.get(account) {
            return Ok(Arc::clone(log));
        }
        let log = Arc::new(EventLog::open(self.root.join(account))?);
        logs.insert(account.to_owned(), Arc::clone(&log));
        Ok(log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn log(directory: &Path) -> Arc<EventLog> {
        EventLogs::new(directory.to_path_buf()).of("shop").unwrap()
    }

    fn texts(page: &Page) -> Vec<String> {
        page.events.iter().map(|(event, _)| String::from_utf8(event.clone()).unwrap()).collect()
    }

    #[test]
    fn what_is_appended_is_read_from_any_place_also_after_a_crash_that_left_half_a_line() {
        let directory = tempfile::tempdir().unwrap();
        // Files have the system's time.
        let (bounds, now_ms) = (AccountEvents::default(), ms(Ok(std::time::SystemTime::now())));
        let first = log(directory.path());
        assert!(first.read(None, 10).unwrap().events.is_empty());
        first.append(b"1\n22\n333\n", &bounds, now_ms).unwrap();
        let page = first.read(None, 2).unwrap();
        assert_eq!((texts(&page), page.more, page.missed), (vec!["1".to_owned(), "22".to_owned()], true, false));
        assert_eq!(texts(&first.read(Some(page.events[0].1), 9).unwrap()), ["22", "333"]);
        drop(first);
        let path = directory.path().join("shop").join(name(1));
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"44").unwrap();
        let second = log(directory.path());
        second.append(b"55555\n", &bounds, now_ms).unwrap();
        let rest = second.read(page.next, 9).unwrap();
        assert_eq!((texts(&rest), rest.more), (vec!["333".to_owned(), "55555".to_owned()], false));
        assert!(second.read(rest.next, 9).unwrap().events.is_empty());
        for wrong in [Place { segment: 1, offset: 1 }, Place { segment: 1, offset: 999 }, Place { segment: 2, offset: 0 }] {
            assert_eq!(second.read(Some(wrong), 9).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{wrong:?}");
        }
    }

    #[test]
    fn the_oldest_go_by_size_and_by_age_and_who_missed_them_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let log = log(directory.path());
        let bounds = AccountEvents { max_bytes: 8_000, keep_h: 8, ..AccountEvents::default() };
        let line = format!("{}\n", "x".repeat(99));
        for _ in 0..500 {
            log.append(line.as_bytes(), &bounds, NOW_MS).unwrap();
        }
        let page = log.read(Some(Place { segment: 1, offset: 100 }), 1_000).unwrap();
        assert!((70..=90).contains(&page.events.len()) && page.missed, "{}", page.events.len());
        // An hour of eight is a segment; after nine only the newest is there.
        log.append(line.as_bytes(), &bounds, NOW_MS + 9 * 3_600_000).unwrap();
        assert_eq!(log.read(None, 1_000).unwrap().events.len(), 1);
        assert_eq!(std::fs::read_dir(directory.path().join("shop")).unwrap().count(), 1);
    }
}
