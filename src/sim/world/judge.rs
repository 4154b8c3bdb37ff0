//! What must be true. The judge sees what crosses the engine's doors, what becomes durable, and what both peers see, and keeps its own account of every
//! message from that: it asks the engine for nothing but its counters, which must agree.

use super::books::Books;
use super::dispatch::Dispatch;
use super::inbound::InboundJudge;
use super::order::Orders;
use super::pace::{Paces, Paid};
use super::parts::Phones;
pub use super::record::{How, Record, Said, mark, read_mark, read_text, replacement};
use super::record::{Standing, at_rest, is_replacement, receipt, receipts_agree, verdict};
pub use super::witness::Taken;
use crate::engine::counts::Counts;
use crate::engine::event::{Event, read_group};
use crate::engine::plan::Plan;
use crate::engine::port::{BindCommand, BindId, Delivery, DeliveryAnswer, DeliveryToken, Input, Outcome, Ticket, UpstreamReply};
use crate::model::{Class, Encoding, Message, MessageId, Now, State};
use std::collections::{BTreeMap, VecDeque};

/// A promise that was broken, and the message that it was given for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong.
    pub what: String,
    /// The number of the message, if it is about one.
    pub message: Option<usize>,
}

/// The result of every look.
pub type Judged = Result<(), Wrong>;

/// Something is wrong with this message.
pub fn wrong(message: usize, what: impl Into<String>) -> Judged {
    Err(Wrong { what: what.into(), message: Some(message) })
}

/// The judge.
#[derive(Debug, Default)]
pub struct Judge {
    /// Every message, by its number.
    pub records: Vec<Record>,
    pub(super) ids: BTreeMap<MessageId, usize>,
    /// Batches that are not durable yet.
    pending: VecDeque<(u64, Vec<Event>)>,
    accepted: u64,
    pub(super) deliveries: BTreeMap<DeliveryToken, (usize, bool)>,
    pub(super) copies: BTreeMap<(usize, u64), (usize, u8)>,
    answered: Vec<(usize, bool)>,
    /// What every account has.
    pub books: Books,
    /// Repetitions that were answered with the id of the first.
    pub repeats: u64,
    /// Carriers that an operator has sent messages to past all routes.
    pub opened: std::collections::BTreeSet<u16>,
    /// Messages from phones.
    pub inbound: InboundJudge,
    pub(super) phones: Phones,
    /// By the message whose upstream asked: what a cancel of all must end.
    pub(super) to_end: BTreeMap<usize, Vec<usize>>,
    /// What was drawn for the dispatch engine.
    pub dispatch: Option<Dispatch>,
    /// When the last message was accepted for good, virtual microseconds.
    pub(super) accepted_us: u64,
    /// Who left before whom.
    pub orders: Orders,
    /// Every bucket.
    pub paces: Paces,
    /// The gateway's clocks at its last step.
    pub clock: Now,
    /// Lives of the gateway that are over.
    pub(super) life: u64,
}

impl Judge {
    /// The message with this id, if one was ever written down.
    pub fn number_of(&self, id: MessageId) -> Option<usize> {
        self.ids.get(&id).copied()
    }

    /// The message that an event is about.
    pub fn about(&self, event: &Event) -> Option<usize> {
        let id = match event {
            Event::Accepted(message) => message.id,
            Event::Attempt { message, .. } | Event::Sent { message, .. } | Event::Receipt { message, .. } => *message,
            Event::Verdict { message, .. } | Event::Forgotten { message } | Event::Replaced { message, .. } => *message,
            Event::Moved { message, .. } | Event::Rerouted { message, .. } | Event::CopyReceipt { message, .. } => *message,
            Event::HandedOver { key, .. } | Event::Outboxed { key, .. } => key.message,
            _ => return None,
        };
        self.number_of(id)
    }

    /// Messages that upstream was told are taken.
    pub fn acknowledged(&self) -> u64 {
        self.records.iter().filter(|r| matches!(r.said, Said::Yes(_))).count() as u64
    }

    /// Messages whose acceptance is durable.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Parts that carriers took, and how many of them were repetitions.
    pub fn taken(&self) -> (u64, u64) {
        let parts = self.records.iter().flat_map(|r| &r.parts);
        parts.fold((0, 0), |sum, part| (sum.0 + u64::from(part.taken), sum.1 + u64::from(part.taken.saturating_sub(1))))
    }

    /// Messages that were rejected though no carrier ever refused them: their number was listed.
    pub fn stopped(&self) -> u64 {
        let stopped = |r: &&Record| r.listed && r.refusals == 0 && r.conclusions.last() == Some(&State::Rejected);
        self.records.iter().filter(stopped).count() as u64
    }

    /// All messages to this phone (of this account, if one is meant) may be stopped by a list from now on.
    pub fn may_be_listed(&mut self, digits: &str, account: Option<usize>) {
        self.of_phone(digits, account).for_each(|record| record.listed = true);
    }

    /// They must be: one list more (or less) has their number for certain.
    pub fn certainly_listed(&mut self, digits: &str, account: Option<usize>, is_more: bool) {
        for record in self.of_phone(digits, account) {
            record.certainly_listed = if is_more { record.certainly_listed + 1 } else { record.certainly_listed - 1 };
        }
    }

    fn of_phone<'a>(&'a mut self, digits: &'a str, account: Option<usize>) -> impl Iterator<Item = &'a mut Record> {
        self.records.iter_mut().filter(move |r| r.digits == digits && account.is_none_or(|account| r.account == account))
    }

    /// How often a message went to another carrier after a negative receipt.
    pub fn rerouted(&self) -> u64 {
        self.records.iter().map(|r| r.left.len() as u64).sum()
    }

    /// Final reports that upstreams took.
    pub fn reported(&self) -> u64 {
        self.records.iter().map(|r| r.finals.len() as u64).sum()
    }

    /// The gateway goes on, or starts again, with this plan. What waits under other limits moves to its new lane only when its turn comes there: order among
    /// lanes is not promised then.
    pub fn under(&mut self, plan: &Plan) {
        self.orders.is_single &= self.dispatch.as_ref().is_none_or(|dispatch| dispatch.has_conditions_of(&plan.limits));
    }

    // ---- at the engine's doors ----

    /// Inputs on their way into the engine.
    pub fn inputs(&mut self, inputs: &[Input]) {
        self.answered.clear();
        for input in inputs {
            match input {
                Input::Plan(plan) => {
                    self.under(plan);
                    self.paces.planned(plan, self.clock.mono_us);
                }
                Input::BindUp { bind, .. } => self.paces.bind_up(*bind, self.clock.mono_us),
                Input::Outcomes { bind, outcomes } => outcomes.iter().for_each(|(ticket, outcome)| self.outcome(*bind, *ticket, outcome)),
                Input::BindDown { bind, unsent, in_doubt } => {
                    unsent.iter().for_each(|&ticket| self.outcome(*bind, ticket, &Outcome::NotSent));
                    in_doubt.iter().for_each(|&ticket| self.outcome(*bind, ticket, &Outcome::InDoubt));
                }
                Input::Answered { answers, .. } => {
                    for (token, answer) in answers {
                        if *answer != DeliveryAnswer::Later
                            && let Some(&about) = self.deliveries.get(token)
                        {
                            self.answered.push(about);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn outcome(&mut self, bind: BindId, ticket: Ticket, outcome: &Outcome) {
        let Some(&number) = self.ids.get(&ticket.message) else { return };
        let record = &mut self.records[number];
        if matches!(outcome, Outcome::Later { .. } | Outcome::Elsewhere { .. } | Outcome::Never { .. }) {
            record.refusals += 1;
        }
        record.doubted |= *outcome == Outcome::InDoubt;
        if let Some(part) = record.parts.get_mut(usize::from(ticket.part))
            && part.standing == Standing::Out(bind)
        {
            part.standing = match outcome {
                Outcome::Sent { .. } => Standing::Known,
                Outcome::InDoubt => Standing::Doubt,
                _ => Standing::Free,
            };
        }
    }

    /// A batch that the engine wrote.
    pub fn written(&mut self, batch: u64, octets: &[u8]) -> Judged {
        let mut events = Vec::new();
        let read = read_group(octets, &mut |_, event| events.push(event));
        if let Err(error) = read {
            return Err(Wrong { what: format!("a batch is not what can be read again: {error}"), message: None });
        }
        for event in &events {
            self.books.written(event)?;
            self.paces.event(event, false, self.clock.mono_us);
            match event {
                Event::Accepted(message) => self.known(message)?,
                Event::Attempt { message, .. } => {
                    if let Some(&number) = self.ids.get(message) {
                        self.in_hours(number)?;
                    }
                }
                Event::Sent { message, part, carrier, .. } => {
                    if let Some(&number) = self.ids.get(message)
                        && !self.records[number].has_left(carrier.0)
                    {
                        self.records[number].part(*part).standing = Standing::Known;
                    }
                }
                Event::Moved { message, carrier, .. } | Event::Rerouted { message, carrier, .. } => {
                    if let Some(&number) = self.ids.get(message) {
                        let record = &mut self.records[number];
                        record.done[0].push(carrier.0);
                        if matches!(event, Event::Rerouted { .. }) {
                            record.leaving.push(carrier.0);
                            record.parts.iter_mut().for_each(|part| part.standing = Standing::Free);
                        }
                    }
                }
                Event::Replaced { message, .. } => {
                    if let Some(&number) = self.ids.get(message) {
                        self.records[number].replaced = true;
                    }
                }
                Event::Verdict { message, state, .. } => {
                    self.reckon(*message, *state);
                    self.ending(*message, *state);
                }
                Event::CopyReceipt { message, facts, .. } => self.ending(*message, facts.state.message_state()),
                Event::Receipt { message, facts, .. } if facts.is_final => self.ending(*message, facts.state.message_state()),
                Event::HandedOver { key, .. } => {
                    if let Some(&number) = self.ids.get(&key.message)
                        && self.answered.contains(&(number, true))
                    {
                        self.records[number].final_key = Some(*key);
                    }
                }
                _ => {}
            }
        }
        self.pending.push_back((batch, events));
        Ok(())
    }

    fn ending(&mut self, message: MessageId, state: State) {
        if let Some(&number) = self.ids.get(&message) {
            self.records[number].endings.push(state);
        }
    }

    /// The message that shows the mark `number` and goes to `digits`.
    pub fn resolve(&self, number: usize, digits: &str) -> usize {
        match self.records.get(number).map(|record| record.how) {
            Some(How::Multi { first, count }) => (first..first + count).find(|&n| self.records[n].digits == digits).unwrap_or(number),
            _ => number,
        }
    }

    fn known(&mut self, message: &Message) -> Judged {
        let text = read_text(message.body.text(), message.body.encoding == Encoding::Ucs2);
        let Some(number) = read_mark(&text) else { return Ok(()) };
        let number = self.resolve(number, &String::from_utf8_lossy(&message.destination.digits));
        let record = &mut self.records[number];
        if let Some(before) = record.id {
            return wrong(number, format!("accepted twice, as {before} and as {}", message.id));
        }
        record.id = Some(message.id);
        record.wish = message.report;
        record.expires_ms = message.expires_ms;
        if let Some(other) = self.ids.insert(message.id, number)
            && other != number
            && self.records[other].accepted
        {
            return wrong(number, format!("its id {} was given before", message.id));
        }
        if self.records[number].certainly_listed > 0 {
            return wrong(number, "accepted though its number was listed before");
        }
        Ok(())
    }

    /// Everything up to `batch` is durable.
    pub fn durable(&mut self, batch: u64) -> Judged {
        while self.pending.front().is_some_and(|(number, _)| *number <= batch) {
            let Some((_, events)) = self.pending.pop_front() else { break };
            events.iter().try_for_each(|event| self.happened(event))?;
        }
        Ok(())
    }

    fn happened(&mut self, event: &Event) -> Judged {
        self.books.happened(event);
        self.paces.event(event, true, self.clock.mono_us);
        self.inbound.happened(event)?;
        let Some(number) = self.about(event) else { return Ok(()) };
        let record = &mut self.records[number];
        match event {
            Event::Accepted(_) => {
                record.accepted = true;
                self.accepted_us = self.clock.mono_us;
                self.accepted += 1;
            }
            Event::Attempt { .. } => record.attempted = true,
            // One more copy at a carrier that it has left says nothing of where it is now.
            Event::Sent { carrier, .. } if record.left.iter().any(|left| left.carrier == carrier.0) => {}
            Event::Replaced { with, .. } => {
                record.replaced_durably = true;
                record.wish = with.report;
            }
            Event::Sent { part, parts, .. } => {
                record.part(parts - 1);
                record.part(*part).sent_durably = true;
            }
            Event::Receipt { part, facts, .. } if facts.is_final => receipt(record, *part, facts),
            Event::Verdict { state, at_ms, .. } => return verdict(record, number, *state, *at_ms),
            Event::HandedOver { key, .. } => {
                record.handed_over.insert(*key);
            }
            Event::Moved { carrier, .. } => {
                record.done[1].push(carrier.0);
                record.attempted = false;
            }
            Event::Rerouted { carrier, part, facts, .. } => return record.leaves(number, carrier.0, *part, facts),
            Event::CopyReceipt { carrier, part, facts, .. } => record.late_word(carrier.0, *part, facts),
            _ => {}
        }
        Ok(())
    }

    /// What the engine says to an upstream session.
    pub fn replies(&mut self, replies: &[UpstreamReply]) -> Judged {
        for reply in replies {
            match reply {
                UpstreamReply::Answer { result: Ok(id), .. } => self.said_yes(*id)?,
                UpstreamReply::Deliver { token, item, .. } => {
                    let report = match &**item {
                        Delivery::Receipt(report) => report,
                        Delivery::Inbound(inbound) => {
                            self.inbound.delivered(inbound)?;
                            continue;
                        }
                    };
                    let Some(&number) = self.ids.get(&report.message) else {
                        return Err(Wrong { what: format!("a report on {}, which nobody sent", report.message), message: None });
                    };
                    self.deliveries.insert(*token, (number, !report.intermediate));
                    let record = &self.records[number];
                    if !report.intermediate && record.final_key.is_some_and(|key| record.handed_over.contains(&key)) {
                        return wrong(number, "reported once more though its being taken is durable");
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The engine says yes to a message.
    pub fn said_yes(&self, id: MessageId) -> Judged {
        match self.ids.get(&id) {
            Some(&number) if self.records[number].accepted => Ok(()),
            Some(&number) => wrong(number, "acknowledged before its acceptance is durable"),
            None => Err(Wrong { what: format!("{id} was acknowledged and never written down"), message: None }),
        }
    }

    /// What the engine says to a bind.
    pub fn commands(&mut self, bind: BindId, commands: &[BindCommand]) -> Judged {
        for command in commands {
            let BindCommand::Send { message, first_part, end_part, parts, .. } = command else { continue };
            let Some(&number) = self.ids.get(&message.id) else { continue };
            let record = &mut self.records[number];
            if !record.accepted {
                return wrong(number, "sent before its acceptance is durable");
            }
            if record.must_not_leave {
                return wrong(number, "sent though an operator was told that it is cancelled");
            }
            if let Some(state) = record.conclusions.last() {
                return wrong(number, format!("sent though it has ended as {state:?}"));
            }
            if record.certainly_listed > 0 {
                return wrong(number, "sent though its number is listed, and that was answered");
            }
            let text = read_text(message.body.text(), message.body.encoding == Encoding::Ucs2);
            if is_replacement(&text) != record.replaced {
                return wrong(number, format!("replaced: {}, sent as {text}", record.replaced));
            }
            if !record.replaced && text != record.text {
                return wrong(number, "sent with another text");
            }
            let carrier = bind.carrier.0;
            if !record.allowed.contains(&carrier) && !self.opened.contains(&carrier) {
                return wrong(number, format!("sent to carrier {carrier}, which its routes exclude"));
            }
            if record.done[0].contains(&carrier) {
                return wrong(number, format!("sent to carrier {carrier} again, which was done with it"));
            }
            if record.class == Class::Otp && !record.attempted {
                return wrong(number, "an otp was sent before its attempt is durable");
            }
            if record.class != Class::Otp {
                self.in_hours(number)?;
            }
            self.orders.leaves(number, &self.records, bind)?;
            let record = &mut self.records[number];
            let paid = Paid { number, bind, segments: u32::from(end_part - first_part), at_us: self.clock.mono_us };
            self.paces.leaves(message.id, paid);
            // A text that has replaced another may need fewer parts.
            record.parts.truncate(*parts as usize);
            for part in *first_part..*end_part {
                record.part(part).sends += 1;
                record.part(part).life = self.life;
                let standing = record.part(part).standing;
                match standing {
                    Standing::Free => {}
                    Standing::Known => return wrong(number, format!("part {part} is sent again though its answer is known")),
                    Standing::Out(other) => return wrong(number, format!("part {part} is sent while it is with {other:?}")),
                    Standing::Doubt if record.class == Class::Otp => return wrong(number, "an otp in doubt is sent again"),
                    Standing::Doubt if record.part(part).resent => return wrong(number, "sent a third time for doubts"),
                    Standing::Doubt => record.part(part).resent = true,
                }
            }
            for part in *first_part..*end_part {
                record.part(part).standing = Standing::Out(bind);
            }
        }
        Ok(())
    }

    /// The gateway is gone; of what it wrote everything up to `batch` is there.
    pub fn crashed(&mut self, batch: u64) -> Judged {
        self.durable(batch)?;
        self.life += 1;
        self.pending.clear();
        self.deliveries.clear();
        self.books.crashed();
        self.orders.crashed();
        for record in &mut self.records {
            if !record.accepted {
                record.id = None;
            }
            record.crashed = true;
            record.done[0] = record.done[1].clone();
            record.leaving = record.left.iter().map(|left| left.carrier).collect();
            record.replaced = record.replaced_durably;
            record.endings.clone_from(&record.conclusions);
            record.doubted |= record.attempted || record.parts.iter().any(|p| p.sends > 0 && !p.sent_durably);
            if record.final_key.is_some_and(|key| !record.handed_over.contains(&key)) {
                record.final_key = None;
            }
            let otp = record.class == Class::Otp;
            for part in &mut record.parts {
                part.resent = false;
                part.standing = match part.standing {
                    _ if part.sent_durably => Standing::Known,
                    Standing::Out(_) | Standing::Doubt | Standing::Known if otp => Standing::Doubt,
                    _ => Standing::Free,
                };
            }
        }
        let records = &self.records;
        self.ids.retain(|_, number| records[*number].accepted);
        Ok(())
    }

    /// What the engine counts after recovery, or at rest: must be what the durable events say.
    pub fn counters(&self, counts: &Counts) -> Judged {
        let mut by_state = [0; 10];
        for record in self.records.iter().filter(|r| r.accepted) {
            if let Some(state) = record.conclusions.last() {
                by_state[*state as usize] += 1;
            }
        }
        if counts.accepted != self.accepted || counts.by_state[2..] != by_state[2..] {
            let what = format!("counters {counts:?}, but {} were accepted and have ended as {by_state:?}", self.accepted);
            return Err(Wrong { what, message: None });
        }
        Ok(())
    }

    // ---- at the end ----

    /// Everything is at rest.
    pub fn at_rest(&self) -> Judged {
        self.paces.check(&self.records)?;
        if let Some(dispatch) = self.dispatch.as_ref().filter(|dispatch| dispatch.is_fair) {
            super::shares::check(dispatch, &self.records, &self.paces.paid(), self.accepted_us)?;
        }
        if self.dispatch.as_ref().is_some_and(|dispatch| dispatch.is_gathering) {
            self.gathered()?;
        }
        // Where several messages went to one phone and one of them was in doubt, a receipt without an answer before it may mean any of them.
        let mut phones: BTreeMap<&str, (u32, bool)> = BTreeMap::new();
        for record in &self.records {
            let phone = phones.entry(&record.digits).or_default();
            *phone = (phone.0 + 1, phone.1 | record.doubted);
        }
        for (number, record) in self.records.iter().enumerate().filter(|(_, r)| r.accepted) {
            at_rest(number, record)?;
            if phones.get(record.digits.as_str()).is_some_and(|&(messages, doubted)| messages == 1 || !doubted) {
                receipts_agree(number, record)?;
            }
        }
        self.inbound.at_rest()
    }
}
