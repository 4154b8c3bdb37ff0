//! Stop 8, the choice: which carrier of its route takes a message. Health decides first, then the route's order, and between equals the weights
//! (by turns, or by the number where the route is sticky), else the cost. What the decision changes lives here: turns, healths, the memo of routes.

use super::dispatch::Dispatcher;
use super::health::Health;
use super::plan::Plan;
use super::routes::{CARRIERS_MAX, Memo, Route, Routes};
use super::why::{Because, Recorder, Why};
use crate::model::{CarrierId, Message, Now};
use crate::number::RangeTable;
use std::sync::Arc;

/// Where the turns of a weighted route stand: how far each carrier is ahead of its share.
pub type Turns = [i64; CARRIERS_MAX];

/// What routing remembers between messages. Nothing of it is on record: it is learned again.
#[derive(Debug, Clone)]
pub struct Router {
    routes: Arc<Routes>,
    ranges: Arc<RangeTable>,
    memo: Memo,
    turns: Vec<Turns>,
    /// How each carrier fares.
    pub healths: Vec<Health>,
}

impl Router {
    /// For these routes and carriers, all of them well.
    pub fn new(plan: &Plan) -> Router {
        let (routes, ranges) = (Arc::clone(&plan.routes), Arc::clone(&plan.ranges));
        Router { memo: Memo::default(), turns: vec![[0; CARRIERS_MAX]; routes.weighted()], healths: healths(plan), routes, ranges }
    }

    /// The plan may have been swapped: what was learned of other routes is forgotten, what was learned of carriers stays.
    pub(super) fn follow(&mut self, plan: &Plan) {
        if !Arc::ptr_eq(&self.routes, &plan.routes) || !Arc::ptr_eq(&self.ranges, &plan.ranges) {
            let healths = std::mem::take(&mut self.healths);
            *self = Router::new(plan);
            self.healths.iter_mut().zip(healths).for_each(|(new, old)| *new = old);
        }
    }

    /// The route that the message takes now, or when it is due.
    pub fn route<R: Recorder>(&mut self, plan: &Plan, message: &Message, now: Now, why: &mut R) -> Option<u32> {
        self.follow(plan);
        let wall_ms = now.wall_ms.max(message.due_ms);
        plan.routes.find(message, || plan.whereabouts(message.number), wall_ms, &mut self.memo, why)
    }

    /// Route and carrier of a message that `tried` are done with.
    pub fn decide<R: Recorder>(
        &mut self,
        plan: &Plan,
        dispatchers: &[Dispatcher],
        message: &Message,
        tried: &[CarrierId],
        now: Now,
        why: &mut R,
    ) -> (Option<u32>, Option<CarrierId>) {
        let Some(found) = self.route(plan, message, now, why) else { return (None, None) };
        let Some(route) = plan.routes.get(found) else { return (None, None) };
        // The ordinary case: nothing to weigh, and the first one is well.
        if let [first, ..] = &*route.choices
            && !R::ON
            && route.is_ordered
            && tried.is_empty()
            && self.healths[first.carrier.0 as usize].is_well()
            && dispatchers[first.carrier.0 as usize].is_usable()
        {
            return (Some(found), Some(first.carrier));
        }
        let carrier = self.pick(plan, route, dispatchers, message, tried, now, why);
        if carrier.is_none() {
            why.note(|| Why::NobodyLeft);
        }
        (Some(found), carrier)
    }

    #[allow(clippy::too_many_arguments)] // everything that a choice depends on
    fn pick<R: Recorder>(
        &mut self,
        plan: &Plan,
        route: &Route,
        dispatchers: &[Dispatcher],
        message: &Message,
        tried: &[CarrierId],
        now: Now,
        why: &mut R,
    ) -> Option<CarrierId> {
        let mut unused = [0; CARRIERS_MAX];
        let turns = route.turns.and_then(|at| self.turns.get_mut(at as usize)).unwrap_or(&mut unused);
        let (mut left, mut usable) = (0u16, 0u16);
        for (at, choice) in route.choices.iter().enumerate() {
            let carrier = choice.carrier;
            if tried.contains(&carrier) {
                why.note(|| Why::Tried { carrier });
                continue;
            }
            left |= 1 << at;
            if dispatchers[carrier.0 as usize].is_usable() {
                usable |= 1 << at;
                why.note(|| Why::Candidate { carrier, rank: choice.rank, weight: choice.weight, cost: choice.cost });
            } else {
                why.note(|| Why::NotUsable { carrier });
            }
        }
        let mut healthy = usable;
        while let Some((at, because)) = best(route, healthy, message.number, turns) {
            let carrier = route.choices[at].carrier;
            let health = &mut self.healths[carrier.0 as usize];
            if health.admit(message.id, &plan.routes.health, now) {
                why.note(|| Why::Chosen { carrier, because });
                return Some(carrier);
            }
            why.note(|| Why::Kept { carrier, state: health.state(), cause: health.cause() });
            healthy &= !(1 << at);
        }
        // An ill carrier is better than none, and one that is down is better than no carrier at all.
        let (from, because) = if usable != 0 { (usable, Because::NoneBetter) } else { (left, Because::Waits) };
        let (at, _) = best(route, from, message.number, turns)?;
        let carrier = route.choices[at].carrier;
        why.note(|| Why::Chosen { carrier, because });
        Some(carrier)
    }

    /// Some other carrier of its route could take the message at once, and is well.
    pub fn has_another(&mut self, plan: &Plan, dispatchers: &[Dispatcher], message: &Message, tried: &[CarrierId], now: Now) -> bool {
        let found = self.route(plan, message, now, &mut super::why::Nobody);
        let Some(route) = found.and_then(|at| plan.routes.get(at)) else { return false };
        route.choices.iter().map(|choice| choice.carrier).any(|carrier| {
            let at = carrier.0 as usize;
            !tried.contains(&carrier) && dispatchers[at].is_usable() && self.healths[at].is_in()
        })
    }
}

fn healths(plan: &Plan) -> Vec<Health> {
    plan.carriers.iter().map(|_| Health::default()).collect()
}

/// The best of the candidates in `among` (bits of places in the route's list).
fn best(route: &Route, among: u16, number: u64, turns: &mut Turns) -> Option<(usize, Because)> {
    let choices = &route.choices;
    let places = || (0..choices.len()).filter(|at| among & 1 << at != 0);
    let first = places().next()?;
    let rank = choices[first].rank;
    // The list is in order of rank.
    let equals = || places().filter(move |&at| choices[at].rank == rank);
    if equals().nth(1).is_none() {
        return Some((first, Because::Order));
    }
    if choices[first].weight.is_none() {
        let cheapest = equals().min_by_key(|&at| (choices[at].cost, at))?;
        return Some((cheapest, Because::Cost));
    }
    let weight = |at: usize| choices[at].weight.unwrap_or(0);
    // A weight of 0 takes only what nobody else can.
    let any = equals().any(|at| weight(at) > 0);
    let weight = |at: usize| if any { weight(at) } else { 1 };
    if route.sticky {
        let best = equals().filter(|&at| weight(at) > 0).max_by(|&a, &b| {
            let score = |at: usize| pull(number, choices[at].carrier, weight(at));
            score(a).total_cmp(&score(b)).then(b.cmp(&a))
        })?;
        return Some((best, Because::Number));
    }
    // Smooth weighted round robin: each gains its weight, the one that is most ahead goes and pays for all.
    let mut total = 0;
    for at in equals() {
        turns[at] += i64::from(weight(at));
        total += i64::from(weight(at));
    }
    let next = equals().filter(|&at| weight(at) > 0).max_by_key(|&at| (turns[at], std::cmp::Reverse(at)))?;
    turns[next] -= total;
    Some((next, Because::Turn))
}

/// How strongly a number is drawn to a carrier of this weight (rendezvous hashing): if a carrier goes, only its own numbers move.
fn pull(number: u64, carrier: CarrierId, weight: u32) -> f64 {
    let hash = xxhash_rust::xxh3::xxh3_64_with_seed(&number.to_le_bytes(), u64::from(carrier.0));
    let even = ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    f64::from(weight) / -even.ln()
}
