//! The rules as configured: part of the plan, read by the hot path, swapped with it.

use super::phrases::Phrases;
use super::routing::InboundRule;
use super::velocity::VelocityRule;
use super::words::Words;
use crate::model::{AccountId, CarrierId};
use crate::number::{PrefixTable, RangeTable};
use std::sync::Arc;

/// All rules that are configured.
#[derive(Debug, Clone, Default)]
pub struct RulesPlan {
    pub(in crate::engine) accounts: Vec<AccountRules>,
    pub(in crate::engine) carriers: Vec<CarrierRules>,
    /// Some account or carrier has a rule for what is sent.
    pub(in crate::engine) any: bool,
    /// Replies that opt out, for accounts without rules of their own.
    pub replies: ReplyRules,
    /// Words for phones of certain prefixes; the longest prefix counts.
    pub replies_by_prefix: Option<PrefixTable<(Words, Words)>>,
    /// Who gets which inbound message, besides the accounts' own service numbers.
    pub inbound: Vec<InboundRule>,
}

/// An account's.
#[derive(Debug, Clone, Default)]
pub struct AccountRules {
    /// Where it may write to; `None`: anywhere.
    pub allowed: Option<Allowed>,
    /// Its velocity limits.
    pub velocity: Vec<VelocityRule>,
    /// Phrases that its texts must not have.
    pub phrases: Option<Arc<Phrases>>,
    /// Its own rules for replies; `None`: those of all.
    pub replies: Option<ReplyRules>,
}

/// Countries and prefixes.
#[derive(Debug, Clone)]
pub struct Allowed {
    /// Countries as the range table names them (`CN`).
    pub countries: Vec<String>,
    /// Prefixes, whatever their country.
    pub prefixes: PrefixTable<()>,
}

impl Allowed {
    /// `number` is in one of them. A number of no known country is in none.
    pub fn permits(&self, number: u64, ranges: &RangeTable) -> bool {
        let country = || ranges.find(number).map_or("", |range| ranges.name(ranges.get(range).country));
        self.prefixes.get(number).is_some() || (!self.countries.is_empty() && self.countries.iter().any(|allowed| allowed == country()))
    }
}

impl AccountRules {
    fn is_any(&self) -> bool {
        self.allowed.is_some() || !self.velocity.is_empty() || self.phrases.is_some()
    }
}

/// A carrier's.
#[derive(Debug, Clone, Default)]
pub struct CarrierRules {
    /// Phrases that must not be sent to it.
    pub phrases: Option<Arc<Phrases>>,
    /// What has one goes to the next carrier of its route; else it is rejected.
    pub elsewhere: bool,
}

/// What a reply that opts out binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplyLevel {
    /// The sender that was replied to.
    #[default]
    Sender,
    /// The account that it belongs to.
    Account,
    /// Everybody.
    Platform,
}

/// What is made of replies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplyRules {
    /// Words that opt out; none: replies are not looked at.
    pub out: Words,
    /// The words are an account's own: no country's words take their place.
    pub own: bool,
    /// Words that opt in again.
    pub back: Words,
    /// What opting out binds.
    pub level: ReplyLevel,
    /// The account gets the reply all the same.
    pub deliver: bool,
}

static NO_ACCOUNT: AccountRules = AccountRules { allowed: None, velocity: Vec::new(), phrases: None, replies: None };
static NO_CARRIER: CarrierRules = CarrierRules { phrases: None, elsewhere: false };

impl RulesPlan {
    /// The rules of accounts and carriers, each in the order of their ids; missing ones have none.
    pub fn new(accounts: Vec<AccountRules>, carriers: Vec<CarrierRules>) -> RulesPlan {
        let any = accounts.iter().any(AccountRules::is_any) || carriers.iter().any(|carrier| carrier.phrases.is_some());
        RulesPlan { accounts, carriers, any, ..RulesPlan::default() }
    }

    /// Some account or carrier has a rule for what is sent.
    #[inline]
    pub fn is_any(&self) -> bool {
        self.any
    }

    /// Those of an account.
    pub fn account(&self, id: AccountId) -> &AccountRules {
        self.accounts.get(id.0 as usize).unwrap_or(&NO_ACCOUNT)
    }

    /// Those of a carrier.
    pub fn carrier(&self, id: CarrierId) -> &CarrierRules {
        self.carriers.get(id.0 as usize).unwrap_or(&NO_CARRIER)
    }

    /// All accounts'.
    pub fn accounts(&self) -> &[AccountRules] {
        &self.accounts
    }

    /// All carriers'.
    pub fn carriers(&self) -> &[CarrierRules] {
        &self.carriers
    }

    /// What is made of a reply to this account (`None`: to nobody's number) from this phone: the rules, the words that opt out, the words that opt in.
    pub fn replies(&self, account: Option<AccountId>, phone: u64) -> (&ReplyRules, &Words, &Words) {
        let rules = account.and_then(|account| self.account(account).replies.as_ref()).unwrap_or(&self.replies);
        let local = self.replies_by_prefix.as_ref().filter(|_| !rules.own && !rules.out.is_empty());
        match local.and_then(|table| table.get(phone)) {
            Some((out, back)) => (rules, out, back),
            None => (rules, &rules.out, &rules.back),
        }
    }
}
