//! The rules of a session, one test each: two sessions back to back on a clock turned by hand, and single ones fed with octets.

use bytes::BytesMut;
use hongyan::model::Now;
use hongyan::smpp::pdu::{AlertNotification, BroadcastSm, CancelSm, DataSm, Outbind, QuerySm, ReplaceSm};
use hongyan::smpp::session::{MAX_FAILED_BINDS, MAX_LATE};
use hongyan::smpp::tlv::{TlvBuf, tag};
use hongyan::smpp::{
    Addr, Bind, BindKind, CloseCause, DecodeLimits, Event, Header, MessageIdResp, Pdu, RequestError, Session, SessionState, Settings, Sm,
    command, decode, encode, encode_empty, frame, status,
};

const START: Now = Now { mono_us: 1_000_000, wall_ms: 1_772_323_200_000 };

/// What a handler would have seen, without borrows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    BindRequest(u32, BindKind),
    Bound,
    BindRefused(u32),
    Outbind,
    Request(u32, u32),
    Response { token: u64, status: u32, id: Option<Vec<u8>>, late: bool },
    Timeout(u64),
    PeerUnbind,
    Closed(CloseCause),
}

fn seen(event: Event<'_>) -> Seen {
    match event {
        Event::BindRequest { sequence, kind, .. } => Seen::BindRequest(sequence, kind),
        Event::Bound { .. } => Seen::Bound,
        Event::BindRefused { status } => Seen::BindRefused(status),
        Event::Outbind(_) => Seen::Outbind,
        Event::Request { sequence, pdu } => Seen::Request(sequence, pdu.command_id()),
        Event::Response { token, status, pdu, late } => {
            let id = match pdu {
                Some(Pdu::SubmitSmResp(Some(resp)) | Pdu::DeliverSmResp(Some(resp))) => Some(resp.message_id.to_vec()),
                _ => None,
            };
            Seen::Response { token, status, id, late }
        }
        Event::Timeout { token } => Seen::Timeout(token),
        Event::PeerUnbind => Seen::PeerUnbind,
        Event::Closed { cause } => Seen::Closed(cause),
    }
}

/// One end with what it still has to read and what it told.
struct End {
    session: Session,
    input: Vec<u8>,
    seen: Vec<Seen>,
}

impl End {
    fn new(settings: Settings) -> End {
        End { session: Session::new(settings, START), input: Vec::new(), seen: Vec::new() }
    }

    /// Reads all there is, as a driver would.
    fn read(&mut self, now: Now) {
        let mut at = 0;
        loop {
            let (used, event) = self.session.next(&self.input[at..], now);
            at += used;
            if used == 0 && event.is_none() {
                break;
            }
            self.seen.extend(event.map(seen));
            if self.session.state() == SessionState::Closed {
                at = self.input.len();
                break;
            }
        }
        self.input.drain(..at);
    }

    fn feed(&mut self, octets: &[u8], now: Now) {
        self.input.extend_from_slice(octets);
        self.read(now);
    }

    fn tick(&mut self, now: Now) {
        let mut events = Vec::new();
        self.session.tick(now, &mut events);
        self.seen.extend(events.into_iter().map(seen));
    }

    /// Headers of what it wrote since the last look.
    fn wrote(&mut self) -> Vec<Header> {
        let out = self.session.output().split();
        let mut rest = &out[..];
        let mut headers = Vec::new();
        while let Some(pdu) = frame::next(rest, 1 << 17).unwrap() {
            headers.push(decode(pdu, &DecodeLimits::default()).unwrap().0);
            rest = &rest[pdu.len()..];
        }
        assert!(rest.is_empty());
        headers
    }

    /// The same as (command_id, status, sequence).
    fn answers(&mut self) -> Vec<(u32, u32, u32)> {
        self.wrote().into_iter().map(|header| (header.command_id, header.status, header.sequence)).collect()
    }

    fn take_seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }
}

/// A client and a server, connected.
struct Pair {
    client: End,
    server: End,
    now: Now,
}

impl Pair {
    fn new(client: Settings, server: Settings) -> Pair {
        Pair { client: End::new(client), server: End::new(server), now: START }
    }

    fn bound(kind: BindKind) -> Pair {
        Pair::bound_with(kind, Settings::client(), Settings::server())
    }

    fn bound_with(kind: BindKind, client: Settings, server: Settings) -> Pair {
        let mut pair = Pair::new(client, server);
        pair.bind(kind, client.interface_version);
        assert!(pair.client.session.state().is_bound() && pair.server.session.state().is_bound());
        pair
    }

    fn bind(&mut self, kind: BindKind, version: u8) {
        let bind = Bind { system_id: b"esme", password: b"secret", interface_version: version, ..Bind::default() };
        self.client.session.bind(kind, &bind, self.now);
        self.exchange();
        let Some(Seen::BindRequest(sequence, kind)) = self.server.seen.pop() else { panic!("no bind came") };
        self.server.session.accept_bind(sequence, kind, version, b"hongyan", self.now);
        self.exchange();
        assert_eq!(self.client.take_seen(), [Seen::Bound]);
    }

    /// Carries octets both ways until neither has more to say.
    fn exchange(&mut self) {
        loop {
            let up = self.client.session.output().split();
            let down = self.server.session.output().split();
            if up.is_empty() && down.is_empty() {
                break;
            }
            self.server.feed(&up, self.now);
            self.client.feed(&down, self.now);
        }
    }

    fn pass_ms(&mut self, ms: u64) {
        self.now = self.now.plus_us(ms * 1000);
        self.client.tick(self.now);
        self.server.tick(self.now);
    }

    fn submit(&mut self, token: u64) -> u32 {
        self.client.session.request(token, &submit(), self.now).unwrap()
    }
}

fn sm() -> Sm<'static> {
    let destination = Addr { ton: 1, npi: 1, addr: b"8613800138000" };
    Sm { source: Addr { ton: 5, npi: 0, addr: b"GATEWAY" }, destination, short_message: b"Hi", ..Sm::default() }
}

fn submit() -> Pdu<'static> {
    Pdu::SubmitSm(sm())
}

fn deliver() -> Pdu<'static> {
    Pdu::DeliverSm(sm())
}

fn octets(sequence: u32, pdu: &Pdu<'_>) -> BytesMut {
    octets_with(status::ESME_ROK, sequence, pdu)
}

fn octets_with(status: u32, sequence: u32, pdu: &Pdu<'_>) -> BytesMut {
    let mut out = BytesMut::new();
    encode(status, sequence, pdu, &mut out);
    out
}

fn header_only(command_id: u32, status: u32, sequence: u32) -> BytesMut {
    let mut out = BytesMut::new();
    encode_empty(command_id, status, sequence, &mut out);
    out
}

fn id_resp(id: &[u8]) -> Option<MessageIdResp<'_>> {
    Some(MessageIdResp { message_id: id, ..MessageIdResp::default() })
}

fn response(token: u64, id: &[u8]) -> Seen {
    Seen::Response { token, status: 0, id: Some(id.to_vec()), late: false }
}

/// A server that is bound, with nothing left in its output.
fn bound_server(settings: Settings, kind: BindKind, version: u8) -> End {
    let mut end = End::new(settings);
    let bind = Bind { system_id: b"esme", interface_version: version, ..Bind::default() };
    end.feed(&octets(1, &Pdu::bind(kind, bind)), START);
    assert_eq!(end.take_seen(), [Seen::BindRequest(1, kind)]);
    end.session.accept_bind(1, kind, version, b"hongyan", START);
    end.session.output().clear();
    end
}

#[test]
fn each_kind_of_bind_reaches_its_state() {
    let states = [
        (BindKind::Transmitter, SessionState::BoundTx),
        (BindKind::Receiver, SessionState::BoundRx),
        (BindKind::Transceiver, SessionState::BoundTrx),
    ];
    for (kind, state) in states {
        let pair = Pair::bound(kind);
        assert_eq!((pair.client.session.state(), pair.server.session.state()), (state, state));
    }
}

#[test]
fn a_submission_and_its_answer_keep_token_and_id() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let sequence = pair.submit(77);
    pair.exchange();
    assert_eq!(pair.server.take_seen(), [Seen::Request(sequence, command::SUBMIT_SM)]);
    assert_eq!(pair.server.session.inbound(), 1);
    pair.server.session.respond_message_id(command::SUBMIT_SM, sequence, 0, b"42");
    pair.exchange();
    assert_eq!(pair.client.take_seen(), [response(77, b"42")]);
    assert_eq!((pair.client.session.in_flight(), pair.server.session.inbound()), (0, 0));
}

#[test]
fn both_directions_number_their_requests_apart() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let up = pair.submit(1);
    let mut down = 0;
    while down != up {
        down = pair.server.session.request(u64::from(down) + 10, &deliver(), pair.now).unwrap();
    }
    pair.exchange();
    pair.client.session.respond_message_id(command::DELIVER_SM, down, 0, b"");
    pair.server.session.respond_message_id(command::SUBMIT_SM, up, 0, b"7");
    pair.exchange();
    assert!(pair.client.seen.contains(&response(1, b"7")));
    assert!(pair.server.seen.iter().any(|seen| matches!(seen, Seen::Response { status: 0, .. })));
}

#[test]
fn the_first_request_right_behind_the_bind_response_is_not_lost() {
    let mut client = End::new(Settings::client());
    client.session.bind(BindKind::Receiver, &Bind { interface_version: 0x34, ..Bind::default() }, START);
    let mut both = octets(1, &Pdu::BindReceiverResp(None));
    both.extend_from_slice(&octets(1, &deliver()));
    client.feed(&both, START);
    assert_eq!(client.take_seen(), [Seen::Bound, Seen::Request(1, command::DELIVER_SM)]);
}

#[test]
fn versions_are_told_to_peers_that_know_tlvs_only() {
    for (version, told) in [(0x00, false), (0x33, false), (0x34, true), (0x35, true), (0x50, true), (0xFF, true)] {
        let mut end = End::new(Settings::server());
        end.feed(&octets(9, &Pdu::BindTransceiver(Bind { interface_version: version, ..Bind::default() })), START);
        end.session.accept_bind(9, BindKind::Transceiver, version, b"hongyan", START);
        let out = end.session.output().split();
        let (header, pdu) = decode(&out, &DecodeLimits::default()).unwrap();
        assert_eq!((header.command_id, header.status, header.sequence), (command::BIND_TRANSCEIVER_RESP, 0, 9));
        assert_eq!(pdu.tlvs().u8(tag::SC_INTERFACE_VERSION), told.then_some(0x34), "{version:#x}");
        assert_eq!((end.session.allows_tlvs(), end.session.peer_version()), (told, version));
    }
}

#[test]
fn a_server_that_hides_its_version_gets_no_tlvs_unless_configured() {
    for (assume_tlvs, expected) in [(false, false), (true, true)] {
        let mut client = End::new(Settings { assume_tlvs, ..Settings::client() });
        client.session.bind(BindKind::Transceiver, &Bind::default(), START);
        client.feed(&octets(1, &Pdu::BindTransceiverResp(None)), START);
        assert_eq!(client.session.allows_tlvs(), expected);
    }
}

#[test]
fn tlvs_are_stripped_for_old_peers_and_a_payload_becomes_the_text() {
    let mut end = bound_server(Settings::server(), BindKind::Receiver, 0x33);
    let mut tlvs = TlvBuf::new();
    tlvs.c_octet(tag::RECEIPTED_MESSAGE_ID, b"1");
    tlvs.octets(tag::MESSAGE_PAYLOAD, b"id:1 stat:DELIVRD");
    let pdu = Pdu::DeliverSm(Sm { short_message: b"", tlvs: tlvs.as_tlvs(), ..sm() });
    end.session.request(1, &pdu, START).unwrap();
    let out = end.session.output().split();
    let Ok((_, Pdu::DeliverSm(sent))) = decode(&out, &DecodeLimits::default()) else { panic!() };
    assert!(sent.tlvs.is_empty());
    assert_eq!(sent.short_message, b"id:1 stat:DELIVRD");

    tlvs.clear();
    tlvs.octets(tag::MESSAGE_PAYLOAD, &[b'x'; 300]);
    let pdu = Pdu::DeliverSm(Sm { short_message: b"", tlvs: tlvs.as_tlvs(), ..sm() });
    assert_eq!(end.session.request(2, &pdu, START), Err(RequestError::Unsendable));
    assert_eq!(end.session.in_flight(), 1);
}

#[test]
fn what_does_not_fit_its_field_is_not_sent() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let long = [b'x'; 256];
    let far = Addr { ton: 1, npi: 1, addr: &long[..21] };
    for bad in [Sm { short_message: &long, ..sm() }, Sm { destination: far, ..sm() }, Sm { service_type: &long[..6], ..sm() }] {
        assert_eq!(pair.client.session.request(1, &Pdu::SubmitSm(bad), START), Err(RequestError::Unsendable));
    }
    assert!(pair.client.session.output().is_empty());
}

#[test]
fn our_window_is_a_bound_and_opens_with_each_answer() {
    let mut pair = Pair::bound_with(BindKind::Transceiver, Settings { window: 2, ..Settings::client() }, Settings::server());
    let first = pair.submit(1);
    pair.submit(2);
    assert_eq!(pair.client.session.free(), 0);
    assert_eq!(pair.client.session.request(3, &submit(), START), Err(RequestError::WindowFull));
    pair.exchange();
    pair.server.session.respond_message_id(command::SUBMIT_SM, first, 0, b"a");
    pair.exchange();
    assert_eq!(pair.client.session.free(), 1);
    pair.submit(3);
}

#[test]
fn answers_may_come_in_any_order() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let sequences: Vec<u32> = (0..5).map(|token| pair.submit(token)).collect();
    pair.exchange();
    for token in [3, 0, 4, 1, 2] {
        pair.server.session.respond_message_id(command::SUBMIT_SM, sequences[token], 0, b"x");
    }
    pair.exchange();
    let expected: Vec<Seen> = [3, 0, 4, 1, 2].map(|token| response(token, b"x")).to_vec();
    assert_eq!(pair.client.take_seen(), expected);
}

#[test]
fn requests_beyond_window_and_slack_are_answered_with_throttled_and_control_is_not() {
    let settings = Settings { inbound_window: 2, inbound_slack: 1, ..Settings::server() };
    let mut end = bound_server(settings, BindKind::Transceiver, 0x34);
    for sequence in 2..=5 {
        end.feed(&octets(sequence, &submit()), START);
    }
    end.feed(&header_only(command::ENQUIRE_LINK, 0, 6), START);
    assert_eq!(end.take_seen().len(), 3);
    let expected = [(command::SUBMIT_SM_RESP, status::ESME_RTHROTTLED, 5), (command::ENQUIRE_LINK_RESP, 0, 6)];
    assert_eq!(end.answers(), expected);
    assert_eq!(end.session.counters().over_window, 1);
    end.session.respond_message_id(command::SUBMIT_SM, 3, 0, b"3");
    end.feed(&octets(7, &submit()), START);
    assert_eq!(end.take_seen(), [Seen::Request(7, command::SUBMIT_SM)]);
}

#[test]
fn deliveries_beyond_the_clients_window_are_answered_with_throttled() {
    let client = Settings { inbound_window: 1, inbound_slack: 0, ..Settings::client() };
    let mut pair = Pair::bound_with(BindKind::Receiver, client, Settings::server());
    pair.server.session.request(1, &deliver(), START).unwrap();
    pair.server.session.request(2, &deliver(), START).unwrap();
    pair.exchange();
    assert_eq!(pair.client.take_seen().len(), 1);
    assert_eq!(pair.server.take_seen(), [Seen::Response { token: 2, status: status::ESME_RTHROTTLED, id: None, late: false }]);
}

#[test]
fn two_requests_with_one_number_are_both_told_and_both_answered() {
    let mut end = bound_server(Settings::server(), BindKind::Transceiver, 0x34);
    for _ in 0..2 {
        end.feed(&octets(5, &submit()), START);
    }
    assert_eq!(end.take_seen(), [Seen::Request(5, command::SUBMIT_SM), Seen::Request(5, command::SUBMIT_SM)]);
    end.session.respond_message_id(command::SUBMIT_SM, 5, 0, b"a");
    end.session.respond_message_id(command::SUBMIT_SM, 5, 0, b"b");
    assert_eq!(end.answers(), [(command::SUBMIT_SM_RESP, 0, 5), (command::SUBMIT_SM_RESP, 0, 5)]);
    assert_eq!(end.session.inbound(), 0);
}

#[test]
fn numbers_out_of_range_are_echoed() {
    let mut end = bound_server(Settings::server(), BindKind::Transceiver, 0x34);
    for sequence in [0, 0x8000_0000, u32::MAX] {
        end.feed(&header_only(command::ENQUIRE_LINK, 0, sequence), START);
        end.feed(&octets(sequence, &submit()), START);
        end.session.respond_message_id(command::SUBMIT_SM, sequence, 0, b"1");
        assert_eq!(end.answers(), [(command::ENQUIRE_LINK_RESP, 0, sequence), (command::SUBMIT_SM_RESP, 0, sequence)]);
    }
}

#[test]
fn an_error_answer_has_no_body_and_an_answer_may_lack_one() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let (first, second) = (pair.submit(1), pair.submit(2));
    pair.exchange();
    pair.server.session.respond_message_id(command::SUBMIT_SM, first, status::ESME_RINVDSTADR, b"ignored");
    assert_eq!(pair.server.session.output().len(), 16);
    pair.server.session.respond(second, 0, &Pdu::SubmitSmResp(None));
    pair.exchange();
    let expected = [
        Seen::Response { token: 1, status: status::ESME_RINVDSTADR, id: None, late: false },
        Seen::Response { token: 2, status: 0, id: None, late: false },
    ];
    assert_eq!(pair.client.take_seen(), expected);
}

#[test]
fn a_request_without_answer_is_in_doubt_then_its_late_answer_is_told_once() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let sequence = pair.submit(5);
    pair.exchange();
    pair.pass_ms(29_999);
    pair.client.feed(&header_only(command::ENQUIRE_LINK, 0, 1), pair.now);
    assert_eq!(pair.client.take_seen(), []);
    pair.pass_ms(1);
    assert_eq!(pair.client.take_seen(), [Seen::Timeout(5)]);
    assert_eq!(pair.client.session.in_flight(), 0);
    for _ in 0..2 {
        pair.client.feed(&octets(sequence, &Pdu::SubmitSmResp(id_resp(b"late"))), pair.now);
    }
    assert_eq!(pair.client.take_seen(), [Seen::Response { token: 5, status: 0, id: Some(b"late".to_vec()), late: true }]);
    let counters = pair.client.session.counters();
    assert_eq!((counters.timeouts, counters.late_responses, counters.unmatched_responses), (1, 1, 1));
}

#[test]
fn late_answers_are_forgotten_after_their_time() {
    let mut pair = Pair::bound_with(
        BindKind::Transceiver,
        Settings { late_response_ms: 1_000, enquire_link_ms: 0, ..Settings::client() },
        Settings::server(),
    );
    let sequence = pair.submit(5);
    pair.pass_ms(30_000);
    pair.pass_ms(1_000);
    pair.client.take_seen();
    pair.client.feed(&octets(sequence, &Pdu::SubmitSmResp(None)), pair.now);
    assert_eq!(pair.client.take_seen(), []);
}

#[test]
fn memory_of_late_answers_is_bounded_and_drops_the_oldest() {
    let client = Settings { window: MAX_LATE + 1, enquire_link_ms: 0, ..Settings::client() };
    let mut pair = Pair::bound_with(BindKind::Transceiver, client, Settings::server());
    let sequences: Vec<u32> = (0..=MAX_LATE as u64).map(|token| pair.submit(token)).collect();
    pair.pass_ms(30_000);
    let timeouts: Vec<Seen> = (0..=MAX_LATE as u64).map(Seen::Timeout).collect();
    assert_eq!(pair.client.take_seen(), timeouts, "in order of sending");
    for sequence in [sequences[0], sequences[1], sequences[MAX_LATE]] {
        pair.client.feed(&octets(sequence, &Pdu::SubmitSmResp(None)), pair.now);
    }
    let late = |token| Seen::Response { token, status: 0, id: None, late: true };
    assert_eq!(pair.client.take_seen(), [late(1), late(MAX_LATE as u64)]);
}

#[test]
fn duplicate_and_unknown_answers_are_counted_and_not_told() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let sequence = pair.submit(1);
    for number in [sequence, sequence, 999, 0, u32::MAX] {
        pair.client.feed(&octets(number, &Pdu::SubmitSmResp(id_resp(b"x"))), START);
    }
    assert_eq!(pair.client.take_seen(), [response(1, b"x")]);
    assert_eq!(pair.client.session.counters().unmatched_responses, 4);
    assert!(pair.client.answers().iter().all(|answer| answer.0 == command::SUBMIT_SM), "a response is never answered");
}

#[test]
fn a_straggler_stays_matched_while_thousands_overtake_it() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let straggler = pair.submit(1_000_000);
    for token in 0..5_000 {
        let sequence = pair.submit(token);
        pair.client.feed(&octets(sequence, &Pdu::SubmitSmResp(None)), START);
    }
    assert_eq!(pair.client.take_seen().len(), 5_000);
    assert_eq!(pair.client.session.in_flight(), 1);
    pair.client.feed(&octets(straggler, &Pdu::SubmitSmResp(id_resp(b"s"))), START);
    assert_eq!(pair.client.take_seen(), [response(1_000_000, b"s")]);
}

#[test]
fn unanswered_requests_are_drained_in_order_of_sending() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let sequences: Vec<u32> = (0..6).map(|token| pair.submit(token)).collect();
    pair.client.feed(&octets(sequences[2], &Pdu::SubmitSmResp(None)), START);
    assert_eq!(pair.client.session.drain_in_flight(), [0, 1, 3, 4, 5]);
    assert_eq!(pair.client.session.in_flight(), 0);
}

#[test]
fn a_generic_nack_fails_the_request_it_names_and_is_never_a_success() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let (first, second) = (pair.submit(1), pair.submit(2));
    pair.client.session.output().clear();
    pair.client.feed(&header_only(command::GENERIC_NACK, status::ESME_RINVCMDID, first), START);
    pair.client.feed(&header_only(command::GENERIC_NACK, 0, second), START);
    pair.client.feed(&header_only(command::GENERIC_NACK, status::ESME_RINVCMDLEN, 0), START);
    let nacked = |token, status| Seen::Response { token, status, id: None, late: false };
    assert_eq!(pair.client.take_seen(), [nacked(1, status::ESME_RINVCMDID), nacked(2, status::ESME_RUNKNOWNERR)]);
    assert_eq!(pair.client.answers(), [], "a generic_nack is never answered");
    assert_eq!(pair.client.session.counters().nacks_in, 3);
}

#[test]
fn an_answer_with_broken_tlvs_still_gives_its_id() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let sequence = pair.submit(1);
    let mut broken = octets(sequence, &Pdu::SubmitSmResp(id_resp(b"77")));
    broken.extend_from_slice(&[0x04, 0x23, 0x00]);
    let length = broken.len() as u32;
    broken[..4].copy_from_slice(&length.to_be_bytes());
    pair.client.feed(&broken, START);
    assert_eq!(pair.client.take_seen(), [response(1, b"77")]);
}

#[test]
fn a_tlv_of_wrong_size_is_refused_by_the_server_and_let_through_by_the_client() {
    let mut tlvs = TlvBuf::new();
    tlvs.octets(tag::MESSAGE_STATE, &[0, 2]);
    let mut server = bound_server(Settings::server(), BindKind::Transceiver, 0x34);
    server.feed(&octets(2, &Pdu::SubmitSm(Sm { tlvs: tlvs.as_tlvs(), ..sm() })), START);
    assert_eq!(server.answers(), [(command::SUBMIT_SM_RESP, status::ESME_RINVPARLEN, 2)]);
    let mut pair = Pair::bound(BindKind::Receiver);
    pair.client.feed(&octets(2, &Pdu::DeliverSm(Sm { tlvs: tlvs.as_tlvs(), ..sm() })), START);
    assert_eq!(pair.client.take_seen(), [Seen::Request(2, command::DELIVER_SM)]);
}

#[test]
fn commands_before_the_bind_are_answered_with_wrong_state() {
    let mut end = End::new(Settings::server());
    let commands = [
        (submit(), command::SUBMIT_SM_RESP),
        (Pdu::DataSm(DataSm::default()), command::DATA_SM_RESP),
        (Pdu::QuerySm(QuerySm::default()), command::QUERY_SM_RESP),
        (Pdu::CancelSm(CancelSm::default()), command::CANCEL_SM_RESP),
        (Pdu::ReplaceSm(ReplaceSm::default()), command::REPLACE_SM_RESP),
        (deliver(), command::DELIVER_SM_RESP),
        (Pdu::Unbind, command::UNBIND_RESP),
    ];
    for (at, (pdu, response)) in commands.iter().enumerate() {
        end.feed(&octets(at as u32, pdu), START);
        assert_eq!(end.answers(), [(*response, status::ESME_RINVBNDSTS, at as u32)]);
    }
    assert_eq!(end.session.counters().wrong_state, commands.len() as u64);
    assert_eq!(end.session.state(), SessionState::Open);
}

#[test]
fn a_receiver_may_not_submit_but_any_bind_may_send_data() {
    let mut end = bound_server(Settings::server(), BindKind::Receiver, 0x34);
    for pdu in [submit(), Pdu::ReplaceSm(ReplaceSm::default())] {
        end.feed(&octets(2, &pdu), START);
    }
    let expected = [(command::SUBMIT_SM_RESP, status::ESME_RINVBNDSTS, 2), (command::REPLACE_SM_RESP, status::ESME_RINVBNDSTS, 2)];
    assert_eq!(end.answers(), expected);
    end.feed(&octets(3, &Pdu::DataSm(DataSm::default())), START);
    assert_eq!(end.take_seen(), [Seen::Request(3, command::DATA_SM)]);
}

#[test]
fn what_only_a_message_centre_may_send_is_refused_from_an_esme() {
    let mut end = bound_server(Settings::server(), BindKind::Transceiver, 0x34);
    end.feed(&octets(2, &deliver()), START);
    end.feed(&octets(3, &Pdu::AlertNotification(AlertNotification::default())), START);
    end.feed(&octets(4, &Pdu::Outbind(Outbind { system_id: b"x", password: b"y" })), START);
    let expected = [
        (command::DELIVER_SM_RESP, status::ESME_RINVBNDSTS, 2),
        (command::GENERIC_NACK, status::ESME_RINVCMDID, 3),
        (command::GENERIC_NACK, status::ESME_RINVCMDID, 4),
    ];
    assert_eq!(end.answers(), expected);
    assert_eq!(end.take_seen(), []);
}

#[test]
fn a_delivery_on_a_transmitter_bind_is_taken_and_an_alert_needs_no_slot() {
    let mut pair = Pair::bound(BindKind::Transmitter);
    pair.client.feed(&octets(8, &deliver()), START);
    pair.client.feed(&octets(9, &Pdu::AlertNotification(AlertNotification::default())), START);
    let expected = [Seen::Request(8, command::DELIVER_SM), Seen::Request(9, command::ALERT_NOTIFICATION)];
    assert_eq!(pair.client.take_seen(), expected);
    assert_eq!(pair.client.session.inbound(), 1);
}

#[test]
fn our_requests_need_a_bind_of_their_direction() {
    let mut unbound = Session::new(Settings::client(), START);
    assert_eq!(unbound.request(1, &submit(), START), Err(RequestError::NotBound));
    let mut pair = Pair::bound(BindKind::Receiver);
    assert_eq!(pair.client.session.request(1, &submit(), START), Err(RequestError::NotBound));
    assert!(pair.server.session.request(1, &deliver(), START).is_ok());
    let mut pair = Pair::bound(BindKind::Transmitter);
    assert_eq!(pair.server.session.request(1, &deliver(), START), Err(RequestError::NotBound));
    assert_eq!(pair.client.session.request(1, &Pdu::SubmitSmResp(None), START), Err(RequestError::NotBound));
}

#[test]
fn an_alert_from_us_takes_no_slot() {
    let mut pair = Pair::bound(BindKind::Receiver);
    pair.server.session.request(1, &Pdu::AlertNotification(AlertNotification::default()), START).unwrap();
    assert_eq!(pair.server.session.in_flight(), 0);
}

#[test]
fn the_broadcast_family_is_decoded_and_answered_with_unsupported() {
    let mut end = bound_server(Settings::server(), BindKind::Transceiver, 0x50);
    end.feed(&octets(2, &Pdu::BroadcastSm(BroadcastSm::default())), START);
    let mut cut = octets(3, &Pdu::BroadcastSm(BroadcastSm::default()));
    cut.truncate(20);
    cut[..4].copy_from_slice(&20u32.to_be_bytes());
    end.feed(&cut, START);
    let nack = |sequence| (command::GENERIC_NACK, status::ESME_RINVCMDID, sequence);
    assert_eq!(end.answers(), [nack(2), nack(3)]);
}

#[test]
fn a_second_bind_is_refused_and_the_session_stays() {
    let mut end = bound_server(Settings::server(), BindKind::Transceiver, 0x34);
    end.feed(&octets(2, &Pdu::BindReceiver(Bind::default())), START);
    assert_eq!(end.answers(), [(command::BIND_RECEIVER_RESP, status::ESME_RALYBND, 2)]);
    assert_eq!((end.session.state(), end.session.kind()), (SessionState::BoundTrx, BindKind::Transceiver));
}

#[test]
fn a_bind_may_fail_three_times_and_no_more() {
    let mut end = End::new(Settings::server());
    for sequence in 1..=u32::from(MAX_FAILED_BINDS) {
        assert_eq!(end.session.state(), SessionState::Open);
        end.feed(&octets(sequence, &Pdu::BindTransmitter(Bind::default())), START);
        assert_eq!(end.take_seen(), [Seen::BindRequest(sequence, BindKind::Transmitter)]);
        end.session.refuse_bind(sequence, BindKind::Transmitter, status::ESME_RINVPASWD);
        assert_eq!(end.answers(), [(command::BIND_TRANSMITTER_RESP, status::ESME_RINVPASWD, sequence)]);
    }
    end.read(START);
    assert_eq!(end.take_seen(), [Seen::Closed(CloseCause::BindRefused)]);
}

#[test]
fn a_client_whose_bind_is_refused_hears_why_and_closes() {
    let refusals =
        [header_only(command::BIND_TRANSCEIVER_RESP, status::ESME_RALYBND, 1), header_only(command::GENERIC_NACK, status::ESME_RALYBND, 1)];
    for refusal in refusals {
        let mut client = End::new(Settings::client());
        client.session.bind(BindKind::Transceiver, &Bind::default(), START);
        client.feed(&refusal, START);
        assert_eq!(client.take_seen(), [Seen::BindRefused(status::ESME_RALYBND), Seen::Closed(CloseCause::BindRefused)]);
    }
}

#[test]
fn no_bind_in_time_closes_the_server() {
    let mut end = End::new(Settings::server());
    assert_eq!(end.session.deadline(), Some(START.mono_us + 5_000_000));
    end.tick(START.plus_us(4_999_999));
    assert_eq!(end.take_seen(), []);
    end.tick(START.plus_us(5_000_000));
    assert_eq!(end.take_seen(), [Seen::Closed(CloseCause::SessionInitTimeout)]);
    assert_eq!(end.session.deadline(), None);
}

#[test]
fn a_slow_check_of_the_password_is_not_held_against_the_peer() {
    let mut end = End::new(Settings::server());
    end.feed(&octets(1, &Pdu::BindTransmitter(Bind::default())), START);
    end.tick(START.plus_us(20_000_000));
    assert_eq!(end.take_seen(), [Seen::BindRequest(1, BindKind::Transmitter)]);
    end.session.accept_bind(1, BindKind::Transmitter, 0x34, b"hongyan", START.plus_us(20_000_000));
    assert_eq!(end.session.state(), SessionState::BoundTx);
}

#[test]
fn no_answer_to_our_bind_closes_the_client() {
    let mut client = End::new(Settings::client());
    client.session.bind(BindKind::Transceiver, &Bind::default(), START);
    client.tick(START.plus_us(10_000_000));
    assert_eq!(client.take_seen(), [Seen::Closed(CloseCause::BindTimeout)]);
}

#[test]
fn enquire_link_is_answered_at_once_also_before_the_bind() {
    let mut end = End::new(Settings::server());
    end.feed(&header_only(command::ENQUIRE_LINK, status::ESME_RTHROTTLED, 4), START);
    assert_eq!(end.answers(), [(command::ENQUIRE_LINK_RESP, 0, 4)]);
    let mut client = End::new(Settings::client());
    client.feed(&header_only(command::ENQUIRE_LINK, 0, 5), START);
    assert_eq!(client.answers(), [(command::ENQUIRE_LINK_RESP, 0, 5)]);
}

#[test]
fn silence_is_asked_after_and_then_ends_the_session() {
    let mut end = bound_server(Settings { inactivity_ms: 0, ..Settings::server() }, BindKind::Transceiver, 0x34);
    end.tick(START.plus_us(29_999_999));
    assert_eq!(end.answers(), []);
    end.tick(START.plus_us(30_000_000));
    assert_eq!(end.answers(), [(command::ENQUIRE_LINK, 0, 1)]);
    assert_eq!(end.session.deadline(), Some(START.mono_us + 40_000_000));
    end.tick(START.plus_us(39_999_999));
    assert_eq!(end.take_seen(), []);
    end.tick(START.plus_us(40_000_000));
    assert_eq!(end.take_seen(), [Seen::Closed(CloseCause::EnquireLinkTimeout)]);
}

#[test]
fn any_octet_counts_as_life() {
    let mut end = bound_server(Settings { inactivity_ms: 0, ..Settings::server() }, BindKind::Transceiver, 0x34);
    end.tick(START.plus_us(30_000_000));
    assert_eq!(end.answers().len(), 1);
    end.feed(&octets(2, &submit())[..3], START.plus_us(35_000_000));
    end.tick(START.plus_us(40_000_000));
    assert_eq!(end.take_seen(), []);
}

#[test]
fn octets_looked_at_again_are_no_new_life() {
    let settings = Settings { inactivity_ms: 0, pdu_completion_ms: 1_000_000, ..Settings::server() };
    let mut end = bound_server(settings, BindKind::Transceiver, 0x34);
    end.feed(&octets(2, &submit())[..3], START.plus_us(5_000_000));
    end.read(START.plus_us(9_000_000));
    assert_eq!(end.session.deadline(), Some(START.mono_us + 35_000_000));
}

#[test]
fn each_pdu_has_its_own_time_to_become_whole() {
    let mut end = bound_server(Settings::server(), BindKind::Transceiver, 0x34);
    let pdu = octets(2, &submit());
    end.feed(&pdu[..20], START);
    end.feed(&pdu[20..], START.plus_us(9_000_000));
    end.tick(START.plus_us(10_000_000));
    assert_eq!(end.take_seen(), [Seen::Request(2, command::SUBMIT_SM)]);
    end.feed(&pdu[..20], START.plus_us(11_000_000));
    assert_eq!(end.session.deadline(), Some(START.mono_us + 21_000_000));
}

#[test]
fn half_a_pdu_may_wait_only_so_long() {
    let mut end = bound_server(Settings::server(), BindKind::Transceiver, 0x34);
    let whole = octets(2, &submit());
    for (at, octet) in whole[..whole.len() - 1].iter().enumerate() {
        end.feed(&[*octet], START.plus_us(at as u64 * 100_000));
    }
    end.tick(START.plus_us(9_999_999));
    assert_eq!(end.take_seen(), []);
    end.tick(START.plus_us(10_000_000));
    assert_eq!(end.take_seen(), [Seen::Closed(CloseCause::PduTimeout)]);
}

#[test]
fn silence_of_our_own_making_is_not_held_against_the_peer() {
    let mut end = bound_server(Settings::server(), BindKind::Transceiver, 0x34);
    end.feed(&octets(2, &submit())[..20], START);
    let later = START.plus_us(25_000_000);
    end.session.excuse_silence(later);
    end.tick(later.plus_us(9_999_999));
    assert_eq!((end.take_seen(), end.answers()), (vec![], vec![]));
    end.tick(later.plus_us(10_000_000));
    assert_eq!(end.take_seen(), [Seen::Closed(CloseCause::PduTimeout)]);
}

#[test]
fn an_idle_customer_is_unbound() {
    let mut end = bound_server(Settings { enquire_link_ms: 0, ..Settings::server() }, BindKind::Transceiver, 0x34);
    end.tick(START.plus_us(120_000_000));
    assert_eq!(end.answers(), [(command::UNBIND, 0, 1)]);
    end.feed(&header_only(command::UNBIND_RESP, 0, 1), START.plus_us(120_100_000));
    assert_eq!(end.take_seen(), [Seen::Closed(CloseCause::Inactivity)]);
}

#[test]
fn leaving_waits_for_answers_then_unbinds_then_closes() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let sequence = pair.submit(1);
    pair.exchange();
    pair.client.session.unbind(pair.now);
    assert_eq!((pair.client.session.state(), pair.client.session.free()), (SessionState::Unbinding, 0));
    assert_eq!(pair.client.session.request(2, &submit(), pair.now), Err(RequestError::NotBound));
    assert!(pair.client.session.output().is_empty(), "many peers close right after unbind_resp");
    pair.server.session.respond_message_id(command::SUBMIT_SM, sequence, 0, b"1");
    pair.exchange();
    assert_eq!(pair.client.take_seen(), [response(1, b"1"), Seen::Closed(CloseCause::Unbound)]);
    pair.server.read(pair.now);
    assert_eq!(pair.server.take_seen()[1..], [Seen::PeerUnbind, Seen::Closed(CloseCause::PeerUnbind)]);
}

#[test]
fn leaving_does_not_wait_for_ever() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.submit(1);
    pair.client.session.output().clear();
    pair.client.session.unbind(pair.now);
    pair.pass_ms(5_000);
    assert_eq!(pair.client.answers(), [(command::UNBIND, 0, 3)]);
    pair.pass_ms(5_000);
    assert_eq!(pair.client.take_seen(), [Seen::Closed(CloseCause::UnbindTimeout)]);
    assert_eq!(pair.client.session.drain_in_flight(), [1]);
}

#[test]
fn what_crosses_our_unbind_is_still_taken_and_answered() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.client.session.unbind(pair.now);
    pair.server.session.request(9, &deliver(), pair.now).unwrap();
    pair.exchange();
    let Some(Seen::Request(sequence, command::DELIVER_SM)) = pair.client.seen.first().cloned() else { panic!("lost") };
    assert_eq!(pair.client.session.state(), SessionState::Unbinding, "the delivery is not answered yet");
    pair.client.session.respond_message_id(command::DELIVER_SM, sequence, 0, b"");
    pair.exchange();
    pair.client.read(pair.now);
    assert_eq!(pair.client.seen.last(), Some(&Seen::Closed(CloseCause::Unbound)));
    assert!(pair.server.seen.contains(&Seen::Response { token: 9, status: 0, id: Some(Vec::new()), late: false }));
}

#[test]
fn a_peer_that_unbinds_gets_its_answers_first() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.server.feed(&octets(7, &submit()), pair.now);
    pair.server.feed(&header_only(command::UNBIND, 0, 8), pair.now);
    assert_eq!(pair.server.take_seen(), [Seen::Request(7, command::SUBMIT_SM), Seen::PeerUnbind]);
    assert_eq!(pair.server.session.request(1, &deliver(), pair.now), Err(RequestError::NotBound));
    pair.server.feed(&octets(9, &submit()), pair.now);
    assert_eq!(pair.server.answers(), [(command::SUBMIT_SM_RESP, status::ESME_RINVBNDSTS, 9)]);
    pair.server.session.respond_message_id(command::SUBMIT_SM, 7, 0, b"7");
    assert_eq!(pair.server.answers(), [(command::SUBMIT_SM_RESP, 0, 7), (command::UNBIND_RESP, 0, 8)]);
    pair.server.read(pair.now);
    assert_eq!(pair.server.take_seen(), [Seen::Closed(CloseCause::PeerUnbind)]);
}

#[test]
fn a_peer_that_unbinds_may_still_answer_us() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let sequence = pair.server.session.request(4, &deliver(), pair.now).unwrap();
    pair.server.session.output().clear();
    pair.server.feed(&header_only(command::UNBIND, 0, 8), pair.now);
    assert_eq!(pair.server.answers(), [(command::UNBIND_RESP, 0, 8)]);
    assert_eq!(pair.server.take_seen(), [Seen::PeerUnbind]);
    pair.server.feed(&header_only(command::DELIVER_SM_RESP, 0, sequence), pair.now);
    pair.server.read(pair.now);
    let answered = Seen::Response { token: 4, status: 0, id: None, late: false };
    assert_eq!(pair.server.take_seen(), [answered, Seen::Closed(CloseCause::PeerUnbind)]);
}

#[test]
fn two_unbinds_that_cross_end_both_sides() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.client.session.unbind(pair.now);
    pair.server.session.unbind(pair.now);
    pair.exchange();
    for end in [&mut pair.client, &mut pair.server] {
        end.read(pair.now);
        assert_eq!(end.seen.last(), Some(&Seen::Closed(CloseCause::Unbound)));
    }
}

#[test]
fn an_unbound_session_leaves_at_once() {
    let mut client = End::new(Settings::client());
    client.session.unbind(START);
    client.tick(START);
    assert_eq!(client.take_seen(), [Seen::Closed(CloseCause::Unbound)]);
    client.session.bind(BindKind::Transceiver, &Bind::default(), START);
    assert!(client.session.output().is_empty());
}

#[test]
fn after_an_outbind_the_esme_binds_on_the_same_connection() {
    let client = Settings { accept_outbind: true, ..Settings::client() };
    let mut pair = Pair::new(client, Settings::server());
    pair.server.session.outbind(b"hongyan", b"secret", pair.now);
    assert_eq!(pair.server.session.state(), SessionState::Outbound);
    pair.exchange();
    assert_eq!(pair.client.take_seen(), [Seen::Outbind]);
    pair.bind(BindKind::Receiver, 0x34);
    assert_eq!(pair.server.session.state(), SessionState::BoundRx);
}

#[test]
fn an_outbind_that_nobody_waits_for_is_refused() {
    let mut client = End::new(Settings::client());
    client.feed(&octets(1, &Pdu::Outbind(Outbind { system_id: b"x", password: b"y" })), START);
    assert_eq!(client.answers(), [(command::GENERIC_NACK, status::ESME_RINVCMDID, 1)]);
    let mut waiting = End::new(Settings { accept_outbind: true, ..Settings::client() });
    waiting.tick(START.plus_us(5_000_000));
    assert_eq!(waiting.take_seen(), [Seen::Closed(CloseCause::SessionInitTimeout)]);
}

#[test]
fn longer_credentials_pass_only_by_configuration() {
    let bind = octets(1, &Pdu::BindTransmitter(Bind { system_id: &[b'a'; 20], password: &[b'b'; 12], ..Bind::default() }));
    let mut strict = End::new(Settings::server());
    strict.feed(&bind, START);
    assert_eq!(strict.answers(), [(command::BIND_TRANSMITTER_RESP, status::ESME_RINVSYSID, 1)]);
    let limits = DecodeLimits { system_id: 20, password: 12, ..DecodeLimits::default() };
    let mut wide = End::new(Settings { limits, ..Settings::server() });
    wide.feed(&bind, START);
    assert_eq!(wide.take_seen(), [Seen::BindRequest(1, BindKind::Transmitter)]);
}

#[test]
fn nothing_is_taken_or_sent_after_the_end() {
    let mut end = bound_server(Settings::server(), BindKind::Transceiver, 0x34);
    end.feed(&octets(2, &submit()), START);
    end.session.close(CloseCause::Killed);
    end.tick(START);
    assert_eq!(end.seen.last(), Some(&Seen::Closed(CloseCause::Killed)));
    end.session.respond_message_id(command::SUBMIT_SM, 2, 0, b"1");
    end.feed(&octets(3, &submit()), START);
    assert_eq!(end.seen.iter().filter(|seen| matches!(seen, Seen::Closed(_))).count(), 1);
    assert!(end.session.output().is_empty());
}

/// xorshift: the same octets for the same seed, everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// A stream that begins with a good bind and goes on with vectors, broken vectors and noise.
fn stream(random: &mut Random, vectors: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = octets(1, &Pdu::BindTransceiver(Bind { interface_version: 0x34, ..Bind::default() })).to_vec();
    for _ in 0..random.below(12) {
        let mut pdu = vectors[random.below(vectors.len())].clone();
        if random.below(3) == 0 {
            for _ in 0..=random.below(4) {
                let at = 4 + random.below(pdu.len() - 4);
                pdu[at] = random.next() as u8;
            }
        }
        stream.extend_from_slice(&pdu);
    }
    if random.below(2) == 0 {
        stream.extend((0..random.below(64)).map(|_| 0));
    }
    stream
}

/// Feeds `stream` cut where `cut` says; requests are answered at once, binds accepted.
fn play(stream: &[u8], settings: Settings, mut cut: impl FnMut() -> usize) -> (Vec<Seen>, Vec<u8>, SessionState) {
    let mut session = Session::new(settings, START);
    let (mut all, mut seen_all, mut at, mut written) = (Vec::new(), Vec::new(), 0, 0);
    loop {
        let (used, event) = session.next(&all[at..], START);
        at += used;
        let idle = used == 0 && event.is_none();
        if let Some(event) = event {
            let told = seen(event);
            match told {
                Seen::BindRequest(sequence, kind) => session.accept_bind(sequence, kind, 0x34, b"h", START),
                Seen::Request(sequence, command_id) => session.respond_message_id(command_id, sequence, 0, b"1"),
                _ => {}
            }
            seen_all.push(told);
        }
        if session.state() == SessionState::Closed || (idle && written == stream.len()) {
            break;
        }
        if idle {
            let end = (written + cut()).min(stream.len());
            all.extend_from_slice(&stream[written..end]);
            written = end;
        }
    }
    let state = session.state();
    (seen_all, session.output().to_vec(), state)
}

#[test]
fn any_octets_in_any_cuts_give_the_same_events_and_answers() {
    let vectors: Vec<serde_json::Value> = [include_str!("../data/smpp/pdus.json"), include_str!("../data/smpp/pdus-malformed.json")]
        .iter()
        .flat_map(|text| serde_json::from_str::<Vec<serde_json::Value>>(text).unwrap())
        .collect();
    let vectors: Vec<Vec<u8>> = vectors
        .iter()
        .map(|vector| {
            vector["hex"]
                .as_str()
                .unwrap()
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect()
        })
        .collect();
    let mut told = 0;
    for seed in 1..=400_u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let stream = stream(&mut random, &vectors);
        for settings in [Settings::server(), Settings { accept_outbind: true, ..Settings::client() }] {
            let whole = play(&stream, settings, || usize::MAX / 2);
            let octet_by_octet = play(&stream, settings, || 1);
            assert_eq!(whole, octet_by_octet, "seed {seed}");
            let cut = play(&stream, settings, || 1 + random.below(40));
            assert_eq!(whole, cut, "seed {seed}");
            told += whole.0.len();
        }
    }
    assert!(told > 1_000, "the streams say something: {told}");
}
