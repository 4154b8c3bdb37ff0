//! From a file's text to a checked [`Config`]: parse, find profiles and secrets, check bounds and references.

use super::check::Checks;
use super::locate::Document;
use super::{AccountSecret, Config, ConfigError, Problem, Profile, SHIPPED_PROFILES, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Looks up an environment variable; an argument so that tests need none.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

impl Config {
    /// Reads and checks the file at `path`. Relative paths in it start at its directory.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| whole_file(&name, format!("can't be read: {error}")))?;
        let base_dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut config = Config::parse_as(&name, &text, base_dir, &|variable| std::env::var(variable).ok())?;
        config.file = Some(path.to_path_buf());
        Ok(config)
    }

    /// Checks `text`, called `hongyan.toml` in problems; relative paths start at `base_dir`, secrets may come from the process's environment.
    pub fn parse(text: &str, base_dir: &Path) -> Result<Config, ConfigError> {
        Config::parse_as("hongyan.toml", text, base_dir, &|variable| std::env::var(variable).ok())
    }

    /// As [`Config::parse`], with the file's name and the environment as arguments.
    pub fn parse_as(name: &str, text: &str, base_dir: &Path, environment: Environment<'_>) -> Result<Config, ConfigError> {
        let document = Document::parse(name, text).map_err(one)?;
        let (root, tables) = take_profile_tables(document.root().clone());
        let mut config: Config = document.read("", root).map_err(one)?;
        if config.gateway.data_dir.is_relative() {
            config.gateway.data_dir = base_dir.join(&config.gateway.data_dir);
        }
        config.ranges.resolve(base_dir);
        let mut problems = Vec::new();
        for (index, carrier) in config.carriers.iter_mut().enumerate() {
            let at = format!("carrier[{index}].profile");
            match profile(&document, &at, &carrier.profile_name, tables.get(index).and_then(Option::as_ref), base_dir) {
                Ok(profile) => carrier.profile = profile,
                Err(mut found) => problems.append(&mut found),
            }
        }
        let mut checks = Checks::new(&document);
        resolve_secrets(&mut config, base_dir, environment, &mut checks);
        super::compliance::read_phrases(&mut config, base_dir, &mut checks);
        resolve_token(&mut config, base_dir, environment, &mut checks);
        resolve_key(&mut config, base_dir, environment, &mut checks);
        resolve_keys(&mut config, base_dir, environment, &mut checks);
        check(&config, &mut checks);
        problems.append(&mut checks.problems);
        config.warnings = checks.warnings;
        if problems.is_empty() { Ok(config) } else { Err(ConfigError { problems }) }
    }
}

impl Profile {
    /// A profile that ships with the binary.
    pub fn shipped(name: &str) -> Option<Profile> {
        let (_, text) = SHIPPED_PROFILES.iter().find(|(shipped, _)| *shipped == name)?;
        Some(Profile::parse(name, text).expect("shipped profiles are checked by a test"))
    }

    /// Checks the text of a profile; `name` is what it is called in problems.
    pub fn parse(name: &str, text: &str) -> Result<Profile, ConfigError> {
        let document = Document::parse(name, text).map_err(one)?;
        let mut profile: Profile = document.read("", document.root().clone()).map_err(one)?;
        profile.name = name.to_owned();
        let mut checks = Checks::new(&document);
        profile.check("", &mut checks);
        if checks.problems.is_empty() { Ok(profile) } else { Err(ConfigError { problems: checks.problems }) }
    }

    /// The profile that `name` means: a path if it ends in `.toml`, else `profiles/NAME.toml` below `base_dir`, else a shipped one.
    pub fn find(name: &str, base_dir: &Path) -> Result<Profile, ConfigError> {
        let (file, text) = find_profile(name, base_dir).map_err(|what| whole_file(name, what))?;
        let mut profile = Profile::parse(&file, &text)?;
        profile.name = name.to_owned();
        Ok(profile)
    }
}

/// Name and text of the profile that `name` means.
fn find_profile(name: &str, base_dir: &Path) -> Result<(String, String), String> {
    let path = if name.ends_with(".toml") { base_dir.join(name) } else { base_dir.join("profiles").join(format!("{name}.toml")) };
    let plain = !name.is_empty() && (name.ends_with(".toml") || !name.contains(['/', '\\']));
    if plain && path.is_file() {
        let text = std::fs::read_to_string(&path).map_err(|error| format!("profile '{}' can't be read: {error}", path.display()))?;
        return Ok((path.display().to_string(), text));
    }
    match SHIPPED_PROFILES.iter().find(|(shipped, _)| *shipped == name) {
        Some((_, text)) => Ok((format!("profile '{name}'"), (*text).to_owned())),
        None => {
            let shipped = SHIPPED_PROFILES.map(|(name, _)| name).join(", ");
            Err(format!(
                "no profile is called '{name}'; allowed: {shipped}, a file profiles/NAME.toml beside the configuration, or a path that ends in .toml"
            ))
        }
    }
}

/// Takes `[carrier.profile]` tables out of the document, leaving their `base` as the profile's name: one key may be a
/// string or a table, and serde would lose the position of what is inside.
fn take_profile_tables(mut root: DeTable<'_>) -> (DeTable<'_>, Vec<Option<DeTable<'_>>>) {
    let mut tables = Vec::new();
    if let Some(DeValue::Array(carriers)) = root.get_mut("carrier").map(|value| value.get_mut()) {
        for carrier in carriers.iter_mut() {
            let mut taken = None;
            if let DeValue::Table(carrier) = carrier.get_mut()
                && let Some(value) = carrier.get_mut("profile")
                && let DeValue::Table(table) = value.get_ref()
            {
                let mut table = table.clone();
                let base = table.remove("base").map_or(DeValue::String("standard".into()), |base| base.into_inner());
                *value.get_mut() = base;
                taken = Some(table);
            }
            tables.push(taken);
        }
    }
    (root, tables)
}

/// The profile called `name`, with the keys of `overrides` laid over it.
fn profile(
    document: &Document<'_>,
    at: &str,
    name: &str,
    overrides: Option<&DeTable<'_>>,
    base_dir: &Path,
) -> Result<Profile, Vec<Problem>> {
    let here = |what: String| {
        let problem = Problem { file: document.name().to_owned(), line: document.line_of_key(at), key: at.to_owned(), what };
        vec![problem]
    };
    let (file, text) = find_profile(name, base_dir).map_err(here)?;
    // Checked alone first: what is wrong in the base is the base's, whatever lies over it.
    let mut base = Profile::parse(&file, &text).map_err(|error| error.problems)?;
    base.name = name.to_owned();
    let Some(overrides) = overrides else { return Ok(base) };
    document.read::<Profile>(at, overrides.clone()).map_err(|problem| vec![problem])?;
    let base_document = Document::parse(&file, &text).map_err(|problem| vec![problem])?;
    let mut merged = base_document.root().clone();
    lay_over(&mut merged, overrides);
    let mut profile: Profile = document.read(at, merged).map_err(|problem| vec![problem])?;
    profile.name = name.to_owned();
    let mut checks = Checks::new(document);
    checks.also_in(&base_document, at.to_owned());
    profile.check(at, &mut checks);
    if checks.problems.is_empty() { Ok(profile) } else { Err(checks.problems) }
}

/// Lays `over` on `base`: tables are merged, everything else is replaced.
fn lay_over<'i>(base: &mut DeTable<'i>, over: &DeTable<'i>) {
    for (key, value) in over {
        if let DeValue::Table(over) = value.get_ref()
            && let Some(DeValue::Table(base)) = base.get_mut(key.get_ref().as_ref()).map(|value| value.get_mut())
        {
            lay_over(base, over);
        } else {
            base.insert(key.clone(), value.clone());
        }
    }
}

/// Where a password may stand.
struct Places<'p> {
    value: Option<&'p Secret>,
    hash: Option<&'p Secret>,
    variable: Option<&'p String>,
    file: Option<&'p String>,
    /// Longest password allowed.
    longest: usize,
}

fn resolve_secrets(config: &mut Config, base_dir: &Path, environment: Environment<'_>, c: &mut Checks) {
    for (index, account) in config.accounts.iter_mut().enumerate() {
        let places = Places {
            value: account.password.as_ref(),
            hash: account.password_hash.as_ref(),
            variable: account.password_env.as_ref(),
            file: account.password_file.as_ref(),
            longest: if account.long_credentials { 64 } else { 8 },
        };
        if let Some(secret) = resolve(&format!("account[{index}]"), &places, true, base_dir, environment, c) {
            account.secret = secret;
        }
    }
    for (index, carrier) in config.carriers.iter_mut().enumerate() {
        let places = Places {
            value: carrier.password.as_ref(),
            hash: None,
            variable: carrier.password_env.as_ref(),
            file: carrier.password_file.as_ref(),
            longest: 64,
        };
        if let Some(AccountSecret::Plain(secret)) = resolve(&format!("carrier[{index}]"), &places, false, base_dir, environment, c) {
            carrier.secret = secret;
        }
    }
}

/// The token of the admin port, and what accounts' hooks are signed with.
fn resolve_token(config: &mut Config, base_dir: &Path, environment: Environment<'_>, c: &mut Checks) {
    let admin = &config.admin;
    if admin.enabled {
        let places = (admin.token_env.as_ref(), admin.token_file.as_ref());
        if let Some((key, token)) = one_of("admin", ["token_env", "token_file"], places, base_dir, environment, c) {
            c.length("admin", key, &token, 16..=256);
            config.admin.token = Some(Secret::new(token));
        }
    }
    for (index, account) in config.accounts.iter_mut().enumerate() {
        let Some(hook) = &mut account.hook else { continue };
        let at = format!("account[{index}].hook");
        let places = (hook.secret_env.as_ref(), hook.secret_file.as_ref());
        if let Some((key, secret)) = one_of(&at, ["secret_env", "secret_file"], places, base_dir, environment, c) {
            let octets = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(&secret)).map_or(0, |octets| octets.len());
            c.require(
                &at,
                key,
                (24..=64).contains(&octets),
                "is no secret of a hook",
                "24 to 64 octets in base64, with whsec_ before them or without",
            );
            hook.secret = Some(Secret::new(secret));
        }
    }
}

/// The hashes of accounts' keys.
fn resolve_keys(config: &mut Config, base_dir: &Path, environment: Environment<'_>, c: &mut Checks) {
    let mut seen = std::collections::HashSet::new();
    for (index, account) in config.accounts.iter_mut().enumerate() {
        let mut ids = std::collections::HashSet::new();
        for (place, key) in account.api_keys.iter_mut().enumerate() {
            let at = format!("account[{index}].api_key[{place}]");
            key.check(&at, c);
            if key.sha256.is_none()
                && let Some((from, text)) =
                    one_of(&at, ["key_env", "key_file"], (key.key_env.as_ref(), key.key_file.as_ref()), base_dir, environment, c)
            {
                key.take(&at, from, &text, c);
            }
            c.require(&at, "id", ids.insert(key.id.clone()), "is taken by a key above", "an id of its own");
            let is_new = key.hash == [0; 32] || seen.insert(key.hash);
            c.require(&at, "sha256", is_new, "is the key of one above", "a key of its own: `hongyan key new`");
        }
    }
}

/// What stands in the environment variable or in the file that these keys name, and which of them did; `None` if neither is set, or it isn't there, which
/// is told.
fn one_of(
    at: &str,
    keys: [&'static str; 2],
    (variable, file): (Option<&String>, Option<&String>),
    base_dir: &Path,
    environment: Environment<'_>,
    c: &mut Checks,
) -> Option<(&'static str, String)> {
    if variable.is_none() && file.is_none() {
        return None;
    }
    match secret_text(variable, file, keys, base_dir, environment) {
        Ok(text) => Some((keys[usize::from(variable.is_none())], text.trim_end_matches(['\r', '\n']).to_owned())),
        Err((key, problem)) => {
            c.problem(at, key, problem);
            None
        }
    }
}

/// The key of encrypted numbers.
fn resolve_key(config: &mut Config, base_dir: &Path, environment: Environment<'_>, c: &mut Checks) {
    let records = &mut config.records;
    let places = (records.key_env.as_ref(), records.key_file.as_ref());
    if records.enabled {
        records.key = one_of("records", ["key_env", "key_file"], places, base_dir, environment, c).map(|(_, key)| Secret::new(key));
    }
}

/// A secret out of a variable of the environment or a file, named by these keys; or which key is wrong, and how.
fn secret_text(
    variable: Option<&String>,
    file: Option<&String>,
    [variable_key, file_key]: [&'static str; 2],
    base_dir: &Path,
    environment: Environment<'_>,
) -> Result<String, (&'static str, String)> {
    match (variable, file) {
        (Some(variable), None) => {
            let unset = || format!("the environment variable {variable} is not set; allowed: the name of one that is");
            environment(variable).ok_or_else(unset).map_err(|what| (variable_key, what))
        }
        (None, Some(file)) => std::fs::read_to_string(base_dir.join(file))
            .map_err(|error| (file_key, format!("'{file}' can't be read: {error}; allowed: a file that holds it"))),
        _ => Err((variable_key, format!("stands beside {file_key}; allowed: one of the two"))),
    }
}

/// The secret of one account or carrier. Problems never hold its value.
fn resolve(
    at: &str,
    places: &Places<'_>,
    hashes: bool,
    base_dir: &Path,
    environment: Environment<'_>,
    c: &mut Checks,
) -> Option<AccountSecret> {
    let given = [places.value.is_some(), places.hash.is_some(), places.variable.is_some(), places.file.is_some()];
    let keys = if hashes { "password, password_hash, password_env, password_file" } else { "password, password_env, password_file" };
    match given.iter().filter(|given| **given).count() {
        // A carrier may ask for no password at all; an account must not.
        0 if !hashes => return Some(AccountSecret::Plain(Secret::default())),
        1 => {}
        count => {
            let what = if count == 0 { "is missing" } else { "is given in more than one way" };
            c.problem(at, "password", format!("{what}; allowed: exactly one of {keys}"));
            return None;
        }
    }
    let (key, secret) = if let Some(hash) = places.hash {
        if !is_argon2id(hash.expose()) {
            c.problem(
                at,
                "password_hash",
                "is no argon2id hash; allowed: a PHC string $argon2id$v=19$m=...,t=...,p=...$SALT$HASH, as the argon2 tools print it",
            );
            return None;
        }
        return Some(AccountSecret::Hash(hash.clone()));
    } else if let Some(variable) = places.variable {
        let Some(value) = environment(variable) else {
            c.problem(at, "password_env", format!("the environment variable {variable} is not set; allowed: the name of one that is"));
            return None;
        };
        ("password_env", Secret::new(value))
    } else if let Some(file) = places.file {
        match std::fs::read_to_string(base_dir.join(file)) {
            Ok(text) => ("password_file", Secret::new(text.trim_end_matches(['\r', '\n']))),
            Err(error) => {
                c.problem(at, "password_file", format!("'{file}' can't be read: {error}; allowed: a file that holds the password"));
                return None;
            }
        }
    } else {
        ("password", places.value.cloned().unwrap_or_default())
    };
    c.length(at, key, secret.expose(), usize::from(hashes)..=places.longest);
    Some(AccountSecret::Plain(secret))
}

/// True if a password can be checked against `text`: salt, hash and parameters are there and make sense.
fn is_argon2id(text: &str) -> bool {
    argon2::PasswordHash::new(text).is_ok_and(|hash| {
        let parameters = argon2::Params::try_from(&hash);
        hash.algorithm.as_str() == "argon2id" && hash.salt.is_some() && hash.hash.is_some() && parameters.is_ok()
    })
}

/// True if a process can't listen on both: the same port, and one address covers the other.
fn overlap(one: std::net::SocketAddr, other: std::net::SocketAddr) -> bool {
    let covers = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && covers
}

fn check(config: &Config, c: &mut Checks) {
    config.gateway.check("gateway", c);
    config.listen.check("listen", c);
    let clash = config.metrics.enabled && overlap(config.listen.address, config.metrics.address);
    c.require("metrics", "address", !clash, "is listen.address too", "a port of its own");
    c.range("metrics", "matured_after_s", config.metrics.matured_after_s, 1..=604_800);
    c.range("metrics", "max_ranges", config.metrics.max_ranges, 0..=10_000);
    config.admin.check("admin", c);
    config.hooks.check("hooks", c);
    config.http.check("http", c);
    let others =
        [(true, config.listen.address), (config.metrics.enabled, config.metrics.address), (config.admin.enabled, config.admin.address)];
    let taken = config.http.enabled && others.into_iter().any(|(enabled, other)| enabled && overlap(other, config.http.address));
    c.require("http", "address", !taken, "is the address of another port too", "a port of its own");
    let taken = overlap(config.listen.address, config.admin.address)
        || (config.metrics.enabled && overlap(config.metrics.address, config.admin.address));
    c.require("admin", "address", !config.admin.enabled || !taken, "is listen.address or metrics.address too", "a port of its own");
    config.records.check("records", c);
    config.recorder.check("recorder", c);
    config.class.check("class", c);
    config.ranges.check("ranges", c);
    super::compliance::check(config, c);
    config.health.check("health", c);
    config.failover_on_receipt.check("failover_on_receipt", c);
    for (index, account) in config.accounts.iter().enumerate() {
        let at = format!("account[{index}]");
        account.check(&at, c);
        if let Some(hook) = &account.hook {
            hook.check_host(config.hooks.allow_private, &format!("{at}.hook"), c);
        }
        let before = &config.accounts[..index];
        c.require(&at, "name", !before.iter().any(|other| other.name == account.name), "is taken by an account above", "a name of its own");
        let taken = before.iter().any(|other| other.system_id == account.system_id);
        c.require(&at, "system_id", !taken, "is taken by an account above", "a system_id of its own");
        for number in &account.service_numbers {
            let owned = before.iter().any(|other| other.service_numbers.contains(number));
            c.require(&at, "service_numbers", !owned, &format!("{number} belongs to an account above"), "service numbers of its own");
        }
    }
    for (index, carrier) in config.carriers.iter().enumerate() {
        let at = format!("carrier[{index}]");
        carrier.check(&at, c);
        let taken = config.carriers[..index].iter().any(|other| other.name == carrier.name);
        c.require(&at, "name", !taken, "is taken by a carrier above", "a name of its own");
        if let Some(name) = &carrier.inbound_account {
            let names = config.accounts.iter().map(|account| account.name.as_str()).collect::<Vec<_>>().join(", ");
            let known = config.accounts.iter().any(|account| account.name == *name);
            c.require(&at, "inbound_account", known, &format!("no account is called '{name}'"), &names);
        }
        if !config.routes.iter().any(|route| route.carriers.iter().any(|entry| entry.carrier == carrier.name)) {
            c.warn(&at, "name", &format!("no route leads to carrier '{}'", carrier.name));
        }
    }
    super::route::check_all(&config.routes, &config.accounts, &config.carriers, c);
    for (index, limit) in config.limits.iter().enumerate() {
        let at = format!("limit[{index}]");
        limit.check(&at, &config.accounts, &config.carriers, c);
        let taken = config.limits[..index].iter().any(|other| other.name == limit.name);
        c.require(&at, "name", !taken, "is taken by a limit above", "a name of its own");
    }
    for (list, most, key) in [
        (config.accounts.len(), 100_000, "account"),
        (config.carriers.len(), 1_000, "carrier"),
        (config.routes.len(), 1_000_000, "route"),
        (config.limits.len(), 10_000, "limit"),
    ] {
        c.require("", key, list <= most, &format!("stands {list} times"), &format!("at most {most}"));
    }
    if config.accounts.is_empty() {
        c.warn("", "account", "there is no account: nobody can bind");
    }
    if config.routes.is_empty() {
        c.warn("", "route", "there is no route: every message is refused");
    }
}

fn one(problem: Problem) -> ConfigError {
    ConfigError { problems: vec![problem] }
}

fn whole_file(name: &str, what: String) -> ConfigError {
    one(Problem { file: name.to_owned(), line: 0, key: String::new(), what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_profile_passes_its_checks_and_standard_is_the_default() {
        for (name, text) in SHIPPED_PROFILES {
            if let Err(error) = Profile::parse(name, text) {
                panic!("{error}");
            }
        }
        let standard = Profile::shipped("standard").unwrap();
        let default = Profile { name: "standard".to_owned(), description: standard.description.clone(), ..Profile::default() };
        assert_eq!(standard, default);
    }
}
