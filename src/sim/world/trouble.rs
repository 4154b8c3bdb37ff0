//! What goes wrong between a gateway and its carriers in the worlds of the dispatch engine: throttle waves, binds that answer nothing any more, slow binds; and
//! reloads of the configuration while everything is in flight.

use super::course::{Due, World};
use super::judge::{Judged, Wrong};
use super::plan::{ENQUIRE_MS, ENQUIRE_TIMEOUT_MS};
use super::wire::{Role, Side};
use crate::engine::port::Input;
use crate::smpp::status;
use std::sync::Arc;

/// A bind that is silent is given up after the enquiry, by a timer of whole milliseconds, microseconds.
const GONE_AFTER_US: u64 = (ENQUIRE_MS + ENQUIRE_TIMEOUT_MS + 1_000) * 1000;

impl World {
    /// A carrier allows more or less than before, and says so in one of two ways.
    pub(super) fn wave(&mut self) {
        let at = self.dice.up_to(self.operators.len() as u64 - 1) as usize;
        let rate_per_s = [0, 3, 15, 60][self.dice.up_to(3) as usize];
        let throttle_status = [status::ESME_RTHROTTLED, status::ESME_RMSGQFUL][self.dice.up_to(1) as usize];
        self.note(None, || format!("carrier {at} allows {rate_per_s}/s"));
        let behaviour = self.operators[at].carrier.behaviour_mut();
        (behaviour.rate_per_s, behaviour.throttle_status) = (rate_per_s, throttle_status);
    }

    fn choose_bind(&mut self) -> Option<usize> {
        self.choose(|role| matches!(role, Role::Bind(_)))
    }

    /// The carrier's end of a bind takes what comes and says nothing any more; its connection stays.
    pub(super) fn mute_one(&mut self) {
        let Some(at) = self.choose_bind() else { return };
        let connection = &mut self.connections[at];
        connection.is_mute = true;
        self.note(None, || format!("connection {at}: the carrier answers nothing any more"));
        self.after(GONE_AFTER_US, Due::MustBeGone { at });
    }

    /// Nobody is there any more to whom it says nothing: what it does now is up to its own timers.
    pub(super) fn no_longer_mute(&mut self, at: usize) {
        if std::mem::take(&mut self.connections[at].is_mute) {
            self.after(0, Due::Nudge { at, side: Side::Peer });
        }
    }

    /// The gateway must have found out by now.
    pub(super) fn must_be_gone(&mut self, at: usize) -> Judged {
        // What was under way still came, whenever it came, and showed life.
        let gone_us = self.connections[at].towards[Side::Gateway as usize].heard_us() + GONE_AFTER_US;
        match self.connections[at].ends[Side::Gateway as usize] {
            None => Ok(()),
            Some(_) if gone_us > self.now_us => {
                self.at(gone_us, Due::MustBeGone { at });
                Ok(())
            }
            Some(_) => Err(Wrong { what: format!("connection {at} answers nothing, and is not given up"), message: None }),
        }
    }

    /// Everything that a carrier says on one bind comes seconds late, for a while.
    pub(super) fn slow_one(&mut self) {
        let Some(at) = self.choose_bind() else { return };
        let late_us = 500_000 + self.dice.up_to(4_000_000);
        let until_us = self.now_us + self.dice.up_to(20_000_000);
        self.note(None, || format!("connection {at}: the carrier is {late_us} us late"));
        self.connections[at].slow = (late_us, until_us);
    }

    /// Another configuration is read: rates, limits, weights and shares are others from the next step on, and after every start.
    pub(super) fn reload(&mut self) {
        let Some(dispatch) = &mut self.settings.dispatch else { return };
        dispatch.redraw(&mut self.dice);
        self.swap_plan();
    }

    /// From now on nothing stands still.
    pub(super) fn calm_dispatch(&mut self) {
        let Some(dispatch) = &mut self.settings.dispatch else { return };
        dispatch.calm();
        self.connections.iter_mut().for_each(|connection| connection.slow = (0, 0));
        self.swap_plan();
    }

    fn swap_plan(&mut self) {
        let Some(dispatch) = &self.settings.dispatch else { return };
        let mut plan = (*self.gateway.plan).clone();
        dispatch.apply(&mut plan);
        let rates = (dispatch.carriers.clone(), dispatch.limits.clone());
        self.note(None, || format!("another plan: {rates:?}"));
        self.gateway.plan = Arc::new(plan);
        let plan = Arc::clone(&self.gateway.plan);
        self.hand_in(vec![Input::Plan(plan)]);
    }
}
