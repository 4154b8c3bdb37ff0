//! What handlers take out of a request: who asks, and the whole body within its bounds of size and time.

use super::keys::Key;
use super::{Api, Peer};
use crate::http::problem::Problem;
use crate::link::accounts::AccountEntry;
use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A body below this is short, octets.
const SHORT: usize = 128 << 10;
/// How long octets of a body that was given up are still taken, and thrown away: a client that writes reads no answer.
pub(super) const LINGER: Duration = Duration::from_secs(5);

/// Where the request comes from.
pub(super) fn peer(parts: &Parts) -> IpAddr {
    parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0)
}

/// Whose key the request shows, and the account as it is configured now.
pub struct Caller {
    /// The key.
    pub key: Arc<Key>,
    /// The account.
    pub account: Arc<AccountEntry>,
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Caller, Problem> {
        let (now, peer) = (api.submissions.now(), peer(parts));
        let key = api.keys.bearer(&parts.headers, peer, now.wall_ms).inspect_err(|problem| {
            // A right key that asks too often is no wrong login. Whose an unknown one is to be is not said with it.
            if problem.status != 429 {
                api.submissions.accounts().login_refused("v1", b"", &problem.detail, peer, now);
            }
        })?;
        api.caller(key)
    }
}

/// The whole body.
pub struct Body(pub Bytes);

impl FromRequest<Api> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Body, Problem> {
        // What is not said to be short may be as long as it likes; it waits for room. Short ones are as many as there are connections.
        let told = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if told.is_some_and(|told| told > api.body_max) {
            if !request.headers().contains_key(header::EXPECT) {
                drain(request.into_body()).await;
            }
            return Err(too_large(api));
        }
        let octets = told.unwrap_or(if request.body().is_end_stream() { 0 } else { api.body_max }).min(api.body_max);
        let reading = async {
            let _room = match octets {
                ..SHORT => None,
                _ => api.bodies.acquire_many(octets.div_ceil(1 << 20) as u32).await.ok(),
            };
            Bytes::from_request(request, api).await
        };
        match tokio::time::timeout(api.timeout, reading).await {
            Ok(Ok(body)) => Ok(Body(body)),
            Ok(Err(refused)) if refused.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_large(api)),
            Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "unreadable", "", "the body ends before its end", "all of it")),
            Err(_) => {
                let what = "the body did not come in time";
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "slow_body", "", what, "a faster connection, or a smaller body"))
            }
        }
    }
}

fn too_large(api: &Api) -> Problem {
    let fix = format!("at most {} octets (http.max_body_bytes), 65536 in forms", api.body_max);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "", "the body is too large", fix)
}

/// Takes octets for a while and throws them away.
async fn drain(mut body: axum::body::Body) {
    let all = async { while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {} };
    let _ = tokio::time::timeout(LINGER, all).await;
}

/// A body that is said to be JSON, or is not said to be anything.
pub struct Json(pub Bytes, pub HeaderMap);

impl FromRequest<Api> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Json, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
        if kind.is_some_and(|kind| !kind.starts_with(b"application/json")) {
            let fix = "Content-Type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong_type", "content-type", "the body must be JSON", fix));
        }
        let headers = request.headers().clone();
        let Body(body) = Body::from_request(request, api).await?;
        Ok(Json(body, headers))
    }
}
