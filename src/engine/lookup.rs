//! Query, cancel and replace of messages that are still here.

use super::event::Event;
use super::messages::Phase;
use super::port::{CancelWhat, Output, QueryAnswer, Replacement, SessionId, UpstreamReply};
use super::scope::Fault;
use super::{Effect, Engine};
use crate::model::{AccountId, Address, Body, MessageId, Refusal, State};
use std::sync::Arc;

impl Engine {
    pub(super) fn query(&mut self, session: SessionId, token: u64, id: MessageId, source: &Address, outputs: &mut Vec<Output>) {
        if !self.messages.contains_key(&id) {
            return self.recall(session, token, id, source, outputs);
        }
        let result = self.own(session, id, source).map(|phase| QueryAnswer { message: id, state: phase.state(), final_ms: 0, error: 0 });
        self.reply(session, UpstreamReply::Queried { token, result });
    }

    /// Where the session's own message of that source stands.
    fn own(&self, session: SessionId, id: MessageId, source: &Address) -> Result<Phase, Refusal> {
        let account = self.sessions.get(&session).map(|s| s.account);
        let entry = self.messages.get(&id).filter(|e| Some(e.message.account) == account && e.message.source.digits == source.digits);
        entry.map(|e| e.phase).ok_or(Refusal::UnknownMessage)
    }

    /// True while nothing of the message has been handed to a carrier.
    pub(super) fn is_still_ours(&self, id: MessageId) -> bool {
        self.messages.get(&id).is_some_and(|e| {
            matches!(e.phase, Phase::Accepting | Phase::Deferred | Phase::Waiting(_))
                && !e.parts.any_taken()
                && e.doubts == 0
                && e.past.as_ref().is_none_or(|past| past.copies.is_empty())
        })
    }

    pub(super) fn cancel(&mut self, session: SessionId, token: u64, what: &CancelWhat) {
        let result = match what {
            CancelWhat::One { message, source } => self.own(session, *message, source).and_then(|_| match self.is_still_ours(*message) {
                true => {
                    self.verdict(*message, State::Cancelled, 0);
                    Ok(())
                }
                false => Err(Refusal::CancelFailed),
            }),
            CancelWhat::All { source, destination, service_type } => {
                let account = self.sessions.get(&session).map(|s| s.account);
                self.cancel_all(account, source, destination, service_type)
            }
        };
        self.done(session, token, result);
    }

    /// Cancels a message of `account` that waits.
    pub(super) fn cancel_of(&mut self, account: AccountId, id: MessageId) -> Result<(), Fault> {
        let is_its = self.messages.get(&id).is_some_and(|entry| entry.message.account == account);
        if !is_its {
            return Err(Fault::of("unknown_message", "message", format!("no message {id} is alive"), "an id that was answered"));
        }
        if !self.is_still_ours(id) {
            let what = "it has left, or is over: it can't be cancelled any more";
            return Err(Fault::of("cancel_failed", "message", what, "nothing"));
        }
        self.verdict(id, State::Cancelled, 0);
        Ok(())
    }

    fn cancel_all(&mut self, account: Option<AccountId>, from: &Address, to: &Address, service_type: &[u8]) -> Result<(), Refusal> {
        let mut ids: Vec<MessageId> = self
            .messages
            .values()
            .map(|e| &e.message)
            .filter(|m| Some(m.account) == account && super::search::fits(m, from, to, service_type))
            .map(|m| m.id)
            .collect();
        ids.retain(|&id| self.is_still_ours(id));
        ids.sort_unstable();
        if ids.is_empty() {
            return Err(Refusal::CancelFailed);
        }
        ids.into_iter().for_each(|id| self.verdict(id, State::Cancelled, 0));
        Ok(())
    }

    pub(super) fn replace(&mut self, session: SessionId, token: u64, id: MessageId, source: &Address, with: Box<Replacement>) {
        let allowed = self.own(session, id, source).and_then(|_| self.rules_at_replace(id, &with));
        let result = allowed.and_then(|()| match self.is_still_ours(id) {
            true => {
                let charge = self.reprice(id, &with)?;
                let event = Event::Replaced { message: id, with };
                self.record(&event);
                if let Event::Replaced { with, .. } = &event {
                    self.apply_replaced(id, with);
                }
                if let Some(charge) = charge {
                    self.record(&Event::Reserved { message: id, charge });
                    self.apply_reserved(id, charge);
                }
                Ok(())
            }
            false => Err(Refusal::ReplaceFailed),
        });
        self.done(session, token, result);
    }

    /// What a REPLACED event means. Live and in replay.
    pub(super) fn apply_replaced(&mut self, id: MessageId, with: &Replacement) {
        self.touch(id);
        let Some(entry) = self.messages.get_mut(&id) else { return };
        let message = Arc::make_mut(&mut entry.message);
        self.body_octets -= message.body.octets.len();
        self.body_octets += with.octets.len();
        message.body = Body { header_len: 0, octets: with.octets.clone(), ..message.body.clone() };
        message.report = with.report;
        if with.expires_ms != 0 {
            message.expires_ms = with.expires_ms;
        }
        if with.due_ms != 0 {
            message.due_ms = with.due_ms;
            // Already in a lane: it leaves the lane (its place there is stale) and waits for the new time.
            if matches!(entry.phase, Phase::Waiting(_)) && with.due_ms > self.now.wall_ms && !self.replaying {
                let wait_ms = with.due_ms - self.now.wall_ms;
                self.defer(id, wait_ms);
            }
        }
    }

    fn done(&mut self, session: SessionId, token: u64, result: Result<(), Refusal>) {
        match result {
            Ok(()) => self.after_commit(Effect::Done { session, token }),
            Err(refusal) => self.reply(session, UpstreamReply::Done { token, result: Err(refusal) }),
        }
    }
}
