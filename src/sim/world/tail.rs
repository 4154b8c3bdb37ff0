//! The records of the world: the real table of trails, fed with what becomes durable, written down and given away at odd moments, and lost with every crash
//! of the gateway but for what was written down. At rest every message that has ended must be there once, as the engine counts it.

use super::course::World;
use super::judge::{Judged, Wrong};
use crate::engine::counts::Counts;
use crate::engine::trail::Trail;
use crate::engine::trail::table::{Kept, Trails, Written};
use crate::model::{MessageId, State};
use crate::store::Journal;
use crate::store::memory::MemoryJournal;
use std::collections::{BTreeMap, VecDeque};

/// How many groups a write comes after, and when what has not ended is given away.
const WRITE_EVERY: u64 = 7;
const GIVE_AWAY_EVERY: u64 = 11;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    trails: Trails,
    /// The next position.
    next: u64,
    /// While it reads again what it had read before a crash: up to here.
    again: u64,
    /// Groups that may be needed once more.
    groups: VecDeque<(u64, Vec<u8>)>,
    // What a crash leaves.
    low: u64,
    written: Written,
    rows: BTreeMap<(MessageId, u8), State>,
    kept: BTreeMap<MessageId, (u64, Kept)>,
}

fn wrong(what: String) -> Wrong {
    Wrong { what: format!("records: {what}"), message: None }
}

impl Recorder {
    /// Reads what has become durable.
    fn read(&mut self, journal: &mut MemoryJournal) -> Judged {
        let from = self.groups.back().map_or(1, |(position, _)| position + 1);
        let last = journal.bounds().map_or(0, |(_, last)| last);
        if from <= last {
            let groups = &mut self.groups;
            let read = journal.replay(from, &mut |position, group| {
                groups.push_back((position, group.to_vec()));
                Ok(())
            });
            read.map_err(|error| wrong(error.to_string()))?;
        }
        self.follow()
    }

    fn follow(&mut self) -> Judged {
        self.next = self.next.max(1);
        while let Some((position, group)) = self.groups.iter().find(|(position, _)| *position == self.next).cloned() {
            self.trails.take(position, None, &group, &mut |_| {}).map_err(|error| wrong(error.to_string()))?;
            let found = self.trails.missing().iter().filter_map(|id| self.kept.get(id).map(|(_, kept)| kept.clone())).collect();
            self.trails.restore(position, found);
            self.next += 1;
            if self.again > 0 && self.next > self.again {
                self.trails.caught_up();
                self.again = 0;
            }
            if self.again == 0 && position.is_multiple_of(WRITE_EVERY) {
                self.write(position.saturating_sub(3), position.is_multiple_of(GIVE_AWAY_EVERY))?;
            }
        }
        Ok(())
    }

    /// As the keeper does it.
    fn write(&mut self, upto: u64, give_away: bool) -> Judged {
        let upto = upto.max(self.written.ended);
        let mut written = Vec::new();
        for ended in self.trails.ended(upto) {
            let trail = Trail::read(ended.octets).map_err(|error| wrong(error.to_string()))?;
            let end =
                trail.course().end.ok_or_else(|| wrong(format!("{} has ended and its trail has no end: {trail:?}", ended.message)))?;
            if !ended.whole {
                let before = self.rows.range((ended.message, 0)..=(ended.message, u8::MAX)).next();
                return Err(wrong(format!(
                    "{} ends and its acceptance is not known; written before: {before:?}; {:?}",
                    ended.message, trail.steps
                )));
            }
            if let Some(before) = self.rows.insert((ended.message, ended.revision), end.state) {
                return Err(wrong(format!("{} was written as {before:?}, and is again as {:?}", ended.message, end.state)));
            }
            written.push(ended.message);
        }
        let mut delete: Vec<MessageId> = written.iter().copied().filter(|&id| self.trails.is_kept(id)).collect();
        delete.extend(self.trails.gone());
        self.trails.forget(&written);
        let given = if give_away { self.trails.old(u64::MAX, usize::MAX) } else { Vec::new() };
        delete.retain(|id| !given.contains(id) && self.trails.get(*id).is_none());
        delete.iter().for_each(|id| drop(self.kept.remove(id)));
        for &message in &given {
            let Some(live) = self.trails.get(message) else { continue };
            let kept = Kept { message, revision: live.revision, octets: live.octets.to_vec() };
            self.kept.insert(message, (self.next - 1, kept));
        }
        self.low = self.trails.needs(self.next, |id| given.contains(&id));
        self.written = Written { over: self.next - 1, ended: upto };
        self.trails.give_away(&given);
        while self.groups.len() > 1 && self.groups.front().is_some_and(|(position, _)| *position < self.low) {
            self.groups.pop_front();
        }
        Ok(())
    }

    /// Memory is lost.
    pub(super) fn crashed(&mut self) {
        let known = self.kept.iter().filter(|(_, (upto, _))| *upto >= self.low).map(|(id, (upto, _))| (*id, *upto)).collect();
        self.trails = Trails::new(false, self.written, known);
        self.next = self.low.max(1);
        self.again = self.written.over;
        if self.again > 0 && self.next > self.again {
            self.trails.caught_up();
            self.again = 0;
        }
    }

    /// Nothing more happens: what was written must be what the engine counts.
    fn at_rest(&mut self, counts: &Counts) -> Judged {
        self.write(u64::MAX - 1, false)?;
        // The last end of each message holds.
        let last: BTreeMap<MessageId, State> = self.rows.iter().map(|((id, _), state)| (*id, *state)).collect();
        for state in State::ALL.into_iter().filter(|state| state.is_final()) {
            let rows = last.values().filter(|&&of| of == state).count() as u64;
            if rows != counts.by_state[state as usize] {
                let counted = counts.by_state[state as usize];
                return Err(wrong(format!("{rows} messages are {}, the engine counts {counted}", state.name())));
            }
        }
        Ok(())
    }
}

impl World {
    /// The recorder reads on.
    pub(super) fn record(&mut self) -> Judged {
        self.recorder.read(&mut self.gateway.journal)
    }

    /// The recorder's word at rest.
    pub(super) fn recorded_at_rest(&mut self) -> Judged {
        self.record()?;
        match self.gateway.engine.as_ref().map(crate::engine::Engine::counts) {
            Some(counts) => self.recorder.at_rest(&counts),
            None => Ok(()),
        }
    }
}
