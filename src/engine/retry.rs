//! What happens to a message that a carrier refused for now, or refused altogether: the next try by its class's schedule, then the next carrier of its
//! route, then the end.

use super::Engine;
use super::messages::Phase;
use super::port::CarrierId;
use crate::model::{MessageId, State};

impl Engine {
    /// The same carrier again after the schedule's delay; past the schedule another carrier, if none of its parts is out.
    pub(super) fn try_later(&mut self, id: MessageId, carrier: CarrierId) {
        let Some(entry) = self.messages.get_mut(&id) else { return };
        entry.attempts = entry.attempts.saturating_add(1);
        let taken = entry.parts.any_taken();
        let (attempts, status) = (entry.attempts, entry.last_status);
        let class = self.plan.class(entry.message.class);
        if attempts >= class.max_attempts {
            match taken {
                true => self.verdict(id, State::Undelivered, status),
                false => self.try_elsewhere(id),
            }
            return;
        }
        let schedule = class.retry_by_status.iter().find(|(of, _)| *of == status).map_or(&class.retry_ms, |(_, pauses)| pauses);
        let delay = schedule.get(attempts as usize - 1).or(schedule.last()).copied().unwrap_or(1000);
        debug_assert_eq!(entry.phase, Phase::InFlight(carrier), "only what was in flight is tried again");
        entry.retry_ms = self.now.wall_ms + delay;
        self.defer(id, delay);
    }

    /// The next carrier of the route; after the last one the message is rejected with the last refusal.
    pub(super) fn try_elsewhere(&mut self, id: MessageId) {
        let Some(entry) = self.messages.get_mut(&id) else { return };
        let carriers = self.plan.route(entry.message.number).len();
        entry.route_step = entry.route_step.saturating_add(1);
        entry.attempts = 0;
        entry.parts = super::messages::Parts::unsent(1);
        let (step, status) = (entry.route_step as usize, entry.last_status);
        if step < carriers && entry.message.part.is_none() {
            self.enqueue(id);
        } else {
            self.verdict(id, State::Rejected, status);
        }
    }
}
