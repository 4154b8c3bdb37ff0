//! What the document tells of webhooks: requests that the gateway makes. There is nothing to call here; the deliverer is [`crate::http::hooks`].

use crate::http::hooks::event::{InboundEvent, ReportEvent};
use serde::Serialize;
use utoipa::openapi::{OpenApi, Paths};
use utoipa::{IntoParams, Modify, ToSchema};

/// Where the two stand among the paths until they are moved.
const BELOW: &str = "webhooks/";

/// The body of a webhook that tells of messages' ends.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct ReportsTold {
    /// events
    r#type: String,
    /// When it was sent: with each try anew.
    timestamp: String,
    /// What it is about.
    data: ReportsData,
}

/// What a webhook is about.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct ReportsData {
    /// Up to `hooks.batch` (100) of one account and address, oldest first.
    events: Vec<ReportEvent>,
}

/// The body of a webhook that brings messages from phones. A request to an account's hook may hold reports too: `type` tells them apart.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct InboundsTold {
    /// events
    r#type: String,
    /// When it was sent: with each try anew.
    timestamp: String,
    /// What it is about.
    data: InboundsData,
}

/// What a webhook is about.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct InboundsData {
    /// Up to `hooks.batch` (100), oldest first.
    events: Vec<InboundEvent>,
}

/// The headers of a webhook.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "only its schema is used")]
struct Headers {
    /// Of this batch, the same for each of its tries.
    #[param(rename = "webhook-id")]
    id: String,
    /// When it was sent, Unix seconds.
    #[param(rename = "webhook-timestamp")]
    timestamp: String,
    /// `v1,` and the signature in base64.
    #[param(rename = "webhook-signature")]
    signature: Option<String>,
}

/// Reports, to a message's `callback` or to the account's hook
///
/// Headers as Standard Webhooks say. To verify: HMAC-SHA256, with the octets of the account's hook secret (base64 behind `whsec_`) as its key, over
/// `{webhook-id}.{webhook-timestamp}.{body as it came}`; base64 of it stands in `webhook-signature` behind `v1,`. Refuse timestamps that are minutes away. Accounts
/// without a hook secret get callbacks that are not signed.
///
/// Every event comes at least once: drop repeats by the event's `id`. The same batch tried again has the same `webhook-id`; after a restart, or where a batch
/// had to be cut up (answered 4xx, or failed three times), the same events come in other batches with other ids.
///
/// 2xx: taken. 410: never again, its events become dead letters at once. Anything else, a redirect, or no answer in `hooks.timeout_ms` (10 s): tried again after
/// 1, 5, 10, 30 and 60 minutes and then hourly until `receipts.max_age_h` (72 h) are over; then dead letters, which `GET /v1/dead-letters` shows and
/// `POST /v1/dead-letters/replay` tries again.
///
/// Requests to one origin (scheme, host and port), of all accounts and whatever their paths, share `hooks.at_once` (8) and a rest: after five failures in a row the origin is
/// left alone for 15 s, doubling up to 10 minutes, then a single request tries it. One path that fails holds up the others of its origin; give what must not
/// be held up an origin of its own.
#[allow(dead_code, reason = "only its description is used")]
#[utoipa::path(post, path = "webhooks/reports", tag = "webhooks",
    params(Headers),
    request_body(content = ReportsTold, content_type = "application/json"),
    responses((status = "2XX", description = "Taken"), (status = 410, description = "Gone: never again"),
        (status = "default", description = "Tried again later")), security(()))]
pub(super) fn reports() {}

/// Messages from phones, to the account's hook
///
/// Where `[account.hook]` has `inbound = true`. Everything else is as with reports.
#[allow(dead_code, reason = "only its description is used")]
#[utoipa::path(post, path = "webhooks/inbound", tag = "webhooks",
    params(Headers),
    request_body(content = InboundsTold, content_type = "application/json"),
    responses((status = "2XX", description = "Taken"), (status = 410, description = "Gone: never again"),
        (status = "default", description = "Tried again later")), security(()))]
pub(super) fn inbound() {}

/// Moves them from the paths, where the macro puts them, to where requests of the gateway itself stand.
pub(super) struct Webhooks;

impl Modify for Webhooks {
    fn modify(&self, document: &mut OpenApi) {
        let mut webhooks = Paths::new();
        let names: Vec<String> =
            document.paths.paths.keys().filter(|path| path.trim_start_matches('/').starts_with(BELOW)).cloned().collect();
        for name in names {
            if let Some(item) = document.paths.paths.remove(&name) {
                webhooks.paths.insert(name.trim_start_matches('/').trim_start_matches(BELOW).to_owned(), item);
            }
        }
        document.webhooks = Some(webhooks);
    }
}
