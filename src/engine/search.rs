//! Inputs that mean many messages of which some are out of memory (cancelling all of a kind, a submission that replaces): the chunks that may hold them are
//! read one after another, what has one comes back into memory, and then the input is taken as any other. Nothing is answered before. What means one
//! message is [`super::seek`]'s.

use super::Engine;
use super::event::{self, Event};
use super::port::{CancelWhat, Input, Output, SessionId, UpstreamReply};
use crate::model::{AccountId, Address, Message, MessageId, Refusal};
use std::collections::VecDeque;

/// Inputs that may wait for chunks at once; more are refused.
const SEARCHES_MAX: usize = 64;

/// An input that waits for chunks.
#[derive(Debug)]
pub struct Search {
    input: Input,
    account: AccountId,
    /// The chunks that are still to be looked into; the first is being read if `asked`.
    chunks: VecDeque<u64>,
    asked: bool,
    /// The newest chunk that was looked for.
    upto: u64,
}

/// The one message that an input means, if it means one.
fn meant(input: &Input) -> Option<MessageId> {
    match input {
        Input::Query { message, .. } | Input::Replace { message, .. } => Some(*message),
        Input::Cancel { what: CancelWhat::One { message, .. }, .. } => Some(*message),
        Input::Control { request, .. } => super::control::meant(request),
        _ => None,
    }
}

fn is_meant(input: &Input, account: AccountId, message: &Message) -> bool {
    match input {
        Input::Cancel { what: CancelWhat::All { source, destination, service_type }, .. } => {
            message.account == account && fits(message, source, destination, service_type)
        }
        Input::SubmitReplacing { drafts, .. } => drafts.iter().any(|draft| super::replacing::replaces(&draft.message, message)),
        _ => false,
    }
}

/// A cancel of all from `source` to `destination` means this message, if it is the account's.
pub fn fits(message: &Message, source: &Address, destination: &Address, service_type: &[u8]) -> bool {
    message.source.digits == source.digits
        && message.destination.digits == destination.digits
        && (service_type.is_empty() || message.service_type.as_slice() == service_type)
}

impl Engine {
    /// Gives the input back if all that it means is in memory; else it waits for that.
    pub(super) fn seek(&mut self, input: Input) -> Option<Input> {
        if let Input::Control { .. } = &input {
            // An operator is no session: where too much waits nobody answers, and the question runs into its time.
            return match meant(&input) {
                Some(message) => self.seek_one(input, message, SessionId(0)),
                None => Some(input),
            };
        }
        let (Input::Query { session, .. }
        | Input::Cancel { session, .. }
        | Input::Replace { session, .. }
        | Input::SubmitReplacing { session, .. }) = &input
        else {
            return Some(input);
        };
        let Some(account) = self.sessions.get(session).map(|s| s.account) else { return Some(input) };
        let session = *session;
        if let Some(message) = meant(&input) {
            return self.seek_one(input, message, session);
        }
        let chunks = self.may_hold(account, 0);
        let Some(&upto) = chunks.back() else { return Some(input) };
        if self.cold.searches.len() >= SEARCHES_MAX {
            self.refuse_search(session, &input);
            return None;
        }
        self.cold.searches.push_back(Search { input, account, chunks, asked: false, upto });
        None
    }

    /// Too much is looked for already.
    pub(super) fn refuse_search(&mut self, session: SessionId, input: &Input) {
        let refusal = Refusal::Throttled;
        match input {
            Input::Query { token, .. } => self.reply(session, UpstreamReply::Queried { token: *token, result: Err(refusal) }),
            Input::Cancel { token, .. } | Input::Replace { token, .. } => {
                self.reply(session, UpstreamReply::Done { token: *token, result: Err(refusal) });
            }
            Input::SubmitReplacing { drafts, .. } => {
                drafts.iter().for_each(|draft| self.reply(session, UpstreamReply::Answer { token: draft.token, result: Err(refusal) }))
            }
            _ => {}
        }
    }

    /// Something that is looked for is in this chunk.
    pub(super) fn is_sought(&self, chunk: u64, found: Option<&(Vec<u8>, Vec<u8>)>) -> bool {
        let searches: Vec<_> = self.cold.searches.iter().filter(|s| s.chunks.front() == Some(&chunk)).collect();
        let Some((octets, _)) = found.filter(|_| !searches.is_empty() && self.is_cold(chunk)) else { return false };
        let mut sought = false;
        // Octets that are no events are told when the chunk is needed.
        let _ = event::read_group(octets, &mut |_, event| {
            if let Event::Accepted(message) = event {
                sought |= searches.iter().any(|search| is_meant(&search.input, search.account, &message));
            }
        });
        sought
    }

    /// This chunk was looked into: searches go on, or are over.
    pub(super) fn searched(&mut self, chunk: u64, outputs: &mut Vec<Output>) {
        for _ in 0..self.cold.searches.len() {
            let Some(mut search) = self.cold.searches.pop_front() else { return };
            if search.asked && search.chunks.front() == Some(&chunk) {
                search.chunks.pop_front();
                search.asked = false;
            }
            if search.chunks.is_empty() {
                // What was in memory when the search began may have left it since.
                search.chunks = self.may_hold(search.account, search.upto);
                search.upto = search.chunks.back().copied().unwrap_or(search.upto);
            }
            match search.chunks.is_empty() {
                true => self.take_here(search.input, outputs),
                false => self.cold.searches.push_back(search),
            }
        }
    }

    pub(super) fn read_for_searches(&mut self, outputs: &mut Vec<Output>) {
        for search in self.cold.searches.iter_mut().filter(|search| !search.asked) {
            if let Some(&chunk) = search.chunks.front() {
                search.asked = true;
                outputs.push(Output::ReadChunk(chunk));
            }
        }
    }
}
