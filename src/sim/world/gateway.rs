//! The gateway of the world: the real engine and the real handlers, with the threads of journal and ledger played by events. Killing it
//! loses whatever the stores had not synced; starting it recovers from the rest.

use super::Settings;
use super::books::PRICE;
use super::course::{Due, World};
use super::jobs::PAYING;
use super::judge::{Judged, Wrong};
use super::wire::{End, Mail, Role, Side};
use crate::config;
use crate::engine::Engine;
use crate::engine::plan::{AccountPlan, BalancePlan, Bounds, CarrierPlan, ClassPlan, DedupePlan, Plan};
use crate::engine::port::{BindCommand, BindId, CarrierId, DiskState, Input, Output, SessionId, Ticket, UpstreamReply};
use crate::engine::recover::recover;
use crate::link::accounts::{Accounts, AuthenticateJob, Verifier};
use crate::link::carrier::{CarrierBind, CarrierContext};
use crate::link::upstream::{Upstream, UpstreamCommand, UpstreamContext};
use crate::model::{Class, DuplicateAction, Refusal};
use crate::number::HomeRegion;
use crate::number::prefix::PrefixTable;
use crate::sim::behaviour::Dice;
use crate::smpp::{self, BindKind, Session};
use crate::store::memory::{Fault, MemoryJournal, MemoryLedger};
use crate::store::{Journal, Ledger, LedgerUpdate};
use crate::text::segment::{Concatenation, SegmentRule};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Names of the accounts, one of each class; also their passwords.
pub(super) const ACCOUNTS: [&str; 3] = ["codes", "notices", "sales"];
/// Names of the carriers; the last one only where there are rules.
const CARRIERS: [&str; 3] = ["north", "south", "west"];
/// An orphaned receipt and a message without receipt are given up after these, milliseconds; more than the wall clock ever errs.
const PARKED_AGE_MS: u64 = 600_000;
const NO_RECEIPT_AFTER_MS: u64 = 1_200_000;

/// Passwords of the world are plain: nobody asks.
struct NobodyAsks;

impl Verifier for NobodyAsks {
    fn verify(&self, _job: AuthenticateJob) {}
}

/// The gateway, alive or not, and what outlives it.
pub(super) struct Gateway {
    pub engine: Option<Engine>,
    /// Grows with every start: events of an earlier life are stale.
    pub life: u64,
    pub plan: Arc<Plan>,
    pub sessions: BTreeMap<SessionId, usize>,
    binds: BTreeMap<BindId, usize>,
    inputs: Vec<Input>,
    step_us: u64,
    pub(super) journal: MemoryJournal,
    ledger: MemoryLedger,
    /// Batches that wait for the journal's thread.
    waiting: Vec<(u64, Vec<u8>)>,
    /// The group that is being synced: position and last batch.
    writing: Option<(u64, u64)>,
    updates: VecDeque<LedgerUpdate>,
    /// The position absorbed by the update that is being synced.
    applying: Option<u64>,
    last_durable: u64,
    accounts: Vec<config::Account>,
    upstream: Arc<UpstreamContext>,
    carriers: Vec<Arc<CarrierContext>>,
    kinds: Vec<Vec<BindKind>>,
    last_session: u64,
    generation: u32,
}

impl Gateway {
    pub fn new(settings: &Settings, dice: &mut Dice) -> Gateway {
        let accounts: Vec<config::Account> = ACCOUNTS.iter().zip(Class::ALL).map(|(name, class)| account(name, class)).collect();
        let forms = [config::Concatenation::Udh8, config::Concatenation::Udh16, config::Concatenation::Sar];
        let mut carriers = Vec::new();
        let mut kinds = Vec::new();
        for name in &CARRIERS[..if settings.rules { 3 } else { 2 }] {
            carriers.push(carrier(name, forms[dice.up_to(2) as usize], settings, dice));
            kinds.push(match dice.up_to(2) {
                0 => vec![BindKind::Transceiver],
                1 => vec![BindKind::Transceiver, BindKind::Transceiver],
                _ => vec![BindKind::Transmitter, BindKind::Receiver],
            });
        }
        let plan = Arc::new(plan(settings, &carriers, dice));
        let (journal, ledger) = (MemoryJournal::new(), MemoryLedger::new());
        journal.set_lazy(true);
        ledger.set_lazy(true);
        Gateway {
            engine: None,
            life: 0,
            plan,
            sessions: BTreeMap::new(),
            binds: BTreeMap::new(),
            inputs: Vec::new(),
            step_us: u64::MAX,
            journal,
            ledger,
            waiting: Vec::new(),
            writing: None,
            updates: VecDeque::new(),
            applying: None,
            last_durable: 0,
            upstream: context(&accounts),
            accounts,
            carriers: carriers.into_iter().map(|settings| Arc::new(CarrierContext { settings, home_country_code: 86 })).collect(),
            kinds,
            last_session: 0,
            generation: 0,
        }
    }

    /// Nothing waits for journal or ledger.
    pub fn is_written(&self) -> bool {
        self.waiting.is_empty() && self.writing.is_none() && self.updates.is_empty() && self.applying.is_none()
    }

    /// The next append fails at its sync.
    pub fn fail_sync(&self) {
        self.journal.inject(0, Fault::Sync);
    }

    /// No failure is planned any more.
    pub fn mend(&mut self) {
        self.journal.heal();
    }
}

fn account(name: &str, class: Class) -> config::Account {
    config::Account {
        class,
        window: 30,
        receipts: config::AccountReceipts { window: 5, ..Default::default() },
        ..config::Account::plain(name, name)
    }
}

fn carrier(name: &str, concatenation: config::Concatenation, settings: &Settings, dice: &mut Dice) -> config::Carrier {
    let profile = config::Profile {
        shaping: config::Shaping { concatenation, ..Default::default() },
        ..config::Profile::shipped("standard").expect("it ships")
    };
    config::Carrier {
        window: [1, 4, 10][dice.up_to(2) as usize],
        rate_per_s: settings.rate_per_s,
        timers: config::CarrierTimers {
            response_timeout_ms: settings.response_timeout_ms,
            late_response_ms: 60_000,
            enquire_link_timeout_ms: 3_000,
            ..Default::default()
        },
        ..config::Carrier::to_host(name, "127.0.0.1:2775", profile)
    }
}

fn context(accounts: &[config::Account]) -> Arc<UpstreamContext> {
    let accounts = Arc::new(Accounts::new(accounts, 1_000));
    Arc::new(UpstreamContext { accounts, verifier: Arc::new(NobodyAsks), system_id: (*b"hongyan").into() })
}

fn plan(settings: &Settings, carriers: &[config::Carrier], dice: &mut Dice) -> Plan {
    let class = |resend_in_doubt: bool| ClassPlan {
        share_percent: 10,
        hours: Vec::new(),
        spread_ms: 0,
        retry_by_status: Vec::new(),
        validity_ms: 900_000,
        retry_ms: vec![500, 2_000],
        max_attempts: 3,
        doubt_wait_ms: 4_000,
        resend_in_doubt,
    };
    let always_ask = dice.chance(0.5);
    let carriers = carriers.iter().map(|carrier| CarrierPlan {
        name: carrier.name.clone(),
        rate_per_s: carrier.rate_per_s,
        burst: 0,
        bind_rate_per_s: None,
        floor_per_s: 1,
        slow_answer_ms: 0,
        marketing_reserve_percent: 10,
        segments: SegmentRule::new(match carrier.profile.shaping.concatenation {
            config::Concatenation::Udh8 => Concatenation::Udh8,
            config::Concatenation::Udh16 => Concatenation::Udh16,
            config::Concatenation::Sar => Concatenation::Sar,
            config::Concatenation::Payload => Concatenation::Payload,
        }),
        one_receipt: false,
        always_ask_receipt: always_ask,
        never_ask_receipt: false,
        no_receipt_after_ms: NO_RECEIPT_AFTER_MS,
        id_form: None,
        inbound_account: None,
    });
    let account = |name: &&str| AccountPlan {
        name: (*name).to_owned(),
        rate_per_s: None,
        weight: 1,
        max_waiting: 1_000_000,
        max_outbox: 100_000,
        outbox_age_ms: 72 * 3_600_000,
        inbound_by_hook: false,
        correcting_receipt: false,
        service_numbers: vec![super::listing::service(name).into_bytes()],
        dedupe: DedupePlan {
            // Longer than the wall clock ever errs.
            window_ms: if settings.repeated_share > 0.0 { 3_600_000 } else { 0 },
            action: if *name == ACCOUNTS[1] { DuplicateAction::Refuse } else { DuplicateAction::Drop },
            ..DedupePlan::default()
        },
        balance: settings.limit.map(|limit| BalancePlan {
            limit,
            prices: PrefixTable::new([("", PRICE)]).expect("one prefix"),
            by_range: Vec::new(),
        }),
    };
    Plan {
        node: 1,
        home: HomeRegion::CHINA,
        home_zone: crate::config::Zone::default(),
        ranges: crate::number::RangeTable::shipped(),
        accounts: ACCOUNTS.iter().map(account).collect(),
        routes: Arc::new(super::routing::routes(settings)),
        carriers: carriers.collect(),
        classes: [class(false), class(true), class(true)],
        limits: Vec::new(),
        bounds: Bounds {
            journal_octets: settings.journal_octets,
            max_in_memory: settings.max_in_memory,
            cold_after_ms: settings.cold_after_ms,
            sent_cold_after_ms: settings.sent_cold_after_ms,
            notes_per_run: settings.notes_per_run,
            parked_age_ms: PARKED_AGE_MS,
            failover_after_ms: 1_000,
            ..Bounds::default()
        },
        rules: super::listing::rules(),
    }
}

impl World {
    // ---- life and death ----

    /// Kills the gateway.
    pub(super) fn crash(&mut self) -> Judged {
        if self.gateway.engine.take().is_none() {
            return Ok(());
        }
        self.crashes += 1;
        self.recorder.crashed();
        self.note(None, || "the gateway is killed".into());
        let gateway = &mut self.gateway;
        gateway.life += 1;
        gateway.inputs.clear();
        gateway.step_us = u64::MAX;
        gateway.waiting.clear();
        // What was being written may have reached the disk by chance.
        if let Some((position, batch)) = gateway.writing.take() {
            let kept = self.dice.chance(0.5);
            gateway.journal.crash_keeping(usize::from(kept));
            if kept && gateway.journal.synced() == position {
                gateway.last_durable = batch;
            }
        } else {
            gateway.journal.crash();
        }
        if gateway.applying.take().is_some() && self.dice.chance(0.5) {
            // A poisoned ledger keeps nothing more; that is as good as not reached.
            let _ = gateway.ledger.sync();
        }
        gateway.ledger.crash();
        gateway.updates.clear();
        gateway.sessions.clear();
        gateway.binds.clear();
        gateway.upstream = context(&gateway.accounts);
        self.cancels_taken_in();
        self.operator.crashed();
        let gateway = &mut self.gateway;
        let durable = gateway.last_durable;
        for at in 0..self.connections.len() {
            if self.connections[at].ends[Side::Gateway as usize].take().is_some() {
                let learns = !self.dice.chance(self.settings.half_open_share);
                self.cut(at, Side::Peer, learns);
                self.cut(at, Side::Gateway, false);
            }
        }
        let down_us = self.dice.up_to(2_000_000);
        self.after(down_us, Due::Start);
        self.judge.crashed(durable)
    }

    /// Starts it from what is on disk.
    pub(super) fn start(&mut self) -> Judged {
        if self.gateway.engine.is_some() {
            return Ok(());
        }
        let now = self.now();
        let gateway = &mut self.gateway;
        gateway.life += 1;
        let recovered = recover(gateway.plan.clone(), &mut gateway.journal, &mut gateway.ledger, now);
        let (engine, found) = recovered.map_err(|error| Wrong { what: format!("recovery: {error}"), message: None })?;
        gateway.engine = Some(engine);
        self.record()?;
        self.judge.books.agree(self.gateway.engine.as_ref().map_or(&[], Engine::balances))?;
        self.note(None, || format!("the gateway starts: {found:?}"));
        self.count(3, found.events);
        self.counters()?;
        let life = self.gateway.life;
        for carrier in 0..self.gateway.kinds.len() {
            for index in 0..self.gateway.kinds[carrier].len() {
                let us = self.dice.up_to(300_000);
                self.after(us, Due::Bind { life, carrier, index });
            }
        }
        self.wake(0);
        Ok(())
    }

    /// The engine's counters against the judge's.
    pub(super) fn counters(&mut self) -> Judged {
        let Some(engine) = &self.gateway.engine else { return Ok(()) };
        let counts = engine.counts();
        if counts.imbalance() != 0 || engine.walk() != [counts.by_state[0], counts.by_state[1]] {
            return Err(Wrong { what: format!("out of balance: {counts:?}, walked {:?}", engine.walk()), message: None });
        }
        let (walked, is_warm) = (engine.walk_reserved(), engine.cold().0 == 0);
        for (reserved, balance) in walked.into_iter().zip(engine.balances()) {
            if reserved > balance.reserved || (is_warm && reserved < balance.reserved) {
                return Err(Wrong { what: format!("{balance:?}, but messages in memory reserve {reserved}"), message: None });
            }
        }
        self.judge.counters(&counts)
    }

    // ---- steps ----

    /// Inputs for the engine, which will step soon. Nobody takes them while it is down.
    pub(super) fn hand_in(&mut self, inputs: Vec<Input>) {
        if inputs.is_empty() || self.gateway.engine.is_none() {
            return;
        }
        self.gateway.inputs.extend(inputs);
        let hop_us = self.dice.up_to(200);
        self.wake(hop_us);
    }

    fn wake(&mut self, in_us: u64) {
        self.wake_at(self.now_us + in_us);
    }

    fn wake_at(&mut self, us: u64) {
        if us < self.gateway.step_us {
            self.gateway.step_us = us;
            let life = self.gateway.life;
            self.at(us, Due::Step { life, us });
        }
    }

    pub(super) fn step_due(&mut self, life: u64, us: u64) -> Judged {
        if life == self.gateway.life && us == self.gateway.step_us && self.gateway.engine.is_some() {
            self.gateway.step_us = u64::MAX;
            return self.step();
        }
        Ok(())
    }

    fn step(&mut self) -> Judged {
        let now = self.now();
        let Some(mut engine) = self.gateway.engine.take() else { return Ok(()) };
        let mut inputs = std::mem::take(&mut self.gateway.inputs);
        self.judge.inputs(&inputs);
        self.note_inputs(&inputs);
        let mut outputs = Vec::new();
        engine.step(now, &mut inputs, &mut outputs);
        self.count(4, outputs.len() as u64);
        let counts = engine.counts();
        let walked = engine.walk();
        let deadline = engine.deadline();
        self.gateway.engine = Some(engine);
        if counts.imbalance() != 0 || walked != [counts.by_state[0], counts.by_state[1]] {
            return Err(Wrong { what: format!("out of balance: {counts:?}, walked {walked:?}"), message: None });
        }
        self.cancels_taken_in();
        for output in outputs {
            self.output(output)?;
        }
        if let Some(engine) = &self.gateway.engine {
            self.judge.books.agree(engine.balances())?;
        }
        if let Some(us) = deadline {
            self.wake_at(us.max(self.now_us + 1));
        }
        Ok(())
    }

    fn note_inputs(&mut self, inputs: &[Input]) {
        for input in inputs {
            match input {
                Input::Outcomes { bind, outcomes } => {
                    for (ticket, outcome) in outcomes {
                        let number = self.judge.number_of(ticket.message);
                        self.note(number, || format!("in:  {bind:?} part {} {outcome:?}", ticket.part));
                    }
                }
                Input::BindDown { bind, unsent, in_doubt } => {
                    self.note(None, || format!("in:  down {bind:?}"));
                    for (tickets, what) in [(unsent, "unsent"), (in_doubt, "in doubt")] {
                        for ticket in tickets {
                            let number = self.judge.number_of(ticket.message);
                            self.note(number, || format!("in:  down {bind:?} part {} {what}", ticket.part));
                        }
                    }
                }
                Input::Chunk { id, found } => self.note(None, || format!("in:  chunk {id}, found: {}", found.is_some())),
                Input::Submit { .. } | Input::Committed { .. } | Input::Received { .. } | Input::Answered { .. } => {}
                other => self.note(None, || format!("in:  {other:?}")),
            }
        }
    }

    fn output(&mut self, output: Output) -> Judged {
        match output {
            Output::Append { batch, events, .. } => {
                self.count(5, crate::store::checksum::checksum(batch, &events));
                self.judge.written(batch, &events)?;
                self.note_batch(batch, &events);
                self.gateway.waiting.push((batch, events));
                self.write_group();
            }
            Output::Ledger(update) => {
                self.gateway.updates.push_back(*update);
                self.apply_update();
            }
            Output::Rules { token, answer } => self.list_answered(token, answer.is_ok()),
            Output::ReadChunk(id) => {
                let (life, us) = (self.gateway.life, self.dice.up_to(5_000));
                self.after(us, Due::ChunkRead { life, id });
            }
            Output::ReadPage { kind, id } => {
                let (life, us) = (self.gateway.life, self.dice.up_to(5_000));
                self.after(us, Due::PageRead { life, kind, id });
            }
            Output::HandedIn { answers } => {
                self.no_credit += answers.iter().filter(|(_, result)| *result == Err(Refusal::NoCredit)).count() as u64;
                self.job_told(&answers)?;
            }
            Output::Upstream { session, replies } => {
                self.judge.replies(&replies)?;
                self.no_credit +=
                    replies.iter().filter(|r| matches!(r, UpstreamReply::Answer { result: Err(Refusal::NoCredit), .. })).count() as u64;
                if let Some(&at) = self.gateway.sessions.get(&session) {
                    self.leave(at, Mail::Upstream(UpstreamCommand::Replies(replies)));
                }
            }
            Output::Controlled { token, answer } if token >= PAYING => self.paid_in(token, &answer)?,
            Output::Controlled { token, answer } => self.controlled(token, &answer)?,
            // The world has no records that could be asked.
            Output::StayDown(_) | Output::Recall { .. } => {}
            Output::Bind { bind, commands } => {
                for command in &commands {
                    if let BindCommand::Send { message, first_part, end_part, .. } = command {
                        let number = self.judge.number_of(message.id);
                        self.note(number, || format!("out: send parts {first_part}..{end_part} to {bind:?}"));
                    }
                }
                self.judge.commands(bind, &commands)?;
                match self.gateway.binds.get(&bind) {
                    Some(&at) => self.leave(at, Mail::Bind(commands)),
                    None => self.give_back(bind, &commands),
                }
            }
        }
        Ok(())
    }

    fn note_batch(&mut self, batch: u64, octets: &[u8]) {
        let mut events = Vec::new();
        // The judge has read it already.
        let _ = crate::engine::event::read_group(octets, &mut |_, event| events.push(event));
        for event in events {
            let number = self.judge.about(&event);
            self.note(number, || format!("out: batch {batch}: {event:?}"));
        }
    }

    fn leave(&mut self, at: usize, mail: Mail) {
        if let Some(end) = &mut self.connections[at].ends[Side::Gateway as usize] {
            end.mail.push(mail);
            let hop_us = self.dice.up_to(200);
            self.after(hop_us, Due::Mail { at });
        }
    }

    /// The bind went after the engine last heard of it: what it should have sent is in nobody's hands (as `link::registry` does).
    fn give_back(&mut self, bind: BindId, commands: &[BindCommand]) {
        let mut unsent = Vec::new();
        for command in commands {
            if let BindCommand::Send { message, first_part, end_part, .. } = command {
                unsent.extend((*first_part..*end_part).map(|part| Ticket { message: message.id, part }));
            }
        }
        if !unsent.is_empty() {
            self.hand_in(vec![Input::BindDown { bind, unsent, in_doubt: Vec::new() }]);
        }
    }

    // ---- stores ----

    /// The journal's thread takes whatever waits, if it is idle.
    fn write_group(&mut self) {
        let gateway = &mut self.gateway;
        if gateway.writing.is_some() || gateway.waiting.is_empty() {
            return;
        }
        let mut group = Vec::new();
        let mut last = 0;
        for (batch, events) in gateway.waiting.drain(..) {
            group.extend_from_slice(&events);
            last = batch;
        }
        let appended = gateway.journal.append(&group);
        let position = appended.as_ref().copied().unwrap_or_else(|_| gateway.journal.bounds().map_or(0, |(_, last)| last));
        gateway.writing = Some((position, last));
        match appended {
            Ok(_) => {
                let slowest_us = if self.dice.chance(0.06) { 200_000 } else { 3_000 };
                let sync_us = 200 + self.dice.up_to(slowest_us);
                let life = self.gateway.life;
                self.after(sync_us, Due::Synced { life });
            }
            Err(error) => {
                self.note(None, || format!("the journal fails: {error}"));
                self.hand_in(vec![Input::Disk(DiskState::Failed)]);
                let us = self.dice.up_to(500_000);
                self.after(us, Due::Misfortune(super::course::Misfortune::Stop));
            }
        }
    }

    pub(super) fn synced(&mut self, life: u64) -> Judged {
        if life != self.gateway.life {
            return Ok(());
        }
        let Some((position, batch)) = self.gateway.writing.take() else { return Ok(()) };
        if self.gateway.journal.sync().is_err() {
            self.gateway.writing = Some((position, batch));
            return Ok(());
        }
        self.gateway.last_durable = batch;
        self.cancels_taken_in();
        self.judge.durable(batch)?;
        self.record()?;
        self.note(None, || format!("durable up to batch {batch}"));
        self.hand_in(vec![Input::Committed { batch, position }]);
        self.write_group();
        Ok(())
    }

    fn apply_update(&mut self) {
        let gateway = &mut self.gateway;
        if gateway.applying.is_some() {
            return;
        }
        let Some(update) = gateway.updates.pop_front() else { return };
        if gateway.ledger.apply(&update).is_ok() {
            gateway.applying = Some(update.absorbed);
            let (life, us) = (gateway.life, self.dice.up_to(20_000));
            self.after(us, Due::Kept { life });
        }
    }

    pub(super) fn kept(&mut self, life: u64) -> Judged {
        if life != self.gateway.life {
            return Ok(());
        }
        let Some(absorbed) = self.gateway.applying.take() else { return Ok(()) };
        if self.gateway.ledger.sync().is_ok() {
            self.carried += 1;
            self.note(None, || format!("the ledger has absorbed {absorbed}"));
            // A journal that has failed drops nothing more; the gateway is about to stop.
            let _ = self.gateway.journal.drop_before(absorbed + 1);
            self.hand_in(vec![Input::LedgerApplied]);
            self.apply_update();
        }
        Ok(())
    }

    pub(super) fn chunk_read(&mut self, life: u64, id: u64) -> Judged {
        if life == self.gateway.life {
            let found = self.gateway.ledger.chunk(id).ok().flatten().map(|(chunk, dead)| (chunk.octets, dead));
            self.chunks_read += 1;
            self.hand_in(vec![Input::Chunk { id, found }]);
        }
        Ok(())
    }

    pub(super) fn page_read(&mut self, life: u64, kind: u8, id: u64) -> Judged {
        if life == self.gateway.life {
            let found = self.gateway.ledger.page(kind, id).ok().flatten();
            self.pages_read += 1;
            self.hand_in(vec![Input::Page { kind, id, found }]);
        }
        Ok(())
    }

    // ---- links ----

    pub(super) fn connect_bind(&mut self, life: u64, carrier: usize, index: usize) -> Judged {
        if life != self.gateway.life || self.gateway.engine.is_none() {
            return Ok(());
        }
        let now = self.now();
        self.gateway.generation += 1;
        let id = BindId { carrier: CarrierId(carrier as u16), index: index as u16, generation: self.gateway.generation };
        let context = Arc::clone(&self.gateway.carriers[carrier]);
        let kind = self.gateway.kinds[carrier][index];
        let session = Session::new(context.session_settings(), now);
        let handler = Box::new(CarrierBind::new(id, kind, context, Arc::default()));
        let ours = End { session, role: Role::Bind(handler), input: Vec::new(), mail: Vec::new(), timer_us: 0 };
        let theirs = self.operator_end(carrier);
        // Before anything can be said to it.
        let at = self.connections.len();
        self.gateway.binds.insert(id, at);
        self.note(None, || format!("connection {at}: bind {id:?}"));
        self.connect(ours, theirs).map(|_| ())
    }

    pub(super) fn bind_closed(&mut self, at: usize) {
        let Some((&id, _)) = self.gateway.binds.iter().find(|(_, place)| **place == at) else { return };
        self.gateway.binds.remove(&id);
        let us = 100_000 + self.dice.up_to(400_000);
        let life = self.gateway.life;
        self.after(us, Due::Bind { life, carrier: id.carrier.0 as usize, index: id.index as usize });
    }

    /// An upstream connects: the gateway's end of it, if it is there.
    pub(super) fn upstream_end(&mut self) -> Option<End> {
        self.gateway.engine.as_ref()?;
        let now = self.now();
        self.gateway.last_session += 1;
        let id = SessionId(self.gateway.last_session);
        self.gateway.sessions.insert(id, self.connections.len());
        let handler = Box::new(Upstream::new(id, IpAddr::V4(Ipv4Addr::LOCALHOST), Arc::clone(&self.gateway.upstream)));
        let settings = smpp::Settings { enquire_link_timeout_ms: 3_000, response_timeout_ms: 3_000, ..smpp::Settings::server() };
        Some(End { session: Session::new(settings, now), role: Role::Upstream(handler), input: Vec::new(), mail: Vec::new(), timer_us: 0 })
    }
}
