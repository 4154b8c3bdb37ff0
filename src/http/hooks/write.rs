//! How a delivery is written for its address: JSON events in batches, signed as Standard Webhooks say; or as other gateways write theirs, for clients that
//! moved over. Says too what nobody asked for.

use super::OwnHook;
use super::event::{Event, digits};
use crate::engine::port::{Delivery, Report};
use crate::http::instant::iso;
use crate::model::Address;
use crate::model::notes::{Callback, CallbackForm, JASMIN_TAKEN, KANNEL_TAKEN};
use crate::model::state::ReceiptState;
use crate::smpp::status;
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

/// The names of an account and of a carrier; empty: there is none.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    pub account: &'a str,
    pub carrier: &'a str,
}

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

/// Writes one delivery. `since_ms`: since when it waits.
pub fn of(delivery: &Delivery, since_ms: u64, own: Option<&OwnHook>, names: &Names<'_>) -> Written {
    let account = names.account;
    let report = match delivery {
        Delivery::Inbound(inbound) => return to_hook(None, own, Event::of_inbound(inbound, account)),
        Delivery::Receipt(report) => report,
    };
    let Some(callback) = report.notes.as_ref().and_then(|notes| notes.callback.as_ref()) else { return Written::Nowhere };
    match callback.form {
        CallbackForm::Hook => to_hook(Some(&*callback.url).filter(|url| !url.is_empty()), own, Event::of_report(report, since_ms, account)),
        CallbackForm::Kannel => kannel(report, callback, names),
        CallbackForm::Jasmin => jasmin(report, callback, names),
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
        _ if report.intermediate && report.taken => KANNEL_TAKEN,
        _ if report.intermediate => KANNEL_BUFFERED,
        ReceiptState::Delivered => KANNEL_DELIVERED,
        // What a carrier took first and reported as refused later has failed.
        ReceiptState::Rejected if !report.taken => KANNEL_REFUSED,
        _ => KANNEL_FAILED,
    }
}

/// The address with its placeholders filled in, as Kannel's manual lists them for dlr-url. In a report the phone is the sender.
fn kannel(report: &Report, callback: &Callback, names: &Names<'_>) -> Written {
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
    let answer = || match kind {
        // As Kannel has it where there is no receipt yet.
        KANNEL_TAKEN => "ACK/".to_owned(),
        KANNEL_REFUSED => format!("NACK/{}", String::from_utf8_lossy(&report.error)),
        _ => format!(
            "id:{} sub:{:03} dlvrd:{:03} submit date:{} done date:{} stat:{} err:{} text:",
            report.message,
            report.parts,
            report.parts_delivered,
            short(submitted),
            short(done),
            report.state.stat(),
            String::from_utf8_lossy(&report.error)
        ),
    };
    let mut filled = String::with_capacity(callback.url.len() + 64);
    let mut rest = &*callback.url;
    while let Some(at) = rest.find('%') {
        filled.push_str(&rest[..at]);
        let mut after = rest[at + 1..].chars();
        let value = match after.next() {
            Some('d') => kind.to_string(),
            // The text of what is reported, which Kannel hands on as that of a message.
            Some('A' | 'a' | 'b') => answer(),
            Some('k') => answer().split(' ').next().unwrap_or_default().to_owned(),
            Some('i') => names.carrier.to_owned(),
            Some('p' | 'q') => written(&report.destination),
            Some('P' | 'Q') => digits(&report.source),
            Some('I' | 'F') => report.message.to_string(),
            Some('t') => done.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            Some('T') => done.as_second().to_string(),
            Some('n' | 'o') => names.account.to_owned(),
            Some('R') => callback.url.to_string(),
            Some('c') => "0".to_owned(),
            Some('C') => "UTF-8".to_owned(),
            Some('O') => "00".to_owned(),
            // Class and waiting indication of a report: none.
            Some('m' | 'M') => "-1".to_owned(),
            // What a report has not: further words, a header, billing and meta data, the carrier's number, times.
            Some('s' | 'S' | 'r' | 'u' | 'B' | 'D' | 'f' | 'v' | 'V') => String::new(),
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

/// What a carrier said when it was handed the message is of level 1, what it reported later of level 2.
fn jasmin(report: &Report, callback: &Callback, names: &Names<'_>) -> Written {
    let wants = |level: u8| callback.mask & level != 0;
    let is_refused = report.state == ReceiptState::Rejected && !report.taken && wants(JASMIN_TAKEN);
    if report.intermediate && report.taken || is_refused {
        return if wants(JASMIN_TAKEN) { jasmin_first(report, callback, names) } else { Written::Unasked };
    }
    if report.intermediate || !wants(JASMIN_FINAL) {
        return Written::Unasked;
    }
    let [submitted, done] = [report.submit_ms, report.done_ms].map(|ms| Timestamp::from_millisecond(ms as i64).unwrap_or_default());
    let short = |at: Timestamp| at.strftime("%y%m%d%H%M").to_string();
    let fields = vec![
        ("id", report.message.to_string()),
        ("id_smsc", report.message.to_string()),
        ("message_status", report.state.stat().to_owned()),
        ("level", "2".to_owned()),
        ("connector", names.carrier.to_owned()),
        ("subdate", short(submitted)),
        ("donedate", short(done)),
        ("sub", format!("{:03}", report.parts)),
        ("dlvrd", format!("{:03}", report.parts_delivered)),
        ("err", String::from_utf8_lossy(&report.error).into_owned()),
        ("text", String::new()),
    ];
    by_jasmins_method(callback, fields)
}

fn jasmin_first(report: &Report, callback: &Callback, names: &Names<'_>) -> Written {
    let said = match report.intermediate {
        true => Some(status::ESME_ROK),
        // The status in decimal digits; our own reasons have numbers that are no status.
        false => {
            std::str::from_utf8(&report.error).ok().and_then(|digits| digits.parse::<u32>().ok()).filter(|&said| said != status::ESME_ROK)
        }
    };
    let fields = vec![
        ("id", report.message.to_string()),
        ("message_status", said.and_then(status::name).unwrap_or("ESME_RSUBMITFAIL").to_owned()),
        ("level", "1".to_owned()),
        ("connector", names.carrier.to_owned()),
    ];
    by_jasmins_method(callback, fields)
}

fn by_jasmins_method(callback: &Callback, fields: Vec<(&'static str, String)>) -> Written {
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
    // The fields stand in the order of their names already, as the signature wants them. The key is the text of the secret: to Twilio's own helper
    // libraries an auth token is a text.
    let signature = own.map(|own| {
        let mut mac = Hmac::<Sha1>::new_from_slice(own.written.as_bytes()).expect("HMAC takes keys of any length");
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
        match of(delivery, 1_790_000_061_000, own, &Names { account: "shop", carrier: "east" }) {
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
        let rest = "http://c.example/dlr?i=%i&k=%k&c=%c&m=%m&s=%s&C=%C&O=%O&z=%z&n=%n";
        let filled = url_of(&report(CallbackForm::Kannel, 31, rest, ReceiptState::Delivered), None);
        assert_eq!(
            filled, "http://c.example/dlr?i=east&k=id%3A2100000000000000007&c=0&m=-1&s=&C=UTF-8&O=00&z=%z&n=shop",
            "what Kannel doesn't know stays"
        );
    }

    /// The report that carriers have taken a message.
    fn taken(delivery: Delivery) -> Delivery {
        let Delivery::Receipt(report) = delivery else { panic!("a report") };
        Delivery::Receipt(Report { state: ReceiptState::Accepted, intermediate: true, taken: true, ..report })
    }

    #[test]
    fn who_asked_is_told_that_a_carrier_took_or_refused_it() {
        let of = |form, mask, state| report(form, mask, "http://c.example/%d?a=%A", state);
        let kannel = |mask| url_of(&taken(of(CallbackForm::Kannel, mask, ReceiptState::Accepted)), None);
        assert_eq!((kannel(31).as_str(), kannel(23).as_str()), ("http://c.example/8?a=ACK%2F", "unasked"));
        let refused = url_of(&of(CallbackForm::Kannel, 31, ReceiptState::Rejected), None);
        assert_eq!(refused, "http://c.example/16?a=NACK%2F000");
        let by_get = |level, state| report(CallbackForm::Jasmin, level | JASMIN_BY_GET, "http://j.example/dlr", state);
        let first = url_of(&taken(by_get(3, ReceiptState::Accepted)), None);
        assert_eq!(first, "http://j.example/dlr?id=2100000000000000007&message_status=ESME_ROK&level=1&connector=east");
        assert_eq!(url_of(&taken(by_get(2, ReceiptState::Accepted)), None), "unasked");
        let refused = url_of(&by_get(1, ReceiptState::Rejected), None);
        assert!(refused.contains("message_status=ESME_RSUBMITFAIL&level=1"), "{refused}");
        assert!(url_of(&by_get(3, ReceiptState::Delivered), None).contains("message_status=DELIVRD&level=2"));
    }

    #[test]
    fn a_hook_gets_events_that_travel_together_and_are_signed() {
        let own =
            OwnHook { url: "https://shop.example/hook".into(), secret: (*b"0123456789abcdef").into(), written: "".into(), inbound: true };
        let first = report(CallbackForm::Hook, 0, "", ReceiptState::Delivered);
        assert_eq!(url_of(&first, None), "no hook");
        let written = |delivery: &Delivery| match of(delivery, 1_790_000_061_000, Some(&own), &Names { account: "shop", carrier: "east" }) {
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
