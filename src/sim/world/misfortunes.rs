//! What goes wrong in the world, when, and that it ends.

use super::Settings;
use super::course::{Due, Misfortune, World};
use super::dispatch::Dispatch;
use super::judge::Judged;
use super::wire::{Role, Side};
use crate::engine::port::{DiskState, Input};

impl Misfortune {
    /// All kinds.
    pub(super) const ALL: [Misfortune; 12] = [
        Misfortune::Crash,
        Misfortune::FailedSync,
        Misfortune::Disk,
        Misfortune::CutCarrier,
        Misfortune::CutUpstream,
        Misfortune::Stall,
        Misfortune::WallJump,
        Misfortune::Listing,
        Misfortune::Wave,
        Misfortune::Mute,
        Misfortune::Slow,
        Misfortune::Reload,
    ];

    fn every_ms(self, settings: &Settings) -> u64 {
        let dispatch = |every_ms: fn(&Dispatch) -> u64| settings.dispatch.as_ref().map_or(0, every_ms);
        match self {
            Misfortune::Wave => dispatch(|of| of.wave_every_ms),
            Misfortune::Mute => dispatch(|of| of.mute_every_ms),
            Misfortune::Slow => dispatch(|of| of.slow_every_ms),
            Misfortune::Reload => dispatch(|of| of.reload_every_ms),
            Misfortune::Crash => settings.crash_every_ms,
            Misfortune::FailedSync => settings.failed_sync_every_ms,
            Misfortune::Disk => settings.disk_every_ms,
            Misfortune::CutCarrier => settings.cut_carrier_every_ms,
            Misfortune::CutUpstream => settings.cut_upstream_every_ms,
            Misfortune::Stall => settings.stall_every_ms,
            Misfortune::WallJump => settings.wall_jump_every_ms,
            Misfortune::Listing => settings.listed_every_ms,
            Misfortune::Stop => 0,
        }
    }
}

impl World {
    pub(super) fn next_misfortune(&mut self, kind: Misfortune) {
        let every_ms = kind.every_ms(&self.settings);
        if every_ms > 0 && !self.is_calm {
            let us = self.dice.up_to(2 * every_ms * 1000);
            self.after(us, Due::Misfortune(kind));
        }
    }

    pub(super) fn misfortune(&mut self, kind: Misfortune) -> Judged {
        if self.is_calm && kind != Misfortune::Stop {
            return Ok(());
        }
        self.note(None, || format!("misfortune: {kind:?}"));
        self.next_misfortune(kind);
        match kind {
            Misfortune::Crash | Misfortune::Stop => self.crash()?,
            Misfortune::FailedSync => self.gateway.fail_sync(),
            Misfortune::Disk => self.disk_ill(),
            Misfortune::CutCarrier => self.cut_one(|role| matches!(role, Role::Operator(_) | Role::Bind(_))),
            Misfortune::CutUpstream => self.cut_one(|role| matches!(role, Role::Client(_) | Role::Upstream(_))),
            Misfortune::Stall => {
                if let Some(at) = self.choose(|_| true) {
                    let until_us = self.now_us + self.dice.up_to(6_000_000);
                    for side in [Side::Gateway, Side::Peer] {
                        self.connections[at].towards[side as usize].stall(until_us);
                        self.at(until_us, Due::Arrival { at, side });
                    }
                }
            }
            Misfortune::Listing => self.list_one(),
            Misfortune::Wave => self.wave(),
            Misfortune::Mute => self.mute_one(),
            Misfortune::Slow => self.slow_one(),
            Misfortune::Reload => self.reload(),
            Misfortune::WallJump => {
                let most = 2 * Settings::WALL_JUMP_MAX_MS;
                self.wall_offset_ms = self.dice.up_to(most) as i64 - Settings::WALL_JUMP_MAX_MS as i64;
            }
        }
        Ok(())
    }

    pub(super) fn choose(&mut self, fits: impl Fn(&Role) -> bool) -> Option<usize> {
        let fitting: Vec<usize> =
            (0..self.connections.len()).filter(|&at| self.connections[at].ends.iter().flatten().any(|end| fits(&end.role))).collect();
        let last = fitting.len().checked_sub(1)?;
        Some(fitting[self.dice.up_to(last as u64) as usize])
    }

    fn cut_one(&mut self, fits: impl Fn(&Role) -> bool) {
        let Some(at) = self.choose(fits) else { return };
        let half_open = self.dice.chance(self.settings.half_open_share);
        let only = if half_open { Some(if self.dice.chance(0.5) { Side::Gateway } else { Side::Peer }) } else { None };
        for side in [Side::Gateway, Side::Peer] {
            self.cut(at, side, only.is_none_or(|only| only == side));
        }
    }

    /// Cuts what travels towards `side`, anywhere; it may learn of it.
    pub(super) fn cut(&mut self, at: usize, side: Side, learns: bool) {
        let arrives_us = self.now_us + 50 + self.dice.up_to(500);
        let keep = self.connections[at].towards[side as usize].under_way();
        let keep = self.dice.up_to(keep as u64) as usize;
        let pipe = &mut self.connections[at].towards[side as usize];
        pipe.cut(keep);
        if learns {
            let us = pipe.end(arrives_us);
            self.at(us, Due::Arrival { at, side });
        }
    }

    fn disk_ill(&mut self) {
        if self.gateway.engine.is_none() {
            return;
        }
        let state = if self.dice.chance(0.5) { DiskState::Slow } else { DiskState::Reserve };
        self.hand_in(vec![Input::Disk(state)]);
        let (life, us) = (self.gateway.life, self.dice.up_to(3_000_000));
        self.after(us, Due::DiskWell { life });
    }

    pub(super) fn disk_well(&mut self, life: u64) -> Judged {
        if life == self.gateway.life && self.gateway.engine.is_some() {
            self.hand_in(vec![Input::Disk(DiskState::Ok)]);
        }
        Ok(())
    }

    /// From now on everything goes well, so that the world comes to rest.
    pub(super) fn calm(&mut self) -> Judged {
        self.note(None, || "calm".into());
        self.is_calm = true;
        self.gateway.mend();
        let calmed = self.settings.calmed();
        for operator in &mut self.operators {
            *operator.carrier.behaviour_mut() = calmed.clone();
        }
        self.calm_dispatch();
        // Whatever is still in force is lifted.
        self.after(0, Due::Operate);
        self.after(1_000_000, Due::Look);
        Ok(())
    }
}
