//! What a recording tells of a carrier's habits, as a proposed profile: forms of ids, grammar of receipts, alphabets, forms of addresses, error codes. What shows
//! is set, what can't be seen stays as the standard has it; the notes say on how much each rests. A person reads it before it is used.

use super::exchanges::{Exchange, Exchanges, Relation, Told, delivered, of};
use super::{LIMITS, Taken, word};
use crate::config::{ErrorClass, Profile, default_error_class};
use crate::model::state::ReceiptState;
use crate::smpp::pdu::Sm;
use crate::smpp::tlv::tag;
use crate::smpp::{Pdu, command, decode, status};
use crate::text::id_form::IdForm;
use crate::text::udh;
use std::collections::{BTreeMap, HashMap};
use toml::{Table, Value};

/// Pairs of ids from which on their relation is believed.
const PAIRS_MIN: usize = 3;

/// A proposed profile.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Only what differs from the standard.
    pub profile: Table,
    /// What it rests on, and what a person should look at.
    pub notes: Vec<String>,
}

impl Proposal {
    /// As a file to be saved as `profiles/NAME.toml`.
    pub fn to_toml(&self) -> String {
        let mut text = String::from("# Proposed from a recording; read it before you use it. What is absent is as in standard.toml.\n");
        self.notes.iter().for_each(|note| text += &format!("# - {note}\n"));
        text + "\n" + &toml::to_string(&self.profile).unwrap_or_default()
    }

    fn set(&mut self, section: &str, key: &str, value: impl Into<Value>) {
        let below = self.profile.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(section) = below {
            section.insert(key.to_owned(), value.into());
        }
    }

    fn note(&mut self, note: String) {
        self.notes.push(note);
    }
}

/// Reads a recording of sessions with one carrier.
///
/// # Errors
/// In words: there is nothing to learn from.
pub fn learn(recording: &[Taken]) -> Result<Proposal, String> {
    let exchanges = of(recording);
    let accepted = exchanges.all.iter().filter(|exchange| exchange.answer.is_some() && exchange.status == 0).count();
    if accepted == 0 {
        return Err("no submission was taken in it: there is nothing to learn from; record in mode full".to_owned());
    }
    let mut proposal = Proposal { profile: Table::new(), notes: Vec::new() };
    let found = exchanges.all.iter().filter(|exchange| !exchange.receipts.is_empty()).count();
    proposal.note(format!("{accepted} submissions taken, {} receipts, {found} submissions with theirs", exchanges.receipts.len()));
    ids(&exchanges, &mut proposal);
    grammar(recording, &exchanges, &mut proposal);
    meanings(&exchanges, &mut proposal);
    zone(recording, &exchanges, &mut proposal);
    submissions(recording, &exchanges, &mut proposal);
    errors(&exchanges, &mut proposal);
    sessions(recording, &mut proposal);
    times(recording, &exchanges, &mut proposal);
    leave_out_defaults(&mut proposal.profile);
    let description = format!("Learned from {accepted} submissions and {} receipts", exchanges.receipts.len());
    let rest = std::mem::take(&mut proposal.profile);
    proposal.profile.insert("description".to_owned(), description.into());
    proposal.profile.extend(rest);
    Ok(proposal)
}

fn leave_out_defaults(profile: &mut Table) {
    let standard = Table::try_from(Profile::default()).unwrap_or_default();
    for (section, keys) in profile.iter_mut() {
        if let (Value::Table(keys), Some(Value::Table(standard))) = (keys, standard.get(section)) {
            keys.retain(|key, value| standard.get(key) != Some(value));
        }
    }
    profile.retain(|_, keys| keys.as_table().is_none_or(|keys| !keys.is_empty()));
}

/// How a set of ids is written, in the words of `[simulate]`.
fn written<'a>(ids: impl Iterator<Item = &'a [u8]>) -> Option<&'static str> {
    let ids: Vec<&[u8]> = ids.filter(|id| !id.is_empty()).collect();
    let all = |is: &dyn Fn(&[u8]) -> bool| !ids.is_empty() && ids.iter().all(|id| is(id));
    let any = |is: &dyn Fn(u8) -> bool| ids.iter().any(|id| id.iter().any(|&octet| is(octet)));
    let padded = |length: usize| all(&|id| id.len() == length) && ids.iter().any(|id| id[0] == b'0');
    if all(&|id| id.iter().all(u8::is_ascii_digit)) {
        Some(if padded(10) { "decimal_padded" } else { "decimal" })
    } else if all(&|id| id.iter().all(u8::is_ascii_hexdigit)) {
        Some(match any(&|octet| octet.is_ascii_uppercase()) {
            _ if padded(8) => "hex_padded",
            true => "hex_upper",
            false => "hex",
        })
    } else {
        all(&|id| id.len() == 36 && id.iter().filter(|&&octet| octet == b'-').count() == 4).then_some("uuid")
    }
}

/// How receipts' ids relate to those of answers, in the words of `[receipts]`.
fn habit(relation: Relation) -> &'static str {
    match relation.form {
        _ if relation.found < PAIRS_MIN => "auto",
        IdForm::Identity if relation.equal == relation.found => "same",
        IdForm::Identity | IdForm::StripZeros => "folded",
        IdForm::HexToDecimal => "decimal_then_hex",
        IdForm::DecimalToHex => "hex_then_decimal",
    }
}

fn ids(exchanges: &Exchanges, proposal: &mut Proposal) {
    let receipts = || exchanges.receipts.iter().map(|(_, told)| told);
    let in_text = receipts().filter(|told| !told.text_id.is_empty()).count();
    let in_tlv = receipts().filter(|told| !told.tlv_id.is_empty()).count();
    let (by_text, by_tlv) = (exchanges.by_text, exchanges.by_tlv);
    let source = match (in_text, in_tlv) {
        (0, 0) => "auto",
        (_, 0) => "text",
        (0, _) => "tlv",
        // Both are there: the TLV is of record unless only the text leads anywhere.
        _ if by_tlv.found * 2 < by_text.found => "text",
        _ => "auto",
    };
    let relation = if source == "text" { by_text } else { by_tlv };
    proposal.set("receipts", "id_source", source);
    proposal.set("receipts", "id", habit(relation));
    let forms = [
        ("response_id", written(exchanges.all.iter().map(|exchange| &exchange.id[..]))),
        ("receipt_id", written(receipts().map(|told| &told.text_id[..]))),
        ("receipt_tlv_id", written(receipts().map(|told| &told.tlv_id[..]))),
    ];
    for (key, form) in forms {
        if let Some(form) = form {
            proposal.set("simulate", key, form);
        }
    }
    let said = |form: Option<&'static str>| form.unwrap_or("none or of another form");
    proposal.note(format!(
        "ids: answers {}, texts {} ({in_text}), TLVs {} ({in_tlv})",
        said(forms[0].1),
        said(forms[1].1),
        said(forms[2].1)
    ));
    proposal.note(format!(
        "ids of texts find {} messages ({}), ids of TLVs {} ({})",
        by_text.found,
        habit(by_text),
        by_tlv.found,
        habit(by_tlv)
    ));
    let lost = exchanges.receipts.len().saturating_sub(by_text.found.max(by_tlv.found));
    if lost > 0 {
        proposal.note(format!("{lost} receipts belong to no submission in the recording"));
    }
}

/// The most frequent one, and how many there are of it.
fn most<T: Ord + Copy>(all: impl Iterator<Item = T>) -> Option<(T, usize)> {
    let mut counts = BTreeMap::new();
    all.for_each(|one| *counts.entry(one).or_insert(0) += 1);
    counts.into_iter().max_by_key(|(_, count)| *count)
}

/// The delivery at a place of the recording.
fn sm_at(recording: &[Taken], place: usize) -> Option<Sm<'_>> {
    let (_, pdu) = decode(&recording.get(place)?.pdu, &LIMITS).ok()?;
    delivered(&pdu)
}

fn grammar(recording: &[Taken], exchanges: &Exchanges, proposal: &mut Proposal) {
    let receipts = || exchanges.receipts.iter().map(|(place, told)| (sm_at(recording, *place).unwrap_or_default(), told));
    let count = |is: fn(&Sm<'_>, &Told) -> bool| receipts().filter(|(sm, told)| is(sm, told)).count();
    let (all, texts) = (exchanges.receipts.len(), count(|_, told| !told.text_id.is_empty()));
    if all == 0 {
        return proposal.note("no receipts: their habits are the standard's".to_owned());
    }
    let mostly = |part: usize, of: usize| part * 2 > of;
    proposal.set("simulate", "receipt_text", mostly(texts, all));
    proposal.set("simulate", "receipt_tlvs", mostly(count(|_, told| !told.tlv_id.is_empty()), all));
    if texts > 0 {
        proposal.set("simulate", "receipt_sub_dlvrd", mostly(count(|_, told| told.counts), texts));
        proposal.set("simulate", "receipt_quote", mostly(count(|_, told| told.quotes), texts));
    }
    if count(|_, told| told.packed) > 0 {
        proposal.set("alphabets", "default", "gsm7_packed");
        proposal.note("receipts are packed, eight septets in seven octets".to_owned());
    }
    let classes = [(0u8, "an ordinary message"), (4, "a receipt"), (0x20, "an intermediate notification")];
    if let Some((class, _)) = most(receipts().map(|(sm, _)| sm.esm_class & 0x3C)) {
        proposal.set("simulate", "receipt_esm_class", i64::from(if class == 0 { 0 } else { 4 }));
        let said = classes.iter().find(|(known, _)| *known == class).map_or("of another class", |(_, said)| said);
        proposal.note(format!("a receipt's esm_class says {said}"));
    }
    if let Some((coding, _)) = most(receipts().map(|(sm, _)| sm.data_coding)) {
        proposal.set("simulate", "receipt_data_coding", i64::from(if coding == 8 { 8 } else { 0 }));
    }
    let digits = receipts().filter_map(|(sm, told)| date_digits(&sm, told));
    if let Some((digits, _)) = most(digits).filter(|(digits, _)| matches!(digits, 10 | 12 | 14)) {
        proposal.set("simulate", "receipt_date_digits", i64::from(digits));
    }
    wording(recording, exchanges, proposal);
    one_per_message(recording, exchanges, proposal);
}

/// The octets of a delivery's text, one a character, in lower case.
fn narrow(sm: &Sm<'_>) -> Vec<u8> {
    let body = sm.body();
    body.iter().copied().filter(|&octet| octet != 0).map(|octet| octet.to_ascii_lowercase()).collect()
}

/// Nothing better follows, mostly.
fn is_end(state: ReceiptState) -> bool {
    !matches!(state, ReceiptState::Accepted | ReceiptState::Enroute | ReceiptState::Scheduled)
}

/// How fields are put, words for states, codes of errors, and the way that receipts come.
fn wording(recording: &[Taken], exchanges: &Exchanges, proposal: &mut Proposal) {
    let receipts: Vec<(&Taken, Sm<'_>, &Told)> =
        exchanges.receipts.iter().map(|(place, told)| (&recording[*place], sm_at(recording, *place).unwrap_or_default(), told)).collect();
    let mostly = |is: &dyn Fn(&(&Taken, Sm<'_>, &Told)) -> bool| receipts.iter().filter(|one| is(one)).count() * 2 > receipts.len();
    let by_data = mostly(&|(taken, _, _)| word(&taken.pdu, 1) == command::DATA_SM);
    proposal.set("simulate", "receipt_data_sm", by_data);
    proposal.set("simulate", "receipt_payload", !by_data && mostly(&|(_, sm, _)| sm.tlvs.first(tag::MESSAGE_PAYLOAD).is_some()));
    let at = |text: &[u8], label: &[u8]| text.windows(label.len()).position(|place| place == label);
    let joined = mostly(&|(_, sm, _)| at(&narrow(sm), b"submit_date").is_some());
    let turned = mostly(&|(_, sm, _)| {
        let text = narrow(sm);
        at(&text, b"stat").zip(at(&text, b"id")).is_some_and(|(stat, id)| stat < id)
    });
    proposal.set(
        "simulate",
        "receipt_grammar",
        if joined {
            "joined"
        } else if turned {
            "reordered"
        } else {
            "standard"
        },
    );
    let says = |is: &dyn Fn(&[u8]) -> bool| receipts.iter().any(|(_, _, told)| is(&told.stat));
    let codes = says(&|stat| stat.len() == 7 && stat[2] == b':');
    let words = if codes {
        "codes"
    } else if says(&|stat| stat.eq_ignore_ascii_case(b"delivered")) {
        "long"
    } else {
        "standard"
    };
    proposal.set("simulate", "receipt_words", words);
    let error = |delivered: bool, standard: &str| {
        let of = receipts.iter().filter(|(_, _, told)| !told.error.is_empty() && is_end(told.state));
        let of = of.filter(|(_, _, told)| (told.state == ReceiptState::Delivered) == delivered);
        let (error, _) = most(of.map(|(_, _, told)| &told.error[..]))?;
        Some(Value::from(String::from_utf8_lossy(error).chars().take(8).collect::<String>()))
            .filter(|error| error.as_str() != Some(standard))
    };
    let (good, bad) = (error(true, "000"), error(false, "001"));
    if good.is_some() || bad.is_some() {
        let errors = [good.unwrap_or_else(|| "000".into()), bad.unwrap_or_else(|| "001".into())];
        proposal.set("simulate", "receipt_errors", Value::Array(errors.to_vec()));
    }
    let phones: HashMap<usize, usize> =
        exchanges.all.iter().flat_map(|exchange| exchange.receipts.iter().map(|receipt| (*receipt, exchange.submit))).collect();
    let matched = exchanges.receipts.iter().filter_map(|(place, _)| {
        let Ok((_, Pdu::SubmitSm(submit))) = decode(&recording[*phones.get(place)?].pdu, &LIMITS) else { return None };
        Some(sm_at(recording, *place)?.source.addr == submit.source.addr)
    });
    if let Some((same, _)) = most(matched) {
        proposal.set("simulate", "receipt_swapped", !same);
    }
}

/// Digits of a receipt's done date.
fn date_digits(sm: &Sm<'_>, told: &Told) -> Option<u8> {
    told.done?;
    let text = narrow(sm);
    let at = text.windows(5).rposition(|place| place == b"date:" || place == b"date=")? + 5;
    let digits = text[at..].iter().skip_while(|&&octet| octet == b' ').take_while(|octet| octet.is_ascii_digit()).count();
    u8::try_from(digits).ok()
}

/// Reference and number of parts of a submission that is a part of a long message.
fn part(sm: &Sm<'_>) -> Option<(u16, u8)> {
    if sm.esm_class & 0x40 != 0 {
        let part = udh::parse(sm.short_message).ok()?.concatenation()?;
        return (part.total > 1).then_some((part.reference, part.total));
    }
    let total = sm.tlvs.u8(tag::SAR_TOTAL_SEGMENTS).filter(|&total| total > 1)?;
    Some((sm.tlvs.u16(tag::SAR_MSG_REF_NUM)?, total))
}

fn submit_at<'a>(recording: &'a [Taken], exchange: &Exchange) -> Option<Pdu<'a>> {
    decode(&recording.get(exchange.submit)?.pdu, &LIMITS).ok().map(|(_, pdu)| pdu)
}

fn one_per_message(recording: &[Taken], exchanges: &Exchanges, proposal: &mut Proposal) {
    let mut long: HashMap<(Vec<u8>, u16), (usize, usize, usize)> = HashMap::new();
    for exchange in exchanges.all.iter().filter(|exchange| exchange.answer.is_some() && exchange.status == 0) {
        let Some(Pdu::SubmitSm(sm)) = submit_at(recording, exchange) else { continue };
        if let Some((reference, total)) = part(&sm) {
            let of = long.entry((sm.destination.addr.to_vec(), reference)).or_default();
            *of = (of.0 + 1, usize::from(total), of.2 + exchange.receipts.len());
        }
    }
    let whole: Vec<usize> = long.values().filter(|(parts, total, _)| parts >= total).map(|(_, _, receipts)| *receipts).collect();
    let reported: Vec<usize> = whole.into_iter().filter(|&receipts| receipts > 0).collect();
    if !reported.is_empty() {
        let once = reported.iter().filter(|&&receipts| receipts == 1).count();
        proposal.set("receipts", "one_per_message", once * 2 > reported.len());
        proposal.note(format!("of {} long messages with receipts {once} have a single one", reported.len()));
    }
}

/// What ACCEPTD and UNKNOWN mean: an end, if nothing ever follows them.
fn meanings(exchanges: &Exchanges, proposal: &mut Proposal) {
    let states: HashMap<usize, ReceiptState> = exchanges.receipts.iter().map(|(place, told)| (*place, told.state)).collect();
    for (state, key) in [(ReceiptState::Accepted, "accepted_is_final"), (ReceiptState::Unknown, "unknown_is_final")] {
        let of = |exchange: &Exchange| -> Vec<ReceiptState> { exchange.receipts.iter().filter_map(|at| states.get(at).copied()).collect() };
        let with: Vec<Vec<ReceiptState>> = exchanges.all.iter().map(of).filter(|states| states.contains(&state)).collect();
        let last = with.iter().filter(|states| states.last() == Some(&state)).count();
        if with.len() >= PAIRS_MIN {
            proposal.set("receipts", key, last == with.len());
            proposal.note(format!("{} was the last word on {last} of {} messages that it was said of", state.stat(), with.len()));
        }
    }
    let told = most(exchanges.receipts.iter().map(|(_, told)| told.state as u8)).is_some();
    let counts = |state: ReceiptState| exchanges.receipts.iter().filter(|(_, told)| told.state == state).count();
    if told {
        let said: Vec<String> = ReceiptState::ALL
            .into_iter()
            .filter(|&state| counts(state) > 0)
            .map(|state| format!("{} {}", state.stat(), counts(state)))
            .collect();
        proposal.note(format!("states: {}", said.join(", ")));
    }
    let mut errors: BTreeMap<String, usize> = BTreeMap::new();
    for (_, told) in exchanges.receipts.iter().filter(|(_, told)| !told.error.is_empty()) {
        *errors.entry(String::from_utf8_lossy(&told.error).into_owned()).or_default() += 1;
    }
    if !errors.is_empty() {
        let said: Vec<String> = errors.iter().take(20).map(|(error, count)| format!("{error} ({count})")).collect();
        proposal.note(format!("error codes in receipts: {}", said.join(", ")));
    }
}

/// A receipt can't come before what it tells of: the greatest lead of a done date over its coming is the zone, to a quarter of an hour.
fn zone(recording: &[Taken], exchanges: &Exchanges, proposal: &mut Proposal) {
    let dated = exchanges.receipts.iter().filter_map(|(place, told)| Some((*place, told.done.filter(|done| !done.utc)?)));
    let lead = dated.map(|(place, done)| done.seconds - (recording[place].at_us / 1_000_000) as i64).max();
    let Some(minutes) = lead.map(|lead| ((lead as f64 / 900.0).round() * 15.0) as i64).filter(|minutes| minutes.abs() <= 14 * 60) else {
        return;
    };
    let sign = if minutes < 0 { '-' } else { '+' };
    let zone = if minutes == 0 { "UTC".to_owned() } else { format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60) };
    proposal.note(format!("dates are on a clock at {zone}, if receipts came soon after what they tell of"));
    proposal.set("receipts", "zone", zone);
}

/// What our own submissions looked like, as far as it was taken.
fn submissions(recording: &[Taken], exchanges: &Exchanges, proposal: &mut Proposal) {
    let taken: Vec<Sm<'_>> = exchanges
        .all
        .iter()
        .filter(|exchange| exchange.answer.is_some() && exchange.status == 0)
        .filter_map(|exchange| match submit_at(recording, exchange) {
            Some(Pdu::SubmitSm(sm)) => Some(sm),
            _ => None,
        })
        .collect();
    let long = taken.iter().filter_map(|sm| match (sm.esm_class & 0x40 != 0, sm.tlvs.first(tag::MESSAGE_PAYLOAD)) {
        (true, _) => Some(if udh::parse(sm.short_message).ok()?.header_part()?.wide { "udh16" } else { "udh8" }),
        (false, Some(_)) => Some("payload"),
        (false, None) => sm.tlvs.u8(tag::SAR_TOTAL_SEGMENTS).map(|_| "sar"),
    });
    if let Some((way, _)) = most(long) {
        proposal.set("shaping", "concatenation", way);
    }
    let validity = taken.iter().map(|sm| match sm.validity_period.last() {
        None => "none",
        Some(b'R') => "relative",
        Some(_) => "absolute",
    });
    if let Some((validity, _)) = most(validity) {
        proposal.set("shaping", "validity", validity);
    }
    let form = taken.iter().map(|sm| match sm.destination.addr {
        [b'+', ..] => "plus",
        [b'0', b'0', ..] => "zeros",
        _ => "digits",
    });
    if let Some((form, _)) = most(form).filter(|(form, _)| *form != "digits") {
        proposal.set("shaping", "destination", Table::from_iter([("form".to_owned(), Value::from(form))]));
    }
    let mut codings: BTreeMap<u8, usize> = BTreeMap::new();
    taken.iter().for_each(|sm| *codings.entry(sm.data_coding).or_default() += 1);
    let said: Vec<String> = codings.iter().map(|(coding, count)| format!("{coding:#04x} ({count})")).collect();
    proposal.note(format!("data_codings that it took: {}; what they mean there shows only on a phone", said.join(", ")));
    match (codings.contains_key(&1), codings.contains_key(&3)) {
        // Text with a data_coding of its own for GSM-7: then 0 is something else, mostly Latin-1.
        (true, _) => {
            proposal.set("alphabets", "gsm7", 1);
            proposal.set("alphabets", "default", "latin1");
            proposal.set("alphabets", "latin1", 0);
            proposal.set("alphabets", "use_latin1", codings.contains_key(&0));
        }
        (false, true) => proposal.set("alphabets", "use_latin1", true),
        (false, false) => {}
    }
}

fn errors(exchanges: &Exchanges, proposal: &mut Proposal) {
    let answered = exchanges.all.iter().filter(|exchange| exchange.answer.is_some()).count();
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    exchanges.all.iter().filter(|exchange| exchange.status != 0).for_each(|exchange| *counts.entry(exchange.status).or_default() += 1);
    let mut refusals = Vec::new();
    for (&code, &count) in &counts {
        let class = match default_error_class(code) {
            ErrorClass::Later => "try again here later",
            ErrorClass::Throttle => "slow the whole carrier",
            ErrorClass::Elsewhere => "only another carrier may take it",
            ErrorClass::Never => "final",
        };
        let name = status::name(code).unwrap_or("a code of its own");
        proposal.note(format!("status {code:#x} ({name}): {count} times; taken as '{class}' unless [errors] says otherwise"));
        if default_error_class(code) != ErrorClass::Throttle {
            let share = (count as f64 / answered as f64 * 1000.0).round() / 1000.0;
            let refusal = [("status".to_owned(), Value::from(i64::from(code))), ("share".to_owned(), Value::from(share))];
            refusals.push(Value::Table(Table::from_iter(refusal)));
        }
    }
    if !refusals.is_empty() {
        proposal.set("simulate", "refusals", refusals);
    }
}

fn sessions(recording: &[Taken], proposal: &mut Proposal) {
    let answers = |command: u32| {
        let is = move |taken: &&Taken| !taken.to_server && word(&taken.pdu, 1) == command;
        let all: Vec<&Taken> = recording.iter().filter(is).collect();
        (all.iter().filter(|taken| word(&taken.pdu, 2) == 0).count(), all)
    };
    let (trx, trx_answers) = answers(command::BIND_TRANSCEIVER_RESP);
    let (tx, tx_answers) = answers(command::BIND_TRANSMITTER_RESP);
    if trx == 0 && tx > 0 {
        proposal.set("simulate", "bind", "tx+rx");
        proposal.note("binds are transmitters and receivers: set bind = \"tx+rx\" of the carrier too".to_owned());
    }
    let version = trx_answers.into_iter().chain(tx_answers).find_map(|taken| match decode(&taken.pdu, &LIMITS) {
        Ok((_, Pdu::BindTransceiverResp(Some(body)) | Pdu::BindTransmitterResp(Some(body)))) => body.tlvs.u8(tag::SC_INTERFACE_VERSION),
        _ => None,
    });
    if let Some(version) = version.filter(|version| [0x33, 0x34, 0x50].contains(version)) {
        proposal.set("simulate", "interface_version", i64::from(version));
    }
}

/// Shares and delays, for the simulated carrier.
fn times(recording: &[Taken], exchanges: &Exchanges, proposal: &mut Proposal) {
    let answered: Vec<&Exchange> = exchanges.all.iter().filter(|exchange| exchange.answer.is_some() && exchange.status == 0).collect();
    let ms = |from: usize, to: usize| recording[to].at_us.saturating_sub(recording[from].at_us) / 1000;
    let spread = |all: Vec<u64>| {
        let (least, most) = (all.iter().min().copied()?, all.iter().max().copied()?);
        Some(Value::Array(vec![Value::from(least as i64), Value::from(most.min(86_400_000) as i64)]))
    };
    let share = |part: usize, of: usize| (part as f64 / of.max(1) as f64 * 1000.0).round() / 1000.0;
    if let Some(delay) = spread(answered.iter().filter_map(|exchange| Some(ms(exchange.submit, exchange.answer?).min(600_000))).collect()) {
        proposal.set("simulate", "response_delay_ms", delay);
    }
    let reported: Vec<(usize, usize)> =
        answered.iter().filter_map(|exchange| Some((exchange.answer?, *exchange.receipts.first()?))).collect();
    if let Some(delay) = spread(reported.iter().map(|&(answer, receipt)| ms(answer, receipt)).collect()) {
        proposal.set("simulate", "receipt_delay_ms", delay);
    }
    let early = reported.iter().filter(|(answer, receipt)| receipt < answer).count();
    proposal.set("simulate", "early_receipt_share", share(early, reported.len()));
    let states: HashMap<usize, ReceiptState> = exchanges.receipts.iter().map(|(place, told)| (*place, told.state)).collect();
    let last = |exchange: &&&Exchange| exchange.receipts.iter().filter_map(|at| states.get(at)).rfind(|state| is_end(**state)).copied();
    let (delivered, ended) = answered
        .iter()
        .filter_map(|exchange| last(&exchange))
        .fold((0, 0), |(delivered, ended), state| (delivered + usize::from(state == ReceiptState::Delivered), ended + 1));
    if ended > 0 {
        proposal.set("simulate", "delivered_share", share(delivered, ended));
    }
    let accepted =
        |exchange: &&&Exchange| exchange.receipts.len() > 1 && states.get(&exchange.receipts[0]) == Some(&ReceiptState::Accepted);
    proposal.set("simulate", "accepted_first_share", share(answered.iter().filter(accepted).count(), reported.len()));
    let twice = |exchange: &&&Exchange| {
        let states: Vec<_> = exchange.receipts.iter().filter_map(|at| states.get(at)).collect();
        states.windows(2).any(|two| two[0] == two[1])
    };
    proposal.set("simulate", "duplicate_receipt_share", share(answered.iter().filter(twice).count(), reported.len()));
}
