//! The bare relay: everything passes, numbers are rewritten both ways, one side's end is the other's.

use hongyan::load::generator::{Load, LoadSettings};
use hongyan::load::relay::relay;
use hongyan::sim::behaviour::Behaviour;
use hongyan::sim::smsc::{Smsc, SmscSettings};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_relay_passes_every_message_answer_and_receipt() {
    let behaviour = Behaviour { answer_jitter_ms: 3, receipt_jitter_ms: 20, ..Behaviour::default() };
    let smsc = Smsc::start(SmscSettings { behaviour, ..SmscSettings::default() }).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    let relaying = tokio::spawn(relay(listener, smsc.local_addr()));
    let load = Load::start(LoadSettings { target, messages: 20_000, binds: 3, window: 300, ..LoadSettings::default() }).unwrap();
    let (report, reached) = tokio::task::spawn_blocking(move || {
        let (report, judged) = load.join(|| smsc.marks(*b"run0"));
        (report, judged.map(|seen| (seen.reached, seen.repeated, seen.missing, smsc.stop().binds)))
    })
    .await
    .unwrap();
    let tally = report.tally;
    assert_eq!((tally.accepted, tally.reported, tally.duplicate_receipts, tally.mismatched_receipts), (20_000, 20_000, 0, 0));
    assert_eq!(reached, Some((20_000, 0, 0, 3)));
    relaying.abort();
}

#[tokio::test]
async fn when_the_carrier_hangs_up_the_client_is_hung_up_too() {
    let smsc =
        Smsc::start(SmscSettings { behaviour: Behaviour { hang_up_every: 1, ..Behaviour::default() }, ..SmscSettings::default() }).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    let relaying = tokio::spawn(relay(listener, smsc.local_addr()));
    let load = LoadSettings { target, messages: 1, wait_ms: 0, ..LoadSettings::default() };
    let (report, _) = tokio::task::spawn_blocking(move || Load::start(load).unwrap().join(|| None)).await.unwrap();
    assert_eq!((report.tally.sent, report.tally.unanswered, report.tally.accepted), (1, 1, 0));
    assert_eq!(smsc.stats().hang_ups, 1);
    relaying.abort();
}
