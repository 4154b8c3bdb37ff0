//! An upstream session from its bind to its end: who may bind, what a submission becomes, what an answer looks like, how receipts
//! and inbound messages are delivered.

use super::link_rig::{Rig, START_MS, Seen};
use hongyan::config::{Account, AccountSecret, Alphabet, BindType, ReceiptIdForm, Secret, Transliterate};
use hongyan::engine::port::{
    CancelWhat, Delivery, DeliveryAnswer, DeliveryToken, Draft, Inbound, Input, QueryAnswer, Report, SessionId, UpstreamReply,
};
use hongyan::link::accounts::{Accounts, AuthenticateJob, Verifier};
use hongyan::link::upstream::{Upstream, UpstreamCommand, UpstreamContext};
use hongyan::model::message::Part;
use hongyan::model::state::ReceiptState;
use hongyan::model::{AccountId, Address, Body, Encoding, MessageId, Refusal, State};
use hongyan::smpp::pdu::{CancelSm, DataSm, DestinationsBuf, QuerySm, ReplaceSm, SubmitMulti};
use hongyan::smpp::tlv::tag;
use hongyan::smpp::{Addr, Bind, BindKind, CloseCause, Destination, Pdu, Settings, Sm, TlvBuf};
use hongyan::telemetry::{BIND_REFUSALS, REFUSAL_CAUSES, refusal_cause};
use std::sync::{Arc, Mutex};

const ID: MessageId = MessageId(1_944_864_000_000_000_001);
const ID_TEXT: &[u8] = b"1944864000000000001";

/// Keeps jobs until the test lets them run.
#[derive(Default)]
struct Jobs(Mutex<Vec<AuthenticateJob>>);

impl Verifier for Jobs {
    fn verify(&self, job: AuthenticateJob) {
        self.0.lock().unwrap().push(job);
    }
}

struct Office {
    context: Arc<UpstreamContext>,
    jobs: Arc<Jobs>,
    sessions: u64,
}

impl Office {
    fn new(accounts: &[Account]) -> Office {
        let jobs = Arc::new(Jobs::default());
        let context = UpstreamContext {
            accounts: Arc::new(Accounts::new(accounts, 1_000)),
            verifier: Arc::clone(&jobs) as Arc<dyn Verifier>,
            system_id: b"hongyan"[..].into(),
        };
        Office { context: Arc::new(context), jobs, sessions: 0 }
    }

    fn connect(&mut self) -> Rig<Upstream> {
        self.connect_from("192.0.2.7")
    }

    fn connect_from(&mut self, peer: &str) -> Rig<Upstream> {
        self.sessions += 1;
        let handler = Upstream::new(SessionId(self.sessions), peer.parse().unwrap(), Arc::clone(&self.context));
        Rig::new(handler, Settings::server(), Settings { window: 1_000, ..Settings::client() })
    }

    fn bound(&mut self, kind: BindKind) -> Rig<Upstream> {
        let mut rig = self.connect();
        bind(&mut rig, kind, b"demo", b"secret", 0x34);
        assert_eq!(rig.take_seen(), [Seen::Bound]);
        rig.take_inputs();
        rig.take_frames();
        rig
    }
}

fn office() -> Office {
    Office::new(&[Account::plain("demo", "secret")])
}

fn with(change: impl FnOnce(&mut Account)) -> Office {
    let mut account = Account::plain("demo", "secret");
    change(&mut account);
    Office::new(&[account])
}

fn bind(rig: &mut Rig<Upstream>, kind: BindKind, system_id: &[u8], password: &[u8], interface_version: u8) {
    let bind = Bind { system_id, password, interface_version, ..Bind::default() };
    rig.peer.bind(kind, &bind, rig.now);
    rig.pump();
}

fn sm<'a>(text: &'a [u8]) -> Sm<'a> {
    Sm {
        source: Addr { ton: 5, npi: 0, addr: b"Goose" },
        destination: Addr { ton: 1, npi: 1, addr: b"8613812341234" },
        registered_delivery: 1,
        short_message: text,
        ..Sm::default()
    }
}

fn ask(rig: &mut Rig<Upstream>, token: u64, pdu: &Pdu<'_>) {
    rig.peer.request(token, pdu, rig.now).unwrap();
    rig.pump();
}

/// Submits and returns the draft, or the status that came back at once.
fn submit(rig: &mut Rig<Upstream>, sm: Sm<'_>) -> Result<Draft, u32> {
    rig.take_seen();
    ask(rig, 1, &Pdu::SubmitSm(sm));
    match (rig.take_inputs().pop(), rig.take_seen().pop()) {
        (Some(Input::Submit { mut drafts, .. }), None) => Ok(drafts.pop().unwrap()),
        (None, Some(Seen::Response { status, .. })) => Err(status),
        other => panic!("{other:?}"),
    }
}

fn replies(rig: &mut Rig<Upstream>, replies: Vec<UpstreamReply>) {
    rig.command(UpstreamCommand::Replies(replies));
}

fn report() -> Report {
    Report {
        message: ID,
        source: Address::new(5, 0, b"Goose").unwrap(),
        destination: Address::new(1, 1, b"8613812341234").unwrap(),
        state: ReceiptState::Delivered,
        intermediate: false,
        error: b"000"[..].try_into().unwrap(),
        network_error: Some([3, 0, 0]),
        submit_ms: START_MS,
        done_ms: START_MS + 61_000,
        parts: 1,
        parts_delivered: 1,
        text: b"hello"[..].try_into().unwrap(),
        text_encoding: Encoding::Gsm7,
    }
}

fn deliver(rig: &mut Rig<Upstream>, token: u64, delivery: Delivery) {
    replies(rig, vec![UpstreamReply::Deliver { token: DeliveryToken(token), item: Arc::new(delivery) }]);
}

fn answers(rig: &mut Rig<Upstream>) -> Vec<(u64, DeliveryAnswer)> {
    let answered = rig.take_inputs().into_iter().flat_map(|input| match input {
        Input::Answered { answers, .. } => answers,
        other => panic!("{other:?}"),
    });
    answered.map(|(token, answer)| (token.0, answer)).collect()
}

// Binding

#[test]
fn a_receiver_is_told_to_the_engine_with_its_window_and_a_transmitter_without_one() {
    for (kind, window) in [(BindKind::Transceiver, 100), (BindKind::Receiver, 100), (BindKind::Transmitter, 0)] {
        let mut rig = office().connect();
        bind(&mut rig, kind, b"demo", b"secret", 0x34);
        assert_eq!(rig.take_seen(), [Seen::Bound]);
        let inputs = rig.take_inputs();
        assert!(
            matches!(inputs[..], [Input::SessionUp { session: SessionId(1), account: AccountId(0), window: w }] if w == window),
            "{inputs:?}"
        );
    }
}

#[test]
fn a_wrong_password_and_an_unknown_system_id_are_refused_after_a_delay() {
    for (system_id, password, status) in [(&b"demo"[..], &b"wrong"[..], 0x0E), (b"nobody", b"secret", 0x0F)] {
        let mut rig = office().connect();
        bind(&mut rig, BindKind::Transceiver, system_id, password, 0x34);
        assert_eq!(rig.take_seen(), [], "the answer is held back");
        rig.pass_ms(500);
        assert_eq!(rig.take_seen()[0], Seen::Refused(status));
        assert!(rig.take_inputs().is_empty());
    }
}

#[test]
fn repeated_failures_from_an_address_are_refused_unseen_for_a_growing_time_and_others_are_not() {
    let mut office = office();
    for _ in 0..2 {
        let mut rig = office.connect();
        bind(&mut rig, BindKind::Transceiver, b"demo", b"wrong", 0x34);
        rig.pass_ms(500);
        assert_eq!(rig.take_seen()[0], Seen::Refused(0x0E));
    }
    let mut rig = office.connect();
    bind(&mut rig, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(rig.take_seen()[0], Seen::Refused(0x0D), "even the right password waits");
    let mut elsewhere = office.connect_from("198.51.100.1");
    bind(&mut elsewhere, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(elsewhere.take_seen(), [Seen::Bound]);
    let mut later = office.connect();
    later.now = later.now.plus_us(1_100_000);
    bind(&mut later, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(later.take_seen(), [Seen::Bound]);
}

#[test]
fn three_failures_end_a_connection() {
    let mut office = office();
    let mut rig = office.connect();
    // A client session ends at a refusal; so the octets are written by hand.
    for sequence in 1..=3 {
        let pdu = Pdu::bind(BindKind::Transceiver, Bind { system_id: b"demo", password: b"wrong", ..Bind::default() });
        hongyan::smpp::encode(0, sequence, &pdu, rig.peer.output());
        rig.pump();
        rig.pass_ms(500);
    }
    rig.pass_ms(1);
    assert_eq!(rig.closed, Some(CloseCause::BindRefused));
}

#[test]
fn an_address_outside_of_the_accounts_list_may_not_bind() {
    let mut office = with(|account| account.allowed_addresses = vec!["198.51.100.0/24".parse().unwrap()]);
    let mut rig = office.connect();
    bind(&mut rig, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(rig.take_seen()[0], Seen::Refused(0x0D));
    let mut rig = office.connect_from("198.51.100.9");
    bind(&mut rig, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(rig.take_seen(), [Seen::Bound]);
}

#[test]
fn a_kind_of_bind_that_the_account_may_not_use_is_refused() {
    let mut rig = with(|account| account.bind_types = vec![BindType::Rx]).connect();
    bind(&mut rig, BindKind::Transmitter, b"demo", b"secret", 0x34);
    assert_eq!(rig.take_seen()[0], Seen::Refused(0x0D));
}

#[test]
fn binds_beyond_the_limit_are_refused_until_one_ends() {
    let mut office = with(|account| account.max_binds = 1);
    let mut first = office.bound(BindKind::Transceiver);
    let mut second = office.connect();
    bind(&mut second, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(second.take_seen()[0], Seen::Refused(0x05));
    first.close(CloseCause::PeerClosed);
    assert!(matches!(first.take_inputs()[..], [Input::SessionDown { session: SessionId(1) }]));
    let mut third = office.connect();
    bind(&mut third, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(third.take_seen(), [Seen::Bound]);
}

#[test]
fn an_argon2_password_is_checked_elsewhere_once_and_then_remembered() {
    use argon2::PasswordHasher;
    let cheap = argon2::Params::new(argon2::Params::MIN_M_COST, 1, 1, None).unwrap();
    let hasher = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, cheap);
    let hash = hasher.hash_password_with_salt(b"secret", b"0123456789abcdef").unwrap().to_string();
    let mut office = with(|account| account.secret = AccountSecret::Hash(Secret::new(hash)));
    let mut rig = office.connect();
    bind(&mut rig, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(rig.take_seen(), [], "the bind waits for the check");
    let job = office.jobs.0.lock().unwrap().pop().unwrap();
    assert_eq!(job.session, SessionId(1));
    rig.command(UpstreamCommand::Authenticated(job.run()));
    assert_eq!(rig.take_seen(), [Seen::Bound]);
    let mut again = office.connect();
    bind(&mut again, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(again.take_seen(), [Seen::Bound]);
    assert!(office.jobs.0.lock().unwrap().is_empty(), "the second bind needs no check");

    let mut wrong = office.connect();
    bind(&mut wrong, BindKind::Transceiver, b"demo", b"guess", 0x34);
    let job = office.jobs.0.lock().unwrap().pop().unwrap();
    wrong.command(UpstreamCommand::Authenticated(job.run()));
    wrong.pass_ms(500);
    assert_eq!(wrong.take_seen()[0], Seen::Refused(0x0E));
}

#[test]
fn a_storm_of_unchecked_binds_starts_only_a_few_checks() {
    let mut office = with(|account| account.secret = AccountSecret::Hash(Secret::new("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAA")));
    let mut rigs: Vec<_> = (0..10).map(|_| office.connect()).collect();
    for rig in rigs.iter_mut() {
        bind(rig, BindKind::Transceiver, b"demo", b"secret", 0x34);
    }
    assert_eq!(office.jobs.0.lock().unwrap().len(), 4);
    assert_eq!(rigs.iter().filter(|rig| rig.seen.first() == Some(&Seen::Refused(0x08))).count(), 6);
    office.jobs.0.lock().unwrap().clear();
    let mut rig = office.connect();
    bind(&mut rig, BindKind::Transceiver, b"demo", b"secret", 0x34);
    assert_eq!(office.jobs.0.lock().unwrap().len(), 1, "a check that ended makes room");
}

// Submitting

#[test]
fn a_submission_becomes_a_message_with_every_field_in_its_place() {
    let mut rig = office().bound(BindKind::Transceiver);
    let draft = submit(
        &mut rig,
        Sm { service_type: b"CMT", protocol_id: 0x41, priority_flag: 2, registered_delivery: 0x11, data_coding: 8, ..sm(b"\0h\0i") },
    )
    .unwrap();
    let message = draft.message;
    assert_eq!(message.id, MessageId(0));
    assert_eq!((message.account, message.accepted_ms, message.due_ms, message.expires_ms), (AccountId(0), START_MS, 0, 0));
    assert_eq!(message.source, Address::new(5, 0, b"Goose").unwrap());
    assert_eq!(message.destination, Address::new(1, 1, b"8613812341234").unwrap());
    assert_eq!((&message.service_type[..], message.protocol_id, message.priority), (&b"CMT"[..], 0x41, 2));
    assert_eq!((message.body.encoding, message.body.raw_data_coding, message.body.header_len), (Encoding::Ucs2, 8, 0));
    assert_eq!(&message.body.octets[..], b"\0h\0i");
    assert!(message.report.on_success && message.report.on_failure && message.report.intermediate);
}

#[test]
fn all_submissions_of_one_read_go_to_the_engine_in_one_batch() {
    let mut rig = office().bound(BindKind::Transceiver);
    for token in 0..10 {
        rig.peer.request(token, &Pdu::SubmitSm(sm(b"hi")), rig.now).unwrap();
    }
    rig.pump();
    let inputs = rig.take_inputs();
    assert!(matches!(&inputs[..], [Input::Submit { drafts, .. }] if drafts.len() == 10), "{inputs:?}");
}

#[test]
fn the_yes_carries_our_id_and_the_no_its_reason() {
    let mut rig = office().bound(BindKind::Transceiver);
    for token in [7, 8] {
        rig.peer.request(token, &Pdu::SubmitSm(sm(b"hi")), rig.now).unwrap();
    }
    rig.pump();
    let Some(Input::Submit { drafts, .. }) = rig.take_inputs().pop() else { panic!() };
    replies(
        &mut rig,
        vec![
            UpstreamReply::Answer { token: drafts[1].token, result: Err(Refusal::QueueFull) },
            UpstreamReply::Answer { token: drafts[0].token, result: Ok(ID) },
        ],
    );
    let expected = [Seen::Response { token: 8, status: 0x14, late: false }, Seen::Response { token: 7, status: 0, late: false }];
    assert_eq!(rig.take_seen(), expected);
    let frames = rig.take_frames();
    let (_, Pdu::SubmitSmResp(Some(resp))) = frames[1].read() else { panic!() };
    assert_eq!(resp.message_id, ID_TEXT);
}

#[test]
fn ids_are_written_in_the_form_of_the_account() {
    let mut rig = with(|account| account.receipts.id = ReceiptIdForm::Hex).bound(BindKind::Transceiver);
    let draft = submit(&mut rig, sm(b"hi")).unwrap();
    rig.take_frames();
    replies(&mut rig, vec![UpstreamReply::Answer { token: draft.token, result: Ok(ID) }]);
    let frames = rig.take_frames();
    let (_, Pdu::SubmitSmResp(Some(resp))) = frames[0].read() else { panic!() };
    assert_eq!(resp.message_id, format!("{:016x}", ID.0).as_bytes());
    deliver(&mut rig, 1, Delivery::Receipt(report()));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(receipt)) = frames[0].read() else { panic!() };
    assert_eq!(receipt.tlvs.c_octet(tag::RECEIPTED_MESSAGE_ID), Some(format!("{:016x}", ID.0).as_bytes()), "as in the answer");
    ask(&mut rig, 3, &Pdu::QuerySm(QuerySm { message_id: format!("{:x}", ID.0).as_bytes(), source: sm(b"").source }));
    assert!(matches!(rig.take_inputs()[..], [Input::Query { message: ID, .. }]));
}

#[test]
fn submissions_that_make_no_sense_are_refused_with_the_fields_own_status() {
    let mut rig = office().bound(BindKind::Transceiver);
    let cases: Vec<(&str, Sm<'_>, u32)> = vec![
        ("no destination", Sm { destination: Addr::default(), ..sm(b"x") }, 0x0B),
        ("header longer than the body", Sm { esm_class: 0x40, ..sm(b"\x05\x00\x03") }, 0x43),
        ("an element past the header", Sm { esm_class: 0x40, ..sm(b"\x03\x00\x09\x01text") }, 0x43),
        ("an acknowledgement", Sm { esm_class: 0x08, ..sm(b"x") }, 0x43),
        ("a reserved data_coding", Sm { data_coding: 0x0B, ..sm(b"x") }, 0x45),
        ("half a UCS-2 character", Sm { data_coding: 8, ..sm(b"\0h\0") }, 0x45),
        ("a schedule that is no time", Sm { schedule_delivery_time: b"2613010000000000", ..sm(b"x") }, 0x61),
        ("a validity in the past", Sm { validity_period: b"200101000000000+", ..sm(b"x") }, 0x62),
        ("a priority beyond all versions", Sm { priority_flag: 5, ..sm(b"x") }, 0x06),
        ("registered_delivery with odd bits", Sm { registered_delivery: 0x20, ..sm(b"x") }, 0x07),
        ("replace_if_present", Sm { replace_if_present_flag: 2, ..sm(b"x") }, 0x54),
        ("a canned text", Sm { sm_default_msg_id: 1, ..sm(b"") }, 0x63),
    ];
    for (what, bad, status) in cases {
        assert_eq!(submit(&mut rig, bad).unwrap_err(), status, "{what}");
    }
    assert!(submit(&mut rig, sm(b"still fine")).is_ok(), "the session goes on");
}

#[test]
fn two_bodies_at_once_are_refused_and_a_payload_alone_is_taken() {
    let mut rig = office().bound(BindKind::Transceiver);
    let mut tlvs = TlvBuf::new();
    let long = vec![b'a'; 1_000];
    tlvs.octets(tag::MESSAGE_PAYLOAD, &long);
    assert_eq!(submit(&mut rig, Sm { tlvs: tlvs.as_tlvs(), ..sm(b"x") }).unwrap_err(), 0x01);
    let draft = submit(&mut rig, Sm { tlvs: tlvs.as_tlvs(), ..sm(b"") }).unwrap();
    assert_eq!(&draft.message.body.octets[..], &long[..]);
}

#[test]
fn parts_are_known_by_header_or_by_tlvs_and_the_header_wins() {
    let mut rig = office().bound(BindKind::Transceiver);
    let header = b"\x05\x00\x03\x2a\x03\x02text";
    let draft = submit(&mut rig, Sm { esm_class: 0x40, ..sm(header) }).unwrap();
    assert_eq!(draft.message.part, Some(Part { reference: 0x2A, total: 3, number: 2 }));
    assert_eq!((draft.message.body.header_len, draft.message.body.text()), (6, &b"text"[..]));
    let mut tlvs = TlvBuf::new();
    tlvs.u16(tag::SAR_MSG_REF_NUM, 0x1234);
    tlvs.u8(tag::SAR_TOTAL_SEGMENTS, 2);
    assert_eq!(submit(&mut rig, Sm { tlvs: tlvs.as_tlvs(), ..sm(b"x") }).unwrap().message.part, None, "two of three are none");
    tlvs.u8(tag::SAR_SEGMENT_SEQNUM, 1);
    let sar = Some(Part { reference: 0x1234, total: 2, number: 1 });
    assert_eq!(submit(&mut rig, Sm { tlvs: tlvs.as_tlvs(), ..sm(b"x") }).unwrap().message.part, sar);
    let both = submit(&mut rig, Sm { esm_class: 0x40, tlvs: tlvs.as_tlvs(), ..sm(header) }).unwrap();
    assert_eq!(both.message.part, Some(Part { reference: 0x2A, total: 3, number: 2 }));
}

#[test]
fn data_coding_tells_the_alphabet_also_with_a_message_class() {
    let mut rig = office().bound(BindKind::Transceiver);
    for (data_coding, encoding) in [
        (0x00, Encoding::Gsm7),
        (0x01, Encoding::Latin1),
        (0x03, Encoding::Latin1),
        (0x04, Encoding::Binary),
        (0x06, Encoding::Opaque),
        (0x08, Encoding::Ucs2),
        (0x10, Encoding::Gsm7),
        (0x18, Encoding::Ucs2),
        (0xF0, Encoding::Gsm7),
        (0xF5, Encoding::Binary),
    ] {
        let body = submit(&mut rig, Sm { data_coding, ..sm(b"abcd") }).unwrap().message.body.clone();
        assert_eq!((body.encoding, body.raw_data_coding), (encoding, data_coding));
    }
}

#[test]
fn relative_and_absolute_times_become_instants_and_a_past_schedule_means_at_once() {
    let mut rig = office().bound(BindKind::Transceiver);
    let timed =
        |schedule: &'static [u8], validity: &'static [u8]| Sm { schedule_delivery_time: schedule, validity_period: validity, ..sm(b"x") };
    let message = submit(&mut rig, timed(b"260301010000000+", b"000000020000000R")).unwrap().message;
    assert_eq!((message.due_ms, message.expires_ms), (START_MS + 3_600_000, START_MS + 3 * 3_600_000), "validity counts from the schedule");
    let message = submit(&mut rig, timed(b"250301010000000+", b"000001000000000R")).unwrap().message;
    assert_eq!((message.due_ms, message.expires_ms), (0, START_MS + 86_400_000));
}

#[test]
fn only_tlvs_that_the_account_may_pass_are_kept() {
    let mut rig = with(|account| account.allow_tlvs = vec![0x1401]).bound(BindKind::Transceiver);
    let mut tlvs = TlvBuf::new();
    tlvs.octets(0x1400, b"no");
    tlvs.octets(0x1401, b"yes");
    let message = submit(&mut rig, Sm { tlvs: tlvs.as_tlvs(), ..sm(b"x") }).unwrap().message;
    assert_eq!(&message.tlvs[..], b"\x14\x01\x00\x03yes");
}

#[test]
fn data_sm_is_a_submission_with_its_own_answer() {
    let mut rig = office().bound(BindKind::Transceiver);
    let mut tlvs = TlvBuf::new();
    tlvs.octets(tag::MESSAGE_PAYLOAD, b"text");
    tlvs.u32(tag::QOS_TIME_TO_LIVE, 60);
    let data = DataSm { source: sm(b"").source, destination: sm(b"").destination, tlvs: tlvs.as_tlvs(), ..DataSm::default() };
    ask(&mut rig, 4, &Pdu::DataSm(data));
    let Some(Input::Submit { drafts, .. }) = rig.take_inputs().pop() else { panic!() };
    assert_eq!(&drafts[0].message.body.octets[..], b"text");
    assert_eq!(drafts[0].message.expires_ms, START_MS + 60_000);
    replies(&mut rig, vec![UpstreamReply::Answer { token: drafts[0].token, result: Ok(ID) }]);
    let frames = rig.take_frames();
    assert!(matches!(frames[0].read().1, Pdu::DataSmResp(Some(resp)) if resp.message_id == ID_TEXT));
}

#[test]
fn submit_multi_is_answered_once_with_the_list_of_those_refused() {
    let mut rig = office().bound(BindKind::Transceiver);
    let mut dests = DestinationsBuf::default();
    for number in [&b"8613800000001"[..], b"8613800000002", b"8613800000003"] {
        assert!(dests.push(Destination::Sme(Addr { ton: 1, npi: 1, addr: number })));
    }
    ask(&mut rig, 9, &Pdu::SubmitMulti(SubmitMulti { sm: sm(b"to all"), dests: dests.as_destinations() }));
    let Some(Input::Submit { drafts, .. }) = rig.take_inputs().pop() else { panic!() };
    assert_eq!(drafts.len(), 3);
    assert_eq!(&drafts[1].message.destination.digits[..], b"8613800000002");
    replies(
        &mut rig,
        vec![
            UpstreamReply::Answer { token: drafts[0].token, result: Ok(ID) },
            UpstreamReply::Answer { token: drafts[1].token, result: Err(Refusal::NoRoute) },
        ],
    );
    assert!(rig.take_seen().is_empty(), "one is still open");
    replies(&mut rig, vec![UpstreamReply::Answer { token: drafts[2].token, result: Ok(MessageId(ID.0 + 1)) }]);
    assert_eq!(rig.take_seen(), [Seen::Response { token: 9, status: 0, late: false }]);
    let frames = rig.take_frames();
    let (_, Pdu::SubmitMultiResp(Some(resp))) = frames[0].read() else { panic!() };
    assert_eq!(resp.message_id, ID_TEXT);
    let refused: Vec<_> = resp.unsuccess.iter().map(|one| (one.destination.addr.to_vec(), one.status)).collect();
    assert_eq!(refused, [(b"8613800000002".to_vec(), 0x0B)]);
}

#[test]
fn submit_multi_to_a_distribution_list_is_refused() {
    let mut rig = office().bound(BindKind::Transceiver);
    let mut dests = DestinationsBuf::default();
    assert!(dests.push(Destination::List(b"friends")));
    ask(&mut rig, 9, &Pdu::SubmitMulti(SubmitMulti { sm: sm(b"x"), dests: dests.as_destinations() }));
    assert_eq!(rig.take_seen(), [Seen::Response { token: 9, status: 0x34, late: false }]);
    assert!(rig.take_inputs().is_empty());
}

#[test]
fn a_distribution_list_among_good_recipients_is_listed_as_refused_and_the_rest_is_taken() {
    let mut office = office();
    let mut rig = office.bound(BindKind::Transceiver);
    let mut dests = DestinationsBuf::default();
    let to = |addr| Destination::Sme(Addr { ton: 1, npi: 1, addr });
    for one in [to(b"8613800000001"), Destination::List(b"friends"), to(b"8613800000002")] {
        assert!(dests.push(one));
    }
    ask(&mut rig, 9, &Pdu::SubmitMulti(SubmitMulti { sm: sm(b"to all"), dests: dests.as_destinations() }));
    let Some(Input::Submit { drafts, .. }) = rig.take_inputs().pop() else { panic!() };
    assert_eq!(drafts.len(), 2);
    let taken = drafts.iter().enumerate();
    let answers = taken.map(|(at, draft)| UpstreamReply::Answer { token: draft.token, result: Ok(MessageId(ID.0 + at as u64)) }).collect();
    replies(&mut rig, answers);
    assert_eq!(rig.take_seen(), [Seen::Response { token: 9, status: 0, late: false }]);
    let frames = rig.take_frames();
    let (_, Pdu::SubmitMultiResp(Some(resp))) = frames[0].read() else { panic!() };
    assert_eq!(resp.message_id, ID_TEXT);
    let refused: Vec<_> = resp.unsuccess.iter().map(|one| (one.destination.addr.to_vec(), one.status)).collect();
    assert_eq!(refused, [(b"friends".to_vec(), 0x34)]);
    assert_eq!(refusals(&office, "unsupported"), 1);
}

/// What the account's requests were refused for, so far.
fn refusals(office: &Office, name: &str) -> u64 {
    let mut all = [[0; REFUSAL_CAUSES]];
    office.context.accounts.refusals(&mut all);
    (0..REFUSAL_CAUSES).filter(|&cause| refusal_cause(cause) == name).map(|cause| all[0][cause]).sum()
}

#[test]
fn a_refusal_is_counted_once_under_its_cause_whoever_refused() {
    let mut office = with(|account| account.window = 1);
    let mut rig = office.bound(BindKind::Transceiver);
    assert!(submit(&mut rig, Sm { validity_period: b"000101000000000+", ..sm(b"x") }).is_err(), "by us");
    assert!(submit(&mut rig, Sm { priority_flag: 9, ..sm(b"x") }).is_err());
    let draft = submit(&mut rig, sm(b"by the engine")).unwrap();
    replies(&mut rig, vec![UpstreamReply::Answer { token: draft.token, result: Err(Refusal::NoRoute) }]);
    let query = QuerySm { message_id: ID_TEXT, source: sm(b"").source };
    ask(&mut rig, 2, &Pdu::QuerySm(query));
    let Some(Input::Query { token, .. }) = rig.take_inputs().pop() else { panic!() };
    replies(&mut rig, vec![UpstreamReply::Queried { token, result: Err(Refusal::UnknownMessage) }]);
    // By the session: beyond the window and its slack, and what can't be read (a submit_sm whose body ends too early).
    for token in 0..12 {
        rig.peer.request(token, &Pdu::SubmitSm(sm(b"hi")), rig.now).unwrap();
    }
    rig.peer.output().extend_from_slice(&[0, 0, 0, 17, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 99, 0]);
    rig.pump();
    for (name, count) in
        [("validity", 1), ("priority", 1), ("no_route", 1), ("unknown_message", 1), ("throttled", 1), ("malformed", 1), ("encoding", 0)]
    {
        assert_eq!(refusals(&office, name), count, "{name}");
    }
}

#[test]
fn refused_binds_are_counted_by_cause() {
    let mut office = with(|account| account.max_binds = 1);
    let first = office.bound(BindKind::Transceiver);
    for (peer, system_id, password) in [
        ("192.0.2.7", &b"demo"[..], &b"secret"[..]),
        ("192.0.2.8", b"demo", b"wrong"),
        ("192.0.2.8", b"demo", b"wrong"),
        ("192.0.2.8", b"demo", b"wrong"),
        ("192.0.2.9", b"nobody", b"secret"),
    ] {
        bind(&mut office.connect_from(peer), BindKind::Transceiver, system_id, password, 0x34);
    }
    let counted: Vec<_> = BIND_REFUSALS.into_iter().zip(office.context.accounts.bind_refusals()).collect();
    let expected = [("unknown_system_id", 1), ("wrong_password", 2), ("not_allowed", 0), ("limit", 1), ("delayed", 1), ("busy", 0)];
    assert_eq!(counted, expected);
    drop(first);
}

#[test]
fn an_address_that_tries_many_names_is_made_to_wait_whatever_name_it_tries_next() {
    let mut office = office();
    for at in 0..6 {
        let name = format!("guess{at}");
        bind(&mut office.connect_from("192.0.2.9"), BindKind::Transceiver, name.as_bytes(), b"x", 0x34);
    }
    let mut rig = office.connect_from("192.0.2.9");
    bind(&mut rig, BindKind::Transceiver, b"guess6", b"x", 0x34);
    assert_eq!(rig.take_seen()[0], Seen::Refused(0x0D));
    assert!(office.bound(BindKind::Transceiver).closed.is_none(), "other addresses bind as ever");
}

#[test]
fn a_client_of_version_5_hears_its_own_statuses_only_where_we_speak_version_5_too() {
    for (ours, status) in [(0x34, 0x45), (0x50, 0x104)] {
        let mut office = office();
        office.sessions += 1;
        let handler = Upstream::new(SessionId(1), "192.0.2.7".parse().unwrap(), Arc::clone(&office.context));
        let settings = Settings { interface_version: ours, ..Settings::server() };
        let mut rig = Rig::new(handler, settings, Settings { window: 1_000, ..Settings::client() });
        bind(&mut rig, BindKind::Transceiver, b"demo", b"secret", 0x50);
        rig.take_inputs();
        assert_eq!(submit(&mut rig, Sm { data_coding: 0x0B, ..sm(b"x") }).unwrap_err(), status);
    }
}

#[test]
fn an_id_in_our_form_that_is_not_alive_is_not_called_invalid() {
    let mut rig = office().bound(BindKind::Transceiver);
    let source = sm(b"").source;
    ask(&mut rig, 1, &Pdu::QuerySm(QuerySm { message_id: ID_TEXT, source }));
    ask(&mut rig, 2, &Pdu::CancelSm(CancelSm { message_id: ID_TEXT, source, ..CancelSm::default() }));
    ask(&mut rig, 3, &Pdu::ReplaceSm(ReplaceSm { message_id: ID_TEXT, source, short_message: b"x", ..ReplaceSm::default() }));
    let unknown = Refusal::UnknownMessage;
    let said = rig.take_inputs().into_iter().map(|input| match input {
        Input::Query { token, .. } => UpstreamReply::Queried { token, result: Err(unknown) },
        Input::Cancel { token, .. } | Input::Replace { token, .. } => UpstreamReply::Done { token, result: Err(unknown) },
        other => panic!("{other:?}"),
    });
    let said = said.collect();
    replies(&mut rig, said);
    let response = |token, status| Seen::Response { token, status, late: false };
    assert_eq!(rig.take_seen(), [response(1, 0x67), response(2, 0x11), response(3, 0x13)]);
}

#[test]
fn requests_beyond_window_and_slack_are_answered_throttled() {
    let mut rig = with(|account| account.window = 2).bound(BindKind::Transceiver);
    for token in 0..13 {
        rig.peer.request(token, &Pdu::SubmitSm(sm(b"hi")), rig.now).unwrap();
    }
    rig.pump();
    assert_eq!(rig.take_seen(), [Seen::Response { token: 12, status: 0x58, late: false }], "two of the window and ten of slack pass");
}

#[test]
fn an_account_sends_only_as_whom_it_may_and_as_itself_where_it_says_nothing() {
    let mut rig = with(|account| {
        account.allowed_sources = vec!["Goose".parse().unwrap(), "1069*".parse().unwrap()];
        account.default_source = "10690000".to_owned();
    })
    .bound(BindKind::Transceiver);
    let from = |addr| Sm { source: Addr { ton: 0, npi: 0, addr }, ..sm(b"x") };
    assert_eq!(submit(&mut rig, from(b"Gander")).unwrap_err(), 0x0A);
    assert_eq!(&submit(&mut rig, from(b"10690123")).unwrap().message.source.digits[..], b"10690123");
    assert_eq!(&submit(&mut rig, from(b"")).unwrap().message.source.digits[..], b"10690000");
}

#[test]
fn text_is_shortened_where_the_account_allows_it_and_kept_where_not() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let curly = utf16("it\u{2019}s \u{201C}here\u{201D}");
    let coded = |data_coding, text| Sm { data_coding, ..sm(text) };
    let mut plain = office().bound(BindKind::Transceiver);
    assert_eq!(submit(&mut plain, coded(8, &curly)).unwrap().message.body.encoding, Encoding::Ucs2);
    let mut safe = with(|account| account.transliterate = Transliterate::Safe).bound(BindKind::Transceiver);
    let body = submit(&mut safe, coded(8, &curly)).unwrap().message.body.clone();
    assert_eq!((body.encoding, &body.octets[..]), (Encoding::Gsm7, &b"it's \"here\""[..]));
    let flash = submit(&mut safe, coded(0x18, &curly)).unwrap().message.body.clone();
    assert_eq!((flash.encoding, flash.raw_data_coding), (Encoding::Gsm7, 0x10), "the class stays");
    let chinese = utf16("\u{4E2D}");
    assert_eq!(submit(&mut safe, coded(8, &chinese)).unwrap().message.body.encoding, Encoding::Ucs2);
}

#[test]
fn data_coding_0_means_what_the_account_says() {
    for (alphabet, octets, encoding, expected) in [
        (Alphabet::Gsm7, &b"\x00\x02"[..], Encoding::Gsm7, &b"\x00\x02"[..]),
        (Alphabet::Gsm7, b"caf\xE9", Encoding::Latin1, b"caf\xE9"),
        (Alphabet::Latin1, b"@\xE9", Encoding::Latin1, b"@\xE9"),
        (Alphabet::Utf8, "@\u{E9}".as_bytes(), Encoding::Gsm7, b"\x00\x05"),
        (Alphabet::Gsm7Packed, &[0xE8, 0x32, 0x9B, 0xFD, 0x06], Encoding::Gsm7, b"hello"),
    ] {
        let mut rig = with(|account| account.default_alphabet = alphabet).bound(BindKind::Transceiver);
        let body = submit(&mut rig, sm(octets)).unwrap().message.body.clone();
        assert_eq!((body.encoding, &body.octets[..]), (encoding, expected), "{alphabet:?}");
    }
}

#[test]
fn a_text_of_more_parts_than_can_be_numbered_is_refused() {
    let mut rig = office().bound(BindKind::Transceiver);
    for (octets, taken) in [(255 * 152, true), (255 * 152 + 1, false)] {
        let mut tlvs = TlvBuf::new();
        tlvs.octets(tag::MESSAGE_PAYLOAD, &vec![b'a'; octets]);
        let result = submit(&mut rig, Sm { tlvs: tlvs.as_tlvs(), ..sm(b"") });
        assert_eq!(result.map_or_else(|status| status, |_| 0), if taken { 0 } else { 0x01 });
    }
}

// Query, cancel, replace

#[test]
fn a_query_is_answered_with_state_and_date() {
    let mut rig = office().bound(BindKind::Transceiver);
    ask(&mut rig, 1, &Pdu::QuerySm(QuerySm { message_id: ID_TEXT, source: sm(b"").source }));
    let Some(Input::Query { token, message: ID, source, .. }) = rig.take_inputs().pop() else { panic!() };
    assert_eq!(&source.digits[..], b"Goose");
    let answer = QueryAnswer { message: ID, state: State::Delivered, final_ms: START_MS + 1_500, error: 0 };
    replies(&mut rig, vec![UpstreamReply::Queried { token, result: Ok(answer) }]);
    let frames = rig.take_frames();
    let (_, Pdu::QuerySmResp(Some(resp))) = frames[0].read() else { panic!() };
    assert_eq!((resp.message_id, resp.message_state, resp.final_date), (ID_TEXT, 2, &b"260301000001500+"[..]));
}

#[test]
fn every_state_of_ours_has_its_message_state() {
    let expected = [1, 1, 2, 5, 3, 8, 4, 6, 7, 7];
    for (state, number) in State::ALL.into_iter().zip(expected) {
        let mut rig = office().bound(BindKind::Transceiver);
        ask(&mut rig, 1, &Pdu::QuerySm(QuerySm { message_id: ID_TEXT, source: sm(b"").source }));
        let Some(Input::Query { token, .. }) = rig.take_inputs().pop() else { panic!() };
        let answer = QueryAnswer { message: ID, state, final_ms: 0, error: 0 };
        replies(&mut rig, vec![UpstreamReply::Queried { token, result: Ok(answer) }]);
        let frames = rig.take_frames();
        let (_, Pdu::QuerySmResp(Some(resp))) = frames[0].read() else { panic!() };
        assert_eq!((resp.message_state, resp.final_date), (number, &b""[..]), "{state:?}");
    }
}

#[test]
fn ids_that_can_not_be_ours_are_refused_at_once() {
    let mut rig = office().bound(BindKind::Transceiver);
    let source = sm(b"").source;
    ask(&mut rig, 1, &Pdu::QuerySm(QuerySm { message_id: b"abc", source }));
    ask(&mut rig, 2, &Pdu::CancelSm(CancelSm { message_id: b"abc", source, ..CancelSm::default() }));
    ask(&mut rig, 3, &Pdu::ReplaceSm(ReplaceSm { message_id: b"", source, ..ReplaceSm::default() }));
    let statuses: Vec<_> =
        rig.take_seen().into_iter().map(|seen| if let Seen::Response { status, .. } = seen { status } else { 0 }).collect();
    assert_eq!(statuses, [0x0C, 0x0C, 0x0C]);
    assert!(rig.take_inputs().is_empty());
}

#[test]
fn a_cancel_means_one_message_or_all_between_two_addresses() {
    let mut rig = office().bound(BindKind::Transceiver);
    let (source, destination) = (sm(b"").source, sm(b"").destination);
    ask(&mut rig, 1, &Pdu::CancelSm(CancelSm { message_id: ID_TEXT, source, ..CancelSm::default() }));
    let Some(Input::Cancel { token, what: CancelWhat::One { message: ID, .. }, .. }) = rig.take_inputs().pop() else { panic!() };
    replies(&mut rig, vec![UpstreamReply::Done { token, result: Ok(()) }]);
    ask(&mut rig, 2, &Pdu::CancelSm(CancelSm { source, destination, service_type: b"CMT", ..CancelSm::default() }));
    let Some(Input::Cancel { token, what: CancelWhat::All { service_type, .. }, .. }) = rig.take_inputs().pop() else { panic!() };
    assert_eq!(&service_type[..], b"CMT");
    replies(&mut rig, vec![UpstreamReply::Done { token, result: Err(Refusal::CancelFailed) }]);
    let expected = [Seen::Response { token: 1, status: 0, late: false }, Seen::Response { token: 2, status: 0x11, late: false }];
    assert_eq!(rig.take_seen(), expected);
}

#[test]
fn submissions_that_replace_are_told_apart_and_keep_their_place() {
    let mut rig = office().bound(BindKind::Transceiver);
    let replacing = Sm { replace_if_present_flag: 1, ..sm(b"second") };
    let mut dests = DestinationsBuf::default();
    for number in [&b"8613800000001"[..], b"8613800000002"] {
        assert!(dests.push(Destination::Sme(Addr { ton: 1, npi: 1, addr: number })));
    }
    rig.peer.request(1, &Pdu::SubmitSm(sm(b"first")), rig.now).unwrap();
    rig.peer.request(2, &Pdu::SubmitSm(replacing), rig.now).unwrap();
    rig.peer.request(3, &Pdu::SubmitMulti(SubmitMulti { sm: replacing, dests: dests.as_destinations() }), rig.now).unwrap();
    rig.peer.request(4, &Pdu::SubmitSm(sm(b"last")), rig.now).unwrap();
    rig.pump();
    let inputs = rig.take_inputs();
    let counts = inputs.iter().map(|input| match input {
        Input::Submit { drafts, .. } => (false, drafts.len()),
        Input::SubmitReplacing { drafts, .. } => (true, drafts.len()),
        other => panic!("{other:?}"),
    });
    assert_eq!(counts.collect::<Vec<_>>(), [(false, 1), (true, 1), (true, 2), (false, 1)]);
    let Input::SubmitReplacing { drafts, .. } = &inputs[1] else { panic!() };
    replies(&mut rig, vec![UpstreamReply::Answer { token: drafts[0].token, result: Ok(ID) }]);
    assert_eq!(rig.take_seen(), [Seen::Response { token: 2, status: 0, late: false }]);
}

#[test]
fn a_submission_stays_before_the_cancel_that_follows_it_in_the_same_read() {
    let mut rig = office().bound(BindKind::Transceiver);
    let (source, destination) = (sm(b"").source, sm(b"").destination);
    rig.peer.request(1, &Pdu::SubmitSm(sm(b"first")), rig.now).unwrap();
    rig.peer.request(2, &Pdu::CancelSm(CancelSm { source, destination, ..CancelSm::default() }), rig.now).unwrap();
    rig.peer.request(3, &Pdu::SubmitSm(sm(b"second")), rig.now).unwrap();
    rig.pump();
    let inputs = rig.take_inputs();
    assert!(matches!(inputs[..], [Input::Submit { .. }, Input::Cancel { .. }, Input::Submit { .. }]), "{inputs:?}");
}

#[test]
fn a_replace_hands_over_the_new_text_and_is_answered() {
    let mut rig = office().bound(BindKind::Transceiver);
    let replace =
        ReplaceSm { message_id: ID_TEXT, source: sm(b"").source, short_message: b"new", registered_delivery: 1, ..ReplaceSm::default() };
    ask(&mut rig, 5, &Pdu::ReplaceSm(replace));
    let Some(Input::Replace { token, message: ID, with, .. }) = rig.take_inputs().pop() else { panic!() };
    assert_eq!((&with.octets[..], with.due_ms, with.expires_ms, with.report.on_success), (&b"new"[..], 0, 0, true));
    replies(&mut rig, vec![UpstreamReply::Done { token, result: Err(Refusal::ReplaceFailed) }]);
    assert_eq!(rig.take_seen(), [Seen::Response { token: 5, status: 0x13, late: false }]);
    assert!(matches!(rig.take_frames()[0].read().1, Pdu::ReplaceSmResp));
}

// Delivering

#[test]
fn a_receipt_has_the_usual_text_and_the_tlvs_and_the_addresses_swapped() {
    let mut rig = office().bound(BindKind::Transceiver);
    deliver(&mut rig, 1, Delivery::Receipt(report()));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(receipt)) = frames[0].read() else { panic!() };
    assert_eq!((receipt.esm_class, receipt.data_coding, receipt.registered_delivery), (0x04, 0, 0));
    assert_eq!((receipt.source.addr, receipt.destination.addr), (&b"8613812341234"[..], &b"Goose"[..]));
    let text = "id:1944864000000000001 sub:001 dlvrd:001 submit date:2603010000 done date:2603010001 stat:DELIVRD err:000 text:hello";
    assert_eq!(std::str::from_utf8(receipt.short_message).unwrap(), text);
    assert_eq!(receipt.tlvs.c_octet(tag::RECEIPTED_MESSAGE_ID), Some(ID_TEXT));
    assert_eq!(receipt.tlvs.u8(tag::MESSAGE_STATE), Some(2));
    assert_eq!(receipt.tlvs.first(tag::NETWORK_ERROR_CODE), Some(&[3, 0, 0][..]));
}

#[test]
fn an_account_chooses_zone_seconds_errors_text_and_tlvs_of_its_receipts() {
    let mut rig = with(|account| {
        account.receipts.zone = "+08:00".parse().unwrap();
        account.receipts.date_digits = 12;
        account.receipts.tlvs = false;
        account.receipts.error_map.insert("0A3".to_owned(), "163".to_owned());
    })
    .bound(BindKind::Transceiver);
    let failed = Report { state: ReceiptState::Undeliverable, error: b"0A3"[..].try_into().unwrap(), parts_delivered: 0, ..report() };
    deliver(&mut rig, 1, Delivery::Receipt(failed));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(receipt)) = frames[0].read() else { panic!() };
    let text = "id:1944864000000000001 sub:001 dlvrd:000 submit date:260301080000 done date:260301080101 stat:UNDELIV err:163 text:hello";
    assert_eq!(std::str::from_utf8(receipt.short_message).unwrap(), text);
    assert!(receipt.tlvs.is_empty());

    let mut rig = with(|account| account.receipts.text = false).bound(BindKind::Transceiver);
    deliver(&mut rig, 1, Delivery::Receipt(report()));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(receipt)) = frames[0].read() else { panic!() };
    assert_eq!((receipt.short_message, receipt.tlvs.u8(tag::MESSAGE_STATE)), (&b""[..], Some(2)));
}

#[test]
fn a_peer_below_version_34_gets_all_in_the_text_and_no_tlvs() {
    let mut office = with(|account| {
        account.receipts.text = false;
        account.receipts.data_sm = true;
    });
    let mut rig = office.connect();
    bind(&mut rig, BindKind::Transceiver, b"demo", b"secret", 0x33);
    rig.take_frames();
    deliver(&mut rig, 1, Delivery::Receipt(report()));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(receipt)) = frames[0].read() else { panic!("not a deliver_sm") };
    assert!(receipt.short_message.starts_with(b"id:1944864000000000001 "));
    assert!(receipt.tlvs.is_empty());
}

#[test]
fn receipts_go_as_data_sm_where_the_account_wants_them_so() {
    let mut rig = with(|account| account.receipts.data_sm = true).bound(BindKind::Transceiver);
    deliver(&mut rig, 1, Delivery::Receipt(report()));
    let frames = rig.take_frames();
    let (header, Pdu::DataSm(receipt)) = frames[0].read() else { panic!() };
    assert!(receipt.tlvs.first(tag::MESSAGE_PAYLOAD).unwrap().starts_with(b"id:1944864000000000001 "));
    rig.peer.respond_message_id(0x8000_0103, header.sequence, 0, b"");
    rig.pump();
    assert_eq!(answers(&mut rig), [(1, DeliveryAnswer::Taken)]);
}

#[test]
fn an_intermediate_report_says_so() {
    let mut rig = office().bound(BindKind::Transceiver);
    deliver(&mut rig, 1, Delivery::Receipt(Report { state: ReceiptState::Enroute, intermediate: true, ..report() }));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(receipt)) = frames[0].read() else { panic!() };
    assert_eq!(receipt.esm_class, 0x20);
    assert!(receipt.short_message.windows(12).any(|at| at == b"stat:ENROUTE"));
}

#[test]
fn quoted_text_keeps_to_characters_that_every_default_alphabet_has() {
    let mut rig = office().bound(BindKind::Transceiver);
    let text = "Ünï 漢";
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let quoted = Report { text: units[..].try_into().unwrap(), text_encoding: Encoding::Ucs2, ..report() };
    deliver(&mut rig, 1, Delivery::Receipt(quoted));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(receipt)) = frames[0].read() else { panic!() };
    assert!(receipt.short_message.ends_with(b" text:.n. ."));
}

#[test]
fn what_the_client_says_to_a_delivery_decides_about_it() {
    let mut rig = office().bound(BindKind::Transceiver);
    for (token, status, answer) in [
        (1, 0, DeliveryAnswer::Taken),
        (2, 0x64, DeliveryAnswer::Later),
        (3, 0x65, DeliveryAnswer::Never),
        (4, 0x14, DeliveryAnswer::Later),
    ] {
        deliver(&mut rig, token, Delivery::Receipt(report()));
        let Some(Seen::Request { sequence }) = rig.take_seen().pop() else { panic!() };
        rig.peer.respond_message_id(0x8000_0005, sequence, status, b"");
        rig.pump();
        assert_eq!(answers(&mut rig), [(token, answer)]);
    }
}

#[test]
fn a_delivery_without_an_answer_comes_again_later_and_its_late_answer_changes_nothing() {
    let mut rig = office().bound(BindKind::Transceiver);
    deliver(&mut rig, 5, Delivery::Receipt(report()));
    let Some(Seen::Request { sequence }) = rig.take_seen().pop() else { panic!() };
    rig.pass_ms(29_000);
    assert!(answers(&mut rig).is_empty());
    rig.pass_ms(1_500);
    assert_eq!(answers(&mut rig), [(5, DeliveryAnswer::Later)]);
    rig.peer.respond_message_id(0x8000_0005, sequence, 0, b"");
    rig.pump();
    assert!(answers(&mut rig).is_empty());
}

#[test]
fn deliveries_beyond_the_window_wait_for_room() {
    let mut rig = with(|account| account.receipts.window = 2).bound(BindKind::Transceiver);
    let item = Arc::new(Delivery::Receipt(report()));
    replies(&mut rig, (1..=5).map(|token| UpstreamReply::Deliver { token: DeliveryToken(token), item: Arc::clone(&item) }).collect());
    let seen = rig.take_seen();
    assert_eq!(seen.len(), 2);
    for request in seen {
        let Seen::Request { sequence } = request else { panic!() };
        rig.peer.respond_message_id(0x8000_0005, sequence, 0, b"");
    }
    rig.pump();
    assert_eq!(answers(&mut rig), [(1, DeliveryAnswer::Taken), (2, DeliveryAnswer::Taken)]);
    assert_eq!(rig.take_seen().len(), 2, "the next two");
}

fn inbound(octets: &[u8]) -> Inbound {
    Inbound {
        message: ID,
        source: Address::new(1, 1, b"8613812341234").unwrap(),
        destination: Address::new(3, 1, b"10690001").unwrap(),
        body: Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: octets.into() },
        service_type: Default::default(),
        protocol_id: 0,
        incomplete: false,
        received_ms: START_MS,
    }
}

#[test]
fn an_inbound_message_is_delivered_as_it_came() {
    let mut rig = office().bound(BindKind::Receiver);
    deliver(&mut rig, 1, Delivery::Inbound(inbound(b"hello")));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(sm)) = frames[0].read() else { panic!() };
    assert_eq!(
        (sm.esm_class, sm.short_message, sm.source.addr, sm.destination.addr),
        (0, &b"hello"[..], &b"8613812341234"[..], &b"10690001"[..])
    );
}

#[test]
fn an_inbound_message_is_written_in_the_clients_default_alphabet() {
    for (alphabet, octets, expected, data_coding) in [
        (Alphabet::Gsm7, &b"\x00\x05"[..], &b"\x00\x05"[..], 0),
        (Alphabet::Latin1, b"\x00\x05", b"@\xE9", 0),
        (Alphabet::Utf8, b"\x00\x05", "@\u{E9}".as_bytes(), 0),
        (Alphabet::Latin1, b"\x10", b"\x03\x94", 8),
        (Alphabet::Gsm7Packed, b"hello", &[0xE8, 0x32, 0x9B, 0xFD, 0x06], 0),
    ] {
        let mut rig = with(|account| account.default_alphabet = alphabet).bound(BindKind::Receiver);
        deliver(&mut rig, 1, Delivery::Inbound(inbound(octets)));
        let frames = rig.take_frames();
        let (_, Pdu::DeliverSm(sm)) = frames[0].read() else { panic!() };
        assert_eq!((sm.short_message, sm.data_coding), (expected, data_coding), "{alphabet:?}");
    }
}

#[test]
fn a_long_inbound_message_goes_as_payload_or_in_parts_where_the_peer_knows_no_tlvs() {
    let long = vec![b'a'; 400];
    let mut rig = office().bound(BindKind::Receiver);
    deliver(&mut rig, 1, Delivery::Inbound(inbound(&long)));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(sm)) = frames[0].read() else { panic!() };
    assert_eq!((sm.short_message, sm.tlvs.first(tag::MESSAGE_PAYLOAD)), (&b""[..], Some(&long[..])));

    let mut rig = office().connect();
    bind(&mut rig, BindKind::Receiver, b"demo", b"secret", 0x33);
    rig.take_inputs();
    rig.take_frames();
    rig.take_seen();
    deliver(&mut rig, 1, Delivery::Inbound(inbound(&long)));
    let frames = rig.take_frames();
    assert_eq!(frames.len(), 3);
    for frame in &frames {
        let (header, Pdu::DeliverSm(sm)) = frame.read() else { panic!() };
        assert_eq!(sm.esm_class, 0x40);
        assert!(answers(&mut rig).is_empty(), "one answer for all parts");
        rig.peer.respond_message_id(0x8000_0005, header.sequence, 0, b"");
        rig.pump();
    }
    assert_eq!(answers(&mut rig), [(1, DeliveryAnswer::Taken)]);
}

#[test]
fn a_delivery_to_a_session_that_is_leaving_comes_again_later() {
    let mut rig = office().bound(BindKind::Transceiver);
    ask(&mut rig, 1, &Pdu::SubmitSm(sm(b"in progress")));
    rig.take_inputs();
    rig.peer.unbind(rig.now);
    rig.session.unbind(rig.now);
    deliver(&mut rig, 3, Delivery::Receipt(report()));
    assert_eq!(answers(&mut rig), [(3, DeliveryAnswer::Later)]);
}

#[test]
fn the_end_of_a_session_is_told_once_and_only_if_it_was_bound() {
    let mut rig = office().bound(BindKind::Transceiver);
    rig.close(CloseCause::PeerClosed);
    assert!(matches!(rig.take_inputs()[..], [Input::SessionDown { session: SessionId(1) }]));
    let mut never_bound = office().connect();
    never_bound.close(CloseCause::SessionInitTimeout);
    assert!(never_bound.take_inputs().is_empty());
}

#[test]
fn the_broadcast_family_is_read_and_not_served() {
    let mut office = office();
    let mut rig = office.connect();
    bind(&mut rig, BindKind::Transceiver, b"demo", b"secret", 0x50);
    rig.take_seen();
    rig.take_inputs();
    let query = hongyan::smpp::pdu::QueryBroadcastSm { message_id: b"1", ..Default::default() };
    ask(&mut rig, 1, &Pdu::QueryBroadcastSm(query));
    assert_eq!(rig.take_seen(), [Seen::Response { token: 1, status: 0x03, late: false }]);
    assert!(rig.take_inputs().is_empty());
}
