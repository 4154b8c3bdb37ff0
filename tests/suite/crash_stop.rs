//! The process from outside: it stops gracefully, and lets nobody else into its data.

use super::crash_rig::{BINARY, GatewayProcess, configure};
use super::peers_rig::{PATIENCE, RawPeer, header, submit, yes_to_bind};
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::{BindKind, MessageIdResp, Pdu, command};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn sigterm_unbinds_both_sides_and_the_process_ends_with_0() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = configure(directory.path(), listener.local_addr().unwrap(), "");
    // Both sessions of the carrier: each is bound, takes messages, and must see an unbind.
    let carrier = std::thread::spawn(move || {
        let sessions: Vec<_> = (0..super::crash_rig::BINDS)
            .map(|_| {
                let mut peer = RawPeer::new(listener.accept().unwrap().0);
                std::thread::spawn(move || {
                    let (mut submits, end) = (0, Instant::now() + PATIENCE);
                    while Instant::now() < end {
                        let Ok(Some(pdu)) = peer.next(Duration::from_millis(100)) else { continue };
                        let sequence = header(&pdu).sequence;
                        match header(&pdu).command_id {
                            command::BIND_TRANSCEIVER => peer.write(0, sequence, &yes_to_bind(BindKind::Transceiver)),
                            command::SUBMIT_SM => {
                                submits += 1;
                                let id = sequence.to_string();
                                let resp = MessageIdResp { message_id: id.as_bytes(), ..MessageIdResp::default() };
                                peer.write(0, sequence, &Pdu::SubmitSmResp(Some(resp)));
                            }
                            command::UNBIND => {
                                peer.write(0, sequence, &Pdu::UnbindResp);
                                peer.wait_for_end();
                                return submits;
                            }
                            _ => {}
                        }
                    }
                    panic!("the carrier was never told goodbye");
                })
            })
            .collect();
        sessions.into_iter().map(|session| session.join().unwrap()).sum::<u32>()
    });
    let gateway = GatewayProcess::start(&config);
    let mut client = RawPeer::bound(gateway.address, BindKind::Transceiver, "shop", "secret");
    for _ in 0..20 {
        assert_eq!(header(&client.ask(&Pdu::SubmitSm(submit(b"8613800138000", b"hello")))).status, 0);
    }
    let upstream = std::thread::spawn(move || {
        let unbind = client.wait_for(command::UNBIND);
        client.write(0, header(&unbind).sequence, &Pdu::UnbindResp);
        client.wait_for_end();
    });
    let ended = gateway.terminate();
    assert_eq!(ended.code(), Some(0), "{ended}");
    upstream.join().unwrap();
    assert_eq!(carrier.join().unwrap(), 20);
}

#[test]
fn a_second_gateway_is_kept_out_of_the_data_directory_and_says_why() {
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let gateway = GatewayProcess::start(&config);
    let second = Command::new(BINARY).args(["serve", "--config"]).arg(&config).output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{said}");
    let holder = format!("in use by process {}", gateway.id());
    assert!(said.contains("data directory") && said.contains(&holder), "{said}");
    // The first one noticed nothing, and the next one is let in as soon as it is gone, however it went.
    RawPeer::bound(gateway.address, BindKind::Transmitter, "shop", "secret");
    gateway.kill();
    GatewayProcess::start(&config).terminate();
}
