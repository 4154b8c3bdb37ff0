//! The threads that own journal and ledger: what they gather, report, refuse, and do when the disk fails.

use super::store_conformance::groups;
use hongyan::store::ledger_writer::{LedgerEvent, LedgerWriter};
use hongyan::store::memory::{Fault, MemoryJournal, MemoryLedger};
use hongyan::store::writer::{AppendError, JournalHandle, JournalWriter, WriterEvent, WriterSettings};
use hongyan::store::{Chunk, EachGroup, Journal, LedgerUpdate, StoreError};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Longer than any of this takes; only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(20);

fn spawn(journal: impl Journal + 'static, settings: WriterSettings) -> (JournalHandle, Receiver<WriterEvent>) {
    let (events, seen) = channel();
    let handle = JournalWriter::spawn(Box::new(journal), Box::new(move |event| drop(events.send(event))), settings).unwrap();
    (handle, seen)
}

/// A journal whose appends wait for the test's word, and tell that they wait.
struct Slow {
    inner: MemoryJournal,
    begun: Sender<usize>,
    go: Receiver<()>,
}

impl Journal for Slow {
    fn append(&mut self, group: &[u8]) -> Result<u64, StoreError> {
        self.begun.send(group.len()).unwrap();
        self.go.recv().unwrap();
        self.inner.append(group)
    }

    fn replay(&mut self, from: u64, each: EachGroup<'_>) -> Result<(), StoreError> {
        self.inner.replay(from, each)
    }

    fn drop_before(&mut self, position: u64) -> Result<(), StoreError> {
        self.inner.drop_before(position)
    }

    fn bounds(&self) -> Option<(u64, u64)> {
        self.inner.bounds()
    }
}

fn slow() -> (MemoryJournal, Slow, Receiver<usize>, Sender<()>) {
    let inner = MemoryJournal::new();
    let (begun, begins) = channel();
    let (go, goes) = channel();
    (inner.clone(), Slow { inner, begun, go: goes }, begins, go)
}

#[test]
fn what_waits_during_a_sync_becomes_one_group() {
    let (mut inner, journal, begins, go) = slow();
    let (handle, events) = spawn(journal, WriterSettings::default());
    handle.append(1, b"one".to_vec(), true).unwrap();
    assert_eq!(begins.recv_timeout(PATIENCE).unwrap(), 3);
    for batch in 2..=4 {
        handle.append(batch, format!("<{batch}>").into_bytes(), true).unwrap();
    }
    assert_eq!(handle.queued_octets(), 12);
    go.send(()).unwrap();
    go.send(()).unwrap();
    match events.recv_timeout(PATIENCE).unwrap() {
        WriterEvent::Committed { batch: 1, position: 1, octets: 3, batches: 1, .. } => {}
        other => panic!("{other:?}"),
    }
    match events.recv_timeout(PATIENCE).unwrap() {
        WriterEvent::Committed { batch: 4, position: 2, octets: 9, batches: 3, .. } => {}
        other => panic!("{other:?}"),
    }
    let stats = handle.stats();
    assert_eq!((stats.groups, stats.batches, stats.octets, stats.sync_us.len()), (2, 4, 12, 2));
    handle.shutdown();
    assert_eq!(groups(&mut inner, 0), vec![(1, b"one".to_vec()), (2, b"<2><3><4>".to_vec())]);
}

#[test]
fn a_group_stays_under_its_bound_but_takes_any_single_batch() {
    let (mut inner, journal, begins, go) = slow();
    let (handle, events) = spawn(journal, WriterSettings { group_octets: 100, ..WriterSettings::default() });
    handle.append(1, vec![1; 10], true).unwrap();
    begins.recv_timeout(PATIENCE).unwrap();
    for (batch, octets) in [(2, 60), (3, 40), (4, 1), (5, 500), (6, 1)] {
        handle.append(batch, vec![batch as u8; octets], true).unwrap();
    }
    (0..5).for_each(|_| go.send(()).unwrap());
    let mut committed = Vec::new();
    while committed.last() != Some(&6) {
        match events.recv_timeout(PATIENCE).unwrap() {
            WriterEvent::Committed { batch, .. } => committed.push(batch),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(committed, [1, 3, 4, 5, 6]);
    handle.shutdown();
    assert_eq!(groups(&mut inner, 0).iter().map(|(_, octets)| octets.len()).collect::<Vec<_>>(), [10, 100, 1, 500, 1]);
}

#[test]
fn batches_that_nobody_waits_for_are_written_all_the_same_and_an_urgent_one_takes_them_along() {
    let inner = MemoryJournal::new();
    let (handle, events) = spawn(inner.clone(), WriterSettings::default());
    handle.append(1, b"a".to_vec(), false).unwrap();
    assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), WriterEvent::Committed { batch: 1, .. }));
    drop(handle);
    // With a wait that no test outlives, only the urgent batch can end it.
    let (handle, events) = spawn(inner, WriterSettings { company: Duration::from_secs(3600), ..WriterSettings::default() });
    handle.append(2, b"b".to_vec(), false).unwrap();
    handle.append(3, b"c".to_vec(), false).unwrap();
    handle.append(4, b"d".to_vec(), true).unwrap();
    match events.recv_timeout(PATIENCE).unwrap() {
        WriterEvent::Committed { batch: 4, batches: 3, octets: 3, .. } => {}
        other => panic!("{other:?}"),
    }
    // Shutting down ends the wait too.
    handle.append(5, b"e".to_vec(), false).unwrap();
    handle.shutdown();
    assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), WriterEvent::Committed { batch: 5, .. }));
}

#[test]
fn too_much_waiting_is_refused_and_the_batch_comes_back() {
    let (_, journal, begins, go) = slow();
    let settings = WriterSettings { queue_batches: 2, queue_octets: 100, ..WriterSettings::default() };
    let (handle, events) = spawn(journal, settings);
    handle.append(1, vec![1; 50], true).unwrap();
    begins.recv_timeout(PATIENCE).unwrap();
    assert_eq!(handle.append(2, vec![2; 51], true), Err(AppendError::Busy(vec![2; 51])), "octets");
    handle.append(2, vec![2], true).unwrap();
    handle.append(3, vec![3], true).unwrap();
    assert_eq!(handle.append(4, vec![4], true), Err(AppendError::Busy(vec![4])), "batches");
    assert!(!handle.drop_before(1));
    std::thread::sleep(Duration::from_millis(2));
    assert!(handle.oldest_wait() >= Duration::from_millis(2));
    (0..3).for_each(|_| go.send(()).unwrap());
    assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), WriterEvent::Committed { batch: 1, .. }));
    assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), WriterEvent::Committed { batch: 3, .. }));
    assert_eq!(handle.queued_octets(), 0);
    assert_eq!(handle.oldest_wait(), Duration::ZERO);
    handle.append(4, vec![4], true).unwrap();
}

#[test]
fn a_full_disk_holds_the_group_back_and_never_skips_it() {
    let mut inner = MemoryJournal::new();
    (0..3).for_each(|_| inner.inject(0, Fault::Full));
    let settings = WriterSettings { full_retry: Duration::from_millis(1), ..WriterSettings::default() };
    let (handle, events) = spawn(inner.clone(), settings);
    handle.append(1, b"a".to_vec(), true).unwrap();
    assert_eq!(events.recv_timeout(PATIENCE).unwrap(), WriterEvent::Full { batch: 1 });
    handle.append(2, b"b".to_vec(), true).unwrap();
    let mut last = 0;
    while last != 2 {
        match events.recv_timeout(PATIENCE).unwrap() {
            WriterEvent::Committed { batch, .. } => last = batch,
            other => panic!("said once only: {other:?}"),
        }
    }
    assert_eq!(handle.stats().full, 3);
    handle.shutdown();
    let all: Vec<u8> = groups(&mut inner, 0).into_iter().flat_map(|(_, octets)| octets).collect();
    assert_eq!(all, b"ab");
}

#[test]
fn a_failed_sync_ends_the_thread_and_says_from_where() {
    let inner = MemoryJournal::new();
    inner.inject(1, Fault::Sync);
    let (handle, events) = spawn(inner, WriterSettings::default());
    handle.append(1, b"a".to_vec(), true).unwrap();
    assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), WriterEvent::Committed { batch: 1, .. }));
    handle.append(2, b"b".to_vec(), true).unwrap();
    match events.recv_timeout(PATIENCE).unwrap() {
        WriterEvent::Poisoned { batch: 2, why } => assert!(why.contains("sync"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(handle.append(3, b"c".to_vec(), true), Err(AppendError::Stopped(b"c".to_vec())));
    assert!(events.recv_timeout(PATIENCE).is_err(), "the thread has ended");
}

#[test]
fn drops_ride_the_same_queue() {
    let inner = MemoryJournal::new();
    let (handle, events) = spawn(inner.clone(), WriterSettings::default());
    for batch in 1..=3 {
        handle.append(batch, b"x".to_vec(), true).unwrap();
        events.recv_timeout(PATIENCE).unwrap();
    }
    assert!(handle.drop_before(3));
    handle.append(4, b"x".to_vec(), true).unwrap();
    events.recv_timeout(PATIENCE).unwrap();
    handle.shutdown();
    assert_eq!(inner.bounds(), Some((3, 4)));
}

#[test]
fn a_thousand_hand_overs_lose_no_wake_up() {
    let inner = MemoryJournal::new();
    let settings = WriterSettings { gather: Duration::ZERO, company: Duration::from_micros(50), ..WriterSettings::default() };
    let (handle, events) = spawn(inner, settings);
    for batch in 1..=1000u64 {
        handle.append(batch, b"x".to_vec(), batch % 3 > 0).unwrap();
        // Waiting for each puts the thread to sleep between them.
        match events.recv_timeout(PATIENCE).unwrap() {
            WriterEvent::Committed { batch: committed, .. } => assert_eq!(committed, batch),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_ledgers_thread_applies_and_reads_in_order() {
    let ledger = MemoryLedger::new();
    ledger.inject(1, Fault::Full);
    ledger.inject(4, Fault::Sync);
    let (events, seen) = channel();
    let handle = LedgerWriter::spawn(Box::new(ledger), Box::new(move |event| drop(events.send(event)))).unwrap();
    let chunk = Chunk { id: 1, kind: 2, key: 3, octets: vec![4] };
    handle.apply(10, Box::new(LedgerUpdate { put: vec![chunk.clone()], absorbed: 5, ..LedgerUpdate::default() })).unwrap();
    assert!(handle.read(1) && handle.read(2));
    handle.apply(11, Box::new(LedgerUpdate { delete: vec![1], absorbed: 6, ..LedgerUpdate::default() })).unwrap();
    assert!(handle.read(1));
    let mut told = Vec::new();
    for _ in 0..6 {
        told.push(match seen.recv_timeout(PATIENCE).unwrap() {
            LedgerEvent::Applied { number, absorbed } => format!("applied {number} up to {absorbed}"),
            LedgerEvent::Found { id, chunk: found } => {
                assert!(found.as_ref().is_none_or(|(found, _)| *found == chunk));
                format!("{id} {}", if found.is_some() { "found" } else { "gone" })
            }
            LedgerEvent::FoundPage { kind, id, octets } => format!("page {kind}/{id} {octets:?}"),
            LedgerEvent::Full { number } => format!("full {number}"),
            LedgerEvent::Failed { why } => why,
        });
    }
    assert_eq!(told, ["applied 10 up to 5", "1 found", "2 gone", "full 11", "applied 11 up to 6", "1 gone"]);
    handle.apply(12, Box::new(LedgerUpdate::default())).unwrap();
    assert!(matches!(seen.recv_timeout(PATIENCE).unwrap(), LedgerEvent::Applied { number: 12, .. }));
    handle.apply(13, Box::new(LedgerUpdate::default())).unwrap();
    assert!(matches!(seen.recv_timeout(PATIENCE).unwrap(), LedgerEvent::Failed { .. }));
    handle.shutdown();
}
