//! One session, sans-io, for both roles: which PDU is allowed when, windows, timers, numbers, unbinding (v3.4 §2, §7; v5.0 §2).
//! It knows octets and tokens; what a request means is for the handler that drives it.

mod fit;
mod receive;
mod timers;
mod types;
mod unbind;
mod window;

use bytes::BytesMut;

use super::encode::{encode, encode_empty, encode_message_id_resp};
use super::pdu::{Bind, BindKind, BindResp, Outbind, Pdu};
use super::tlv::{Tlvs, tag};
use super::{command, status};
use crate::model::clock::Now;
use fit::{sendable, without_tlvs};
use unbind::Unbinding;
use window::{InFlight, LateMemory, MAX_SEQUENCE};

pub use types::{CloseCause, Counters, Event, RequestError, Role, SessionState, Settings};
pub use window::MAX_LATE;

/// Greatest window that [`Settings::window`] is taken for.
pub const MAX_WINDOW: usize = 65_536;
/// Refused binds after which the server closes.
pub const MAX_FAILED_BINDS: u8 = 3;
/// `interface_version` from which on a peer knows TLVs.
pub const VERSION_3_4: u8 = 0x34;
/// What a peer is taken for that does not tell its version.
const VERSION_3_3: u8 = 0x33;

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

    /// The end that was decided on, told once.
    fn take_close(&mut self) -> Option<Event<'static>> {
        let cause = self.close.take()?;
        self.state = SessionState::Closed;
        Some(Event::Closed { cause })
    }
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
