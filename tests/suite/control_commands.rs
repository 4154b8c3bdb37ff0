//! Control while running, with the real binary on both sides: what an operator changes is in force at once, survives kill -9, and is on record.

use super::control_rig::{done, hongyan, refused, until};
use super::crash_rig::{GatewayProcess, configure};
use super::peers_rig::{RawPeer, header, message_id, submit};
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::{BindKind, Pdu};
use std::path::Path;

fn start(directory: &Path) -> (Smsc, std::path::PathBuf, GatewayProcess) {
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory, smsc.local_addr(), "");
    let gateway = GatewayProcess::start(&config);
    (smsc, config, gateway)
}

fn send(client: &mut RawPeer, messages: usize) -> Vec<String> {
    (0..messages)
        .map(|_| {
            let answer = client.ask(&Pdu::SubmitSm(submit(b"8613800138000", b"hello")));
            assert_eq!(header(&answer).status, 0);
            message_id(&answer)
        })
        .collect()
}

#[test]
fn a_pause_is_still_in_force_after_kill_9_and_what_waited_leaves_when_it_is_lifted() {
    let directory = tempfile::tempdir().unwrap();
    let (smsc, config, gateway) = start(directory.path());
    let paused = done(gateway.admin, &["pause", "--account", "shop", "--reason", "they asked for it", "--yes"]);
    assert_eq!((paused["action"].as_str(), paused["who"].as_str()), (Some("pause"), Some("local:ada")), "{paused}");
    let ids = send(&mut RawPeer::bound(gateway.address, BindKind::Transmitter, "shop", "secret"), 5);
    let message = done(gateway.admin, &["message", &ids[0]]);
    assert!(message["waits_on"].as_str().unwrap().contains("they asked for it"), "{message}");
    gateway.kill();
    let gateway = GatewayProcess::start(&config);
    send(&mut RawPeer::bound(gateway.address, BindKind::Transmitter, "codes", "secret"), 1);
    until("another account's message passes", || smsc.stats().submits == 1);
    let status = done(gateway.admin, &["status"]);
    assert_eq!((status["held"].as_u64(), status["lost"].as_i64()), (Some(5), Some(0)), "{status}");
    assert_eq!(done(gateway.admin, &["pauses"]).as_array().unwrap().len(), 1);
    done(gateway.admin, &["resume", "--account", "shop"]);
    until("what waited has left", || smsc.stats().submits == 6);
    let audit = done(gateway.admin, &["audit"]);
    let events: Vec<&str> = audit.as_array().unwrap().iter().map(|record| record["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["ended", "began"], "newest first: {audit}");
    assert!(gateway.terminate().success());
}

#[test]
fn a_bind_that_does_not_exist_is_refused_with_those_that_do() {
    let directory = tempfile::tempdir().unwrap();
    let (_smsc, _, gateway) = start(directory.path());
    for arguments in [
        ["drain", "north/7", "--yes"].as_slice(),
        &["unbind", "north/7", "--yes"],
        &["rebind", "north/7"],
        &["pause", "--carrier", "north/7", "--yes"],
    ] {
        let told = refused(gateway.admin, arguments);
        assert!(told.contains("north has no bind 7") && told.contains("north/0"), "{arguments:?}: {told}");
    }
    assert_eq!(done(gateway.admin, &["pauses"]).as_array().unwrap().len(), 0);
    assert!(gateway.terminate().success());
}

#[test]
fn a_bind_that_is_down_tells_since_when_it_was_lost_and_what_went_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let (smsc, _, gateway) = start(directory.path());
    let bind = || done(gateway.admin, &["carriers"])[0]["binds"][0].clone();
    until("the bind is up", || bind()["state"] == "up");
    assert!(bind()["failure"].is_null(), "{}", bind());
    drop(smsc);
    until("the bind is lost", || bind()["state"] != "up");
    let lost = bind();
    until("it was tried again", || bind()["failure"].as_str().is_some_and(|failure| failure.contains("127.0.0.1")));
    assert_eq!(bind()["since_ms"], lost["since_ms"], "a try that fails is no news");
    send(&mut RawPeer::bound(gateway.address, BindKind::Transmitter, "shop", "secret"), 2);
    let status = done(gateway.admin, &["status"]);
    let [north] = &status["carriers_not_up"].as_array().unwrap()[..] else { panic!("{status}") };
    assert_eq!((&north["carrier"], &north["standing"], &north["waiting"]), (&"north".into(), &"down".into(), &2.into()), "{north}");
    assert!(north["cause"].as_str().unwrap().contains("127.0.0.1") && north["since_ms"].is_u64(), "{north}");
    let lane = done(gateway.admin, &["lanes"])[0].clone();
    assert!(lane["drains_in_s"].is_null() && lane.as_object().unwrap().contains_key("drains_in_s"), "nothing leaves: {lane}");
    assert!(gateway.terminate().success());
}

#[test]
fn what_is_cancelled_never_leaves_whatever_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let (smsc, config, gateway) = start(directory.path());
    done(gateway.admin, &["pause", "--carrier", "north", "--yes"]);
    send(&mut RawPeer::bound(gateway.address, BindKind::Transmitter, "shop", "secret"), 50);
    for arguments in
        [["cancel", "--account", "shop"].as_slice(), &["pause", "--account", "shop"], &["drain", "north"], &["unbind", "north"]]
    {
        let told = refused(gateway.admin, arguments);
        assert!(told.contains("--yes") && told.contains("50 messages wait now"), "nothing that hurts without a yes: {told}");
    }
    assert_eq!(done(gateway.admin, &["pauses"]).as_array().unwrap().len(), 1);
    done(gateway.admin, &["cancel", "--account", "shop", "--reason", "wrong price", "--yes"]);
    gateway.kill();
    let gateway = GatewayProcess::start(&config);
    done(gateway.admin, &["resume", "--carrier", "north"]);
    until("all of them have ended", || done(gateway.admin, &["status"])["states"]["cancelled"].as_u64() == Some(50));
    send(&mut RawPeer::bound(gateway.address, BindKind::Transmitter, "shop", "secret"), 1);
    until("what comes later passes", || smsc.stats().submits == 1);
}

#[test]
fn a_bind_is_unbound_stays_down_and_binds_again_and_a_test_message_goes_through_it() {
    let directory = tempfile::tempdir().unwrap();
    let (smsc, _, gateway) = start(directory.path());
    let state = |bind: usize| done(gateway.admin, &["carriers"])[0]["binds"][bind]["state"].as_str().unwrap().to_owned();
    until("both binds are up", || state(0) == "up" && state(1) == "up");
    done(gateway.admin, &["unbind", "north/0", "--reason", "check", "--yes"]);
    until("it is down", || state(0) == "down");
    assert_eq!(state(1), "up");
    let test = ["test-message", "north/0", "--account", "shop", "--to", "+8613800138000", "--text", "Hello"];
    assert!(refused(gateway.admin, &test).contains("isn't up"));
    done(gateway.admin, &["rebind", "north/0"]);
    until("it is up again", || state(0) == "up");
    done(gateway.admin, &["pause", "--carrier", "north/0", "--yes"]);
    let bind = |bind: usize| done(gateway.admin, &["carriers"])[0]["binds"][bind].clone();
    assert_eq!((bind(0)["standing"].as_str(), bind(0)["state"].as_str()), (Some("paused"), Some("up")));
    let told = done(gateway.admin, &test);
    assert!(told["outcome"].as_str().unwrap().starts_with("sent"), "{told}");
    assert_eq!(smsc.stats().submits, 1);
    done(gateway.admin, &["drain", "north/1", "--then-unbind", "--yes"]);
    until("a drained bind with nothing in flight is unbound", || state(1) == "down");
    assert_eq!(bind(1)["standing"], "unbound");
}

#[test]
fn a_bind_that_waits_for_its_next_try_is_told_to_make_it_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let address = smsc.local_addr();
    let config = configure(directory.path(), address, "");
    let text = std::fs::read_to_string(&config).unwrap().replace("min_ms = 100\nmax_ms = 1000", "min_ms = 600000\nmax_ms = 600000");
    std::fs::write(&config, text).unwrap();
    let gateway = GatewayProcess::start(&config);
    let states = || {
        let carriers = done(gateway.admin, &["carriers"]);
        carriers[0]["binds"].as_array().unwrap().iter().map(|bind| bind["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    until("all binds are up", || states().iter().all(|state| state == "up"));
    drop(smsc);
    until("all wait", || states().iter().all(|state| state == "waiting"));
    let _smsc = Smsc::start(SmscSettings { listen: address, ..SmscSettings::default() }).unwrap();
    let told = done(gateway.admin, &["rebind", "north"]);
    assert_eq!((&told["hurried"], &told["closed"]), (&states().len().into(), &0.into()), "{told}");
    until("they are up long before their time", || states().iter().all(|state| state == "up"));
}

#[test]
fn sessions_are_seen_and_kicked_and_limits_refuse() {
    let directory = tempfile::tempdir().unwrap();
    let (_smsc, _, gateway) = start(directory.path());
    let mut client = RawPeer::bound(gateway.address, BindKind::Transceiver, "shop", "secret");
    let accounts = done(gateway.admin, &["accounts"]);
    let session = &accounts[0]["binds"][0];
    assert!(session["peer"].as_str().unwrap().starts_with("127.0.0.1:") && session["kind"] == "trx", "{accounts}");
    done(gateway.admin, &["limit", "--account", "shop", "--rate", "0", "--for", "1h"]);
    assert_eq!(header(&client.ask(&Pdu::SubmitSm(submit(b"8613800138000", b"x")))).status, 0x58);
    let export = hongyan(gateway.admin, &["config", "export", "--secrets"]).1;
    let path = directory.path().join("export.toml");
    std::fs::write(&path, &export).unwrap();
    let exported = hongyan::config::Config::load(&path).unwrap_or_else(|error| panic!("{error}: {export}"));
    assert_eq!((exported.accounts[0].rate_per_s, exported.accounts[1].rate_per_s), (Some(0), None), "the merged truth");
    done(gateway.admin, &["limit", "--account", "shop", "--default"]);
    assert_eq!(header(&client.ask(&Pdu::SubmitSm(submit(b"8613800138000", b"x")))).status, 0);
    done(gateway.admin, &["kick", &session["session"].to_string(), "--yes"]);
    client.wait_for(hongyan::smpp::command::UNBIND);
    assert!(refused(gateway.admin, &["kick", "999", "--yes"]).contains("no such session"));
}

#[test]
fn what_is_wrong_is_told_with_field_and_fix_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (_smsc, _, gateway) = start(directory.path());
    for (arguments, said) in [
        (&["pause", "--account", "nobody", "--yes"][..], "account: no account is called 'nobody'; one of: shop, codes"),
        (&["pause", "--yes"], "scope: nothing says what to pause"),
        (&["pause", "--number", "12x", "--yes"], "number: "),
        (&["reroute", "--carrier", "north", "--to", "north", "--yes"], "to: that is where it goes already"),
        (&["limit", "--carrier", "north"], "rate_per_s: no limit is named"),
        (&["limit", "--account", "shop", "--burst", "5"], "burst: an account has none; a carrier, or without it"),
        (&["limit", "--carrier", "north", "--rate", "2000000"], "rate_per_s: is out of range; 0 (paused) to 1000000"),
        (&["message", "17"], "no message 0000000000000000017 is alive"),
        (&["resume", "7"], "no such change is in force"),
    ] {
        let error = refused(gateway.admin, arguments);
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
    assert_eq!(hongyan(gateway.admin, &["pause", "--for", "2w", "--account", "shop", "--yes"]).0, 2, "wrong usage");
    let (code, _, told) = hongyan(gateway.admin, &["limit", "--carrier", "north", "--rate", "-5"]);
    assert!(code == 2 && told.contains("--rate") && told.contains("a whole number from 0, such as 500"), "{told}");
    assert_eq!(done(gateway.admin, &["audit"]).as_array().unwrap().len(), 0);
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    assert!(refused(nobody, &["status"]).contains("no gateway answers at http://127.0.0.1:1"));
}

#[test]
fn an_admin_port_with_a_token_asks_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let text = std::fs::read_to_string(&config).unwrap().replace("[admin]\n", "[admin]\ntoken_file = \"token\"\n");
    std::fs::write(&config, text).unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "a-token-of-sixteen\n").unwrap();
    let gateway = GatewayProcess::start(&config);
    assert!(refused(gateway.admin, &["status"]).contains("the token is missing or wrong"));
    let told = done(gateway.admin, &["pause", "--account", "shop", "--token-file", token.to_str().unwrap(), "--yes"]);
    assert_eq!(told["who"], "token:ada");
}
