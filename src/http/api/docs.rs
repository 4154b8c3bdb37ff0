//! What the public port tells of itself: the document, made from its handlers.

use super::{bulk, dead, events, list, message, messages, preview};
use crate::http::docs::{self, Bearer, Problems};
use crate::http::problem::Problem;
use axum::Router;
use utoipa::OpenApi;

/// What any request may be answered with, as problems.
const ALWAYS: [(&str, &str); 5] = [
    ("401", "No key, or one that is not in force"),
    ("403", "The key may not do this, or not from this address"),
    ("404", "There is no such message of the key's account"),
    ("429", "The key's or the account's rate is used up: again after the seconds of Retry-After"),
    ("503", "Nothing can be promised for the moment: again after a while"),
];
/// What a request with a body may be answered with besides.
const OF_BODIES: [(&str, &str); 6] = [
    ("400", "The body is no JSON, or not all of it came"),
    ("408", "The body did not come in time"),
    ("409", "The idempotency key was used with another body"),
    ("413", "The body is too large"),
    ("415", "The body is said to be something else than JSON"),
    ("422", "What is wrong, with its field"),
];

const PROBLEMS: Problems = Problems { always: &ALWAYS, of_bodies: &OF_BODIES };
const BEARER: Bearer = Bearer { name: "key", what: "A key of [[account.api_key]]" };

#[derive(OpenApi)]
#[openapi(
    info(title = "Hongyan", description = "Short messages: hand in, look up, cancel. Errors are application/problem+json with a stable code, the field and the fix. \
        Clients of Kannel (/cgi-bin/sendsms), Jasmin (/send) and the Twilio message resource (/2010-04-01/Accounts/{Sid}/Messages.json) find their own doors here."),
    paths(messages::submit, list::list, preview::preview, message::look, message::cancel, bulk::submit, bulk::look, events::poll, events::stream, dead::list, dead::replay),
    components(schemas(Problem)),
    modifiers(&BEARER, &PROBLEMS)
)]
struct Document;

/// The two pages, which nobody needs a key for.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    docs::routes(Document::openapi())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_document_is_made_from_the_handlers_and_the_page_shows_all_of_it_and_nothing_from_elsewhere() {
        let document: Value = serde_json::from_str(&Document::openapi().to_json().unwrap()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let page = docs::page(&document);
        for shown in ["/v1/messages/{id}", "/v1/messages/preview", "Submission", "idempotency_key", "send_at", "Problem"] {
            assert!(page.contains(shown), "{shown} is not on the page");
        }
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
        assert_eq!(document["components"]["securitySchemes"]["key"]["scheme"].as_str(), Some("bearer"));
    }
}
