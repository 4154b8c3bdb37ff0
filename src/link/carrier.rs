//! One bind with a carrier: the engine's sends become submit_sm PDUs, answers become outcomes, deliveries are handed over and answered
//! when the engine says so. Sans-io: the driver (or the deterministic world) feeds it; connecting is left to `pool`.

use super::driver::Handler;
use super::translate::outbound::{Send, SubmitWriter};
use super::translate::received::Reader;
use super::translate::status::outcome;
use crate::config;
use crate::engine::port::{BindCommand, BindId, Input, Outcome, Received, Ticket};
use crate::model::{Message, Now};
use crate::smpp::session::MAX_LATE;
use crate::smpp::{Bind, BindKind, CloseCause, Event, Pdu, RequestError, Session, Settings, command, status};
use crate::telemetry::BindCounts;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Marks the token of a data_sm among deliveries.
const DATA: u64 = 1 << 32;

/// What a bind needs to know of its carrier.
#[derive(Debug)]
pub struct CarrierContext {
    /// Settings and profile.
    pub settings: config::Carrier,
    /// What the address form `national` cuts off; 0 for none.
    pub home_country_code: u16,
}

impl CarrierContext {
    /// The session settings of its binds.
    pub fn session_settings(&self) -> Settings {
        let timers = &self.settings.timers;
        Settings {
            window: self.settings.window as usize,
            response_timeout_ms: timers.response_timeout_ms,
            enquire_link_ms: timers.enquire_link_ms,
            enquire_link_timeout_ms: timers.enquire_link_timeout_ms,
            bind_response_ms: timers.bind_response_ms,
            pdu_completion_ms: timers.pdu_completion_ms,
            unbind_timeout_ms: timers.unbind_timeout_ms,
            late_response_ms: timers.late_response_ms,
            interface_version: self.settings.interface_version,
            ..Settings::client()
        }
    }
}

/// How far a bind came and how full its window is, for those outside of its driver: the pool and the metrics.
#[derive(Debug, Default)]
pub struct BindProgress {
    status: AtomicU32,
    window: AtomicU32,
    in_flight: AtomicU32,
    since_ms: AtomicU64,
    /// What all connections of this bind have counted.
    counts: Arc<Mutex<BindCounts>>,
}

/// How far a bind came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// No answer came.
    No,
    /// It was accepted.
    Yes,
    /// It was refused with this status.
    Refused(u32),
}

const BOUND: u32 = u32::MAX;

impl BindProgress {
    /// Of a bind that goes on counting where its connections before it stopped.
    pub fn counting(counts: Arc<Mutex<BindCounts>>) -> BindProgress {
        BindProgress { counts, ..BindProgress::default() }
    }

    /// What it has counted.
    pub fn counts(&self) -> BindCounts {
        // Nothing that can panic runs under this lock, so a poisoned one is still whole.
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it came.
    pub fn bound(&self) -> Bound {
        match self.status.load(Ordering::Acquire) {
            0 => Bound::No,
            BOUND => Bound::Yes,
            status => Bound::Refused(status),
        }
    }

    /// Slots of its window; 0 for a receiver, and before it is bound.
    pub fn window(&self) -> u32 {
        self.window.load(Ordering::Relaxed)
    }

    /// Since when it is bound, wall milliseconds.
    pub fn since_ms(&self) -> u64 {
        self.since_ms.load(Ordering::Relaxed)
    }

    /// Slots in use at the end of the last batch.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }
}

/// A part that was written to the session.
#[derive(Debug, Clone, Copy)]
struct Flight {
    ticket: Ticket,
    /// Parts of its message in all: over one, a refusal stops the rest.
    parts: u8,
    /// Grows with each use of the slot, so that an old token can't name a new flight.
    generation: u32,
    /// When it was written, mono_us.
    sent_us: u64,
    state: FlightState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FlightState {
    Free,
    Sent,
    /// It timed out; only the id that a late answer brings is still wanted.
    Doubted,
}

/// Flights by the index in their token. Bounded by the session's window and its memory for late answers.
#[derive(Debug, Default)]
struct Flights {
    slots: Vec<Flight>,
    free: Vec<u32>,
    /// Doubted flights in order, with the time at which the session has forgotten them.
    doubted: VecDeque<(u64, u64)>,
}

impl Flights {
    fn insert(&mut self, ticket: Ticket, parts: u8, sent_us: u64) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Flight { ticket, parts, generation: 0, sent_us, state: FlightState::Free });
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        *slot = Flight { ticket, parts, generation: slot.generation.wrapping_add(1), sent_us, state: FlightState::Sent };
        u64::from(slot.generation) << 32 | u64::from(index)
    }

    fn get(&mut self, token: u64) -> Option<&mut Flight> {
        let slot = self.slots.get_mut(token as u32 as usize)?;
        (slot.generation == (token >> 32) as u32 && slot.state != FlightState::Free).then_some(slot)
    }

    fn remove(&mut self, token: u64) -> Option<Flight> {
        let slot = self.get(token)?;
        let flight = *slot;
        slot.state = FlightState::Free;
        self.free.push(token as u32);
        Some(flight)
    }

    /// Keeps a timed-out flight until `until_us`.
    fn doubt(&mut self, token: u64, until_us: u64) -> Option<Flight> {
        let slot = self.get(token)?;
        slot.state = FlightState::Doubted;
        let flight = *slot;
        self.doubted.push_back((until_us, token));
        Some(flight)
    }

    /// Gives up what the session has forgotten by now. Twice its bound: slots of late answers that came stay in the row until their time.
    fn forget(&mut self, now_us: u64) {
        while let Some(&(until_us, token)) = self.doubted.front() {
            if until_us > now_us && self.doubted.len() <= 2 * MAX_LATE {
                return;
            }
            self.doubted.pop_front();
            self.remove(token);
        }
    }
}

/// A message of which parts are still to be written.
struct Pending {
    message: Arc<Message>,
    next: u8,
    /// The part before which this send ends.
    end: u8,
    parts: u8,
    reference: u16,
    ask_receipt: bool,
}

impl Pending {
    fn tickets(&self) -> impl Iterator<Item = Ticket> + use<> {
        let message = self.message.id;
        (self.next..self.end).map(move |part| Ticket { message, part })
    }
}

/// The handler of one bind.
pub struct CarrierBind {
    id: BindId,
    kind: BindKind,
    context: Arc<CarrierContext>,
    progress: Arc<BindProgress>,
    is_up: bool,
    writer: SubmitWriter,
    reader: Reader,
    flights: Flights,
    /// Sends for which the window has no room yet. The engine gives no more than the window takes, but for one long message.
    pending: VecDeque<Pending>,
    outcomes: Vec<(Ticket, Outcome)>,
    deliveries: Vec<(u64, Received)>,
    inputs: Vec<Input>,
    /// Handed over to `progress` at the end of each batch.
    counts: BindCounts,
}

impl CarrierBind {
    /// The handler of bind `id`; what becomes of binding is told to `progress`.
    pub fn new(id: BindId, kind: BindKind, context: Arc<CarrierContext>, progress: Arc<BindProgress>) -> CarrierBind {
        let profile = Arc::new(context.settings.profile.clone());
        CarrierBind {
            id,
            kind,
            counts: progress.counts(),
            progress,
            is_up: false,
            reader: Reader::new(&profile),
            writer: SubmitWriter::new(profile, context.home_country_code),
            context,
            flights: Flights::default(),
            pending: VecDeque::new(),
            outcomes: Vec::new(),
            deliveries: Vec::new(),
            inputs: Vec::new(),
        }
    }

    /// The bind that it handles.
    pub fn id(&self) -> BindId {
        self.id
    }

    /// Writes as many parts as the window takes, in order.
    fn pump(&mut self, session: &mut Session, now: Now) {
        while session.free() > 0 {
            let Some(pending) = self.pending.front_mut() else { return };
            let (flights, outcomes) = (&mut self.flights, &mut self.outcomes);
            let tlvs_allowed = session.allows_tlvs();
            let send = Send {
                message: &pending.message,
                first_part: pending.next,
                parts: pending.parts,
                reference: pending.reference,
                ask_receipt: pending.ask_receipt,
                now_ms: now.wall_ms,
                tlvs_allowed,
            };
            let (end, parts, mut next, mut refused) = (pending.end, pending.parts, pending.next, false);
            let mut full = false;
            self.writer.write(&send, |pdu, part| {
                if part >= end {
                    return false;
                }
                let ticket = Ticket { message: send.message.id, part };
                let token = flights.insert(ticket, parts, now.mono_us);
                match session.request(token, pdu, now) {
                    Ok(_) => {
                        next = part + 1;
                        self.counts.sent += 1;
                    }
                    Err(error) => {
                        flights.remove(token);
                        full = error != RequestError::Unsendable;
                        refused = !full;
                    }
                }
                !full && !refused
            });
            pending.next = next;
            if full {
                return;
            }
            if next < end {
                // This carrier can't be told this message (or it was counted by another rule): no part of the rest is sent.
                let first = Ticket { message: pending.message.id, part: next };
                outcomes.push((first, Outcome::Elsewhere { status: status::ESME_RINVMSGLEN }));
                pending.next += 1;
                outcomes.extend(pending.tickets().map(|ticket| (ticket, Outcome::NotSent)));
            }
            self.pending.pop_front();
        }
    }

    fn answered(&mut self, token: u64, answer: u32, pdu: Option<&Pdu<'_>>, late: bool, now: Now) {
        let Some(flight) = self.flights.remove(token) else { return };
        self.counts.response_times.record_us(now.mono_us.saturating_sub(flight.sent_us));
        let message_id = match pdu {
            Some(Pdu::SubmitSmResp(Some(body)) | Pdu::DataSmResp(Some(body))) => body.message_id,
            _ => b"",
        };
        let outcome = outcome(answer, message_id, &self.context.settings.profile);
        let sent = matches!(outcome, Outcome::Sent { .. });
        outcome.count(&mut self.counts.answers);
        // A late refusal changes nothing: the doubt has been dealt with by the class's policy, and a refusal can't be trusted to mean this attempt.
        if sent || !late {
            self.outcomes.push((flight.ticket, outcome));
        }
        if !sent && flight.parts > 1 {
            self.stop_rest(flight.ticket);
        }
    }

    /// A part was refused: what was not written of its message stays here.
    fn stop_rest(&mut self, refused: Ticket) {
        let outcomes = &mut self.outcomes;
        self.pending.retain(|pending| {
            // What begins at or before the refused part is a new send of the same message, begun after this part's answer was due.
            let keep = pending.message.id != refused.message || pending.next <= refused.part;
            if !keep {
                outcomes.extend(pending.tickets().map(|ticket| (ticket, Outcome::NotSent)));
            }
            keep
        });
    }

    fn request(&mut self, sequence: u32, pdu: &Pdu<'_>, session: &mut Session, now: Now) {
        let (command, token, received) = match pdu {
            Pdu::DeliverSm(sm) => (command::DELIVER_SM, u64::from(sequence), self.reader.deliver(sm, now.wall_ms)),
            Pdu::DataSm(data) => (command::DATA_SM, DATA | u64::from(sequence), self.reader.data(data, now.wall_ms)),
            // No answer exists, and nobody waits for subscribers here.
            Pdu::AlertNotification(_) => return,
            _ => {
                session.respond(sequence, status::ESME_RINVCMDID, &Pdu::GenericNack);
                return;
            }
        };
        self.counts.received += 1;
        match received {
            Received::Ignored => session.respond_message_id(command, sequence, status::ESME_ROK, b""),
            received => self.deliveries.push((token, received)),
        }
    }

    fn hand_over(&mut self, reports: &mut Vec<Input>) {
        reports.append(&mut self.inputs);
        if !self.outcomes.is_empty() {
            reports.push(Input::Outcomes { bind: self.id, outcomes: std::mem::take(&mut self.outcomes) });
        }
        if !self.deliveries.is_empty() {
            reports.push(Input::Received { bind: self.id, deliveries: std::mem::take(&mut self.deliveries) });
        }
    }
}

impl Handler for CarrierBind {
    /// The engine's commands of one step.
    type Command = Vec<BindCommand>;
    type Report = Input;

    fn opened(&mut self, session: &mut Session, now: Now) {
        let settings = &self.context.settings;
        let bind = Bind {
            system_id: settings.system_id.as_bytes(),
            password: settings.secret.expose().as_bytes(),
            system_type: settings.system_type.as_bytes(),
            interface_version: settings.interface_version,
            addr_ton: 0,
            addr_npi: 0,
            address_range: settings.address_range.as_bytes(),
        };
        session.bind(self.kind, &bind, now);
    }

    fn event(&mut self, event: Event<'_>, session: &mut Session, now: Now) {
        match event {
            Event::Response { token, status, pdu, late } => self.answered(token, status, pdu.as_ref(), late, now),
            Event::Request { sequence, pdu } => self.request(sequence, &pdu, session, now),
            Event::Timeout { token } => {
                // A little longer than the session remembers it, so that the session forgets first.
                let until_us = now.mono_us + (session.settings().late_response_ms + 1_000) * 1_000;
                if let Some(flight) = self.flights.doubt(token, until_us) {
                    self.counts.answers.in_doubt += 1;
                    self.outcomes.push((flight.ticket, Outcome::InDoubt));
                }
            }
            Event::Bound { .. } => {
                let window = if self.kind.transmits() { session.settings().window as u32 } else { 0 };
                self.progress.window.store(window, Ordering::Relaxed);
                self.progress.since_ms.store(now.wall_ms, Ordering::Relaxed);
                self.progress.status.store(BOUND, Ordering::Release);
                self.is_up = true;
                let (kind, version) = (self.kind.name(), session.peer_version());
                tracing::info!(carrier = %self.context.settings.name, bind = self.id.index, kind, version, window, "bind is up");
                self.inputs.push(Input::BindUp { bind: self.id, window });
            }
            Event::BindRefused { status } => self.progress.status.store(status, Ordering::Release),
            // What waits here goes back with BindDown, which follows within the unbind timer.
            Event::PeerUnbind | Event::BindRequest { .. } | Event::Outbind(_) | Event::Closed { .. } => {}
        }
    }

    fn command(&mut self, commands: Vec<BindCommand>, session: &mut Session, now: Now) {
        for command in commands {
            match command {
                BindCommand::Send { message, first_part, end_part, parts, reference, ask_receipt } => {
                    self.pending.push_back(Pending { message, next: first_part, end: end_part, parts, reference, ask_receipt });
                }
                BindCommand::Answer { token, stored } => {
                    let command = if token & DATA != 0 { command::DATA_SM } else { command::DELIVER_SM };
                    let status = if stored { status::ESME_ROK } else { status::ESME_RX_T_APPN };
                    session.respond_message_id(command, token as u32, status, b"");
                }
            }
        }
        self.pump(session, now);
    }

    fn batch_end(&mut self, session: &mut Session, now: Now, reports: &mut Vec<Input>) {
        if !self.pending.is_empty() {
            self.pump(session, now);
        }
        self.flights.forget(now.mono_us);
        self.progress.in_flight.store(session.in_flight() as u32, Ordering::Relaxed);
        *self.progress.counts.lock().unwrap_or_else(PoisonError::into_inner) = self.counts;
        self.hand_over(reports);
    }

    fn deadline(&self) -> Option<u64> {
        None
    }

    fn tick(&mut self, _session: &mut Session, _now: Now) {}

    fn closed(&mut self, session: &mut Session, _cause: CloseCause, _now: Now, reports: &mut Vec<Input>) {
        self.hand_over(reports);
        let in_doubt: Vec<Ticket> =
            session.drain_in_flight().into_iter().filter_map(|token| Some(self.flights.remove(token)?.ticket)).collect();
        let unsent: Vec<Ticket> = self.pending.drain(..).flat_map(|pending| pending.tickets()).collect();
        if self.is_up || !unsent.is_empty() {
            reports.push(Input::BindDown { bind: self.id, unsent, in_doubt });
        }
    }
}
