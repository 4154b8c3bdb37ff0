//! What is in which chunk outside of memory: the older generations of the id index. The walk that writes a chunk which may leave memory notes for each of
//! its messages where it is, under the message's own id and under the ids that carriers gave its parts. The newest notes are in memory; a
//! full generation is written, sorted, as one immutable *run*: pages of (hash, chunk) in the ledger. Memory keeps of a run the first hash of each page and a
//! filter. A note is a hint: the chunk says what it holds, and a note whose chunk is gone or back in memory means nothing. A run goes when all its chunks are gone.

use super::index::Key;
use crate::model::MessageId;
use crate::store::{LedgerUpdate, Page};
use arrayvec::ArrayVec;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use xorf::{BinaryFuse16, Descriptor, Filter};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Pages of the ledger: a run's range of chunks, fences and filter.
pub const RUN: u8 = 2;
/// One page of a run; its number is the run's times [`PAGES_PER_RUN`] and its own.
pub const RUN_PAGE: u8 = 3;
/// The newest generation, not yet a run.
pub const OPEN: u8 = 4;

/// Pages of one run that a number can name: more than any run has.
const PAGES_PER_RUN: u64 = 1 << 20;
/// Octets of a note in a page: hash, and chunk counted from the run's first.
const NOTE: usize = 12;
/// Notes in a page: small enough that a receipt which looks into one pays little for it, large enough that fences are nothing.
const NOTES_PER_PAGE: usize = 680;
/// Keeps ids of ours apart from keys of carriers' ids.
const SEED: u64 = 0x6d65_7373_6167_6573;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A message of ours.
    Message(MessageId),
    /// A part, by the key of its carrier's id.
    Part(Key),
}

impl Target {
    /// Under what it is noted.
    pub fn hash(self) -> u64 {
        match self {
            Target::Message(id) => xxh3_64_with_seed(&id.0.to_le_bytes(), SEED),
            Target::Part(key) => key as u64,
        }
    }
}

/// Targets of one probe: an id of ours, and two ids of a receipt in three forms each.
pub type Targets = ArrayVec<Target, 7>;

/// A way through all notes: target by target, each from the newest generation to the oldest.
#[derive(Debug, Clone)]
pub struct Probe {
    targets: Targets,
    at: usize,
    /// Runs from this one on are done; `None`: nothing is done for this target.
    below: Option<u64>,
    version: u64,
}

impl Probe {
    /// The target that the last step was about.
    pub fn target(&self) -> Option<Target> {
        self.targets.get(self.at).copied()
    }
}

/// The next step of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It may be in this chunk.
    Chunk(u64),
    /// This page tells.
    Page(u64),
    /// That was all.
    Over,
}

#[derive(Debug)]
struct Run {
    /// Its chunks are among these.
    first: u64,
    last: u64,
    fences: Vec<u64>,
    /// `None` if none could be built: every hash may be there.
    filter: Option<BinaryFuse16>,
}

impl Run {
    /// A run of sorted notes, and its pages.
    fn build(notes: &[(u64, u64)]) -> (Run, Vec<Vec<u8>>) {
        let chunks = notes.iter().map(|&(_, chunk)| chunk);
        let (first, last) = (chunks.clone().min().unwrap_or(0), chunks.max().unwrap_or(0));
        let hashes: Vec<u64> = notes.iter().map(|&(hash, _)| hash).collect();
        let mut pages = Vec::new();
        for some in notes.chunks(NOTES_PER_PAGE) {
            let note = |&(hash, chunk): &(u64, u64)| {
                let mut note = [0; NOTE];
                note[..8].copy_from_slice(&hash.to_le_bytes());
                note[8..].copy_from_slice(&u32::try_from(chunk - first).unwrap_or(u32::MAX).to_le_bytes());
                note
            };
            pages.push(some.iter().flat_map(note).collect());
        }
        let fences = hashes.iter().step_by(NOTES_PER_PAGE).copied().collect();
        (Run { first, last, fences, filter: BinaryFuse16::try_from(&hashes).ok() }, pages)
    }

    /// The page in which `hash` is, if it is here.
    fn page_of(&self, hash: u64) -> Option<u64> {
        if self.filter.as_ref().is_some_and(|filter| !filter.contains(&hash)) {
            return None;
        }
        self.fences.partition_point(|&fence| fence <= hash).checked_sub(1).map(|page| page as u64)
    }

    fn to_octets(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.last.to_le_bytes());
        out.extend_from_slice(&(self.fences.len() as u32).to_le_bytes());
        self.fences.iter().for_each(|fence| out.extend_from_slice(&fence.to_le_bytes()));
        if let Some(BinaryFuse16 { descriptor, fingerprints }) = &self.filter {
            out.extend_from_slice(&descriptor.seed.to_le_bytes());
            for number in [descriptor.segment_length, descriptor.segment_length_mask, descriptor.segment_count_length] {
                out.extend_from_slice(&number.to_le_bytes());
            }
            fingerprints.iter().for_each(|print| out.extend_from_slice(&print.to_le_bytes()));
        }
        out
    }

    fn read(mut octets: &[u8]) -> Option<Run> {
        let at = &mut octets;
        let (first, last) = (u64_of(at)?, u64_of(at)?);
        let count = u32_of(at)? as usize;
        let fences = at.split_at_checked(count.checked_mul(8)?)?;
        *at = fences.1;
        let fences = fences.0.chunks_exact(8).map(|mut fence| u64_of(&mut fence).unwrap_or(0)).collect();
        if at.is_empty() {
            return Some(Run { first, last, fences, filter: None });
        }
        let seed = u64_of(at)?;
        let (segment_length, segment_length_mask, segment_count_length) = (u32_of(at)?, u32_of(at)?, u32_of(at)?);
        let fingerprints: Box<[u16]> = at.chunks_exact(2).map(|print| u16::from_le_bytes([print[0], print[1]])).collect();
        // The places that a look-up may touch: the filter must have them all.
        let reach = u64::from(segment_count_length) + 2 * u64::from(segment_length);
        if !segment_length.is_power_of_two() || segment_length_mask != segment_length - 1 || reach > fingerprints.len() as u64 {
            return None;
        }
        let descriptor = Descriptor { seed, segment_length, segment_length_mask, segment_count_length };
        Some(Run { first, last, fences, filter: Some(BinaryFuse16 { descriptor, fingerprints }) })
    }
}

/// The first eight octets as a number.
pub(super) fn u64_of(octets: &mut &[u8]) -> Option<u64> {
    let (head, rest) = octets.split_first_chunk()?;
    *octets = rest;
    Some(u64::from_le_bytes(*head))
}

/// The first four octets as a number.
pub(super) fn u32_of(octets: &mut &[u8]) -> Option<u32> {
    let (head, rest) = octets.split_first_chunk()?;
    *octets = rest;
    Some(u32::from_le_bytes(*head))
}

/// All notes.
#[derive(Debug, Default)]
pub struct Runs {
    /// The newest generation: hash to chunk.
    open: HashMap<u64, u64>,
    runs: BTreeMap<u64, Run>,
    last: u64,
    /// Grows with every change.
    version: u64,
}

/// What a walk adds: in force once the ledger has it.
#[derive(Debug, Default)]
pub struct Staged {
    open: Option<HashMap<u64, u64>>,
    runs: Vec<(u64, Run)>,
}

impl Staged {
    /// Nothing is added.
    pub fn is_empty(&self) -> bool {
        self.open.is_none()
    }
}

impl Runs {
    /// Nothing is noted.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.runs.is_empty()
    }

    /// Notes in memory, and runs.
    pub fn len(&self) -> (usize, usize) {
        (self.open.len(), self.runs.len())
    }

    /// Octets that the runs take in memory, roughly.
    pub fn octets(&self) -> usize {
        let run = |run: &Run| run.fences.len() * 8 + run.filter.as_ref().map_or(0, |filter| filter.fingerprints.len() * 2);
        self.runs.values().map(run).sum::<usize>() + self.open.capacity() * 17
    }

    /// A probe for these targets.
    pub fn probe(&self, targets: Targets) -> Probe {
        Probe { targets, at: 0, below: None, version: self.version }
    }

    /// Where to look next. A probe that began before notes were added begins again at its end.
    pub fn next(&self, probe: &mut Probe) -> Step {
        loop {
            while let Some(target) = probe.target() {
                let hash = target.hash();
                if probe.below.is_none() {
                    probe.below = Some(u64::MAX);
                    if let Some(&chunk) = self.open.get(&hash) {
                        return Step::Chunk(chunk);
                    }
                }
                for (&id, run) in self.runs.range(..probe.below.unwrap_or(u64::MAX)).rev() {
                    if let Some(page) = run.page_of(hash) {
                        probe.below = Some(id);
                        return Step::Page(id * PAGES_PER_RUN + page);
                    }
                }
                (probe.at, probe.below) = (probe.at + 1, None);
            }
            if probe.version == self.version {
                return Step::Over;
            }
            (probe.at, probe.below, probe.version) = (0, None, self.version);
        }
    }

    /// The page belongs to a run that is still needed.
    pub fn has(&self, page: u64) -> bool {
        self.runs.contains_key(&(page / PAGES_PER_RUN))
    }

    /// The chunk that a page names for `target`.
    pub fn chunk_in(&self, page: u64, octets: &[u8], target: Target) -> Option<u64> {
        let run = self.runs.get(&(page / PAGES_PER_RUN))?;
        let hash = target.hash();
        let (notes, _) = octets.as_chunks::<NOTE>();
        let hash_of = |note: &[u8; NOTE]| u64_of(&mut note.as_slice()).unwrap_or(0);
        let at = notes.binary_search_by_key(&hash, hash_of).ok()?;
        let delta = u32_of(&mut &notes[at][8..])?;
        Some(run.first + u64::from(delta))
    }

    /// Adds a note for a walk. A generation of `most` notes becomes a run; notes of chunks that are gone (`lives` is false) are left out of it.
    pub fn note(
        &mut self,
        staged: &mut Staged,
        target: Target,
        chunk: u64,
        most: usize,
        lives: impl Fn(u64) -> bool,
        update: &mut LedgerUpdate,
    ) {
        let open = staged.open.get_or_insert_with(|| self.open.clone());
        open.insert(target.hash(), chunk);
        if open.len() < most {
            return;
        }
        open.retain(|_, chunk| lives(*chunk));
        if open.len() * 2 < most {
            return;
        }
        let mut notes: Vec<(u64, u64)> = open.drain().collect();
        notes.sort_unstable();
        let (run, pages) = Run::build(&notes);
        self.last += 1;
        let id = self.last;
        update.pages.push(Page { kind: RUN, id, octets: run.to_octets() });
        let page = |(at, octets)| Page { kind: RUN_PAGE, id: id * PAGES_PER_RUN + at as u64, octets };
        update.pages.extend(pages.into_iter().enumerate().map(page));
        staged.runs.push((id, run));
    }

    /// The walk is over: its newest generation is written too. Runs without any chunk that `lives` are deleted.
    pub fn write(&mut self, staged: &Staged, lives: impl Fn(u64, u64) -> bool, update: &mut LedgerUpdate) {
        if let Some(open) = &staged.open {
            let mut notes: Vec<(u64, u64)> = open.iter().map(|(&hash, &chunk)| (hash, chunk)).collect();
            notes.sort_unstable();
            let octets = notes.iter().flat_map(|note| [note.0.to_le_bytes(), note.1.to_le_bytes()]).flatten().collect();
            update.pages.push(Page { kind: OPEN, id: 0, octets });
        }
        let gone: Vec<u64> = self.runs.iter().filter(|(_, run)| !lives(run.first, run.last)).map(|(&id, _)| id).collect();
        for id in gone {
            self.runs.remove(&id);
            update.drop_pages.push((RUN, id..=id));
            update.drop_pages.push((RUN_PAGE, id * PAGES_PER_RUN..=(id + 1) * PAGES_PER_RUN - 1));
        }
    }

    /// The ledger has what the walk added.
    pub fn install(&mut self, staged: Staged) {
        if let Some(open) = staged.open {
            self.open = open;
            self.runs.extend(staged.runs);
            self.version += 1;
        }
    }

    /// Recovery: the newest generation, as it was written. False if it isn't one.
    pub fn recover_open(&mut self, octets: &[u8]) -> bool {
        let mut at = octets;
        while let (Some(hash), Some(chunk)) = (u64_of(&mut at), u64_of(&mut at)) {
            self.open.insert(hash, chunk);
        }
        at.is_empty()
    }

    /// Recovery: a run. False if it isn't one.
    pub fn recover_run(&mut self, id: u64, octets: &[u8]) -> bool {
        self.last = self.last.max(id);
        Run::read(octets).map(|run| self.runs.insert(id, run)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of `count` messages, 10 in a chunk, in generations of `most`, and their pages.
    fn runs(count: u64, most: usize) -> (Runs, BTreeMap<u64, Vec<u8>>, LedgerUpdate) {
        let (mut runs, mut staged, mut update) = (Runs::default(), Staged::default(), LedgerUpdate::default());
        for id in 0..count {
            runs.note(&mut staged, Target::Message(MessageId(id)), 1_000 + id / 10, most, |_| true, &mut update);
        }
        runs.write(&staged, |_, _| true, &mut update);
        runs.install(staged);
        let pages = update.pages.iter().filter(|p| p.kind == RUN_PAGE).map(|p| (p.id, p.octets.clone())).collect();
        (runs, pages, update)
    }

    /// The chunks that a probe names, in order.
    fn chunks(runs: &Runs, pages: &BTreeMap<u64, Vec<u8>>, target: Target) -> Vec<u64> {
        let mut probe = runs.probe([target].into_iter().collect());
        let mut found = Vec::new();
        loop {
            match runs.next(&mut probe) {
                Step::Chunk(chunk) => found.push(chunk),
                Step::Page(page) => found.extend(runs.chunk_in(page, &pages[&page], target)),
                Step::Over => return found,
            }
        }
    }

    #[test]
    fn every_message_is_found_in_its_chunk_and_others_almost_never_cost_a_page() {
        let (runs, pages, _) = runs(10_000, 3_000);
        assert_eq!(runs.len(), (1_000, 3));
        for id in 0..10_000 {
            assert_eq!(chunks(&runs, &pages, Target::Message(MessageId(id))), [1_000 + id / 10]);
        }
        let mut looked = 0;
        for id in 20_000..30_000 {
            let mut probe = runs.probe([Target::Message(MessageId(id))].into_iter().collect());
            while runs.next(&mut probe) != Step::Over {
                looked += 1;
            }
        }
        assert!(looked < 20, "{looked} pages for 10,000 unknown ids");
    }

    #[test]
    fn notes_come_back_from_the_ledger_as_they_were() {
        let (before, pages, update) = runs(5_000, 2_000);
        let mut runs = Runs::default();
        for page in &update.pages {
            match page.kind {
                OPEN => assert!(runs.recover_open(&page.octets)),
                RUN => assert!(runs.recover_run(page.id, &page.octets)),
                _ => {}
            }
        }
        assert_eq!(runs.len(), before.len());
        for id in 0..5_000 {
            assert_eq!(chunks(&runs, &pages, Target::Message(MessageId(id))), [1_000 + id / 10]);
        }
        let run = update.pages.iter().find(|p| p.kind == RUN).unwrap();
        assert!(!runs.recover_run(9, &run.octets[..run.octets.len() - 2]), "a filter that is cut off is refused");
        assert!(!runs.recover_open(&[1; 15]));
    }

    #[test]
    fn the_newest_note_comes_first_and_a_run_without_chunks_goes() {
        let (mut runs, mut pages, _) = runs(2_000, 2_000);
        let (mut staged, mut update) = (Staged::default(), LedgerUpdate::default());
        for id in 0..2_000 {
            runs.note(&mut staged, Target::Message(MessageId(id)), 5_000, 2_000, |_| true, &mut update);
        }
        assert_eq!(chunks(&runs, &pages, Target::Message(MessageId(7))), [1_000], "not before the ledger has it");
        let mut probe = runs.probe([Target::Message(MessageId(7))].into_iter().collect());
        runs.install(staged);
        pages.extend(update.pages.iter().filter(|p| p.kind == RUN_PAGE).map(|p| (p.id, p.octets.clone())));
        assert_eq!(chunks(&runs, &pages, Target::Message(MessageId(7))), [5_000, 1_000]);
        assert_eq!([(); 3].map(|()| matches!(runs.next(&mut probe), Step::Page(_))), [true, true, true], "what began before sees it too");
        let mut update = LedgerUpdate::default();
        runs.write(&Staged::default(), |first, last| first <= 5_000 && 5_000 <= last, &mut update);
        assert_eq!(
            update.drop_pages.iter().map(|(kind, range)| (*kind, *range.start())).collect::<Vec<_>>(),
            [(RUN, 1), (RUN_PAGE, PAGES_PER_RUN)]
        );
        assert_eq!(chunks(&runs, &pages, Target::Message(MessageId(7))), [5_000]);
    }

    #[test]
    fn a_generation_of_any_size_becomes_a_run() {
        for most in 1..40 {
            let (runs, pages, _) = runs(most, most as usize);
            assert_eq!(runs.len(), (0, 1));
            for id in 0..most {
                assert_eq!(chunks(&runs, &pages, Target::Message(MessageId(id))), [1_000 + id / 10]);
            }
        }
    }
}
