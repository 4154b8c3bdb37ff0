//! How receipts and messages from phones are delivered to a client, and how its session ends.

use super::link_office::{ID, ID_TEXT, answers, ask, bind, deliver, office, replies, report, sm, with};
use super::link_rig::{START_MS, Seen};
use hongyan::config::Alphabet;
use hongyan::engine::port::{Delivery, DeliveryAnswer, DeliveryToken, Inbound, Input, Report, SessionId, UpstreamReply};
use hongyan::model::state::ReceiptState;
use hongyan::model::{Address, Body, Encoding};
use hongyan::smpp::tlv::tag;
use hongyan::smpp::{BindKind, CloseCause, Pdu};
use std::sync::Arc;

#[test]
fn a_receipt_has_the_usual_text_and_the_tlvs_and_the_addresses_swapped() {
    let mut rig = office().bound(BindKind::Transceiver);
    deliver(&mut rig, 1, Delivery::Receipt(report()));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(receipt)) = frames[0].read() else { panic!() };
    assert_eq!((receipt.esm_class, receipt.data_coding, receipt.registered_delivery), (0x04, 0, 0));
    assert_eq!((receipt.source.addr, receipt.destination.addr), (&b"8613812341234"[..], &b"Goose"[..]));
    let text = "id:1944864000000000001 sub:001 dlvrd:001 submit date:2603010000 done date:2603010001 stat:DELIVRD err:000 text:hello";
    assert_eq!(std::str::from_utf8(receipt.short_message).unwrap(), text);
    assert_eq!(receipt.tlvs.c_octet(tag::RECEIPTED_MESSAGE_ID), Some(ID_TEXT));
    assert_eq!(receipt.tlvs.u8(tag::MESSAGE_STATE), Some(2));
    assert_eq!(receipt.tlvs.first(tag::NETWORK_ERROR_CODE), Some(&[3, 0, 0][..]));
}

#[test]
fn an_account_chooses_zone_seconds_errors_text_and_tlvs_of_its_receipts() {
    let mut rig = with(|account| {
        account.receipts.zone = "+08:00".parse().unwrap();
        account.receipts.date_digits = 12;
        account.receipts.tlvs = false;
        account.receipts.error_map.insert("0A3".to_owned(), "163".to_owned());
    })
    .bound(BindKind::Transceiver);
    let failed = Report { state: ReceiptState::Undeliverable, error: b"0A3"[..].try_into().unwrap(), parts_delivered: 0, ..report() };
    deliver(&mut rig, 1, Delivery::Receipt(failed));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(receipt)) = frames[0].read() else { panic!() };
    let text = "id:1944864000000000001 sub:001 dlvrd:000 submit date:260301080000 done date:260301080101 stat:UNDELIV err:163 text:hello";
    assert_eq!(std::str::from_utf8(receipt.short_message).unwrap(), text);
    assert!(receipt.tlvs.is_empty());

    let mut rig = with(|account| account.receipts.text = false).bound(BindKind::Transceiver);
    deliver(&mut rig, 1, Delivery::Receipt(report()));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(receipt)) = frames[0].read() else { panic!() };
    assert_eq!((receipt.short_message, receipt.tlvs.u8(tag::MESSAGE_STATE)), (&b""[..], Some(2)));
}

#[test]
fn a_peer_below_version_34_gets_all_in_the_text_and_no_tlvs() {
    let mut office = with(|account| {
        account.receipts.text = false;
        account.receipts.data_sm = true;
    });
    let mut rig = office.connect();
    bind(&mut rig, BindKind::Transceiver, b"demo", b"secret", 0x33);
    rig.take_frames();
    deliver(&mut rig, 1, Delivery::Receipt(report()));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(receipt)) = frames[0].read() else { panic!("not a deliver_sm") };
    assert!(receipt.short_message.starts_with(b"id:1944864000000000001 "));
    assert!(receipt.tlvs.is_empty());
}

#[test]
fn receipts_go_as_data_sm_where_the_account_wants_them_so() {
    let mut rig = with(|account| account.receipts.data_sm = true).bound(BindKind::Transceiver);
    deliver(&mut rig, 1, Delivery::Receipt(report()));
    let frames = rig.take_frames();
    let (header, Pdu::DataSm(receipt)) = frames[0].read() else { panic!() };
    assert!(receipt.tlvs.first(tag::MESSAGE_PAYLOAD).unwrap().starts_with(b"id:1944864000000000001 "));
    rig.peer.respond_message_id(0x8000_0103, header.sequence, 0, b"");
    rig.pump();
    assert_eq!(answers(&mut rig), [(1, DeliveryAnswer::Taken)]);
}

#[test]
fn an_intermediate_report_says_so() {
    let mut rig = office().bound(BindKind::Transceiver);
    deliver(&mut rig, 1, Delivery::Receipt(Report { state: ReceiptState::Enroute, intermediate: true, ..report() }));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(receipt)) = frames[0].read() else { panic!() };
    assert_eq!(receipt.esm_class, 0x20);
    assert!(receipt.short_message.windows(12).any(|at| at == b"stat:ENROUTE"));
}

#[test]
fn quoted_text_keeps_to_characters_that_every_default_alphabet_has() {
    let mut rig = office().bound(BindKind::Transceiver);
    let text = "Ünï 漢";
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let quoted = Report { text: units[..].try_into().unwrap(), text_encoding: Encoding::Ucs2, ..report() };
    deliver(&mut rig, 1, Delivery::Receipt(quoted));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(receipt)) = frames[0].read() else { panic!() };
    assert!(receipt.short_message.ends_with(b" text:.n. ."));
}

#[test]
fn what_the_client_says_to_a_delivery_decides_about_it() {
    let mut rig = office().bound(BindKind::Transceiver);
    for (token, status, answer) in [
        (1, 0, DeliveryAnswer::Taken),
        (2, 0x64, DeliveryAnswer::Later),
        (3, 0x65, DeliveryAnswer::Never),
        (4, 0x14, DeliveryAnswer::Later),
    ] {
        deliver(&mut rig, token, Delivery::Receipt(report()));
        let Some(Seen::Request { sequence }) = rig.take_seen().pop() else { panic!() };
        rig.peer.respond_message_id(0x8000_0005, sequence, status, b"");
        rig.pump();
        assert_eq!(answers(&mut rig), [(token, answer)]);
    }
}

#[test]
fn a_delivery_without_an_answer_comes_again_later_and_its_late_answer_changes_nothing() {
    let mut rig = office().bound(BindKind::Transceiver);
    deliver(&mut rig, 5, Delivery::Receipt(report()));
    let Some(Seen::Request { sequence }) = rig.take_seen().pop() else { panic!() };
    rig.pass_ms(29_000);
    assert!(answers(&mut rig).is_empty());
    rig.pass_ms(1_500);
    assert_eq!(answers(&mut rig), [(5, DeliveryAnswer::Later)]);
    rig.peer.respond_message_id(0x8000_0005, sequence, 0, b"");
    rig.pump();
    assert!(answers(&mut rig).is_empty());
}

#[test]
fn deliveries_beyond_the_window_wait_for_room() {
    let mut rig = with(|account| account.receipts.window = 2).bound(BindKind::Transceiver);
    let item = Arc::new(Delivery::Receipt(report()));
    replies(
        &mut rig,
        (1..=5).map(|token| UpstreamReply::Deliver { token: DeliveryToken(token), item: Arc::clone(&item), since_ms: 0 }).collect(),
    );
    let seen = rig.take_seen();
    assert_eq!(seen.len(), 2);
    for request in seen {
        let Seen::Request { sequence } = request else { panic!() };
        rig.peer.respond_message_id(0x8000_0005, sequence, 0, b"");
    }
    rig.pump();
    assert_eq!(answers(&mut rig), [(1, DeliveryAnswer::Taken), (2, DeliveryAnswer::Taken)]);
    assert_eq!(rig.take_seen().len(), 2, "the next two");
}

fn inbound(octets: &[u8]) -> Inbound {
    Inbound {
        message: ID,
        source: Address::new(1, 1, b"8613812341234").unwrap(),
        destination: Address::new(3, 1, b"10690001").unwrap(),
        body: Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: octets.into() },
        service_type: Default::default(),
        protocol_id: 0,
        incomplete: false,
        received_ms: START_MS,
    }
}

#[test]
fn an_inbound_message_is_delivered_as_it_came() {
    let mut rig = office().bound(BindKind::Receiver);
    deliver(&mut rig, 1, Delivery::Inbound(inbound(b"hello")));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(sm)) = frames[0].read() else { panic!() };
    assert_eq!(
        (sm.esm_class, sm.short_message, sm.source.addr, sm.destination.addr),
        (0, &b"hello"[..], &b"8613812341234"[..], &b"10690001"[..])
    );
}

#[test]
fn an_inbound_message_is_written_in_the_clients_default_alphabet() {
    for (alphabet, octets, expected, data_coding) in [
        (Alphabet::Gsm7, &b"\x00\x05"[..], &b"\x00\x05"[..], 0),
        (Alphabet::Latin1, b"\x00\x05", b"@\xE9", 0),
        (Alphabet::Utf8, b"\x00\x05", "@\u{E9}".as_bytes(), 0),
        (Alphabet::Latin1, b"\x10", b"\x03\x94", 8),
        (Alphabet::Gsm7Packed, b"hello", &[0xE8, 0x32, 0x9B, 0xFD, 0x06], 0),
    ] {
        let mut rig = with(|account| account.default_alphabet = alphabet).bound(BindKind::Receiver);
        deliver(&mut rig, 1, Delivery::Inbound(inbound(octets)));
        let frames = rig.take_frames();
        let (_, Pdu::DeliverSm(sm)) = frames[0].read() else { panic!() };
        assert_eq!((sm.short_message, sm.data_coding), (expected, data_coding), "{alphabet:?}");
    }
}

#[test]
fn a_long_inbound_message_goes_as_payload_or_in_parts_where_the_peer_knows_no_tlvs() {
    let long = vec![b'a'; 400];
    let mut rig = office().bound(BindKind::Receiver);
    deliver(&mut rig, 1, Delivery::Inbound(inbound(&long)));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(sm)) = frames[0].read() else { panic!() };
    assert_eq!((sm.short_message, sm.tlvs.first(tag::MESSAGE_PAYLOAD)), (&b""[..], Some(&long[..])));

    let mut rig = office().connect();
    bind(&mut rig, BindKind::Receiver, b"demo", b"secret", 0x33);
    rig.take_inputs();
    rig.take_frames();
    rig.take_seen();
    deliver(&mut rig, 1, Delivery::Inbound(inbound(&long)));
    let frames = rig.take_frames();
    assert_eq!(frames.len(), 3);
    for frame in &frames {
        let (header, Pdu::DeliverSm(sm)) = frame.read() else { panic!() };
        assert_eq!(sm.esm_class, 0x40);
        assert!(answers(&mut rig).is_empty(), "one answer for all parts");
        rig.peer.respond_message_id(0x8000_0005, header.sequence, 0, b"");
        rig.pump();
    }
    assert_eq!(answers(&mut rig), [(1, DeliveryAnswer::Taken)]);
}

#[test]
fn a_delivery_to_a_session_that_is_leaving_comes_again_later() {
    let mut rig = office().bound(BindKind::Transceiver);
    ask(&mut rig, 1, &Pdu::SubmitSm(sm(b"in progress")));
    rig.take_inputs();
    rig.peer.unbind(rig.now);
    rig.session.unbind(rig.now);
    deliver(&mut rig, 3, Delivery::Receipt(report()));
    assert_eq!(answers(&mut rig), [(3, DeliveryAnswer::Later)]);
}

#[test]
fn the_end_of_a_session_is_told_once_and_only_if_it_was_bound() {
    let mut rig = office().bound(BindKind::Transceiver);
    rig.close(CloseCause::PeerClosed);
    assert!(matches!(rig.take_inputs()[..], [Input::SessionDown { session: SessionId(1) }]));
    let mut never_bound = office().connect();
    never_bound.close(CloseCause::SessionInitTimeout);
    assert!(never_bound.take_inputs().is_empty());
}

#[test]
fn the_broadcast_family_is_read_and_not_served() {
    let mut office = office();
    let mut rig = office.connect();
    bind(&mut rig, BindKind::Transceiver, b"demo", b"secret", 0x50);
    rig.take_seen();
    rig.take_inputs();
    let query = hongyan::smpp::pdu::QueryBroadcastSm { message_id: b"1", ..Default::default() };
    ask(&mut rig, 1, &Pdu::QueryBroadcastSm(query));
    assert_eq!(rig.take_seen(), [Seen::Response { token: 1, status: 0x03, late: false }]);
    assert!(rig.take_inputs().is_empty());
}
