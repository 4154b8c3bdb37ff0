//! The log for machines: every line is one JSON object with the same fields each time, and a client that binds and goes without end doesn't fill it.

use super::api_rig::with_http;
use super::crash_rig::{BINARY, terminate};
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
    let config = with_http(directory.path(), carrier.local_addr(), "", "");
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
    let http = lines.by_ref().find(|event| event["message"] == "HTTP API").unwrap();
    let public = http["address"].as_str().unwrap().to_owned();

    let (cycles, started) = (100, Instant::now());
    for _ in 0..cycles {
        drop(RawPeer::bound(address, BindKind::Transceiver, "shop", "secret"));
    }
    let seconds = started.elapsed().as_secs();
    // Its texts are refused: that is told, and to whom they were going is not.
    let mut client = RawPeer::bound(address, BindKind::Transceiver, "codes", "secret");
    let refused = submit(b"12345678901234567", b"hello");
    assert_ne!(header(&client.ask(&Pdu::SubmitSm(refused))).status, 0);
    // A wrong password at one HTTP door, a carrier that is lost, and a wrong key at another door.
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let send = format!("http://{public}/cgi-bin/sendsms?username=shop&password=wrong&to=13800138000&text=x");
    assert_eq!(agent.get(&send).call().unwrap().status(), 403);
    carrier.stop();
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    // A second after the line before it that was about this address.
    let list = agent.get(format!("http://{public}/v1/messages")).header("authorization", "Bearer a-key-that-nobody-knows");
    assert_eq!(list.call().unwrap().status(), 401);
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
    let [login, key] = of("http login refused")[..] else { panic!("{events:#?}") };
    assert_eq!((&login["door"], &login["system_id"], &login["cause"]), (&"kannel".into(), &"shop".into(), &"wrong_password".into()));
    assert!(login["peer"].is_string() && login["untold"] == 0 && login["session"].is_null(), "{login}");
    assert_eq!((&key["door"], &key["system_id"], &key["cause"]), (&"v1".into(), &"".into(), &"the key is not known".into()));
    assert!(!events.iter().any(|event| event.to_string().contains("that-nobody-knows")), "a key is in the log");
    let down = of("bind is down");
    assert!(down.len() >= 2, "{events:#?}");
    for event in &down {
        let has = |field: &str| !event[field].is_null();
        assert!(["carrier", "bind", "cause", "error", "delay_ms"].into_iter().all(has), "{event}");
    }
    // One line for each try that ended: its cause, and what was said of it, stand together.
    let told = |event: &&Value| event["target"].as_str().unwrap().contains("link::pool") && event["message"] != "bind is down";
    let others: Vec<_> = events.iter().filter(told).map(|event| event["message"].clone()).collect();
    assert!(others.iter().all(|message| message == "bind ended"), "{others:?}");
}
