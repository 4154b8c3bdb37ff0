//! Messages handed in by HTTP: `POST /v1/messages` takes a batch with shared defaults, and answers once every message that it says yes to is durable.
//! Each item has its own answer, in order: an id, or why not.

use super::admin::Backstage;
use super::extract::Body;
use super::foretell::{Foretold, foretell};
use super::look::odd;
use super::problem::{Problem, from_body};
use super::refusal::fault_of;
use crate::engine::port::{Draft, Taken};
use crate::engine::scope::Fault;
use crate::link::accounts::AccountEntry;
use crate::link::submissions::{Answer, BATCH_MAX, Submissions, SubmitError};
use crate::link::translate::item::{Item, Sender, Shape, of_item};
use crate::model::notes::{Callback, CallbackForm, Notes};
use crate::model::{Class, Refusal, Report};
use crate::text::choose::Wanted;
use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

/// Longest body of a batch, octets.
pub(super) const BODY_MAX: usize = 16 << 20;

/// A batch as it comes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch<'a> {
    /// Whose messages.
    #[serde(borrow)]
    account: Cow<'a, str>,
    /// What holds for items that don't say it themselves; `to` and `identity` have no place here.
    #[serde(borrow, default)]
    defaults: Line<'a>,
    /// The messages, up to 10,000.
    #[serde(borrow)]
    items: Vec<Line<'a>>,
}

/// One message, or the defaults. Times are wall milliseconds.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Line<'a> {
    /// The number.
    #[serde(borrow)]
    to: Option<Cow<'a, str>>,
    /// The sender's own name for it: handing the same in again makes no second message.
    #[serde(borrow)]
    identity: Option<Cow<'a, str>>,
    /// otp, transactional or marketing; absent: the account's.
    #[serde(borrow)]
    class: Option<Cow<'a, str>>,
    /// The sender.
    #[serde(borrow)]
    from: Option<Cow<'a, str>>,
    /// The campaign that it belongs to, by a name.
    #[serde(borrow)]
    campaign: Option<Cow<'a, str>>,
    /// The text.
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    /// auto, gsm7, latin1 or ucs2.
    #[serde(borrow)]
    encoding: Option<Cow<'a, str>>,
    /// Which receipts the account's receivers get: none, failure or final.
    #[serde(borrow)]
    report: Option<Cow<'a, str>>,
    /// Not before this time.
    send_at_ms: Option<u64>,
    /// Not after this time; absent: as the class has it.
    expire_at_ms: Option<u64>,
    /// The sender's own name for it, told again in reports and records.
    #[serde(borrow)]
    reference: Option<Cow<'a, str>>,
    /// The sender's own words for what it belongs to.
    #[schema(value_type = Option<Vec<String>>)]
    tags: Option<Vec<Box<str>>>,
    /// Where its reports go: an address. Without one they go to the account's hook, if it has one, else to its receivers.
    #[serde(borrow)]
    callback: Option<Cow<'a, str>>,
}

/// The answer to one item.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Told {
    /// It is durable.
    Taken {
        /// Its id.
        id: String,
        /// Segments at the first carrier of its route; absent where it was handed in before.
        #[serde(skip_serializing_if = "Option::is_none")]
        segments: Option<u8>,
        /// It was handed in before, and has the first one's id.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        repeated: bool,
    },
    /// It is not taken.
    Refused {
        /// A stable word.
        code: &'static str,
        /// The field that is to blame; empty if none is.
        field: &'static str,
        /// What is wrong.
        detail: String,
        /// What to do instead.
        fix: String,
        /// The same may pass later.
        retry: bool,
    },
}

/// The answer to a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Receipt {
    /// Messages taken now.
    accepted: usize,
    /// Messages that were handed in before.
    repeated: usize,
    /// Messages that were not taken.
    refused: usize,
    /// Each item's answer, in order.
    items: Vec<Told>,
}

/// A place among the batches under way, whose messages these are, and what each item is.
async fn received(backstage: &Backstage, request: Request) -> Result<(OwnedSemaphorePermit, Arc<AccountEntry>, Items), Problem> {
    // Before the body is read: it may be long.
    let busy = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "", "too many batches at once", "again in a moment");
    let place = backstage.submissions.place().ok_or_else(busy)?;
    let Body(body) = Body::from_request(request, backstage).await?;
    let submissions = backstage.submissions.clone();
    // Thousands of texts are read and encoded: not where sockets are driven.
    let reading = tokio::task::spawn_blocking(move || read(&body, &submissions));
    let (account, items) = reading.await.map_err(|_| odd())??;
    Ok((place, account, items))
}

/// Hands in a batch of messages of an account
///
/// Each item has its own answer, in order. What is answered with an id is durable; handing the same identities in again makes no second message.
#[utoipa::path(post, path = "/v1/messages", tag = "messages",
    request_body(content = Batch, examples(("batch" = (value = json!({"account": "shop", "defaults": {"text": "Hello", "from": "SHOP", "campaign": "spring"}, "items": [{"to": "+8613800138000", "identity": "order-7"}, {"to": "13900139000", "text": "Hi", "class": "otp"}]}))))),
    responses((status = 200, description = "Each item's answer", body = Receipt)))]
pub(super) async fn submit(State(backstage): State<Backstage>, request: Request) -> Result<Json<Receipt>, Problem> {
    let (_place, account, mut items) = received(&backstage, request).await?;
    let drafts: Vec<Draft> = items.iter_mut().filter_map(|item| item.as_mut().ok().and_then(Option::take)).collect();
    let mut answers = backstage.submissions.submit(drafts).await.map_err(unanswered)?.into_iter();
    let told: Vec<Told> = items
        .into_iter()
        .map(|item| match item {
            Ok(_) => answer(answers.next().unwrap_or(Err(Refusal::Stopping)), &account),
            Err(fault) => refused(fault, false),
        })
        .collect();
    let count = |of: fn(&Told) -> bool| told.iter().filter(|told| of(told)).count();
    Ok(Json(Receipt {
        accepted: count(|told| matches!(told, Told::Taken { repeated: false, .. })),
        repeated: count(|told| matches!(told, Told::Taken { repeated: true, .. })),
        refused: count(|told| matches!(told, Told::Refused { .. })),
        items: told,
    }))
}

pub(super) fn unanswered(error: SubmitError) -> Problem {
    let code = match error {
        SubmitError::Stopping => "stopping",
        SubmitError::NoAnswer => "no_answer",
    };
    let fix = "hand it in again with the same identities: what was taken is not taken twice";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, "", error.to_string(), fix)
}

fn answer(answer: Answer, account: &AccountEntry) -> Told {
    match answer {
        Ok(Taken { message, segments, repeats }) => Told::Taken {
            id: message.to_string(),
            segments: (repeats.is_none() && segments > 0).then_some(segments),
            repeated: repeats.is_some(),
        },
        Err(refusal) => {
            account.refused(refusal);
            of_refusal(refusal)
        }
    }
}

pub(super) fn of_refusal(refusal: Refusal) -> Told {
    refused(fault_of(refusal), refusal.fault() == crate::model::refusal::Fault::Gateway)
}

pub(super) fn refused(fault: Fault, retry: bool) -> Told {
    let Fault { code, field, what, fix } = fault;
    Told::Refused { code, field, detail: what, fix, retry }
}

/// What would become of a batch, in sums
///
/// Up to 10,000 items, as `POST /v1/messages` takes them. Nothing is sent.
#[utoipa::path(post, path = "/v1/explain/batch", tag = "messages",
    request_body(content = Batch, examples(("batch" = (value = json!({"account": "shop", "defaults": {"text": "Hello", "from": "SHOP", "campaign": "spring"}, "items": [{"to": "+8613800138000", "identity": "order-7"}, {"to": "13900139000", "text": "Hi", "class": "otp"}]}))))),
    responses((status = 200, description = "The sums, and what would be refused", body = Foretold)))]
pub(super) async fn estimate(State(backstage): State<Backstage>, request: Request) -> Result<Json<Foretold>, Problem> {
    let (_place, account, items) = received(&backstage, request).await?;
    foretell(&backstage.operator, account.id, items.into_iter()).await.map(|told| Json(Foretold::of(told)))
}

/// What each item is: a draft, or what is wrong with it.
type Items = Vec<Result<Option<Draft>, Fault>>;

fn read(body: &[u8], submissions: &Submissions) -> Result<(Arc<AccountEntry>, Items), Problem> {
    let batch: Batch<'_> = from_body(body)?;
    let (account, defaults) = opened(&batch, submissions)?;
    let sender = submissions.sender(&account);
    let mut campaigns = Campaigns::default();
    let items = batch.items.iter().map(|line| draft(line, defaults, &sender, &mut campaigns).map(Some)).collect();
    Ok((account, items))
}

/// What holds for all of a batch, if the batch can be taken at all.
fn opened<'a>(batch: &'a Batch<'_>, submissions: &Submissions) -> Result<(Arc<AccountEntry>, &'a Line<'a>), Problem> {
    let unknown = || Fault::of("unknown_name", "account", format!("no account is called '{}'", batch.account), "one that `accounts` shows");
    let account = submissions.account(&batch.account).ok_or_else(unknown)?;
    if batch.items.len() > BATCH_MAX {
        return Err(
            Fault::of("too_many", "items", format!("{} items are too many", batch.items.len()), format!("at most {BATCH_MAX}")).into()
        );
    }
    if batch.defaults.to.is_some() || batch.defaults.identity.is_some() {
        return Err(Fault::of("bad_value", "defaults", "a number or an identity can't hold for all", "both stand in each item").into());
    }
    Ok((account, &batch.defaults))
}

/// The last campaign's name: mostly all of a batch have the same.
#[derive(Default)]
pub(super) struct Campaigns(Option<Arc<str>>);

impl Campaigns {
    pub(super) fn named(&mut self, name: &str) -> Result<Option<Arc<str>>, Fault> {
        const MAX: usize = crate::engine::campaigns::NAME_MAX;
        if name.is_empty() {
            return Ok(None);
        }
        if name.len() > MAX {
            return Err(Fault::of("length", "campaign", "the name is too long", format!("at most {MAX} octets")));
        }
        if self.0.as_deref() != Some(name) {
            self.0 = Some(name.into());
        }
        Ok(self.0.clone())
    }
}

/// A line as a draft.
fn draft(line: &Line<'_>, defaults: &Line<'_>, sender: &Sender<'_>, campaigns: &mut Campaigns) -> Result<Draft, Fault> {
    let notes = notes(line, defaults);
    let item = Item {
        notes: Some(&notes),
        to: line.to.as_deref().unwrap_or_default(),
        from: line.from.as_deref().or(defaults.from.as_deref()).unwrap_or_default(),
        text: line.text.as_deref().or(defaults.text.as_deref()).unwrap_or_default(),
        shape: Shape::default(),
        class: line.class.as_deref().or(defaults.class.as_deref()).map(class).transpose()?,
        encoding: line.encoding.as_deref().or(defaults.encoding.as_deref()).map_or(Ok(Wanted::Auto), encoding)?,
        transliteration: None,
        report: line.report.as_deref().or(defaults.report.as_deref()).map_or(Ok(Report::default()), report)?,
        due_ms: line.send_at_ms.or(defaults.send_at_ms).unwrap_or(0),
        expires_ms: line.expire_at_ms.or(defaults.expire_at_ms).unwrap_or(0),
        identity: line.identity.as_deref().unwrap_or_default(),
    };
    let campaign = campaigns.named(line.campaign.as_deref().or(defaults.campaign.as_deref()).unwrap_or_default())?;
    Ok(Draft { token: 0, message: of_item(&item, sender)?, campaign })
}

fn notes(line: &Line<'_>, defaults: &Line<'_>) -> Notes {
    let callback = line.callback.as_deref().or(defaults.callback.as_deref());
    Notes {
        reference: line.reference.as_deref().or(defaults.reference.as_deref()).unwrap_or_default().into(),
        tags: line.tags.as_ref().or(defaults.tags.as_ref()).map(|tags| tags.clone().into_boxed_slice()).unwrap_or_default(),
        callback: callback.map(|url| Callback { form: CallbackForm::Hook, mask: 0, url: url.into() }),
        keyed: None,
    }
}

pub(super) fn class(name: &str) -> Result<Class, Fault> {
    let found = Class::ALL.into_iter().find(|class| class.name() == name);
    found.ok_or_else(|| Fault::of("bad_value", "class", format!("'{name}' is no class"), "otp, transactional or marketing"))
}

pub(super) fn encoding(name: &str) -> Result<Wanted, Fault> {
    Wanted::from_name(name)
        .ok_or_else(|| Fault::of("bad_value", "encoding", format!("'{name}' is no encoding"), "auto, gsm7, latin1 or ucs2"))
}

pub(super) fn report(name: &str) -> Result<Report, Fault> {
    match name {
        "none" => Ok(Report::default()),
        "failure" => Ok(Report { on_failure: true, ..Report::default() }),
        "final" => Ok(Report { on_success: true, on_failure: true, intermediate: false }),
        _ => Err(Fault::of("bad_value", "report", format!("'{name}' is no wish for receipts"), "none, failure or final")),
    }
}
