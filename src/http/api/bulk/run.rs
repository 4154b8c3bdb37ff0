//! One try of a submission: feeds its octets to the thread that reads lines, hands batches in, a few at a time, and tells how it goes. It belongs to nobody's
//! connection: what was read before a break is settled and written down.

use super::Bulk;
use super::book::{Entry, Progress, REFUSALS_MAX, Refusal, State};
use super::lines::{Batch, Kind, Plan, read};
use crate::engine::port::{Draft, Taken};
use crate::engine::scope::Fault;
use crate::http::api::extract::LINGER;
use crate::http::api::request::{Recipient, public};
use crate::http::problem::Problem;
use crate::http::refusal::fault_of;
use crate::link::submissions::{Answer, SubmitError};
use crate::model::refusal::Fault as Whose;
use crate::model::{MessageId, Refusal as Cause};
use axum::body::{Body, Bytes, HttpBody};
use axum::http::StatusCode;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Lines of an answer that wait for a client that doesn't read: beyond them it is told less often.
pub(super) const LINES: usize = 16;
/// Batches in the engine's hands at once: one is being written while the next is taken.
const UNDER_WAY: usize = 4;
/// Chunks of octets, and batches, that wait for the next hand.
const WAITING: usize = 2;
/// How often the client is told.
const TELL: Duration = Duration::from_secs(1);
/// How often it is written down.
const SAVE: u32 = 5;
/// Octets that must come while a client is waited for as long as a body may take: less is a client that holds a place and does nothing with it.
const LEAST: usize = 1 << 10;
/// Pauses before what was refused for the moment is handed in again.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long it may be refused so.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a try is made of.
pub(super) struct Parts {
    pub plan: Arc<Plan>,
    pub kind: Kind,
    pub entry: Arc<Entry>,
    /// To the client, if it reads.
    pub tell: mpsc::Sender<Bytes>,
    pub opened: oneshot::Sender<Result<(), Fault>>,
    /// How long octets may take.
    pub timeout: Duration,
}

/// How the octets ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fed {
    /// All came.
    Whole,
    /// They came too slowly.
    Slow,
    /// The connection broke.
    Broken,
}

/// Hands a body's octets to the reading thread as fast as it takes them.
async fn feed(mut body: Body, chunks: mpsc::Sender<io::Result<Bytes>>, patience: Duration) -> Fed {
    let (mut waited, mut came) = (Duration::ZERO, 0);
    let mut chunks = Some(chunks);
    let mut linger = None;
    loop {
        let begun = Instant::now();
        let left = linger.map_or(patience.saturating_sub(waited), |until: Instant| until - begun.min(until));
        let fed = match timeout(left, poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))).await {
            Ok(Some(Ok(frame))) => {
                let Ok(octets) = frame.into_data() else { continue };
                (waited, came) = (waited + begun.elapsed(), came + octets.len());
                if came >= LEAST {
                    (waited, came) = (Duration::ZERO, 0);
                }
                let Some(open) = &chunks else { continue };
                if octets.is_empty() || open.send(Ok(octets)).await.is_ok() {
                    continue;
                }
                // Nobody reads on: it was given up.
                chunks = None;
                linger = Some(Instant::now() + LINGER);
                continue;
            }
            Ok(None) => return Fed::Whole,
            Ok(Some(Err(_))) => Fed::Broken,
            Err(_) => Fed::Slow,
        };
        if let Some(open) = chunks {
            let _ = open.send(Err(io::ErrorKind::UnexpectedEof.into())).await;
        }
        return fed;
    }
}

/// What became of a batch.
#[derive(Default)]
struct Settled {
    accepted: u64,
    repeated: u64,
    duplicates: u64,
    segments: u64,
    octets: u64,
    bad: Vec<Refusal>,
    /// Why nothing more is to be handed in.
    stop: Option<Problem>,
}

/// Where batches are handed in.
struct Hand {
    plan: Arc<Plan>,
    entry: Arc<Entry>,
    /// The first id that this try can have made.
    since: u64,
    tell: mpsc::Sender<Bytes>,
}

impl Hand {
    /// Returns when each line is taken or refused, or it is given up.
    async fn settle(self: Arc<Self>, batch: Batch) -> Settled {
        let Batch { mut drafts, mut lines, bad, octets } = batch;
        let mut settled = Settled { bad, octets, ..Settled::default() };
        let (begun, mut pause, mut unsure) = (Instant::now(), PAUSE_MIN, false);
        loop {
            let before = lines.len();
            let why = match self.plan.submissions.submit(drafts).await {
                Ok(answers) => {
                    let (left, why) = self.sort(lines, answers, unsure, &mut settled);
                    lines = left;
                    why
                }
                Err(SubmitError::NoAnswer) => {
                    unsure = true;
                    "the engine did not answer in time".to_owned()
                }
                Err(error @ SubmitError::Stopping) => {
                    settled.stop = Some(crate::http::messages::unanswered(error));
                    return settled;
                }
            };
            if lines.is_empty() || settled.stop.is_some() {
                return settled;
            }
            if self.tell.is_closed() || begun.elapsed() > PATIENCE {
                let fix = "the same request again, under the same Idempotency-Key, goes on";
                settled.stop = Some(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_taken", "", why, fix).retry_after(60));
                return settled;
            }
            pause = if lines.len() < before { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
            self.entry.change(self.now_ms(), |progress| progress.waits = Some(why));
            tokio::time::sleep(pause).await;
            (drafts, lines) = self.again(lines, &mut settled).await;
        }
    }

    fn now_ms(&self) -> u64 {
        self.plan.submissions.now().wall_ms
    }

    /// What the engine said to each line; gives those that are to be handed in again, and why.
    fn sort(
        &self,
        lines: Vec<(u64, Recipient)>,
        answers: Vec<Answer>,
        unsure: bool,
        settled: &mut Settled,
    ) -> (Vec<(u64, Recipient)>, String) {
        let (mut left, mut why) = (Vec::new(), String::new());
        for ((line, own), answer) in lines.into_iter().zip(answers) {
            match answer {
                Ok(Taken { repeats: Some(_), message: MessageId(first), .. }) if first < self.since => settled.repeated += 1,
                // Nobody said that it was taken: it may have been this line.
                Ok(Taken { repeats: Some(_), .. }) if !unsure => settled.duplicates += 1,
                Ok(Taken { segments, .. }) => {
                    settled.accepted += 1;
                    settled.segments += u64::from(segments);
                }
                Err(cause) => {
                    let fault = public(fault_of(cause));
                    // What means the moment and yet won't pass soon is told of and passed over.
                    let waits = cause.fault() == Whose::Gateway || cause == Cause::Throttled;
                    if matches!(cause, Cause::Stopping | Cause::StoreFailed | Cause::NoCredit) {
                        let mut problem = Problem::from(fault);
                        problem.fix = format!("{}; the same request again goes on", problem.fix).into();
                        settled.stop = Some(problem);
                    } else if waits {
                        why = fault.what;
                        left.push((line, own));
                    } else {
                        self.plan.account.refused(cause);
                        settled.bad.push(super::lines::refusal(line, fault));
                    }
                }
            }
        }
        (left, why)
    }

    /// Drafts of the same lines once more. Elsewhere: texts are encoded.
    async fn again(&self, lines: Vec<(u64, Recipient)>, settled: &mut Settled) -> (Vec<Draft>, Vec<(u64, Recipient)>) {
        let plan = Arc::clone(&self.plan);
        let making = tokio::task::spawn_blocking(move || {
            let (mut drafts, mut kept, mut bad) = (Vec::new(), Vec::new(), Vec::new());
            for (line, own) in lines {
                match plan.draft(&own) {
                    Ok(draft) => {
                        drafts.push(draft);
                        kept.push((line, own));
                    }
                    // It was good a moment ago: its time is over.
                    Err(fault) => bad.push(super::lines::refusal(line, fault)),
                }
            }
            (drafts, kept, bad)
        });
        let (drafts, kept, bad) = making.await.unwrap_or_default();
        settled.bad.extend(bad);
        (drafts, kept)
    }
}

fn add(progress: &mut Progress, settled: Settled) {
    let Settled { accepted, repeated, duplicates, segments, octets, bad, .. } = settled;
    progress.accepted += accepted;
    progress.repeated += repeated;
    progress.duplicates += duplicates;
    progress.refused += bad.len() as u64;
    progress.lines += accepted + repeated + duplicates + bad.len() as u64;
    progress.segments += segments;
    progress.octets += octets;
    progress.waits = None;
    for refusal in bad {
        *progress.reasons.entry(refusal.code.clone()).or_default() += 1;
        if progress.refusals.len() < REFUSALS_MAX {
            progress.refusals.push(refusal);
        }
    }
}

fn line(progress: &Progress) -> Bytes {
    let mut line = serde_json::to_vec(progress).expect("plain data can be written");
    line.push(b'\n');
    line.into()
}

/// Runs to its end, whatever becomes of the client.
pub(super) async fn run(bulk: Arc<Bulk>, parts: Parts, body: Body, place: OwnedSemaphorePermit) {
    let Parts { plan, kind, entry, tell, opened, timeout } = parts;
    let since = MessageId::first_at(plan.submissions.now().wall_ms).0;
    let (chunks, chunked) = mpsc::channel(WAITING);
    let (batches, mut batched) = mpsc::channel(WAITING);
    let reading: JoinHandle<bool> = {
        let plan = Arc::clone(&plan);
        tokio::task::spawn_blocking(move || read(kind, &plan, chunked, batches, opened))
    };
    let feeding = tokio::spawn(feed(body, chunks, timeout));
    let hand = Arc::new(Hand { plan, entry: Arc::clone(&entry), since, tell: tell.clone() });
    let (mut under_way, mut saving, mut stop) = (JoinSet::new(), JoinSet::new(), None);
    let mut tick = interval(TELL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut ticks, mut more) = (0, true);
    while more || !under_way.is_empty() {
        tokio::select! {
            batch = batched.recv(), if more && under_way.len() < UNDER_WAY => match batch {
                Some(batch) => drop(under_way.spawn(Arc::clone(&hand).settle(batch))),
                None => more = false,
            },
            Some(done) = under_way.join_next() => {
                let mut settled = done.unwrap_or_default();
                if let Some(why) = settled.stop.take() {
                    stop.get_or_insert(why);
                    more = false;
                    batched.close();
                }
                entry.change(hand.now_ms(), |progress| add(progress, settled));
            }
            Some(_) = saving.join_next() => {}
            _ = tick.tick() => {
                ticks += 1;
                // Who doesn't read while it writes is told at the end.
                let _ = tell.try_send(line(&Progress { refusals: Vec::new(), ..entry.progress() }));
                // The ledger may let one wait as long as the disk is full.
                if ticks % SAVE == 0 && saving.is_empty() {
                    let (bulk, entry) = (Arc::clone(&bulk), Arc::clone(&entry));
                    saving.spawn(async move { bulk.book.save(&entry).await });
                }
            }
        }
    }
    drop(batched);
    // Nothing that can panic in there is worth more than a break.
    let (opened, fed) = tokio::join!(reading, feeding);
    let (opened, fed) = (opened.unwrap_or(false), fed.unwrap_or(Fed::Broken));
    if fed == Fed::Slow && stop.is_none() {
        let what = "the body did not come in time";
        let fix = "the same request again, under the same Idempotency-Key, goes on";
        stop = Some(Problem::new(StatusCode::REQUEST_TIMEOUT, "slow_body", "", what, fix));
    }
    entry.change(hand.now_ms(), |progress| {
        progress.waits = None;
        progress.state = match (&stop, fed) {
            _ if !opened => State::Stopped,
            (Some(_), _) => State::Stopped,
            (None, Fed::Whole) => State::Done,
            (None, _) => State::Broken,
        };
        progress.stopped = stop;
    });
    // None of an earlier page may come after this one.
    while saving.join_next().await.is_some() {}
    bulk.book.save(&entry).await;
    let progress = entry.progress();
    tracing::debug!(state = ?progress.state, accepted = progress.accepted, refused = progress.refused, "a submission ended");
    // Who doesn't read its answer keeps nobody from a place, and this only for a while.
    drop(place);
    let _ = tokio::time::timeout(timeout, tell.send(line(&progress))).await;
}
