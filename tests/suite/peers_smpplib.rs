//! PyPI's smpplib beyond the straight line of `spine`: refused binds, separate sessions, and a rate that is exceeded.

use super::peers_rig;
use hongyan::app::Gateway;
use hongyan::config::Config;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smpplib_sees_refused_binds_separate_sessions_and_throttling_as_they_are() {
    let data = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let mut config =
        Config::demo(data.path()).with_account("slow", "demo").with_carrier("north", &smsc.local_addr().to_string(), "standard");
    config.accounts[1].rate_per_s = Some(5);
    let gateway = Gateway::start(config).await.unwrap();
    let port = gateway.smpp_address().port().to_string();
    let seen = peers_rig::run("smpplib_sessions.py", &[&port, "demo", "demo", "slow"]).await;
    assert_eq!(seen["wrong_password"], 0x0E, "{seen}");
    assert!(seen["wrong_name"] == 0x0E || seen["wrong_name"] == 0x0F, "{seen}");
    assert_eq!(seen["right"], 0, "{seen}");
    assert_eq!(seen["sent"], json!(vec![0; 20]), "{seen}");
    assert_eq!((&seen["receipts"], &seen["delivered"], &seen["on_tx"]), (&json!(20), &json!(20), &json!(0)), "{seen}");
    let throttled = seen["throttled"].as_array().unwrap();
    assert_eq!(throttled.len(), 50, "{seen}");
    assert!(throttled.iter().all(|status| *status == 0 || *status == 0x58), "{seen}");
    let taken = throttled.iter().filter(|status| **status == 0).count();
    assert!((1..50).contains(&taken), "some are taken, most are throttled: {seen}");
    gateway.stop().await;
    assert_eq!(smsc.stop().submits, 20 + taken as u64);
}
