//! Submissions of any size by the HTTP API: lines that are bad are told by number, a body sent again under its id goes on after a break of whoever it was,
//! and a full queue is waited for.

use super::api_rig::{Answered, KEY, OTHER, ask, call, with_http};
use super::control_rig::{done, until};
use super::crash_rig::GatewayProcess;
use hongyan::model::mark::write_mark;
use hongyan::sim::behaviour::Behaviour;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const RUN: [u8; 4] = *b"BULK";
const CSV: &str = "text/csv";
const NDJSON: &str = "application/x-ndjson";

fn submit(gateway: &GatewayProcess, query: &str, id: &str, kind: &str, body: &str) -> Answered {
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str()), ("content-type", kind), ("idempotency-key", id)];
    ask(gateway, "POST", &format!("/v1/submissions?{query}"), &headers, body)
}

/// The last line of an answer.
fn report(answer: &Answered) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text);
    serde_json::from_str(answer.text.lines().last().unwrap()).unwrap_or_else(|error| panic!("{error}: {}", answer.text))
}

/// Lines, accepted, repeated, duplicates, refused.
fn counts(told: &Value) -> [u64; 5] {
    ["lines", "accepted", "repeated", "duplicates", "refused"]
        .map(|what| told[what].as_u64().unwrap_or_else(|| panic!("no {what}: {told}")))
}

fn refused(told: &Value) -> Vec<(u64, String, String)> {
    let text = |refusal: &Value, name: &str| refusal[name].as_str().unwrap().to_owned();
    let all = told["refusals"].as_array().unwrap();
    all.iter().map(|one| (one["line"].as_u64().unwrap(), text(one, "code"), text(one, "field"))).collect()
}

fn look(gateway: &GatewayProcess, id: &str) -> Value {
    call(gateway, "GET", &format!("/v1/submissions/{id}"), "").json()
}

/// A request whose body is written by hand, in chunks.
struct Upload(TcpStream);

impl Upload {
    fn begin(gateway: &GatewayProcess, id: &str, kind: &str) -> Upload {
        let mut stream = TcpStream::connect(gateway.http.unwrap()).unwrap();
        // One class of all, in which nothing is sent again in doubt.
        let head = format!(
            "POST /v1/submissions?class=otp HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: {kind}\r\nidempotency-key: {id}\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Upload(stream)
    }

    fn send(&mut self, text: &str) -> std::io::Result<()> {
        write!(self.0, "{:x}\r\n{text}\r\n", text.len())
    }
}

fn marked(n: u64) -> String {
    format!("{{\"to\":\"138{n:08}\",\"text\":\"{}\"}}\n", String::from_utf8(write_mark(RUN, n).to_vec()).unwrap())
}

#[test]
fn a_table_is_sent_with_its_columns_in_the_text_and_bad_lines_are_told_by_number_and_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&with_http(directory.path(), smsc.local_addr(), "", ""));
    let body = "name,phone,reference\nAda,13800138000,o-1\nLin,1380O138000,o-2\n\"Li, Bo\",+86 138-0013-8001,o-3\nx\nAda,13800138000,o-1\n";
    let query = "text=Dear%20%7Bname%7D&from=SHOP&campaign=spring";
    let told = report(&submit(&gateway, query, "table-1", CSV, body));
    assert_eq!((told["state"].as_str(), counts(&told)), (Some("done"), [5, 2, 0, 1, 2]), "{told}");
    let reasons = [(3, "destination".to_owned(), "to".to_owned()), (5, "unreadable".to_owned(), String::new())];
    assert_eq!(refused(&told), reasons);
    assert_eq!(told["reasons"]["destination"].as_u64(), Some(1));
    // The same again makes no message; with a line mended, that one alone.
    let again = report(&submit(&gateway, query, "table-1", CSV, body));
    assert_eq!(counts(&again), [5, 0, 3, 0, 2], "{again}");
    let mended = report(&submit(&gateway, query, "table-1", CSV, &body.replace("1380O138000", "13800138009")));
    assert_eq!(counts(&mended), [5, 1, 3, 0, 1], "{mended}");
    assert_eq!(counts(&look(&gateway, "table-1")), [5, 1, 3, 0, 1]);
    // Another text for all under the same id is a mistake; another id is another job.
    let other = submit(&gateway, &query.replace("Dear", "Dearest"), "table-1", CSV, body);
    assert_eq!(other.problem(), (409, "key_reused".to_owned(), "idempotency-key".to_owned()));
    assert_eq!(counts(&report(&submit(&gateway, query, "table-2", CSV, body)))[1], 2);
    until("all have left", || smsc.stats().submits == 5);
    // An empty field is one; a field that isn't there leaves a hole in the text.
    let short = report(&submit(&gateway, "text=Dear%20%7Bname%7D", "table-3", CSV, "phone,name\n13800138005\n13800138006,\n"));
    assert_eq!((counts(&short), refused(&short)), ([2, 1, 0, 0, 1], vec![(2, "bad_value".to_owned(), "text".to_owned())]), "{short}");
    let found = call(&gateway, "GET", "/v1/messages?reference=o-3&campaign=spring", "").json();
    assert_eq!(found["messages"][0]["to"].as_str(), Some("+8613800138001"), "{found}");
    let bearer = format!("Bearer {OTHER}");
    assert_eq!(ask(&gateway, "GET", "/v1/submissions/table-1", &[("authorization", &bearer)], "").problem().0, 404);
    assert!(gateway.terminate().success());
}

#[test]
fn lines_of_json_have_what_recipients_have_and_one_bad_line_costs_itself_alone() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&with_http(directory.path(), smsc.local_addr(), "", ""));
    let long = format!("{{\"to\":\"13800138000\",\"text\":\"{}\"}}", "x".repeat(200_000));
    let lines = [
        r#"{"to":"13800138000","variables":{"name":"Ada"},"idempotency_key":"item-1"}"#,
        "",
        r#"{"to":"13800138001","variables":{"name":7},"nmae":1}"#,
        r#"["13800138001"]"#,
        &long,
        r#"{"to":"12x","variables":{"name":"x"}}"#,
        r#"{"to":"13800138002"}"#,
        r#"{"to":"13800138003","text":"own","send_at":"tomorrow"}"#,
        r#"{"to":"13800138004","text":"own"#,
        r#"{"to":"13800138004","text":"own"}"#,
    ];
    let told = report(&submit(&gateway, "text=Dear%20%7Bname%7D", "json-1", NDJSON, &lines.join("\n")));
    let reasons: Vec<_> = [
        (3, "bad_value", "nmae"),
        (4, "bad_value", ""),
        (5, "too_long", ""),
        (6, "destination", "to"),
        (8, "bad_value", "send_at"),
        (9, "malformed_json", ""),
    ]
    .map(|(line, code, field)| (line, code.to_owned(), field.to_owned()))
    .into();
    assert_eq!(refused(&told), reasons, "{told}");
    // Without variables a text is taken as it stands, as in requests.
    assert_eq!(counts(&told), [9, 3, 0, 0, 6]);
    // A line's own key holds in other submissions too.
    let other = report(&submit(&gateway, "text=Dear%20%7Bname%7D", "json-2", NDJSON, lines[0]));
    assert_eq!(counts(&other), [1, 0, 1, 0, 0], "{other}");
    for (kind, query, body, status, code, field) in [
        ("text/html", "text=x", "13800138000", 415, "wrong_type", "content-type"),
        (CSV, "text=Dear%20%7Bnmae%7D", "name,phone\nAda,13800138000\n", 422, "bad_value", "text"),
        (CSV, "", "13800138000\n", 422, "length", "text"),
        (CSV, "text=x&number_column=fax", "name,phone\nAda,13800138000\n", 422, "unreadable", "number_column"),
        (NDJSON, "class=loud", "", 422, "bad_value", "class"),
        (NDJSON, "send_at=tomorrow", "", 422, "bad_value", "send_at"),
        (NDJSON, "colour=red", "", 422, "bad_value", "colour"),
    ] {
        let refused = submit(&gateway, query, &format!("bad-{code}-{field}"), kind, body).problem();
        assert_eq!(refused, (status, code.to_owned(), field.to_owned()), "{query} {body}");
    }
    assert_eq!(done(gateway.admin, &["status"])["accepted"].as_u64(), Some(3));
    assert!(gateway.terminate().success());
}

#[test]
fn a_client_is_told_while_it_writes_and_what_was_cut_off_by_a_break_is_no_message() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&with_http(directory.path(), smsc.local_addr(), "timeout_ms = 1500", ""));
    let mut upload = Upload::begin(&gateway, "cut", CSV);
    upload.send("phone,text\n13800138000,Hello\n13800138001,Hel").unwrap();
    let mut answer = BufReader::new(upload.0.try_clone().unwrap());
    let mut line = String::new();
    while !line.contains("\"accepted\":1") {
        line.clear();
        assert!(answer.read_line(&mut line).unwrap() > 0, "told while the body is not at its end");
    }
    assert!(line.contains("\"state\":\"running\""), "{line}");
    let busy = submit(&gateway, "class=otp", "cut", CSV, "13800138000,Hello\n");
    assert_eq!(busy.problem(), (409, "in_progress".to_owned(), "idempotency-key".to_owned()));
    drop((answer, upload));
    until("its break is noticed", || look(&gateway, "cut")["state"].as_str() == Some("broken"));
    assert_eq!(counts(&look(&gateway, "cut")), [1, 1, 0, 0, 0]);

    // One who says nothing more is not waited for.
    let mut slow = Upload::begin(&gateway, "slow", CSV);
    slow.send("phone,text\n13800138003,Hello\n13800138004,H").unwrap();
    let mut answer = String::new();
    let _ = slow.0.read_to_string(&mut answer);
    assert!(answer.contains("slow_body") && answer.contains("\"state\":\"stopped\""), "{answer}");
    assert_eq!(counts(&look(&gateway, "slow")), [1, 1, 0, 0, 0]);
    assert_eq!(done(gateway.admin, &["status"])["accepted"].as_u64(), Some(2));
    // It goes on, and is known after a restart.
    let told = report(&submit(&gateway, "class=otp", "slow", CSV, "phone,text\n13800138003,Hello\n13800138004,Hello\n"));
    assert_eq!(counts(&told), [2, 1, 1, 0, 0], "{told}");
    gateway.kill();
    let gateway = GatewayProcess::start(&directory.path().join("hongyan.toml"));
    assert_eq!((look(&gateway, "slow")["state"].as_str(), counts(&look(&gateway, "slow"))), (Some("done"), [2, 1, 1, 0, 0]));
    assert_eq!(call(&gateway, "GET", "/v1/submissions/nobodys", "").problem().0, 404);
}

#[test]
fn a_gateway_killed_in_mid_upload_makes_no_second_message_of_the_same_body_sent_again() {
    const COUNT: u64 = 30_000;
    let directory = tempfile::tempdir().unwrap();
    let behaviour = Behaviour { answer_delay_ms: 5, answer_jitter_ms: 30, ..Behaviour::default() };
    let smsc = Smsc::start(SmscSettings { behaviour, ..SmscSettings::default() }).unwrap();
    let config = with_http(directory.path(), smsc.local_addr(), "", "");
    for _ in 0..2 {
        let gateway = GatewayProcess::start(&config);
        let before = smsc.stats().submits;
        let mut upload = Upload::begin(&gateway, "spring", NDJSON);
        std::thread::scope(|threads| {
            // Writes until nobody reads any more.
            threads.spawn(move || {
                for from in (0..COUNT).step_by(100) {
                    let lines: String = (from..from + 100).map(marked).collect();
                    if upload.send(&lines).is_err() {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            until("the carrier is in the middle of it", || smsc.stats().submits > before + 200);
            gateway.kill();
        });
    }
    let gateway = GatewayProcess::start(&config);
    assert_eq!(look(&gateway, "spring")["state"].as_str(), Some("broken"));
    let body: String = (0..COUNT).map(marked).collect();
    let told = report(&submit(&gateway, "class=otp", "spring", NDJSON, &body));
    let [lines, accepted, repeated, duplicates, refused] = counts(&told);
    assert_eq!((lines, accepted + repeated, duplicates, refused), (COUNT, COUNT, 0, 0), "{told}");
    assert!(accepted > 0 && repeated > 0, "{told}");
    until("all have ended", || {
        std::thread::sleep(Duration::from_millis(200));
        let states = &done(gateway.admin, &["status"])["states"];
        states["waiting"].as_u64().unwrap() + states["sent_waiting"].as_u64().unwrap() == 0
    });
    let status = done(gateway.admin, &["status"]);
    assert_eq!((status["accepted"].as_u64(), status["lost"].as_i64()), (Some(COUNT), Some(0)), "one message a line: {status}");
    // A code whose attempt is on record when the gateway is killed may have gone out or not, and never goes again.
    let in_doubt = status["states"]["in_doubt"].as_u64().unwrap();
    let reached = smsc.marks(RUN).unwrap();
    println!("{in_doubt} of {COUNT} in doubt, {} not reached", COUNT - reached.seen.len());
    assert_eq!(reached.duplicates, 0, "nobody is sent to twice");
    assert!(COUNT - reached.seen.len() <= in_doubt, "{status}");
    assert!(gateway.terminate().success());
}

#[test]
fn a_full_queue_is_waited_for_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = with_http(directory.path(), smsc.local_addr(), "", "");
    let text = std::fs::read_to_string(&config).unwrap().replacen("window = 200\n", "window = 200\nmax_waiting = 100\n", 1);
    std::fs::write(&config, text.replace("name = \"north\"\n", "name = \"north\"\nrate_per_s = 400\n")).unwrap();
    let gateway = GatewayProcess::start(&config);
    let body: String = (0..1_500).map(marked).collect();
    let told = report(&submit(&gateway, "", "much", NDJSON, &body));
    assert_eq!(counts(&told), [1_500, 1_500, 0, 0, 0], "{told}");
    until("all have left", || smsc.stats().submits >= 1_500);
    let reached = smsc.marks(RUN).unwrap();
    assert_eq!((reached.seen.len(), reached.duplicates), (1_500, 0));
}
