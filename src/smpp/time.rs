//! The two 16-character forms of time (v3.4 §7.1.1): absolute with an offset from UTC, and relative. Calendar arithmetic only; which
//! times are too far away is for the links.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{Span, Timestamp};

/// Characters of either form.
pub const TIME_LEN: usize = 16;

/// The text is neither empty nor a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time of the form YYMMDDhhmmsstnnp")]
pub struct TimeError;

/// A time as a peer wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmppTime {
    /// An instant, milliseconds since 1970 in UTC.
    Absolute {
        /// Milliseconds since 1970-01-01T00:00:00Z.
        unix_ms: u64,
    },
    /// So long after a moment that the reader knows.
    Relative(Relative),
}

/// The relative form; each part 0-99 and not carried over, so `48` hours may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each field is the unit of its name")]
pub struct Relative {
    pub years: u8,
    pub months: u8,
    pub days: u8,
    pub hours: u8,
    pub minutes: u8,
    pub seconds: u8,
}

impl SmppTime {
    /// The instant in milliseconds since 1970; relative times count from `base_ms`: years and months on the calendar (in UTC), the day
    /// clamped at the end of a month. `None` beyond the year 9999.
    pub fn at(self, base_ms: u64) -> Option<u64> {
        let relative = match self {
            SmppTime::Absolute { unix_ms } => return Some(unix_ms),
            SmppTime::Relative(relative) => relative,
        };
        let base = Timestamp::from_millisecond(i64::try_from(base_ms).ok()?).ok()?;
        let span = Span::new()
            .years(relative.years)
            .months(relative.months)
            .days(relative.days)
            .hours(relative.hours)
            .minutes(relative.minutes)
            .seconds(relative.seconds);
        to_unix_ms(Offset::UTC.to_datetime(base).checked_add(span).ok()?, Offset::UTC)
    }
}

/// Reads either form. An empty text is `None`: at once, or the default.
pub fn parse(text: &[u8]) -> Result<Option<SmppTime>, TimeError> {
    if text.is_empty() {
        return Ok(None);
    }
    let text: &[u8; TIME_LEN] = text.try_into().map_err(|_| TimeError)?;
    let pairs = pairs(text[..12].try_into().map_err(|_| TimeError)?)?;
    let tenths = digit(text[12])?;
    let quarters = digit(text[13])? * 10 + digit(text[14])?;
    let [years, months, days, hours, minutes, seconds] = pairs;
    let sign = match text[15] {
        // Tenths and quarters are 0 by the text; peers that write something there mean nothing by it.
        b'R' => return Ok(Some(SmppTime::Relative(Relative { years, months, days, hours, minutes, seconds }))),
        b'+' => 1,
        b'-' => -1,
        _ => return Err(TimeError),
    };
    if quarters > 48 {
        return Err(TimeError);
    }
    let local = civil(pairs, i32::from(tenths) * 100_000_000)?;
    let offset = Offset::from_seconds(sign * i32::from(quarters) * 900).map_err(|_| TimeError)?;
    let unix_ms = to_unix_ms(local, offset).ok_or(TimeError)?;
    Ok(Some(SmppTime::Absolute { unix_ms }))
}

/// Reads a date that a peer reports: the absolute form, or `YYMMDDhhmmss` in UTC. Milliseconds since 1970.
pub fn parse_report_date(text: &[u8]) -> Option<u64> {
    if let Ok(digits) = <&[u8; 12]>::try_from(text) {
        return to_unix_ms(civil(pairs(digits).ok()?, 0).ok()?, Offset::UTC);
    }
    match parse(text) {
        Ok(Some(SmppTime::Absolute { unix_ms })) => Some(unix_ms),
        _ => None,
    }
}

/// Writes an instant in the absolute form, as seen at `quarters` quarter hours east of UTC (-48 to 48; beyond is cut). `None` outside
/// the years 2000 to 2099, which two digits cannot tell.
pub fn format_absolute(unix_ms: u64, quarters: i8) -> Option<[u8; TIME_LEN]> {
    let quarters = quarters.clamp(-48, 48);
    let instant = Timestamp::from_millisecond(i64::try_from(unix_ms).ok()?).ok()?;
    let local = Offset::from_seconds(i32::from(quarters) * 900).ok()?.to_datetime(instant);
    let year = u8::try_from(local.year() - 2000).ok().filter(|&year| year < 100)?;
    let mut text = [0; TIME_LEN];
    let parts = [year as i8, local.month(), local.day(), local.hour(), local.minute(), local.second()];
    for (pair, part) in text.chunks_exact_mut(2).zip(parts) {
        pair.copy_from_slice(&two_digits(part as u8));
    }
    text[12] = b'0' + (local.millisecond() / 100) as u8;
    text[13..15].copy_from_slice(&two_digits(quarters.unsigned_abs()));
    text[15] = if quarters < 0 { b'-' } else { b'+' };
    Some(text)
}

/// Writes a span in the relative form with days as its largest unit, rounded up to a second; spans of 100 days and more are written as 99.
pub fn format_relative(span_ms: u64) -> [u8; TIME_LEN] {
    const DAY_S: u64 = 86_400;
    let seconds = span_ms.div_ceil(1000).min(99 * DAY_S);
    let parts = [0, 0, seconds / DAY_S, seconds % DAY_S / 3600, seconds % 3600 / 60, seconds % 60];
    let mut text = *b"000000000000000R";
    for (pair, part) in text.chunks_exact_mut(2).zip(parts) {
        pair.copy_from_slice(&two_digits(part as u8));
    }
    text
}

fn two_digits(value: u8) -> [u8; 2] {
    [b'0' + value / 10 % 10, b'0' + value % 10]
}

fn digit(octet: u8) -> Result<u8, TimeError> {
    if octet.is_ascii_digit() { Ok(octet - b'0') } else { Err(TimeError) }
}

fn pairs(digits: &[u8; 12]) -> Result<[u8; 6], TimeError> {
    let mut out = [0; 6];
    for (value, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *value = digit(pair[0])? * 10 + digit(pair[1])?;
    }
    Ok(out)
}

/// Two-digit years are of this century throughout; the guideline's 19YY could only mean dates long past.
fn civil([year, month, day, hour, minute, second]: [u8; 6], nanosecond: i32) -> Result<DateTime, TimeError> {
    let year = 2000 + i16::from(year);
    DateTime::new(year, month as i8, day as i8, hour as i8, minute as i8, second as i8, nanosecond).map_err(|_| TimeError)
}

fn to_unix_ms(local: DateTime, offset: Offset) -> Option<u64> {
    u64::try_from(offset.to_timestamp(local).ok()?.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> u64 {
        text.parse::<Timestamp>().unwrap().as_millisecond() as u64
    }

    fn at(text: &[u8], base: &str) -> u64 {
        parse(text).unwrap().unwrap().at(ms(base)).unwrap()
    }

    #[test]
    fn absolute_times_are_read_with_their_offset() {
        assert_eq!(at(b"260301083000032+", "2020-01-01T00:00:00Z"), ms("2026-03-01T00:30:00Z"));
        assert_eq!(at(b"261231235959920-", "2020-01-01T00:00:00Z"), ms("2027-01-01T04:59:59.9Z"));
        assert_eq!(at(b"240229000000000+", "2020-01-01T00:00:00Z"), ms("2024-02-29T00:00:00Z"));
    }

    #[test]
    fn relative_times_count_on_the_calendar_and_clamp_the_day() {
        assert_eq!(at(b"000002060000000R", "2026-03-01T12:00:00Z"), ms("2026-03-03T18:00:00Z"));
        assert_eq!(at(b"020610233429000R", "2026-01-01T00:00:00Z"), ms("2028-07-11T23:34:29Z"));
        assert_eq!(at(b"000100000000000R", "2026-01-31T10:00:00Z"), ms("2026-02-28T10:00:00Z"));
        assert_eq!(at(b"010000000000000R", "2024-02-29T10:00:00Z"), ms("2025-02-28T10:00:00Z"));
        assert_eq!(at(b"000000480000000R", "2026-03-01T00:00:00Z"), ms("2026-03-03T00:00:00Z"));
    }

    #[test]
    fn nonsense_is_refused() {
        let bad: [&[u8]; 9] = [
            b"26033010000000",
            b"261301000000000+",
            b"260301000000049+",
            b"260301000000000Z",
            b"260230000000000+",
            b"260301240000000+",
            b"2603010000000 0+",
            b"26030100000000000",
            b"000002060000000r",
        ];
        for text in bad {
            assert_eq!(parse(text), Err(TimeError), "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(parse(b""), Ok(None));
    }

    #[test]
    fn what_is_written_reads_back() {
        let instant = ms("2026-11-22T03:45:59.900Z");
        for quarters in [-48, -20, 0, 1, 32, 48] {
            let text = format_absolute(instant, quarters).unwrap();
            assert_eq!(parse(&text), Ok(Some(SmppTime::Absolute { unix_ms: instant })));
        }
        assert_eq!(&format_absolute(instant, 32).unwrap(), b"261122114559932+");
        assert_eq!(&format_relative(((2 * 24 + 6) * 3600 + 61) * 1000 - 1), b"000002060101000R");
        assert_eq!(&format_relative(u64::MAX), b"000099000000000R");
        assert_eq!(format_absolute(ms("2100-01-01T00:00:00Z"), 0), None);
    }

    #[test]
    fn reported_dates_come_in_two_lengths() {
        assert_eq!(parse_report_date(b"260301083100"), Some(ms("2026-03-01T08:31:00Z")));
        assert_eq!(parse_report_date(b"260301083100032+"), Some(ms("2026-03-01T00:31:00Z")));
        assert_eq!(parse_report_date(b""), None);
        assert_eq!(parse_report_date(b"000002060000000R"), None);
    }
}
