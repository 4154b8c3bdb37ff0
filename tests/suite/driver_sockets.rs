//! The driver over real sockets: pieces and batches, back pressure both ways, slow readers, graceful and sudden ends.

use bytes::BytesMut;
use hongyan::link::driver::{DriverLimits, Handler, Mailbox, drive, tune};
use hongyan::model::Now;
use hongyan::model::clock::SystemClock;
use hongyan::smpp::{self, Bind, BindKind, CloseCause, Event, Pdu, Session, Settings, Sm, command, encode};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Accepts every bind, answers every submit, reports each one's length; a command sends a deliver_sm of that many octets.
struct Echo {
    lengths: Vec<usize>,
}

impl Handler for Echo {
    type Command = usize;
    type Report = usize;

    fn opened(&mut self, _: &mut Session, _: Now) {}
    fn event(&mut self, event: Event<'_>, session: &mut Session, now: Now) {
        match event {
            Event::BindRequest { sequence, kind, bind } => session.accept_bind(sequence, kind, bind.interface_version, b"echo", now),
            Event::Request { sequence, pdu: Pdu::SubmitSm(sm) } => {
                self.lengths.push(sm.short_message.len());
                session.respond_message_id(command::SUBMIT_SM_RESP, sequence, 0, b"1");
            }
            _ => {}
        }
    }
    fn command(&mut self, length: usize, session: &mut Session, now: Now) {
        let text = vec![b'x'; length];
        let sm = Sm { short_message: &text, ..Sm::default() };
        session.request(1, &Pdu::DeliverSm(sm), now).expect("the window is wide");
    }
    fn batch_end(&mut self, _: &mut Session, _: Now, reports: &mut Vec<usize>) {
        reports.append(&mut self.lengths);
    }
    fn deadline(&self) -> Option<u64> {
        None
    }
    fn tick(&mut self, _: &mut Session, _: Now) {}
    fn closed(&mut self, _: &mut Session, _: CloseCause, _: Now, reports: &mut Vec<usize>) {
        reports.push(usize::MAX);
    }
}

struct Rig {
    peer: TcpStream,
    mailbox: Mailbox<usize>,
    reports: mpsc::Receiver<Vec<usize>>,
    ended: tokio::task::JoinHandle<CloseCause>,
}

async fn rig(settings: Settings, limits: DriverLimits, places: usize) -> Rig {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    tune(&stream, Some(Duration::from_secs(60))).unwrap();
    tune(&peer, None).unwrap();
    let clock = SystemClock::start();
    let mailbox = Mailbox::new();
    let (sender, reports) = mpsc::channel(places);
    let session = Session::new(settings, clock.now());
    let ended = tokio::spawn(drive(stream, Echo { lengths: Vec::new() }, session, mailbox.clone(), sender, clock, limits));
    Rig { peer, mailbox, reports, ended }
}

fn bind_octets(out: &mut BytesMut) {
    let bind = Bind { system_id: b"tester", password: b"secret", interface_version: 0x34, ..Bind::default() };
    encode(0, 1, &Pdu::bind(BindKind::Transceiver, bind), out);
}

fn submits(count: u32, length: usize, out: &mut BytesMut) {
    let text = vec![b't'; length];
    for sequence in 2..2 + count {
        encode(0, sequence, &Pdu::SubmitSm(Sm { short_message: &text, ..Sm::default() }), out);
    }
}

/// Reads PDUs until one of `command_id` has come `count` times.
async fn await_pdus(peer: &mut TcpStream, command_id: u32, count: usize) {
    let (mut input, mut seen) = (Vec::new(), 0);
    while seen < count {
        let mut chunk = [0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(20), peer.read(&mut chunk)).await.expect("in time").unwrap();
        assert!(read > 0, "closed after {seen} of {count}");
        input.extend_from_slice(&chunk[..read]);
        while let Some(frame) = smpp::frame::next(&input, 1 << 20).unwrap() {
            let length = frame.len();
            seen += usize::from(frame[4..8] == command_id.to_be_bytes());
            input.drain(..length);
        }
    }
}

#[tokio::test]
async fn pdus_arrive_whole_whether_they_come_in_pieces_or_many_at_once() {
    let settings = Settings { inbound_window: 100_000, ..Settings::server() };
    let mut rig = rig(settings, DriverLimits::default(), 10_000).await;
    let mut octets = BytesMut::new();
    bind_octets(&mut octets);
    submits(3, 100, &mut octets);
    for octet in octets.iter() {
        rig.peer.write_all(&[*octet]).await.unwrap();
    }
    await_pdus(&mut rig.peer, command::SUBMIT_SM_RESP, 3).await;
    let mut octets = BytesMut::new();
    submits(20_000, 140, &mut octets);
    let (mut reader, mut writer) = rig.peer.into_split();
    let write = tokio::spawn(async move {
        writer.write_all(&octets).await.unwrap();
        writer
    });
    let mut answered = vec![0; 20_000 * 18];
    reader.read_exact(&mut answered).await.unwrap();
    drop(write.await.unwrap());
    drop(reader);
    assert_eq!(rig.ended.await.unwrap(), CloseCause::PeerClosed);
    let mut lengths = Vec::new();
    while let Some(batch) = rig.reports.recv().await {
        lengths.extend(batch);
    }
    assert_eq!(lengths.len(), 20_004);
    assert!(lengths[..3].iter().all(|length| *length == 100) && lengths[3..20_003].iter().all(|length| *length == 140));
    assert_eq!(lengths[20_003], usize::MAX, "closed comes last");
}

#[tokio::test]
async fn a_pdu_larger_than_the_read_buffer_is_taken() {
    let settings = Settings { inbound_window: 100, ..Settings::server() };
    let limits = DriverLimits { read_buffer: 4096, ..DriverLimits::default() };
    let mut rig = rig(settings, limits, 100).await;
    let mut octets = BytesMut::new();
    bind_octets(&mut octets);
    let mut tlvs = smpp::TlvBuf::new();
    tlvs.octets(smpp::tlv::tag::MESSAGE_PAYLOAD, &vec![b'p'; 60_000]);
    encode(0, 2, &Pdu::SubmitSm(Sm { tlvs: tlvs.as_tlvs(), ..Sm::default() }), &mut octets);
    rig.peer.write_all(&octets).await.unwrap();
    await_pdus(&mut rig.peer, command::SUBMIT_SM_RESP, 1).await;
}

#[tokio::test]
async fn nothing_is_read_while_reports_find_no_place_and_nothing_is_lost() {
    let settings = Settings { inbound_window: 1_000_000, ..Settings::server() };
    let mut rig = rig(settings, DriverLimits::default(), 1).await;
    let mut octets = BytesMut::new();
    bind_octets(&mut octets);
    submits(100_000, 140, &mut octets);
    let (mut reader, mut writer) = rig.peer.into_split();
    let drain = tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
    let mut write = tokio::spawn(async move {
        writer.write_all(&octets).await.unwrap();
        writer
    });
    // 20 MB don't fit the sockets' buffers: as long as nobody takes reports the writer can't get through.
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut write).await.is_err());
    let mut count = 0;
    while count < 100_000 {
        count += rig.reports.recv().await.expect("alive").len();
    }
    drop(write.await.unwrap());
    drain.abort();
    assert_eq!(count, 100_000);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_closed_and_its_output_is_bounded() {
    let settings = Settings { window: 65_536, inbound_window: 10, ..Settings::server() };
    let limits = DriverLimits { slow_reader_ms: 200, ..DriverLimits::default() };
    let mut rig = rig(settings, limits, 10).await;
    let mut octets = BytesMut::new();
    bind_octets(&mut octets);
    rig.peer.write_all(&octets).await.unwrap();
    await_pdus(&mut rig.peer, command::BIND_TRANSCEIVER_RESP, 1).await;
    rig.mailbox.push(vec![250; 60_000]);
    let cause = tokio::time::timeout(Duration::from_secs(20), rig.ended).await.expect("closed").unwrap();
    assert_eq!(cause, CloseCause::SlowPeer);
}

#[tokio::test]
async fn closing_unbinds_first_and_killing_does_not() {
    for kill in [false, true] {
        let mut rig = rig(Settings::server(), DriverLimits::default(), 10).await;
        let mut octets = BytesMut::new();
        bind_octets(&mut octets);
        rig.peer.write_all(&octets).await.unwrap();
        await_pdus(&mut rig.peer, command::BIND_TRANSCEIVER_RESP, 1).await;
        if kill {
            rig.mailbox.kill();
            assert_eq!(rig.peer.read(&mut [0; 64]).await.unwrap_or(0), 0);
            assert_eq!(rig.ended.await.unwrap(), CloseCause::Killed);
        } else {
            rig.mailbox.close();
            let mut unbind = [0; 16];
            rig.peer.read_exact(&mut unbind).await.unwrap();
            assert_eq!(unbind[4..8], command::UNBIND.to_be_bytes());
            let mut octets = BytesMut::new();
            smpp::encode_empty(command::UNBIND_RESP, 0, u32::from_be_bytes(unbind[12..16].try_into().unwrap()), &mut octets);
            rig.peer.write_all(&octets).await.unwrap();
            assert_eq!(rig.ended.await.unwrap(), CloseCause::Unbound);
        }
    }
}
