//! The listener and the pools over real sockets: bounds on connections, hosts in order, binds that come back, and graceful ends.

use hongyan::config::{self, Account, AccountSecret, BindMode, Listen, Profile, Secret};
use hongyan::engine::port::{BindCommand, Input, UpstreamReply};
use hongyan::link::carrier::CarrierContext;
use hongyan::link::listener::Listener;
use hongyan::link::pool::{LinkShared, Pool};
use hongyan::link::registry::Registry;
use hongyan::link::tape::Recordings;
use hongyan::model::clock::SystemClock;
use hongyan::model::{CarrierId, MessageId};
use hongyan::smpp::decode::DecodeLimits;
use hongyan::smpp::pdu::{DestinationsBuf, SubmitMulti};
use hongyan::smpp::tlv::tag;
use hongyan::smpp::{Addr, Bind, BindKind, Destination, Pdu, Sm, decode, encode, frame};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

struct Engine {
    shared: LinkShared,
    inputs: mpsc::Receiver<Vec<Input>>,
    ready: std::collections::VecDeque<Input>,
}

fn engine() -> Engine {
    let (sender, inputs) = mpsc::channel(100);
    let shared = LinkShared {
        registry: Arc::new(Registry::default()),
        engine: sender,
        clock: SystemClock::start(),
        recordings: Arc::new(Recordings::none()),
    };
    Engine { shared, inputs, ready: Default::default() }
}

impl Engine {
    async fn next(&mut self) -> Input {
        while self.ready.is_empty() {
            self.ready.extend(timeout(PATIENCE, self.inputs.recv()).await.expect("an input comes").expect("links live"));
        }
        self.ready.pop_front().unwrap()
    }
}

/// A peer that speaks PDU by PDU.
pub struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Peer {
    pub async fn connect(address: SocketAddr) -> Peer {
        Peer { stream: TcpStream::connect(address).await.unwrap(), buffer: Vec::new() }
    }

    pub async fn accept(listener: &TcpListener) -> Peer {
        let (stream, _) = timeout(PATIENCE, listener.accept()).await.expect("a connection comes").unwrap();
        Peer { stream, buffer: Vec::new() }
    }

    pub async fn say(&mut self, status: u32, sequence: u32, pdu: &Pdu<'_>) {
        let mut out = bytes::BytesMut::new();
        encode(status, sequence, pdu, &mut out);
        self.stream.write_all(&out).await.unwrap();
    }

    /// The next PDU's frame; `None` at the end of the connection.
    pub async fn hear(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(frame) = frame::next(&self.buffer, 1 << 20).unwrap().map(<[u8]>::to_vec) {
                self.buffer.drain(..frame.len());
                return Some(frame);
            }
            let mut octets = [0; 4096];
            let read = timeout(PATIENCE, self.stream.read(&mut octets)).await.expect("octets come").unwrap_or(0);
            if read == 0 {
                return None;
            }
            self.buffer.extend_from_slice(&octets[..read]);
        }
    }

    pub async fn bind(&mut self, system_id: &[u8], password: &[u8]) -> u32 {
        let bind = Bind { system_id, password, interface_version: 0x34, ..Bind::default() };
        self.say(0, 1, &Pdu::bind(BindKind::Transceiver, bind)).await;
        status(&self.hear().await.expect("a bind response"))
    }

    /// Takes a bind; returns its kind.
    pub async fn take_bind(&mut self, status: u32) -> BindKind {
        let frame = self.hear().await.expect("a bind");
        let (header, pdu) = decode(&frame, &DecodeLimits::default()).unwrap();
        let kind = match pdu {
            Pdu::BindTransceiver(_) => BindKind::Transceiver,
            Pdu::BindTransmitter(_) => BindKind::Transmitter,
            Pdu::BindReceiver(_) => BindKind::Receiver,
            other => panic!("{other:?}"),
        };
        self.say(status, header.sequence, &Pdu::bind_resp(kind, None)).await;
        kind
    }
}

fn status(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[8..12].try_into().unwrap())
}

fn command(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[4..8].try_into().unwrap())
}

fn sequence(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[12..16].try_into().unwrap())
}

fn listen() -> Listen {
    Listen { address: "127.0.0.1:0".parse().unwrap(), ..Listen::default() }
}

fn carrier(hosts: Vec<String>) -> config::Carrier {
    let mut carrier = config::Carrier::to_host("north", "unused:1", Profile::default());
    carrier.hosts = hosts;
    carrier.reconnect.min_ms = 10;
    carrier.timers.unbind_timeout_ms = 500;
    carrier
}

fn start(carrier: config::Carrier, engine: &Engine) -> Pool {
    Pool::start(CarrierId(0), &Arc::new(CarrierContext { settings: carrier, home_country_code: 0 }), &engine.shared)
}

#[tokio::test]
async fn a_client_binds_submits_and_gets_its_answer_from_the_engine() {
    let mut engine = engine();
    let listener = Listener::start(&listen(), &[Account::plain("demo", "secret")], engine.shared.clone()).await.unwrap();
    let mut peer = Peer::connect(listener.local_addr()).await;
    assert_eq!(peer.bind(b"demo", b"secret").await, 0);
    let Input::SessionUp { session, .. } = engine.next().await else { panic!() };
    assert_eq!(listener.accounts().binds(hongyan::model::AccountId(0)), 1);
    let to = hongyan::smpp::Addr { ton: 1, npi: 1, addr: b"8613812341234" };
    peer.say(0, 2, &Pdu::SubmitSm(Sm { destination: to, short_message: b"hi", ..Sm::default() })).await;
    let Input::Submit { drafts, .. } = engine.next().await else { panic!() };
    engine.shared.registry.reply(session, vec![UpstreamReply::Answer { token: drafts[0].token, result: Ok(MessageId(42)) }]);
    let answer = peer.hear().await.unwrap();
    assert_eq!((command(&answer), status(&answer), sequence(&answer)), (0x8000_0004, 0, 2));
    drop(peer);
    assert!(matches!(engine.next().await, Input::SessionDown { session: gone } if gone == session));
    listener.stop(PATIENCE).await;
    assert_eq!(engine.shared.registry.sessions(), 0);
}

#[tokio::test]
async fn connections_beyond_the_bound_are_closed_at_once() {
    let engine = engine();
    let settings = Listen { max_connections: 1, ..listen() };
    let listener = Listener::start(&settings, &[Account::plain("demo", "secret")], engine.shared.clone()).await.unwrap();
    let mut first = Peer::connect(listener.local_addr()).await;
    assert_eq!(first.bind(b"demo", b"secret").await, 0);
    let mut second = Peer::connect(listener.local_addr()).await;
    assert_eq!(second.hear().await, None);
    drop(first);
    let mut third = loop {
        let mut peer = Peer::connect(listener.local_addr()).await;
        let bind = Bind { system_id: b"demo", password: b"secret", interface_version: 0x34, ..Bind::default() };
        let mut out = bytes::BytesMut::new();
        encode(0, 1, &Pdu::bind(BindKind::Transceiver, bind), &mut out);
        let _ = peer.stream.write_all(&out).await;
        if peer.hear().await.is_some() {
            break peer;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    third.say(0, 2, &Pdu::EnquireLink).await;
    assert!(third.hear().await.is_some(), "the place of the first is free again");
}

#[tokio::test]
async fn a_hashed_password_is_checked_beside_the_sockets() {
    use argon2::PasswordHasher;
    let cheap = argon2::Params::new(argon2::Params::MIN_M_COST, 1, 1, None).unwrap();
    let hasher = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, cheap);
    let hash = hasher.hash_password_with_salt(b"secret", b"0123456789abcdef").unwrap().to_string();
    let account = Account { secret: AccountSecret::Hash(Secret::new(hash)), ..Account::plain("demo", "") };
    let mut engine = engine();
    let listener = Listener::start(&listen(), &[account], engine.shared.clone()).await.unwrap();
    assert_eq!(Peer::connect(listener.local_addr()).await.bind(b"demo", b"secret").await, 0);
    assert!(matches!(engine.next().await, Input::SessionUp { .. }));
    assert_eq!(Peer::connect(listener.local_addr()).await.bind(b"demo", b"wrong").await, 0x0E);
}

#[tokio::test]
async fn stopping_the_listener_unbinds_its_sessions() {
    let mut engine = engine();
    let listener = Listener::start(&listen(), &[Account::plain("demo", "secret")], engine.shared.clone()).await.unwrap();
    let mut peer = Peer::connect(listener.local_addr()).await;
    assert_eq!(peer.bind(b"demo", b"secret").await, 0);
    engine.next().await;
    let address = listener.local_addr();
    let stopping = tokio::spawn(listener.stop(PATIENCE));
    let unbind = peer.hear().await.unwrap();
    assert_eq!(command(&unbind), 0x06);
    peer.say(0, sequence(&unbind), &Pdu::UnbindResp).await;
    assert_eq!(peer.hear().await, None);
    timeout(PATIENCE, stopping).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_lost_bind_comes_back_as_a_new_generation_and_its_ghost_commands_go_home() {
    let mut engine = engine();
    let smsc = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pool = start(carrier(vec![smsc.local_addr().unwrap().to_string()]), &engine);
    let mut peer = Peer::accept(&smsc).await;
    assert_eq!(peer.take_bind(0).await, BindKind::Transceiver);
    let Input::BindUp { bind: first, window: 10 } = engine.next().await else { panic!() };
    assert_eq!((first.carrier, first.index, first.generation), (CarrierId(0), 0, 1));
    assert_eq!(engine.shared.registry.snapshot(&[], 1).carriers[0].binds_up, 1);
    drop(peer);
    assert!(matches!(engine.next().await, Input::BindDown { bind, .. } if bind == first));
    let mut peer = Peer::accept(&smsc).await;
    peer.take_bind(0).await;
    let Input::BindUp { bind: second, .. } = engine.next().await else { panic!() };
    assert_eq!(second.generation, 2);
    assert!(engine.shared.registry.command(first, vec![BindCommand::Answer { token: 1, stored: true }]).is_none());

    let stopping = tokio::spawn(pool.stop());
    let unbind = peer.hear().await.unwrap();
    assert_eq!(command(&unbind), 0x06, "unbound before it is closed");
    peer.say(0, sequence(&unbind), &Pdu::UnbindResp).await;
    assert!(matches!(engine.next().await, Input::BindDown { bind, .. } if bind == second));
    timeout(PATIENCE, stopping).await.unwrap().unwrap();
}

#[tokio::test]
async fn hosts_are_tried_in_order_until_one_takes_the_bind() {
    let mut engine = engine();
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let rude = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kind = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hosts = [dead, rude.local_addr().unwrap(), kind.local_addr().unwrap()].map(|address| address.to_string());
    let _pool = start(carrier(hosts.to_vec()), &engine);
    // The second hangs up without a word; the third is asked at once.
    drop(Peer::accept(&rude).await);
    Peer::accept(&kind).await.take_bind(0).await;
    assert!(matches!(engine.next().await, Input::BindUp { .. }));
}

#[tokio::test]
async fn a_refused_bind_is_tried_again_and_the_engine_hears_nothing_of_it() {
    let mut engine = engine();
    let smsc = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = carrier(vec![smsc.local_addr().unwrap().to_string()]);
    settings.reconnect.credentials_ms = 10;
    let _pool = start(settings, &engine);
    let mut peer = Peer::accept(&smsc).await;
    peer.take_bind(0x0E).await;
    assert_eq!(peer.hear().await, None, "closed on our side before the next try");
    Peer::accept(&smsc).await.take_bind(0).await;
    let Input::BindUp { bind, .. } = engine.next().await else { panic!() };
    assert_eq!(bind.generation, 2);
}

#[tokio::test]
async fn separate_binds_for_sending_and_receiving_are_pairs() {
    let mut engine = engine();
    let smsc = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = carrier(vec![smsc.local_addr().unwrap().to_string()]);
    settings.bind = BindMode::TxRx;
    settings.binds = 2;
    let _pool = start(settings, &engine);
    let mut peers = Vec::new();
    let mut kinds = Vec::new();
    for _ in 0..4 {
        let mut peer = Peer::accept(&smsc).await;
        kinds.push(peer.take_bind(0).await.name());
        peers.push(peer);
    }
    kinds.sort_unstable();
    assert_eq!(kinds, ["rx", "rx", "tx", "tx"]);
    let mut windows = Vec::new();
    for _ in 0..4 {
        let Input::BindUp { bind, window } = engine.next().await else { panic!() };
        windows.push((bind.index, window));
    }
    windows.sort_unstable();
    assert_eq!(windows, [(0, 10), (1, 0), (2, 10), (3, 0)]);
}

#[tokio::test]
async fn a_local_source_address_is_used() {
    let engine = engine();
    let smsc = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = carrier(vec![smsc.local_addr().unwrap().to_string()]);
    settings.local_address = Some("127.0.0.3".parse().unwrap());
    let _pool = start(settings, &engine);
    let (_, from) = timeout(PATIENCE, smsc.accept()).await.unwrap().unwrap();
    assert_eq!(from.ip().to_string(), "127.0.0.3");
}

#[tokio::test]
async fn a_pool_that_can_not_connect_stops_at_once() {
    let engine = engine();
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut settings = carrier(vec![dead.to_string()]);
    settings.reconnect.min_ms = 600_000;
    settings.reconnect.max_ms = 600_000;
    let pool = start(settings, &engine);
    tokio::task::yield_now().await;
    timeout(PATIENCE, pool.stop()).await.expect("it does not wait for its delay");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receipts_of_a_submit_multi_carry_the_id_of_its_response_plus_their_place_among_those_taken() {
    let data = tempfile::tempdir().unwrap();
    let (gateway, smsc) = super::spine::start(data.path(), Default::default()).await;
    let mut peer = Peer::connect(gateway.smpp_address()).await;
    assert_eq!(peer.bind(b"demo", b"demo").await, 0);
    let mut dests = DestinationsBuf::default();
    let phones = [&b"8613800138000"[..], b"not-a-number", b"8613800138001", b"8613800138002"];
    for addr in phones {
        assert!(dests.push(Destination::Sme(Addr { ton: 1, npi: 1, addr })));
    }
    let source = Addr { ton: 5, npi: 0, addr: b"SHOP" };
    let sm = Sm { source, registered_delivery: 1, short_message: b"to all", ..Sm::default() };
    peer.say(0, 2, &Pdu::SubmitMulti(SubmitMulti { sm, dests: dests.as_destinations() })).await;
    let (mut first, mut found) = (0, Vec::new());
    while first == 0 || found.len() < 3 {
        let frame = peer.hear().await.expect("the gateway answers and reports");
        match decode(&frame, &DecodeLimits::default()).unwrap() {
            (_, Pdu::SubmitMultiResp(Some(resp))) => {
                first = number(resp.message_id);
                let refused: Vec<_> = resp.unsuccess.iter().map(|one| (one.destination.addr.to_vec(), one.status)).collect();
                assert_eq!(refused, [(phones[1].to_vec(), 0x0B)]);
            }
            (header, Pdu::DeliverSm(receipt)) => {
                found.push((number(receipt.tlvs.c_octet(tag::RECEIPTED_MESSAGE_ID).unwrap()), receipt.source.addr.to_vec()));
                peer.say(0, header.sequence, &Pdu::DeliverSmResp(None)).await;
            }
            (_, other) => panic!("{other:?}"),
        }
    }
    found.sort();
    let expected = [0, 2, 3].map(|at| phones[at].to_vec()).into_iter().enumerate().map(|(n, phone)| (first + n as u64, phone));
    assert_eq!(found, expected.collect::<Vec<_>>());
    drop(peer);
    gateway.stop().await;
    smsc.stop();
}

fn number(id: &[u8]) -> u64 {
    std::str::from_utf8(id).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_peer_that_we_did_not_read_is_not_blamed_for_its_silence() {
    let (sender, inputs) = mpsc::channel(1);
    let shared = LinkShared {
        registry: Arc::new(Registry::default()),
        engine: sender,
        clock: SystemClock::start(),
        recordings: Arc::new(Recordings::none()),
    };
    let mut engine = Engine { shared, inputs, ready: Default::default() };
    let listen = Listen { inactivity_ms: 200, ..listen() };
    let listener = Listener::start(&listen, &[Account::plain("demo", "secret")], engine.shared.clone()).await.unwrap();
    let mut peer = Peer::connect(listener.local_addr()).await;
    assert_eq!(peer.bind(b"demo", b"secret").await, 0);
    // The one place of the hand-over is taken by the session's beginning: with this submission the session stops reading.
    let to = Addr { ton: 1, npi: 1, addr: b"8613812341234" };
    peer.say(0, 2, &Pdu::SubmitSm(Sm { destination: to, short_message: b"hi", ..Sm::default() })).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    peer.say(0, 3, &Pdu::EnquireLink).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(matches!(engine.next().await, Input::SessionUp { .. }));
    assert!(matches!(engine.next().await, Input::Submit { .. }));
    let heard = peer.hear().await.expect("the session lives");
    assert_eq!((command(&heard), sequence(&heard)), (0x8000_0015, 3), "the answer, and no unbind before it");
    drop(peer);
    drop(engine);
    listener.stop(PATIENCE).await;
}
