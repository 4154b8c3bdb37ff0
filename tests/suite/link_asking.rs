//! Requests about messages that were taken: query, cancel, replace.

use super::link_office::{ID, ID_TEXT, ask, office, replies, sm};
use super::link_rig::{START_MS, Seen};
use hongyan::engine::port::{CancelWhat, Input, QueryAnswer, UpstreamReply};
use hongyan::model::{Refusal, State};
use hongyan::smpp::pdu::{CancelSm, DestinationsBuf, QuerySm, ReplaceSm, SubmitMulti};
use hongyan::smpp::{Addr, BindKind, Destination, Pdu, Sm};

#[test]
fn a_query_is_answered_with_state_and_date() {
    let mut rig = office().bound(BindKind::Transceiver);
    ask(&mut rig, 1, &Pdu::QuerySm(QuerySm { message_id: ID_TEXT, source: sm(b"").source }));
    let Some(Input::Query { token, message: ID, source, .. }) = rig.take_inputs().pop() else { panic!() };
    assert_eq!(&source.digits[..], b"Goose");
    let answer = QueryAnswer { message: ID, state: State::Delivered, final_ms: START_MS + 1_500, error: 0 };
    replies(&mut rig, vec![UpstreamReply::Queried { token, result: Ok(answer) }]);
    let frames = rig.take_frames();
    let (_, Pdu::QuerySmResp(Some(resp))) = frames[0].read() else { panic!() };
    assert_eq!((resp.message_id, resp.message_state, resp.final_date), (ID_TEXT, 2, &b"260301000001500+"[..]));
}

#[test]
fn every_state_of_ours_has_its_message_state() {
    let expected = [1, 1, 2, 5, 3, 8, 4, 6, 7, 7];
    for (state, number) in State::ALL.into_iter().zip(expected) {
        let mut rig = office().bound(BindKind::Transceiver);
        ask(&mut rig, 1, &Pdu::QuerySm(QuerySm { message_id: ID_TEXT, source: sm(b"").source }));
        let Some(Input::Query { token, .. }) = rig.take_inputs().pop() else { panic!() };
        let answer = QueryAnswer { message: ID, state, final_ms: 0, error: 0 };
        replies(&mut rig, vec![UpstreamReply::Queried { token, result: Ok(answer) }]);
        let frames = rig.take_frames();
        let (_, Pdu::QuerySmResp(Some(resp))) = frames[0].read() else { panic!() };
        assert_eq!((resp.message_state, resp.final_date), (number, &b""[..]), "{state:?}");
    }
}

#[test]
fn ids_that_can_not_be_ours_are_refused_at_once() {
    let mut rig = office().bound(BindKind::Transceiver);
    let source = sm(b"").source;
    ask(&mut rig, 1, &Pdu::QuerySm(QuerySm { message_id: b"abc", source }));
    ask(&mut rig, 2, &Pdu::CancelSm(CancelSm { message_id: b"abc", source, ..CancelSm::default() }));
    ask(&mut rig, 3, &Pdu::ReplaceSm(ReplaceSm { message_id: b"", source, ..ReplaceSm::default() }));
    let statuses: Vec<_> =
        rig.take_seen().into_iter().map(|seen| if let Seen::Response { status, .. } = seen { status } else { 0 }).collect();
    assert_eq!(statuses, [0x0C, 0x0C, 0x0C]);
    assert!(rig.take_inputs().is_empty());
}

#[test]
fn a_cancel_means_one_message_or_all_between_two_addresses() {
    let mut rig = office().bound(BindKind::Transceiver);
    let (source, destination) = (sm(b"").source, sm(b"").destination);
    ask(&mut rig, 1, &Pdu::CancelSm(CancelSm { message_id: ID_TEXT, source, ..CancelSm::default() }));
    let Some(Input::Cancel { token, what: CancelWhat::One { message: ID, .. }, .. }) = rig.take_inputs().pop() else { panic!() };
    replies(&mut rig, vec![UpstreamReply::Done { token, result: Ok(()) }]);
    ask(&mut rig, 2, &Pdu::CancelSm(CancelSm { source, destination, service_type: b"CMT", ..CancelSm::default() }));
    let Some(Input::Cancel { token, what: CancelWhat::All { service_type, .. }, .. }) = rig.take_inputs().pop() else { panic!() };
    assert_eq!(&service_type[..], b"CMT");
    replies(&mut rig, vec![UpstreamReply::Done { token, result: Err(Refusal::CancelFailed) }]);
    let expected = [Seen::Response { token: 1, status: 0, late: false }, Seen::Response { token: 2, status: 0x11, late: false }];
    assert_eq!(rig.take_seen(), expected);
}

#[test]
fn submissions_that_replace_are_told_apart_and_keep_their_place() {
    let mut rig = office().bound(BindKind::Transceiver);
    let replacing = Sm { replace_if_present_flag: 1, ..sm(b"second") };
    let mut dests = DestinationsBuf::default();
    for number in [&b"8613800000001"[..], b"8613800000002"] {
        assert!(dests.push(Destination::Sme(Addr { ton: 1, npi: 1, addr: number })));
    }
    rig.peer.request(1, &Pdu::SubmitSm(sm(b"first")), rig.now).unwrap();
    rig.peer.request(2, &Pdu::SubmitSm(replacing), rig.now).unwrap();
    rig.peer.request(3, &Pdu::SubmitMulti(SubmitMulti { sm: replacing, dests: dests.as_destinations() }), rig.now).unwrap();
    rig.peer.request(4, &Pdu::SubmitSm(sm(b"last")), rig.now).unwrap();
    rig.pump();
    let inputs = rig.take_inputs();
    let counts = inputs.iter().map(|input| match input {
        Input::Submit { drafts, .. } => (false, drafts.len()),
        Input::SubmitReplacing { drafts, .. } => (true, drafts.len()),
        other => panic!("{other:?}"),
    });
    assert_eq!(counts.collect::<Vec<_>>(), [(false, 1), (true, 1), (true, 2), (false, 1)]);
    let Input::SubmitReplacing { drafts, .. } = &inputs[1] else { panic!() };
    replies(&mut rig, vec![UpstreamReply::Answer { token: drafts[0].token, result: Ok(ID) }]);
    assert_eq!(rig.take_seen(), [Seen::Response { token: 2, status: 0, late: false }]);
}

#[test]
fn a_submission_stays_before_the_cancel_that_follows_it_in_the_same_read() {
    let mut rig = office().bound(BindKind::Transceiver);
    let (source, destination) = (sm(b"").source, sm(b"").destination);
    rig.peer.request(1, &Pdu::SubmitSm(sm(b"first")), rig.now).unwrap();
    rig.peer.request(2, &Pdu::CancelSm(CancelSm { source, destination, ..CancelSm::default() }), rig.now).unwrap();
    rig.peer.request(3, &Pdu::SubmitSm(sm(b"second")), rig.now).unwrap();
    rig.pump();
    let inputs = rig.take_inputs();
    assert!(matches!(inputs[..], [Input::Submit { .. }, Input::Cancel { .. }, Input::Submit { .. }]), "{inputs:?}");
}

#[test]
fn a_replace_hands_over_the_new_text_and_is_answered() {
    let mut rig = office().bound(BindKind::Transceiver);
    let replace =
        ReplaceSm { message_id: ID_TEXT, source: sm(b"").source, short_message: b"new", registered_delivery: 1, ..ReplaceSm::default() };
    ask(&mut rig, 5, &Pdu::ReplaceSm(replace));
    let Some(Input::Replace { token, message: ID, with, .. }) = rig.take_inputs().pop() else { panic!() };
    assert_eq!((&with.octets[..], with.due_ms, with.expires_ms, with.report.on_success), (&b"new"[..], 0, 0, true));
    replies(&mut rig, vec![UpstreamReply::Done { token, result: Err(Refusal::ReplaceFailed) }]);
    assert_eq!(rig.take_seen(), [Seen::Response { token: 5, status: 0x13, late: false }]);
    assert!(matches!(rig.take_frames()[0].read().1, Pdu::ReplaceSmResp));
}
