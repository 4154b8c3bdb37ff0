//! What the public port does with requests that it can't take: each is told what is wrong, with its field, and never by a 5xx; keys are asked for, bounded
//! and revoked.

use super::api_rig::{KEY, ask, call, with_http};
use super::control_rig::done;
use super::crash_rig::GatewayProcess;
use super::messages_door::post;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const ONE: &str = r#"{"to":"13800138000","text":"Hello"}"#;

#[test]
fn without_a_good_key_nothing_is_taken_and_a_key_taken_out_is_good_for_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = with_http(directory.path(), smsc.local_addr(), "", "scopes = [\"messages:write\"]\nrate_per_s = 5\n");
    let gateway = GatewayProcess::start(&config);
    for headers in [&[][..], &[("authorization", "Bearer nobody-knows-this-key-at-all")], &[("authorization", "Basic c2hvcDpzZWNyZXQ=")]] {
        let refused = ask(&gateway, "POST", "/v1/messages", headers, ONE);
        assert_eq!(refused.problem(), (401, "no_key".to_owned(), "authorization".to_owned()));
        assert!(refused.headers.contains_key("www-authenticate"));
    }
    assert_eq!(call(&gateway, "POST", "/v1/messages", ONE).status, 202);
    assert_eq!(call(&gateway, "GET", "/v1/messages/7", "").problem().1, "wrong_scope");
    let refused = (0..20).map(|_| call(&gateway, "GET", "/v1/messages/7", "")).find(|answer| answer.status == 429).unwrap();
    assert_eq!((refused.problem().1.as_str(), refused.headers["retry-after"].to_str().unwrap()), ("too_many_requests", "1"));
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("[[account.api_key]]\nid = \"backend\"", "[[account.api_key]]\nid = \"backend\"\nexpires = \"2020-01-01\""),
    )
    .unwrap();
    let reloaded = done(gateway.admin, &["reload", "--yes"]);
    assert_eq!(reloaded["applied"], Value::Bool(true), "{reloaded}");
    assert_eq!(call(&gateway, "POST", "/v1/messages", ONE).problem().0, 401);
    assert!(gateway.terminate().success());
}

#[test]
fn what_is_wrong_with_a_request_is_told_with_its_field() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let http = "max_body_bytes = 1048576\ntimeout_ms = 1000";
    let gateway = GatewayProcess::start(&with_http(directory.path(), smsc.local_addr(), http, ""));
    let many: Vec<Value> = (0..10_001).map(|_| json!({ "to": "13800138000" })).collect();
    let cases = [
        ("{".to_owned(), 400, "malformed_json", ""),
        (String::new(), 400, "malformed_json", ""),
        ("[]".to_owned(), 422, "bad_value", ""),
        (r#"{"to":"13800138000","text":"x","colour":"red"}"#.to_owned(), 422, "bad_value", "colour"),
        (r#"{"to":13800138000,"text":"x"}"#.to_owned(), 422, "bad_value", "to"),
        (r#"{"recipients":[{"to":"13800138000"},{"to":null}],"text":"x"}"#.to_owned(), 422, "bad_value", "recipients[1].to"),
        (r#"{"text":"x"}"#.to_owned(), 422, "bad_value", "to"),
        (r#"{"to":"1","recipients":[],"text":"x"}"#.to_owned(), 422, "bad_value", "to"),
        (r#"{"recipients":[],"text":"x"}"#.to_owned(), 422, "too_many", "recipients"),
        (json!({ "text": "x", "recipients": many }).to_string(), 422, "too_many", "recipients"),
        (r#"{"to":"12x","text":"x"}"#.to_owned(), 422, "destination", "to"),
        (r#"{"to":"13800138000"}"#.to_owned(), 422, "length", "text"),
        (json!({ "to": "13800138000", "text": "雁".repeat(20_000) }).to_string(), 422, "length", "text"),
        (r#"{"to":"13800138000","text":"x","class":"loud"}"#.to_owned(), 422, "bad_value", "class"),
        (r#"{"to":"13800138000","text":"x","encoding":"morse"}"#.to_owned(), 422, "bad_value", "encoding"),
        (r#"{"to":"13800138000","text":"x","transliterate":"much"}"#.to_owned(), 422, "bad_value", "transliterate"),
        (r#"{"to":"13800138000","text":"x","report":"all"}"#.to_owned(), 422, "bad_value", "report"),
        (r#"{"to":"13800138000","text":"x","send_at":"2026-11-27T09:00:00"}"#.to_owned(), 422, "bad_value", "send_at"),
        (r#"{"to":"13800138000","text":"x","send_at":"2026-11-27T09:00:00+08:00[Asia/Nowhere]"}"#.to_owned(), 422, "bad_value", "send_at"),
        (r#"{"to":"13800138000","text":"x","expire_at":"2020-01-01T00:00:00Z"}"#.to_owned(), 422, "validity", "expire_at"),
        (r#"{"to":"13800138000","text":"x","callback":"file:///etc/passwd"}"#.to_owned(), 422, "callback", "callback"),
        (r#"{"to":"13800138000","text":"a {name","variables":{"a":"b"}}"#.to_owned(), 422, "bad_value", "text"),
        (format!(r#"{{"to":"13800138000","text":"{}"}}"#, "x".repeat(2 << 20)), 413, "too_large", ""),
        ("[".repeat(100_000), 422, "bad_value", ""),
    ];
    for (body, status, code, field) in cases {
        let shown: String = body.chars().take(120).collect();
        let refused = call(&gateway, "POST", "/v1/messages", &body).problem();
        assert_eq!(refused, (status, code.to_owned(), field.to_owned()), "{shown}");
    }
    let form = [("authorization", "Bearer a-key-of-shop-that-nobody-guesses"), ("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(ask(&gateway, "POST", "/v1/messages", &form, ONE).problem().0, 415);
    assert_eq!(call(&gateway, "PUT", "/v1/messages", ONE).problem().0, 405);
    assert_eq!(call(&gateway, "GET", "/v1/nothing", "").problem().0, 404);
    assert_eq!(done(gateway.admin, &["status"])["accepted"].as_u64(), Some(0));

    // A body that comes too slowly, and a head that does.
    let mut slow = TcpStream::connect(gateway.http.unwrap()).unwrap();
    write!(slow, "POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: 100\r\n\r\n{{").unwrap();
    let mut head = TcpStream::connect(gateway.http.unwrap()).unwrap();
    head.write_all(b"POST /v1/mess").unwrap();
    for stream in [&slow, &head] {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    }
    let (begun, mut answer) = (Instant::now(), String::new());
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("slow_body"), "{answer}");
    let mut nothing = Vec::new();
    head.read_to_end(&mut nothing).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8));
    assert_eq!(call(&gateway, "POST", "/v1/messages", ONE).status, 202, "others are served");
    assert!(gateway.terminate().success());
}

#[test]
fn a_new_key_works_with_the_lines_that_were_printed_for_it() {
    let out = std::process::Command::new(super::crash_rig::BINARY).args(["key", "new", "--id", "fresh"]).output().unwrap();
    let [lines, told] = [out.stdout, out.stderr].map(|octets| String::from_utf8(octets).unwrap());
    let key = told.trim().rsplit(' ').next().unwrap();
    assert!(key.starts_with("hy_") && !lines.contains(key), "{told}");
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&with_http(directory.path(), smsc.local_addr(), "", &lines));
    let bearer = format!("Bearer {key}");
    assert_eq!(ask(&gateway, "POST", "/v1/messages", &[("authorization", &bearer)], ONE).status, 202);
}

#[test]
fn an_operator_makes_and_revokes_keys_of_a_running_gateway_and_both_survive_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = with_http(directory.path(), smsc.local_addr(), "", "");
    let gateway = GatewayProcess::start(&config);
    let new = json!({ "account": "shop", "id": "night", "scopes": ["messages:write"], "rate_per_s": 1000, "reason": "the night shift" });
    let (status, made) = post(gateway.admin, "/v1/keys", &new);
    let key = made["key"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    assert_eq!((status, made["source"].as_str()), (201, Some("issued")), "{made}");
    let status = |gateway: &GatewayProcess, key: &str| {
        ask(gateway, "POST", "/v1/messages", &[("authorization", &format!("Bearer {key}"))], ONE).status
    };
    assert_eq!((status(&gateway, &key), status(&gateway, KEY)), (202, 202));
    gateway.kill();

    let gateway = GatewayProcess::start(&config);
    assert_eq!((status(&gateway, &key), status(&gateway, KEY)), (202, 202));
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let revoke = |id: &str| agent.delete(format!("http://{}/v1/keys/shop/{id}", gateway.admin)).call().unwrap().status().as_u16();
    assert_eq!((revoke("night"), revoke("backend"), revoke("night"), revoke("nobodys")), (204, 204, 404, 404));
    assert_eq!((status(&gateway, &key), status(&gateway, KEY)), (401, 401), "from the answer on");
    // What is in the configuration stays revoked when that is read again.
    assert!(done(gateway.admin, &["reload", "--yes"])["applied"].is_boolean());
    assert_eq!(status(&gateway, KEY), 401);
    let told = agent.get(format!("http://{}/v1/keys?account=shop", gateway.admin)).call().unwrap().body_mut().read_to_string().unwrap();
    let listed: Vec<Value> = serde_json::from_str(&told).unwrap();
    let shown: Vec<_> =
        listed.iter().map(|key| (key["id"].as_str().unwrap(), key["source"].as_str().unwrap(), key["revoked"] == json!(true))).collect();
    assert_eq!(shown, [("backend", "configuration", true), ("night", "issued", true)]);
    assert!(!told.contains(&key) && !told.contains("sha256"), "{told}");
    for (body, field) in [
        (json!({ "account": "nobody", "id": "x" }), "account"),
        (json!({ "account": "shop", "id": "night" }), "id"),
        (json!({ "account": "shop", "id": "Night" }), "id"),
        (json!({ "account": "shop", "id": "x", "scopes": [] }), "scopes"),
        (json!({ "account": "shop", "id": "x", "colour": 1 }), "colour"),
        (json!({ "account": "shop", "id": "x", "scopes": ["everything"] }), "scopes[0]"),
        (json!({ "account": "shop", "id": "x", "rate_per_s": -5 }), "rate_per_s"),
        (json!({ "account": "shop", "id": "x", "allowed_addresses": ["here"] }), "allowed_addresses[0]"),
        (json!({ "account": "shop", "id": "x", "expires": "soon" }), "expires"),
        (json!({ "account": "shop", "id": "x", "expires": "2020-12-31" }), "expires"),
    ] {
        let (status, told) = post(gateway.admin, "/v1/keys", &body);
        assert_eq!((status, told["field"].as_str()), (422, Some(field)), "{told}");
    }
    gateway.kill();
    let gateway = GatewayProcess::start(&config);
    assert_eq!((status(&gateway, &key), status(&gateway, KEY)), (401, 401));
    let audit = done(gateway.admin, &["audit"]).to_string();
    assert!(audit.contains("make key night of shop") && audit.contains("revoke key backend of shop") && audit.contains("the night shift"));
}

#[test]
fn a_callback_into_an_inner_network_is_refused_at_every_door() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = with_http(directory.path(), smsc.local_addr(), "", "");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replacen("allow_private = true", "allow_private = false", 1)).unwrap();
    let gateway = GatewayProcess::start(&config);
    for callback in [
        "http://127.0.0.1/x",
        "http://10.1.2.3/x",
        "http://169.254.169.254/latest",
        "http://[::1]/x",
        "http://[fd00::1]/x",
        "http://[::ffff:127.0.0.1]/x",
        "http://localhost:8080/x",
        "http://x.localhost/x",
        "http://example.com@127.0.0.1/x",
        "http://0x7f.1/x",
        "http://2130706433/x",
    ] {
        let one = json!({ "to": "13800138000", "text": "x", "callback": callback });
        let refused = call(&gateway, "POST", "/v1/messages", &one.to_string()).problem();
        assert_eq!(refused, (422, "callback".to_owned(), "callback".to_owned()), "{callback}");
    }
    let many = json!({ "text": "x", "recipients": [{ "to": "13800138000", "callback": "http://10.0.0.1/" }, { "to": "13800138001" }] });
    let told = call(&gateway, "POST", "/v1/messages", &many.to_string()).json();
    assert!(told.to_string().contains("callback"), "{told}");
    let bearer = format!("Bearer {KEY}");
    let lines = [("authorization", bearer.as_str()), ("content-type", "application/x-ndjson"), ("idempotency-key", "inner")];
    let line = json!({ "to": "13800138000", "text": "x", "callback": "http://10.0.0.1/" }).to_string();
    let told = ask(&gateway, "POST", "/v1/submissions", &lines, &line);
    assert!(told.text.contains("callback"), "{}", told.text);
    let who = "username=shop&password=secret&to=13800138000";
    let kannel = ask(&gateway, "GET", &format!("/cgi-bin/sendsms?{who}&text=x&dlr-mask=3&dlr-url=http://10.0.0.1/"), &[], "");
    assert!(kannel.status == 400 && kannel.text.starts_with("dlr-url: "), "{}", kannel.text);
    let jasmin = ask(&gateway, "GET", &format!("/send?{who}&content=x&dlr=yes&dlr-level=2&dlr-url=http://10.0.0.1/"), &[], "");
    assert_eq!(jasmin.text, "Error \"Argument [dlr-url] has an invalid value: [http://10.0.0.1/].\"");
    let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("shop:{KEY}"));
    let form = [("authorization", &*format!("Basic {basic}")), ("content-type", "application/x-www-form-urlencoded")];
    let body = "To=%2B8613800138000&From=SHOP&Body=x&StatusCallback=http://10.0.0.1/";
    let twilio = ask(&gateway, "POST", "/2010-04-01/Accounts/shop/Messages.json", &form, body);
    assert_eq!((twilio.status, &twilio.json()["code"]), (400, &json!(21609)), "{}", twilio.text);
    assert_eq!(done(gateway.admin, &["status"])["accepted"].as_u64(), Some(1));
}

#[test]
fn every_example_of_the_document_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&with_http(directory.path(), smsc.local_addr(), "", ""));
    let document = ask(&gateway, "GET", "/openapi.json", &[], "").json();
    let examples = document["paths"]["/v1/messages"]["post"]["requestBody"]["content"]["application/json"]["examples"].clone();
    assert_eq!(examples.as_object().map(serde_json::Map::len), Some(2));
    for (name, example) in examples.as_object().unwrap() {
        assert_eq!(call(&gateway, "POST", "/v1/messages", &example["value"].to_string()).status, 202, "{name}");
    }
}
