//! The events of a group as JSON, for `hongyan store dump`: what happened to which message, numbers masked, texts only by their length.

use crate::engine::event::{self, Event};
use crate::engine::port::Delivery;
use crate::model::address::mask;
use crate::number::unpack;
use serde_json::{Value, json};

/// Every event of a group in order, each with its batch.
///
/// # Errors
/// Says in words why the octets are not events.
pub fn decode(group: &[u8]) -> Result<Value, String> {
    let mut events = Vec::new();
    event::read_group(group, &mut |batch, event| events.push(value_of(batch, &event))).map_err(|error| error.to_string())?;
    Ok(Value::Array(events))
}

fn value_of(batch: u64, event: &Event) -> Value {
    let id = |message: &crate::model::MessageId| message.to_string();
    let mut value = match event {
        Event::Accepted(m) => json!({
            "event": "accepted", "message": id(&m.id), "account": m.account.0, "class": m.class.name(),
            "source": m.source.to_string(), "destination": m.destination.to_string(), "body_octets": m.body.octets.len(),
            "accepted_ms": m.accepted_ms, "due_ms": m.due_ms, "expires_ms": m.expires_ms,
        }),
        Event::Attempt { message, carrier } => json!({ "event": "attempt", "message": id(message), "carrier": carrier.0 }),
        Event::Sent { message, part, parts, carrier, at_ms, carrier_id, .. } => json!({
            "event": "sent", "message": id(message), "part": part, "parts": parts, "carrier": carrier.0, "at_ms": at_ms,
            "carrier_id": String::from_utf8_lossy(carrier_id),
        }),
        Event::SentBefore { message, part, parts, carrier, at_ms, reported, .. } => json!({
            "event": "sent_before", "message": id(message), "part": part, "parts": parts, "carrier": carrier.0, "at_ms": at_ms, "reported": reported,
        }),
        Event::Receipt { message, part, at_ms, facts } => json!({
            "event": "receipt", "message": id(message), "part": part, "at_ms": at_ms, "state": facts.state.name(), "final": facts.is_final,
            "error": String::from_utf8_lossy(&facts.error),
        }),
        Event::Verdict { message, state, carrier, at_ms, error } => json!({
            "event": "verdict", "message": id(message), "state": state.name(), "carrier": carrier.0, "at_ms": at_ms, "error": error,
        }),
        Event::HandedOver { key, taken } => {
            json!({ "event": "handed_over", "message": id(&key.message), "serial": key.serial, "taken": taken })
        }
        Event::Parked { carrier, at_ms, facts } => json!({
            "event": "parked", "carrier": carrier.0, "at_ms": at_ms, "state": facts.state.name(), "carrier_id": String::from_utf8_lossy(&facts.id),
        }),
        Event::InboundPart { carrier, at_ms, part } => json!({
            "event": "inbound_part", "carrier": carrier.0, "at_ms": at_ms, "source": part.source.to_string(),
            "destination": part.destination.to_string(), "body_octets": part.body.octets.len(),
        }),
        Event::InboundReady { carrier, account, inbound, .. } => json!({
            "event": "inbound_ready", "carrier": carrier.0, "account": account.0, "message": id(&inbound.message), "incomplete": inbound.incomplete,
        }),
        Event::Replaced { message, with } => json!({ "event": "replaced", "message": id(message), "body_octets": with.octets.len() }),
        Event::Outboxed { account, key, at_ms, delivery } => json!({
            "event": "outboxed", "account": account.0, "message": id(&key.message), "serial": key.serial, "at_ms": at_ms,
            "kind": if matches!(delivery.as_ref(), Delivery::Receipt(_)) { "receipt" } else { "inbound" },
        }),
        Event::Settled { message, state, reports, .. } => {
            json!({ "event": "settled", "message": id(message), "state": state.name(), "reports": reports })
        }
        Event::Cooled { chunk, place } => json!({ "event": "cooled", "chunk": chunk, "place": format!("{place:?}") }),
        Event::Warmed { chunk } => json!({ "event": "warmed", "chunk": chunk }),
        Event::Campaign { campaign, name } => json!({ "event": "campaign", "campaign": campaign.0, "name": name }),
        Event::Rate { carrier, rate, said_no } => {
            json!({ "event": "rate", "carrier": carrier.0, "rate_per_s": f64::from_bits(*rate), "said_no_per_s": f64::from_bits(*said_no) })
        }
        Event::Reserved { message, charge } => json!({ "event": "reserved", "message": id(message), "charge": charge }),
        Event::ToppedUp { account, change, at_ms, reason } => {
            json!({ "event": "topped_up", "account": account.0, "change": change, "at_ms": at_ms, "reason": reason })
        }
        Event::Flagged { message, original } => json!({ "event": "flagged", "message": id(message), "original": id(original) }),
        Event::Remembered { account, of, generation, entries } => json!({
            "event": "remembered", "account": account.0, "of": format!("{of:?}").to_lowercase(), "generation": generation, "entries": entries.len(),
        }),
        Event::Listed { list, add, numbers } => json!({
            "event": "listed", "list": list.kind.name(), "level": list.level.name(), "add": add, "numbers": numbers.len(),
        }),
        Event::Unlisted { list } => json!({ "event": "unlisted", "list": list.kind.name(), "level": list.level.name() }),
        Event::Replied { message, account, list, number, back, at_ms } => json!({
            "event": "replied", "message": id(message), "account": account.map(|account| account.0), "list": list.kind.name(),
            "level": list.level.name(), "number": mask(&unpack(*number)), "back": back, "at_ms": at_ms,
        }),
        Event::Moved { message, carrier, at_ms, status } => {
            json!({ "event": "moved", "message": id(message), "carrier": carrier.0, "at_ms": at_ms, "status": status })
        }
        Event::Rerouted { message, carrier, part, at_ms, facts } => json!({
            "event": "rerouted", "message": id(message), "carrier": carrier.0, "part": part, "at_ms": at_ms, "state": facts.state.name(),
            "error": String::from_utf8_lossy(&facts.error),
        }),
        Event::CopyReceipt { message, carrier, part, at_ms, facts, .. } => json!({
            "event": "copy_receipt", "message": id(message), "carrier": carrier.0, "part": part, "at_ms": at_ms, "state": facts.state.name(),
            "error": String::from_utf8_lossy(&facts.error),
        }),
        Event::SentEarlier { message, copy } => {
            json!({ "event": "sent_earlier", "message": id(message), "carrier": copy.carrier.0, "part": copy.part })
        }
        Event::Past { message, tried, reroutes, .. } => {
            let tried: Vec<u16> = tried.iter().map(|carrier| carrier.0).collect();
            json!({ "event": "past", "message": id(message), "tried": tried, "reroutes": reroutes })
        }
        Event::Renamed { set, reference, .. } => json!({ "event": "renamed", "set": format!("{set:016x}"), "reference": reference }),
        Event::Changed { octets } => {
            json!({ "event": "changed", "change": masked(octets) })
        }
        Event::Forgotten { message } => json!({ "event": "forgotten", "message": id(message) }),
    };
    value["batch"] = batch.into();
    value
}

/// A change as it was written down, its number masked.
fn masked(octets: &[u8]) -> Value {
    let mut change: Value = serde_json::from_slice(octets).unwrap_or(Value::Null);
    if let Some(number) = change.pointer_mut("/scope/number") {
        *number = crate::model::address::mask(number.as_str().unwrap_or_default().as_bytes()).into();
    }
    change
}
