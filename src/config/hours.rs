//! Hours in which a class's messages may leave, in the recipient's own time: `"09:00-20:00"`, `"mon-fri 09:00-20:00"`, `"sat,sun 10:00-18:00"`.

use serde::{Deserialize, Deserializer, de};
use std::fmt;
use std::str::FromStr;

/// One stretch of a day, on some days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// Bit 0: Monday ... bit 6: Sunday.
    pub days: u8,
    /// First minute of the day.
    pub from_minute: u16,
    /// The minute after the last, up to 1440. Always after `from_minute`.
    pub to_minute: u16,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const ALLOWED: &str = "\"09:00-20:00\", with days before it where it isn't every day: \"mon-fri 09:00-20:00\", \"sat,sun 10:00-18:00\"";

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |text: &str| (text.len() == 2).then(|| text.parse::<u16>().ok()).flatten();
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= 1440).then_some(minute)
}

fn days(text: &str) -> Option<u8> {
    let day = |name: &str| DAYS.iter().position(|&day| day == name);
    text.split(',').try_fold(0, |days, part| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (day(from)?, day(to)?);
        let count = (to + 7 - from) % 7 + 1;
        Some((0..count).fold(days, |days, n| days | 1 << ((from + n) % 7)))
    })
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Hours, String> {
        let read = || {
            let lower = text.trim().to_ascii_lowercase();
            let (on, stretch) = lower.rsplit_once(' ').unwrap_or(("mon-sun", &lower));
            let (from, to) = stretch.split_once('-')?;
            let (from_minute, to_minute) = (minute(from)?, minute(to)?);
            (from_minute < to_minute).then_some(Hours { days: days(on.trim())?, from_minute, to_minute })
        };
        read().ok_or_else(|| format!("'{text}' is no stretch of hours within a day; allowed: {ALLOWED}"))
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != 0x7F {
            let days: Vec<&str> = DAYS.iter().enumerate().filter(|(at, _)| self.days & 1 << at != 0).map(|(_, &day)| day).collect();
            write!(f, "{} ", days.join(","))?;
        }
        let (from, to) = (self.from_minute, self.to_minute);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hours, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_read_with_and_without_days_and_what_is_none_is_refused() {
        for (text, days, from, to) in [
            ("09:00-20:00", 0x7F, 540, 1200),
            ("mon-fri 08:30-24:00", 0x1F, 510, 1440),
            ("Sat,Sun 10:00-18:00", 0x60, 600, 1080),
            ("fri-mon 00:00-00:01", 0x71, 0, 1),
        ] {
            let hours: Hours = text.parse().unwrap();
            assert_eq!((hours.days, hours.from_minute, hours.to_minute), (days, from, to), "{text}");
            assert_eq!(hours.to_string().parse(), Ok(hours));
        }
        for text in ["", "9-20", "20:00-09:00", "09:00-24:01", "someday 09:00-10:00", "09:60-10:00", "mon- 09:00-10:00"] {
            assert!(text.parse::<Hours>().is_err(), "{text}");
        }
    }
}
