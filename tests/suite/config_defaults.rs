//! The annotated configuration file is complete and says the truth: it equals the defaults, and no key is missing in it.

use hongyan::config::{Account, Carrier, Config, Profile, Route, Secret};
use serde::Deserialize;
use std::path::Path;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/hongyan.toml");

#[test]
fn the_annotated_file_equals_the_defaults() {
    let mut config = Config::load(Path::new(FILE)).unwrap_or_else(|error| panic!("{error}"));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    assert!(config.gateway.data_dir.ends_with("config/data"), "relative to the file: {:?}", config.gateway.data_dir);
    config.gateway.data_dir = Config::default().gateway.data_dir;

    let account = Account::plain("demo", "demo");
    assert_eq!(config.accounts, [account]);
    let standard = Profile::shipped("standard").unwrap();
    let carrier = Carrier::to_host("local", "127.0.0.1:2776", standard);
    assert_eq!(config.carriers, [carrier]);
    assert_eq!(config.routes, [Route::plain("", &["local"])]);

    (config.accounts, config.carriers, config.routes, config.file) = Default::default();
    assert_eq!(config, Config::default());
}

/// The keys of a section, taken from the refusal of an unknown one.
fn keys<T: for<'de> Deserialize<'de>>() -> Vec<String> {
    let error = match toml::from_str::<T>("no_such_key = 1") {
        Ok(_) => panic!("unknown keys must be refused"),
        Err(error) => error.message().to_owned(),
    };
    error.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_key_stands_in_the_annotated_files() {
    use hongyan::config as c;
    let sections: [(&str, Vec<String>, &str); 33] = [
        ("gateway", keys::<c::Gateway>(), "config/hongyan.toml"),
        ("gateway.log", keys::<c::Log>(), "config/hongyan.toml"),
        ("listen", keys::<c::Listen>(), "config/hongyan.toml"),
        ("metrics", keys::<c::Metrics>(), "config/hongyan.toml"),
        ("admin", keys::<c::Admin>(), "config/hongyan.toml"),
        ("records", keys::<c::Records>(), "config/hongyan.toml"),
        ("recorder", keys::<c::Recorder>(), "config/hongyan.toml"),
        ("http", keys::<c::Http>(), "config/hongyan.toml"),
        ("account.events", keys::<c::AccountEvents>(), "config/hongyan.toml"),
        ("account.api_key", keys::<c::ApiKey>(), "config/hongyan.toml"),
        ("class", keys::<c::Classes>(), "config/hongyan.toml"),
        ("ranges", keys::<c::Ranges>(), "config/hongyan.toml"),
        ("account", keys::<Account>(), "config/hongyan.toml"),
        ("account.receipts", keys::<c::AccountReceipts>(), "config/hongyan.toml"),
        ("account.rules", keys::<c::AccountRules>(), "config/hongyan.toml"),
        ("carrier.rules", keys::<c::CarrierRules>(), "config/hongyan.toml"),
        ("opt_out", keys::<c::OptOut>(), "config/hongyan.toml"),
        ("opt_out.country", keys::<c::OptOutCountry>(), "config/hongyan.toml"),
        ("inbound", keys::<c::InboundRoute>(), "config/hongyan.toml"),
        ("account.dedupe", keys::<c::AccountDedupe>(), "config/hongyan.toml"),
        ("account.balance", keys::<c::AccountBalance>(), "config/hongyan.toml"),
        ("carrier", keys::<Carrier>(), "config/hongyan.toml"),
        ("carrier.timers", keys::<c::CarrierTimers>(), "config/hongyan.toml"),
        ("route", keys::<Route>(), "config/hongyan.toml"),
        ("health", keys::<c::Health>(), "config/hongyan.toml"),
        ("failover_on_receipt", keys::<c::FailoverOnReceipt>(), "config/hongyan.toml"),
        ("carrier.reconnect", keys::<c::Reconnect>(), "config/hongyan.toml"),
        ("shaping", keys::<c::Shaping>(), "config/profiles/standard.toml"),
        ("alphabets", keys::<c::Alphabets>(), "config/profiles/standard.toml"),
        ("receipts", keys::<c::ReceiptHabits>(), "config/profiles/standard.toml"),
        ("errors", keys::<c::ErrorRules>(), "config/profiles/standard.toml"),
        ("abilities", vec!["query_sm".to_owned()], "config/profiles/standard.toml"),
        ("simulate", keys::<c::Simulate>(), "config/profiles/standard.toml"),
    ];
    for (section, keys, file) in sections {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        assert!(!keys.is_empty(), "{section} has no keys");
        for key in keys {
            let written = text.lines().any(|line| {
                let line = line.trim_start_matches("# ");
                line.starts_with(&format!("{key} =")) || (line.starts_with('[') && line.contains(&format!("{section}.{key}]")))
            });
            assert!(written, "{file} lacks {section}.{key}");
        }
    }
}

#[test]
fn a_profile_table_lays_single_keys_over_its_base() {
    let text = r#"
        [[carrier]]
        name = "north"
        hosts = ["127.0.0.1:2776"]
        [carrier.profile]
        base = "hex-ids"
        receipts.zone = "+01:00"
        [carrier.profile.simulate]
        hang_up_after_ms = 5000
        [[route]]
        carriers = ["north"]
    "#;
    let config = Config::parse(text, Path::new(".")).unwrap_or_else(|error| panic!("{error}"));
    let profile = &config.carriers[0].profile;
    assert_eq!(profile.name, "hex-ids");
    assert_eq!(profile.receipts.zone.name(), "+01:00");
    assert_eq!(profile.simulate.hang_up_after_ms, 5000);
    let base = Profile::shipped("hex-ids").unwrap();
    assert_eq!(profile.receipts.id_source, base.receipts.id_source, "keys that the table doesn't name stay");
    assert_eq!(profile.simulate.response_id, base.simulate.response_id);
}

#[test]
fn secrets_come_from_the_environment_or_a_file_and_are_never_printed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pass"), "fr0mfile\n").unwrap();
    let text = r#"
        [[account]]
        name = "a"
        system_id = "a"
        password_env = "GOOSE_PASS"
        [[account]]
        name = "b"
        system_id = "b"
        password_hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$YWJjZGVmZ2hpamtsbW5vcA"
        [[carrier]]
        name = "north"
        hosts = ["127.0.0.1:2776"]
        password_file = "pass"
        [[route]]
        carriers = ["north"]
    "#;
    let environment = |name: &str| (name == "GOOSE_PASS").then(|| "fr0menv".to_owned());
    let config = Config::parse_as("t.toml", text, dir.path(), &environment).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.accounts[0].secret, hongyan::config::AccountSecret::Plain(Secret::new("fr0menv")));
    assert!(matches!(config.accounts[1].secret, hongyan::config::AccountSecret::Hash(_)));
    assert_eq!(config.carriers[0].secret.expose(), "fr0mfile");
    let printed = format!("{config:?}{config:#?}");
    for secret in ["fr0menv", "fr0mfile", "YWJjZGVmZ2hpamtsbW5vcA"] {
        assert!(!printed.contains(secret), "{secret} is printed");
    }
    assert!(printed.contains("***"));
}
