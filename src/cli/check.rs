//! `hongyan check`: validates a configuration and tells in words what it means.

use super::Output;
use crate::config::{Account, AccountRules, ApiKey, BindMode, BindType, Carrier, Config, Route};
use crate::number::HomeRegion;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hongyan check --config config/hongyan.toml\n  hongyan check --config /etc/hongyan/hongyan.toml --quiet && systemctl restart hongyan"
)]
pub(super) struct Args {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", default_value = "config/hongyan.toml")]
    config: PathBuf,
    /// Say nothing but problems
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), String> {
    let config = Config::load(&args.config).map_err(|error| error.to_string())?;
    // Which countries there are, only `number` knows; `config` imports nothing but the model.
    let region = &config.gateway.home_region;
    let Some(home) = HomeRegion::from_iso(region) else {
        return Err(format!("{}: gateway.home_region: '{region}' is no country with a numbering plan", args.config.display()));
    };
    let table = crate::app::ranges::load(&config.ranges, home).map_err(|error| error.to_string())?;
    crate::app::check(&config).map_err(|error| format!("{}: {error}", args.config.display()))?;
    for warning in &config.warnings {
        output.warning(warning);
    }
    if args.quiet {
        return Ok(());
    }
    output.heading(&format!("{} is valid", args.config.display()));
    for line in process(&config) {
        output.line(&line);
    }
    let (prefixes, ported, _) = table.counts();
    output.line(&format!("  {prefixes} number ranges, {ported} ported numbers"));
    section(output, "accounts", config.accounts.iter().map(account).collect());
    section(output, "carriers", config.carriers.iter().map(carrier).collect());
    section(output, "routes", config.routes.iter().map(route).collect());
    Ok(())
}

/// A heading and its rows, names in a column.
fn section(output: &mut Output, title: &str, rows: Vec<(String, String)>) {
    output.line("");
    output.heading(&format!("{title} ({})", rows.len()));
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, text) in rows {
        output.line(&format!("  {name:width$}  {text}"));
    }
}

fn process(config: &Config) -> Vec<String> {
    let gateway = &config.gateway;
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let metrics = if config.metrics.enabled { format!("http://{}/metrics", config.metrics.address) } else { "off".to_owned() };
    vec![
        format!(
            "  node {}, data in {}, {} socket threads on this machine",
            gateway.node,
            gateway.data_dir.display(),
            gateway.io_threads_on(cores)
        ),
        format!(
            "  up to {} messages waiting, journal up to {} MiB, {} MiB of disk kept in reserve",
            gateway.max_waiting,
            gateway.journal_max_bytes >> 20,
            gateway.disk_reserve_bytes >> 20
        ),
        format!("  upstreams on {}, up to {} connections", config.listen.address, config.listen.max_connections),
        format!("  metrics {metrics}"),
        format!("  HTTP API {}", if config.http.enabled { format!("http://{}", config.http.address) } else { "off".to_owned() }),
        format!("  operators {}", if config.admin.enabled { format!("http://{}", config.admin.address) } else { "off".to_owned() }),
    ]
}

fn rate(rate_per_s: Option<u32>) -> String {
    match rate_per_s {
        None => "no rate limit".to_owned(),
        Some(0) => "PAUSED (rate 0)".to_owned(),
        Some(rate) => format!("{rate} segments/s"),
    }
}

fn account(account: &Account) -> (String, String) {
    let kinds = account.bind_types.iter().map(|kind| match kind {
        BindType::Tx => "tx",
        BindType::Rx => "rx",
        BindType::Trx => "trx",
    });
    let from = if account.allowed_addresses.is_empty() {
        "from anywhere".to_owned()
    } else {
        format!("from {}", account.allowed_addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
    };
    let text = format!(
        "system_id {}, {}, up to {} binds ({}), window {}, {}, {from}",
        account.system_id,
        account.class.name(),
        account.max_binds,
        kinds.collect::<Vec<_>>().join(" "),
        account.window,
        rate(account.rate_per_s),
    );
    (account.name.clone(), text + &over_http(account) + &rules(&account.rules))
}

/// What it has for HTTP; nothing if it has nothing.
fn over_http(account: &Account) -> String {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let key = |key: &ApiKey| match key.expires {
        Some(day) if day <= today => format!("key {} (EXPIRED)", key.id),
        _ => format!("key {}", key.id),
    };
    let mut words: Vec<String> = account.api_keys.iter().map(key).collect();
    // What stands behind the host may be a secret.
    let hook = account.hook.as_ref().and_then(|hook| crate::model::callback::parsed(&hook.url));
    words.extend(hook.map(|url| format!("hook at {}", url.origin().ascii_serialization())));
    words.extend(account.events.iter().map(|events| format!("events kept for {} h", events.keep_h)));
    words.into_iter().map(|word| format!(", {word}")).collect()
}

/// What is there of rules; nothing if there are none.
fn rules(rules: &AccountRules) -> String {
    let mut words = Vec::new();
    if !rules.allowed_destinations.is_empty() {
        words.push(format!("writes to {}", rules.allowed_destinations.join(" ")));
    }
    for limit in &rules.velocity {
        let numbers = match (limit.prefix.as_str(), limit.digits) {
            ("", 0) => "any numbers".to_owned(),
            (prefix, 0) => format!("{prefix}..."),
            (prefix, digits) => format!("each range {prefix}... of {digits} digits"),
        };
        words.push(format!("{} messages to {numbers} in {} s", limit.most, limit.window_s));
    }
    if !rules.deny_phrases.is_empty() {
        words.push(format!("{} denied phrases", rules.deny_phrases.len()));
    }
    words.into_iter().map(|word| format!(", {word}")).collect()
}

fn carrier(carrier: &Carrier) -> (String, String) {
    let binds = match carrier.bind {
        BindMode::Trx => format!("{} trx", carrier.binds),
        BindMode::TxRx => format!("{} tx + {} rx", carrier.binds, carrier.binds),
    };
    let text = format!(
        "{} as {}, {binds}, window {}, {}, profile {} ({})",
        carrier.hosts.join(" then "),
        if carrier.system_id.is_empty() { "(nobody)" } else { &carrier.system_id },
        carrier.window,
        rate(carrier.rate_per_s),
        carrier.profile_name,
        carrier.profile.description,
    );
    (carrier.name.clone(), text)
}

/// What takes the route, and its carriers: equals side by side, the next rank after them.
fn route(route: &Route) -> (String, String) {
    let mut numbers = match route.all_prefixes().as_slice() {
        [] => "every number".to_owned(),
        prefixes => prefixes.iter().map(|prefix| format!("{prefix}...")).collect::<Vec<_>>().join(", "),
    };
    if route.is_exception() {
        let name = if route.name.is_empty() { String::new() } else { format!(" {}", route.name) };
        numbers = format!("exception{name}: {numbers} on conditions");
    }
    let mut text = String::new();
    let ranks = route.ranks();
    for (at, entry) in route.carriers.iter().enumerate() {
        if at > 0 {
            text.push_str(if ranks[at] == ranks[at - 1] { " beside " } else { ", then " });
        }
        text.push_str(&entry.carrier);
        match (entry.weight, entry.cost) {
            (Some(weight), _) => text.push_str(&format!(" (weight {weight})")),
            (None, Some(cost)) => text.push_str(&format!(" (cost {cost})")),
            (None, None) => {}
        }
    }
    (numbers, text)
}
