//! Receipts and messages from phones that accounts read themselves: page by page and as a stream, none lost by kill -9 of the gateway, and a reader that stalls
//! holds up nobody.

use super::api_rig::{KEY, OTHER, ask, call, with_http};
use super::control_rig::{done, until};
use super::crash_rig::GatewayProcess;
use hongyan::sim::behaviour::Behaviour;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `shop` has events, with `events` in their section.
fn with_events(directory: &Path, smsc: &Smsc, events: &str) -> PathBuf {
    let config = with_http(directory, smsc.local_addr(), "", "");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replacen("name = \"shop\"\n", "name = \"shop\"\nservice_numbers = [\"10690000\"]\n", 1);
    let section = format!("[account.events]\n{events}\n[[account]]\nname = \"codes\"");
    std::fs::write(&config, text.replacen("[[account]]\nname = \"codes\"", &section, 1)).unwrap();
    config
}

fn send(gateway: &GatewayProcess, numbers: std::ops::Range<usize>) {
    let recipients: Vec<Value> = numbers.map(|n| json!({ "to": format!("138{n:08}"), "reference": format!("order {n}") })).collect();
    let body = json!({ "text": "Hello", "recipients": recipients });
    assert_eq!(call(gateway, "POST", "/v1/messages", &body.to_string()).json()["refused"].as_u64(), Some(0));
}

fn page(gateway: &GatewayProcess, cursor: &str) -> Value {
    let cursor = if cursor.is_empty() { String::new() } else { format!("&cursor={cursor}") };
    let answer = call(gateway, "GET", &format!("/v1/events?limit=100{cursor}"), "");
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// Everything from a cursor on: the events, and the cursor behind them.
fn all(gateway: &GatewayProcess, cursor: &str) -> (Vec<Value>, String) {
    let (mut events, mut cursor) = (Vec::new(), cursor.to_owned());
    loop {
        let page = page(gateway, &cursor);
        events.extend(page["events"].as_array().unwrap().clone());
        cursor = page["next_cursor"].as_str().map_or(cursor, str::to_owned);
        if page["more"] == json!(false) {
            return (events, cursor);
        }
    }
}

fn texts(events: &[Value], field: &str) -> BTreeSet<String> {
    events.iter().map(|event| event[field].as_str().unwrap_or_default().to_owned()).collect()
}

struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(gateway: &GatewayProcess, last: &str) -> Stream {
        let mut stream = TcpStream::connect(gateway.http.unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let last = if last.is_empty() { String::new() } else { format!("last-event-id: {last}\r\n") };
        write!(stream, "GET /v1/events/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n{last}\r\n").unwrap();
        Stream(BufReader::new(stream))
    }

    /// The next event: its place and itself.
    fn next(&mut self) -> (String, Value) {
        let mut id = String::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream has ended");
            if let Some(place) = line.strip_prefix("id: ") {
                id = place.trim().to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return (id, serde_json::from_str(data).unwrap());
            }
        }
    }
}

#[test]
fn every_receipt_can_be_read_from_a_cursor_on_though_the_gateway_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = with_events(directory.path(), &smsc, "");
    let gateway = GatewayProcess::start(&config);
    assert_eq!(page(&gateway, "")["events"], json!([]));
    send(&gateway, 0..500);
    until("some are there", || !page(&gateway, "")["events"].as_array().unwrap().is_empty());
    // Killed at whatever the writing of the rest is at.
    gateway.kill();
    let gateway = GatewayProcess::start(&config);
    send(&gateway, 500..700);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    until("all are there", || {
        let (more, next) = all(&gateway, &cursor);
        seen.extend(more);
        cursor = next;
        texts(&seen, "reference").len() == 700
    });
    assert_eq!(texts(&seen, "type"), BTreeSet::from(["message.delivered".to_owned()]));
    assert_eq!(texts(&seen, "id").len(), 700, "what came twice has the same id");
    assert!(all(&gateway, &cursor).0.is_empty(), "what was read doesn't come again");
    assert_eq!(all(&gateway, "").0.len(), seen.len(), "and can be read again");
    until("the outbox is empty", || done(gateway.admin, &["accounts"])[0]["outbox"].as_u64() == Some(0));
    assert!(gateway.terminate().success());
}

#[test]
fn a_stream_goes_on_where_it_broke_off_and_one_that_is_not_read_holds_up_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&with_events(directory.path(), &smsc, ""));
    let mut stream = Stream::open(&gateway, "");
    let _never_read = Stream::open(&gateway, "");
    send(&gateway, 0..100);
    let mut seen: Vec<Value> = Vec::new();
    let mut last = String::new();
    for _ in 0..60 {
        let (id, event) = stream.next();
        last = id;
        seen.push(event);
    }
    drop(stream);
    send(&gateway, 100..5_000);
    let mut stream = Stream::open(&gateway, &last);
    while seen.len() < 5_000 {
        seen.push(stream.next().1);
    }
    assert_eq!(texts(&seen, "reference").len(), 5_000, "each once: {} events", seen.len());
    // A stream's ids are cursors.
    assert_eq!(page(&gateway, &last)["events"][0], seen[60]);
    assert_eq!(done(gateway.admin, &["status"])["states"]["delivered"].as_u64(), Some(5_000));
    let bearer = format!("Bearer {OTHER}");
    assert_eq!(ask(&gateway, "GET", "/v1/events", &[("authorization", &bearer)], "").problem().1, "events_off");
    for (path, field) in [("/v1/events?cursor=x", "cursor"), ("/v1/events?limit=0", "limit"), ("/v1/events/stream?cursor=x", "cursor")] {
        assert_eq!(call(&gateway, "GET", path, "").problem(), (422, "bad_value".to_owned(), field.to_owned()), "{path}");
    }
    assert!(gateway.terminate().success());
}

#[test]
fn messages_from_phones_are_told_too_where_the_account_says_so_and_the_oldest_events_go_by_size() {
    let directory = tempfile::tempdir().unwrap();
    let behaviour = Behaviour { inbound_per_s: 50.0, inbound_to: "10690000".to_owned(), ..Behaviour::default() };
    let smsc = Smsc::start(SmscSettings { behaviour, ..SmscSettings::default() }).unwrap();
    let gateway = GatewayProcess::start(&with_events(directory.path(), &smsc, "inbound = true\nmax_bytes = 65536"));
    until("phones are heard", || texts(&all(&gateway, "").0, "type").contains("message.inbound"));
    let inbound = all(&gateway, "").0.into_iter().find(|event| event["type"] == json!("message.inbound")).unwrap();
    assert!(inbound["to"] == json!("10690000") && inbound["text"].as_str().is_some_and(|text| !text.is_empty()), "{inbound}");
    let first = page(&gateway, "")["next_cursor"].as_str().unwrap().to_owned();
    send(&gateway, 0..1_000);
    until("the oldest are gone", || page(&gateway, &first)["missed"] == json!(true));
    // While they are read more come: only once the receipts are over it is what is kept at one time.
    until("no more is kept than has room", || all(&gateway, "").0.len() < 400);
    assert!(gateway.terminate().success());
}
