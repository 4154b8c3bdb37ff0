//! kill -9 in the middle of load, ten times, and everything counted from outside: what was acknowledged reaches the carrier, what the carrier
//! reported reaches its account, and nothing is sent twice but what was in doubt (an otp never).

use super::crash_rig::{BINDS, GatewayProcess, WINDOW, configure};
use super::peers_rig::{PATIENCE, RawPeer, header, message_id, submit};
use hongyan::model::mark::{RunId, write_mark};
use hongyan::sim::behaviour::{Behaviour, Dice};
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::{Bind, BindKind, DecodeLimits, MessageIdResp, Pdu, command, decode, tlv};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const KILLS: u64 = 10;
/// Requests without an answer that a client allows itself.
const CLIENT_WINDOW: usize = 100;
/// Least time between two submissions of one client: about 1,000 a second each.
const PACE: Duration = Duration::from_micros(1_000);
/// The marks of the two clients.
pub const SHOP: RunId = *b"shop";
const CODES: RunId = *b"code";
/// message_state of a receipt that says delivered.
pub const DELIVERED: u8 = 2;

/// What the clients and the one who kills share.
pub struct Stage {
    pub gateway: Mutex<Option<SocketAddr>>,
    /// Acknowledgements so far, of both clients.
    pub acknowledged: AtomicU64,
    pub sending: AtomicBool,
    pub ended: AtomicBool,
}

impl Stage {
    /// The gateway's last life: nothing more is sent, and it stays until all that was acknowledged is reported.
    pub fn last_life(&self, config: &Path, told: &Mutex<Told>, smsc: &Smsc) -> GatewayProcess {
        let gateway = GatewayProcess::start(config);
        *self.gateway.lock().unwrap() = Some(gateway.address);
        self.sending.store(false, Ordering::Relaxed);
        until("a receipt for everything that was acknowledged", || told.lock().unwrap().unreported() == 0);
        until("the carrier has no receipt left", || smsc.stats().waiting == 0);
        self.ended.store(true, Ordering::Relaxed);
        gateway
    }

    /// No gateway yet.
    pub fn new() -> Arc<Stage> {
        Arc::new(Stage {
            gateway: Mutex::new(None),
            acknowledged: AtomicU64::new(0),
            sending: AtomicBool::new(true),
            ended: AtomicBool::new(false),
        })
    }
}

/// What one client knows: nothing but what it was told.
#[derive(Default)]
pub struct Told {
    next: u64,
    /// Our id → number of the mark. Only what was answered with status 0.
    pub acknowledged: HashMap<String, u64>,
    /// Our id → message_state of each receipt.
    pub receipts: HashMap<String, Vec<u8>>,
    pub refused: HashMap<u32, u64>,
}

impl Told {
    pub fn unreported(&self) -> usize {
        self.acknowledged.keys().filter(|id| !self.receipts.contains_key(*id)).count()
    }
}

pub fn client(stage: &Stage, name: &str, run: RunId, told: &Mutex<Told>) {
    while !stage.ended.load(Ordering::Relaxed) {
        let address = *stage.gateway.lock().unwrap();
        match address.and_then(|address| bound(address, name)) {
            Some(peer) => session(stage, peer, run, told),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Binds, if the gateway lives long enough.
fn bound(address: SocketAddr, name: &str) -> Option<RawPeer> {
    let mut peer = RawPeer::new(std::net::TcpStream::connect(address).ok()?);
    peer.send(&Pdu::bind(
        BindKind::Transceiver,
        Bind { system_id: name.as_bytes(), password: b"secret", interface_version: 0x34, ..Bind::default() },
    ));
    let answer = peer.next(Duration::from_secs(5)).ok()??;
    (header(&answer).status == 0).then_some(peer)
}

/// One session: sends, is answered, takes receipts, until the connection or the test ends.
fn session(stage: &Stage, mut peer: RawPeer, run: RunId, told: &Mutex<Told>) {
    let mut open: HashMap<u32, u64> = HashMap::new();
    let mut next_send = Instant::now();
    while !stage.ended.load(Ordering::Relaxed) {
        if stage.sending.load(Ordering::Relaxed) && open.len() < CLIENT_WINDOW && Instant::now() >= next_send {
            next_send += PACE;
            let mut told = told.lock().unwrap();
            let number = told.next;
            told.next += 1;
            // A number of its own for each message, for receipts of doubtful ones are told apart by it; the two clients' differ only far in front.
            let to = format!("861{}{number:08}", if run == SHOP { 38 } else { 39 });
            let sequence = peer.send(&Pdu::SubmitSm(submit(to.as_bytes(), &write_mark(run, number))));
            open.insert(sequence, number);
        }
        let wait = next_send.saturating_duration_since(Instant::now()).clamp(Duration::from_micros(100), Duration::from_millis(5));
        match peer.next(wait) {
            Ok(None) => {}
            Ok(Some(octets)) => take(&octets, &mut peer, &mut open, stage, told),
            // Killed. What had no answer was never promised.
            Err(_) => return,
        }
        peer.received.clear();
    }
}

fn take(octets: &[u8], peer: &mut RawPeer, open: &mut HashMap<u32, u64>, stage: &Stage, told: &Mutex<Told>) {
    let (sequence, status) = (header(octets).sequence, header(octets).status);
    match header(octets).command_id {
        command::SUBMIT_SM_RESP => {
            let number = open.remove(&sequence).expect("an answer to what was asked");
            let mut told = told.lock().unwrap();
            if status == 0 {
                told.acknowledged.insert(message_id(octets), number);
                stage.acknowledged.fetch_add(1, Ordering::Relaxed);
            } else {
                *told.refused.entry(status).or_default() += 1;
            }
        }
        command::DELIVER_SM => {
            let Ok((_, Pdu::DeliverSm(sm))) = decode(octets, &DecodeLimits::default()) else { panic!("{octets:02x?}") };
            let id = sm.tlvs.c_octet(tlv::tag::RECEIPTED_MESSAGE_ID).expect("receipts name their message");
            let state = sm.tlvs.u8(tlv::tag::MESSAGE_STATE).expect("and its state");
            told.lock().unwrap().receipts.entry(String::from_utf8(id.to_vec()).unwrap()).or_default().push(state);
            // Only now: what is answered is kept.
            peer.write(0, sequence, &Pdu::DeliverSmResp(Some(MessageIdResp::default())));
        }
        command::ENQUIRE_LINK => peer.write(0, sequence, &Pdu::EnquireLinkResp),
        command::UNBIND => peer.write(0, sequence, &Pdu::UnbindResp),
        _ => {}
    }
}

pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + 2 * PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ten_kills_in_the_middle_of_load_lose_nothing_and_repeat_only_what_was_in_doubt() {
    let seed = std::env::var("HONGYAN_CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64);
    println!("seed {seed}: run again with HONGYAN_CRASH_SEED={seed}");
    let mut dice = Dice::new(seed);
    // Slow enough that much is in flight at any moment, and that receipts come while the gateway is down.
    let behaviour = Behaviour {
        answer_delay_ms: 5,
        answer_jitter_ms: 30,
        receipt_delay_ms: 20,
        receipt_jitter_ms: 600,
        redeliver_ms: 300,
        ..Behaviour::default()
    };
    let smsc = Smsc::start(SmscSettings { behaviour, seed, ..SmscSettings::default() }).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let stage = Stage::new();
    let (shop, codes) = (Arc::new(Mutex::new(Told::default())), Arc::new(Mutex::new(Told::default())));
    let clients: Vec<_> = [("shop", SHOP, &shop), ("codes", CODES, &codes)]
        .into_iter()
        .map(|(name, run, told)| {
            let (stage, told) = (Arc::clone(&stage), Arc::clone(told));
            std::thread::spawn(move || client(&stage, name, run, &told))
        })
        .collect();
    for kill in 1..=KILLS {
        let before = stage.acknowledged.load(Ordering::Relaxed);
        let gateway = GatewayProcess::start(&config);
        *stage.gateway.lock().unwrap() = Some(gateway.address);
        until("an acknowledgement", || stage.acknowledged.load(Ordering::Relaxed) > before);
        std::thread::sleep(Duration::from_millis(100 + dice.up_to(900)));
        gateway.kill();
        println!("kill {kill}: {} acknowledged", stage.acknowledged.load(Ordering::Relaxed) - before);
    }
    let gateway = GatewayProcess::start(&config);
    *stage.gateway.lock().unwrap() = Some(gateway.address);
    std::thread::sleep(Duration::from_millis(500));
    stage.sending.store(false, Ordering::Relaxed);
    until("a receipt for everything that was acknowledged", || {
        let open = shop.lock().unwrap().unreported() + codes.lock().unwrap().unreported();
        if open > 0 && open < 20 {
            std::thread::sleep(Duration::from_millis(200));
        }
        open == 0
    });
    until("the carrier has no receipt left", || smsc.stats().waiting == 0);
    stage.ended.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    let ended = gateway.terminate();
    assert!(ended.success(), "{ended}");
    judge(seed, &smsc, &shop.lock().unwrap(), &codes.lock().unwrap());
}

fn judge(seed: u64, smsc: &Smsc, shop: &Told, codes: &Told) {
    let in_flight = BINDS * WINDOW;
    let reached = |run: RunId| smsc.marks(run).expect("its messages reached the carrier");
    let (of_shop, of_codes) = (reached(SHOP), reached(CODES));
    println!(
        "shop: {} acknowledged, {} repeated; codes: {} acknowledged, {} repeated; {:?}",
        shop.acknowledged.len(),
        of_shop.duplicates,
        codes.acknowledged.len(),
        of_codes.duplicates,
        smsc.stats()
    );
    assert!(shop.acknowledged.len() > 500 && codes.acknowledged.len() > 500, "seed {seed}: hardly any load");
    assert!(shop.refused.is_empty() && codes.refused.is_empty(), "seed {seed}: {:?} {:?}", shop.refused, codes.refused);
    let stats = smsc.stats();
    assert_eq!((stats.delivery_failures, stats.waiting), (0, 0), "seed {seed}: every receipt of the carrier was taken");
    // Nothing acknowledged is lost, and every message's receipt came home.
    for (id, number) in &shop.acknowledged {
        assert!(of_shop.seen.contains(*number), "seed {seed}: {id} ({number}) was acknowledged and never reached the carrier");
        assert!(
            shop.receipts[id].contains(&DELIVERED),
            "seed {seed}: {id} ({number}) was delivered; its receipts say {:?}",
            shop.receipts[id]
        );
    }
    // Twice only what had no durable answer when the gateway was killed: what was in flight, and as much again that was answered just then.
    assert!(of_shop.duplicates <= KILLS * 2 * in_flight, "seed {seed}: {} duplicates", of_shop.duplicates);
    // A code is never sent twice. One whose attempt is on record may have gone out or not: then it ends as in doubt, and its account is told.
    assert_eq!(of_codes.duplicates, 0, "seed {seed}: a code was sent twice");
    let mut in_doubt = 0;
    for (id, number) in &codes.acknowledged {
        let (was_sent, states) = (of_codes.seen.contains(*number), &codes.receipts[id]);
        assert_eq!(states.contains(&DELIVERED), was_sent, "seed {seed}: {id} ({number}) was sent: {was_sent}; its receipts say {states:?}");
        in_doubt += u64::from(!was_sent);
    }
    assert!(in_doubt <= KILLS * 2 * in_flight, "seed {seed}: {in_doubt} codes in doubt");
    println!("{in_doubt} codes ended in doubt without having been sent");
}
