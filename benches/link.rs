//! What the links' handlers cost per message on top of the codec, without sockets and engine: a submission to its draft and answer, a send to
//! its submit_sm and outcome, a carrier's receipt to its facts and answer, a report to its deliver_sm and answer. Each figure holds the
//! session's and the codec's share of both directions.

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hongyan::config::{Account, Carrier, Profile};
use hongyan::engine::port::{BindCommand, BindId, CarrierId, Delivery, DeliveryToken, Input, Report, SessionId, UpstreamReply};
use hongyan::link::accounts::{Accounts, AuthenticateJob, Verifier};
use hongyan::link::carrier::{CarrierBind, CarrierContext};
use hongyan::link::driver::Handler;
use hongyan::link::upstream::{Upstream, UpstreamCommand, UpstreamContext};
use hongyan::model::state::ReceiptState;
use hongyan::model::{AccountId, Address, Body, Class, Encoding, Message, MessageId, Now};
use hongyan::smpp::tlv::{TlvBuf, tag};
use hongyan::smpp::{Addr, Bind, BindKind, BindResp, Event, Pdu, Session, Settings, Sm, encode, encode_message_id_resp};
use std::sync::Arc;

const NOW: Now = Now { mono_us: 1_000_000, wall_ms: 1_772_323_200_000 };
const TEXT: &[u8; 80] = b"Your code is 482913. It is valid for five minutes. Do not share it with anybody.";
/// Messages of one read.
const BATCH: u32 = 100;
const FIRST_ID: u64 = 1_944_864_000_000_000_000;

struct NoChecks;

impl Verifier for NoChecks {
    fn verify(&self, _: AuthenticateJob) {}
}

/// Feeds octets to a session and its handler, as the driver does.
fn feed<H: Handler>(handler: &mut H, session: &mut Session, octets: &[u8]) {
    let mut at = 0;
    while at < octets.len() {
        let (used, event) = session.next(&octets[at..], NOW);
        at += used;
        match event {
            Some(Event::Closed { cause }) => panic!("{cause:?}"),
            Some(event) => handler.event(event, session, NOW),
            None => {}
        }
    }
}

fn upstream() -> (Upstream, Session) {
    let mut account = Account::plain("demo", "secret");
    account.window = 1_000;
    account.receipts.window = 1_000;
    let context = UpstreamContext {
        accounts: Arc::new(Accounts::new(&[account], 0)),
        verifier: Arc::new(NoChecks),
        system_id: b"hongyan"[..].into(),
    };
    let mut handler = Upstream::new(SessionId(1), [127, 0, 0, 1].into(), Arc::new(context));
    let mut session = Session::new(Settings::server(), NOW);
    let mut bind = BytesMut::new();
    let request = Bind { system_id: b"demo", password: b"secret", interface_version: 0x34, ..Bind::default() };
    encode(0, 1, &Pdu::bind(BindKind::Transceiver, request), &mut bind);
    feed(&mut handler, &mut session, &bind);
    session.output().clear();
    (handler, session)
}

fn carrier() -> (CarrierBind, Session) {
    let settings = Carrier { window: 1_000, ..Carrier::to_host("north", "127.0.0.1:2775", Profile::default()) };
    let context = Arc::new(CarrierContext { settings, home_country_code: 86 });
    let id = BindId { carrier: CarrierId(0), index: 0, generation: 1 };
    let mut session = Session::new(context.session_settings(), NOW);
    let mut handler = CarrierBind::new(id, BindKind::Transceiver, context, Arc::default());
    handler.opened(&mut session, NOW);
    let mut answer = BytesMut::new();
    let version = [0x02, 0x10, 0x00, 0x01, 0x34];
    let tlvs = hongyan::smpp::Tlvs::from_raw(&version).expect("a well-formed TLV");
    encode(0, 1, &Pdu::bind_resp(BindKind::Transceiver, Some(BindResp { system_id: b"smsc", tlvs })), &mut answer);
    feed(&mut handler, &mut session, &answer);
    session.output().clear();
    (handler, session)
}

fn message(id: u64) -> Arc<Message> {
    Arc::new(Message {
        id: MessageId(id),
        report: hongyan::model::Report { on_success: true, on_failure: true, intermediate: false },
        accepted_ms: NOW.wall_ms,
        expires_ms: NOW.wall_ms + 86_400_000,
        ..Message::new(
            AccountId(0),
            Class::Transactional,
            [Address::new(5, 0, b"GATEWAY").expect("it fits"), Address::new(1, 1, b"8613800138000").expect("it fits")],
            hongyan::number::pack(b"8613800138000").expect("digits"),
            Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: TEXT[..].into() },
        )
    })
}

fn links(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("link");
    group.throughput(Throughput::Elements(u64::from(BATCH)));

    let (mut handler, mut session) = upstream();
    let mut reports = Vec::new();
    let mut submits = BytesMut::new();
    let sm = Sm {
        source: Addr { ton: 5, npi: 0, addr: b"GATEWAY" },
        destination: Addr { ton: 1, npi: 1, addr: b"8613800138000" },
        registered_delivery: 1,
        short_message: TEXT,
        ..Sm::default()
    };
    (0..BATCH).for_each(|sequence| encode(0, 2 + sequence, &Pdu::SubmitSm(sm), &mut submits));
    handler.batch_end(&mut session, NOW, &mut reports);
    reports.clear();
    group.bench_function("submission to draft and answer", |bencher| {
        bencher.iter(|| {
            feed(&mut handler, &mut session, &submits);
            handler.batch_end(&mut session, NOW, &mut reports);
            let Some(Input::Submit { drafts, .. }) = reports.pop() else { panic!("no drafts") };
            let replies = drafts.iter().map(|draft| UpstreamReply::Answer { token: draft.token, result: Ok(MessageId(FIRST_ID)) });
            handler.command(UpstreamCommand::Replies(replies.collect()), &mut session, NOW);
            session.output().clear();
        });
    });

    let (mut handler, mut session) = carrier();
    let messages: Vec<_> = (0..BATCH).map(|n| message(FIRST_ID + u64::from(n))).collect();
    let mut sequence = 2;
    let mut answers = BytesMut::new();
    handler.batch_end(&mut session, NOW, &mut reports);
    reports.clear();
    group.bench_function("send to submit_sm and outcome", |bencher| {
        bencher.iter(|| {
            let sends = messages.iter().map(|message| BindCommand::Send {
                message: Arc::clone(message),
                first_part: 0,
                end_part: 1,
                parts: 1,
                reference: 0,
                ask_receipt: true,
            });
            handler.command(sends.collect(), &mut session, NOW);
            session.output().clear();
            answers.clear();
            (0..BATCH).for_each(|n| encode_message_id_resp(0x8000_0004, 0, sequence + n, b"1234567890", &mut answers));
            sequence += BATCH;
            feed(&mut handler, &mut session, &answers);
            handler.batch_end(&mut session, NOW, &mut reports);
            assert!(matches!(reports.pop(), Some(Input::Outcomes { outcomes, .. }) if outcomes.len() == BATCH as usize));
        });
    });

    let (mut handler, mut session) = carrier();
    let mut receipts = BytesMut::new();
    let mut tlvs = TlvBuf::new();
    tlvs.c_octet(tag::RECEIPTED_MESSAGE_ID, b"1234567890");
    tlvs.u8(tag::MESSAGE_STATE, 2);
    let text =
        b"id:1234567890 sub:001 dlvrd:001 submit date:2603010000 done date:2603010001 stat:DELIVRD err:000 text:Your code is 482913.";
    let receipt =
        Sm { esm_class: 4, short_message: text, tlvs: tlvs.as_tlvs(), source: sm.destination, destination: sm.source, ..Sm::default() };
    (0..BATCH).for_each(|sequence| encode(0, 2 + sequence, &Pdu::DeliverSm(receipt), &mut receipts));
    handler.batch_end(&mut session, NOW, &mut reports);
    reports.clear();
    group.bench_function("carrier's receipt to facts and answer", |bencher| {
        bencher.iter(|| {
            feed(&mut handler, &mut session, &receipts);
            handler.batch_end(&mut session, NOW, &mut reports);
            let Some(Input::Received { deliveries, .. }) = reports.pop() else { panic!("no receipts") };
            let answers = deliveries.iter().map(|&(token, _)| BindCommand::Answer { token, stored: true });
            handler.command(answers.collect(), &mut session, NOW);
            session.output().clear();
        });
    });

    let (mut handler, mut session) = upstream();
    handler.batch_end(&mut session, NOW, &mut reports);
    reports.clear();
    let report = Arc::new(Delivery::Receipt(Report {
        message: MessageId(FIRST_ID),
        source: Address::new(5, 0, b"GATEWAY").expect("it fits"),
        destination: Address::new(1, 1, b"8613800138000").expect("it fits"),
        state: ReceiptState::Delivered,
        intermediate: false,
        taken: true,
        carrier: None,
        error: b"000"[..].try_into().expect("it fits"),
        network_error: None,
        submit_ms: NOW.wall_ms,
        done_ms: NOW.wall_ms + 60_000,
        parts: 1,
        parts_delivered: 1,
        text: TEXT[..20].try_into().expect("it fits"),
        text_encoding: Encoding::Gsm7,
        notes: None,
    }));
    let mut sequence = 1;
    group.bench_function("report to deliver_sm and answer", |bencher| {
        bencher.iter(|| {
            let deliveries =
                (0..BATCH).map(|n| UpstreamReply::Deliver { token: DeliveryToken(u64::from(n)), item: Arc::clone(&report), since_ms: 0 });
            handler.command(UpstreamCommand::Replies(deliveries.collect()), &mut session, NOW);
            session.output().clear();
            answers.clear();
            (0..BATCH).for_each(|n| encode_message_id_resp(0x8000_0005, 0, sequence + n, b"", &mut answers));
            sequence += BATCH;
            feed(&mut handler, &mut session, &answers);
            handler.batch_end(&mut session, NOW, &mut reports);
            assert!(matches!(reports.pop(), Some(Input::Answered { answers, .. }) if answers.len() == BATCH as usize));
        });
    });
    group.finish();
}

criterion_group!(benches, links);
criterion_main!(benches);
