//! Both peers of the gateway: upstream clients, which submit, answer (or don't), and come back when they are cut off; and the carriers, whose behaviour
//! is the simulator's own.

use super::Settings;
use super::course::{Delivered, Due, World};
use super::inbound::read_inbound;
use super::judge::{Judged, Taken, read_mark, read_text};
use super::plan::ACCOUNTS;
use super::wire::{End, Role, Side};
use crate::engine::port::DeliveryAnswer;
use crate::link::translate::status::delivery_answer;
use crate::model::MessageId;
use crate::model::state::ReceiptState;
use crate::sim::behaviour::Dice;
use crate::sim::carrier::{Action, BindKey, Carrier, Submit};
use crate::sim::delivery::{What, Written};
use crate::smpp::tlv::tag;
use crate::smpp::{self, Addr, Bind, BindKind, CloseCause, Event, Pdu, Session, Sm, command, status};
use std::collections::BTreeMap;

/// The sender of every message.
pub(super) const SHOP: Addr<'static> = Addr { ton: 5, npi: 0, addr: b"SHOP" };

/// A session that an upstream wants to have.
#[derive(Debug)]
pub(super) struct ClientSlot {
    account: usize,
    kind: BindKind,
    /// The connection on which it is bound.
    bound: Option<usize>,
}

impl ClientSlot {
    /// Those of all accounts: one transceiver, two, or a transmitter and a receiver.
    pub fn all(dice: &mut Dice) -> Vec<ClientSlot> {
        let mut slots = Vec::new();
        for account in 0..ACCOUNTS.len() {
            let kinds: &[BindKind] = match dice.up_to(2) {
                0 => &[BindKind::Transceiver],
                1 => &[BindKind::Transceiver, BindKind::Transceiver],
                _ => &[BindKind::Transmitter, BindKind::Receiver],
            };
            slots.extend(kinds.iter().map(|&kind| ClientSlot { account, kind, bound: None }));
        }
        slots
    }
}

/// The upstream's end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct ClientEnd {
    slot: usize,
}

/// The carrier's end of a connection.
#[derive(Debug)]
pub struct OperatorEnd {
    carrier: usize,
    key: Option<BindKey>,
    /// When its behaviour wants to be asked again.
    pub(super) next_us: Option<u64>,
    hangs_up: bool,
}

/// A carrier with all its sessions.
pub(super) struct Operator {
    pub carrier: Carrier,
    /// Number and state of the receipts that are being delivered, by token.
    receipts: BTreeMap<u64, (u64, ReceiptState)>,
    /// Number and part of the messages from phones, by token.
    pub inbound: BTreeMap<u64, (usize, usize)>,
    bound: Vec<(BindKey, usize)>,
    id_start: u64,
    written: Written,
}

impl Operator {
    /// The carrier of this index. Its ids are its own.
    pub fn new(settings: &Settings, index: usize, seed: u64) -> Operator {
        let mut behaviour = settings.behaviour.clone();
        behaviour.id_start = 1_000_000 * (index as u64 + 1);
        Operator {
            id_start: behaviour.id_start,
            carrier: Carrier::new(behaviour, seed),
            receipts: BTreeMap::new(),
            inbound: BTreeMap::new(),
            bound: Vec::new(),
            written: Written::default(),
        }
    }
}

impl World {
    // ---- upstream ----

    pub(super) fn connect_client(&mut self, slot: usize) -> Judged {
        let now = self.now();
        let Some(ours) = self.upstream_end() else {
            let us = 100_000 + self.dice.up_to(300_000);
            self.after(us, Due::Connect { slot });
            return Ok(());
        };
        let settings = smpp::Settings { enquire_link_timeout_ms: 3_000, window: 20, ..smpp::Settings::client() };
        let role = Role::Client(ClientEnd { slot });
        let theirs = End { session: Session::new(settings, now), role, input: Vec::new(), mail: Vec::new(), timer_us: 0 };
        let (at, account) = (self.connections.len(), ACCOUNTS[self.slots[slot].account]);
        self.note(None, || format!("connection {at}: upstream session of {account}"));
        self.connect(ours, theirs).map(|_| ())
    }

    pub(super) fn client_opened(&mut self, client: ClientEnd, session: &mut Session) {
        let now = self.now();
        let slot = &self.slots[client.slot];
        let name = ACCOUNTS[slot.account].as_bytes();
        session.bind(slot.kind, &Bind { system_id: name, password: name, interface_version: 0x34, ..Bind::default() }, now);
    }

    pub(super) fn client_closed(&mut self, client: ClientEnd) {
        self.slots[client.slot].bound = None;
        let us = 50_000 + self.dice.up_to(500_000);
        self.after(us, Due::Connect { slot: client.slot });
    }

    pub(super) fn client_event(&mut self, at: usize, client: ClientEnd, session: &mut Session, event: Event<'_>) -> Judged {
        match event {
            Event::Bound { .. } => self.slots[client.slot].bound = Some(at),
            Event::Response { token, status, pdu, .. } => return self.client_answered(token, status, pdu.as_ref()),
            Event::Request { sequence, pdu: Pdu::DeliverSm(sm) } => return self.client_got(at, client, sequence, &sm),
            Event::Request { sequence, .. } => session.respond(sequence, status::ESME_RINVCMDID, &Pdu::GenericNack),
            _ => {}
        }
        Ok(())
    }

    fn client_got(&mut self, at: usize, client: ClientEnd, sequence: u32, sm: &Sm<'_>) -> Judged {
        let id = sm.tlvs.c_octet(tag::RECEIPTED_MESSAGE_ID).and_then(MessageId::parse);
        let state = sm.tlvs.u8(tag::MESSAGE_STATE);
        let is_final = sm.esm_class & 0x3c == 0x04;
        let what = match (id, state) {
            (Some(id), Some(state)) if is_final => Delivered::Final(id.0, state),
            (Some(_), _) => Delivered::Other,
            (None, _) => {
                let octets =
                    if sm.short_message.is_empty() { sm.tlvs.first(tag::MESSAGE_PAYLOAD).unwrap_or_default() } else { sm.short_message };
                let text = String::from_utf8_lossy(octets);
                self.note(None, || format!("upstream gets the inbound text {text}"));
                self.judge.inbound.came_to(self.slots[client.slot].account, &text)?;
                read_inbound(&text).map_or(Delivered::Other, Delivered::Inbound)
            }
        };
        let settings = &self.settings;
        let (later, never, silent) = match self.is_calm {
            true => (0.0, 0.0, 0.0),
            false => (settings.upstream_later, settings.upstream_never, settings.upstream_silent),
        };
        let status = if self.dice.chance(later) {
            Some(status::ESME_RX_T_APPN)
        } else if self.dice.chance(never) {
            Some(status::ESME_RX_R_APPN)
        } else {
            (!self.dice.chance(silent)).then_some(status::ESME_ROK)
        };
        let number = id.and_then(|id| self.judge.number_of(id));
        self.note(number, || format!("upstream gets state {state:?}, final {is_final}, answers {status:?}"));
        if let Some(status) = status {
            let us = self.dice.up_to(self.settings.upstream_answer_ms * 1000);
            self.after(us, Due::Respond { at, sequence, status, what });
        }
        Ok(())
    }

    pub(super) fn respond(&mut self, at: usize, sequence: u32, status: u32, what: Delivered) -> Judged {
        let Some(end) = &mut self.connections[at].ends[Side::Peer as usize] else { return Ok(()) };
        end.session.respond_message_id(command::DELIVER_SM, sequence, status, b"");
        self.after(0, Due::Nudge { at, side: Side::Peer });
        let answer: DeliveryAnswer = delivery_answer(status);
        match what {
            Delivered::Final(id, state) => {
                let number = self.judge.number_of(MessageId(id));
                self.note(number, || format!("upstream answers the final report with {status:#x}"));
                let state = ReceiptState::from_u8(state).unwrap_or(ReceiptState::Unknown);
                self.judge.upstream_got(MessageId(id), state, Some(answer))
            }
            Delivered::Inbound(number) if answer != DeliveryAnswer::Later => {
                self.judge.inbound.answered(number, answer == DeliveryAnswer::Taken);
                Ok(())
            }
            Delivered::Inbound(_) | Delivered::Other => Ok(()),
        }
    }

    /// One of the account's connections that is bound to submit.
    pub(super) fn transmitter(&mut self, account: usize) -> Option<usize> {
        let usable = |slot: &&ClientSlot| slot.account == account && slot.kind.transmits();
        let places: Vec<usize> = self.slots.iter().filter(usable).filter_map(|slot| slot.bound).collect();
        let last = places.len().checked_sub(1)?;
        Some(places[self.dice.up_to(last as u64) as usize])
    }

    // ---- carriers ----

    pub(super) fn operator_end(&mut self, carrier: usize) -> End {
        let settings = smpp::Settings {
            window: 20,
            inbound_window: 10_000,
            response_timeout_ms: 3_000,
            enquire_link_timeout_ms: 3_000,
            ..smpp::Settings::server()
        };
        let role = Role::Operator(OperatorEnd { carrier, key: None, next_us: None, hangs_up: false });
        End { session: Session::new(settings, self.now()), role, input: Vec::new(), mail: Vec::new(), timer_us: 0 }
    }

    pub(super) fn operator_event(&mut self, at: usize, end: &mut OperatorEnd, session: &mut Session, event: Event<'_>) -> Judged {
        let now = self.now();
        match event {
            Event::BindRequest { sequence, kind, bind } => {
                session.accept_bind(sequence, kind, bind.interface_version, b"operator", now);
                let operator = &mut self.operators[end.carrier];
                let key = operator.carrier.bind_up(kind.receives(), now);
                operator.bound.push((key, at));
                end.key = Some(key);
            }
            Event::Request { sequence, pdu: Pdu::SubmitSm(sm) } => return self.operator_takes(end, session, sequence, &sm),
            Event::Request { sequence, .. } => session.respond(sequence, status::ESME_RINVCMDID, &Pdu::GenericNack),
            Event::Response { token, status, .. } => return self.operator_told(end, token, Some(status)),
            Event::Timeout { token } => return self.operator_told(end, token, None),
            _ => {}
        }
        Ok(())
    }

    fn operator_takes(&mut self, end: &mut OperatorEnd, session: &mut Session, sequence: u32, sm: &Sm<'_>) -> Judged {
        let now = self.now();
        let Some(key) = end.key else { return Ok(()) };
        let submit = Submit::of(command::SUBMIT_SM_RESP, sequence, sm);
        let text = read_text(submit.text, submit.data_coding == 8);
        let digits = String::from_utf8_lossy(sm.destination.addr).into_owned();
        let number = read_mark(&text).map(|number| self.judge.resolve(number, &digits));
        let header = submit.part;
        let operator = &mut self.operators[end.carrier];
        let before = operator.carrier.counts().taken;
        let action = operator.carrier.submit(key, &submit, now);
        let taken = operator.carrier.counts().taken > before;
        let id = operator.id_start + before;
        self.note(number, || format!("carrier {} gets {header:?}, takes it {taken} as {id}", end.carrier));
        match action {
            Some(Action::HangUp) => end.hangs_up = true,
            Some(Action::Answer { command_id, sequence, status, id }) => {
                let id = self.operators[end.carrier].carrier.id_text(id);
                session.respond_message_id(command_id, sequence, status, &id);
            }
            _ => {}
        }
        if let Some(number) = number.filter(|&number| number < self.judge.records.len()) {
            self.judge.orders.arrives(number, &self.judge.records, end.carrier as u16)?;
        }
        match number {
            Some(number) if taken => {
                let copy = Taken { carrier: end.carrier, copy: id, header, text: &text, at_ms: self.elapsed_ms() };
                self.judge.taken_by(number, &copy)
            }
            _ => Ok(()),
        }
    }

    /// The gateway answered a delivery, or didn't.
    fn operator_told(&mut self, end: &OperatorEnd, token: u64, status: Option<u32>) -> Judged {
        let (Some(key), now) = (end.key, self.now()) else { return Ok(()) };
        self.phone_heard(end.carrier, token, status == Some(status::ESME_ROK));
        if let Some(&(id, state)) = self.operators[end.carrier].receipts.get(&token) {
            let answered = status == Some(status::ESME_ROK);
            let number = self.judge.carrier_reports(end.carrier, id, state, answered);
            self.note(number, || format!("carrier {}: its {state:?} on {id} is answered with {status:?}", end.carrier));
            if answered && let Some(number) = number {
                self.judge.first_delivered_wins(number, end.carrier, state)?;
            }
        }
        if let Some(&(number, part)) = self.operators[end.carrier].inbound.get(&token)
            && status == Some(status::ESME_ROK)
        {
            self.judge.inbound.stored(number, part);
        }
        self.operators[end.carrier].carrier.delivered(key, token, status, now);
        Ok(())
    }

    pub(super) fn operator_batch_end(&mut self, at: usize, end: &mut OperatorEnd, session: &mut Session) -> Judged {
        let (Some(key), now) = (end.key, self.now()) else { return Ok(()) };
        let mut actions = Vec::new();
        self.operators[end.carrier].carrier.due(key, session.free(), now, &mut actions);
        let mut room = true;
        for action in actions {
            match action {
                Action::Answer { command_id, sequence, status, id } => {
                    let id = self.operators[end.carrier].carrier.id_text(id);
                    session.respond_message_id(command_id, sequence, status, &id);
                }
                Action::Deliver { token } => room &= room && self.operator_delivers(end, key, session, token),
                Action::HangUp => end.hangs_up = true,
                Action::Unbind => session.unbind(now),
            }
        }
        end.next_us = self.operators[end.carrier].carrier.next_due(key);
        if end.hangs_up {
            session.close(CloseCause::Killed);
        }
        self.wake_operators(end.carrier, at);
        Ok(())
    }

    fn operator_delivers(&mut self, end: &OperatorEnd, key: BindKey, session: &mut Session, token: u64) -> bool {
        let now = self.now();
        let Operator { carrier, written, inbound, .. } = &mut self.operators[end.carrier];
        let mut out = std::mem::take(written);
        let Some(delivery) = carrier.write(token, &mut out) else { return true };
        let (from, to) = (delivery.source.clone(), delivery.destination.clone());
        let what = delivery.what;
        let sm = Sm {
            source: Addr { ton: from.ton, npi: from.npi, addr: &from.digits },
            destination: Addr { ton: to.ton, npi: to.npi, addr: &to.digits },
            esm_class: out.esm_class,
            short_message: &out.text,
            tlvs: out.tlvs.as_tlvs(),
            ..Sm::default()
        };
        let sent = session.request(token, &Pdu::DeliverSm(sm), now).is_ok();
        if !sent {
            carrier.not_sent(key, token);
        }
        *written = out;
        if let Some(&(number, part)) = inbound.get(&token).filter(|_| sent) {
            self.judge.inbound.sent(number, part);
            self.note(None, || format!("carrier {} delivers part {part} of inbound {number}", end.carrier));
        }
        let receipts = &mut self.operators[end.carrier].receipts;
        if let What::Receipt { id, state, .. } = what {
            receipts.insert(token, (id, state));
            if sent {
                let number = self.judge.carrier_reports(end.carrier, id, state, false);
                self.note(number, || format!("carrier {} reports {state:?} on {id}", end.carrier));
            }
        }
        sent
    }

    pub(super) fn wake_operators(&mut self, carrier: usize, but: usize) {
        let operator = &mut self.operators[carrier];
        let woken: Vec<BindKey> = operator.carrier.woken().collect();
        let places: Vec<usize> = operator.bound.iter().filter(|(key, at)| woken.contains(key) && *at != but).map(|(_, at)| *at).collect();
        for at in places {
            self.after(0, Due::Nudge { at, side: Side::Peer });
        }
    }

    pub(super) fn operator_closed(&mut self, end: &mut OperatorEnd, session: &mut Session) {
        let now = self.now();
        let Some(key) = end.key.take() else { return };
        let operator = &mut self.operators[end.carrier];
        operator.carrier.bind_down(key, &session.drain_in_flight(), now);
        operator.bound.retain(|(known, _)| *known != key);
        self.wake_operators(end.carrier, usize::MAX);
    }
}
