//! What `hongyan store` tells of a data directory: sound, running, damaged.

use super::store_conformance::{group, open};
use hongyan::store::local::{Paths, inspect};
use hongyan::store::{Chunk, Journal, Ledger, LedgerUpdate, StoreError};
use std::fs;

fn filled() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path()).unwrap();
    for position in 1..=100 {
        store.journal.append(&group(position)).unwrap();
    }
    let update = LedgerUpdate {
        put: vec![Chunk { id: 4, kind: 1, key: 2, octets: b"chunk number four".to_vec() }],
        dead: vec![(4, vec![1])],
        blobs: vec![("state".into(), b"blob of state".to_vec())],
        absorbed: 30,
        ..LedgerUpdate::default()
    };
    store.ledger.apply(&update).unwrap();
    directory
}

#[test]
fn a_sound_store_is_sound_and_counted() {
    let directory = filled();
    let verified = inspect::verify(directory.path()).unwrap();
    assert_eq!(verified.problems, Vec::<String>::new());
    let figures = verified.figures;
    assert_eq!((figures.journal_first, figures.journal_last, figures.groups), (1, 100, 100));
    assert_eq!(figures.group_octets, (1..=100).map(|position| group(position).len() as u64).sum::<u64>());
    assert_eq!((figures.acknowledged, figures.absorbed, figures.chunks, figures.chunk_octets, figures.blobs), (100, 30, 1, 17, 1));
    // Looking changed nothing that keeps the gateway from starting.
    assert_eq!(open(directory.path()).unwrap().journal.append(b"next").unwrap(), 101);
}

#[test]
fn a_running_store_is_dumped_and_counted_but_not_verified() {
    let directory = filled();
    let mut store = open(directory.path()).unwrap();
    assert!(matches!(inspect::verify(directory.path()), Err(StoreError::Locked { .. })));
    let read = |from, to| {
        let mut all = Vec::new();
        inspect::groups(directory.path(), from, to, &mut |position, octets| {
            all.push((position, octets.to_vec()));
            Ok(())
        })
        .unwrap();
        all
    };
    assert_eq!(read(0, u64::MAX), (1..=100).map(|position| (position, group(position))).collect::<Vec<_>>());
    assert_eq!(read(64, 66).len(), 3);
    assert!(read(101, 200).is_empty());
    store.journal.append(b"more").unwrap();
    assert_eq!(inspect::figures(directory.path()).unwrap().journal_last, 101);
}

#[test]
fn every_damage_is_listed() {
    let directory = filled();
    let paths = Paths::new(directory.path());
    let spoil = |path: &std::path::Path, needle: &[u8]| {
        let mut octets = fs::read(path).unwrap();
        let at = octets.windows(needle.len()).position(|window| window == needle).unwrap();
        octets[at + needle.len() / 2] ^= 1;
        fs::write(path, octets).unwrap();
    };
    spoil(&paths.journal(), &group(42)[..60]);
    spoil(&paths.journal(), &group(82)[..60]);
    spoil(&paths.ledger(), b"chunk number four");
    spoil(&paths.ledger(), b"blob of state");
    let problems = inspect::verify(directory.path()).unwrap().problems;
    assert_eq!(problems.len(), 4, "{problems:#?}");
    for (problem, words) in problems.iter().zip([["journal", "42"], ["journal", "82"], ["chunk", "at 4"], ["blob", "state"]]) {
        assert!(words.iter().all(|word| problem.contains(word)), "{problem}");
    }
}

#[test]
fn a_directory_without_a_store_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(inspect::verify(directory.path()), Err(StoreError::Io { .. })));
    assert!(inspect::figures(directory.path()).is_err());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}
