//! Deliveries by HTTP: reports on messages that have a callback, and what goes to an account's own hook. They come out of the engine's durable
//! outbox, by one pseudo-session per account, and are answered there when an endpoint has taken them, wants them later, or never: what is not yet taken
//! survives a restart, and is dropped by age and count as everything in an outbox.
//!
//! What an account wants to read itself (`[account.events]`) is written into its log first ([`log`], [`super::events`]); what has no address is done then.
//!
//! One task owns all endpoints (scheme, host and port). An endpoint that fails is left alone for a while ([`endpoint`]); what is for it goes back to
//! the outbox until then, so that it takes no room from others. Requests run beside the task, a bounded number for each endpoint.

mod endpoint;
mod guard;
mod log;
mod write;

use super::events::EventLogs;
use crate::config::AccountEvents;
use crate::engine::port::{Delivery, DeliveryAnswer, DeliveryToken, Input, SessionId, UpstreamReply};
use crate::model::AccountId;
use endpoint::Endpoint;
pub use guard::Guard;
use log::{Entry, Log, Logged};
use rand::RngExt;
use reqwest::Client;
use std::collections::{BTreeMap, HashMap};
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
/// When what could not be written into an account's log is tried again, milliseconds.
const LOG_AGAIN_MS: u64 = 5_000;
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
    session: SessionId,
    token: DeliveryToken,
    request: Request,
}

/// What came of one request.
struct Done {
    origin: String,
    items: Vec<(SessionId, DeliveryToken)>,
    result: Result<(), Failure>,
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
}

impl Hooks {
    /// # Errors
    /// The TLS side can't be set up.
    pub fn new(
        settings: HookSettings,
        engine: &mpsc::Sender<Vec<Input>>,
        known: watch::Receiver<Arc<Known>>,
        logs: Arc<EventLogs>,
    ) -> Result<Hooks, reqwest::Error> {
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
            engine: engine.downgrade(),
            known,
            endpoints: HashMap::new(),
            tries: HashMap::new(),
            answers: BTreeMap::new(),
            running: JoinSet::new(),
            log: Log::new(logs),
        })
    }

    /// Runs until nobody brings deliveries any more. `deliveries`: what the engine says to the pseudo-sessions.
    pub async fn run(mut self, mut deliveries: mpsc::UnboundedReceiver<(SessionId, Vec<UpstreamReply>)>) {
        loop {
            tokio::select! {
                came = deliveries.recv() => match came {
                    Some((session, replies)) => replies.into_iter().for_each(|reply| self.take(session, reply)),
                    None => return,
                },
                Some(done) = self.running.join_next() => if let Ok(done) = done { self.done(done) },
                Some(logged) = self.log.done() => self.logged(logged),
            }
            while let Ok((session, replies)) = deliveries.try_recv() {
                replies.into_iter().for_each(|reply| self.take(session, reply));
            }
            while let Some(Ok(done)) = self.running.try_join_next() {
                self.done(done);
            }
            self.log.start(&self.known.borrow());
            self.send_all();
            if !self.tell().await {
                return;
            }
        }
    }

    /// One more delivery; what is to be read by its account is written down first.
    fn take(&mut self, session: SessionId, reply: UpstreamReply) {
        let (UpstreamReply::Deliver { token, item, .. }, Some(account)) = (reply, session.hook_account()) else { return };
        let known = Arc::clone(&self.known.borrow());
        if known.events.contains_key(&account) && !self.log.has(token) {
            return self.log.queue(Entry { session, account, token, item });
        }
        self.route(&known, &Entry { session, account, token, item });
    }

    fn logged(&mut self, (entries, failed): Logged) {
        let known = Arc::clone(&self.known.borrow());
        entries.iter().for_each(|entry| self.route(&known, entry));
        // The disk has no room, or fails: then the outbox is the safer place.
        failed.into_iter().for_each(|entry| self.answer(entry.session, entry.token, DeliveryAnswer::After(LOG_AGAIN_MS)));
    }

    /// Leaves a delivery with its endpoint; one that is being left alone doesn't see it.
    fn route(&mut self, known: &Known, entry: &Entry) {
        let Entry { session, account, token, item } = entry;
        let (session, token) = (*session, *token);
        let own = known.hooks.get(account);
        let is_read = known.events.contains_key(account);
        if is_read && matches!(**item, Delivery::Inbound(_)) && own.is_none_or(|own| !own.inbound) {
            return self.answer(session, token, DeliveryAnswer::Taken);
        }
        let request = match write::of(item, own, known.names.get(account.0 as usize).map_or("", |name| name)) {
            Written::Request(request) => request,
            // Its sender did not ask to be told this.
            Written::Unasked => return self.answer(session, token, DeliveryAnswer::Taken),
            Written::Nowhere => return self.answer(session, token, DeliveryAnswer::Never),
            Written::NoHook if is_read => return self.answer(session, token, DeliveryAnswer::Taken),
            // The account's hook was taken out of the configuration; it may come back.
            Written::NoHook => return self.failed(session, token),
        };
        let endpoint = self.endpoints.entry(request.origin.clone()).or_default();
        match endpoint.rests(Instant::now()) {
            Some(rest) => self.answer(session, token, DeliveryAnswer::After(rest.as_millis() as u64 + 1)),
            None => endpoint.queue.push_back(Item { session, token, request }),
        }
    }

    fn answer(&mut self, session: SessionId, token: DeliveryToken, answer: DeliveryAnswer) {
        if !matches!(answer, DeliveryAnswer::After(_) | DeliveryAnswer::Later) {
            self.tries.remove(&token);
            self.log.forget(token);
        }
        self.answers.entry(session).or_default().push((token, answer));
    }

    /// One try has failed: the next one is later, each time by more.
    fn failed(&mut self, session: SessionId, token: DeliveryToken) {
        let tries = self.tries.entry(token).or_default();
        let minutes = RETRY_MIN[usize::from(*tries).min(RETRY_MIN.len() - 1)];
        *tries = tries.saturating_add(1);
        let ms = minutes as f64 * 60_000.0 * (1.0 + rand::rng().random::<f64>() * JITTER);
        self.answer(session, token, DeliveryAnswer::After(ms as u64));
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
        for (session, token) in done.items {
            match done.result {
                Ok(()) => self.answer(session, token, DeliveryAnswer::Taken),
                Err(Failure::Never) => self.answer(session, token, DeliveryAnswer::Never),
                Err(Failure::Later) => self.failed(session, token),
            }
        }
        // What has not been tried waits without counting as tried.
        let rest = self.endpoints.get(&done.origin).and_then(|endpoint| endpoint.rests(now)).unwrap_or_default();
        for item in back {
            self.answer(item.session, item.token, DeliveryAnswer::After(rest.as_millis() as u64 + 1));
        }
    }

    /// Starts as many requests as each endpoint may have at once.
    fn send_all(&mut self) {
        let now = Instant::now();
        let (at_once, batch) = (self.settings.at_once, self.settings.batch);
        for (origin, endpoint) in &mut self.endpoints {
            while endpoint.under_way < endpoint.may_have(at_once) {
                let Some(first) = endpoint.queue.pop_front() else { break };
                let mut items = vec![(first.session, first.token)];
                let mut request = first.request;
                while items.len() < batch
                    && endpoint.queue.front().is_some_and(|next| request.may_hold(&next.request))
                    && let Some(next) = endpoint.queue.pop_front()
                {
                    items.push((next.session, next.token));
                    request.add(next.request);
                }
                endpoint.under_way += 1;
                self.running.spawn(send(self.client.clone(), self.settings.guard, origin.clone(), items, request));
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

async fn send(client: Client, guard: Guard, origin: String, items: Vec<(SessionId, DeliveryToken)>, request: Request) -> Done {
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
    Done { origin, items, result }
}
