//! Tags of the optional parameters (SMPP v3.4 §5.3.2, v5.0 §4.8.4) and the rule of each: name, kind and the lengths that are accepted.

use super::Kind;

/// `dest_addr_subunit`.
pub const DEST_ADDR_SUBUNIT: u16 = 0x0005;
/// `dest_network_type`.
pub const DEST_NETWORK_TYPE: u16 = 0x0006;
/// `dest_bearer_type`.
pub const DEST_BEARER_TYPE: u16 = 0x0007;
/// `dest_telematics_id`.
pub const DEST_TELEMATICS_ID: u16 = 0x0008;
/// `source_addr_subunit`.
pub const SOURCE_ADDR_SUBUNIT: u16 = 0x000D;
/// `source_network_type`.
pub const SOURCE_NETWORK_TYPE: u16 = 0x000E;
/// `source_bearer_type`.
pub const SOURCE_BEARER_TYPE: u16 = 0x000F;
/// `source_telematics_id`.
pub const SOURCE_TELEMATICS_ID: u16 = 0x0010;
/// `qos_time_to_live`.
pub const QOS_TIME_TO_LIVE: u16 = 0x0017;
/// `payload_type`.
pub const PAYLOAD_TYPE: u16 = 0x0019;
/// `additional_status_info_text`.
pub const ADDITIONAL_STATUS_INFO_TEXT: u16 = 0x001D;
/// `receipted_message_id`.
pub const RECEIPTED_MESSAGE_ID: u16 = 0x001E;
/// `ms_msg_wait_facilities`.
pub const MS_MSG_WAIT_FACILITIES: u16 = 0x0030;
/// `privacy_indicator`.
pub const PRIVACY_INDICATOR: u16 = 0x0201;
/// `source_subaddress`.
pub const SOURCE_SUBADDRESS: u16 = 0x0202;
/// `dest_subaddress`.
pub const DEST_SUBADDRESS: u16 = 0x0203;
/// `user_message_reference`.
pub const USER_MESSAGE_REFERENCE: u16 = 0x0204;
/// `user_response_code`.
pub const USER_RESPONSE_CODE: u16 = 0x0205;
/// `source_port`.
pub const SOURCE_PORT: u16 = 0x020A;
/// `destination_port`.
pub const DESTINATION_PORT: u16 = 0x020B;
/// `sar_msg_ref_num`.
pub const SAR_MSG_REF_NUM: u16 = 0x020C;
/// `language_indicator`.
pub const LANGUAGE_INDICATOR: u16 = 0x020D;
/// `sar_total_segments`.
pub const SAR_TOTAL_SEGMENTS: u16 = 0x020E;
/// `sar_segment_seqnum`.
pub const SAR_SEGMENT_SEQNUM: u16 = 0x020F;
/// `sc_interface_version`.
pub const SC_INTERFACE_VERSION: u16 = 0x0210;
/// `callback_num_pres_ind`.
pub const CALLBACK_NUM_PRES_IND: u16 = 0x0302;
/// `callback_num_atag`.
pub const CALLBACK_NUM_ATAG: u16 = 0x0303;
/// `number_of_messages`.
pub const NUMBER_OF_MESSAGES: u16 = 0x0304;
/// `callback_num`.
pub const CALLBACK_NUM: u16 = 0x0381;
/// `dpf_result`.
pub const DPF_RESULT: u16 = 0x0420;
/// `set_dpf`.
pub const SET_DPF: u16 = 0x0421;
/// `ms_availability_status`.
pub const MS_AVAILABILITY_STATUS: u16 = 0x0422;
/// `network_error_code`.
pub const NETWORK_ERROR_CODE: u16 = 0x0423;
/// `message_payload`.
pub const MESSAGE_PAYLOAD: u16 = 0x0424;
/// `delivery_failure_reason`.
pub const DELIVERY_FAILURE_REASON: u16 = 0x0425;
/// `more_messages_to_send`.
pub const MORE_MESSAGES_TO_SEND: u16 = 0x0426;
/// `message_state`.
pub const MESSAGE_STATE: u16 = 0x0427;
/// `congestion_state`.
pub const CONGESTION_STATE: u16 = 0x0428;
/// `ussd_service_op`.
pub const USSD_SERVICE_OP: u16 = 0x0501;
/// `broadcast_channel_indicator`.
pub const BROADCAST_CHANNEL_INDICATOR: u16 = 0x0600;
/// `broadcast_content_type`.
pub const BROADCAST_CONTENT_TYPE: u16 = 0x0601;
/// `broadcast_content_type_info`.
pub const BROADCAST_CONTENT_TYPE_INFO: u16 = 0x0602;
/// `broadcast_message_class`.
pub const BROADCAST_MESSAGE_CLASS: u16 = 0x0603;
/// `broadcast_rep_num`.
pub const BROADCAST_REP_NUM: u16 = 0x0604;
/// `broadcast_frequency_interval`.
pub const BROADCAST_FREQUENCY_INTERVAL: u16 = 0x0605;
/// `broadcast_area_identifier`.
pub const BROADCAST_AREA_IDENTIFIER: u16 = 0x0606;
/// `broadcast_error_status`.
pub const BROADCAST_ERROR_STATUS: u16 = 0x0607;
/// `broadcast_area_success`.
pub const BROADCAST_AREA_SUCCESS: u16 = 0x0608;
/// `broadcast_end_time`.
pub const BROADCAST_END_TIME: u16 = 0x0609;
/// `broadcast_service_group`.
pub const BROADCAST_SERVICE_GROUP: u16 = 0x060A;
/// `billing_identification`.
pub const BILLING_IDENTIFICATION: u16 = 0x060B;
/// `source_network_id`.
pub const SOURCE_NETWORK_ID: u16 = 0x060D;
/// `dest_network_id`.
pub const DEST_NETWORK_ID: u16 = 0x060E;
/// `source_node_id`.
pub const SOURCE_NODE_ID: u16 = 0x060F;
/// `dest_node_id`.
pub const DEST_NODE_ID: u16 = 0x0610;
/// `dest_addr_np_resolution`.
pub const DEST_ADDR_NP_RESOLUTION: u16 = 0x0611;
/// `dest_addr_np_information`.
pub const DEST_ADDR_NP_INFORMATION: u16 = 0x0612;
/// `dest_addr_np_country`.
pub const DEST_ADDR_NP_COUNTRY: u16 = 0x0613;
/// `display_time`.
pub const DISPLAY_TIME: u16 = 0x1201;
/// `sms_signal`.
pub const SMS_SIGNAL: u16 = 0x1203;
/// `ms_validity`.
pub const MS_VALIDITY: u16 = 0x1204;
/// `alert_on_message_delivery`.
pub const ALERT_ON_MESSAGE_DELIVERY: u16 = 0x130C;
/// `its_reply_type`.
pub const ITS_REPLY_TYPE: u16 = 0x1380;
/// `its_session_info`.
pub const ITS_SESSION_INFO: u16 = 0x1383;

/// What is known of one tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The tag.
    pub tag: u16,
    /// Name of the specification, in lower case.
    pub name: &'static str,
    /// How the value is to be read.
    pub kind: Kind,
    /// Least length in octets that is accepted.
    pub min: u16,
    /// Greatest length in octets that is accepted.
    pub max: u16,
}

/// The rule of `tag`; `None` for tags that neither version defines, which are kept and never refused.
pub fn rule(tag: u16) -> Option<&'static Rule> {
    RULES.binary_search_by_key(&tag, |rule| rule.tag).ok().map(|at| &RULES[at])
}

const fn known(tag: u16, name: &'static str, kind: Kind, min: u16, max: u16) -> Rule {
    Rule { tag, name, kind, min, max }
}

/// Sorted by tag. Where stacks are known to differ from the text, the lengths are those that are met, not those that are printed.
static RULES: &[Rule] = &[
    known(DEST_ADDR_SUBUNIT, "dest_addr_subunit", Kind::Integer, 1, 1),
    known(DEST_NETWORK_TYPE, "dest_network_type", Kind::Integer, 1, 1),
    known(DEST_BEARER_TYPE, "dest_bearer_type", Kind::Integer, 1, 1),
    known(DEST_TELEMATICS_ID, "dest_telematics_id", Kind::Integer, 2, 2),
    known(SOURCE_ADDR_SUBUNIT, "source_addr_subunit", Kind::Integer, 1, 1),
    known(SOURCE_NETWORK_TYPE, "source_network_type", Kind::Integer, 1, 1),
    known(SOURCE_BEARER_TYPE, "source_bearer_type", Kind::Integer, 1, 1),
    known(SOURCE_TELEMATICS_ID, "source_telematics_id", Kind::Integer, 1, 2),
    known(QOS_TIME_TO_LIVE, "qos_time_to_live", Kind::Integer, 4, 4),
    known(PAYLOAD_TYPE, "payload_type", Kind::Integer, 1, 1),
    known(ADDITIONAL_STATUS_INFO_TEXT, "additional_status_info_text", Kind::Text, 0, 256),
    known(RECEIPTED_MESSAGE_ID, "receipted_message_id", Kind::Text, 0, 256),
    known(MS_MSG_WAIT_FACILITIES, "ms_msg_wait_facilities", Kind::Integer, 1, 1),
    known(PRIVACY_INDICATOR, "privacy_indicator", Kind::Integer, 1, 1),
    known(SOURCE_SUBADDRESS, "source_subaddress", Kind::Octets, 2, 23),
    known(DEST_SUBADDRESS, "dest_subaddress", Kind::Octets, 2, 23),
    known(USER_MESSAGE_REFERENCE, "user_message_reference", Kind::Integer, 2, 2),
    known(USER_RESPONSE_CODE, "user_response_code", Kind::Integer, 1, 1),
    known(SOURCE_PORT, "source_port", Kind::Integer, 2, 2),
    known(DESTINATION_PORT, "destination_port", Kind::Integer, 2, 2),
    known(SAR_MSG_REF_NUM, "sar_msg_ref_num", Kind::Integer, 2, 2),
    known(LANGUAGE_INDICATOR, "language_indicator", Kind::Integer, 1, 1),
    known(SAR_TOTAL_SEGMENTS, "sar_total_segments", Kind::Integer, 1, 1),
    known(SAR_SEGMENT_SEQNUM, "sar_segment_seqnum", Kind::Integer, 1, 1),
    known(SC_INTERFACE_VERSION, "sc_interface_version", Kind::Integer, 1, 1),
    known(CALLBACK_NUM_PRES_IND, "callback_num_pres_ind", Kind::Integer, 1, 1),
    known(CALLBACK_NUM_ATAG, "callback_num_atag", Kind::Octets, 0, 65),
    known(NUMBER_OF_MESSAGES, "number_of_messages", Kind::Integer, 1, 1),
    known(CALLBACK_NUM, "callback_num", Kind::Octets, 4, 19),
    known(DPF_RESULT, "dpf_result", Kind::Integer, 1, 1),
    known(SET_DPF, "set_dpf", Kind::Integer, 1, 1),
    known(MS_AVAILABILITY_STATUS, "ms_availability_status", Kind::Integer, 1, 1),
    known(NETWORK_ERROR_CODE, "network_error_code", Kind::Octets, 0, 255),
    known(MESSAGE_PAYLOAD, "message_payload", Kind::Octets, 0, 65535),
    known(DELIVERY_FAILURE_REASON, "delivery_failure_reason", Kind::Integer, 1, 1),
    known(MORE_MESSAGES_TO_SEND, "more_messages_to_send", Kind::Integer, 1, 1),
    known(MESSAGE_STATE, "message_state", Kind::Integer, 1, 1),
    known(CONGESTION_STATE, "congestion_state", Kind::Integer, 1, 1),
    known(USSD_SERVICE_OP, "ussd_service_op", Kind::Octets, 1, 1),
    known(BROADCAST_CHANNEL_INDICATOR, "broadcast_channel_indicator", Kind::Integer, 1, 1),
    known(BROADCAST_CONTENT_TYPE, "broadcast_content_type", Kind::Octets, 3, 3),
    known(BROADCAST_CONTENT_TYPE_INFO, "broadcast_content_type_info", Kind::Octets, 1, 255),
    known(BROADCAST_MESSAGE_CLASS, "broadcast_message_class", Kind::Integer, 1, 1),
    known(BROADCAST_REP_NUM, "broadcast_rep_num", Kind::Integer, 1, 2),
    known(BROADCAST_FREQUENCY_INTERVAL, "broadcast_frequency_interval", Kind::Octets, 3, 3),
    known(BROADCAST_AREA_IDENTIFIER, "broadcast_area_identifier", Kind::Octets, 2, 101),
    known(BROADCAST_ERROR_STATUS, "broadcast_error_status", Kind::Integer, 4, 4),
    known(BROADCAST_AREA_SUCCESS, "broadcast_area_success", Kind::Integer, 1, 1),
    known(BROADCAST_END_TIME, "broadcast_end_time", Kind::Text, 0, 17),
    known(BROADCAST_SERVICE_GROUP, "broadcast_service_group", Kind::Octets, 1, 255),
    known(BILLING_IDENTIFICATION, "billing_identification", Kind::Octets, 1, 1024),
    known(SOURCE_NETWORK_ID, "source_network_id", Kind::Text, 0, 66),
    known(DEST_NETWORK_ID, "dest_network_id", Kind::Text, 0, 66),
    known(SOURCE_NODE_ID, "source_node_id", Kind::Octets, 6, 6),
    known(DEST_NODE_ID, "dest_node_id", Kind::Octets, 6, 6),
    known(DEST_ADDR_NP_RESOLUTION, "dest_addr_np_resolution", Kind::Integer, 1, 1),
    known(DEST_ADDR_NP_INFORMATION, "dest_addr_np_information", Kind::Octets, 10, 10),
    known(DEST_ADDR_NP_COUNTRY, "dest_addr_np_country", Kind::Octets, 1, 5),
    known(DISPLAY_TIME, "display_time", Kind::Integer, 1, 1),
    known(SMS_SIGNAL, "sms_signal", Kind::Integer, 2, 2),
    known(MS_VALIDITY, "ms_validity", Kind::Octets, 1, 4),
    known(ALERT_ON_MESSAGE_DELIVERY, "alert_on_message_delivery", Kind::Octets, 0, 1),
    known(ITS_REPLY_TYPE, "its_reply_type", Kind::Integer, 1, 1),
    known(ITS_SESSION_INFO, "its_session_info", Kind::Octets, 2, 2),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smpp::tlv::{TlvBuf, TlvError, Tlvs};

    #[test]
    fn every_known_tag_is_found_and_its_lengths_are_kept() {
        assert_eq!(RULES.len(), 64);
        for known in RULES {
            assert_eq!(rule(known.tag), Some(known));
            for length in [known.min.checked_sub(1), Some(known.min), Some(known.max), known.max.checked_add(1)].into_iter().flatten() {
                let mut buf = TlvBuf::new();
                assert!(buf.octets(known.tag, &vec![0; usize::from(length)]));
                let inside = (known.min..=known.max).contains(&length);
                let expected = if inside { Ok(buf.as_tlvs()) } else { Err(TlvError::Length { tag: known.tag, length }) };
                assert_eq!(Tlvs::from_raw(buf.as_tlvs().raw()), expected, "{} {length}", known.name);
                assert_eq!(Tlvs::from_raw_any_length(buf.as_tlvs().raw()), Ok(buf.as_tlvs()));
            }
        }
        assert_eq!(rule(0x1400), None);
    }
}
