//! The Debian package: what is in it, that its configuration is good, and that its scripts and its unit are sound.

use super::crash_rig::BINARY;
use std::path::Path;
use std::process::Command;

/// Runs a command that must do well; what it printed.
fn run(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    assert!(done.status.success(), "{command:?}: {}{}", text(&done.stdout), text(&done.stderr));
    text(&done.stdout)
}

#[test]
fn the_package_holds_binary_unit_configuration_dashboards_and_scripts_and_keeps_the_configuration_of_its_user() {
    let directory = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut build = Command::new("bash");
    build.arg(root.join("config/debian/build.sh")).arg(BINARY).arg(directory.path()).env("DPKG_DEB_COMPRESSOR_TYPE", "none");
    let package = run(&mut build).trim().to_owned();
    let fields = run(Command::new("dpkg-deb").args(["--field", &package, "Package", "Version", "Depends"]));
    assert!(fields.contains("Package: hongyan\n") && fields.contains(concat!("Version: ", env!("CARGO_PKG_VERSION"))), "{fields}");
    assert!(fields.contains("libc6 (>= 2."), "{fields}");
    let (tree, control) = (directory.path().join("tree"), directory.path().join("control"));
    run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&tree));
    run(Command::new("dpkg-deb").arg("--control").arg(&package).arg(&control));
    for file in [
        "usr/bin/hongyan",
        "lib/systemd/system/hongyan.service",
        "usr/share/doc/hongyan/copyright",
        "usr/share/bash-completion/completions/hongyan",
        "usr/share/hongyan/prometheus/rules.yml",
        "usr/share/hongyan/grafana/dashboards/overview.json",
    ] {
        assert!(tree.join(file).is_file(), "no {file}");
    }
    assert_eq!(std::fs::read_to_string(control.join("conffiles")).unwrap(), "/etc/hongyan/hongyan.toml\n");
    for script in ["postinst", "prerm", "postrm"] {
        run(Command::new("sh").arg("-n").arg(control.join(script)));
    }
    let config = tree.join("etc/hongyan/hongyan.toml");
    assert!(std::fs::read_to_string(&config).unwrap().contains("data_dir = \"/var/lib/hongyan\""));
    run(Command::new(tree.join("usr/bin/hongyan")).args(["check", "--config"]).arg(&config));
    let unit = std::fs::read_to_string(tree.join("lib/systemd/system/hongyan.service")).unwrap();
    for line in ["Type=notify", "StateDirectory=hongyan", "NoNewPrivileges=yes", "ProtectSystem=strict"] {
        assert!(unit.lines().any(|found| found == line), "the unit has no {line}");
    }
}
