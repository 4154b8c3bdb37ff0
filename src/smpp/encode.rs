//! PDUs to octets, straight into the buffer that is written to the socket. Strings are cut at a NUL and texts at what a length octet can
//! tell, so that a field of ours can never shift the ones behind it; `session` refuses such requests before.

use bytes::{BufMut, BytesMut};

use super::frame::HEADER_LEN;
use super::pdu::*;

/// Writes the whole PDU; `command_length` is filled in at the end.
pub fn encode(status: u32, sequence: u32, pdu: &Pdu<'_>, out: &mut BytesMut) {
    let start = begin(pdu.command_id(), status, sequence, out);
    body(pdu, out);
    finish(start, out);
}

/// Writes a PDU of a header alone: enquire_link, unbind, their responses, generic_nack, and any response without a body.
pub fn encode_empty(command_id: u32, status: u32, sequence: u32, out: &mut BytesMut) {
    let start = begin(command_id, status, sequence, out);
    finish(start, out);
}

/// Writes a response whose body is a message_id: submit_sm_resp, deliver_sm_resp, data_sm_resp. Error responses carry no body
/// (v3.4 §4.4.2), so with a status other than 0 the id is left out.
pub fn encode_message_id_resp(command_id: u32, status: u32, sequence: u32, id: &[u8], out: &mut BytesMut) {
    let start = begin(command_id, status, sequence, out);
    if status == super::status::ESME_ROK {
        c_octet(id, out);
    }
    finish(start, out);
}

#[inline]
fn begin(command_id: u32, status: u32, sequence: u32, out: &mut BytesMut) -> usize {
    let start = out.len();
    let mut header = [0; HEADER_LEN];
    header[4..8].copy_from_slice(&command_id.to_be_bytes());
    header[8..12].copy_from_slice(&status.to_be_bytes());
    header[12..].copy_from_slice(&sequence.to_be_bytes());
    out.put_slice(&header);
    start
}

#[inline]
fn finish(start: usize, out: &mut BytesMut) {
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

#[inline]
fn c_octet(text: &[u8], out: &mut BytesMut) {
    let end = text.iter().position(|&octet| octet == 0).unwrap_or(text.len());
    out.put_slice(&text[..end]);
    out.put_u8(0);
}

#[inline]
fn address(addr: &Addr<'_>, out: &mut BytesMut) {
    out.put_slice(&[addr.ton, addr.npi]);
    c_octet(addr.addr, out);
}

/// `sm_length` and the text, cut at 255 octets.
#[inline]
fn short_message(text: &[u8], out: &mut BytesMut) {
    let text = &text[..text.len().min(255)];
    out.put_u8(text.len() as u8);
    out.put_slice(text);
}

fn body(pdu: &Pdu<'_>, out: &mut BytesMut) {
    match pdu {
        Pdu::SubmitSm(body) | Pdu::DeliverSm(body) => sm(body, out),
        Pdu::SubmitSmResp(Some(body))
        | Pdu::DeliverSmResp(Some(body))
        | Pdu::DataSmResp(Some(body))
        | Pdu::BroadcastSmResp(Some(body))
        | Pdu::QueryBroadcastSmResp(Some(body)) => {
            c_octet(body.message_id, out);
            out.put_slice(body.tlvs.raw());
        }
        Pdu::BindReceiver(body) | Pdu::BindTransmitter(body) | Pdu::BindTransceiver(body) => bind(body, out),
        Pdu::BindReceiverResp(Some(body)) | Pdu::BindTransmitterResp(Some(body)) | Pdu::BindTransceiverResp(Some(body)) => {
            c_octet(body.system_id, out);
            out.put_slice(body.tlvs.raw());
        }
        Pdu::Outbind(body) => {
            c_octet(body.system_id, out);
            c_octet(body.password, out);
        }
        Pdu::SubmitMulti(body) => submit_multi(body, out),
        Pdu::SubmitMultiResp(Some(body)) => {
            c_octet(body.message_id, out);
            out.put_u8(body.unsuccess.count);
            out.put_slice(body.unsuccess.raw);
            out.put_slice(body.tlvs.raw());
        }
        Pdu::DataSm(body) => data_sm(body, out),
        Pdu::QuerySm(body) => {
            c_octet(body.message_id, out);
            address(&body.source, out);
        }
        Pdu::QuerySmResp(Some(body)) => {
            c_octet(body.message_id, out);
            c_octet(body.final_date, out);
            out.put_slice(&[body.message_state, body.error_code]);
            out.put_slice(body.tlvs.raw());
        }
        Pdu::CancelSm(body) => {
            c_octet(body.service_type, out);
            c_octet(body.message_id, out);
            address(&body.source, out);
            address(&body.destination, out);
        }
        Pdu::ReplaceSm(body) => replace_sm(body, out),
        Pdu::AlertNotification(body) => {
            address(&body.source, out);
            address(&body.esme, out);
            out.put_slice(body.tlvs.raw());
        }
        Pdu::BroadcastSm(body) => broadcast_sm(body, out),
        Pdu::QueryBroadcastSm(body) => {
            c_octet(body.message_id, out);
            address(&body.source, out);
            out.put_slice(body.tlvs.raw());
        }
        Pdu::CancelBroadcastSm(body) => {
            c_octet(body.service_type, out);
            c_octet(body.message_id, out);
            address(&body.source, out);
            out.put_slice(body.tlvs.raw());
        }
        Pdu::BindReceiverResp(None)
        | Pdu::BindTransmitterResp(None)
        | Pdu::BindTransceiverResp(None)
        | Pdu::SubmitSmResp(None)
        | Pdu::DeliverSmResp(None)
        | Pdu::SubmitMultiResp(None)
        | Pdu::DataSmResp(None)
        | Pdu::QuerySmResp(None)
        | Pdu::BroadcastSmResp(None)
        | Pdu::QueryBroadcastSmResp(None)
        | Pdu::Unbind
        | Pdu::UnbindResp
        | Pdu::EnquireLink
        | Pdu::EnquireLinkResp
        | Pdu::GenericNack
        | Pdu::CancelSmResp
        | Pdu::ReplaceSmResp
        | Pdu::CancelBroadcastSmResp => {}
    }
}

fn bind(body: &Bind<'_>, out: &mut BytesMut) {
    c_octet(body.system_id, out);
    c_octet(body.password, out);
    c_octet(body.system_type, out);
    out.put_slice(&[body.interface_version, body.addr_ton, body.addr_npi]);
    c_octet(body.address_range, out);
}

fn sm(body: &Sm<'_>, out: &mut BytesMut) {
    c_octet(body.service_type, out);
    address(&body.source, out);
    address(&body.destination, out);
    sm_rest(body, out);
}

/// From `esm_class` to the end, which submit_sm, deliver_sm and submit_multi share.
#[inline]
fn sm_rest(body: &Sm<'_>, out: &mut BytesMut) {
    out.put_slice(&[body.esm_class, body.protocol_id, body.priority_flag]);
    c_octet(body.schedule_delivery_time, out);
    c_octet(body.validity_period, out);
    out.put_slice(&[body.registered_delivery, body.replace_if_present_flag, body.data_coding, body.sm_default_msg_id]);
    short_message(body.short_message, out);
    out.put_slice(body.tlvs.raw());
}

fn submit_multi(body: &SubmitMulti<'_>, out: &mut BytesMut) {
    c_octet(body.sm.service_type, out);
    address(&body.sm.source, out);
    out.put_u8(body.dests.count);
    out.put_slice(body.dests.raw);
    sm_rest(&body.sm, out);
}

fn data_sm(body: &DataSm<'_>, out: &mut BytesMut) {
    c_octet(body.service_type, out);
    address(&body.source, out);
    address(&body.destination, out);
    out.put_slice(&[body.esm_class, body.registered_delivery, body.data_coding]);
    out.put_slice(body.tlvs.raw());
}

fn replace_sm(body: &ReplaceSm<'_>, out: &mut BytesMut) {
    c_octet(body.message_id, out);
    address(&body.source, out);
    c_octet(body.schedule_delivery_time, out);
    c_octet(body.validity_period, out);
    out.put_slice(&[body.registered_delivery, body.sm_default_msg_id]);
    short_message(body.short_message, out);
    out.put_slice(body.tlvs.raw());
}

fn broadcast_sm(body: &BroadcastSm<'_>, out: &mut BytesMut) {
    c_octet(body.service_type, out);
    address(&body.source, out);
    c_octet(body.message_id, out);
    out.put_u8(body.priority_flag);
    c_octet(body.schedule_delivery_time, out);
    c_octet(body.validity_period, out);
    out.put_slice(&[body.replace_if_present_flag, body.data_coding, body.sm_default_msg_id]);
    out.put_slice(body.tlvs.raw());
}
