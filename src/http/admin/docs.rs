//! What the admin port tells of itself: the document, made from its handlers.

use crate::http::docs::{self, Bearer, Problems};
use crate::http::problem::Problem;
use crate::http::{balance, change, dead, keys, lists, look, messages, probes, recordings, records, tables};
use axum::Router;
use utoipa::OpenApi;

/// What any request may be answered with, as problems: what guards the port says so before anything else.
const ALWAYS: [(&str, &str); 3] = [
    ("401", "A token is configured, and was not shown"),
    ("403", "Without a token: Host is not this host (127.0.0.1, localhost, [::1])"),
    ("503", "Nothing can be promised for the moment: too much at once, starting, stopping, or the disk; again after a while"),
];
/// What a request with a body may be answered with besides.
const OF_BODIES: [(&str, &str); 7] = [
    ("400", "The body is no JSON, or not all of it came"),
    ("404", "What is meant is not there"),
    ("409", "It can't be done as things stand: a bind is down, or the gateway was started without a file"),
    ("410", "What is meant has ended"),
    ("413", "The body is too large"),
    ("415", "Without a token: Content-Type is not application/json"),
    ("422", "What is wrong, with its field"),
];

const PROBLEMS: Problems = Problems { always: &ALWAYS, of_bodies: &OF_BODIES };
const BEARER: Bearer = Bearer { name: "token", what: "The one of [admin], where one is set" };

#[derive(OpenApi)]
#[openapi(
    info(title = "Hongyan: admin port", description = "For operators: look at the running gateway, and change it. Everything that `hongyan` commands do while it runs is done here. \
        Where a token is configured (`token_env` or `token_file` of [admin]), every request shows it (Authorization: Bearer TOKEN), but those for this page and its document, `/healthz` and `/readyz`; without one whoever reaches this host's loopback may ask. \
        What is posted is JSON, and said to be (Content-Type: application/json). What is changed is durable before it is answered, and on record with its `reason` \
        and the name that X-Hongyan-User gives: `GET /v1/audit`. Errors are application/problem+json with a stable code, the field and the fix. \
        Times that end in _ms are milliseconds since 1970. A star marks what must be there; a field that is not known is refused."),
    paths(
        look::status, look::carriers, look::accounts, look::lanes, look::metrics, probes::healthz, probes::readyz, look::explain, look::audit, look::config, look::changes,
        change::begin, change::end, change::resume, change::rebind, change::kick, change::test_message, change::reload,
        records::messages, records::message, records::figures, records::flush, messages::submit, messages::estimate,
        balance::balance, balance::top_up, lists::all, lists::add, lists::remove, lists::check, lists::numbers,
        keys::list, keys::make, keys::revoke, recordings::all, recordings::one, dead::all, dead::replay,
        tables::routes, tables::limits, tables::ranges, tables::range
    ),
    components(schemas(Problem)),
    modifiers(&BEARER, &PROBLEMS),
    security((), ("token" = []))
)]
struct Document;

/// The two pages.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    docs::routes(Document::openapi())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

    /// What the router answers to, out of its source: methods with paths.
    fn routed(source: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for piece in source.split(".route(\"").skip(1) {
            let (path, handlers) = piece.split_once('"').unwrap();
            let handlers = handlers.split(".fallback(").next().unwrap();
            let words = handlers.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '('));
            let methods = words.filter_map(|word| METHODS.into_iter().find(|method| word.starts_with(&format!("{method}("))));
            found.extend(methods.map(|method| format!("{method} {path}")));
        }
        found
    }

    fn document() -> Value {
        serde_json::from_str(&Document::openapi().to_json().unwrap()).unwrap()
    }

    #[test]
    fn every_route_of_the_port_is_in_the_document_and_nothing_else() {
        let mut told = BTreeSet::new();
        for (path, verbs) in document()["paths"].as_object().unwrap() {
            told.extend(verbs.as_object().unwrap().keys().map(|verb| format!("{verb} {path}")));
        }
        let routed = routed(include_str!("../admin.rs"));
        assert!(routed.len() > 35, "the routes were not found: {routed:?}");
        assert_eq!(told, routed, "a handler of a route has #[utoipa::path], and stands in `paths` above");
    }

    #[test]
    fn a_route_without_documentation_is_seen() {
        let source = r#"Router::new().route("/v1/a", get(x::get_all).post(y::make)).route("/v1/b", delete(z::end).layer(Max::max(1))).fallback(get(x))"#;
        assert_eq!(routed(source), ["delete /v1/b", "get /v1/a", "post /v1/a"].map(str::to_owned).into());
    }

    #[test]
    fn every_operation_has_a_summary_and_every_post_its_body_and_every_link_its_end() {
        let document = document();
        for (path, verbs) in document["paths"].as_object().unwrap() {
            for (verb, operation) in verbs.as_object().unwrap() {
                assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{verb} {path}");
                assert!(verb != "post" || path == "/v1/records/flush" || operation["requestBody"].is_object(), "{path} has no body");
                let is_open = ["/healthz", "/readyz"].contains(&path.as_str());
                assert!(operation["responses"]["503"].is_object(), "{verb} {path}");
                assert_eq!(operation["responses"]["401"].is_object(), !is_open, "{verb} {path}");
            }
        }
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for link in document.to_string().split("\"$ref\":\"#/components/schemas/").skip(1) {
            let name = link.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name} is not described");
        }
        let page = docs::page(&document);
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
    }
}
