//! Stop 8: the carrier for a message that is due, and for all that waits at a carrier which can't or shouldn't have it any more. Which route is
//! [`super::routes`]' to say, which of its carriers [`super::choice`]'s; parts of one long message stay with the carrier of the first.

use super::Engine;
use super::event::PartReceipt;
use super::messages::Phase;
use super::port::{CarrierId, Outcome};
use super::timers::Timer;
use crate::config::{ErrorClass, default_error_class};
use crate::model::{MessageId, State};

impl Engine {
    /// An accepted message starts on its way: now, or when it is due.
    pub(super) fn set_off(&mut self, id: MessageId) {
        let Some(entry) = self.messages.get(&id) else { return };
        if entry.phase != Phase::Accepting {
            return;
        }
        if entry.message.due_ms > self.now.wall_ms {
            self.defer(id, entry.message.due_ms - self.now.wall_ms);
        } else {
            self.enqueue(id);
        }
    }

    /// Not before `wait_ms` from now.
    pub(super) fn defer(&mut self, id: MessageId, wait_ms: u64) {
        self.set_phase(id, Phase::Deferred);
        let is_far = self.messages.get(&id).is_some_and(|entry| self.is_far(&entry.message));
        let Some(entry) = self.messages.get_mut(&id) else { return };
        // What may leave memory has no timer, which would outlive it by far: the sweep gives it one when its time is near.
        entry.armed = !is_far;
        match is_far {
            true => self.cold.far += 1,
            false => self.timers.set(self.now.mono_us + wait_ms * 1000, Timer::Due(id)),
        }
    }

    /// A message due much later is still in memory when its time is near.
    pub(super) fn arm_if_near(&mut self, id: MessageId) {
        let near_ms = self.now.wall_ms + self.plan.bounds.cold_after_ms + self.sweep_period_us() / 500;
        let Some(entry) = self.messages.get_mut(&id) else { return };
        if entry.message.due_ms > near_ms {
            self.cold.getting_old.far += 1;
            return;
        }
        entry.armed = true;
        let wait_ms = entry.message.due_ms.saturating_sub(self.now.wall_ms);
        self.timers.set(self.now.mono_us + wait_ms * 1000, Timer::Due(id));
    }

    /// A timer says that the message may leave. It may have been cancelled or replaced meanwhile.
    pub(super) fn due(&mut self, id: MessageId) {
        let Some(entry) = self.messages.get(&id) else { return };
        if entry.phase == Phase::Deferred {
            // The wall clock may have stepped, or a replace moved the time: what counts is the wall time now. Retries have due_ms in the past.
            let due_ms = entry.message.due_ms;
            match due_ms > self.now.wall_ms {
                true => self.defer(id, due_ms - self.now.wall_ms),
                false => self.enqueue(id),
            }
        }
    }

    /// Chooses the carrier and joins its lane. Where every carrier of the route is down it waits at the best of them.
    pub(super) fn enqueue(&mut self, id: MessageId) {
        let Some(entry) = self.messages.get(&id) else { return };
        let (route, chosen) =
            self.router.decide(&self.plan, &self.dispatchers, &entry.message, entry.tried(), self.now, &mut super::why::Nobody);
        let Some(chosen) = chosen else {
            return match route {
                // Every carrier of the route is done with it.
                Some(_) => self.verdict(id, State::Rejected, entry.last_status),
                // The route went away since intake: it waits for one until its validity ends.
                None => self.defer(id, 1000),
            };
        };
        let chosen = self.other_carrier(entry, chosen).unwrap_or(chosen);
        let chosen = match entry.message.part {
            Some(part) => self.references.carrier(&entry.message, part, chosen, self.now.mono_us),
            None => chosen,
        };
        if self.ends_before_it_can_leave(id) {
            return;
        }
        let Some(key) = self.lane_key(id, chosen) else { return };
        let lane = self.lane(chosen, key);
        let alone = route.and_then(|at| self.plan.routes.get(at)).is_some_and(|route| route.choices.len() == 1);
        if alone && self.ends_before_its_turn(id, chosen, lane) {
            return;
        }
        // One that waited here and stays was taken from before every chunk: what came later must not pass it.
        let stays = self.messages.get(&id).is_some_and(|entry| entry.phase == Phase::Waiting(chosen));
        self.set_phase(id, Phase::Waiting(chosen));
        let lanes = &mut self.dispatchers[chosen.0 as usize].lanes;
        match stays {
            true => lanes.push_ahead(lane, id),
            false if self.cold.by_age => lanes.push_by_age(lane, id, |chunk| self.cold.first_of(chunk)),
            false => lanes.push(lane, id),
        }
    }

    /// A carrier has had no bind for a while: what waits there goes to the next carrier of its route that has one.
    pub(super) fn failover(&mut self, carrier: CarrierId) {
        if self.dispatchers[carrier.0 as usize].is_usable() || self.dispatchers[carrier.0 as usize].is_paused {
            return;
        }
        self.timers.set(self.now.mono_us + self.plan.bounds.failover_after_ms * 1000, Timer::Failover(carrier));
        if !self.dispatchers.iter().any(super::dispatch::Dispatcher::is_usable) {
            return;
        }
        self.choose_again(carrier);
    }

    /// What waits at a carrier is given to the best carriers of its routes as they stand now.
    fn choose_again(&mut self, carrier: CarrierId) {
        let waiting = self.dispatchers[carrier.0 as usize].lanes.take_ready();
        self.refill_for_others(carrier);
        for id in waiting {
            let Some(entry) = self.messages.get(&id) else { continue };
            if entry.phase == Phase::Waiting(carrier) {
                let keeps = entry.parts.any_taken();
                match keeps {
                    // Some of its parts are with this carrier already: the rest must follow them.
                    true => self.join_ahead(id, carrier),
                    false => self.enqueue(id),
                }
            }
        }
    }

    /// What an answer says of its carrier. One that is out by it hands on what waits there.
    pub(super) fn observe(&mut self, id: MessageId, carrier: CarrierId, outcome: &Outcome) {
        let good = match outcome {
            Outcome::Sent { .. } => Some(true),
            Outcome::InDoubt | Outcome::Later { .. } | Outcome::Elsewhere { .. } => Some(false),
            // A refusal that blames the message by the standard says nothing against the carrier.
            Outcome::Never { status } => Some(default_error_class(*status) == ErrorClass::Never),
            Outcome::Throttled { .. } | Outcome::NotSent => None,
        };
        if self.router.healths[carrier.0 as usize].answered(id, good, &self.plan.routes.health, self.now) {
            self.ill.push(carrier);
        }
    }

    /// What a final receipt says of its carrier: one for which another carrier may help blames it.
    pub(super) fn observe_receipt(&mut self, carrier: CarrierId, receipt: &PartReceipt) {
        let causes = self.plan.routes.carrier_causes(carrier);
        let good = !causes.is_some_and(|causes| causes.contains(receipt.state, receipt.error));
        if receipt.is_final && self.router.healths[carrier.0 as usize].reported(good, &self.plan.routes.health, self.now) {
            self.ill.push(carrier);
        }
    }

    /// Carriers that are out since the last look hand on what waits there; what has no other carrier comes back to their lanes.
    pub(super) fn avoid_ill(&mut self) {
        for carrier in std::mem::take(&mut self.ill) {
            self.choose_again(carrier);
        }
    }
}
