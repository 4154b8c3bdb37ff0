//! Another configuration while traffic flows: no session is dropped, nothing is lost, and a bad one changes nothing.

use super::control_rig::{done, hongyan, look, refused, until};
use super::crash_rig::{GatewayProcess, configure};
use super::peers_rig::{RawPeer, header, submit};
use hongyan::load::generator::{Load, LoadSettings};
use hongyan::sim::smsc::{Smsc, SmscSettings};
use hongyan::smpp::{BindKind, Pdu, command};

/// The configuration with one thing or another that can be changed while running.
fn variant(base: &str, round: usize, second: std::net::SocketAddr) -> String {
    let carrier = |name: &str, more: &str| format!("[[carrier]]\nname = \"{name}\"\nhosts = [\"{second}\"]\nwindow = 50\n{more}");
    let account = "[[account]]\nname = \"guest\"\nsystem_id = \"guest\"\npassword = \"secret\"\n";
    let (extra, from, to) = match round % 5 {
        0 => (String::new(), "", ""),
        1 => (account.to_owned(), "window = 200", "window = 150"),
        2 => (carrier("south", "burst = 20\nrate_per_s = 2000\n"), "carriers = [\"north\"]", "carriers = [\"south\", \"north\"]"),
        3 => (carrier("south", ""), "carriers = [\"north\"]", "carriers = [\"north\", \"south\"]"),
        // Another window: the binds of this carrier are built anew.
        _ => (carrier("south", ""), "binds = 2", "binds = 1"),
    };
    format!("{}{extra}", base.replacen(from, to, usize::from(!from.is_empty())))
}

#[test]
fn through_twenty_reloads_traffic_flows_no_session_is_dropped_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let [first, second] = [(), ()].map(|()| Smsc::start(SmscSettings::default()).unwrap());
    let config = configure(directory.path(), first.local_addr(), "");
    let base = std::fs::read_to_string(&config).unwrap();
    let gateway = GatewayProcess::start(&config);
    let accounts = vec![("shop".to_owned(), "secret".to_owned()), ("codes".to_owned(), "secret".to_owned())];
    let settings =
        LoadSettings { target: gateway.address, accounts, binds: 2, rate_per_s: 600.0, messages: 12_000, ..LoadSettings::default() };
    let load = Load::start(settings).unwrap();
    let mut applied = 0;
    for round in 1..=20 {
        let before = load.tally().accepted;
        std::fs::write(&config, variant(&base, round, second.local_addr())).unwrap();
        let reloaded = done(gateway.admin, &["reload", "--yes", "--reason", "round"]);
        applied += usize::from(reloaded["applied"] == true);
        until("traffic goes on", || load.tally().accepted > before + 20);
    }
    assert_eq!(applied, 20, "each round differs from the one before");
    assert!(!load.is_finished(), "the reloads were over before the traffic was");
    let (report, _) = load.join(|| None);
    assert!(report.lost_sessions.is_empty(), "{:?}", report.lost_sessions);
    let tally = &report.tally;
    assert!(tally.refused.is_empty() && tally.unanswered == 0, "{:?}", tally.refused);
    assert_eq!((tally.unreported, tally.accepted), (0, tally.reported), "every message has its receipt");
    assert_eq!(tally.duplicate_receipts, 0);
    let taken = [first.stats().taken, second.stats().taken];
    assert!(taken.iter().all(|&taken| taken > 0) && taken.iter().sum::<u64>() == tally.accepted, "each message went out once: {taken:?}");
    let status = done(gateway.admin, &["status"]);
    assert_eq!((status["lost"].as_i64(), status["states"]["waiting"].as_u64()), (Some(0), Some(0)));
    assert!(gateway.terminate().success());
}

#[test]
fn a_bad_configuration_is_refused_whole_and_the_difference_is_shown_first() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let base = std::fs::read_to_string(&config).unwrap();
    let gateway = GatewayProcess::start(&config);
    std::fs::write(&config, format!("{}[[account]]\nname = \"new\"\nsystem_id = \"new\"\npassword = \"new\"\nwindow = 0\n", base)).unwrap();
    let error = refused(gateway.admin, &["reload", "--yes"]);
    assert!(error.contains("window: 0 is out of range; allowed: 1 to 10000") && error.contains("stays as it is"), "{error}");
    let changed = base
        .replace("password = \"secret\"\nclass = \"otp\"", "password = \"swordfsh\"\nclass = \"marketing\"")
        .replace("[metrics]\nenabled = false", "[metrics]\nenabled = true");
    std::fs::write(&config, &changed).unwrap();
    let shown = done(gateway.admin, &["reload", "--dry-run"]);
    let keys =
        |list: &str| -> Vec<String> { shown[list].as_array().unwrap().iter().map(|d| d["key"].as_str().unwrap().to_owned()).collect() };
    assert_eq!(keys("changes"), ["account.codes.class", "account.codes.password"], "{shown}");
    assert_eq!(keys("needs_restart"), ["metrics.enabled"]);
    assert!(!shown.to_string().contains("swordfsh") && !shown.to_string().contains("secret"), "secrets are masked: {shown}");
    RawPeer::bound(gateway.address, BindKind::Transmitter, "codes", "secret");
    assert!(refused(gateway.admin, &["reload"]).contains("--yes"), "it asks first");
    done(gateway.admin, &["reload", "--yes"]);
    RawPeer::bound(gateway.address, BindKind::Transmitter, "codes", "swordfsh");
}

#[test]
fn a_removed_account_is_unbound_a_new_one_may_bind_and_its_names_last() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let base = std::fs::read_to_string(&config).unwrap();
    let gateway = GatewayProcess::start(&config);
    let mut gone = RawPeer::bound(gateway.address, BindKind::Transceiver, "codes", "secret");
    let mut stays = RawPeer::bound(gateway.address, BindKind::Transceiver, "shop", "secret");
    let renamed = base.replace("name = \"codes\"\nsystem_id = \"codes\"", "name = \"guest\"\nsystem_id = \"guest\"");
    std::fs::write(&config, renamed).unwrap();
    // As systemd does it.
    let process = rustix::process::Pid::from_raw(gateway.id() as i32).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::HUP).unwrap();
    gone.wait_for(command::UNBIND);
    assert_eq!(header(&stays.ask(&Pdu::SubmitSm(submit(b"8613800138000", b"x")))).status, 0);
    let mut guest = RawPeer::bound(gateway.address, BindKind::Transceiver, "guest", "secret");
    assert_eq!(header(&guest.ask(&Pdu::SubmitSm(submit(b"8613800138000", b"x")))).status, 0);
    let names = |admin| -> Vec<String> {
        let accounts = done(admin, &["accounts"]);
        accounts.as_array().unwrap().iter().map(|a| a["account"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(gateway.admin), ["shop", "guest"]);
    until("both have their receipts", || done(gateway.admin, &["status"])["states"]["delivered"] == 2);
    gateway.kill();
    let gateway = GatewayProcess::start(&config);
    let shown = hongyan(gateway.admin, &["accounts"]).1;
    assert!(names(gateway.admin).contains(&"guest".to_owned()), "{shown}");
}

#[test]
fn routes_limits_and_ranges_in_force_are_told_over_http_and_follow_a_reload() {
    let directory = tempfile::tempdir().unwrap();
    let smsc = Smsc::start(SmscSettings::default()).unwrap();
    let config = configure(directory.path(), smsc.local_addr(), "");
    let base = std::fs::read_to_string(&config).unwrap();
    let gateway = GatewayProcess::start(&config);
    let told = |path: &str| match look(gateway.admin, path) {
        (200, value) => value,
        other => panic!("{path}: {other:?}"),
    };
    assert_eq!((&told("/v1/routes")[0]["carriers"][0]["carrier"], &told("/v1/limits")), (&"north".into(), &serde_json::json!([])));
    let before = told("/v1/ranges");
    let range = told("/v1/ranges/0086%20138-0013-8000");
    assert_eq!((&range["number"], &range["range"]["operator"]), (&"8613800138000".into(), &"China Mobile".into()), "{range}");

    std::fs::write(directory.path().join("own.csv"), "prefix,operator,region\n8613800,China Mobile,Beijing\n").unwrap();
    let limit = "[[limit]]\nname = \"beijing\"\nregion = \"Beijing\"\nrate_per_s = 50\n";
    std::fs::write(&config, format!("{base}{limit}[ranges]\nfiles = [\"own.csv\"]\n")).unwrap();
    assert_eq!(done(gateway.admin, &["reload", "--yes"])["applied"], true);
    let range = told("/v1/ranges/8613800138000");
    assert_eq!((&range["range"]["region"], &range["range"]["prefix"]), (&"Beijing".into(), &"8613800".into()), "{range}");
    assert!(range["range"]["source"].as_str().unwrap().ends_with("own.csv:2"), "{range}");
    assert_eq!((&told("/v1/limits")[0]["name"], &told("/v1/limits")[0]["rate_per_s"]), (&"beijing".into(), &50.into()));
    let after = told("/v1/ranges");
    assert_ne!(after["version"], before["version"]);
    assert_eq!(after["prefixes"].as_u64().unwrap(), before["prefixes"].as_u64().unwrap() + 1);
    let (status, problem) = look(gateway.admin, "/v1/ranges/hello");
    assert_eq!((status, &problem["code"], &problem["field"]), (422, &"bad_number".into(), &"number".into()), "{problem}");
}
