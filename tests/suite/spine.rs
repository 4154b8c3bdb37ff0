//! The straight line: a real client, the gateway with its store on a real disk, a simulated carrier, and the receipt back.

use hongyan::app::Gateway;
use hongyan::config::Config;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use std::io::Write;
use std::process::{Command, Stdio};

/// A gateway with one account (`demo`/`demo`) and the simulated carrier that it sends to.
pub async fn start(data: &std::path::Path, settings: SmscSettings) -> (Gateway, Smsc) {
    let smsc = Smsc::start(settings).expect("a port for the carrier");
    let config = Config::demo(data).with_carrier("north", &smsc.local_addr().to_string(), "standard");
    let gateway = Gateway::start(config).await.expect("the gateway starts");
    (gateway, smsc)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_made_with_smpplib_gets_a_receipt_for_every_message() {
    let data = tempfile::tempdir().unwrap();
    let (gateway, smsc) = start(data.path(), SmscSettings::default()).await;
    let texts = serde_json::json!(["hello", "price: 5 € {ok}", "您的验证码是 123456", "中".repeat(100), "x".repeat(400)]);
    let port = gateway.smpp_address().port().to_string();
    let output = tokio::task::spawn_blocking(move || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/smpplib_client.py");
        let mut child = Command::new(super::peers_rig::python())
            .args([script, &port, "demo", "demo"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 with smpplib: run tests/setup.sh");
        child.stdin.take().unwrap().write_all(texts.to_string().as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    })
    .await
    .unwrap();
    assert!(output.status.success(), "smpplib: run tests/setup.sh");
    let seen: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let accepted = seen["accepted"].as_array().unwrap();
    let receipts = seen["receipts"].as_array().unwrap();
    // Three short texts, two parts of Chinese, three of GSM: parts that the client cut itself are messages of their own.
    assert_eq!(accepted.len(), 8, "{seen}");
    assert_eq!(receipts.len(), 8, "{seen}");
    for receipt in receipts {
        assert_eq!((receipt["stat"].as_str(), receipt["esm_class"].as_u64()), (Some("DELIVRD"), Some(4)), "{receipt}");
        assert_eq!(receipt["id"], receipt["tlv_id"]);
        assert_eq!((receipt["source"].as_str(), receipt["destination"].as_str()), (Some("8613800138000"), Some("SHOP")));
        assert!(accepted.iter().any(|a| a[0] == 0 && a[1] == receipt["id"]), "the id of the answer, byte for byte: {receipt}");
    }
    gateway.stop().await;
    assert_eq!(smsc.stop().submits, 8);
}
