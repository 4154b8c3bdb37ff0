//! Every vector of the protocol notes: decoded to its fields, written back to its octets, and every malformed one answered as allowed.

use bytes::BytesMut;
use hongyan::cli::inspect_pdu::pdu_json;
use hongyan::model::Now;
use hongyan::smpp::{
    BindKind, CloseCause, DecodeLimits, Event, Pdu, Session, SessionState, Settings, check, command, decode, encode, status,
};
use serde_json::Value;

fn vectors(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn good() -> Vec<Value> {
    vectors(include_str!("../data/smpp/pdus.json"))
}

#[test]
fn every_vector_decodes_to_its_fields() {
    let all = good();
    assert_eq!(all.len(), 156);
    for vector in &all {
        let shown = pdu_json(&unhex(vector["hex"].as_str().unwrap())).unwrap_or_else(|error| panic!("{}: {error}", vector["name"]));
        let keys = ["command_length", "command_id", "command", "command_status", "sequence_number", "fields", "body_absent", "tlvs"];
        for key in keys {
            assert_eq!(shown.get(key), vector.get(key), "{} {key}", vector["name"]);
        }
        // Comparing maps ignores order; the wire order is part of the promise.
        assert_eq!(shown["fields"].to_string(), vector["fields"].to_string(), "{}", vector["name"]);
        assert!(shown.as_object().unwrap().keys().all(|key| keys.contains(&key.as_str())));
    }
}

#[test]
fn every_vector_encodes_back_to_its_octets() {
    for vector in good() {
        let octets = unhex(vector["hex"].as_str().unwrap());
        let (header, pdu) = decode(&octets, &DecodeLimits::default()).unwrap();
        let mut out = BytesMut::new();
        encode(header.status, header.sequence, &pdu, &mut out);
        assert_eq!(out.as_ref(), octets, "{}", vector["name"]);
    }
}

#[test]
fn every_cut_of_a_vector_asks_for_more_or_is_refused_without_a_panic() {
    for vector in good() {
        let octets = unhex(vector["hex"].as_str().unwrap());
        for end in 0..octets.len().min(400) {
            let mut cut = octets[..end].to_vec();
            assert_eq!(hongyan::smpp::frame::next(&cut, 1 << 17), Ok(None), "{}", vector["name"]);
            if end >= 16 {
                cut[..4].copy_from_slice(&(end as u32).to_be_bytes());
                if let Err(error) = decode(&cut, &DecodeLimits::default()) {
                    assert_ne!(error.status, status::ESME_ROK);
                }
            }
        }
    }
}

/// What the server answered to one malformed PDU: (command_id, status, sequence), and whether the connection stays.
struct Verdict {
    answer: Option<(u32, u32, u32)>,
    closed: Option<CloseCause>,
}

/// Hands `octets` to a server session as the listener would: bound before, or not for bind requests; submissions go through `check`.
fn serve(octets: &[u8], bound: bool) -> Verdict {
    let now = Now { mono_us: 1_000_000, wall_ms: 1_772_323_200_000 };
    let mut session = Session::new(Settings::server(), now);
    if bound {
        let bind = unhex("0000002500000009000000000000000365736d653031007365637265743038000034000000");
        let (used, event) = session.next(&bind, now);
        assert_eq!(used, bind.len());
        assert!(matches!(event, Some(Event::BindRequest { sequence: 3, kind: BindKind::Transceiver, .. })));
        session.accept_bind(3, BindKind::Transceiver, 0x34, b"hongyan", now);
        session.output().clear();
    }
    let mut at = 0;
    let mut closed = None;
    loop {
        let (used, event) = session.next(&octets[at..], now);
        at += used;
        match event {
            Some(Event::Request { sequence, pdu: Pdu::SubmitSm(sm) }) => {
                let status = check::submit_sm(&sm, now).err().unwrap_or(status::ESME_ROK);
                session.respond_message_id(command::SUBMIT_SM, sequence, status, b"1");
            }
            Some(Event::Closed { cause }) => closed = Some(cause),
            Some(other) => panic!("{other:?}"),
            None if used == 0 => break,
            None => {}
        }
        if at == octets.len() {
            break;
        }
    }
    if bound && closed.is_none() {
        assert_eq!(session.state(), SessionState::BoundTrx);
    }
    let out = session.output().split();
    let answer = (!out.is_empty()).then(|| {
        let (header, _) = decode(&out, &DecodeLimits::default()).expect("one whole PDU");
        (header.command_id, header.status, header.sequence)
    });
    Verdict { answer, closed }
}

/// The answers that a vector allows, read from its words: `submit_sm_resp 0x02 or 0x15`.
fn allowed(answer: &str) -> (u32, Vec<u32>) {
    let name = answer.split_whitespace().next().unwrap();
    let ids = [command::GENERIC_NACK, command::SUBMIT_SM_RESP, command::SUBMIT_MULTI_RESP];
    let ids = ids.iter().chain(&[command::BIND_TRANSCEIVER_RESP, command::ENQUIRE_LINK_RESP]);
    let id = *ids.clone().find(|&&id| command::name(id) == Some(name)).unwrap_or_else(|| panic!("{name}"));
    let statuses = answer.split([' ', ',']).filter_map(|word| word.strip_prefix("0x"));
    (id, statuses.map(|word| u32::from_str_radix(word, 16).unwrap()).collect())
}

#[test]
fn every_malformed_vector_gets_an_answer_that_is_allowed_and_the_connection_its_verdict() {
    let all = vectors(include_str!("../data/smpp/pdus-malformed.json"));
    assert_eq!(all.len(), 34);
    for vector in &all {
        let name = vector["name"].as_str().unwrap();
        let octets = unhex(vector["hex"].as_str().unwrap());
        let verdict = serve(&octets, !name.starts_with("bind"));
        match (vector["answer"].as_str().unwrap(), verdict.answer) {
            ("none", answer) => assert_eq!(answer, None, "{name}"),
            (text, Some((id, status, sequence))) => {
                let (wanted, statuses) = allowed(text);
                assert_eq!(id, wanted, "{name}");
                assert!(statuses.contains(&status), "{name}: {status:#x} is not one of {statuses:x?}");
                if verdict.closed.is_none() {
                    assert_eq!(sequence.to_be_bytes(), octets[12..16], "{name}");
                }
            }
            (text, None) => panic!("{name}: no answer, wanted {text}"),
        }
        match vector["connection"].as_str().unwrap() {
            "keep" => assert_eq!(verdict.closed, None, "{name}"),
            "close" => assert_eq!(verdict.closed, Some(CloseCause::Framing), "{name}"),
            _ => {}
        }
    }
}
