//! The public port: an account's own messages, for whoever shows one of its keys, as an API of our own (`/v1`) and at the doors that clients of other
//! gateways know. A file per resource. Everything goes the way that SMPP's messages go ([`crate::link::submissions`]): the same intake, the same promises.
//!
//! A single message costs no task and no thread of its own: its body is read and made into a draft where its socket is driven, and what many connections
//! hand in at once is one group of the journal. Only long bodies are read elsewhere, a few at a time.

pub mod bulk;
mod cursor;
mod dead;
mod docs;
mod events;
mod extract;
mod forms;
pub mod issued;
mod jasmin;
mod kannel;
pub mod keys;
mod list;
mod message;
mod messages;
pub mod port;
mod preview;
mod request;
mod stream;
mod twilio;
mod webhooks;

pub use keys::Keys;
pub use port::ApiPort;

use super::desk::Operator;
use super::events::EventLogs;
use super::hooks::dead::DeadLetters;
use super::problem::Problem;
use crate::config::Http;
use crate::engine::look::{Look, View};
use crate::link::submissions::Submissions;
use crate::records::Records;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bulk::Bulk;
use extract::Caller;
use keys::Key;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Longest form of the doors at which a request shows who it is in its body, octets.
const FORM_MAX: usize = 64 << 10;
/// What bodies that are under way may take together, MiB.
const BODIES_MIB: usize = 256;

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    /// The keys in force.
    pub keys: Arc<Keys>,
    /// The way in for messages.
    pub submissions: Submissions,
    /// The way to the engine.
    pub operator: Operator,
    /// What became of messages, if records are kept.
    pub records: Option<Records>,
    /// Longest body, octets.
    pub body_max: usize,
    /// Room for bodies, a MiB each.
    pub bodies: Arc<Semaphore>,
    /// How long a body may take.
    pub timeout: Duration,
    /// What accounts can read of their receipts.
    pub events: Arc<EventLogs>,
    /// Deliveries that were given up.
    pub dead: Arc<DeadLetters>,
    /// Messages in any number.
    pub bulk: Arc<Bulk>,
}

/// What a port is made of: see [`Api`].
#[allow(missing_docs)]
pub struct Behind {
    pub keys: Arc<Keys>,
    pub submissions: Submissions,
    pub operator: Operator,
    pub records: Option<Records>,
    pub bulk: Bulk,
    pub events: Arc<EventLogs>,
    pub dead: Arc<DeadLetters>,
}

impl Api {
    /// What stands behind a port of these settings.
    pub fn new(settings: &Http, behind: Behind) -> Api {
        let Behind { keys, submissions, operator, records, bulk, events, dead } = behind;
        Api {
            bulk: Arc::new(bulk),
            bodies: Arc::new(Semaphore::new(BODIES_MIB)),
            keys,
            submissions,
            operator,
            records,
            events,
            dead,
            body_max: settings.max_body_bytes,
            timeout: Duration::from_millis(settings.timeout_ms),
        }
    }

    /// Whose key this is.
    fn caller(&self, key: Arc<Key>) -> Result<Caller, Problem> {
        let gone = || Problem::new(StatusCode::FORBIDDEN, "no_account", "", "the key's account is configured no more", "a key of another");
        let account = self.submissions.account_by_id(key.account).ok_or_else(gone)?;
        Ok(Caller { key, account })
    }

    async fn look(&self, look: Look) -> Result<View, Problem> {
        super::look::look(&self.operator, look).await
    }
}

fn nothing(uri: &Uri, status: StatusCode, code: &str, what: &str) -> Response {
    let problem = || Problem::new(status, code, "", what, "what /docs lists").into_response();
    twilio::nothing_here(uri.path(), status).unwrap_or_else(problem)
}

fn router(api: Api, settings: &Http) -> Router {
    Router::new()
        .route("/v1/messages", post(messages::submit).get(list::list))
        .route("/v1/submissions", post(bulk::submit))
        .route("/v1/submissions/{id}", get(bulk::look))
        .route("/v1/dead-letters", get(dead::list))
        .route("/v1/dead-letters/replay", post(dead::replay))
        .route("/v1/events", get(events::poll))
        .route("/v1/events/stream", get(events::stream))
        .route("/v1/messages/preview", post(preview::preview))
        .route("/v1/messages/{id}", get(message::look).delete(message::cancel))
        .route("/2010-04-01/Accounts/{account}/Messages.json", post(twilio::create))
        .route("/2010-04-01/Accounts/{account}/Messages/{message}", get(twilio::fetch).post(twilio::update))
        .merge(docs::routes())
        // Who asks stands in the body: until it is read it may be anybody's.
        .route("/cgi-bin/sendsms", get(kannel::sendsms).post(kannel::sendsms).layer(DefaultBodyLimit::max(FORM_MAX)))
        .route("/send", get(jasmin::send).post(jasmin::send).layer(DefaultBodyLimit::max(FORM_MAX)))
        .route("/rate", get(jasmin::rate))
        .route("/balance", get(jasmin::balance))
        .route("/ping", get(jasmin::ping))
        .fallback(|uri: Uri| async move { nothing(&uri, StatusCode::NOT_FOUND, "unknown_path", "there is nothing here") })
        .method_not_allowed_fallback(|uri: Uri| async move {
            nothing(&uri, StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "this can't be done here")
        })
        .layer(DefaultBodyLimit::max(settings.max_body_bytes))
        .with_state(api)
}
