//! Whether a request of ours can be written for this peer, and how it looks for one that knows no TLVs.

use crate::smpp::pdu::Pdu;
use crate::smpp::tlv::tag;

/// Whether every string fits its field; only what we make ourselves is in question, so one look at lengths and NULs will do.
pub(super) fn sendable(pdu: &Pdu<'_>) -> bool {
    let text = |text: &[u8], max: usize| text.len() <= max && !text.contains(&0);
    match pdu {
        Pdu::SubmitSm(sm) | Pdu::DeliverSm(sm) => {
            text(sm.service_type, 5)
                && text(sm.source.addr, 20)
                && text(sm.destination.addr, 20)
                && text(sm.schedule_delivery_time, 16)
                && text(sm.validity_period, 16)
                && sm.short_message.len() <= 255
        }
        Pdu::SubmitMulti(multi) => text(multi.sm.source.addr, 20) && !multi.dests.is_empty() && multi.sm.short_message.len() <= 255,
        Pdu::DataSm(sm) => text(sm.source.addr, 64) && text(sm.destination.addr, 64),
        Pdu::QuerySm(sm) => text(sm.message_id, 64) && text(sm.source.addr, 20),
        Pdu::CancelSm(sm) => text(sm.message_id, 64) && text(sm.source.addr, 20) && text(sm.destination.addr, 20),
        Pdu::ReplaceSm(sm) => text(sm.message_id, 64) && text(sm.source.addr, 20) && sm.short_message.len() <= 255,
        _ => true,
    }
}

/// The PDU for a peer that knows no TLVs, with the text where such a peer looks for it; `None` if it does not fit there.
pub(super) fn without_tlvs<'a>(pdu: &Pdu<'a>) -> Option<Pdu<'a>> {
    let payload = pdu.tlvs().first(tag::MESSAGE_PAYLOAD);
    let mut plain = pdu.without_tlvs();
    if let Some(payload) = payload {
        let room = match &mut plain {
            Pdu::SubmitSm(sm) | Pdu::DeliverSm(sm) => &mut sm.short_message,
            Pdu::SubmitMulti(multi) => &mut multi.sm.short_message,
            Pdu::ReplaceSm(sm) => &mut sm.short_message,
            _ => return None,
        };
        if !room.is_empty() || payload.len() > 254 {
            return None;
        }
        *room = payload;
    }
    Some(plain)
}
