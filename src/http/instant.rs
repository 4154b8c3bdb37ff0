//! Instants as HTTP tells them.

use std::time::{SystemTime, UNIX_EPOCH};

/// The wall time, milliseconds.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Wall milliseconds of ISO 8601 with a zone; `None`: it is no such time.
pub(super) fn read(text: &str) -> Option<u64> {
    text.parse::<jiff::Timestamp>().ok().and_then(|at| u64::try_from(at.as_millisecond()).ok())
}

/// Wall milliseconds as ISO 8601; empty if that is no time.
pub(super) fn iso(ms: u64) -> String {
    i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).map_or_else(String::new, |at| at.to_string())
}
