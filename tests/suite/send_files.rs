//! `hongyan send`, with the real binary on both sides: files as people have them, and what becomes of a job when the sender or the gateway is killed in
//! the middle of it.

use super::control_rig::{done, hongyan, until};
use super::crash_rig::{BINARY, BINDS, GatewayProcess, WINDOW, configure};
use hongyan::model::mark::write_mark;
use hongyan::sim::behaviour::Behaviour;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const RUN: [u8; 4] = *b"FILE";

fn start(directory: &Path) -> (Smsc, PathBuf, GatewayProcess) {
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory, smsc.local_addr(), "");
    let gateway = GatewayProcess::start(&config);
    (smsc, config, gateway)
}

/// A file of so many numbers, each with a text of its own that tells which it is.
fn marked(directory: &Path, count: u64) -> PathBuf {
    let row = |n: u64| format!("138{n:08},{}\n", String::from_utf8(write_mark(RUN, n).to_vec()).unwrap());
    let path = directory.join("marked.csv");
    std::fs::write(&path, format!("phone,text\n{}", (0..count).map(row).collect::<String>())).unwrap();
    path
}

fn begin(admin: SocketAddr, arguments: &[&str]) -> Child {
    let mut command = Command::new(BINARY);
    command.arg("send").args(arguments).env("HONGYAN_ADMIN", admin.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn accepted(admin: SocketAddr) -> u64 {
    done(admin, &["status"])["accepted"].as_u64().unwrap()
}

fn of(told: &Value, what: &str) -> u64 {
    told[what].as_u64().unwrap_or_else(|| panic!("no {what}: {told}"))
}

#[test]
fn a_table_in_gb18030_is_sent_with_its_columns_in_the_text_and_bad_lines_are_told_by_number() {
    let directory = tempfile::tempdir().unwrap();
    let (smsc, _, gateway) = start(directory.path());
    let text = "姓名,手机号,单号\n张三,１３８００１３８０００,7\n李四,1380O138000,8\n\"王,五\",+86 138-0013-8001,9\n张三,13800138000,10\n赵六\n孙七,13800138077\n";
    let (list, bad) = (directory.path().join("list.csv"), directory.path().join("bad.csv"));
    std::fs::write(&list, encoding_rs::GB18030.encode(text).0).unwrap();
    let (list, bad_path) = (list.to_str().unwrap(), bad.to_str().unwrap());
    let arguments = ["send", list, "--account", "shop", "--text", "{姓名}，您的订单{3}已发货", "--rejects", bad_path];
    let told = done(gateway.admin, &arguments);
    assert_eq!((of(&told, "lines"), of(&told, "accepted"), of(&told, "segments")), (6, 2, 2), "{told}");
    let reasons = &told["not_sent"]["by_reason"];
    assert_eq!((of(reasons, "duplicate"), of(reasons, "destination"), of(reasons, "unreadable")), (1, 1, 1), "{told}");
    assert_eq!(of(reasons, "text"), 1, "a field that the text needs and the line has not: {told}");
    let rejects = std::fs::read_to_string(&bad).unwrap();
    let lines: Vec<&str> = rejects.lines().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(lines, ["line", "3", "5", "6", "7"], "{rejects}");
    assert!(rejects.contains("李四"), "as it was written, in UTF-8: {rejects}");
    until("both have left", || smsc.stats().submits == 2);
    // The same command again is the same job; another text is another one.
    let again = done(gateway.admin, &arguments);
    assert_eq!((of(&again, "accepted"), of(&again, "repeated"), &again["job"]), (0, 2, &told["job"]));
    let other = done(gateway.admin, &["send", list, "--account", "shop", "--text", "Hello", "--number-column", "手机号"]);
    assert_eq!(of(&other, "accepted"), 3);
    assert!(gateway.terminate().success());
}

#[test]
fn standard_input_has_a_job_too_and_what_can_not_be_sent_at_all_is_refused_before_anything_is() {
    let directory = tempfile::tempdir().unwrap();
    let (smsc, _, gateway) = start(directory.path());
    let list = directory.path().join("plain.txt");
    std::fs::write(&list, "13800138000\n13800138001\n").unwrap();
    let piped = |job: &str| {
        let mut command = Command::new(BINARY);
        command.args(["send", "-", "--account", "shop", "--text", "Hello", "--job", job, "--json"]);
        let run = command.env("HONGYAN_ADMIN", gateway.admin.to_string()).stdin(std::fs::File::open(&list).unwrap()).output().unwrap();
        serde_json::from_slice::<Value>(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
    };
    assert_eq!(of(&piped("first"), "accepted"), 2);
    assert_eq!(of(&piped("first"), "repeated"), 2);
    assert_eq!(of(&piped("second"), "accepted"), 2);
    until("all have left", || smsc.stats().submits == 4);
    let list = list.to_str().unwrap();
    for (more, said) in [
        (&["--account", "nobody", "--text", "x"][..], "account: no account is called 'nobody'"),
        (&["--account", "shop", "--text", "Dear {name}"], "the first line is no header"),
        (&["--account", "shop"], "text: there is none"),
        (&["--account", "shop", "--text", "x", "--class", "loud"], "class: 'loud' is no class; otp, transactional or marketing"),
        (&["--account", "shop", "--text", "雁", "--encoding", "gsm7"], "lines"),
    ] {
        let arguments = [&["send", list][..], more].concat();
        let (code, out, error) = hongyan(gateway.admin, &arguments);
        assert!(
            if said == "lines" { code == 0 && out.contains("encoding") } else { code == 1 && error.contains(said) },
            "{arguments:?}: {code} {out} {error}"
        );
    }
    assert_eq!(accepted(gateway.admin), 4);
}

#[test]
fn a_sender_killed_in_the_middle_of_a_file_and_run_again_sends_every_number_exactly_once() {
    let directory = tempfile::tempdir().unwrap();
    let (smsc, _, gateway) = start(directory.path());
    let file = marked(directory.path(), 6_000);
    let arguments = [file.to_str().unwrap(), "--account", "shop", "--rate", "4000"];
    for _ in 0..2 {
        let before = accepted(gateway.admin);
        let mut sender = begin(gateway.admin, &arguments);
        until("it is in the middle", || accepted(gateway.admin) > before);
        sender.kill().unwrap();
        sender.wait().unwrap();
    }
    let middle = accepted(gateway.admin);
    assert!((1..6_000).contains(&middle), "killed in the middle: {middle}");
    let told = done(gateway.admin, &["send", arguments[0], "--account", "shop"]);
    assert_eq!(of(&told, "accepted") + of(&told, "repeated"), 6_000, "{told}");
    assert!(of(&told, "repeated") >= middle);
    until("all have left", || smsc.stats().submits >= 6_000);
    let reached = smsc.marks(RUN).unwrap();
    assert_eq!((reached.seen.len(), reached.duplicates), (6_000, 0));
    assert!(gateway.terminate().success());
}

/// Sends a file while the gateway is killed twice in the middle; gives what reached the carrier: numbers, repeats; and the messages in doubt.
fn through_kills(account: &str) -> (u64, u64, u64) {
    let directory = tempfile::tempdir().unwrap();
    let behaviour = Behaviour { answer_delay_ms: 5, answer_jitter_ms: 30, ..Behaviour::default() };
    let smsc = Smsc::start(SmscSettings { behaviour, ..SmscSettings::default() }).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let file = marked(directory.path(), 6_000);
    let arguments = [file.to_str().unwrap(), "--account", account, "--wait", "1s"];
    for _ in 0..2 {
        let gateway = GatewayProcess::start(&config);
        let before = smsc.stats().submits;
        let mut sender = begin(gateway.admin, &[&arguments[..], &["--rate", "4000"]].concat());
        until("the carrier is in the middle of it", || smsc.stats().submits > before + 200);
        gateway.kill();
        assert_eq!(sender.wait().unwrap().code(), Some(1), "without a gateway it gives up and says so");
    }
    let gateway = GatewayProcess::start(&config);
    let told = done(gateway.admin, &[&["send"][..], &arguments[..]].concat());
    assert_eq!(of(&told, "accepted") + of(&told, "repeated"), 6_000, "{told}");
    assert!(of(&told, "repeated") > 0 && of(&told, "accepted") > 0, "{told}");
    until("all have ended", || {
        let states = &done(gateway.admin, &["status"])["states"];
        std::thread::sleep(Duration::from_millis(100));
        of(states, "waiting") + of(states, "sent_waiting") == 0
    });
    let status = done(gateway.admin, &["status"]);
    assert_eq!((of(&status, "accepted"), status["lost"].as_i64()), (6_000, Some(0)), "one message a number: {status}");
    let reached = smsc.marks(RUN).unwrap();
    (reached.seen.len(), reached.duplicates, of(&status["states"], "in_doubt"))
}

#[test]
fn a_gateway_killed_in_the_middle_of_a_file_makes_no_second_message_and_only_what_was_in_flight_may_reach_the_carrier_twice() {
    let (reached, duplicates, in_doubt) = through_kills("shop");
    println!("{duplicates} of 6000 reached the carrier twice");
    // Every number is reached. Twice only what had no durable outcome when the gateway was killed: choice 11, for classes that are sent again.
    assert_eq!((reached, in_doubt), (6_000, 0));
    assert!(duplicates <= 2 * 2 * BINDS * WINDOW, "{duplicates}");
}

#[test]
fn codes_are_never_sent_twice_though_the_gateway_is_killed_and_those_in_doubt_are_counted() {
    let (reached, duplicates, in_doubt) = through_kills("codes");
    println!("{in_doubt} of 6000 in doubt, {} not reached", 6_000 - reached);
    assert_eq!(duplicates, 0);
    // A code whose attempt is on record may have gone out or not; it is told as in doubt, and never goes again.
    assert!(6_000 - reached <= in_doubt, "{reached} reached, {in_doubt} in doubt");
    assert!(in_doubt <= 2 * 2 * BINDS * WINDOW, "{in_doubt}");
}

#[test]
fn a_dry_run_tells_what_would_be_sent_by_the_deciding_functions_and_sends_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let text = std::fs::read_to_string(&config).unwrap();
    // It belongs to the last account: `codes`.
    let text = text.replacen("[[carrier]]", "[account.balance]\nprices = { \"\" = 50 }\n[[carrier]]", 1);
    std::fs::write(&config, text.replace("name = \"north\"\n", "name = \"north\"\nrate_per_s = 10\n")).unwrap();
    let gateway = GatewayProcess::start(&config);
    done(gateway.admin, &["balance", "top-up", "codes", "2", "--reference", "1"]);
    done(gateway.admin, &["block", "add", "13800000003"]);
    let row = |n: u64| format!("{n},{},{}\n", 13_800_000_000 + n % 90, if n < 10 { "雁".repeat(80) } else { "Hello".to_owned() });
    let file = directory.path().join("list.csv");
    std::fs::write(&file, format!("id,phone,text\n{}x,12,Hello\n", (0..100).map(row).collect::<String>())).unwrap();
    let file = file.to_str().unwrap();
    let dry = done(gateway.admin, &["send", file, "--account", "codes", "--dry-run"]);
    // 100 lines of 90 numbers, one of them blocked; nine texts of two segments.
    assert_eq!((of(&dry, "lines"), of(&dry, "would_send"), of(&dry, "segments"), of(&dry, "duplicates")), (101, 89, 98, 10), "{dry}");
    let reasons = &dry["not_sent"]["by_reason"];
    assert_eq!((of(reasons, "blocked"), of(reasons, "destination"), of(reasons, "duplicate")), (1, 1, 10), "{dry}");
    assert_eq!(dry["not_sent"]["first"].as_array().unwrap().iter().map(|line| of(line, "line")).collect::<Vec<_>>(), [102, 5], "{dry}");
    assert_eq!((of(&dry["encodings"], "ucs2"), of(&dry["encodings"], "gsm7")), (9, 80), "{dry}");
    assert_eq!(dry["operators"], serde_json::json!({ "China Mobile": 89 }), "{dry}");
    assert_eq!((of(&dry, "charge_thousandths"), of(&dry, "within_reach_thousandths")), (98 * 50, 2_000), "{dry}");
    assert!(dry["warnings"].to_string().contains("balance does not bear"), "{dry}");
    assert_eq!((dry["seconds"].as_f64(), dry["slowest"].as_str()), (Some(9.8), Some("carrier north")), "{dry}");
    assert_eq!((accepted(gateway.admin), smsc.stats().submits), (0, 0), "nothing is sent");

    // A job that was never begun is not gone on with; one that was is.
    let resume = ["send", file, "--account", "codes", "--resume", "--job", "spring"];
    let (code, _, error) = hongyan(gateway.admin, &resume);
    assert!(code == 1 && error.contains("knows nothing of the first lines"), "{error}");
    let begun = hongyan(gateway.admin, &["send", file, "--account", "codes", "--job", "spring"]);
    assert!(begun.0 == 1 && begun.2.contains("balance doesn't bear it") && begun.2.contains("--job spring"), "{begun:?}");
    let taken = accepted(gateway.admin);
    assert!((1..89).contains(&taken), "as much as the credit is enough for: {taken}");
    done(gateway.admin, &["balance", "top-up", "codes", "10", "--reference", "2"]);
    let gone_on = done(gateway.admin, &resume);
    assert_eq!((of(&gone_on, "accepted"), of(&gone_on, "repeated")), (89 - taken, taken), "{gone_on}");
}

#[test]
fn a_full_queue_is_waited_for_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let text = std::fs::read_to_string(&config).unwrap().replacen("window = 200\n", "window = 200\nmax_waiting = 100\n", 1);
    std::fs::write(&config, text.replace("name = \"north\"\n", "name = \"north\"\nrate_per_s = 400\n")).unwrap();
    let gateway = GatewayProcess::start(&config);
    let file = marked(directory.path(), 1_000);
    let told = done(gateway.admin, &["send", file.to_str().unwrap(), "--account", "shop"]);
    assert_eq!((of(&told, "accepted"), of(&told["not_sent"], "total")), (1_000, 0), "{told}");
    until("all have left", || smsc.stats().submits >= 1_000);
    let reached = smsc.marks(RUN).unwrap();
    assert_eq!((reached.seen.len(), reached.duplicates), (1_000, 0));
}
