//! The store in memory forgets in a crash what was not synced, and fails when told to.

use super::store_conformance::groups;
use hongyan::store::memory::{Fault, MemoryJournal, MemoryLedger};
use hongyan::store::{Journal, Ledger, LedgerUpdate, StoreError};

#[test]
fn a_crash_forgets_what_was_not_synced() {
    let handle = MemoryJournal::new();
    let mut journal = handle.clone();
    journal.append(b"a").unwrap();
    handle.set_lazy(true);
    journal.append(b"b").unwrap();
    journal.append(b"c").unwrap();
    assert_eq!((journal.bounds(), handle.synced()), (Some((1, 3)), 1));
    handle.crash();
    assert_eq!(journal.bounds(), Some((1, 1)));
    assert_eq!(journal.append(b"B").unwrap(), 2);
    journal.append(b"C").unwrap();
    // By chance one of the two had reached the disk.
    handle.crash_keeping(1);
    assert_eq!(groups(&mut journal, 0), vec![(1, b"a".to_vec()), (2, b"B".to_vec())]);
}

#[test]
fn a_drop_that_was_not_synced_may_come_back() {
    let handle = MemoryJournal::new();
    let mut journal = handle.clone();
    handle.set_lazy(true);
    for _ in 0..5 {
        journal.append(b"x").unwrap();
    }
    assert_eq!(handle.sync().unwrap(), 5);
    journal.drop_before(4).unwrap();
    assert_eq!(journal.bounds(), Some((4, 5)));
    handle.crash();
    assert_eq!(journal.bounds(), Some((1, 5)));
    journal.drop_before(4).unwrap();
    handle.sync().unwrap();
    handle.crash();
    assert_eq!((journal.bounds(), handle.octets()), (Some((4, 5)), 2));
}

#[test]
fn full_passes_and_a_failed_sync_poisons() {
    let handle = MemoryJournal::new();
    let mut journal = handle.clone();
    handle.inject(1, Fault::Full);
    handle.inject(3, Fault::Sync);
    assert_eq!(journal.append(b"a").unwrap(), 1);
    assert!(journal.append(b"b").unwrap_err().is_full());
    assert_eq!(journal.append(b"b").unwrap(), 2);
    assert!(matches!(journal.append(b"c"), Err(StoreError::Io { .. })));
    assert!(matches!(journal.append(b"d"), Err(StoreError::Poisoned { .. })));
    assert!(matches!(journal.drop_before(1), Err(StoreError::Poisoned { .. })));
    handle.crash();
    assert_eq!(journal.bounds(), Some((1, 2)));
    assert_eq!(journal.append(b"c").unwrap(), 3);
}

#[test]
fn damage_is_named_by_its_position() {
    let handle = MemoryJournal::new();
    let mut journal = handle.clone();
    for _ in 0..3 {
        journal.append(b"x").unwrap();
    }
    assert!(handle.damage(2));
    let mut seen = Vec::new();
    let result = journal.replay(0, &mut |position, _| {
        seen.push(position);
        Ok(())
    });
    assert!(matches!(result, Err(StoreError::Corrupt { position: 2, .. })));
    assert_eq!(seen, [1]);
}

#[test]
fn a_lazy_ledger_forgets_whole_updates() {
    let handle = MemoryLedger::new();
    let mut ledger = handle.clone();
    let update = |absorbed| LedgerUpdate { blobs: vec![("at".into(), vec![absorbed as u8])], absorbed, ..LedgerUpdate::default() };
    ledger.apply(&update(1)).unwrap();
    handle.set_lazy(true);
    ledger.apply(&update(2)).unwrap();
    assert_eq!(ledger.absorbed().unwrap(), 2);
    handle.crash();
    assert_eq!((ledger.absorbed().unwrap(), ledger.blob("at").unwrap()), (1, Some(vec![1])));
    ledger.apply(&update(3)).unwrap();
    handle.sync().unwrap();
    handle.inject(0, Fault::Sync);
    assert!(ledger.apply(&update(4)).is_err());
    handle.crash();
    assert_eq!(ledger.absorbed().unwrap(), 3);
}
