//! The hot path, in the order a message meets it. Knows messages, no wire.
//!
//! [`Engine`] is one plain struct, driven by [`Engine::step`]: inputs and the time in, outputs out. It owns everything that is alive; it has no
//! thread, no clock, no socket and no disk. A file per stop of the way:
//!
//! | stop | file |
//! |---|---|
//! | a draft becomes an accepted message | [`intake`] |
//! | who may be written to | [`rules`] |
//! | which carrier | [`route`], [`routes`], [`choice`], [`health`], [`why`] |
//! | waiting for it | [`lanes`], [`lane`], [`fair`] |
//! | permits | [`throttle`], [`limits`], [`adaptive`] |
//! | parts of long texts apart from each other | [`references`] |
//! | handing it to a bind | [`dispatch`] |
//! | what the carrier answered | [`outcome`], [`retry`], [`reroute`] |
//! | what it reported later | [`receipts`], [`index`], [`parked`] |
//! | back to the sender | [`outbox`] |
//! | messages from phones | [`inbound`] |
//! | query, cancel, replace | [`lookup`], [`recall`], [`replacing`] |
//! | how carriers deliver, by region | [`quality`] |
//! | why it waits; what would become of one, or of many | [`waits`], [`explain`], [`estimate`] |
//! | past its time | [`sweep`] |
//! | handed in twice; paid for | [`dedupe`], [`balance`] |
//! | out of memory for a while | [`cold`], [`old`], [`runs`], [`seek`], [`search`] |
//! | control while running | [`control`], [`overlay`], [`scope`], [`cancel`], [`look`], [`trial`] |
//! | what is written down | [`event`], [`homes`], [`carry`], [`recover`] |
//! | what became of it, from what was written down | [`trail`] |
//!
//! Two rules hold the promises. *An effect that promises something waits for its batch*: the yes to a submission, the answer to a receipt, the
//! delivery to upstream and the sending of an otp are *effects*, released when `Committed` covers the batch that says so. *State is
//! changed by the same functions live and in replay*, so that what recovery rebuilds is what was there.

pub mod adaptive;
pub mod balance;
pub mod campaigns;
pub mod cancel;
pub mod carry;
pub mod choice;
pub mod cold;
mod cold_chunk;
pub mod control;
pub mod counts;
pub mod dedupe;
pub mod dispatch;
pub mod estimate;
pub mod event;
pub mod explain;
pub mod fair;
pub mod flights;
pub mod health;
pub mod homes;
pub mod hours;
pub mod inbound;
pub mod index;
pub mod intake;
pub mod lane;
pub mod lanes;
pub mod limits;
pub mod look;
pub mod lookup;
pub mod messages;
pub mod old;
pub mod outbox;
pub mod outcome;
pub mod overlay;
pub mod parked;
pub mod plan;
pub mod port;
pub mod quality;
pub mod recall;
pub mod receipts;
pub mod recover;
pub mod references;
pub mod replacing;
pub mod reroute;
pub mod retry;
pub mod route;
pub mod routes;
pub mod rules;
pub mod runs;
pub mod scope;
pub mod search;
pub mod seek;
mod swap;
pub mod sweep;
pub mod throttle;
pub mod timers;
pub mod trail;
pub mod trial;
pub mod waits;
pub mod why;

use crate::model::id::MessageIds;
use crate::model::{AccountId, Class, MessageId, Now, Refusal, State};
use crate::telemetry::{
    AccountFigures, CHANGES, CarrierFigures, Conservation, EngineSnapshot, OtherFigures, ReceiptFigures, TimeHistogram,
};
use carry::{Home, Homes, Item};
use counts::{Counts, Tally};
use dispatch::Dispatcher;
use event::Event;
use hashbrown::HashMap;
use messages::{Entry, Messages, Phase};
use outbox::Way;
use plan::Plan;
use port::{BindCommand, BindId, CarrierId, DeliveryToken, DiskState, Input, Output, SessionId, Taken, UpstreamReply};
use std::collections::VecDeque;
use std::sync::Arc;
use throttle::Bucket;
use timers::{Timer, Timers};

/// No session: drafts that came by [`Input::HandIn`].
const NO_SESSION: SessionId = SessionId(u64::MAX);

/// What waits for its batch to be durable.
#[derive(Debug)]
enum Effect {
    /// The yes to a draft; the message goes on its way.
    Accepted { session: SessionId, token: u64, taken: Taken },
    /// The answer to a cancel or a replace.
    Done { session: SessionId, token: u64 },
    /// The carrier's delivery is stored.
    Stored { bind: BindId, token: u64 },
    /// An otp whose attempt is on record may be written to the socket.
    Send { bind: BindId, message: MessageId },
    /// The answer to an operator who changed something.
    Controlled { token: u64, answer: Box<control::Answer> },
    /// A delivery may go to upstream.
    Deliver { account: AccountId, token: DeliveryToken },
    /// The answer to a change of a list: numbers that came or went, and those that stand in it now.
    Listed { token: u64, changed: u64, total: u64 },
}

/// An upstream session.
#[derive(Debug)]
struct Session {
    account: AccountId,
    way: Way,
    window: usize,
    with: hashbrown::HashSet<DeliveryToken>,
    replies: Vec<UpstreamReply>,
}

/// What is counted per account.
#[derive(Debug)]
struct AccountState {
    waiting: u64,
    bucket: Bucket,
    figures: AccountFigures,
}

/// The batch that is being written, and what hangs on batches that are not yet durable.
#[derive(Debug)]
struct Writing {
    /// Number of the batch that is open now.
    batch: u64,
    octets: Vec<u8>,
    items: Vec<Item>,
    urgent: bool,
    effects: VecDeque<(u64, Effect)>,
}

/// The engine.
#[derive(Debug)]
pub struct Engine {
    /// The plan in force: the configured one, with the limits of the overlay.
    plan: Arc<Plan>,
    /// The configured one.
    base: Arc<Plan>,
    overlay: overlay::Overlay,
    /// When a test message is to be looked at again, mono_us.
    trial_due: Option<u64>,
    now: Now,
    ids: MessageIds,
    messages: Messages,
    body_octets: usize,
    accounts: Vec<AccountState>,
    dispatchers: Vec<Dispatcher>,
    limits: limits::Limits,
    campaigns: campaigns::Campaigns,
    hours: hours::ZoneHours,
    index: index::IdIndex,
    parked: parked::Parked,
    doubts: hashbrown::HashMap<(CarrierId, u64), Vec<MessageId>>,
    /// Parts that still hold a slot of this bind, though their message doesn't wait for its word any more. Bounded by the windows.
    abandoned: hashbrown::HashSet<(port::Ticket, BindId)>,
    router: choice::Router,
    /// Carriers that went out in this step.
    ill: Vec<CarrierId>,
    references: references::References,
    replaceable: replacing::Replaceable,
    inbound: inbound::Joining,
    outbox: outbox::Outboxes,
    sessions: HashMap<SessionId, Session>,
    /// Answers to drafts that came by no session.
    handed_in: Vec<(u64, Result<Taken, Refusal>)>,
    timers: Timers,
    fired: Vec<Timer>,
    writing: Writing,
    homes: Homes,
    carrying: Option<carry::Carrying>,
    cold: cold::Cold,
    dedupe: dedupe::Dedupe,
    balances: Vec<balance::Balance>,
    runs: runs::Runs,
    seeks: seek::Seeks,
    recalls: recall::Recalls,
    sweeping: VecDeque<MessageId>,
    sweep_left: usize,
    /// When the last sweep began, mono_us.
    swept_us: u64,
    rules: rules::Rules,
    counts: Counts,
    /// Off while recovery applies what the counters know already.
    counting: bool,
    tally: Tally,
    /// See [`EngineSnapshot::queue_times`] and [`EngineSnapshot::delivery_times`].
    queue_times: [TimeHistogram; Class::ALL.len()],
    delivery_times: TimeHistogram,
    quality: quality::Quality,
    disk: DiskState,
    draining: bool,
    replaying: bool,
    dirty_sessions: Vec<SessionId>,
    dirty_accounts: Vec<AccountId>,
}

impl Engine {
    /// An engine with nothing in it. [`recover`] fills it before the first step.
    pub fn new(plan: Arc<Plan>, now: Now) -> Engine {
        let mut timers = Timers::default();
        timers.set(now.mono_us + sweep::PERIOD_US, Timer::Sweep);
        let mut engine = Engine {
            now,
            ids: MessageIds::new(plan.node),
            messages: Messages::new(),
            body_octets: 0,
            accounts: plan
                .accounts
                .iter()
                .map(|a| AccountState { waiting: 0, bucket: Bucket::new(a.rate_per_s, 0, now), figures: AccountFigures::default() })
                .collect(),
            dispatchers: plan.carriers.iter().map(|c| Dispatcher::new(c, shares(&plan), now)).collect(),
            limits: limits::Limits::new(&plan.limits, &plan.ranges, now),
            campaigns: campaigns::Campaigns::default(),
            hours: hours::ZoneHours::default(),
            index: index::IdIndex::of(&plan),
            parked: parked::Parked::default(),
            doubts: HashMap::new(),
            abandoned: hashbrown::HashSet::new(),
            router: choice::Router::new(&plan),
            ill: Vec::new(),
            references: references::References::default(),
            replaceable: replacing::Replaceable::default(),
            inbound: inbound::Joining::new(&plan.bounds),
            outbox: outbox::Outboxes::new(plan.accounts.len()),
            sessions: HashMap::new(),
            handed_in: Vec::new(),
            timers,
            fired: Vec::new(),
            writing: Writing { batch: 1, octets: Vec::new(), items: Vec::new(), urgent: false, effects: VecDeque::new() },
            homes: Homes::default(),
            carrying: None,
            cold: cold::Cold::default(),
            dedupe: dedupe::Dedupe::new(plan.accounts.len()),
            balances: vec![balance::Balance::default(); plan.accounts.len()],
            runs: runs::Runs::default(),
            seeks: seek::Seeks::default(),
            recalls: recall::Recalls::default(),
            sweeping: VecDeque::new(),
            sweep_left: 0,
            swept_us: now.mono_us,
            rules: rules::Rules::default(),
            counts: Counts::default(),
            counting: true,
            tally: Tally::default(),
            queue_times: Default::default(),
            delivery_times: TimeHistogram::default(),
            quality: quality::Quality::new(&plan),
            disk: DiskState::Ok,
            draining: false,
            replaying: false,
            dirty_sessions: Vec::new(),
            dirty_accounts: Vec::new(),
            overlay: overlay::Overlay::default(),
            trial_due: None,
            base: Arc::clone(&plan),
            plan,
        };
        engine.watch_carriers();
        engine
    }

    /// Takes all of `inputs`, fires what is due, and appends what follows to `outputs`.
    pub fn step(&mut self, now: Now, inputs: &mut Vec<Input>, outputs: &mut Vec<Output>) {
        if now.jumped(self.now) {
            // The wall clock stepped: hours are looked at again.
            self.dispatchers.iter_mut().for_each(|dispatcher| dispatcher.lanes.release_all());
        }
        self.now = now;
        for input in inputs.drain(..) {
            self.take(input, outputs);
        }
        self.fire_timers();
        self.avoid_ill();
        self.tend_overlay(outputs);
        for carrier in 0..self.dispatchers.len() {
            self.dispatch(CarrierId(carrier as u16));
        }
        self.change_some();
        self.refill();
        self.cool_some();
        self.read_some(outputs);
        self.pump_outboxes();
        // Last: what it writes down is true up to and including the open batch, so nothing may join that batch afterwards.
        self.carry_some(outputs);
        self.drain_outputs(outputs);
    }

    /// The next instant (mono_us) at which a step is due without any input.
    pub fn deadline(&self) -> Option<u64> {
        let wakes = self.dispatchers.iter().map(|d| d.wake_at).filter(|&at| at != u64::MAX).min();
        let walking = self.carrying.as_ref().is_some_and(carry::Carrying::is_walking) || self.cold.is_leaving();
        let carrying = walking.then_some(self.now.mono_us);
        let sweeping = (self.sweep_left > 0).then_some(self.now.mono_us + 1000);
        [self.timers.next(), wakes, carrying, sweeping, self.overlay_deadline()].into_iter().flatten().min()
    }

    fn take(&mut self, input: Input, outputs: &mut Vec<Output>) {
        if let Some(input) = self.seek(input) {
            self.take_here(input, outputs);
        }
    }

    /// Takes an input that means nothing outside of memory.
    fn take_here(&mut self, input: Input, outputs: &mut Vec<Output>) {
        match input {
            Input::SessionUp { session, account, window } => self.session_up(session, account, Way::Sessions, window),
            Input::HookUp { session, account, window } => self.session_up(session, account, Way::Hook, window),
            Input::SessionDown { session } => self.session_down(session),
            Input::Submit { session, drafts } => drafts.into_iter().for_each(|draft| self.intake(session, draft, false)),
            Input::HandIn { drafts } => drafts.into_iter().for_each(|draft| self.intake(NO_SESSION, draft, false)),
            Input::SubmitReplacing { session, drafts } => drafts.into_iter().for_each(|draft| self.submit_replacing(session, draft)),
            Input::Query { session, token, message, source } => self.query(session, token, message, &source, outputs),
            Input::Recalled { number, found } => self.recalled(number, found),
            Input::Cancel { session, token, what } => self.cancel(session, token, &what),
            Input::Replace { session, token, message, source, with } => self.replace(session, token, message, &source, with),
            Input::Answered { session, answers } => answers.into_iter().for_each(|(token, answer)| self.answered(session, token, answer)),
            Input::BindUp { bind, window } => self.bind_up(bind, window),
            Input::BindDown { bind, unsent, in_doubt } => self.bind_down(bind, &unsent, &in_doubt),
            Input::Outcomes { bind, outcomes } => outcomes.into_iter().for_each(|(ticket, outcome)| self.outcome(bind, ticket, outcome)),
            Input::Received { bind, deliveries } => deliveries.into_iter().for_each(|(token, what)| self.received(bind, token, what)),
            Input::Committed { batch, position } => self.committed(batch, position, outputs),
            Input::LedgerApplied => self.ledger_applied(),
            Input::Chunk { id, found } => self.chunk_read(id, found, outputs),
            Input::Page { id, found, .. } => self.page_read(id, found, outputs),
            Input::Disk(state) => self.disk = state,
            Input::Drain => self.draining = true,
            Input::Rules { token, request } => self.rules_asked(token, *request, outputs),
            Input::Control { token, request } => self.control(token, *request, outputs),
            Input::Plan(plan) => self.swap_plan(plan),
        }
    }

    fn fire_timers(&mut self) {
        let mut fired = std::mem::take(&mut self.fired);
        self.timers.due(self.now.mono_us, &mut fired);
        for timer in fired.drain(..) {
            match timer {
                Timer::Due(message) => self.due(message),
                Timer::Doubt(message) => self.doubt_over(message),
                Timer::Outbox(account) => self.outbox_due(account),
                Timer::Failover(carrier) => self.failover(carrier),
                Timer::Sweep => self.start_sweep(),
            }
        }
        self.fired = fired;
        self.sweep_some();
    }

    /// Every batch up to `batch` is durable: what hung on them is released.
    fn committed(&mut self, batch: u64, position: u64, outputs: &mut Vec<Output>) {
        self.homes.committed(batch, position);
        self.ledger_may_follow(batch, outputs);
        while self.writing.effects.front().is_some_and(|&(of, _)| of <= batch) {
            let Some((_, effect)) = self.writing.effects.pop_front() else { break };
            match effect {
                Effect::Accepted { session, token, taken } => {
                    self.answer_draft(session, token, Ok(taken));
                    self.set_off(taken.message);
                }
                Effect::Done { session, token } => self.reply(session, UpstreamReply::Done { token, result: Ok(()) }),
                Effect::Stored { bind, token } => self.command(bind, BindCommand::Answer { token, stored: true }),
                Effect::Send { bind, message } => self.send_attempted(bind, message),
                Effect::Controlled { token, answer } => {
                    if let control::Answer::Testing(id) = *answer {
                        self.trial_accepted(id);
                    }
                    outputs.push(Output::Controlled { token, answer: Box::new(Ok(*answer)) });
                }
                Effect::Deliver { account, token } => self.outbox_ready(account, token),
                Effect::Listed { token, changed, total } => {
                    outputs.push(Output::Rules { token, answer: Ok(port::RulesAnswer::Changed { changed, total }) });
                }
            }
        }
    }

    /// Writes an event into the open batch (nothing in replay: it is written already).
    fn record(&mut self, event: &Event) {
        if !self.replaying {
            self.open_batch();
            event::write(event, &mut self.writing.octets);
        }
    }

    fn open_batch(&mut self) {
        if self.writing.octets.is_empty() {
            event::open(&mut self.writing.octets, self.writing.batch);
        }
    }

    /// Lets `effect` wait for the open batch.
    fn after_commit(&mut self, effect: Effect) {
        debug_assert!(!self.replaying, "replay has no effects");
        self.open_batch();
        self.writing.urgent = true;
        self.writing.effects.push_back((self.writing.batch, effect));
    }

    /// Where a record that is written now lives.
    fn home(&self) -> Home {
        Home::batch(self.writing.batch)
    }

    fn drain_outputs(&mut self, outputs: &mut Vec<Output>) {
        if !self.writing.octets.is_empty() {
            let mut octets = std::mem::take(&mut self.writing.octets);
            event::seal(&mut octets);
            let items = std::mem::take(&mut self.writing.items);
            self.homes.opened(self.writing.batch, octets.len() as u64, items);
            outputs.push(Output::Append { batch: self.writing.batch, events: octets, urgent: self.writing.urgent });
            self.writing.batch += 1;
            self.writing.urgent = false;
        }
        if !self.handed_in.is_empty() {
            outputs.push(Output::HandedIn { answers: std::mem::take(&mut self.handed_in) });
        }
        for session in std::mem::take(&mut self.dirty_sessions) {
            if let Some(state) = self.sessions.get_mut(&session)
                && !state.replies.is_empty()
            {
                outputs.push(Output::Upstream { session, replies: std::mem::take(&mut state.replies) });
            }
        }
        for dispatcher in &mut self.dispatchers {
            dispatcher.drain(outputs);
        }
    }

    fn reply(&mut self, session: SessionId, reply: UpstreamReply) {
        if let Some(state) = self.sessions.get_mut(&session) {
            if state.replies.is_empty() {
                self.dirty_sessions.push(session);
            }
            state.replies.push(reply);
        }
    }

    /// Tells whoever handed a draft in what became of it.
    fn answer_draft(&mut self, session: SessionId, token: u64, result: Result<Taken, Refusal>) {
        match session {
            NO_SESSION => self.handed_in.push((token, result)),
            session => self.reply(session, UpstreamReply::Answer { token, result: result.map(|taken| taken.message) }),
        }
    }

    fn command(&mut self, bind: BindId, command: BindCommand) {
        if let Some(dispatcher) = self.dispatchers.get_mut(bind.carrier.0 as usize) {
            dispatcher.command(bind, command);
        }
    }

    /// The one place where a live message changes its phase: counters follow.
    fn set_phase(&mut self, id: MessageId, to: Phase) {
        let Some(entry) = self.messages.get_mut(&id) else { return };
        let before = std::mem::replace(&mut entry.phase, to);
        let (from, to) = (before.state(), to.state());
        let stream = entry.stream();
        let (account, class, after) = (entry.message.account, entry.message.class, entry.phase);
        self.count_waiting(before, class, -1);
        self.count_waiting(after, class, 1);
        if from != to {
            self.count(account, Some(from), to);
        }
        self.landed(before, stream);
    }

    /// Lanes hold stale places too; what really waits for a carrier is counted here.
    fn count_waiting(&mut self, phase: Phase, class: Class, change: i64) {
        if let Phase::Waiting(carrier) = phase {
            self.dispatchers[carrier.0 as usize].waiting[class as usize] += change;
        }
    }

    /// The one place where a change of state is counted.
    fn count(&mut self, account: AccountId, from: Option<State>, to: State) {
        if self.counting {
            self.counts.step(from, to);
        }
        let account = &mut self.accounts[account.0 as usize];
        account.waiting += u64::from(to == State::Waiting);
        account.waiting -= u64::from(from == Some(State::Waiting));
        account.figures.accepted += u64::from(from.is_none());
        account.figures.states[to as usize] += 1;
        if let Some(from) = from {
            account.figures.states[from as usize] -= 1;
        }
    }

    /// Takes a message out of the table after its end was counted.
    fn remove(&mut self, id: MessageId) -> Option<Box<Entry>> {
        let entry = self.messages.remove(&id)?;
        self.landed(entry.phase, entry.stream());
        self.count_waiting(entry.phase, entry.message.class, -1);
        if matches!(entry.phase, Phase::InFlight(_)) {
            let flying = (0..entry.parts.len() as u8).filter(|&part| entry.parts.get(part) == Some(messages::PartState::InFlight));
            self.abandoned.extend(flying.map(|part| (port::Ticket { message: id, part }, entry.with)));
        }
        self.body_octets -= entry.message.body.octets.len();
        if entry.charge != 0 {
            self.give_back(entry.message.account, entry.charge);
        }
        let chunk = match entry.home {
            Home::Chunk(chunk) => chunk,
            Home::Batch(_) => entry.base,
        };
        if chunk != 0 {
            self.homes.bury(chunk, carry::Name::message(id));
            self.homes.died(chunk);
        }
        Some(entry)
    }

    /// The conservation counters.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Counters for metrics.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Everything that the metrics tell of the engine, as it stands now.
    pub fn snapshot(&self) -> EngineSnapshot {
        let tally = self.tally;
        let accounts = self.accounts.iter().zip(self.outbox_figures());
        let receipts = ReceiptFigures {
            matched: tally.receipts_matched + tally.receipts_unparked,
            parked: self.parked.len() as u64,
            orphaned: tally.receipts_orphaned,
            repeated: tally.receipts_repeated,
            late: tally.receipts_late,
            put_off: tally.receipts_put_off,
        };
        let other = OtherFigures {
            doubts_settled: tally.doubts_settled,
            doubts_resent: tally.resent_in_doubt,
            deliveries_taken: tally.deliveries_taken,
            deliveries_dropped: tally.deliveries_dropped,
            inbound_owned: tally.inbound - tally.inbound_unowned,
            inbound_unowned: tally.inbound_unowned,
            rerouted: tally.rerouted,
            on_disk: self.cold.totals()[0],
            sent_on_disk: self.cold.totals()[1],
        };
        EngineSnapshot {
            position: self.writing.batch,
            accounts: accounts
                .enumerate()
                .map(|(at, (a, (outbox, outbox_dropped)))| {
                    let (repeats, remembered, forgotten) = self.dedupe.figures(at);
                    let balance = self.balances[at].terms();
                    let (rate_limit, waiting_limit) = (self.plan.accounts[at].rate_per_s, self.plan.accounts[at].max_waiting);
                    AccountFigures {
                        outbox,
                        outbox_dropped,
                        repeats,
                        remembered,
                        forgotten,
                        balance,
                        rate_limit,
                        waiting_limit,
                        ..a.figures.clone()
                    }
                })
                .collect(),
            carriers: self
                .dispatchers
                .iter()
                .zip(&self.router.healths)
                .enumerate()
                .map(|(at, (d, health))| CarrierFigures { health: health.figures(), waits: self.wait_figures(at), ..d.figures() })
                .collect(),
            receipts,
            rules: self.rules_figures(),
            other,
            queue_times: self.queue_times,
            delivery_times: self.delivery_times,
            quality: self.quality.figures(),
            changes: CHANGES.map(|name| self.overlay.changes().filter(|change| change.action.name() == name).count() as u64),
            conservation: Conservation { accepted: self.counts.accepted, states: self.counts.by_state },
        }
    }

    /// Live sessions of each account.
    pub fn sessions_by_account(&self) -> Vec<u32> {
        let mut sessions = vec![0; self.plan.accounts.len()];
        let bound = self.sessions.values().filter(|session| session.way == Way::Sessions);
        bound.for_each(|session| sessions[session.account.0 as usize] += 1);
        sessions
    }

    /// Octets in the journal that are not yet dropped.
    pub fn journal_octets(&self) -> u64 {
        self.homes.journal_octets()
    }

    /// The store can't be trusted any more: the process must stop. Also set when a chunk that must be there can't be read back.
    pub fn has_failed(&self) -> bool {
        self.disk == DiskState::Failed
    }

    /// Groups in the journal that are not yet dropped.
    pub fn journal_groups(&self) -> u64 {
        self.homes.journal_groups()
    }

    /// The plan in force.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Messages alive (waiting, sent and waiting, or provisionally final).
    pub fn alive(&self) -> usize {
        self.messages.len() + self.cold.total() as usize
    }

    /// Receipts that have matched nothing yet.
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// What is waiting and what is sent, counted by walking the table: tests hold it against [`Engine::counts`].
    pub fn walk(&self) -> [u64; 2] {
        let waiting = self.messages.values().filter(|e| e.phase.state() == State::Waiting).count();
        let sent = self.messages.values().filter(|e| e.phase.state() == State::SentWaiting).count();
        let cold = self.cold.totals();
        [waiting as u64 + cold[0], sent as u64 + cold[1]]
    }

    /// Octets that memory spends on knowing where messages out of it are, roughly: filters and the newest notes.
    pub fn runs_octets(&self) -> usize {
        self.runs.octets()
    }

    /// Messages alive that are not in memory, and the chunks of the ledger that hold them.
    pub fn cold(&self) -> (u64, usize) {
        (self.cold.total(), self.cold.chunks())
    }
}

/// What each class is guaranteed of a carrier, percent.
fn shares(plan: &Plan) -> [u8; 3] {
    Class::ALL.map(|class| plan.class(class).share_percent)
}

#[cfg(test)]
mod tests;
