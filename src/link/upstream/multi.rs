//! A submit_multi between its request and its one response. Each recipient is a message of its own to the engine.
//!
//! SMPP has one message_id for all recipients; here each recipient's message has an id of its own. The response names the first: that of the
//! first recipient that was taken. The receipts, and what query_sm, cancel_sm and replace_sm want, are each recipient's own: the n-th taken
//! recipient (from 0, in the order of the request, without those in unsuccess_sme) has the id of the response plus n, as a number. That holds
//! because the engine numbers one request's recipients in one go; the one exception is a millisecond's million ids running out among them,
//! where the rest goes on in the next millisecond. The phone in each receipt tells the recipients apart without any counting. An account whose
//! duplicates are dropped must go by the phone: a recipient whose message is a duplicate keeps the id of the first one, out of the row.

use super::{KIND_MULTI, Upstream, version};
use crate::engine::port::Draft;
use crate::link::translate::receipt;
use crate::link::translate::status::of_refusal;
use crate::link::translate::submit::{self, Submitter};
use crate::model::{Address, MessageId, Now, Refusal};
use crate::smpp::pdu::{SubmitMulti, SubmitMultiResp, Unsuccess, UnsuccessesBuf};
use crate::smpp::{Addr, Destination, Pdu, Session, status};

/// A submit_multi whose recipients are with the engine.
pub(super) struct Multi {
    pub(super) sequence: u32,
    pub(super) waiting: usize,
    pub(super) first_id: Option<MessageId>,
    pub(super) first_failure: u32,
    pub(super) unsuccess: UnsuccessesBuf,
    /// Recipients in the order of their drafts, for the list of those refused.
    pub(super) recipients: Vec<Address>,
}

impl Multi {
    /// Takes down that a recipient was refused.
    pub(super) fn refused(&mut self, addr: Addr<'_>, status: u32) {
        if self.first_failure == status::ESME_ROK {
            self.first_failure = status;
        }
        // An address that is too long for the list was cut off its place by the decoder already.
        let fits = Addr { addr: &addr.addr[..addr.addr.len().min(20)], ..addr };
        self.unsuccess.push(Unsuccess { destination: fits, status });
    }

    /// One response for all recipients; a status other than 0 only if every one was refused.
    pub(super) fn respond(&self, by: &Submitter<'_>, session: &mut Session) {
        let id = self.first_id.map(|id| receipt::message_id(id, by.account.receipts.id)).unwrap_or_default();
        let status = if self.first_id.is_some() { status::ESME_ROK } else { self.first_failure };
        let resp = SubmitMultiResp { message_id: &id, unsuccess: self.unsuccess.as_unsuccesses(), ..SubmitMultiResp::default() };
        session.respond(self.sequence, status, &Pdu::SubmitMultiResp(Some(resp)));
    }
}

impl Upstream {
    pub(super) fn submit_multi(
        &mut self,
        sequence: u32,
        multi: &SubmitMulti<'_>,
        by: &Submitter<'_>,
        session: &mut Session,
    ) -> Result<(), u32> {
        if multi.dests.is_empty() {
            return Err(status::ESME_RINVNUMDESTS);
        }
        let shared = submit::of_multi(multi, by)?;
        let slot = self.multis.iter().position(Option::is_none).unwrap_or(self.multis.len());
        let mut state = Multi {
            sequence,
            waiting: 0,
            first_id: None,
            first_failure: status::ESME_ROK,
            unsuccess: UnsuccessesBuf::default(),
            recipients: Vec::with_capacity(multi.dests.len()),
        };
        let campaign = submit::campaign(multi.sm.tlvs, by.account)?;
        let mut drafts = Vec::with_capacity(multi.dests.len());
        for to in multi.destinations() {
            let addr = match to {
                Destination::Sme(addr) => addr,
                // The list of those refused knows numbers only: the name stands in the number's place.
                Destination::List(name) => Addr { ton: 0, npi: 0, addr: name },
            };
            let made = match to {
                Destination::Sme(addr) => submit::to_destination(&shared, addr),
                Destination::List(_) => Err(status::ESME_RINVDLNAME),
            };
            match made {
                Ok(message) => {
                    let token = KIND_MULTI | (slot as u64) << 8 | state.recipients.len() as u64;
                    state.recipients.push(message.destination.clone());
                    state.waiting += 1;
                    drafts.push(Draft { token, message, campaign: campaign.clone() });
                }
                Err(status) => {
                    self.refused(status);
                    state.refused(addr, status);
                }
            }
        }
        self.draft(drafts, multi.sm.replace_if_present_flag == 1 && state.waiting > 0);
        if state.waiting == 0 {
            state.respond(by, session);
        } else if slot == self.multis.len() {
            self.multis.push(Some(state));
        } else {
            self.multis[slot] = Some(state);
        }
        Ok(())
    }

    pub(super) fn answer_multi(&mut self, token: u64, result: Result<MessageId, Refusal>, session: &mut Session) {
        let Some(entry) = self.account.clone() else { return };
        let slot = (token as u32 >> 8) as usize;
        let Some(state) = self.multis.get_mut(slot).and_then(Option::as_mut) else { return };
        state.waiting -= 1;
        match result {
            Ok(id) => {
                state.first_id.get_or_insert(id);
            }
            Err(refusal) => {
                entry.refused(refusal);
                let to = state.recipients[(token & 0xFF) as usize].clone();
                state.refused(receipt::addr(&to), of_refusal(refusal, version(session)));
            }
        }
        if state.waiting == 0 {
            let by = Submitter { id: entry.id, account: &entry.settings, version: version(session), now: Now::default() };
            state.respond(&by, session);
            self.multis[slot] = None;
        }
    }
}
