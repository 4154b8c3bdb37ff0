//! kill -9 while a client hands in the same messages again and again and its credit runs out: one message of each, one id for each, and not a
//! thousandth more or less than was agreed.

use super::control_rig::{done, refused};
use super::crash_rig::{GatewayProcess, configure};
use super::peers_rig::{PATIENCE, RawPeer, header, message_id, submit};
use hongyan::app::Gateway;
use hongyan::config::Config;
use hongyan::model::mark::{RunId, write_mark};
use hongyan::sim::behaviour::{Behaviour, Dice};
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::{BindKind, Pdu, command, status};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

const RUN: RunId = *b"twic";
/// Messages that the client has, and how many of them its credit is enough for.
const MESSAGES: u64 = 260;
const PAID: u64 = 200;
/// Kills before the last run.
const KILLS: usize = 5;
/// Requests without an answer.
const WINDOW: usize = 40;

/// What the client was told: its messages' ids, and which were refused last.
#[derive(Default)]
struct Told {
    ids: BTreeMap<u64, String>,
    refused: BTreeMap<u64, u32>,
    repeated: u64,
}

impl Told {
    fn take(&mut self, number: u64, octets: &[u8]) {
        match header(octets).status {
            0 => {
                let id = message_id(octets);
                let first = self.ids.entry(number).or_insert_with(|| id.clone());
                assert_eq!(*first, id, "message {number} was answered with two ids");
                self.refused.remove(&number);
            }
            status => {
                assert!(!self.ids.contains_key(&number), "message {number} has an id and was refused with {status:#x}");
                self.refused.insert(number, status);
            }
        }
    }
}

/// One life of the client: hands in what has no yes, and some of what has one, until `answers` have come or all is answered.
fn live(peer: &mut RawPeer, told: &mut Told, dice: &mut Dice, answers: u64) {
    let again = |n: &u64| told.ids.contains_key(n) && n.is_multiple_of(5);
    let mut left: Vec<u64> = (0..MESSAGES).filter(|n| !told.ids.contains_key(n) || again(n)).collect();
    let mut open: HashMap<u32, u64> = HashMap::new();
    let (mut come, end) = (0, Instant::now() + PATIENCE);
    while come < answers && !(left.is_empty() && open.is_empty()) {
        assert!(Instant::now() < end, "{} to hand in, {} unanswered", left.len(), open.len());
        while open.len() < WINDOW && !left.is_empty() {
            let number = left.swap_remove(dice.up_to(left.len() as u64 - 1) as usize);
            // Now and then twice in one go.
            for _ in 0..1 + dice.up_to(5) / 5 {
                let sequence = peer.send(&Pdu::SubmitSm(submit(format!("86139{number:08}").as_bytes(), &write_mark(RUN, number))));
                told.repeated += u64::from(told.ids.contains_key(&number) || open.values().any(|&other| other == number));
                open.insert(sequence, number);
            }
        }
        let Some(octets) = peer.next(Duration::from_millis(100)).expect("it lives") else { continue };
        match header(&octets).command_id {
            command::SUBMIT_SM_RESP => {
                come += 1;
                let number = open.remove(&header(&octets).sequence).expect("an answer to what was asked");
                told.take(number, &octets);
            }
            command::ENQUIRE_LINK => peer.write(0, header(&octets).sequence, &Pdu::EnquireLinkResp),
            _ => {}
        }
    }
}

#[test]
fn what_is_handed_in_again_after_kill_9_is_one_message_and_credit_is_exact() {
    let seed = std::env::var("HONGYAN_CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64);
    println!("seed {seed}: run again with HONGYAN_CRASH_SEED={seed}");
    let mut dice = Dice::new(seed);
    let behaviour = Behaviour { answer_delay_ms: 5, answer_jitter_ms: 20, ..Behaviour::default() };
    let smsc = Smsc::start(SmscSettings { behaviour, seed, ..SmscSettings::default() }).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let text = std::fs::read_to_string(&config).unwrap();
    let agreed = format!(
        "[account.dedupe]\nwindow_s = 3600\naction = \"drop\"\n[account.balance]\nlimit = {}\nprices = {{ \"\" = 1000 }}\n[[carrier]]",
        PAID * 1000
    );
    // It belongs to the last account: `codes`, whose messages are never sent twice.
    std::fs::write(&config, text.replacen("[[carrier]]", &agreed, 1)).unwrap();
    let mut told = Told::default();
    for kill in 0..=KILLS {
        let gateway = GatewayProcess::start(&config);
        let mut peer = RawPeer::bound(gateway.address, BindKind::Transmitter, "codes", "secret");
        let answers = if kill == KILLS { u64::MAX } else { 20 + dice.up_to(100) };
        live(&mut peer, &mut told, &mut dice, answers);
        gateway.kill();
        println!("life {kill}: {} have an id, {} refused, {} repeated", told.ids.len(), told.refused.len(), told.repeated);
    }
    assert_eq!(told.ids.len() as u64, PAID, "seed {seed}: exactly what the credit is enough for");
    assert!(told.refused.len() as u64 == MESSAGES - PAID && told.refused.values().all(|&status| status == status::ESME_RSUBMITFAIL));
    assert!(told.repeated > 50, "seed {seed}: hardly any repetition");
    let marks = smsc.marks(RUN).expect("its messages reached the carrier");
    assert_eq!(marks.duplicates, 0, "seed {seed}: a code was sent twice");
    assert!(told.refused.keys().all(|&number| !marks.seen.contains(number)), "seed {seed}: what was refused was sent");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(pay_in(&config, &mut told));
}

/// The balance is what the answers say, and a top-up is enough for as much as it is, also after another kill.
async fn pay_in(config: &std::path::Path, told: &mut Told) {
    let gateway = Gateway::start(Config::load(config).unwrap()).await.unwrap();
    let owed = PAID as i64 * 1000;
    let admin = gateway.admin_address().unwrap();
    let asking = tokio::task::spawn_blocking(move || {
        let terms =
            |balance: &serde_json::Value| ["topped_up", "available", "reserved", "spent"].map(|term| balance[term].as_i64().unwrap());
        let [topped_up, available, reserved, spent] = terms(&done(admin, &["balance", "codes"]));
        assert_eq!((topped_up, available, reserved + spent), (0, -owed, owed));
        refused(admin, &["balance", "top-up", "codes", "-0.001", "--reference", "a mistake"]);
        refused(admin, &["balance", "top-up", "nobody", "1", "--reference", "a mistake"]);
        for _ in 0..2 {
            let [topped_up, available, ..] = terms(&done(admin, &["balance", "top-up", "codes", "2", "--reference", "invoice 7"]));
            assert_eq!((topped_up, available), (2_000, 2_000 - owed), "the same reference pays once");
        }
    });
    asking.await.unwrap();
    gateway.stop().await;
    let process = GatewayProcess::start(config);
    let mut peer = RawPeer::bound(process.address, BindKind::Transmitter, "codes", "secret");
    live(&mut peer, told, &mut Dice::new(1), u64::MAX);
    assert_eq!(told.ids.len() as u64, PAID + 2);
    process.kill();
}
