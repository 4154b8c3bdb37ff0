//! Who may be written to, from outside: a phone that opts out by reply is left alone from the carrier's answer on, also by what waits already, also after
//! kill -9; and the configured rules refuse with their statuses.

use super::crash_rig::{GatewayProcess, configure};
use super::peers_rig::{RawPeer, decoded, header, submit, yes_to_bind};
use hongyan::engine::port::{RulesAnswer, RulesRequest};
use hongyan::engine::rules::lists::{Level, ListKind, ListName, Numbers};
use hongyan::link::lists::ListsError;
use hongyan::sim::smsc::SmscSettings;
use hongyan::smpp::{Addr, BindKind, DecodeLimits, MessageIdResp, Pdu, Sm, command};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

/// One bind of one carrier, and a service number of the account's; `more` goes into its section, `end` to the end.
fn configured(directory: &Path, listener: &TcpListener, more: &str, end: &str) -> std::path::PathBuf {
    let path = configure(directory, listener.local_addr().unwrap(), "");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("binds = 2\n", "binds = 1\n").replace(
        "name = \"shop\"\nsystem_id = \"shop\"\n",
        &format!("name = \"shop\"\nsystem_id = \"shop\"\nservice_numbers = [\"10690001\"]\n{more}"),
    );
    std::fs::write(&path, text + end).unwrap();
    path
}

/// The gateway binds.
fn accept(listener: &TcpListener) -> RawPeer {
    let mut peer = RawPeer::new(listener.accept().unwrap().0);
    let bind = peer.wait_for(command::BIND_TRANSCEIVER);
    peer.write(0, header(&bind).sequence, &yes_to_bind(BindKind::Transceiver));
    peer
}

fn from_service<'a>(to: &'a [u8], text: &'a [u8]) -> Sm<'a> {
    Sm { source: Addr { ton: 0, npi: 0, addr: b"10690001" }, ..submit(to, text) }
}

fn status_of(client: &mut RawPeer, sm: Sm<'_>) -> u32 {
    header(&client.ask(&Pdu::SubmitSm(sm))).status
}

/// Takes the next message and says yes; gives its destination.
fn take(carrier: &mut RawPeer) -> Vec<u8> {
    let octets = carrier.wait_for(command::SUBMIT_SM);
    let sequence = header(&octets).sequence;
    let id = sequence.to_string();
    carrier.write(0, sequence, &Pdu::SubmitSmResp(Some(MessageIdResp { message_id: id.as_bytes(), ..MessageIdResp::default() })));
    match decoded(&octets, &DecodeLimits::default()) {
        Pdu::SubmitSm(sm) => sm.destination.addr.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// The phone writes to the service number; gives the gateway's answer.
fn says(carrier: &mut RawPeer, phone: &[u8], text: &str) -> u32 {
    let text: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let sm = Sm {
        source: Addr { ton: 1, npi: 1, addr: phone },
        destination: Addr { ton: 0, npi: 0, addr: b"1069000188" },
        data_coding: 8,
        short_message: &text,
        ..Sm::default()
    };
    header(&carrier.ask(&Pdu::DeliverSm(sm))).status
}

/// What the client is delivered next: esm_class and text.
fn delivered(client: &mut RawPeer) -> (u8, Vec<u8>) {
    let octets = client.wait_for(command::DELIVER_SM);
    client.write(0, header(&octets).sequence, &Pdu::DeliverSmResp(Some(MessageIdResp::default())));
    match decoded(&octets, &DecodeLimits::default()) {
        Pdu::DeliverSm(sm) => (sm.esm_class, sm.short_message.to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_opt_out_that_was_answered_holds_after_kill_9_for_what_waits_and_for_what_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = configured(directory.path(), &listener, "", "");
    let (phone, other) = (b"8613800138001", b"8613800138002");
    let gateway = GatewayProcess::start(&config);
    let mut carrier = accept(&listener);
    let mut client = RawPeer::bound(gateway.address, BindKind::Transmitter, "shop", "secret");
    assert_eq!(status_of(&mut client, from_service(phone, b"hello")), 0);
    assert_eq!(take(&mut carrier), phone);
    // Two that wait: to the phone that is about to opt out, and to another.
    for to in [phone, other] {
        assert_eq!(status_of(&mut client, Sm { schedule_delivery_time: b"000000000004000R", ..from_service(to, b"later") }), 0);
    }
    assert_eq!(says(&mut carrier, phone, "回复ＴＤ退订。"), 0);
    gateway.kill();

    let gateway = GatewayProcess::start(&config);
    let mut carrier = accept(&listener);
    let mut client = RawPeer::bound(gateway.address, BindKind::Transceiver, "shop", "secret");
    let (esm_class, text) = delivered(&mut client);
    assert_eq!((esm_class & 0x3C, &text[..2]), (0, &[0x56, 0xDE][..]), "the account gets the reply all the same");
    assert_eq!(status_of(&mut client, from_service(phone, b"hello")), 0x0B, "opted out");
    assert_eq!(
        status_of(&mut client, Sm { source: Addr { ton: 0, npi: 0, addr: b"106900017" }, ..submit(phone, b"x") }),
        0x0B,
        "from an extension too"
    );
    assert_eq!(status_of(&mut client, submit(phone, b"from another sender")), 0);
    assert_eq!(take(&mut carrier), phone);
    // What waited: one goes, the other ends.
    assert_eq!(take(&mut carrier), other);
    let (esm_class, text) = delivered(&mut client);
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(esm_class & 0x3C == 0x04 && text.contains("stat:REJECTD") && text.contains("err:902"), "{text}");
    let until = Instant::now() + Duration::from_millis(300);
    while Instant::now() < until {
        if let Ok(Some(octets)) = carrier.next(Duration::from_millis(50)) {
            assert_ne!(header(&octets).command_id, command::SUBMIT_SM, "nothing more leaves");
        }
    }
    assert!(gateway.terminate().success());
}

#[test]
fn configured_rules_refuse_with_their_statuses_and_opting_in_lifts_an_opt_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let rules = "rules.allowed_destinations = [\"CN\"]\nrules.deny_phrases = [\"代开发票\"]\nrules.velocity = [{ digits = 13, most = 3, window_s = 3600 }]\n";
    let config = configured(directory.path(), &listener, rules, "[opt_out]\nback_words = [\"START\"]\n");
    let gateway = GatewayProcess::start(&config);
    let mut carrier = accept(&listener);
    let mut client = RawPeer::bound(gateway.address, BindKind::Transmitter, "shop", "secret");
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    assert_eq!(status_of(&mut client, from_service(b"85291234567", b"x")), 0x0B, "another country");
    let (denied, fine) = (utf16("可代开发票"), utf16("发票"));
    assert_eq!(status_of(&mut client, Sm { data_coding: 8, short_message: &denied, ..from_service(b"8613800138001", b"") }), 0x45);
    assert_eq!(status_of(&mut client, Sm { data_coding: 8, short_message: &fine, ..from_service(b"8613800138001", b"") }), 0);
    take(&mut carrier);
    assert_eq!(says(&mut carrier, b"8613800138001", "t"), 0);
    assert_eq!(status_of(&mut client, from_service(b"8613800138001", b"x")), 0x0B);
    assert_eq!(says(&mut carrier, b"8613800138001", "Start"), 0);
    for expected in [0, 0, 0x58] {
        assert_eq!(status_of(&mut client, from_service(b"8613800138001", b"x")), expected);
    }
    assert!(gateway.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_thousands_of_numbers_load_beside_traffic_and_are_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let list = || ListName::new(ListKind::Block, Level::Platform);
    let first = 13u64 << 60 | 8_613_900_000_000;
    let numbers: Vec<u64> = (0..300_000).map(|n| first + n * 331).collect();
    let (gateway, _smsc) = super::spine::start(data.path(), SmscSettings::default()).await;
    let address = gateway.smpp_address();
    let client = tokio::task::spawn_blocking(move || {
        let mut client = RawPeer::bound(address, BindKind::Transmitter, "demo", "demo");
        let free = (0..50).all(|_| status_of(&mut client, submit(b"8613800138000", b"hello")) == 0);
        (client, free)
    });
    let add = RulesRequest::Add { list: list(), numbers: Numbers::new(numbers.clone()) };
    let changed = gateway.lists().ask(add).await.unwrap();
    assert_eq!(changed, RulesAnswer::Changed { changed: 300_000, total: 300_000 });
    let (mut client, free) = client.await.unwrap();
    assert!(free, "messages to others are taken while the list grows");
    let blocked = tokio::task::spawn_blocking(move || status_of(&mut client, submit(b"8613900000331", b"hello")));
    assert_eq!(blocked.await.unwrap(), 0x0B);
    gateway.stop().await;

    let (gateway, _smsc) = super::spine::start(data.path(), SmscSettings::default()).await;
    assert_eq!(gateway.lists().ask(RulesRequest::Count).await.unwrap(), RulesAnswer::Counts(vec![(list(), 300_000)]));
    let page = RulesRequest::Page { list: list(), after: numbers[9], most: 2 };
    assert_eq!(gateway.lists().ask(page).await.unwrap(), RulesAnswer::Page(numbers[10..12].to_vec()));
    let lists = gateway.lists().clone();
    gateway.stop().await;
    assert_eq!(lists.ask(RulesRequest::Count).await, Err(ListsError::Stopping));
}
