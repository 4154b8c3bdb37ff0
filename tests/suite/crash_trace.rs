//! A yes is a promise, seen from outside in the system calls of the whole gateway: no submit_sm_resp with status 0 is written to a socket before
//! the message stands in the journal's log and a sync of that log, begun afterwards, has returned.

use super::crash_rig::{BINARY, GatewayProcess, configure, terminate};
use super::peers_rig::{PATIENCE, RawPeer, header, submit};
use hongyan::model::mark::write_mark;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::{BindKind, Pdu};
use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

const MESSAGES: u64 = 40;

/// One system call: in which line of the trace it began and in which it had returned.
struct Call {
    name: String,
    /// Arguments as strace writes them: `3</path>, "octets", ...`.
    arguments: String,
    begun: usize,
    returned: usize,
    failed: bool,
}

/// Puts the two lines of a call that was interrupted by another thread's together again.
fn calls(trace: &str) -> Vec<Call> {
    let mut begun: HashMap<&str, (usize, &str)> = HashMap::new();
    let mut calls = Vec::new();
    for (at, line) in trace.lines().enumerate() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some(start) = call.strip_suffix("<unfinished ...>") {
            begun.insert(thread, (at, start));
            continue;
        }
        let failed = call.contains(" = -1 ");
        let (begun, text) = match call.starts_with("<... ") {
            true => begun.remove(thread).expect("what is resumed has begun"),
            false => (at, call),
        };
        if let Some((name, arguments)) = text.split_once('(') {
            calls.push(Call { name: name.to_owned(), arguments: arguments.to_owned(), begun, returned: at, failed });
        }
    }
    calls
}

/// The octets of the first string among the arguments, out of the notation of C.
fn octets(arguments: &str) -> Vec<u8> {
    let text = arguments.split_once('"').map_or("", |(_, rest)| rest).as_bytes();
    let (mut octets, mut at) = (Vec::new(), 0);
    while at < text.len() && text[at] != b'"' {
        let mut octet = text[at];
        at += 1;
        if octet == b'\\' {
            octet = text[at];
            at += 1;
            octet = match octet {
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'v' => 11,
                b'f' => 12,
                b'0'..=b'7' => {
                    let mut value = u32::from(octet - b'0');
                    let most = at + 2;
                    while at < most && matches!(text[at], b'0'..=b'7') {
                        value = value * 8 + u32::from(text[at] - b'0');
                        at += 1;
                    }
                    value as u8
                }
                other => other,
            };
        }
        octets.push(octet);
    }
    octets
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}

/// Sends messages one after another to a gateway under strace; gives the trace and the sequence numbers of its yeses, in the order of the marks.
fn traced() -> (String, Vec<u32>) {
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let log = directory.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", "1000000", "-e", "trace=fsync,fdatasync,write,writev,pwrite64,pwritev,sendto,sendmsg", "-o"]);
    command.arg(&log).args([BINARY, "serve", "--config"]).arg(&config);
    let strace = GatewayProcess::of(command);
    let mut client = RawPeer::bound(strace.address, BindKind::Transceiver, "shop", "secret");
    let mut sequences = Vec::new();
    for number in 0..MESSAGES {
        let answer = client.ask(&Pdu::SubmitSm(submit(b"8613800138000", &write_mark(*b"sync", number))));
        assert_eq!(header(&answer).status, 0);
        sequences.push(header(&answer).sequence);
    }
    drop(client);
    // strace itself must live until the gateway, its child, has ended.
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", strace.id())).unwrap();
    terminate(children.split_whitespace().next().expect("the gateway").parse().unwrap());
    let end = Instant::now() + PATIENCE;
    let mut trace = String::new();
    while !trace.contains("+++ exited with 0 +++") || trace.lines().last().is_none_or(|line| !line.contains("+++ exited")) {
        assert!(Instant::now() < end, "the traced gateway doesn't end");
        std::thread::sleep(Duration::from_millis(100));
        trace = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
    }
    (trace, sequences)
}

#[test]
fn no_yes_leaves_a_socket_before_the_sync_that_covers_its_message() {
    let (trace, sequences) = traced();
    let calls = calls(&trace);
    let on_log = |call: &&Call| call.arguments.contains("journal.db-wal>") && !call.failed;
    let writes: Vec<(&Call, Vec<u8>)> =
        calls.iter().filter(on_log).filter(|call| call.name.starts_with("pwrite")).map(|call| (call, octets(&call.arguments))).collect();
    let syncs: Vec<&Call> = calls.iter().filter(on_log).filter(|call| call.name == "fdatasync" || call.name == "fsync").collect();
    let sends: Vec<(&Call, Vec<u8>)> = calls
        .iter()
        .filter(|call| call.arguments.contains("socket:") || call.arguments.contains("TCP"))
        .map(|call| (call, octets(&call.arguments)))
        .collect();
    for (number, sequence) in sequences.into_iter().enumerate() {
        let mark = write_mark(*b"sync", number as u64);
        let yes = [&[0x80, 0, 0, 4, 0, 0, 0, 0][..], &sequence.to_be_bytes()].concat();
        // The mark also goes out to the carrier; a yes is known by its header.
        let (answer, _) =
            sends.iter().find(|(_, octets)| contains(octets, &yes)).unwrap_or_else(|| panic!("no yes to {number} in the trace"));
        let (written, _) =
            writes.iter().find(|(_, octets)| contains(octets, &mark)).unwrap_or_else(|| panic!("{number} was never journaled"));
        let covered = syncs.iter().any(|sync| sync.begun > written.returned && sync.returned < answer.begun);
        assert!(
            covered,
            "message {number}: journaled in line {}, answered in line {}, and no sync of the log between",
            written.returned + 1,
            answer.begun + 1
        );
    }
}
