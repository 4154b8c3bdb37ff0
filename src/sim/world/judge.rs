//! What must be true. The judge sees what crosses the engine's doors, what becomes durable, and what both peers see, and keeps its own account of every
//! message from that: it asks the engine for nothing but its counters, which must agree.

use super::books::Books;
use super::inbound::InboundJudge;
use super::parts::{Leaving, Phones, Text};
use super::record::{Copy, Standing, at_rest, is_replacement, receipt, receipts_agree, verdict};
pub use super::record::{How, Record, Said, mark, read_mark, read_text, replacement};
use crate::engine::counts::Counts;
use crate::engine::event::{Event, read_group};
use crate::engine::port::{BindCommand, BindId, Delivery, DeliveryAnswer, DeliveryToken, Input, Outcome, Ticket, UpstreamReply};
use crate::model::message::Part as Header;
use crate::model::state::ReceiptState;
use crate::model::{Class, Encoding, Message, MessageId, State};
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
    ids: BTreeMap<MessageId, usize>,
    /// Batches that are not durable yet.
    pending: VecDeque<(u64, Vec<Event>)>,
    accepted: u64,
    deliveries: BTreeMap<DeliveryToken, (usize, bool)>,
    copies: BTreeMap<(usize, u64), (usize, u8)>,
    answered: Vec<(usize, bool)>,
    /// What every account has.
    pub books: Books,
    /// Repetitions that were answered with the id of the first.
    pub repeats: u64,
    /// Carriers that an operator has sent messages to past all routes.
    pub opened: std::collections::BTreeSet<u16>,
    /// Messages from phones.
    pub inbound: InboundJudge,
    phones: Phones,
    /// By the message whose upstream asked: what a cancel of all must end.
    to_end: BTreeMap<usize, Vec<usize>>,
    /// Lives of the gateway that are over.
    life: u64,
}

/// What a carrier took.
#[derive(Debug)]
pub struct Taken<'a> {
    /// The carrier, and its number for it.
    pub carrier: usize,
    /// See `carrier`.
    pub copy: u64,
    /// The part that it says it is.
    pub header: Option<Header>,
    /// Its text.
    pub text: &'a str,
    /// When, virtual milliseconds.
    pub at_ms: u64,
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

    // ---- at the engine's doors ----

    /// Inputs on their way into the engine.
    pub fn inputs(&mut self, inputs: &[Input]) {
        self.answered.clear();
        for input in inputs {
            match input {
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
            match event {
                Event::Accepted(message) => self.known(message)?,
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
                Event::Verdict { message, state, .. } => self.ending(*message, *state),
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
        self.inbound.happened(event)?;
        let Some(number) = self.about(event) else { return Ok(()) };
        let record = &mut self.records[number];
        match event {
            Event::Accepted(_) => {
                record.accepted = true;
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
                UpstreamReply::Deliver { token, item } => {
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

    // ---- at the peers ----

    /// A carrier took (a part of) message `number`.
    pub fn taken_by(&mut self, number: usize, copy: &Taken<'_>) -> Judged {
        let Some(record) = self.records.get_mut(number) else { return Ok(()) };
        let header = copy.header.filter(|header| header.total > 1);
        let (part, text) = match record.how {
            How::Part(cut) => {
                if header.is_none_or(|header| (header.total, header.number) != (cut.total, cut.number)) {
                    return wrong(number, format!("part {} of {} came as {header:?}", cut.number, cut.total));
                }
                (0, Text::Passed(cut.set))
            }
            _ => (header.map_or(0, |header| header.number - 1), Text::Own(number)),
        };
        if is_replacement(copy.text) != record.replaced && (record.replaced_told || !record.to_replace) && !record.crashed {
            return wrong(number, format!("came as {} after its replacement was told", copy.text));
        }
        let part_record = record.part(part);
        part_record.taken += 1;
        part_record.copies.push(Copy { carrier: copy.carrier, number: copy.copy, reported: Vec::new(), answered: false });
        let (taken, sends) = (part_record.taken, part_record.sends);
        self.copies.insert((copy.carrier, copy.copy), (number, part));
        if taken > sends {
            return wrong(number, format!("part {part} came {taken} times to carriers, and was sent {sends} times"));
        }
        if record.class == Class::Otp && taken as usize > 1 + record.left.len() {
            return wrong(number, format!("part {part} of an otp came twice to a carrier"));
        }
        let Some(header) = header else { return Ok(()) };
        let Taken { carrier, at_ms, .. } = *copy;
        let part_record = record.part(part);
        // Of a part that was sent more than once nobody knows which copy this is.
        let life = if part_record.sends == 1 { part_record.life } else { u64::MAX };
        let leaving = Leaving { digits: &record.digits, text, reference: header.reference, carrier, at_ms, life };
        self.phones.gets(leaving).or_else(|what| wrong(number, what))
    }

    /// A carrier delivers its final report on `copy`; `answered`: the gateway has just said 0 to it.
    pub fn carrier_reports(&mut self, carrier: usize, copy: u64, state: ReceiptState, answered: bool) -> Option<usize> {
        let &(number, part) = self.copies.get(&(carrier, copy))?;
        // A part of a text that another with fewer parts has replaced is none any more.
        if state.is_final()
            && let Some(part) = self.records[number].parts.get_mut(usize::from(part))
            && let Some(copy) = part.copies.iter_mut().find(|c| c.carrier == carrier && c.number == copy)
        {
            copy.reported.push(state);
            copy.answered |= answered;
        }
        Some(number)
    }

    /// A carrier that the message has left said that it is delivered after all, and the gateway took that: then it must have ended by now.
    pub fn first_delivered_wins(&self, number: usize, carrier: usize, state: ReceiptState) -> Judged {
        let record = &self.records[number];
        let at_carrier = record.parts.iter().flat_map(|p| &p.copies).filter(|c| c.carrier == carrier).count();
        // With a doubt in between nobody can say which copy a receipt meant that came without an answer before it.
        let known = !record.doubted
            && record.parts.len() == 1
            && at_carrier == 1
            && record.left.iter().any(|left| usize::from(left.carrier) == carrier);
        match state == ReceiptState::Delivered && known && !record.is_closed {
            true => wrong(number, format!("carrier {carrier}, which it has left, delivered it, and that did not count")),
            false => Ok(()),
        }
    }

    /// An upstream got a final report on `id` and answers it. `None`: it doesn't.
    pub fn upstream_got(&mut self, id: MessageId, state: ReceiptState, answer: Option<DeliveryAnswer>) -> Judged {
        let Some(&number) = self.ids.get(&id) else {
            return Err(Wrong { what: format!("an upstream got a report on {id}, which nobody sent"), message: None });
        };
        let record = &mut self.records[number];
        match answer {
            Some(DeliveryAnswer::Taken) => record.finals.push(state),
            Some(DeliveryAnswer::Never) => record.report_refused = true,
            _ => {}
        }
        if record.finals.iter().any(|before| *before != state) {
            return wrong(number, format!("reported as {state:?} after {:?}", record.finals));
        }
        Ok(())
    }

    /// The upstream saw the answer to its submission.
    pub fn upstream_told(&mut self, number: usize, said: Said) -> Judged {
        let record = &mut self.records[number];
        if record.said != Said::Nothing {
            return wrong(number, "its submission was answered twice");
        }
        record.said = said;
        match said {
            Said::Yes(id) if record.id != Some(id) || !record.accepted => wrong(number, format!("told {id}, but it is {:?}", record.id)),
            Said::No(status) if record.accepted && !record.is_repeated => {
                wrong(number, format!("refused with {status:#x}, but it is accepted"))
            }
            _ => Ok(()),
        }
    }

    /// What was handed in more than once was answered with a yes: it must be the id of the one message that was made of it.
    pub fn repeat_told(&mut self, number: usize, id: MessageId) -> Judged {
        let record = &self.records[number];
        self.repeats += u64::from(matches!(record.said, Said::Yes(_)));
        match record.id == Some(id) && record.accepted {
            true => Ok(()),
            false => wrong(number, format!("a repetition was told {id}, but it is {:?}", record.id)),
        }
    }

    /// An operator asks for a cancel of all of an account (or of one class): what is written down by now may end by it.
    pub fn may_cancel(&mut self, account: usize) -> Vec<usize> {
        let meant = self.records.iter().enumerate().filter(|(_, r)| r.account == account && r.id.is_some());
        let meant: Vec<usize> = meant.map(|(number, _)| number).collect();
        meant.iter().for_each(|&number| self.records[number].is_meant = true);
        meant
    }

    /// The operator was told that it is so: of these, those accepted up to `upto` must not leave.
    pub fn must_not_leave(&mut self, meant: &[usize], upto: u64) {
        for &number in meant {
            let record = &mut self.records[number];
            record.must_not_leave |= record.id.is_some_and(|id| id.0 <= upto);
        }
    }

    /// The upstream was told that its message is cancelled.
    pub fn cancelled(&mut self, number: usize) -> Judged {
        match self.records[number].conclusions.last() {
            Some(State::Cancelled) => Ok(()),
            other => wrong(number, format!("said to be cancelled, but has ended as {other:?}")),
        }
    }

    /// What cancels of all and replacing submissions may end.
    pub fn allow_cancels(&mut self) {
        let ending: Vec<Record> = self.records.iter().filter(|r| r.cancels_all || r.replaces).cloned().collect();
        for record in &mut self.records {
            record.may_be_cancelled = ending.iter().any(|other| other.is_beside(record));
        }
    }

    /// The upstream of `number` is about to cancel all to its phone: what was taken and is with no carrier must end.
    pub fn asks_to_cancel_all(&mut self, number: usize) {
        let all = self.records.iter().enumerate().filter(|(_, r)| r.is_beside(&self.records[number]));
        let waiting = all.filter(|(_, r)| matches!(r.said, Said::Yes(_)) && r.sends() == 0).map(|(n, _)| n).collect();
        self.to_end.insert(number, waiting);
    }

    /// It was told that they are cancelled.
    pub fn cancelled_all(&mut self, number: usize) -> Judged {
        for other in self.to_end.remove(&number).unwrap_or_default() {
            let record = &self.records[other];
            if record.conclusions.is_empty() && record.sends() == 0 {
                return wrong(other, "all to its phone are said to be cancelled, and it waits on");
            }
        }
        Ok(())
    }

    /// The upstream was told that its message is replaced.
    pub fn replaced(&mut self, number: usize) -> Judged {
        let record = &mut self.records[number];
        record.replaced_told = true;
        if record.replaced_durably { Ok(()) } else { wrong(number, "said to be replaced before that is durable") }
    }

    /// The upstream was told a state, or that there is no such message.
    pub fn queried(&mut self, number: usize, told: Option<u8>) -> Judged {
        let record = &self.records[number];
        if record.may_be_told(told) { Ok(()) } else { wrong(number, format!("told to be in state {told:?}, ends: {:?}", record.endings)) }
    }

    // ---- at the end ----

    /// Everything is at rest.
    pub fn at_rest(&self) -> Judged {
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
