//! A carrier's profile as the simulated carrier reads it: the same file makes the link speak to a carrier and the
//! simulator behave as it.

use super::behaviour::{Behaviour, IdForm, ReceiptPlace, Share, StateNumber};
use super::smsc::SmscSettings;
use crate::config::{BindMode, Profile, SimulatedId, Zone};

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
    let delivered = Share { what: StateNumber(2), share: reported * habits.delivered_share };
    let undelivered = Share { what: StateNumber(5), share: reported * (1.0 - habits.delivered_share) };
    Behaviour {
        answer_delay_ms,
        answer_jitter_ms,
        rate_per_s: habits.throttle_above_per_s,
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
}
