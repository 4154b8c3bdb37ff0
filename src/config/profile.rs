//! A profile: all habits of one carrier, as data. The link reads it to speak with the carrier, the simulated carrier
//! reads the same file to behave as it.

use super::check::Checks;
use super::{ErrorClass, NationalLanguage, OctetRule, Simulate, Zone, default_error_class};
use crate::model::Encoding;
use serde::{Deserialize, Serialize};

/// All habits of one carrier.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// The name it was loaded by.
    #[serde(skip)]
    pub name: String,
    /// One line for people.
    pub description: String,
    /// What our submissions look like.
    pub shaping: Shaping,
    /// Alphabets and their data_coding.
    pub alphabets: Alphabets,
    /// What its receipts look like.
    pub receipts: ReceiptHabits,
    /// What its error codes mean.
    pub errors: ErrorRules,
    /// Which optional operations it answers.
    pub abilities: Abilities,
    /// Habits that only the simulated carrier needs to know.
    pub simulate: Simulate,
}

impl Profile {
    /// What a message's refusal with `status` means.
    pub fn error_class(&self, status: u32) -> ErrorClass {
        self.errors.class(status)
    }

    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        self.shaping.check(&format!("{at}.shaping"), c);
        self.alphabets.check(&format!("{at}.alphabets"), c);
        c.range(&format!("{at}.receipts"), "no_receipt_after_h", self.receipts.no_receipt_after_h, 1..=720);
        self.errors.check(&format!("{at}.errors"), c);
        self.simulate.check(&format!("{at}.simulate"), c);
    }
}

/// `[shaping]`: what a submission to this carrier looks like.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shaping {
    /// Form of the sender.
    pub source: AddressShape,
    /// Form of the number.
    pub destination: AddressShape,
    /// Sender where the message has none; empty: none. Default empty.
    pub default_sender: String,
    /// service_type; absent: as upstream wrote it. Up to 5 characters.
    pub service_type: Option<String>,
    /// protocol_id: `"keep"`, or a number. Default `"keep"`.
    pub protocol_id: OctetRule,
    /// priority_flag: `"keep"`, or a number. Default `"keep"`.
    pub priority: OctetRule,
    /// registered_delivery: `"auto"` (a final receipt when upstream asks for any report, none otherwise), `"keep"`, or a number. Default `"auto"`.
    pub registered_delivery: OctetRule,
    /// validity_period: `none`, `relative` or `absolute`. Default `relative`.
    pub validity: Validity,
    /// How a long text travels: `udh8`, `udh16`, `sar` or `payload`. Default `udh8`.
    pub concatenation: Concatenation,
    /// TLVs written into every submission.
    pub tlvs: Vec<StaticTlv>,
    /// Tags of TLVs passed on from upstream (whose account must allow them too). Default empty.
    pub pass_tlvs: Vec<u16>,
}

impl Default for Shaping {
    fn default() -> Shaping {
        Shaping {
            source: AddressShape::default(),
            destination: AddressShape::default(),
            default_sender: String::new(),
            service_type: None,
            protocol_id: OctetRule::Keep,
            priority: OctetRule::Keep,
            registered_delivery: OctetRule::Auto,
            validity: Validity::Relative,
            concatenation: Concatenation::Udh8,
            tlvs: Vec::new(),
            pass_tlvs: Vec::new(),
        }
    }
}

impl Shaping {
    fn check(&self, at: &str, c: &mut Checks) {
        self.source.check(&format!("{at}.source"), c);
        self.destination.check(&format!("{at}.destination"), c);
        c.length(at, "default_sender", &self.default_sender, 0..=crate::model::address::ADDRESS_MAX);
        c.length(at, "service_type", self.service_type.as_deref().unwrap_or(""), 0..=5);
        c.require(at, "protocol_id", self.protocol_id != OctetRule::Auto, "can't be \"auto\"", "\"keep\" or 0 to 255");
        let priority = match self.priority {
            OctetRule::Keep => true,
            OctetRule::Auto => false,
            OctetRule::Fixed(level) => level <= 4,
        };
        c.require(at, "priority", priority, "is no priority", "\"keep\" or 0 to 4");
        let registered = !matches!(self.registered_delivery, OctetRule::Fixed(32..));
        c.require(at, "registered_delivery", registered, "has bits that mean nothing", "\"auto\", \"keep\" or 0 to 31");
        for (index, tlv) in self.tlvs.iter().enumerate() {
            let one = tlv.text.is_some() != tlv.hex.is_some();
            c.require(
                at,
                &format!("tlvs[{index}]"),
                one && tlv.value().is_some(),
                "has no usable value",
                "text, or hex with an even number of digits",
            );
        }
    }
}

/// Form of an address. TON and NPI follow the form unless they are set.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AddressShape {
    /// `keep`, `digits` (8613...), `plus` (+8613...), `zeros` (008613...), `national` (the home country's code is cut). Only
    /// international numbers are changed; short codes and names stay. Default `digits`.
    pub form: AddressForm,
    /// TON: `"auto"` (1 international number, 2 national, 5 name, `short_code_ton` short code), `"keep"`, or 0 to 6. Default `"auto"`.
    pub ton: OctetRule,
    /// NPI: `"auto"` (1 for numbers, 0 for names), `"keep"`, or 0 to 18. Default `"auto"`.
    pub npi: OctetRule,
    /// TON of short codes under `"auto"`: 3 or 6 by operator. Default 3; 0 to 6.
    pub short_code_ton: u8,
    /// Written in front of every number. Default empty; up to 10 digits.
    pub prefix: String,
}

impl Default for AddressShape {
    fn default() -> AddressShape {
        AddressShape { form: AddressForm::Digits, ton: OctetRule::Auto, npi: OctetRule::Auto, short_code_ton: 3, prefix: String::new() }
    }
}

impl AddressShape {
    fn check(&self, at: &str, c: &mut Checks) {
        c.require(at, "ton", !matches!(self.ton, OctetRule::Fixed(7..)), "is no TON", "\"auto\", \"keep\" or 0 to 6");
        c.require(at, "npi", !matches!(self.npi, OctetRule::Fixed(19..)), "is no NPI", "\"auto\", \"keep\" or 0 to 18");
        c.range(at, "short_code_ton", self.short_code_ton, 0..=6);
        let digits = self.prefix.len() <= 10 && self.prefix.bytes().all(|digit| digit.is_ascii_digit() || digit == b'+');
        c.require(at, "prefix", digits, &format!("'{}' is no prefix", self.prefix), "up to 10 digits");
    }
}

/// How an international number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressForm {
    /// As upstream wrote it.
    Keep,
    /// Country code and digits: `8613812341234`.
    #[default]
    Digits,
    /// With `+`.
    Plus,
    /// With `00`.
    Zeros,
    /// Without the home country's code; numbers of other countries as `digits`.
    National,
}

/// How validity_period is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// Left empty: the carrier's default.
    None,
    /// What is left of it, as a relative time.
    #[default]
    Relative,
    /// Its end, in UTC.
    Absolute,
}

/// How a long text travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Concatenation {
    /// Parts with a user data header and an 8-bit reference.
    #[default]
    Udh8,
    /// Parts with a user data header and a 16-bit reference.
    Udh16,
    /// Parts with sar_ TLVs.
    Sar,
    /// Whole, in message_payload.
    Payload,
}

/// A TLV of every submission.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StaticTlv {
    /// Its tag.
    pub tag: u16,
    /// Its value as text; no terminator is added.
    pub text: Option<String>,
    /// Its value as hexadecimal digits.
    pub hex: Option<String>,
}

impl StaticTlv {
    /// The octets of its value; `None` if `hex` isn't hexadecimal (which a checked configuration doesn't hold).
    pub fn value(&self) -> Option<Vec<u8>> {
        if let Some(text) = &self.text {
            return Some(text.as_bytes().to_vec());
        }
        let hex = self.hex.as_deref()?;
        if !hex.len().is_multiple_of(2) || !hex.is_ascii() {
            return None;
        }
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect()
    }
}

/// What data_coding 0 means, and names of alphabets in general.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Alphabet {
    /// GSM 03.38, one septet an octet.
    #[default]
    Gsm7,
    /// GSM 03.38, packed.
    Gsm7Packed,
    /// ISO 8859-1.
    Latin1,
    /// UTF-8 (beyond the specification; some aggregators).
    Utf8,
    /// UTF-16, big-endian.
    Ucs2,
    /// Octets.
    Binary,
}

/// `[alphabets]`: which alphabets the carrier takes and which data_coding says so.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alphabets {
    /// What data_coding 0 means on this link, in both directions: `gsm7`, `gsm7_packed`, `latin1` or `utf8`. Default `gsm7`.
    pub default: Alphabet,
    /// data_coding of GSM-7 text. Default 0.
    pub gsm7: u8,
    /// data_coding of Latin-1 text. Default 3.
    pub latin1: u8,
    /// data_coding of UTF-16 text. Default 8.
    pub ucs2: u8,
    /// data_coding of binary. Default 4.
    pub binary: u8,
    /// Use Latin-1 for text that fits it and not GSM-7; otherwise such text goes as UCS-2. Default false.
    pub use_latin1: bool,
    /// Languages whose national shift tables its phones understand: used where they save parts of a Unicode text. Default empty.
    pub national_tables: Vec<NationalLanguage>,
}

impl Default for Alphabets {
    fn default() -> Alphabets {
        Alphabets { default: Alphabet::Gsm7, gsm7: 0, latin1: 3, ucs2: 8, binary: 4, use_latin1: false, national_tables: Vec::new() }
    }
}

impl Alphabets {
    /// data_coding for text in `encoding`; `None` where the message's own is kept.
    pub fn data_coding(&self, encoding: Encoding) -> Option<u8> {
        match encoding {
            Encoding::Gsm7 => Some(self.gsm7),
            Encoding::Latin1 => Some(self.latin1),
            Encoding::Ucs2 => Some(self.ucs2),
            Encoding::Binary => Some(self.binary),
            Encoding::Opaque => None,
        }
    }

    fn check(&self, at: &str, c: &mut Checks) {
        let text = !matches!(self.default, Alphabet::Ucs2 | Alphabet::Binary);
        c.require(at, "default", text, "can't be the meaning of data_coding 0", "gsm7, gsm7_packed, latin1 or utf8");
        let says_gsm7 = matches!(self.default, Alphabet::Gsm7 | Alphabet::Gsm7Packed) || self.gsm7 != 0;
        let usable = self.national_tables.is_empty() || says_gsm7;
        c.require(at, "national_tables", usable, "needs GSM-7 text", "default gsm7 or gsm7_packed, or a data_coding gsm7 other than 0");
    }
}

/// `[receipts]`: what this carrier's receipts look like.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiptHabits {
    /// How ids in receipts relate to those in submit_sm_resp. Default `auto`: learned.
    pub id: ReceiptIdHabit,
    /// Where the id of record stands: `auto` (TLV, else text), `tlv` or `text`. Default `auto`.
    pub id_source: IdSource,
    /// Zone of its dates: UTC, an IANA name or an offset. Default `UTC`.
    pub zone: Zone,
    /// ACCEPTD is final and means delivered. Default false.
    pub accepted_is_final: bool,
    /// UNKNOWN is final and means undelivered. Default false.
    pub unknown_is_final: bool,
    /// A long message of ours gets one receipt, not one per part. Default false.
    pub one_per_message: bool,
    /// No receipt for so long: the message ends as no_receipt, and ids are forgotten. Default 72; 1 to 720.
    pub no_receipt_after_h: u32,
}

impl Default for ReceiptHabits {
    fn default() -> ReceiptHabits {
        ReceiptHabits {
            id: ReceiptIdHabit::Auto,
            id_source: IdSource::Auto,
            zone: Zone::default(),
            accepted_is_final: false,
            unknown_is_final: false,
            one_per_message: false,
            no_receipt_after_h: 72,
        }
    }
}

/// How the id in a receipt relates to the id in submit_sm_resp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptIdHabit {
    /// Learned from the first pairs.
    #[default]
    Auto,
    /// Equal, octet for octet (blanks around them aside).
    Same,
    /// Equal but for case, `0x` and leading zeros.
    Folded,
    /// Hexadecimal in the response, decimal in the receipt.
    HexThenDecimal,
    /// Decimal in the response, hexadecimal in the receipt.
    DecimalThenHex,
}

/// Where the id of record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IdSource {
    /// The TLV if there is one, else the text.
    #[default]
    Auto,
    /// Only receipted_message_id.
    Tlv,
    /// Only the text's `id:`.
    Text,
}

/// `[errors]`: statuses whose meaning differs from the default table ([`default_error_class`]).
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorRules {
    /// Try again here, later.
    pub later: Vec<u32>,
    /// Slow the whole carrier; no attempt counted.
    pub throttle: Vec<u32>,
    /// Only another carrier may take it.
    pub elsewhere: Vec<u32>,
    /// Final.
    pub never: Vec<u32>,
    /// Meaning of vendor codes (0x400 to 0x4FF) that are not listed; absent: `elsewhere`.
    pub vendor: Option<ErrorClass>,
}

impl ErrorRules {
    /// The class of `status`.
    pub fn class(&self, status: u32) -> ErrorClass {
        for (list, class) in self.lists() {
            if list.contains(&status) {
                return class;
            }
        }
        match self.vendor {
            Some(class) if (0x400..=0x4FF).contains(&status) => class,
            _ => default_error_class(status),
        }
    }

    fn lists(&self) -> [(&[u32], ErrorClass); 4] {
        [
            (&self.later, ErrorClass::Later),
            (&self.throttle, ErrorClass::Throttle),
            (&self.elsewhere, ErrorClass::Elsewhere),
            (&self.never, ErrorClass::Never),
        ]
    }

    fn check(&self, at: &str, c: &mut Checks) {
        let mut seen = std::collections::BTreeSet::new();
        for (key, (list, _)) in ["later", "throttle", "elsewhere", "never"].into_iter().zip(self.lists()) {
            for &status in list {
                c.require(at, key, status != 0, "0 is no error", "status codes above 0");
                c.require(at, key, seen.insert(status), &format!("{status:#x} stands in two lists"), "each status once");
            }
        }
    }
}

/// `[abilities]`: optional operations.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Abilities {
    /// It answers query_sm, which settles doubts. Default false.
    pub query_sm: bool,
}
