//! tshark reads what the gateway sends, on both sides and in every kind of PDU that it has, and finds nothing malformed.

use super::peers_rig::{Octets, PATIENCE, RawPeer, header, message_id, submit, yes_to_bind};
use hongyan::app::Gateway;
use hongyan::config::{BindMode, Concatenation, Config};
use hongyan::smpp::pdu::{CancelSm, DataSm, DestinationsBuf, QuerySm, ReplaceSm, SubmitMulti};
use hongyan::smpp::{Addr, BindKind, DecodeLimits, Destination, MessageIdResp, Pdu, Sm, TlvBuf, command, decode, tlv};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Record = Arc<Mutex<Vec<Octets>>>;

/// A carrier that answers everything, reports on everything, and once asks for everything that a carrier may ask.
fn carrier(record: &Record) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let record = Arc::clone(record);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (peer, record) = (RawPeer::new(stream.unwrap()), Arc::clone(&record));
            std::thread::spawn(move || serve(peer, &record));
        }
    });
    address
}

fn serve(mut peer: RawPeer, record: &Record) {
    let until = Instant::now() + 4 * PATIENCE;
    let mut asked = false;
    while Instant::now() < until {
        let Ok(next) = peer.next(Duration::from_millis(100)) else { return };
        let Some(octets) = next else { continue };
        record.lock().unwrap().push(octets.clone());
        let sequence = header(&octets).sequence;
        let Ok((_, pdu)) = decode(&octets, &DecodeLimits::default()) else { panic!("the gateway sent {octets:02x?}") };
        match pdu {
            Pdu::BindReceiver(_) => {
                peer.write(0, sequence, &yes_to_bind(BindKind::Receiver));
                ask(&mut peer);
            }
            Pdu::BindTransmitter(_) => peer.write(0, sequence, &yes_to_bind(BindKind::Transmitter)),
            Pdu::BindTransceiver(_) => peer.write(0, sequence, &yes_to_bind(BindKind::Transceiver)),
            Pdu::SubmitSm(sm) => {
                let id = format!("{:p}-{sequence}", &raw const *record);
                peer.write(0, sequence, &Pdu::SubmitSmResp(Some(MessageIdResp { message_id: id.as_bytes(), ..Default::default() })));
                let text = format!("id:{id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:");
                let (source, destination) = (sm.destination, sm.source);
                peer.send(&Pdu::DeliverSm(Sm { source, destination, esm_class: 4, short_message: text.as_bytes(), ..Sm::default() }));
                if !asked && sm.destination.addr.starts_with(b"8613") {
                    asked = true;
                    ask(&mut peer);
                }
            }
            Pdu::EnquireLink => peer.write(0, sequence, &Pdu::EnquireLinkResp),
            Pdu::Unbind => peer.write(0, sequence, &Pdu::UnbindResp),
            _ => {}
        }
    }
}

/// Whatever a carrier may ask: is there a pulse, here is a message from a phone (as deliver_sm, with a payload, and as data_sm), and what is this?
fn ask(peer: &mut RawPeer) {
    let inbound = Sm {
        source: Addr { ton: 1, npi: 1, addr: b"8613900001111" },
        destination: Addr { ton: 3, npi: 0, addr: b"10690001" },
        ..Sm::default()
    };
    let mut long = TlvBuf::new();
    long.octets(tlv::tag::MESSAGE_PAYLOAD, "long ".repeat(80).as_bytes());
    peer.send(&Pdu::EnquireLink);
    peer.send(&Pdu::DeliverSm(Sm { short_message: b"from a phone", ..inbound }));
    peer.send(&Pdu::DeliverSm(Sm { tlvs: long.as_tlvs(), ..inbound }));
    let data = DataSm { source: inbound.source, destination: inbound.destination, tlvs: long.as_tlvs(), ..DataSm::default() };
    peer.send(&Pdu::DataSm(data));
    peer.write_octets(&[0, 0, 0, 16, 0, 0, 0x77, 0x77, 0, 0, 0, 0, 0, 0, 0x70, 0]);
}

/// A client asks for everything that a client may ask for, rightly and wrongly.
fn client(address: SocketAddr) -> Vec<Octets> {
    let mut peer = RawPeer::bound(address, BindKind::Transceiver, "demo", "demo");
    let answer = peer.ask(&Pdu::SubmitSm(submit(b"8613800138000", b"plain")));
    assert_eq!(header(&answer).status, 0);
    let sent = message_id(&answer);
    let chinese: Vec<u8> = "您的验证码是".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let mut long = TlvBuf::new();
    long.octets(tlv::tag::MESSAGE_PAYLOAD, "x".repeat(500).as_bytes());
    for to in [&b"8613800138000"[..], b"447700900123", b"14155550100"] {
        peer.send(&Pdu::SubmitSm(Sm { data_coding: 8, ..submit(to, &chinese) }));
        peer.send(&Pdu::SubmitSm(Sm { tlvs: long.as_tlvs(), ..submit(to, b"") }));
        peer.send(&Pdu::SubmitSm(Sm { data_coding: 4, ..submit(to, &[0, 1, 2, 255]) }));
    }
    let to = Addr { ton: 1, npi: 1, addr: b"8613800138001" };
    let from = Addr { ton: 5, npi: 0, addr: b"SHOP" };
    peer.send(&Pdu::DataSm(DataSm { source: from, destination: to, registered_delivery: 1, tlvs: long.as_tlvs(), ..DataSm::default() }));
    let mut dests = DestinationsBuf::default();
    dests.push(Destination::Sme(to));
    dests.push(Destination::Sme(Addr { ton: 1, npi: 1, addr: b"12345678901234567890" }));
    peer.send(&Pdu::SubmitMulti(SubmitMulti { sm: submit(b"", b"to many"), dests: dests.as_destinations() }));
    let later = Sm { schedule_delivery_time: b"000001000000000R", ..submit(b"8613800138000", b"later") };
    let waiting = message_id(&peer.ask(&Pdu::SubmitSm(later)));
    peer.ask(&Pdu::QuerySm(QuerySm { message_id: sent.as_bytes(), source: from }));
    peer.ask(&Pdu::QuerySm(QuerySm { message_id: b"1", source: from }));
    let replace = ReplaceSm { message_id: waiting.as_bytes(), source: from, short_message: b"other", ..ReplaceSm::default() };
    assert_eq!(header(&peer.ask(&Pdu::ReplaceSm(replace))).status, 0);
    let cancel = CancelSm {
        message_id: waiting.as_bytes(),
        source: from,
        destination: submit(b"8613800138000", b"").destination,
        ..CancelSm::default()
    };
    assert_eq!(header(&peer.ask(&Pdu::CancelSm(cancel))).status, 0);
    // Refusals: no number, an unknown command, a broadcast, an odd length.
    peer.ask(&Pdu::SubmitSm(submit(b"", b"nobody")));
    peer.write_octets(&[0, 0, 0, 16, 0, 0, 0x77, 0x77, 0, 0, 0, 0, 0, 0, 0x70, 0]);
    peer.write_octets(&[0, 0, 0, 18, 0, 0, 1, 0x12, 0, 0, 0, 0, 0, 0, 0x70, 1, b'1', 0]);
    peer.ask(&Pdu::EnquireLink);
    // Receipts and inbound messages; and being asked whether we live.
    answer_until_asked(&mut peer);
    peer.send(&Pdu::Unbind);
    peer.wait_for_end();
    peer.received
}

/// Answers what comes until the gateway asks for a sign of life: then nothing else was left to say.
fn answer_until_asked(peer: &mut RawPeer) {
    let until = Instant::now() + PATIENCE;
    while !has(&peer.received, command::ENQUIRE_LINK) {
        assert!(Instant::now() < until, "a silent session is never asked whether it lives");
        let Ok(Some(pdu)) = peer.next(Duration::from_millis(50)) else { continue };
        let sequence = header(&pdu).sequence;
        match header(&pdu).command_id {
            command::DELIVER_SM => peer.write(0, sequence, &Pdu::DeliverSmResp(Some(MessageIdResp::default()))),
            command::DATA_SM => peer.write(0, sequence, &Pdu::DataSmResp(Some(MessageIdResp::default()))),
            command::ENQUIRE_LINK => peer.write(0, sequence, &Pdu::EnquireLinkResp),
            _ => {}
        }
    }
}

fn has(pdus: &[Octets], command_id: u32) -> bool {
    pdus.iter().any(|pdu| header(pdu).command_id == command_id)
}

/// Clients of other kinds: separate sessions, receipts as data_sm, a wrong password, an unbind that comes from the gateway.
fn other_clients(address: SocketAddr) -> (Vec<Octets>, RawPeer) {
    let mut tx = RawPeer::bound(address, BindKind::Transmitter, "data", "demo");
    let mut rx = RawPeer::bound(address, BindKind::Receiver, "data", "demo");
    assert_eq!(header(&tx.ask(&Pdu::SubmitSm(submit(b"8613800138000", b"receipt as data_sm")))).status, 0);
    let pdu = rx.wait_for(command::DATA_SM);
    rx.write(0, header(&pdu).sequence, &Pdu::DataSmResp(Some(MessageIdResp::default())));
    let mut stranger = RawPeer::connect(address);
    let refused =
        stranger.ask(&Pdu::bind(BindKind::Transceiver, hongyan::smpp::Bind { system_id: b"demo", password: b"no", ..Default::default() }));
    assert_ne!(header(&refused).status, 0);
    let mut received = tx.received;
    received.append(&mut stranger.received);
    (received, rx)
}

/// What tshark makes of PDUs: for each its command_id, and whether it is malformed (or anything else that tshark calls an error).
fn read_by_tshark(pdus: &[Octets]) -> Vec<(u32, String)> {
    let directory = tempfile::tempdir().unwrap();
    let (dump, capture) = (directory.path().join("dump.txt"), directory.path().join("capture.pcapng"));
    let mut text = String::new();
    for pdu in pdus {
        for (line, octets) in pdu.chunks(16).enumerate() {
            let hex: String = octets.iter().fold(String::new(), |hex, octet| hex + &format!(" {octet:02x}"));
            writeln!(text, "{:06x}{hex}", line * 16).unwrap();
        }
        text.push('\n');
    }
    std::fs::write(&dump, text).unwrap();
    let made = Command::new("text2pcap").args(["-q", "-T", "40000,2775"]).args([&dump, &capture]).output();
    let made = made.expect("text2pcap (of tshark): run tests/setup.sh");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let fields = ["smpp.command_id", "_ws.malformed", "_ws.expert.severity", "_ws.expert.message"];
    let read = Command::new("tshark")
        .arg("-r")
        .arg(&capture)
        .args(["-d", "tcp.port==2775,smpp", "-T", "fields", "-E", "separator=|"])
        .args(fields.iter().flat_map(|field| ["-e", field]))
        .output()
        .expect("tshark: run tests/setup.sh");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let read_line = |line: &str| {
        let (id, wrong) = line.split_once('|').unwrap();
        let id = u32::from_str_radix(id.trim_start_matches("0x"), 16).unwrap_or_else(|_| panic!("tshark sees no single PDU: {line}"));
        // Malformed, or an error (8388608) of any kind.
        let bad = !wrong.starts_with('|') || wrong.contains("8388608");
        (id, if bad { wrong.to_owned() } else { String::new() })
    };
    String::from_utf8(read.stdout).unwrap().lines().map(read_line).collect()
}

fn all_well_formed(side: &str, pdus: &[Octets], kinds: &[u32]) {
    let seen: BTreeSet<u32> = pdus.iter().map(|pdu| header(pdu).command_id).collect();
    let missing: Vec<String> = kinds.iter().filter(|kind| !seen.contains(kind)).map(|kind| format!("{kind:#010x}")).collect();
    assert!(missing.is_empty(), "{side} was never sent {missing:?}");
    let read = read_by_tshark(pdus);
    assert_eq!(read.len(), pdus.len());
    for (pdu, (id, wrong)) in pdus.iter().zip(read) {
        assert_eq!((id, wrong.as_str()), (header(pdu).command_id, ""), "tshark on what {side} got: {pdu:02x?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tshark_reads_every_kind_of_pdu_that_the_gateway_sends_and_finds_none_malformed() {
    let record = Record::default();
    let data = tempfile::tempdir().unwrap();
    let mut config = Config::demo(data.path()).with_account("data", "demo");
    for (name, profile, prefix) in [("headers", "standard", ""), ("sar", "text-receipts", "44"), ("payload", "hex-ids", "1")] {
        config = config.with_carrier(name, &carrier(&record).to_string(), profile);
        config.routes[0].carriers.truncate(1);
        if !prefix.is_empty() {
            let mut route = config.routes[0].clone();
            (route.prefix, route.carriers) = (prefix.to_owned(), vec![name.into()]);
            config.routes.push(route);
        }
    }
    config.accounts[0].service_numbers = vec!["10690001".to_owned()];
    config.accounts[1].receipts.data_sm = true;
    config.carriers[1].bind = BindMode::TxRx;
    config.carriers[2].profile.shaping.concatenation = Concatenation::Payload;
    config.listen.enquire_link_ms = 300;
    config.carriers.iter_mut().for_each(|carrier| carrier.timers.enquire_link_ms = 300);
    let gateway = Gateway::start(config).await.unwrap();
    let address = gateway.smpp_address();
    let clients = tokio::task::spawn_blocking(move || (client(address), other_clients(address)));
    let (mut upstream, (mut others, mut last)) = clients.await.unwrap();
    // The last one is still bound: the gateway says goodbye, and to its carriers too.
    let goodbye = tokio::task::spawn_blocking(move || {
        let pdu = last.wait_for(command::UNBIND);
        last.write(0, header(&pdu).sequence, &Pdu::UnbindResp);
        last.wait_for_end();
        last.received
    });
    let until = Instant::now() + PATIENCE;
    while !has(&record.lock().unwrap(), command::ENQUIRE_LINK) {
        assert!(Instant::now() < until, "a silent carrier is never asked whether it lives");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    gateway.stop().await;
    upstream.append(&mut others);
    upstream.append(&mut goodbye.await.unwrap());
    let answers = [command::BIND_TRANSCEIVER_RESP, command::BIND_TRANSMITTER_RESP, command::BIND_RECEIVER_RESP, command::SUBMIT_SM_RESP];
    let more =
        [command::SUBMIT_MULTI_RESP, command::DATA_SM_RESP, command::QUERY_SM_RESP, command::CANCEL_SM_RESP, command::REPLACE_SM_RESP];
    let session = [command::ENQUIRE_LINK, command::ENQUIRE_LINK_RESP, command::UNBIND, command::UNBIND_RESP, command::GENERIC_NACK];
    let deliveries = [command::DELIVER_SM, command::DATA_SM];
    all_well_formed("an upstream", &upstream, &[&answers[..], &more, &session, &deliveries].concat());
    let binds = [command::BIND_TRANSCEIVER, command::BIND_TRANSMITTER, command::BIND_RECEIVER, command::SUBMIT_SM];
    let more = [command::DELIVER_SM_RESP, command::DATA_SM_RESP, command::ENQUIRE_LINK, command::ENQUIRE_LINK_RESP, command::UNBIND];
    let to_carriers = record.lock().unwrap().clone();
    all_well_formed("a carrier", &to_carriers, &[&binds[..], &more, &[command::GENERIC_NACK]].concat());
}

#[test]
fn tshark_would_tell() {
    let good = vec![0, 0, 0, 18, 0x80, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, b'7', 0];
    // Says that 200 octets of text follow, and ends.
    let mut bad = vec![0, 0, 0, 33, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 2];
    bad.extend([0; 16]);
    bad.push(200);
    let read = read_by_tshark(&[good.clone(), bad, good]);
    assert!(read[0].1.is_empty() && !read[1].1.is_empty() && read[2].1.is_empty(), "{read:?}");
}
