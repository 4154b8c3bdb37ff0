//! The trails that are under way: every message that has not ended, and what has ended but is not yet written down. Sans-io, fed with the journal's groups in
//! order; whoever keeps it takes out what is to be written ([`Trails::ended`]) and what has been under way for long ([`Trails::old`]), and gives that back when
//! it is asked for ([`Trails::restore`]).
//!
//! What must stay true: everything is decided by journal positions, so that reading a stretch of the journal again decides the same. A message is *over* at the
//! position of its end if no report of it is awaited, else where its sender has taken the report. One whose sender is slow is written all the same, once its
//! end is before a position that the keeper names. What was written before a restart is told by the same rule ([`Written`]).

use super::{CLOCK, Delivered, Trail, ended_by, is_success};
use crate::engine::event::glance::{Glance, glance, glance_one, number_of, read_one, without_text};
use crate::engine::event::{Event, EventError};
use crate::model::{CarrierId, MessageId, State};
use hashbrown::HashMap;

/// Octets kept of one message at most: beyond them steps are counted and not kept.
const OCTETS_MAX: usize = 16 << 10;

/// What is written down already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// All that was over at this position or before.
    pub over: u64,
    /// All that had ended at this position or before, whether its sender had taken the report or not.
    pub ended: u64,
}

/// A message under way.
#[derive(Debug, Clone, Default)]
#[allow(clippy::box_collection)] // hardly any message leaves a carrier: eight octets for the others
struct Live {
    /// Position of its first event that only memory and the journal have.
    first: u64,
    /// Position of its end; 0: it has none, or its end was written and may be corrected.
    ended: u64,
    /// Position at which nothing more was awaited; 0: something is.
    over: u64,
    parts: Delivered,
    /// Carriers that it left after a receipt.
    left: Option<Box<Vec<CarrierId>>>,
    /// Reports that were made, and those that are done with.
    reports: u8,
    handed: u8,
    /// Which reports it asks for, as in [`Glance::Accepted`].
    wish: u8,
    /// Parts that a carrier took.
    taken: u8,
    /// Ends that were written.
    revision: u8,
    /// Its acceptance is known.
    whole: bool,
    /// Its end is provisional.
    provisional: bool,
    /// It is also with the keeper.
    kept: bool,
    octets: Vec<u8>,
}

/// A message that is to be written down.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// Which.
    pub message: MessageId,
    /// 0, or which correction of its end.
    pub revision: u8,
    /// Its acceptance is known.
    pub whole: bool,
    /// Its octets.
    pub octets: &'a [u8],
}

impl Ended<'_> {
    /// The packed number that it was accepted for.
    pub fn number(&self) -> Option<u64> {
        number_of(self.octets)
    }
}

/// A message that leaves memory for the keeper, or comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Which.
    pub message: MessageId,
    /// Ends that were written.
    pub revision: u8,
    /// Its octets.
    pub octets: Vec<u8>,
}

impl Kept {
    /// As [`Ended::number`].
    pub fn number(&self) -> Option<u64> {
        number_of(&self.octets)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Trails {
    live: HashMap<MessageId, Live>,
    /// Those over, and those ended, in the order in which it happened.
    ended: Vec<MessageId>,
    texts: bool,
    written: Written,
    /// While what was read before a restart is read again: messages that the keeper has, up to these positions.
    known: HashMap<MessageId, u64>,
    /// Events of messages that are not in memory.
    missing: Vec<(MessageId, Vec<u8>)>,
    /// Kept by the keeper, and of no use any more.
    gone: Vec<MessageId>,
    clock_ms: u64,
    octets: usize,
    /// Steps that were not kept.
    cut: u64,
}

impl Trails {
    /// None. `texts`: keep what was written. `written`: what is written down already. `known`: messages that the keeper has, with the position up to which.
    pub fn new(texts: bool, written: Written, known: HashMap<MessageId, u64>) -> Trails {
        Trails { texts, written, known, ..Trails::default() }
    }

    /// Takes the group at `position`. `now_ms`: the wall time, if the group was written just now. Other events go to `other`.
    ///
    /// # Errors
    /// The octets are no events.
    pub fn take(&mut self, position: u64, now_ms: Option<u64>, group: &[u8], other: &mut dyn FnMut(Event)) -> Result<(), EventError> {
        if let Some(now_ms) = now_ms {
            self.clock_ms = self.clock_ms.max(now_ms);
        }
        glance(group, &mut |message, octets, glance| match glance {
            Glance::Other(event) => other(*event),
            glance => self.event(position, message, octets, glance),
        })
    }

    fn event(&mut self, position: u64, message: MessageId, octets: &[u8], glance: Glance) {
        if !self.known.is_empty() && self.known.get(&message).is_some_and(|&upto| position <= upto) {
            return;
        }
        if let Glance::Accepted { at_ms, body, report } = glance {
            self.clock_ms = self.clock_ms.max(at_ms);
            return self.accepted(position, message, octets, body, report);
        }
        let cut = if self.texts || glance != Glance::Note { None } else { without_text(octets) };
        let octets = cut.as_deref().unwrap_or(octets);
        if !self.follow(position, message, octets, glance) {
            self.missing.push((message, octets.to_vec()));
        }
    }

    /// One more event of a message; false if it isn't in memory.
    fn follow(&mut self, position: u64, message: MessageId, octets: &[u8], glance: Glance) -> bool {
        let Some(live) = self.live.get_mut(&message) else { return false };
        // Read again after a restart: as it was when its end had just been written.
        if live.provisional && live.was_written(self.written) {
            live.may_be_corrected();
        }
        let before = live.octets.len();
        let ended = live.event(position, octets, glance, &mut self.clock_ms, &mut self.cut);
        self.octets += live.octets.len() - before;
        self.went(message, ended);
        true
    }

    fn accepted(&mut self, position: u64, message: MessageId, octets: &[u8], body: std::ops::Range<usize>, wish: u8) {
        let mut kept = Vec::with_capacity(octets.len() - if self.texts { 0 } else { body.len() } + 128);
        if self.texts {
            kept.extend_from_slice(octets);
        } else {
            kept.extend_from_slice(&octets[..body.start + 2]);
            // No header, no text.
            kept.extend_from_slice(&[0; 5]);
            kept.extend_from_slice(&octets[body.end..]);
        }
        self.octets += kept.len();
        let live = Live { first: position, wish, whole: true, octets: kept, ..Live::default() };
        if let Some(before) = self.live.insert(message, live) {
            self.octets -= before.octets.len();
        }
    }

    fn went(&mut self, message: MessageId, went: Went) {
        match went {
            Went::On => {}
            Went::Ended => self.ended.push(message),
            Went::Away => {
                if self.is_kept(message) {
                    self.gone.push(message);
                }
                self.drop_one(message);
            }
        }
    }

    /// Messages that the keeper is to forget: nothing more is awaited of them, and their ends were written.
    pub fn gone(&mut self) -> Vec<MessageId> {
        std::mem::take(&mut self.gone)
    }

    fn drop_one(&mut self, message: MessageId) {
        if let Some(live) = self.live.remove(&message) {
            self.octets -= live.octets.len();
        }
    }

    /// The messages that are asked back since the last call, sorted. [`Trails::restore`] must follow with what the keeper has of them.
    pub fn missing(&self) -> Vec<MessageId> {
        let mut ids: Vec<MessageId> = self.missing.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// What the keeper had of the missing ones; of the others nothing is known but what comes. `position`: of the group that was taken last.
    pub fn restore(&mut self, position: u64, found: Vec<Kept>) {
        for kept in found {
            let mut live = Live { first: position, revision: kept.revision, kept: true, ..Live::default() };
            live.again(&kept.octets);
            live.octets = kept.octets;
            self.octets += live.octets.len();
            self.live.insert(kept.message, live);
        }
        for (message, octets) in std::mem::take(&mut self.missing) {
            let Ok((_, glance)) = glance_one(&octets) else { continue };
            let begins = !matches!(glance, Glance::HandedOver | Glance::Forgotten | Glance::Note);
            if begins && !self.live.contains_key(&message) {
                self.live.insert(message, Live { first: position, ..Live::default() });
            }
            self.follow(position, message, &octets, glance);
        }
    }

    /// What was read before the restart has been read again.
    pub fn caught_up(&mut self) {
        self.known = HashMap::new();
        let written = self.written;
        // Ends that were written, and what is left of messages that were over before the first group that was read again.
        let done: Vec<MessageId> =
            self.live.iter().filter(|(_, live)| live.was_written(written) || !live.whole).map(|(id, _)| *id).collect();
        for message in done {
            self.written_down(message);
        }
        self.ended.retain(|id| self.live.get(id).is_some_and(|live| live.ended > 0));
    }

    /// Groups before this position are not needed. `next`: the position that is taken next. `given_away`: those that the keeper has by now.
    pub fn needs(&self, next: u64, given_away: impl Fn(MessageId) -> bool) -> u64 {
        let here = self.live.iter().filter(|(id, _)| !given_away(**id));
        here.map(|(_, live)| live.first).min().unwrap_or(next).min(next)
    }

    /// Those that have ended and whose end is to be written now, in the order of their ids: all that are over, and all that had ended at `upto` or before.
    pub fn ended(&self, upto: u64) -> Vec<Ended<'_>> {
        let mut ids: Vec<MessageId> = self.ended.clone();
        ids.sort_unstable();
        ids.dedup();
        let due = |id: &MessageId| {
            let live = self.live.get(id)?;
            let is = live.ended > 0 && (live.over > 0 || live.ended <= upto);
            is.then_some(Ended { message: *id, revision: live.revision, whole: live.whole, octets: &live.octets })
        };
        ids.iter().filter_map(due).collect()
    }

    /// These were written.
    pub fn forget(&mut self, written: &[MessageId]) {
        for &message in written {
            self.written_down(message);
        }
        self.ended.retain(|id| self.live.get(id).is_some_and(|live| live.ended > 0));
    }

    fn written_down(&mut self, message: MessageId) {
        match self.live.get_mut(&message) {
            Some(live) if live.provisional && live.ended > 0 => live.may_be_corrected(),
            Some(_) => self.drop_one(message),
            None => {}
        }
    }

    /// Those whose first event is before `position` and that have not ended, to be kept elsewhere; at most `most`, the oldest.
    pub fn old(&self, position: u64, most: usize) -> Vec<MessageId> {
        let mut old: Vec<(u64, MessageId)> =
            self.live.iter().filter(|(_, live)| live.ended == 0 && live.first < position).map(|(id, live)| (live.first, *id)).collect();
        old.sort_unstable();
        old.truncate(most);
        let mut ids: Vec<MessageId> = old.into_iter().map(|(_, id)| id).collect();
        ids.sort_unstable();
        ids
    }

    /// What is kept of one.
    pub fn get(&self, message: MessageId) -> Option<Ended<'_>> {
        let live = self.live.get(&message)?;
        Some(Ended { message, revision: live.revision, whole: live.whole, octets: &live.octets })
    }

    /// The keeper has these now.
    pub fn give_away(&mut self, ids: &[MessageId]) {
        ids.iter().for_each(|&id| self.drop_one(id));
    }

    /// The keeper has this one too, and is to delete it once it is written.
    pub fn is_kept(&self, message: MessageId) -> bool {
        self.live.get(&message).is_some_and(|live| live.kept)
    }

    /// Messages that have ended and wait to be written (some may be told twice).
    pub fn waiting(&self) -> usize {
        self.ended.len()
    }

    /// All that are in memory, and their octets.
    pub fn size(&self) -> (usize, usize) {
        (self.live.len(), self.octets)
    }

    /// Steps that were not kept, of messages with too many.
    pub fn steps_cut(&self) -> u64 {
        self.cut
    }

    /// Every message in memory, in no order: for look-ups that go through all.
    pub fn all(&self) -> impl Iterator<Item = Ended<'_>> {
        self.live.iter().map(|(id, live)| Ended { message: *id, revision: live.revision, whole: live.whole, octets: &live.octets })
    }
}

/// What an event did to the course of its message.
#[derive(Debug, PartialEq, Eq)]
enum Went {
    On,
    Ended,
    Away,
}

impl Live {
    /// Its provisional end is written down: a carrier's word may still correct it.
    fn may_be_corrected(&mut self) {
        (self.ended, self.over, self.provisional) = (0, 0, false);
        self.revision = self.revision.saturating_add(1);
    }

    /// It was written before the restart.
    fn was_written(&self, written: Written) -> bool {
        self.ended > 0 && (self.ended <= written.ended || (self.over > 0 && self.over <= written.over))
    }

    /// Adds an event and follows it.
    fn event(&mut self, position: u64, octets: &[u8], glance: Glance, clock_ms: &mut u64, cut: &mut u64) -> Went {
        let at_ms = match glance {
            Glance::Sent { at_ms, .. }
            | Glance::Receipt { at_ms, .. }
            | Glance::Verdict { at_ms, .. }
            | Glance::Moved { at_ms, .. }
            | Glance::CopyReceipt { at_ms, .. } => at_ms,
            _ => 0,
        };
        *clock_ms = (*clock_ms).max(at_ms);
        if self.octets.len() + octets.len() > OCTETS_MAX {
            *cut += 1;
        } else {
            if at_ms == 0 {
                self.octets.push(CLOCK);
                self.octets.extend_from_slice(&clock_ms.to_le_bytes());
            }
            self.octets.extend_from_slice(octets);
        }
        self.follow(position, glance)
    }

    fn follow(&mut self, position: u64, glance: Glance) -> Went {
        match glance {
            Glance::Accepted { report, .. } => {
                (self.wish, self.whole) = (report, true);
                Went::On
            }
            Glance::Sent { parts, carrier, .. } => {
                // The late answer of a carrier that it left is about another copy.
                if !self.left.as_ref().is_some_and(|left| left.contains(&carrier)) {
                    self.parts.of(parts);
                    self.taken = self.taken.saturating_add(1);
                }
                // That is told once.
                if self.taken >= parts && self.wish & 8 != 0 {
                    self.reports = self.reports.saturating_add(1);
                    self.wish &= !8;
                }
                Went::On
            }
            Glance::Receipt { is_final: false, .. } => {
                self.reports = self.reports.saturating_add(self.wish >> 2 & 1);
                Went::On
            }
            Glance::Receipt { part, state, .. } => {
                let state = ended_by(state);
                let ends = !is_success(state) || self.parts.one_more(part);
                if ends { self.end(position, state, false) } else { Went::On }
            }
            Glance::CopyReceipt { delivered: true, .. } if self.has_arrived() => self.end(position, State::Delivered, false),
            Glance::Verdict { state, .. } => match State::from_u8(state) {
                Some(state) => self.end(position, state, state == State::InDoubt),
                None => Went::On,
            },
            Glance::HandedOver => {
                self.handed = self.handed.saturating_add(1);
                if self.ended > 0 && self.over == 0 && self.handed >= self.reports {
                    self.over = position;
                }
                Went::On
            }
            Glance::Moved { left, .. } => {
                (self.parts, self.taken) = (Delivered::default(), 0);
                if let Some(carrier) = left {
                    self.left.get_or_insert_default().push(carrier);
                }
                Went::On
            }
            Glance::Forgotten if self.ended == 0 => Went::Away,
            Glance::Forgotten => {
                self.provisional = false;
                Went::On
            }
            Glance::CopyReceipt { .. } | Glance::Note | Glance::Other(_) => Went::On,
        }
    }

    /// A late word says that it arrived: all of it?
    fn has_arrived(&self) -> bool {
        Trail::read(&self.octets).is_ok_and(|trail| trail.course().end.is_some_and(|end| end.state == State::Delivered))
    }

    fn end(&mut self, position: u64, state: State, provisional: bool) -> Went {
        // A report of success or of failure; of "sent, and no receipt asked" there is none.
        let asked = match state {
            State::SentFinal => 0,
            state if is_success(state) => self.wish & 1,
            _ => self.wish >> 1 & 1,
        };
        self.reports = self.reports.saturating_add(asked);
        self.provisional = provisional;
        self.ended = position;
        self.over = if self.handed >= self.reports { position } else { 0 };
        Went::Ended
    }

    /// Follows kept octets again: nothing of it ends anew.
    fn again(&mut self, mut octets: &[u8]) {
        while let Some(&first) = octets.first() {
            if first == CLOCK {
                octets = octets.get(9..).unwrap_or_default();
                continue;
            }
            let Ok((_, glance)) = glance_one(octets) else { return };
            let Ok((_, rest)) = read_one(octets) else { return };
            octets = rest;
            self.follow(1, glance);
        }
        (self.ended, self.over, self.provisional) = (0, 0, false);
    }
}
