//! The operator of the world: now and then changes something while everything runs. What was cancelled must never leave, what was paused must come out
//! again, and another plan must lose nothing.

use super::course::{Due, World};
use super::judge::{Judged, Wrong};
use super::plan::{ACCOUNTS, CARRIERS, carriers_of};
use crate::engine::control::{Answer, Answered, Ask, Request, Which};
use crate::engine::overlay::{Action, Limit};
use crate::engine::port::Input;
use crate::engine::scope::Scope;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the operator has asked for and not been answered yet.
#[derive(Debug, Default)]
pub(super) struct OperatorDesk {
    token: u64,
    /// Messages that a cancel may mean, by the request's token.
    cancels: BTreeMap<u64, Vec<usize>>,
    open: usize,
    /// Changes that are in force as far as the operator knows.
    in_force: Vec<u64>,
    /// Whatever is in force must be lifted before the world comes to rest.
    lifting: bool,
    has_lifted: bool,
}

impl OperatorDesk {
    /// Nothing is asked, and nothing is left in force.
    pub fn is_idle(&self) -> bool {
        !self.lifting || self.has_lifted
    }

    /// Answers that were under way will never come.
    pub fn crashed(&mut self) {
        self.cancels.clear();
        self.open = 0;
        self.has_lifted = false;
    }
}

impl World {
    pub(super) fn next_operation(&mut self) {
        let every_ms = self.settings.operate_every_ms;
        if every_ms > 0 && !self.is_calm {
            let us = self.dice.up_to(2 * every_ms * 1000);
            self.after(us, Due::Operate);
        }
    }

    pub(super) fn operate(&mut self) -> Judged {
        if self.settings.operate_every_ms == 0 {
            return Ok(());
        }
        if self.is_calm {
            return self.lift_everything();
        }
        self.next_operation();
        if self.gateway.engine.is_none() {
            return Ok(());
        }
        let account = self.dice.up_to(ACCOUNTS.len() as u64 - 1) as usize;
        // The first two of them, if there are so many.
        let names = &CARRIERS[..carriers_of(&self.settings).min(2)];
        let carrier = names[self.dice.up_to(names.len() as u64 - 1) as usize];
        let scope = match self.dice.up_to(4) {
            0 => Scope { account: Some(ACCOUNTS[account].to_owned()), ..Scope::default() },
            1 => Scope { class: Some("marketing".to_owned()), ..Scope::default() },
            2 => Scope { prefix: Some("8613800".to_owned()), ..Scope::default() },
            3 => Scope::of_carrier(carrier, None),
            _ => Scope::of_carrier(carrier, Some(0)),
        };
        let other = if carrier == "north" { "south" } else { "north" };
        let until_ms = self.dice.chance(0.5).then(|| self.now().wall_ms + 500 + self.dice.up_to(5_000));
        match self.dice.up_to(7) {
            0 | 1 => self.begin(Action::Pause { scope }, until_ms),
            2 => self.begin(Action::Drain { scope: Scope::of_carrier(carrier, None), then_unbind: false }, until_ms),
            3 if names.len() > 1 => {
                // An operator's word goes over every route.
                self.judge.opened.insert(u16::from(other == "south"));
                self.begin(Action::Reroute { scope: Scope { bind: None, ..scope }, to: other.to_owned() }, until_ms);
            }
            4 => {
                let rate_per_s = Some([0, 5, 50][self.dice.up_to(2) as usize]);
                let limit = match self.settings.dispatch.is_some() && self.dice.chance(0.3) {
                    true => Limit { account: Some(ACCOUNTS[account].to_owned()), rate_per_s, ..Limit::default() },
                    false => Limit { carrier: Some(carrier.to_owned()), rate_per_s, burst: self.changed_burst(), ..Limit::default() },
                };
                self.begin(Action::Limit { limit }, until_ms);
            }
            5 => self.cancel_account(account),
            6 => {
                if let Some(id) = self.operator.in_force.pop() {
                    self.order(Ask::End(Which::Id(id)));
                }
            }
            _ if self.settings.dispatch.is_some() => self.reload(),
            _ => {
                let mut plan = (*self.gateway.plan).clone();
                for carrier in &mut plan.carriers {
                    carrier.rate_per_s = [None, Some(30)][self.dice.up_to(1) as usize];
                }
                self.note(None, || "operator: another plan".into());
                self.hand_in(vec![Input::Plan(Arc::new(plan))]);
            }
        }
        Ok(())
    }

    fn changed_burst(&mut self) -> Option<u32> {
        self.settings.dispatch.as_ref()?;
        [None, Some(1), Some(6)][self.dice.up_to(2) as usize]
    }

    fn begin(&mut self, action: Action, until_ms: Option<u64>) {
        self.order(Ask::Begin { action, until_ms });
    }

    fn cancel_account(&mut self, account: usize) {
        let scope = Scope { account: Some(ACCOUNTS[account].to_owned()), ..Scope::default() };
        self.order(Ask::Begin { action: Action::Cancel { scope, upto: 0 }, until_ms: None });
        // What is on its way into the engine now may be meant too: whoever is written down when the answer comes is looked at then.
        self.operator.cancels.insert(self.operator.token, vec![account]);
    }

    fn order(&mut self, ask: Ask) {
        self.operator.token += 1;
        self.operator.open += 1;
        let token = self.operator.token;
        self.note(None, || format!("operator: {ask:?}"));
        let request = Box::new(Request { who: "operator".to_owned(), reason: String::new(), ask });
        self.hand_in(vec![Input::Control { token, request }]);
    }

    /// Before an output of the same step is looked at: a cancel that was handed in may end whatever is written down by now.
    pub(super) fn cancels_taken_in(&mut self) {
        let accounts: Vec<usize> = self.operator.cancels.values().flatten().copied().collect();
        for account in accounts {
            self.judge.may_cancel(account);
        }
    }

    pub(super) fn controlled(&mut self, token: u64, answer: &Answered) -> Judged {
        self.note(None, || format!("operator is told: {answer:?}"));
        self.operator.open = self.operator.open.saturating_sub(1);
        let accounts = self.operator.cancels.remove(&token).unwrap_or_default();
        match answer {
            Ok(Answer::Began(change)) => match &change.action {
                Action::Cancel { upto, .. } => {
                    for account in accounts {
                        let meant = self.judge.may_cancel(account);
                        self.judge.must_not_leave(&meant, *upto);
                    }
                }
                _ => self.operator.in_force.push(change.id),
            },
            Ok(_) => {}
            // It ended by itself meanwhile, or a crash took it before it was answered.
            Err(fault) if fault.code == "not_in_force" || fault.code == "store_failed" => {}
            // The wall clock jumped past the end that was asked for before the gateway read it.
            Err(fault) if fault.field == "until" && self.settings.wall_jump_every_ms > 0 => {}
            Err(fault) => return Err(Wrong { what: format!("the operator is refused: {fault:?}"), message: None }),
        }
        Ok(())
    }

    /// From now on nothing is in force: again and again until the gateway says so.
    fn lift_everything(&mut self) -> Judged {
        self.operator.lifting = true;
        let mut ids = Vec::new();
        if let Some(engine) = &self.gateway.engine {
            ids = engine.changes_in_force();
            self.operator.has_lifted = ids.is_empty() && self.operator.open == 0;
        }
        if !self.operator.has_lifted {
            ids.into_iter().for_each(|id| self.order(Ask::End(Which::Id(id))));
        }
        // A crash brings back what was not lifted durably.
        self.after(1_000_000, Due::Operate);
        Ok(())
    }
}
