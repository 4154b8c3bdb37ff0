//! Octets to PDUs: nom parsers over borrowed bytes, no copy and no allocation. A body that is bad says which field, and with which
//! status it is to be answered; answering is for `session`.

use nom::{Err, IResult, Parser, bytes::complete::take, number::complete::be_u32};

use super::pdu::*;
use super::tlv::{TlvError, Tlvs};
use super::{command, frame, status};

/// What peers are allowed beyond the text of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Characters of a system_id, NUL not counted (15 by the specification).
    pub system_id: usize,
    /// Characters of a password, NUL not counted (8 by the specification).
    pub password: usize,
    /// Take known TLVs of a wrong length rather than refuse the PDU with 0xC2; the typed getters do not find them. For carriers, whose
    /// receipt is worth more than its tidiness.
    pub any_tlv_length: bool,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        DecodeLimits { system_id: 15, password: 8, any_tlv_length: false }
    }
}

/// What is wrong with a PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The frame has fewer octets than a header, or not as many as it says.
    Frame,
    /// `command_id` is unknown.
    Command,
    /// The body ends inside a field.
    Truncated,
    /// A C-octet string has no NUL before the end.
    Unterminated,
    /// A C-octet string is longer than the specification allows.
    TooLong,
    /// A count or a flag that cannot be.
    Value,
    /// The TLV section is malformed, or a known TLV has a wrong length.
    Tlv,
}

/// A PDU that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("command {:#010x}: {fault:?} at {field}", header.command_id)]
pub struct DecodeError {
    /// The header as far as it was there; zeros elsewhere.
    pub header: Header,
    /// Name of the field as in the specification.
    pub field: &'static str,
    /// The status that a request so broken is answered with.
    pub status: u32,
    /// What is wrong.
    pub fault: Fault,
}

/// What a field parser says; becomes a [`DecodeError`] once the header is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FieldError {
    field: &'static str,
    status: u32,
    fault: Fault,
}

impl FieldError {
    const fn new(field: &'static str, status: u32, fault: Fault) -> Self {
        FieldError { field, status, fault }
    }
}

impl<'a> nom::error::ParseError<&'a [u8]> for FieldError {
    fn from_error_kind(_: &'a [u8], _: nom::error::ErrorKind) -> Self {
        FieldError::new("body", status::ESME_RINVCMDLEN, Fault::Truncated)
    }

    fn append(_: &'a [u8], _: nom::error::ErrorKind, other: Self) -> Self {
        other
    }
}

type Parsed<'a, T> = IResult<&'a [u8], T, FieldError>;

fn fail<T>(field: &'static str, status: u32, fault: Fault) -> Result<T, Err<FieldError>> {
    Err(Err::Failure(FieldError::new(field, status, fault)))
}

/// Octets of the longest strings, NUL not counted.
mod max {
    pub const SERVICE_TYPE: usize = 5;
    pub const SYSTEM_TYPE: usize = 12;
    pub const ADDRESS_RANGE: usize = 40;
    pub const ADDR: usize = 20;
    pub const LONG_ADDR: usize = 64;
    pub const TIME: usize = 16;
    pub const MESSAGE_ID: usize = 64;
    /// Responses: an id over the limit is still the only name of an accepted message, so it is let through.
    pub const RESP_MESSAGE_ID: usize = 255;
}

/// The whole of `frame` as a PDU. `frame` must be exactly one PDU, as [`frame::next`] cuts it.
pub fn decode<'a>(frame: &'a [u8], limits: &DecodeLimits) -> Result<(Header, Pdu<'a>), DecodeError> {
    let (header, body) = header(frame)?;
    match body_of(header.command_id, body, limits) {
        Ok(pdu) => Ok((header, pdu)),
        Err(Err::Error(error) | Err::Failure(error)) => {
            Err(DecodeError { header, field: error.field, status: error.status, fault: error.fault })
        }
        // Complete parsers never ask for more.
        Err(Err::Incomplete(_)) => Err(DecodeError { header, field: "body", status: status::ESME_RINVCMDLEN, fault: Fault::Truncated }),
    }
}

/// The header of `frame` and what follows it.
pub fn header(frame: &[u8]) -> Result<(Header, &[u8]), DecodeError> {
    let parsed: Parsed<'_, _> = (be_u32, be_u32, be_u32, be_u32).parse(frame);
    let short = |header| DecodeError { header, field: "command_length", status: status::ESME_RINVCMDLEN, fault: Fault::Frame };
    let Ok((body, (length, command_id, status, sequence))) = parsed else {
        return Err(short(Header::default()));
    };
    let header = Header { length, command_id, status, sequence };
    if length as usize == frame.len() && frame.len() >= frame::HEADER_LEN { Ok((header, body)) } else { Err(short(header)) }
}

fn body_of<'a>(command_id: u32, body: &'a [u8], limits: &DecodeLimits) -> Result<Pdu<'a>, Err<FieldError>> {
    Ok(match command_id {
        command::SUBMIT_SM => Pdu::SubmitSm(sm(body, limits)?),
        command::SUBMIT_SM_RESP => Pdu::SubmitSmResp(optional(body, limits, message_id_resp)?),
        command::DELIVER_SM => Pdu::DeliverSm(sm(body, limits)?),
        command::DELIVER_SM_RESP => Pdu::DeliverSmResp(optional(body, limits, message_id_resp)?),
        command::ENQUIRE_LINK => Pdu::EnquireLink,
        command::ENQUIRE_LINK_RESP => Pdu::EnquireLinkResp,
        command::BIND_RECEIVER => Pdu::BindReceiver(bind(body, limits)?),
        command::BIND_RECEIVER_RESP => Pdu::BindReceiverResp(optional(body, limits, bind_resp)?),
        command::BIND_TRANSMITTER => Pdu::BindTransmitter(bind(body, limits)?),
        command::BIND_TRANSMITTER_RESP => Pdu::BindTransmitterResp(optional(body, limits, bind_resp)?),
        command::BIND_TRANSCEIVER => Pdu::BindTransceiver(bind(body, limits)?),
        command::BIND_TRANSCEIVER_RESP => Pdu::BindTransceiverResp(optional(body, limits, bind_resp)?),
        command::OUTBIND => Pdu::Outbind(outbind(body, limits)?),
        command::UNBIND => Pdu::Unbind,
        command::UNBIND_RESP => Pdu::UnbindResp,
        command::GENERIC_NACK => Pdu::GenericNack,
        command::SUBMIT_MULTI => Pdu::SubmitMulti(submit_multi(body, limits)?),
        command::SUBMIT_MULTI_RESP => Pdu::SubmitMultiResp(optional(body, limits, submit_multi_resp)?),
        command::DATA_SM => Pdu::DataSm(data_sm(body, limits)?),
        command::DATA_SM_RESP => Pdu::DataSmResp(optional(body, limits, message_id_resp)?),
        command::QUERY_SM => Pdu::QuerySm(query_sm(body)?),
        command::QUERY_SM_RESP => Pdu::QuerySmResp(optional(body, limits, query_sm_resp)?),
        command::CANCEL_SM => Pdu::CancelSm(cancel_sm(body)?),
        command::CANCEL_SM_RESP => Pdu::CancelSmResp,
        command::REPLACE_SM => Pdu::ReplaceSm(replace_sm(body, limits)?),
        command::REPLACE_SM_RESP => Pdu::ReplaceSmResp,
        command::ALERT_NOTIFICATION => Pdu::AlertNotification(alert_notification(body, limits)?),
        command::BROADCAST_SM => Pdu::BroadcastSm(broadcast_sm(body, limits)?),
        command::BROADCAST_SM_RESP => Pdu::BroadcastSmResp(optional(body, limits, message_id_resp)?),
        command::QUERY_BROADCAST_SM => Pdu::QueryBroadcastSm(query_broadcast_sm(body, limits)?),
        command::QUERY_BROADCAST_SM_RESP => Pdu::QueryBroadcastSmResp(optional(body, limits, message_id_resp)?),
        command::CANCEL_BROADCAST_SM => Pdu::CancelBroadcastSm(cancel_broadcast_sm(body, limits)?),
        command::CANCEL_BROADCAST_SM_RESP => Pdu::CancelBroadcastSmResp,
        _ => return fail("command_id", status::ESME_RINVCMDID, Fault::Command),
    })
}

type Body<T> = Result<T, Err<FieldError>>;

fn optional<'a, T>(body: &'a [u8], limits: &DecodeLimits, parse: impl FnOnce(&'a [u8], &DecodeLimits) -> Body<T>) -> Body<Option<T>> {
    if body.is_empty() { Ok(None) } else { parse(body, limits).map(Some) }
}

/// A C-octet string of at most `max` characters; `too_long` is the status for a longer one.
#[inline]
fn c_octet<'a>(input: &'a [u8], field: &'static str, max: usize, too_long: u32) -> Parsed<'a, &'a [u8]> {
    // Strings are short and most are empty: a plain scan beats a vectorised one here.
    let window = &input[..input.len().min(max + 1)];
    match window.iter().position(|&octet| octet == 0) {
        Some(end) => Ok((&input[end + 1..], &input[..end])),
        None if input.len() > max => fail(field, too_long, Fault::TooLong),
        None => fail(field, status::ESME_RINVCMDLEN, if input.is_empty() { Fault::Truncated } else { Fault::Unterminated }),
    }
}

/// `N` one-octet integers that stand side by side; `field` names the first.
#[inline]
fn octets<'a, const N: usize>(input: &'a [u8], field: &'static str) -> Parsed<'a, [u8; N]> {
    match input.split_first_chunk::<N>() {
        Some((chunk, rest)) => Ok((rest, *chunk)),
        None => fail(field, status::ESME_RINVCMDLEN, Fault::Truncated),
    }
}

#[inline]
fn address<'a>(input: &'a [u8], field: &'static str, max: usize, too_long: u32) -> Parsed<'a, Addr<'a>> {
    let (input, [ton, npi]) = octets(input, field)?;
    let (input, addr) = c_octet(input, field, max, too_long)?;
    Ok((input, Addr { ton, npi, addr }))
}

#[inline]
fn source(input: &[u8]) -> Parsed<'_, Addr<'_>> {
    address(input, "source_addr", max::ADDR, status::ESME_RINVSRCADR)
}

#[inline]
fn service_type(input: &[u8]) -> Parsed<'_, &[u8]> {
    c_octet(input, "service_type", max::SERVICE_TYPE, status::ESME_RINVSERTYP)
}

#[inline]
fn schedule(input: &[u8]) -> Parsed<'_, &[u8]> {
    c_octet(input, "schedule_delivery_time", max::TIME, status::ESME_RINVSCHED)
}

#[inline]
fn validity(input: &[u8]) -> Parsed<'_, &[u8]> {
    c_octet(input, "validity_period", max::TIME, status::ESME_RINVEXPIRY)
}

#[inline]
fn message_id(input: &[u8]) -> Parsed<'_, &[u8]> {
    c_octet(input, "message_id", max::MESSAGE_ID, status::ESME_RINVMSGID)
}

#[inline]
fn short_message(input: &[u8], length: u8) -> Parsed<'_, &[u8]> {
    match take::<_, _, FieldError>(usize::from(length)).parse_complete(input) {
        Ok(parsed) => Ok(parsed),
        Err(_) => fail("short_message", status::ESME_RINVMSGLEN, Fault::Truncated),
    }
}

#[inline]
fn tlvs<'a>(input: &'a [u8], limits: &DecodeLimits) -> Body<Tlvs<'a>> {
    // Most PDUs have none.
    if input.is_empty() {
        return Ok(Tlvs::EMPTY);
    }
    let checked = if limits.any_tlv_length { Tlvs::from_raw_any_length(input) } else { Tlvs::from_raw(input) };
    match checked {
        Ok(tlvs) => Ok(tlvs),
        Err(TlvError::Malformed) => fail("tlv", status::ESME_RINVOPTPARSTREAM, Fault::Tlv),
        Err(TlvError::Length { tag, .. }) => {
            let field = super::tlv::tag::rule(tag).map_or("tlv", |rule| rule.name);
            fail(field, status::ESME_RINVPARLEN, Fault::Tlv)
        }
    }
}

fn bind<'a>(input: &'a [u8], limits: &DecodeLimits) -> Body<Bind<'a>> {
    let (input, system_id) = c_octet(input, "system_id", limits.system_id, status::ESME_RINVSYSID)?;
    let (input, password) = c_octet(input, "password", limits.password, status::ESME_RINVPASWD)?;
    let (input, system_type) = c_octet(input, "system_type", max::SYSTEM_TYPE, status::ESME_RINVSYSTYP)?;
    let (input, [interface_version, addr_ton, addr_npi]) = octets(input, "interface_version")?;
    let (_, address_range) = c_octet(input, "address_range", max::ADDRESS_RANGE, status::ESME_RBINDFAIL)?;
    Ok(Bind { system_id, password, system_type, interface_version, addr_ton, addr_npi, address_range })
}

fn outbind<'a>(input: &'a [u8], limits: &DecodeLimits) -> Body<Outbind<'a>> {
    let (input, system_id) = c_octet(input, "system_id", limits.system_id, status::ESME_RINVSYSID)?;
    let (_, password) = c_octet(input, "password", limits.password, status::ESME_RINVPASWD)?;
    Ok(Outbind { system_id, password })
}

fn bind_resp<'a>(input: &'a [u8], limits: &DecodeLimits) -> Body<BindResp<'a>> {
    let (input, system_id) = c_octet(input, "system_id", max::RESP_MESSAGE_ID, status::ESME_RINVSYSID)?;
    Ok(BindResp { system_id, tlvs: tlvs(input, limits)? })
}

fn sm<'a>(input: &'a [u8], limits: &DecodeLimits) -> Body<Sm<'a>> {
    let (input, service_type) = service_type(input)?;
    let (input, source) = source(input)?;
    let (input, destination) = address(input, "destination_addr", max::ADDR, status::ESME_RINVDSTADR)?;
    sm_rest(input, limits, service_type, source, destination)
}

/// From `esm_class` to the end, which submit_sm, deliver_sm and submit_multi share.
#[inline]
fn sm_rest<'a>(input: &'a [u8], limits: &DecodeLimits, service_type: &'a [u8], source: Addr<'a>, destination: Addr<'a>) -> Body<Sm<'a>> {
    let (input, [esm_class, protocol_id, priority_flag]) = octets(input, "esm_class")?;
    let (input, schedule_delivery_time) = schedule(input)?;
    let (input, validity_period) = validity(input)?;
    let (input, [registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id, sm_length]) =
        octets(input, "registered_delivery")?;
    let (input, short_message) = short_message(input, sm_length)?;
    let tlvs = tlvs(input, limits)?;
    Ok(Sm {
        service_type,
        source,
        destination,
        esm_class,
        protocol_id,
        priority_flag,
        schedule_delivery_time,
        validity_period,
        registered_delivery,
        replace_if_present_flag,
        data_coding,
        sm_default_msg_id,
        short_message,
        tlvs,
    })
}

fn message_id_resp<'a>(input: &'a [u8], limits: &DecodeLimits) -> Body<MessageIdResp<'a>> {
    let (input, message_id) = c_octet(input, "message_id", max::RESP_MESSAGE_ID, status::ESME_RINVMSGID)?;
    Ok(MessageIdResp { message_id, tlvs: tlvs(input, limits)? })
}

pub(super) fn destination(input: &[u8]) -> Parsed<'_, Destination<'_>> {
    let (input, [flag]) = octets(input, "dest_flag")?;
    match flag {
        1 => {
            let (input, addr) = address(input, "destination_addr", max::ADDR, status::ESME_RINVDSTADR)?;
            Ok((input, Destination::Sme(addr)))
        }
        2 => {
            let (input, name) = c_octet(input, "dl_name", max::ADDR, status::ESME_RINVDLNAME)?;
            Ok((input, Destination::List(name)))
        }
        _ => fail("dest_flag", status::ESME_RINVDESTFLAG, Fault::Value),
    }
}

fn submit_multi<'a>(input: &'a [u8], limits: &DecodeLimits) -> Body<SubmitMulti<'a>> {
    let (input, service_type) = service_type(input)?;
    let (input, source) = source(input)?;
    let (list, [count]) = octets(input, "number_of_dests")?;
    if count == 0 {
        return fail("number_of_dests", status::ESME_RINVNUMDESTS, Fault::Value);
    }
    let mut rest = list;
    for _ in 0..count {
        (rest, _) = destination(rest)?;
    }
    let dests = Destinations { raw: &list[..list.len() - rest.len()], count };
    Ok(SubmitMulti { sm: sm_rest(rest, limits, service_type, source, Addr::default())?, dests })
}

pub(super) fn unsuccess(input: &[u8]) -> Parsed<'_, Unsuccess<'_>> {
    let (input, destination) = address(input, "destination_addr", max::ADDR, status::ESME_RINVDSTADR)?;
    let (input, code) = octets(input, "error_status_code")?;
    Ok((input, Unsuccess { destination, status: u32::from_be_bytes(code) }))
}

fn submit_multi_resp<'a>(input: &'a [u8], limits: &DecodeLimits) -> Body<SubmitMultiResp<'a>> {
    let (input, message_id) = c_octet(input, "message_id", max::RESP_MESSAGE_ID, status::ESME_RINVMSGID)?;
    let (list, [count]) = octets(input, "no_unsuccess")?;
    let mut rest = list;
    for _ in 0..count {
        (rest, _) = unsuccess(rest)?;
    }
    let unsuccess = Unsuccesses { raw: &list[..list.len() - rest.len()], count };
    Ok(SubmitMultiResp { message_id, unsuccess, tlvs: tlvs(rest, limits)? })
}

fn data_sm<'a>(input: &'a [u8], limits: &DecodeLimits) -> Body<DataSm<'a>> {
    let (input, service_type) = service_type(input)?;
    let (input, source) = address(input, "source_addr", max::LONG_ADDR, status::ESME_RINVSRCADR)?;
    let (input, destination) = address(input, "destination_addr", max::LONG_ADDR, status::ESME_RINVDSTADR)?;
    let (input, [esm_class, registered_delivery, data_coding]) = octets(input, "esm_class")?;
    Ok(DataSm { service_type, source, destination, esm_class, registered_delivery, data_coding, tlvs: tlvs(input, limits)? })
}

fn query_sm(input: &[u8]) -> Body<QuerySm<'_>> {
    let (input, message_id) = message_id(input)?;
    let (_, source) = source(input)?;
    Ok(QuerySm { message_id, source })
}

fn query_sm_resp<'a>(input: &'a [u8], limits: &DecodeLimits) -> Body<QuerySmResp<'a>> {
    let (input, message_id) = c_octet(input, "message_id", max::RESP_MESSAGE_ID, status::ESME_RINVMSGID)?;
    let (input, final_date) = c_octet(input, "final_date", max::TIME, status::ESME_RQUERYFAIL)?;
    let (input, [message_state, error_code]) = octets(input, "message_state")?;
    Ok(QuerySmResp { message_id, final_date, message_state, error_code, tlvs: tlvs(input, limits)? })
}

fn cancel_sm(input: &[u8]) -> Body<CancelSm<'_>> {
    let (input, service_type) = service_type(input)?;
    let (input, message_id) = message_id(input)?;
    let (input, source) = source(input)?;
    let (_, destination) = address(input, "destination_addr", max::ADDR, status::ESME_RINVDSTADR)?;
    Ok(CancelSm { service_type, message_id, source, destination })
}

fn replace_sm<'a>(input: &'a [u8], limits: &DecodeLimits) -> Body<ReplaceSm<'a>> {
    let (input, message_id) = message_id(input)?;
    let (input, source) = source(input)?;
    let (input, schedule_delivery_time) = schedule(input)?;
    let (input, validity_period) = validity(input)?;
    let (input, [registered_delivery, sm_default_msg_id, sm_length]) = octets(input, "registered_delivery")?;
    let (input, short_message) = short_message(input, sm_length)?;
    let tlvs = tlvs(input, limits)?;
    Ok(ReplaceSm {
        message_id,
        source,
        schedule_delivery_time,
        validity_period,
        registered_delivery,
        sm_default_msg_id,
        short_message,
        tlvs,
    })
}

fn alert_notification<'a>(input: &'a [u8], limits: &DecodeLimits) -> Body<AlertNotification<'a>> {
    let (input, source) = address(input, "source_addr", max::LONG_ADDR, status::ESME_RINVSRCADR)?;
    let (input, esme) = address(input, "esme_addr", max::LONG_ADDR, status::ESME_RINVDSTADR)?;
    Ok(AlertNotification { source, esme, tlvs: tlvs(input, limits)? })
}

fn broadcast_sm<'a>(input: &'a [u8], limits: &DecodeLimits) -> Body<BroadcastSm<'a>> {
    let (input, service_type) = service_type(input)?;
    let (input, source) = source(input)?;
    let (input, message_id) = message_id(input)?;
    let (input, [priority_flag]) = octets(input, "priority_flag")?;
    let (input, schedule_delivery_time) = schedule(input)?;
    let (input, validity_period) = validity(input)?;
    let (input, [replace_if_present_flag, data_coding, sm_default_msg_id]) = octets(input, "replace_if_present_flag")?;
    let tlvs = tlvs(input, limits)?;
    Ok(BroadcastSm {
        service_type,
        source,
        message_id,
        priority_flag,
        schedule_delivery_time,
        validity_period,
        replace_if_present_flag,
        data_coding,
        sm_default_msg_id,
        tlvs,
    })
}

fn query_broadcast_sm<'a>(input: &'a [u8], limits: &DecodeLimits) -> Body<QueryBroadcastSm<'a>> {
    let (input, message_id) = message_id(input)?;
    let (input, source) = source(input)?;
    Ok(QueryBroadcastSm { message_id, source, tlvs: tlvs(input, limits)? })
}

fn cancel_broadcast_sm<'a>(input: &'a [u8], limits: &DecodeLimits) -> Body<CancelBroadcastSm<'a>> {
    let (input, service_type) = service_type(input)?;
    let (input, message_id) = message_id(input)?;
    let (input, source) = source(input)?;
    Ok(CancelBroadcastSm { service_type, message_id, source, tlvs: tlvs(input, limits)? })
}
