//! What must be true. The judge sees what crosses the engine's doors, what becomes durable, and what both peers see, and keeps its own account of every
//! message from that: it asks the engine for nothing but its counters, which must agree.

use super::books::Books;
use crate::engine::counts::Counts;
use crate::engine::event::{DeliveryKey, Event, PartReceipt, read_group};
use crate::engine::port::{BindCommand, BindId, Delivery, DeliveryAnswer, DeliveryToken, Input, Outcome, Ticket, UpstreamReply};
use crate::model::state::ReceiptState;
use crate::model::{Class, Message, MessageId, Report, State};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

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

fn wrong(message: usize, what: impl Into<String>) -> Judged {
    Err(Wrong { what: what.into(), message: Some(message) })
}

/// What the upstream knows of its submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Not submitted yet, or not answered.
    Nothing,
    /// Status 0.
    Yes(MessageId),
    /// Refused with this status.
    No(u32),
}

/// Where a part is, as far as the gateway can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Standing {
    /// Not out, or refused: it may be sent.
    #[default]
    Free,
    /// Handed to this bind.
    Out(BindId),
    /// Handed out, no answer.
    Doubt,
    /// Its answer was taken in.
    Known,
}

#[derive(Debug, Clone, Default)]
struct Part {
    standing: Standing,
    sent_durably: bool,
    end: Option<State>,
    /// Sent once again for a doubt since the gateway was started.
    resent: bool,
    sends: u32,
    taken: u32,
    /// Copies that carriers took: carrier, its number, and what it reported finally and was told 0 for.
    copies: Vec<Copy>,
}

#[derive(Debug, Clone)]
struct Copy {
    carrier: usize,
    number: u64,
    /// Final states that the carrier has reported.
    reported: Vec<ReceiptState>,
    /// The gateway answered the receipt with 0.
    answered: bool,
}

/// One message of the world.
#[derive(Debug, Clone)]
pub struct Record {
    /// Index of the account.
    pub account: usize,
    /// Its class.
    pub class: Class,
    /// The phone's digits.
    pub digits: String,
    /// registered_delivery.
    pub registered: u8,
    /// schedule_delivery_time: seconds; 0 for at once.
    pub delay_s: u64,
    /// validity_period: seconds; 0 for the default, which no message of a world may ever reach.
    pub validity_s: u64,
    /// Its upstream means to cancel it.
    pub to_cancel: bool,
    /// Its upstream submits it more than once.
    pub is_repeated: bool,
    /// Octets of the text; every part shows the mark.
    pub text: Vec<u8>,
    /// What the upstream was told.
    pub said: Said,
    id: Option<MessageId>,
    wish: Report,
    expires_ms: u64,
    accepted: bool,
    attempted: bool,
    parts: Vec<Part>,
    crashed: bool,
    /// It was handed out and its answer was lost, late, or forgotten in a crash.
    doubted: bool,
    refusals: u32,
    conclusions: Vec<State>,
    is_closed: bool,
    handed_over: BTreeSet<DeliveryKey>,
    final_key: Option<DeliveryKey>,
    /// Final reports taken by the upstream.
    finals: Vec<ReceiptState>,
    /// The upstream refused a report for good.
    report_refused: bool,
    /// Its number was, or may have been, in some list.
    listed: bool,
    /// Its number is in so many lists for certain: nothing may leave to it.
    certainly_listed: usize,
    /// Carriers that its routes allow.
    allowed: Vec<u16>,
    /// How often it may go to another carrier after a receipt.
    reroutes_max: u8,
    /// Carriers that are done with it: as written, and as durable.
    done: [Vec<u16>; 2],
    /// Carriers that it has left after a receipt, as written.
    leaving: Vec<u16>,
    /// What it left behind, as durable.
    left: Vec<Left>,
}

/// A carrier that a message has left after a receipt.
#[derive(Debug, Clone)]
struct Left {
    carrier: u16,
    /// What became of each part there.
    ends: Vec<Option<State>>,
    /// What the receipt said.
    said: State,
}

impl Record {
    /// A message that was not submitted yet.
    pub fn new(account: usize, class: Class, digits: String, registered: u8, text: Vec<u8>) -> Record {
        Record {
            account,
            class,
            digits,
            registered,
            delay_s: 0,
            validity_s: 0,
            to_cancel: false,
            is_repeated: false,
            text,
            said: Said::Nothing,
            id: None,
            wish: Report::default(),
            expires_ms: 0,
            accepted: false,
            attempted: false,
            parts: Vec::new(),
            crashed: false,
            doubted: false,
            refusals: 0,
            conclusions: Vec::new(),
            is_closed: false,
            handed_over: BTreeSet::new(),
            final_key: None,
            finals: Vec::new(),
            report_refused: false,
            listed: false,
            certainly_listed: 0,
            allowed: Vec::new(),
            reroutes_max: 0,
            done: [Vec::new(), Vec::new()],
            leaving: Vec::new(),
            left: Vec::new(),
        }
    }

    /// What the routes of its world allow it.
    pub fn routed(&mut self, settings: &super::Settings) {
        self.allowed = super::routing::allowed(settings, self);
        self.reroutes_max = settings.reroutes[self.class as usize];
    }

    fn part(&mut self, part: u8) -> &mut Part {
        let at = part as usize;
        if self.parts.len() <= at {
            self.parts.resize_with(at + 1, Part::default);
        }
        &mut self.parts[at]
    }

    fn has_left(&self, carrier: u16) -> bool {
        self.leaving.contains(&carrier)
    }

    fn wants(&self, state: State) -> bool {
        match state {
            State::SentFinal => false,
            State::Delivered => self.wish.on_success,
            _ => self.wish.on_failure,
        }
    }
}

/// The mark of message `number`, as it stands in its text again and again.
pub fn mark(number: usize) -> String {
    format!("<{number:06}>")
}

/// The number in the first whole mark of `text`.
pub fn read_mark(text: &[u8]) -> Option<usize> {
    let from = text.windows(8).position(|w| w[0] == b'<' && w[7] == b'>' && w[1..7].iter().all(u8::is_ascii_digit))?;
    std::str::from_utf8(&text[from + 1..from + 7]).ok()?.parse().ok()
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
        let part = record.part(ticket.part);
        if part.standing == Standing::Out(bind) {
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

    fn known(&mut self, message: &Message) -> Judged {
        let Some(number) = read_mark(message.body.text()) else { return Ok(()) };
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
                UpstreamReply::Answer { result: Ok(id), .. } => match self.ids.get(id) {
                    Some(&number) if self.records[number].accepted => {}
                    Some(&number) => return wrong(number, "acknowledged before its acceptance is durable"),
                    None => return Err(Wrong { what: format!("{id} was acknowledged and never written down"), message: None }),
                },
                UpstreamReply::Deliver { token, item } => {
                    let Delivery::Receipt(report) = &**item else { continue };
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

    /// What the engine says to a bind.
    pub fn commands(&mut self, bind: BindId, commands: &[BindCommand]) -> Judged {
        for command in commands {
            let BindCommand::Send { message, first_part, end_part, .. } = command else { continue };
            let Some(&number) = self.ids.get(&message.id) else { continue };
            let record = &mut self.records[number];
            if !record.accepted {
                return wrong(number, "sent before its acceptance is durable");
            }
            if let Some(state) = record.conclusions.last() {
                return wrong(number, format!("sent though it has ended as {state:?}"));
            }
            if record.certainly_listed > 0 {
                return wrong(number, "sent though its number is listed, and that was answered");
            }
            if message.body.text() != record.text {
                return wrong(number, "sent with another text");
            }
            let carrier = bind.carrier.0;
            if !record.allowed.contains(&carrier) {
                return wrong(number, format!("sent to carrier {carrier}, which its routes exclude"));
            }
            if record.done[0].contains(&carrier) {
                return wrong(number, format!("sent to carrier {carrier} again, which was done with it"));
            }
            if record.class == Class::Otp && !record.attempted {
                return wrong(number, "an otp was sent before its attempt is durable");
            }
            for part in *first_part..*end_part {
                record.part(part).sends += 1;
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

    /// A carrier took a part under its number `copy`.
    pub fn taken_by(&mut self, carrier: usize, copy: u64, number: usize, part: u8) -> Judged {
        let Some(record) = self.records.get_mut(number) else { return Ok(()) };
        let class = record.class;
        let part_record = record.part(part);
        part_record.taken += 1;
        part_record.copies.push(Copy { carrier, number: copy, reported: Vec::new(), answered: false });
        let (taken, sends) = (part_record.taken, part_record.sends);
        self.copies.insert((carrier, copy), (number, part));
        if taken > sends {
            return wrong(number, format!("part {part} came {taken} times to carriers, and was sent {sends} times"));
        }
        if class == Class::Otp && taken as usize > 1 + self.records[number].left.len() {
            return wrong(number, format!("part {part} of an otp came twice to a carrier"));
        }
        Ok(())
    }

    /// A carrier delivers its final report on `copy`; `answered`: the gateway has just said 0 to it.
    pub fn carrier_reports(&mut self, carrier: usize, copy: u64, state: ReceiptState, answered: bool) -> Option<usize> {
        let &(number, part) = self.copies.get(&(carrier, copy))?;
        let part = self.records[number].part(part);
        if state.is_final()
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

    /// The upstream was told that its message is cancelled.
    pub fn cancelled(&mut self, number: usize) -> Judged {
        match self.records[number].conclusions.last() {
            Some(State::Cancelled) => Ok(()),
            other => wrong(number, format!("said to be cancelled, but has ended as {other:?}")),
        }
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
        Ok(())
    }
}

impl Record {
    /// What a durable REROUTED means.
    fn leaves(&mut self, number: usize, carrier: u16, part: u8, facts: &PartReceipt) -> Judged {
        let said = facts.state.message_state();
        if self.is_closed || !self.conclusions.is_empty() {
            return wrong(number, format!("goes to another carrier though it has ended as {:?}", self.conclusions));
        }
        if self.left.len() >= usize::from(self.reroutes_max) {
            return wrong(number, "goes to another carrier more often than it may");
        }
        if !self.parts.iter().all(|p| p.sent_durably) || self.parts.iter().any(|p| p.end == Some(State::Delivered)) {
            return wrong(number, "goes to another carrier though not all of it was sent, or some was delivered");
        }
        if !super::routing::CAUSES.contains(&facts.state) {
            return wrong(number, format!("goes to another carrier after {:?}", facts.state));
        }
        let ends = self.parts.iter().enumerate().map(|(at, p)| if at == usize::from(part) { Some(said) } else { p.end }).collect();
        self.left.push(Left { carrier, ends, said });
        self.done[1].push(carrier);
        self.attempted = false;
        for part in &mut self.parts {
            (part.sent_durably, part.end) = (false, None);
        }
        Ok(())
    }

    /// What a durable COPY_RECEIPT means.
    fn late_word(&mut self, carrier: u16, part: u8, facts: &PartReceipt) {
        let Some(left) = self.left.iter_mut().find(|left| left.carrier == carrier) else { return };
        if let Some(end) = left.ends.get_mut(usize::from(part))
            && *end != Some(State::Delivered)
        {
            *end = Some(facts.state.message_state());
        }
        if left.ends.iter().all(|end| *end == Some(State::Delivered)) && !self.is_closed {
            self.conclusions.push(State::Delivered);
            self.is_closed = true;
        }
    }
}

fn receipt(record: &mut Record, part: u8, facts: &PartReceipt) {
    let state = facts.state.message_state();
    let count = record.parts.len().max(1);
    for at in 0..count as u8 {
        if part == u8::MAX || part == at {
            record.part(at).end.get_or_insert(state);
        }
    }
    let failure = record.parts.iter().filter_map(|p| p.end).find(|end| *end != State::Delivered);
    let all = record.parts.iter().all(|p| p.end == Some(State::Delivered));
    if record.is_closed {
        return;
    }
    // The first failure that was reported is what counts.
    let ended = if state != State::Delivered { Some(state) } else { failure.or(all.then_some(State::Delivered)) };
    if let Some(state) = ended {
        record.conclusions.push(state);
        record.is_closed = true;
    }
}

fn verdict(record: &mut Record, number: usize, state: State, at_ms: u64) -> Judged {
    if record.is_closed {
        return wrong(number, format!("{state:?} after it has ended as {:?}", record.conclusions));
    }
    record.conclusions.push(state);
    record.is_closed = state != State::InDoubt;
    // Where a carrier has reported a failure and no other one took it, that stands.
    let said = record.left.last().map(|left| left.said).filter(|_| matches!(state, State::Expired | State::Rejected | State::Undelivered));
    if let Some(said) = said {
        return if said == state { Ok(()) } else { wrong(number, format!("{state:?}, but the carrier that it left said {said:?}")) };
    }
    let legal = match state {
        State::Expired => at_ms >= record.expires_ms && record.validity_s > 0,
        State::Cancelled => record.to_cancel && record.parts.iter().all(|p| p.standing == Standing::Free),
        State::Rejected | State::Undelivered => record.refusals > 0 || record.crashed || record.listed,
        State::InDoubt => record.attempted || record.parts.iter().any(|p| p.sends > 0),
        State::SentFinal | State::NoReceipt => record.parts.iter().all(|p| p.sent_durably),
        _ => false,
    };
    if legal { Ok(()) } else { wrong(number, format!("the verdict {state:?} has no ground")) }
}

fn at_rest(number: usize, record: &Record) -> Judged {
    if record.conclusions.is_empty() {
        return wrong(number, "accepted and in no final state at rest");
    }
    let told = record.conclusions.iter().find(|state| record.wants(**state));
    match (told, record.finals.first()) {
        (None, Some(state)) => return wrong(number, format!("reported as {state:?}, which nobody asked for")),
        (Some(state), None) if !record.report_refused => return wrong(number, format!("ended as {state:?} and was never reported")),
        (Some(state), Some(told)) if !agrees(*state, *told) => {
            return wrong(number, format!("ended as {state:?} and was reported as {told:?}"));
        }
        _ => {}
    }
    Ok(())
}

/// What became of a message against what carriers reported of it.
fn receipts_agree(number: usize, record: &Record) -> Judged {
    let Some(&last) = record.conclusions.last() else { return Ok(()) };
    let was_sent = |part: &Part| part.taken > 0;
    if matches!(last, State::Delivered | State::SentFinal | State::NoReceipt) && !record.parts.iter().all(was_sent) {
        return wrong(number, format!("ended as {last:?}, but not all of it came to a carrier"));
    }
    let said = |part: &Part, state: State| part.copies.iter().any(|c| c.reported.iter().any(|r| r.message_state() == state));
    if last == State::Delivered && !record.parts.iter().all(|part| said(part, State::Delivered)) {
        return wrong(number, "delivered, but no carrier said so of every part");
    }
    // A receipt whose submission the gateway knows, and that it took, must have counted.
    let certain = |part: &Part| part.sent_durably && part.taken == 1 && part.copies.iter().any(|c| c.answered);
    if matches!(last, State::NoReceipt | State::InDoubt) && !record.parts.is_empty() && record.parts.iter().all(certain) {
        return wrong(number, format!("ended as {last:?}, though its receipts were taken from the carrier"));
    }
    Ok(())
}

fn agrees(state: State, told: ReceiptState) -> bool {
    match state {
        State::NoReceipt | State::InDoubt => told == ReceiptState::Unknown,
        State::Cancelled => told == ReceiptState::Deleted,
        _ => told.message_state() == state,
    }
}
