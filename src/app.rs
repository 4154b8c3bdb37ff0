//! Builds everything from the configuration, owns threads and tasks, starts in order and stops in reverse. No decisions are made here.
//! `serve` and `demo` share it.
//!
//! Start: lock and open the store, recover the engine, start the threads of journal and ledger, the engine's task, the binds, the listener, the metrics
//! page. Stop: take no new connections and messages, let windows drain within the deadline, unbind, flush, release the lock.

mod asides;
mod hooks;
mod lines;
mod names;
mod plan;
pub mod ranges;
mod recording;
mod reload;
mod routes;
mod rules;
mod runner;

pub use names::Names;

use crate::config::Config;
use crate::engine::port::Input;
use crate::engine::recover::{RecoverError, Recovered, recover};
use crate::http::Keep;
use crate::http::admin::{AdminPort, Backstage, Configured, Reloaded};
use crate::http::api::bulk::Bulk;
use crate::http::api::bulk::book::{Book, SUBMISSION_PAGE};
use crate::http::api::issued::{self, KEY_PAGE};
use crate::http::api::{Api, ApiPort, Behind, Keys};
use crate::http::desk::{Desk, Operator};
use crate::http::events::EventLogs;
use crate::http::hooks::dead::{DEAD_PAGE, DeadLetters};
use crate::http::problem::Problem;
use crate::link::listener::Listener;
use crate::link::lists::{Lists, ListsDesk};
use crate::link::pool::LinkShared;
use crate::link::registry::Registry;
use crate::link::submissions::{Submissions, SubmissionsDesk};
use crate::link::tape::Recordings;
use crate::model::clock::SystemClock;
use crate::number::HomeRegion;
use crate::records::Records;
use crate::store::local::{LocalSettings, LocalStore};
use crate::store::{Ledger, StoreError};
use crate::telemetry::{Endpoint, EngineSnapshot, Telemetry};
use asides::Asides;
use reload::{Parts, Reloader};
use runner::{EngineTask, Stores};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Batches of inputs that may wait for the engine; links wait (and stop reading) beyond it.
const ENGINE_QUEUE: usize = 1_024;

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The data directory.
    #[error("data directory {directory}: {source}")]
    Store {
        /// Which.
        directory: String,
        /// Why.
        source: StoreError,
    },
    /// What is on disk can't be understood.
    #[error("recovery from {directory}: {source}")]
    Recover {
        /// Which.
        directory: String,
        /// Why.
        source: RecoverError,
    },
    /// A port.
    #[error("{what} {address}: {source}; choose another `{key}`")]
    Port {
        /// Which port.
        what: &'static str,
        /// Its key in the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The records.
    #[error("{0}; `records.enabled = false` starts without them")]
    Records(String),
    /// The configuration can't be turned into a plan.
    #[error("{0}")]
    Plan(String),
}

/// A running gateway.
pub struct Gateway {
    smpp: SocketAddr,
    metrics: Option<SocketAddr>,
    recovered: Recovered,
    telemetry: Arc<Telemetry>,
    listener: Listener,
    lists: Lists,
    reloader: Arc<Reloader>,
    admin: Option<(SocketAddr, JoinHandle<()>)>,
    http: Option<(SocketAddr, JoinHandle<()>)>,
    engine: mpsc::Sender<Vec<Input>>,
    engine_task: JoinHandle<()>,
    failed: watch::Receiver<Option<String>>,
    figures: watch::Receiver<Arc<EngineSnapshot>>,
    records: Option<Records>,
    metrics_task: Option<JoinHandle<()>>,
    deadline: Duration,
}

impl Gateway {
    /// Starts everything; upstreams can bind when it returns.
    pub async fn start(config: Config) -> Result<Gateway, AppError> {
        let clock = SystemClock::start();
        let directory = config.gateway.data_dir.clone();
        let shown = directory.display().to_string();
        let settings = LocalSettings { reserve_octets: config.gateway.disk_reserve_bytes, ..LocalSettings::default() };
        let opening = tokio::task::spawn_blocking(move || LocalStore::open(&directory, &settings));
        let opened = opening.await.map_err(|e| AppError::Plan(format!("opening the store: {e}")))?;
        let store = opened.map_err(|source| AppError::Store { directory: shown.clone(), source })?;
        let LocalStore { mut journal, mut ledger, space } = store;
        let kept =
            |kind, ledger: &mut dyn Ledger| pages(kind, ledger).map_err(|source| AppError::Store { directory: shown.clone(), source });
        let [submitted, buried, issued] = [SUBMISSION_PAGE, DEAD_PAGE, KEY_PAGE].map(|kind| kept(kind, &mut ledger));
        let (submitted, buried, issued) = (submitted?, buried?, issued?);
        let names = names::load(&mut ledger, &config).map_err(|source| AppError::Store { directory: shown.clone(), source })?;
        let written = config.clone();
        let config = names.arrange(config);
        let plan = Arc::new(plan::of(&config).map_err(AppError::Plan)?);
        let ranges = Arc::clone(&plan.ranges);
        let recovering = {
            let plan = Arc::clone(&plan);
            tokio::task::spawn_blocking(move || recover(plan, &mut journal, &mut ledger, clock.now()).map(|r| (r, journal, ledger)))
        };
        let done = recovering.await.map_err(|e| AppError::Plan(format!("recovery: {e}")))?;
        let ((engine, recovered), journal, ledger) = done.map_err(|source| AppError::Recover { directory: shown.clone(), source })?;

        let account_names: Vec<&str> = config.accounts.iter().map(|a| a.name.as_str()).collect();
        let carrier_names: Vec<&str> = config.carriers.iter().map(|c| c.name.as_str()).collect();
        let telemetry = Arc::new(Telemetry::new(&account_names, &carrier_names));
        let registry = Arc::new(Registry::default());
        let lists = Arc::new(ListsDesk::default());
        let (engine_inputs, inputs) = mpsc::channel(ENGINE_QUEUE);
        let (asides, kept_aside) = mpsc::channel(1);
        let desk = Arc::new(Desk::default());
        let handed_in = Arc::new(SubmissionsDesk::default());
        let operator = Operator::new(Arc::clone(&desk), &engine_inputs);
        let (fail, failed) = watch::channel(None);
        let (figures_sender, figures) = watch::channel(Arc::new(EngineSnapshot::default()));
        let recording = recording::start(&config, &engine, &journal).map_err(AppError::Records)?;
        let mut engine = engine;
        if recording.is_some() {
            engine.may_recall();
        }
        let records = recording.as_ref().map(|recording| recording.records.clone());
        let stores = Stores::start(journal, ledger, space, Arc::clone(&telemetry), recording)
            .map_err(|source| AppError::Store { directory: shown.clone(), source })?;
        let disk_slow = Duration::from_millis(config.gateway.disk_slow_ms);
        let recordings = Arc::new(Recordings::new(config.recorder.clone(), config.gateway.data_dir.join("recordings")));
        let shared =
            LinkShared { registry: Arc::clone(&registry), engine: engine_inputs.clone(), clock, recordings: Arc::clone(&recordings) };
        let task = EngineTask {
            engine,
            inputs,
            back: engine_inputs.downgrade(),
            stores,
            lists: Arc::clone(&lists),
            registry: Arc::clone(&registry),
            submissions: Arc::clone(&handed_in),
            desk,
            asides: kept_aside,
            telemetry: Arc::clone(&telemetry),
            clock,
            disk_slow,
            disk_reserve_bytes: config.gateway.disk_reserve_bytes,
            fail,
            directory: config.gateway.data_dir.clone(),
            figures: figures_sender,
            lines: lines::Lines::default(),
        };
        let engine_task = tokio::spawn(task.run());

        let events = Arc::new(EventLogs::new(config.gateway.data_dir.join("events")));
        let asides = Arc::new(Asides(asides));
        let (dead, replays) = DeadLetters::open(&buried, Arc::clone(&asides) as Arc<dyn Keep>);
        let dead = Arc::new(dead);
        let given = hooks::Given { logs: Arc::clone(&events), dead: Arc::clone(&dead), replays, telemetry: Arc::clone(&telemetry) };
        let hooks = hooks::start(&config, &engine_inputs, &registry, given).await.map_err(AppError::Plan)?;
        let metrics = start_metrics(&config, &telemetry).await?;
        let admin = bind_admin(&config).await?;
        let http = bind_http(&config).await?;
        let keys = Arc::new(Keys::new(issued::Book::open(&issued, Arc::clone(&asides) as Arc<dyn Keep>)));
        keys.replace(&config.accounts, ranges);
        let listener = Listener::start(&config.listen, &config.accounts, shared.clone()).await.map_err(|source| AppError::Port {
            what: "SMPP port",
            key: "listen.address",
            address: config.listen.address,
            source,
        })?;
        let accounts = Arc::clone(listener.accounts());
        let home = HomeRegion::from_iso(&config.gateway.home_region).unwrap_or_default();
        let submissions = Submissions::new(handed_in, &engine_inputs, Arc::clone(&accounts), home, config.hooks.allow_private, clock);
        let (operators, telemetry_of_reloads) = (operator.clone(), Arc::clone(&telemetry));
        let telemetry_of_admin = Arc::clone(&telemetry);
        let bulk = Bulk::new(Book::open(&submitted, Arc::clone(&asides) as Arc<dyn Keep>));
        let parts = Parts {
            names,
            shared,
            accounts,
            operator,
            telemetry: telemetry_of_reloads,
            asides,
            hooks,
            records: records.clone(),
            keys: Arc::clone(&keys),
        };
        let reloader = Arc::new(Reloader::start(written, parts));
        let lists = Lists::new(lists, &engine_inputs);
        let asked_lists = lists.clone();
        let http = http.map(|port| {
            let behind = Behind {
                keys: Arc::clone(&keys),
                submissions: submissions.clone(),
                operator: operators.clone(),
                records: records.clone(),
                bulk,
                events,
                dead: Arc::clone(&dead),
            };
            let api = Api::new(&config.http, behind);
            (port.address(), tokio::spawn(port.serve(api)))
        });
        let admin = admin.map(|port| {
            let configured: Arc<dyn Configured> = Arc::clone(&reloader) as Arc<dyn Configured>;
            let backstage = Backstage {
                operator: operators,
                submissions,
                lists: asked_lists,
                links: registry,
                configured,
                records: records.clone(),
                keys,
                recordings,
                telemetry: telemetry_of_admin,
                dead,
                started: Instant::now(),
            };
            (port.address(), tokio::spawn(port.serve(backstage)))
        });
        let (metrics, metrics_task) = metrics.map_or((None, None), |(address, task)| (Some(address), Some(task)));
        Ok(Gateway {
            smpp: listener.local_addr(),
            metrics,
            recovered,
            telemetry,
            listener,
            lists,
            reloader,
            admin,
            http,
            engine: engine_inputs,
            engine_task,
            failed,
            figures,
            records,
            metrics_task,
            deadline: Duration::from_millis(config.gateway.shutdown_deadline_ms),
        })
    }

    /// Where upstreams bind.
    pub fn smpp_address(&self) -> SocketAddr {
        self.smpp
    }

    /// Where Prometheus scrapes, if it does.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// The way to change and to ask the lists of numbers that must not be written to.
    pub fn lists(&self) -> &Lists {
        &self.lists
    }

    /// What became of messages, if records are kept. Calls wait: not for use in tasks.
    pub fn records(&self) -> Option<&Records> {
        self.records.as_ref()
    }

    /// Where operators ask, if they may.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|(address, _)| *address)
    }

    /// Where customers ask by HTTP, if they may.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|(address, _)| *address)
    }

    /// Reads the configuration file again and puts it in force, whole or not at all.
    ///
    /// # Errors
    /// Why it stays as it is.
    pub async fn reload(&self, who: &str, reason: &str) -> Result<Reloaded, Problem> {
        self.reloader.reload(false, who, reason).await
    }

    /// What was found on disk.
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// The engine's figures as of the last second.
    pub fn figures(&self) -> Arc<EngineSnapshot> {
        Arc::clone(&self.figures.borrow())
    }

    /// Waits until the engine has told its figures once more; false if it has ended.
    pub async fn next_figures(&self) -> bool {
        let mut figures = self.figures.clone();
        figures.mark_unchanged();
        figures.changed().await.is_ok()
    }

    /// The metrics page.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// Waits until the journal has failed; gives why. Never returns otherwise.
    pub async fn failed(&self) -> String {
        let mut failed = self.failed.clone();
        loop {
            if let Some(why) = failed.borrow_and_update().clone() {
                return why;
            }
            if failed.changed().await.is_err() {
                return "the engine has ended".to_owned();
            }
        }
    }

    /// Stops taking, drains, unbinds, flushes, and releases the data directory.
    pub async fn stop(self) {
        self.listener.stop_accepting();
        // The engine refuses new messages from now on; answers, receipts and outcomes still flow while binds and sessions unbind.
        let _ = self.engine.send(vec![Input::Drain]).await;
        let pools = self.reloader.take_pools().await;
        let stopping_pools = async {
            for pool in pools {
                pool.stop().await;
            }
        };
        let _ = tokio::time::timeout(self.deadline, stopping_pools).await;
        self.listener.stop(self.deadline).await;
        drop(self.engine);
        for task in self.metrics_task.into_iter().chain(self.admin.into_iter().chain(self.http).map(|(_, task)| task)) {
            task.abort();
        }
        // Without senders the engine's task ends after the last input, flushes the journal and lets the lock go.
        let _ = self.engine_task.await;
    }
}

/// The ledger's pages of a kind that is not the engine's, with their numbers.
fn pages(kind: u8, ledger: &mut dyn Ledger) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    let mut pages = Vec::new();
    ledger.pages(kind, &mut |number, octets| {
        pages.push((number, octets));
        Ok(())
    })?;
    Ok(pages)
}

/// Says in words what is wrong with a configuration that passed its own checks: which countries there are.
pub fn check(config: &Config) -> Result<(), String> {
    rules::of(config).map(drop)
}

async fn bind_admin(config: &Config) -> Result<Option<AdminPort>, AppError> {
    if !config.admin.enabled {
        return Ok(None);
    }
    let address = config.admin.address;
    let refused = |source| AppError::Port { what: "admin port", key: "admin.address", address, source };
    AdminPort::bind(&config.admin).await.map(Some).map_err(refused)
}

async fn bind_http(config: &Config) -> Result<Option<ApiPort>, AppError> {
    if !config.http.enabled {
        return Ok(None);
    }
    let address = config.http.address;
    let refused = |source| AppError::Port { what: "HTTP port", key: "http.address", address, source };
    ApiPort::bind(&config.http).await.map(Some).map_err(refused)
}

async fn start_metrics(config: &Config, telemetry: &Arc<Telemetry>) -> Result<Option<(SocketAddr, JoinHandle<()>)>, AppError> {
    if !config.metrics.enabled {
        return Ok(None);
    }
    let address = config.metrics.address;
    let endpoint =
        Endpoint::bind(address).await.map_err(|source| AppError::Port { what: "metrics port", key: "metrics.address", address, source })?;
    let address = endpoint.address();
    Ok(Some((address, tokio::spawn(endpoint.serve(Arc::clone(telemetry))))))
}
