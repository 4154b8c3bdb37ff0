//! Batches of messages by HTTP: each item has its own answer, what is answered with an id is durable, and handing a batch in again makes no second message.

use super::control_rig::{done, until};
use super::crash_rig::{GatewayProcess, configure};
use hongyan::sim::smsc::{Smsc, SmscSettings};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// POST; status and JSON.
pub fn post(admin: SocketAddr, path: &str, body: &Value) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = agent.post(format!("http://{admin}{path}")).header("content-type", "application/json");
    let mut response = request.send(body.to_string()).unwrap();
    let text = response.body_mut().with_config().limit(64 << 20).read_to_string().unwrap();
    (response.status().as_u16(), serde_json::from_str(&text).unwrap_or_else(|error| panic!("no JSON ({error}): {text}")))
}

#[test]
fn a_batch_is_answered_item_by_item_and_is_not_lost_or_doubled_by_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let gateway = GatewayProcess::start(&config);
    done(gateway.admin, &["pause", "--carrier", "north", "--yes"]);
    let mut items: Vec<Value> = (0..1_000).map(|n| json!({ "to": format!("138{n:08}"), "identity": format!("spring/{n}") })).collect();
    items[3]["to"] = json!("12x");
    items[4]["text"] = json!("雁".repeat(100));
    items[5]["class"] = json!("loud");
    items[6]["expire_at_ms"] = json!(1);
    let batch =
        json!({ "account": "shop", "defaults": { "text": "Hello", "from": "SHOP", "class": "otp", "campaign": "spring" }, "items": items });
    let (status, told) = post(gateway.admin, "/v1/messages", &batch);
    assert_eq!((status, told["accepted"].as_u64(), told["refused"].as_u64()), (200, Some(997), Some(3)), "{told}");
    let fault = |n: usize| [&told["items"][n]["code"], &told["items"][n]["field"], &told["items"][n]["retry"]].map(ToString::to_string);
    assert_eq!(fault(3), ["\"destination\"", "\"to\"", "false"]);
    assert_eq!(fault(5), ["\"bad_value\"", "\"class\"", "false"]);
    assert_eq!(fault(6), ["\"validity\"", "\"expire_at_ms\"", "false"]);
    assert_eq!((told["items"][0]["segments"].as_u64(), told["items"][4]["segments"].as_u64()), (Some(1), Some(2)));
    gateway.kill();

    let gateway = GatewayProcess::start(&config);
    assert_eq!(done(gateway.admin, &["status"])["states"]["waiting"].as_u64(), Some(997), "what was answered is durable");
    let (_, again) = post(gateway.admin, "/v1/messages", &batch);
    assert_eq!((again["accepted"].as_u64(), again["repeated"].as_u64()), (Some(0), Some(997)), "{again}");
    assert_eq!(again["items"][0]["id"], told["items"][0]["id"], "answered with the first one's id");
    assert_eq!(done(gateway.admin, &["accounts"])[0]["sessions"].as_u64(), Some(0), "it is no session");
    done(gateway.admin, &["resume", "--carrier", "north"]);
    until("all have left", || smsc.stats().submits == 997 + 1);
    assert!(gateway.terminate().success());
}

#[test]
fn a_batch_that_can_not_be_taken_is_refused_whole_with_its_field() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let gateway = GatewayProcess::start(&configure(directory.path(), smsc.local_addr(), ""));
    let many: Vec<Value> = (0..10_001).map(|_| json!({ "to": "13800138000" })).collect();
    for (body, status, code, field) in [
        (json!({ "account": "nobody", "items": [] }), 422, "unknown_name", "account"),
        (json!({ "account": "shop", "items": many }), 422, "too_many", "items"),
        (json!({ "account": "shop", "defaults": { "to": "13800138000" }, "items": [] }), 422, "bad_value", "defaults"),
        (json!({ "account": "shop", "items": [{ "too": "13800138000" }] }), 422, "bad_value", "items[0].too"),
        (json!({ "items": [] }), 422, "bad_value", "account"),
    ] {
        let (got, problem) = post(gateway.admin, "/v1/messages", &body);
        assert_eq!((got, problem["code"].as_str(), problem["field"].as_str()), (status, Some(code), Some(field)), "{problem}");
    }
    assert_eq!(done(gateway.admin, &["status"])["accepted"].as_u64(), Some(0));
}
