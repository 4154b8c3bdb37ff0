//! Who may be written to: decided when a message is handed in, and again when it leaves.
//!
//! | rule | at intake | when leaving | file |
//! |---|---|---|---|
//! | block and opt-out lists: platform, account, sender | refused | rejected | [`lists`] |
//! | countries and prefixes that an account may write to | refused | rejected | [`plan`] |
//! | phrases denied to an account | refused | rejected | [`phrases`] |
//! | phrases denied by a carrier | – | goes elsewhere, or is rejected | [`phrases`] |
//! | messages of an account to one range in a window | refused | – | [`velocity`] |
//!
//! Lists change while the gateway runs ([`change`]), by administration and by phones that reply with the right word ([`replies`]). A change is in force at once
//! for all that waits, in memory or out of it, and answered once it is durable: it is an event of the journal, and the ledger's walk keeps the parts of lists
//! that have changed ([`keep`]). The decision is one function ([`decide`]), with a recorder for whoever wants to know each rule's word. Where nothing is
//! configured and nobody is listed it costs two comparisons.

pub mod change;
pub mod decide;
pub mod keep;
pub mod lists;
pub mod phrases;
pub mod plan;
pub mod replies;
pub mod routing;
pub mod velocity;
pub mod words;

use crate::model::{AccountId, CarrierId, Refusal};
use crate::telemetry::{PhraseFigure, RulesFigures};
use lists::Level;
use phrases::{Hits, Phrases};
use plan::RulesPlan;
use std::sync::Arc;

/// What the engine keeps for its rules.
#[derive(Debug, Default)]
pub struct Rules {
    pub(super) lists: lists::Lists,
    pub(super) velocity: velocity::Velocity,
    pub(super) changes: change::Changes,
    pub(super) keeping: keep::Keeping,
    tally: Tally,
}

/// Counted for metrics; starts at 0 with the process.
#[derive(Debug, Default)]
struct Tally {
    stopped: [u64; Refusal::ALL.len()],
    opt_outs: u64,
    opt_ins: u64,
    account_hits: Vec<Hits>,
    carrier_hits: Vec<Hits>,
}

impl Rules {
    pub(super) fn lists(&self) -> &lists::Lists {
        &self.lists
    }

    /// What the metrics tell of them; `names`: of accounts and carriers by id.
    fn figures(&self, plan: &RulesPlan, account: impl Fn(usize) -> String, carrier: impl Fn(usize) -> String) -> RulesFigures {
        let mut listed = [[0; 3]; 2];
        for (name, set) in self.lists.all() {
            let level = match name.level {
                Level::Platform => 0,
                Level::Account(_) => 1,
                Level::Sender(_) => 2,
            };
            listed[name.kind as usize][level] += set.len() as u64;
        }
        let mut phrases = Vec::new();
        // Only what was found: a thousand accounts with a list each are fifty thousand phrases, every second.
        let mut tell = |of: &dyn Fn() -> String, list: Option<&Arc<Phrases>>, hits: &Hits| {
            for (phrase, hits) in list.into_iter().flat_map(|list| hits.of(list)).filter(|(_, hits)| *hits > 0) {
                phrases.push(PhraseFigure { of: of(), phrase: phrase.chars().take(40).collect(), hits });
            }
        };
        for (at, hits) in self.tally.account_hits.iter().enumerate() {
            tell(&|| format!("account {}", account(at)), plan.account(AccountId(at as u32)).phrases.as_ref(), hits);
        }
        for (at, hits) in self.tally.carrier_hits.iter().enumerate() {
            tell(&|| format!("carrier {}", carrier(at)), plan.carrier(CarrierId(at as u16)).phrases.as_ref(), hits);
        }
        let stopped =
            [Refusal::Blocked, Refusal::OptedOut, Refusal::Country, Refusal::Phrase].map(|cause| self.tally.stopped[cause as usize]);
        let Tally { opt_outs, opt_ins, .. } = self.tally;
        RulesFigures { listed, stopped, replies: [opt_outs, opt_ins], velocity_counters: self.velocity.len() as u64, phrases }
    }
}

impl super::Engine {
    /// A phrase was found in a text.
    fn phrase_hit(&mut self, of: decide::PhraseOf, place: usize) {
        let tally = &mut self.rules.tally;
        let (hits, at, list) = match of {
            decide::PhraseOf::Account(of) => (&mut tally.account_hits, of.0 as usize, self.plan.rules.account(of).phrases.as_ref()),
            decide::PhraseOf::Carrier(of) => (&mut tally.carrier_hits, of.0 as usize, self.plan.rules.carrier(of).phrases.as_ref()),
        };
        if hits.len() <= at {
            hits.resize_with(at + 1, Hits::default);
        }
        if let Some(list) = list {
            hits[at].count(list, place);
        }
    }

    /// What the metrics tell of the rules.
    pub(super) fn rules_figures(&self) -> RulesFigures {
        let plan = &self.plan;
        let account = |at: usize| plan.accounts.get(at).map_or_else(String::new, |account| account.name.clone());
        let carrier = |at: usize| plan.carriers.get(at).map_or_else(String::new, |carrier| carrier.name.clone());
        self.rules.figures(&plan.rules, account, carrier)
    }
}
