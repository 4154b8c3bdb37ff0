//! `hongyan inspect text`: how a text is encoded and cut, as JSON with the fields of the text vectors. No arguments are
//! parsed and nothing is printed here.

use crate::model::Encoding;
use crate::text::choose::{self, DoesNotFit, Options};
use crate::text::segment::{self, SegmentView};
use crate::text::{data_coding, gsm7};
use serde_json::{Map, Value, json};

/// esm_class with the header indicator.
const HEADER_INDICATOR: u8 = 0x40;

/// How `text` goes out under `options` with this reference: encoding, units, segments and the octets of each part. Texts
/// that carriers cut themselves (message_payload) have one part.
pub fn inspect(text: &str, options: &Options, reference: u16) -> Result<Value, DoesNotFit> {
    let chosen = choose::choose(text, options)?;
    let counted = choose::count(&chosen.body, &options.rule);
    let encoding = chosen.body.encoding;
    let mut parts = Vec::new();
    let mut has_header = false;
    segment::for_each(&chosen.body, &options.rule, reference, &mut Vec::new(), |view| {
        has_header = view.has_header;
        parts.push(part_json(encoding, options.rule.packed, view));
    });
    let mut out = Map::new();
    out.insert("encoding".into(), json!(encoding_name(encoding)));
    out.insert("data_coding".into(), json!(data_coding::moved(0, encoding)));
    out.insert("units".into(), json!(counted.units));
    out.insert("segments".into(), json!(counted.parts));
    out.insert("esm_class".into(), json!(if has_header { HEADER_INDICATOR } else { 0 }));
    if let Some(sent) = chosen.text_sent {
        out.insert("text_sent".into(), json!(sent));
    }
    out.insert("parts".into(), Value::Array(parts));
    Ok(Value::Object(out))
}

fn encoding_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Opaque => "opaque",
        read => read.name(),
    }
}

fn part_json(encoding: Encoding, packed: bool, view: SegmentView<'_>) -> Value {
    let header_octets = if view.has_header { usize::from(view.octets[0]) + 1 } else { 0 };
    let (header, text) = view.octets.split_at(header_octets);
    let units = match encoding {
        Encoding::Gsm7 if packed => gsm7::packed_septets(text.len(), gsm7::fill_bits(header_octets)),
        Encoding::Ucs2 => text.len() / 2,
        _ => text.len(),
    };
    let mut out = Map::new();
    out.insert("units".into(), json!(units));
    out.insert("short_message_hex".into(), json!(hex(view.octets)));
    if encoding == Encoding::Gsm7 {
        let user_data = if packed {
            view.octets.to_vec()
        } else {
            let mut user_data = header.to_vec();
            gsm7::pack(text, gsm7::fill_bits(header_octets), false, &mut user_data);
            user_data
        };
        out.insert("packed_ud_hex".into(), json!(hex(&user_data)));
    }
    if let Some((reference, total, number)) = view.sar {
        out.insert("sar".into(), json!({ "reference": reference, "total": total, "number": number }));
    }
    Value::Object(out)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().flat_map(|octet| [octet >> 4, octet & 0x0F]).map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
}
