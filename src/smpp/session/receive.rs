//! What the peer sends: one PDU at a time is cut, decoded, and either answered here or told to the handler.

use super::*;
use crate::smpp::decode::{DecodeError, decode};
use crate::smpp::frame::{self, FrameError};
use crate::smpp::pdu::{Header, MessageIdResp};
use window::Late;

impl Session {
    /// Cuts and handles one PDU at the start of `input`. Returns how many octets are used up (0: more are needed) and at most one event,
    /// borrowed from `input`. Many PDUs are answered here and bring no event, so go on until 0 octets and no event come back.
    pub fn next<'b>(&mut self, input: &'b [u8], now: Now) -> (usize, Option<Event<'b>>) {
        if let Some(event) = self.take_close() {
            return (input.len(), Some(event));
        }
        if self.state == SessionState::Closed {
            return (input.len(), None);
        }
        self.timers.received(input.len(), now);
        match frame::next(input, self.settings.max_pdu) {
            Ok(Some(frame)) => {
                self.timers.whole_pdu(frame.len(), now);
                self.counters.pdus_in += 1;
                (frame.len(), self.receive(frame, now))
            }
            Ok(None) => {
                if !input.is_empty() {
                    self.timers.partial_pdu(now);
                }
                (0, None)
            }
            Err(error) => {
                let sequence = match error {
                    FrameError::TooShort { .. } => 0,
                    FrameError::TooLong { sequence, .. } => sequence,
                };
                self.nack(status::ESME_RINVCMDLEN, sequence);
                self.close(CloseCause::Framing);
                (input.len(), self.take_close())
            }
        }
    }

    fn receive<'b>(&mut self, frame: &'b [u8], now: Now) -> Option<Event<'b>> {
        let (header, pdu) = match decode(frame, &self.settings.limits) {
            Ok(decoded) => decoded,
            Err(error) => return self.undecodable(&error, frame),
        };
        match pdu {
            Pdu::EnquireLink => {
                encode_empty(command::ENQUIRE_LINK_RESP, status::ESME_ROK, header.sequence, &mut self.out);
                None
            }
            // Any octet counts as life, so there is nothing left to do.
            Pdu::EnquireLinkResp => None,
            Pdu::GenericNack => self.on_nack(&header),
            Pdu::Unbind => self.on_unbind(&header),
            Pdu::UnbindResp => self.on_unbind_resp(header.sequence),
            Pdu::BindReceiver(bind) => self.on_bind(&header, BindKind::Receiver, bind),
            Pdu::BindTransmitter(bind) => self.on_bind(&header, BindKind::Transmitter, bind),
            Pdu::BindTransceiver(bind) => self.on_bind(&header, BindKind::Transceiver, bind),
            Pdu::BindReceiverResp(resp) | Pdu::BindTransmitterResp(resp) | Pdu::BindTransceiverResp(resp) => {
                self.on_bind_resp(&header, resp, now)
            }
            Pdu::Outbind(outbind) => self.on_outbind(&header, outbind, now),
            _ if command::is_response(header.command_id) => self.on_response(header.sequence, header.status, Some(pdu)),
            _ => self.on_request(&header, pdu),
        }
    }

    fn on_request<'b>(&mut self, header: &Header, pdu: Pdu<'b>) -> Option<Event<'b>> {
        let sequence = header.sequence;
        let Some(response) = command::response_of(header.command_id) else {
            // alert_notification: nothing waits for an answer.
            if self.takes_requests() && self.settings.role == Role::Client {
                return Some(Event::Request { sequence, pdu });
            }
            self.counters.wrong_state += 1;
            self.nack(status::ESME_RINVCMDID, sequence);
            return None;
        };
        let allowed = match (self.settings.role, &pdu) {
            (_, Pdu::BroadcastSm(_) | Pdu::QueryBroadcastSm(_) | Pdu::CancelBroadcastSm(_)) => {
                self.counters.unknown_commands += 1;
                self.nack(status::ESME_RINVCMDID, sequence);
                return None;
            }
            (_, Pdu::DataSm(_)) => true,
            (Role::Server, Pdu::DeliverSm(_)) => false,
            (Role::Server, _) => self.kind.transmits(),
            // Some servers deliver on a transmitter bind too.
            (Role::Client, Pdu::DeliverSm(_)) => true,
            (Role::Client, _) => false,
        };
        if !allowed || !self.takes_requests() {
            self.counters.wrong_state += 1;
            encode_empty(response, status::ESME_RINVBNDSTS, sequence, &mut self.out);
            return None;
        }
        if self.inbound >= self.settings.inbound_window.saturating_add(self.settings.inbound_slack) {
            self.counters.over_window += 1;
            encode_empty(response, status::ESME_RTHROTTLED, sequence, &mut self.out);
            return None;
        }
        self.inbound += 1;
        Some(Event::Request { sequence, pdu })
    }

    /// Bound, or leaving of our own will: what crosses our unbind on the way is still taken. A peer that unbinds may ask nothing more.
    fn takes_requests(&self) -> bool {
        self.state.is_bound() || matches!(self.unbinding, Unbinding::Draining | Unbinding::Sent { .. })
    }

    fn on_response<'b>(&mut self, sequence: u32, status: u32, pdu: Option<Pdu<'b>>) -> Option<Event<'b>> {
        if let Some(token) = self.in_flight.take(sequence) {
            if self.unbinding != Unbinding::No {
                self.advance_unbinding();
            }
            return Some(Event::Response { token, status, pdu, late: false });
        }
        match self.late.take(sequence, self.next_sequence) {
            Late::First(token) => {
                self.counters.late_responses += 1;
                Some(Event::Response { token, status, pdu, late: true })
            }
            Late::Again | Late::Unknown => {
                self.counters.unmatched_responses += 1;
                None
            }
        }
    }

    fn on_nack<'b>(&mut self, header: &Header) -> Option<Event<'b>> {
        self.counters.nacks_in += 1;
        let status = if header.status == status::ESME_ROK { status::ESME_RUNKNOWNERR } else { header.status };
        match self.unbinding {
            Unbinding::Sent { sequence } if sequence == header.sequence => return self.on_unbind_resp(sequence),
            _ => {}
        }
        if self.state == SessionState::Binding && self.settings.role == Role::Client && header.sequence == self.bind_sequence {
            self.close(CloseCause::BindRefused);
            return Some(Event::BindRefused { status });
        }
        self.on_response(header.sequence, status, None)
    }

    fn on_unbind<'b>(&mut self, header: &Header) -> Option<Event<'b>> {
        if !self.state.is_bound() && self.state != SessionState::Unbinding {
            self.counters.wrong_state += 1;
            encode_empty(command::UNBIND_RESP, status::ESME_RINVBNDSTS, header.sequence, &mut self.out);
            return None;
        }
        if matches!(self.unbinding, Unbinding::PeerWaits { .. } | Unbinding::PeerAnswered) {
            encode_empty(command::UNBIND_RESP, status::ESME_ROK, header.sequence, &mut self.out);
            return None;
        }
        if self.unbinding == Unbinding::No {
            self.cause = CloseCause::PeerUnbind;
        }
        self.state = SessionState::Unbinding;
        self.unbinding = Unbinding::PeerWaits { sequence: header.sequence };
        self.timers.phase_from_last(self.settings.unbind_timeout_ms / 2);
        self.advance_unbinding();
        Some(Event::PeerUnbind)
    }

    fn on_unbind_resp<'b>(&mut self, sequence: u32) -> Option<Event<'b>> {
        if self.unbinding == (Unbinding::Sent { sequence }) {
            self.unbinding = Unbinding::Agreed;
            self.timers.phase_from_last(self.settings.unbind_timeout_ms);
            self.advance_unbinding();
        } else {
            self.counters.unmatched_responses += 1;
        }
        None
    }

    fn on_bind<'b>(&mut self, header: &Header, kind: BindKind, bind: Bind<'b>) -> Option<Event<'b>> {
        let sequence = header.sequence;
        if self.settings.role == Role::Server && matches!(self.state, SessionState::Open | SessionState::Outbound) {
            self.state = SessionState::Binding;
            self.bind_sequence = sequence;
            self.timers.phase_off();
            return Some(Event::BindRequest { sequence, kind, bind });
        }
        self.counters.wrong_state += 1;
        let status = if self.settings.role == Role::Server { status::ESME_RALYBND } else { status::ESME_RINVBNDSTS };
        encode_empty(kind.command() | command::RESPONSE_BIT, status, sequence, &mut self.out);
        None
    }

    fn on_bind_resp<'b>(&mut self, header: &Header, resp: Option<BindResp<'b>>, now: Now) -> Option<Event<'b>> {
        if self.settings.role != Role::Client || self.state != SessionState::Binding || header.sequence != self.bind_sequence {
            self.counters.unmatched_responses += 1;
            return None;
        }
        if header.status != status::ESME_ROK {
            self.close(CloseCause::BindRefused);
            return Some(Event::BindRefused { status: header.status });
        }
        let told = resp.and_then(|resp| resp.tlvs.u8(tag::SC_INTERFACE_VERSION));
        self.peer_version = told.unwrap_or(if self.settings.assume_tlvs { VERSION_3_4 } else { VERSION_3_3 });
        self.bound(self.kind, now);
        Some(Event::Bound { resp })
    }

    fn on_outbind<'b>(&mut self, header: &Header, outbind: Outbind<'b>, now: Now) -> Option<Event<'b>> {
        if self.settings.role == Role::Client && self.settings.accept_outbind && self.state == SessionState::Open {
            self.state = SessionState::Outbound;
            self.timers.phase(now, self.settings.session_init_ms);
            return Some(Event::Outbind(outbind));
        }
        self.counters.wrong_state += 1;
        self.nack(status::ESME_RINVCMDID, header.sequence);
        None
    }

    /// A body that makes no sense: requests get their own response, responses none; the session stays.
    fn undecodable<'b>(&mut self, error: &DecodeError, frame: &'b [u8]) -> Option<Event<'b>> {
        let header = error.header;
        if command::is_response(header.command_id) {
            return self.undecodable_response(&header, frame);
        }
        if !command::is_known(header.command_id) {
            self.counters.unknown_commands += 1;
            self.nack(error.status, header.sequence);
            return None;
        }
        self.counters.undecodable += 1;
        match (command::response_of(header.command_id), header.command_id) {
            (Some(_), command::BROADCAST_SM | command::QUERY_BROADCAST_SM | command::CANCEL_BROADCAST_SM) => {
                self.nack(status::ESME_RINVCMDID, header.sequence);
            }
            (Some(_), command::BIND_RECEIVER | command::BIND_TRANSMITTER | command::BIND_TRANSCEIVER)
                if self.settings.role == Role::Server && matches!(self.state, SessionState::Open | SessionState::Outbound) =>
            {
                self.refuse_bind_with(header.command_id, header.sequence, error.status);
            }
            (Some(response), _) => encode_empty(response, error.status, header.sequence, &mut self.out),
            (None, _) => self.nack(error.status, header.sequence),
        }
        None
    }

    /// The request it answers is over all the same. Where only the TLVs are bad the message_id, name of an accepted message, is saved.
    fn undecodable_response<'b>(&mut self, header: &Header, frame: &'b [u8]) -> Option<Event<'b>> {
        if !command::is_known(header.command_id) {
            self.counters.unknown_commands += 1;
            return None;
        }
        self.counters.undecodable += 1;
        if matches!(header.command_id, command::BIND_RECEIVER_RESP | command::BIND_TRANSMITTER_RESP | command::BIND_TRANSCEIVER_RESP) {
            return self.on_bind_resp(header, None, Now { mono_us: self.timers.last_us(), wall_ms: 0 });
        }
        let body = frame.get(frame::HEADER_LEN..).unwrap_or_default();
        let message_id = body.split(|&octet| octet == 0).next().unwrap_or_default();
        let saved = Some(MessageIdResp { message_id, tlvs: Tlvs::EMPTY });
        let pdu = match header.command_id {
            command::SUBMIT_SM_RESP => Some(Pdu::SubmitSmResp(saved)),
            command::DELIVER_SM_RESP => Some(Pdu::DeliverSmResp(saved)),
            command::DATA_SM_RESP => Some(Pdu::DataSmResp(saved)),
            _ => None,
        };
        self.on_response(header.sequence, header.status, pdu)
    }

    fn nack(&mut self, status: u32, sequence: u32) {
        encode_empty(command::GENERIC_NACK, status, sequence, &mut self.out);
    }
}
