//! Control while running: what an operator asks ([`Request`]) and what comes of it ([`Answer`]). What changes something is durable before it is answered;
//! what only looks is answered at once. The changes themselves are [`super::overlay`]'s, cancels [`super::cancel`]'s, looks [`super::look`]'s.
#![allow(missing_docs)] // every variant has its line; its fields are the words of the design

use super::balance::{BalanceView, TopUp};
use super::event::{Event, EventError};
use super::look::{Look, View};
use super::messages::{Entry, Phase};
use super::overlay::{Action, Change, ChangeId, Limit, Overlay, REASON_MAX, Record};
use super::port::{CarrierId, Output};
use super::scope::{Fault, Scope};
use super::timers::Timer;
use super::trial::Trial;
use super::{Effect, Engine};
use crate::model::{AccountId, MessageId};

/// What an operator asks of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
    pub who: String,
    /// Why.
    pub reason: String,
    /// What.
    pub ask: Ask,
}

/// See [`Request`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A change that stays in force until it is lifted, or until `until_ms` (wall).
    Begin { action: Action, until_ms: Option<u64> },
    /// Lift changes.
    End(Which),
    /// Write down that something was done that leaves nothing in force.
    Note { what: String },
    /// Change what an account has.
    TopUp(TopUp),
    /// Cancel a message of this account, if it still waits.
    Cancel { account: AccountId, message: MessageId },
    /// Send a test message.
    Test(Trial),
    /// Only tell.
    Look(Look),
}

/// Which changes are lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// This one.
    Id(ChangeId),
    /// Pauses and drains of exactly this scope.
    Scope(Scope),
    /// Unbinds, and drains that unbind, of this carrier or bind.
    Unbinds(Scope),
    /// The limit of this account or carrier.
    Limit { account: Option<String>, carrier: Option<String> },
}

/// What comes of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// In force, durably.
    Began(Box<Change>),
    /// Lifted, durably.
    Ended(Vec<Change>),
    /// Written down; the message is cancelled, durably.
    Noted,
    /// What the account has, durably.
    Balance(Box<BalanceView>),
    /// The test message is accepted.
    Testing(MessageId),
    /// What was asked to be told.
    View(Box<View>),
}

/// Answer to a request, in the engine's hands until it is durable.
pub type Answered = Result<Answer, Fault>;

/// The one message that a request looks at: it may have to be brought into memory first.
pub(super) fn meant(request: &Request) -> Option<MessageId> {
    match &request.ask {
        Ask::Look(Look::Message(id)) | Ask::Cancel { message: id, .. } => Some(*id),
        _ => None,
    }
}

impl Engine {
    pub(super) fn control(&mut self, token: u64, request: Request, outputs: &mut Vec<Output>) {
        if let Ask::Look(look) = &request.ask {
            let answer = self.look(look).map(|view| Answer::View(Box::new(view)));
            outputs.push(Output::Controlled { token, answer: Box::new(answer) });
            return;
        }
        match self.change(request) {
            Ok(answer) => self.after_commit(Effect::Controlled { token, answer: Box::new(answer) }),
            fault => outputs.push(Output::Controlled { token, answer: Box::new(fault) }),
        }
    }

    fn change(&mut self, Request { who, reason, ask }: Request) -> Answered {
        if self.has_failed() {
            return Err(Fault::of("store_failed", "", "the store has failed: nothing can be written down", "fix the disk and start again"));
        }
        if reason.len() > REASON_MAX || who.len() > REASON_MAX {
            return Err(Fault::of("too_long", "reason", "the reason is too long", format!("at most {REASON_MAX} octets")));
        }
        let at_ms = self.now.wall_ms;
        match ask {
            Ask::Begin { action, until_ms } => self.begin_change(who, reason, action, until_ms),
            Ask::End(which) => {
                let changes = self.meant(&which)?;
                let ids = changes.iter().map(|change| change.id).collect();
                self.record_change(Record::Ended { ids, at_ms, who, reason });
                Ok(Answer::Ended(changes))
            }
            Ask::Note { what } => {
                self.record_change(Record::Did { what, at_ms, who, reason });
                Ok(Answer::Noted)
            }
            Ask::Cancel { account, message } => self.cancel_of(account, message).map(|()| Answer::Noted),
            Ask::TopUp(top_up) => self.top_up(top_up, who, reason),
            Ask::Test(trial) => {
                let id = self.trial(&trial)?;
                let what = format!("test message {id} through {}/{}", trial.carrier, trial.bind);
                self.record_change(Record::Did { what, at_ms, who, reason });
                Ok(Answer::Testing(id))
            }
            Ask::Look(_) => Ok(Answer::Noted),
        }
    }

    fn begin_change(&mut self, who: String, reason: String, action: Action, until_ms: Option<u64>) -> Answered {
        let now_ms = self.now.wall_ms;
        if until_ms.is_some_and(|until| until <= now_ms) {
            return Err(Fault::of("bad_value", "until", "the end lies in the past", "a time to come"));
        }
        let action = self.checked(action)?;
        let id = self.overlay.next_id()?;
        let change = Change { id, at_ms: now_ms, who, reason, until_ms, action };
        self.record_change(Record::Began(change.clone()));
        Ok(Answer::Began(Box::new(change)))
    }

    /// The action with its scope in canonical form and all that must be known, or why it can't be.
    fn checked(&self, action: Action) -> Result<Action, Fault> {
        let (plan, campaigns) = (&self.plan, &self.campaigns);
        let named = |scope: &Scope, verb: &str| match scope.is_everything() {
            false => scope.canonical(plan, campaigns),
            true => {
                Err(Fault::of("missing_value", "scope", format!("nothing says what to {verb}"), "an account, carrier, class, prefix, ..."))
            }
        };
        let links = |scope: &Scope, verb: &str| {
            let scope = named(scope, verb)?;
            match scope.matcher(plan, campaigns)?.of_carrier_only() {
                Some(_) => Ok(scope),
                None => Err(Fault::of(
                    "bad_value",
                    "scope",
                    format!("only a carrier or a bind can be told to {verb}"),
                    "a carrier, or a carrier and a bind",
                )),
            }
        };
        let messages = |scope: &Scope, verb: &str| match scope.bind {
            None => named(scope, verb),
            Some(_) => {
                Err(Fault::of("bad_value", "bind", format!("no message waits at a bind that one could {verb}"), "the carrier alone"))
            }
        };
        Ok(match action {
            Action::Pause { scope } => {
                let scope = named(&scope, "pause")?;
                if scope.bind.is_some() && scope.matcher(plan, campaigns)?.of_carrier_only().is_none() {
                    return Err(Fault::of("bad_value", "bind", "a bind is paused as a whole", "a carrier and a bind, nothing else"));
                }
                Action::Pause { scope }
            }
            Action::Drain { scope, then_unbind } => Action::Drain { scope: links(&scope, "drain")?, then_unbind },
            Action::Unbind { scope } => Action::Unbind { scope: links(&scope, "unbind")? },
            Action::Reroute { scope, to } => {
                let scope = messages(&scope, "reroute")?;
                let target = super::scope::carrier_of(&to, plan)?;
                if scope.matcher(plan, campaigns)?.carrier == Some(target) {
                    return Err(Fault::of("bad_value", "to", format!("that is where it goes already: {to}"), "another carrier"));
                }
                Action::Reroute { scope, to }
            }
            Action::Cancel { scope, .. } => {
                // Everything that is accepted by now; what comes later is not meant.
                Action::Cancel { scope: messages(&scope, "cancel")?, upto: self.ids.last() }
            }
            Action::Limit { limit } => Action::Limit { limit: self.checked_limit(limit)? },
        })
    }

    fn checked_limit(&self, limit: Limit) -> Result<Limit, Fault> {
        let plan = &self.plan;
        match (&limit.account, &limit.carrier) {
            (Some(name), None) => super::scope::account_of(name, plan).map(drop)?,
            (None, Some(name)) => super::scope::carrier_of(name, plan).map(drop)?,
            _ => {
                return Err(Fault::of("missing_value", "account", "a limit is one account's or one carrier's", "an account, or a carrier"));
            }
        }
        let refuse = |field, what: &str, fix: &str| Err(Fault::of("bad_value", field, what, fix));
        if limit.rate_per_s.is_none() && !limit.unlimited && limit.burst.is_none() && limit.max_waiting.is_none() {
            return refuse("rate_per_s", "no limit is named", "rate_per_s, unlimited, burst (carrier) or max_waiting (account)");
        }
        if limit.unlimited && limit.rate_per_s.is_some() {
            return refuse("unlimited", "stands beside a rate", "one of rate_per_s and unlimited");
        }
        if limit.rate_per_s.is_some_and(|rate| rate > 1_000_000) {
            return refuse("rate_per_s", "is out of range", "0 (paused) to 1000000");
        }
        if limit.burst.is_some() && limit.carrier.is_none() {
            return refuse("burst", "an account has none", "a carrier, or without it");
        }
        if limit.burst.is_some_and(|burst| burst > 1_000_000) {
            return refuse("burst", "is out of range", "0 to 1000000 segments");
        }
        if limit.max_waiting.is_some() && limit.account.is_none() {
            return refuse("max_waiting", "a carrier has none", "an account, or without it");
        }
        if limit.max_waiting.is_some_and(|most| !(1..=1_000_000_000).contains(&most)) {
            return refuse("max_waiting", "is out of range", "1 to 1000000000 messages");
        }
        Ok(limit)
    }

    /// The changes in force that are meant; a fault if there is none.
    fn meant(&self, which: &Which) -> Result<Vec<Change>, Fault> {
        let scope = match which {
            Which::Scope(scope) | Which::Unbinds(scope) => Some(scope.canonical(&self.plan, &self.campaigns)?),
            _ => None,
        };
        let is_meant = |change: &&Change| match (which, &change.action) {
            (Which::Id(id), action) => change.id == *id && !matches!(action, Action::Cancel { .. }),
            (Which::Scope(_), Action::Pause { scope: of } | Action::Drain { scope: of, .. }) => scope.as_ref() == Some(of),
            (Which::Unbinds(_), Action::Unbind { scope: of } | Action::Drain { scope: of, then_unbind: true }) => {
                scope.as_ref() == Some(of)
            }
            (Which::Limit { account, carrier }, Action::Limit { limit }) => (&limit.account, &limit.carrier) == (account, carrier),
            _ => false,
        };
        let changes: Vec<Change> = self.overlay.changes().filter(is_meant).cloned().collect();
        if changes.is_empty() {
            let what = match which {
                Which::Id(id) if self.overlay.change(*id).is_some() => "what is cancelled can't be brought back",
                _ => "no such change is in force",
            };
            return Err(Fault::of("not_in_force", "", what, "`pauses` lists what is in force, with its number"));
        }
        Ok(changes)
    }

    /// Numbers of the changes in force that can be lifted.
    pub fn changes_in_force(&self) -> Vec<ChangeId> {
        self.overlay.changes().filter(|change| !matches!(change.action, Action::Cancel { .. })).map(|change| change.id).collect()
    }

    // ---- live and in replay ----

    /// Writes a change down and lets it be in force.
    pub(super) fn record_change(&mut self, record: Record) {
        let octets = serde_json::to_vec(&record).expect("plain data can be written").into_boxed_slice();
        self.record(&Event::Changed { octets });
        self.overlay.apply(record);
        self.overlay_changed();
    }

    /// What a CHANGED event means in replay; it comes into force when all is read.
    pub(super) fn replay_change(&mut self, octets: &[u8]) -> Result<(), EventError> {
        let record: Record = serde_json::from_slice(octets).map_err(|_| EventError::Value("change"))?;
        self.overlay.apply(record);
        Ok(())
    }

    /// Recovery: the overlay as the ledger has it.
    pub(super) fn load_overlay(&mut self, octets: &[u8]) -> Result<(), EventError> {
        self.overlay = Overlay::from_octets(octets).map_err(|_| EventError::Value("overlay"))?;
        Ok(())
    }

    /// Another overlay, or another plan below it: limits, closed carriers and binds, and what was kept back follow.
    pub(super) fn overlay_changed(&mut self) {
        self.overlay.compile(&self.base, &self.campaigns, self.sweeping.len());
        self.overlay.cancelled_upto().into_iter().for_each(|id| self.ids.advance_past(id));
        self.merge_plan();
        for at in 0..self.dispatchers.len() {
            let carrier = CarrierId(at as u16);
            let was_paused = self.dispatchers[at].is_paused;
            let closed: Vec<Option<u16>> =
                self.overlay.closed.iter().filter(|(_, of, _)| *of == carrier).map(|&(_, _, bind)| bind).collect();
            let is_paused = self.overlay.is_paused(carrier).is_some();
            let newly = self.dispatchers[at].close(&closed, is_paused);
            if !is_paused && (was_paused || newly) && !self.dispatchers[at].is_usable() {
                // Drained, unbound, or paused no longer while it has no bind: what waits there looks for another carrier.
                self.timers.set(self.now.mono_us, Timer::Failover(carrier));
            }
        }
        // Lanes that were held as a whole look again.
        self.dispatchers.iter_mut().for_each(|dispatcher| dispatcher.lanes.release_all());
        for back in self.overlay.released() {
            for (carrier, id) in back.into_iter().rev() {
                if self.messages.get(&id).is_some_and(|entry| entry.phase == Phase::Waiting(carrier)) {
                    self.join_lane(id, carrier, true);
                }
            }
        }
    }

    /// Each step: changes whose end has come are lifted, drains that have run empty are unbound, the links learn which binds stay down.
    pub(super) fn tend_overlay(&mut self, outputs: &mut Vec<Output>) {
        let now_ms = self.now.wall_ms;
        if self.overlay.next_end_ms().is_some_and(|end| end <= now_ms) {
            let over = |change: &&Change| change.until_ms.is_some_and(|until| until <= now_ms);
            let ids = self.overlay.changes().filter(over).map(|change| change.id).collect();
            self.record_change(Record::Ended { ids, at_ms: now_ms, who: "hongyan".to_owned(), reason: "its time is over".to_owned() });
        }
        self.trial_due = self.send_trials();
        let down = self.binds_down();
        if down != self.overlay.told_down {
            self.overlay.told_down.clone_from(&down);
            outputs.push(Output::StayDown(down));
        }
    }

    /// Binds and carriers that stay down: unbound ones, and drained ones that have nothing in flight any more.
    fn binds_down(&mut self) -> Vec<(CarrierId, Option<u16>)> {
        let mut down = Vec::new();
        for at in 0..self.overlay.closed.len() {
            let (id, carrier, bind) = self.overlay.closed[at];
            let is_down = match self.overlay.change(id).map(|change| &change.action) {
                Some(Action::Unbind { .. }) => true,
                Some(Action::Drain { then_unbind: true, .. }) => {
                    let empty = self.overlay.emptied.contains(&id) || self.dispatchers[carrier.0 as usize].is_landed(bind);
                    if empty && !self.overlay.emptied.contains(&id) {
                        self.overlay.emptied.push(id);
                    }
                    empty
                }
                _ => false,
            };
            if is_down {
                down.push((carrier, bind));
            }
        }
        down
    }

    /// When [`Engine::tend_overlay`] is next needed, mono_us.
    pub(super) fn overlay_deadline(&self) -> Option<u64> {
        let now = self.now;
        let end = self.overlay.next_end_ms().map(|end| now.mono_us + end.saturating_sub(now.wall_ms).min(86_400_000) * 1000);
        [end, self.trial_due].into_iter().flatten().min()
    }

    /// Messages that pauses keep back, one by one or with their whole lane; of one change, or of all.
    pub(super) fn held(&self, change: Option<ChangeId>) -> usize {
        let single = change.map_or_else(|| self.overlay.held(), |id| self.overlay.held_by(id));
        let lanes = self.lane_reports().into_iter().filter(|report| {
            let pause = self.overlay.holds_lane(&report.lane, report.carrier);
            pause.is_some() && (change.is_none() || pause == change)
        });
        single + lanes.map(|report| (report.in_memory + report.on_disk) as usize).sum::<usize>()
    }

    /// A message that is about to leave by `carrier` doesn't: it was cancelled, is paused, or goes elsewhere.
    pub(super) fn is_kept_back(&mut self, id: MessageId, carrier: CarrierId) -> bool {
        if self.end_if_cancelled(id) {
            return true;
        }
        let Some(entry) = self.messages.get(&id) else { return true };
        if let Some(pause) = self.overlay.holds(&entry.message, carrier) {
            let messages = &self.messages;
            let lives = |id: MessageId, at: CarrierId| messages.get(&id).is_some_and(|entry| entry.phase == Phase::Waiting(at));
            self.overlay.keep_back(pause, (carrier, id), lives);
            return true;
        }
        if entry.message.part.is_none()
            && !entry.parts.any_taken()
            && let Some(to) = self.other_carrier(entry, carrier)
        {
            self.hand_over(id, to);
            return true;
        }
        false
    }

    /// Into the lane of another carrier, which may have had its turn in this step already.
    fn hand_over(&mut self, id: MessageId, to: CarrierId) {
        self.set_phase(id, Phase::Waiting(to));
        self.join_lane(id, to, false);
        self.dispatchers[to.0 as usize].wake_at = self.now.mono_us;
    }

    /// Where reroutes lead from `carrier`, as far as carriers can send and aren't done with the message; `None`: nowhere else, or in a circle.
    pub(super) fn other_carrier(&self, entry: &Entry, carrier: CarrierId) -> Option<CarrierId> {
        const HOPS_MAX: usize = 8;
        let mut at = carrier;
        for _ in 0..HOPS_MAX {
            let takes = |to: &CarrierId| self.dispatchers[to.0 as usize].is_usable() && !entry.tried().contains(to);
            match self.overlay.rerouted(&entry.message, at).filter(takes) {
                None => return Some(at).filter(|&at| at != carrier),
                Some(to) if to == carrier => return None,
                Some(to) => at = to,
            }
        }
        None
    }

    /// What waits at a carrier of which all goes elsewhere moves on, a slice at a time, in order.
    pub(super) fn move_on(&mut self, carrier: CarrierId) {
        const SLICE: usize = 5_000;
        const STAY_MAX: usize = 100;
        if !self.overlay.empties(carrier) {
            return;
        }
        let (mut stay, mut moved) = (Vec::new(), 0);
        while moved < SLICE {
            let lanes = &mut self.dispatchers[carrier.0 as usize].lanes;
            let Some(lane) = lanes.next(crate::model::Class::Marketing, self.now.mono_us) else { break };
            let Some(id) = lanes.pop(lane) else { continue };
            let Some(entry) = self.messages.get(&id).filter(|entry| entry.phase == Phase::Waiting(carrier)) else { continue };
            if entry.parts.any_taken() || entry.message.part.is_some() {
                // Some of its parts are with this carrier already: the rest must follow them.
                stay.push((lane, id));
                continue;
            }
            let Some(to) = self.other_carrier(entry, carrier) else {
                // The other carrier is done with it, or the way leads in a circle; then nothing behind it moves either.
                stay.push((lane, id));
                if stay.len() >= STAY_MAX {
                    break;
                }
                continue;
            };
            self.hand_over(id, to);
            moved += 1;
        }
        for (lane, id) in stay.into_iter().rev() {
            self.dispatchers[carrier.0 as usize].lanes.push_front(lane, id);
        }
        self.refill_for_others(carrier);
        if moved == SLICE {
            self.dispatchers[carrier.0 as usize].wake_at = self.now.mono_us;
        }
    }
}
