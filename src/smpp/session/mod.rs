//! One session, sans-io, for both roles: which PDU is allowed when, windows, timers, numbers, unbinding (v3.4 §2, §7; v5.0 §2).
//! It knows octets and tokens; what a request means is for the handler that drives it.

mod receive;
mod timers;
mod window;

use bytes::BytesMut;

use super::decode::DecodeLimits;
use super::encode::{encode, encode_empty, encode_message_id_resp};
use super::pdu::{Bind, BindKind, BindResp, Outbind, Pdu};
use super::tlv::{Tlvs, tag};
use super::{command, status};
use crate::model::clock::Now;
use window::{InFlight, LateMemory, MAX_SEQUENCE};

pub use window::MAX_LATE;

/// Greatest window that [`Settings::window`] is taken for.
pub const MAX_WINDOW: usize = 65_536;
/// Refused binds after which the server closes.
pub const MAX_FAILED_BINDS: u8 = 3;
/// `interface_version` from which on a peer knows TLVs.
pub const VERSION_3_4: u8 = 0x34;
/// What a peer is taken for that does not tell its version.
const VERSION_3_3: u8 = 0x33;

/// Which side of the protocol this end plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Message centre: takes binds and submissions.
    Server,
    /// ESME: binds and submits.
    Client,
}

/// All that a session can be told. Times are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Which side.
    pub role: Role,
    /// Own requests in flight, 1 to [`MAX_WINDOW`].
    pub window: usize,
    /// Requests of the peer in progress that are his right.
    pub inbound_window: usize,
    /// How many more are let through; beyond both the session answers 0x58.
    pub inbound_slack: usize,
    /// After this long without an answer a request is in doubt.
    pub response_timeout_ms: u64,
    /// Silence after which enquire_link is sent; 0 never.
    pub enquire_link_ms: u64,
    /// Silence after an enquire_link that ends the connection.
    pub enquire_link_timeout_ms: u64,
    /// Time without any PDU of the peer after which the server unbinds; 0 never.
    pub inactivity_ms: u64,
    /// Connect to bind, and refused bind to the next.
    pub session_init_ms: u64,
    /// Bind to its response.
    pub bind_response_ms: u64,
    /// First to last octet of one PDU.
    pub pdu_completion_ms: u64,
    /// Longest wait in each step of unbinding: for answers before it, for the unbind_resp, for the last answers after it.
    pub unbind_timeout_ms: u64,
    /// How long requests that timed out are remembered (at most [`MAX_LATE`] of them).
    pub late_response_ms: u64,
    /// Greatest `command_length` taken, octets.
    pub max_pdu: usize,
    /// The version we speak.
    pub interface_version: u8,
    /// Lengths of credentials.
    pub limits: DecodeLimits,
    /// Client: wait for an outbind rather than refuse it.
    pub accept_outbind: bool,
    /// Client: send TLVs also to servers that leave sc_interface_version out.
    pub assume_tlvs: bool,
}

impl Settings {
    /// The defaults of the server side.
    pub fn server() -> Self {
        Settings {
            role: Role::Server,
            window: 10,
            inbound_window: 10,
            inbound_slack: 10,
            response_timeout_ms: 30_000,
            enquire_link_ms: 30_000,
            enquire_link_timeout_ms: 10_000,
            inactivity_ms: 120_000,
            session_init_ms: 5_000,
            bind_response_ms: 10_000,
            pdu_completion_ms: 10_000,
            unbind_timeout_ms: 5_000,
            late_response_ms: 300_000,
            max_pdu: 128 * 1024,
            interface_version: VERSION_3_4,
            limits: DecodeLimits::default(),
            accept_outbind: false,
            assume_tlvs: false,
        }
    }

    /// The defaults of the client side. A carrier's receipts are to be stored, not refused: the inbound window is wide, and TLVs of a
    /// wrong length are let through.
    pub fn client() -> Self {
        let limits = DecodeLimits { any_tlv_length: true, ..DecodeLimits::default() };
        Settings { role: Role::Client, inbound_window: 1_000, inbound_slack: 1_000, inactivity_ms: 0, limits, ..Settings::server() }
    }
}

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// Connected, nobody has bound.
    Open,
    /// outbind was sent or received; a bind is due.
    Outbound,
    /// A bind waits for its answer.
    Binding,
    /// Bound as transmitter.
    BoundTx,
    /// Bound as receiver.
    BoundRx,
    /// Bound as transceiver.
    BoundTrx,
    /// One side wants to leave; no new requests of ours.
    Unbinding,
    /// Over.
    Closed,
}

impl SessionState {
    /// Whether messages may flow.
    pub const fn is_bound(self) -> bool {
        matches!(self, SessionState::BoundTx | SessionState::BoundRx | SessionState::BoundTrx)
    }
}

/// Why a session ended. The last ones are for the driver, which sees what the session cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseCause {
    /// We unbound and the peer agreed.
    Unbound,
    /// The peer unbound.
    PeerUnbind,
    /// No bind came in time.
    SessionInitTimeout,
    /// No answer to our bind came in time.
    BindTimeout,
    /// The bind was refused (by us too often, or by the peer).
    BindRefused,
    /// Silence after enquire_link.
    EnquireLinkTimeout,
    /// No PDU for too long; we unbound.
    Inactivity,
    /// A PDU was begun and not finished.
    PduTimeout,
    /// An unbind was not answered in time, or the last answers did not come.
    UnbindTimeout,
    /// `command_length` made no sense.
    Framing,
    /// The peer closed the connection without unbind.
    PeerClosed,
    /// The socket failed.
    Io,
    /// The peer did not read what we sent.
    SlowPeer,
    /// Ended at once from our side.
    Killed,
}

impl CloseCause {
    /// Short name for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            CloseCause::Unbound => "unbound",
            CloseCause::PeerUnbind => "peer_unbind",
            CloseCause::SessionInitTimeout => "session_init_timeout",
            CloseCause::BindTimeout => "bind_timeout",
            CloseCause::BindRefused => "bind_refused",
            CloseCause::EnquireLinkTimeout => "enquire_link_timeout",
            CloseCause::Inactivity => "inactivity",
            CloseCause::PduTimeout => "pdu_timeout",
            CloseCause::UnbindTimeout => "unbind_timeout",
            CloseCause::Framing => "framing",
            CloseCause::PeerClosed => "peer_closed",
            CloseCause::Io => "io",
            CloseCause::SlowPeer => "slow_peer",
            CloseCause::Killed => "killed",
        }
    }
}

/// Why [`Session::request`] did not take a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No free slot.
    #[error("the window is full")]
    WindowFull,
    /// The session is not bound for this command, or is unbinding.
    #[error("the session is not bound for this command")]
    NotBound,
    /// The PDU cannot be written as it is: a string is too long or holds a NUL, or it needs a TLV that the peer does not know.
    #[error("the PDU cannot be sent to this peer")]
    Unsendable,
}

/// What the session tells its handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'b> {
    /// Server: to be answered by [`Session::accept_bind`] or [`Session::refuse_bind`], at once or later.
    BindRequest {
        /// Number to answer with.
        sequence: u32,
        /// Which bind.
        kind: BindKind,
        /// Who.
        bind: Bind<'b>,
    },
    /// Client: the bind was accepted.
    Bound {
        /// Body of the answer.
        resp: Option<BindResp<'b>>,
    },
    /// Client: the bind was refused; the session closes.
    BindRefused {
        /// With what.
        status: u32,
    },
    /// Client that waits for it: check the credentials, then [`Session::bind`] or [`Session::close`].
    Outbind(Outbind<'b>),
    /// To be answered by [`Session::respond`]; alert_notification has no answer.
    Request {
        /// Number to answer with.
        sequence: u32,
        /// What is asked.
        pdu: Pdu<'b>,
    },
    /// The answer to a request of ours.
    Response {
        /// What [`Session::request`] was given.
        token: u64,
        /// `command_status`; never 0 for a generic_nack.
        status: u32,
        /// The answer; `None` for a generic_nack or when the body made no sense.
        pdu: Option<Pdu<'b>>,
        /// It comes after [`Event::Timeout`] for the same token.
        late: bool,
    },
    /// No answer in time: the request is in doubt, its slot is free.
    Timeout {
        /// What [`Session::request`] was given.
        token: u64,
    },
    /// The peer wants to leave; it gets its answer once its own requests are answered. Nothing new is sent.
    PeerUnbind,
    /// Write what is in the output, then close the socket.
    Closed {
        /// Why.
        cause: CloseCause,
    },
}

/// What happened on a session that is nobody's event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Whole PDUs received.
    pub pdus_in: u64,
    /// PDUs that could not be decoded.
    pub undecodable: u64,
    /// Commands of neither version.
    pub unknown_commands: u64,
    /// Requests refused because the state did not allow them.
    pub wrong_state: u64,
    /// Requests answered with 0x58 because the inbound window and its slack were used up.
    pub over_window: u64,
    /// Answers to timed-out requests.
    pub late_responses: u64,
    /// Second answers, and answers to numbers that were never sent or are forgotten.
    pub unmatched_responses: u64,
    /// generic_nacks of the peer.
    pub nacks_in: u64,
    /// Requests of ours that timed out.
    pub timeouts: u64,
}

/// How far unbinding has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unbinding {
    No,
    /// We want to leave and wait for our answers before we say so: many peers close right after unbind_resp.
    Draining,
    /// Our unbind waits for its answer.
    Sent {
        sequence: u32,
    },
    /// Our unbind is answered; the peer's last requests wait for their answers.
    Agreed,
    /// The peer wants to leave; its requests wait for their answers first.
    PeerWaits {
        sequence: u32,
    },
    /// The peer has its answer; ours may still come.
    PeerAnswered,
}

/// One session. See the module for what it does not do.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    state: SessionState,
    kind: BindKind,
    out: BytesMut,
    next_sequence: u32,
    in_flight: InFlight,
    late: LateMemory,
    inbound: usize,
    bind_sequence: u32,
    failed_binds: u8,
    peer_version: u8,
    unbinding: Unbinding,
    /// What the session will be said to have ended of once unbinding is through.
    cause: CloseCause,
    close: Option<CloseCause>,
    counters: Counters,
    timers: timers::Timers,
}

impl Session {
    /// A session on a fresh connection.
    pub fn new(settings: Settings, now: Now) -> Session {
        let mut settings = settings;
        settings.window = settings.window.clamp(1, MAX_WINDOW);
        Session {
            state: SessionState::Open,
            kind: BindKind::Transceiver,
            out: BytesMut::new(),
            next_sequence: 1,
            in_flight: InFlight::default(),
            late: LateMemory::default(),
            inbound: 0,
            bind_sequence: 0,
            failed_binds: 0,
            peer_version: VERSION_3_3,
            unbinding: Unbinding::No,
            cause: CloseCause::Unbound,
            close: None,
            counters: Counters::default(),
            timers: timers::Timers::new(&settings, now),
            settings,
        }
    }

    /// What must be written to the peer; the driver takes it away.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// Client: sends a bind. Nothing happens unless the session is open.
    pub fn bind(&mut self, kind: BindKind, bind: &Bind<'_>, now: Now) {
        if self.settings.role != Role::Client || !matches!(self.state, SessionState::Open | SessionState::Outbound) {
            return;
        }
        self.kind = kind;
        self.bind_sequence = self.next_number();
        self.state = SessionState::Binding;
        self.timers.phase(now, self.settings.bind_response_ms);
        encode(status::ESME_ROK, self.bind_sequence, &Pdu::bind(kind, *bind), &mut self.out);
    }

    /// Server: accepts the bind of an [`Event::BindRequest`]. The answer names our version only to peers that know TLVs.
    pub fn accept_bind(&mut self, sequence: u32, kind: BindKind, peer_version: u8, system_id: &[u8], now: Now) {
        if self.state != SessionState::Binding || self.bind_sequence != sequence {
            return;
        }
        self.peer_version = peer_version;
        let version = [0x02, 0x10, 0x00, 0x01, self.settings.interface_version];
        let tlvs = if self.allows_tlvs() { Tlvs::from_raw(&version).unwrap_or_default() } else { Tlvs::EMPTY };
        encode(status::ESME_ROK, sequence, &Pdu::bind_resp(kind, Some(BindResp { system_id, tlvs })), &mut self.out);
        self.bound(kind, now);
    }

    /// Server: refuses the bind of an [`Event::BindRequest`]. The peer may try again within the session_init timer, in all
    /// [`MAX_FAILED_BINDS`] times.
    pub fn refuse_bind(&mut self, sequence: u32, kind: BindKind, status: u32) {
        if self.state != SessionState::Binding || self.bind_sequence != sequence {
            return;
        }
        self.state = SessionState::Open;
        self.refuse_bind_with(kind.command(), sequence, status);
    }

    fn refuse_bind_with(&mut self, command_id: u32, sequence: u32, status: u32) {
        encode_empty(command_id | command::RESPONSE_BIT, status, sequence, &mut self.out);
        self.timers.phase_from_last(self.settings.session_init_ms);
        self.failed_binds += 1;
        if self.failed_binds >= MAX_FAILED_BINDS {
            self.close(CloseCause::BindRefused);
        }
    }

    /// Server: asks the ESME to bind.
    pub fn outbind(&mut self, system_id: &[u8], password: &[u8], now: Now) {
        if self.settings.role != Role::Server || self.state != SessionState::Open {
            return;
        }
        let sequence = self.next_number();
        self.state = SessionState::Outbound;
        self.timers.phase(now, self.settings.session_init_ms);
        encode(status::ESME_ROK, sequence, &Pdu::Outbind(Outbind { system_id, password }), &mut self.out);
    }

    /// Sends a request and enters it in the window; returns its sequence number. `token` comes back with the answer. Commands without an
    /// answer (alert_notification) take no slot. For peers below v3.4 TLVs are left out; a message_payload moves into short_message.
    pub fn request(&mut self, token: u64, pdu: &Pdu<'_>, now: Now) -> Result<u32, RequestError> {
        if !self.may_send(pdu) {
            return Err(RequestError::NotBound);
        }
        if self.in_flight.len() >= self.settings.window {
            return Err(RequestError::WindowFull);
        }
        if !sendable(pdu) {
            return Err(RequestError::Unsendable);
        }
        let plain;
        let pdu = if self.allows_tlvs() || pdu.tlvs().is_empty() {
            pdu
        } else {
            plain = without_tlvs(pdu).ok_or(RequestError::Unsendable)?;
            &plain
        };
        let sequence = self.next_number();
        encode(status::ESME_ROK, sequence, pdu, &mut self.out);
        if command::response_of(pdu.command_id()).is_some() {
            self.in_flight.insert(sequence, token, now.mono_us);
            self.timers.sent(now, self.settings.response_timeout_ms);
        }
        Ok(sequence)
    }

    /// Answers an [`Event::Request`]; leaves the inbound window.
    pub fn respond(&mut self, sequence: u32, status: u32, pdu: &Pdu<'_>) {
        if self.state == SessionState::Closed {
            return;
        }
        let pdu = if self.allows_tlvs() { *pdu } else { pdu.without_tlvs() };
        encode(status, sequence, &pdu, &mut self.out);
        self.answered();
    }

    /// As [`Session::respond`], for submit_sm, deliver_sm and data_sm (or their responses) by command. With an error status there is no body.
    pub fn respond_message_id(&mut self, command_id: u32, sequence: u32, status: u32, id: &[u8]) {
        if self.state == SessionState::Closed {
            return;
        }
        encode_message_id_resp(command_id | command::RESPONSE_BIT, status, sequence, id, &mut self.out);
        self.answered();
    }

    /// Slots of our window that can be used now; none unless bound.
    pub fn free(&self) -> usize {
        if self.state.is_bound() { self.settings.window.saturating_sub(self.in_flight.len()) } else { 0 }
    }

    /// Requests of ours that wait for an answer.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Requests of the peer that wait for [`Session::respond`].
    pub fn inbound(&self) -> usize {
        self.inbound
    }

    /// Tokens of all unanswered requests in order of sending; the window is empty afterwards.
    pub fn drain_in_flight(&mut self) -> Vec<u64> {
        self.in_flight.expire(u64::MAX, self.next_sequence).into_iter().map(|(_, token)| token).collect()
    }

    /// Leaves in good order: nothing new is sent, answers are waited for, then unbind, then [`Event::Closed`]. An unbound session closes at once.
    pub fn unbind(&mut self, now: Now) {
        self.leave(CloseCause::Unbound, now);
    }

    /// Ends the session without unbind; [`Event::Closed`] follows.
    pub fn close(&mut self, cause: CloseCause) {
        if self.state != SessionState::Closed {
            self.close.get_or_insert(cause);
        }
    }

    /// The peer's interface_version; 0x33 until known.
    pub fn peer_version(&self) -> u8 {
        self.peer_version
    }

    /// Whether TLVs may be sent.
    pub fn allows_tlvs(&self) -> bool {
        self.peer_version >= VERSION_3_4
    }

    /// Where it is.
    pub fn state(&self) -> SessionState {
        self.state
    }

    /// How it is bound (or was asked to be).
    pub fn kind(&self) -> BindKind {
        self.kind
    }

    /// What it was told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes our own window; requests in flight stay.
    pub fn set_window(&mut self, window: usize) {
        self.settings.window = window.clamp(1, MAX_WINDOW);
    }

    /// Changes the peer's window and slack, once it is known whose session it is.
    pub fn set_inbound_window(&mut self, window: usize, slack: usize) {
        self.settings.inbound_window = window;
        self.settings.inbound_slack = slack;
    }

    /// What nobody was told of.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn bound(&mut self, kind: BindKind, now: Now) {
        self.kind = kind;
        self.state = match kind {
            BindKind::Transmitter => SessionState::BoundTx,
            BindKind::Receiver => SessionState::BoundRx,
            BindKind::Transceiver => SessionState::BoundTrx,
        };
        self.timers.bound(now);
    }

    fn may_send(&self, pdu: &Pdu<'_>) -> bool {
        if !self.state.is_bound() {
            return false;
        }
        match (self.settings.role, pdu) {
            (_, Pdu::DataSm(_)) => true,
            (Role::Client, Pdu::SubmitSm(_) | Pdu::SubmitMulti(_) | Pdu::QuerySm(_) | Pdu::CancelSm(_) | Pdu::ReplaceSm(_)) => {
                self.kind.transmits()
            }
            (Role::Client, Pdu::BroadcastSm(_) | Pdu::QueryBroadcastSm(_) | Pdu::CancelBroadcastSm(_)) => self.kind.transmits(),
            (Role::Server, Pdu::DeliverSm(_) | Pdu::AlertNotification(_)) => self.kind.receives(),
            _ => false,
        }
    }

    fn answered(&mut self) {
        self.inbound = self.inbound.saturating_sub(1);
        if self.unbinding != Unbinding::No {
            self.advance_unbinding();
        }
    }

    /// The next sequence number, 1 to 0x7FFFFFFF in a circle, leaving out those still in flight.
    fn next_number(&mut self) -> u32 {
        loop {
            let sequence = self.next_sequence;
            self.next_sequence = if sequence >= MAX_SEQUENCE { 1 } else { sequence + 1 };
            if !self.in_flight.contains(sequence) {
                return sequence;
            }
        }
    }

    fn leave(&mut self, cause: CloseCause, now: Now) {
        self.timers.see(now);
        if self.state.is_bound() {
            self.state = SessionState::Unbinding;
            self.cause = cause;
            self.unbinding = Unbinding::Draining;
            self.timers.phase(now, self.settings.unbind_timeout_ms);
            self.advance_unbinding();
        } else if self.state != SessionState::Unbinding {
            self.close(cause);
        }
    }

    /// Takes the steps of unbinding that nothing stands in the way of.
    fn advance_unbinding(&mut self) {
        match self.unbinding {
            Unbinding::Draining if self.in_flight.len() == 0 => self.send_unbind(),
            Unbinding::Agreed if self.inbound == 0 => self.close(self.cause),
            Unbinding::PeerWaits { sequence } if self.inbound == 0 => self.answer_unbind(sequence),
            Unbinding::PeerAnswered if self.in_flight.len() == 0 => self.close(self.cause),
            _ => {}
        }
    }

    fn send_unbind(&mut self) {
        let sequence = self.next_number();
        encode_empty(command::UNBIND, status::ESME_ROK, sequence, &mut self.out);
        self.unbinding = Unbinding::Sent { sequence };
        self.timers.phase_from_last(self.settings.unbind_timeout_ms);
    }

    fn answer_unbind(&mut self, sequence: u32) {
        encode_empty(command::UNBIND_RESP, status::ESME_ROK, sequence, &mut self.out);
        self.unbinding = Unbinding::PeerAnswered;
        self.timers.phase_from_last(self.settings.unbind_timeout_ms);
        self.advance_unbinding();
    }

    /// The end that was decided on, told once.
    fn take_close(&mut self) -> Option<Event<'static>> {
        let cause = self.close.take()?;
        self.state = SessionState::Closed;
        Some(Event::Closed { cause })
    }
}

/// Whether every string fits its field; only what we make ourselves is in question, so one look at lengths and NULs will do.
fn sendable(pdu: &Pdu<'_>) -> bool {
    let text = |text: &[u8], max: usize| text.len() <= max && !text.contains(&0);
    match pdu {
        Pdu::SubmitSm(sm) | Pdu::DeliverSm(sm) => {
            text(sm.service_type, 5)
                && text(sm.source.addr, 20)
                && text(sm.destination.addr, 20)
                && text(sm.schedule_delivery_time, 16)
                && text(sm.validity_period, 16)
                && sm.short_message.len() <= 255
        }
        Pdu::SubmitMulti(multi) => text(multi.sm.source.addr, 20) && !multi.dests.is_empty() && multi.sm.short_message.len() <= 255,
        Pdu::DataSm(sm) => text(sm.source.addr, 64) && text(sm.destination.addr, 64),
        Pdu::QuerySm(sm) => text(sm.message_id, 64) && text(sm.source.addr, 20),
        Pdu::CancelSm(sm) => text(sm.message_id, 64) && text(sm.source.addr, 20) && text(sm.destination.addr, 20),
        Pdu::ReplaceSm(sm) => text(sm.message_id, 64) && text(sm.source.addr, 20) && sm.short_message.len() <= 255,
        _ => true,
    }
}

/// The PDU for a peer that knows no TLVs, with the text where such a peer looks for it; `None` if it does not fit there.
fn without_tlvs<'a>(pdu: &Pdu<'a>) -> Option<Pdu<'a>> {
    let payload = pdu.tlvs().first(tag::MESSAGE_PAYLOAD);
    let mut plain = pdu.without_tlvs();
    if let Some(payload) = payload {
        let room = match &mut plain {
            Pdu::SubmitSm(sm) | Pdu::DeliverSm(sm) => &mut sm.short_message,
            Pdu::SubmitMulti(multi) => &mut multi.sm.short_message,
            Pdu::ReplaceSm(sm) => &mut sm.short_message,
            _ => return None,
        };
        if !room.is_empty() || payload.len() > 254 {
            return None;
        }
        *room = payload;
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smpp::pdu::{Addr, Sm};

    #[test]
    fn numbers_wrap_to_one_and_skip_what_is_still_in_flight() {
        let now = Now::default();
        let mut session = Session::new(Settings::client(), now);
        session.bound(BindKind::Transceiver, now);
        let submit = Pdu::SubmitSm(Sm { destination: Addr { ton: 1, npi: 1, addr: b"1" }, ..Sm::default() });
        assert_eq!(session.request(10, &submit, now), Ok(1));
        assert_eq!(session.request(11, &submit, now), Ok(2));
        session.next_sequence = MAX_SEQUENCE;
        assert_eq!(session.request(12, &submit, now), Ok(MAX_SEQUENCE));
        assert_eq!(session.request(13, &submit, now), Ok(3));
        let mut tokens = session.drain_in_flight();
        tokens.sort_unstable();
        assert_eq!(tokens, [10, 11, 12, 13]);
    }
}
