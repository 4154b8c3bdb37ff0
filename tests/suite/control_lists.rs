//! Lists and balances by command line: what is answered holds, survives kill -9, and is on record.

use super::control_rig::{done, hongyan, refused, until};
use super::crash_rig::{GatewayProcess, configure};
use super::peers_rig::{RawPeer, header, submit};
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::{BindKind, Pdu};
use serde_json::json;

#[test]
fn a_number_that_is_blocked_by_command_line_is_refused_and_what_waits_for_it_never_leaves_also_after_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let gateway = GatewayProcess::start(&config);
    let status = |client: &mut RawPeer, to: &[u8]| header(&client.ask(&Pdu::SubmitSm(submit(to, b"hello")))).status;
    done(gateway.admin, &["pause", "--carrier", "north", "--yes"]);
    let mut client = RawPeer::bound(gateway.address, BindKind::Transmitter, "shop", "secret");
    for to in [b"8613800138001", b"8613800138002", b"8613800138003"] {
        assert_eq!(status(&mut client, to), 0);
    }
    let file = directory.path().join("list.csv");
    std::fs::write(&file, "name,phone\na,13800138002\nb,12x\nc,13800138009\n").unwrap();
    let told = done(gateway.admin, &["block", "add", "138 0013 8001", "--reason", "asked by phone"]);
    assert_eq!((&told["changed"], &told["total"]), (&json!(1), &json!(1)));
    let (code, out, error) =
        hongyan(gateway.admin, &["block", "add", "--file", file.to_str().unwrap(), "--list", "account:shop", "--opt-out"]);
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("\"changed\":2") && error.contains("line 3: "), "{out} {error}");
    gateway.kill();

    let gateway = GatewayProcess::start(&config);
    let counts = done(gateway.admin, &["block", "list"]);
    let expected = json!([
        { "kind": "block", "level": "platform", "numbers": 1 },
        { "kind": "opt_out", "level": "account", "name": "shop", "numbers": 2 },
    ]);
    assert_eq!(counts, expected);
    let mut shop = RawPeer::bound(gateway.address, BindKind::Transmitter, "shop", "secret");
    let mut codes = RawPeer::bound(gateway.address, BindKind::Transmitter, "codes", "secret");
    assert_eq!([status(&mut shop, b"8613800138001"), status(&mut codes, b"8613800138001")], [0x0B, 0x0B], "on the platform");
    assert_eq!([status(&mut shop, b"8613800138002"), status(&mut codes, b"8613800138002")], [0x0B, 0], "of the account");
    done(gateway.admin, &["resume", "--carrier", "north"]);
    until("what may leave has left", || smsc.stats().submits == 2);
    let states = &done(gateway.admin, &["status"])["states"];
    assert_eq!(states["rejected"], json!(2), "{states}");

    let check = done(gateway.admin, &["block", "check", "13800138001", "13800138002", "13800138003"]);
    let lists: Vec<usize> = check.as_array().unwrap().iter().map(|one| one["lists"].as_array().unwrap().len()).collect();
    assert_eq!(lists, [1, 1, 0], "{check}");
    assert_eq!(done(gateway.admin, &["block", "check", "13800138002", "--account", "codes"])[0]["lists"], json!([]));
    let (_, numbers, _) = hongyan(gateway.admin, &["block", "list", "--list", "account:shop", "--opt-out"]);
    assert_eq!(numbers, "+8613800138002\n+8613800138009\n");
    assert_eq!(done(gateway.admin, &["block", "remove", "13800138001", "13800138001", "13900139000"])["changed"], json!(1));
    assert_eq!(status(&mut shop, b"8613800138001"), 0);
    let audit = done(gateway.admin, &["audit"]).to_string();
    assert!(audit.contains("1 numbers into the block list of platform") && audit.contains("asked by phone"), "{audit}");
    assert!(audit.contains("2 numbers into the opt_out list of account shop"), "{audit}");
    for (arguments, said) in [
        (&["block", "add", "12x"][..], "numbers: number 1 of the request"),
        (&["block", "add", "13800138000", "--list", "account:nobody"], "account: no account is called 'nobody'"),
        (&["block", "add", "13800138000", "--list", "everywhere"], "list: 'everywhere' is no list"),
    ] {
        let error = refused(gateway.admin, arguments);
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
}

#[test]
fn a_top_up_pays_in_once_for_its_reference_and_is_on_record_after_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let text = std::fs::read_to_string(&config).unwrap();
    // It belongs to the last account: `codes`.
    std::fs::write(&config, text.replacen("[[carrier]]", "[account.balance]\nprices = { \"\" = 1000 }\n[[carrier]]", 1)).unwrap();
    let gateway = GatewayProcess::start(&config);
    let pay = ["balance", "top-up", "codes", "2.5", "--reference", "invoice 7", "--reason", "a transfer"];
    let terms = |balance: serde_json::Value| ["topped_up", "available", "limit"].map(|term| balance[term].as_i64());
    assert_eq!(terms(done(gateway.admin, &pay)), [Some(2_500), Some(2_500), Some(0)]);
    gateway.kill();
    let gateway = GatewayProcess::start(&config);
    let again = done(gateway.admin, &pay);
    assert_eq!((again["repeated"].as_bool(), again["available"].as_i64()), (Some(true), Some(2_500)), "{again}");
    let mut codes = RawPeer::bound(gateway.address, BindKind::Transmitter, "codes", "secret");
    let status: Vec<u32> = (0..3).map(|_| header(&codes.ask(&Pdu::SubmitSm(submit(b"8613800138000", b"x")))).status).collect();
    assert_eq!(status, [0, 0, 0x45]);
    assert_eq!(terms(done(gateway.admin, &["balance", "codes"])), [Some(2_500), Some(500), Some(0)]);
    assert_eq!(terms(done(gateway.admin, &["balance", "shop"])), [Some(0), Some(0), None], "nothing is counted of it");
    let audit = done(gateway.admin, &["audit"]);
    let told = audit.as_array().unwrap().iter().filter(|record| record["event"] == "topped_up" && record["reference"] == "invoice 7");
    assert_eq!(told.count(), 1, "{audit}");
    for (arguments, said) in [
        (&["balance", "top-up", "codes", "3", "--reference", "invoice 7"][..], "reference: this reference stands for 2500"),
        (&["balance", "top-up", "codes", "-1", "--reference", "back"], "change: 500 thousandths of a credit are available"),
        (&["balance", "top-up", "nobody", "1", "--reference", "x"], "account: no account is called 'nobody'"),
        (&["balance", "top-up", "codes", "1", "--reference", ""], "reference: a top-up needs a reference"),
    ] {
        let error = refused(gateway.admin, arguments);
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
}
