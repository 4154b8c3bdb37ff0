//! Runs a load: sessions, schedule, pacer and the end, on a thread of its own. What a session does is in `session`,
//! what is counted in `ledger`.

use super::ledger::{AtCarrier, LatencySummary, Ledger, Tally};
use super::schedule::{Portion, Schedule};
use super::session::{LoadSession, Order, Shape, Shared, lock};
use crate::link::driver::{self, DriverLimits, Mailbox};
use crate::model::clock::SystemClock;
use crate::model::mark::{RunId, RunMarks};
use crate::smpp::{self, BindKind, CloseCause, Session};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Most messages of one run: numbers travel in 32 bits.
pub const MESSAGES_MAX: u64 = u32::MAX as u64;

/// What to send, whereto, how fast.
#[derive(Debug, Clone)]
pub struct LoadSettings {
    /// The peer.
    pub target: SocketAddr,
    /// system_id and password of each account; sessions take them in turn.
    pub accounts: Vec<(String, String)>,
    /// Sessions.
    pub binds: usize,
    /// Each bind is a transmitter and a receiver, not a transceiver.
    pub separate: bool,
    /// Unanswered submits per session.
    pub window: usize,
    /// Messages in all.
    pub messages: u64,
    /// Stop sending after so long, milliseconds; 0: when all are sent.
    pub duration_ms: u64,
    /// Messages a second over all sessions; 0: as fast as the windows allow.
    pub rate_per_s: f64,
    /// How messages look.
    pub shape: Shape,
    /// How long to wait for receipts after the last one that came, milliseconds.
    pub wait_ms: u64,
    /// A submit without an answer for so long counts as unanswered, milliseconds.
    pub response_timeout_ms: u64,
    /// Pause before a lost session is bound again, milliseconds.
    pub reconnect_ms: u64,
    /// Give up when no session could be bound for so long, milliseconds.
    pub give_up_ms: u64,
    /// Four letters or digits; tells runs apart.
    pub run: RunId,
    /// Keep when each message was accepted, in [`LoadReport::accepted_us`].
    pub timed: bool,
    /// Its clock: whoever compares times with it shares it.
    pub clock: SystemClock,
}

impl Default for LoadSettings {
    fn default() -> Self {
        LoadSettings {
            target: SocketAddr::from(([127, 0, 0, 1], 2775)),
            accounts: vec![("demo".to_owned(), "demo".to_owned())],
            binds: 1,
            separate: false,
            window: 100,
            messages: 10_000,
            duration_ms: 0,
            rate_per_s: 0.0,
            shape: Shape {
                characters: 80,
                destinations: 1_000_000,
                first_destination: 8_613_800_000_000,
                source: "10690000".to_owned(),
                registered_delivery: 1,
                schedule: String::new(),
            },
            wait_ms: 10_000,
            response_timeout_ms: 30_000,
            reconnect_ms: 200,
            give_up_ms: 10_000,
            run: *b"run0",
            timed: false,
            clock: SystemClock::start(),
        }
    }
}

/// What came of a run.
#[derive(Debug, Clone, Serialize)]
pub struct LoadReport {
    /// The run.
    pub run: String,
    /// The counts.
    #[serde(flatten)]
    pub tally: Tally,
    /// Submit to answer, from the intended time.
    pub answer: LatencySummary,
    /// Submit to receipt, from the intended time.
    pub receipt: LatencySummary,
    /// The generator behind its own schedule.
    pub lag: LatencySummary,
    /// From the first submit to the last, seconds.
    pub sending_s: f64,
    /// From the first submit to the last acceptance or receipt, seconds.
    pub elapsed_s: f64,
    /// Messages accepted, and with their receipt back if one was asked for, a second of `elapsed_s`.
    pub per_s: f64,
    /// CPU of the generator per message sent, microseconds.
    pub cpu_us_per_message: f64,
    /// Sessions that ended before their time, by cause.
    pub lost_sessions: std::collections::BTreeMap<&'static str, u64>,
    /// Why a session could not be bound, in words: the last time that happened.
    pub bind_problem: Option<String>,
    /// By number: when its acceptance came, microseconds of the load's clock; 0: not accepted. Only of a timed run.
    #[serde(skip)]
    pub accepted_us: Vec<u64>,
    /// Ended before its time by [`Load::stop`]: what was still to come is not lost.
    pub interrupted: bool,
}

/// A running load.
pub struct Load {
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Course>,
}

/// What the thread knows in the end.
#[derive(Default)]
struct Course {
    start_us: u64,
    sent_us: u64,
    cpu_us: u64,
    lost_sessions: std::collections::BTreeMap<&'static str, u64>,
}

impl Load {
    /// Connects and begins; sending starts when the first session is bound (open loop: when all are, or after a second).
    pub fn start(settings: LoadSettings) -> io::Result<Load> {
        let clock = settings.clock;
        let sessions = settings.binds.max(1) * if settings.separate { 2 } else { 1 };
        let until_us = if settings.duration_ms == 0 { u64::MAX } else { clock.now().mono_us + settings.duration_ms * 1000 };
        let messages = settings.messages.min(MESSAGES_MAX);
        let shared = Arc::new(Shared {
            shape: settings.shape.clone(),
            ledger: Ledger::new(settings.run, settings.shape.registered_delivery & 3 != 0, settings.timed).into(),
            schedule: Schedule::new(messages, until_us, settings.rate_per_s, 0, sessions).into(),
            bind_problem: None.into(),
        });
        let stop = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = Run { settings: Arc::new(settings), shared: Arc::clone(&shared), stop: Arc::clone(&stop), clock, sessions };
        let thread = std::thread::Builder::new().name("load".to_owned()).spawn(move || runtime.block_on(run.run()))?;
        Ok(Load { shared, stop, thread })
    }

    /// The counts so far.
    pub fn tally(&self) -> Tally {
        lock(&self.shared.ledger).tally()
    }

    /// Why a session could not be bound, in words: the last time that happened.
    pub fn bind_problem(&self) -> Option<String> {
        lock(&self.shared.bind_problem).clone()
    }

    /// Is it over?
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops sending and waiting; [`Load::join`] then returns soon.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// What the carrier's end saw of this run.
    pub fn judge(&self, carrier: &RunMarks) -> AtCarrier {
        lock(&self.shared.ledger).judge(carrier)
    }

    /// Waits for the end, then compares with what the carrier's end saw, if that is known.
    pub fn join(self, carrier: impl FnOnce() -> Option<RunMarks>) -> (LoadReport, Option<AtCarrier>) {
        // A panic there has been printed; its counts are still worth having.
        let course = self.thread.join().unwrap_or_default();
        let mut ledger = lock(&self.shared.ledger);
        let tally = ledger.final_tally();
        let [answer, receipt, lag] = ledger.latencies();
        let elapsed_s = ledger.last_us().saturating_sub(course.start_us) as f64 / 1e6;
        let done = if self.shared.shape.registered_delivery & 3 == 0 { tally.accepted } else { tally.reported };
        let report = LoadReport {
            run: String::from_utf8_lossy(&ledger.run()).into_owned(),
            answer,
            receipt,
            lag,
            sending_s: course.sent_us.saturating_sub(course.start_us) as f64 / 1e6,
            elapsed_s,
            per_s: if elapsed_s > 0.0 { done as f64 / elapsed_s } else { 0.0 },
            cpu_us_per_message: course.cpu_us as f64 / tally.sent.max(1) as f64,
            lost_sessions: course.lost_sessions,
            bind_problem: lock(&self.shared.bind_problem).clone(),
            accepted_us: ledger.take_accepted_us(),
            interrupted: self.stop.load(Ordering::Relaxed),
            tally,
        };
        let judged = carrier().map(|marks| ledger.judge(&marks));
        (report, judged)
    }
}

/// CPU that this thread has used, microseconds.
pub fn thread_cpu_us() -> u64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    used.tv_sec as u64 * 1_000_000 + used.tv_nsec as u64 / 1000
}

struct Run {
    settings: Arc<LoadSettings>,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    clock: SystemClock,
    sessions: usize,
}

/// How often the end is looked for.
const WATCH_MS: u64 = 20;
/// Open loop: how long sessions may take to bind before sending starts without them.
const GATHER_MS: u64 = 1_000;
/// How long sessions may take to unbind in the end.
const UNBIND_MS: u64 = 5_000;

impl Run {
    async fn run(self) -> Course {
        let mailboxes: Vec<Mailbox<Order>> = (0..self.sessions).map(|_| Mailbox::new()).collect();
        let (causes, mut lost) = mpsc::unbounded_channel();
        let mut tasks = tokio::task::JoinSet::new();
        for (place, mailbox) in mailboxes.iter().enumerate() {
            tasks.spawn(keep_bound(
                place,
                Arc::clone(&self.settings),
                Arc::clone(&self.shared),
                mailbox.clone(),
                self.clock,
                causes.clone(),
            ));
        }
        let mut course = Course { start_us: self.clock.now().mono_us, ..Course::default() };
        let all_bound = || lock(&self.shared.schedule).bound_count() == self.sessions;
        let mut gathering = 0;
        while self.settings.rate_per_s > 0.0 && !all_bound() && gathering < GATHER_MS {
            tokio::time::sleep(Duration::from_millis(10)).await;
            gathering += 10;
        }
        course.start_us = self.clock.now().mono_us;
        lock(&self.shared.schedule).start(course.start_us);
        let pacing = Arc::new(AtomicBool::new(self.settings.rate_per_s > 0.0));
        let mut pacer = None;
        if pacing.load(Ordering::Relaxed) {
            let (shared, mailboxes, pacing, clock) = (Arc::clone(&self.shared), mailboxes.clone(), Arc::clone(&pacing), self.clock);
            pacer = Some(std::thread::spawn(move || pace(&shared, &mailboxes, &pacing, clock)));
        }
        self.watch(&mut course).await;
        pacing.store(false, Ordering::Relaxed);
        for mailbox in &mailboxes {
            mailbox.close();
        }
        let all = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_millis(UNBIND_MS), all).await;
        while let Ok(cause) = lost.try_recv() {
            *course.lost_sessions.entry(cause).or_default() += 1;
        }
        // It sleeps 20 ms at most, and has been told to end long before.
        let pacer_cpu_us = pacer.and_then(|pacer| pacer.join().ok()).unwrap_or(0);
        course.cpu_us = thread_cpu_us() + pacer_cpu_us;
        course
    }

    /// Returns when everything is sent, answered and reported, or will not be any more.
    async fn watch(&self, course: &mut Course) {
        let mut last_bound_us = course.start_us;
        let mut sending = true;
        let (mut settled, mut settled_us) = (0, 0);
        while !self.stop.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(WATCH_MS)).await;
            let now_us = self.clock.now().mono_us;
            let (done, bound) = {
                let schedule = lock(&self.shared.schedule);
                (schedule.is_done(now_us), schedule.bound_count() > 0)
            };
            let (sent, answers, receipts) = {
                let ledger = lock(&self.shared.ledger);
                (ledger.sent_count(), ledger.awaiting_answers(), ledger.unreported())
            };
            if bound {
                last_bound_us = now_us;
            } else if now_us - last_bound_us > self.settings.give_up_ms * 1000 {
                return;
            }
            let handed_out = lock(&self.shared.schedule).handed_out();
            if sending {
                course.sent_us = now_us;
                sending = !(done && sent >= handed_out);
            }
            if sending || answers > 0 {
                settled_us = now_us;
                continue;
            }
            if receipts == 0 {
                return;
            }
            if receipts != settled {
                (settled, settled_us) = (receipts, now_us);
            } else if now_us - settled_us > self.settings.wait_ms * 1000 {
                return;
            }
        }
    }
}

/// Hands out what the rate makes due; returns the CPU it took. Sleeps between, on a thread of its own: the runtime's timers are too coarse.
fn pace(shared: &Shared, mailboxes: &[Mailbox<Order>], pacing: &AtomicBool, clock: SystemClock) -> u64 {
    /// Shortest sleep; what falls due meanwhile goes out together.
    const TICK_US: u64 = 100;
    let mut due: Vec<(usize, Portion)> = Vec::new();
    let mut orders: Vec<Vec<Order>> = mailboxes.iter().map(|_| Vec::new()).collect();
    while pacing.load(Ordering::Relaxed) {
        let next_us = {
            let mut schedule = lock(&shared.schedule);
            schedule.take_due(clock.now().mono_us, &mut due);
            schedule.next_due_us()
        };
        for (place, portion) in due.drain(..) {
            orders[place].push(Order::Send(portion));
        }
        for (mailbox, orders) in mailboxes.iter().zip(&mut orders) {
            mailbox.push(std::mem::take(orders));
        }
        // Without a next one: portions may still come back from a session that ended.
        let wait_us = next_us.map_or(20_000, |next| next.saturating_sub(clock.now().mono_us));
        std::thread::sleep(Duration::from_micros(wait_us.clamp(TICK_US, 20_000)));
    }
    thread_cpu_us()
}

/// Keeps one session bound until its mailbox is closed.
async fn keep_bound(
    place: usize,
    settings: Arc<LoadSettings>,
    shared: Arc<Shared>,
    mailbox: Mailbox<Order>,
    clock: SystemClock,
    causes: mpsc::UnboundedSender<&'static str>,
) {
    let account = if settings.separate { place / 2 } else { place };
    let kind = match (settings.separate, place % 2) {
        (false, _) => BindKind::Transceiver,
        (true, 0) => BindKind::Transmitter,
        (true, _) => BindKind::Receiver,
    };
    let protocol = smpp::Settings {
        window: settings.window,
        inbound_window: 65_536,
        response_timeout_ms: settings.response_timeout_ms,
        ..smpp::Settings::client()
    };
    loop {
        let cause = match TcpStream::connect(settings.target).await {
            Ok(stream) if driver::tune(&stream, None).is_ok() => {
                let credentials = settings.accounts[account % settings.accounts.len()].clone();
                let handler = LoadSession::new(place, credentials, kind, Arc::clone(&shared), settings.rate_per_s == 0.0);
                // This side has nothing to report: its channel stays empty.
                let (reports, _unused) = mpsc::channel(1);
                let session = Session::new(protocol, clock.now());
                driver::drive(stream, handler, session, mailbox.clone(), reports, clock, DriverLimits::default()).await
            }
            connected => {
                if let Err(error) = connected {
                    *lock(&shared.bind_problem) = Some(format!("no connection to {}: {error}", settings.target));
                }
                CloseCause::Io
            }
        };
        if mailbox.is_closed() {
            return;
        }
        let _ = causes.send(cause.name());
        tokio::time::sleep(Duration::from_millis(settings.reconnect_ms)).await;
        if mailbox.is_closed() {
            return;
        }
    }
}
