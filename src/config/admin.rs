//! `[admin]`: the port through which operators see and change the running gateway.

use super::Secret;
use super::check::Checks;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// `[admin]`: the admin port, HTTP and JSON.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Serve it at all. Default true.
    pub enabled: bool,
    /// Address and port. Default `127.0.0.1:9465`; port 0 lets the system choose. Other than loopback needs a token.
    pub address: SocketAddr,
    /// Environment variable that holds the token which every request must show. 16 to 256 characters.
    pub token_env: Option<String>,
    /// File that holds it, relative to the configuration file; an ending line break is cut.
    pub token_file: Option<String>,
    /// The token itself; filled from the two above.
    #[serde(skip)]
    pub token: Option<Secret>,
}

impl Default for Admin {
    fn default() -> Admin {
        Admin { enabled: true, address: SocketAddr::from(([127, 0, 0, 1], 9465)), token_env: None, token_file: None, token: None }
    }
}

impl Admin {
    pub(super) fn check(&self, at: &str, c: &mut Checks) {
        let safe = !self.enabled || self.address.ip().is_loopback() || self.token_env.is_some() || self.token_file.is_some();
        let allowed = "a loopback address, or a token (token_env or token_file)";
        c.require(at, "address", safe, "is open to others and asks for no token", allowed);
    }
}
