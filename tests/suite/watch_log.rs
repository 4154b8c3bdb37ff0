//! The log for machines: every line is one JSON object with the same fields each time, and a client that binds and goes without end doesn't fill it.

use super::crash_rig::{BINARY, configure, terminate};
use super::peers_rig::{RawPeer, header, submit};
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::{BindKind, Pdu};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Instant;

#[test]
fn lines_have_stable_fields_and_a_client_that_binds_without_end_has_few_of_them() {
    let carrier = Smsc::start(SmscSettings::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = configure(directory.path(), carrier.local_addr(), "");
    let text = std::fs::read_to_string(&config).unwrap().replace("level = \"warn\"", "level = \"info\"\nformat = \"json\"");
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(BINARY);
    command.args(["serve", "--config"]).arg(&config).env_remove("HONGYAN_LOG").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut gateway = command.spawn().unwrap();
    let mut lines = BufReader::new(gateway.stderr.take().unwrap()).lines().map(|line| {
        let line = line.unwrap();
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(["timestamp", "level", "message", "target"].iter().all(|field| event[field].is_string()), "{line}");
        event
    });
    let listening = lines.by_ref().find(|event| event["message"] == "listening for SMPP").unwrap();
    let address: SocketAddr = listening["address"].as_str().unwrap().parse().unwrap();

    let (cycles, started) = (100, Instant::now());
    for _ in 0..cycles {
        drop(RawPeer::bound(address, BindKind::Transceiver, "shop", "secret"));
    }
    let seconds = started.elapsed().as_secs();
    // Its texts are refused: that is told, and to whom they were going is not.
    let mut client = RawPeer::bound(address, BindKind::Transceiver, "codes", "secret");
    let refused = submit(b"12345678901234567", b"hello");
    assert_ne!(header(&client.ask(&Pdu::SubmitSm(refused))).status, 0);
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    terminate(gateway.id());
    let events: Vec<Value> = lines.collect();
    gateway.wait().unwrap();
    let of = |message: &str| events.iter().filter(|event| event["message"] == message).collect::<Vec<_>>();
    let bound = of("upstream bound");
    assert!(bound.len() >= 20 && bound.len() as u64 <= 20 + seconds + 4, "{} lines in {seconds} s", bound.len());
    for event in &bound {
        let has = |field: &str| !event[field].is_null();
        assert!(["session", "account", "peer", "kind", "version", "untold"].into_iter().all(has), "{event}");
    }
    assert!(of("session ended").len() <= bound.len());
    let [told] = of("requests refused")[..] else { panic!("{events:#?}") };
    assert_eq!((&told["account"], &told["requests"]), (&"codes".into(), &1.into()));
    assert!(!events.iter().any(|event| event.to_string().contains("12345678901234567")), "a number is in the log");
    carrier.stop();
}
