//! Routes in the configuration: what is read, what is refused, and what is warned of.

use hongyan::config::Config;
use std::path::Path;

const CARRIERS: &str = "
[[account]]
name = \"acme\"
system_id = \"acme\"
password = \"s3cret\"
[[carrier]]
name = \"north\"
hosts = [\"127.0.0.1:2776\"]
[[carrier]]
name = \"south\"
hosts = [\"127.0.0.1:2777\"]
[[carrier]]
name = \"west\"
hosts = [\"127.0.0.1:2778\"]
[[route]]
carriers = [\"north\", \"south\", \"west\"]
";

fn parse(routes: &str) -> Result<Config, String> {
    Config::parse_as("t.toml", &format!("{CARRIERS}{routes}"), Path::new("."), &|_| None).map_err(|error| error.to_string())
}

#[test]
fn carriers_are_names_or_tables_and_neighbours_with_weights_or_costs_are_equals() {
    for (carriers, ranks) in [
        (r#"["north", "south", "west"]"#, vec![0, 1, 2]),
        (r#"[{ carrier = "north", weight = 3 }, { carrier = "south", weight = 1 }, "west"]"#, vec![0, 0, 1]),
        (r#"["north", { carrier = "south", cost = 0.03 }, { carrier = "west", cost = 0.04 }]"#, vec![0, 1, 1]),
        (r#"[{ carrier = "north", weight = 1 }, { carrier = "south", cost = 1 }, "west"]"#, vec![0, 1, 2]),
        (r#"[{ carrier = "north", rank = 4 }, { carrier = "south", rank = 4 }, { carrier = "west" }]"#, vec![4, 4, 5]),
    ] {
        let config = parse(&format!("[[route]]\nprefix = \"86\"\ncarriers = {carriers}\n")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.routes[1].ranks(), ranks, "{carriers}");
        assert!(!config.routes[1].is_exception(), "weights are no condition");
    }
}

#[test]
fn each_mistake_in_a_route_is_told_with_line_key_and_what_is_allowed() {
    // what stands in the route beside its carriers, key, a piece of what is said
    for (text, key, allowed) in [
        ("prefx = \"86\"", "route[1].prefx", "`prefix`"),
        ("prefix = \"+86\"", "route[1].prefix", "up to 15 digits"),
        ("prefix = \"86\"\nprefixes = [\"87\"]", "route[1].prefixes", "one of the two"),
        ("prefixes = [\"86\", \"x\"]", "route[1].prefixes[1]", "1 to 15 digits"),
        ("prefix = \"\"", "route[1].prefix", "one plain route for each prefix"),
        ("accounts = [\"acne\"]", "route[1].accounts[0]", "acme"),
        ("classes = [\"bulk\"]", "route[1].classes", "`otp`, `transactional`, `marketing`"),
        ("countries = [\"China\"]", "route[1].countries[0]", "two capital letters"),
        ("senders = [\"*1069\"]", "route[1].senders", "beginning with one *"),
        ("texts = [\"utf8\"]", "route[1].texts", "`gsm7`, `latin1`, `ucs2`, `binary`"),
        ("min_segments = 3\nmax_segments = 2", "route[1].max_segments", "min_segments or more"),
        ("from = \"8:00\"", "route[1].from", "\"00:00\" to \"24:00\""),
        ("from = \"08:00\"\nto = \"08:00\"", "route[1].to", "no time is left"),
        ("from = \"24:00\"", "route[1].to", "23:59 at most"),
        ("days = [\"monday\"]", "route[1].days", "`mon`, `tue`"),
        ("prefix = \"86\"\nzone = \"Asia/Shanghai\"", "route[1].zone", "with from, to or days"),
        ("prefix = \"86\"\nsticky = \"number\"", "route[1].sticky", "with weights"),
        ("prefix = \"86\"\nfailover_on_receipt = [\"delivered\"]", "route[1].failover_on_receipt", "undeliverable, rejected"),
    ] {
        let error = parse(&format!("[[route]]\ncarriers = [\"north\"]\n{text}\n")).expect_err(text);
        assert!(error.contains(&format!(": {key}")) && error.contains(allowed), "{text}: {error}");
    }
    for (carriers, key, allowed) in [
        ("[]", "route[1].carriers", "1 to 16"),
        ("[7]", "route[1].carriers", "a carrier's name, or a table"),
        (r#"["nroth"]"#, "route[1].carriers[0]", "north, south, west"),
        (r#"[{ carrier = "north", wait = 3 }]"#, "route[1].carriers", "`carrier`, `weight`, `cost`, `rank`"),
        (r#"["north", { carrier = "north", weight = 3 }]"#, "route[1].carriers[1]", "each carrier once"),
        (r#"[{ carrier = "north", weight = 1001 }]"#, "route[1].carriers[0].weight", "0 to 1000"),
        (r#"[{ carrier = "north", cost = -0.1 }]"#, "route[1].carriers[0].cost", "0 to 1000000"),
        (r#"[{ carrier = "north", rank = 2 }, { carrier = "south", rank = 1 }]"#, "route[1].carriers[1].rank", "ranks that don't fall"),
        (r#"[{ carrier = "north", weight = 2 }, { carrier = "south", rank = 0 }]"#, "route[1].carriers[1].weight", "for each equal"),
    ] {
        let error = parse(&format!("[[route]]\nprefix = \"86\"\ncarriers = {carriers}\n")).expect_err(carriers);
        assert!(error.contains(&format!(": {key}")) && error.contains(allowed), "{carriers}: {error}");
    }
    for (text, key) in [
        ("[health]\nfailed_percent = 0", "health.failed_percent"),
        ("[health]\npause_s = 20\npause_max_s = 10", "health.pause_max_s"),
        ("[health]\nprobes = 17", "health.probes"),
        ("[failover_on_receipt]\notp = 16", "failover_on_receipt.otp"),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.contains(key), "{text}: {error}");
    }
}

#[test]
fn an_exception_that_can_never_be_taken_is_warned_of() {
    let exception = |conditions: &str| format!("[[route]]\ncarriers = [\"north\"]\n{conditions}\n");
    for (first, second, never) in [
        ("accounts = [\"acme\"]", "accounts = [\"acme\"]\nclasses = [\"otp\"]", true),
        ("accounts = [\"acme\"]\nclasses = [\"otp\"]", "accounts = [\"acme\"]", false),
        ("classes = [\"otp\", \"marketing\"]", "classes = [\"otp\"]\nprefix = \"86\"", true),
        ("classes = [\"otp\"]\nprefix = \"86\"", "classes = [\"otp\"]\nprefixes = [\"8613\", \"8615\"]", true),
        ("classes = [\"otp\"]\nprefix = \"8613\"", "classes = [\"otp\"]\nprefixes = [\"8613\", \"8615\"]", false),
        ("senders = [\"1069*\"]", "senders = [\"10690001\", \"10691*\"]", true),
        ("senders = [\"10690001\"]", "senders = [\"1069*\"]", false),
        ("min_segments = 2", "min_segments = 3\nmax_segments = 4", true),
        ("min_segments = 2", "texts = [\"ucs2\"]", false),
        ("from = \"08:00\"", "texts = [\"ucs2\"]", false),
        ("from = \"08:00\"", "from = \"08:00\"\ndays = [\"mon\"]", true),
    ] {
        let config = parse(&format!("{}{}", exception(first), exception(second))).unwrap_or_else(|error| panic!("{error}"));
        let warned = config.warnings.iter().any(|warning| warning.contains("route[2]") && warning.contains("takes route[1] before it"));
        assert_eq!(warned, never, "{first} / {second}: {:?}", config.warnings);
    }
}
