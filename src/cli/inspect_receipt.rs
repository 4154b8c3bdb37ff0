//! `hongyan inspect receipt`: how a receipt is read, as JSON with the fields of the receipt vectors. No arguments are
//! parsed and nothing is printed here.

use crate::text::receipt::{self, Dialect, ReceiptInput, Source};
use serde_json::{Value, json};

/// What the receipt says; `{"is_receipt": false}` if it is none. Dates stand as the carrier wrote them, without zone.
pub fn inspect(input: &ReceiptInput<'_>, dialect: &Dialect) -> Value {
    let Some(receipt) = receipt::parse(input, dialect) else { return json!({ "is_receipt": false }) };
    json!({
        "id": Some(&receipt.id).filter(|id| !id.is_empty()).map(|id| shown(id)),
        "id_source": receipt.id_source.map(Source::name),
        "sub": receipt.sub,
        "dlvrd": receipt.dlvrd,
        "submit_date": receipt.submit_date.map(|date| date.text()),
        "done_date": receipt.done_date.map(|date| date.text()),
        "stat": receipt.stat.as_deref().map(shown),
        "state": receipt.state.name(),
        "state_source": receipt.state_source.map(Source::name),
        "final": receipt.is_final,
        "err": receipt.error.as_deref().map(shown),
        "network_error": receipt.network_error.map(|[kind, high, low]| json!({ "type": kind, "code": u16::from_be_bytes([high, low]) })),
        "text": receipt.text.as_deref().map(shown),
        "is_receipt": true,
    })
}

/// Octets of unknown alphabet for people: UTF-8 if they are that, else Latin-1.
fn shown(octets: &[u8]) -> String {
    match std::str::from_utf8(octets) {
        Ok(text) => text.to_string(),
        Err(_) => octets.iter().map(|&octet| octet as char).collect(),
    }
}
