//! The embedded store against killed processes, damaged files, full disks and a second gateway: what was acknowledged stays, or the
//! damage is told.

use super::store_conformance::{group, groups, open};
use hongyan::store::local::{LocalSettings, LocalStore, Paths};
use hongyan::store::{Journal, Ledger, LedgerUpdate, SpaceLevel, StoreError};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const CHILD: &str = "HONGYAN_TEST_STORE_CHILD";

/// Number of groups after which the child goes by itself.
const CHILD_GROUPS: &str = "HONGYAN_TEST_STORE_CHILD_GROUPS";

/// Not a test of its own: the process that the tests below kill. Appends groups to the directory it is given and says which are acknowledged.
#[test]
fn child_that_appends_until_killed() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let groups: u64 = std::env::var(CHILD_GROUPS).map_or(0, |text| text.parse().unwrap());
    let mut store = open(Path::new(&directory)).unwrap();
    loop {
        let position = store.journal.append(&group(store.journal.bounds().map_or(1, |(_, last)| last + 1))).unwrap();
        if position.is_multiple_of(7) {
            store.journal.drop_before(position.saturating_sub(40)).unwrap();
        }
        println!("acked {position}");
        if groups == position {
            // As a killed process: nothing is closed.
            std::process::exit(0);
        }
    }
}

fn child(directory: &Path) -> Command {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["store_local::child_that_appends_until_killed", "--exact", "--nocapture", "--test-threads=1"]);
    child.env(CHILD, directory).stdout(Stdio::piped());
    child
}

/// Runs the child above in `directory` and kills it (SIGKILL) after about `acked` groups; gives the last that it said was acknowledged.
fn append_and_kill(directory: &Path, acked: u64) -> u64 {
    let mut child = child(directory).spawn().unwrap();
    let mut last = 0;
    let mut killed = false;
    // The harness may write its own words in front of the first.
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let Some(position) = line.split("acked ").nth(1).and_then(|text| text.trim().parse().ok()) else { continue };
        last = position;
        if last >= acked && !killed {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "the child ended by itself after {last}");
    last
}

fn log_of(directory: &Path) -> PathBuf {
    directory.join("journal.db-wal")
}

/// Opens what a killed process left; every group must be the one that was written under its position. Gives the last position.
fn check(directory: &Path) -> Result<u64, StoreError> {
    let mut journal = open(directory)?.journal;
    let (first, last) = journal.bounds().unwrap_or((1, 0));
    let mut next = first;
    journal.replay(0, &mut |position, octets| {
        assert_eq!((position, octets), (next, &group(position)[..]));
        next += 1;
        Ok(())
    })?;
    assert_eq!(next, last + 1);
    Ok(last)
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut acked = 0;
    for round in 1..=4 {
        acked = append_and_kill(directory.path(), acked + 60 * round);
        let last = check(directory.path()).unwrap();
        // One group may have been committed without its word having come out.
        assert!(last == acked || last == acked + 1, "acknowledged {acked}, found {last}");
        acked = last;
    }
}

/// A fresh directory as a process that went without closing leaves it: all groups acknowledged and still in the log, some of them dropped.
fn abandoned(groups: u64) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let output = child(directory.path()).env(CHILD_GROUPS, groups.to_string()).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("acked {groups}")), "{output:?}");
    directory
}

fn expect_damage(directory: &Path, what: &str) {
    match check(directory) {
        Err(StoreError::Corrupt { .. }) => {}
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn what_a_crash_leaves_behind_the_log_is_harmless() {
    let directory = abandoned(30);
    let mut log = fs::read(log_of(directory.path())).unwrap();
    log.extend((0..300_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8));
    fs::write(log_of(directory.path()), &log).unwrap();
    assert_eq!(check(directory.path()).unwrap(), 30);
    let directory = abandoned(30);
    let mut log = fs::read(log_of(directory.path())).unwrap();
    log.resize(log.len() + 200_000, 0);
    fs::write(log_of(directory.path()), &log).unwrap();
    assert_eq!(check(directory.path()).unwrap(), 30);
}

#[test]
fn a_damaged_cut_or_missing_log_is_told() {
    let directory = abandoned(30);
    let pristine = fs::read(log_of(directory.path())).unwrap();
    // One bit at places all over the log, frame headers and contents.
    for at in [0, 40, 5_000, pristine.len() / 3, pristine.len() / 2, pristine.len() - 3_000] {
        let copy = tempfile::tempdir().unwrap();
        for name in ["journal.db", "journal.mark", "ledger.db"] {
            fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
        }
        let mut log = pristine.clone();
        log[at] ^= 0x10;
        fs::write(log_of(copy.path()), &log).unwrap();
        expect_damage(copy.path(), &format!("bit flipped at {at}"));
    }
    for keep in [0, 20_000, pristine.len() - 100] {
        let directory = abandoned(30);
        let log = fs::read(log_of(directory.path())).unwrap();
        fs::write(log_of(directory.path()), &log[..keep.min(log.len() - 100)]).unwrap();
        expect_damage(directory.path(), &format!("cut to {keep}"));
    }
    fs::remove_file(log_of(directory.path())).unwrap();
    expect_damage(directory.path(), "log removed");
}

#[test]
fn a_damaged_group_in_the_database_is_named() {
    let directory = tempfile::tempdir().unwrap();
    {
        let mut journal = open(directory.path()).unwrap().journal;
        for position in 1..=20 {
            journal.append(format!("group number {position:>4} {}", "x".repeat(500)).as_bytes()).unwrap();
        }
    }
    assert!(!log_of(directory.path()).exists(), "closed in good order");
    let path = Paths::new(directory.path()).journal();
    let mut octets = fs::read(&path).unwrap();
    let needle = b"group number   13";
    let at = octets.windows(needle.len()).position(|window| window == needle).unwrap();
    octets[at + 100] ^= 1;
    fs::write(&path, octets).unwrap();
    let mut journal = open(directory.path()).unwrap().journal;
    let mut seen = 0;
    let result = journal.replay(0, &mut |position, _| {
        seen = position;
        Ok(())
    });
    assert!(matches!(result, Err(StoreError::Corrupt { position: 13, .. })), "{result:?}");
    assert_eq!(seen, 12);
}

#[test]
fn a_journal_that_lost_its_past_does_not_open_beside_its_ledger() {
    let directory = tempfile::tempdir().unwrap();
    {
        let mut store = open(directory.path()).unwrap();
        for position in 1..=3 {
            store.journal.append(&group(position)).unwrap();
        }
        store.ledger.apply(&LedgerUpdate { absorbed: 3, ..LedgerUpdate::default() }).unwrap();
    }
    let paths = Paths::new(directory.path());
    fs::remove_file(paths.journal()).unwrap();
    assert!(matches!(open(directory.path()), Err(StoreError::Corrupt { position: 1, .. })));
    fs::remove_file(paths.mark()).unwrap();
    match open(directory.path()) {
        Err(StoreError::Corrupt { position: 3, why }) => assert!(why.contains("absorbed"), "{why}"),
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn a_second_gateway_is_kept_out_and_told_by_whom() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path()).unwrap();
    match open(directory.path()) {
        Err(StoreError::Locked { by }) => assert_eq!(by, format!("process {}", std::process::id())),
        other => panic!("{:?}", other.err()),
    }
    // Journal and ledger go to different threads: the lock goes with the last of them.
    drop(first.journal);
    assert!(matches!(open(directory.path()), Err(StoreError::Locked { .. })));
    drop(first.ledger);
    open(directory.path()).unwrap();
}

#[test]
fn a_full_journal_says_so_loses_nothing_and_goes_on_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let bound = LocalSettings { reserve_octets: 0, journal_max_octets: 1 << 20, ..LocalSettings::default() };
    let mut store = LocalStore::open(directory.path(), &bound).unwrap();
    let large = vec![7u8; 100_000];
    let mut last = 0;
    loop {
        match store.journal.append(&large) {
            Ok(position) => last = position,
            Err(error) => {
                assert!(error.is_full(), "{error}");
                break;
            }
        }
    }
    assert!((5..12).contains(&last), "{last}");
    assert_eq!(store.space.level(), SpaceLevel::Reserve);
    assert!(store.journal.append(&large).unwrap_err().is_full(), "full is not poison");
    assert_eq!(store.journal.bounds(), Some((1, last)));
    store.journal.drop_before(last - 1).unwrap();
    assert_eq!(store.journal.append(&large).unwrap(), last + 1);
    drop(store);
    let mut journal = open(directory.path()).unwrap().journal;
    assert_eq!(groups(&mut journal, last - 1).len(), 3);
}

#[test]
fn the_reserve_is_taken_given_up_and_told() {
    let directory = tempfile::tempdir().unwrap();
    let settings = LocalSettings { reserve_octets: 1 << 20, journal_max_octets: 1 << 20, ..LocalSettings::default() };
    let mut store = LocalStore::open(directory.path(), &settings).unwrap();
    let reserve = Paths::new(directory.path()).reserve();
    assert_eq!(fs::metadata(&reserve).unwrap().len(), 1 << 20);
    assert_eq!(store.space.level(), SpaceLevel::Ok);
    while store.journal.append(&[1; 200_000]).is_ok() {}
    assert_eq!(store.space.level(), SpaceLevel::Reserve);
    drop(store);
    // A reserve larger than the disk can't be taken: only outcomes are written.
    let settings = LocalSettings { reserve_octets: 1 << 55, ..LocalSettings::default() };
    let store = LocalStore::open(directory.path(), &settings).unwrap();
    assert_eq!(store.space.level(), SpaceLevel::Reserve);
    assert!(!reserve.exists());
}

#[test]
fn the_file_stays_near_what_lives_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let settings = LocalSettings { reserve_octets: 0, checkpoint_octets: 1 << 20, ..LocalSettings::default() };
    let mut journal = LocalStore::open(directory.path(), &settings).unwrap().journal;
    let octets = vec![9u8; 50_000];
    // Forty windows of 1 MiB pass through.
    for _ in 0..800 {
        let position = journal.append(&octets).unwrap();
        journal.drop_before(position.saturating_sub(20)).unwrap();
    }
    drop(journal);
    let size = fs::metadata(Paths::new(directory.path()).journal()).unwrap().len();
    assert!(size < 3 << 20, "{size} octets for 1 MiB that lives");
}

#[test]
fn space_goes_back_to_the_disk_after_a_flood() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = open(directory.path()).unwrap().journal;
    let size = || fs::metadata(Paths::new(directory.path()).journal()).unwrap().len();
    // 100 MiB at once, as when the ledger is slow, then a long quiet.
    for _ in 0..200 {
        journal.append(&[9u8; 512 << 10]).unwrap();
    }
    let position = journal.append(b"last of the flood").unwrap();
    drop(journal);
    let flood = size();
    assert!(flood > 100 << 20);
    let mut journal = open(directory.path()).unwrap().journal;
    journal.drop_before(position).unwrap();
    for _ in 0..1200 {
        journal.append(b"quiet").unwrap();
    }
    drop(journal);
    assert!(size() < 70 << 20, "{} of {flood} octets left", size());
    assert_eq!(check_quiet(directory.path()), position + 1200);
}

fn check_quiet(directory: &Path) -> u64 {
    let mut journal = open(directory).unwrap().journal;
    journal.replay(0, &mut |_, _| Ok(())).unwrap();
    journal.bounds().unwrap().1
}
