//! The flight recorder at the sockets: every session's latest PDUs in a ring of its own, written into a file (redacted) when something goes wrong, or told to who
//! asks. The driver hands octets over as it reads and writes them, once a batch; a PDU costs a copy into the ring and nothing else.

use crate::config::{Recorder, RecorderMode};
use crate::model::Now;
use crate::recorder::redact::Redactor;
use crate::recorder::ring::{self, Ring};
use crate::recorder::{pcap, word};
use crate::smpp::{CloseCause, Role, command};
use dashmap::DashMap;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Of the PDUs that carry messages, one in so many is kept when sampled, with its answer: by its sequence number.
const SAMPLE: u32 = 16;
/// Time within which errors are a burst, microseconds.
const BURST_US: u64 = 10_000_000;
/// Recordings that are written by themselves in a minute, by all sessions together.
const FILES_A_MINUTE: u32 = 20;

/// All that is recorded in one gateway.
#[derive(Debug)]
pub struct Recordings {
    settings: Recorder,
    folder: PathBuf,
    tapes: DashMap<String, Arc<Tape>>,
    /// Of one run: a number is the same other number in all its recordings, so that receipts on one bind belong to what went out on another.
    redactor: Redactor,
    /// The minute in which files were last written, and how many.
    written: Mutex<(u64, u32)>,
    /// Recordings written by themselves since the start.
    files: AtomicU64,
}

/// What is kept of one bind, through all its connections, or of one upstream session.
#[derive(Debug)]
pub struct Tape {
    name: String,
    ring: Mutex<Ring>,
    connections: AtomicU16,
    dumped_us: AtomicU64,
}

/// What is told of a tape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TapeView {
    /// `north/0` of a bind, `17` of a session.
    pub name: String,
    /// PDUs that it holds.
    pub pdus: usize,
    /// Octets of memory that they take.
    pub octets: usize,
    /// PDUs that were pushed out.
    pub gone: u64,
}

/// A recording that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FileView {
    /// Its name: time, bind or session, cause.
    pub file: String,
    /// Its size.
    pub octets: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic runs under these locks, so a poisoned one is still whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recordings {
    /// As `settings` say; files go into `folder`.
    pub fn new(settings: Recorder, folder: PathBuf) -> Recordings {
        let (tapes, written) = (DashMap::new(), Mutex::new((0, 0)));
        let redactor = Redactor::new(rand::random());
        Recordings { settings, folder, tapes, redactor, written, files: AtomicU64::new(0) }
    }

    /// Nothing is recorded.
    pub fn none() -> Recordings {
        Recordings::new(Recorder { mode: RecorderMode::Off, ..Recorder::default() }, PathBuf::new())
    }

    /// What they were told.
    pub fn settings(&self) -> &Recorder {
        &self.settings
    }

    /// The tap for the next connection under this name, on which we play `role`; `None` if nothing is recorded.
    pub fn tap(self: &Arc<Self>, name: &str, role: Role, now: Now) -> Option<Tap> {
        if self.settings.mode == RecorderMode::Off {
            return None;
        }
        let new = || {
            let ring = Mutex::new(Ring::new(self.settings.bytes_per_session as usize));
            Arc::new(Tape { name: name.to_owned(), ring, connections: AtomicU16::new(0), dumped_us: AtomicU64::new(0) })
        };
        let tape = Arc::clone(self.tapes.entry(name.to_owned()).or_insert_with(new).value());
        let connection = tape.connections.fetch_add(1, Ordering::Relaxed);
        Some(Tap {
            recordings: Arc::clone(self),
            sampled: self.settings.mode == RecorderMode::Sampled,
            role,
            connection,
            wall_us: now.wall_ms * 1000,
            mono_us: now.mono_us,
            errors: 0,
            errors_since_us: 0,
            tape,
        })
    }

    /// A session that comes never again has ended.
    pub fn forget(&self, name: &str) {
        self.tapes.remove(name);
    }

    /// Every tape, by name.
    pub fn tapes(&self) -> Vec<TapeView> {
        let view = |tape: &Tape| {
            let ring = lock(&tape.ring);
            TapeView { name: tape.name.clone(), pdus: ring.len(), octets: ring.octets(), gone: ring.gone() }
        };
        let mut views: Vec<TapeView> = self.tapes.iter().map(|tape| view(&tape)).collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        views
    }

    /// What a tape holds now, as pcap; redacted unless `plain`, passwords in any case. `None`: no tape has this name.
    pub fn dump(&self, name: &str, plain: bool) -> Option<Vec<u8>> {
        let octets = lock(&self.tapes.get(name)?.ring).copy();
        Some(self.file_of(&octets, plain))
    }

    /// The recordings that were written, newest first.
    pub fn files(&self) -> Vec<FileView> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let view = |entry: std::fs::DirEntry| {
            let file = entry.file_name().into_string().ok().filter(|name| name.ends_with(".pcap"))?;
            Some(FileView { file, octets: entry.metadata().ok()?.len() })
        };
        let mut files: Vec<FileView> = entries.filter_map(view).collect();
        files.sort_by(|a, b| b.file.cmp(&a.file));
        files
    }

    /// One of them. `None`: there is none of this name.
    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        // A name of ours, not a way to elsewhere.
        let known = self.files().into_iter().any(|known| known.file == name);
        known.then(|| std::fs::read(self.folder.join(name)).ok()).flatten()
    }

    /// One more file may be written in this minute.
    fn may_write(&self, wall_us: u64) -> bool {
        let (minute, mut written) = (wall_us / 60_000_000, lock(&self.written));
        if written.0 != minute {
            *written = (minute, 0);
        }
        written.1 += 1;
        self.settings.keep_files > 0 && written.1 <= FILES_A_MINUTE
    }

    /// A pcap file of what a ring held.
    fn file_of(&self, octets: &[u8], plain: bool) -> Vec<u8> {
        let mut taken = ring::read(octets);
        for one in &mut taken {
            if plain { Redactor::passwords(&mut one.pdu) } else { self.redactor.redact(&mut one.pdu) }
        }
        pcap::write(&taken)
    }

    fn write(&self, name: &str, cause: &str, wall_us: u64, octets: &[u8]) {
        let at = jiff::Timestamp::from_microsecond(wall_us as i64).unwrap_or_default();
        let file = format!("{}-{}-{cause}.pcap", at.strftime("%Y%m%dT%H%M%S%6fZ"), name.replace('/', "_"));
        let path = self.folder.join(&file);
        let written = std::fs::create_dir_all(&self.folder)
            .and_then(|()| std::fs::write(path.with_extension("part"), self.file_of(octets, false)))
            .and_then(|()| std::fs::rename(path.with_extension("part"), &path));
        match written {
            Ok(()) => {
                self.files.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(of = name, cause, file, "a recording was written");
            }
            Err(error) => tracing::warn!(of = name, cause, %error, "a recording can't be written"),
        }
        for old in self.files().iter().skip(self.settings.keep_files as usize) {
            // What can't be removed now is tried again with the next one.
            let _ = std::fs::remove_file(self.folder.join(&old.file));
        }
    }
}

/// What the driver of one connection tells a tape.
#[derive(Debug)]
pub struct Tap {
    recordings: Arc<Recordings>,
    tape: Arc<Tape>,
    sampled: bool,
    /// Ours.
    role: Role,
    connection: u16,
    /// The same instant on both clocks: what is written down doesn't jump.
    wall_us: u64,
    mono_us: u64,
    errors: u32,
    errors_since_us: u64,
}

impl Tap {
    fn at_us(&self, now: Now) -> u64 {
        self.wall_us + now.mono_us.saturating_sub(self.mono_us)
    }

    /// Whole PDUs that were read.
    pub fn received(&mut self, octets: &[u8], now: Now) {
        self.take(octets, self.role == Role::Server, now);
    }

    /// Whole PDUs that are about to be written.
    pub fn sent(&mut self, octets: &[u8], now: Now) {
        self.take(octets, self.role == Role::Client, now);
    }

    fn take(&mut self, mut octets: &[u8], to_server: bool, now: Now) {
        if octets.is_empty() {
            return;
        }
        let at_us = self.at_us(now);
        let mut errors = 0;
        let mut ring = lock(&self.tape.ring);
        while octets.len() >= 16 {
            let (pdu, rest) = octets.split_at((word(octets, 0) as usize).clamp(16, octets.len()));
            octets = rest;
            let (id, status, sequence) = (word(pdu, 1), word(pdu, 2), word(pdu, 3));
            errors += u32::from(status != 0 && command::is_response(id));
            let carries = matches!(id & !command::RESPONSE_BIT, command::SUBMIT_SM | command::DELIVER_SM | command::DATA_SM);
            if !self.sampled || !carries || status != 0 || sequence.is_multiple_of(SAMPLE) {
                ring.push(at_us, self.connection, to_server, pdu);
            }
        }
        drop(ring);
        if errors > 0 {
            self.count(errors, at_us);
        }
    }

    fn count(&mut self, errors: u32, at_us: u64) {
        if at_us > self.errors_since_us + BURST_US {
            (self.errors, self.errors_since_us) = (0, at_us);
        }
        self.errors += errors;
        let burst = self.recordings.settings.error_burst;
        if burst > 0 && self.errors >= burst {
            self.errors = 0;
            self.trigger("errors", at_us);
        }
    }

    /// A request of ours was not answered in time.
    pub fn timed_out(&mut self, now: Now) {
        self.trigger("timeout", self.at_us(now));
    }

    /// The connection has ended. What we or (of an upstream) its client wanted, and what was never bound, is no trouble.
    pub fn ended(&mut self, cause: CloseCause, now: Now) {
        let trouble = match cause {
            CloseCause::Unbound | CloseCause::Killed | CloseCause::SessionInitTimeout | CloseCause::Inactivity => false,
            CloseCause::PeerUnbind | CloseCause::PeerClosed | CloseCause::Io | CloseCause::BindRefused => self.role == Role::Client,
            _ => true,
        };
        if trouble {
            self.trigger(cause.name(), self.at_us(now));
        }
    }

    /// Writes a recording beside the session, unless one was written just now.
    fn trigger(&self, cause: &'static str, at_us: u64) {
        let pause_us = u64::from(self.recordings.settings.pause_s) * 1_000_000;
        let last = self.tape.dumped_us.load(Ordering::Relaxed);
        if (last > 0 && at_us < last + pause_us) || !self.recordings.may_write(at_us) {
            return;
        }
        self.tape.dumped_us.store(at_us, Ordering::Relaxed);
        let octets = lock(&self.tape.ring).copy();
        let (recordings, name) = (Arc::clone(&self.recordings), self.tape.name.clone());
        // The file is nobody's condition for anything.
        drop(tokio::task::spawn_blocking(move || recordings.write(&name, cause, at_us, &octets)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::{Taken, capture};

    const NOW: Now = Now { mono_us: 5_000_000, wall_ms: 1_790_000_000_000 };

    fn recordings(mode: RecorderMode, folder: &std::path::Path) -> Arc<Recordings> {
        Arc::new(Recordings::new(
            Recorder { mode, error_burst: 3, keep_files: 2, pause_s: 1, ..Recorder::default() },
            folder.join("recordings"),
        ))
    }

    fn pdu(id: u32, status: u32, sequence: u32) -> Vec<u8> {
        [17, id, status, sequence].into_iter().flat_map(u32::to_be_bytes).chain([0]).collect()
    }

    fn taken(recordings: &Recordings, name: &str) -> Vec<(bool, u32, u32)> {
        let read = capture::read(&recordings.dump(name, false).unwrap()).unwrap();
        read.iter().map(|Taken { to_server, pdu, .. }| (*to_server, word(pdu, 1), word(pdu, 3))).collect()
    }

    #[test]
    fn sampled_keeps_pairs_errors_and_what_keeps_the_session() {
        let folder = tempfile::tempdir().unwrap();
        let recordings = recordings(RecorderMode::Sampled, folder.path());
        let mut tap = recordings.tap("north/0", Role::Client, NOW).unwrap();
        let submits: Vec<u8> = (1..=20).flat_map(|sequence| pdu(command::SUBMIT_SM, 0, sequence)).collect();
        tap.sent(&submits, NOW);
        let answers: Vec<u8> = (1..=20).flat_map(|sequence| pdu(command::SUBMIT_SM_RESP, u32::from(sequence == 5), sequence)).collect();
        tap.received(&answers, NOW);
        tap.received(&pdu(command::ENQUIRE_LINK, 0, 77), NOW);
        let expected = [
            (true, command::SUBMIT_SM, 16),
            (false, command::SUBMIT_SM_RESP, 5),
            (false, command::SUBMIT_SM_RESP, 16),
            (false, command::ENQUIRE_LINK, 77),
        ];
        assert_eq!(taken(&recordings, "north/0"), expected);
        assert!(self::recordings(RecorderMode::Off, folder.path()).tap("north/0", Role::Client, NOW).is_none());
        assert!(recordings.dump("south/0", false).is_none());
    }

    #[tokio::test]
    async fn trouble_writes_files_that_are_bounded_and_our_own_unbind_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let recordings = recordings(RecorderMode::Full, folder.path());
        let mut tap = recordings.tap("north/0", Role::Client, NOW).unwrap();
        tap.sent(&pdu(command::SUBMIT_SM, 0, 1), NOW);
        tap.ended(CloseCause::Unbound, NOW);
        let answer = pdu(command::SUBMIT_SM_RESP, 8, 1);
        tap.received(&[&answer[..], &answer].concat(), NOW);
        let wait = async |files: usize| {
            let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
            while recordings.files.load(Ordering::Relaxed) < files as u64 && std::time::Instant::now() < until {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            recordings.files()
        };
        assert!(wait(0).await.is_empty(), "two errors are no burst");
        tap.received(&answer, NOW);
        tap.timed_out(NOW);
        assert_eq!(wait(1).await.len(), 1, "one in a second");
        tap.timed_out(NOW.plus_us(2_000_000));
        tap.ended(CloseCause::PeerClosed, NOW.plus_us(4_000_000));
        let files = wait(3).await;
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while recordings.files().len() > 2 && std::time::Instant::now() < until {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(recordings.files().len() == 2 && files[0].file.ends_with("-north_0-peer_closed.pcap"), "{files:?}");
        let read = capture::read(&recordings.file(&files[0].file).unwrap()).unwrap();
        assert_eq!((read.len(), read[0].at_us), (4, 1_790_000_000_000_000));
        assert!(recordings.file("../hongyan.toml").is_none());
    }

    #[test]
    fn the_next_connection_of_a_bind_goes_on_the_same_tape() {
        let folder = tempfile::tempdir().unwrap();
        let recordings = recordings(RecorderMode::Full, folder.path());
        for sequence in 1..=2 {
            recordings.tap("north/0", Role::Client, NOW).unwrap().sent(&pdu(command::ENQUIRE_LINK, 0, sequence), NOW);
        }
        let read = capture::read(&recordings.dump("north/0", true).unwrap()).unwrap();
        assert_eq!(read.iter().map(|taken| taken.connection).collect::<Vec<_>>(), [0, 1]);
        recordings.forget("north/0");
        assert!(recordings.tapes().is_empty());
    }
}
