//! A bad configuration is refused with the file's line, the key and what is allowed; a secret never shows up in that.

use hongyan::config::Config;
use std::path::Path;

/// A configuration that is right, to be spoilt line by line.
const GOOD: &str = r#"[gateway]
node = 3
[listen]
address = "127.0.0.1:2775"
max_connections = 50
[[account]]
name = "acme"
system_id = "acme"
password = "s3cret"
allowed_addresses = ["192.0.2.0/24"]
window = 50
bind_types = ["trx"]
[[account]]
name = "beta"
system_id = "beta"
password = "s3cret"
[account.receipts]
zone = "UTC"
date_digits = 10
[[carrier]]
name = "north"
hosts = ["127.0.0.1:2776"]
password = "s3cret"
profile = "standard"
rate_per_s = 10
[[route]]
prefix = ""
carriers = ["north"]
"#;

/// What the configuration with `from` replaced by `to` is refused with.
fn refusal(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "the test replaces what isn't there: {from}");
    match Config::parse_as("t.toml", &GOOD.replacen(from, to, 1), Path::new("."), &|_| None) {
        Ok(_) => panic!("accepted: {to}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_good_configuration_is_taken() {
    let config = Config::parse_as("t.toml", GOOD, Path::new("."), &|_| None).unwrap_or_else(|error| panic!("{error}"));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    assert_eq!((config.accounts.len(), config.carriers.len(), config.routes.len()), (2, 1, 1));
}

#[test]
fn each_mistake_is_told_with_line_key_and_what_is_allowed() {
    // what is replaced, by what, line, key, a piece of "what is allowed"
    let table = [
        ("node = 3", "nod = 3", 2, "gateway.nod", "`node`"),
        ("[listen]", "[opt_out]\nwords = [\"。\"]\n[listen]", 4, "opt_out.words", "a letter or a digit"),
        ("[listen]", "[opt_out]\nback_words = [\"td\"]\n[listen]", 4, "opt_out.back_words", "words of its own"),
        ("[listen]", "[opt_out]\nlevel = \"all\"\n[listen]", 4, "opt_out.level", "`sender`"),
        ("window = 50", "rules.allowed_destinations = [\"China\"]", 11, "account[0].rules.allowed_destinations[0]", "two capital letters"),
        ("window = 50", "rules.velocity = [{ most = 5 }]", 11, "account[0].rules.velocity[0].window_s", "1 to 2592000"),
        (
            "window = 50",
            "rules.velocity = [{ prefix = \"8613\", digits = 2, most = 5, window_s = 9 }]",
            11,
            "account[0].rules.velocity[0].digits",
            "or more",
        ),
        ("window = 50", "rules.deny_phrases = [\" \"]", 11, "account[0].rules.deny_phrases", "1 to 200"),
        ("window = 50", "rules.deny_phrases_file = \"no/such\"", 11, "account[0].rules.deny_phrases_file", "a phrase a line"),
        ("[[route]]", "[carrier.rules]\ndeny_action = \"drop\"\n[[route]]", 27, "carrier[0].rules.deny_action", "`elsewhere`"),
        ("[[route]]", "[[inbound]]\nservice = \"1069\"\naccount = \"nobody\"\n[[route]]", 28, "inbound[0].account", "acme, beta"),
        ("[[route]]", "[[inbound]]\nkeyword = \"two words\"\naccount = \"acme\"\n[[route]]", 27, "inbound[0].keyword", "one word"),
        ("node = 3", "node = \"3\"", 2, "gateway.node", "an integer from 0 to 255"),
        ("node = 3", "node = 10", 2, "gateway.node", "0 to 9"),
        ("node = 3", "node = -1", 2, "gateway.node", "an integer from 0 to 255"),
        ("node = 3", "home_region = \"China\"", 2, "gateway.home_region", "two capital letters"),
        ("node = 3", "node = ", 2, "", "not TOML"),
        ("[listen]", "[lisen]", 3, "lisen", "`listen`"),
        ("\"127.0.0.1:2775\"", "\"localhost\"", 4, "listen.address", "socket address"),
        ("max_connections = 50", "max_connections = 0", 5, "listen.max_connections", "1 to 100000"),
        ("max_connections = 50", "inactivity_ms = 20000", 5, "listen.inactivity_ms", "more than enquire_link_ms"),
        ("name = \"acme\"", "name = \"Ac me\"", 7, "account[0].name", "a-z, 0-9"),
        ("name = \"beta\"", "name = \"acme\"", 14, "account[1].name", "a name of its own"),
        ("system_id = \"beta\"", "system_id = \"acme\"", 15, "account[1].system_id", "a system_id of its own"),
        ("system_id = \"beta\"", "system_id = \"beta0123456789012\"", 15, "account[1].system_id", "1 to 15"),
        ("password = \"s3cret\"", "password = \"s3cret-too-long\"", 9, "account[0].password", "1 to 8"),
        ("password = \"s3cret\"", "password_env = \"NOT_SET\"", 9, "account[0].password_env", "NOT_SET is not set"),
        ("password = \"s3cret\"", "password_file = \"no/such\"", 9, "account[0].password_file", "a file that holds"),
        ("password = \"s3cret\"", "password_hash = \"md5\"", 9, "account[0].password_hash", "$argon2id$"),
        ("password = \"s3cret\"", "password_hash = \"$argon2id$v=19$zzz\"", 9, "account[0].password_hash", "$SALT$HASH"),
        (
            "password = \"s3cret\"",
            "password_hash = \"$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$YWJjZGVmZ2hpamtsbW5vcA\"",
            9,
            "account[0].password_hash",
            "no argon2id hash",
        ),
        ("password = \"s3cret\"", "", 6, "account[0].password", "exactly one of password, password_hash"),
        ("\"192.0.2.0/24\"", "\"192.0.2.0/33\"", 10, "account[0].allowed_addresses", "192.0.2.0/24"),
        ("window = 50", "window = 0", 11, "account[0].window", "1 to 10000"),
        ("window = 50", "class = \"bulk\"", 11, "account[0].class", "`otp`, `transactional`, `marketing`"),
        ("window = 50", "dedupe = { action = \"forget\" }", 11, "account[0].dedupe.action", "`drop`, `refuse`, `flag`"),
        ("window = 50", "dedupe = { window_s = 2592001 }", 11, "account[0].dedupe.window_s", "0 to 2592000"),
        ("window = 50", "dedupe = { max_entries = 10 }", 11, "account[0].dedupe.max_entries", "1000 to 100000000"),
        ("window = 50", "balance = { limit = -1, prices = { \"\" = 1 } }", 11, "account[0].balance.limit", "0 to 1000000000000"),
        ("window = 50", "balance = { limit = 5 }", 11, "account[0].balance.prices", "prices = { \"\" = 1000 }"),
        ("window = 50", "balance = { prices = { \"\" = 1, \"+86\" = 1 } }", 11, "account[0].balance.prices", "country code first"),
        ("window = 50", "balance = { prices = { \"\" = 10000001 } }", 11, "account[0].balance.prices", "0 to 10000000"),
        ("window = 50", "balance = { price = 7 }", 11, "account[0].balance.price", "`limit`, `prices`"),
        (
            "window = 50",
            "balance = { prices = { \"\" = 1 }, range_prices = [{ price = 7 }] }",
            11,
            "account[0].balance.range_prices",
            "at least one of country, operator, region",
        ),
        ("bind_types = [\"trx\"]", "bind_types = [\"trx\", \"rtx\"]", 12, "account[0].bind_types[1]", "`tx`, `rx`, `trx`"),
        ("zone = \"UTC\"", "zone = \"Mars\"", 18, "account[1].receipts.zone", "Asia/Shanghai"),
        ("date_digits = 10", "date_digits = 11", 19, "account[1].receipts.date_digits", "10 or 12"),
        ("\"127.0.0.1:2776\"", "\"127.0.0.1\"", 22, "carrier[0].hosts", "host:port"),
        (
            "profile = \"standard\"",
            "profile = \"nosuch\"",
            24,
            "carrier[0].profile",
            "standard, hex-ids, text-receipts, plain-class-receipts, tlv-only",
        ),
        ("profile = \"standard\"", "profile = { receipts = { zone = 5 } }", 24, "carrier[0].profile.receipts.zone", "string"),
        ("profile = \"standard\"", "profile = { receipt = {} }", 24, "carrier[0].profile.receipt", "`receipts`"),
        (
            "profile = \"standard\"",
            "profile = { receipts = { no_receipt_after_h = 0 } }",
            24,
            "carrier[0].profile.receipts.no_receipt_after_h",
            "1 to 720",
        ),
        ("rate_per_s = 10", "rate_per_s = 2000000", 25, "carrier[0].rate_per_s", "0 to 1000000"),
        ("rate_per_s = 10", "rate_per_sec = 10", 25, "carrier[0].rate_per_sec", "`rate_per_s`"),
        ("prefix = \"\"", "prefix = \"+86\"", 27, "route[0].prefix", "digits"),
        ("carriers = [\"north\"]", "carriers = [\"south\"]", 28, "route[0].carriers[0]", "allowed: north"),
        ("carriers = [\"north\"]", "carriers = [\"north\", \"north\"]", 28, "route[0].carriers[1]", "each carrier once"),
        ("rate_per_s = 10", "inbound_account = \"x\"", 25, "carrier[0].inbound_account", "acme, beta"),
        (
            "[account.receipts]",
            "[account.hook]\nurl = \"https://x@[::ffff:10.0.0.1]/hook\"\nsecret_env = \"X\"\n[account.receipts]",
            18,
            "account[1].hook.url",
            "hooks.allow_private = true",
        ),
        (
            "[account.receipts]",
            "[account.hook]\nurl = \"http://\"\nsecret_env = \"X\"\n[account.receipts]",
            18,
            "account[1].hook.url",
            "https://",
        ),
        ("carriers = [\"north\"]", "carriers = []", 28, "route[0].carriers", "1 to 16"),
    ];
    let mut wrong = Vec::new();
    for (from, to, line, key, allowed) in table {
        let message = refusal(from, to);
        let place = if key.is_empty() { format!("t.toml:{line}: ") } else { format!("t.toml:{line}: {key}: ") };
        let told = message.lines().any(|problem| problem.starts_with(&place) && problem.contains(allowed));
        if !told || message.contains("s3cret") {
            wrong.push(format!("{to}\n  wanted {place}... {allowed}\n  got    {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_problems_are_told_at_once() {
    let text = GOOD.replace("node = 3", "node = 11").replace("date_digits = 10", "date_digits = 9");
    let error = Config::parse_as("t.toml", &text, Path::new("."), &|_| None).unwrap_err();
    assert_eq!(error.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [2, 19], "{error}");
}

#[test]
fn two_owners_of_a_service_number_and_two_listeners_on_one_port_are_refused() {
    let text = GOOD
        .replace("window = 50", "service_numbers = [\"10690001\"]")
        .replace("system_id = \"beta\"", "system_id = \"beta\"\nservice_numbers = [\"10690002\", \"10690001\"]");
    let error = Config::parse_as("t.toml", &text, Path::new("."), &|_| None).unwrap_err().to_string();
    assert!(error.starts_with("t.toml:16: account[1].service_numbers: 10690001 belongs to an account above"), "{error}");
    for (metrics, clash) in [("127.0.0.1:2775", true), ("0.0.0.0:2775", true), ("127.0.0.2:2775", false), ("127.0.0.1:9464", false)] {
        let text = format!("[metrics]\naddress = \"{metrics}\"\n{GOOD}");
        let refused = Config::parse_as("t.toml", &text, Path::new("."), &|_| None).err().map(|error| error.to_string());
        assert_eq!(refused.is_some(), clash, "{metrics}");
        assert!(refused.is_none_or(|error| error.starts_with("t.toml:2: metrics.address: is listen.address too")));
    }
}

#[test]
fn an_argon2id_hash_with_salt_and_parameters_is_taken() {
    let hash = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$YWJjZGVmZ2hpamtsbW5vcA";
    let text = GOOD.replacen("password = \"s3cret\"", &format!("password_hash = \"{hash}\""), 1);
    assert!(Config::parse_as("t.toml", &text, Path::new("."), &|_| None).is_ok());
}

#[test]
fn no_form_of_a_misplaced_secret_is_told() {
    for spoilt in [
        "password = 987654321",
        "password = [\"hunter2\"]",
        "password = hunter2",
        "password = { is = \"hunter2\" }",
        "password = \"hunter2",
    ] {
        let message = refusal("password = \"s3cret\"", spoilt);
        assert!(message.contains("t.toml:9"), "{message}");
        assert!(!message.contains("hunter2") && !message.contains("987654321"), "a secret is told: {message}");
    }
}

#[test]
fn a_rate_of_zero_is_allowed_and_noted() {
    let text = GOOD.replace("rate_per_s = 10", "rate_per_s = 0");
    let config = Config::parse_as("t.toml", &text, Path::new("."), &|_| None).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.carriers[0].rate_per_s, Some(0));
    assert!(
        config.warnings.iter().any(|note| note.starts_with("t.toml:25: carrier[0].rate_per_s") && note.contains("pauses")),
        "{:?}",
        config.warnings
    );
}

#[test]
fn a_profile_of_one_s_own_is_refused_with_its_own_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("profiles")).unwrap();
    std::fs::write(dir.path().join("profiles/odd.toml"), "description = \"odd\"\n[receipts]\nid = \"octal\"\n").unwrap();
    let text = GOOD.replace("\"standard\"", "\"odd\"");
    let error = Config::parse_as("t.toml", &text, dir.path(), &|_| None).unwrap_err();
    assert_eq!((error.problems[0].line, error.problems[0].key.as_str()), (3, "receipts.id"), "{error}");
    assert!(error.problems[0].file.ends_with("odd.toml") && error.problems[0].what.contains("`hex_then_decimal`"), "{error}");
}
