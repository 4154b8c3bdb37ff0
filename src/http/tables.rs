//! Tables of the configuration in force, for whoever can't read its file: routes in their order, limits, and what is known of numbers. They are changed by
//! reloading the file; what stands over them while running is in `/v1/changes`.

use super::admin::Backstage;
use super::problem::Problem;
use crate::config::{Limit, Route};
use crate::engine::scope::Fault;
use crate::number::range_view::{by_operator, range_of, version};
use crate::number::{HomeRegion, RangeTable, from_text, unpack};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET /v1/routes`: as the configuration writes them, in its order.
pub(super) async fn routes(State(backstage): State<Backstage>) -> Json<Vec<Route>> {
    Json(backstage.configured.config().routes.clone())
}

/// `GET /v1/limits`: the buckets for parts of the traffic, as the configuration writes them.
pub(super) async fn limits(State(backstage): State<Backstage>) -> Json<Vec<Limit>> {
    Json(backstage.configured.config().limits.clone())
}

/// `GET /v1/ranges`: which table is in force, from which files, and how much it holds.
pub(super) async fn ranges(State(backstage): State<Backstage>) -> Result<Json<Value>, Problem> {
    let (table, config) = (table(&backstage)?, backstage.configured.config());
    let (prefixes, ported, _) = table.counts();
    Ok(Json(json!({
        "version": version(&table), "files": config.ranges.files, "ported_files": config.ranges.ported,
        "prefixes": prefixes, "ported": ported, "octets": table.octets().1, "operators": by_operator(&table),
    })))
}

/// `GET /v1/ranges/{number}`: what is known of a number, and from where.
pub(super) async fn range(State(backstage): State<Backstage>, Path(written): Path<String>) -> Result<Json<Value>, Problem> {
    let table = table(&backstage)?;
    let home = HomeRegion::from_iso(&backstage.configured.config().gateway.home_region).unwrap_or_default();
    let number = from_text(written.as_bytes(), home)
        .map_err(|error| Fault::of("bad_number", "number", error.to_string(), "a number with its country code, as +8613800138000"))?;
    Ok(Json(json!({ "number": String::from_utf8_lossy(&unpack(number)), "range": range_of(&table, number) })))
}

fn table(backstage: &Backstage) -> Result<Arc<RangeTable>, Problem> {
    let starting = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "starting", "", "the gateway is starting", "try again");
    backstage.keys.ranges().ok_or_else(starting)
}
