//! `hongyan profile learn`: from recordings of sessions with simulated carriers of several habits, redacted as they are by default, it proposes profiles that name
//! those habits; and each proposal can be used.

use super::control_rig::hongyan;
use super::peers_rig::{PATIENCE, RawPeer, submit};
use hongyan::app::Gateway;
use hongyan::config::{Config, Profile, ReceiptIdHabit, RecorderMode, SHIPPED_PROFILES, SimulatedId};
use hongyan::load::generator::{Load, LoadSettings};
use hongyan::model::State;
use hongyan::sim::profile::settings_of;
use hongyan::sim::smsc::Smsc;
use hongyan::smpp::{BindKind, Pdu};
use hongyan::telemetry::EngineSnapshot;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Sends short messages and some long ones through a gateway to a carrier of this profile, dumps what was recorded of its binds, and gives the files.
async fn record(name: &str, plain: bool, folder: &Path) -> Vec<String> {
    let profile = Profile::shipped(name).unwrap();
    let wall_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let smsc = Smsc::start(settings_of(&profile, wall_ms)).unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut config = Config::demo(data.path()).with_account("long", "long").with_carrier("odd", &smsc.local_addr().to_string(), name);
    config.carriers[0].bind = profile.simulate.bind;
    config.recorder.mode = RecorderMode::Full;
    config.recorder.bytes_per_session = 4 << 20;
    config.recorder.allow_plain = plain;
    let gateway = Gateway::start(config).await.unwrap();
    let load = Load::start(LoadSettings { target: gateway.smpp_address(), messages: 100, ..LoadSettings::default() }).unwrap();
    let address = gateway.smpp_address();
    let long_ones = move || {
        let mut client = RawPeer::bound(address, BindKind::Transmitter, "long", "long");
        for n in 0..6 {
            client.ask(&Pdu::SubmitSm(submit(format!("86138001381{n:02}").as_bytes(), "long ".repeat(50).as_bytes())));
        }
    };
    tokio::task::spawn_blocking(long_ones).await.unwrap();
    let at_rest = |figures: &EngineSnapshot| {
        let states = figures.conservation.states;
        figures.conservation.accepted == 106 && states[State::Waiting as usize] + states[State::SentWaiting as usize] == 0
    };
    let until = Instant::now() + PATIENCE;
    while !at_rest(&gateway.figures()) {
        assert!(Instant::now() < until, "{name}: {:?}", gateway.figures().conservation);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let admin = gateway.admin_address().unwrap();
    let folder = folder.to_owned();
    let binds = if profile.simulate.bind == hongyan::config::BindMode::TxRx { 2 } else { 1 };
    let files = tokio::task::spawn_blocking(move || {
        let (report, _) = load.join(|| smsc.marks(*b"run0"));
        assert_eq!(report.tally.reported, 100, "{:?}", report.tally);
        let dump = |bind: usize| {
            let file = folder.join(format!("{bind}.pcap")).to_str().unwrap().to_owned();
            let of = format!("odd/{bind}");
            let arguments = ["record", "dump", &of, "--out", &file, "--plain"];
            let (code, _, error) = hongyan(admin, if plain { &arguments } else { &arguments[..5] });
            assert_eq!(code, 0, "{error}");
            file
        };
        let files = (0..binds).map(dump).collect();
        smsc.stop();
        files
    })
    .await
    .unwrap();
    gateway.stop().await;
    files
}

/// The proposal, read as a profile.
async fn learned(name: &str, plain: bool) -> (Profile, String) {
    let folder = tempfile::tempdir().unwrap();
    let files = record(name, plain, folder.path()).await;
    let arguments: Vec<&str> = ["profile", "learn"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let (code, text, error) = hongyan(nobody, &arguments);
    assert_eq!(code, 0, "{name}: {error}");
    let profile = Profile::parse("learned", &text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
    (profile, text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_habits_of_several_carriers_are_learned_from_redacted_recordings() {
    use ReceiptIdHabit::{DecimalThenHex, Folded, HexThenDecimal, Same};
    for (name, id) in [
        ("standard", Same),
        ("hex-ids", HexThenDecimal),
        ("plain-class-receipts", Folded),
        ("text-receipts", Same),
        ("tlv-only", DecimalThenHex),
        ("reordered-receipts", Same),
        ("joined-labels", Folded),
        ("accepts-first", DecimalThenHex),
        ("chinese-gateway", Same),
    ] {
        let shipped = Profile::shipped(name).unwrap();
        let (learned, text) = learned(name, false).await;
        assert_eq!(learned.receipts.id, id, "{name}\n{text}");
        // What is never said shows nowhere.
        let fails = shipped.simulate.delivered_share < 1.0;
        let habits = |profile: &Profile| {
            let (receipts, simulate) = (&profile.receipts, &profile.simulate);
            (
                (receipts.id_source, receipts.one_per_message, receipts.accepted_is_final, fails && receipts.unknown_is_final),
                (simulate.receipt_text, simulate.receipt_tlvs, simulate.receipt_esm_class, simulate.receipt_data_coding),
                (simulate.bind, simulate.response_id),
                (profile.shaping.concatenation, profile.shaping.validity, profile.shaping.destination.form),
            )
        };
        assert_eq!(habits(&learned), habits(&shipped), "{name}\n{text}");
        if shipped.simulate.receipt_text {
            let grammar = |profile: &Profile| {
                let simulate = &profile.simulate;
                // Of a receipt in UCS-2 with such long ids the quote is cut off.
                let quote = simulate.receipt_quote && simulate.receipt_data_coding == 0;
                let fields = (simulate.receipt_sub_dlvrd, quote, simulate.receipt_date_digits, simulate.receipt_id);
                let way = (simulate.receipt_grammar, simulate.receipt_payload, simulate.receipt_data_sm, simulate.receipt_swapped);
                // With so many messages one fails unless hardly any does.
                let words = (simulate.delivered_share < 1.0, simulate.receipt_words, simulate.receipt_errors.clone());
                (fields, way, words)
            };
            assert_eq!(grammar(&learned), grammar(&shipped), "{name}\n{text}");
            let offset = |profile: &Profile| profile.receipts.zone.tz().to_offset(jiff::Timestamp::now());
            assert_eq!(offset(&learned), offset(&shipped), "{name}\n{text}");
        }
        assert!(text.contains("data_codings that it took") && !text.contains("8613"), "{name}\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packed_text_is_learned_from_a_plain_recording() {
    let (learned, text) = learned("packed-septets", true).await;
    assert_eq!(learned.alphabets.default, hongyan::config::Alphabet::Gsm7Packed, "{text}");
    assert_eq!((learned.receipts.id, learned.simulate.response_id), (ReceiptIdHabit::Folded, SimulatedId::DecimalPadded), "{text}");
}

#[test]
fn a_recording_that_teaches_nothing_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.pcap");
    std::fs::write(&file, b"no capture").unwrap();
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let (code, _, error) = hongyan(nobody, &["profile", "learn", file.to_str().unwrap()]);
    assert!(code == 1 && error.contains("that is no pcap"), "{error}");
    let (code, shown, _) = hongyan(nobody, &["profile", "show", "tlv-only"]);
    assert!(code == 0 && Profile::parse("shown", &shown).is_ok());
    let (_, list, _) = hongyan(nobody, &["profile", "list", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list.as_array().unwrap().len(), SHIPPED_PROFILES.len(), "{list}");
}
