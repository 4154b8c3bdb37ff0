//! Small values that stand in a configuration as strings or numbers and mean more than that: address blocks, sender
//! patterns, time zones, and octets with a rule.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A block of IP addresses: `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    base: IpAddr,
    bits: u8,
}

impl Cidr {
    /// True if `address` lies in the block. An IPv4 address in IPv6 clothes counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.bits);
                u32::from(base).checked_shr(shift).unwrap_or(0) == u32::from(address).checked_shr(shift).unwrap_or(0)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.bits);
                u128::from(base).checked_shr(shift).unwrap_or(0) == u128::from(address).checked_shr(shift).unwrap_or(0)
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Cidr, String> {
        let bad = || format!("'{text}' is no address block; allowed: an IP address, or one with /bits (192.0.2.0/24, 2001:db8::/32)");
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let base: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse::<u8>().map_err(|_| bad()))?;
        if bits > most {
            return Err(bad());
        }
        Ok(Cidr { base, bits })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

/// A sender that an account may use: exact (`10690001`, `Goose`), or a beginning (`1069*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePattern {
    text: String,
    open: bool,
}

impl SourcePattern {
    /// True if `source` (the address's characters) fits.
    pub fn matches(&self, source: &[u8]) -> bool {
        if self.open { source.starts_with(self.text.as_bytes()) } else { source == self.text.as_bytes() }
    }
}

impl SourcePattern {
    /// The characters that it names, and whether it is a beginning.
    pub fn parts(&self) -> (&str, bool) {
        (&self.text, self.open)
    }

    /// Whatever fits `other` fits this one too.
    pub fn covers(&self, other: &SourcePattern) -> bool {
        if self.open { other.text.starts_with(&self.text) } else { self == other }
    }

    /// As it stands in the configuration.
    pub(super) fn written(&self) -> String {
        if self.open { format!("{}*", self.text) } else { self.text.clone() }
    }
}

impl FromStr for SourcePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<SourcePattern, String> {
        let (start, open) = text.strip_suffix('*').map_or((text, false), |start| (start, true));
        if start.contains('*') || start.len() > crate::model::address::ADDRESS_MAX || (text.is_empty()) {
            return Err(format!(
                "'{text}' is no sender pattern; allowed: a sender of 1 to 20 characters, or a beginning with one * at its end"
            ));
        }
        Ok(SourcePattern { text: start.to_owned(), open })
    }
}

/// A time zone: an IANA name (`Asia/Shanghai`), `UTC`, or a fixed offset (`+08:00`).
#[derive(Clone, PartialEq)]
pub struct Zone {
    name: String,
    zone: jiff::tz::TimeZone,
}

impl Zone {
    /// The zone, for conversions.
    pub fn tz(&self) -> &jiff::tz::TimeZone {
        &self.zone
    }

    /// As it was written.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Default for Zone {
    fn default() -> Zone {
        Zone { name: "UTC".to_owned(), zone: jiff::tz::TimeZone::UTC }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Zone, String> {
        let bad =
            || format!("'{text}' is no time zone; allowed: UTC, an IANA name (Asia/Shanghai), or an offset from -15:00 to +15:00 (+08:00)");
        let zone = if text.eq_ignore_ascii_case("utc") {
            jiff::tz::TimeZone::UTC
        } else if let Some(minutes) = offset_minutes(text) {
            let offset = jiff::tz::Offset::from_seconds(minutes * 60).map_err(|_| bad())?;
            jiff::tz::TimeZone::fixed(offset)
        } else {
            jiff::tz::TimeZone::get(text).map_err(|_| bad())?
        };
        Ok(Zone { name: text.to_owned(), zone })
    }
}

/// `+hh:mm` or `-hh:mm` in minutes, within 15 hours.
fn offset_minutes(text: &str) -> Option<i32> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    ((0..=15).contains(&hours) && (0..60).contains(&minutes)).then_some(sign * (hours * 60 + minutes))
}

macro_rules! from_string {
    ($($kind:ty),*) => {$(
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}
from_string!(Cidr, SourcePattern, Zone);

/// An octet of a PDU with the rule that fills it: `"keep"` (as upstream wrote it), `"auto"` (what fits), or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OctetRule {
    /// As upstream wrote it.
    Keep,
    /// What fits the rest of the PDU; which that is, the setting says.
    #[default]
    Auto,
    /// Always this value.
    Fixed(u8),
}

impl<'de> Deserialize<'de> for OctetRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OctetRule, D::Error> {
        deserializer.deserialize_any(OctetRuleVisitor)
    }
}

struct OctetRuleVisitor;

impl Visitor<'_> for OctetRuleVisitor {
    type Value = OctetRule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"keep\", \"auto\" or an integer from 0 to 255")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<OctetRule, E> {
        match text {
            "keep" => Ok(OctetRule::Keep),
            "auto" => Ok(OctetRule::Auto),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<OctetRule, E> {
        u8::try_from(number).map(OctetRule::Fixed).map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
    }
}

/// A language with national shift tables; the number is its identifier in a header (TS 23.038 6.2.1.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
#[allow(missing_docs)]
pub enum NationalLanguage {
    Turkish = 1,
    Spanish = 2,
    Portuguese = 3,
    Bengali = 4,
    Gujarati = 5,
    Hindi = 6,
    Kannada = 7,
    Malayalam = 8,
    Oriya = 9,
    Punjabi = 10,
    Tamil = 11,
    Telugu = 12,
    Urdu = 13,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_blocks_contain_what_shares_their_first_bits() {
        let block: Cidr = "192.0.2.0/24".parse().unwrap();
        assert!(block.contains("192.0.2.200".parse().unwrap()));
        assert!(block.contains("::ffff:192.0.2.1".parse().unwrap()));
        assert!(!block.contains("192.0.3.1".parse().unwrap()));
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("8.8.8.8".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
        let one: Cidr = "2001:db8::1".parse().unwrap();
        assert!(one.contains("2001:db8::1".parse().unwrap()) && !one.contains("2001:db8::2".parse().unwrap()));
        assert!("192.0.2.0/33".parse::<Cidr>().is_err() && "host/8".parse::<Cidr>().is_err());
    }

    #[test]
    fn sender_patterns_are_exact_or_a_beginning() {
        let open: SourcePattern = "1069*".parse().unwrap();
        assert!(open.matches(b"10690001") && !open.matches(b"1068"));
        let exact: SourcePattern = "Goose".parse().unwrap();
        assert!(exact.matches(b"Goose") && !exact.matches(b"Gooses"));
        assert!("a*b".parse::<SourcePattern>().is_err());
    }

    #[test]
    fn zones_are_names_or_offsets() {
        assert!("+08:00".parse::<Zone>().is_ok() && "-03:30".parse::<Zone>().is_ok() && "UTC".parse::<Zone>().is_ok());
        assert!("+25:00".parse::<Zone>().is_err() && "Mars/Olympus".parse::<Zone>().is_err());
    }
}
