//! The binary's habits: exit codes, results on standard output and reasons on standard error, help with examples, no secrets told.

use hongyan::sim::behaviour::Behaviour;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use serde_json::Value;
use std::io::{BufRead, Read, Write};
use std::process::{Command, Output, Stdio};

/// Runs the binary with these arguments; nothing is a terminal.
fn hongyan(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hongyan")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap()
}

#[test]
fn exit_codes_are_0_for_done_1_for_failed_and_2_for_wrong_usage() {
    let cases: [(&[&str], i32); 9] = [
        (&["--version"], 0),
        (&["--help"], 0),
        (&["inspect", "number", "+8613800138000"], 0),
        (&["check", "--config", "no/such/file.toml"], 1),
        (&["inspect", "pdu", "00000011"], 1),
        (&[], 2),
        (&["nonsense"], 2),
        (&["inspect", "receipt"], 2),
        (&["inspect", "text", "--ref-bits", "7", "x"], 2),
    ];
    for (arguments, code) in cases {
        let done = hongyan(arguments);
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {}", text(&done.stderr));
        if code != 0 {
            assert!(done.stdout.is_empty() && !done.stderr.is_empty(), "{arguments:?}: reasons go to standard error");
        }
    }
}

#[test]
fn inspectors_print_one_json_object_a_line_and_more_lines_for_people() {
    let twice = ["inspect", "pdu", "00000010000000150000000000000001", "00000010000000150000000000000002"];
    let done = hongyan(&twice);
    let lines: Vec<Value> = text(&done.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|pdu| pdu["sequence_number"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    let pretty = hongyan(&["inspect", "number", "+8613800138000", "--pretty"]);
    assert!(text(&pretty.stdout).lines().count() > 5, "{}", text(&pretty.stdout));
    assert!(!text(&pretty.stdout).contains('\x1b'), "colours only on a terminal");
}

#[test]
fn an_unknown_command_is_shown_and_a_broken_pdu_is_told_by_field_and_status() {
    let done = hongyan(&["inspect", "pdu", "00000012 00000fff 00000000 00000009 abcd", "00000010000000150000000000000001"]);
    let lines: Vec<Value> = text(&done.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines[0]["command"].as_str(), lines[0]["command_id"].as_str()), (Some("unknown"), Some("0x00000FFF")));
    assert_eq!((lines[0]["body_hex"].as_str(), lines[1]["command"].as_str()), (Some("abcd"), Some("enquire_link")));
    let broken = hongyan(&["inspect", "pdu", "00000014 00000002 00000000 00000001 61626364"]);
    let said = text(&broken.stderr);
    assert!(broken.status.code() == Some(1) && said.contains("bind_transmitter (0x00000002): system_id has no NUL at its end"), "{said}");
    assert!(said.contains("a server answers with ESME_") && !said.contains("Unterminated"), "{said}");
}

#[test]
fn the_store_commands_take_data_dir_as_the_others_do_and_data_as_before() {
    let dir = tempfile::tempdir().unwrap();
    for option in ["--data-dir", "--data"] {
        let done = hongyan(&["store", "stats", option, dir.path().to_str().unwrap()]);
        assert_ne!(done.status.code(), Some(2), "{}", text(&done.stderr));
    }
    let help = hongyan(&["store", "stats", "--help"]);
    assert!(text(&help.stdout).contains("--data-dir") && !text(&help.stdout).contains("--data "));
}

#[test]
fn a_demo_whose_port_is_busy_names_the_option_that_chooses_another() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port().to_string();
    let port = port.as_str();
    for (smpp, metrics, admin, option) in
        [(port, "0", "0", " --port "), ("0", port, "0", " --metrics-port "), ("0", "0", port, " --admin-port ")]
    {
        let done = hongyan(&["demo", "--port", smpp, "--metrics-port", metrics, "--admin-port", admin, "--seconds", "1"]);
        let said = text(&done.stderr);
        assert!(done.status.code() == Some(1) && said.contains(option) && !said.contains("listen.address"), "{said}");
    }
}

#[test]
fn with_logs_as_json_a_gateway_says_everything_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("h.toml");
    let config = "[gateway.log]\nformat = \"json\"\n[listen]\naddress = \"127.0.0.1:0\"\n[metrics]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n";
    std::fs::write(&file, config).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_hongyan"))
        .args(["serve", "--config", file.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    for line in std::io::BufReader::new(child.stderr.take().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).expect("every line is JSON");
        said.push(event["message"].as_str().unwrap_or_default().to_owned());
        if said.last().is_some_and(|message| message == "metrics") {
            super::crash_rig::terminate(child.id());
        }
    }
    assert!(child.wait().unwrap().success() && said.contains(&"listening for SMPP".to_owned()), "{said:?}");
    assert!(said.iter().filter(|message| *message == "configuration").count() == 2, "what looks like a mistake is an event too: {said:?}");
    let mut plain = String::new();
    child.stdout.take().unwrap().read_to_string(&mut plain).unwrap();
    assert_eq!(plain, "");
}

#[test]
fn a_pdu_may_come_on_standard_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hongyan"))
        .args(["inspect", "pdu", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"00000010 80000015\n00000000 00000007\n").unwrap();
    let done = child.wait_with_output().unwrap();
    let pdu: Value = serde_json::from_str(text(&done.stdout)).unwrap();
    assert_eq!((pdu["command"].as_str(), pdu["sequence_number"].as_u64()), (Some("enquire_link_resp"), Some(7)));
}

#[test]
fn check_explains_what_is_right_and_refuses_what_is_wrong_without_telling_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("h.toml");
    let path = file.to_str().unwrap();
    let good = "[[account]]\nname = \"acme\"\nsystem_id = \"acme\"\npassword = \"s3cret\"\n\
        [[carrier]]\nname = \"north\"\nhosts = [\"127.0.0.1:2776\"]\npassword = \"s3cret\"\nrate_per_s = 0\n[[route]]\nprefix = \"86\"\ncarriers = [\"north\"]\n";
    std::fs::write(&file, good).unwrap();
    let done = hongyan(&["check", "--config", path]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    for piece in ["accounts (1)", "acme", "carriers (1)", "127.0.0.1:2776", "profile standard", "86...", "PAUSED"] {
        assert!(text(&done.stdout).contains(piece), "{piece} is not told:\n{}", text(&done.stdout));
    }
    assert!(text(&done.stderr).contains("warning:") && text(&done.stderr).contains("pauses"));

    std::fs::write(&file, good.replace("rate_per_s = 0", "window = 0").replace("\"86\"", "\"+86\"")).unwrap();
    let refused = hongyan(&["check", "--config", path]);
    assert_eq!(refused.status.code(), Some(1));
    let reasons = text(&refused.stderr);
    assert!(reasons.contains(":9: carrier[0].window: 0 is out of range; allowed: 1 to 10000"), "{reasons}");
    assert!(reasons.contains(":11: route[0].prefix") && reasons.lines().count() == 2, "{reasons}");
    for told in [&done.stdout, &done.stderr, &refused.stdout, &refused.stderr] {
        assert!(!text(told).contains("s3cret"));
    }
}

#[test]
fn the_shipped_configuration_is_valid_and_quiet_says_nothing() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/hongyan.toml");
    let done = hongyan(&["check", "--quiet", "--config", file]);
    assert!(done.status.success() && done.stdout.is_empty() && done.stderr.is_empty(), "{}", text(&done.stderr));
}

#[test]
fn completions_know_the_commands_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = hongyan(&["completions", shell]);
        assert!(done.status.success() && text(&done.stdout).contains("inspect"), "{shell}");
    }
}

/// Runs `hongyan load` with these further arguments; gives the exit code, its JSON report and what it said on standard error.
fn load(target: &str, more: &[&str]) -> (Option<i32>, Value, String) {
    let arguments = ["load", "--target", target, "--messages", "50", "--json"];
    let done = hongyan(&[&arguments, more].concat());
    let report = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&done.stdout)));
    (done.status.code(), report, text(&done.stderr).to_owned())
}

#[test]
fn a_load_that_can_t_bind_fails_and_says_why_after_its_report() {
    let settings = SmscSettings { password: Some("right".to_owned()), ..SmscSettings::default() };
    let smsc = Smsc::start(settings).unwrap();
    let target = smsc.local_addr().to_string();
    let (code, report, said) = load(&target, &["--account", "demo:wrong", "--give-up-ms", "300"]);
    assert_eq!((code, report["sent"].as_u64()), (Some(1), Some(0)), "{said}");
    assert!(said.contains("error: nothing could be sent: the bind as demo was refused: ESME_RINVPASWD (0x0e)"), "{said}");
    smsc.stop();
    let (code, report, said) = load(&target, &["--give-up-ms", "300"]);
    assert_eq!((code, report["sent"].as_u64()), (Some(1), Some(0)), "{said}");
    assert!(said.contains(&format!("nothing could be sent: no connection to {target}")), "{said}");
}

#[test]
fn a_load_fails_if_receipts_are_lost_or_doubled_unless_nobody_waits_for_them() {
    let with = |behaviour| Smsc::start(SmscSettings { behaviour, ..SmscSettings::default() }).unwrap();
    let good = with(Behaviour::default());
    let (code, report, said) = load(&good.local_addr().to_string(), &[]);
    assert_eq!((code, report["reported"].as_u64()), (Some(0), Some(50)), "{said}");
    let silent = with(Behaviour { receipts: Vec::new(), ..Behaviour::default() });
    let target = silent.local_addr().to_string();
    let (code, report, said) = load(&target, &["--wait", "0.2"]);
    assert_eq!((code, report["unreported"].as_u64()), (Some(1), Some(50)), "{said}");
    assert!(said.contains("error: 50 accepted and not reported (lost)"), "{said}");
    assert_eq!(load(&target, &["--wait", "0"]).0, Some(0));
    assert_eq!(load(&target, &["--registered-delivery", "0"]).0, Some(0));
    let twice = with(Behaviour { duplicate_receipts: 1.0, receipt_delay_ms: 50, ..Behaviour::default() });
    let (code, _, said) = load(&twice.local_addr().to_string(), &["--rate", "100"]);
    assert!(code == Some(1) && said.contains("receipts came twice"), "{said}");
}

#[test]
fn a_missing_carrier_report_is_a_warning_after_the_result_and_a_failure() {
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let (code, report, said) = load(&smsc.local_addr().to_string(), &["--carrier-report", "no/such.json"]);
    assert_eq!((code, report["reported"].as_u64()), (Some(1), Some(50)), "{said}");
    assert!(said.contains("warning: can't read no/such.json"), "{said}");
}

#[test]
fn a_benchmark_ends_with_its_verdict_and_as_json_it_is_one_object_on_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    let small =
        ["bench", "--messages", "300", "--warm-up", "0", "--accounts", "1", "--binds", "1", "--data-dir", dir.path().to_str().unwrap()];
    let done = hongyan(&[&small[..], &["--json"]].concat());
    let result: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((text(&done.stdout).lines().count(), done.status.code()), (1, Some(0)), "{}", text(&done.stderr));
    assert_eq!((result["gateway"]["reached"].as_u64(), &result["problems"]), (Some(300), &serde_json::json!([])));
    assert!(text(&done.stderr).starts_with("gateway: process "), "{}", text(&done.stderr));
    let told = hongyan(&[&small[..], &["--only-relay"]].concat());
    assert!(text(&told.stdout).lines().last().unwrap().starts_with("ok: nothing lost"), "{}", text(&told.stdout));
}
