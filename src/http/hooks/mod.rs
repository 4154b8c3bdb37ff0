//! Deliveries by HTTP: reports on messages that have a callback, and what goes to an account's own hook. They come out of the engine's durable
//! outbox, by one pseudo-session per account, and are answered there when an endpoint has taken them, wants them later, or never: what is not yet taken
//! survives a restart, and is dropped by age and count as everything in an outbox.
//!
//! What an account wants to read itself (`[account.events]`) is written into its log first ([`log`], [`super::events`]); what has no address is done then.
//!
//! What nobody took for as long as the account's deliveries are kept becomes a dead letter ([`dead`]).
//!
//! One task owns all endpoints (scheme, host and port). An endpoint that fails is left alone for a while ([`endpoint`]); what is for it goes back to
//! the outbox until then, so that it takes no room from others. Requests run beside the task, a bounded number for each endpoint.

pub mod dead;
mod endpoint;
mod guard;
mod log;
#[cfg(test)]
mod tests;
mod write;

use super::events::EventLogs;
use super::instant::now_ms;
use crate::config::AccountEvents;
use crate::engine::port::{Delivery, DeliveryAnswer, DeliveryToken, Input, SessionId, UpstreamReply};
use crate::model::AccountId;
use crate::telemetry::{HooksSnapshot, Telemetry};
use dead::{DeadLetters, Letter, Reason};
use endpoint::Endpoint;
pub use guard::Guard;

use log::{Entry, Log, Logged, Whose};
use rand::RngExt;
use reqwest::Client;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use write::Request;
pub use write::{JASMIN_BY_GET, JASMIN_FINAL, Written, account_sid, message_sid};

/// Deliveries of one account that are here unanswered.
pub const WINDOW: u32 = 2_000;
/// Minutes until the next try, by how many failed before; the last one holds for all further ones.
const RETRY_MIN: [u64; 6] = [1, 5, 10, 30, 60, 60];
/// When what could not be written down is tried again, milliseconds.
const AGAIN_MS: u64 = 5_000;
/// How often the figures are told.
const PUBLISH: Duration = Duration::from_secs(1);
/// How much later than that a try may be, so that what failed together doesn't come together.
const JITTER: f64 = 0.1;

/// An account's own hook.
#[derive(Debug, Clone)]
pub struct OwnHook {
    /// Where it is.
    pub url: Arc<str>,
    /// What its deliveries are signed with.
    pub secret: Arc<[u8]>,
    /// Messages from phones go there.
    pub inbound: bool,
}

/// What must be known of accounts, by their ids.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The hook of each account that has one.
    pub hooks: HashMap<AccountId, OwnHook>,
    /// The bounds of the log of each account that has one.
    pub events: HashMap<AccountId, AccountEvents>,
    /// The name of each.
    pub names: Vec<Arc<str>>,
    /// How long each one's deliveries are tried, milliseconds.
    pub ages_ms: Vec<u64>,
}

/// How requests are made.
#[derive(Debug, Clone)]
pub struct HookSettings {
    /// How long an endpoint may take to answer.
    pub timeout: Duration,
    /// Requests to one endpoint at once.
    pub at_once: usize,
    /// Events in one request to a hook.
    pub batch: usize,
    /// Who may be written to.
    pub guard: Guard,
}

/// One delivery on its way.
struct Item {
    entry: Entry,
    request: Request,
}

/// What came of one request.
struct Done {
    origin: String,
    entries: Vec<Entry>,
    result: Result<(), Failure>,
}

/// What the deliverer works with.
pub struct Parts {
    /// The way to the engine, which it doesn't keep alive.
    pub engine: mpsc::WeakSender<Vec<Input>>,
    /// What is known of accounts.
    pub known: watch::Receiver<Arc<Known>>,
    /// What accounts read themselves.
    pub logs: Arc<EventLogs>,
    /// What was given up.
    pub dead: Arc<DeadLetters>,
    /// Numbers of dead letters that are to be tried again.
    pub replays: mpsc::UnboundedReceiver<Vec<u64>>,
    /// Where it is counted.
    pub telemetry: Arc<Telemetry>,
}

/// Why an endpoint did not take something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// It can be tried again.
    Later,
    /// The endpoint says that it is gone (410), or its address can't be written to at all.
    Never,
}

/// The task's memory.
pub struct Hooks {
    settings: HookSettings,
    client: Client,
    engine: mpsc::WeakSender<Vec<Input>>,
    known: watch::Receiver<Arc<Known>>,
    endpoints: HashMap<String, Endpoint<Item>>,
    /// How often each delivery has failed in this life of the gateway.
    tries: HashMap<DeliveryToken, u8>,
    answers: BTreeMap<SessionId, Vec<(DeliveryToken, DeliveryAnswer)>>,
    running: JoinSet<Done>,
    log: Log,
    dead: Arc<DeadLetters>,
    replays: mpsc::UnboundedReceiver<Vec<u64>>,
    /// Given up, and not yet being written down.
    dying: Vec<(Entry, Reason)>,
    burials: JoinSet<(Vec<Entry>, bool)>,
    /// Dead letters that are being tried again.
    replaying: HashSet<u64>,
    telemetry: Arc<Telemetry>,
    figures: HooksSnapshot,
}

impl Hooks {
    /// # Errors
    /// The TLS side can't be set up.
    pub fn new(settings: HookSettings, parts: Parts) -> Result<Hooks, reqwest::Error> {
        let Parts { engine, known, logs, dead, replays, telemetry } = parts;
        let client = Client::builder()
            .timeout(settings.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(settings.guard))
            .pool_max_idle_per_host(settings.at_once)
            .user_agent(concat!("hongyan/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Hooks {
            settings,
            client,
            engine,
            known,
            endpoints: HashMap::new(),
            tries: HashMap::new(),
            answers: BTreeMap::new(),
            running: JoinSet::new(),
            log: Log::new(logs),
            dead,
            replays,
            dying: Vec::new(),
            burials: JoinSet::new(),
            replaying: HashSet::new(),
            telemetry,
            figures: HooksSnapshot::default(),
        })
    }

    /// Runs until nobody brings deliveries any more. `deliveries`: what the engine says to the pseudo-sessions.
    pub async fn run(mut self, mut deliveries: mpsc::UnboundedReceiver<(SessionId, Vec<UpstreamReply>)>) {
        let mut publish = tokio::time::interval(PUBLISH);
        loop {
            tokio::select! {
                came = deliveries.recv() => match came {
                    Some((session, replies)) => replies.into_iter().for_each(|reply| self.take(session, reply)),
                    None => return,
                },
                Some(done) = self.running.join_next() => if let Ok(done) = done { self.done(done) },
                Some(logged) = self.log.done() => self.logged(logged),
                Some(buried) = self.burials.join_next() => if let Ok(buried) = buried { self.buried(buried) },
                Some(numbers) = self.replays.recv() => numbers.into_iter().for_each(|number| self.replay(number)),
                _ = publish.tick() => self.publish(),
            }
            while let Ok((session, replies)) = deliveries.try_recv() {
                replies.into_iter().for_each(|reply| self.take(session, reply));
            }
            while let Some(Ok(done)) = self.running.try_join_next() {
                self.done(done);
            }
            self.log.start(&self.known.borrow());
            self.send_all();
            self.bury();
            if !self.tell().await {
                return;
            }
        }
    }

    /// One more delivery; what is to be read by its account is written down first.
    fn take(&mut self, session: SessionId, reply: UpstreamReply) {
        let (UpstreamReply::Deliver { token, item, since_ms }, Some(account)) = (reply, session.hook_account()) else { return };
        let entry = Entry { session, account, whose: Whose::Engine(token), item, since_ms };
        let known = Arc::clone(&self.known.borrow());
        let is_logged = known.events.get(&account).is_some_and(|events| events.inbound || matches!(*entry.item, Delivery::Receipt(_)));
        if is_logged && !self.log.has(token) {
            return self.log.queue(entry);
        }
        self.route(&known, entry);
    }

    /// A dead letter is tried once more.
    fn replay(&mut self, number: u64) {
        if !self.replaying.insert(number) {
            return;
        }
        let Some(Letter { account, delivery, since_ms, .. }) = self.dead.take(number) else {
            self.replaying.remove(&number);
            return;
        };
        let known = Arc::clone(&self.known.borrow());
        let (session, whose) = (SessionId::hook_of(account), Whose::Dead(number));
        self.route(&known, Entry { session, account, whose, item: delivery, since_ms });
    }

    fn logged(&mut self, (entries, failed): Logged) {
        let known = Arc::clone(&self.known.borrow());
        entries.into_iter().for_each(|entry| self.route(&known, entry));
        // The disk has no room, or fails: then the outbox is the safer place.
        failed.iter().for_each(|entry| self.answer(entry, DeliveryAnswer::After(AGAIN_MS)));
    }

    /// Leaves a delivery with its endpoint; one that is being left alone doesn't see it.
    fn route(&mut self, known: &Known, entry: Entry) {
        let own = known.hooks.get(&entry.account);
        let is_read = known.events.contains_key(&entry.account);
        if is_read && matches!(*entry.item, Delivery::Inbound(_)) && own.is_none_or(|own| !own.inbound) {
            return self.answer(&entry, DeliveryAnswer::Taken);
        }
        let request = match write::of(&entry.item, own, known.names.get(entry.account.0 as usize).map_or("", |name| name)) {
            Written::Request(request) => request,
            // Its sender did not ask to be told this.
            Written::Unasked => return self.answer(&entry, DeliveryAnswer::Taken),
            Written::Nowhere => return self.dies(entry, Reason::Never),
            Written::NoHook if is_read => return self.answer(&entry, DeliveryAnswer::Taken),
            // The account's hook was taken out of the configuration; it may come back.
            Written::NoHook => return self.failed(entry),
        };
        let rest = self.endpoints.get(&request.origin).and_then(|endpoint| endpoint.rests(Instant::now()));
        match rest {
            // Somebody wants to know whether it is well again.
            Some(_) if matches!(entry.whose, Whose::Dead(_)) => {}
            Some(_) if self.is_expired(&entry) => return self.dies(entry, Reason::Expired),
            Some(rest) => return self.answer(&entry, DeliveryAnswer::After(rest.as_millis() as u64 + 1)),
            None => {}
        }
        self.endpoints.entry(request.origin.clone()).or_default().queue.push_back(Item { entry, request });
    }

    fn answer(&mut self, entry: &Entry, answer: DeliveryAnswer) {
        let token = match entry.whose {
            Whose::Engine(token) => token,
            Whose::Dead(number) => {
                self.replaying.remove(&number);
                if answer == DeliveryAnswer::Taken {
                    let dead = Arc::clone(&self.dead);
                    self.burials.spawn(async move {
                        dead.remove(vec![number]).await;
                        (Vec::new(), true)
                    });
                }
                return;
            }
        };
        match answer {
            DeliveryAnswer::After(_) | DeliveryAnswer::Later => {}
            DeliveryAnswer::Taken | DeliveryAnswer::Never => {
                self.tries.remove(&token);
                self.log.forget(token);
            }
        }
        self.answers.entry(entry.session).or_default().push((token, answer));
    }

    /// It was tried for as long as its account's deliveries are kept.
    fn is_expired(&self, entry: &Entry) -> bool {
        let age_ms = self.known.borrow().ages_ms.get(entry.account.0 as usize).copied().unwrap_or(u64::MAX);
        now_ms() >= entry.since_ms.saturating_add(age_ms)
    }

    /// One try has failed: the next one is later, each time by more, until the delivery is given up.
    fn failed(&mut self, entry: Entry) {
        let Whose::Engine(token) = entry.whose else { return self.answer(&entry, DeliveryAnswer::Never) };
        if self.is_expired(&entry) {
            return self.dies(entry, Reason::Expired);
        }
        self.figures.retried += 1;
        let tries = self.tries.entry(token).or_default();
        let minutes = RETRY_MIN[usize::from(*tries).min(RETRY_MIN.len() - 1)];
        *tries = tries.saturating_add(1);
        let ms = minutes as f64 * 60_000.0 * (1.0 + rand::rng().random::<f64>() * JITTER);
        self.answer(&entry, DeliveryAnswer::After(ms as u64));
    }

    /// It is given up; a dead letter that was tried again stays one.
    fn dies(&mut self, entry: Entry, reason: Reason) {
        match entry.whose {
            Whose::Engine(_) => self.dying.push((entry, reason)),
            Whose::Dead(_) => self.answer(&entry, DeliveryAnswer::Never),
        }
    }

    /// Writes down what was given up.
    fn bury(&mut self) {
        if self.dying.is_empty() {
            return;
        }
        let (dying, dead, died_ms) = (std::mem::take(&mut self.dying), Arc::clone(&self.dead), now_ms());
        self.burials.spawn(async move {
            let letter = |(entry, reason): &(Entry, Reason)| {
                let (account, delivery, since_ms) = (entry.account, Arc::clone(&entry.item), entry.since_ms);
                Letter { number: 0, account, delivery, since_ms, died_ms, reason: *reason, replays: 0 }
            };
            let kept = dead.add(dying.iter().map(letter).collect()).await;
            (dying.into_iter().map(|(entry, _)| entry).collect(), kept)
        });
    }

    /// Only now the engine may forget it.
    fn buried(&mut self, (entries, kept): (Vec<Entry>, bool)) {
        self.figures.dead += if kept { entries.len() as u64 } else { 0 };
        let answer = if kept { DeliveryAnswer::Never } else { DeliveryAnswer::After(AGAIN_MS) };
        entries.iter().for_each(|entry| self.answer(entry, answer));
    }

    fn publish(&mut self) {
        self.figures.waiting = self.endpoints.values().map(|endpoint| endpoint.queue.len() as u64).sum();
        self.figures.under_way = self.endpoints.values().map(|endpoint| endpoint.under_way as u64).sum();
        (self.figures.letters, self.figures.letters_dropped) = self.dead.figures();
        self.telemetry.publish_hooks(&self.figures);
    }

    fn done(&mut self, done: Done) {
        let now = Instant::now();
        let mut back = Vec::new();
        if let Some(endpoint) = self.endpoints.get_mut(&done.origin) {
            endpoint.under_way -= 1;
            if done.result == Err(Failure::Later) {
                if endpoint.failed(now) {
                    tracing::warn!(origin = %done.origin, "an endpoint keeps failing and is left alone for a while");
                    back.extend(endpoint.queue.drain(..));
                }
            } else {
                endpoint.well();
            }
        }
        let events = done.entries.len() as u64;
        match done.result {
            Ok(()) => {
                self.figures.taken += events;
                done.entries.iter().for_each(|entry| self.answer(entry, DeliveryAnswer::Taken));
            }
            Err(Failure::Never) => done.entries.into_iter().for_each(|entry| self.dies(entry, Reason::Never)),
            Err(Failure::Later) => {
                self.figures.failed += events;
                done.entries.into_iter().for_each(|entry| self.failed(entry));
            }
        }
        // What has not been tried waits without counting as tried.
        let rest = self.endpoints.get(&done.origin).and_then(|endpoint| endpoint.rests(now)).unwrap_or_default();
        for item in back {
            self.answer(&item.entry, DeliveryAnswer::After(rest.as_millis() as u64 + 1));
        }
    }

    /// Starts as many requests as each endpoint may have at once.
    fn send_all(&mut self) {
        let now = Instant::now();
        let (at_once, batch) = (self.settings.at_once, self.settings.batch);
        for (origin, endpoint) in &mut self.endpoints {
            while endpoint.under_way < endpoint.may_have(at_once) {
                let Some(first) = endpoint.queue.pop_front() else { break };
                let (mut entries, mut request) = (vec![first.entry], first.request);
                while entries.len() < batch
                    && endpoint.queue.front().is_some_and(|next| request.may_hold(&next.request))
                    && let Some(next) = endpoint.queue.pop_front()
                {
                    entries.push(next.entry);
                    request.add(next.request);
                }
                endpoint.under_way += 1;
                self.running.spawn(send(self.client.clone(), self.settings.guard, origin.clone(), entries, request));
            }
        }
        self.endpoints.retain(|_, endpoint| !endpoint.is_idle(now));
    }

    /// Hands the answers to the engine; false if it is gone.
    async fn tell(&mut self) -> bool {
        if self.answers.is_empty() {
            return true;
        }
        let Some(engine) = self.engine.upgrade() else { return false };
        let inputs = std::mem::take(&mut self.answers).into_iter();
        engine.send(inputs.map(|(session, answers)| Input::Answered { session, answers }).collect()).await.is_ok()
    }
}

async fn send(client: Client, guard: Guard, origin: String, entries: Vec<Entry>, request: Request) -> Done {
    let result = match guard.allows(&request.url) {
        false => Err(Failure::Never),
        true => match request.build(&client).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) if answer.status() == reqwest::StatusCode::GONE => Err(Failure::Never),
            Ok(answer) => {
                tracing::debug!(%origin, status = answer.status().as_u16(), "an endpoint did not take a delivery");
                Err(Failure::Later)
            }
            // Its text may hold the address, and with it keys and numbers.
            Err(error) => {
                tracing::debug!(%origin, timeout = error.is_timeout(), connect = error.is_connect(), "an endpoint could not be reached");
                Err(Failure::Later)
            }
        },
    };
    Done { origin, entries, result }
}
