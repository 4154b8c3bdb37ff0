//! What every journal and every ledger must do, run over the embedded store and the one in memory.

use hongyan::store::local::{LocalSettings, LocalStore};
use hongyan::store::memory::{MemoryJournal, MemoryLedger};
use hongyan::store::{Chunk, Journal, Ledger, LedgerUpdate, Page, StoreError};
use std::path::Path;

/// A store under test, which can be closed and opened again.
trait Subject {
    fn journal(&self) -> Box<dyn Journal>;
    fn ledger(&self) -> Box<dyn Ledger>;
}

struct Memory(MemoryJournal, MemoryLedger);

impl Subject for Memory {
    fn journal(&self) -> Box<dyn Journal> {
        self.0.crash();
        Box::new(self.0.clone())
    }

    fn ledger(&self) -> Box<dyn Ledger> {
        self.1.crash();
        Box::new(self.1.clone())
    }
}

struct Local(tempfile::TempDir);

pub fn open(directory: &Path) -> Result<LocalStore, StoreError> {
    LocalStore::open(directory, &LocalSettings { reserve_octets: 0, ..LocalSettings::default() })
}

impl Subject for Local {
    fn journal(&self) -> Box<dyn Journal> {
        Box::new(open(self.0.path()).unwrap().journal)
    }

    fn ledger(&self) -> Box<dyn Ledger> {
        let mut store = open(self.0.path()).unwrap();
        // A ledger that has absorbed more than the journal holds is refused.
        while store.journal.bounds().is_none_or(|(_, last)| last < 12) {
            store.journal.append(b"x").unwrap();
        }
        Box::new(store.ledger)
    }
}

fn subjects() -> [Box<dyn Subject>; 2] {
    [Box::new(Memory(MemoryJournal::new(), MemoryLedger::new())), Box::new(Local(tempfile::tempdir().unwrap()))]
}

pub fn groups(journal: &mut dyn Journal, from: u64) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    journal
        .replay(from, &mut |position, octets| {
            all.push((position, octets.to_vec()));
            Ok(())
        })
        .unwrap();
    all
}

/// A group that names its position, from nothing to several pages long.
pub fn group(position: u64) -> Vec<u8> {
    let length = [0, 1, 300, 5_000, 40_000][position as usize % 5];
    (0..length).map(|at: u64| (at.wrapping_mul(31) ^ position) as u8).collect()
}

#[test]
fn groups_come_back_in_order_under_positions_from_one() {
    for subject in subjects() {
        let mut journal = subject.journal();
        assert_eq!(journal.bounds(), None);
        assert!(groups(&mut *journal, 0).is_empty());
        for position in 1..=50 {
            assert_eq!(journal.append(&group(position)).unwrap(), position);
        }
        assert_eq!(journal.bounds(), Some((1, 50)));
        let all: Vec<_> = (1..=50).map(|position| (position, group(position))).collect();
        assert_eq!(groups(&mut *journal, 0), all);
        assert_eq!(groups(&mut *journal, 41), all[40..]);
        assert!(groups(&mut *journal, 51).is_empty());
        drop(journal);
        let mut journal = subject.journal();
        assert_eq!(journal.bounds(), Some((1, 50)));
        assert_eq!(groups(&mut *journal, 1), all);
        assert_eq!(journal.append(b"next").unwrap(), 51);
    }
}

#[test]
fn dropped_groups_are_gone_and_positions_go_on() {
    for subject in subjects() {
        let mut journal = subject.journal();
        for position in 1..=20 {
            journal.append(&group(position)).unwrap();
        }
        journal.drop_before(11).unwrap();
        journal.drop_before(3).unwrap();
        assert_eq!(journal.bounds(), Some((11, 20)));
        assert_eq!(groups(&mut *journal, 0).first().unwrap().0, 11);
        match journal.replay(10, &mut |_, _| Ok(())) {
            Err(StoreError::Corrupt { position: 10, .. }) => {}
            other => panic!("asked for a dropped group: {other:?}"),
        }
        for position in 21..=30 {
            assert_eq!(journal.append(&group(position)).unwrap(), position);
        }
        // The last one stays, so that its position is not given again.
        journal.drop_before(u64::MAX).unwrap();
        assert_eq!(journal.bounds(), Some((30, 30)));
        drop(journal);
        let mut journal = subject.journal();
        let (first, last) = journal.bounds().unwrap();
        assert!(first <= 30 && last == 30);
        let kept = groups(&mut *journal, 0);
        assert!(kept.iter().map(|(position, _)| *position).eq(first..=30), "what is kept has no holes");
        assert_eq!(journal.append(b"next").unwrap(), 31);
    }
}

#[test]
fn an_error_of_the_reader_ends_the_replay() {
    for subject in subjects() {
        let mut journal = subject.journal();
        for position in 1..=5 {
            journal.append(&group(position)).unwrap();
        }
        let mut seen = 0;
        let result = journal.replay(2, &mut |position, _| {
            seen = position;
            if position == 3 { Err(StoreError::io("reading", "enough")) } else { Ok(()) }
        });
        assert!(matches!(result, Err(StoreError::Io { .. })));
        assert_eq!(seen, 3);
        assert_eq!(journal.append(b"goes on").unwrap(), 6);
    }
}

fn chunk(id: u64, octets: &[u8]) -> Chunk {
    Chunk { id, kind: (id % 7) as u8, key: u64::MAX - id, octets: octets.to_vec() }
}

fn chunks(ledger: &mut dyn Ledger) -> Vec<(Chunk, Vec<u8>)> {
    let mut all = Vec::new();
    ledger
        .chunks(&mut |chunk, dead| {
            all.push((chunk, dead.to_vec()));
            Ok(())
        })
        .unwrap();
    all
}

#[test]
fn a_ledger_keeps_chunks_their_dead_blobs_and_the_absorbed_position() {
    for subject in subjects() {
        let mut ledger = subject.ledger();
        assert_eq!(ledger.absorbed().unwrap(), 0);
        assert_eq!(ledger.blob("state").unwrap(), None);
        assert!(chunks(&mut *ledger).is_empty());
        let update = LedgerUpdate {
            put: vec![chunk(9, b"nine"), chunk(2, &[7; 70_000]), chunk(5, b"")],
            dead: vec![(9, vec![1, 2]), (77, vec![9])],
            delete: vec![],
            blobs: vec![("state".into(), b"counters".to_vec())],
            absorbed: 12,
            ..LedgerUpdate::default()
        };
        ledger.apply(&update).unwrap();
        // Twice is harmless.
        ledger.apply(&update).unwrap();
        let want = vec![(chunk(2, &[7; 70_000]), vec![]), (chunk(5, b""), vec![]), (chunk(9, b"nine"), vec![1, 2])];
        assert_eq!(chunks(&mut *ledger), want);
        drop(ledger);
        let mut ledger = subject.ledger();
        assert_eq!(chunks(&mut *ledger), want);
        assert_eq!(ledger.chunk(9).unwrap(), Some((chunk(9, b"nine"), vec![1, 2])));
        assert_eq!(ledger.chunk(77).unwrap(), None);
        assert_eq!(ledger.blob("state").unwrap().unwrap(), b"counters");
        let next = LedgerUpdate {
            put: vec![chunk(9, b"nine again")],
            dead: vec![(5, vec![3; 5_000])],
            delete: vec![2, 1000],
            blobs: vec![("state".into(), vec![])],
            absorbed: 11,
            ..LedgerUpdate::default()
        };
        ledger.apply(&next).unwrap();
        assert_eq!(chunks(&mut *ledger), vec![(chunk(5, b""), vec![3; 5_000]), (chunk(9, b"nine again"), vec![])]);
        assert_eq!(ledger.blob("state").unwrap().unwrap(), b"");
        assert_eq!(ledger.absorbed().unwrap(), 12, "never falls");
    }
}

#[test]
fn a_deleted_chunk_leaves_no_list_for_its_successor() {
    for subject in subjects() {
        let mut ledger = subject.ledger();
        let put = |dead| LedgerUpdate { put: vec![chunk(1, b"one")], dead, ..LedgerUpdate::default() };
        ledger.apply(&put(vec![(1, vec![5])])).unwrap();
        ledger.apply(&LedgerUpdate { delete: vec![1], ..LedgerUpdate::default() }).unwrap();
        assert_eq!(ledger.chunk(1).unwrap(), None);
        ledger.apply(&put(vec![])).unwrap();
        assert_eq!(ledger.chunk(1).unwrap(), Some((chunk(1, b"one"), vec![])));
    }
}

fn pages(ledger: &mut dyn Ledger, kind: u8) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    ledger
        .pages(kind, &mut |id, octets| {
            all.push((id, octets));
            Ok(())
        })
        .unwrap();
    all
}

#[test]
fn a_ledger_keeps_pages_by_kind_and_number_and_drops_them_by_ranges() {
    for subject in subjects() {
        let mut ledger = subject.ledger();
        let page = |kind, id, octets: &[u8]| Page { kind, id, octets: octets.to_vec() };
        let update = LedgerUpdate {
            pages: vec![page(3, 7, b"seven"), page(3, 2, &[9; 70_000]), page(4, 7, b""), page(3, 1 << 40, b"far")],
            drop_pages: vec![(3, 0..=u64::MAX)],
            ..LedgerUpdate::default()
        };
        ledger.apply(&update).unwrap();
        // Twice is harmless.
        ledger.apply(&update).unwrap();
        assert_eq!(pages(&mut *ledger, 3), vec![(2, vec![9; 70_000]), (7, b"seven".to_vec()), (1 << 40, b"far".to_vec())]);
        drop(ledger);
        let mut ledger = subject.ledger();
        assert_eq!(
            (ledger.page(3, 7).unwrap(), ledger.page(3, 8).unwrap(), ledger.page(5, 7).unwrap()),
            (Some(b"seven".to_vec()), None, None)
        );
        let next = LedgerUpdate {
            drop_pages: vec![(3, 3..=7), (4, 8..=u64::MAX)],
            pages: vec![page(3, 5, b"new"), page(3, 2, b"two")],
            ..LedgerUpdate::default()
        };
        ledger.apply(&next).unwrap();
        assert_eq!(pages(&mut *ledger, 3), vec![(2, b"two".to_vec()), (5, b"new".to_vec()), (1 << 40, b"far".to_vec())]);
        assert_eq!(pages(&mut *ledger, 4), vec![(7, vec![])]);
    }
}
