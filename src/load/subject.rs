//! One process under measurement: this very binary as a child. Starts it, asks what it uses, and ends it; what is measured is left to the benchmarks.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(30))).build().into()
}

/// One process under measurement.
pub struct Subject {
    child: Child,
    /// Where it listens for SMPP.
    pub address: SocketAddr,
    /// From its start to its listening.
    pub started_in: Duration,
    metrics: Option<SocketAddr>,
    admin: Option<SocketAddr>,
}

/// How long a subject may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may take to stop before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

impl Subject {
    /// Starts this very binary with `args`; what it says on standard error goes to `log`.
    pub fn start(args: &[&str], log: &Path) -> Result<Subject, String> {
        let began = Instant::now();
        let binary = std::env::current_exe().map_err(|error| format!("can't find this binary: {error}"))?;
        let errors = std::fs::File::create(log).map_err(|error| format!("can't write {}: {error}", log.display()))?;
        let mut child = Command::new(binary)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("can't start `hongyan {}`: {error}", args[0]))?;
        let stdout = child.stdout.take().expect("standard output is piped");
        let (sender, lines) = std::sync::mpsc::channel();
        // Reads to the end, so that the subject never blocks on its output.
        std::thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let mut found = (None, None, None);
        let wanted = if args[0] == "serve" { "admin on " } else { "listening for SMPP on " };
        while let Ok(said) = lines.recv_timeout(START_TIMEOUT.saturating_sub(began.elapsed())) {
            let address = |prefix: &str| said.strip_prefix(prefix)?.trim_end_matches("/metrics").parse::<SocketAddr>().ok();
            found.0 = found.0.or_else(|| address("listening for SMPP on ").map(|address| (address, began.elapsed())));
            found.1 = found.1.or_else(|| address("metrics on http://"));
            found.2 = found.2.or_else(|| address("admin on "));
            if let Some((address, started_in)) = found.0
                && said.starts_with(wanted)
            {
                return Ok(Subject { child, address, started_in, metrics: found.1, admin: found.2 });
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        let said = std::fs::read_to_string(log).unwrap_or_default();
        Err(format!("`hongyan {}` does not listen:\n{}", args[0], said.trim()))
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// # Errors
    /// It has ended, with its exit status.
    pub fn still_runs(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(Some(status)) => Err(format!("the subject ended in mid-run: {status}")),
            _ => Ok(()),
        }
    }

    /// Its metrics page as text; empty if it has none, or doesn't answer.
    pub fn metrics_page(&self) -> String {
        let Some(address) = self.metrics else { return String::new() };
        let answer = agent().get(format!("http://{address}/metrics")).call();
        answer.ok().and_then(|mut answer| answer.body_mut().read_to_string().ok()).unwrap_or_default()
    }

    /// The sum of all values of a metric whose labels contain `label` (empty: all).
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let page = self.metrics_page();
        let of = |line: &str| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            (labels.is_empty() || labels.starts_with('{')).then_some(())?;
            labels.contains(label).then_some(value.parse::<f64>().ok()?)
        };
        page.lines().filter_map(of).sum()
    }

    /// Asks its admin port.
    ///
    /// # Errors
    /// In words: there is no such port, it doesn't answer, it refuses.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let address = self.admin.ok_or("the subject has no admin port")?;
        let mut answer = agent()
            .post(format!("http://{address}{path}"))
            .header("content-type", "application/json")
            .send(body.to_string())
            .map_err(|error| error.to_string())?;
        let text = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("{path} is refused: {text}"));
        }
        serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))
    }

    /// Ends it at once, as a crash would.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What it has used so far; zeros once it is gone.
    pub fn usage(&self) -> Usage {
        let file = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap_or_default();
        let (stat, status, io) = (file("stat"), file("status"), file("io"));
        // utime and stime are fields 14 and 15; the name before them, in brackets, may hold blanks. USER_HZ is 100 on Linux.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = |place: usize| after_name.split_whitespace().nth(place).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let value = |text: &str, key: &str| -> u64 {
            let found = text.lines().find_map(|line| line.strip_prefix(key));
            found.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        Usage {
            user_us: ticks(11) * 10_000,
            system_us: ticks(12) * 10_000,
            switches: self.switches(),
            written: value(&io, "write_bytes:"),
            peak_rss: value(&status, "VmHWM:") * 1024,
            rss: value(&status, "VmRSS:") * 1024,
        }
    }

    /// Context switches of all threads that live now.
    fn switches(&self) -> u64 {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.child.id())) else { return 0 };
        let of_thread = |thread: std::fs::DirEntry| {
            let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            let counts = status.lines().filter(|line| line.contains("ctxt_switches:"));
            counts.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum::<u64>()
        };
        threads.flatten().map(of_thread).sum()
    }

    /// Asks it to stop and waits; kills it where that takes too long.
    pub fn stop(mut self) {
        let pid = Pid::from_child(&self.child);
        // It may be gone already; then there is nothing to stop.
        let _ = kill_process(pid, Signal::TERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What a process has used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// CPU outside the kernel, microseconds.
    pub user_us: u64,
    /// CPU in the kernel, microseconds.
    pub system_us: u64,
    /// Context switches.
    pub switches: u64,
    /// Octets written to disk.
    pub written: u64,
    /// Highest resident memory, octets.
    pub peak_rss: u64,
    /// Resident memory now, octets.
    pub rss: u64,
}
