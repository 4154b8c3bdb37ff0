//! Tables of the configuration in force, for whoever can't read its file: routes in their order, limits, and what is known of numbers. They are changed by
//! reloading the file; what stands over them while running is in `/v1/changes`.

use super::admin::Backstage;
use super::problem::Problem;
use crate::config::{Limit, Route};
use crate::engine::scope::Fault;
use crate::number::range_view::{RangeView, by_operator, range_of, version};
use crate::number::{HomeRegion, RangeTable, from_text, unpack};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Routes of the configuration in force, in its order
#[utoipa::path(get, path = "/v1/routes", tag = "tables", responses((status = 200, description = "Each with the keys of [[route]]", body = Vec<Route>)))]
pub(super) async fn routes(State(backstage): State<Backstage>) -> Json<Vec<Route>> {
    Json(backstage.configured.config().routes.clone())
}

/// Limits of the configuration in force for parts of the traffic
#[utoipa::path(get, path = "/v1/limits", tag = "tables", responses((status = 200, description = "Each with the keys of [[limit]]", body = Vec<Limit>)))]
pub(super) async fn limits(State(backstage): State<Backstage>) -> Json<Vec<Limit>> {
    Json(backstage.configured.config().limits.clone())
}

/// What there is to know of numbers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Ranges {
    /// A hash of all that it says, 16 hexadecimal digits.
    version: String,
    /// The files that it is made from, over the shipped table.
    #[schema(value_type = Vec<String>)]
    files: Vec<PathBuf>,
    /// Lists of ported numbers.
    #[schema(value_type = Vec<String>)]
    ported_files: Vec<PathBuf>,
    /// Prefixes in it.
    prefixes: usize,
    /// Ported numbers in it.
    ported: usize,
    /// Octets in memory.
    octets: usize,
    /// Prefixes of each operator; of none under the empty name.
    operators: BTreeMap<String, usize>,
}

/// The table of numbers in force
///
/// From which files it is, and how much it holds.
#[utoipa::path(get, path = "/v1/ranges", tag = "tables", responses((status = 200, description = "The table", body = Ranges)))]
pub(super) async fn ranges(State(backstage): State<Backstage>) -> Result<Json<Ranges>, Problem> {
    let (table, config) = (table(&backstage)?, backstage.configured.config());
    let (prefixes, ported, _) = table.counts();
    Ok(Json(Ranges {
        version: version(&table),
        files: config.ranges.files.clone(),
        ported_files: config.ranges.ported.clone(),
        prefixes,
        ported,
        octets: table.octets().1,
        operators: by_operator(&table),
    }))
}

/// A number and what is known of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Known {
    /// In digits, country code first.
    number: String,
    /// null: nothing is known of it.
    range: Option<RangeView>,
}

/// What is known of a number, and from where
#[utoipa::path(get, path = "/v1/ranges/{number}", tag = "tables", params(("number" = String, Path, description = "A number with its country code, as people write numbers")),
    responses((status = 200, description = "It and its range", body = Known),
        (status = 422, description = "What is wrong, with its field", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn range(State(backstage): State<Backstage>, Path(written): Path<String>) -> Result<Json<Known>, Problem> {
    let table = table(&backstage)?;
    let home = HomeRegion::from_iso(&backstage.configured.config().gateway.home_region).unwrap_or_default();
    let number = from_text(written.as_bytes(), home)
        .map_err(|error| Fault::of("bad_number", "number", error.to_string(), "a number with its country code, as +8613800138000"))?;
    Ok(Json(Known { number: String::from_utf8_lossy(&unpack(number)).into_owned(), range: range_of(&table, number) }))
}

fn table(backstage: &Backstage) -> Result<Arc<RangeTable>, Problem> {
    let starting = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "starting", "", "the gateway is starting", "try again");
    backstage.keys.ranges().ok_or_else(starting)
}
