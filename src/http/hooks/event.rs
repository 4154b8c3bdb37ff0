//! What is told of a delivery: one event, the same in webhooks and at `GET /v1/events`.

use crate::engine::port::{Delivery, Inbound, Report};
use crate::http::instant::iso;
use crate::model::Address;
use crate::text::transcode::text_of;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

/// A report on a message, or a message from a phone.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Event {
    /// What became of a message.
    Report(ReportEvent),
    /// A message from a phone.
    Inbound(InboundEvent),
}

/// What became of a message.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportEvent {
    /// Of this event, however often and in whatever request it comes: receivers drop repeats by it.
    id: String,
    /// `message.` and the state: message.delivered, message.undeliverable, message.expired, message.rejected ...
    r#type: String,
    /// Whose message it is.
    account: String,
    /// Its id.
    message: String,
    /// The sender.
    from: String,
    /// The number.
    to: String,
    /// delivered, undeliverable, expired, rejected, deleted, unknown; before the end enroute, accepted and the like.
    state: String,
    /// It is the end; false: the message may come to another state yet.
    r#final: bool,
    /// The carrier's error, 000 if there is none.
    error: String,
    /// The sender's own name for it.
    reference: String,
    /// The sender's own words for what it belongs to.
    tags: Vec<String>,
    /// When the gateway took it.
    accepted_at: String,
    /// When the gateway learned of this, as the message itself tells it.
    done_at: String,
    /// When it was so, as the carrier dates it: often to the minute only, and never before accepted_at.
    carrier_done_at: String,
    /// Parts that it had.
    parts: u8,
    /// Parts that were delivered.
    parts_delivered: u8,
}

/// A message from a phone.
#[derive(Debug, Serialize, ToSchema)]
pub struct InboundEvent {
    /// Of this event, however often and in whatever request it comes: receivers drop repeats by it.
    id: String,
    /// message.inbound
    r#type: &'static str,
    /// Whose number it came to.
    account: String,
    /// Its id.
    message: String,
    /// The phone.
    from: String,
    /// The number that it came to.
    to: String,
    /// The text; null where it is none.
    text: Option<String>,
    /// What came in place of a text, in base64.
    octets: Option<String>,
    /// Not all of its parts came.
    incomplete: bool,
    /// When it came.
    received_at: String,
}

pub(super) fn digits(address: &Address) -> String {
    String::from_utf8_lossy(&address.digits).into_owned()
}

impl Event {
    /// A delivery that waits since then. `account`: its name.
    pub fn of(delivery: &Delivery, since_ms: u64, account: &str) -> Event {
        match delivery {
            Delivery::Receipt(report) => Event::of_report(report, since_ms, account),
            Delivery::Inbound(inbound) => Event::of_inbound(inbound, account),
        }
    }

    pub(super) fn of_report(report: &Report, since_ms: u64, account: &str) -> Event {
        let state = report.state.name().to_ascii_lowercase();
        let notes = report.notes.as_deref();
        Event::Report(ReportEvent {
            id: format!("{}-{state}", report.message),
            r#type: format!("message.{state}"),
            account: account.to_owned(),
            message: report.message.to_string(),
            from: digits(&report.source),
            to: digits(&report.destination),
            state,
            r#final: !report.intermediate,
            error: String::from_utf8_lossy(&report.error).into_owned(),
            reference: notes.map_or_else(String::new, |notes| notes.reference.to_string()),
            tags: notes.map_or_else(Vec::new, |notes| notes.tags.iter().map(ToString::to_string).collect()),
            accepted_at: iso(report.submit_ms),
            // A report waits from the moment that its message came to its end.
            done_at: iso(since_ms),
            carrier_done_at: iso(report.done_ms),
            parts: report.parts,
            parts_delivered: report.parts_delivered,
        })
    }

    pub(super) fn of_inbound(inbound: &Inbound, account: &str) -> Event {
        let text = text_of(&inbound.body);
        Event::Inbound(InboundEvent {
            id: inbound.message.to_string(),
            r#type: "message.inbound",
            account: account.to_owned(),
            message: inbound.message.to_string(),
            from: digits(&inbound.source),
            to: digits(&inbound.destination),
            octets: text.is_none().then(|| STANDARD.encode(inbound.body.text())),
            text,
            incomplete: inbound.incomplete,
            received_at: iso(inbound.received_ms),
        })
    }

    /// See the fields.
    pub fn id(&self) -> &str {
        match self {
            Event::Report(report) => &report.id,
            Event::Inbound(inbound) => &inbound.id,
        }
    }
}
