//! Dead letters: what an endpoint will never take is kept, through kill -9, until somebody has it tried again and it is taken.

use super::api_rig::{KEY, OTHER, ask, call, with_http};
use super::control_rig::{done, until};
use super::crash_rig::GatewayProcess;
use super::hooks_sockets::Receiver;
use super::messages_door::post;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use serde_json::{Value, json};

fn letters(gateway: &GatewayProcess) -> Vec<Value> {
    let told = call(gateway, "GET", "/v1/dead-letters", "").json();
    told["letters"].as_array().unwrap_or_else(|| panic!("{told}")).clone()
}

fn replay(gateway: &GatewayProcess, body: &Value) -> u64 {
    let answer = call(gateway, "POST", "/v1/dead-letters/replay", &body.to_string());
    answer.json()["replayed"].as_u64().unwrap_or_else(|| panic!("{}", answer.text))
}

#[test]
fn what_an_endpoint_will_never_take_is_kept_through_kill_9_until_it_is_tried_again_and_taken() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let receiver = Receiver::start();
    let config = with_http(directory.path(), smsc.local_addr(), "", "");
    let gateway = GatewayProcess::start(&config);
    receiver.answer(410);
    let recipients: Vec<Value> = (0..20).map(|n| json!({ "to": format!("138{n:08}"), "reference": format!("order {n}") })).collect();
    let callback = format!("http://{}/gone", receiver.address);
    let body = json!({ "text": "Hello", "callback": callback, "recipients": recipients });
    assert_eq!(call(&gateway, "POST", "/v1/messages", &body.to_string()).status, 202);
    until("all are dead", || letters(&gateway).len() == 20);
    until("the outbox is empty", || done(gateway.admin, &["accounts"])[0]["outbox"].as_u64() == Some(0));
    gateway.kill();

    let gateway = GatewayProcess::start(&config);
    let kept = letters(&gateway);
    assert_eq!((kept.len(), &kept[0]["reason"], &kept[0]["kind"]), (20, &json!("never"), &json!("receipt")), "{kept:?}");
    // Tried again in vain: they stay.
    let before = receiver.turned_away();
    assert_eq!(replay(&gateway, &json!({})), 20);
    until("each was tried, and turned away", || receiver.turned_away() == before + 20);
    assert!(letters(&gateway).iter().all(|letter| letter["replays"] == json!(1)));
    receiver.answer(200);
    let some: Vec<&Value> = kept[..3].iter().map(|letter| &letter["id"]).collect();
    until("they may be tried again", || {
        replay(&gateway, &json!({ "ids": some }));
        letters(&gateway).len() == 17
    });
    // Nobody has another's tried again, or sees it.
    let bearer = format!("Bearer {OTHER}");
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(ask(&gateway, "GET", "/v1/dead-letters", &headers, "").json()["letters"], json!([]));
    assert_eq!(ask(&gateway, "POST", "/v1/dead-letters/replay", &headers, "{}").json()["replayed"], json!(0));
    // An operator can do it for any account, on record.
    let (status, told) = post(gateway.admin, "/v1/dead-letters/replay", &json!({ "account": "nobody" }));
    assert_eq!((status, told["field"].as_str()), (422, Some("account")), "{told}");
    let (status, told) = post(gateway.admin, "/v1/dead-letters/replay", &json!({ "account": "shop", "reason": "it is well again" }));
    assert_eq!((status, told["replayed"].as_u64()), (200, Some(17)), "{told}");
    until("all are taken", || letters(&gateway).is_empty());
    assert!(done(gateway.admin, &["audit"]).to_string().contains("replay all dead letters of shop"));
    let mut references = receiver.references();
    references.sort_unstable();
    references.dedup();
    assert_eq!(references.len(), 20);
    gateway.kill();
    let gateway = GatewayProcess::start(&config);
    assert!(letters(&gateway).is_empty(), "what was taken doesn't come back");
    let refused = ask(&gateway, "POST", "/v1/dead-letters/replay", &[("authorization", &format!("Bearer {KEY}"))], r#"{"ids":["x"]}"#);
    assert_eq!(refused.problem(), (422, "bad_value".to_owned(), "ids[0]".to_owned()));
}

#[test]
fn a_replay_tries_all_that_it_names_at_once_though_their_endpoint_rests() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let receiver = Receiver::start();
    let config = with_http(directory.path(), smsc.local_addr(), "", "");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replacen("[hooks]\n", "[hooks]\nbatch = 1\n", 1)).unwrap();
    let gateway = GatewayProcess::start(&config);
    let send = |path: &str, count: usize| {
        let recipients: Vec<Value> = (0..count).map(|n| json!({ "to": format!("138{n:08}") })).collect();
        let callback = format!("http://{}{path}?key=secret", receiver.address);
        let body = json!({ "text": "Hello", "callback": callback, "recipients": recipients });
        assert_eq!(call(&gateway, "POST", "/v1/messages", &body.to_string()).status, 202);
    };
    receiver.answer(410);
    send("/gone", 30);
    until("all are dead", || letters(&gateway).len() == 30);
    let endpoint = format!("http://{}/gone", receiver.address);
    let letter = letters(&gateway)[7].clone();
    assert_eq!((&letter["endpoint"], &letter["last"]), (&json!(endpoint), &json!("status 410")), "{letter}");
    receiver.answer(503);
    send("/fails", 20);
    let waiting = || {
        let mut page = ureq::get(format!("http://{}/metrics", gateway.admin)).call().unwrap();
        let page = page.body_mut().read_to_string().unwrap();
        page.lines().find_map(|line| line.strip_prefix("hongyan_hook_waiting ")?.parse::<f64>().ok())
    };
    until("those that wait for their next try are counted", || waiting() == Some(20.0));
    until("the endpoint rests", || receiver.turned_away() >= 35);
    let before = receiver.turned_away();
    assert_eq!(replay(&gateway, &json!({})), 30);
    until("each was tried", || receiver.turned_away() >= before + 30);
    until("that is told of each", || letters(&gateway).iter().all(|letter| letter["last"] == json!("status 503")));
    let some = call(&gateway, "GET", "/v1/dead-letters?limit=7", "").json();
    assert_eq!((some["letters"].as_array().map(Vec::len), &some["next"]), (Some(7), &some["letters"][6]["id"]));
    receiver.answer(200);
    assert_eq!(replay(&gateway, &json!({ "endpoint": format!("http://{}/other", receiver.address) })), 0);
    assert_eq!(replay(&gateway, &json!({ "to": "2020-01-01T00:00:00Z" })), 0);
    assert_eq!(replay(&gateway, &json!({ "endpoint": endpoint, "from": "2020-01-01T00:00:00Z" })), 30);
    until("all are taken", || letters(&gateway).is_empty());
    let refused = call(&gateway, "POST", "/v1/dead-letters/replay", r#"{"from":"yesterday"}"#);
    assert_eq!(refused.problem(), (422, "bad_value".to_owned(), "from".to_owned()));
}
