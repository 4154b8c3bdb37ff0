//! The habits of a simulated carrier, as plain data, and the dice by which it chooses between them.

use crate::config::{SimulatedGrammar, SimulatedWords};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// How a carrier writes its message ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum IdForm {
    /// `4711`
    Decimal,
    /// `1267`, lower case, no leading zeros.
    Hex,
    /// `126A`, upper case.
    HexUpper,
    /// Decimal, filled with zeros to ten digits.
    Padded,
    /// Upper-case hexadecimal, filled with zeros to eight digits.
    HexPadded,
    /// `8-4-4-4-12` hexadecimal digits, made from the number.
    Uuid,
}

/// Where a receipt shows the message id and the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptPlace {
    /// In the text only.
    Text,
    /// In the TLVs receipted_message_id and message_state only; the text is empty.
    Tlv,
    /// In both.
    Both,
}

/// On which bind a receipt comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptBind {
    /// On that of the submit, if it receives.
    Same,
    /// On another one, if there is one.
    Other,
    /// On any of them in turn.
    Any,
}

/// A share (0 to 1) of the cases in which `what` happens. Written `WHAT:SHARE`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share<T> {
    /// What happens.
    pub what: T,
    /// In which share of the cases.
    pub share: f64,
}

impl FromStr for Share<u32> {
    type Err = String;

    /// `0x58:0.01` or `88:0.01`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (what, share) = split_share(text)?;
        let status = match what.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => what.parse(),
        };
        Ok(Share { what: status.map_err(|_| format!("`{what}` is no status"))?, share })
    }
}

/// The state that a receipt reports: the number of message_state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StateNumber(pub u8);

impl FromStr for Share<StateNumber> {
    type Err = String;

    /// `delivered:0.9` (the long names of message_state) or `2:0.9`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (what, share) = split_share(text)?;
        let by_name = crate::model::state::ReceiptState::ALL.into_iter().position(|state| state.name().eq_ignore_ascii_case(what));
        let number = by_name.map(|place| place as u8).or_else(|| what.parse().ok().filter(|n| *n < 10));
        Ok(Share { what: StateNumber(number.ok_or_else(|| format!("`{what}` is no message state"))?), share })
    }
}

fn split_share(text: &str) -> Result<(&str, f64), String> {
    let (what, share) = text.split_once(':').ok_or("expected WHAT:SHARE, for example 0x58:0.01")?;
    let share: f64 = share.parse().map_err(|_| format!("`{share}` is no number"))?;
    if !(0.0..=1.0).contains(&share) {
        return Err(format!("a share is between 0 and 1, not {share}"));
    }
    Ok((what, share))
}

/// Everything that a simulated carrier does. The default is a quick, faithful one that delivers everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Time between submit_sm and its answer, milliseconds.
    pub answer_delay_ms: u64,
    /// Up to so much more, evenly spread, milliseconds.
    pub answer_jitter_ms: u64,
    /// Submits a second that are taken; what is above is answered `throttle_status`. 0: no limit.
    pub rate_per_s: u32,
    /// Submits that may come at once before the rate counts.
    pub burst: u32,
    /// Status of what is above the rate.
    pub throttle_status: u32,
    /// The only service_type that is taken; `None`: any.
    pub service_type: Option<String>,
    /// Tags of TLVs without which a submit is refused.
    pub required_tlvs: Vec<u16>,
    /// Statuses answered instead of 0, each with its share.
    pub errors: Vec<Share<u32>>,
    /// Share of submits that are taken and never answered.
    pub lost_answers: f64,
    /// States that receipts report, each with its share; the rest gets no receipt. A receipt is only sent where registered_delivery asks for it.
    pub receipts: Vec<Share<StateNumber>>,
    /// Time between the submit and its receipt, milliseconds.
    pub receipt_delay_ms: u64,
    /// Up to so much more, evenly spread, milliseconds.
    pub receipt_jitter_ms: u64,
    /// Share of receipts sent before the answer to their submit.
    pub early_receipts: f64,
    /// How long the answer comes after an early receipt, milliseconds.
    pub early_by_ms: u64,
    /// Share of receipts sent twice.
    pub duplicate_receipts: f64,
    /// Share of negative receipts after which the carrier changes its mind, and says delivered.
    pub corrected_receipts: f64,
    /// Parts of one text (by header or sar_ TLVs) get one receipt in all, with the id of the part that made it whole.
    pub one_receipt: bool,
    /// It answers query_sm (of what it took lately) rather than refuse it.
    pub query_sm: bool,
    /// Text in the default alphabet is packed, eight septets in seven octets, both ways.
    pub packed_text: bool,
    /// data_codings whose text reads as ASCII, and may be quoted.
    pub text_codings: Vec<u8>,
    /// Send an ENROUTE notification first, where registered_delivery asks for it.
    pub intermediate: bool,
    /// On which bind receipts come.
    pub receipt_bind: ReceiptBind,
    /// Where receipts show id and state.
    pub receipt_place: ReceiptPlace,
    /// The form of the id in the answer.
    pub id_answer: IdForm,
    /// The form of the id in the receipt's text.
    pub id_receipt: IdForm,
    /// The form of the id in receipted_message_id.
    pub id_tlv: IdForm,
    /// The receipt's text has `sub:` and `dlvrd:`.
    pub receipt_sub_dlvrd: bool,
    /// The receipt's text has `text:`.
    pub receipt_quote: bool,
    /// Digits of the receipt's dates: 10, 12 or 14.
    pub receipt_date_digits: u8,
    /// data_coding of receipts: 0, or 8 for UTF-16.
    pub receipt_data_coding: u8,
    /// esm_class of receipts: 4, or 0 as some send it.
    pub receipt_esm_class: u8,
    /// How the receipt's fields are put.
    pub receipt_grammar: SimulatedGrammar,
    /// Words for states.
    pub receipt_words: SimulatedWords,
    /// `err:` of what was delivered, and of what was not.
    pub receipt_errors: [String; 2],
    /// The receipt's text stands in message_payload.
    pub receipt_payload: bool,
    /// Receipts come by data_sm.
    pub receipt_data_sm: bool,
    /// A receipt comes from the phone, not from whom the message came.
    pub receipt_swapped: bool,
    /// Share of messages of which ACCEPTD is said first.
    pub accepted_first: f64,
    /// The number of the first id. A carrier that lives more than once begins by the clock ([`Behaviour::begin_ids_at`]), or gives the same ids again.
    pub id_start: u64,
    /// The carrier's clock against UTC, minutes.
    pub zone_min: i32,
    /// Hang up at every so many submits of a session, without answering. 0: never.
    pub hang_up_every: u64,
    /// Hang up when a session is so old, milliseconds. 0: never.
    pub hang_up_after_ms: u64,
    /// Unbind every session when it is so old, milliseconds (all binds that came together leave together). 0: never.
    pub unbind_after_ms: u64,
    /// Messages from phones, a second.
    pub inbound_per_s: f64,
    /// The service number that phones write to.
    pub inbound_to: String,
    /// A receipt or inbound message refused for now, or not answered, is sent again after so long, milliseconds.
    pub redeliver_ms: u64,
    /// How often it is tried in all.
    pub redeliver_tries: u8,
    /// Receipts and inbound messages that may wait in all; further ones are dropped and counted.
    pub waiting_max: usize,
}

/// 1 January 2020, wall milliseconds.
const EPOCH_MS: u64 = 1_577_836_800_000;
/// So long receipts are awaited at most by default, seconds; and ids a second that a padded form has room for in that time.
const PADDED_S: u64 = 72 * 3_600;
const PADDED_PER_S: u64 = 1_000;

impl Behaviour {
    /// Ids that no earlier life of the carrier has given, if this one begins at that time: they follow the clock, a million a second. Where a form is filled
    /// with zeros they must be short enough to need them: a thousand a second, and the same again after three days.
    #[must_use]
    pub fn begin_ids_at(self, wall_ms: u64) -> Behaviour {
        let is_padded =
            [self.id_answer, self.id_receipt, self.id_tlv].iter().any(|form| matches!(form, IdForm::Padded | IdForm::HexPadded));
        let since_ms = wall_ms.saturating_sub(EPOCH_MS);
        let id_start = match is_padded {
            true => self.id_start + since_ms / 1000 % PADDED_S * PADDED_PER_S,
            false => self.id_start + since_ms * 1000,
        };
        Behaviour { id_start, ..self }
    }
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            answer_delay_ms: 0,
            answer_jitter_ms: 0,
            rate_per_s: 0,
            burst: 100,
            throttle_status: crate::smpp::status::ESME_RTHROTTLED,
            service_type: None,
            required_tlvs: Vec::new(),
            errors: Vec::new(),
            lost_answers: 0.0,
            receipts: vec![Share { what: StateNumber(2), share: 1.0 }],
            receipt_delay_ms: 0,
            receipt_jitter_ms: 0,
            early_receipts: 0.0,
            early_by_ms: 20,
            duplicate_receipts: 0.0,
            corrected_receipts: 0.0,
            one_receipt: false,
            query_sm: false,
            packed_text: false,
            text_codings: vec![0, 1, 3],
            intermediate: false,
            receipt_bind: ReceiptBind::Same,
            receipt_place: ReceiptPlace::Both,
            id_answer: IdForm::Decimal,
            id_receipt: IdForm::Decimal,
            id_tlv: IdForm::Decimal,
            receipt_sub_dlvrd: true,
            receipt_quote: true,
            receipt_date_digits: 10,
            receipt_data_coding: 0,
            receipt_esm_class: 4,
            receipt_grammar: SimulatedGrammar::Standard,
            receipt_words: SimulatedWords::Standard,
            receipt_errors: ["000".to_owned(), "001".to_owned()],
            receipt_payload: false,
            receipt_data_sm: false,
            receipt_swapped: true,
            accepted_first: 0.0,
            id_start: 1_000_001,
            zone_min: 0,
            hang_up_every: 0,
            hang_up_after_ms: 0,
            unbind_after_ms: 0,
            inbound_per_s: 0.0,
            inbound_to: "10690000".to_owned(),
            redeliver_ms: 1_000,
            redeliver_tries: 100,
            waiting_max: 4_000_000,
        }
    }
}

/// Pseudo-random numbers from a seed (splitmix64): the same seed throws the same numbers.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice of this seed.
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    /// 64 even bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scramble(self.0)
    }

    /// A number in `0..=most`.
    pub fn up_to(&mut self, most: u64) -> u64 {
        if most == 0 { 0 } else { self.roll() % (most + 1) }
    }

    /// An even number in `0.0..1.0`.
    pub fn fraction(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True in this share of the cases. Throws nothing where there is nothing to choose.
    pub fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && (share >= 1.0 || self.fraction() < share)
    }

    /// One of `shares`, or none for the rest.
    pub fn choose<T: Copy>(&mut self, shares: &[Share<T>]) -> Option<T> {
        match shares {
            [] => None,
            [only] if only.share >= 1.0 => Some(only.what),
            _ => {
                let mut at = self.fraction();
                shares.iter().find_map(|entry| {
                    at -= entry.share;
                    (at < 0.0).then_some(entry.what)
                })
            }
        }
    }
}

/// The finisher of splitmix64: spreads the bits of `x`.
pub fn scramble(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_life_begins_behind_the_ids_of_the_one_before_and_padded_ones_still_need_their_zeros() {
        use crate::sim::delivery::write_id;
        let at_ms = 1_790_000_000_000;
        for form in [IdForm::Decimal, IdForm::HexUpper, IdForm::Padded, IdForm::HexPadded] {
            let habits = Behaviour { id_answer: form, id_receipt: form, id_tlv: form, ..Behaviour::default() };
            let [first, second] = [at_ms, at_ms + 10_000].map(|at_ms| habits.clone().begin_ids_at(at_ms).id_start);
            assert!(second >= first + 10_000, "{form:?}: {first} {second}");
            let is_padded = matches!(form, IdForm::Padded | IdForm::HexPadded);
            let most = habits.clone().begin_ids_at(EPOCH_MS + PADDED_S * 1000 - 1).id_start + 1_000_000;
            assert_eq!(write_id(if is_padded { most } else { 1 }, form)[0] == b'0', is_padded, "{form:?}");
        }
    }

    #[test]
    fn shares_are_read_and_kept_to() {
        assert_eq!("0x58:0.25".parse::<Share<u32>>().unwrap(), Share { what: 0x58, share: 0.25 });
        assert_eq!("delivered:1".parse::<Share<StateNumber>>().unwrap().what, StateNumber(2));
        assert!("0x58:1.5".parse::<Share<u32>>().is_err());
        assert!("0x58".parse::<Share<u32>>().is_err());
        assert!("lost:0.5".parse::<Share<StateNumber>>().is_err());
        let mut dice = Dice::new(7);
        let shares = [Share { what: 'a', share: 0.5 }, Share { what: 'b', share: 0.25 }];
        let mut seen = [0u32; 3];
        for _ in 0..40_000 {
            seen[match dice.choose(&shares) {
                Some('a') => 0,
                Some(_) => 1,
                None => 2,
            }] += 1;
        }
        assert!(seen[0].abs_diff(20_000) < 600 && seen[1].abs_diff(10_000) < 600 && seen[2].abs_diff(10_000) < 600, "{seen:?}");
    }

    #[test]
    fn a_behaviour_is_read_from_a_file_and_unknown_keys_are_refused() {
        let behaviour: Behaviour =
            toml::from_str("answer_delay_ms = 5\nid_receipt = \"hex_upper\"\nreceipts = [{ what = 2, share = 0.5 }]").unwrap();
        assert_eq!((behaviour.answer_delay_ms, behaviour.id_receipt, behaviour.receipts.len()), (5, IdForm::HexUpper, 1));
        assert!(toml::from_str::<Behaviour>("answer_delay = 5").is_err());
    }
}
