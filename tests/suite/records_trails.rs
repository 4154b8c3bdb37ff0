//! What became of a message is told, whether it is under way, finished and in no file yet, or in a file, and also after a restart.

use super::control_rig::{done, refused, until};
use super::crash_rig::{GatewayProcess, configure};
use super::peers_rig::{RawPeer, header, message_id, submit};
use hongyan::sim::behaviour::Behaviour;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::{BindKind, Pdu};
use serde_json::Value;

fn steps(message: &Value) -> Vec<&str> {
    message["trail"].as_array().map_or_else(Vec::new, |trail| trail.iter().map(|step| step["step"].as_str().unwrap()).collect())
}

fn send(client: &mut RawPeer, number: &[u8]) -> String {
    let answer = client.ask(&Pdu::SubmitSm(submit(number, b"hello")));
    assert_eq!(header(&answer).status, 0);
    message_id(&answer)
}

#[test]
fn what_became_of_a_message_is_told_before_and_after_it_is_in_a_file_and_after_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let behaviour = Behaviour { receipt_delay_ms: 1_500, ..Behaviour::default() };
    let smsc = Smsc::start(SmscSettings { behaviour, ..SmscSettings::default() }).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let gateway = GatewayProcess::start(&config);
    let mut client = RawPeer::bound(gateway.address, BindKind::Transceiver, "shop", "secret");
    let id = send(&mut client, b"8613800138000");
    until("it is sent", || steps(&done(gateway.admin, &["explain", &id])).contains(&"sent"));
    let live = done(gateway.admin, &["explain", &id]);
    assert_eq!((live["state"].as_str(), live["waits_on"].as_str()), (Some("sent_waiting"), Some("the carrier's receipt")), "{live}");
    assert_eq!(steps(&live), ["accepted", "sent"], "{live}");
    assert_eq!(live["trail"][1]["carrier"], "north");
    let is_told = || {
        client.serve_deliveries();
        steps(&done(gateway.admin, &["explain", &id])) == ["accepted", "sent", "receipt", "told"]
    };
    until("its sender is told", is_told);
    let finished = done(gateway.admin, &["explain", &id]);
    assert_eq!((finished["state"].as_str(), finished["number"].as_str()), (Some("delivered"), Some("138****8000")), "{finished}");
    assert_eq!((finished["carrier_state"].as_str(), finished["carrier_error"].as_str()), (Some("DELIVRD"), Some("000")), "{finished}");
    assert_eq!(done(gateway.admin, &["records", "status"])["files"], 0, "it is told from memory");
    let status = done(gateway.admin, &["records", "status", "--flush"]);
    assert_eq!(
        (status["files"].as_u64(), status["files_rows"].as_u64(), status["in_memory"].as_u64()),
        (Some(1), Some(1), Some(0)),
        "{status}"
    );
    assert_eq!(done(gateway.admin, &["explain", &id]), finished, "the file says the same");
    let by_number = done(gateway.admin, &["records", "find", "--number", "+86 138 0013 8000"]);
    assert_eq!(by_number["messages"][0]["message"].as_str(), Some(id.as_str()), "{by_number}");
    assert_eq!(done(gateway.admin, &["records", "find", "--number", "+8613800138001"])["messages"], Value::Array(Vec::new()));
    // Under way when the gateway is killed: its trail goes on where it was.
    let second = send(&mut client, b"8613800138001");
    until("it is sent", || steps(&done(gateway.admin, &["explain", &second])).contains(&"sent"));
    gateway.kill();
    let gateway = GatewayProcess::start(&config);
    assert_eq!(done(gateway.admin, &["explain", &id]), finished, "after a restart too");
    let mut client = RawPeer::bound(gateway.address, BindKind::Transceiver, "shop", "secret");
    let is_told = || {
        client.serve_deliveries();
        done(gateway.admin, &["explain", &second])["state"] == "delivered"
    };
    until("the second one is delivered", is_told);
    let second = done(gateway.admin, &["explain", &second]);
    assert_eq!(steps(&second)[..3], ["accepted", "sent", "receipt"], "{second}");
    assert_eq!(done(gateway.admin, &["records", "find", "--account", "shop"])["messages"].as_array().unwrap().len(), 2);
    assert!(refused(gateway.admin, &["explain", "1950000000000000000"]).contains("no message 1950000000000000000 is alive"));
    assert!(refused(gateway.admin, &["explain", "13800138000"]).contains("--account NAME"));
    assert!(refused(gateway.admin, &["records", "find", "--state", "lost"]).contains("'lost' is no state"));
    assert!(gateway.terminate().success());
}

#[test]
fn refusals_and_our_own_verdicts_stand_in_the_trail_with_their_codes() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let gateway = GatewayProcess::start(&config);
    done(gateway.admin, &["pause", "--carrier", "north", "--yes"]);
    let mut client = RawPeer::bound(gateway.address, BindKind::Transmitter, "shop", "secret");
    let id = send(&mut client, b"8613800138000");
    done(gateway.admin, &["cancel", "--message", &id, "--reason", "wrong", "--yes"]);
    until("it is cancelled", || done(gateway.admin, &["explain", &id])["state"] == "cancelled");
    let told = done(gateway.admin, &["explain", &id]);
    assert_eq!(steps(&told), ["accepted", "verdict"], "{told}");
    assert_eq!((told["trail"][1]["state"].as_str(), told["attempts"].as_u64()), (Some("cancelled"), Some(0)), "{told}");
}

#[test]
fn messages_that_wait_so_long_that_they_left_memory_are_listed_too() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    // The least that may be set: what needs more than half of it leaves memory.
    let config = configure(directory.path(), smsc.local_addr(), "");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}[records]\nmax_behind_bytes = {}\n", 16 << 20)).unwrap();
    let gateway = GatewayProcess::start(&config);
    done(gateway.admin, &["pause", "--account", "shop", "--yes"]);
    let numbers: Vec<String> = (0..800).map(|n| format!("138{n:08}")).collect();
    for (at, numbers) in numbers.chunks(200).enumerate() {
        let file = directory.path().join(format!("numbers-{at}.txt"));
        std::fs::write(&file, numbers.join("\n")).unwrap();
        let sent = done(gateway.admin, &["send", file.to_str().unwrap(), "--account", "shop", "--text", &"x".repeat(20_000)]);
        assert_eq!(sent["accepted"], 200, "{sent}");
    }
    until("some have left memory", || done(gateway.admin, &["records", "status"])["on_disk"].as_u64().unwrap() > 100);
    let find = |more: &[&str]| done(gateway.admin, &[&["records", "find", "--account", "shop", "--limit", "1000"], more].concat());
    let found = find(&["--state", "waiting"]);
    let mut ids: Vec<&str> = found["messages"].as_array().unwrap().iter().map(|row| row["message"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), ids.is_sorted_by(|a, b| a > b), &found["not_looked_at"]), (800, true, &0.into()), "newest first, each once");
    assert_eq!(find(&["--number", &numbers[0]])["messages"][0]["message"], *ids.pop().unwrap(), "the oldest by its number");
    assert_eq!(find(&["--state", "delivered"])["messages"], Value::Array(Vec::new()));
    assert!(gateway.terminate().success());
}
