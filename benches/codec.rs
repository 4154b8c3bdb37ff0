//! What decoding, encoding and a session cost per PDU, in memory. The goal is 150 ns for one submit_sm each way.

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hongyan::model::Now;
use hongyan::smpp::tlv::{TlvBuf, tag};
use hongyan::smpp::{
    Addr, Bind, BindKind, DecodeLimits, Event, MessageIdResp, Pdu, Session, Settings, Sm, check, command, decode, encode,
    encode_message_id_resp,
};
use std::hint::black_box;

const NOW: Now = Now { mono_us: 1_000_000, wall_ms: 1_772_323_200_000 };
const TEXT: &[u8; 80] = b"Your code is 482913. It is valid for five minutes. Do not share it with anybody.";

fn submit() -> Sm<'static> {
    Sm {
        source: Addr { ton: 5, npi: 0, addr: b"GATEWAY" },
        destination: Addr { ton: 1, npi: 1, addr: b"8613800138000" },
        registered_delivery: 1,
        short_message: TEXT,
        ..Sm::default()
    }
}

fn octets(pdu: &Pdu<'_>) -> BytesMut {
    let mut out = BytesMut::new();
    encode(0, 1, pdu, &mut out);
    out
}

fn codec(criterion: &mut Criterion) {
    let limits = DecodeLimits::default();
    let mut tlvs = TlvBuf::new();
    tlvs.c_octet(tag::RECEIPTED_MESSAGE_ID, b"1234567890123456789");
    tlvs.u8(tag::MESSAGE_STATE, 2);
    tlvs.octets(tag::NETWORK_ERROR_CODE, &[3, 0, 0]);
    let receipt = Sm { esm_class: 4, tlvs: tlvs.as_tlvs(), ..submit() };
    let id = MessageIdResp { message_id: b"1234567890123456789", ..MessageIdResp::default() };
    let pdus = [
        ("submit_sm", Pdu::SubmitSm(submit())),
        ("deliver_sm with three TLVs", Pdu::DeliverSm(receipt)),
        ("submit_sm_resp", Pdu::SubmitSmResp(Some(id))),
        ("enquire_link", Pdu::EnquireLink),
    ];
    let mut out = BytesMut::with_capacity(1 << 16);
    for (name, pdu) in &pdus {
        let frame = octets(pdu);
        criterion.bench_function(&format!("decode/{name}"), |bench| {
            bench.iter(|| decode(black_box(&frame), &limits).map(|(header, pdu)| (header.sequence, pdu.command_id())))
        });
        criterion.bench_function(&format!("encode/{name}"), |bench| {
            bench.iter(|| {
                out.clear();
                encode(0, black_box(7), black_box(pdu), &mut out);
                out.len()
            })
        });
    }
    criterion.bench_function("encode/submit_sm_resp fast path", |bench| {
        bench.iter(|| {
            out.clear();
            encode_message_id_resp(command::SUBMIT_SM_RESP, 0, black_box(7), black_box(b"1234567890123456789"), &mut out);
            out.len()
        })
    });
    let sm = submit();
    criterion.bench_function("check/submit_sm", |bench| bench.iter(|| check::submit_sm(black_box(&sm), NOW)));
}

/// How many requests travel together.
const BATCH: usize = 100;

fn session(criterion: &mut Criterion) {
    let settings = Settings { window: 1_000, inbound_window: 1_000, ..Settings::server() };
    let mut server = Session::new(settings, NOW);
    let mut client = Session::new(Settings { window: 1_000, ..Settings::client() }, NOW);
    client.bind(BindKind::Transceiver, &Bind { interface_version: 0x34, ..Bind::default() }, NOW);
    server.next(&client.output().split(), NOW);
    server.accept_bind(1, BindKind::Transceiver, 0x34, b"hongyan", NOW);
    client.next(&server.output().split(), NOW);
    let mut group = criterion.benchmark_group("session");
    group.throughput(Throughput::Elements(BATCH as u64));
    let pdu = Pdu::SubmitSm(submit());
    let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
    group.bench_function("submit_sm there and its answer back, both ends", |bench| {
        bench.iter(|| {
            for token in 0..BATCH as u64 {
                client.request(token, black_box(&pdu), NOW).expect("the window is open");
            }
            std::mem::swap(client.output(), &mut up);
            let mut at = 0;
            while at < up.len() {
                let (used, event) = server.next(&up[at..], NOW);
                at += used;
                if let Some(Event::Request { sequence, .. }) = event {
                    server.respond_message_id(command::SUBMIT_SM, sequence, 0, b"1234567890123456789");
                }
            }
            up.clear();
            std::mem::swap(server.output(), &mut down);
            let (mut at, mut answers) = (0, 0);
            while at < down.len() {
                let (used, event) = client.next(&down[at..], NOW);
                at += used;
                answers += usize::from(matches!(event, Some(Event::Response { status: 0, .. })));
            }
            down.clear();
            assert_eq!(answers, BATCH);
        })
    });
    group.finish();
}

criterion_group!(benches, codec, session);
criterion_main!(benches);
