//! A query of a message that is over: the engine has forgotten it, the records have not. The engine asks for it ([`super::port::Output::Recall`]) and answers
//! when told ([`super::port::Input::Recalled`]); nothing waits meanwhile but that query.

use super::Engine;
use super::port::{Output, QueryAnswer, SessionId, UpstreamReply};
use crate::model::{Address, MessageId, Refusal, State};
use hashbrown::HashMap;

/// Queries that may wait for records at once; more are throttled.
const RECALLS_MAX: usize = 64;

/// A finished message, as far as a query may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Whose, by name.
    pub account: String,
    /// From whom.
    pub source: Vec<u8>,
    /// How it ended.
    pub state: State,
    /// When, wall milliseconds.
    pub final_ms: u64,
}

/// Queries that wait for records.
#[derive(Debug, Default)]
pub struct Recalls {
    on: bool,
    asked: HashMap<u64, (SessionId, u64, MessageId, Address)>,
    last: u64,
}

impl Engine {
    /// There are records that can be asked.
    pub fn may_recall(&mut self) {
        self.recalls.on = true;
    }

    /// Nothing alive is meant: the records are asked, or it is unknown.
    pub(super) fn recall(&mut self, session: SessionId, token: u64, message: MessageId, source: &Address, outputs: &mut Vec<Output>) {
        let refusal = match self.recalls.on {
            true if self.recalls.asked.len() < RECALLS_MAX => {
                self.recalls.last += 1;
                self.recalls.asked.insert(self.recalls.last, (session, token, message, source.clone()));
                return outputs.push(Output::Recall { number: self.recalls.last, message });
            }
            true => Refusal::Throttled,
            false => Refusal::UnknownMessage,
        };
        self.reply(session, UpstreamReply::Queried { token, result: Err(refusal) });
    }

    /// What the records know; only the message's own account and source are told.
    pub(super) fn recalled(&mut self, number: u64, found: Option<Finished>) {
        let Some((session, token, message, source)) = self.recalls.asked.remove(&number) else { return };
        let account = self.sessions.get(&session).map(|session| &self.plan.account(session.account).name);
        let own = found.filter(|found| Some(&found.account) == account && found.source.as_slice() == source.digits.as_slice());
        let result = own.map(|found| QueryAnswer { message, state: found.state, final_ms: found.final_ms, error: 0 });
        self.reply(session, UpstreamReply::Queried { token, result: result.ok_or(Refusal::UnknownMessage) });
    }
}
