//! What orchestrators and load balancers ask of the admin port, without a token: does it live, and is there any use in giving it messages now.

use super::admin::Backstage;
use super::look::{ask, odd};
use super::problem::Problem;
use crate::engine::look::{Look, StatusView, View};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use std::time::Duration;

/// In so long the engine answers, or it is stuck.
const PATIENCE: Duration = Duration::from_secs(5);

fn unavailable(code: &'static str, what: &str, fix: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, "", what, fix)
}

async fn standing(backstage: &Backstage) -> Result<StatusView, Problem> {
    match tokio::time::timeout(PATIENCE, ask(backstage, Look::Status)).await {
        Ok(Ok(View::Status(status))) => Ok(status),
        Ok(Ok(_)) => Err(odd()),
        Ok(Err(problem)) => Err(problem),
        Err(_) => Err(unavailable("stuck", "the engine does not answer", "look at the log; restart it")),
    }
}

/// Is it alive?
///
/// 200 as long as the engine answers; anything else: restart it. No token is asked for.
#[utoipa::path(get, path = "/healthz", tag = "gateway", security(()),
    responses((status = 200, description = "`ok`", body = String, content_type = "text/plain")))]
pub(super) async fn healthz(State(backstage): State<Backstage>) -> Result<&'static str, Problem> {
    standing(&backstage).await.map(|_| "ok\n")
}

/// New messages are taken.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Ready {
    /// true
    ready: bool,
    /// ok: what is accepted is durable in time.
    disk: &'static str,
}

/// Does it take messages?
///
/// 200 while it does, whatever becomes of its carriers: it keeps what they can't take. 503 `not_ready` with the reason while it stops, or while its disk promises
/// nothing new. Before what was accepted earlier is read again nothing listens. No token is asked for.
#[utoipa::path(get, path = "/readyz", tag = "gateway", security(()),
    responses((status = 200, description = "It does", body = Ready)))]
pub(super) async fn readyz(State(backstage): State<Backstage>) -> Result<Json<Ready>, Problem> {
    let status = standing(&backstage).await?;
    match not_ready(status.stopping, status.disk) {
        Some((what, fix)) => Err(unavailable("not_ready", what, fix)),
        None => Ok(Json(Ready { ready: true, disk: status.disk })),
    }
}

/// Why not, and what to do.
fn not_ready(stopping: bool, disk: &str) -> Option<(&'static str, &'static str)> {
    match disk {
        _ if stopping => Some(("it is stopping", "another gateway, or this one when it runs again")),
        "slow" => Some(("the disk takes too long to sync: nothing new is promised", "wait; look at what else uses the disk")),
        "reserve" => Some(("only the disk's reserve is left: nothing new is taken", "free some space")),
        "failed" => Some(("a sync of the disk has failed: it stops", "look at the log and the disk, then restart it")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_unless_it_stops_or_its_disk_promises_nothing() {
        assert_eq!(not_ready(false, "ok"), None);
        assert!(not_ready(true, "ok").unwrap().0.contains("stopping"));
        for (disk, word) in [("slow", "sync"), ("reserve", "reserve"), ("failed", "failed")] {
            assert!(not_ready(false, disk).unwrap().0.contains(word), "{disk}");
        }
    }
}
