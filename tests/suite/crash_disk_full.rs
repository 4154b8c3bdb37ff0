//! The disk runs full under the whole gateway: new messages are refused for now, accepted ones go out and are reported, and all is well again
//! as soon as there is room. The disk is a small file system in memory that only the gateway's own mount namespace has.

use super::crash_rig::{BINARY, GatewayProcess, configure};
use super::peers_rig::{PATIENCE, RawPeer, header, message_id, submit};
use hongyan::sim::behaviour::Behaviour;
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::{BindKind, DecodeLimits, MessageIdResp, Pdu, command, decode, status, tlv};
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Submits one message; its id, or the status that it is refused with. Receipts that come meanwhile are answered and noted.
fn try_submit(peer: &mut RawPeer, reported: &mut HashSet<String>) -> Result<String, u32> {
    let sequence = peer.send(&Pdu::SubmitSm(submit(b"8613800138000", b"hello")));
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let Some(pdu) = peer.next(Duration::from_millis(100)).expect("the session lives on") else { continue };
        if header(&pdu).command_id == command::SUBMIT_SM_RESP && header(&pdu).sequence == sequence {
            return if header(&pdu).status == 0 { Ok(message_id(&pdu)) } else { Err(header(&pdu).status) };
        }
        note(peer, &pdu, reported);
    }
    panic!("no answer to a submission");
}

fn note(peer: &mut RawPeer, pdu: &[u8], reported: &mut HashSet<String>) {
    if let Ok((header, Pdu::DeliverSm(sm))) = decode(pdu, &DecodeLimits::default()) {
        let id = sm.tlvs.c_octet(tlv::tag::RECEIPTED_MESSAGE_ID).unwrap();
        reported.insert(String::from_utf8(id.to_vec()).unwrap());
        peer.write(0, header.sequence, &Pdu::DeliverSmResp(Some(MessageIdResp::default())));
    }
}

fn wait_for_reports(peer: &mut RawPeer, ids: &[String], reported: &mut HashSet<String>) {
    let end = Instant::now() + PATIENCE;
    while !ids.iter().all(|id| reported.contains(id)) {
        assert!(Instant::now() < end, "{} of {} were reported", ids.iter().filter(|id| reported.contains(*id)).count(), ids.len());
        if let Some(pdu) = peer.next(Duration::from_millis(100)).expect("the session lives on") {
            note(peer, &pdu, reported);
        }
    }
}

/// Starts the gateway in a mount namespace with a file system of `size` on its data directory; gives that directory as seen from here.
fn start_on_small_disk(config: &Path, data: &Path, size: &str) -> (GatewayProcess, PathBuf) {
    let script =
        format!("mount -t tmpfs -o size={size} none '{}' && exec '{BINARY}' serve --config '{}'", data.display(), config.display());
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script]);
    let gateway = GatewayProcess::of(command);
    let seen = PathBuf::from(format!("/proc/{}/root{}", gateway.id(), data.display()));
    (gateway, seen)
}

/// Writes until nothing more fits.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    for size in [1 << 16, 1 << 12, 1 << 9] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
fn a_full_disk_refuses_new_messages_lets_accepted_ones_out_and_recovers() {
    let slow = Behaviour { answer_delay_ms: 1_000_000, ..Behaviour::default() };
    let smsc = Smsc::start(SmscSettings { behaviour: slow, ..SmscSettings::default() }).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "disk_reserve_bytes = 8388608");
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let (gateway, disk) = start_on_small_disk(&config, &data, "32m");
    let mut client = RawPeer::bound(gateway.address, BindKind::Transceiver, "shop", "secret");
    let mut reported = HashSet::new();
    // More than both windows of the carrier hold: some wait in the gateway.
    let mut accepted: Vec<String> = (0..150).map(|_| try_submit(&mut client, &mut reported).expect("there is room")).collect();
    fill(&disk.join("ballast"));
    let end = Instant::now() + PATIENCE;
    loop {
        match try_submit(&mut client, &mut reported) {
            Err(refused) => break assert_eq!(refused, status::ESME_RMSGQFUL),
            Ok(id) => accepted.push(id),
        }
        assert!(Instant::now() < end, "nobody notices that the disk is full");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(reported.is_empty());
    // The carrier comes to life: what was accepted goes out and is reported, out of the reserve.
    smsc.change(|behaviour| behaviour.answer_delay_ms = 0);
    smsc.close_sessions(true);
    wait_for_reports(&mut client, &accepted, &mut reported);
    assert_eq!(try_submit(&mut client, &mut reported), Err(status::ESME_RMSGQFUL), "still full");
    std::fs::remove_file(disk.join("ballast")).unwrap();
    let end = Instant::now() + PATIENCE;
    let id = loop {
        match try_submit(&mut client, &mut reported) {
            Ok(id) => break id,
            Err(refused) => assert_eq!(refused, status::ESME_RMSGQFUL),
        }
        assert!(Instant::now() < end, "there is room again, and nobody notices");
        std::thread::sleep(Duration::from_millis(50));
    };
    wait_for_reports(&mut client, &[id], &mut reported);
    drop(client);
    assert!(gateway.terminate().success());
}
