//! Nothing is acknowledged before the sync that covers it: seen from outside, in the system calls of a child under strace.
//! strace must be installed (scripts and CI do so); without it these tests fail and say so.

use super::store_conformance::open;
use hongyan::store::local::Paths;
use hongyan::store::{Journal, StoreError};
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

const CHILD: &str = "HONGYAN_TEST_SYNC_CHILD";
const GROUPS: u64 = 40;

/// Not a test of its own: the process that is traced. Says "acked N" with one system call each.
#[test]
fn child_that_acknowledges() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let mut journal = open(Path::new(&directory)).unwrap().journal;
    let say = |text: String| std::io::stderr().write_all(text.as_bytes()).unwrap();
    for number in 1..=GROUPS {
        match journal.append(&vec![number as u8; 100 * number as usize]) {
            Ok(position) => say(format!("acked {position}\n")),
            Err(StoreError::Poisoned { .. }) => say(format!("poisoned {number}\n")),
            Err(error) => say(format!("failed {number}: {error}\n")),
        }
    }
}

fn trace(directory: &Path, options: &[&str]) -> (Output, String) {
    let log = directory.join("trace");
    let output = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fdatasync,fsync,write,pwrite64"])
        .args(options)
        .arg("-o")
        .arg(&log)
        .arg(std::env::current_exe().unwrap())
        .args(["store_sync_trace::child_that_acknowledges", "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, directory.join("data"))
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => panic!("strace can't be run ({error}): install it, this test is the proof that a yes is a promise"),
    };
    let text = fs::read_to_string(&log).unwrap_or_default();
    assert!(!text.is_empty(), "nothing traced: {}", String::from_utf8_lossy(&output.stderr));
    (output, text)
}

/// One finished system call.
#[derive(Debug, PartialEq)]
enum Call {
    /// Into the journal's write-ahead log.
    LogWrite,
    /// The log is on stable storage.
    LogSync,
    Acked(u64),
}

/// The finished calls that matter, in order. A call that another thread interrupts stands in two lines; it counts where it ends, except a write,
/// which counts where it begins.
fn calls(trace: &str) -> Vec<Call> {
    let mut unfinished: HashMap<&str, &str> = HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((process, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let on_log = |call: &str| call.contains("journal.db-wal>");
        let is_sync = |call: &str| call.starts_with("fsync(") || call.starts_with("fdatasync(");
        if call.contains("<unfinished ...>") {
            unfinished.insert(process, call);
        }
        if call.starts_with("pwrite64(") && on_log(call) {
            calls.push(Call::LogWrite);
        } else if is_sync(call) && on_log(call) && call.ends_with("= 0") {
            calls.push(Call::LogSync);
        } else if call.starts_with("<... f") && call.ends_with("= 0") {
            if unfinished.remove(process).is_some_and(|begun| is_sync(begun) && on_log(begun)) {
                calls.push(Call::LogSync);
            }
        } else if let Some(number) = call.split("\"acked ").nth(1) {
            calls.push(Call::Acked(number.split('\\').next().unwrap().parse().unwrap()));
        }
    }
    calls
}

#[test]
fn every_acknowledgement_follows_the_sync_of_its_group() {
    let directory = tempfile::tempdir().unwrap();
    let (_, text) = trace(directory.path(), &[]);
    let (mut dirty, mut written, mut acked) = (false, false, 0);
    for call in calls(&text) {
        match call {
            Call::LogWrite => (dirty, written) = (true, true),
            Call::LogSync => dirty = false,
            Call::Acked(number) => {
                assert_eq!(number, acked + 1);
                assert!(written, "group {number} was acknowledged without having been written");
                assert!(!dirty, "group {number} was acknowledged before its sync");
                (acked, written) = (number, false);
            }
        }
    }
    assert_eq!(acked, GROUPS);
}

#[test]
fn after_a_failed_sync_nothing_more_is_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    // Each sync of the log from the 20th on fails; only there, so that the database is not what stops it.
    fs::create_dir(directory.path().join("data")).unwrap();
    let log = Paths::new(&directory.path().join("data")).journal().with_extension("db-wal");
    let (output, _) = trace(directory.path(), &["-P", log.to_str().unwrap(), "-e", "inject=fsync,fdatasync:error=EIO:when=20+"]);
    let said = String::from_utf8_lossy(&output.stderr);
    let failed: Vec<u64> = said.lines().filter_map(|line| line.strip_prefix("failed ")?.split(':').next()?.parse().ok()).collect();
    assert_eq!(failed.len(), 1, "{said}");
    let last_acked = said.lines().filter_map(|line| line.strip_prefix("acked ")?.parse().ok()).max().unwrap_or(0u64);
    assert_eq!(last_acked + 1, failed[0], "{said}");
    assert_eq!(said.matches("poisoned ").count() as u64, GROUPS - failed[0], "{said}");
    let kept = open(&directory.path().join("data")).unwrap().journal.bounds().unwrap().1;
    assert!(kept == last_acked || kept == failed[0], "acknowledged {last_acked}, kept {kept}");
}
