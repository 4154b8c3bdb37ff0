//! What the tests of the HTTP API share: a gateway with its public port, and requests to it.

use super::crash_rig::{GatewayProcess, configure};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The key of `shop`.
pub const KEY: &str = "a-key-of-shop-that-nobody-guesses";
/// The key of `codes`.
pub const OTHER: &str = "a-key-of-codes-that-nobody-guesses";

/// A configuration as [`configure`] writes it, with the public port; `http` goes into its section, `key` into the key of `shop`.
pub fn with_http(directory: &Path, carrier: SocketAddr, http: &str, key: &str) -> PathBuf {
    let http = format!("[hooks]\nallow_private = true\n[http]\nenabled = true\naddress = \"127.0.0.1:0\"\n{http}\n");
    let config = configure(directory, carrier, &http);
    let [shop, codes] = [KEY, OTHER].map(|key| hongyan::config::hex(&hongyan::config::hash_of(key.as_bytes())));
    let text = std::fs::read_to_string(&config).unwrap();
    let of_shop = format!("[[account.api_key]]\nid = \"backend\"\nsha256 = \"{shop}\"\n{key}\n[[account]]\nname = \"codes\"");
    let of_codes = format!("[[account.api_key]]\nid = \"codes\"\nsha256 = \"{codes}\"\n[[carrier]]");
    let text = text.replacen("[[account]]\nname = \"codes\"", &of_shop, 1).replacen("[[carrier]]", &of_codes, 1);
    std::fs::write(&config, text).unwrap();
    config
}

/// What came back.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub text: String,
}

impl Answered {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{}: no JSON ({error}): {}", self.status, self.text))
    }

    /// Status, code and field of a problem.
    pub fn problem(&self) -> (u16, String, String) {
        let told = self.json();
        let kind = self.headers.get("content-type").unwrap().to_str().unwrap();
        assert_eq!(kind, "application/problem+json", "{told}");
        assert_eq!(told["status"].as_u64(), Some(u64::from(self.status)));
        let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        (self.status, text("code"), text("field"))
    }
}

/// A request with these headers.
pub fn ask(gateway: &GatewayProcess, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answered {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{}{path}", gateway.http.unwrap()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = agent.run(request.body(body.to_owned()).unwrap()).unwrap();
    let text = response.body_mut().with_config().limit(64 << 20).read_to_string().unwrap();
    Answered { status: response.status().as_u16(), headers: response.headers().clone(), text }
}

/// A request with the key of `shop`.
pub fn call(gateway: &GatewayProcess, method: &str, path: &str, body: &str) -> Answered {
    ask(gateway, method, path, &[("authorization", &format!("Bearer {KEY}")), ("content-type", "application/json")], body)
}

/// The same under an idempotency key.
pub fn keyed(gateway: &GatewayProcess, key: &str, body: &str) -> Answered {
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", key)];
    ask(gateway, "POST", "/v1/messages", &headers, body)
}
