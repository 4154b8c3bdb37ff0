//! How far a file is: a bar on a terminal, a line now and then elsewhere. On standard error: standard output has the result.

use crate::cli::counts::{counted, grouped};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Read, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Counts the octets that were read.
pub(super) struct Counted<R> {
    input: R,
    octets: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.input.read(buffer)?;
        self.octets.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// See the module.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    octets: Arc<AtomicU64>,
    begun: Instant,
    said: Instant,
    quiet: bool,
}

impl Progress {
    /// `size`: octets of the file, if that is known.
    pub(super) fn new(size: Option<u64>, quiet: bool) -> Progress {
        let bar = (std::io::stderr().is_terminal() && !quiet).then(|| {
            let (bar, style) = match size {
                Some(size) => (ProgressBar::new(size), "{elapsed_precise} [{bar:30}] {percent}% {msg} (about {eta} left)"),
                None => (ProgressBar::new_spinner(), "{elapsed_precise} {spinner} {msg}"),
            };
            bar.set_style(ProgressStyle::with_template(style).expect("the template is well formed").progress_chars("=> "));
            bar
        });
        Progress { bar, octets: Arc::default(), begun: Instant::now(), said: Instant::now(), quiet }
    }

    /// The file, counted as it is read.
    pub(super) fn counted<R: Read>(&self, input: R) -> Counted<R> {
        Counted { input, octets: Arc::clone(&self.octets) }
    }

    /// So many lines are done by now; `note`: what it waits for, if it does.
    pub(super) fn at(&mut self, lines: u64, rejected: u64, note: &str) {
        if self.quiet || (self.bar.is_none() && self.said.elapsed() < LINE_EVERY) {
            return;
        }
        let per_s = lines as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
        let note = if note.is_empty() { String::new() } else { format!(" - {note}") };
        let said = format!("{}, {} not sent, {per_s:.0}/s{note}", counted(lines, "line", "lines"), grouped(rejected));
        match &self.bar {
            Some(bar) => {
                bar.set_position(self.octets.load(Ordering::Relaxed));
                bar.set_message(said);
            }
            None => {
                self.said = Instant::now();
                eprintln!("{said}");
            }
        }
    }

    /// It is over, one way or another: the terminal is clean again.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Since it began.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}
