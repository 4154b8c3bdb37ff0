//! Every shipped profile, both ends of it: the simulated carrier behaves as the profile says, the gateway speaks to it by the same file, and every
//! receipt comes back to the client.

use hongyan::app::Gateway;
use hongyan::config::{Config, Profile, SHIPPED_PROFILES};
use hongyan::load::generator::{Load, LoadSettings};
use hongyan::load::ledger::AtCarrier;
use hongyan::sim::profile::settings_of;
use hongyan::sim::smsc::Smsc;

/// Some day in 2026: the zone of a profile's dates is taken as it stands then.
const WALL_MS: u64 = 1_790_000_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_shipped_profile_gives_back_every_receipt_once() {
    for (name, _) in SHIPPED_PROFILES {
        let profile = Profile::shipped(name).unwrap();
        let smsc = Smsc::start(settings_of(&profile, WALL_MS)).unwrap();
        let data = tempfile::tempdir().unwrap();
        let mut config = Config::demo(data.path()).with_carrier("odd", &smsc.local_addr().to_string(), name);
        config.carriers[0].bind = profile.simulate.bind;
        let gateway = Gateway::start(config).await.unwrap();
        let settings = LoadSettings { target: gateway.smpp_address(), messages: 200, ..LoadSettings::default() };
        let load = Load::start(settings).unwrap();
        let (report, reached) = tokio::task::spawn_blocking(move || {
            let (report, judged) = load.join(|| smsc.marks(*b"run0"));
            (report, (judged, smsc.stop()))
        })
        .await
        .unwrap();
        let tally = &report.tally;
        assert_eq!((tally.accepted, tally.reported, tally.unreported), (200, 200, 0), "{name}: {tally:?}");
        assert_eq!((tally.duplicate_receipts, tally.mismatched_receipts, tally.unmatched_receipts), (0, 0, 0), "{name}: {tally:?}");
        assert_eq!(reached.0, Some(AtCarrier { reached: 200, repeated: 0, missing: 0 }), "{name}: {:?}", reached.1);
        gateway.stop().await;
    }
}
