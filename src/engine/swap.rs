//! Another plan while running: swapped whole. Ids keep their meaning (a plan only ever grows; what is configured no more stays as a ghost), buckets and
//! queues keep their state, limits that were changed while running stay in force over it. What waits at a carrier that is configured no more fails over as
//! from any carrier without binds.

use super::dispatch::Dispatcher;
use super::plan::Plan;
use super::throttle::Bucket;
use super::{AccountState, Engine};
use crate::telemetry::AccountFigures;
use std::sync::Arc;

impl Engine {
    /// Takes the plan that the configuration now says.
    ///
    /// # Panics
    /// If it knows fewer accounts or carriers than before: names keep their places for ever.
    pub(super) fn swap_plan(&mut self, plan: Arc<Plan>) {
        assert!(plan.accounts.len() >= self.accounts.len() && plan.carriers.len() >= self.dispatchers.len(), "a plan only ever grows");
        self.base = plan;
        let shares = super::shares(&self.base);
        for carrier in &self.base.carriers[self.dispatchers.len()..] {
            self.dispatchers.push(Dispatcher::new(carrier, shares, self.now));
        }
        for account in &self.base.accounts[self.accounts.len()..] {
            let bucket = Bucket::new(account.rate_per_s, 0, self.now);
            self.accounts.push(AccountState { waiting: 0, bucket, figures: AccountFigures::default() });
        }
        self.outbox.grow(self.base.accounts.len());
        self.dedupe.grow(self.base.accounts.len());
        self.balances.resize(self.base.accounts.len(), Default::default());
        self.hours.forget();
        self.index.follow(&self.base);
        self.inbound.follow(&self.base.bounds);
        self.quality.follow(&self.base);
        let (campaigns, now) = (&self.campaigns, self.now);
        self.limits.replan(&self.base.limits, &self.base.ranges, |name| campaigns.find(name), now);
        let base = Arc::clone(&self.base);
        self.router.follow(&base);
        self.overlay_changed();
        for at in 0..self.dispatchers.len() {
            for (account, plan) in self.plan.accounts.iter().enumerate() {
                self.dispatchers[at].lanes.set_weight(crate::model::AccountId(account as u32), plan.weight);
            }
            let limits = &self.limits;
            self.dispatchers[at].lanes.set_limits(|split| limits.of(split));
        }
    }

    /// The plan in force is the configured one with the limits of the overlay; buckets and reserves follow it.
    pub(super) fn merge_plan(&mut self) {
        self.plan = self.overlay.merged(&self.base).map_or_else(|| Arc::clone(&self.base), Arc::new);
        for (state, plan) in self.accounts.iter_mut().zip(&self.plan.accounts) {
            state.bucket.set_rate(plan.rate_per_s.map(f64::from), 0, self.now);
        }
        let shares = super::shares(&self.plan);
        for (dispatcher, plan) in self.dispatchers.iter_mut().zip(&self.plan.carriers) {
            dispatcher.follow(plan, shares, self.now);
        }
    }
}
