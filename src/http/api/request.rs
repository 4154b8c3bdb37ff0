//! `POST /v1/messages` as it comes: one number or many, what holds for all of them, and what each has of its own; and what drafts that makes.

use crate::engine::port::Draft;
use crate::engine::scope::Fault;
use crate::http::instant;
use crate::http::messages::{Campaigns, class, encoding, report};
use crate::http::problem::{Problem, from_body};
use crate::link::accounts::AccountEntry;
use crate::link::submissions::{BATCH_MAX, Submissions};
use crate::link::translate::item::{Item, Sender, Shape, of_item};
use crate::model::notes::{Callback, CallbackForm, Keyed, Notes};
use crate::model::{Class, Encoding, Message, Report};
use crate::text::choose::Wanted;
use crate::text::template::{Piece, pieces};
use crate::text::transliterate::Transliteration;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Longest idempotency key, octets.
const KEY_MAX: usize = 255;
/// Most variables of a message.
const VARIABLES_MAX: usize = 100;
/// What keeps the hashes of keys apart: of a request as a whole, of its places, of single messages.
const OF_REQUEST: u64 = 0x7265_7175_6573_7400;
const OF_PLACE: u64 = 0x706c_6163_6500_0000;
const OF_ITEM: u64 = 0x6974_656d_0000_0000;

/// What stands in a text in place of a `{name}`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Variable {
    /// As it is.
    Text(String),
    /// As JSON writes it.
    Number(serde_json::Number),
}

/// Messages to one number (`to`) or to many (`recipients`).
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Submission {
    /// The number, as people write numbers.
    pub to: Option<String>,
    /// Up to 10,000 numbers, each with what it has of its own.
    pub recipients: Option<Vec<Recipient>>,
    /// The text; where it or any recipient has variables, `{name}` stands for one of them and `{{` for a brace.
    pub text: Option<String>,
    /// What stands for the names in the text, where a recipient has none of its own.
    #[schema(value_type = BTreeMap<String, String>)]
    pub variables: BTreeMap<String, Variable>,
    /// The sender; absent: the account's own.
    pub from: Option<String>,
    /// otp, transactional or marketing; absent: the account's.
    pub class: Option<String>,
    /// auto (the default), gsm7, latin1 or ucs2.
    pub encoding: Option<String>,
    /// none, safe or lossy: what may be done to the text so that it fits the short alphabet; absent: as the account has it.
    pub transliterate: Option<String>,
    /// Not before this time: ISO 8601 with a zone.
    pub send_at: Option<String>,
    /// Not after this time: ISO 8601 with a zone; absent: as the class has it.
    pub expire_at: Option<String>,
    /// The sender's own name for it, told again in reports; up to 128 octets.
    pub reference: Option<String>,
    /// The sender's own words for what it belongs to; up to 10 of up to 64 octets.
    #[schema(value_type = Option<Vec<String>>)]
    pub tags: Option<Vec<Box<str>>>,
    /// The campaign that it belongs to, by a name.
    pub campaign: Option<String>,
    /// Address that reports go to; absent: the account's hook, if it has one, else its receivers.
    pub callback: Option<String>,
    /// Which reports are wanted: none, failure or final; absent: final where they have an address to go to. Carriers are asked for a receipt all the same, so
    /// that a look-up tells how it ended, but not with none: then it ends as sent_final.
    pub report: Option<String>,
}

/// One number, and what it has of its own.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Recipient {
    /// The number, as people write numbers.
    pub to: String,
    /// In place of the shared text.
    pub text: Option<String>,
    /// Over the shared variables.
    #[schema(value_type = BTreeMap<String, String>)]
    pub variables: BTreeMap<String, Variable>,
    /// In place of the shared reference.
    pub reference: Option<String>,
    /// In place of the shared tags.
    #[schema(value_type = Option<Vec<String>>)]
    pub tags: Option<Vec<Box<str>>>,
    /// In place of the shared callback.
    pub callback: Option<String>,
    /// In place of the shared time.
    pub send_at: Option<String>,
    /// In place of the shared time.
    pub expire_at: Option<String>,
    /// The sender's own key for this message: the same again makes no second message.
    pub idempotency_key: Option<String>,
}

/// One message of a request: what is told of it, and its draft or what is wrong with it.
pub(super) struct Ready {
    /// The number as it came.
    pub to: String,
    /// Number (packed) and encoding; 0 where there is no message.
    pub number: u64,
    /// See `number`.
    pub encoding: Option<Encoding>,
    /// It has an idempotency key of its own.
    pub has_own_key: bool,
    /// The draft, until it is handed in.
    pub draft: Result<Option<Draft>, Fault>,
}

impl Ready {
    /// A fault with its field as it stands in the request.
    pub fn named(&self, fault: Fault) -> Fault {
        if self.has_own_key && fault.field == "idempotency-key" { Fault { field: "idempotency_key", ..fault } } else { fault }
    }
}

/// A whole request.
pub(super) struct Prepared {
    /// It was for one number, and is answered so.
    pub single: bool,
    /// Its messages, in order.
    pub items: Vec<Ready>,
}

/// The key of the `Idempotency-Key` header with the hash of what it stands for.
fn keyed(headers: &HeaderMap, body: &[u8]) -> Result<Option<Keyed>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.as_bytes().trim_ascii();
    if key.is_empty() || key.len() > KEY_MAX {
        return Err(Fault::of("length", "idempotency-key", "the key is empty or too long", "1 to 255 octets").into());
    }
    Ok(Some(Keyed { key: xxh3_64_with_seed(key, OF_REQUEST), content: xxh3_64(body) }))
}

/// Reads a request of `account`.
///
/// # Errors
/// It can't be taken at all; what is wrong with single messages stands in their places.
pub(super) fn read(body: &[u8], headers: &HeaderMap, account: &AccountEntry, submissions: &Submissions) -> Result<Prepared, Problem> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        // serde takes a list for a struct's fields in order.
        return Err(Fault::of("bad_value", "", "the body is a list", "an object; many numbers stand in its recipients").into());
    }
    let submission: Submission = from_body(body)?;
    let keyed = keyed(headers, body)?;
    let sender = submissions.sender(account);
    let shared = Shared::of(&submission, &sender, keyed)?;
    let single;
    let (one, many);
    let recipients: &[Recipient] = match (&submission.to, &submission.recipients) {
        (Some(to), None) => {
            single = true;
            one = [Recipient { to: to.clone(), ..Recipient::default() }];
            &one
        }
        (None, Some(list)) => {
            single = false;
            many = list;
            many
        }
        _ => return Err(Fault::of("bad_value", "to", "there must be one of to and recipients", "one of the two").into()),
    };
    if recipients.is_empty() || recipients.len() > BATCH_MAX {
        let what = format!("{} recipients", recipients.len());
        return Err(Fault::of("too_many", "recipients", what, format!("1 to {BATCH_MAX}")).into());
    }
    let mut campaigns = Campaigns::default();
    let campaign = campaigns.named(submission.campaign.as_deref().unwrap_or_default())?;
    let ready = |(place, recipient): (usize, &Recipient)| {
        let made = shared.message(place, recipient, &submission, &sender);
        let (number, encoding) = made.as_ref().map_or((0, None), |message| (message.number, Some(message.body.encoding)));
        let draft = made.map(|message| Some(Draft { token: 0, message, campaign: campaign.clone() })).map_err(public);
        Ready { to: recipient.to.clone(), number, encoding, has_own_key: recipient.idempotency_key.is_some(), draft }
    };
    Ok(Prepared { single, items: recipients.iter().enumerate().map(ready).collect() })
}

/// A fault in the words of this port's fields.
pub(super) fn public(mut fault: Fault) -> Fault {
    fault.field = match fault.field {
        "send_at_ms" => "send_at",
        "expire_at_ms" => "expire_at",
        "identity" => "idempotency_key",
        field => field,
    };
    fault
}

/// What holds for all messages of a request, read once.
pub(super) struct Shared {
    /// The shared text is a pattern for all: somebody has variables.
    is_pattern: bool,
    class: Option<Class>,
    encoding: Wanted,
    transliteration: Option<Transliteration>,
    due_ms: u64,
    expires_ms: u64,
    report: Option<Report>,
    keyed: Option<Keyed>,
}

impl Shared {
    /// # Errors
    /// What is wrong with all of them.
    pub(super) fn of(submission: &Submission, sender: &Sender<'_>, keyed: Option<Keyed>) -> Result<Shared, Problem> {
        let recipients = submission.recipients.as_deref().unwrap_or_default();
        let shared = Shared {
            is_pattern: !submission.variables.is_empty() || recipients.iter().any(|own| !own.variables.is_empty()),
            class: submission.class.as_deref().map(class).transpose()?,
            encoding: submission.encoding.as_deref().map_or(Ok(Wanted::Auto), encoding)?,
            transliteration: submission.transliterate.as_deref().map(transliteration).transpose()?,
            due_ms: submission.send_at.as_deref().map_or(Ok(0), |text| time(text, "send_at"))?,
            expires_ms: submission.expire_at.as_deref().map_or(Ok(0), |text| time(text, "expire_at"))?,
            report: submission.report.as_deref().map(report).transpose()?,
            keyed,
        };
        if shared.expires_ms != 0 && shared.expires_ms <= sender.now.wall_ms {
            return Err(Fault::of("validity", "expire_at", "it is over already", "a time to come").into());
        }
        Ok(shared)
    }

    /// The message of the recipient at this place.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn message(&self, place: usize, own: &Recipient, all: &Submission, sender: &Sender<'_>) -> Result<Arc<Message>, Fault> {
        let text = own.text.as_deref().or(all.text.as_deref()).unwrap_or_default();
        let filled;
        let is_own = own.text.is_some();
        let text = if own.variables.is_empty() && all.variables.is_empty() && (is_own || !self.is_pattern) {
            text
        } else {
            filled = fill(text, &own.variables, &all.variables)?;
            &filled
        };
        let callback = own.callback.as_deref().or(all.callback.as_deref());
        let told = callback.is_some() || sender.account.is_told_by_http();
        let wanted = Report { on_success: told, on_failure: told, intermediate: false };
        let mut notes = Notes {
            reference: own.reference.as_deref().or(all.reference.as_deref()).unwrap_or_default().into(),
            tags: own.tags.as_ref().or(all.tags.as_ref()).map(|tags| tags.clone().into_boxed_slice()).unwrap_or_default(),
            callback: callback.map(|url| Callback { form: CallbackForm::Hook, mask: 0, url: url.into() }),
            keyed: self.keyed,
        };
        let due_ms = own.send_at.as_deref().map_or(Ok(self.due_ms), |text| time(text, "send_at"))?;
        let expires_ms = own.expire_at.as_deref().map_or(Ok(self.expires_ms), |text| time(text, "expire_at"))?;
        let mut identity = self.keyed.map_or(0, |keyed| xxh3_64_with_seed(&keyed.key.to_le_bytes(), OF_PLACE + place as u64).max(1));
        if let Some(key) = own.idempotency_key.as_deref() {
            if key.is_empty() || key.len() > KEY_MAX {
                return Err(Fault::of("length", "idempotency_key", "the key is empty or too long", "1 to 255 octets"));
            }
            let key = xxh3_64_with_seed(key.as_bytes(), OF_ITEM);
            let from = all.from.as_deref().unwrap_or_default();
            let content = xxh3_64(format!("{}\0{from}\0{text}\0{due_ms}\0{expires_ms}", own.to).as_bytes());
            notes.keyed = Some(Keyed { key, content });
            identity = key.max(1);
        }
        let item = Item {
            notes: Some(&notes),
            to: &own.to,
            from: all.from.as_deref().unwrap_or_default(),
            text,
            shape: Shape::default(),
            class: self.class,
            encoding: self.encoding,
            transliteration: self.transliteration,
            report: self.report.unwrap_or(wanted),
            due_ms,
            expires_ms,
            identity: "",
        };
        let mut message = of_item(&item, sender)?;
        // Just made: nothing is copied.
        let made = Arc::make_mut(&mut message);
        // How it ends is for look-ups to tell too; whoever wants no report at all, by name, spares the carrier the receipt.
        (made.identity, made.ask_receipt) = (identity, self.report.is_none());
        Ok(message)
    }
}

/// A time with its zone, in wall milliseconds.
pub(super) fn time(text: &str, field: &'static str) -> Result<u64, Fault> {
    instant::read(text).ok_or_else(|| {
        let fix = "ISO 8601 with a zone, as 2026-11-27T09:00:00+08:00 or 2026-11-27T01:00:00Z";
        Fault::of("bad_value", field, "it is no time, or has no zone, or one that does not exist", fix)
    })
}

fn transliteration(name: &str) -> Result<Transliteration, Fault> {
    match name {
        "none" => Ok(Transliteration::None),
        "safe" => Ok(Transliteration::Safe),
        "lossy" => Ok(Transliteration::Lossy),
        _ => Err(Fault::of("bad_value", "transliterate", format!("'{name}' is no transliteration"), "none, safe or lossy")),
    }
}

/// The text with its variables.
fn fill(text: &str, own: &BTreeMap<String, Variable>, shared: &BTreeMap<String, Variable>) -> Result<String, Fault> {
    if own.len() + shared.len() > VARIABLES_MAX {
        return Err(Fault::of("too_many", "variables", "there are too many variables", format!("at most {VARIABLES_MAX}")));
    }
    let alone = || Fault::of("bad_value", "text", "a brace stands alone", "{name} for a variable, {{ or }} for a brace");
    let mut filled = String::with_capacity(text.len() + 32);
    for piece in pieces(text).ok_or_else(alone)? {
        match piece {
            Piece::Text(plain) => filled += plain,
            Piece::Name(name) => match own.get(name).or_else(|| shared.get(name)) {
                Some(Variable::Text(value)) => filled += value,
                Some(Variable::Number(value)) => filled += &value.to_string(),
                None => {
                    let what = format!("the text names {{{name}}}, which has no value");
                    return Err(Fault::of("bad_value", "variables", what, "a value for each name in the text"));
                }
            },
        }
    }
    Ok(filled)
}

/// A problem of a request that has a single message.
pub(super) fn alone(fault: Fault, retry: bool) -> Problem {
    let busy = matches!(fault.code, "throttled" | "velocity");
    let mut problem = Problem::from(fault);
    if busy {
        problem.status = StatusCode::TOO_MANY_REQUESTS.as_u16();
        problem.title = "Too Many Requests".into();
    } else if retry {
        problem.status = StatusCode::SERVICE_UNAVAILABLE.as_u16();
        problem.title = "Service Unavailable".into();
    }
    if busy || retry { problem.retry_after(1) } else { problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(body: &str) -> (String, String) {
        let problem = from_body::<Submission>(body.as_bytes()).unwrap_err();
        (problem.code.into(), problem.field.into())
    }

    #[test]
    fn what_is_wrong_with_a_body_is_told_with_the_way_to_its_field() {
        let cases = [
            (r#"{"to": 5}"#, "bad_value", "to"),
            (r#"{"too": "5"}"#, "bad_value", "too"),
            (r#"{"recipients": [{"to": "1"}, {"to": 7}]}"#, "bad_value", "recipients[1].to"),
            (r#"{"recipients": [{"nmae": 7}]}"#, "bad_value", "recipients[0].nmae"),
            (r#"{"to": "1", "to": "2"}"#, "bad_value", "to"),
            (r#"{"to": "1""#, "malformed_json", ""),
        ];
        for (body, code, field) in cases {
            assert_eq!(problem(body), (code.to_owned(), field.to_owned()), "{body}");
        }
    }

    #[test]
    fn a_time_must_have_a_zone() {
        assert_eq!(time("2026-11-27T09:00:00+08:00", "send_at").ok(), Some(1_795_741_200_000));
        assert_eq!(time("2026-11-27T01:00:00Z", "send_at").ok(), Some(1_795_741_200_000));
        assert_eq!(time("2026-11-27T15:00:00+14:00[Pacific/Kiritimati]", "send_at").ok(), Some(1_795_741_200_000));
        for bad in [
            "2026-11-27T09:00:00",
            "2026-11-27",
            "tomorrow",
            "",
            "2026-11-27T09:00:00+08:00[Asia/Nowhere]",
            "2026-11-27T09:00:00+25:00",
            "1900-01-01T00:00:00Z",
        ] {
            assert_eq!(time(bad, "send_at").err().map(|fault| fault.field), Some("send_at"), "{bad}");
        }
    }
}
