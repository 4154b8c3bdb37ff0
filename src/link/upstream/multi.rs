//! A submit_multi between its request and its one response. Each recipient is a message of its own to the engine.
//!
//! SMPP has one message_id for all recipients; here each recipient's message has an id of its own. The response names the first: that of the
//! first recipient that was taken. The receipts, and what query_sm, cancel_sm and replace_sm want, are each recipient's own: the n-th taken
//! recipient (from 0, in the order of the request, without those in unsuccess_sme) has the id of the response plus n, as a number. That holds
//! because the engine numbers one request's recipients in one go; the one exception is a millisecond's million ids running out among them,
//! where the rest goes on in the next millisecond. The phone in each receipt tells the recipients apart without any counting. An account whose
//! duplicates are dropped must go by the phone: a recipient whose message is a duplicate keeps the id of the first one, out of the row.

use crate::link::translate::receipt;
use crate::link::translate::submit::Submitter;
use crate::model::{Address, MessageId};
use crate::smpp::pdu::{SubmitMultiResp, Unsuccess, UnsuccessesBuf};
use crate::smpp::{Addr, Pdu, Session, status};

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
