//! How long an endpoint is tried, and what is given up when.

use super::*;
use crate::engine::port::Inbound;
use crate::http::{Keep, Memory};
use crate::model::{Address, Body, Encoding, MessageId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const HOUR_MS: u64 = 3_600_000;
/// How long deliveries of the account are tried, as by default.
const AGE_MS: u64 = 72 * HOUR_MS;

/// A message from a phone, to be delivered.
pub(super) fn inbound(message: u64) -> Arc<Delivery> {
    let address = |digits: &[u8]| Address::new(1, 1, digits).unwrap();
    Arc::new(Delivery::Inbound(Inbound {
        message: MessageId(message),
        source: address(b"8613800138000"),
        destination: address(b"10690000"),
        body: Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: (*b"hi").into() },
        service_type: Default::default(),
        protocol_id: 0,
        incomplete: false,
        received_ms: 7,
    }))
}

/// An endpoint that is not well.
async fn failing() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 503 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        }
    });
    format!("http://{address}/")
}

/// What the engine is told of deliveries that have waited since these times, and the dead letters then.
async fn answers_to(since_ms: &[u64], dead: &Arc<DeadLetters>, replays: mpsc::UnboundedReceiver<Vec<u64>>) -> Vec<DeliveryAnswer> {
    let own = OwnHook { url: failing().await.into(), secret: (*b"0123456789abcdef").into(), inbound: true };
    let known = Known { hooks: [(AccountId(0), own)].into(), names: vec!["shop".into()], ages_ms: vec![AGE_MS], ..Known::default() };
    let (engine, mut told) = mpsc::channel(10);
    let (_known, known) = watch::channel(Arc::new(known));
    let parts = Parts {
        engine: engine.downgrade(),
        known,
        logs: Arc::new(EventLogs::new(std::env::temp_dir())),
        dead: Arc::clone(dead),
        replays,
        telemetry: Arc::new(Telemetry::new(&["shop"], &[])),
    };
    let guard = Guard { allow_private: true };
    let hooks = Hooks::new(HookSettings { timeout: Duration::from_secs(20), at_once: 1, batch: 1, guard }, parts).unwrap();
    let (deliver, deliveries) = mpsc::unbounded_channel();
    let replies = (0..).zip(since_ms).map(|(n, &since_ms)| UpstreamReply::Deliver { token: DeliveryToken(n), item: inbound(n), since_ms });
    deliver.send((SessionId::hook_of(AccountId(0)), replies.collect())).unwrap();
    let running = tokio::spawn(hooks.run(deliveries));
    let mut answers = BTreeMap::new();
    while answers.len() < since_ms.len() {
        for input in told.recv().await.unwrap() {
            let Input::Answered { answers: some, .. } = input else { continue };
            answers.extend(some.into_iter().map(|(DeliveryToken(n), answer)| (n, answer)));
        }
    }
    drop(deliver);
    running.await.unwrap();
    answers.into_values().collect()
}

#[tokio::test]
async fn what_failed_for_72_hours_is_given_up_and_kept_and_what_is_younger_is_tried_again() {
    let (dead, replays) = DeadLetters::open(&[], Arc::new(Memory::default()) as Arc<dyn Keep>);
    let (dead, now_ms) = (Arc::new(dead), now_ms());
    let answers = answers_to(&[now_ms - AGE_MS - 1, now_ms - AGE_MS + HOUR_MS], &dead, replays).await;
    assert_eq!(answers[0], DeliveryAnswer::Never);
    assert!(matches!(answers[1], DeliveryAnswer::After(60_000..=66_000)), "{answers:?}");
    let letters = dead.list(None, 0, 9);
    assert_eq!((letters.len(), letters[0].reason, letters[0].since_ms), (1, Reason::Expired, now_ms - AGE_MS - 1));
}

#[tokio::test]
async fn the_engine_keeps_what_is_given_up_until_it_is_written_down_as_a_dead_letter() {
    struct Full;
    impl Keep for Full {
        fn keep(&self, _: crate::store::LedgerUpdate) -> crate::http::admin::Boxed<'_, bool> {
            Box::pin(async { false })
        }
    }
    let (dead, replays) = DeadLetters::open(&[], Arc::new(Full));
    let dead = Arc::new(dead);
    let answers = answers_to(&[now_ms() - AGE_MS - 1], &dead, replays).await;
    assert_eq!((answers[0], dead.figures().0), (DeliveryAnswer::After(AGAIN_MS), 0));
}
