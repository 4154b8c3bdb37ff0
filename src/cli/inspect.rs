//! `hongyan inspect`: reads the arguments of the inspectors and prints what they find; each one is a pure function in a file of its own.

use super::{Output, inspect_number, inspect_pdu, inspect_receipt, inspect_text, ranges};
use crate::smpp::pdu::Pdu;
use crate::smpp::tlv::{Tlvs, tag};
use crate::smpp::{DecodeLimits, Fault, decode, frame};
use crate::text::choose::{Options, Tables, Wanted};
use crate::text::receipt::{Dialect, ReceiptInput};
use crate::text::segment::{Concatenation, SegmentRule};
use crate::text::shift::{Language, Shifts};
use crate::text::transliterate::Transliteration;
use clap::Subcommand;
use std::io::Read;

/// Longest input on standard input, in octets.
const MAX_INPUT_BYTES: u64 = 16 << 20;
/// Longest PDU that is taken apart.
const MAX_PDU_BYTES: usize = 1 << 20;
/// As for the inspector of PDUs: an inspector shows long credentials rather than refusing them.
const LIMITS: DecodeLimits = DecodeLimits { system_id: 255, password: 255, any_tlv_length: false };

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Indented, for people
    #[arg(long, global = true)]
    pretty: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// One or more SMPP PDUs, field by field; one JSON object a line for each
    #[command(
        after_help = "Examples:\n  hongyan inspect pdu 00000010000000150000000000000001\n  hongyan inspect pdu --pretty '00 00 00 10 80 00 00 15 00 00 00 00 00 00 00 01'\n  xxd -p capture.bin | hongyan inspect pdu -"
    )]
    Pdu {
        /// Hexadecimal octets; blanks, colons and 0x are ignored; - reads standard input
        #[arg(value_name = "HEX", required = true, num_args = 1..)]
        hex: Vec<String>,
    },
    /// How a text is encoded and cut into segments, octet by octet
    #[command(
        after_help = "Examples:\n  hongyan inspect text 'Hello world'\n  hongyan inspect text --pretty --transliterate safe '“Hello”'\n  hongyan inspect text --ref-bits 16 --reference 0x12a5 \"$(cat letter.txt)\"\n  hongyan inspect text --single-shift turkish --locking-shift turkish 'şğıİ'"
    )]
    Text(TextArgs),
    /// A delivery receipt: id, state, dates and where each was found
    #[command(
        after_help = "Examples:\n  hongyan inspect receipt --text 'id:42 stat:DELIVRD done date:2603010831 err:000'\n  hongyan inspect receipt --pretty --pdu 000000a70000000500000000...\n  hongyan inspect receipt --text 'id:42 stat:DELIVRD' --esm-class 0"
    )]
    Receipt(ReceiptArgs),
    /// A phone number: canonical form, country, kind, operator
    #[command(
        after_help = "Examples:\n  hongyan inspect number +8613800138000\n  hongyan inspect number 07911123456 --home GB\n  hongyan inspect number 10690001 --ton 3"
    )]
    Number {
        /// The number as somebody wrote it
        number: String,
        /// Country of numbers written without a country code
        #[arg(long, value_name = "ISO", default_value = "CN")]
        home: String,
        /// The configuration whose range tables are asked; without it, the shipped ones
        #[arg(short, long, value_name = "FILE")]
        config: Option<std::path::PathBuf>,
        /// Type of number, as in an SMPP address
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=6))]
        ton: u8,
    },
}

#[derive(Debug, clap::Args)]
struct TextArgs {
    /// The text; - reads standard input
    text: String,
    /// What may be replaced to reach the short alphabet: none, safe or lossy
    #[arg(long, value_name = "LEVEL", default_value = "none", num_args = 0..=1, default_missing_value = "safe", require_equals = false,
        value_parser = clap::builder::PossibleValuesParser::new(["none", "safe", "lossy"]))]
    transliterate: String,
    /// Width of the reference of a long text: 8 or 16 bits
    #[arg(long, value_name = "BITS", default_value = "8", value_parser = clap::builder::PossibleValuesParser::new(["8", "16"]))]
    ref_bits: String,
    /// The reference of a long text [default: 0xa5, or 0x12a5 with 16 bits]
    #[arg(long, value_name = "N", value_parser = word)]
    reference: Option<u16>,
    /// auto, gsm7, latin1 or ucs2
    #[arg(long, value_name = "ENCODING", default_value = "auto", value_parser = clap::builder::PossibleValuesParser::new(Wanted::ALL.map(Wanted::name)))]
    encoding: String,
    /// Language whose single shift table may be used
    #[arg(long, value_name = "LANGUAGE", default_value = "none", value_parser = language)]
    single_shift: MaybeLanguage,
    /// Language whose locking shift table may be used
    #[arg(long, value_name = "LANGUAGE", default_value = "none", value_parser = language)]
    locking_shift: MaybeLanguage,
}

/// A language, or none.
#[derive(Debug, Clone, Copy)]
struct MaybeLanguage(Option<Language>);

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("source").required(true).args(["text", "pdu"]))]
struct ReceiptArgs {
    /// The receipt's text
    #[arg(long)]
    text: Option<String>,
    /// A whole deliver_sm or data_sm in hexadecimal
    #[arg(long, value_name = "HEX")]
    pdu: Option<String>,
    /// esm_class of the text
    #[arg(long, value_name = "N", default_value = "4", value_parser = octet, conflicts_with = "pdu")]
    esm_class: u8,
    /// data_coding of the text; with 8 the text is turned into UTF-16 first
    #[arg(long, value_name = "N", default_value = "0", value_parser = octet, conflicts_with = "pdu")]
    data_coding: u8,
    /// ACCEPTD is final
    #[arg(long)]
    accepted_is_final: bool,
    /// UNKNOWN is final
    #[arg(long)]
    unknown_is_final: bool,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), String> {
    match &args.what {
        What::Pdu { hex } => pdu(hex, args.pretty, output),
        What::Text(text_args) => text(text_args, args.pretty, output),
        What::Receipt(receipt_args) => receipt(receipt_args, args.pretty, output),
        What::Number { number, home, config, ton } => {
            let (table, _) = ranges::table(config.as_ref())?;
            output.json(&inspect_number::inspect(number, *ton, ranges::region(home)?, &table), args.pretty);
            Ok(())
        }
    }
}

fn pdu(hex: &[String], pretty: bool, output: &mut Output) -> Result<(), String> {
    let octets = octets(&hex.join(" "))?;
    if octets.is_empty() {
        return Err("no octets were given".to_owned());
    }
    let mut rest = octets.as_slice();
    while !rest.is_empty() {
        let one = match frame::next(rest, MAX_PDU_BYTES) {
            Ok(Some(one)) => one,
            Ok(None) => return Err(format!("{} octets are left, which is less than a whole PDU", rest.len())),
            Err(error) => return Err(error.to_string()),
        };
        let json = match inspect_pdu::pdu_json(one) {
            Err(error) if error.fault == Fault::Command => inspect_pdu::unknown_json(one, &error.header),
            read => read.map_err(|error| inspect_pdu::refusal(&error))?,
        };
        output.json(&json, pretty);
        rest = &rest[one.len()..];
    }
    Ok(())
}

fn text(args: &TextArgs, pretty: bool, output: &mut Output) -> Result<(), String> {
    let (concatenation, usual) = if args.ref_bits == "16" { (Concatenation::Udh16, 0x12A5) } else { (Concatenation::Udh8, 0xA5) };
    let reference = args.reference.unwrap_or(usual);
    if args.ref_bits == "8" && reference > 0xFF {
        return Err(format!("--reference {reference:#x} needs --ref-bits 16"));
    }
    let options = Options {
        wanted: Wanted::from_name(&args.encoding).expect("the argument is one of these names"),
        transliteration: Transliteration::from_name(&args.transliterate).expect("the argument is one of these names"),
        tables: Tables::Exactly(Shifts { single: args.single_shift.0, locking: args.locking_shift.0 }),
        rule: SegmentRule::new(concatenation),
    };
    let typed = if args.text == "-" { read_input()? } else { args.text.clone() };
    let found = inspect_text::inspect(&typed, &options, reference).map_err(|error| error.to_string())?;
    output.json(&found, pretty);
    Ok(())
}

fn receipt(args: &ReceiptArgs, pretty: bool, output: &mut Output) -> Result<(), String> {
    let dialect = Dialect { accepted_is_final: args.accepted_is_final, unknown_is_final: args.unknown_is_final, ..Dialect::default() };
    let found = if let Some(hex) = &args.pdu {
        let octets = octets(hex)?;
        let (_, pdu) = decode(&octets, &LIMITS).map_err(|error| inspect_pdu::refusal(&error))?;
        let input = match &pdu {
            Pdu::DeliverSm(sm) => input(sm.esm_class, sm.data_coding, sm.short_message, &sm.tlvs),
            Pdu::DataSm(sm) => input(sm.esm_class, sm.data_coding, &[], &sm.tlvs),
            _ => return Err("a receipt is a deliver_sm or a data_sm; this PDU is neither".to_owned()),
        };
        inspect_receipt::inspect(&input, &dialect)
    } else {
        let text = args.text.as_deref().unwrap_or_default();
        let body: Vec<u8> =
            if args.data_coding == 8 { text.encode_utf16().flat_map(u16::to_be_bytes).collect() } else { text.as_bytes().to_vec() };
        let input = ReceiptInput { esm_class: args.esm_class, data_coding: args.data_coding, body: &body, ..ReceiptInput::default() };
        inspect_receipt::inspect(&input, &dialect)
    };
    output.json(&found, pretty);
    Ok(())
}

/// What a receipt's PDU says, for the reader of receipts.
fn input<'a>(esm_class: u8, data_coding: u8, short_message: &'a [u8], tlvs: &Tlvs<'a>) -> ReceiptInput<'a> {
    ReceiptInput {
        esm_class,
        data_coding,
        body: tlvs.first(tag::MESSAGE_PAYLOAD).unwrap_or(short_message),
        receipted_message_id: tlvs.first(tag::RECEIPTED_MESSAGE_ID),
        message_state: tlvs.u8(tag::MESSAGE_STATE),
        network_error_code: tlvs.first(tag::NETWORK_ERROR_CODE),
    }
}

/// Standard input, up to its bound.
fn read_input() -> Result<String, String> {
    let mut typed = String::new();
    std::io::stdin().take(MAX_INPUT_BYTES).read_to_string(&mut typed).map_err(|error| format!("standard input can't be read: {error}"))?;
    Ok(typed)
}

/// The octets that `text` writes in hexadecimal; `-` reads standard input.
fn octets(text: &str) -> Result<Vec<u8>, String> {
    let typed = if text.trim() == "-" { read_input()? } else { text.to_owned() };
    let plain = typed.replace("0x", "").replace(|c: char| c.is_whitespace() || c == ':' || c == ',', "");
    if let Some(odd) = plain.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err(format!("'{odd}' is no hexadecimal digit"));
    }
    if !plain.len().is_multiple_of(2) {
        return Err(format!("{} hexadecimal digits are no whole number of octets", plain.len()));
    }
    let pair = |at: usize| u8::from_str_radix(&plain[at..at + 2], 16).expect("every character was seen to be a hexadecimal digit");
    Ok((0..plain.len()).step_by(2).map(pair).collect())
}

/// The name of a language with national tables, or `none`.
fn language(text: &str) -> Result<MaybeLanguage, String> {
    if text == "none" {
        return Ok(MaybeLanguage(None));
    }
    let names = || Language::ALL.map(Language::name).join(", ");
    Language::from_name(text).map(|language| MaybeLanguage(Some(language))).ok_or_else(|| format!("allowed: none, {}", names()))
}

/// A 16-bit number in decimal or hexadecimal.
fn word(text: &str) -> Result<u16, String> {
    let read = text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u16::from_str_radix(hex, 16).ok());
    read.ok_or_else(|| "allowed: 0 to 65535, or 0x0000 to 0xffff".to_owned())
}

/// An octet in decimal or hexadecimal.
fn octet(text: &str) -> Result<u8, String> {
    let read = text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u8::from_str_radix(hex, 16).ok());
    read.ok_or_else(|| "allowed: 0 to 255, or 0x00 to 0xff".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_may_be_written_as_people_and_tools_write_it() {
        for text in ["00ff10", "00 FF 10", "0x00 0xff 0x10", "00:ff:10", "00\nff10\n"] {
            assert_eq!(octets(text), Ok(vec![0, 255, 16]), "{text}");
        }
        assert!(octets("0g").unwrap_err().contains("'g'") && octets("000").unwrap_err().contains("3 hexadecimal"));
        assert_eq!((octet("0x20"), octet("4")), (Ok(32), Ok(4)));
        assert!(octet("256").is_err());
    }
}
