//! `hongyan tail` follows a running gateway: what an operator changes, binds that go, messages with their numbers masked. And every command that asks a
//! gateway speaks JSON if it is told to.

use super::control_rig::{done, until};
use super::crash_rig::{BINARY, GatewayProcess, configure};
use super::peers_rig::{RawPeer, submit};
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::{BindKind, Pdu};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// `hongyan tail` and the lines that it has said so far. Ended when dropped.
struct Tail {
    child: Child,
    said: Arc<Mutex<Vec<Value>>>,
}

impl Tail {
    fn start(admin: std::net::SocketAddr, arguments: &[&str]) -> Tail {
        let mut command = Command::new(BINARY);
        command.arg("tail").args(["--interval", "0.2", "--json"]).args(arguments).env("HONGYAN_ADMIN", admin.to_string());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let (lines, heard) = (BufReader::new(child.stdout.take().unwrap()), Arc::clone(&said));
        std::thread::spawn(move || {
            lines.lines().for_each(|line| heard.lock().unwrap().push(serde_json::from_str(&line.unwrap()).unwrap()));
        });
        Tail { child, said }
    }

    fn has(&self, event: &str, what: &str) -> bool {
        self.said.lock().unwrap().iter().any(|told| told["event"] == event && told["what"].as_str().unwrap().contains(what))
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn changes_binds_sessions_and_masked_messages_are_followed_and_a_lost_gateway_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&configure(directory.path(), smsc.local_addr(), ""));
    until("the binds are up", || done(gateway.admin, &["carriers"])[0]["binds_up"] == 2);
    let tail = Tail::start(gateway.admin, &["--account", "shop"]);
    let other = Tail::start(gateway.admin, &[]);
    // Once it has had its first look it tells what comes.
    until("a change is told", || {
        done(gateway.admin, &["pause", "--account", "codes", "--reason", "look", "--yes"]);
        done(gateway.admin, &["resume", "--account", "codes"]);
        tail.has("control", "pause") && other.has("control", "lifted")
    });
    let mut client = RawPeer::bound(gateway.address, BindKind::Transmitter, "shop", "secret");
    client.ask(&Pdu::SubmitSm(submit(b"8613800138000", b"a secret text")));
    until("the message is told", || tail.has("message", "delivered"));
    until("the session is told", || tail.has("session_up", "shop: session 1 tx from 127.0.0.1"));
    let told = format!("{:?}", tail.said.lock().unwrap());
    assert!(told.contains("138****8000") && !told.contains("13800138000") && !told.contains("secret text"), "{told}");
    done(gateway.admin, &["unbind", "north/1", "--yes"]);
    until("the bind is told", || tail.has("bind_down", "north/1 trx is down"));
    gateway.kill();
    until("the end is told", || tail.has("gateway_lost", "no gateway answers"));
    assert!(!other.has("message", ""), "messages only where they are asked for");
}

#[test]
fn every_command_that_asks_a_gateway_speaks_json_and_what_hurts_asks_first() {
    for command in [
        "status", "carriers", "accounts", "lanes", "pauses", "pause", "resume", "drain", "cancel", "reroute", "reload", "explain", "tail",
        "limit", "kick", "unbind",
    ] {
        let help = Command::new(BINARY).args([command, "--help"]).output().unwrap();
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(help.contains("--json") && help.contains("--admin") && help.contains("--token-file"), "{command}: {help}");
        let hurts = ["pause", "drain", "unbind", "cancel", "reroute", "reload", "kick"].contains(&command);
        assert_eq!(help.contains("--yes"), hurts, "{command}: {help}");
    }
}
