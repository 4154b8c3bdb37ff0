//! The gateway of the world: the real engine and the real handlers, with the threads of journal and ledger played by events. Killing it
//! loses whatever the stores had not synced; starting it recovers from the rest.

use super::Settings;
use super::course::{Due, World};
use super::jobs::PAYING;
use super::judge::{Judged, Wrong};
use super::plan::{ACCOUNTS, CARRIERS, account, carrier, plan};
use super::wire::{End, Mail, Role, Side};
use crate::config;
use crate::engine::Engine;
use crate::engine::plan::Plan;
use crate::engine::port::{BindCommand, BindId, CarrierId, Input, Output, SessionId, Ticket, UpstreamReply};
use crate::engine::recover::recover;
use crate::link::accounts::{Accounts, AuthenticateJob, Verifier};
use crate::link::carrier::{CarrierBind, CarrierContext};
use crate::link::upstream::{Upstream, UpstreamCommand, UpstreamContext};
use crate::model::{Class, Refusal, State};
use crate::sim::behaviour::Dice;
use crate::smpp::{self, BindKind, Session};
use crate::store::LedgerUpdate;
use crate::store::memory::{Fault, MemoryJournal, MemoryLedger};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

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
    pub(super) binds: BTreeMap<BindId, usize>,
    pub(super) inputs: Vec<Input>,
    pub(super) step_us: u64,
    pub(super) journal: MemoryJournal,
    pub(super) ledger: MemoryLedger,
    /// Batches that wait for the journal's thread.
    pub(super) waiting: Vec<(u64, Vec<u8>)>,
    /// The group that is being synced: position and last batch.
    pub(super) writing: Option<(u64, u64)>,
    pub(super) updates: VecDeque<LedgerUpdate>,
    /// The position absorbed by the update that is being synced.
    pub(super) applying: Option<u64>,
    pub(super) last_durable: u64,
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
        for name in &CARRIERS[..super::plan::carriers_of(settings)] {
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

fn context(accounts: &[config::Account]) -> Arc<UpstreamContext> {
    let accounts = Arc::new(Accounts::new(accounts, 1_000));
    Arc::new(UpstreamContext { accounts, verifier: Arc::new(NobodyAsks), system_id: (*b"hongyan").into() })
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
                self.no_longer_mute(at);
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
        self.judge.clock = now;
        self.judge.under(&self.gateway.plan);
        self.judge.paces.started(&self.gateway.plan, now.mono_us);
        // What can leave no more in time it expires at once; that is written down with its first step.
        let early = self.gateway.engine.as_ref().map_or(0, |engine| engine.tally().expired_early);
        if early == 0 {
            self.judge.books.agree(self.gateway.engine.as_ref().map_or(&[], Engine::balances))?;
        }
        self.note(None, || format!("the gateway starts: {found:?}"));
        self.count(3, found.events);
        self.counters(early)?;
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

    /// The engine's counters against the judge's; so many have expired since its start, which is not durable yet.
    pub(super) fn counters(&mut self, early: u64) -> Judged {
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
        let mut durable = counts;
        durable.by_state[State::Expired as usize] -= early;
        self.judge.counters(&durable)
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
        self.judge.clock = now;
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
