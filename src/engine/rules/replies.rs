//! Opting out by reply, and in again: a message from a phone that is one of the configured words changes a list at once. The change is on record in the
//! batch with which the carrier gets its answer.

use super::super::Engine;
use super::super::event::Event;
use super::super::port::InboundPart;
use super::lists::{Level, ListKind, ListName, Sender};
use super::plan::ReplyLevel;
use super::routing::Owner;
use crate::model::{AccountId, Body, MessageId};
use crate::number::normalise;
use crate::text::transcode::text_of;

/// Longer texts are read only so far: a word stands at the beginning.
const TEXT_OCTETS: usize = 280;

impl Engine {
    /// Looks at an inbound message, called `message`. False if the account is not to get it.
    pub(in crate::engine) fn phone_replied(&mut self, message: MessageId, from: &InboundPart, body: &Body, owner: &Owner) -> bool {
        let plan = std::sync::Arc::clone(&self.plan);
        let Ok(phone) = normalise(&from.source.digits, from.source.ton, plan.home) else {
            // Nobody can write to it either.
            return true;
        };
        let (rules, out, back) = plan.rules.replies(owner.account, phone);
        if out.is_empty() && back.is_empty() {
            return true;
        }
        let Some(text) = text_start(body) else { return true };
        if out.mean(&text) {
            self.opt_out(message, phone, from, owner, rules.level);
        } else if back.mean(&text) {
            self.opt_in(message, phone, from, owner);
        } else {
            return true;
        }
        rules.deliver
    }

    /// The sender that was replied to: the service number without the digits behind it, or all of it where it is nobody's.
    fn replied_to(from: &InboundPart, owner: &Owner) -> Option<Level> {
        let digits = from.destination.as_bytes();
        let length = if owner.service > 0 { owner.service.min(digits.len()) } else { digits.len() };
        Sender::new(&digits[..length]).map(Level::Sender)
    }

    fn opt_out(&mut self, message: MessageId, phone: u64, from: &InboundPart, owner: &Owner, level: ReplyLevel) {
        self.rules.tally.opt_outs += 1;
        let level = match (level, owner.account) {
            (ReplyLevel::Platform, _) => Some(Level::Platform),
            (ReplyLevel::Account, Some(account)) => Some(Level::Account(account)),
            // Nobody's number: what is sent from it is bound all the same.
            _ => Self::replied_to(from, owner),
        };
        let listed = level.map(|level| ListName::new(ListKind::OptOut, level));
        // Past the bound of lists an account's list, which is one, takes it.
        let room = listed.filter(|list| self.rules.lists.has_room(list, 1));
        let fallback = || owner.account.map_or(Level::Platform, Level::Account);
        let list = room.unwrap_or_else(|| ListName::new(ListKind::OptOut, fallback()));
        self.replied(message, phone, owner.account, list, false);
    }

    /// Takes the phone out of every opt-out list that could have come of an earlier reply to this number.
    fn opt_in(&mut self, message: MessageId, phone: u64, from: &InboundPart, owner: &Owner) {
        self.rules.tally.opt_ins += 1;
        let mut lists = Vec::new();
        let account = owner.account.unwrap_or(AccountId(u32::MAX));
        self.rules.lists.each(phone, account, &from.destination, &mut |name| lists.push(name.clone()));
        for list in lists.into_iter().filter(|list| list.kind == ListKind::OptOut) {
            self.replied(message, phone, owner.account, list, true);
        }
    }

    fn replied(&mut self, message: MessageId, number: u64, account: Option<AccountId>, list: ListName, back: bool) {
        let stands = self.rules.lists.get(&list).is_some_and(|set| set.contains(number));
        if stands == back {
            self.record(&Event::Replied { message, account, list: list.clone(), number, back, at_ms: self.now.wall_ms });
            self.apply_reply(message, &list, number, back);
        }
    }
}

/// The beginning of a text; `None` for what is none.
fn text_start(body: &Body) -> Option<String> {
    let text = body.text();
    if text.len() <= TEXT_OCTETS {
        return text_of(body);
    }
    let header = usize::from(body.header_len);
    text_of(&Body { octets: body.octets[..header + TEXT_OCTETS].into(), ..body.clone() })
}
