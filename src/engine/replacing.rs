//! Submissions that replace (replace_if_present_flag): the account's newest message of the same source, destination and service_type, if nothing of it has
//! been handed to a carrier, is cancelled by the batch that takes the new one; else the new one is a message like any other. Waiting messages are found by
//! an index of the account, made when it first replaces and kept while it goes on; other accounts cost nothing. Messages out of memory are looked for first
//! ([`super::search`]).

use super::Engine;
use super::port::{Draft, SessionId};
use crate::model::{AccountId, Message, MessageId, State};
use hashbrown::HashMap;
use xxhash_rust::xxh3::Xxh3;

/// An account's index may hold so many messages that are over, and as many again as wait; then it is made anew at the next use.
const STALE_MAX: usize = 10_000;

/// The newest message in memory of each source, destination and service_type, for accounts that replace.
#[derive(Debug, Default)]
pub struct Replaceable(HashMap<AccountId, HashMap<u64, MessageId>>);

/// What a message must share with another to be replaced by it. Of a text that upstream cut itself each part replaces its like.
fn key_of(message: &Message) -> u64 {
    let mut hash = Xxh3::new();
    for field in [&message.source.digits[..], &message.destination.digits, &message.service_type] {
        hash.update(&[field.len() as u8]);
        hash.update(field);
    }
    hash.update(&[message.part.map_or(0, |part| part.number)]);
    hash.digest()
}

/// `new` replaces `old`, if that still waits.
pub(super) fn replaces(new: &Message, old: &Message) -> bool {
    new.account == old.account && key_of(new) == key_of(old)
}

impl Engine {
    /// A submission that replaces. What it may mean is in memory.
    pub(super) fn submit_replacing(&mut self, session: SessionId, draft: Draft) {
        let account = draft.message.account;
        if !self.replaceable.0.contains_key(&account) {
            let mut index = HashMap::new();
            for message in self.messages.values().map(|entry| &entry.message).filter(|message| message.account == account) {
                let newest = index.entry(key_of(message)).or_insert(message.id);
                *newest = message.id.max(*newest);
            }
            self.replaceable.0.insert(account, index);
        }
        self.intake(session, draft, true);
    }

    /// A message came into memory.
    pub(super) fn may_be_replaced(&mut self, message: &Message) {
        if self.replaceable.0.is_empty() {
            return;
        }
        let waiting = self.accounts[message.account.0 as usize].waiting as usize;
        let Some(index) = self.replaceable.0.get_mut(&message.account) else { return };
        if index.len() > STALE_MAX + 2 * waiting {
            self.replaceable.0.remove(&message.account);
            return;
        }
        let newest = index.entry(key_of(message)).or_insert(message.id);
        *newest = message.id.max(*newest);
    }

    /// The batch that takes `message` ends the one that it replaces.
    pub(super) fn end_replaced(&mut self, message: &Message) {
        let old = self.replaceable.0.get(&message.account).and_then(|index| index.get(&key_of(message))).copied();
        if let Some(old) = old.filter(|&old| self.is_still_ours(old)) {
            self.verdict(old, State::Cancelled, 0);
        }
    }
}
