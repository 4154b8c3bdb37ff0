//! What the public port tells of itself: the document, made from its handlers.

use super::webhooks::{self, Webhooks};
use super::{bulk, dead, events, list, message, messages, preview};
use crate::http::docs::{self, Bearer, Problems};
use crate::http::problem::Problem;
use axum::Router;
use utoipa::openapi::tag::TagBuilder;
use utoipa::{Modify, OpenApi};

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
    paths(messages::submit, list::list, preview::preview, message::look, message::cancel, bulk::submit, bulk::look, events::poll, events::stream, dead::list, dead::replay,
        webhooks::reports, webhooks::inbound),
    components(schemas(Problem)),
    modifiers(&Webhooks, &BEARER, &PROBLEMS, &Doors)
)]
struct Document;

/// The doors of other gateways, in words: their clients have the manuals.
const DOORS: [(&str, &str); 3] = [
    (
        "Kannel",
        "`GET` and `POST /cgi-bin/sendsms` with `username` and `password` as SMPP's binds show them, `to` (several with blanks or commas between), `text`, `from`, `charset`, \
        `coding` (0, 1 for octets, 2 for UCS-2), `udh`, `mclass`, `mwi`, `alt-dcs`, `pid`, `validity` and `deferred` (minutes), `priority` (0 to 3), `dlr-mask` and `dlr-url`. Bits of \
        `dlr-mask`: 1 delivered, 2 failed, 4 buffered, 8 a carrier took it, 16 a carrier refused it. Placeholders of `dlr-url`: `%d` the bit, `%A` the receipt's text, `%p` and `%q` the phone, \
        `%P` and `%Q` the sender, `%I` and `%F` the message's id, `%i` the carrier, `%t` and `%T` the time, `%n` and `%o` the account, `%%` a percent sign; the others are \
        what a report has of them, mostly nothing. Called by GET, not signed.",
    ),
    (
        "Jasmin",
        "`GET` and `POST /send` with `username`, `password`, `to`, `content` or `hex-content`, `from`, `coding` (0 to 10, 13, 14), `priority`, `sdt` or \
        `schedule_delivery_time`, `validity-period` (minutes), `tags`, `dlr=yes`, `dlr-url`, `dlr-level` and `dlr-method`; `GET /balance`, `/rate` and `/ping`. Level 1 tells what the \
        carrier said when it was handed the message (`id`, `message_status`, `level`, `connector`), 2 how it ended (with `id_smsc`, `subdate`, `donedate`, `sub`, `dlvrd`, `err` and \
        `text` besides), 3 both; not signed. Refused: `custom_tlvs` and names that Jasmin does not know.",
    ),
    (
        "Twilio",
        "`POST /2010-04-01/Accounts/{Sid}/Messages.json` with `To`, `From`, `Body`, `StatusCallback`, `SendAt` and `ValidityPeriod`; `GET` and `POST` \
        `/Messages/{Sid}.json` look up and cancel. Basic authorization: the account's SID (or its name, or a key's id) and an API key as the token. Refused: media, content \
        templates, and messaging services in place of a sender. Status callbacks are forms with `MessageSid`, `MessageStatus` (sent, delivered, undelivered or failed), `From`, `To`, \
        `AccountSid`; the text of the secret of the account's hook is the auth token that `X-Twilio-Signature` is made with (absent without one). An API key of the same text makes it \
        one token for both.",
    ),
];

/// Puts the doors among the document's tags, which have descriptions.
struct Doors;

impl Modify for Doors {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let tag = |(name, what): &(&str, &str)| TagBuilder::new().name(*name).description(Some(*what)).build();
        document.tags = Some(DOORS.iter().map(tag).collect());
    }
}

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
        for shown in [
            "/v1/messages/{id}",
            "/v1/messages/preview",
            "Submission",
            "idempotency_key",
            "send_at",
            "Problem",
            "webhook-signature",
            "ReportEvent",
            "dlr-mask",
        ] {
            assert!(page.contains(shown), "{shown} is not on the page");
        }
        let webhooks = document["webhooks"].as_object().unwrap();
        assert_eq!(webhooks.keys().collect::<Vec<_>>(), ["inbound", "reports"]);
        assert!(
            !webhooks["reports"]["post"]["responses"].as_object().unwrap().contains_key("401"),
            "the gateway's problems are not a receiver's"
        );
        let events = &document["components"]["schemas"]["Events"]["properties"]["events"]["items"];
        assert_eq!(events["$ref"].as_str(), Some("#/components/schemas/Event"));
        for name in ["Event", "InboundEvent", "ReportsTold", "InboundsData"] {
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
        assert_eq!(document["components"]["securitySchemes"]["key"]["scheme"].as_str(), Some("bearer"));
    }
}
