//! The admin port: its address, its routes, and what stands behind them. Looking is in `look`, changing in `change`.

mod docs;

use super::api::Keys;
use super::balance;
use super::change;
use super::dead;
use super::desk::Operator;
use super::guard::{Guard, guard};
use super::hooks::dead::DeadLetters;
use super::keys;
use super::lists;
use super::look;
use super::messages;
use super::probes;
use super::problem::Problem;
use super::recordings;
use super::records;
use super::tables;
use crate::config::{Admin, Config, Difference};
use crate::engine::look::Links;
use crate::link::lists::Lists;
use crate::link::submissions::Submissions;
use crate::link::tape::Recordings;
use crate::records::Records;
use crate::telemetry::Telemetry;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use serde::Serialize;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpListener;

/// Longest body of a request, octets.
const BODY_MAX: usize = 64 << 10;

/// What a reload came to.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Reloaded {
    /// It is in force (false: only looked at, or nothing differs).
    pub applied: bool,
    /// What differs, and is in force at once.
    pub changes: Vec<Difference>,
    /// What differs, and needs a restart.
    pub needs_restart: Vec<Difference>,
    /// Binds that are built anew for it, as `carrier`.
    pub rebuilt: Vec<String>,
    /// What is allowed and looks like a mistake.
    pub warnings: Vec<String>,
}

/// A future in a box.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The configuration in force, for which `app` is responsible.
pub trait Configured: Send + Sync {
    /// Reads the configuration again and, unless it is only looked at (`dry_run`), puts it in force whole.
    fn reload<'a>(&'a self, dry_run: bool, who: &'a str, reason: &'a str) -> Boxed<'a, Result<Reloaded, Problem>>;
    /// The configuration in force as TOML, without the overlay.
    fn to_toml(&self, limits: &[crate::engine::overlay::Limit], secrets: bool) -> String;
    /// The configuration in force, without the overlay.
    fn config(&self) -> Arc<Config>;
}

/// What the handlers share.
#[derive(Clone)]
pub struct Backstage {
    /// The way to the engine.
    pub operator: Operator,
    /// The way in for messages.
    pub submissions: Submissions,
    /// The lists of numbers.
    pub lists: Lists,
    /// The links.
    pub links: Arc<dyn Links>,
    /// The configuration.
    pub configured: Arc<dyn Configured>,
    /// What became of messages, if records are kept.
    pub records: Option<Records>,
    /// The public port's keys.
    pub keys: Arc<Keys>,
    /// What is recorded of sessions.
    pub recordings: Arc<Recordings>,
    /// The metrics.
    pub telemetry: Arc<Telemetry>,
    /// Deliveries that were given up.
    pub dead: Arc<DeadLetters>,
    /// When the gateway was started.
    pub started: Instant,
}

/// A bound admin port; [`AdminPort::serve`] answers until it is dropped.
pub struct AdminPort {
    listener: TcpListener,
    address: SocketAddr,
    guard: Arc<Guard>,
}

impl AdminPort {
    /// Takes the address.
    ///
    /// # Errors
    /// If it can't be had.
    pub async fn bind(settings: &Admin) -> std::io::Result<AdminPort> {
        let listener = TcpListener::bind(settings.address).await?;
        let address = listener.local_addr()?;
        Ok(AdminPort { listener, address, guard: Arc::new(Guard::new(settings.token.clone())) })
    }

    /// The address, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests; ends only by being dropped (abort the task).
    pub async fn serve(self, backstage: Backstage) {
        let app = router(backstage, self.guard);
        if let Err(error) = axum::serve(self.listener, app).await {
            tracing::error!(%error, "the admin port has failed");
        }
    }
}

fn router(backstage: Backstage, guarded: Arc<Guard>) -> Router {
    Router::new()
        .route("/v1/status", get(look::status))
        .route("/v1/carriers", get(look::carriers))
        .route("/v1/accounts", get(look::accounts))
        .route("/v1/lanes", get(look::lanes))
        .route("/v1/routes", get(tables::routes))
        .route("/v1/limits", get(tables::limits))
        .route("/v1/ranges", get(tables::ranges))
        .route("/v1/ranges/{number}", get(tables::range))
        .route("/v1/messages", get(records::messages))
        .route("/v1/messages/{id}", get(records::message))
        .route("/v1/records", get(records::figures))
        .route("/v1/records/flush", post(records::flush))
        .route("/v1/explain", post(look::explain))
        .route("/v1/messages", post(messages::submit).layer(DefaultBodyLimit::max(messages::BODY_MAX)))
        .route("/v1/explain/batch", post(messages::estimate).layer(DefaultBodyLimit::max(messages::BODY_MAX)))
        .route("/v1/accounts/{name}/balance", get(balance::balance))
        .route("/v1/accounts/{name}/top-ups", post(balance::top_up))
        .route("/v1/lists", get(lists::all))
        .route("/v1/lists/add", post(lists::add).layer(DefaultBodyLimit::max(lists::BODY_MAX)))
        .route("/v1/lists/remove", post(lists::remove).layer(DefaultBodyLimit::max(lists::BODY_MAX)))
        .route("/v1/lists/check", post(lists::check))
        .route("/v1/lists/numbers", get(lists::numbers))
        .route("/v1/keys", get(keys::list).post(keys::make))
        .route("/v1/keys/{account}/{id}", delete(keys::revoke))
        .route("/v1/recordings", get(recordings::all))
        .route("/v1/recording", get(recordings::one))
        .route("/metrics", get(look::metrics))
        .route("/v1/dead-letters", get(dead::all))
        .route("/v1/dead-letters/replay", post(dead::replay))
        .route("/v1/audit", get(look::audit))
        .route("/v1/config", get(look::config))
        .route("/v1/changes", get(look::changes).post(change::begin))
        .route("/v1/changes/{id}", delete(change::end))
        .route("/v1/resume", post(change::resume))
        .route("/v1/rebind", post(change::rebind))
        .route("/v1/kick", post(change::kick))
        .route("/v1/test-messages", post(change::test_message))
        .route("/v1/reload", post(change::reload))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "unknown_path", "", "there is nothing here", "see /docs") })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "wrong_method",
                "",
                "this can't be done here",
                "GET to look, POST to change, DELETE to lift",
            )
        })
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn_with_state(guarded, guard))
        // From here on without a token: a probe has none, nor has a browser, and what they are told is no secret.
        .route("/healthz", get(probes::healthz))
        .route("/readyz", get(probes::readyz))
        .merge(docs::routes())
        .with_state(backstage)
}
