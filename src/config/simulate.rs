//! The part of a profile that only the simulated carrier reads: what it does beyond what the link needs to know. The rest stands in `profile`.

use super::BindMode;
use super::check::Checks;
use serde::{Deserialize, Serialize};

/// `[simulate]`: how the simulated carrier behaves beyond what the link needs to know. Shares are of 1: 0.25 is a quarter.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Simulate {
    /// Binds that it offers: `trx` (all kinds) or `tx+rx` (bind_transceiver is refused). Default `trx`.
    pub bind: BindMode,
    /// Its interface_version. Default 0x34.
    pub interface_version: u8,
    /// Its ids in submit_sm_resp. Default `decimal`.
    pub response_id: SimulatedId,
    /// Its ids in the receipt's text. Default `decimal`.
    pub receipt_id: SimulatedId,
    /// Its ids in receipted_message_id. Default `decimal`.
    pub receipt_tlv_id: SimulatedId,
    /// Receipts carry TLVs. Default true.
    pub receipt_tlvs: bool,
    /// Receipts carry text. Default true.
    pub receipt_text: bool,
    /// The text has `sub:` and `dlvrd:`. Default true.
    pub receipt_sub_dlvrd: bool,
    /// The text has `text:`. Default true.
    pub receipt_quote: bool,
    /// Digits of its dates: 10, 12 or 14. Default 10.
    pub receipt_date_digits: u8,
    /// data_coding of receipts: 0 or 8. Default 0.
    pub receipt_data_coding: u8,
    /// esm_class of receipts: 4, or 0 as some send it. Default 4.
    pub receipt_esm_class: u8,
    /// How its receipts put their fields: `standard`, `reordered` (state first, id last, `Text:`) or `joined` (`submit_date=`, semicolons, an ending
    /// line break). Default `standard`.
    pub receipt_grammar: SimulatedGrammar,
    /// Its words for states: `standard` (DELIVRD), `long` (DELIVERED) or `codes` (MK:0012 for what failed). Default `standard`.
    pub receipt_words: SimulatedWords,
    /// What `err:` says of what was delivered and of what was not. Default 000 and 001; up to 8 characters.
    pub receipt_errors: [String; 2],
    /// The text of receipts stands in message_payload. Default false.
    pub receipt_payload: bool,
    /// Receipts come by data_sm. Default false.
    pub receipt_data_sm: bool,
    /// A receipt comes from the phone; false: its addresses are those of the submission, as they were. Default true.
    pub receipt_swapped: bool,
    /// Share of messages of which ACCEPTD is said first. Default 0.
    pub accepted_first_share: f64,
    /// Least and most time to an answer. Default 0 and 0; up to 600,000.
    pub response_delay_ms: [u64; 2],
    /// Least and most time from answer to receipt. Default 100 and 500; up to 86,400,000.
    pub receipt_delay_ms: [u64; 2],
    /// Share of receipts that say delivered; the rest says undelivered. Default 1.
    pub delivered_share: f64,
    /// Share of messages that never get their receipt. Default 0.
    pub missing_receipt_share: f64,
    /// Share of receipts sent twice. Default 0.
    pub duplicate_receipt_share: f64,
    /// Share of receipts sent before their answer. Default 0.
    pub early_receipt_share: f64,
    /// Share of answers that are never sent although the message is taken. Default 0.
    pub lost_answer_share: f64,
    /// Shares of messages refused, by status: `{ status = 0x08, share = 0.01 }`. Default empty.
    pub refusals: Vec<SimulatedRefusal>,
    /// Segments a second above which it answers 0x58; 0: never. Default 0.
    pub throttle_above_per_s: u32,
    /// Ends each connection after so long; 0: never. Default 0.
    pub hang_up_after_ms: u64,
    /// Messages from phones a second. Default 0.
    pub inbound_per_s: f64,
}

/// One kind of refusal of the simulated carrier.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatedRefusal {
    /// command_status.
    pub status: u32,
    /// Share of messages.
    pub share: f64,
}

impl Default for Simulate {
    fn default() -> Simulate {
        Simulate {
            bind: BindMode::Trx,
            interface_version: 0x34,
            response_id: SimulatedId::Decimal,
            receipt_id: SimulatedId::Decimal,
            receipt_tlv_id: SimulatedId::Decimal,
            receipt_tlvs: true,
            receipt_text: true,
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
            accepted_first_share: 0.0,
            response_delay_ms: [0, 0],
            receipt_delay_ms: [100, 500],
            delivered_share: 1.0,
            missing_receipt_share: 0.0,
            duplicate_receipt_share: 0.0,
            early_receipt_share: 0.0,
            lost_answer_share: 0.0,
            refusals: Vec::new(),
            throttle_above_per_s: 0,
            hang_up_after_ms: 0,
            inbound_per_s: 0.0,
        }
    }
}

impl Simulate {
    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        c.version(at, "interface_version", self.interface_version);
        let digits = matches!(self.receipt_date_digits, 10 | 12 | 14);
        c.require(at, "receipt_date_digits", digits, &format!("is {}", self.receipt_date_digits), "10, 12 or 14");
        let coding = matches!(self.receipt_data_coding, 0 | 8);
        c.require(at, "receipt_data_coding", coding, &format!("is {}", self.receipt_data_coding), "0 or 8");
        let class = matches!(self.receipt_esm_class, 0 | 4);
        c.require(at, "receipt_esm_class", class, &format!("is {}", self.receipt_esm_class), "0 or 4");
        self.receipt_errors.iter().for_each(|error| c.length(at, "receipt_errors", error, 0..=8));
        c.require(at, "receipt_text", self.receipt_text || self.receipt_tlvs, "and receipt_tlvs are both off", "one of them, or both");
        for (key, [least, most], bound) in
            [("response_delay_ms", self.response_delay_ms, 600_000), ("receipt_delay_ms", self.receipt_delay_ms, 86_400_000)]
        {
            c.require(at, key, least <= most && most <= bound, "is no span of time", &format!("[least, most], at most {bound}"));
        }
        for (key, share) in [
            ("delivered_share", self.delivered_share),
            ("missing_receipt_share", self.missing_receipt_share),
            ("duplicate_receipt_share", self.duplicate_receipt_share),
            ("accepted_first_share", self.accepted_first_share),
            ("early_receipt_share", self.early_receipt_share),
            ("lost_answer_share", self.lost_answer_share),
        ] {
            c.range(at, key, share, 0.0..=1.0);
        }
        let sum: f64 = self.refusals.iter().map(|refusal| refusal.share).sum();
        let sane = self.refusals.iter().all(|refusal| refusal.status != 0 && refusal.share >= 0.0) && sum <= 1.0;
        c.require(at, "refusals", sane, "are no shares of statuses", "statuses above 0 whose shares sum up to 1 at most");
        c.range(at, "inbound_per_s", self.inbound_per_s, 0.0..=100_000.0);
    }
}

/// How the simulated carrier puts the fields of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SimulatedGrammar {
    /// As Appendix B has it.
    #[default]
    Standard,
    /// State first, id last.
    Reordered,
    /// `id=1;submit_date=...;status=...` and a line break.
    Joined,
}

/// The simulated carrier's words for states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SimulatedWords {
    /// DELIVRD, UNDELIV.
    #[default]
    Standard,
    /// DELIVERED, UNDELIVERABLE.
    Long,
    /// DELIVRD, and MK:0012 for what failed.
    Codes,
}

/// How the simulated carrier writes an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SimulatedId {
    /// Decimal digits.
    #[default]
    Decimal,
    /// Ten decimal digits with leading zeros.
    DecimalPadded,
    /// Lower-case hexadecimal.
    Hex,
    /// Upper-case hexadecimal.
    HexUpper,
    /// Eight hexadecimal digits with leading zeros, lower case.
    HexPadded,
    /// A UUID, upper or lower case by place.
    Uuid,
}
