//! Phone numbers as the files hold them: plain, masked, or encrypted so that the same number always looks the same (AES-SIV, RFC 5297): it can be looked up by
//! whoever has the key, and only by them.

use crate::config::{NumberForm, Records};
use crate::model::address::mask;
use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;

/// Octets of the key: two of 256 bits, one to authenticate and one to encrypt.
pub const KEY_OCTETS: usize = 64;

/// How numbers are written.
#[derive(Clone)]
pub enum Numbers {
    /// As digits.
    Plain,
    /// As 138****1234; can't be looked up.
    Masked,
    /// As hexadecimal digits of the sealed digits.
    Encrypted(Box<[u8; KEY_OCTETS]>),
}

impl Numbers {
    /// As the configuration says, which has been checked.
    ///
    /// # Errors
    /// In words, without the key.
    pub fn of(config: &Records) -> Result<Numbers, String> {
        match config.numbers {
            NumberForm::Plain => Ok(Numbers::Plain),
            NumberForm::Masked => Ok(Numbers::Masked),
            NumberForm::Encrypted => {
                let key = config.key.as_ref().ok_or("records.key_env or records.key_file is missing")?;
                key_of(key.expose()).map(Numbers::Encrypted).ok_or_else(|| "records: the key must be 128 hexadecimal digits".to_owned())
            }
        }
    }

    /// These digits as the files hold them.
    pub fn write(&self, digits: &[u8]) -> String {
        match self {
            Numbers::Plain => String::from_utf8_lossy(digits).into_owned(),
            Numbers::Masked => mask(digits),
            Numbers::Encrypted(key) => {
                let sealed = Aes256Siv::new(key.as_slice().try_into().expect("the key has its length")).encrypt([&b"number"[..]], digits);
                sealed.map_or_else(|_| String::new(), |sealed| sealed.iter().map(|octet| format!("{octet:02x}")).collect())
            }
        }
    }

    /// What the files hold, for the eyes of whoever may see it: masked, whatever the form.
    pub fn show(&self, written: &str) -> String {
        match self {
            Numbers::Plain => mask(written.as_bytes()),
            Numbers::Masked => written.to_owned(),
            Numbers::Encrypted(key) => self.open(key, written).map_or_else(|| "?".to_owned(), |digits| mask(&digits)),
        }
    }

    /// What the files hold, for whoever sent there: in full, in international form, unless the files have less.
    pub fn tell(&self, written: &str) -> String {
        match self {
            Numbers::Plain if !written.is_empty() => format!("+{written}"),
            Numbers::Plain | Numbers::Masked => written.to_owned(),
            Numbers::Encrypted(key) => {
                let digits = self.open(key, written);
                digits.map_or_else(|| "?".to_owned(), |digits| format!("+{}", String::from_utf8_lossy(&digits)))
            }
        }
    }

    fn open(&self, key: &[u8; KEY_OCTETS], written: &str) -> Option<Vec<u8>> {
        let sealed = octets_of(written)?;
        Aes256Siv::new(key.as_slice().try_into().ok()?).decrypt([&b"number"[..]], &sealed).ok()
    }

    /// They can be looked up.
    pub fn can_be_found(&self) -> bool {
        !matches!(self, Numbers::Masked)
    }
}

fn octets_of(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let digits = digits?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// A key from 128 hexadecimal digits.
pub fn key_of(hex: &str) -> Option<Box<[u8; KEY_OCTETS]>> {
    octets_of(hex.trim())?.try_into().ok().map(Box::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encrypted_number_looks_the_same_each_time_and_shows_only_its_ends() {
        let key = key_of(&"0123456789abcdef".repeat(8)).unwrap();
        let numbers = Numbers::Encrypted(key);
        let written = numbers.write(b"8613812341234");
        assert_eq!(written, numbers.write(b"8613812341234"));
        assert_ne!(written, numbers.write(b"8613812341235"));
        assert!(!written.contains("1234123") && written.len() == 2 * (16 + 13), "{written}");
        assert_eq!(numbers.show(&written), "138****1234");
        assert_eq!(numbers.show(&written[..20]), "?", "what was changed is not opened");
        assert_eq!((numbers.tell(&written), numbers.tell(&written[..20])), ("+8613812341234".to_owned(), "?".to_owned()));
        assert_eq!(
            (Numbers::Plain.tell("8613812341234"), Numbers::Masked.tell("138****1234")),
            ("+8613812341234".into(), "138****1234".into())
        );
        assert!(key_of("00").is_none() && key_of(&"zz".repeat(64)).is_none());
    }
}
