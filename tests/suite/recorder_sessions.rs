//! The flight recorder from the wire to Wireshark: what a session said is dumped on demand and when a carrier hangs up, as pcap that tshark decodes without
//! complaint, without a word or number of anybody unless an operator said so.

use super::control_rig::{done, hongyan, refused, until};
use super::crash_rig::{GatewayProcess, configure};
use super::peers_rig::{RawPeer, submit};
use hongyan::recorder::capture;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::{BindKind, Pdu, Sm, command};
use std::path::Path;
use std::process::Command;

/// A gateway that records, in front of a simulated carrier.
fn start(directory: &Path, recorder: &str) -> (Smsc, GatewayProcess) {
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory, smsc.local_addr(), "");
    let text = format!("{}\n[recorder]\n{recorder}\n", std::fs::read_to_string(&config).unwrap());
    std::fs::write(&config, text).unwrap();
    let gateway = GatewayProcess::start(&config);
    until("the binds are up", || done(gateway.admin, &["carriers"])[0]["binds_up"] == 2);
    (smsc, gateway)
}

/// What tshark makes of a file: command, time, text of each packet; what it complains of stands in the last field.
fn tshark(file: &Path, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-T", "fields", "-E", "separator=|"]);
    fields.iter().for_each(|field| {
        command.args(["-e", field]);
    });
    let done = command.output().expect("tshark is missing: bash tests/setup.sh installs it");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).lines().map(|line| line.split('|').map(str::to_owned).collect()).collect()
}

fn dump(gateway: &GatewayProcess, of: &str, file: &Path) {
    let (code, _, error) = hongyan(gateway.admin, &["record", "dump", of, "--out", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
}

fn contains(octets: &[u8], text: &str) -> bool {
    octets.windows(text.len()).any(|place| place == text.as_bytes())
}

#[test]
fn a_dump_is_read_by_tshark_and_holds_no_text_number_or_password() {
    let directory = tempfile::tempdir().unwrap();
    let (_smsc, gateway) = start(directory.path(), "mode = \"full\"");
    let mut client = RawPeer::bound(gateway.address, BindKind::Transceiver, "shop", "secret");
    for n in 0..10 {
        client.ask(&Pdu::SubmitSm(submit(b"8613800138000", format!("your code is 47{n}").as_bytes())));
    }
    let chinese: Vec<u8> = "您的验证码是".encode_utf16().flat_map(u16::to_be_bytes).collect();
    client.ask(&Pdu::SubmitSm(Sm { data_coding: 8, ..submit(b"8613800138000", &chinese) }));
    until("all is delivered", || done(gateway.admin, &["status"])["states"]["delivered"] == 11);
    let (north, south, shop) = (directory.path().join("0.pcap"), directory.path().join("1.pcap"), directory.path().join("shop.pcap"));
    dump(&gateway, "north/0", &north);
    dump(&gateway, "north/1", &south);
    dump(&gateway, "1", &shop);
    let mut seen = Vec::new();
    for file in [&north, &south, &shop] {
        let octets = std::fs::read(file).unwrap();
        for told in ["your code", "00138000", "secret\0"] {
            assert!(!contains(&octets, told), "{told} stands in {}", file.display());
        }
        let read = capture::read(&octets).unwrap();
        let rows = tshark(file, &["smpp.command_id", "_ws.malformed", "_ws.expert.severity", "tcp.checksum.status"]);
        assert_eq!(rows.len(), read.len(), "every PDU is a packet");
        for row in rows {
            assert!(row[0].starts_with("0x") && row[1].is_empty(), "tshark complains: {row:?}");
            seen.push(u32::from_str_radix(&row[0][2..], 16).unwrap());
        }
    }
    let submits = seen.iter().filter(|&&id| id == command::SUBMIT_SM).count();
    let reports = seen.iter().filter(|&&id| id == command::DELIVER_SM).count();
    assert_eq!((submits, reports), (22, 22), "11 from the client and 11 to the carrier, and back");
    for id in [command::BIND_TRANSCEIVER, command::BIND_TRANSCEIVER_RESP, command::SUBMIT_SM_RESP, command::DELIVER_SM_RESP] {
        assert!(seen.contains(&id), "{id:#x}");
    }
    let states = tshark(&shop, &["smpp.message_state", "smpp.receipted_message_id"]);
    assert!(states.iter().filter(|row| row[0] == "2" && row[1].len() == 19).count() == 11, "ids and states stay: {states:?}");
}

#[test]
fn a_carrier_that_hangs_up_leaves_a_recording_and_texts_are_told_only_if_that_is_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let (smsc, gateway) = start(directory.path(), "mode = \"full\"\nallow_plain = true");
    let mut client = RawPeer::bound(gateway.address, BindKind::Transmitter, "shop", "secret");
    client.ask(&Pdu::SubmitSm(submit(b"8613800138000", b"your code is 4711")));
    until("it is delivered", || done(gateway.admin, &["status"])["states"]["delivered"] == 1);
    let plain = |of: &str| {
        let file = directory.path().join("plain.pcap");
        let dumped = hongyan(gateway.admin, &["record", "dump", of, "--plain", "--out", file.to_str().unwrap()]);
        assert_eq!(dumped.0, 0, "{}", dumped.2);
        std::fs::read(file).unwrap()
    };
    let session = plain("1");
    assert!(contains(&session, "your code is 4711") && contains(&session, "8613800138000") && !contains(&session, "secret\0"));
    let audit = done(gateway.admin, &["audit"]).to_string();
    assert!(audit.contains("recording of 1 with texts and numbers"), "{audit}");
    smsc.stop();
    until("both binds have left a recording", || done(gateway.admin, &["record", "list"])["files"].as_array().unwrap().len() >= 2);
    let list = done(gateway.admin, &["record", "list"]);
    let names: Vec<&str> = list["files"].as_array().unwrap().iter().map(|file| file["file"].as_str().unwrap()).collect();
    let of = names.iter().find(|name| name.contains("-north_0-peer_")).unwrap_or_else(|| panic!("{names:?}"));
    let file = directory.path().join("got.pcap");
    assert_eq!(hongyan(gateway.admin, &["record", "get", of, "--out", file.to_str().unwrap()]).0, 0);
    let octets = std::fs::read(&file).unwrap();
    let read = capture::read(&octets).unwrap();
    assert!(read.len() >= 4 && !contains(&octets, "your code"), "what is written by itself is redacted");
    assert!(tshark(&file, &["smpp.command_id"]).iter().all(|row| row[0].starts_with("0x")));
}

#[test]
fn what_is_not_recorded_not_allowed_or_unknown_is_refused_with_the_fix() {
    let directory = tempfile::tempdir().unwrap();
    let (_smsc, gateway) = start(directory.path(), "mode = \"sampled\"");
    let out = directory.path().join("x.pcap");
    let out = out.to_str().unwrap();
    let error = refused(gateway.admin, &["record", "dump", "north/0", "--plain", "--out", out]);
    assert!(error.contains("plain: ") && error.contains("recorder.allow_plain = true"), "{error}");
    assert!(refused(gateway.admin, &["record", "dump", "nobody/0", "--out", out]).contains("`record list` shows"));
    assert!(refused(gateway.admin, &["record", "get", "../hongyan.toml", "--out", out]).contains("there is no recording"));
    drop(gateway);
    let directory = tempfile::tempdir().unwrap();
    let (_smsc, gateway) = start(directory.path(), "mode = \"off\"");
    assert!(refused(gateway.admin, &["record", "dump", "north/0", "--out", out]).contains("recorder.mode"));
    assert_eq!(done(gateway.admin, &["record", "list"])["tapes"].as_array().unwrap().len(), 0);
}
