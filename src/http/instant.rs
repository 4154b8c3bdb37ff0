//! Instants as HTTP tells them.

use std::time::{SystemTime, UNIX_EPOCH};

/// The wall time, milliseconds.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Wall milliseconds of ISO 8601 with a zone; `None`: it is no such time, or one before 1970.
pub(super) fn read(text: &str) -> Option<u64> {
    // A zone that is named beside the offset must exist and agree with it; a timestamp alone passes it over.
    let named = |text: &str| text.parse::<jiff::Zoned>().map(|at| at.timestamp());
    let at: jiff::Timestamp = if text.contains('[') { named(text) } else { text.parse() }.ok()?;
    // The library takes offsets of up to 25 hours; no clock on earth is as far away.
    let offset = text.rfind(['+', '-']).filter(|at| *at > 10).and_then(|at| text[at + 1..].get(..2)?.parse::<u8>().ok());
    let ms = u64::try_from(at.as_millisecond()).ok().filter(|&ms| ms > 0)?;
    offset.is_none_or(|hours| hours <= 14).then_some(ms)
}

/// Wall milliseconds as ISO 8601; empty if that is no time.
pub(super) fn iso(ms: u64) -> String {
    i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).map_or_else(String::new, |at| at.to_string())
}
