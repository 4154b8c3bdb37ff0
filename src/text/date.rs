//! Dates as receipts write them. A date there has no zone: it is read as it stands, and
//! turned into wall time by whoever knows the carrier's zone. No calendar crate: this runs for every receipt.

/// A date of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptDate {
    /// Seconds from 1970-01-01T00:00:00 on the clock that wrote it.
    pub seconds: i64,
    /// That clock is UTC for certain (the date was given in seconds since 1970).
    pub utc: bool,
}

const YEAR_2000: i64 = 946_684_800;
const YEAR_2100: i64 = 4_102_444_800;

impl ReceiptDate {
    /// Milliseconds since 1970 UTC; `zone_offset_min` is how far the writer's clock is ahead of UTC, in minutes.
    pub fn wall_ms(self, zone_offset_min: i32) -> Option<u64> {
        let offset = if self.utc { 0 } else { i64::from(zone_offset_min) * 60 };
        u64::try_from((self.seconds - offset) * 1000).ok()
    }

    /// `YYYY-MM-DDThh:mm:ss` on the writer's clock.
    pub fn text(self) -> String {
        let mut text = Vec::with_capacity(19);
        let (year, month, day) = date_of(self.seconds.div_euclid(86_400));
        let second = self.seconds.rem_euclid(86_400) as u32;
        two(year / 100, &mut text);
        for (mark, value) in [(None, year % 100), (Some(b'-'), month), (Some(b'-'), day), (Some(b'T'), second / 3600)]
            .into_iter()
            .chain([(Some(b':'), second / 60 % 60), (Some(b':'), second % 60)])
        {
            text.extend(mark);
            two(value, &mut text);
        }
        String::from_utf8(text).expect("digits and signs are ASCII")
    }
}

/// Reads a date in any of the forms that carriers write; `None` for zeros and nonsense.
pub fn parse(value: &[u8]) -> Option<ReceiptDate> {
    let local = |seconds| ReceiptDate { seconds, utc: false };
    let known = |seconds: i64| (YEAR_2000..YEAR_2100).contains(&seconds).then_some(ReceiptDate { seconds, utc: true });
    if !value.iter().all(u8::is_ascii_digit) {
        return parse_iso(value).map(local);
    }
    match value.len() {
        10 => seconds(2000 + number(&value[..2]), &value[2..]).map(local).or_else(|| known(epoch(value))),
        12 => seconds(2000 + number(&value[..2]), &value[2..]).or_else(|| seconds(number(&value[..4]), &value[4..])).map(local),
        13 => known(epoch(&value[..10])),
        14 => seconds(number(&value[..4]), &value[4..]).map(local),
        _ => None,
    }
}

/// `YYYY-MM-DD hh:mm[:ss]`; a T may stand for the blank.
fn parse_iso(value: &[u8]) -> Option<i64> {
    let marks = [(4, b"--"), (7, b"--"), (10, b" T"), (13, b"::"), (16, b"::")];
    if value.len() != 16 && value.len() != 19 {
        return None;
    }
    let mut digits = [b'0'; 14];
    let mut count = 0;
    for (at, &octet) in value.iter().enumerate() {
        match marks.iter().find(|(place, _)| *place == at) {
            Some((_, allowed)) if allowed.contains(&octet) => {}
            None if octet.is_ascii_digit() => {
                digits[count] = octet;
                count += 1;
            }
            _ => return None,
        }
    }
    seconds(number(&digits[..4]), &digits[4..])
}

/// Seconds of `year` and `MMDDhhmm[ss]`; `None` if there is no such date.
fn seconds(year: u32, rest: &[u8]) -> Option<i64> {
    let at = |index: usize| rest.get(index..index + 2).map_or(0, number);
    let (month, day, hour, minute, second) = (at(0), at(2), at(4), at(6), at(8));
    let valid = (1970..2100).contains(&year) && (1..=12).contains(&month) && day >= 1 && day <= days_in(year, month);
    (valid && hour < 24 && minute < 60 && second < 60)
        .then(|| days_from(year, month, day) * 86_400 + i64::from(hour * 3600 + minute * 60 + second))
}

/// Appends `YYMMDDhhmm`, and `ss` too if `with_seconds`, of a wall time on a clock `zone_offset_min` ahead of UTC.
pub fn write(wall_ms: u64, zone_offset_min: i32, with_seconds: bool, out: &mut Vec<u8>) {
    let seconds = (wall_ms / 1000) as i64 + i64::from(zone_offset_min) * 60;
    let (year, month, day) = date_of(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400) as u32;
    for value in [year % 100, month, day, second / 3600, second / 60 % 60] {
        two(value, out);
    }
    if with_seconds {
        two(second % 60, out);
    }
}

fn two(value: u32, out: &mut Vec<u8>) {
    out.extend([b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]);
}

/// At most four digits.
fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
}

/// Ten digits.
fn epoch(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'))
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date from 1970 on (the civil calendar, with years that start in March).
fn days_from(year: u32, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    i64::from(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year) - 719_468
}

/// Year, month and day of a day number since 1970-01-01.
fn date_of(days: i64) -> (u32, u32, u32) {
    let days = (days + 719_468).max(0) as u32;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u32::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Option<String> {
        parse(value.as_bytes()).map(ReceiptDate::text)
    }

    #[test]
    fn every_form_that_carriers_write_is_read() {
        for (value, expected) in [
            ("2603010830", "2026-03-01T08:30:00"),
            ("190608165232", "2019-06-08T16:52:32"),
            ("202603010830", "2026-03-01T08:30:00"),
            ("20141023215253", "2014-10-23T21:52:53"),
            ("2026-03-01 08:30", "2026-03-01T08:30:00"),
            ("2026-03-01 08:30:05", "2026-03-01T08:30:05"),
            ("1772353800", "2026-03-01T08:30:00"),
            ("1772353800123", "2026-03-01T08:30:00"),
            ("2402292359", "2024-02-29T23:59:00"),
        ] {
            assert_eq!(text(value).as_deref(), Some(expected), "{value}");
        }
        for nonsense in
            ["", "0000000000", "000000000000", "250229000000", "9913012460", "26030108", "n/a", "2026-03-01x08:30", "9999999999"]
        {
            assert_eq!(text(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn the_zone_moves_what_has_none() {
        let date = parse(b"2603010830").unwrap();
        assert_eq!(date.wall_ms(480), Some(1_772_353_800_000 - 8 * 3_600_000));
        assert_eq!(parse(b"1772353800").or_else(|| parse(b"1772353800000")).unwrap().wall_ms(480), Some(1_772_353_800_000));
    }

    #[test]
    fn a_written_date_reads_back() {
        let mut days = 1;
        while days < 47_000 {
            let wall_ms = (YEAR_2000 as u64 / 86_400 + 1 + days % 36_000) * 86_400_000 + days * 1_777_000 % 86_400_000;
            let mut out = Vec::new();
            write(wall_ms, -300, true, &mut out);
            assert_eq!(parse(&out).unwrap().wall_ms(-300), Some(wall_ms), "{out:?}");
            days += 13;
        }
    }
}
