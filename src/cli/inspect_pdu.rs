//! One PDU as JSON, field by field in wire order: what `inspect pdu` prints. Decoding is done by `smpp`; printing and reading hex by the command line.

use serde_json::{Map, Value, json};

use crate::smpp::frame::HEADER_LEN;
use crate::smpp::pdu::*;
use crate::smpp::tlv::{Kind, Tlv, tag};
use crate::smpp::{DecodeError, DecodeLimits, Fault, command, decode, status};

/// Longest credentials that are shown rather than refused; peers are configured per account, an inspector is not.
const LIMITS: DecodeLimits = DecodeLimits { system_id: 255, password: 255, any_tlv_length: false };

/// The PDU in `octets` (exactly one) with the names of the specification. Texts are strings (Latin-1), `short_message` and TLV values hex.
pub fn pdu_json(octets: &[u8]) -> Result<Value, DecodeError> {
    let (header, pdu) = decode(octets, &LIMITS)?;
    let fields = fields(&pdu);
    let mut out = Map::new();
    out.insert("command_length".into(), json!(header.length));
    out.insert("command_id".into(), json!(format!("0x{:08X}", header.command_id)));
    out.insert("command".into(), json!(command::name(header.command_id)));
    out.insert("command_status".into(), json!(header.status));
    out.insert("sequence_number".into(), json!(header.sequence));
    out.insert("fields".into(), Value::Object(fields.clone().unwrap_or_default()));
    if fields.is_none() {
        out.insert("body_absent".into(), json!(true));
    }
    out.insert("tlvs".into(), pdu.tlvs().iter().map(|tlv| tlv_json(&tlv)).collect());
    Ok(Value::Object(out))
}

/// The PDU in `octets` as far as anybody can read it whose command is not in the specification; `header` is its header.
pub fn unknown_json(octets: &[u8], header: &Header) -> Value {
    json!({
        "command_length": header.length,
        "command_id": format!("0x{:08X}", header.command_id),
        "command": "unknown",
        "command_status": header.status,
        "sequence_number": header.sequence,
        "body_hex": hex(octets.get(HEADER_LEN..).unwrap_or_default()),
    })
}

/// Why a PDU can't be read, for people: the field as the specification calls it, what is wrong there, and how a server answers.
pub fn refusal(error: &DecodeError) -> String {
    let what = match error.fault {
        Fault::Frame => "is not the number of octets that are here",
        Fault::Command => "is in no version of SMPP",
        Fault::Truncated => "is cut short: the PDU ends inside it",
        Fault::Unterminated => "has no NUL at its end",
        Fault::TooLong => "is longer than the specification allows",
        Fault::Value => "has a value that cannot be",
        Fault::Tlv => "is malformed or has a wrong length",
    };
    let command = match error.header.command_id {
        0 => String::new(),
        id => format!("{} ({id:#010x}): ", command::name(id).unwrap_or("unknown command")),
    };
    let status = status::name(error.status).unwrap_or("status");
    format!("{command}{} {what}; a server answers with {status} ({:#x})", error.field, error.status)
}

fn tlv_json(tlv: &Tlv<'_>) -> Value {
    let rule = tag::rule(tlv.tag);
    let mut out = Map::new();
    out.insert("tag".into(), json!(format!("0x{:04X}", tlv.tag)));
    out.insert("name".into(), json!(rule.map_or("unknown", |rule| rule.name)));
    out.insert("length".into(), json!(tlv.value.len()));
    out.insert("value_hex".into(), json!(hex(tlv.value)));
    match rule.map(|rule| rule.kind) {
        Some(Kind::Integer) => out.insert("value".into(), json!(tlv.integer())),
        Some(Kind::Text) => out.insert("value".into(), text(tlv.text())),
        _ => None,
    };
    Value::Object(out)
}

/// `None` where the body is left out.
fn fields(pdu: &Pdu<'_>) -> Option<Map<String, Value>> {
    let mut to = Fields::default();
    match pdu {
        Pdu::BindReceiver(bind) | Pdu::BindTransmitter(bind) | Pdu::BindTransceiver(bind) => to.bind(bind),
        Pdu::BindReceiverResp(resp) | Pdu::BindTransmitterResp(resp) | Pdu::BindTransceiverResp(resp) => {
            to.text("system_id", resp.as_ref()?.system_id);
        }
        Pdu::Outbind(outbind) => {
            to.text("system_id", outbind.system_id);
            to.text("password", outbind.password);
        }
        Pdu::SubmitSm(sm) | Pdu::DeliverSm(sm) => {
            to.text("service_type", sm.service_type);
            to.address("source_addr", "source_addr", &sm.source);
            to.address("dest_addr", "destination_addr", &sm.destination);
            to.sm_rest(sm);
        }
        Pdu::SubmitMulti(multi) => to.submit_multi(multi),
        Pdu::SubmitMultiResp(resp) => to.submit_multi_resp(resp.as_ref()?),
        Pdu::DataSm(sm) => {
            to.text("service_type", sm.service_type);
            to.address("source_addr", "source_addr", &sm.source);
            to.address("dest_addr", "destination_addr", &sm.destination);
            to.number("esm_class", sm.esm_class);
            to.number("registered_delivery", sm.registered_delivery);
            to.number("data_coding", sm.data_coding);
        }
        Pdu::SubmitSmResp(resp)
        | Pdu::DeliverSmResp(resp)
        | Pdu::DataSmResp(resp)
        | Pdu::BroadcastSmResp(resp)
        | Pdu::QueryBroadcastSmResp(resp) => to.text("message_id", resp.as_ref()?.message_id),
        Pdu::QuerySm(query) => {
            to.text("message_id", query.message_id);
            to.address("source_addr", "source_addr", &query.source);
        }
        Pdu::QuerySmResp(resp) => {
            let resp = resp.as_ref()?;
            to.text("message_id", resp.message_id);
            to.text("final_date", resp.final_date);
            to.number("message_state", resp.message_state);
            to.number("error_code", resp.error_code);
        }
        Pdu::CancelSm(cancel) => {
            to.text("service_type", cancel.service_type);
            to.text("message_id", cancel.message_id);
            to.address("source_addr", "source_addr", &cancel.source);
            to.address("dest_addr", "destination_addr", &cancel.destination);
        }
        Pdu::ReplaceSm(replace) => to.replace(replace),
        Pdu::AlertNotification(alert) => {
            to.address("source_addr", "source_addr", &alert.source);
            to.address("esme_addr", "esme_addr", &alert.esme);
        }
        Pdu::BroadcastSm(broadcast) => to.broadcast(broadcast),
        Pdu::QueryBroadcastSm(query) => {
            to.text("message_id", query.message_id);
            to.address("source_addr", "source_addr", &query.source);
        }
        Pdu::CancelBroadcastSm(cancel) => {
            to.text("service_type", cancel.service_type);
            to.text("message_id", cancel.message_id);
            to.address("source_addr", "source_addr", &cancel.source);
        }
        Pdu::Unbind
        | Pdu::UnbindResp
        | Pdu::EnquireLink
        | Pdu::EnquireLinkResp
        | Pdu::GenericNack
        | Pdu::CancelSmResp
        | Pdu::ReplaceSmResp
        | Pdu::CancelBroadcastSmResp => {}
    }
    Some(to.out)
}

#[derive(Default)]
struct Fields {
    out: Map<String, Value>,
}

impl Fields {
    fn text(&mut self, name: &str, value: &[u8]) {
        self.out.insert(name.into(), text(value));
    }

    fn number(&mut self, name: &str, value: u8) {
        self.out.insert(name.into(), json!(value));
    }

    fn address(&mut self, prefix: &str, name: &str, addr: &Addr<'_>) {
        self.number(&format!("{prefix}_ton"), addr.ton);
        self.number(&format!("{prefix}_npi"), addr.npi);
        self.text(name, addr.addr);
    }

    fn times(&mut self, schedule: &[u8], validity: &[u8]) {
        self.text("schedule_delivery_time", schedule);
        self.text("validity_period", validity);
    }

    fn short_message(&mut self, value: &[u8]) {
        self.out.insert("sm_length".into(), json!(value.len()));
        self.out.insert("short_message".into(), json!(hex(value)));
    }

    fn bind(&mut self, bind: &Bind<'_>) {
        self.text("system_id", bind.system_id);
        self.text("password", bind.password);
        self.text("system_type", bind.system_type);
        self.number("interface_version", bind.interface_version);
        self.number("addr_ton", bind.addr_ton);
        self.number("addr_npi", bind.addr_npi);
        self.text("address_range", bind.address_range);
    }

    fn sm_rest(&mut self, sm: &Sm<'_>) {
        self.number("esm_class", sm.esm_class);
        self.number("protocol_id", sm.protocol_id);
        self.number("priority_flag", sm.priority_flag);
        self.times(sm.schedule_delivery_time, sm.validity_period);
        self.number("registered_delivery", sm.registered_delivery);
        self.number("replace_if_present_flag", sm.replace_if_present_flag);
        self.number("data_coding", sm.data_coding);
        self.number("sm_default_msg_id", sm.sm_default_msg_id);
        self.short_message(sm.short_message);
    }

    fn submit_multi(&mut self, multi: &SubmitMulti<'_>) {
        self.text("service_type", multi.sm.service_type);
        self.address("source_addr", "source_addr", &multi.sm.source);
        self.out.insert("number_of_dests".into(), json!(multi.dests.len()));
        let dests = multi.destinations().map(|destination| {
            let mut one = Fields::default();
            match destination {
                Destination::Sme(addr) => {
                    one.number("dest_flag", 1);
                    one.address("dest_addr", "destination_addr", &addr);
                }
                Destination::List(name) => {
                    one.number("dest_flag", 2);
                    one.text("dl_name", name);
                }
            }
            Value::Object(one.out)
        });
        self.out.insert("dest_address".into(), dests.collect());
        self.sm_rest(&multi.sm);
    }

    fn submit_multi_resp(&mut self, resp: &SubmitMultiResp<'_>) {
        self.text("message_id", resp.message_id);
        self.out.insert("no_unsuccess".into(), json!(resp.unsuccess.len()));
        let refused = resp.unsuccess.iter().map(|unsuccess| {
            let mut one = Fields::default();
            one.address("dest_addr", "destination_addr", &unsuccess.destination);
            one.out.insert("error_status_code".into(), json!(unsuccess.status));
            Value::Object(one.out)
        });
        self.out.insert("unsuccess_sme".into(), refused.collect());
    }

    fn replace(&mut self, replace: &ReplaceSm<'_>) {
        self.text("message_id", replace.message_id);
        self.address("source_addr", "source_addr", &replace.source);
        self.times(replace.schedule_delivery_time, replace.validity_period);
        self.number("registered_delivery", replace.registered_delivery);
        self.number("sm_default_msg_id", replace.sm_default_msg_id);
        self.short_message(replace.short_message);
    }

    fn broadcast(&mut self, broadcast: &BroadcastSm<'_>) {
        self.text("service_type", broadcast.service_type);
        self.address("source_addr", "source_addr", &broadcast.source);
        self.text("message_id", broadcast.message_id);
        self.number("priority_flag", broadcast.priority_flag);
        self.times(broadcast.schedule_delivery_time, broadcast.validity_period);
        self.number("replace_if_present_flag", broadcast.replace_if_present_flag);
        self.number("data_coding", broadcast.data_coding);
        self.number("sm_default_msg_id", broadcast.sm_default_msg_id);
    }
}

fn text(octets: &[u8]) -> Value {
    Value::String(octets.iter().map(|&octet| char::from(octet)).collect())
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
