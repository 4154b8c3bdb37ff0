//! How a delivery is written for its address: JSON events in batches, signed as Standard Webhooks say; or as other gateways write theirs, for clients that
//! moved over. Says too what nobody asked for.

use super::OwnHook;
use super::event::{Event, digits};
use crate::engine::port::{Delivery, Report};
use crate::http::instant::iso;
use crate::model::Address;
use crate::model::notes::{Callback, CallbackForm};
use crate::model::state::ReceiptState;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::{Client, RequestBuilder, Url};
use serde_json::json;
use sha1::Sha1;
use sha2::Sha256;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// Kannel's dlr-mask.
const KANNEL_DELIVERED: u8 = 1;
const KANNEL_FAILED: u8 = 2;
const KANNEL_BUFFERED: u8 = 4;
const KANNEL_REFUSED: u8 = 16;
/// Jasmin's dlr-level 2 (the end), which 3 holds too.
pub const JASMIN_FINAL: u8 = 2;
/// Beside it: it is told by GET.
pub const JASMIN_BY_GET: u8 = 16;

/// What becomes of a delivery.
pub enum Written {
    /// To be sent.
    Request(Request),
    /// Its sender asked not to be told this.
    Unasked,
    /// It names an address that is none.
    Nowhere,
    /// It is for the account's own hook, and there is none.
    NoHook,
}

/// One request to be made.
pub struct Request {
    /// Where to.
    pub url: Url,
    /// Scheme, host and port.
    pub origin: String,
    content: Content,
}

enum Content {
    /// Events for a hook, and what they are signed with.
    Events(Vec<Event>, Option<Arc<[u8]>>),
    /// Everything is in the address.
    Get,
    /// A form, and Twilio's signature if it is signed.
    Form(Vec<(&'static str, String)>, Option<String>),
}

/// Writes one delivery. `since_ms`: since when it waits; `account`: its name.
pub fn of(delivery: &Delivery, since_ms: u64, own: Option<&OwnHook>, account: &str) -> Written {
    let report = match delivery {
        Delivery::Inbound(inbound) => return to_hook(None, own, Event::of_inbound(inbound, account)),
        Delivery::Receipt(report) => report,
    };
    let Some(callback) = report.notes.as_ref().and_then(|notes| notes.callback.as_ref()) else { return Written::Nowhere };
    match callback.form {
        CallbackForm::Hook => to_hook(Some(&*callback.url).filter(|url| !url.is_empty()), own, Event::of_report(report, since_ms, account)),
        CallbackForm::Kannel => kannel(report, callback, account),
        CallbackForm::Jasmin => jasmin(report, callback),
        CallbackForm::Twilio => twilio(report, callback, own, account),
    }
}

/// Where a delivery goes: origin and path, for the rest may hold secrets. `None`: nowhere.
pub fn endpoint(delivery: &Delivery, own: Option<&OwnHook>) -> Option<String> {
    let own = || own.map(|own| &*own.url);
    let url = match delivery {
        Delivery::Inbound(_) => own(),
        Delivery::Receipt(report) => Some(&*report.notes.as_ref()?.callback.as_ref()?.url).filter(|url| !url.is_empty()).or_else(own),
    };
    let url = Url::parse(url?).ok()?;
    Some(format!("{}{}", url.origin().ascii_serialization(), url.path()))
}

fn request(url: &str, content: Content) -> Written {
    match Url::parse(url) {
        Ok(url) => Written::Request(Request { origin: url.origin().ascii_serialization(), url, content }),
        Err(_) => Written::Nowhere,
    }
}

fn to_hook(url: Option<&str>, own: Option<&OwnHook>, event: Event) -> Written {
    let content = Content::Events(vec![event], own.map(|own| Arc::clone(&own.secret)));
    match (url, own) {
        (Some(url), _) => request(url, content),
        (None, Some(own)) => request(&own.url, content),
        (None, None) => Written::NoHook,
    }
}

impl Request {
    /// Another one may travel in it: both are events for the same address.
    pub fn may_hold(&self, other: &Request) -> bool {
        self.url == other.url && matches!((&self.content, &other.content), (Content::Events(..), Content::Events(..)))
    }

    /// Takes another one in. Only where [`Request::may_hold`] said so.
    pub fn add(&mut self, other: Request) {
        if let (Content::Events(events, _), Content::Events(more, _)) = (&mut self.content, other.content) {
            events.extend(more);
        }
    }

    /// As the client sends it.
    pub fn build(self, client: &Client) -> RequestBuilder {
        match self.content {
            Content::Get => client.get(self.url),
            Content::Form(fields, signature) => {
                let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
                let request = client.post(self.url).header("content-type", "application/x-www-form-urlencoded").body(body);
                match signature {
                    Some(signature) => request.header("x-twilio-signature", signature),
                    None => request,
                }
            }
            Content::Events(events, secret) => {
                let now_s = Timestamp::now().as_second();
                let ids: String = events.iter().map(Event::id).collect();
                // The same events have the same id, however often they are tried.
                let id = format!("msg_{:032x}", xxh3_128(ids.as_bytes()));
                let body = json!({ "type": "events", "timestamp": iso(now_s as u64 * 1000), "data": { "events": events } }).to_string();
                let mut request = client
                    .post(self.url)
                    .header("content-type", "application/json")
                    .header("webhook-id", &id)
                    .header("webhook-timestamp", now_s.to_string());
                if let Some(secret) = secret {
                    request = request.header("webhook-signature", sign(&secret, &id, now_s, &body));
                }
                request.body(body)
            }
        }
    }
}

/// Standard Webhooks: HMAC-SHA256 over id, time and body.
fn sign(secret: &[u8], id: &str, at_s: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{at_s}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The number as it is written where a leading + means that the country code is there.
fn written(address: &Address) -> String {
    let digits = digits(address);
    if address.ton == 1 && !digits.starts_with('+') { format!("+{digits}") } else { digits }
}

/// The bit of Kannel's dlr-mask that a report is.
fn kannel_type(report: &Report) -> u8 {
    match report.state {
        _ if report.intermediate => KANNEL_BUFFERED,
        ReceiptState::Delivered => KANNEL_DELIVERED,
        ReceiptState::Rejected => KANNEL_REFUSED,
        _ => KANNEL_FAILED,
    }
}

/// The address with its placeholders filled in, as Kannel's manual lists them for dlr-url. In a report the phone is the sender.
fn kannel(report: &Report, callback: &Callback, account: &str) -> Written {
    let mut kind = kannel_type(report);
    // Kannel tells refusals apart only where that was asked; a failure they are in any case.
    if kind == KANNEL_REFUSED && callback.mask & KANNEL_REFUSED == 0 {
        kind = KANNEL_FAILED;
    }
    if callback.mask & kind == 0 {
        return Written::Unasked;
    }
    let [submitted, done] = [report.submit_ms, report.done_ms].map(|ms| Timestamp::from_millisecond(ms as i64).unwrap_or_default());
    let short = |at: Timestamp| at.strftime("%y%m%d%H%M").to_string();
    let answer = || {
        format!(
            "id:{} sub:{:03} dlvrd:{:03} submit date:{} done date:{} stat:{} err:{} text:",
            report.message,
            report.parts,
            report.parts_delivered,
            short(submitted),
            short(done),
            report.state.stat(),
            String::from_utf8_lossy(&report.error)
        )
    };
    let mut filled = String::with_capacity(callback.url.len() + 64);
    let mut rest = &*callback.url;
    while let Some(at) = rest.find('%') {
        filled.push_str(&rest[..at]);
        let mut after = rest[at + 1..].chars();
        let value = match after.next() {
            Some('d') => kind.to_string(),
            Some('A') => answer(),
            Some('p' | 'q') => written(&report.destination),
            Some('P' | 'Q') => digits(&report.source),
            Some('I' | 'F') => report.message.to_string(),
            Some('t') => done.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            Some('T') => done.as_second().to_string(),
            Some('n' | 'o') => account.to_owned(),
            Some('c') => "0".to_owned(),
            Some('i' | 'a' | 'b' | 'k' | 's' | 'r' | 'u' | 'm' | 'C') => String::new(),
            Some('%') => "%".to_owned(),
            // Not one of Kannel's: an octet that was written in hexadecimal, or anything else; it stays.
            _ => {
                filled.push('%');
                rest = &rest[at + 1..];
                continue;
            }
        };
        // `%d`, `%a`, `%b`, `%c` may begin an octet in hexadecimal too; Kannel takes them for placeholders all the same.
        filled.extend(url::form_urlencoded::byte_serialize(value.as_bytes()));
        rest = after.as_str();
    }
    filled.push_str(rest);
    request(&filled, Content::Get)
}

fn jasmin(report: &Report, callback: &Callback) -> Written {
    if callback.mask & JASMIN_FINAL == 0 || report.intermediate {
        return Written::Unasked;
    }
    let [submitted, done] = [report.submit_ms, report.done_ms].map(|ms| Timestamp::from_millisecond(ms as i64).unwrap_or_default());
    let short = |at: Timestamp| at.strftime("%y%m%d%H%M").to_string();
    let fields = vec![
        ("id", report.message.to_string()),
        ("id_smsc", report.message.to_string()),
        ("message_status", report.state.stat().to_owned()),
        ("level", "2".to_owned()),
        ("connector", "hongyan".to_owned()),
        ("subdate", short(submitted)),
        ("donedate", short(done)),
        ("sub", format!("{:03}", report.parts)),
        ("dlvrd", format!("{:03}", report.parts_delivered)),
        ("err", String::from_utf8_lossy(&report.error).into_owned()),
        ("text", String::new()),
    ];
    if callback.mask & JASMIN_BY_GET == 0 {
        return request(&callback.url, Content::Form(fields, None));
    }
    match Url::parse(&callback.url) {
        Ok(mut url) => {
            url.query_pairs_mut().extend_pairs(&fields);
            request(url.as_str(), Content::Get)
        }
        Err(_) => Written::Nowhere,
    }
}

/// The id of an account as Twilio writes such ids.
pub fn account_sid(account: &str) -> String {
    format!("AC{:032x}", xxh3_128(account.as_bytes()))
}

/// The id of a message as Twilio writes such ids.
pub fn message_sid(message: crate::model::MessageId) -> String {
    format!("SM{:032x}", message.0)
}

fn twilio(report: &Report, callback: &Callback, own: Option<&OwnHook>, account: &str) -> Written {
    let status = match report.state {
        _ if report.intermediate => "sent",
        ReceiptState::Delivered => "delivered",
        ReceiptState::Rejected => "failed",
        _ => "undelivered",
    };
    let (sid, account) = (message_sid(report.message), account_sid(account));
    let mut fields = vec![
        ("AccountSid", account),
        ("ApiVersion", "2010-04-01".to_owned()),
        ("From", written(&report.source)),
        ("MessageSid", sid.clone()),
        ("MessageStatus", status.to_owned()),
        ("SmsSid", sid),
        ("SmsStatus", status.to_owned()),
        ("To", written(&report.destination)),
    ];
    if matches!(status, "failed" | "undelivered") {
        // Unknown error: the carrier's own code means nothing to such a client.
        fields.insert(2, ("ErrorCode", "30008".to_owned()));
    }
    // The fields stand in the order of their names already, as the signature wants them.
    let signature = own.map(|own| {
        let mut mac = Hmac::<Sha1>::new_from_slice(&own.secret).expect("HMAC takes keys of any length");
        mac.update(callback.url.as_bytes());
        fields.iter().for_each(|(name, value)| {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        });
        STANDARD.encode(mac.finalize().into_bytes())
    });
    request(&callback.url, Content::Form(fields, signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::notes::Notes;
    use crate::model::{AccountId, Body, Class, Encoding, Message, MessageId};
    use serde_json::Value;

    fn report(form: CallbackForm, mask: u8, url: &str, state: ReceiptState) -> Delivery {
        let body = Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: (*b"hi").into() };
        let addresses = [Address::new(5, 0, b"SHOP").unwrap(), Address::new(1, 1, b"8613800138000").unwrap()];
        let message = Message {
            id: MessageId(2_100_000_000_000_000_007),
            accepted_ms: 1_790_000_000_000,
            notes: Some(Arc::new(Notes {
                reference: "order 7".into(),
                tags: ["vip".into()].into(),
                callback: Some(Callback { form, mask, url: url.into() }),
                keyed: None,
            })),
            ..Message::new(AccountId(0), Class::Otp, addresses, 0, body)
        };
        Delivery::Receipt(crate::engine::outbox::report(&message, state, 1_790_000_060_000))
    }

    fn url_of(delivery: &Delivery, own: Option<&OwnHook>) -> String {
        match of(delivery, 1_790_000_061_000, own, "shop") {
            Written::Request(request) => request.url.to_string(),
            Written::Unasked => "unasked".to_owned(),
            Written::Nowhere => "nowhere".to_owned(),
            Written::NoHook => "no hook".to_owned(),
        }
    }

    #[test]
    fn kannels_placeholders_are_filled_in_and_its_mask_is_kept() {
        let url = "http://c.example/dlr?id=7&type=%d&p=%p&from=%P&a=%A&x=%20y&pc=%%";
        let filled = url_of(&report(CallbackForm::Kannel, 31, url, ReceiptState::Delivered), None);
        assert!(
            filled.starts_with("http://c.example/dlr?id=7&type=1&p=%2B8613800138000&from=SHOP&a=id%3A2100000000000000007+sub%3A001"),
            "{filled}"
        );
        assert!(filled.ends_with("&x=%20y&pc=%25"), "{filled}");
        assert_eq!(url_of(&report(CallbackForm::Kannel, 2, url, ReceiptState::Delivered), None), "unasked");
        let refused = url_of(&report(CallbackForm::Kannel, 3, "http://c.example/%d", ReceiptState::Rejected), None);
        assert_eq!(refused, "http://c.example/2", "a refusal is a failure to who didn't ask for refusals");
        assert_eq!(url_of(&report(CallbackForm::Kannel, 31, "dlr?%d", ReceiptState::Delivered), None), "nowhere");
    }

    #[test]
    fn a_hook_gets_events_that_travel_together_and_are_signed() {
        let own = OwnHook { url: "https://shop.example/hook".into(), secret: (*b"0123456789abcdef").into(), inbound: true };
        let first = report(CallbackForm::Hook, 0, "", ReceiptState::Delivered);
        assert_eq!(url_of(&first, None), "no hook");
        let written = |delivery: &Delivery| match of(delivery, 1_790_000_061_000, Some(&own), "shop") {
            Written::Request(request) => request,
            _ => panic!("a request"),
        };
        let mut request = written(&first);
        let second = written(&report(CallbackForm::Hook, 0, "", ReceiptState::Undeliverable));
        let elsewhere = written(&report(CallbackForm::Hook, 0, "https://shop.example/other", ReceiptState::Delivered));
        assert!(request.may_hold(&second) && !request.may_hold(&elsewhere));
        request.add(second);
        let built = request.build(&Client::new()).build().unwrap();
        let body = String::from_utf8(built.body().unwrap().as_bytes().unwrap().to_vec()).unwrap();
        let events = serde_json::from_str::<Value>(&body).unwrap()["data"]["events"].clone();
        assert_eq!((events[0]["type"].as_str(), events[1]["state"].as_str()), (Some("message.delivered"), Some("undeliverable")));
        assert_eq!((events[0]["reference"].as_str(), events[0]["tags"][0].as_str()), (Some("order 7"), Some("vip")));
        let header = |name: &str| built.headers()[name].to_str().unwrap().to_owned();
        let at_s = header("webhook-timestamp").parse().unwrap();
        assert_eq!(header("webhook-signature"), sign(&own.secret, &header("webhook-id"), at_s, &body));
    }

    #[test]
    fn the_signatures_are_those_of_the_published_examples() {
        // Standard Webhooks, the example of its specification.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn jasmin_is_told_the_end_by_the_method_that_was_asked() {
        let by_get =
            url_of(&report(CallbackForm::Jasmin, JASMIN_FINAL | JASMIN_BY_GET, "http://j.example/dlr?x=1", ReceiptState::Delivered), None);
        assert!(by_get.starts_with("http://j.example/dlr?x=1&id=2100000000000000007&"), "{by_get}");
        assert!(by_get.contains("message_status=DELIVRD&level=2"), "{by_get}");
        assert_eq!(url_of(&report(CallbackForm::Jasmin, 1, "http://j.example/", ReceiptState::Delivered), None), "unasked");
    }
}
