//! Numbers that get into lists while messages to them wait: an operator blocks them and lifts blocks, phones opt out by reply. From the answer on nothing
//! may leave to them; until then everything is possible.

use super::course::World;
use super::plan::ACCOUNTS;
use crate::engine::port::{Input, RulesRequest};
use crate::engine::rules::lists::{Level, ListKind, ListName, Numbers};
use crate::engine::rules::plan::{ReplyLevel, ReplyRules, RulesPlan};
use crate::engine::rules::words::Words;
use crate::model::AccountId;
use crate::number::pack;
use std::collections::BTreeMap;

/// Whose messages a list stops: the phone, and the account unless all are meant.
type Stops = (String, Option<usize>);

/// What is asked and what is certain.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Blocks that were asked for and are not answered yet; `false`: to be lifted.
    asked: BTreeMap<u64, (Stops, bool)>,
    /// Replies that no carrier was told 0 for yet, by carrier and token.
    replies: BTreeMap<(usize, u64), Stops>,
    /// What is blocked, or opted out, for certain.
    certain: BTreeMap<(&'static str, Stops), ()>,
    last_token: u64,
    pub answered: u64,
}

/// The service number of an account.
pub(super) fn service(account: &str) -> String {
    let at = ACCOUNTS.iter().position(|name| *name == account).unwrap_or(ACCOUNTS.len());
    super::inbound::service_number(at)
}

/// Replies bind the account, for the messages of a world have names as senders.
pub(super) fn rules() -> RulesPlan {
    let mut rules = RulesPlan::default();
    rules.replies = ReplyRules { out: Words::new(["TD", "T"]), level: ReplyLevel::Account, deliver: true, ..ReplyRules::default() };
    rules
}

impl World {
    /// Some phone that is written to is blocked, or opts out; or a block is lifted.
    pub(super) fn list_one(&mut self) {
        let last = self.judge.records.len().saturating_sub(1) as u64;
        let at = self.dice.up_to(last) as usize;
        let Some(record) = self.judge.records.get(at) else { return };
        let (digits, account) = (record.digits.clone(), record.account);
        match self.dice.up_to(3) {
            0 if account < ACCOUNTS.len() => self.phone_opts_out(digits, account),
            0 => self.ask_block((digits, Some(account)), true),
            1 => self.ask_block((digits, Some(account)), true),
            2 => self.ask_block((digits, None), true),
            _ => {
                let blocked: Vec<Stops> =
                    self.listing.certain.keys().filter(|(what, _)| *what == "block").map(|(_, stops)| stops.clone()).collect();
                let Some(last) = blocked.len().checked_sub(1) else { return };
                let at = self.dice.up_to(last as u64) as usize;
                self.ask_block(blocked[at].clone(), false);
            }
        }
    }

    fn ask_block(&mut self, stops: Stops, add: bool) {
        if self.gateway.engine.is_none() {
            return;
        }
        let level = stops.1.map_or(Level::Platform, |account| Level::Account(AccountId(account as u32)));
        let list = ListName::new(ListKind::Block, level);
        let numbers = Numbers::new(pack(stops.0.as_bytes()).into_iter().collect());
        let request = match add {
            true => RulesRequest::Add { list, numbers },
            false => RulesRequest::Remove { list, numbers },
        };
        self.note(None, || format!("operator: {request:?}"));
        if add {
            self.judge.may_be_listed(&stops.0, stops.1);
        } else if self.listing.certain.remove(&("block", stops.clone())).is_some() {
            self.judge.certainly_listed(&stops.0, stops.1, false);
        }
        self.listing.last_token += 1;
        let token = self.listing.last_token;
        // A later wish for the same takes the place of an earlier one: that one's answer makes nothing certain any more.
        self.listing.asked.retain(|_, (other, _)| *other != stops);
        self.listing.asked.insert(token, (stops, add));
        self.hand_in(vec![Input::Rules { token, request: Box::new(request) }]);
    }

    /// The engine answered.
    pub(super) fn list_answered(&mut self, token: u64, is_done: bool) {
        self.note(None, || format!("operator is answered, done: {is_done}"));
        self.listing.answered += u64::from(is_done);
        if let Some((stops, true)) = self.listing.asked.remove(&token)
            && is_done
        {
            self.make_certain("block", stops);
        }
    }

    fn make_certain(&mut self, what: &'static str, stops: Stops) {
        if self.listing.certain.insert((what, stops.clone()), ()).is_none() {
            self.judge.certainly_listed(&stops.0, stops.1, true);
        }
    }

    fn phone_opts_out(&mut self, digits: String, account: usize) {
        let now = self.now();
        let carrier = self.dice.up_to(self.operators.len() as u64 - 1) as usize;
        let text = ["TD", " td.", "T"][self.dice.up_to(2) as usize];
        let token = self.operators[carrier].carrier.say(&digits, &service(ACCOUNTS[account]), text, now);
        self.note(None, || format!("phone {digits} says {text:?} to {}", ACCOUNTS[account]));
        self.judge.may_be_listed(&digits, Some(account));
        self.listing.replies.insert((carrier, token), (digits, Some(account)));
        self.wake_operators(carrier, usize::MAX);
    }

    /// A carrier's delivery was answered with 0, or wasn't.
    pub(super) fn phone_heard(&mut self, carrier: usize, token: u64, is_taken: bool) {
        if is_taken && let Some(stops) = self.listing.replies.remove(&(carrier, token)) {
            self.listing.answered += 1;
            self.make_certain("opt-out", stops);
        }
    }
}
