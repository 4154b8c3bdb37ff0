//! One session of the load generator: keeps its window full or sends what the schedule says, answers receipts, and
//! tells the ledger in batches.

use super::ledger::{Answer, Ledger, Receipt, hash_id};
use super::schedule::{Portion, Schedule};
use crate::link::driver::Handler;
use crate::model::Now;
use crate::model::mark::{MARK_LEN, RunId, read_mark, write_mark};
use crate::smpp::tlv::tag;
use crate::smpp::{Addr, Bind, BindKind, CloseCause, Event, Pdu, Session, Sm, Tlvs, command, status};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How messages look.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Characters of each text, [`MARK_LEN`] at least.
    pub characters: usize,
    /// Distinct destinations; message n goes to the (n modulo so many)th.
    pub destinations: u64,
    /// First destination, as a number.
    pub first_destination: u64,
    /// Sender.
    pub source: String,
    /// registered_delivery.
    pub registered_delivery: u8,
    /// schedule_delivery_time; empty: at once.
    pub schedule: String,
}

/// What all sessions of a run share.
pub struct Shared {
    /// How messages look.
    pub shape: Shape,
    /// What came of them.
    pub ledger: Mutex<Ledger>,
    /// What is still to be sent.
    pub schedule: Mutex<Schedule>,
    /// Why a session could not be bound, in words: the last time that happened.
    pub bind_problem: Mutex<Option<String>>,
}

/// Locks what nobody panics under.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the pacer tells a session.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    /// Send these when the window allows.
    Send(Portion),
}

/// Pause after an answer that asks to slow down, microseconds.
const SLOW_DOWN_US: u64 = 50_000;

/// One session of the load generator.
pub struct LoadSession {
    /// Which session of the run.
    pub place: usize,
    /// system_id and password.
    pub credentials: (String, String),
    /// How it binds.
    pub kind: BindKind,
    shared: Arc<Shared>,
    writer: Writer,
    closed_loop: bool,
    backlog: VecDeque<Portion>,
    paused_until_us: u64,
    answers: Vec<(Answer, bool)>,
    receipts: Vec<Receipt>,
    departures: Vec<(u64, u64)>,
    unanswered: u64,
    intermediate: u64,
    inbound: u64,
    run: RunId,
    clock_us: u64,
}

impl LoadSession {
    /// A session that binds as soon as it is connected. `closed_loop`: it keeps its window full by itself; else it waits for orders.
    pub fn new(place: usize, credentials: (String, String), kind: BindKind, shared: Arc<Shared>, closed_loop: bool) -> Self {
        let run = lock(&shared.ledger).run();
        LoadSession {
            place,
            credentials,
            kind,
            writer: Writer::new(&shared.shape, run),
            shared,
            closed_loop,
            backlog: VecDeque::new(),
            paused_until_us: 0,
            answers: Vec::new(),
            receipts: Vec::new(),
            departures: Vec::new(),
            unanswered: 0,
            intermediate: 0,
            inbound: 0,
            run,
            clock_us: 0,
        }
    }

    /// Sends as much as window and schedule allow.
    fn fill(&mut self, session: &mut Session, now: Now) {
        if now.mono_us < self.paused_until_us {
            return;
        }
        let mut free = session.free();
        while free > 0 {
            let Some(portion) = self.next_portion(free as u64, now) else { return };
            for number in portion.first..portion.first + portion.count {
                let token = token_of(number, portion.intended_us);
                if session.request(token, &self.writer.write(number), now).is_err() {
                    // The session is ending; what it could not take goes to the others.
                    let rest = portion.first + portion.count - number;
                    self.backlog.push_front(Portion { first: number, count: rest, ..portion });
                    self.note_departure(number - portion.first, portion.intended_us);
                    return;
                }
            }
            self.note_departure(portion.count, portion.intended_us);
            free = session.free();
        }
    }

    fn note_departure(&mut self, count: u64, intended_us: u64) {
        if count > 0 {
            self.departures.push((count, intended_us));
        }
    }

    /// The next messages to send, at most `free`.
    fn next_portion(&mut self, free: u64, now: Now) -> Option<Portion> {
        if let Some(front) = self.backlog.front_mut() {
            let taken = front.split_off(free);
            if front.count == 0 {
                self.backlog.pop_front();
            }
            return Some(taken);
        }
        if self.closed_loop { lock(&self.shared.schedule).take_now(free, now.mono_us) } else { None }
    }

    fn deliver(&mut self, data_coding: u8, esm_class: u8, text: &[u8], tlvs: Tlvs<'_>) {
        if data_coding == 8 {
            let narrow: Vec<u8> = text.chunks_exact(2).map(|unit| unit[1]).collect();
            return self.deliver(0, esm_class, &narrow, tlvs);
        }
        match read_delivery(esm_class, text, tlvs, self.run) {
            Delivered::Final(receipt) => self.receipts.push(receipt),
            Delivered::Intermediate => self.intermediate += 1,
            Delivered::Inbound => self.inbound += 1,
        }
    }

    fn answer(&mut self, token: u64, status: u32, pdu: Option<Pdu<'_>>, late: bool, now: Now) {
        let (number, intended_us) = read_token(token, now.mono_us);
        let id = match pdu {
            Some(Pdu::SubmitSmResp(Some(body))) if status == 0 => hash_id(body.message_id),
            _ => 0,
        };
        if matches!(status, status::ESME_RTHROTTLED | status::ESME_RMSGQFUL) {
            self.paused_until_us = now.mono_us + SLOW_DOWN_US;
        }
        self.answers.push((Answer { number, status, id, intended_us }, late));
    }
}

/// Number and time of a message in one token: 32 bits each; times are 71 minutes apart before they look alike.
fn token_of(number: u64, intended_us: u64) -> u64 {
    intended_us << 32 | (number & 0xFFFF_FFFF)
}

fn read_token(token: u64, now_us: u64) -> (u64, u64) {
    let age = (now_us as u32).wrapping_sub((token >> 32) as u32);
    (token & 0xFFFF_FFFF, now_us - u64::from(age))
}

enum Delivered {
    Final(Receipt),
    Intermediate,
    Inbound,
}

/// Tells receipts from messages and reads id, state and quoted mark.
fn read_delivery(esm_class: u8, text: &[u8], tlvs: Tlvs<'_>, run: RunId) -> Delivered {
    let (mut id, mut state) = (None, 255);
    for tlv in tlvs {
        match tlv.tag {
            tag::RECEIPTED_MESSAGE_ID => id = Some(tlv.text()),
            tag::MESSAGE_STATE => state = tlv.integer().map_or(255, |state| state as u8),
            _ => {}
        }
    }
    match esm_class & 0x3C {
        0x20 => return Delivered::Intermediate,
        0x04 => {}
        _ if id.is_none() && !text.starts_with(b"id:") => return Delivered::Inbound,
        _ => {}
    }
    // SCHEDULED, ENROUTE, ACCEPTED and UNKNOWN settle nothing.
    if matches!(state, 0 | 1 | 6 | 7) {
        return Delivered::Intermediate;
    }
    let id = id.or_else(|| id_in_text(text)).unwrap_or_default();
    Delivered::Final(Receipt { id: hash_id(id), number: quoted_number(text, run), state })
}

fn id_in_text(text: &[u8]) -> Option<&[u8]> {
    let after = match text.strip_prefix(b"id:") {
        Some(after) => after,
        None => &text[text.windows(3).position(|window| window == b"id:")? + 3..],
    };
    Some(after.split(|octet| *octet == b' ').next().unwrap_or_default())
}

/// The number of the mark that the receipt's text ends with.
fn quoted_number(text: &[u8], run: RunId) -> Option<u64> {
    let quoted = text.get(text.len().checked_sub(MARK_LEN)?..)?;
    read_mark(quoted).filter(|(of, _)| *of == run).map(|(_, number)| number)
}

impl Handler for LoadSession {
    type Command = Order;
    type Report = ();

    fn opened(&mut self, session: &mut Session, now: Now) {
        let bind = Bind {
            system_id: self.credentials.0.as_bytes(),
            password: self.credentials.1.as_bytes(),
            system_type: b"",
            interface_version: 0x34,
            ..Bind::default()
        };
        session.bind(self.kind, &bind, now);
    }

    fn event(&mut self, event: Event<'_>, session: &mut Session, now: Now) {
        match event {
            Event::Response { token, status, pdu, late } => self.answer(token, status, pdu, late, now),
            Event::Request { sequence, pdu: Pdu::DeliverSm(sm) } => {
                self.deliver(sm.data_coding, sm.esm_class, sm.short_message, sm.tlvs);
                session.respond_message_id(command::DELIVER_SM_RESP, sequence, status::ESME_ROK, b"");
            }
            Event::Request { sequence, pdu: Pdu::DataSm(data) } => {
                let text = data.tlvs.first(tag::MESSAGE_PAYLOAD).unwrap_or_default();
                self.deliver(data.data_coding, data.esm_class, text, data.tlvs);
                session.respond_message_id(command::DATA_SM_RESP, sequence, status::ESME_ROK, b"");
            }
            Event::Timeout { .. } => self.unanswered += 1,
            Event::Bound { .. } => lock(&self.shared.schedule).bound(self.place, true),
            Event::BindRefused { status } => {
                let name = status::name(status).unwrap_or("a status of its own");
                let why = format!("the bind as {} was refused: {name} ({status:#04x})", self.credentials.0);
                *lock(&self.shared.bind_problem) = Some(why);
            }
            _ => {}
        }
    }

    fn command(&mut self, order: Order, _session: &mut Session, _now: Now) {
        let Order::Send(portion) = order;
        self.backlog.push_back(portion);
    }

    fn batch_end(&mut self, session: &mut Session, now: Now, _reports: &mut Vec<()>) {
        self.clock_us = now.mono_us;
        if self.kind.transmits() {
            self.fill(session, now);
        }
        if self.answers.is_empty()
            && self.receipts.is_empty()
            && self.departures.is_empty()
            && self.unanswered + self.intermediate + self.inbound == 0
        {
            return;
        }
        let mut ledger = lock(&self.shared.ledger);
        for (count, intended_us) in self.departures.drain(..) {
            ledger.sent(count, intended_us, now.mono_us);
        }
        ledger.unanswered(std::mem::take(&mut self.unanswered));
        for (answer, late) in self.answers.drain(..) {
            ledger.answered(&answer, late, now.mono_us);
        }
        for receipt in self.receipts.drain(..) {
            ledger.received(&receipt, now.mono_us);
        }
        ledger.others(std::mem::take(&mut self.intermediate), std::mem::take(&mut self.inbound));
    }

    fn deadline(&self) -> Option<u64> {
        (self.paused_until_us > self.clock_us).then_some(self.paused_until_us)
    }

    fn tick(&mut self, _session: &mut Session, _now: Now) {}

    fn closed(&mut self, session: &mut Session, _cause: CloseCause, now: Now, reports: &mut Vec<()>) {
        self.unanswered += session.drain_in_flight().len() as u64;
        // Tells the ledger; nothing can be sent any more.
        self.batch_end(session, now, reports);
        let mut schedule = lock(&self.shared.schedule);
        schedule.bound(self.place, false);
        schedule.give_back(self.backlog.drain(..));
    }
}

/// Writes submits, patching what differs into what is the same for all.
struct Writer {
    text: Vec<u8>,
    source: String,
    destination: Vec<u8>,
    run: RunId,
    first_destination: u64,
    destinations: u64,
    registered_delivery: u8,
    schedule: String,
}

/// Steps through the destinations in an order that looks like none; odd and no multiple of 5, so that it meets each of 10^n once.
const DESTINATION_STEP: u64 = 618_033;

impl Writer {
    fn new(shape: &Shape, run: RunId) -> Self {
        const FILLER: &[u8] = b" the wild goose carries the letter over the mountains, and the answer comes back the same way;";
        let mut text = write_mark(run, 0).to_vec();
        text.extend(FILLER.iter().cycle().take(shape.characters.clamp(MARK_LEN, 160) - MARK_LEN));
        Writer {
            text,
            source: shape.source.clone(),
            destination: shape.first_destination.to_string().into_bytes(),
            run,
            first_destination: shape.first_destination,
            destinations: shape.destinations.max(1),
            registered_delivery: shape.registered_delivery,
            schedule: shape.schedule.clone(),
        }
    }

    fn write(&mut self, number: u64) -> Pdu<'_> {
        self.text[..MARK_LEN].copy_from_slice(&write_mark(self.run, number));
        let mut rest = self.first_destination + number.wrapping_mul(DESTINATION_STEP) % self.destinations;
        for digit in self.destination.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        Pdu::SubmitSm(Sm {
            source: Addr { ton: 0, npi: 1, addr: self.source.as_bytes() },
            destination: Addr { ton: 1, npi: 1, addr: &self.destination },
            registered_delivery: self.registered_delivery,
            schedule_delivery_time: self.schedule.as_bytes(),
            short_message: &self.text,
            ..Sm::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_number_and_time() {
        let now_us = 0x5_0000_0010;
        for (number, intended_us) in [(0, now_us), (0xFFFF_FFFF, now_us - 1_000_000), (7, now_us - 0xFFFF_FFFF)] {
            assert_eq!(read_token(token_of(number, intended_us), now_us), (number, intended_us));
        }
    }

    #[test]
    fn destinations_are_all_met_and_texts_have_their_length() {
        let shape = Shape {
            characters: 80,
            destinations: 1000,
            first_destination: 8_613_800_000_000,
            source: "1069".into(),
            registered_delivery: 1,
            schedule: String::new(),
        };
        let mut writer = Writer::new(&shape, *b"run1");
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..1000 {
            let Pdu::SubmitSm(sm) = writer.write(number) else { unreachable!() };
            assert_eq!((sm.short_message.len(), read_mark(sm.short_message)), (80, Some((*b"run1", number))));
            seen.insert(sm.destination.addr.to_vec());
        }
        assert_eq!(seen.len(), 1000);
    }

    #[test]
    fn receipts_are_read_by_tlv_or_text_and_other_deliveries_told_apart() {
        let text = b"id:4711 sub:001 dlvrd:001 submit date:2609010000 done date:2609010001 stat:DELIVRD err:000 text:run10000000000000005";
        let Delivered::Final(receipt) = read_delivery(4, text, Tlvs::EMPTY, *b"run1") else { panic!() };
        assert_eq!((receipt.id, receipt.number, receipt.state), (hash_id(b"4711"), Some(5), 255));
        let mut tlvs = crate::smpp::TlvBuf::new();
        tlvs.c_octet(tag::RECEIPTED_MESSAGE_ID, b"abc");
        tlvs.u8(tag::MESSAGE_STATE, 2);
        let Delivered::Final(receipt) = read_delivery(4, b"", tlvs.as_tlvs(), *b"run1") else { panic!() };
        assert_eq!((receipt.id, receipt.number, receipt.state), (hash_id(b"abc"), None, 2));
        assert!(matches!(read_delivery(0x20, text, Tlvs::EMPTY, *b"run1"), Delivered::Intermediate));
        assert!(matches!(read_delivery(0, b"hello", Tlvs::EMPTY, *b"run1"), Delivered::Inbound));
    }
}
