//! A recording as what was asked and what came of it: each submission with its answer, and the receipts that belong to it, whichever form their ids are in.

use super::{LIMITS, Taken, word};
use crate::smpp::tlv::tag;
use crate::smpp::{Pdu, Sm, command, decode};
use crate::text::id_form::{Id, IdForm};
use crate::text::receipt::{self, Dialect, ReceiptInput, Source};
use std::collections::HashMap;

/// A submission and what came of it, by places in the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The submit_sm.
    pub submit: usize,
    /// Its answer, if it was recorded.
    pub answer: Option<usize>,
    /// command_status of the answer.
    pub status: u32,
    /// The id in the answer.
    pub id: Vec<u8>,
    /// Receipts with its id and phone.
    pub receipts: Vec<usize>,
}

/// A receipt as its two places tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The id in the text, as written; empty if there is none.
    pub text_id: Vec<u8>,
    /// The id in receipted_message_id.
    pub tlv_id: Vec<u8>,
    /// What it says, read with the text first.
    pub state: crate::model::state::ReceiptState,
    /// Its word for the state.
    pub stat: Vec<u8>,
    /// The error as written.
    pub error: Vec<u8>,
    /// done date, as it stands.
    pub done: Option<crate::text::date::ReceiptDate>,
    /// sub: and dlvrd: stand there.
    pub counts: bool,
    /// text: stands there.
    pub quotes: bool,
    /// The text was packed.
    pub packed: bool,
}

/// How the ids of receipts relate to those of answers: how many receipts find their message so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Relation {
    /// The form that finds most.
    pub form: IdForm,
    /// So many.
    pub found: usize,
    /// Of these, with every octet the same.
    pub equal: usize,
}

/// All of a recording.
#[derive(Debug, Default)]
pub struct Exchanges {
    /// In the order of submitting.
    pub all: Vec<Exchange>,
    /// Every receipt with its place.
    pub receipts: Vec<(usize, Told)>,
    /// Of the ids in texts and in TLVs.
    pub by_text: Relation,
    /// See `by_text`.
    pub by_tlv: Relation,
}

/// The message that a deliver_sm or data_sm brings, as deliver_sm has it.
pub fn delivered<'a>(pdu: &Pdu<'a>) -> Option<Sm<'a>> {
    match pdu {
        Pdu::DeliverSm(sm) => Some(*sm),
        Pdu::DataSm(data) => Some(data.as_sm()),
        _ => None,
    }
}

/// What a delivery says, if it is a receipt.
pub fn told(sm: &Sm<'_>) -> Option<Told> {
    let input = ReceiptInput {
        esm_class: sm.esm_class,
        data_coding: sm.data_coding,
        body: sm.body(),
        receipted_message_id: sm.tlvs.first(tag::RECEIPTED_MESSAGE_ID),
        message_state: sm.tlvs.u8(tag::MESSAGE_STATE),
        network_error_code: sm.tlvs.first(tag::NETWORK_ERROR_CODE),
    };
    let tlv_id = sm.tlvs.first(tag::RECEIPTED_MESSAGE_ID).unwrap_or_default();
    let tlv_id = tlv_id.strip_suffix(b"\0").unwrap_or(tlv_id).to_vec();
    let dialect = Dialect { id_from: Source::Text, ..Dialect::default() };
    let plain = receipt::parse(&input, &dialect).filter(|parsed| !parsed.id.is_empty());
    let packed = || receipt::parse(&input, &Dialect { packed: true, ..dialect }).filter(|parsed| !parsed.id.is_empty());
    let (parsed, packed) = match plain {
        Some(parsed) => (parsed, false),
        None => (packed()?, true),
    };
    Some(Told {
        text_id: if parsed.id_source == Some(Source::Text) { parsed.id.to_vec() } else { Vec::new() },
        tlv_id,
        state: parsed.state,
        stat: parsed.stat.as_deref().unwrap_or_default().to_vec(),
        error: parsed.error.as_deref().unwrap_or_default().to_vec(),
        done: parsed.done_date,
        counts: parsed.sub.is_some() && parsed.dlvrd.is_some(),
        quotes: parsed.text.is_some(),
        packed,
    })
}

/// The last eight digits of a number, which are the same in whatever form it is written.
fn tail(number: &[u8]) -> &[u8] {
    &number[number.len().saturating_sub(8)..]
}

/// Takes a recording apart.
pub fn of(recording: &[Taken]) -> Exchanges {
    let mut exchanges = Exchanges::default();
    let mut open: HashMap<(u16, u32), usize> = HashMap::new();
    let mut phones: Vec<Vec<u8>> = Vec::new();
    // Of receipts: both addresses, since some carriers don't turn them round.
    let mut from: Vec<[Vec<u8>; 2]> = Vec::new();
    for (at, taken) in recording.iter().enumerate() {
        let key = (taken.connection, word(&taken.pdu, 3));
        match (word(&taken.pdu, 1), decode(&taken.pdu, &LIMITS)) {
            (command::SUBMIT_SM, Ok((_, Pdu::SubmitSm(sm)))) if taken.to_server => {
                open.insert(key, exchanges.all.len());
                phones.push(tail(sm.destination.addr).to_vec());
                exchanges.all.push(Exchange { submit: at, answer: None, status: 0, id: Vec::new(), receipts: Vec::new() });
            }
            (command::SUBMIT_SM_RESP, decoded) if !taken.to_server => {
                let Some(exchange) = open.remove(&key).and_then(|place| exchanges.all.get_mut(place)) else { continue };
                (exchange.answer, exchange.status) = (Some(at), word(&taken.pdu, 2));
                if let Ok((_, Pdu::SubmitSmResp(Some(body)))) = decoded {
                    exchange.id = body.message_id.to_vec();
                }
            }
            (_, Ok((_, pdu))) if !taken.to_server => {
                if let Some(sm) = delivered(&pdu)
                    && let Some(told) = told(&sm)
                {
                    from.push([sm.source.addr, sm.destination.addr].map(|addr| tail(addr).to_vec()));
                    exchanges.receipts.push((at, told));
                }
            }
            _ => {}
        }
    }
    let known = Known::of(&exchanges.all);
    let fits = |place: &usize, receipt: usize| from[receipt].contains(&phones[*place]);
    let relation = |id: fn(&Told) -> &Vec<u8>| {
        let mut best = Relation::default();
        for form in IdForm::ALL {
            let mut relation = Relation { form, ..Relation::default() };
            for (at, (_, told)) in exchanges.receipts.iter().enumerate() {
                if let Some(place) = known.find(id(told), form).filter(|place| fits(place, at)) {
                    relation.found += 1;
                    relation.equal += usize::from(exchanges.all[place].id == *id(told));
                }
            }
            if relation.found > best.found {
                best = relation;
            }
        }
        best
    };
    let (by_text, by_tlv) = (relation(|told| &told.text_id), relation(|told| &told.tlv_id));
    for (at, (place, told)) in exchanges.receipts.iter().enumerate() {
        let ids = [(&told.tlv_id, by_tlv), (&told.text_id, by_text)];
        let found = ids.iter().find_map(|(id, relation)| known.find(id, relation.form).filter(|place| fits(place, at)));
        if let Some(found) = found {
            exchanges.all[found].receipts.push(*place);
        }
    }
    (exchanges.by_text, exchanges.by_tlv) = (by_text, by_tlv);
    exchanges
}

/// Ids of answers, as written and without leading zeros.
struct Known {
    plain: HashMap<Id, usize>,
    stripped: HashMap<Id, usize>,
}

impl Known {
    fn of(all: &[Exchange]) -> Known {
        let ids = |form: IdForm| {
            let of = |(place, exchange): (usize, &Exchange)| {
                let mut id = Id::new();
                form.apply(&exchange.id, &mut id).then_some((id, place))
            };
            all.iter().enumerate().filter_map(of).collect()
        };
        Known { plain: ids(IdForm::Identity), stripped: ids(IdForm::StripZeros) }
    }

    fn find(&self, id: &[u8], form: IdForm) -> Option<usize> {
        let mut turned = Id::new();
        if !form.apply(id, &mut turned) {
            return None;
        }
        if form == IdForm::Identity { self.plain.get(&turned) } else { self.stripped.get(&turned) }.copied()
    }
}
