//! What the process itself costs, under the names that every Prometheus client gives to such figures. Read when the page is asked for.

use super::page::Page;
use super::table;

/// CPU time of the process since its start, user and system, all threads, in seconds.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Unix time of the start, seconds, from the system's boot time and `/proc/self/stat`; `None` where the system doesn't tell.
fn started_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in brackets may hold anything; field 22 is the start in ticks since boot.
    let ticks: f64 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()?;
    let boot = std::fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + ticks / rustix::param::clock_ticks_per_second() as f64)
}

/// The number at the start of this line of `/proc/self/status`.
fn status_number(status: &str, line: &str) -> Option<f64> {
    status.lines().find_map(|found| found.strip_prefix(line))?.split_ascii_whitespace().next()?.parse().ok()
}

/// Writes the figures; what the system doesn't tell is left out.
pub(super) fn write(page: &mut Page) {
    page.family(&table::PROCESS_CPU).sample(&[], cpu_seconds());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    page.family(&table::PROCESS_RESIDENT).maybe(&[], status_number(&status, "VmRSS:").map(|kib| kib * 1024.0));
    page.family(&table::PROCESS_THREADS).maybe(&[], status_number(&status, "Threads:"));
    // The handle that reads the list is in it.
    let open = std::fs::read_dir("/proc/self/fd").ok().map(|list| list.count().saturating_sub(1) as f64);
    page.family(&table::PROCESS_OPEN_FDS).maybe(&[], open);
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    page.family(&table::PROCESS_MAX_FDS).maybe(&[], most.map(|most| most as f64));
    page.family(&table::PROCESS_START).maybe(&[], started_seconds());
    let tasks = tokio::runtime::Handle::try_current().ok().map(|runtime| runtime.metrics().num_alive_tasks() as f64);
    page.family(&table::TASKS).maybe(&[], tasks);
}
