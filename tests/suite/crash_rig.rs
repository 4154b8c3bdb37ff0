//! What the crash tests share: the gateway as a process of its own, started from a configuration file, killed or stopped from outside.

use super::peers_rig::PATIENCE;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The binary that is tested.
pub const BINARY: &str = env!("CARGO_BIN_EXE_hongyan");

/// Sessions with the simulated carrier.
pub const BINDS: u64 = 2;
/// PDUs in flight on each.
pub const WINDOW: u64 = 50;

/// Writes a configuration with two accounts, `shop` (transactional) and `codes` (otp), password `secret`, and one carrier. Ports are the system's
/// choice. `more` goes into the section of the gateway.
pub fn configure(directory: &Path, carrier: SocketAddr, more: &str) -> PathBuf {
    let class = |name: &str, resend: bool| {
        format!(
            "[class.{name}]\ndefault_validity_s = 3600\nretry_s = [1]\nmax_attempts = 100\ndoubt_wait_s = 8\nresend_in_doubt = {resend}\n"
        )
    };
    let account = |name: &str, class: &str| {
        format!("[[account]]\nname = \"{name}\"\nsystem_id = \"{name}\"\npassword = \"secret\"\nclass = \"{class}\"\nwindow = 200\n")
    };
    let text = format!(
        "[gateway]\ndata_dir = \"data\"\ndisk_slow_ms = 60000\n{more}\n[gateway.log]\nlevel = \"warn\"\n[listen]\naddress = \"127.0.0.1:0\"\n[metrics]\nenabled = false\n[admin]\naddress = \"127.0.0.1:0\"\n\
        {}{}{}{}\
        [[carrier]]\nname = \"north\"\nhosts = [\"{carrier}\"]\nbinds = {BINDS}\nwindow = {WINDOW}\n\
        [carrier.reconnect]\nmin_ms = 100\nmax_ms = 1000\n\
        [[route]]\nprefix = \"\"\ncarriers = [\"north\"]\n",
        class("otp", false),
        class("transactional", true),
        account("shop", "transactional"),
        account("codes", "otp"),
    );
    let path = directory.join("hongyan.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// A gateway in a process of its own. Killed when dropped.
pub struct GatewayProcess {
    child: Child,
    /// Where clients bind.
    pub address: SocketAddr,
    /// Where operators ask.
    pub admin: SocketAddr,
    /// Where customers ask by HTTP, if they may.
    pub http: Option<SocketAddr>,
}

impl GatewayProcess {
    /// Starts `hongyan serve`; returns when it listens.
    pub fn start(config: &Path) -> GatewayProcess {
        let mut command = Command::new(BINARY);
        command.args(["serve", "--config"]).arg(config);
        GatewayProcess::of(command)
    }

    /// Runs `command`, which must end up in a gateway that writes where it listens on standard output.
    pub fn of(mut command: Command) -> GatewayProcess {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        while out.read_line(&mut said).unwrap() > 0 {
            if let Some(address) = said.lines().last().and_then(|line| line.strip_prefix("listening for SMPP on ")) {
                let address = address.parse().unwrap();
                let (mut http, mut admin) = (None, None);
                while admin.is_none() {
                    let mut next = String::new();
                    assert!(out.read_line(&mut next).unwrap() > 0, "the admin port follows");
                    http = next.trim().strip_prefix("HTTP API on ").map(|address| address.parse().unwrap()).or(http);
                    admin = next.trim().strip_prefix("admin on ").map(|address| address.parse().unwrap());
                }
                let admin = admin.unwrap();
                // What it says later is of no interest, but it must not block on a full pipe.
                std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
                return GatewayProcess { child, address, admin, http };
            }
        }
        panic!("the gateway ended before it listened ({:?}); it said: {said}", child.wait());
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; gives how it ended.
    pub fn terminate(mut self) -> ExitStatus {
        terminate(self.child.id());
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("still running {PATIENCE:?} after SIGTERM");
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        // Ended already, mostly.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends SIGTERM to one process.
pub fn terminate(process: u32) {
    let process = rustix::process::Pid::from_raw(process as i32).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
}
