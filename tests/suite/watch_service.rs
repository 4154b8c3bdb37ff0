//! The process under a service manager: it says when it is ready, that it lives, that it reloads and that it stops.

use super::crash_rig::{BINARY, GatewayProcess, configure};
use super::peers_rig::{PATIENCE, RawPeer};
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::BindKind;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

/// The next message that isn't a sign of life.
fn next(socket: &UnixDatagram) -> String {
    loop {
        let said = any(socket);
        if said != "WATCHDOG=1" {
            return said;
        }
    }
}

fn any(socket: &UnixDatagram) -> String {
    let mut octets = [0; 256];
    let length = socket.recv(&mut octets).unwrap();
    String::from_utf8_lossy(&octets[..length]).trim_end().to_owned()
}

#[test]
fn the_service_manager_hears_of_being_ready_of_life_of_a_reload_and_of_the_stop() {
    let carrier = Smsc::start(SmscSettings::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = configure(directory.path(), carrier.local_addr(), "");
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = Command::new(BINARY);
    command.args(["serve", "--config"]).arg(&config).env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "30000000");
    let gateway = GatewayProcess::of(command);
    assert_eq!(next(&socket), "READY=1");
    drop(RawPeer::bound(gateway.address, BindKind::Transceiver, "shop", "secret"));
    assert_eq!(any(&socket), "WATCHDOG=1");
    let process = rustix::process::Pid::from_raw(gateway.id() as i32).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::HUP).unwrap();
    let reloading = next(&socket);
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(next(&socket), "READY=1");
    let ended = gateway.terminate();
    assert_eq!(next(&socket), "STOPPING=1");
    assert_eq!(ended.code(), Some(0));
    carrier.stop();
}
