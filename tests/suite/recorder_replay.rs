//! `hongyan replay`: a recording plays again, the client's side against a gateway, the carrier's side in front of one.

use super::control_rig::{done, until};
use super::crash_rig::{BINARY, GatewayProcess, configure};
use super::peers_rig::{RawPeer, submit};
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::{BindKind, Pdu};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

/// A gateway's recordings of a client (`1`) and of both binds, after so many messages; the folder keeps the files.
fn recorded(messages: usize) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let text = std::fs::read_to_string(&config).unwrap().replace("binds = 2", "binds = 1");
    std::fs::write(&config, format!("{text}\n[recorder]\nmode = \"full\"\n")).unwrap();
    let gateway = GatewayProcess::start(&config);
    let mut client = RawPeer::bound(gateway.address, BindKind::Transceiver, "shop", "secret");
    for n in 0..messages {
        client.ask(&Pdu::SubmitSm(submit(format!("86138001380{n:02}").as_bytes(), b"hello")));
    }
    client.ask(&Pdu::SubmitSm(submit(b"", b"nobody")));
    until("all is delivered", || done(gateway.admin, &["status"])["states"]["delivered"] == messages);
    for (of, file) in [("1", "client.pcap"), ("north/0", "carrier.pcap")] {
        done_quietly(&gateway, &["record", "dump", of, "--out", directory.path().join(file).to_str().unwrap()]);
    }
    directory
}

fn done_quietly(gateway: &GatewayProcess, arguments: &[&str]) {
    let (code, _, error) = super::control_rig::hongyan(gateway.admin, arguments);
    assert_eq!(code, 0, "{error}");
}

#[test]
fn a_customers_traffic_is_played_against_another_gateway() {
    let recorded = recorded(20);
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&configure(directory.path(), smsc.local_addr(), ""));
    let file = recorded.path().join("client.pcap");
    let replay = |password: &str| {
        let mut command = Command::new(BINARY);
        command.args(["replay", file.to_str().unwrap(), "--to", &gateway.address.to_string(), "--speed", "0", "--wait", "2"]);
        command.args(["--password", password]).output().unwrap()
    };
    let refused = replay("wrong");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("the bind was refused: ESME_RINVPASWD"), "{refused:?}");
    let played = replay("secret");
    let report: Value = serde_json::from_slice(&played.stdout).unwrap_or_else(|error| panic!("{error}: {played:?}"));
    assert_eq!(
        (report["sent"].as_u64(), report["answered"].as_u64(), report["as_recorded"].as_u64()),
        (Some(21), Some(21), Some(21)),
        "{report}"
    );
    assert_eq!((report["statuses"]["0x0"].as_u64(), report["deliveries"].as_u64()), (Some(20), Some(20)), "{report}");
    assert_eq!(smsc.stats().submits, 20);
}

#[test]
fn a_carrier_is_played_in_front_of_a_gateway_with_its_ids_and_receipts() {
    let recorded = recorded(20);
    let mut carrier = Command::new(BINARY)
        .args(["replay", recorded.path().join("carrier.pcap").to_str().unwrap(), "--listen", "127.0.0.1:0", "--speed", "5", "--wait", "1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(carrier.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("20 submissions with 20 receipts"), "{said}");
    let address = said.split_once("listening on ").unwrap().1.split(';').next().unwrap().parse().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let gateway = GatewayProcess::start(&configure(directory.path(), address, ""));
    until("both binds are up", || done(gateway.admin, &["carriers"])[0]["binds_up"] == 2);
    let mut client = RawPeer::bound(gateway.address, BindKind::Transmitter, "shop", "secret");
    for n in 0..20 {
        client.ask(&Pdu::SubmitSm(submit(format!("447700900{n:03}").as_bytes(), b"another text")));
    }
    until("each gets its receipt, whoever it goes to", || done(gateway.admin, &["status"])["states"]["delivered"] == 20);
    let mut report = String::new();
    carrier.stdout.take().unwrap().read_to_string(&mut report).unwrap();
    assert!(carrier.wait().unwrap().success());
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        (report["answers"].as_u64(), report["deliveries_taken"].as_u64(), report["not_asked_for"].as_u64()),
        (Some(20), Some(20), Some(0)),
        "{report}"
    );
}
