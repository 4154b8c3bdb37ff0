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
