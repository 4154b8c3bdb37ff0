//! The PDUs of SMPP v3.4 and v5.0 as borrowed structs, in wire order. C-octet strings are held without their NUL.
//! Reading and writing them is for `decode` and `encode`; whether a value makes sense is for `check` and the links.

mod multi;

use super::command;
use super::tlv::{Tlvs, tag};

pub use multi::{Destination, Destinations, DestinationsBuf, SubmitMulti, SubmitMultiResp, Unsuccess, Unsuccesses, UnsuccessesBuf};

/// The four words that every PDU opens with (v3.4 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// `command_length`: octets of the whole PDU, header included.
    pub length: u32,
    /// `command_id`, see [`command`].
    pub command_id: u32,
    /// `command_status`; without meaning in a request.
    pub status: u32,
    /// `sequence_number`.
    pub sequence: u32,
}

/// A type of number, numbering plan and address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Addr<'a> {
    /// Type of number (v3.4 §5.2.5).
    pub ton: u8,
    /// Numbering plan (v3.4 §5.2.6).
    pub npi: u8,
    /// At most 20 characters, 64 in `data_sm` and `alert_notification`.
    pub addr: &'a [u8],
}

/// Which way messages go on a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BindKind {
    /// The ESME takes deliver_sm.
    Receiver,
    /// The ESME sends submit_sm.
    Transmitter,
    /// Both.
    Transceiver,
}

impl BindKind {
    /// Whether the ESME of such a bind takes deliver_sm.
    pub const fn receives(self) -> bool {
        !matches!(self, BindKind::Transmitter)
    }

    /// Whether the ESME of such a bind may submit.
    pub const fn transmits(self) -> bool {
        !matches!(self, BindKind::Receiver)
    }

    /// `command_id` of the bind request.
    pub const fn command(self) -> u32 {
        match self {
            BindKind::Receiver => command::BIND_RECEIVER,
            BindKind::Transmitter => command::BIND_TRANSMITTER,
            BindKind::Transceiver => command::BIND_TRANSCEIVER,
        }
    }

    /// Short name for logs and metrics: `rx`, `tx`, `trx`.
    pub const fn name(self) -> &'static str {
        match self {
            BindKind::Receiver => "rx",
            BindKind::Transmitter => "tx",
            BindKind::Transceiver => "trx",
        }
    }
}

/// bind_receiver, bind_transmitter, bind_transceiver (v3.4 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Bind<'a> {
    /// At most 15 characters unless configured otherwise.
    pub system_id: &'a [u8],
    /// At most 8 characters unless configured otherwise.
    pub password: &'a [u8],
    /// At most 12 characters.
    pub system_type: &'a [u8],
    /// What the ESME speaks: up to 0x33 v3.3, 0x34 v3.4, 0x50 v5.0.
    pub interface_version: u8,
    /// Type of number of the addresses served.
    pub addr_ton: u8,
    /// Numbering plan of the addresses served.
    pub addr_npi: u8,
    /// At most 40 characters; opaque, never to be run as a regular expression that backtracks.
    pub address_range: &'a [u8],
}

/// A bind response (v3.4 §4.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BindResp<'a> {
    /// Name of the message centre.
    pub system_id: &'a [u8],
    /// `sc_interface_version` from peers that know TLVs.
    pub tlvs: Tlvs<'a>,
}

/// outbind (v3.4 §4.1.7): the message centre asks the ESME to bind.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Outbind<'a> {
    /// Name of the message centre.
    pub system_id: &'a [u8],
    /// Its password.
    pub password: &'a [u8],
}

impl std::fmt::Debug for Bind<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Bind")
            .field("system_id", &self.system_id)
            .field("interface_version", &self.interface_version)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Outbind<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Outbind").field("system_id", &self.system_id).finish_non_exhaustive()
    }
}

/// submit_sm and deliver_sm, which share one layout (v3.4 §4.4.1, §4.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sm<'a> {
    /// At most 5 characters.
    pub service_type: &'a [u8],
    /// Sender.
    pub source: Addr<'a>,
    /// Recipient.
    pub destination: Addr<'a>,
    /// Mode, type and features (v3.4 §5.2.12).
    pub esm_class: u8,
    /// GSM protocol identifier.
    pub protocol_id: u8,
    /// 0 lowest.
    pub priority_flag: u8,
    /// Empty or 16 characters, see `time`.
    pub schedule_delivery_time: &'a [u8],
    /// Empty or 16 characters, see `time`.
    pub validity_period: &'a [u8],
    /// Which reports are asked for (v3.4 §5.2.17).
    pub registered_delivery: u8,
    /// 1: replace a waiting message of the same kind.
    pub replace_if_present_flag: u8,
    /// Alphabet and class of the text (v3.4 §5.2.19).
    pub data_coding: u8,
    /// Number of a canned text, 0 for none.
    pub sm_default_msg_id: u8,
    /// At most 255 octets (254 in v3.4); empty when `message_payload` holds the text.
    pub short_message: &'a [u8],
    /// Optional parameters.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Sm<'a> {
    /// The octets of its text: short_message, or message_payload where that is empty.
    pub fn body(&self) -> &'a [u8] {
        let payload = if self.short_message.is_empty() { self.tlvs.first(tag::MESSAGE_PAYLOAD) } else { None };
        payload.unwrap_or(self.short_message)
    }
}

/// Body of submit_sm_resp, deliver_sm_resp, data_sm_resp and broadcast_sm_resp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageIdResp<'a> {
    /// Name of the message at the peer; empty in deliver_sm_resp.
    pub message_id: &'a [u8],
    /// Optional parameters.
    pub tlvs: Tlvs<'a>,
}

/// data_sm (v3.4 §4.7.1); the text is in TLV message_payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataSm<'a> {
    /// At most 5 characters.
    pub service_type: &'a [u8],
    /// Sender, at most 64 characters.
    pub source: Addr<'a>,
    /// Recipient, at most 64 characters.
    pub destination: Addr<'a>,
    /// Mode, type and features.
    pub esm_class: u8,
    /// Which reports are asked for.
    pub registered_delivery: u8,
    /// Alphabet and class of the text.
    pub data_coding: u8,
    /// Optional parameters.
    pub tlvs: Tlvs<'a>,
}

impl<'a> DataSm<'a> {
    /// The same as a submit_sm or deliver_sm with an empty short_message.
    pub fn as_sm(&self) -> Sm<'a> {
        Sm {
            service_type: self.service_type,
            source: self.source,
            destination: self.destination,
            esm_class: self.esm_class,
            registered_delivery: self.registered_delivery,
            data_coding: self.data_coding,
            tlvs: self.tlvs,
            ..Sm::default()
        }
    }
}

/// query_sm (v3.4 §4.8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuerySm<'a> {
    /// Name that submit_sm_resp gave.
    pub message_id: &'a [u8],
    /// Sender of that submission.
    pub source: Addr<'a>,
}

/// query_sm_resp (v3.4 §4.8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuerySmResp<'a> {
    /// Name that was asked for.
    pub message_id: &'a [u8],
    /// When the final state was reached; empty before.
    pub final_date: &'a [u8],
    /// v3.4 §5.2.28.
    pub message_state: u8,
    /// Network error, 0 if none.
    pub error_code: u8,
    /// Optional parameters (v5.0).
    pub tlvs: Tlvs<'a>,
}

/// cancel_sm (v3.4 §4.9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CancelSm<'a> {
    /// At most 5 characters; counts only without a message_id.
    pub service_type: &'a [u8],
    /// Name of the message; empty: all from source to destination.
    pub message_id: &'a [u8],
    /// Sender of the submission.
    pub source: Addr<'a>,
    /// Recipient of the submission; unused with a message_id.
    pub destination: Addr<'a>,
}

/// replace_sm (v3.4 §4.10.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplaceSm<'a> {
    /// Name of the message.
    pub message_id: &'a [u8],
    /// Sender of the submission.
    pub source: Addr<'a>,
    /// Empty: unchanged.
    pub schedule_delivery_time: &'a [u8],
    /// Empty: unchanged.
    pub validity_period: &'a [u8],
    /// Which reports are asked for.
    pub registered_delivery: u8,
    /// Number of a canned text, 0 for none.
    pub sm_default_msg_id: u8,
    /// The new text.
    pub short_message: &'a [u8],
    /// Optional parameters (v5.0: message_payload).
    pub tlvs: Tlvs<'a>,
}

/// alert_notification (v3.4 §4.12.1); has no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AlertNotification<'a> {
    /// The subscriber that can be reached again, at most 64 characters.
    pub source: Addr<'a>,
    /// Who had asked, at most 64 characters.
    pub esme: Addr<'a>,
    /// ms_availability_status.
    pub tlvs: Tlvs<'a>,
}

/// broadcast_sm (v5.0 §4.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BroadcastSm<'a> {
    /// At most 5 characters.
    pub service_type: &'a [u8],
    /// Sender.
    pub source: Addr<'a>,
    /// Broadcast to be replaced.
    pub message_id: &'a [u8],
    /// 0 lowest.
    pub priority_flag: u8,
    /// Empty or 16 characters.
    pub schedule_delivery_time: &'a [u8],
    /// Empty or 16 characters.
    pub validity_period: &'a [u8],
    /// 1: replace `message_id`.
    pub replace_if_present_flag: u8,
    /// Alphabet of the text.
    pub data_coding: u8,
    /// Number of a canned text, 0 for none.
    pub sm_default_msg_id: u8,
    /// Area, content type, repetitions, interval, text.
    pub tlvs: Tlvs<'a>,
}

/// query_broadcast_sm (v5.0 §4.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueryBroadcastSm<'a> {
    /// Name of the broadcast.
    pub message_id: &'a [u8],
    /// Its sender.
    pub source: Addr<'a>,
    /// Optional parameters.
    pub tlvs: Tlvs<'a>,
}

/// cancel_broadcast_sm (v5.0 §4.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CancelBroadcastSm<'a> {
    /// At most 5 characters.
    pub service_type: &'a [u8],
    /// Name of the broadcast.
    pub message_id: &'a [u8],
    /// Its sender.
    pub source: Addr<'a>,
    /// Optional parameters.
    pub tlvs: Tlvs<'a>,
}

/// Any PDU. Responses whose body peers leave out hold an `Option`; `None` is a body of no octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the command of its name")]
pub enum Pdu<'a> {
    BindReceiver(Bind<'a>),
    BindReceiverResp(Option<BindResp<'a>>),
    BindTransmitter(Bind<'a>),
    BindTransmitterResp(Option<BindResp<'a>>),
    BindTransceiver(Bind<'a>),
    BindTransceiverResp(Option<BindResp<'a>>),
    Outbind(Outbind<'a>),
    Unbind,
    UnbindResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    SubmitSm(Sm<'a>),
    SubmitSmResp(Option<MessageIdResp<'a>>),
    DeliverSm(Sm<'a>),
    DeliverSmResp(Option<MessageIdResp<'a>>),
    SubmitMulti(SubmitMulti<'a>),
    SubmitMultiResp(Option<SubmitMultiResp<'a>>),
    DataSm(DataSm<'a>),
    DataSmResp(Option<MessageIdResp<'a>>),
    QuerySm(QuerySm<'a>),
    QuerySmResp(Option<QuerySmResp<'a>>),
    CancelSm(CancelSm<'a>),
    CancelSmResp,
    ReplaceSm(ReplaceSm<'a>),
    ReplaceSmResp,
    AlertNotification(AlertNotification<'a>),
    BroadcastSm(BroadcastSm<'a>),
    BroadcastSmResp(Option<MessageIdResp<'a>>),
    QueryBroadcastSm(QueryBroadcastSm<'a>),
    QueryBroadcastSmResp(Option<MessageIdResp<'a>>),
    CancelBroadcastSm(CancelBroadcastSm<'a>),
    CancelBroadcastSmResp,
}

impl<'a> Pdu<'a> {
    /// A bind request of the given kind.
    pub fn bind(kind: BindKind, bind: Bind<'a>) -> Self {
        match kind {
            BindKind::Receiver => Pdu::BindReceiver(bind),
            BindKind::Transmitter => Pdu::BindTransmitter(bind),
            BindKind::Transceiver => Pdu::BindTransceiver(bind),
        }
    }

    /// A bind response of the given kind.
    pub fn bind_resp(kind: BindKind, body: Option<BindResp<'a>>) -> Self {
        match kind {
            BindKind::Receiver => Pdu::BindReceiverResp(body),
            BindKind::Transmitter => Pdu::BindTransmitterResp(body),
            BindKind::Transceiver => Pdu::BindTransceiverResp(body),
        }
    }

    /// Its `command_id`.
    pub const fn command_id(&self) -> u32 {
        match self {
            Pdu::BindReceiver(_) => command::BIND_RECEIVER,
            Pdu::BindReceiverResp(_) => command::BIND_RECEIVER_RESP,
            Pdu::BindTransmitter(_) => command::BIND_TRANSMITTER,
            Pdu::BindTransmitterResp(_) => command::BIND_TRANSMITTER_RESP,
            Pdu::BindTransceiver(_) => command::BIND_TRANSCEIVER,
            Pdu::BindTransceiverResp(_) => command::BIND_TRANSCEIVER_RESP,
            Pdu::Outbind(_) => command::OUTBIND,
            Pdu::Unbind => command::UNBIND,
            Pdu::UnbindResp => command::UNBIND_RESP,
            Pdu::EnquireLink => command::ENQUIRE_LINK,
            Pdu::EnquireLinkResp => command::ENQUIRE_LINK_RESP,
            Pdu::GenericNack => command::GENERIC_NACK,
            Pdu::SubmitSm(_) => command::SUBMIT_SM,
            Pdu::SubmitSmResp(_) => command::SUBMIT_SM_RESP,
            Pdu::DeliverSm(_) => command::DELIVER_SM,
            Pdu::DeliverSmResp(_) => command::DELIVER_SM_RESP,
            Pdu::SubmitMulti(_) => command::SUBMIT_MULTI,
            Pdu::SubmitMultiResp(_) => command::SUBMIT_MULTI_RESP,
            Pdu::DataSm(_) => command::DATA_SM,
            Pdu::DataSmResp(_) => command::DATA_SM_RESP,
            Pdu::QuerySm(_) => command::QUERY_SM,
            Pdu::QuerySmResp(_) => command::QUERY_SM_RESP,
            Pdu::CancelSm(_) => command::CANCEL_SM,
            Pdu::CancelSmResp => command::CANCEL_SM_RESP,
            Pdu::ReplaceSm(_) => command::REPLACE_SM,
            Pdu::ReplaceSmResp => command::REPLACE_SM_RESP,
            Pdu::AlertNotification(_) => command::ALERT_NOTIFICATION,
            Pdu::BroadcastSm(_) => command::BROADCAST_SM,
            Pdu::BroadcastSmResp(_) => command::BROADCAST_SM_RESP,
            Pdu::QueryBroadcastSm(_) => command::QUERY_BROADCAST_SM,
            Pdu::QueryBroadcastSmResp(_) => command::QUERY_BROADCAST_SM_RESP,
            Pdu::CancelBroadcastSm(_) => command::CANCEL_BROADCAST_SM,
            Pdu::CancelBroadcastSmResp => command::CANCEL_BROADCAST_SM_RESP,
        }
    }

    /// Its optional parameters; none where the layout has no room for them.
    pub fn tlvs(&self) -> Tlvs<'a> {
        let mut copy = *self;
        copy.tlvs_mut().map_or(Tlvs::EMPTY, |tlvs| *tlvs)
    }

    /// The same PDU without optional parameters, for peers below v3.4 (v3.4 §3.4).
    #[must_use]
    pub fn without_tlvs(mut self) -> Self {
        if let Some(tlvs) = self.tlvs_mut() {
            *tlvs = Tlvs::EMPTY;
        }
        self
    }

    fn tlvs_mut(&mut self) -> Option<&mut Tlvs<'a>> {
        match self {
            Pdu::BindReceiverResp(Some(body)) | Pdu::BindTransmitterResp(Some(body)) | Pdu::BindTransceiverResp(Some(body)) => {
                Some(&mut body.tlvs)
            }
            Pdu::SubmitSm(body) | Pdu::DeliverSm(body) => Some(&mut body.tlvs),
            Pdu::SubmitSmResp(Some(body))
            | Pdu::DeliverSmResp(Some(body))
            | Pdu::DataSmResp(Some(body))
            | Pdu::BroadcastSmResp(Some(body))
            | Pdu::QueryBroadcastSmResp(Some(body)) => Some(&mut body.tlvs),
            Pdu::SubmitMulti(body) => Some(&mut body.sm.tlvs),
            Pdu::SubmitMultiResp(Some(body)) => Some(&mut body.tlvs),
            Pdu::DataSm(body) => Some(&mut body.tlvs),
            Pdu::QuerySmResp(Some(body)) => Some(&mut body.tlvs),
            Pdu::ReplaceSm(body) => Some(&mut body.tlvs),
            Pdu::AlertNotification(body) => Some(&mut body.tlvs),
            Pdu::BroadcastSm(body) => Some(&mut body.tlvs),
            Pdu::QueryBroadcastSm(body) => Some(&mut body.tlvs),
            Pdu::CancelBroadcastSm(body) => Some(&mut body.tlvs),
            _ => None,
        }
    }
}
