//! `hongyan top` in a real terminal (tmux), in front of a real gateway: what it shows, what its keys change, and that it finds a gateway again.

use super::control_rig::{done, until};
use super::crash_rig::{BINARY, GatewayProcess, configure};
use super::peers_rig::{RawPeer, submit};
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::{BindKind, Pdu};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// A tmux server of its own, with one window. Ended when dropped.
struct Screen {
    socket: std::path::PathBuf,
}

impl Screen {
    fn open(directory: &Path, width: u16, height: u16, admin: SocketAddr) -> Screen {
        let socket = directory.join("tmux");
        let command = format!("HONGYAN_ADMIN={admin} '{BINARY}' top --interval 0.2; echo LEFT; sleep 60");
        let size = [width.to_string(), height.to_string()];
        let screen = Screen { socket };
        screen.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", &size[0], "-y", &size[1], &command]);
        screen
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let done = Command::new("tmux").arg("-S").arg(&self.socket).args(arguments).env("TERM", "xterm-256color").output();
        let done = done.expect("tmux is missing: bash tests/setup.sh installs it");
        assert!(done.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    fn shown(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Waits until the screen shows it.
    fn shows(&self, what: &str) {
        until(&format!("{what} on the screen, which shows:\n{}", self.shown()), || self.shown().contains(what));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Gone already, if it never came up.
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
    }
}

#[test]
fn a_carrier_is_drained_and_an_account_paused_by_keys_and_a_lost_gateway_is_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let gateway = GatewayProcess::start(&config);
    let admin = gateway.admin;
    let screen = Screen::open(directory.path(), 80, 24, admin);
    screen.shows("north/1 trx     up");
    screen.shows("2/2 up");
    assert!(screen.shown().contains(&format!("hongyan {admin}")) && screen.shown().contains("ALARMS"));

    screen.press(&["j", "d"]);
    screen.shows("drain carrier north, bind 0?");
    assert_eq!(done(admin, &["pauses"]).as_array().unwrap().len(), 0, "not before it is confirmed");
    screen.press(&["y"]);
    until("the drain is in force", || {
        let changes = done(admin, &["pauses"]);
        changes[0]["action"] == "drain" && changes[0]["scope"]["bind"] == 0
    });
    screen.shows("done: drain carrier north, bind 0");
    screen.shows("drained");
    screen.press(&["r", "y"]);
    until("it is lifted", || done(admin, &["pauses"]).as_array().unwrap().is_empty());

    screen.press(&["3", "p", "y"]);
    until("the account is paused", || done(admin, &["pauses"])[0]["scope"]["account"] == "shop");
    let mut client = RawPeer::bound(gateway.address, BindKind::Transmitter, "shop", "secret");
    client.ask(&Pdu::SubmitSm(submit(b"8613800138000", b"hello")));
    screen.shows("shop (paused)");
    screen.shows("1 change in force, 1 message held");
    screen.press(&["Enter"]);
    screen.shows("in force: pause");
    screen.press(&["q", "?"]);
    screen.shows("Everything that is changed here is on record");
    screen.press(&["q"]);

    gateway.kill();
    screen.shows("LOST for");
    assert!(screen.shown().contains("shop (paused)"), "what was known last stays: {}", screen.shown());
    // The same admin port again, as a gateway that is restarted has.
    let text =
        std::fs::read_to_string(&config).unwrap().replace("[admin]\naddress = \"127.0.0.1:0\"", &format!("[admin]\naddress = \"{admin}\""));
    std::fs::write(&config, text).unwrap();
    let _gateway = GatewayProcess::start(&config);
    screen.shows("the gateway answers again");
    screen.press(&["q"]);
    screen.shows("LEFT");
}

#[test]
fn without_a_terminal_it_says_what_else_to_use() {
    let (code, out, error) = super::control_rig::hongyan(SocketAddr::from(([127, 0, 0, 1], 1)), &["top"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(error.contains("top needs a terminal") && error.contains("status --json"), "{error}");
}
