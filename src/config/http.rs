//! `[http]` and `[[account.api_key]]`: the public HTTP API and who may use it.

use super::Cidr;
use super::check::Checks;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;

/// Longest key, octets.
pub const KEY_MAX: usize = 256;
/// Shortest key, octets: what can't be guessed.
const KEY_MIN: usize = 24;

/// `[http]`: the public port.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Serve it at all. Default false.
    pub enabled: bool,
    /// Address and port. Default `127.0.0.1:8080`; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Longest body of a request. Default 16 MiB; 1 KiB to 256 MiB.
    pub max_body_bytes: usize,
    /// From the first octet of a request to its answer, slow bodies included. Default 30,000; 100 to 600,000.
    pub timeout_ms: u64,
    /// Connections at once. Default 1,000; 1 to 100,000.
    pub max_connections: usize,
}

impl Default for Http {
    fn default() -> Http {
        Http {
            enabled: false,
            address: SocketAddr::from(([127, 0, 0, 1], 8080)),
            max_body_bytes: 16 << 20,
            timeout_ms: 30_000,
            max_connections: 1_000,
        }
    }
}

impl Http {
    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        c.range(at, "max_body_bytes", self.max_body_bytes, 1 << 10..=256 << 20);
        c.range(at, "timeout_ms", self.timeout_ms, 100..=600_000);
        c.range(at, "max_connections", self.max_connections, 1..=100_000);
    }
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub enum Scope {
    /// Hand messages in, and cancel them.
    #[serde(rename = "messages:write")]
    MessagesWrite,
    /// Look messages up.
    #[serde(rename = "messages:read")]
    MessagesRead,
}

impl Scope {
    /// The name in the configuration and in problems.
    pub fn name(self) -> &'static str {
        match self {
            Scope::MessagesWrite => "messages:write",
            Scope::MessagesRead => "messages:read",
        }
    }
}

/// `[[account.api_key]]`: a key of an account. Only its hash is kept.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiKey {
    /// Its name in logs and in this file; unique in its account. 1 to 40 of a-z, 0-9, `-`, `_`.
    pub id: String,
    /// SHA-256 of the key, 64 hexadecimal digits; or use one of the next two. `hongyan key new` makes both.
    pub sha256: Option<String>,
    /// Environment variable that holds the key: 24 to 256 characters.
    pub key_env: Option<String>,
    /// File that holds it, relative to the configuration file; an ending line break is cut.
    pub key_file: Option<String>,
    /// What it may do. Default both.
    pub scopes: Vec<Scope>,
    /// The first day (UTC) on which it is good for nothing, as 2027-01-31. Default absent: never.
    pub expires: Option<Date>,
    /// Requests a second; absent: no limit. 1 to 1,000,000.
    pub rate_per_s: Option<u32>,
    /// Address blocks from which it may be used; empty: from anywhere. Default empty.
    pub allowed_addresses: Vec<Cidr>,
    /// The hash; filled from the three above.
    #[serde(skip)]
    pub hash: [u8; 32],
}

impl Default for ApiKey {
    fn default() -> ApiKey {
        ApiKey {
            id: String::new(),
            sha256: None,
            key_env: None,
            key_file: None,
            scopes: vec![Scope::MessagesWrite, Scope::MessagesRead],
            expires: None,
            rate_per_s: None,
            allowed_addresses: Vec::new(),
            hash: [0; 32],
        }
    }
}

impl ApiKey {
    /// A key that may do everything, for demonstrations and tests.
    pub fn plain(id: &str, key: &str) -> ApiKey {
        let hash = hash_of(key.as_bytes());
        ApiKey { id: id.to_owned(), sha256: Some(hex(&hash)), hash, ..ApiKey::default() }
    }

    /// The same with its hash, which `sha256` tells; `None`: it doesn't.
    pub fn hashed(self) -> Option<ApiKey> {
        let hash = unhex(self.sha256.as_deref()?)?;
        Some(ApiKey { hash, ..self })
    }

    /// True if it may be used from `address`.
    pub fn allows_address(&self, address: std::net::IpAddr) -> bool {
        self.allowed_addresses.is_empty() || self.allowed_addresses.iter().any(|block| block.contains(address))
    }

    /// Takes the key that was found in the environment or in a file.
    pub(super) fn take(&mut self, at: &str, from: &str, key: &str, c: &mut Checks) {
        c.length(at, from, key, KEY_MIN..=KEY_MAX);
        self.hash = hash_of(key.as_bytes());
    }

    pub(super) fn check(&mut self, at: &str, c: &mut Checks) {
        c.name(at, "id", &self.id);
        c.require(at, "scopes", !self.scopes.is_empty(), "is empty: the key could do nothing", "messages:write, messages:read");
        c.range(at, "rate_per_s", self.rate_per_s.unwrap_or(1), 1..=1_000_000);
        let ways = [self.sha256.is_some(), self.key_env.is_some(), self.key_file.is_some()].iter().filter(|given| **given).count();
        c.require(
            at,
            "sha256",
            ways == 1,
            "is missing, or the key is given in more than one way",
            "exactly one of sha256, key_env, key_file",
        );
        if let Some(text) = &self.sha256 {
            match unhex(text) {
                Some(hash) => self.hash = hash,
                None => c.problem(at, "sha256", "is no SHA-256; allowed: 64 hexadecimal digits, as `hongyan key new` prints them"),
            }
        }
    }
}

/// A key that nobody guesses: 256 random bits.
pub fn new_key() -> String {
    format!("hy_{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}

/// The hash of a key.
pub fn hash_of(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// A hash as it is written in the configuration.
pub fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (octet, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *octet = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(hash)
}
