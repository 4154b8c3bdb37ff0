//! The configuration in force, and how another one takes its place while everything runs: read whole or refused whole, compared by key, names made durable,
//! then the engine's plan, the accounts that may bind, and the binds whose connection is another. No upstream session is dropped but those of an account
//! that is configured no more.

use super::asides::Asides;
use super::hooks;
use super::names::Names;
use super::plan;
use crate::config::{Carrier, Config, ConfigError, Difference};
use crate::engine::control::Ask;
use crate::engine::overlay::Limit;
use crate::engine::port::Input;
use crate::http::Keep;
use crate::http::admin::{Boxed, Configured, Reloaded};
use crate::http::api::Keys;
use crate::http::desk::Operator;
use crate::http::hooks::Known;
use crate::http::problem::Problem;
use crate::link::accounts::Accounts;
use crate::link::carrier::CarrierContext;
use crate::link::pool::{LinkShared, Pool};
use crate::model::CarrierId;
use crate::records::Records;
use crate::telemetry::Telemetry;
use axum::http::StatusCode;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{Mutex, watch};

/// Keys that are in force at once when they change. Everything else needs a restart.
const LIVE: [&str; 21] = [
    "account.",
    "carrier.",
    "route.",
    "class.",
    "ranges.",
    "health.",
    "failover_on_receipt.",
    "limit.",
    "opt_out.",
    "inbound.",
    "gateway.home_zone",
    "gateway.max_waiting",
    "gateway.max_waiting_bytes",
    "gateway.journal_max_bytes",
    "gateway.max_in_memory",
    "gateway.defer_on_disk_s",
    "gateway.max_parked_receipts",
    "gateway.parked_age_s",
    "gateway.max_inbound_parts",
    "gateway.inbound_age_s",
    "gateway.failover_after_ms",
];

/// What runs by the configuration, while the gateway does.
struct Running {
    names: Names,
    pools: BTreeMap<CarrierId, (Carrier, Pool)>,
    shared: LinkShared,
}

/// See the module.
pub struct Reloader {
    /// As it is in the file, without ghosts.
    config: RwLock<Arc<Config>>,
    running: Mutex<Option<Running>>,
    accounts: Arc<Accounts>,
    operator: Operator,
    telemetry: Arc<Telemetry>,
    asides: Arc<Asides>,
    hooks: watch::Sender<Arc<Known>>,
    records: Option<Records>,
    keys: Arc<Keys>,
    home_country_code: u16,
}

/// What a [`Reloader`] is made of besides the configuration.
pub struct Parts {
    pub names: Names,
    pub shared: LinkShared,
    pub accounts: Arc<Accounts>,
    pub operator: Operator,
    pub telemetry: Arc<Telemetry>,
    pub asides: Arc<Asides>,
    pub hooks: watch::Sender<Arc<Known>>,
    pub records: Option<Records>,
    pub keys: Arc<Keys>,
}

impl Reloader {
    /// Starts the binds of `config`, which is in force from now on.
    pub fn start(config: Config, parts: Parts) -> Reloader {
        let Parts { names, shared, accounts, operator, telemetry, asides, hooks, records, keys } = parts;
        let home_country_code = crate::number::HomeRegion::from_iso(&config.gateway.home_region).unwrap_or_default().code;
        let arranged = names.arrange(config.clone());
        let mut pools = BTreeMap::new();
        for (at, carrier) in arranged.carriers.iter().enumerate().filter(|(_, carrier)| !carrier.hosts.is_empty()) {
            let id = CarrierId(at as u16);
            pools.insert(id, (carrier.clone(), start_pool(id, carrier, home_country_code, &shared)));
        }
        let running = Mutex::new(Some(Running { names, pools, shared }));
        Reloader {
            config: RwLock::new(Arc::new(config)),
            running,
            accounts,
            operator,
            telemetry,
            asides,
            hooks,
            records,
            keys,
            home_country_code,
        }
    }

    /// Nothing is reloaded any more: gives the binds to whoever ends them. Waits for a reload that is under way, which a bind's unbind timer bounds.
    pub async fn take_pools(&self) -> Vec<Pool> {
        let running = self.running.lock().await.take();
        running.into_iter().flat_map(|running| running.pools.into_values()).map(|(_, pool)| pool).collect()
    }

    async fn read_again(&self, old: &Config) -> Result<Config, Problem> {
        let Some(file) = old.file.clone() else {
            let fix = "start it with `hongyan serve --config FILE`";
            return Err(Problem::new(StatusCode::CONFLICT, "no_file", "", "this gateway was not started from a file", fix));
        };
        let reading = tokio::task::spawn_blocking(move || Config::load(&file)).await;
        let read = reading.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", "", error.to_string(), ""))?;
        read.map_err(|error: ConfigError| {
            let field = error.problems.first().map(|problem| problem.key.clone()).unwrap_or_default();
            let fix = "what each line says; the configuration in force stays as it is";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_configuration", &field, error.to_string(), fix)
        })
    }

    async fn reload_now(&self, dry_run: bool, who: &str, reason: &str) -> Result<Reloaded, Problem> {
        // One at a time, and not while the gateway stops.
        let mut guard = self.running.lock().await;
        let Some(running) = guard.as_mut() else {
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "", "the gateway is stopping", ""));
        };
        let old = self.config();
        let read = self.read_again(&old).await?;
        let (changes, needs_restart): (Vec<Difference>, Vec<Difference>) =
            read.differences(&old).into_iter().filter(|d| d.key != "gateway.data_dir").partition(|d| is_live(&d.key));
        let warnings = read.warnings.clone();
        let next = live_part(&old, read);
        let names = running.names.with(&next);
        let arranged = names.arrange(next.clone());
        let bad_plan = |what| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_configuration", "", what, "what it says");
        let plan = Arc::new(plan::of(&arranged).map_err(bad_plan)?);
        let rebuilt = rebuilt(&running.pools, &arranged);
        let mut reloaded = Reloaded { applied: false, rebuilt, warnings, needs_restart, changes };
        if dry_run || reloaded.changes.is_empty() {
            return Ok(reloaded);
        }
        if names != running.names {
            self.keep(&names).await?;
        }
        let keys = reloaded.changes.iter().map(|change| change.key.as_str()).take(20).collect::<Vec<_>>().join(", ");
        let what = format!("reload: {} keys differ: {keys}", reloaded.changes.len());
        self.operator.ask(who, reason, Ask::Note { what }).await?;
        let names_of = |config: &Config| -> [Vec<String>; 2] {
            [config.accounts.iter().map(|a| a.name.clone()).collect(), config.carriers.iter().map(|c| c.name.clone()).collect()]
        };
        let [accounts, carriers] = names_of(&arranged);
        self.telemetry
            .grow(&accounts.iter().map(String::as_str).collect::<Vec<_>>(), &carriers.iter().map(String::as_str).collect::<Vec<_>>());
        if let Some(records) = self.records.clone() {
            // Before anything of a new name can be on record.
            let _ = tokio::task::spawn_blocking(move || records.names(accounts, carriers)).await;
        }
        // The plan first: a session of a new account must find its place in the engine.
        let ranges = Arc::clone(&plan.ranges);
        self.operator.tell(vec![Input::Plan(plan)]).await;
        running.names = names;
        self.accounts.replace(&arranged.accounts);
        self.keys.replace(&arranged.accounts, ranges);
        running.shared.registry.accounts_changed();
        hooks::tell(&arranged, &running.shared.engine, &self.hooks).await;
        self.change_pools(running, &arranged).await;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        tracing::info!(changes = reloaded.changes.len(), %who, "configuration reloaded");
        reloaded.applied = true;
        Ok(reloaded)
    }

    /// Makes the table of names durable.
    async fn keep(&self, names: &Names) -> Result<(), Problem> {
        match self.asides.keep(names.update()).await {
            true => Ok(()),
            false => {
                let what = "the new names can't be written down now";
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "", what, "look at the disk, try again"))
            }
        }
    }

    /// Binds follow: carriers that are gone or have another connection end theirs, new ones and those begin anew.
    async fn change_pools(&self, running: &mut Running, arranged: &Config) {
        let mut ending = Vec::new();
        for (at, carrier) in arranged.carriers.iter().enumerate() {
            let id = CarrierId(at as u16);
            match running.pools.get_mut(&id) {
                Some((settings, _)) if is_same_link(settings, carrier) => *settings = carrier.clone(),
                Some(_) => ending.extend(running.pools.remove(&id).map(|(_, pool)| tokio::spawn(pool.stop()))),
                None => {}
            }
        }
        for end in ending {
            // A panic of that task has been printed.
            let _ = end.await;
        }
        for (at, carrier) in arranged.carriers.iter().enumerate().filter(|(_, carrier)| !carrier.hosts.is_empty()) {
            let id = CarrierId(at as u16);
            if !running.pools.contains_key(&id) {
                running.pools.insert(id, (carrier.clone(), start_pool(id, carrier, self.home_country_code, &running.shared)));
            }
        }
    }
}

impl Configured for Reloader {
    fn reload<'a>(&'a self, dry_run: bool, who: &'a str, reason: &'a str) -> Boxed<'a, Result<Reloaded, Problem>> {
        Box::pin(self.reload_now(dry_run, who, reason))
    }

    fn to_toml(&self, limits: &[Limit], secrets: bool) -> String {
        let mut config = (*self.config()).clone();
        for limit in limits {
            for account in config.accounts.iter_mut().filter(|account| Some(&account.name) == limit.account.as_ref()) {
                account.rate_per_s = if limit.unlimited { None } else { limit.rate_per_s.or(account.rate_per_s) };
                account.max_waiting = limit.max_waiting.unwrap_or(account.max_waiting);
            }
            for carrier in config.carriers.iter_mut().filter(|carrier| Some(&carrier.name) == limit.carrier.as_ref()) {
                carrier.rate_per_s = if limit.unlimited { None } else { limit.rate_per_s.or(carrier.rate_per_s) };
                carrier.burst = limit.burst.unwrap_or(carrier.burst);
            }
        }
        config.to_toml(secrets)
    }

    fn config(&self) -> Arc<Config> {
        // Nothing that can panic runs under this lock, so a poisoned one is still whole.
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn start_pool(id: CarrierId, carrier: &Carrier, home_country_code: u16, shared: &LinkShared) -> Pool {
    Pool::start(id, &Arc::new(CarrierContext { settings: carrier.clone(), home_country_code }), shared)
}

fn is_live(key: &str) -> bool {
    LIVE.iter().any(|live| if live.ends_with('.') { key.starts_with(live) } else { key == *live })
}

/// The configuration in force with what `read` changes at once.
fn live_part(old: &Config, read: Config) -> Config {
    let (from, mut gateway) = (&read.gateway, old.gateway.clone());
    let to = &mut gateway;
    to.home_zone.clone_from(&from.home_zone);
    (to.max_waiting, to.max_waiting_bytes, to.journal_max_bytes) = (from.max_waiting, from.max_waiting_bytes, from.journal_max_bytes);
    (to.max_in_memory, to.defer_on_disk_s) = (from.max_in_memory, from.defer_on_disk_s);
    (to.max_parked_receipts, to.parked_age_s) = (from.max_parked_receipts, from.parked_age_s);
    (to.max_inbound_parts, to.inbound_age_s, to.failover_after_ms) = (from.max_inbound_parts, from.inbound_age_s, from.failover_after_ms);
    let (listen, metrics, admin, file) = (old.listen.clone(), old.metrics.clone(), old.admin.clone(), old.file.clone());
    Config {
        gateway,
        listen,
        metrics,
        admin,
        http: old.http.clone(),
        hooks: old.hooks.clone(),
        records: old.records.clone(),
        recorder: old.recorder.clone(),
        file,
        ..read
    }
}

/// Nothing differs that a session with the carrier is made of; pace and who owns its inbound messages are the engine's.
fn is_same_link(old: &Carrier, new: &Carrier) -> bool {
    let paced = Carrier {
        rate_per_s: new.rate_per_s,
        burst: new.burst,
        bind_rate_per_s: new.bind_rate_per_s,
        floor_per_s: new.floor_per_s,
        slow_answer_ms: new.slow_answer_ms,
        marketing_reserve_percent: new.marketing_reserve_percent,
        failover_on_receipt: new.failover_on_receipt.clone(),
        rules: new.rules.clone(),
        inbound_account: new.inbound_account.clone(),
        ..old.clone()
    };
    paced == *new
}

/// Names of carriers whose binds are built anew.
fn rebuilt(pools: &BTreeMap<CarrierId, (Carrier, Pool)>, arranged: &Config) -> Vec<String> {
    let is_rebuilt = |(at, carrier): &(usize, &Carrier)| {
        let old = pools.get(&CarrierId(*at as u16)).map(|(settings, _)| settings);
        old.is_some_and(|old| !carrier.hosts.is_empty() && !is_same_link(old, carrier))
    };
    arranged.carriers.iter().enumerate().filter(is_rebuilt).map(|(_, carrier)| carrier.name.clone()).collect()
}
