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
    answering(503, mpsc::unbounded_channel().0).await
}

/// An endpoint that answers with this status, and tells the ids of what comes.
async fn answering(status: u16, ids: mpsc::UnboundedSender<String>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 16_384];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&request[..read]).into_owned();
            let id = head.lines().find_map(|line| line.strip_prefix("webhook-id: ")).unwrap_or_default().to_owned();
            let _ = ids.send(id);
            let _ = stream.write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes()).await;
        }
    });
    format!("http://{address}/")
}

/// What the engine is told of deliveries that have waited since these times, and the dead letters then.
async fn answers_to(since_ms: &[u64], dead: &Arc<DeadLetters>, replays: mpsc::UnboundedReceiver<Vec<u64>>) -> Vec<DeliveryAnswer> {
    let own = OwnHook {
        url: failing().await.into(),
        secret: (*b"0123456789abcdef").into(),
        written: "MDEyMzQ1Njc4OWFiY2RlZg==".into(),
        inbound: true,
    };
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

/// The ids of the requests in which these tokens come to an endpoint that answers with this status, `rounds` times, and what the engine is told each time.
async fn ids_of(status: u16, rounds: &[std::ops::Range<u64>]) -> (Vec<Vec<String>>, Vec<BTreeMap<u64, DeliveryAnswer>>) {
    let (sender, mut ids) = mpsc::unbounded_channel();
    let own =
        OwnHook { url: answering(status, sender).await.into(), secret: (*b"0123456789abcdef").into(), written: "".into(), inbound: true };
    let known = Known { hooks: [(AccountId(0), own)].into(), names: vec!["shop".into()], ages_ms: vec![AGE_MS], ..Known::default() };
    let (engine, mut told) = mpsc::channel(10);
    let (_known, known) = watch::channel(Arc::new(known));
    let (dead, replays) = DeadLetters::open(&[], Arc::new(Memory::default()) as Arc<dyn Keep>);
    let logs = Arc::new(EventLogs::new(std::env::temp_dir()));
    let telemetry = Arc::new(Telemetry::new(&["shop"], &[]));
    let parts = Parts { engine: engine.downgrade(), known, logs, dead: Arc::new(dead), replays, telemetry };
    let guard = Guard { allow_private: true };
    let hooks = Hooks::new(HookSettings { timeout: Duration::from_secs(20), at_once: 1, batch: 100, guard }, parts).unwrap();
    let (deliver, deliveries) = mpsc::unbounded_channel();
    let running = tokio::spawn(hooks.run(deliveries));
    let (mut all_ids, mut all_answers) = (Vec::new(), Vec::new());
    for round in rounds {
        let since_ms = now_ms();
        let reply = |n| UpstreamReply::Deliver { token: DeliveryToken(n), item: inbound(n), since_ms };
        deliver.send((SessionId::hook_of(AccountId(0)), round.clone().map(reply).collect())).unwrap();
        let mut answers = BTreeMap::new();
        while answers.len() < round.clone().count() {
            for input in told.recv().await.unwrap() {
                let Input::Answered { answers: some, .. } = input else { continue };
                answers.extend(some.into_iter().map(|(DeliveryToken(n), answer)| (n, answer)));
            }
        }
        all_ids.push(std::iter::from_fn(|| ids.try_recv().ok()).collect());
        all_answers.push(answers);
    }
    drop(deliver);
    running.await.unwrap();
    (all_ids, all_answers)
}

#[tokio::test]
async fn a_batch_that_failed_is_tried_again_whole_and_under_the_same_id() {
    let (ids, answers) = ids_of(503, &[0..5, 0..8]).await;
    assert_eq!((ids[0].len(), ids[1].len()), (1, 2), "{ids:?}");
    assert_eq!(ids[0][0], ids[1][0], "what is new travels by itself");
    assert!(answers[0].values().all(|answer| *answer == answers[0][&0]), "they come back together: {answers:?}");
    assert!(matches!(answers[1][&0], DeliveryAnswer::After(300_000..)), "the second try failed too: {answers:?}");
}

#[tokio::test]
async fn a_batch_that_is_refused_is_tried_one_by_one() {
    let (ids, _) = ids_of(422, &[0..3, 0..3]).await;
    assert_eq!((ids[0].len(), ids[1].len()), (1, 3), "{ids:?}");
    // Of a busy endpoint that says nothing.
    let (ids, _) = ids_of(429, &[0..3, 0..3]).await;
    assert_eq!(ids[0], ids[1]);
    // Three failures may have a cause in the batch.
    let (ids, _) = ids_of(500, &[0..2, 0..2, 0..2, 0..2]).await;
    assert_eq!(ids.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1, 2], "{ids:?}");
}
