//! The carrier's side of a recording: takes whoever binds, gives the n-th submission the n-th recorded answer (status, id, time to it) and the receipts that
//! belonged to it, octet for octet but for the phone, which is the new submission's. What the carrier sent otherwise (messages from phones, receipts of
//! earlier messages) is sent at its time. Submissions beyond the recording are refused with ESME_RSYSERR.

use super::{ReplayArgs, gap, read_pdu, renumbered};
use crate::recorder::exchanges::{self, Exchange};
use crate::recorder::{LIMITS, Taken, word};
use crate::smpp::pdu::DataSm;
use crate::smpp::{Addr, Pdu, Sm, command, decode, encode, encode_empty, encode_message_id_resp, status};
use bytes::BytesMut;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What all connections share.
struct Stage {
    recording: Vec<Taken>,
    speed: f64,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    /// What is still to be played.
    exchanges: VecDeque<Exchange>,
    /// Connections that receive, with the number of their next request.
    receivers: Vec<(u64, TcpStream, u32)>,
    /// What is to be written when: an answer to its connection, a delivery to any receiver.
    due: BTreeMap<(Instant, u64), Due>,
    serial: u64,
    begun: bool,
    submits: u64,
    beyond: u64,
    answers: u64,
    deliveries: u64,
    taken: u64,
    refused: u64,
}

enum Due {
    Answer(TcpStream, Vec<u8>),
    Delivery(Vec<u8>),
}

impl Stage {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn at(&mut self, when: Instant, due: Due) {
        self.serial += 1;
        self.due.insert((when, self.serial), due);
    }

    fn is_over(&self) -> bool {
        self.begun && self.exchanges.is_empty() && self.due.is_empty() && self.taken + self.refused >= self.deliveries
    }
}

/// Plays it at `listen` until all is played and nothing has come for a while.
///
/// # Errors
/// In words.
pub(super) fn play(recording: &[Taken], listen: SocketAddr, args: &ReplayArgs, progress: &mut dyn FnMut(&str)) -> Result<Value, String> {
    let all = exchanges::of(recording);
    if all.all.is_empty() {
        return Err("nobody submits anything in it".to_owned());
    }
    let listener = TcpListener::bind(listen).map_err(|error| format!("{listen}: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    progress(&format!("replay: listening on {address}; {} submissions with {} receipts", all.all.len(), all.receipts.len()));
    let inner = Inner { exchanges: all.all.into(), ..Inner::default() };
    let stage = Arc::new(Stage { recording: recording.to_vec(), speed: args.speed, inner: Mutex::new(inner), changed: Condvar::new() });
    let acceptor = Arc::clone(&stage);
    // Ends with the process: who plays a carrier does nothing else.
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let stage = Arc::clone(&acceptor);
            std::thread::spawn(move || serve(stream, number as u64, &stage));
        }
    });
    write_all_due(&stage, Duration::from_secs_f64(args.wait.clamp(0.1, 3_600.0)));
    let inner = stage.lock();
    Ok(json!({
        "submits": inner.submits, "answers": inner.answers, "beyond_the_recording": inner.beyond, "not_asked_for": inner.exchanges.len(),
        "deliveries": inner.deliveries, "deliveries_taken": inner.taken, "deliveries_refused": inner.refused,
    }))
}

/// Deliveries that belong to no submission of the recording.
fn loose(recording: &[Taken], all: &VecDeque<Exchange>) -> Vec<usize> {
    let known: HashSet<usize> = all.iter().flat_map(|exchange| exchange.receipts.iter().copied()).collect();
    let is = |taken: &Taken| !taken.to_server && matches!(word(&taken.pdu, 1), command::DELIVER_SM | command::DATA_SM);
    (0..recording.len()).filter(|at| is(&recording[*at]) && !known.contains(at)).collect()
}

/// One connection, to its end.
fn serve(mut stream: TcpStream, number: u64, stage: &Stage) {
    while let Ok(Some(pdu)) = read_pdu(&mut stream) {
        let (id, status, sequence) = (word(&pdu, 1), word(&pdu, 2), word(&pdu, 3));
        let mut out = BytesMut::new();
        let mut inner = stage.lock();
        match id {
            command::BIND_TRANSCEIVER | command::BIND_RECEIVER | command::BIND_TRANSMITTER => {
                encode_message_id_resp(id | command::RESPONSE_BIT, 0, sequence, b"replay", &mut out);
                if id != command::BIND_TRANSMITTER
                    && let Ok(writer) = stream.try_clone()
                {
                    inner.receivers.push((number, writer, 1));
                }
                begin(&mut inner, stage);
            }
            command::SUBMIT_SM => submitted(&pdu, &stream, &mut inner, stage),
            command::ENQUIRE_LINK | command::UNBIND => encode_empty(id | command::RESPONSE_BIT, 0, sequence, &mut out),
            command::DELIVER_SM_RESP | command::DATA_SM_RESP if status == 0 => inner.taken += 1,
            command::DELIVER_SM_RESP | command::DATA_SM_RESP => inner.refused += 1,
            id if command::is_response(id) => {}
            _ => encode_empty(command::GENERIC_NACK, status::ESME_RINVCMDID, sequence, &mut out),
        }
        // Under the lock: what falls due is written by another thread.
        let gone = stream.write_all(&out).is_err();
        drop(inner);
        stage.changed.notify_all();
        if gone || id == command::UNBIND {
            break;
        }
    }
    stage.lock().receivers.retain(|(known, _, _)| *known != number);
}

/// The first bind: what comes by itself is due in its time from here on.
fn begin(inner: &mut Inner, stage: &Stage) {
    if std::mem::replace(&mut inner.begun, true) {
        return;
    }
    let (start, now) = (stage.recording.first().map_or(0, |taken| taken.at_us), Instant::now());
    for at in loose(&stage.recording, &inner.exchanges) {
        let taken = &stage.recording[at];
        inner.at(now + gap(start, taken.at_us, stage.speed), Due::Delivery(taken.pdu.clone()));
    }
}

fn submitted(pdu: &[u8], stream: &TcpStream, inner: &mut Inner, stage: &Stage) {
    let (now, sequence) = (Instant::now(), word(pdu, 3));
    inner.submits += 1;
    let Ok(writer) = stream.try_clone() else { return };
    let Some(exchange) = inner.exchanges.pop_front() else {
        inner.beyond += 1;
        let mut out = BytesMut::new();
        encode_message_id_resp(command::SUBMIT_SM_RESP, status::ESME_RSYSERR, sequence, b"", &mut out);
        return inner.at(now, Due::Answer(writer, out.to_vec()));
    };
    let asked_us = stage.recording[exchange.submit].at_us;
    // A submission that was never answered is not answered now.
    if let Some(answer) = exchange.answer.map(|at| &stage.recording[at]) {
        inner.at(now + gap(asked_us, answer.at_us, stage.speed), Due::Answer(writer, renumbered(answer, sequence)));
    }
    for at in &exchange.receipts {
        let receipt = &stage.recording[*at];
        if let Some(delivery) = readdressed(&receipt.pdu, &stage.recording[exchange.submit].pdu, pdu) {
            inner.at(now + gap(asked_us, receipt.at_us, stage.speed), Due::Delivery(delivery));
        }
    }
}

/// A receipt with the addresses of the new submission, turned round as the recorded one was.
fn readdressed(receipt: &[u8], recorded: &[u8], submit: &[u8]) -> Option<Vec<u8>> {
    let (Pdu::SubmitSm(old), Pdu::SubmitSm(new)) = (decode(recorded, &LIMITS).ok()?.1, decode(submit, &LIMITS).ok()?.1) else {
        return None;
    };
    let turn = |source: Addr<'_>| source.addr != old.source.addr;
    let mut out = BytesMut::new();
    match decode(receipt, &LIMITS).ok()?.1 {
        Pdu::DeliverSm(sm) => {
            let (source, destination) = if turn(sm.source) { (new.destination, new.source) } else { (new.source, new.destination) };
            encode(0, 1, &Pdu::DeliverSm(Sm { source, destination, ..sm }), &mut out);
        }
        Pdu::DataSm(data) => {
            let (source, destination) = if turn(data.source) { (new.destination, new.source) } else { (new.source, new.destination) };
            encode(0, 1, &Pdu::DataSm(DataSm { source, destination, ..data }), &mut out);
        }
        _ => return None,
    }
    Some(out.to_vec())
}

/// Writes what falls due, until all is over and stays so for `quiet`.
fn write_all_due(stage: &Stage, quiet: Duration) {
    let mut inner = stage.lock();
    loop {
        let now = Instant::now();
        while let Some(entry) = inner.due.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                Due::Answer(mut stream, pdu) => {
                    inner.answers += 1;
                    // A client that has gone asks again.
                    let _ = stream.write_all(&pdu);
                }
                Due::Delivery(pdu) => deliver(pdu, &mut inner, now),
            }
        }
        let over = inner.is_over();
        let next = inner.due.first_key_value().map_or(quiet, |((when, _), _)| when.saturating_duration_since(now));
        let (back, waited) = stage.changed.wait_timeout(inner, next).unwrap_or_else(PoisonError::into_inner);
        inner = back;
        if over && waited.timed_out() && inner.is_over() {
            return;
        }
    }
}

/// To the next receiver; while there is none it waits.
fn deliver(mut pdu: Vec<u8>, inner: &mut Inner, now: Instant) {
    if inner.receivers.is_empty() {
        return inner.at(now + Duration::from_millis(100), Due::Delivery(pdu));
    }
    inner.receivers.rotate_left(1);
    let (_, stream, sequence) = &mut inner.receivers[0];
    pdu[12..16].copy_from_slice(&sequence.to_be_bytes());
    *sequence += 1;
    if stream.write_all(&pdu).is_ok() {
        inner.deliveries += 1;
    }
}
