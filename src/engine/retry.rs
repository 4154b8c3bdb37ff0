//! What happens to a message that a carrier refused for now: the next try by its class's schedule, then the next carrier of its route
//! ([`super::reroute`]), then the end.

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
                false => self.try_elsewhere(id, carrier),
            }
            return;
        }
        let schedule = class.retry_by_status.iter().find(|(of, _)| *of == status).map_or(&class.retry_ms, |(_, pauses)| pauses);
        let delay = schedule.get(attempts as usize - 1).or(schedule.last()).copied().unwrap_or(1000);
        debug_assert_eq!(entry.phase, Phase::InFlight(carrier), "only what was in flight is tried again");
        entry.retry_ms = self.now.wall_ms + delay;
        self.defer(id, delay);
    }
}
