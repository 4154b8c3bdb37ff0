//! Requests as other gateways take them: fields in the address or in a form, in whatever charset; and messages handed in from there.

use super::Api;
use super::extract::{Body, peer};
use super::request::public;
use crate::engine::port::{Draft, Taken};
use crate::engine::scope::Fault;
use crate::http::messages::unanswered;
use crate::http::problem::Problem;
use crate::http::refusal::fault_of;
use crate::link::accounts::AccountEntry;
use crate::link::translate::item::{Item, Shape, of_item};
use crate::model::notes::{Callback, Notes};
use crate::model::refusal::Fault as Whose;
use crate::model::{Refusal, Report};
use crate::text::choose::Wanted;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use percent_encoding::percent_decode;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// Fields in the order in which they stood, those of the address first.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Vec<(String, Vec<u8>)>);

impl Fields {
    pub(super) fn read(&mut self, text: &[u8]) {
        for pair in text.split(|&octet| octet == b'&').filter(|pair| !pair.is_empty()) {
            let at = memchr::memchr(b'=', pair).unwrap_or(pair.len());
            let name = String::from_utf8_lossy(&decoded(&pair[..at])).into_owned();
            self.0.push((name, decoded(pair.get(at + 1..).unwrap_or_default())));
        }
    }

    /// The fields of a JSON object; what is no text there stands as it is written.
    fn read_json(&mut self, text: &[u8]) -> Result<(), serde_json::Error> {
        for (name, value) in serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(text)? {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            self.0.push((name, value.into_bytes()));
        }
        Ok(())
    }

    /// The octets of the first field that has one of these names.
    pub(super) fn octets(&self, names: &[&str]) -> Option<&[u8]> {
        self.0.iter().find(|(name, _)| names.contains(&name.as_str())).map(|(_, value)| value.as_slice())
    }

    /// The same as text, without blanks around it; `None` too if nothing is left.
    pub(super) fn text(&self, names: &[&str]) -> Option<Cow<'_, str>> {
        self.octets(names).map(|octets| String::from_utf8_lossy(octets.trim_ascii())).filter(|text| !text.is_empty())
    }

    /// The names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|&octet| if octet == b'+' { b' ' } else { octet }).collect();
    percent_decode(&spaced).collect()
}

/// A request of fields.
pub(super) struct Form {
    pub fields: Fields,
    pub peer: IpAddr,
}

impl FromRequest<Api> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Form, Problem> {
        let (parts, body) = request.into_parts();
        let mut fields = Fields::default();
        fields.read(parts.uri.query().unwrap_or_default().as_bytes());
        let peer = peer(&parts);
        let kind = parts.headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
        let Body(body) = Body::from_request(Request::from_parts(parts, body), api).await?;
        // As newer Jasmins take it.
        match kind.is_some_and(|kind| kind.starts_with(b"application/json")) {
            true => fields.read_json(&body).map_err(|error| Problem::json(&error))?,
            false => fields.read(&body),
        }
        Ok(Form { fields, peer })
    }
}

/// What a request of another gateway wants sent. Times are wall milliseconds, 0 where left open.
#[derive(Debug, Clone)]
pub(super) struct Wish<'a> {
    pub from: &'a str,
    pub text: &'a str,
    pub shape: Shape<'a>,
    pub encoding: Wanted,
    pub report: Report,
    pub callback: Option<Callback>,
    pub tags: Box<[Box<str>]>,
    pub due_ms: u64,
    pub expires_ms: u64,
    pub priority: u8,
}

impl Wish<'_> {
    /// Nothing but these.
    pub(super) fn of<'a>(from: &'a str, text: &'a str) -> Wish<'a> {
        let (shape, report, tags) = (Shape::default(), Report::default(), Box::default());
        Wish { from, text, shape, encoding: Wanted::Auto, report, callback: None, tags, due_ms: 0, expires_ms: 0, priority: 0 }
    }
}

/// What became of one number: taken, or why not and whether it may pass later.
pub(super) type Handed = Result<Taken, (Fault, bool)>;

/// The same text to each of these numbers, or what is wrong with it.
pub(super) fn drafts(api: &Api, account: &AccountEntry, to: &[&str], wish: &Wish<'_>) -> Vec<Result<Draft, Fault>> {
    let sender = api.submissions.sender(account);
    let notes = Notes { tags: wish.tags.clone(), callback: wish.callback.clone(), ..Notes::default() };
    let draft = |to: &&str| {
        let item = Item {
            notes: Some(&notes),
            to,
            from: wish.from,
            text: wish.text,
            shape: wish.shape,
            class: None,
            encoding: wish.encoding,
            transliteration: None,
            report: wish.report,
            due_ms: wish.due_ms,
            expires_ms: wish.expires_ms,
            identity: "",
        };
        let mut message = of_item(&item, &sender)?;
        // Just made: nothing is copied.
        let made = Arc::make_mut(&mut message);
        (made.priority, made.ask_receipt) = (wish.priority, true);
        Ok(Draft { token: 0, message, campaign: None })
    };
    to.iter().map(draft).collect()
}

/// Hands in the same text to each of these numbers; the answers are in their order.
///
/// # Errors
/// There is no answer.
pub(super) async fn hand_in(api: &Api, account: &AccountEntry, to: &[&str], wish: &Wish<'_>) -> Result<Vec<Handed>, Problem> {
    let made = drafts(api, account, to, wish);
    let (mut drafts, mut places) = (Vec::new(), Vec::new());
    for made in made {
        places.push(made.map(|draft| drafts.push(draft)));
    }
    let mut answers = api.submissions.submit(drafts).await.map_err(unanswered)?.into_iter();
    let told = |place: Result<(), Fault>| match place {
        Ok(()) => answers.next().unwrap_or(Err(Refusal::Stopping)).map_err(|refusal| {
            account.refused(refusal);
            (public(fault_of(refusal)), refusal.fault() == Whose::Gateway)
        }),
        Err(fault) => Err((public(fault), false)),
    };
    Ok(places.into_iter().map(told).collect())
}

/// Why credentials are not accepted.
pub(super) enum Denied {
    /// They are wrong, or may not be used from there, or were wrong a moment ago.
    Wrong,
    /// Too many passwords of the account are being checked: the same may pass later.
    Busy,
}

/// The account that has this system_id and password, as SMPP's binds show them. `door`: where they were shown.
pub(super) async fn by_password(
    api: &Api,
    door: &'static str,
    system_id: &[u8],
    password: &[u8],
    peer: IpAddr,
) -> Result<Arc<AccountEntry>, Denied> {
    use crate::link::accounts::{BindCheck, Door};
    let (accounts, now) = (api.submissions.accounts(), api.submissions.now());
    let checked = match accounts.check_request(door, system_id, password, peer, now) {
        BindCheck::Ask(job) => {
            // Tens of milliseconds of work, once for each password: what was found right is remembered.
            let done = tokio::task::spawn_blocking(move || job.run()).await.map_err(|_| Denied::Busy)?;
            accounts.finish(Door::Http(door), done, peer, api.submissions.now())
        }
        checked => checked,
    };
    match checked {
        BindCheck::Right(account) => Ok(account),
        BindCheck::Refused { status: crate::smpp::status::ESME_RSYSERR, .. } => Err(Denied::Busy),
        _ => Err(Denied::Wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_octets_until_somebody_knows_their_charset() {
        let mut fields = Fields::default();
        fields.read(b"to=%2B8613800138000+1&text=%96%C1&&empty=&flag");
        assert_eq!(fields.text(&["to"]).as_deref(), Some("+8613800138000 1"));
        assert_eq!(fields.octets(&["content", "text"]), Some(&[0x96, 0xC1][..]));
        assert_eq!((fields.text(&["empty"]), fields.octets(&["flag"])), (None, Some(&b""[..])));
        assert_eq!(fields.names().count(), 4);
    }
}
