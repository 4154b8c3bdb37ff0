//! A message's trail in lines for people: `hongyan explain MESSAGE-ID`.

use super::tables::{text, time};
use serde_json::Value;

/// A message, live or finished, and what happened to it.
pub(super) fn explained(value: &Value) -> Vec<String> {
    let row = |name: &str, what: String| (!what.is_empty()).then(|| format!("{name:<12} {what}"));
    let masked = if value["number"].is_null() { &value["destination"] } else { &value["number"] };
    let said = ["carrier_state", "carrier_error", "network_error"].map(|name| text(&value[name]));
    let said: Vec<String> = said.into_iter().filter(|word| !word.is_empty()).collect();
    let mut lines: Vec<String> = [
        row("message", text(&value["message"])),
        row("state", text(&value["state"])),
        row("waits on", text(&value["waits_on"])),
        row("account", format!("{}, {}", text(&value["account"]), text(&value["class"]))),
        row("campaign", text(&value["campaign"])),
        row("number", text(masked)),
        row("carrier", text(&value["carrier"])),
        row("carrier says", said.join(" ")),
        row("status", value["status"].as_u64().map_or(String::new(), |status| format!("{status:#x} ({status})"))),
    ]
    .into_iter()
    .flatten()
    .collect();
    if value["complete"] == Value::Bool(false) {
        lines.push("              its acceptance is not in the records: what came before is not known".to_owned());
    }
    lines.push("trail".to_owned());
    match value["trail"].as_array() {
        Some(steps) => lines.extend(steps.iter().map(step)),
        None => lines.push("  no records are kept (records.enabled)".to_owned()),
    }
    lines
}

fn step(step: &Value) -> String {
    let mut words = Vec::new();
    let mut put = |before: &str, key: &str| {
        let said = text(&step[key]);
        if !said.is_empty() {
            words.push(format!("{before}{said}"));
        }
    };
    put("", "carrier");
    put("as ", "id");
    put("", "state");
    put("means ", "means");
    put("err ", "error");
    put("network ", "network_error");
    put("report ", "report");
    if let Some(part) = step["part"].as_u64() {
        words.push(if part == 255 { "all parts".to_owned() } else { format!("part {}", part + 1) });
    }
    if let Some(status) = step["status"].as_u64() {
        words.push(format!("status {status:#x}"));
    }
    let done = time(&step["done_ms"]);
    if !done.is_empty() {
        words.push(format!("done {done}"));
    }
    let millis = step["at_ms"].as_u64().unwrap_or(0) % 1000;
    format!("  {}.{millis:03}  {:<12} {}", time(&step["at_ms"]), text(&step["step"]).replace('_', " "), words.join(", "))
}
