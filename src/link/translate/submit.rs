//! Submissions of upstreams as messages: the checks of a submit_sm in the order that the specification's readers expect
//! (SMPP v3.4 sections 4.4, 4.5, 4.7).
//! Whether the account may send it, and where to, is left to the engine's intake.

use super::body;
use crate::config::Account;
use crate::engine::campaigns::NAME_MAX;
use crate::engine::port::CancelWhat;
use crate::model::{AccountId, Address, Message, MessageId, Now, Report};
use crate::smpp::pdu::{Addr, CancelSm, DataSm, Sm, SubmitMulti};
use crate::smpp::tlv::tag;
use crate::smpp::{Tlvs, check, status};
use arrayvec::ArrayVec;
use std::sync::Arc;

/// Longest service_type, octets.
const SERVICE_TYPE_MAX: usize = 5;
/// Highest priority_flag (v5.0; v3.4 ends at 3 and its peers send no more).
const PRIORITY_MAX: u8 = 4;

/// What turning a submission into a message depends on.
#[derive(Debug, Clone, Copy)]
pub struct Submitter<'a> {
    /// Who.
    pub id: AccountId,
    /// Its settings.
    pub account: &'a Account,
    /// The lower of its interface_version and ours: which statuses it knows.
    pub version: u8,
    /// The time of its coming, for relative times.
    pub now: Now,
}

/// The message of a submit_sm, or the status to refuse it with.
pub fn of_submit(sm: &Sm<'_>, by: &Submitter<'_>) -> Result<Arc<Message>, u32> {
    message(sm, recipient(sm.destination)?, by)
}

/// The message of a data_sm.
pub fn of_data(data: &DataSm<'_>, by: &Submitter<'_>) -> Result<Arc<Message>, u32> {
    let mut made = message(&data.as_sm(), recipient(data.destination)?, by)?;
    if let Some(seconds) = data.tlvs.u32(tag::QOS_TIME_TO_LIVE) {
        Arc::make_mut(&mut made).expires_ms = by.now.wall_ms + u64::from(seconds) * 1000;
    }
    Ok(made)
}

/// What the messages of a submit_multi share; [`to_destination`] makes one for each recipient.
pub fn of_multi(multi: &SubmitMulti<'_>, by: &Submitter<'_>) -> Result<Arc<Message>, u32> {
    message(&multi.sm, Address::default(), by)
}

/// A copy of `message` for one destination of a submit_multi.
pub fn to_destination(message: &Message, to: Addr<'_>) -> Result<Arc<Message>, u32> {
    Ok(Arc::new(Message { destination: recipient(to)?, ..message.clone() }))
}

fn recipient(addr: Addr<'_>) -> Result<Address, u32> {
    address(addr).filter(|to| !to.digits.is_empty()).ok_or(status::ESME_RINVDSTADR)
}

fn message(sm: &Sm<'_>, destination: Address, by: &Submitter<'_>) -> Result<Arc<Message>, u32> {
    let source = source(sm.source, by.account)?;
    let service_type = ArrayVec::<u8, SERVICE_TYPE_MAX>::try_from(sm.service_type).map_err(|_| status::ESME_RINVSERTYP)?;
    check_flags(sm)?;
    let (body, part) = body::submitted(sm, by)?;
    let (due_ms, expires_ms) = times(sm.schedule_delivery_time, sm.validity_period, by.now)?;
    Ok(Arc::new(Message {
        part,
        report: report(sm.registered_delivery),
        service_type,
        protocol_id: sm.protocol_id,
        priority: sm.priority_flag,
        accepted_ms: by.now.wall_ms,
        due_ms,
        expires_ms,
        tlvs: passed_tlvs(sm.tlvs, &by.account.allow_tlvs),
        ..Message::new(by.id, by.account.class, [source, destination], 0, body)
    }))
}

/// The campaign that a submission names, where its account does that by a TLV.
pub fn campaign(tlvs: Tlvs<'_>, account: &Account) -> Result<Option<Arc<str>>, u32> {
    let Some(value) = account.campaign_tlv.and_then(|tag| tlvs.first(tag)) else { return Ok(None) };
    let name = std::str::from_utf8(value.strip_suffix(b"\0").unwrap_or(value)).map_err(|_| status::ESME_RINVOPTPARAMVAL)?;
    match name.len() {
        0 => Ok(None),
        1..=NAME_MAX => Ok(Some(name.into())),
        _ => Err(status::ESME_RINVOPTPARAMVAL),
    }
}

/// An address, `None` if it is longer than any that we keep.
pub fn address(addr: Addr<'_>) -> Option<Address> {
    Address::new(addr.ton, addr.npi, addr.addr)
}

/// The sender: the account's own where the submission names none; one that the account may use.
fn source(addr: Addr<'_>, account: &Account) -> Result<Address, u32> {
    let mut source = address(addr).ok_or(status::ESME_RINVSRCADR)?;
    if source.digits.is_empty() && !account.default_source.is_empty() {
        source = Address::new(0, 0, account.default_source.as_bytes()).ok_or(status::ESME_RINVSRCADR)?;
    }
    if !account.allows_source(&source.digits) {
        return Err(status::ESME_RINVSRCADR);
    }
    Ok(source)
}

fn check_flags(sm: &Sm<'_>) -> Result<(), u32> {
    // Acknowledgements of a phone's user pass through no gateway that stores: only ordinary messages are taken (5.2.12).
    if sm.esm_class & 0x3C != 0 {
        return Err(status::ESME_RINVESMCLASS);
    }
    if sm.priority_flag > PRIORITY_MAX {
        return Err(status::ESME_RINVPRTFLG);
    }
    if sm.registered_delivery & 0xE0 != 0 {
        return Err(status::ESME_RINVREGDLVFLG);
    }
    if sm.replace_if_present_flag > 1 {
        return Err(status::ESME_RINVREPFLAG);
    }
    if sm.sm_default_msg_id != 0 {
        return Err(status::ESME_RINVDFTMSGID);
    }
    Ok(())
}

/// Which reports registered_delivery asks for (5.2.17). Acknowledgements by the phone's user are not served.
pub fn report(registered_delivery: u8) -> Report {
    let wanted = registered_delivery & 0x03;
    Report { on_success: matches!(wanted, 1 | 3), on_failure: matches!(wanted, 1 | 2), intermediate: registered_delivery & 0x10 != 0 }
}

/// Schedule and end of validity in wall milliseconds, 0 where the submission leaves them open (see [`check::times`]).
pub fn times(schedule: &[u8], validity: &[u8], now: Now) -> Result<(u64, u64), u32> {
    let (due_ms, expires_ms) = check::times(schedule, validity, now)?;
    Ok((due_ms.unwrap_or(0), expires_ms.unwrap_or(0)))
}

/// The TLVs of `tlvs` that are passed on, as they stood.
pub fn passed_tlvs(tlvs: Tlvs<'_>, allowed: &[u16]) -> Box<[u8]> {
    if allowed.is_empty() || tlvs.is_empty() {
        return Box::default();
    }
    let mut out = Vec::new();
    for tlv in tlvs.iter().filter(|tlv| allowed.contains(&tlv.tag)) {
        out.extend_from_slice(&tlv.tag.to_be_bytes());
        out.extend_from_slice(&(tlv.value.len() as u16).to_be_bytes());
        out.extend_from_slice(tlv.value);
    }
    out.into_boxed_slice()
}

/// What a cancel_sm means: one message by its id, or all from source to destination (4.9).
pub fn cancel_what(cancel: &CancelSm<'_>, id: Option<MessageId>) -> Result<CancelWhat, u32> {
    let source = address(cancel.source).ok_or(status::ESME_RINVSRCADR)?;
    if !cancel.message_id.is_empty() {
        let message = id.ok_or(status::ESME_RINVMSGID)?;
        return Ok(CancelWhat::One { message, source });
    }
    let destination = recipient(cancel.destination)?;
    let service_type = ArrayVec::try_from(cancel.service_type).map_err(|_| status::ESME_RINVSERTYP)?;
    Ok(CancelWhat::All { source, destination, service_type })
}
