//! Requests about messages that were taken: query_sm, cancel_sm, replace_sm.

use super::{KIND_CANCEL, KIND_REPLACE, Upstream, version};
use crate::engine::port::{Input, QueryAnswer, Replacement};
use crate::link::translate::receipt;
use crate::link::translate::status::{message_state, of_refusal};
use crate::link::translate::submit;
use crate::model::{MessageId, Now, Refusal};
use crate::smpp::pdu::{CancelSm, QuerySm, QuerySmResp, ReplaceSm};
use crate::smpp::tlv::tag;
use crate::smpp::{Pdu, Session, status};

impl Upstream {
    pub(super) fn query(&mut self, sequence: u32, query: &QuerySm<'_>, session: &mut Session) {
        let id = self.parse_id(query.message_id);
        let (Some(message), Some(source)) = (id, submit::address(query.source)) else {
            let status = if id.is_none() { status::ESME_RINVMSGID } else { status::ESME_RINVSRCADR };
            self.refused(status);
            session.respond(sequence, status, &Pdu::QuerySmResp(None));
            return;
        };
        self.flush_drafts();
        self.inputs.push(Input::Query { session: self.id, token: u64::from(sequence), message, source });
    }

    pub(super) fn cancel(&mut self, sequence: u32, cancel: &CancelSm<'_>, session: &mut Session) {
        match submit::cancel_what(cancel, self.parse_id(cancel.message_id)) {
            Ok(what) => {
                self.flush_drafts();
                self.inputs.push(Input::Cancel { session: self.id, token: KIND_CANCEL | u64::from(sequence), what });
            }
            Err(status) => {
                self.refused(status);
                session.respond(sequence, status, &Pdu::CancelSmResp);
            }
        }
    }

    pub(super) fn replace(&mut self, sequence: u32, replace: &ReplaceSm<'_>, session: &mut Session, now: Now) {
        match self.replacement(replace, now) {
            Ok((message, source, with)) => {
                self.flush_drafts();
                let token = KIND_REPLACE | u64::from(sequence);
                self.inputs.push(Input::Replace { session: self.id, token, message, source, with });
            }
            Err(status) => {
                self.refused(status);
                session.respond(sequence, status, &Pdu::ReplaceSmResp);
            }
        }
    }

    #[allow(clippy::type_complexity, reason = "the three parts of one input")]
    pub(super) fn replacement(
        &self,
        replace: &ReplaceSm<'_>,
        now: Now,
    ) -> Result<(MessageId, crate::model::Address, Box<Replacement>), u32> {
        let message = self.parse_id(replace.message_id).ok_or(status::ESME_RINVMSGID)?;
        let source = submit::address(replace.source).ok_or(status::ESME_RINVSRCADR)?;
        if replace.sm_default_msg_id != 0 {
            return Err(status::ESME_RINVDFTMSGID);
        }
        if replace.registered_delivery & 0xE0 != 0 {
            return Err(status::ESME_RINVREGDLVFLG);
        }
        let octets = match (replace.short_message, replace.tlvs.first(tag::MESSAGE_PAYLOAD)) {
            (short, None) => short,
            (b"", Some(payload)) => payload,
            (_, Some(_)) => return Err(status::ESME_RINVMSGLEN),
        };
        let (due_ms, expires_ms) = submit::times(replace.schedule_delivery_time, replace.validity_period, now)?;
        let report = submit::report(replace.registered_delivery);
        Ok((message, source, Box::new(Replacement { octets: octets.into(), due_ms, expires_ms, report })))
    }

    pub(super) fn queried(&mut self, sequence: u32, result: Result<QueryAnswer, Refusal>, session: &mut Session) {
        let Some(entry) = &self.account else { return };
        match result {
            Ok(answer) => {
                let id = receipt::message_id(answer.message, entry.settings.receipts.id);
                let final_date = receipt::absolute_time(answer.final_ms);
                let resp = QuerySmResp {
                    message_id: &id,
                    final_date: &final_date,
                    message_state: message_state(answer.state) as u8,
                    error_code: answer.error,
                    ..QuerySmResp::default()
                };
                session.respond(sequence, status::ESME_ROK, &Pdu::QuerySmResp(Some(resp)));
            }
            Err(refusal) => {
                let status = self.refused_by_engine(refusal, status::ESME_RQUERYFAIL, session);
                session.respond(sequence, status, &Pdu::QuerySmResp(None));
            }
        }
    }

    /// The status for what the engine refused to do with a message. `gone`: the one for an id in our form that names no message that is alive
    /// here (it is over, or was never this source's): only ids that can't be ours are called invalid.
    pub(super) fn refused_by_engine(&self, refusal: Refusal, gone: u32, session: &Session) -> u32 {
        if let Some(entry) = &self.account {
            entry.refused(refusal);
        }
        if refusal == Refusal::UnknownMessage { gone } else { of_refusal(refusal, version(session)) }
    }
}
