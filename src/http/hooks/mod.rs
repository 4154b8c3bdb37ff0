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
pub mod event;
mod guard;
mod log;
#[cfg(test)]
mod tests;
mod write;

use super::events::EventLogs;
use super::instant::now_ms;
use crate::config::AccountEvents;
use crate::engine::port::{Delivery, DeliveryAnswer, DeliveryToken, Input, SessionId, UpstreamReply};
use crate::model::{AccountId, MessageId};
use crate::telemetry::{HooksSnapshot, Telemetry};
use dead::{DeadLetters, Letter, Reason};
use endpoint::Endpoint;
pub use guard::Guard;

use log::{Entry, Log, Logged, Whose};
use rand::RngExt;
use reqwest::Client;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
pub use write::{JASMIN_BY_GET, JASMIN_FINAL, Written, account_sid, message_sid};
use write::{Names, Request};

/// Deliveries of one account that are here unanswered.
pub const WINDOW: u32 = 2_000;
/// Minutes until the next try, by how many failed before; the last one holds for all further ones.
const RETRY_MIN: [u64; 6] = [1, 5, 10, 30, 60, 60];
/// When what could not be written down is tried again, milliseconds.
const AGAIN_MS: u64 = 5_000;
/// Tries of a batch that fails with an answer, or with none in time, after which its events are tried one by one: one of them may be why.
const WHOLE_TRIES: u8 = 3;
/// The batch of dead letters that are tried again: they travel with nothing else.
const OF_DEAD: u64 = u64::MAX;
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
    /// The same as it is configured: what Twilio's callbacks are signed with.
    pub written: Arc<str>,
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
    /// The name of each carrier, by its id.
    pub carriers: Vec<Arc<str>>,
    /// How long each one's deliveries are tried, milliseconds.
    pub ages_ms: Vec<u64>,
}

impl Known {
    fn names_of(&self, entry: &Entry) -> Names<'_> {
        let carrier = match &*entry.item {
            Delivery::Receipt(report) => report.carrier.and_then(|carrier| self.carriers.get(carrier.0 as usize)),
            Delivery::Inbound(_) => None,
        };
        let account = self.names.get(entry.account.0 as usize).map_or("", |name| name);
        Names { account, carrier: carrier.map_or("", |name| name) }
    }
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
    /// Travels only with those of the same batch.
    batch: u64,
}

/// What a delivery has gone through in this life of the gateway.
#[derive(Debug, Clone, Copy, Default)]
struct Tries {
    /// How often it has failed.
    failed: u8,
    /// The batch in which it failed, and is tried again so that it keeps its id; 0: none yet.
    batch: u64,
    /// Why it failed last.
    why: Option<Why>,
}

/// What is given up.
struct Dying {
    entry: Entry,
    reason: Reason,
    /// Where it was to go; empty: nowhere.
    endpoint: String,
    /// Why it failed last; empty: it was never tried in this life of the gateway.
    last: String,
}

/// What a turn of the task is about.
enum Came {
    Deliveries(SessionId, Vec<UpstreamReply>),
    Done(Done),
    Logged(Logged),
    Buried((Vec<Entry>, bool)),
    Replays(Vec<u64>),
    Tick,
    Nothing,
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
    Later(Why),
    /// The endpoint says that it is gone (410), or its address can't be written to at all.
    Never(Why),
}

/// The same in detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It answered with this status.
    Status(u16),
    /// It did not answer in time.
    Timeout,
    /// There was no connection.
    Connection,
    /// What it said was no answer.
    NoAnswer,
    /// It may not be written to.
    Forbidden,
}

impl Why {
    /// What was sent may be the reason itself.
    fn is_of_content(self, tries: u8) -> bool {
        match self {
            // Too early, too much at once: it says nothing of the content.
            Why::Status(408 | 425 | 429) => false,
            Why::Status(400..500) => true,
            Why::Status(_) | Why::Timeout | Why::NoAnswer => tries >= WHOLE_TRIES,
            Why::Connection | Why::Forbidden => false,
        }
    }

    fn words(self) -> String {
        match self {
            Why::Status(status) => format!("status {status}"),
            Why::Timeout => "no answer in time".to_owned(),
            Why::Connection => "no connection".to_owned(),
            Why::NoAnswer => "no answer".to_owned(),
            Why::Forbidden => "an address that may not be written to".to_owned(),
        }
    }
}

/// The task's memory.
pub struct Hooks {
    settings: HookSettings,
    client: Client,
    engine: mpsc::WeakSender<Vec<Input>>,
    known: watch::Receiver<Arc<Known>>,
    endpoints: HashMap<String, Endpoint<Item>>,
    /// All that is owed to endpoints and came here in this life of the gateway.
    tries: HashMap<DeliveryToken, Tries>,
    /// The last number of a batch that failed.
    last_batch: u64,
    /// One time for all that is done in one turn, so that what waits for the same rest comes back together.
    now: Instant,
    answers: BTreeMap<SessionId, Vec<(DeliveryToken, DeliveryAnswer)>>,
    running: JoinSet<Done>,
    /// The messages that they are about: what is told of one is told in order.
    told: HashSet<MessageId>,
    log: Log,
    dead: Arc<DeadLetters>,
    replays: mpsc::UnboundedReceiver<Vec<u64>>,
    /// Given up, and not yet being written down.
    dying: Vec<Dying>,
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
            last_batch: 0,
            now: Instant::now(),
            answers: BTreeMap::new(),
            running: JoinSet::new(),
            told: HashSet::new(),
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
            let came = tokio::select! {
                came = deliveries.recv() => match came {
                    Some((session, replies)) => Came::Deliveries(session, replies),
                    None => return,
                },
                Some(done) = self.running.join_next() => done.map_or(Came::Nothing, Came::Done),
                Some(logged) = self.log.done() => Came::Logged(logged),
                Some(buried) = self.burials.join_next() => buried.map_or(Came::Nothing, Came::Buried),
                Some(numbers) = self.replays.recv() => Came::Replays(numbers),
                _ = publish.tick() => Came::Tick,
            };
            self.now = Instant::now();
            match came {
                Came::Deliveries(session, replies) => replies.into_iter().for_each(|reply| self.take(session, reply)),
                Came::Done(done) => self.done(done),
                Came::Logged(logged) => self.logged(logged),
                Came::Buried(buried) => self.buried(buried),
                Came::Replays(numbers) => numbers.into_iter().for_each(|number| self.replay(number)),
                Came::Tick => self.publish(),
                Came::Nothing => {}
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
        self.tries.entry(token).or_default();
        let known = Arc::clone(&self.known.borrow());
        let is_logged = known.events.get(&account).is_some_and(|events| match &*entry.item {
            Delivery::Inbound(_) => events.inbound,
            // That a carrier took it is told to those alone who asked for it.
            Delivery::Receipt(report) => !(report.intermediate && report.taken),
        });
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
        let request = match write::of(&entry.item, entry.since_ms, own, &known.names_of(&entry)) {
            Written::Request(request) => request,
            // Its sender did not ask to be told this.
            Written::Unasked => return self.answer(&entry, DeliveryAnswer::Taken),
            Written::Nowhere => return self.dies(entry, Reason::Never, Some(Why::Forbidden)),
            Written::NoHook if is_read => return self.answer(&entry, DeliveryAnswer::Taken),
            // The account's hook was taken out of the configuration; it may come back.
            Written::NoHook => {
                let ms = self.retry_ms(&[]);
                return self.failed(entry, ms, 0, None);
            }
        };
        let rest = self.endpoints.get(&request.origin).and_then(|endpoint| endpoint.rests(self.now));
        let batch = match entry.whose {
            // Somebody wants to know whether it is well again.
            Whose::Dead(_) => {
                self.endpoints.entry(request.origin.clone()).or_default().lift();
                OF_DEAD
            }
            Whose::Engine(token) => match rest {
                Some(_) if self.is_expired(&entry) => return self.dies(entry, Reason::Expired, None),
                Some(rest) => return self.answer(&entry, DeliveryAnswer::After(rest.as_millis() as u64 + 1)),
                None => self.tries.get(&token).map_or(0, |tries| tries.batch),
            },
        };
        self.endpoints.entry(request.origin.clone()).or_default().queue.push_back(Item { entry, request, batch });
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

    /// How long what failed together waits for its next try: each time longer, as the one of it that has failed most often.
    fn retry_ms(&self, entries: &[Entry]) -> u64 {
        let failed = entries.iter().filter_map(|entry| self.tries_of(entry)).map(|tries| tries.failed).max().unwrap_or(0);
        let minutes = RETRY_MIN[usize::from(failed).min(RETRY_MIN.len() - 1)];
        (minutes as f64 * 60_000.0 * (1.0 + rand::rng().random::<f64>() * JITTER)) as u64
    }

    fn tries_of(&self, entry: &Entry) -> Option<&Tries> {
        let Whose::Engine(token) = entry.whose else { return None };
        self.tries.get(&token)
    }

    /// One request has failed: what was in it is tried again together, so that it keeps its id; one by one where one of it may be why it failed.
    fn failed_all(&mut self, entries: Vec<Entry>, why: Why) {
        let ms = self.retry_ms(&entries);
        let tries = entries.iter().filter_map(|entry| self.tries_of(entry)).map(|tries| tries.failed.saturating_add(1)).max().unwrap_or(0);
        let apart = why.is_of_content(tries);
        self.last_batch += 1;
        for entry in entries {
            self.last_batch += u64::from(apart);
            self.failed(entry, ms, self.last_batch, Some(why));
        }
    }

    /// One try has failed: the next one is later, until the delivery is given up.
    fn failed(&mut self, entry: Entry, ms: u64, batch: u64, why: Option<Why>) {
        let Whose::Engine(token) = entry.whose else {
            self.note(&entry, why);
            return self.answer(&entry, DeliveryAnswer::Never);
        };
        if self.is_expired(&entry) {
            return self.dies(entry, Reason::Expired, why);
        }
        self.figures.retried += 1;
        let tries = self.tries.entry(token).or_default();
        *tries = Tries { failed: tries.failed.saturating_add(1), batch, why: why.or(tries.why) };
        self.answer(&entry, DeliveryAnswer::After(ms));
    }

    /// It is given up; a dead letter that was tried again stays one. `why`: absent: as its last try failed.
    fn dies(&mut self, entry: Entry, reason: Reason, why: Option<Why>) {
        if let Whose::Dead(_) = entry.whose {
            self.note(&entry, why);
            return self.answer(&entry, DeliveryAnswer::Never);
        }
        let why = why.or_else(|| self.tries_of(&entry)?.why);
        let known = Arc::clone(&self.known.borrow());
        let endpoint = write::endpoint(&entry.item, known.hooks.get(&entry.account)).unwrap_or_default();
        self.dying.push(Dying { entry, reason, endpoint, last: why.map_or_else(String::new, Why::words) });
    }

    /// Why a dead letter was not taken this time.
    fn note(&self, entry: &Entry, why: Option<Why>) {
        if let (Whose::Dead(number), Some(why)) = (entry.whose, why) {
            self.dead.note(number, why.words());
        }
    }

    /// Writes down what was given up.
    fn bury(&mut self) {
        if self.dying.is_empty() {
            return;
        }
        let (dying, dead, died_ms) = (std::mem::take(&mut self.dying), Arc::clone(&self.dead), now_ms());
        self.burials.spawn(async move {
            let letter = |Dying { entry, reason, endpoint, last }: &Dying| {
                let (account, delivery, since_ms) = (entry.account, Arc::clone(&entry.item), entry.since_ms);
                let (endpoint, last) = (endpoint.clone(), last.clone());
                Letter { number: 0, account, delivery, since_ms, died_ms, reason: *reason, endpoint, last, replays: 0 }
            };
            let kept = dead.add(dying.iter().map(letter).collect()).await;
            (dying.into_iter().map(|dying| dying.entry).collect(), kept)
        });
    }

    /// Only now the engine may forget it.
    fn buried(&mut self, (entries, kept): (Vec<Entry>, bool)) {
        self.figures.dead += if kept { entries.len() as u64 } else { 0 };
        let answer = if kept { DeliveryAnswer::Never } else { DeliveryAnswer::After(AGAIN_MS) };
        entries.iter().for_each(|entry| self.answer(entry, answer));
    }

    fn publish(&mut self) {
        self.figures.waiting = self.tries.len() as u64;
        self.figures.under_way = self.endpoints.values().map(|endpoint| endpoint.under_way as u64).sum();
        (self.figures.letters, self.figures.letters_dropped) = self.dead.figures();
        self.telemetry.publish_hooks(&self.figures);
    }

    fn done(&mut self, done: Done) {
        let mut back = VecDeque::new();
        if let Some(endpoint) = self.endpoints.get_mut(&done.origin) {
            endpoint.under_way -= 1;
            if matches!(done.result, Err(Failure::Later(_))) {
                if endpoint.failed(self.now) {
                    tracing::warn!(origin = %done.origin, "an endpoint keeps failing and is left alone for a while");
                    // Dead letters are tried all the same: that was asked.
                    let (stay, go): (VecDeque<_>, VecDeque<_>) =
                        endpoint.queue.drain(..).partition(|item| matches!(item.entry.whose, Whose::Dead(_)));
                    (endpoint.queue, back) = (stay, go);
                }
            } else {
                endpoint.well();
            }
        }
        let events = done.entries.len() as u64;
        done.entries.iter().for_each(|entry| _ = self.told.remove(&message_of(entry)));
        match done.result {
            Ok(()) => {
                self.figures.taken += events;
                done.entries.iter().for_each(|entry| self.answer(entry, DeliveryAnswer::Taken));
            }
            Err(Failure::Never(why)) => done.entries.into_iter().for_each(|entry| self.dies(entry, Reason::Never, Some(why))),
            Err(Failure::Later(why)) => {
                self.figures.failed += events;
                self.failed_all(done.entries, why);
            }
        }
        // What has not been tried waits without counting as tried.
        let rest = self.endpoints.get(&done.origin).and_then(|endpoint| endpoint.rests(self.now)).unwrap_or_default();
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
                let is_free = |item: &Item| !self.told.contains(&message_of(&item.entry));
                let Some(first) = endpoint.queue.iter().position(is_free).and_then(|at| endpoint.queue.remove(at)) else { break };
                let (mut entries, mut request) = (vec![first.entry], first.request);
                while entries.len() < batch
                    && endpoint
                        .queue
                        .front()
                        .is_some_and(|next| next.batch == first.batch && is_free(next) && request.may_hold(&next.request))
                    && let Some(next) = endpoint.queue.pop_front()
                {
                    entries.push(next.entry);
                    request.add(next.request);
                }
                self.told.extend(entries.iter().map(message_of));
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

/// Which message a delivery is about.
fn message_of(entry: &Entry) -> MessageId {
    match &*entry.item {
        Delivery::Receipt(report) => report.message,
        Delivery::Inbound(inbound) => inbound.message,
    }
}

async fn send(client: Client, guard: Guard, origin: String, entries: Vec<Entry>, request: Request) -> Done {
    let result = match guard.allows(&request.url) {
        false => Err(Failure::Never(Why::Forbidden)),
        true => match request.build(&client).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => {
                let status = answer.status().as_u16();
                tracing::debug!(%origin, status, "an endpoint did not take a delivery");
                let why = Why::Status(status);
                Err(if status == 410 { Failure::Never(why) } else { Failure::Later(why) })
            }
            // Its text may hold the address, and with it keys and numbers.
            Err(error) => {
                tracing::debug!(%origin, timeout = error.is_timeout(), connect = error.is_connect(), "an endpoint could not be reached");
                let why = match (error.is_connect(), error.is_timeout()) {
                    (true, _) => Why::Connection,
                    (false, true) => Why::Timeout,
                    (false, false) => Why::NoAnswer,
                };
                Err(Failure::Later(why))
            }
        },
    };
    Done { origin, entries, result }
}
