//! Command ids (section 2 of the protocol notes; SMPP v3.4 §5.1.2.1, v5.0 §4.7.5) and the few questions one asks of a bare id.
//! Layouts belong to `pdu`, what may be sent when to `session`.

/// `generic_nack`.
pub const GENERIC_NACK: u32 = 0x8000_0000;
/// `bind_receiver`.
pub const BIND_RECEIVER: u32 = 0x0000_0001;
/// `bind_receiver_resp`.
pub const BIND_RECEIVER_RESP: u32 = 0x8000_0001;
/// `bind_transmitter`.
pub const BIND_TRANSMITTER: u32 = 0x0000_0002;
/// `bind_transmitter_resp`.
pub const BIND_TRANSMITTER_RESP: u32 = 0x8000_0002;
/// `query_sm`.
pub const QUERY_SM: u32 = 0x0000_0003;
/// `query_sm_resp`.
pub const QUERY_SM_RESP: u32 = 0x8000_0003;
/// `submit_sm`.
pub const SUBMIT_SM: u32 = 0x0000_0004;
/// `submit_sm_resp`.
pub const SUBMIT_SM_RESP: u32 = 0x8000_0004;
/// `deliver_sm`.
pub const DELIVER_SM: u32 = 0x0000_0005;
/// `deliver_sm_resp`.
pub const DELIVER_SM_RESP: u32 = 0x8000_0005;
/// `unbind`.
pub const UNBIND: u32 = 0x0000_0006;
/// `unbind_resp`.
pub const UNBIND_RESP: u32 = 0x8000_0006;
/// `replace_sm`.
pub const REPLACE_SM: u32 = 0x0000_0007;
/// `replace_sm_resp`.
pub const REPLACE_SM_RESP: u32 = 0x8000_0007;
/// `cancel_sm`.
pub const CANCEL_SM: u32 = 0x0000_0008;
/// `cancel_sm_resp`.
pub const CANCEL_SM_RESP: u32 = 0x8000_0008;
/// `bind_transceiver`.
pub const BIND_TRANSCEIVER: u32 = 0x0000_0009;
/// `bind_transceiver_resp`.
pub const BIND_TRANSCEIVER_RESP: u32 = 0x8000_0009;
/// `outbind`.
pub const OUTBIND: u32 = 0x0000_000B;
/// `enquire_link`.
pub const ENQUIRE_LINK: u32 = 0x0000_0015;
/// `enquire_link_resp`.
pub const ENQUIRE_LINK_RESP: u32 = 0x8000_0015;
/// `submit_multi`.
pub const SUBMIT_MULTI: u32 = 0x0000_0021;
/// `submit_multi_resp`.
pub const SUBMIT_MULTI_RESP: u32 = 0x8000_0021;
/// `alert_notification`.
pub const ALERT_NOTIFICATION: u32 = 0x0000_0102;
/// `data_sm`.
pub const DATA_SM: u32 = 0x0000_0103;
/// `data_sm_resp`.
pub const DATA_SM_RESP: u32 = 0x8000_0103;
/// `broadcast_sm` (v5.0).
pub const BROADCAST_SM: u32 = 0x0000_0111;
/// `broadcast_sm_resp` (v5.0).
pub const BROADCAST_SM_RESP: u32 = 0x8000_0111;
/// `query_broadcast_sm` (v5.0).
pub const QUERY_BROADCAST_SM: u32 = 0x0000_0112;
/// `query_broadcast_sm_resp` (v5.0).
pub const QUERY_BROADCAST_SM_RESP: u32 = 0x8000_0112;
/// `cancel_broadcast_sm` (v5.0).
pub const CANCEL_BROADCAST_SM: u32 = 0x0000_0113;
/// `cancel_broadcast_sm_resp` (v5.0).
pub const CANCEL_BROADCAST_SM_RESP: u32 = 0x8000_0113;

/// Set in the id of every response, and in `generic_nack`.
pub const RESPONSE_BIT: u32 = 0x8000_0000;

/// Whether `id` is a response or a `generic_nack`; neither is ever answered.
pub const fn is_response(id: u32) -> bool {
    id & RESPONSE_BIT != 0
}

/// The response that belongs to request `id`, or `None` where none exists (`outbind`, `alert_notification`, unknown ids, responses).
pub const fn response_of(id: u32) -> Option<u32> {
    if is_response(id) || matches!(id, OUTBIND | ALERT_NOTIFICATION) || !is_known(id) { None } else { Some(id | RESPONSE_BIT) }
}

/// Whether v3.4 or v5.0 defines `id`.
pub const fn is_known(id: u32) -> bool {
    name(id).is_some()
}

/// The name of the specification in lower case, `None` for an unknown id.
pub const fn name(id: u32) -> Option<&'static str> {
    Some(match id {
        GENERIC_NACK => "generic_nack",
        BIND_RECEIVER => "bind_receiver",
        BIND_RECEIVER_RESP => "bind_receiver_resp",
        BIND_TRANSMITTER => "bind_transmitter",
        BIND_TRANSMITTER_RESP => "bind_transmitter_resp",
        QUERY_SM => "query_sm",
        QUERY_SM_RESP => "query_sm_resp",
        SUBMIT_SM => "submit_sm",
        SUBMIT_SM_RESP => "submit_sm_resp",
        DELIVER_SM => "deliver_sm",
        DELIVER_SM_RESP => "deliver_sm_resp",
        UNBIND => "unbind",
        UNBIND_RESP => "unbind_resp",
        REPLACE_SM => "replace_sm",
        REPLACE_SM_RESP => "replace_sm_resp",
        CANCEL_SM => "cancel_sm",
        CANCEL_SM_RESP => "cancel_sm_resp",
        BIND_TRANSCEIVER => "bind_transceiver",
        BIND_TRANSCEIVER_RESP => "bind_transceiver_resp",
        OUTBIND => "outbind",
        ENQUIRE_LINK => "enquire_link",
        ENQUIRE_LINK_RESP => "enquire_link_resp",
        SUBMIT_MULTI => "submit_multi",
        SUBMIT_MULTI_RESP => "submit_multi_resp",
        ALERT_NOTIFICATION => "alert_notification",
        DATA_SM => "data_sm",
        DATA_SM_RESP => "data_sm_resp",
        BROADCAST_SM => "broadcast_sm",
        BROADCAST_SM_RESP => "broadcast_sm_resp",
        QUERY_BROADCAST_SM => "query_broadcast_sm",
        QUERY_BROADCAST_SM_RESP => "query_broadcast_sm_resp",
        CANCEL_BROADCAST_SM => "cancel_broadcast_sm",
        CANCEL_BROADCAST_SM_RESP => "cancel_broadcast_sm_resp",
        _ => return None,
    })
}
