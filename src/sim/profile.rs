//! A carrier's profile as the simulated carrier reads it: the same file makes the link speak to a carrier and the
//! simulator behave as it.

use super::behaviour::{Behaviour, IdForm, ReceiptPlace, Share, StateNumber};
use super::smsc::SmscSettings;
use crate::config::{Alphabet, BindMode, Profile, SimulatedId, Zone};
use crate::model::state::ReceiptState;
use crate::smpp::status;

impl From<SimulatedId> for IdForm {
    fn from(form: SimulatedId) -> IdForm {
        match form {
            SimulatedId::Decimal => IdForm::Decimal,
            SimulatedId::DecimalPadded => IdForm::Padded,
            SimulatedId::Hex => IdForm::Hex,
            SimulatedId::HexUpper => IdForm::HexUpper,
            SimulatedId::HexPadded => IdForm::HexPadded,
            SimulatedId::Uuid => IdForm::Uuid,
        }
    }
}

/// The habits that `profile` describes. Its zone is taken as it stands at `wall_ms`.
pub fn behaviour_of(profile: &Profile, wall_ms: u64) -> Behaviour {
    let habits = &profile.simulate;
    let spread = |[least, most]: [u64; 2]| (least, most.saturating_sub(least));
    let (answer_delay_ms, answer_jitter_ms) = spread(habits.response_delay_ms);
    let (receipt_delay_ms, receipt_jitter_ms) = spread(habits.receipt_delay_ms);
    let reported = 1.0 - habits.missing_receipt_share;
    // Where ACCEPTD means delivered it is what such a carrier says of what was delivered; so with UNKNOWN.
    let good = if profile.receipts.accepted_is_final { ReceiptState::Accepted } else { ReceiptState::Delivered };
    let bad = if profile.receipts.unknown_is_final { ReceiptState::Unknown } else { ReceiptState::Undeliverable };
    let delivered = Share { what: StateNumber(good as u8), share: reported * habits.delivered_share };
    let undelivered = Share { what: StateNumber(bad as u8), share: reported * (1.0 - habits.delivered_share) };
    let alphabets = &profile.alphabets;
    let mut text_codings = vec![1, alphabets.gsm7, alphabets.latin1];
    if !matches!(alphabets.default, Alphabet::Ucs2 | Alphabet::Binary) {
        text_codings.push(0);
    }
    Behaviour {
        answer_delay_ms,
        answer_jitter_ms,
        rate_per_s: habits.throttle_above_per_s,
        throttle_status: profile.errors.throttle.first().copied().unwrap_or(status::ESME_RTHROTTLED),
        service_type: profile.shaping.service_type.clone(),
        required_tlvs: profile.shaping.tlvs.iter().map(|tlv| tlv.tag).collect(),
        one_receipt: profile.receipts.one_per_message,
        query_sm: profile.abilities.query_sm,
        packed_text: alphabets.default == Alphabet::Gsm7Packed,
        text_codings,
        errors: habits.refusals.iter().map(|refusal| Share { what: refusal.status, share: refusal.share }).collect(),
        lost_answers: habits.lost_answer_share,
        receipts: [delivered, undelivered].into_iter().filter(|entry| entry.share > 0.0).collect(),
        receipt_delay_ms,
        receipt_jitter_ms,
        early_receipts: habits.early_receipt_share,
        duplicate_receipts: habits.duplicate_receipt_share,
        receipt_place: match (habits.receipt_text, habits.receipt_tlvs) {
            (true, true) => ReceiptPlace::Both,
            (false, true) => ReceiptPlace::Tlv,
            (_, false) => ReceiptPlace::Text,
        },
        id_answer: habits.response_id.into(),
        id_receipt: habits.receipt_id.into(),
        id_tlv: habits.receipt_tlv_id.into(),
        receipt_sub_dlvrd: habits.receipt_sub_dlvrd,
        receipt_quote: habits.receipt_quote,
        receipt_date_digits: habits.receipt_date_digits,
        receipt_data_coding: habits.receipt_data_coding,
        receipt_esm_class: habits.receipt_esm_class,
        receipt_grammar: habits.receipt_grammar,
        receipt_words: habits.receipt_words,
        receipt_errors: habits.receipt_errors.clone(),
        receipt_payload: habits.receipt_payload,
        receipt_data_sm: habits.receipt_data_sm,
        receipt_swapped: habits.receipt_swapped,
        accepted_first: habits.accepted_first_share,
        zone_min: offset_min(&profile.receipts.zone, wall_ms),
        hang_up_after_ms: habits.hang_up_after_ms,
        inbound_per_s: habits.inbound_per_s,
        ..Behaviour::default()
    }
}

fn offset_min(zone: &Zone, wall_ms: u64) -> i32 {
    let at = jiff::Timestamp::from_millisecond(wall_ms as i64).unwrap_or_default();
    zone.tz().to_offset(at).seconds() / 60
}

/// Settings of a carrier of this profile, otherwise the defaults.
pub fn settings_of(profile: &Profile, wall_ms: u64) -> SmscSettings {
    SmscSettings {
        no_transceiver: profile.simulate.bind == BindMode::TxRx,
        interface_version: profile.simulate.interface_version,
        behaviour: behaviour_of(profile, wall_ms),
        ..SmscSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shipped_profile_becomes_its_behaviour() {
        let profile = Profile::shipped("hex-ids").unwrap();
        let behaviour = behaviour_of(&profile, 1_790_000_000_000);
        assert_eq!((behaviour.id_answer, behaviour.id_receipt, behaviour.zone_min), (IdForm::HexUpper, IdForm::Padded, 480));
        assert_eq!((behaviour.receipt_place, behaviour.receipt_sub_dlvrd, behaviour.receipt_date_digits), (ReceiptPlace::Text, false, 12));
        assert!(behaviour.early_receipts > 0.0 && behaviour.receipts.len() == 1);
    }

    #[test]
    fn every_habit_that_shows_on_the_carriers_side_is_taken_over() {
        let mut profile = Profile::shipped("text-receipts").unwrap();
        let behaviour = behaviour_of(&profile, 1_790_000_000_000);
        assert!(behaviour.one_receipt && behaviour.query_sm && !behaviour.packed_text);
        assert_eq!((behaviour.throttle_status, behaviour.service_type), (0x58, None));
        profile.errors.throttle = vec![0x401];
        profile.shaping.service_type = Some("A2P".into());
        profile.shaping.tlvs = vec![crate::config::StaticTlv { tag: 0x1401, text: Some("x".into()), hex: None }];
        profile.alphabets.default = Alphabet::Gsm7Packed;
        profile.receipts.accepted_is_final = true;
        profile.simulate.delivered_share = 0.5;
        let behaviour = behaviour_of(&profile, 1_790_000_000_000);
        assert_eq!((behaviour.throttle_status, behaviour.service_type.as_deref()), (0x401, Some("A2P")));
        assert_eq!((behaviour.required_tlvs, behaviour.packed_text), (vec![0x1401], true));
        let reported: Vec<u8> = behaviour.receipts.iter().map(|share| share.what.0).collect();
        assert_eq!(reported, [6, 7], "ACCEPTD and UNKNOWN, since both are final here");
    }
}
