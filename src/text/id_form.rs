//! The forms in which carriers write one and the same id: a canonical form that both
//! sides get, and the transforms by which a receipt's id is probed. Which of them a carrier needs is learned elsewhere.

use arrayvec::ArrayVec;

/// Longest id in octets; longer ones are cut to it on both sides.
pub const ID_MAX: usize = 64;

/// An id in some form.
pub type Id = ArrayVec<u8, ID_MAX>;

/// What is done to a receipt's id before it is looked up among the ids of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum IdForm {
    /// Only the canonical form: blanks and NULs at the ends dropped, letters folded to lower case.
    #[default]
    Identity = 0,
    /// Without `0x` and leading zeros.
    StripZeros = 1,
    /// Read as hexadecimal, written as decimal (the answer was decimal).
    HexToDecimal = 2,
    /// Read as decimal, written as hexadecimal (the answer was hexadecimal).
    DecimalToHex = 3,
}

impl IdForm {
    /// All forms, in the order in which they are tried.
    pub const ALL: [IdForm; 4] = [IdForm::Identity, IdForm::StripZeros, IdForm::HexToDecimal, IdForm::DecimalToHex];

    /// The name in settings and metrics.
    pub fn name(self) -> &'static str {
        match self {
            IdForm::Identity => "identity",
            IdForm::StripZeros => "strip-zeros",
            IdForm::HexToDecimal => "hex-to-decimal",
            IdForm::DecimalToHex => "decimal-to-hex",
        }
    }

    /// The form of that name.
    pub fn from_name(name: &str) -> Option<IdForm> {
        IdForm::ALL.into_iter().find(|form| form.name() == name)
    }

    /// Writes `id` in this form into `out` (which is emptied first). False if the id can't have this form: not a
    /// number of that base, or over 128 bits.
    pub fn apply(self, id: &[u8], out: &mut Id) -> bool {
        canonical(id, out);
        match self {
            IdForm::Identity => !out.is_empty(),
            IdForm::StripZeros => {
                let skip = out.len() - significant(out).len();
                out.drain(..skip);
                !out.is_empty()
            }
            IdForm::HexToDecimal => rewrite(out, 16, 10),
            IdForm::DecimalToHex => rewrite(out, 10, 16),
        }
    }
}

/// Writes the canonical form of `id` into `out`: trimmed, letters in lower case. A septet 0x11, which is `_` in GSM
/// 7-bit text, becomes `_`. This is what is stored for an answer's id.
pub fn canonical(id: &[u8], out: &mut Id) {
    out.clear();
    let id = trim(id);
    let id = &id[..id.len().min(ID_MAX)];
    out.extend(id.iter().map(|&octet| if octet == 0x11 { b'_' } else { octet.to_ascii_lowercase() }));
}

fn trim(id: &[u8]) -> &[u8] {
    let blank = |octet: &u8| octet.is_ascii_whitespace() || *octet == 0;
    let start = id.iter().position(|octet| !blank(octet)).unwrap_or(id.len());
    let end = id.iter().rposition(|octet| !blank(octet)).map_or(start, |last| last + 1);
    &id[start..end]
}

/// A canonical id without `0x` and leading zeros; the last zero of a zero stays.
fn significant(id: &[u8]) -> &[u8] {
    let id = id.strip_prefix(b"0x").unwrap_or(id);
    let zeros = id.iter().take_while(|&&octet| octet == b'0').count();
    &id[zeros.min(id.len().saturating_sub(1))..]
}

fn rewrite(out: &mut Id, from: u32, to: u128) -> bool {
    let digits = if from == 16 { out.strip_prefix(b"0x").unwrap_or(out) } else { out.as_slice() };
    if digits.is_empty() {
        return false;
    }
    let mut value = 0u128;
    for &octet in digits {
        let Some(digit) = (octet as char).to_digit(from) else { return false };
        let Some(next) = value.checked_mul(from.into()).and_then(|value| value.checked_add(digit.into())) else { return false };
        value = next;
    }
    out.clear();
    loop {
        out.push(b"0123456789abcdef"[(value % to) as usize]);
        value /= to;
        if value == 0 {
            break;
        }
    }
    out.reverse();
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(form: IdForm, id: &str) -> Option<String> {
        let mut out = Id::new();
        form.apply(id.as_bytes(), &mut out).then(|| String::from_utf8(out.to_vec()).unwrap())
    }

    #[test]
    fn each_form_turns_ids_as_named() {
        assert_eq!(applied(IdForm::Identity, " AB-1\0").as_deref(), Some("ab-1"));
        assert_eq!(applied(IdForm::StripZeros, "0x000F").as_deref(), Some("f"));
        assert_eq!(applied(IdForm::StripZeros, "0000").as_deref(), Some("0"));
        assert_eq!(applied(IdForm::HexToDecimal, "365A757C").as_deref(), Some("911897980"));
        assert_eq!(applied(IdForm::DecimalToHex, "0911897980").as_deref(), Some("365a757c"));
        assert_eq!(applied(IdForm::HexToDecimal, &"f".repeat(32)).as_deref(), Some("340282366920938463463374607431768211455"));
    }

    #[test]
    fn what_is_no_number_of_that_base_is_left_alone() {
        assert_eq!(applied(IdForm::HexToDecimal, "xyz"), None);
        assert_eq!(applied(IdForm::DecimalToHex, "12a"), None);
        assert_eq!(applied(IdForm::HexToDecimal, &"f".repeat(33)), None);
        assert_eq!(applied(IdForm::Identity, " "), None);
        assert_eq!(applied(IdForm::HexToDecimal, "0x"), None);
        assert_eq!(applied(IdForm::Identity, &"a".repeat(70)).map(|id| id.len()), Some(64));
    }

    #[test]
    fn names_read_back() {
        for form in IdForm::ALL {
            assert_eq!(IdForm::from_name(form.name()), Some(form));
        }
    }
}
