//! `[hooks]`, `[account.hook]` and `[account.events]`: deliveries by HTTP.

use super::Secret;
use super::check::Checks;
use crate::model::callback::{names_public, parsed};
use serde::{Deserialize, Serialize};

/// `[hooks]`: requests to the callbacks of messages and to accounts' own hooks.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hooks {
    /// How long an endpoint may take to answer, milliseconds. Default 10,000; 100 to 60,000.
    pub timeout_ms: u64,
    /// Requests to one endpoint at once. Default 8; 1 to 100.
    pub at_once: usize,
    /// Events in one request to a hook. Default 100; 1 to 1,000.
    pub batch: usize,
    /// Addresses of loopback, link-local and private networks may be written to. Default false.
    pub allow_private: bool,
}

impl Default for Hooks {
    fn default() -> Hooks {
        Hooks { timeout_ms: 10_000, at_once: 8, batch: 100, allow_private: false }
    }
}

impl Hooks {
    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        c.range(at, "timeout_ms", self.timeout_ms, 100..=60_000);
        c.range(at, "at_once", self.at_once as u64, 1..=100);
        c.range(at, "batch", self.batch as u64, 1..=1_000);
    }
}

/// `[account.hook]`: where an account's reports go that have no callback of their own and no session to go to.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountHook {
    /// The address: http or https.
    pub url: String,
    /// Environment variable that holds what deliveries are signed with: 24 to 64 octets in base64, `whsec_` before them or not.
    pub secret_env: Option<String>,
    /// File that holds it, relative to the configuration file; an ending line break is cut.
    pub secret_file: Option<String>,
    /// The octets themselves; filled from the two above.
    #[serde(skip)]
    pub secret: Option<Secret>,
    /// Messages from phones go here too, and not to the account's receivers. Default false.
    pub inbound: bool,
}

impl AccountHook {
    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        c.require(at, "url", parsed(&self.url).is_some(), "is no address", "one that begins with http:// or https://");
        let has_secret = self.secret_env.is_some() || self.secret_file.is_some();
        c.require(at, "secret_env", has_secret, "is missing: deliveries must be signed", "secret_env or secret_file");
    }

    /// The host may be written to, as far as it can be seen in the address.
    pub(super) fn check_host(&self, allow_private: bool, at: &str, c: &mut Checks) {
        let allowed = allow_private || parsed(&self.url).is_none_or(|url| names_public(&url));
        let fix = "an address on the public network, or hooks.allow_private = true";
        c.require(at, "url", allowed, "leads to this machine or to a private network", fix);
    }
}

/// `[account.events]`: a log of the account's receipts and messages from phones, to be read by HTTP.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountEvents {
    /// How long an event can be read. Default 72; 1 to 720.
    pub keep_h: u32,
    /// What all of them may take on disk; the oldest go first. Default 256 MiB; 64 KiB to 64 GiB.
    pub max_bytes: u64,
    /// Messages from phones are told here too, and not to the account's receivers. Default false.
    pub inbound: bool,
}

impl Default for AccountEvents {
    fn default() -> AccountEvents {
        AccountEvents { keep_h: 72, max_bytes: 256 << 20, inbound: false }
    }
}

impl AccountEvents {
    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        c.range(at, "keep_h", self.keep_h, 1..=720);
        c.range(at, "max_bytes", self.max_bytes, 64 << 10..=64 << 30);
    }
}
