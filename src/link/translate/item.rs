//! Messages that came by no session: one item of a batch as a message, checked as a submit_sm is. Whether the account may send it now, and where to, is
//! left to the engine's intake.

use super::body::transliteration;
use crate::config::Account;
use crate::engine::scope::Fault;
use crate::model::callback::{names_public, parsed};
use crate::model::message::Part;
use crate::model::notes::{Callback, CallbackForm, Notes, REFERENCE_MAX, TAG_MAX, TAGS_MAX, URL_MAX};
use crate::model::{AccountId, Address, Body, Class, Encoding, Message, Now, Report};
use crate::number::{HomeRegion, from_text, unpack};
use crate::text::choose::{Options, Wanted, choose};
use crate::text::data_coding::{self, DefaultAlphabet};
use crate::text::segment::{self, MAX_PARTS, SegmentRule};
use crate::text::transliterate::Transliteration;
use crate::text::{transcode, udh};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Longest identity, octets.
pub const IDENTITY_MAX: usize = 64;
/// Farthest time that a message may be due at or valid until, milliseconds from now: what SMPP's relative times can say at most is near it.
const AHEAD_MAX_MS: u64 = 366 * 86_400_000;

/// What stands before a text or in its place, in the fields that SMPP has for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape<'a> {
    /// The user data header, its length octet included; empty: none.
    pub header: &'a [u8],
    /// Octets in place of the text, to be read as `data_coding` says.
    pub octets: Option<&'a [u8]>,
    /// Beside a text: its message class or waiting indication, if it says one.
    pub data_coding: u8,
    /// protocol_id, passed through.
    pub protocol_id: u8,
}

impl Shape<'_> {
    /// There is something to be sent even where the text is empty: a header, or the indication that messages wait.
    pub fn is_whole(&self) -> bool {
        !self.header.is_empty() || data_coding::read(self.data_coding).waiting.is_some()
    }
}

/// A message as somebody without a session wants it sent. Times are wall milliseconds, 0 where left open.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// What its sender wants to find again.
    pub notes: Option<&'a Notes>,
    /// The number, as people write numbers.
    pub to: &'a str,
    /// The sender; empty: the account's own.
    pub from: &'a str,
    /// The text.
    pub text: &'a str,
    /// What stands before it or in its place.
    pub shape: Shape<'a>,
    /// The class; `None`: the account's.
    pub class: Option<Class>,
    /// The encoding that is wanted.
    pub encoding: Wanted,
    /// What may be done to the text so that it fits the short alphabet; `None`: as the account has it.
    pub transliteration: Option<Transliteration>,
    /// Which receipts the account's receivers get.
    pub report: Report,
    /// Not before.
    pub due_ms: u64,
    /// Not after.
    pub expires_ms: u64,
    /// What the sender calls it: the same again is answered with the first one's id. Empty: nothing.
    pub identity: &'a str,
}

/// Whose items they are, and when and where they came.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// Who.
    pub id: AccountId,
    /// Its settings.
    pub account: &'a Account,
    /// The country of national numbers.
    pub home: HomeRegion,
    /// The time.
    pub now: Now,
    /// Callbacks may name hosts of this machine and of private networks.
    pub allow_private: bool,
}

fn bad(code: &'static str, field: &'static str, what: impl Into<String>, fix: &str) -> Fault {
    Fault::of(code, field, what, fix)
}

/// The message of an item, with id 0, or what is wrong with it; codes are the names of refusals.
pub fn of_item(item: &Item<'_>, by: &Sender<'_>) -> Result<Arc<Message>, Fault> {
    let number = from_text(item.to.as_bytes(), by.home)
        .map_err(|error| bad("destination", "to", error.to_string(), "a phone number such as +8613800138000"))?;
    let destination =
        Address::new(1, 1, &unpack(number)).ok_or_else(|| bad("destination", "to", "the number is too long", "at most 15 digits"))?;
    let source = source(item.from, by.account)?;
    let (body, part) = body(item, by.account)?;
    if item.identity.len() > IDENTITY_MAX {
        return Err(bad("length", "identity", "the identity is too long", "at most 64 octets"));
    }
    times(item, by.now.wall_ms)?;
    let notes = item.notes.map(|notes| checked(notes, item.report, by)).transpose()?.flatten();
    Ok(Arc::new(Message {
        part,
        report: item.report,
        protocol_id: item.shape.protocol_id,
        accepted_ms: by.now.wall_ms,
        due_ms: item.due_ms,
        expires_ms: item.expires_ms,
        identity: identity(item.identity),
        notes,
        ..Message::new(by.id, item.class.unwrap_or(by.account.class), [source, destination], number, body)
    }))
}

/// The body and, if its header says so, which part of a longer text it is.
fn body(item: &Item<'_>, account: &Account) -> Result<(Body, Option<Part>), Fault> {
    let Shape { header, octets, data_coding, .. } = item.shape;
    let has_header = !header.is_empty();
    let malformed =
        || bad("encoding", "udh", "the header is malformed", "its length without this octet, then elements of id, length and data");
    if has_header && udh::parse(header).map_or(true, |read| read.octets() != header.len()) {
        return Err(malformed());
    }
    if octets.map_or(item.text.is_empty(), <[u8]>::is_empty) && !item.shape.is_whole() {
        return Err(bad("length", "text", "the text is empty", "a text"));
    }
    let body = match octets {
        Some(octets) => {
            let wire = [header, octets].concat();
            transcode::from_wire(&wire, data_coding, has_header, DefaultAlphabet::Gsm7).map_err(|_| malformed())?
        }
        None => {
            let options = Options {
                wanted: item.encoding,
                transliteration: item.transliteration.unwrap_or_else(|| transliteration(account)),
                ..Options::default()
            };
            let fix = "another text, or encoding auto";
            let chosen = choose(item.text, &options).map_err(|error| bad("encoding", "text", error.to_string(), fix))?;
            shaped(chosen.body, header, data_coding)
        }
    };
    if body.encoding == Encoding::Ucs2 && body.text().len() % 2 != 0 {
        return Err(bad("encoding", "text", "UTF-16 has an even number of octets", "all of them"));
    }
    if segment::count(&body, &SegmentRule::default()) > MAX_PARTS {
        return Err(bad("length", "text", "the text is too long", "at most 255 segments"));
    }
    let part = if has_header { udh::parse(header).ok().and_then(|read| read.concatenation()) } else { None };
    Ok((body, part))
}

/// A text's body behind a header, with the class or waiting indication of a data_coding.
fn shaped(body: Body, header: &[u8], coding: u8) -> Body {
    let said = data_coding::read(coding);
    let raw_data_coding = match (said.class, said.waiting) {
        (None, None) => body.raw_data_coding,
        _ if data_coding::encoding(said.alphabet, DefaultAlphabet::Gsm7) == body.encoding => coding,
        _ => data_coding::moved(coding, body.encoding),
    };
    if header.is_empty() {
        return Body { raw_data_coding, ..body };
    }
    Body { raw_data_coding, header_len: header.len() as u8, octets: [header, body.text()].concat().into(), ..body }
}

/// Notes within their bounds. Reports that are asked for and have no address go to the account's own hook or its events, if it has them.
fn checked(notes: &Notes, report: Report, by: &Sender<'_>) -> Result<Option<Arc<Notes>>, Fault> {
    if notes.reference.len() > REFERENCE_MAX {
        return Err(bad("length", "reference", "the reference is too long", "at most 128 octets"));
    }
    if notes.tags.len() > TAGS_MAX || notes.tags.iter().any(|tag| tag.len() > TAG_MAX || tag.is_empty()) {
        return Err(bad(
            "length",
            "tags",
            "there are too many tags, or one of them is too long or empty",
            "at most 10 of at most 64 octets",
        ));
    }
    if let Some(callback) = &notes.callback {
        let url = parsed(&callback.url).filter(|_| callback.url.len() <= URL_MAX);
        let url = url.ok_or_else(|| bad("callback", "callback", "is no address", "http:// or https://, at most 2000 octets"))?;
        // A name may lead there too; that is seen at each request.
        if !by.allow_private && !names_public(&url) {
            let fix = "an address on the public network, or hooks.allow_private in the configuration";
            return Err(bad("callback", "callback", "leads to the gateway's own machine or to a private network", fix));
        }
    }
    let mut notes = notes.clone();
    if notes.callback.is_none() && by.account.is_told_by_http() && (report.wants_final() || report.intermediate) {
        notes.callback = Some(Callback { form: CallbackForm::Hook, mask: 0, url: Box::default() });
    }
    Ok((notes != Notes::default()).then(|| Arc::new(notes)))
}

/// A sender's word for a message as the engine keeps it.
fn identity(word: &str) -> u64 {
    if word.is_empty() { 0 } else { xxh3_64(word.as_bytes()).max(1) }
}

/// The sender, as a phone shows it: digits are a number, anything else a name.
fn source(from: &str, account: &Account) -> Result<Address, Fault> {
    let from = if from.is_empty() { account.default_source.as_str() } else { from };
    let (ton, npi) = match from {
        "" => (0, 0),
        from if from.bytes().all(|octet| octet.is_ascii_digit()) => (3, 0),
        from if from.starts_with('+') && from[1..].bytes().all(|octet| octet.is_ascii_digit()) => (1, 1),
        _ => (5, 0),
    };
    let written = if ton == 1 { &from[1..] } else { from };
    let source = Address::new(ton, npi, written.as_bytes())
        .filter(|_| written.is_ascii())
        .ok_or_else(|| bad("source", "from", "the sender is too long, or not ASCII", "at most 20 letters and digits"))?;
    match account.allows_source(&source.digits) {
        true => Ok(source),
        false => Err(bad("source", "from", "the account may not send from this sender", "one of its allowed_sources")),
    }
}

fn times(item: &Item<'_>, now_ms: u64) -> Result<(), Fault> {
    if item.due_ms > now_ms + AHEAD_MAX_MS {
        return Err(bad("schedule", "send_at_ms", "is more than a year ahead", "a time within a year"));
    }
    if item.expires_ms == 0 {
        return Ok(());
    }
    if item.expires_ms <= item.due_ms.max(now_ms) {
        return Err(bad("validity", "expire_at_ms", "is over before the message may leave", "a time after that at which it is sent"));
    }
    if item.expires_ms > now_ms + 2 * AHEAD_MAX_MS {
        return Err(bad("validity", "expire_at_ms", "is more than two years ahead", "a time within two years"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Encoding;

    const NOW: Now = Now { mono_us: 0, wall_ms: 1_800_000_000_000 };

    fn item<'a>(to: &'a str, text: &'a str) -> Item<'a> {
        let (class, encoding, report) = (None, Wanted::Auto, Report::default());
        let shape = Shape::default();
        Item {
            to,
            from: "",
            text,
            shape,
            class,
            encoding,
            transliteration: None,
            report,
            due_ms: 0,
            expires_ms: 0,
            identity: "",
            notes: None,
        }
    }

    fn made(item: &Item<'_>, account: &Account) -> Result<Arc<Message>, (&'static str, &'static str)> {
        let by = Sender { id: AccountId(3), account, home: HomeRegion::CHINA, now: NOW, allow_private: false };
        of_item(item, &by).map_err(|fault| (fault.code, fault.field))
    }

    #[test]
    fn an_item_becomes_a_message_as_its_account_would_submit_it() {
        let account = Account { default_source: "SHOP".into(), class: Class::Marketing, ..Account::plain("shop", "x") };
        let message = made(&Item { identity: "job/1", ..item("138 0013 8000", "你好") }, &account).unwrap();
        assert_eq!((message.account, message.class), (AccountId(3), Class::Marketing));
        assert_eq!(
            (message.source.ton, &message.source.digits[..], &message.destination.digits[..]),
            (5, &b"SHOP"[..], &b"8613800138000"[..])
        );
        assert_eq!((message.body.encoding, message.number), (Encoding::Ucs2, crate::number::pack(b"8613800138000").unwrap()));
        assert_ne!(message.identity, 0);
        assert_eq!(made(&Item { identity: "job/1", ..item("13800138001", "x") }, &account).unwrap().identity, message.identity);
        assert_eq!(made(&item("13800138000", "x"), &account).unwrap().identity, 0);
        let number = made(&Item { from: "+8510690001", ..item("13800138000", "x") }, &account).unwrap();
        assert_eq!((number.source.ton, &number.source.digits[..]), (1, &b"8510690001"[..]));
    }

    #[test]
    fn octets_and_headers_stand_in_a_message_as_they_came() {
        let account = Account::plain("shop", "x");
        let port: &[u8] = &[6, 5, 4, 0x15, 0x81, 0, 0];
        let shape = Shape { header: port, octets: Some(&[1, 0x82, 0]), data_coding: 4, protocol_id: 65 };
        let message = made(&Item { shape, ..item("13800138000", "") }, &account).unwrap();
        let body = &message.body;
        assert_eq!((body.encoding, body.raw_data_coding, body.header(), body.text()), (Encoding::Binary, 4, port, &[1, 0x82, 0][..]));
        assert_eq!((message.protocol_id, message.part), (65, None));
        let shape = Shape { header: &[5, 0, 3, 7, 2, 1], data_coding: 0x11, ..Shape::default() };
        let message = made(&Item { shape, ..item("13800138000", "雁") }, &account).unwrap();
        let body = &message.body;
        assert_eq!((body.encoding, body.raw_data_coding, body.header_len, body.text()), (Encoding::Ucs2, 0x19, 6, &[0x96, 0xC1][..]));
        assert_eq!(message.part, Some(Part { reference: 7, total: 2, number: 1 }));
        let class = Shape { data_coding: 0xF0, ..Shape::default() };
        assert_eq!(made(&Item { shape: class, ..item("13800138000", "x") }, &account).unwrap().body.raw_data_coding, 0xF0);
        let waiting = Shape { data_coding: 0xC8, ..Shape::default() };
        assert!(made(&Item { shape: waiting, ..item("13800138000", "") }, &account).unwrap().body.text().is_empty());
        for (header, octets, fault) in [
            (&[5u8, 0][..], None, ("encoding", "udh")),
            (&[], Some(&[1u8][..]), ("encoding", "text")),
            (&[], Some(&[]), ("length", "text")),
        ] {
            let shape = Shape { header, octets, data_coding: 8, protocol_id: 0 };
            assert_eq!(made(&Item { shape, ..item("13800138000", "x") }, &account).unwrap_err(), fault, "{shape:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_item_is_told_with_its_field() {
        let account =
            Account { allowed_sources: vec!["SHOP".parse().unwrap()], default_source: "SHOP".into(), ..Account::plain("shop", "x") };
        let good = item("13800138000", "x");
        assert!(made(&good, &account).is_ok());
        let long = "i".repeat(65);
        for (item, fault) in [
            (Item { to: "1380O138000", ..good }, ("destination", "to")),
            (Item { from: "OTHER", ..good }, ("source", "from")),
            (Item { from: "鸿雁", ..good }, ("source", "from")),
            (Item { text: "", ..good }, ("length", "text")),
            (Item { text: "雁", encoding: Wanted::Gsm7, ..good }, ("encoding", "text")),
            (Item { identity: &long, ..good }, ("length", "identity")),
            (Item { due_ms: NOW.wall_ms * 2, ..good }, ("schedule", "send_at_ms")),
            (Item { expires_ms: NOW.wall_ms, ..good }, ("validity", "expire_at_ms")),
            (Item { due_ms: NOW.wall_ms + 9, expires_ms: NOW.wall_ms + 9, ..good }, ("validity", "expire_at_ms")),
        ] {
            assert_eq!(made(&item, &account).unwrap_err(), fault, "{item:?}");
        }
    }
}
