//! The course of a world: what happens next, in order of virtual time and, within an instant, of the dice. Owns everything; the other files give it hands.

use super::draw::Draw;
use super::gateway::Gateway;
use super::jobs::Job;
use super::judge::{Judge, Judged, Wrong};
use super::operator::OperatorDesk;
use super::peers::{ClientSlot, Operator};
use super::requests::Wish;
use super::wire::{Connection, Side};
use super::{Outcome, Settings};
use crate::model::Now;
use crate::sim::behaviour::{Dice, scramble};
use crate::smpp::CloseCause;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The world begins at this instant.
pub(super) const START: Now = Now { mono_us: 1_000_000, wall_ms: 1_790_000_000_000 };
/// No world lasts longer, virtual milliseconds: by then everything must be at rest.
const LONGEST_MS: u64 = 3 * 3_600_000;
/// No world has more events; one that does runs in circles.
const MOST_EVENTS: u64 = 3_000_000;
/// Lines kept when no message is watched.
const LINES: usize = 40;

/// What is to happen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// Something arrives at this end of a connection.
    Arrival { at: usize, side: Side },
    /// The timer of this end.
    Timer { at: usize, side: Side, us: u64 },
    /// This end has something to do.
    Nudge { at: usize, side: Side },
    /// The gateway's end looks into its mailbox.
    Mail { at: usize },
    /// A step of the engine.
    Step { life: u64, us: u64 },
    /// The journal's sync returns.
    Synced { life: u64 },
    /// The ledger's sync returns.
    Kept { life: u64 },
    /// The ledger has read a chunk.
    ChunkRead { life: u64, id: u64 },
    /// The ledger has read a page.
    PageRead { life: u64, kind: u8, id: u64 },
    /// The gateway starts.
    Start,
    /// The gateway connects a bind.
    Bind { life: u64, carrier: usize, index: usize },
    /// An upstream connects.
    Connect { slot: usize },
    /// An upstream submits.
    Submit { number: usize },
    /// An upstream submits the same once more.
    Repeat { number: usize },
    /// The bulk job hands in some lines.
    Job,
    /// The backlog is handed in.
    Backlog,
    /// Somebody tops up.
    PayIn,
    /// An upstream asks for something to be done with a message.
    Wish { number: usize, wish: Wish },
    /// A phone sends a part of a message.
    Inbound { number: usize, part: usize },
    /// An upstream answers a delivery.
    Respond { at: usize, sequence: u32, status: u32, what: Delivered },
    /// The operator does something.
    Operate,
    /// Something goes wrong.
    Misfortune(Misfortune),
    /// A bind that is mute must be given up by now.
    MustBeGone { at: usize },
    /// The disk is as it should be again.
    DiskWell { life: u64 },
    /// From now on nothing goes wrong any more.
    Calm,
    /// Is everything at rest?
    Look,
}

/// What an upstream got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Delivered {
    /// A final report: id and state.
    Final(u64, u8),
    /// Another report.
    Other,
    /// A message from a phone, by its number.
    Inbound(usize),
}

/// What may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Misfortune {
    Crash,
    FailedSync,
    Disk,
    CutCarrier,
    CutUpstream,
    Stall,
    WallJump,
    /// A carrier allows more or less than before.
    Wave,
    /// A bind's connection stays, and nothing answers on it any more.
    Mute,
    /// Everything from a carrier comes late on one bind for a while.
    Slow,
    /// Another configuration is read.
    Reload,
    /// For whom waits: his number is blocked, or his phone opts out.
    Listing,
    /// The gateway stops after a failed sync; the way out of it is that of a crash.
    Stop,
}

/// What an end is to do.
pub(super) enum Work {
    Opened,
    Octets(Vec<u8>),
    Over(CloseCause),
    Tick,
    Mail,
}

/// Everything.
pub struct World {
    pub(super) settings: Settings,
    pub(super) dice: Dice,
    pub(super) now_us: u64,
    pub(super) wall_offset_ms: i64,
    agenda: BinaryHeap<Reverse<(u64, u64, u64, Due)>>,
    scheduled: u64,
    pub(super) connections: Vec<Connection>,
    pub(super) gateway: Gateway,
    pub(super) recorder: super::tail::Recorder,
    pub(super) operators: Vec<Operator>,
    pub(super) slots: Vec<ClientSlot>,
    pub(super) judge: Judge,
    pub(super) job: Job,
    pub(super) is_calm: bool,
    pub(super) operator: OperatorDesk,
    pub(super) crashes: u64,
    pub(super) carried: u64,
    pub(super) chunks_read: u64,
    pub(super) listing: super::listing::Listing,
    pub(super) no_credit: u64,
    pub(super) pages_read: u64,
    pub(super) to_submit: usize,
    events: u64,
    trace: u64,
    watch: Option<Option<usize>>,
    lines: Vec<String>,
}

impl World {
    /// The world of `seed`. `watch`: keep lines of what happens, to one message or at last.
    pub fn new(seed: u64, settings: &Settings, watch: Option<Option<usize>>) -> World {
        let mut dice = Dice::new(scramble(seed));
        let gateway = Gateway::new(settings, &mut dice);
        let slots = ClientSlot::all(&mut dice);
        let operators = (0..gateway.plan.carriers.len()).map(|carrier| Operator::new(settings, carrier, dice.roll())).collect();
        let mut world = World {
            settings: settings.clone(),
            dice,
            now_us: START.mono_us,
            wall_offset_ms: 0,
            agenda: BinaryHeap::new(),
            scheduled: 0,
            connections: Vec::new(),
            gateway,
            recorder: super::tail::Recorder::default(),
            operators,
            slots,
            judge: Judge::default(),
            job: Job::default(),
            is_calm: false,
            operator: OperatorDesk::default(),
            crashes: 0,
            carried: 0,
            chunks_read: 0,
            listing: super::listing::Listing::default(),
            no_credit: 0,
            pages_read: 0,
            to_submit: 0,
            events: 0,
            trace: seed,
            watch,
            lines: Vec::new(),
        };
        world.prepare();
        world
    }

    fn prepare(&mut self) {
        self.draw_traffic(Draw::new(self.trace));
        self.after(0, Due::Start);
        for slot in 0..self.slots.len() {
            let at_us = self.dice.up_to(200_000);
            self.after(at_us, Due::Connect { slot });
        }
        for kind in Misfortune::ALL {
            self.next_misfortune(kind);
        }
        self.next_operation();
        self.after(self.settings.busy_ms * 1000, Due::Calm);
    }

    /// Runs to the end.
    pub fn run(&mut self) -> Judged {
        while let Some(Reverse((at_us, _, _, due))) = self.agenda.pop() {
            self.now_us = at_us;
            self.events += 1;
            if self.elapsed_ms() > LONGEST_MS || self.events > MOST_EVENTS {
                self.judge.at_rest()?;
                return Err(Wrong { what: format!("not at rest: {}", self.unrest().unwrap_or_default()), message: None });
            }
            if due == Due::Look {
                if self.unrest().is_none() {
                    return self.rest();
                }
                self.after(2_000_000, Due::Look);
                continue;
            }
            self.happen(due)?;
            if self.settings.crash_at_event == Some(self.events) {
                self.crash()?;
            }
        }
        Err(Wrong { what: "the world stands still".into(), message: None })
    }

    fn happen(&mut self, due: Due) -> Judged {
        match due {
            Due::Arrival { at, side } => self.arrival(at, side),
            Due::Timer { at, side, us } => match &self.connections[at].ends[side as usize] {
                Some(end) if end.timer_us == us => self.work(at, side, Work::Tick),
                _ => Ok(()),
            },
            Due::Nudge { at, side } => self.work(at, side, Work::Tick),
            Due::Mail { at } => self.work(at, Side::Gateway, Work::Mail),
            Due::Step { life, us } => self.step_due(life, us),
            Due::Synced { life } => self.synced(life),
            Due::Kept { life } => self.kept(life),
            Due::ChunkRead { life, id } => self.chunk_read(life, id),
            Due::PageRead { life, kind, id } => self.page_read(life, kind, id),
            Due::Start => self.start(),
            Due::Bind { life, carrier, index } => self.connect_bind(life, carrier, index),
            Due::Connect { slot } => self.connect_client(slot),
            Due::Submit { number } => self.submit(number),
            Due::Repeat { number } => self.repeat(number),
            Due::Job => self.job_turn(),
            Due::Backlog => {
                self.backlog_turn();
                Ok(())
            }
            Due::PayIn => {
                self.pay_in();
                Ok(())
            }
            Due::Wish { number, wish } => self.wish(number, wish),
            Due::Inbound { number, part } => self.inbound_due(number, part),
            Due::Respond { at, sequence, status, what } => self.respond(at, sequence, status, what),
            Due::Operate => self.operate(),
            Due::Misfortune(kind) => self.misfortune(kind),
            Due::MustBeGone { at } => self.must_be_gone(at),
            Due::DiskWell { life } => self.disk_well(life),
            Due::Calm => self.calm(),
            Due::Look => Ok(()),
        }
    }

    /// `None` once nothing is under way any more.
    fn unrest(&self) -> Option<String> {
        let Some(engine) = &self.gateway.engine else { return Some("the gateway is down".into()) };
        let (alive, outbox, parked) = (engine.alive(), engine.outbox_figures().map(|(waiting, _)| waiting).sum::<u64>(), engine.parked());
        let waiting: u64 = self.operators.iter().map(|o| o.carrier.counts().waiting).sum();
        let phones = engine.inbound_waiting();
        let rest = self.to_submit == 0
            && self.job_left() == 0
            && phones == 0
            && self.operator.is_idle()
            && alive == 0
            && outbox == 0
            && parked == 0
            && waiting == 0
            && self.gateway.is_written();
        (!rest).then(|| {
            format!(
                "{} to submit, operator idle {}, {alive} alive, {outbox} in outboxes, {parked} parked, {phones} parts from phones, {waiting} with carriers, journal idle {}",
                self.to_submit,
                self.operator.is_idle(),
                self.gateway.is_written()
            )
        })
    }

    fn rest(&mut self) -> Judged {
        self.judge.at_rest()?;
        self.recorded_at_rest()?;
        self.counters(0)?;
        self.crash()?;
        self.start()?;
        self.counters(0)?;
        let engine = self.gateway.engine.as_ref().expect("it has just started");
        let outbox: u64 = engine.outbox_figures().map(|(waiting, _)| waiting).sum();
        if engine.alive() > 0 || outbox > 0 {
            let what = format!("comes back after rest: {} messages, {outbox} deliveries", engine.alive());
            return Err(Wrong { what, message: None });
        }
        Ok(())
    }

    pub(super) fn submitted(&mut self) {
        self.to_submit -= 1;
    }

    // ---- time ----

    pub(super) fn now(&self) -> Now {
        let passed_us = self.now_us - START.mono_us;
        let wall_ms = (START.wall_ms + passed_us / 1000).saturating_add_signed(self.wall_offset_ms);
        Now { mono_us: self.now_us, wall_ms }
    }

    /// Virtual milliseconds since the beginning.
    pub fn elapsed_ms(&self) -> u64 {
        (self.now_us - START.mono_us) / 1000
    }

    pub(super) fn after(&mut self, us: u64, due: Due) {
        self.at(self.now_us + us, due);
    }

    pub(super) fn at(&mut self, at_us: u64, due: Due) {
        self.scheduled += 1;
        let order = self.dice.roll();
        self.agenda.push(Reverse((at_us.max(self.now_us), order, self.scheduled, due)));
    }

    // ---- what happened ----

    pub(super) fn count(&mut self, tag: u64, what: u64) {
        self.trace = scramble(self.trace ^ scramble(tag ^ scramble(self.now_us ^ scramble(what))));
    }

    /// Takes note of something, about message `number` or about all.
    pub(super) fn note(&mut self, number: Option<usize>, line: impl FnOnce() -> String) {
        let Some(watch) = self.watch else { return };
        if watch.is_none() || number.is_none() || number == watch {
            self.lines.push(format!("{:>10.3} ms  {}", (self.now_us - START.mono_us) as f64 / 1000.0, line()));
            if watch.is_none() && self.lines.len() > LINES {
                self.lines.remove(0);
            }
        }
    }

    /// The lines kept.
    pub fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// What it came to.
    pub fn outcome(&self) -> Outcome {
        let (taken, repeated) = self.judge.taken();
        Outcome {
            trace: self.trace,
            events: self.events,
            took_ms: self.elapsed_ms(),
            acknowledged: self.judge.acknowledged(),
            accepted: self.judge.accepted(),
            taken,
            repeated,
            reported: self.judge.reported(),
            crashes: self.crashes,
            carried: self.carried,
            chunks_read: self.chunks_read,
            listed: self.listing.answered,
            stopped: self.judge.stopped(),
            repeats: self.judge.repeats,
            no_credit: self.no_credit,
            rerouted: self.judge.rerouted(),
            pages_read: self.pages_read,
        }
    }
}
