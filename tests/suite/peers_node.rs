//! npm's smpp (node-smpp) as a client of the gateway, and as the carrier that it sends to.

use super::peers_rig::{self, NodeCarrier};
use super::spine;
use hongyan::app::Gateway;
use hongyan::config::{BindMode, Config};
use hongyan::sim::smsc::SmscSettings;
use serde_json::{Value, json};

fn count(list: &Value, is: impl Fn(&Value) -> bool) -> usize {
    list.as_array().unwrap().iter().filter(|entry| is(entry)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_made_with_node_smpp_may_ask_for_everything_a_client_may() {
    let data = tempfile::tempdir().unwrap();
    let (gateway, smsc) = spine::start(data.path(), SmscSettings::default()).await;
    let port = gateway.smpp_address().port().to_string();
    let seen = peers_rig::run("node_client.js", &[&port, "demo", "demo"]).await;
    assert_eq!(seen["errors"], json!([]), "{seen}");
    assert_eq!(seen["bound"], json!({ "status": 0, "system_id": "hongyan", "version": 0x34 }));
    // Submissions of every form are taken, each under an id of its own, and each has its receipt.
    let mut ids = Vec::new();
    for answer in [&seen["gsm"], &seen["ucs2"], &seen["payload"], &seen["data"], &seen["parts"][0], &seen["parts"][1]] {
        assert_eq!(answer["status"], 0, "{seen}");
        let id = answer["id"].as_str().unwrap();
        assert!(!id.is_empty() && !ids.contains(&id), "{seen}");
        ids.push(id);
    }
    for id in &ids {
        assert_eq!(count(&seen["receipts"], |r| r["id"] == *id && r["state"] == 2 && r["esm_class"] == 4), 1, "receipt of {id}: {seen}");
    }
    // Two of three recipients of the submit_multi are reached; the third is named with its reason.
    assert_eq!(seen["multi"]["status"], 0, "{seen}");
    assert_eq!(seen["multi"]["unsuccess"].as_array().unwrap().len(), 1, "{seen}");
    assert_eq!(seen["multi"]["unsuccess"][0]["destination_addr"], "12345678901234567890");
    assert_ne!(seen["multi"]["unsuccess"][0]["error_status_code"], 0);
    assert_eq!(count(&seen["receipts"], |r| ["8613800138001", "8613800138002"].map(Value::from).contains(&r["source"])), 2, "{seen}");
    // Deferred, asked for, replaced, cancelled, and reported as deleted.
    assert_eq!(seen["deferred"]["status"], 0);
    assert_eq!(seen["waiting"], json!({ "status": 0, "state": 1 }), "{seen}");
    assert_eq!((&seen["replaced"]["status"], &seen["cancelled"]["status"]), (&json!(0), &json!(0)), "{seen}");
    assert_eq!(count(&seen["receipts"], |r| r["id"] == seen["deferred"]["id"] && r["state"] == 4), 1, "{seen}");
    assert_ne!(seen["unknown"], 0, "{seen}");
    assert_eq!((&seen["alive"], &seen["broadcast"], &seen["unbound"]), (&json!(0), &json!(3), &json!(0)), "{seen}");
    assert_eq!(seen["refused"], 0x0E, "{seen}");
    // Separate sessions: submissions on one, receipts on the other only.
    let separate = &seen["separate"];
    assert_eq!(separate["bound"], json!([0, 0]));
    assert_eq!(count(&separate["sent"], |sent| sent["status"] == 0), 10);
    assert_eq!((count(&separate["receipts"], |r| r["state"] == 2), separate["on_tx"].as_u64()), (10, Some(0)), "{seen}");
    assert_eq!(separate["wrong"], 4, "a receiver may not submit: {seen}");
    gateway.stop().await;
    assert!(smsc.stop().submits >= 18);
}

/// Sends `texts` with smpplib through a gateway whose only carrier is node-smpp. Gives what client and carrier saw.
async fn through_node(habit: &'static str, profile: &str, bind: BindMode, texts: Value) -> (Value, Value) {
    let carrier = NodeCarrier::start(habit);
    let data = tempfile::tempdir().unwrap();
    let mut config = Config::demo(data.path()).with_carrier("node", &carrier.address, profile);
    config.carriers[0].bind = bind;
    config.carriers[0].timers.enquire_link_ms = 200;
    let gateway = Gateway::start(config).await.unwrap();
    let port = gateway.smpp_address().port().to_string();
    let seen = peers_rig::run_with("smpplib_client.py", &[&port, "demo", "demo"], texts.to_string()).await;
    // Silence, three times as long as it takes to be asked for a sign of life.
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    gateway.stop().await;
    (seen, carrier.stop())
}

fn all_delivered(seen: &Value, messages: usize) {
    assert_eq!(seen["accepted"].as_array().unwrap().len(), messages, "{seen}");
    assert_eq!(seen["receipts"].as_array().unwrap().len(), messages, "{seen}");
    for accepted in seen["accepted"].as_array().unwrap() {
        let its = count(&seen["receipts"], |r| r["id"] == accepted[1] && r["stat"] == "DELIVRD" && r["tlv_id"] == r["id"]);
        assert_eq!((accepted[0].as_u64(), its), (Some(0), 1), "{accepted}: {seen}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_smpp_as_carrier_with_hex_ids_early_and_double_receipts_brings_each_receipt_home_once() {
    let mut texts = vec![json!("price: 5 {ok}"), json!("您的验证码是 123456"), json!("中".repeat(100)), json!("x".repeat(400))];
    texts.extend((0..20).map(|n| json!(format!("number {n}"))));
    let (seen, carrier) = through_node("hex", "hex-ids", BindMode::Trx, json!(texts)).await;
    // Two parts of Chinese and three of GSM are messages of their own: the client cut them.
    all_delivered(&seen, 27);
    assert_eq!(carrier["errors"], json!([]), "{carrier}");
    assert_eq!(carrier["binds"], json!({ "transceiver": 1 }), "{carrier}");
    assert_eq!(carrier["submits"].as_array().unwrap().len(), 27, "{carrier}");
    assert_eq!(count(&carrier["submits"], |s| s["text"] == "您的验证码是 123456" && s["data_coding"] == 8), 1, "{carrier}");
    assert_eq!(count(&carrier["submits"], |s| s["text"] == "price: 5 {ok}" && s["data_coding"] == 0), 1, "{carrier}");
    assert_eq!(count(&carrier["submits"], |s| s["parts"] == 1), 5, "parts keep their headers: {carrier}");
    assert_eq!(carrier["delivery_statuses"], json!({ "0": carrier["receipts"] }), "each receipt is taken, doubles too: {carrier}");
    assert_eq!(carrier["unbinds"], 1, "{carrier}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_smpp_as_carrier_with_separate_transmitter_and_receiver_brings_receipts_home() {
    let texts: Vec<Value> = (0..20).map(|n| json!(format!("number {n}"))).collect();
    let (seen, carrier) = through_node("apart", "standard", BindMode::TxRx, json!(texts)).await;
    all_delivered(&seen, 20);
    assert_eq!(carrier["binds"], json!({ "transmitter": 1, "receiver": 1 }), "{carrier}");
    assert_eq!((carrier["submits"].as_array().unwrap().len(), carrier["unbinds"].as_u64()), (20, Some(2)), "{carrier}");
    assert!(carrier["enquired"].as_u64().unwrap() > 0, "a silent session is asked whether it lives: {carrier}");
    assert_eq!(carrier["errors"], json!([]), "{carrier}");
}
