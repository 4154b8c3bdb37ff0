//! A bind with a carrier from connect to loss: what a message looks like on its way out, what each answer means, when deliveries are
//! answered, and which tickets come back how when the session ends.

use super::link_rig::{Frame, Rig, START_MS, Seen};
use hongyan::config::{self, AddressForm, Alphabet, Concatenation, ErrorClass, IdSource, OctetRule, Profile, StaticTlv, Validity};
use hongyan::engine::port::{BindCommand, BindId, CarrierId, Input, Outcome, ReceiptFacts, Received, Ticket};
use hongyan::link::carrier::{BindProgress, Bound, CarrierBind, CarrierContext};
use hongyan::link::driver::Handler;
use hongyan::model::message::Part;
use hongyan::model::state::ReceiptState;
use hongyan::model::{AccountId, Address, Body, Class, Encoding, Message, MessageId, Now, Report};
use hongyan::smpp::pdu::{AlertNotification, DataSm};
use hongyan::smpp::tlv::tag;
use hongyan::smpp::{Addr, BindKind, CloseCause, Event, Header, Pdu, Settings, Sm, TlvBuf};
use std::sync::Arc;

const BIND: BindId = BindId { carrier: CarrierId(3), index: 1, generation: 7 };

struct Link {
    rig: Rig<CarrierBind>,
    progress: Arc<BindProgress>,
}

fn settings(profile: impl FnOnce(&mut Profile)) -> config::Carrier {
    let mut own = Profile::default();
    profile(&mut own);
    config::Carrier { window: 4, ..config::Carrier::to_host("north", "127.0.0.1:2775", own) }
}

fn connect(settings: config::Carrier, kind: BindKind) -> Link {
    let context = Arc::new(CarrierContext { settings, home_country_code: 86 });
    let progress = Arc::new(BindProgress::default());
    let handler = CarrierBind::new(BIND, kind, Arc::clone(&context), Arc::clone(&progress));
    let theirs = Settings { window: 100, inbound_window: 1_000, ..Settings::server() };
    Link { rig: Rig::new(handler, context.session_settings(), theirs), progress }
}

/// A bind that is up, and nothing else has happened yet.
fn link_with(profile: impl FnOnce(&mut Profile)) -> Rig<CarrierBind> {
    let mut link = connect(settings(profile), BindKind::Transceiver);
    assert_eq!(link.rig.take_seen(), [Seen::BindRequest]);
    assert!(matches!(link.rig.take_inputs()[..], [Input::BindUp { bind: BIND, window: 4 }]));
    link.rig.take_frames();
    link.rig
}

fn link() -> Rig<CarrierBind> {
    link_with(|_| {})
}

fn message(id: u64, octets: &[u8]) -> Message {
    Message {
        id: MessageId(id),
        report: Report { on_success: true, on_failure: true, intermediate: false },
        accepted_ms: START_MS,
        expires_ms: START_MS + 3_600_000,
        ..Message::new(
            AccountId(0),
            Class::Transactional,
            [Address::new(5, 0, b"Goose").unwrap(), Address::new(1, 1, b"+8613812341234").unwrap()],
            hongyan::number::pack(b"8613812341234").unwrap(),
            Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: octets.into() },
        )
    }
}

fn send(message: Message, parts: u8) -> BindCommand {
    BindCommand::Send { message: Arc::new(message), first_part: 0, end_part: parts, parts, reference: 0x2A, ask_receipt: true }
}

/// The frames that sending this produces.
fn sent(rig: &mut Rig<CarrierBind>, message: Message, parts: u8) -> Vec<Frame> {
    rig.command(vec![send(message, parts)]);
    rig.take_frames()
}

fn read(frame: &Frame) -> (Header, Sm<'_>) {
    let (header, Pdu::SubmitSm(sm)) = frame.read() else { panic!("not a submit_sm") };
    (header, sm)
}

/// The carrier answers a frame.
fn answer(rig: &mut Rig<CarrierBind>, frame: &Frame, status: u32, id: &[u8]) {
    rig.peer.respond_message_id(0x8000_0004, frame.read().0.sequence, status, id);
    rig.pump();
}

fn outcomes(rig: &mut Rig<CarrierBind>) -> Vec<(u64, u8, Outcome)> {
    let all = rig.take_inputs().into_iter().flat_map(|input| match input {
        Input::Outcomes { bind: BIND, outcomes } => outcomes,
        other => panic!("{other:?}"),
    });
    all.map(|(Ticket { message, part }, outcome)| (message.0, part, outcome)).collect()
}

fn taken(id: &[u8]) -> Outcome {
    Outcome::Sent { carrier_id: id.try_into().unwrap() }
}

// Binding

#[test]
fn a_bind_says_who_we_are_and_is_told_to_the_engine_once_it_stands() {
    let mut settings = settings(|_| {});
    settings.system_id = "goose".to_owned();
    settings.system_type = "SMPP".to_owned();
    settings.interface_version = 0x50;
    let mut link = connect(settings, BindKind::Transceiver);
    let frames = link.rig.take_frames();
    let (_, Pdu::BindTransceiver(bind)) = frames[0].read() else { panic!() };
    assert_eq!(
        (bind.system_id, bind.password, bind.system_type, bind.interface_version),
        (&b"goose"[..], &b"carrier"[..], &b"SMPP"[..], 0x50)
    );
    assert_eq!(link.progress.bound(), Bound::Yes);
    assert_eq!(link.progress.window(), 4);
}

#[test]
fn a_receiver_bind_has_no_window() {
    let mut link = connect(settings(|_| {}), BindKind::Receiver);
    assert!(matches!(link.rig.take_inputs()[..], [Input::BindUp { window: 0, .. }]));
}

#[test]
fn a_refused_bind_tells_its_status_to_the_pool_and_nothing_to_the_engine() {
    let settings = settings(|_| {});
    let context = Arc::new(CarrierContext { settings, home_country_code: 0 });
    let progress = Arc::new(BindProgress::default());
    let now = Now { mono_us: 1, wall_ms: START_MS };
    let mut handler = CarrierBind::new(BIND, BindKind::Transceiver, Arc::clone(&context), Arc::clone(&progress));
    let mut session = hongyan::smpp::Session::new(context.session_settings(), now);
    handler.opened(&mut session, now);
    let mut answer = bytes::BytesMut::new();
    hongyan::smpp::encode_empty(0x8000_0009, 0x0E, 1, &mut answer);
    let (_, event) = session.next(&answer, now);
    handler.event(event.unwrap(), &mut session, now);
    let mut reports = Vec::new();
    handler.closed(&mut session, CloseCause::BindRefused, now, &mut reports);
    assert_eq!(progress.bound(), Bound::Refused(0x0E));
    assert!(reports.is_empty());
}

// Counting

#[test]
fn a_bind_counts_what_it_sent_and_was_answered_by_class_and_time_and_goes_on_after_a_loss() {
    let counts = Arc::default();
    for connection in 1..=2 {
        let context = Arc::new(CarrierContext { settings: settings(|_| {}), home_country_code: 86 });
        let progress = Arc::new(BindProgress::counting(Arc::clone(&counts)));
        let handler = CarrierBind::new(BIND, BindKind::Transceiver, Arc::clone(&context), Arc::clone(&progress));
        let theirs = Settings { window: 100, inbound_window: 1_000, ..Settings::server() };
        let mut rig = Rig::new(handler, context.session_settings(), theirs);
        rig.take_frames();
        let frames: Vec<Frame> = (1..=3).flat_map(|id| sent(&mut rig, message(id, b"hello"), 1)).collect();
        rig.pass_ms(40);
        answer(&mut rig, &frames[0], 0, b"77");
        answer(&mut rig, &frames[1], 0x58, b"");
        let counts = progress.counts();
        assert_eq!((counts.sent, counts.answers.sent, counts.answers.throttled), (3 * connection, connection, connection));
        assert_eq!(counts.response_times.count(), 2 * connection);
        let mean_us = counts.response_times.sum_us() / (2 * connection);
        assert!((40_000..60_000).contains(&mean_us), "{mean_us}");
        rig.close(CloseCause::Io);
    }
}

// Sending

#[test]
fn a_message_goes_out_in_the_usual_shape() {
    let mut rig = link();
    let frames = sent(&mut rig, Message { service_type: b"CMT"[..].try_into().unwrap(), ..message(1, b"hello") }, 1);
    let (_, sm) = read(&frames[0]);
    assert_eq!((sm.source.ton, sm.source.npi, sm.source.addr), (5, 0, &b"Goose"[..]));
    assert_eq!((sm.destination.ton, sm.destination.npi, sm.destination.addr), (1, 1, &b"8613812341234"[..]), "without the plus");
    assert_eq!((sm.service_type, sm.esm_class, sm.data_coding, sm.registered_delivery), (&b"CMT"[..], 0, 0, 1));
    assert_eq!((sm.validity_period, sm.short_message), (&b"000000010000000R"[..], &b"hello"[..]));
    assert!(sm.tlvs.is_empty());
}

#[test]
fn the_profile_shapes_every_field() {
    let mut rig = link_with(|profile| {
        let shaping = &mut profile.shaping;
        shaping.destination.form = AddressForm::National;
        shaping.destination.ton = OctetRule::Fixed(2);
        shaping.destination.npi = OctetRule::Fixed(8);
        shaping.default_sender = "10690001".to_owned();
        shaping.service_type = Some("VMA".to_owned());
        shaping.protocol_id = OctetRule::Fixed(0x7F);
        shaping.priority = OctetRule::Fixed(1);
        shaping.registered_delivery = OctetRule::Fixed(0x11);
        shaping.validity = Validity::Absolute;
        shaping.tlvs = vec![StaticTlv { tag: 0x1401, text: Some("PE-1".to_owned()), hex: None }];
        shaping.pass_tlvs = vec![0x1402];
        profile.alphabets.ucs2 = 0x18;
    });
    let mut own = message(1, b"\0h\0i");
    own.source = Address::default();
    own.body.encoding = Encoding::Ucs2;
    own.body.raw_data_coding = 8;
    own.tlvs = b"\x14\x02\x00\x01a\x14\x03\x00\x01b"[..].into();
    let frames = sent(&mut rig, own, 1);
    let (_, sm) = read(&frames[0]);
    assert_eq!((sm.destination.ton, sm.destination.npi, sm.destination.addr), (2, 8, &b"13812341234"[..]));
    assert_eq!((sm.source.ton, sm.source.addr), (3, &b"10690001"[..]), "a short code");
    assert_eq!((sm.service_type, sm.protocol_id, sm.priority_flag, sm.registered_delivery), (&b"VMA"[..], 0x7F, 1, 0x11));
    assert_eq!((sm.validity_period, sm.data_coding), (&b"260301010000000+"[..], 0x18));
    let tlvs: Vec<_> = sm.tlvs.iter().map(|tlv| (tlv.tag, tlv.value)).collect();
    assert_eq!(tlvs, [(0x1401, &b"PE-1"[..]), (0x1402, &b"a"[..])], "of the passed ones only what the carrier takes");
}

#[test]
fn addresses_take_the_form_that_the_carrier_wants() {
    for (form, expected) in [
        (AddressForm::Keep, &b"+8613812341234"[..]),
        (AddressForm::Digits, b"8613812341234"),
        (AddressForm::Plus, b"+8613812341234"),
        (AddressForm::Zeros, b"008613812341234"),
        (AddressForm::National, b"13812341234"),
    ] {
        let mut rig = link_with(|profile| profile.shaping.destination.form = form);
        let frames = sent(&mut rig, message(1, b"x"), 1);
        assert_eq!(read(&frames[0]).1.destination.addr, expected, "{form:?}");
    }
    let mut rig = link_with(|profile| profile.shaping.destination.prefix = "99".to_owned());
    let frames = sent(&mut rig, message(1, b"x"), 1);
    assert_eq!(read(&frames[0]).1.destination.addr, b"998613812341234");
    let mut rig = link_with(|profile| profile.shaping.destination.form = AddressForm::National);
    let abroad = Message { number: hongyan::number::pack(b"4915123456789").unwrap(), ..message(1, b"x") };
    let frames = sent(&mut rig, abroad, 1);
    assert_eq!((read(&frames[0]).1.destination.ton, read(&frames[0]).1.destination.addr), (1, &b"4915123456789"[..]));
}

#[test]
fn senders_are_names_numbers_or_short_codes() {
    for (sender, ton, npi) in [(&b"Goose"[..], 5, 0), (b"8613800000000", 1, 1), (b"+4915123456", 1, 1), (b"10086", 3, 1)] {
        let mut rig = link();
        let frames = sent(&mut rig, Message { source: Address::new(0, 0, sender).unwrap(), ..message(1, b"x") }, 1);
        let (_, sm) = read(&frames[0]);
        assert_eq!((sm.source.ton, sm.source.npi), (ton, npi), "{}", String::from_utf8_lossy(sender));
    }
}

#[test]
fn validity_is_what_is_left_after_the_time_in_our_queue() {
    let mut rig = link();
    rig.now = rig.now.plus_us(3_599_000_000);
    let frames = sent(&mut rig, message(1, b"x"), 1);
    assert_eq!(read(&frames[0]).1.validity_period, b"000000000001000R");
    let mut rig = link_with(|profile| profile.shaping.validity = Validity::None);
    let frames = sent(&mut rig, message(1, b"x"), 1);
    assert_eq!(read(&frames[0]).1.validity_period, b"");
}

#[test]
fn a_message_class_keeps_its_data_coding() {
    let mut rig = link();
    let mut flash = message(1, b"x");
    flash.body.raw_data_coding = 0x10;
    let frames = sent(&mut rig, flash, 1);
    assert_eq!(read(&frames[0]).1.data_coding, 0x10);
}

#[test]
fn receipts_are_asked_for_as_the_engine_says_or_as_upstream_did() {
    let ask = |rule, ask_receipt| {
        let mut rig = link_with(|profile| profile.shaping.registered_delivery = rule);
        let message = Message { report: Report { on_success: false, on_failure: true, intermediate: true }, ..message(1, b"x") };
        rig.command(vec![BindCommand::Send {
            message: Arc::new(message),
            first_part: 0,
            end_part: 1,
            parts: 1,
            reference: 0,
            ask_receipt,
        }]);
        read(&rig.take_frames()[0]).1.registered_delivery
    };
    assert_eq!([ask(OctetRule::Auto, true), ask(OctetRule::Auto, false)], [1, 0]);
    assert_eq!([ask(OctetRule::Keep, true), ask(OctetRule::Keep, false)], [0x12, 0]);
    assert_eq!([ask(OctetRule::Fixed(0), true), ask(OctetRule::Fixed(1), false)], [0, 1]);
}

#[test]
fn a_long_message_goes_in_parts_back_to_back_each_with_a_number_of_its_own() {
    let long = vec![b'a'; 400];
    for (kind, header) in [(Concatenation::Udh8, &b"\x05\x00\x03\x2a\x03"[..]), (Concatenation::Udh16, b"\x06\x08\x04\x00\x2a\x03")] {
        let mut rig = link_with(|profile| profile.shaping.concatenation = kind);
        let frames = sent(&mut rig, message(1, &long), 3);
        assert_eq!(frames.len(), 3);
        for (part, frame) in frames.iter().enumerate() {
            let (head, sm) = read(frame);
            assert_eq!(head.sequence, 2 + part as u32);
            assert_eq!(sm.esm_class, 0x40);
            assert!(sm.short_message.starts_with(header) && sm.short_message[header.len()] == part as u8 + 1, "{:?}", sm.short_message);
        }
    }
    let mut rig = link_with(|profile| profile.shaping.concatenation = Concatenation::Sar);
    for (part, frame) in sent(&mut rig, message(1, &long), 3).iter().enumerate() {
        let (_, sm) = read(frame);
        let tlvs = sm.tlvs;
        assert_eq!(sm.esm_class, 0);
        assert_eq!(
            (tlvs.u16(tag::SAR_MSG_REF_NUM), tlvs.u8(tag::SAR_TOTAL_SEGMENTS), tlvs.u8(tag::SAR_SEGMENT_SEQNUM)),
            (Some(0x2A), Some(3), Some(part as u8 + 1))
        );
    }
    let mut rig = link_with(|profile| profile.shaping.concatenation = Concatenation::Payload);
    let frames = sent(&mut rig, message(1, &long), 1);
    let (_, sm) = read(&frames[0]);
    assert_eq!((frames.len(), sm.short_message, sm.tlvs.first(tag::MESSAGE_PAYLOAD)), (1, &b""[..], Some(&long[..])));
}

#[test]
fn upstreams_own_parts_pass_with_their_header_and_their_tlvs_become_one() {
    let mut own = message(1, b"\x05\x00\x03\x77\x02\x01text");
    own.body.header_len = 6;
    own.part = Some(Part { reference: 0x77, total: 2, number: 1 });
    let mut rig = link();
    let frames = sent(&mut rig, own, 1);
    let (_, sm) = read(&frames[0]);
    assert_eq!((sm.esm_class, sm.short_message), (0x40, &b"\x05\x00\x03\x77\x02\x01text"[..]));

    let by_tlvs = |rig: &mut Rig<CarrierBind>, reference, octets: &[u8]| {
        let own = Message { part: Some(Part { reference, total: 2, number: 1 }), ..message(1, octets) };
        sent(rig, own, 1)
    };
    let frames = by_tlvs(&mut link(), 0x77, b"text");
    assert_eq!(read(&frames[0]).1.short_message, b"\x05\x00\x03\x77\x02\x01text");
    let frames = by_tlvs(&mut link(), 0x1234, b"text");
    assert_eq!(read(&frames[0]).1.short_message, b"\x06\x08\x04\x12\x34\x02\x01text", "a wide reference needs the wide element");
    let mut rig = link_with(|profile| profile.shaping.concatenation = Concatenation::Sar);
    let frames = by_tlvs(&mut rig, 0x1234, b"text");
    let (_, sm) = read(&frames[0]);
    assert_eq!((sm.short_message, sm.tlvs.u16(tag::SAR_MSG_REF_NUM)), (&b"text"[..], Some(0x1234)));
}

#[test]
fn what_the_window_has_no_room_for_waits_and_goes_in_order() {
    let mut rig = link();
    rig.command((1..=6).map(|id| send(message(id, format!("{id}").as_bytes()), 1)).collect());
    let frames = rig.take_frames();
    assert_eq!(frames.len(), 4);
    answer(&mut rig, &frames[2], 0, b"c");
    answer(&mut rig, &frames[0], 0, b"a");
    let more = rig.take_frames();
    assert_eq!(more.iter().map(|frame| read(frame).1.short_message.to_vec()).collect::<Vec<_>>(), [b"5", b"6"]);
    assert_eq!(outcomes(&mut rig), [(3, 0, taken(b"c")), (1, 0, taken(b"a"))], "answers are matched by number, not by order");
}

#[test]
fn a_message_longer_than_the_window_goes_on_where_it_stopped() {
    let mut rig = link();
    let frames = sent(&mut rig, message(1, &[b'a'; 900]), 6);
    assert_eq!(frames.len(), 4);
    answer(&mut rig, &frames[0], 0, b"p0");
    answer(&mut rig, &frames[1], 0, b"p1");
    let rest = rig.take_frames();
    let numbers: Vec<u8> = rest.iter().map(|frame| read(frame).1.short_message[5]).collect();
    assert_eq!(numbers, [5, 6]);
    assert_eq!(outcomes(&mut rig), [(1, 0, taken(b"p0")), (1, 1, taken(b"p1"))]);
}

#[test]
fn a_send_can_begin_at_a_later_part() {
    let mut rig = link();
    rig.command(vec![BindCommand::Send {
        message: Arc::new(message(1, &[b'a'; 400])),
        first_part: 2,
        end_part: 3,
        parts: 3,
        reference: 9,
        ask_receipt: true,
    }]);
    let frames = rig.take_frames();
    assert_eq!(frames.len(), 1);
    assert_eq!(&read(&frames[0]).1.short_message[..6], b"\x05\x00\x03\x09\x03\x03");
    answer(&mut rig, &frames[0], 0, b"z");
    assert_eq!(outcomes(&mut rig), [(1, 2, taken(b"z"))]);
}

#[test]
fn when_a_part_is_refused_those_not_yet_written_stay_here() {
    let mut rig = link();
    let frames = sent(&mut rig, message(1, &[b'a'; 900]), 6);
    rig.command(vec![send(message(2, b"next"), 1)]);
    answer(&mut rig, &frames[1], 0x0B, b"");
    let expected = [(1, 1, Outcome::Never { status: 0x0B }), (1, 4, Outcome::NotSent), (1, 5, Outcome::NotSent)];
    assert_eq!(outcomes(&mut rig), expected);
    assert_eq!(read(&rig.take_frames()[0]).1.short_message, b"next", "the next message takes the free place");
    answer(&mut rig, &frames[0], 0, b"p0");
    assert_eq!(outcomes(&mut rig), [(1, 0, taken(b"p0"))]);
}

#[test]
fn a_carrier_whose_default_alphabet_is_another_gets_it_or_utf16() {
    let write = |alphabet, octets: &[u8]| {
        let mut rig = link_with(|profile| profile.alphabets.default = alphabet);
        let frames = sent(&mut rig, message(1, octets), 1);
        let (_, sm) = read(&frames[0]);
        (sm.data_coding, sm.short_message.to_vec())
    };
    assert_eq!(write(Alphabet::Latin1, b"\x00\x05"), (0, b"@\xE9".to_vec()));
    assert_eq!(write(Alphabet::Utf8, b"\x05"), (0, "\u{E9}".as_bytes().to_vec()));
    assert_eq!(write(Alphabet::Latin1, b"\x10"), (8, b"\x03\x94".to_vec()), "delta is in no Latin-1");
    assert_eq!(write(Alphabet::Gsm7Packed, b"hello"), (0, vec![0xE8, 0x32, 0x9B, 0xFD, 0x06]));
    let mut rig = link_with(|profile| profile.alphabets.default = Alphabet::Latin1);
    let frames = sent(&mut rig, message(1, &[b"\x00".repeat(153), b"\x05".repeat(10)].concat()), 2);
    assert_eq!(read(&frames[0]).1.short_message[6..], b"@".repeat(153)[..], "each part behind its header");
    assert_eq!(read(&frames[1]).1.short_message[6..], b"\xE9".repeat(10)[..]);
}

#[test]
fn a_text_that_would_need_other_parts_than_were_counted_is_not_cut_short() {
    let mut rig = link_with(|profile| profile.alphabets.default = Alphabet::Latin1);
    let greek = b"\x10".repeat(100);
    assert!(sent(&mut rig, message(1, &greek), 1).is_empty(), "two parts in UTF-16");
    assert_eq!(outcomes(&mut rig), [(1, 0, Outcome::Elsewhere { status: 0x01 })]);
}

#[test]
fn latin1_goes_to_carriers_that_take_it_and_as_utf16_to_others() {
    let latin1 = || {
        let mut own = message(1, b"caf\xE9");
        own.body.encoding = Encoding::Latin1;
        own.body.raw_data_coding = 3;
        own
    };
    let mut rig = link_with(|profile| profile.alphabets.use_latin1 = true);
    let frames = sent(&mut rig, latin1(), 1);
    assert_eq!((read(&frames[0]).1.data_coding, read(&frames[0]).1.short_message), (3, &b"caf\xE9"[..]));
    let frames = sent(&mut link(), latin1(), 1);
    assert_eq!((read(&frames[0]).1.data_coding, read(&frames[0]).1.short_message), (8, &b"\0c\0a\0f\0\xE9"[..]));
}

// Answers

#[test]
fn each_status_means_what_the_profile_says_and_else_what_the_standard_says() {
    let mut rig = link_with(|profile| {
        profile.errors.never = vec![0x45];
        profile.errors.throttle = vec![0x401];
        profile.errors.vendor = Some(ErrorClass::Later);
    });
    for (status, outcome) in [
        (0x58, Outcome::Throttled { status: 0x58 }),
        (0x14, Outcome::Throttled { status: 0x14 }),
        (0x08, Outcome::Later { status: 0x08 }),
        (0x45, Outcome::Never { status: 0x45 }),
        (0x0A, Outcome::Never { status: 0x0A }),
        (0x15, Outcome::Elsewhere { status: 0x15 }),
        (0x401, Outcome::Throttled { status: 0x401 }),
        (0x402, Outcome::Later { status: 0x402 }),
    ] {
        let frames = sent(&mut rig, message(1, b"x"), 1);
        answer(&mut rig, &frames[0], status, b"");
        assert_eq!(outcomes(&mut rig), [(1, 0, outcome)]);
    }
}

#[test]
fn ids_are_kept_as_raw_octets_also_the_empty_one() {
    let mut rig = link();
    for id in [&b" 00Ab-12 "[..], b"", &[b'9'; 64]] {
        let frames = sent(&mut rig, message(1, b"x"), 1);
        answer(&mut rig, &frames[0], 0, id);
        assert_eq!(outcomes(&mut rig), [(1, 0, taken(id))]);
    }
}

#[test]
fn a_generic_nack_fails_the_request_that_it_names() {
    let mut rig = link();
    let frames = sent(&mut rig, message(1, b"x"), 1);
    hongyan::smpp::encode_empty(0x8000_0000, 0x03, frames[0].read().0.sequence, rig.peer.output());
    rig.pump();
    assert_eq!(outcomes(&mut rig), [(1, 0, Outcome::Elsewhere { status: 0x03 })]);
}

#[test]
fn answers_of_one_read_are_handed_over_in_one_batch() {
    let mut rig = link();
    rig.command((1..=4).map(|id| send(message(id, b"x"), 1)).collect());
    for frame in rig.take_frames() {
        rig.peer.respond_message_id(0x8000_0004, frame.read().0.sequence, 0, b"1");
    }
    rig.pump();
    let inputs = rig.take_inputs();
    assert!(matches!(&inputs[..], [Input::Outcomes { outcomes, .. }] if outcomes.len() == 4), "{inputs:?}");
}

#[test]
fn no_answer_in_time_is_a_doubt_and_the_late_answer_settles_it() {
    let mut rig = link();
    let frames = sent(&mut rig, message(1, b"x"), 1);
    rig.pass_ms(30_500);
    assert_eq!(outcomes(&mut rig), [(1, 0, Outcome::InDoubt)]);
    rig.pass_ms(1_000);
    answer(&mut rig, &frames[0], 0, b"late");
    assert_eq!(outcomes(&mut rig), [(1, 0, taken(b"late"))]);
    answer(&mut rig, &frames[0], 0, b"late");
    assert!(outcomes(&mut rig).is_empty(), "the second time it is nobody's");
}

#[test]
fn a_late_refusal_says_nothing_new() {
    let mut rig = link();
    let frames = sent(&mut rig, message(1, b"x"), 1);
    rig.pass_ms(30_500);
    outcomes(&mut rig);
    answer(&mut rig, &frames[0], 0x08, b"");
    assert!(outcomes(&mut rig).is_empty());
}

// Deliveries

fn receipt_text() -> &'static [u8] {
    b"id:0123456789 sub:001 dlvrd:001 submit date:2603010000 done date:2603010001 stat:DELIVRD err:000 text:hello"
}

fn from_phone<'a>(text: &'a [u8]) -> Sm<'a> {
    Sm {
        source: Addr { ton: 1, npi: 1, addr: b"8613812341234" },
        destination: Addr { ton: 3, npi: 1, addr: b"10690001" },
        short_message: text,
        ..Sm::default()
    }
}

fn deliver(rig: &mut Rig<CarrierBind>, pdu: &Pdu<'_>) -> Vec<(u64, Received)> {
    rig.peer.request(77, pdu, rig.now).unwrap();
    rig.pump();
    let inputs = rig.take_inputs().into_iter().flat_map(|input| match input {
        Input::Received { bind: BIND, deliveries } => deliveries,
        other => panic!("{other:?}"),
    });
    inputs.collect()
}

fn facts(rig: &mut Rig<CarrierBind>, pdu: &Pdu<'_>) -> ReceiptFacts {
    match deliver(rig, pdu).pop() {
        Some((_, Received::Receipt(facts))) => *facts,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_receipt_is_read_and_answered_only_when_it_is_stored() {
    let mut rig = link();
    let mut deliveries = deliver(&mut rig, &Pdu::DeliverSm(Sm { esm_class: 4, ..from_phone(receipt_text()) }));
    let Some((token, Received::Receipt(facts))) = deliveries.pop() else { panic!() };
    assert_eq!(
        (&facts.id[..], facts.state, facts.is_final, &facts.stat[..], &facts.error[..]),
        (&b"0123456789"[..], ReceiptState::Delivered, true, &b"DELIVRD"[..], &b"000"[..])
    );
    assert_eq!((facts.submit_ms, facts.done_ms), (Some(START_MS), Some(START_MS + 60_000)));
    assert_eq!(facts.numbers, [hongyan::number::pack(b"8613812341234").unwrap(), hongyan::number::pack(b"10690001").unwrap()]);
    assert_eq!(rig.take_seen(), [Seen::BindRequest][1..], "no answer yet");
    rig.take_frames();
    rig.command(vec![BindCommand::Answer { token, stored: true }]);
    assert_eq!(rig.take_seen(), [Seen::Response { token: 77, status: 0, late: false }]);
    assert!(matches!(rig.take_frames()[0].read().1, Pdu::DeliverSmResp(Some(resp)) if resp.message_id.is_empty()));
}

#[test]
fn what_could_not_be_stored_is_to_be_delivered_again() {
    let mut rig = link();
    let deliveries = deliver(&mut rig, &Pdu::DeliverSm(from_phone(b"hi")));
    rig.command(vec![BindCommand::Answer { token: deliveries[0].0, stored: false }]);
    assert_eq!(rig.take_seen(), [Seen::Response { token: 77, status: 0x64, late: false }]);
}

#[test]
fn a_receipt_by_data_sm_is_a_receipt_and_gets_its_own_answer() {
    let mut rig = link();
    let mut tlvs = TlvBuf::new();
    tlvs.octets(tag::MESSAGE_PAYLOAD, receipt_text());
    let data = DataSm {
        esm_class: 4,
        source: from_phone(b"").source,
        destination: from_phone(b"").destination,
        tlvs: tlvs.as_tlvs(),
        ..DataSm::default()
    };
    let deliveries = deliver(&mut rig, &Pdu::DataSm(data));
    assert!(matches!(&deliveries[..], [(_, Received::Receipt(facts))] if &facts.id[..] == b"0123456789"));
    rig.take_frames();
    rig.command(vec![BindCommand::Answer { token: deliveries[0].0, stored: true }]);
    assert!(matches!(rig.take_frames()[0].read().1, Pdu::DataSmResp(_)));
}

#[test]
fn tlvs_go_before_the_text_unless_the_profile_says_otherwise() {
    let mut tlvs = TlvBuf::new();
    tlvs.c_octet(tag::RECEIPTED_MESSAGE_ID, b"ff");
    tlvs.u8(tag::MESSAGE_STATE, 5);
    tlvs.octets(tag::NETWORK_ERROR_CODE, &[3, 0, 21]);
    let pdu = Pdu::DeliverSm(Sm { esm_class: 4, tlvs: tlvs.as_tlvs(), ..from_phone(receipt_text()) });
    let read = facts(&mut link(), &pdu);
    assert_eq!((&read.id[..], &read.other_id[..], read.state), (&b"ff"[..], &b"0123456789"[..], ReceiptState::Undeliverable));
    assert_eq!(read.network_error, Some([3, 0, 21]));
    let read = facts(&mut link_with(|profile| profile.receipts.id_source = IdSource::Text), &pdu);
    assert_eq!((&read.id[..], &read.other_id[..]), (&b"0123456789"[..], &b"ff"[..]));
}

#[test]
fn dates_of_receipts_are_read_in_the_carriers_zone() {
    let mut rig = link_with(|profile| profile.receipts.zone = "+08:00".parse().unwrap());
    let read = facts(&mut rig, &Pdu::DeliverSm(Sm { esm_class: 4, ..from_phone(receipt_text()) }));
    assert_eq!(read.submit_ms, Some(START_MS - 8 * 3_600_000));
}

#[test]
fn receipts_are_known_by_class_by_text_or_by_tlv() {
    let mut tlvs = TlvBuf::new();
    tlvs.c_octet(tag::RECEIPTED_MESSAGE_ID, b"42");
    for sm in [
        Sm { esm_class: 4, ..from_phone(b"") },
        Sm { esm_class: 0, ..from_phone(receipt_text()) },
        Sm { esm_class: 0, tlvs: tlvs.as_tlvs(), ..from_phone(b"") },
        Sm { esm_class: 0x20, ..from_phone(receipt_text()) },
    ] {
        let read = facts(&mut link(), &Pdu::DeliverSm(sm));
        assert!(!read.is_final || sm.esm_class != 0x20, "an intermediate note is never final");
    }
}

#[test]
fn accepted_is_final_only_where_the_profile_says_so() {
    let text = b"id:1 stat:ACCEPTD";
    let pdu = Pdu::DeliverSm(Sm { esm_class: 4, ..from_phone(text) });
    assert!(!facts(&mut link(), &pdu).is_final);
    assert!(facts(&mut link_with(|profile| profile.receipts.accepted_is_final = true), &pdu).is_final);
}

#[test]
fn a_message_from_a_phone_is_handed_over_with_its_part() {
    let inbound = |rig: &mut Rig<CarrierBind>, sm: Sm<'_>| match deliver(rig, &Pdu::DeliverSm(sm)).pop() {
        Some((_, Received::Inbound(part))) => *part,
        other => panic!("{other:?}"),
    };
    let mut rig = link();
    let whole = inbound(&mut rig, Sm { data_coding: 8, service_type: b"CMT", ..from_phone(b"\0h\0i") });
    assert_eq!((&whole.source.digits[..], &whole.destination.digits[..]), (&b"8613812341234"[..], &b"10690001"[..]));
    assert_eq!((whole.body.encoding, &whole.body.octets[..], whole.part), (Encoding::Ucs2, &b"\0h\0i"[..], None));

    let part = inbound(&mut rig, Sm { esm_class: 0x40, ..from_phone(b"\x05\x00\x03\x2a\x02\x01text") });
    assert_eq!(part.part, Some(Part { reference: 0x2A, total: 2, number: 1 }));
    assert_eq!((part.body.header_len, &part.body.octets[..]), (0, &b"text"[..]), "a header that was only for joining is gone");

    let ports = inbound(&mut rig, Sm { esm_class: 0x40, ..from_phone(b"\x06\x05\x04\x0b\x84\x23\xf0text") });
    assert_eq!((ports.part, ports.body.header_len, ports.body.octets.len()), (None, 7, 11), "any other header stays");

    let mut tlvs = TlvBuf::new();
    tlvs.u16(tag::SAR_MSG_REF_NUM, 5);
    tlvs.u8(tag::SAR_TOTAL_SEGMENTS, 2);
    tlvs.u8(tag::SAR_SEGMENT_SEQNUM, 2);
    let sar = inbound(&mut rig, Sm { tlvs: tlvs.as_tlvs(), ..from_phone(b"text") });
    assert_eq!(sar.part, Some(Part { reference: 5, total: 2, number: 2 }));
}

#[test]
fn what_nobody_waits_for_is_answered_at_once() {
    let mut rig = link();
    assert!(deliver(&mut rig, &Pdu::DeliverSm(Sm { esm_class: 0x08, ..from_phone(b"ok") })).is_empty());
    assert_eq!(rig.take_seen(), [Seen::Response { token: 77, status: 0, late: false }]);
    rig.peer.request(1, &Pdu::AlertNotification(AlertNotification::default()), rig.now).unwrap();
    rig.pump();
    assert!(rig.take_seen().is_empty() && rig.take_inputs().is_empty());
}

#[test]
fn a_transmitter_bind_takes_deliveries_too() {
    let mut link = connect(settings(|_| {}), BindKind::Transmitter);
    link.rig.take_inputs();
    let text = receipt_text();
    hongyan::smpp::encode(0, 9, &Pdu::DeliverSm(Sm { esm_class: 4, ..from_phone(text) }), link.rig.peer.output());
    link.rig.pump();
    assert!(matches!(&link.rig.take_inputs()[..], [Input::Received { deliveries, .. }] if deliveries.len() == 1));
}

// The end

/// Message and part.
type Tickets = Vec<(u64, u8)>;

fn down(rig: &mut Rig<CarrierBind>) -> (Tickets, Tickets) {
    let plain = |tickets: Vec<Ticket>| tickets.into_iter().map(|ticket| (ticket.message.0, ticket.part)).collect();
    match rig.take_inputs().pop() {
        Some(Input::BindDown { bind: BIND, unsent, in_doubt }) => (plain(unsent), plain(in_doubt)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn at_a_loss_what_was_written_is_in_doubt_and_what_waited_is_unsent() {
    let mut rig = link();
    rig.command(vec![send(message(1, b"x"), 1), send(message(2, &[b'a'; 900]), 6), send(message(3, b"y"), 1)]);
    let frames = rig.take_frames();
    answer(&mut rig, &frames[0], 0, b"1");
    rig.take_inputs();
    rig.close(CloseCause::PeerClosed);
    let (unsent, in_doubt) = down(&mut rig);
    assert_eq!(in_doubt, [(2, 0), (2, 1), (2, 2), (2, 3)]);
    assert_eq!(unsent, [(2, 4), (2, 5), (3, 0)]);
}

#[test]
fn commands_that_reach_a_session_that_has_ended_come_back_unsent() {
    let mut rig = link();
    rig.session.close(CloseCause::Io);
    assert!(matches!(rig.session.next(&[], rig.now), (_, Some(Event::Closed { .. }))));
    // The driver hands over what is left in the mailbox before it says that the session is closed.
    rig.handler.command(vec![send(message(1, b"x"), 1)], &mut rig.session, rig.now);
    rig.close(CloseCause::Io);
    assert_eq!(down(&mut rig), (vec![(1, 0)], vec![]));
}

#[test]
fn a_doubt_that_was_told_is_not_told_again_at_the_end() {
    let mut rig = link();
    sent(&mut rig, message(1, b"x"), 1);
    rig.pass_ms(30_500);
    outcomes(&mut rig);
    rig.close(CloseCause::PeerClosed);
    assert_eq!(down(&mut rig), (vec![], vec![]));
}

#[test]
fn when_the_carrier_unbinds_its_last_answers_still_count_and_nothing_new_is_sent() {
    let mut rig = link();
    let frames = sent(&mut rig, message(1, b"x"), 1);
    hongyan::smpp::encode_empty(0x06, 0, 500, rig.peer.output());
    rig.pump();
    rig.command(vec![send(message(2, b"y"), 1)]);
    assert!(rig.take_frames().iter().all(|frame| !matches!(frame.read().1, Pdu::SubmitSm(_))));
    answer(&mut rig, &frames[0], 0, b"last");
    let inputs = rig.take_inputs();
    assert!(
        matches!(&inputs[..], [Input::Outcomes { outcomes, .. }, Input::BindDown { unsent, in_doubt, .. }]
            if outcomes[0].1 == taken(b"last") && unsent.len() == 1 && in_doubt.is_empty()),
        "{inputs:?}"
    );
}

#[test]
fn a_message_that_a_peer_without_tlvs_can_not_be_told_goes_elsewhere() {
    let settings = settings(|profile| profile.shaping.concatenation = Concatenation::Payload);
    let context = Arc::new(CarrierContext { settings: config::Carrier { interface_version: 0x33, ..settings }, home_country_code: 0 });
    let handler = CarrierBind::new(BIND, BindKind::Transceiver, Arc::clone(&context), Arc::default());
    let mut rig = Rig::new(handler, context.session_settings(), Settings::server());
    rig.take_inputs();
    rig.take_frames();
    rig.command(vec![send(message(1, &[b'a'; 900]), 1)]);
    assert!(rig.take_frames().is_empty());
    assert_eq!(outcomes(&mut rig), [(1, 0, Outcome::Elsewhere { status: 0x01 })]);
}
