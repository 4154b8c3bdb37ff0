//! Whose an inbound message is: the longest service number that it was sent to, then the keyword that it begins with, then the carrier's default.

use super::super::Engine;
use super::words::begins_with;
use crate::model::{AccountId, Body, CarrierId};
use crate::text::fold::fold;
use crate::text::transcode::text_of;

/// One configured rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundRule {
    /// Beginning of the service number; what follows is an extension. Empty: any number.
    pub service: Vec<u8>,
    /// First word of the text, folded; empty: any text.
    pub keyword: String,
    /// Only from this carrier.
    pub carrier: Option<CarrierId>,
    /// Whose it is.
    pub account: AccountId,
}

impl InboundRule {
    /// A rule; the keyword as people write it.
    pub fn new(service: &[u8], keyword: &str, carrier: Option<CarrierId>, account: AccountId) -> InboundRule {
        InboundRule { service: service.to_vec(), keyword: fold(keyword.trim()), carrier, account }
    }
}

/// Whose an inbound message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    /// The account; `None`: nobody's.
    pub account: Option<AccountId>,
    /// Digits of the service number that it was found by; 0 if by none.
    pub service: usize,
}

impl Engine {
    /// The owner of a message with this `body` to `destination` (digits after a service number are an extension), which came from `carrier`. Of rules that
    /// fit, the one with the longest number counts, then one with a keyword (the longest), then one for this carrier; of equals the first. An account's own
    /// service numbers are rules without a keyword.
    pub(in crate::engine) fn owner(&self, carrier: CarrierId, destination: &[u8], body: &Body) -> Owner {
        let mut text = None;
        let mut best: Option<((usize, usize, bool), AccountId)> = None;
        for rule in &self.plan.rules.inbound {
            if !destination.starts_with(&rule.service) || rule.carrier.is_some_and(|only| only != carrier) {
                continue;
            }
            let rank = (rule.service.len(), rule.keyword.len(), rule.carrier.is_some());
            if best.is_some_and(|(better, _)| rank <= better) {
                continue;
            }
            if !rule.keyword.is_empty() {
                let text: &Option<String> = text.get_or_insert_with(|| text_of(body));
                if !text.as_ref().is_some_and(|text| begins_with(text, &rule.keyword)) {
                    continue;
                }
            }
            best = Some((rank, rule.account));
        }
        let own = |numbers: &Vec<Vec<u8>>| numbers.iter().filter(|n| destination.starts_with(n)).map(Vec::len).max();
        for (at, account) in self.plan.accounts.iter().enumerate() {
            if let Some(length) = own(&account.service_numbers)
                && best.is_none_or(|(better, _)| (length, 0, false) > better)
            {
                best = Some(((length, 0, false), AccountId(at as u32)));
            }
        }
        match best {
            Some(((service, ..), account)) => Owner { account: Some(account), service },
            None => Owner { account: self.plan.carrier(carrier).inbound_account, service: 0 },
        }
    }
}
