//! CPU per record of the embedded journal by group size, with the journal's window kept at a fixed number of octets, so that
//! dropping, reuse of space and checkpoints are in the figure. A program of its own rather than criterion: the cost is CPU of all threads of the
//! process per record, not wall time of one call.
//!
//! `cargo bench --bench journal [-- GROUP_SIZES [RECORDS_PER_RUN [WINDOW_MIB [RECORDS_PER_S]]]]`

use hongyan::store::Journal;
use hongyan::store::local::{LocalSettings, LocalStore};
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

const RECORD_OCTETS: usize = 220;

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |at: usize, default: u64| arguments.get(at).map_or(default, |text| text.parse().expect("a number"));
    let sizes = arguments.first().map_or("20,40,200,1000", String::as_str).to_owned();
    let (records, window, rate) = (number(1, 400_000), number(2, 64) << 20, number(3, 0));
    println!(
        "records of {RECORD_OCTETS} octets, {records} a run (at most 20,000 groups), window {} MiB, rate {rate}/s (0: as fast as it goes)",
        window >> 20
    );
    println!(
        "{:>8} {:>12} {:>10} {:>8} {:>8} {:>8} {:>10} {:>9} {:>9}",
        "group", "us CPU/rec", "records/s", "p50 ms", "p99 ms", "max ms", "write/rec", "db MiB", "wal MiB"
    );
    for size in sizes.split(',') {
        run(size.parse().expect("a group size"), records, window, rate);
    }
}

/// Octets that this process gave to the kernel for writing.
fn written() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("write_bytes: ")).and_then(|octets| octets.parse().ok()).unwrap_or(0)
}

fn run(size: usize, records: u64, window: u64, rate: u64) {
    let target = std::env::var("CARGO_TARGET_TMPDIR").unwrap_or_else(|_| std::env::temp_dir().display().to_string());
    let directory = tempfile::tempdir_in(target).expect("a directory for the bench");
    let settings = LocalSettings { reserve_octets: 0, ..LocalSettings::default() };
    let store = LocalStore::open(directory.path(), &settings).expect("a new store");
    let mut journal = store.journal;
    let mut group: Vec<u8> = (0..size * RECORD_OCTETS).map(|at| (at as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let groups = (records / size as u64).min(20_000);
    let keep = (window / group.len() as u64).max(1);
    let mut times = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).expect("valid bounds");
    let mut step = |journal: &mut hongyan::store::local::LocalJournal, number: u64| {
        group[..8].copy_from_slice(&number.to_le_bytes());
        let start = Instant::now();
        let position = journal.append(&group).expect("room on the disk");
        times.saturating_record(start.elapsed().as_micros() as u64);
        // As the engine does: now and then, not with each group.
        if number.is_multiple_of(64) {
            journal.drop_before(position.saturating_sub(keep)).expect("a sound journal");
        }
    };
    // Half of the run warms up: the window fills, the log reaches its size.
    for number in 0..groups / 2 {
        step(&mut journal, number);
    }
    let (cpu_start, written_start, start) = (cpu(), written(), Instant::now());
    let pause = if rate > 0 { Duration::from_secs_f64(size as f64 / rate as f64) } else { Duration::ZERO };
    for number in 0..groups {
        if rate > 0 {
            std::thread::sleep((start + pause * number as u32).saturating_duration_since(Instant::now()));
        }
        step(&mut journal, number);
    }
    let (cpu, wall, written) = (cpu() - cpu_start, start.elapsed(), written() - written_start);
    let records = (groups * size as u64) as f64;
    let mib = |name: &str| std::fs::metadata(directory.path().join(name)).map_or(0, |found| found.len()) >> 20;
    println!(
        "{size:>8} {:>12.3} {:>10.0} {:>8.2} {:>8.2} {:>8.2} {:>10.0} {:>9} {:>9}",
        cpu.as_secs_f64() * 1e6 / records,
        records / wall.as_secs_f64(),
        times.value_at_quantile(0.5) as f64 / 1e3,
        times.value_at_quantile(0.99) as f64 / 1e3,
        times.max() as f64 / 1e3,
        written as f64 / records,
        mib("journal.db"),
        mib("journal.db-wal"),
    );
}
