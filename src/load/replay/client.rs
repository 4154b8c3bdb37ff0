//! The client's side of a recording: binds as it did, submits what it submitted at the same pace, answers what comes, and compares the answers' statuses with the
//! recorded ones.

use super::{ReplayArgs, gap, read_pdu, renumbered};
use crate::recorder::{LIMITS, Taken, word};
use crate::smpp::{Bind, BindKind, Pdu, command, decode, encode, encode_empty, encode_message_id_resp, status};
use bytes::BytesMut;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait for an answer to the bind, or for room in the window.
const PATIENCE: Duration = Duration::from_secs(30);

/// What has come.
#[derive(Default)]
struct Heard {
    /// Statuses by number of the request.
    answers: HashMap<u32, u32>,
    deliveries: u64,
    ended: bool,
}

/// Plays it against `to`.
///
/// # Errors
/// In words: nobody is there, the bind is refused, or the connection ends early.
pub(super) fn play(recording: &[Taken], to: SocketAddr, args: &ReplayArgs) -> Result<Value, String> {
    let carries = |id: u32| matches!(id, command::SUBMIT_SM | command::SUBMIT_MULTI | command::DATA_SM);
    let requests: Vec<&Taken> = recording.iter().filter(|taken| taken.to_server && carries(word(&taken.pdu, 1))).collect();
    let answered = |taken: &&Taken| !taken.to_server && word(&taken.pdu, 1) & command::RESPONSE_BIT != 0;
    let recorded: HashMap<(u16, u32), u32> =
        recording.iter().filter(answered).map(|taken| ((taken.connection, word(&taken.pdu, 3)), word(&taken.pdu, 2))).collect();
    if requests.is_empty() {
        return Err("no client submits anything in it".to_owned());
    }
    let failed = |error: std::io::Error| format!("{to}: {error}");
    let mut stream = TcpStream::connect(to).map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    stream.write_all(&bind(recording, args)).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let answer = read_pdu(&mut stream).map_err(failed)?.ok_or_else(|| format!("{to} hung up at the bind"))?;
    if word(&answer, 2) != 0 {
        let name = status::name(word(&answer, 2)).unwrap_or("a code of its own");
        return Err(format!("the bind was refused: {name} ({:#x}); --system-id and --password say as whom", word(&answer, 2)));
    }
    stream.set_read_timeout(None).map_err(failed)?;
    let heard = Arc::new((Mutex::new(Heard::default()), Condvar::new()));
    let listener = {
        let (stream, heard) = (stream.try_clone().map_err(failed)?, Arc::clone(&heard));
        std::thread::spawn(move || listen(stream, &heard))
    };
    let started = Instant::now();
    for (at, taken) in requests.iter().enumerate() {
        let due = started + gap(requests[0].at_us, taken.at_us, args.speed);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let fits = |heard: &Heard| heard.ended || at.saturating_sub(heard.answers.len()) < args.window.max(1);
        if !wait(&heard, PATIENCE, fits) {
            return Err(format!("{} requests have no answer after {} s", args.window, PATIENCE.as_secs()));
        }
        stream.write_all(&renumbered(taken, at as u32 + 2)).map_err(failed)?;
    }
    wait(&heard, PATIENCE, |heard| heard.ended || heard.answers.len() == requests.len());
    // Receipts.
    std::thread::sleep(Duration::from_secs_f64(args.wait.clamp(0.0, 3_600.0)));
    let mut unbind = BytesMut::new();
    encode_empty(command::UNBIND, 0, requests.len() as u32 + 2, &mut unbind);
    // A peer that has gone has no use for it.
    let _ = stream.write_all(&unbind);
    wait(&heard, Duration::from_secs(2), |heard| heard.ended);
    let _ = stream.shutdown(std::net::Shutdown::Both);
    let _ = listener.join();
    let heard = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(report(&requests, &recorded, &heard))
}

fn report(requests: &[&Taken], recorded: &HashMap<(u16, u32), u32>, heard: &Heard) -> Value {
    let (mut statuses, mut same, mut different) = (BTreeMap::new(), 0, 0);
    for (at, taken) in requests.iter().enumerate() {
        let Some(status) = heard.answers.get(&(at as u32 + 2)) else { continue };
        *statuses.entry(format!("{status:#x}")).or_insert(0) += 1;
        match recorded.get(&(taken.connection, word(&taken.pdu, 3))) {
            Some(known) if known == status => same += 1,
            Some(_) => different += 1,
            None => {}
        }
    }
    json!({
        "sent": requests.len(), "answered": heard.answers.len(), "statuses": statuses, "as_recorded": same, "different": different,
        "deliveries": heard.deliveries,
    })
}

/// Waits until it is so; false if it isn't in time.
fn wait(heard: &(Mutex<Heard>, Condvar), patience: Duration, is: impl Fn(&Heard) -> bool) -> bool {
    let locked = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
    let (heard, _) = heard.1.wait_timeout_while(locked, patience, |heard| !is(heard)).unwrap_or_else(PoisonError::into_inner);
    is(&heard)
}

/// The bind as it was recorded, with the credentials that are wanted.
fn bind(recording: &[Taken], args: &ReplayArgs) -> Vec<u8> {
    let recorded = recording.iter().filter(|taken| taken.to_server).find_map(|taken| match decode(&taken.pdu, &LIMITS).ok()?.1 {
        Pdu::BindTransceiver(bind) => Some((BindKind::Transceiver, bind)),
        Pdu::BindTransmitter(bind) => Some((BindKind::Transmitter, bind)),
        _ => None,
    });
    let (kind, bind) = recorded.unwrap_or((BindKind::Transceiver, Bind { interface_version: 0x34, ..Bind::default() }));
    let system_id = args.system_id.as_ref().map_or(bind.system_id, |name| name.as_bytes());
    let mut out = BytesMut::new();
    encode(0, 1, &Pdu::bind(kind, Bind { system_id, password: args.password.as_bytes(), ..bind }), &mut out);
    out.to_vec()
}

/// Hears answers and answers requests, to the end of the connection.
fn listen(mut stream: TcpStream, heard: &(Mutex<Heard>, Condvar)) {
    while let Ok(Some(pdu)) = read_pdu(&mut stream) {
        let (id, status, sequence) = (word(&pdu, 1), word(&pdu, 2), word(&pdu, 3));
        let mut out = BytesMut::new();
        let mut now = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        match id {
            command::DELIVER_SM | command::DATA_SM => {
                now.deliveries += 1;
                encode_message_id_resp(id | command::RESPONSE_BIT, 0, sequence, b"", &mut out);
            }
            command::ENQUIRE_LINK | command::UNBIND => encode_empty(id | command::RESPONSE_BIT, 0, sequence, &mut out),
            command::SUBMIT_SM_RESP | command::SUBMIT_MULTI_RESP | command::DATA_SM_RESP | command::GENERIC_NACK => {
                now.answers.insert(sequence, status);
            }
            _ => {}
        }
        drop(now);
        heard.1.notify_all();
        if stream.write_all(&out).is_err() {
            break;
        }
    }
    heard.0.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
    heard.1.notify_all();
}
