//! Stop 6: a draft against the plan. What passes becomes a message with an id, joins the open batch, and is answered when that is durable.

use super::balance::Quote;
use super::carry::{Home, Item};
use super::dedupe::{Remembered, Repeat};
use super::event::{self, Event};
use super::messages::{Entry, Parts, Phase};
use super::port::{BindId, CarrierId, DiskState, Draft, SessionId, Taken};
use super::why::Nobody;
use super::{Effect, Engine};
use crate::model::{DuplicateAction, Message, Refusal, State};
use crate::number::normalise;
use crate::text::segment;
use std::sync::Arc;

/// No bind: a message that was never in flight.
const NOWHERE: BindId = BindId { carrier: CarrierId(0), index: 0, generation: 0 };

impl Engine {
    pub(super) fn intake(&mut self, session: SessionId, draft: Draft, replaces: bool) {
        let Draft { token, mut message, campaign } = draft;
        // The draft is ours alone: nothing is copied here.
        let draft = Arc::make_mut(&mut message);
        self.accounts[draft.account.0 as usize].figures.submitted += 1;
        match self.check(draft) {
            Ok((segments, Some(repeat @ Repeat { action: DuplicateAction::Drop, .. }))) => {
                self.count_repeat(draft.account, &repeat);
                self.answer_known(session, token, &repeat, segments);
            }
            Ok((segments, repeat)) => {
                if replaces {
                    self.end_replaced(draft);
                }
                draft.id = self.ids.next(self.now.wall_ms);
                if let Some(name) = campaign {
                    draft.campaign = self.campaign(&name);
                }
                let (id, account) = (draft.id, draft.account);
                self.accounts[account.0 as usize].figures.segments += u64::from(segments);
                self.name_part(draft);
                self.open_batch();
                event::write_accepted(draft, draft.charge, &mut self.writing.octets);
                self.admit(message);
                if let Some(repeat) = repeat {
                    self.count_repeat(account, &repeat);
                    self.record(&Event::Flagged { message: id, original: repeat.original });
                }
                self.after_commit(Effect::Accepted { session, token, taken: Taken { message: id, segments, repeats: None } });
            }
            Err(refusal) => self.answer_draft(session, token, Err(refusal)),
        }
    }

    /// All that may stand against a draft; fills in what the sender left to us. Its account's rate is paid last. Gives its segments,
    /// and what it repeats.
    fn check(&mut self, message: &mut Message) -> Result<(u8, Option<Repeat>), Refusal> {
        // Before all else: a message that is on record stays so, whatever stands against new ones.
        if self.is_key_reused(message) {
            return Err(Refusal::KeyReused);
        }
        if message.identity != 0
            && let Some(repeat) = self.repeat_of(message, Remembered::Identity)
        {
            return Ok((self.segments_of(message), Some(repeat)));
        }
        match self.disk {
            DiskState::Ok => {}
            DiskState::Slow => return Err(Refusal::DiskSlow),
            DiskState::Reserve => return Err(Refusal::DiskFull),
            DiskState::Failed => return Err(Refusal::StoreFailed),
        }
        if self.draining {
            return Err(Refusal::Stopping);
        }
        if message.number == 0 {
            let destination = &message.destination;
            message.number = normalise(&destination.digits, destination.ton, self.plan.home).map_err(|_| Refusal::Destination)?;
        }
        let now_ms = self.now.wall_ms;
        message.accepted_ms = now_ms;
        if message.expires_ms == 0 {
            let start = message.due_ms.max(now_ms);
            message.expires_ms = start + self.plan.class(message.class).validity_ms;
        } else if message.expires_ms <= now_ms {
            return Err(Refusal::Validity);
        }
        if self.is_overfull() {
            return Err(Refusal::Throttled);
        }
        let route = self.router.route(&self.plan, message, self.now, &mut Nobody).and_then(|at| self.plan.routes.get(at));
        let first = route.ok_or(Refusal::NoRoute)?.choices[0].carrier;
        self.rules_at_intake(message)?;
        let account = self.plan.account(message.account);
        let repeat = if account.dedupe.window_ms != 0 { self.repeat_of(message, Remembered::Text) } else { None };
        match repeat {
            Some(Repeat { action: DuplicateAction::Drop, .. }) => return Ok((self.segments_of(message), repeat)),
            Some(refused @ Repeat { action: DuplicateAction::Refuse, .. }) => {
                self.count_repeat(message.account, &refused);
                return Err(Refusal::Duplicate);
            }
            _ => {}
        }
        let account = self.plan.account(message.account);
        let state = &self.accounts[message.account.0 as usize];
        if state.waiting >= account.max_waiting
            || self.messages.len() + self.cold.total() as usize >= self.plan.bounds.max_messages
            || self.body_octets + message.body.octets.len() > self.plan.bounds.max_body_octets
        {
            return Err(Refusal::QueueFull);
        }
        let segments = segment::count(&message.body, &self.plan.carrier(first).segments);
        let parts = u8::try_from(segments).map_err(|_| Refusal::Length)?;
        message.charge = self.quote(message.account, message.number, segments).map_or(Ok(0), Quote::accept)?;
        if account.rate_per_s.is_some() && self.accounts[message.account.0 as usize].bucket.take(segments as u32, self.now).is_err() {
            return Err(Refusal::Throttled);
        }
        Ok((parts, repeat))
    }

    /// Segments at the first carrier of its route; 0 if there is none.
    fn segments_of(&mut self, message: &Message) -> u8 {
        let route = self.router.route(&self.plan, message, self.now, &mut Nobody).and_then(|at| self.plan.routes.get(at));
        let count = route.map_or(0, |route| segment::count(&message.body, &self.plan.carrier(route.choices[0].carrier).segments));
        u8::try_from(count).unwrap_or(0)
    }

    /// Into the table, not yet on its way. Live and in replay.
    pub(super) fn admit(&mut self, message: Arc<Message>) {
        let id = message.id;
        self.ids.advance_past(id);
        self.count(message.account, None, State::Waiting);
        self.rules_accepted(&message);
        if message.charge != 0 {
            self.reserve(message.account, message.charge);
        }
        self.remember(&message);
        if self.replaying {
            self.part_taken_before(&message);
        }
        let home = self.home();
        self.writing.items.push(Item::Message(id));
        self.sweeping.push_back(id);
        self.take_back(message, home);
    }

    /// Into the table: its record is at `home`, and it is counted already. Who calls this sees to it that it is swept.
    pub(super) fn take_back(&mut self, message: Arc<Message>, home: Home) {
        let id = message.id;
        self.body_octets += message.body.octets.len();
        self.may_be_replaced(&message);
        let entry = Entry {
            charge: message.charge,
            message,
            phase: Phase::Accepting,
            parts: Parts::unsent(1),
            home,
            base: 0,
            key: 0,
            sent_ms: 0,
            retry_ms: 0,
            last_status: 0,
            reference: 0,
            attempts: 0,
            past: None,
            body_cut: false,
            doubts: 0,
            reports: 0,
            armed: false,
            reported_final: false,
            told_taken: false,
            attempted: false,
            attempted_at: crate::model::CarrierId(0),
            with: NOWHERE,
            refused: super::outcome::Refused::Nothing,
        };
        self.messages.insert(id, Box::new(entry));
    }
}
