//! Messages by the HTTP API: one and many, answered when they are durable; an idempotency key makes one message of many requests, also through kill -9;
//! looked up and cancelled by nobody but their account.

use super::api_rig::{OTHER, ask, call, keyed, with_http};
use super::control_rig::{done, until};
use super::crash_rig::GatewayProcess;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use serde_json::{Value, json};

fn ids(told: &Value) -> Vec<String> {
    told["messages"].as_array().unwrap().iter().map(|message| message["id"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn each_recipient_is_answered_with_an_id_or_a_reason_and_gets_its_own_text() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&with_http(directory.path(), smsc.local_addr(), "", ""));
    let body = json!({
        "text": "Dear {name}, {{code}} is {code}", "variables": { "name": "friend" }, "from": "SHOP", "campaign": "spring", "tags": ["vip"],
        "recipients": [
            { "to": "13800138000", "variables": { "name": "Ada", "code": 7 } },
            { "to": "+86 138 0013 8001", "variables": { "code": "雁" }, "reference": "order 7" },
            { "to": "12x", "variables": { "code": "1" } },
            { "to": "13800138002" },
            { "to": "13800138003", "text": "x", "send_at": "2026-01-01T00:00:00" },
        ],
    });
    let answer = call(&gateway, "POST", "/v1/messages", &body.to_string());
    let told = answer.json();
    assert_eq!((answer.status, told["accepted"].as_u64(), told["refused"].as_u64()), (202, Some(2), Some(3)), "{told}");
    let message = |n: usize| &told["messages"][n];
    assert_eq!(message(0)["id"].as_str().unwrap().len(), 19);
    assert_eq!((message(0)["encoding"].as_str(), message(0)["segments"].as_u64()), (Some("gsm7"), Some(1)));
    assert_eq!((message(1)["encoding"].as_str(), message(1)["number"].as_str()), (Some("ucs2"), Some("+8613800138001")));
    assert_eq!(message(0)["operator"].as_str(), Some("China Mobile"));
    let fault = |n: usize| [&message(n)["error"]["code"], &message(n)["error"]["field"]].map(|text| text.as_str().unwrap().to_owned());
    assert_eq!(fault(2), ["destination", "to"]);
    assert_eq!(fault(3), ["bad_value", "variables"]);
    assert_eq!(fault(4), ["bad_value", "send_at"]);
    until("both are at the carrier", || smsc.stats().submits == 2);
    // What is over is told from the records.
    let path = format!("/v1/messages/{}", ids(&told)[1]);
    let over = || call(&gateway, "GET", &path, "").json();
    until("it is told how it ended", || over()["state"].as_str() == Some("delivered"));
    assert_eq!((over()["reference"].as_str(), over()["campaign"].as_str()), (Some("order 7"), Some("spring")), "{}", over());
    let steps =
        |told: &Value| told["trail"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(steps(&over())[..2], ["accepted", "sent"]);
    // As times: a text of milliseconds that end in 0 is shorter.
    let times: Vec<jiff::Timestamp> =
        over()["trail"].as_array().unwrap().iter().map(|step| step["at"].as_str().unwrap().parse().unwrap()).collect();
    assert!(times.is_sorted() && !over().to_string().contains("north"), "{}", over());
    // Whoever wants no report by name spares the carrier the receipt.
    let quiet = call(&gateway, "POST", "/v1/messages", &json!({ "to": "13800138008", "text": "x", "report": "none" }).to_string()).json();
    let quiet = format!("/v1/messages/{}", ids(&quiet)[0]);
    until("it ends when the carrier has it", || call(&gateway, "GET", &quiet, "").json()["state"] == "sent_final");
    // Where somebody has variables, the text is a pattern for all.
    let pattern =
        json!({ "text": "Hi {name}", "recipients": [{ "to": "13800138006", "variables": { "name": "Ada" } }, { "to": "13800138007" }] });
    let told = call(&gateway, "POST", "/v1/messages", &pattern.to_string()).json();
    assert_eq!([&told["accepted"], &told["messages"][1]["error"]["field"]], [&json!(1), &json!("variables")], "{told}");
    assert!(gateway.terminate().success());
}

#[test]
fn a_request_repeated_under_its_key_is_answered_the_same_also_after_kill_9_and_another_body_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = with_http(directory.path(), smsc.local_addr(), "", "");
    let gateway = GatewayProcess::start(&config);
    let one = json!({ "to": "13800138000", "text": "one" }).to_string();
    let many = json!({ "text": "many", "recipients": [{ "to": "12x" }, { "to": "13800138001" }, { "to": "13800138002" }] }).to_string();
    let first = keyed(&gateway, "order-1", &one);
    assert_eq!((first.status, first.json()["accepted"].as_u64()), (202, Some(1)), "{}", first.text);
    let batch = keyed(&gateway, "order-2", &many);
    assert_eq!((batch.status, batch.json()["accepted"].as_u64()), (202, Some(2)), "{}", batch.text);
    gateway.kill();

    let gateway = GatewayProcess::start(&config);
    let again = keyed(&gateway, "order-1", &one);
    assert_eq!((again.status, &again.text), (202, &first.text), "word for word");
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert!(!first.headers.contains_key("idempotent-replayed"));
    assert_eq!(keyed(&gateway, "order-2", &many).text, batch.text, "what was refused then is refused now");
    // Another body: more numbers, another number, another text.
    for other in [
        json!({ "text": "many", "recipients": [{ "to": "13800138009" }, { "to": "13800138001" }, { "to": "13800138002" }, { "to": "13800138003" }] }),
        json!({ "to": "13800138004", "text": "one" }),
    ] {
        let refused = keyed(&gateway, if other["to"].is_string() { "order-1" } else { "order-2" }, &other.to_string());
        assert_eq!(refused.problem(), (409, "key_reused".to_owned(), "idempotency-key".to_owned()));
    }
    // A key of one message among others.
    let item = |text: &str| json!({ "recipients": [{ "to": "13800138005", "text": text, "idempotency_key": "item-1" }] }).to_string();
    let [made, repeated] = [(); 2].map(|()| call(&gateway, "POST", "/v1/messages", &item("x")).json());
    assert_eq!((ids(&made), repeated["repeated"].as_u64()), (ids(&repeated), Some(1)));
    let other = call(&gateway, "POST", "/v1/messages", &item("y"));
    assert_eq!((other.status, other.json()["messages"][0]["error"]["field"].as_str()), (422, Some("idempotency_key")), "{}", other.text);
    // Keys belong to their account.
    let bearer = format!("Bearer {OTHER}");
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", "order-1")];
    assert_eq!(ask(&gateway, "POST", "/v1/messages", &headers, &json!({ "to": "13800138006", "text": "x" }).to_string()).status, 202);
    assert_eq!(done(gateway.admin, &["status"])["accepted"].as_u64(), Some(5));
    assert!(gateway.terminate().success());
}

#[test]
fn a_message_is_looked_up_and_cancelled_by_its_account_alone() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&with_http(directory.path(), smsc.local_addr(), "", ""));
    let body = json!({ "to": "13800138000", "text": "later", "send_at": "2099-01-01T09:00:00+08:00" });
    assert_eq!(call(&gateway, "POST", "/v1/messages", &body.to_string()).problem().2, "send_at", "too far ahead");
    let at = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
    let told = call(&gateway, "POST", "/v1/messages", &json!({ "to": "13800138000", "text": "later", "send_at": at }).to_string()).json();
    let path = format!("/v1/messages/{}", ids(&told)[0]);
    let seen = call(&gateway, "GET", &path, "").json();
    assert_eq!((seen["state"].as_str(), seen["waits_on"].as_str()), (Some("waiting"), Some("its time")), "{seen}");
    assert_eq!(seen["trail"][0]["step"], "accepted", "of one that lives too: {seen}");
    done(gateway.admin, &["pause", "--account", "shop", "--reason", "between us", "--yes"]);
    let paused = call(&gateway, "POST", "/v1/messages", &json!({ "to": "13800138000", "text": "now" }).to_string()).json();
    let paused = format!("/v1/messages/{}", ids(&paused)[0]);
    until("it is told that it is kept back", || call(&gateway, "GET", &paused, "").json()["waits_on"] == "pause 1");
    let one = json!({ "to": "13800138000", "text": "Hello 雁", "class": "otp" }).to_string();
    let explained = || call(&gateway, "POST", "/v1/messages/preview", &one).json()["explained"].clone();
    assert_eq!(explained()["waits_on"], "pause 1", "operators' words are their own");
    assert_eq!(call(&gateway, "DELETE", &paused, "").status, 204);
    done(gateway.admin, &["resume", "1"]);
    let bearer = format!("Bearer {OTHER}");
    for method in ["GET", "DELETE"] {
        let refused = ask(&gateway, method, &path, &[("authorization", &bearer)], "");
        assert_eq!(refused.problem().0, 404, "{method}: of another account");
    }
    assert_eq!(call(&gateway, "DELETE", &path, "").status, 204);
    assert_eq!(done(gateway.admin, &["status"])["states"]["cancelled"].as_u64(), Some(2));
    until("it is told as over", || call(&gateway, "DELETE", &path, "").status == 409);
    for id in ["x", "7", "99999999999999999999"] {
        assert_eq!(call(&gateway, "GET", &format!("/v1/messages/{id}"), "").problem().0, 404, "{id}");
    }
    let preview = json!({ "text": "Hello", "recipients": [{ "to": "13800138000" }, { "to": "12x" }] });
    let foretold = call(&gateway, "POST", "/v1/messages/preview", &preview.to_string()).json();
    assert_eq!([&foretold["taken"], &foretold["segments"], &foretold["refused"]], [1, 1, 1]);
    assert!(foretold["explained"].is_null() && foretold["messages"][0]["id"].is_null());
    let each = |at: usize, field: &str| foretold["messages"][at][field].clone();
    assert_eq!([each(0, "number"), each(0, "encoding"), each(0, "segments")], [json!("+8613800138000"), json!("gsm7"), json!(1)]);
    assert_eq!([each(1, "to"), each(1, "error")["field"].clone()], ["12x", "to"]);
    // As many as may be handed in, of which the engine looks at a part at a time.
    let many: Vec<Value> = (0..10_000).map(|n| json!({ "to": format!("139{n:08}") })).collect();
    let many = json!({ "text": "Hello", "recipients": many }).to_string();
    let foretold = call(&gateway, "POST", "/v1/messages/preview", &many).json();
    assert_eq!([&foretold["taken"], &foretold["segments"], &foretold["encodings"]["gsm7"]], [10_000, 10_000, 10_000]);
    assert_eq!(foretold["messages"].as_array().map(Vec::len), Some(10_000));
    // One alone is explained, from the rules to what it would wait for.
    let told = explained();
    assert_eq!([&told["number"], &told["encoding"], &told["carrier"]], ["+8613800138000", "ucs2", "north"], "{told}");
    assert!(told["route"].as_array().is_some_and(|lines| !lines.is_empty()), "{told}");
    done(gateway.admin, &["block", "add", "+8613800138000"]);
    let told = explained();
    assert!(told["waits_on"].as_str().is_some_and(|waits_on| waits_on.starts_with("nothing: it would be refused (")), "{told}");
    assert_eq!(done(gateway.admin, &["status"])["accepted"].as_u64(), Some(2), "a preview sends nothing");
    assert_eq!(smsc.stats().submits, 0);
}
