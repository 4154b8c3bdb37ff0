//! `[records]`: files of finished messages.

use super::Secret;
use super::check::Checks;
use serde::{Deserialize, Serialize};

/// How phone numbers stand in the record files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberForm {
    /// As digits.
    #[default]
    Plain,
    /// As 138****1234.
    Masked,
    /// Sealed with a key; can be looked up by the gateway.
    Encrypted,
}

/// `[records]`: finished messages, in Parquet files by the hour, for look-up and analysis.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Records {
    /// Write them at all. Default true.
    pub enabled: bool,
    /// Days that an hour's files are kept after it. Default 30; 1 to 3,650.
    pub keep_days: u32,
    /// How numbers are written. Default plain.
    pub numbers: NumberForm,
    /// Environment variable that holds the key of encrypted numbers: 128 hexadecimal digits.
    pub key_env: Option<String>,
    /// File that holds it, relative to the configuration file; an ending line break is cut.
    pub key_file: Option<String>,
    /// Write texts too. Default false.
    pub texts: bool,
    /// Finished messages wait at most so long in memory before they are in a file. Default 60; 1 to 3,600.
    pub flush_s: u32,
    /// Octets of journal that records may still need beyond what the gateway itself does; if they are further behind they lose their place. Default 1 GiB; 16 MiB to
    /// 1 TiB.
    pub max_behind_bytes: u64,
    /// The key itself; filled from the two above.
    #[serde(skip)]
    pub key: Option<Secret>,
}

impl Default for Records {
    fn default() -> Records {
        Records {
            enabled: true,
            keep_days: 30,
            numbers: NumberForm::Plain,
            key_env: None,
            key_file: None,
            texts: false,
            flush_s: 60,
            max_behind_bytes: 1 << 30,
            key: None,
        }
    }
}

impl Records {
    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        c.range(at, "keep_days", self.keep_days, 1..=3_650);
        c.range(at, "flush_s", self.flush_s, 1..=3_600);
        c.range(at, "max_behind_bytes", self.max_behind_bytes, 16 << 20..=1 << 40);
        let has_key = self.key_env.is_some() || self.key_file.is_some();
        let needs_key = self.enabled && self.numbers == NumberForm::Encrypted;
        c.require(at, "numbers", has_key || !needs_key, "'encrypted' needs a key", "name it by key_env or key_file");
        if let Some(key) = self.key.as_ref().filter(|_| needs_key) {
            let text = key.expose();
            let sound = text.len() == 128 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
            c.require(at, "numbers", sound, "the key is no key", "128 hexadecimal digits, as `openssl rand -hex 64` gives them");
        }
    }
}
