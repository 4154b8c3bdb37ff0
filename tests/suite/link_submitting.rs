//! What a submission becomes, and with what it is refused.

use super::link_office::{ID, ID_TEXT, Office, ask, bind, deliver, office, replies, report, sm, submit, with};
use super::link_rig::{Rig, START_MS, Seen};
use hongyan::config::{Alphabet, ReceiptIdForm, Transliterate};
use hongyan::engine::port::{Delivery, Input, SessionId, UpstreamReply};
use hongyan::link::upstream::Upstream;
use hongyan::model::message::Part;
use hongyan::model::{AccountId, Address, Encoding, MessageId, Refusal};
use hongyan::smpp::pdu::{CancelSm, DataSm, DestinationsBuf, QuerySm, ReplaceSm, SubmitMulti};
use hongyan::smpp::tlv::tag;
use hongyan::smpp::{Addr, BindKind, Destination, Pdu, Settings, Sm, TlvBuf};
use hongyan::telemetry::{BIND_REFUSALS, REFUSAL_CAUSES, refusal_cause};
use std::sync::Arc;

#[test]
fn a_submission_becomes_a_message_with_every_field_in_its_place() {
    let mut rig = office().bound(BindKind::Transceiver);
    let draft = submit(
        &mut rig,
        Sm { service_type: b"CMT", protocol_id: 0x41, priority_flag: 2, registered_delivery: 0x11, data_coding: 8, ..sm(b"\0h\0i") },
    )
    .unwrap();
    let message = draft.message;
    assert_eq!(message.id, MessageId(0));
    assert_eq!((message.account, message.accepted_ms, message.due_ms, message.expires_ms), (AccountId(0), START_MS, 0, 0));
    assert_eq!(message.source, Address::new(5, 0, b"Goose").unwrap());
    assert_eq!(message.destination, Address::new(1, 1, b"8613812341234").unwrap());
    assert_eq!((&message.service_type[..], message.protocol_id, message.priority), (&b"CMT"[..], 0x41, 2));
    assert_eq!((message.body.encoding, message.body.raw_data_coding, message.body.header_len), (Encoding::Ucs2, 8, 0));
    assert_eq!(&message.body.octets[..], b"\0h\0i");
    assert!(message.report.on_success && message.report.on_failure && message.report.intermediate);
}

#[test]
fn all_submissions_of_one_read_go_to_the_engine_in_one_batch() {
    let mut rig = office().bound(BindKind::Transceiver);
    for token in 0..10 {
        rig.peer.request(token, &Pdu::SubmitSm(sm(b"hi")), rig.now).unwrap();
    }
    rig.pump();
    let inputs = rig.take_inputs();
    assert!(matches!(&inputs[..], [Input::Submit { drafts, .. }] if drafts.len() == 10), "{inputs:?}");
}

#[test]
fn the_yes_carries_our_id_and_the_no_its_reason() {
    let mut rig = office().bound(BindKind::Transceiver);
    for token in [7, 8] {
        rig.peer.request(token, &Pdu::SubmitSm(sm(b"hi")), rig.now).unwrap();
    }
    rig.pump();
    let Some(Input::Submit { drafts, .. }) = rig.take_inputs().pop() else { panic!() };
    replies(
        &mut rig,
        vec![
            UpstreamReply::Answer { token: drafts[1].token, result: Err(Refusal::QueueFull) },
            UpstreamReply::Answer { token: drafts[0].token, result: Ok(ID) },
        ],
    );
    let expected = [Seen::Response { token: 8, status: 0x14, late: false }, Seen::Response { token: 7, status: 0, late: false }];
    assert_eq!(rig.take_seen(), expected);
    let frames = rig.take_frames();
    let (_, Pdu::SubmitSmResp(Some(resp))) = frames[1].read() else { panic!() };
    assert_eq!(resp.message_id, ID_TEXT);
}

#[test]
fn ids_are_written_in_the_form_of_the_account() {
    let mut rig = with(|account| account.receipts.id = ReceiptIdForm::Hex).bound(BindKind::Transceiver);
    let draft = submit(&mut rig, sm(b"hi")).unwrap();
    rig.take_frames();
    replies(&mut rig, vec![UpstreamReply::Answer { token: draft.token, result: Ok(ID) }]);
    let frames = rig.take_frames();
    let (_, Pdu::SubmitSmResp(Some(resp))) = frames[0].read() else { panic!() };
    assert_eq!(resp.message_id, format!("{:016x}", ID.0).as_bytes());
    deliver(&mut rig, 1, Delivery::Receipt(report()));
    let frames = rig.take_frames();
    let (_, Pdu::DeliverSm(receipt)) = frames[0].read() else { panic!() };
    assert_eq!(receipt.tlvs.c_octet(tag::RECEIPTED_MESSAGE_ID), Some(format!("{:016x}", ID.0).as_bytes()), "as in the answer");
    ask(&mut rig, 3, &Pdu::QuerySm(QuerySm { message_id: format!("{:x}", ID.0).as_bytes(), source: sm(b"").source }));
    assert!(matches!(rig.take_inputs()[..], [Input::Query { message: ID, .. }]));
}

#[test]
fn submissions_that_make_no_sense_are_refused_with_the_fields_own_status() {
    let mut rig = office().bound(BindKind::Transceiver);
    let cases: Vec<(&str, Sm<'_>, u32)> = vec![
        ("no destination", Sm { destination: Addr::default(), ..sm(b"x") }, 0x0B),
        ("header longer than the body", Sm { esm_class: 0x40, ..sm(b"\x05\x00\x03") }, 0x43),
        ("an element past the header", Sm { esm_class: 0x40, ..sm(b"\x03\x00\x09\x01text") }, 0x43),
        ("an acknowledgement", Sm { esm_class: 0x08, ..sm(b"x") }, 0x43),
        ("a reserved data_coding", Sm { data_coding: 0x0B, ..sm(b"x") }, 0x45),
        ("half a UCS-2 character", Sm { data_coding: 8, ..sm(b"\0h\0") }, 0x45),
        ("a schedule that is no time", Sm { schedule_delivery_time: b"2613010000000000", ..sm(b"x") }, 0x61),
        ("a validity in the past", Sm { validity_period: b"200101000000000+", ..sm(b"x") }, 0x62),
        ("a priority beyond all versions", Sm { priority_flag: 5, ..sm(b"x") }, 0x06),
        ("registered_delivery with odd bits", Sm { registered_delivery: 0x20, ..sm(b"x") }, 0x07),
        ("replace_if_present", Sm { replace_if_present_flag: 2, ..sm(b"x") }, 0x54),
        ("a canned text", Sm { sm_default_msg_id: 1, ..sm(b"") }, 0x63),
    ];
    for (what, bad, status) in cases {
        assert_eq!(submit(&mut rig, bad).unwrap_err(), status, "{what}");
    }
    assert!(submit(&mut rig, sm(b"still fine")).is_ok(), "the session goes on");
}

#[test]
fn two_bodies_at_once_are_refused_and_a_payload_alone_is_taken() {
    let mut rig = office().bound(BindKind::Transceiver);
    let mut tlvs = TlvBuf::new();
    let long = vec![b'a'; 1_000];
    tlvs.octets(tag::MESSAGE_PAYLOAD, &long);
    assert_eq!(submit(&mut rig, Sm { tlvs: tlvs.as_tlvs(), ..sm(b"x") }).unwrap_err(), 0x01);
    let draft = submit(&mut rig, Sm { tlvs: tlvs.as_tlvs(), ..sm(b"") }).unwrap();
    assert_eq!(&draft.message.body.octets[..], &long[..]);
}

#[test]
fn parts_are_known_by_header_or_by_tlvs_and_the_header_wins() {
    let mut rig = office().bound(BindKind::Transceiver);
    let header = b"\x05\x00\x03\x2a\x03\x02text";
    let draft = submit(&mut rig, Sm { esm_class: 0x40, ..sm(header) }).unwrap();
    assert_eq!(draft.message.part, Some(Part { reference: 0x2A, total: 3, number: 2 }));
    assert_eq!((draft.message.body.header_len, draft.message.body.text()), (6, &b"text"[..]));
    let mut tlvs = TlvBuf::new();
    tlvs.u16(tag::SAR_MSG_REF_NUM, 0x1234);
    tlvs.u8(tag::SAR_TOTAL_SEGMENTS, 2);
    assert_eq!(submit(&mut rig, Sm { tlvs: tlvs.as_tlvs(), ..sm(b"x") }).unwrap().message.part, None, "two of three are none");
    tlvs.u8(tag::SAR_SEGMENT_SEQNUM, 1);
    let sar = Some(Part { reference: 0x1234, total: 2, number: 1 });
    assert_eq!(submit(&mut rig, Sm { tlvs: tlvs.as_tlvs(), ..sm(b"x") }).unwrap().message.part, sar);
    let both = submit(&mut rig, Sm { esm_class: 0x40, tlvs: tlvs.as_tlvs(), ..sm(header) }).unwrap();
    assert_eq!(both.message.part, Some(Part { reference: 0x2A, total: 3, number: 2 }));
}

#[test]
fn data_coding_tells_the_alphabet_also_with_a_message_class() {
    let mut rig = office().bound(BindKind::Transceiver);
    for (data_coding, encoding) in [
        (0x00, Encoding::Gsm7),
        (0x01, Encoding::Latin1),
        (0x03, Encoding::Latin1),
        (0x04, Encoding::Binary),
        (0x06, Encoding::Opaque),
        (0x08, Encoding::Ucs2),
        (0x10, Encoding::Gsm7),
        (0x18, Encoding::Ucs2),
        (0xF0, Encoding::Gsm7),
        (0xF5, Encoding::Binary),
    ] {
        let body = submit(&mut rig, Sm { data_coding, ..sm(b"abcd") }).unwrap().message.body.clone();
        assert_eq!((body.encoding, body.raw_data_coding), (encoding, data_coding));
    }
}

#[test]
fn relative_and_absolute_times_become_instants_and_a_past_schedule_means_at_once() {
    let mut rig = office().bound(BindKind::Transceiver);
    let timed =
        |schedule: &'static [u8], validity: &'static [u8]| Sm { schedule_delivery_time: schedule, validity_period: validity, ..sm(b"x") };
    let message = submit(&mut rig, timed(b"260301010000000+", b"000000020000000R")).unwrap().message;
    assert_eq!((message.due_ms, message.expires_ms), (START_MS + 3_600_000, START_MS + 3 * 3_600_000), "validity counts from the schedule");
    let message = submit(&mut rig, timed(b"250301010000000+", b"000001000000000R")).unwrap().message;
    assert_eq!((message.due_ms, message.expires_ms), (0, START_MS + 86_400_000));
}

#[test]
fn only_tlvs_that_the_account_may_pass_are_kept() {
    let mut rig = with(|account| account.allow_tlvs = vec![0x1401]).bound(BindKind::Transceiver);
    let mut tlvs = TlvBuf::new();
    tlvs.octets(0x1400, b"no");
    tlvs.octets(0x1401, b"yes");
    let message = submit(&mut rig, Sm { tlvs: tlvs.as_tlvs(), ..sm(b"x") }).unwrap().message;
    assert_eq!(&message.tlvs[..], b"\x14\x01\x00\x03yes");
}

#[test]
fn a_campaign_is_named_by_a_tlv_only_where_the_account_does_so() {
    let mut tlvs = TlvBuf::new();
    tlvs.octets(0x1500, "春节\0".as_bytes());
    let of = |tag: Option<u16>, tlvs: &TlvBuf| {
        let mut rig = with(|account| account.campaign_tlv = tag).bound(BindKind::Transceiver);
        submit(&mut rig, Sm { tlvs: tlvs.as_tlvs(), ..sm(b"x") }).map(|draft| draft.campaign)
    };
    assert_eq!(of(Some(0x1500), &tlvs), Ok(Some("春节".into())));
    assert_eq!((of(None, &tlvs), of(Some(0x1501), &tlvs)), (Ok(None), Ok(None)));
    for bad in [&[b'x'; 65][..], &[0xFF]] {
        let mut tlvs = TlvBuf::new();
        tlvs.octets(0x1500, bad);
        assert_eq!(of(Some(0x1500), &tlvs), Err(0xC4));
    }
}

#[test]
fn data_sm_is_a_submission_with_its_own_answer() {
    let mut rig = office().bound(BindKind::Transceiver);
    let mut tlvs = TlvBuf::new();
    tlvs.octets(tag::MESSAGE_PAYLOAD, b"text");
    tlvs.u32(tag::QOS_TIME_TO_LIVE, 60);
    let data = DataSm { source: sm(b"").source, destination: sm(b"").destination, tlvs: tlvs.as_tlvs(), ..DataSm::default() };
    ask(&mut rig, 4, &Pdu::DataSm(data));
    let Some(Input::Submit { drafts, .. }) = rig.take_inputs().pop() else { panic!() };
    assert_eq!(&drafts[0].message.body.octets[..], b"text");
    assert_eq!(drafts[0].message.expires_ms, START_MS + 60_000);
    replies(&mut rig, vec![UpstreamReply::Answer { token: drafts[0].token, result: Ok(ID) }]);
    let frames = rig.take_frames();
    assert!(matches!(frames[0].read().1, Pdu::DataSmResp(Some(resp)) if resp.message_id == ID_TEXT));
}

#[test]
fn submit_multi_is_answered_once_with_the_list_of_those_refused() {
    let mut rig = office().bound(BindKind::Transceiver);
    let mut dests = DestinationsBuf::default();
    for number in [&b"8613800000001"[..], b"8613800000002", b"8613800000003"] {
        assert!(dests.push(Destination::Sme(Addr { ton: 1, npi: 1, addr: number })));
    }
    ask(&mut rig, 9, &Pdu::SubmitMulti(SubmitMulti { sm: sm(b"to all"), dests: dests.as_destinations() }));
    let Some(Input::Submit { drafts, .. }) = rig.take_inputs().pop() else { panic!() };
    assert_eq!(drafts.len(), 3);
    assert_eq!(&drafts[1].message.destination.digits[..], b"8613800000002");
    replies(
        &mut rig,
        vec![
            UpstreamReply::Answer { token: drafts[0].token, result: Ok(ID) },
            UpstreamReply::Answer { token: drafts[1].token, result: Err(Refusal::NoRoute) },
        ],
    );
    assert!(rig.take_seen().is_empty(), "one is still open");
    replies(&mut rig, vec![UpstreamReply::Answer { token: drafts[2].token, result: Ok(MessageId(ID.0 + 1)) }]);
    assert_eq!(rig.take_seen(), [Seen::Response { token: 9, status: 0, late: false }]);
    let frames = rig.take_frames();
    let (_, Pdu::SubmitMultiResp(Some(resp))) = frames[0].read() else { panic!() };
    assert_eq!(resp.message_id, ID_TEXT);
    let refused: Vec<_> = resp.unsuccess.iter().map(|one| (one.destination.addr.to_vec(), one.status)).collect();
    assert_eq!(refused, [(b"8613800000002".to_vec(), 0x0B)]);
}

#[test]
fn submit_multi_to_a_distribution_list_is_refused() {
    let mut rig = office().bound(BindKind::Transceiver);
    let mut dests = DestinationsBuf::default();
    assert!(dests.push(Destination::List(b"friends")));
    ask(&mut rig, 9, &Pdu::SubmitMulti(SubmitMulti { sm: sm(b"x"), dests: dests.as_destinations() }));
    assert_eq!(rig.take_seen(), [Seen::Response { token: 9, status: 0x34, late: false }]);
    assert!(rig.take_inputs().is_empty());
}

#[test]
fn a_distribution_list_among_good_recipients_is_listed_as_refused_and_the_rest_is_taken() {
    let mut office = office();
    let mut rig = office.bound(BindKind::Transceiver);
    let mut dests = DestinationsBuf::default();
    let to = |addr| Destination::Sme(Addr { ton: 1, npi: 1, addr });
    for one in [to(b"8613800000001"), Destination::List(b"friends"), to(b"8613800000002")] {
        assert!(dests.push(one));
    }
    ask(&mut rig, 9, &Pdu::SubmitMulti(SubmitMulti { sm: sm(b"to all"), dests: dests.as_destinations() }));
    let Some(Input::Submit { drafts, .. }) = rig.take_inputs().pop() else { panic!() };
    assert_eq!(drafts.len(), 2);
    let taken = drafts.iter().enumerate();
    let answers = taken.map(|(at, draft)| UpstreamReply::Answer { token: draft.token, result: Ok(MessageId(ID.0 + at as u64)) }).collect();
    replies(&mut rig, answers);
    assert_eq!(rig.take_seen(), [Seen::Response { token: 9, status: 0, late: false }]);
    let frames = rig.take_frames();
    let (_, Pdu::SubmitMultiResp(Some(resp))) = frames[0].read() else { panic!() };
    assert_eq!(resp.message_id, ID_TEXT);
    let refused: Vec<_> = resp.unsuccess.iter().map(|one| (one.destination.addr.to_vec(), one.status)).collect();
    assert_eq!(refused, [(b"friends".to_vec(), 0x34)]);
    assert_eq!(refusals(&office, "unsupported"), 1);
}

/// What the account's requests were refused for, so far.
fn refusals(office: &Office, name: &str) -> u64 {
    let mut all = [[0; REFUSAL_CAUSES]];
    office.context.accounts.refusals(&mut all);
    (0..REFUSAL_CAUSES).filter(|&cause| refusal_cause(cause) == name).map(|cause| all[0][cause]).sum()
}

#[test]
fn a_refusal_is_counted_once_under_its_cause_whoever_refused() {
    let mut office = with(|account| account.window = 1);
    let mut rig = office.bound(BindKind::Transceiver);
    assert!(submit(&mut rig, Sm { validity_period: b"000101000000000+", ..sm(b"x") }).is_err(), "by us");
    assert!(submit(&mut rig, Sm { priority_flag: 9, ..sm(b"x") }).is_err());
    let draft = submit(&mut rig, sm(b"by the engine")).unwrap();
    replies(&mut rig, vec![UpstreamReply::Answer { token: draft.token, result: Err(Refusal::NoRoute) }]);
    let query = QuerySm { message_id: ID_TEXT, source: sm(b"").source };
    ask(&mut rig, 2, &Pdu::QuerySm(query));
    let Some(Input::Query { token, .. }) = rig.take_inputs().pop() else { panic!() };
    replies(&mut rig, vec![UpstreamReply::Queried { token, result: Err(Refusal::UnknownMessage) }]);
    // By the session: beyond the window and its slack, and what can't be read (a submit_sm whose body ends too early).
    for token in 0..12 {
        rig.peer.request(token, &Pdu::SubmitSm(sm(b"hi")), rig.now).unwrap();
    }
    rig.peer.output().extend_from_slice(&[0, 0, 0, 17, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 99, 0]);
    rig.pump();
    for (name, count) in
        [("validity", 1), ("priority", 1), ("no_route", 1), ("unknown_message", 1), ("throttled", 1), ("malformed", 1), ("encoding", 0)]
    {
        assert_eq!(refusals(&office, name), count, "{name}");
    }
}

#[test]
fn refused_binds_are_counted_by_cause() {
    let mut office = with(|account| account.max_binds = 1);
    let first = office.bound(BindKind::Transceiver);
    for (peer, system_id, password) in [
        ("192.0.2.7", &b"demo"[..], &b"secret"[..]),
        ("192.0.2.8", b"demo", b"wrong"),
        ("192.0.2.8", b"demo", b"wrong2"),
        ("192.0.2.8", b"demo", b"wrong3"),
        ("192.0.2.9", b"nobody", b"secret"),
    ] {
        bind(&mut office.connect_from(peer), BindKind::Transceiver, system_id, password, 0x34);
    }
    let counted: Vec<_> = BIND_REFUSALS.into_iter().zip(office.context.accounts.bind_refusals()).collect();
    let expected = [("unknown_system_id", 1), ("wrong_password", 2), ("not_allowed", 0), ("limit", 1), ("delayed", 1), ("busy", 0)];
    assert_eq!(counted, expected);
    drop(first);
}

#[test]
fn an_address_that_tries_many_names_is_made_to_wait_whatever_name_it_tries_next() {
    let mut office = office();
    for at in 0..6 {
        let name = format!("guess{at}");
        bind(&mut office.connect_from("192.0.2.9"), BindKind::Transceiver, name.as_bytes(), b"x", 0x34);
    }
    let mut rig = office.connect_from("192.0.2.9");
    bind(&mut rig, BindKind::Transceiver, b"guess6", b"x", 0x34);
    assert_eq!(rig.take_seen()[0], Seen::Refused(0x0D));
    assert!(office.bound(BindKind::Transceiver).closed.is_none(), "other addresses bind as ever");
}

#[test]
fn a_client_of_version_5_hears_its_own_statuses_only_where_we_speak_version_5_too() {
    for (ours, status) in [(0x34, 0x45), (0x50, 0x104)] {
        let mut office = office();
        office.sessions += 1;
        let handler = Upstream::new(SessionId(1), "192.0.2.7".parse().unwrap(), Arc::clone(&office.context));
        let settings = Settings { interface_version: ours, ..Settings::server() };
        let mut rig = Rig::new(handler, settings, Settings { window: 1_000, ..Settings::client() });
        bind(&mut rig, BindKind::Transceiver, b"demo", b"secret", 0x50);
        rig.take_inputs();
        assert_eq!(submit(&mut rig, Sm { data_coding: 0x0B, ..sm(b"x") }).unwrap_err(), status);
    }
}

#[test]
fn an_id_in_our_form_that_is_not_alive_is_not_called_invalid() {
    let mut rig = office().bound(BindKind::Transceiver);
    let source = sm(b"").source;
    ask(&mut rig, 1, &Pdu::QuerySm(QuerySm { message_id: ID_TEXT, source }));
    ask(&mut rig, 2, &Pdu::CancelSm(CancelSm { message_id: ID_TEXT, source, ..CancelSm::default() }));
    ask(&mut rig, 3, &Pdu::ReplaceSm(ReplaceSm { message_id: ID_TEXT, source, short_message: b"x", ..ReplaceSm::default() }));
    let unknown = Refusal::UnknownMessage;
    let said = rig.take_inputs().into_iter().map(|input| match input {
        Input::Query { token, .. } => UpstreamReply::Queried { token, result: Err(unknown) },
        Input::Cancel { token, .. } | Input::Replace { token, .. } => UpstreamReply::Done { token, result: Err(unknown) },
        other => panic!("{other:?}"),
    });
    let said = said.collect();
    replies(&mut rig, said);
    let response = |token, status| Seen::Response { token, status, late: false };
    assert_eq!(rig.take_seen(), [response(1, 0x67), response(2, 0x11), response(3, 0x13)]);
}

#[test]
fn requests_beyond_window_and_slack_are_answered_throttled() {
    let mut rig = with(|account| account.window = 2).bound(BindKind::Transceiver);
    for token in 0..13 {
        rig.peer.request(token, &Pdu::SubmitSm(sm(b"hi")), rig.now).unwrap();
    }
    rig.pump();
    assert_eq!(rig.take_seen(), [Seen::Response { token: 12, status: 0x58, late: false }], "two of the window and ten of slack pass");
}

#[test]
fn an_account_sends_only_as_whom_it_may_and_as_itself_where_it_says_nothing() {
    let mut rig = with(|account| {
        account.allowed_sources = vec!["Goose".parse().unwrap(), "1069*".parse().unwrap()];
        account.default_source = "10690000".to_owned();
    })
    .bound(BindKind::Transceiver);
    let from = |addr| Sm { source: Addr { ton: 0, npi: 0, addr }, ..sm(b"x") };
    assert_eq!(submit(&mut rig, from(b"Gander")).unwrap_err(), 0x0A);
    assert_eq!(&submit(&mut rig, from(b"10690123")).unwrap().message.source.digits[..], b"10690123");
    assert_eq!(&submit(&mut rig, from(b"")).unwrap().message.source.digits[..], b"10690000");
}

#[test]
fn text_is_shortened_where_the_account_allows_it_and_kept_where_not() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let curly = utf16("it\u{2019}s \u{201C}here\u{201D}");
    let coded = |data_coding, text| Sm { data_coding, ..sm(text) };
    let mut plain = office().bound(BindKind::Transceiver);
    assert_eq!(submit(&mut plain, coded(8, &curly)).unwrap().message.body.encoding, Encoding::Ucs2);
    let mut safe = with(|account| account.transliterate = Transliterate::Safe).bound(BindKind::Transceiver);
    let body = submit(&mut safe, coded(8, &curly)).unwrap().message.body.clone();
    assert_eq!((body.encoding, &body.octets[..]), (Encoding::Gsm7, &b"it's \"here\""[..]));
    let flash = submit(&mut safe, coded(0x18, &curly)).unwrap().message.body.clone();
    assert_eq!((flash.encoding, flash.raw_data_coding), (Encoding::Gsm7, 0x10), "the class stays");
    let chinese = utf16("\u{4E2D}");
    assert_eq!(submit(&mut safe, coded(8, &chinese)).unwrap().message.body.encoding, Encoding::Ucs2);
}

#[test]
fn data_coding_0_means_what_the_account_says() {
    for (alphabet, octets, encoding, expected) in [
        (Alphabet::Gsm7, &b"\x00\x02"[..], Encoding::Gsm7, &b"\x00\x02"[..]),
        (Alphabet::Gsm7, b"caf\xE9", Encoding::Latin1, b"caf\xE9"),
        (Alphabet::Latin1, b"@\xE9", Encoding::Latin1, b"@\xE9"),
        (Alphabet::Utf8, "@\u{E9}".as_bytes(), Encoding::Gsm7, b"\x00\x05"),
        (Alphabet::Gsm7Packed, &[0xE8, 0x32, 0x9B, 0xFD, 0x06], Encoding::Gsm7, b"hello"),
    ] {
        let mut rig = with(|account| account.default_alphabet = alphabet).bound(BindKind::Transceiver);
        let body = submit(&mut rig, sm(octets)).unwrap().message.body.clone();
        assert_eq!((body.encoding, &body.octets[..]), (encoding, expected), "{alphabet:?}");
    }
}

#[test]
fn a_text_of_more_parts_than_can_be_numbered_is_refused() {
    let mut rig = office().bound(BindKind::Transceiver);
    for (octets, taken) in [(255 * 152, true), (255 * 152 + 1, false)] {
        let mut tlvs = TlvBuf::new();
        tlvs.octets(tag::MESSAGE_PAYLOAD, &vec![b'a'; octets]);
        let result = submit(&mut rig, Sm { tlvs: tlvs.as_tlvs(), ..sm(b"") });
        assert_eq!(result.map_or_else(|status| status, |_| 0), if taken { 0 } else { 0x01 });
    }
}
