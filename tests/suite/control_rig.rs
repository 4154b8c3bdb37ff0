//! What the tests of control while running share: the command line against a gateway, and what it says.

use super::crash_rig::BINARY;
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

/// Runs `hongyan ARGUMENTS` against the admin port; exit code, standard output, standard error.
pub fn hongyan(admin: SocketAddr, arguments: &[&str]) -> (i32, String, String) {
    let done = Command::new(BINARY)
        .args(arguments)
        .env("HONGYAN_ADMIN", admin.to_string())
        .env("USER", "ada")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (done.status.code().unwrap_or(-1), text(&done.stdout), text(&done.stderr))
}

/// The same for a command that must be done; its JSON.
pub fn done(admin: SocketAddr, arguments: &[&str]) -> Value {
    let (code, out, error) = hongyan(admin, arguments);
    assert_eq!(code, 0, "{arguments:?}: {error}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?} says no JSON ({error}): {out}"))
}

/// The same for one that must be refused; why.
pub fn refused(admin: SocketAddr, arguments: &[&str]) -> String {
    let (code, out, error) = hongyan(admin, arguments);
    assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}: {error}");
    error
}

/// Waits until it is so.
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + super::peers_rig::PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `GET path` of the admin port: its status and JSON.
pub fn look(admin: SocketAddr, path: &str) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.get(format!("http://{admin}{path}")).call().unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path} says no JSON ({error}): {text}")))
}
