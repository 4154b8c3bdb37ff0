//! What a world is like and which misfortunes befall it, as plain data; drawn from a seed so that every seed has its own mixture.

use super::dispatch::Dispatch;
use crate::sim::behaviour::{Behaviour, Dice, ReceiptBind, Share, StateNumber};

/// One world. Intervals are means in milliseconds; 0 means never. Shares are 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Messages that the upstreams submit.
    pub messages: usize,
    /// How long they submit and how long misfortunes last, virtual milliseconds.
    pub busy_ms: u64,
    /// Share of messages of several parts.
    pub long_share: f64,
    /// Share of messages to a number that another message went to shortly before.
    pub same_number_share: f64,
    /// Share of messages that are not to leave before some seconds have passed.
    pub scheduled_share: f64,
    /// Share of messages that are worth nothing after some seconds.
    pub short_lived_share: f64,
    /// Share of messages that their upstream cancels soon after.
    pub cancelled_share: f64,
    /// Share of messages that their upstream submits a second time, whatever it was told.
    pub repeated_share: f64,
    /// Lines of a bulk job, each with an identity, handed in until each has its yes.
    pub job_lines: usize,
    /// Accounts pay, and may owe so much, thousandths of a credit.
    pub limit: Option<i64>,
    /// Somebody pays in or takes out.
    pub top_up_every_ms: u64,
    /// Share of texts in UCS-2.
    pub ucs2_share: f64,
    /// Share of messages submitted by data_sm.
    pub data_share: f64,
    /// Share of submissions for several phones.
    pub multi_share: f64,
    /// Share of texts that upstream cuts itself.
    pub parts_share: f64,
    /// Share of messages whose upstream asks for their state soon after.
    pub query_share: f64,
    /// Share of messages whose upstream replaces their text soon after.
    pub replace_share: f64,
    /// Share of messages whose upstream cancels all to their phone soon after.
    pub cancel_all_share: f64,
    /// Share of messages that replace what still waits for their phone.
    pub replacing_share: f64,
    /// Messages from phones.
    pub inbounds: usize,
    /// An operator changes something while everything runs: pauses, cancels, reroutes, drains, limits, lifts, another plan.
    pub operate_every_ms: u64,
    /// Octets of journal at which what is old is carried into the ledger.
    pub journal_octets: u64,
    /// Messages in memory at which the ends of lanes leave it.
    pub max_in_memory: usize,
    /// Messages due later than this leave memory.
    pub cold_after_ms: u64,
    /// Sent messages leave memory after waiting so long for their receipts.
    pub sent_cold_after_ms: u64,
    /// Notes of where messages out of memory are that become a run.
    pub notes_per_run: usize,
    /// The gateway is killed.
    pub crash_every_ms: u64,
    /// The gateway is killed right after this event of the world, once.
    pub crash_at_event: Option<u64>,
    /// A sync of the journal fails; the gateway stops and is started again.
    pub failed_sync_every_ms: u64,
    /// The journal's thread says that the disk is slow, or down to its reserve, for a while.
    pub disk_every_ms: u64,
    /// A connection with a carrier is cut.
    pub cut_carrier_every_ms: u64,
    /// A connection with an upstream is cut.
    pub cut_upstream_every_ms: u64,
    /// Share of cuts that only one side notices.
    pub half_open_share: f64,
    /// Nothing moves on one connection for a while.
    pub stall_every_ms: u64,
    /// The wall clock jumps, by at most [`Settings::WALL_JUMP_MAX_MS`] from the truth.
    pub wall_jump_every_ms: u64,
    /// A number is blocked or opts out, or a block is lifted.
    pub listed_every_ms: u64,
    /// Share of deliveries that an upstream answers with "not now".
    pub upstream_later: f64,
    /// Share that it refuses for good.
    pub upstream_never: f64,
    /// Share that it doesn't answer.
    pub upstream_silent: f64,
    /// Longest time that an upstream takes to answer a delivery, milliseconds.
    pub upstream_answer_ms: u64,
    /// Carriers wait so long for an answer to a submit before it is in doubt, milliseconds.
    pub response_timeout_ms: u64,
    /// Segments a second that each carrier is given.
    pub rate_per_s: Option<u32>,
    /// Three carriers behind rules, weights and health, and second tries after negative receipts; else two in order.
    pub rules: bool,
    /// How often a message may go to another carrier after a negative receipt, by class.
    pub reroutes: [u8; 3],
    /// Answers with which a carrier's health is judged.
    pub health_sample: u32,
    /// What is drawn for the dispatch engine; no rules then.
    pub dispatch: Option<Dispatch>,
    /// The carriers' habits while misfortunes last.
    pub behaviour: Behaviour,
}

impl Settings {
    /// Farthest that the wall clock is ever from the truth.
    pub const WALL_JUMP_MAX_MS: u64 = 240_000;

    /// A world in which nothing goes wrong.
    pub fn calm() -> Settings {
        Settings {
            messages: 80,
            busy_ms: 20_000,
            long_share: 0.2,
            same_number_share: 0.0,
            scheduled_share: 0.0,
            short_lived_share: 0.0,
            cancelled_share: 0.0,
            repeated_share: 0.0,
            job_lines: 0,
            limit: None,
            top_up_every_ms: 0,
            ucs2_share: 0.0,
            data_share: 0.0,
            multi_share: 0.0,
            parts_share: 0.0,
            query_share: 0.0,
            replace_share: 0.0,
            cancel_all_share: 0.0,
            replacing_share: 0.0,
            inbounds: 0,
            operate_every_ms: 0,
            journal_octets: 6_000,
            max_in_memory: 1_000_000,
            cold_after_ms: 600_000,
            sent_cold_after_ms: 600_000,
            notes_per_run: 20,
            crash_every_ms: 0,
            crash_at_event: None,
            failed_sync_every_ms: 0,
            disk_every_ms: 0,
            cut_carrier_every_ms: 0,
            cut_upstream_every_ms: 0,
            half_open_share: 0.3,
            stall_every_ms: 0,
            wall_jump_every_ms: 0,
            listed_every_ms: 0,
            upstream_later: 0.0,
            upstream_never: 0.0,
            upstream_silent: 0.0,
            upstream_answer_ms: 5,
            response_timeout_ms: 3_000,
            rate_per_s: None,
            rules: false,
            reroutes: [0; 3],
            health_sample: u32::MAX,
            dispatch: None,
            behaviour: Behaviour {
                answer_delay_ms: 1,
                answer_jitter_ms: 30,
                receipt_delay_ms: 20,
                receipt_jitter_ms: 2_000,
                receipts: receipts(0.8, 0.2),
                redeliver_tries: u8::MAX,
                ..Behaviour::default()
            },
        }
    }

    /// A world of this seed: each misfortune is absent, rare or frequent.
    pub fn drawn(seed: u64) -> Settings {
        let mut dice = Dice::new(seed ^ 0x5e77_1465);
        let mut every = |rare: u64, frequent: u64| [0, 0, rare, frequent][dice.up_to(3) as usize];
        let mut settings = Settings {
            crash_every_ms: every(10_000, 1_500),
            failed_sync_every_ms: every(20_000, 5_000),
            disk_every_ms: every(10_000, 3_000),
            cut_carrier_every_ms: every(5_000, 700),
            cut_upstream_every_ms: every(5_000, 700),
            stall_every_ms: every(5_000, 1_000),
            wall_jump_every_ms: every(10_000, 2_000),
            ..Settings::calm()
        };
        let mut share = |rare: f64, frequent: f64| [0.0, 0.0, rare, frequent][dice.up_to(3) as usize];
        settings.long_share = share(0.2, 0.6);
        settings.same_number_share = share(0.1, 0.5);
        settings.scheduled_share = share(0.1, 0.5);
        settings.short_lived_share = share(0.1, 0.4);
        settings.cancelled_share = share(0.1, 0.4);
        settings.half_open_share = share(0.2, 0.7);
        settings.upstream_later = share(0.05, 0.4);
        settings.upstream_never = share(0.02, 0.2);
        settings.upstream_silent = share(0.05, 0.3);
        settings.behaviour.lost_answers = share(0.05, 0.4);
        settings.behaviour.early_receipts = share(0.1, 0.6);
        settings.behaviour.duplicate_receipts = share(0.1, 0.6);
        settings.behaviour.receipts = receipts(1.0 - share(0.1, 0.4), share(0.1, 0.4));
        let refused = share(0.03, 0.3) / 4.0;
        settings.behaviour.errors = [0x08, 0x14, 0x15, 0x0b].map(|what| Share { what, share: refused }).to_vec();
        settings.behaviour.intermediate = dice.chance(0.3);
        settings.behaviour.receipt_bind = [ReceiptBind::Same, ReceiptBind::Other, ReceiptBind::Any][dice.up_to(2) as usize];
        settings.behaviour.rate_per_s = [0, 0, 0, 30][dice.up_to(3) as usize];
        settings.behaviour.burst = 5;
        // Some carriers answer later than anybody waits.
        settings.behaviour.answer_jitter_ms = [20, 200, 5_000][dice.up_to(2) as usize];
        settings.rate_per_s = [None, None, Some(20)][dice.up_to(2) as usize];
        settings.journal_octets = [2_000, 10_000, 1 << 20][dice.up_to(2) as usize];
        settings.upstream_answer_ms = [1, 50, 2_000][dice.up_to(2) as usize];
        settings.messages = 20 + dice.up_to(100) as usize;
        let mut cold = Dice::new(seed ^ 0xc01d);
        settings.max_in_memory = [3, 15, 1_000_000][cold.up_to(2) as usize];
        settings.cold_after_ms = [500, 3_000, 600_000][cold.up_to(2) as usize];
        settings.sent_cold_after_ms = [300, 3_000, 600_000][cold.up_to(2) as usize];
        settings.notes_per_run = [1, 8, 100][cold.up_to(2) as usize];
        settings.behaviour.receipt_jitter_ms = [2_000, 2_000, 15_000][cold.up_to(2) as usize];
        settings.busy_ms = 5_000 + dice.up_to(20_000);
        settings.listed_every_ms = [0, 0, 2_000, 200][Dice::new(seed ^ 0x1157).up_to(3) as usize];
        let mut more = Dice::new(seed ^ 0x40_2e);
        let mut share = |rare: f64, frequent: f64| [0.0, 0.0, rare, frequent][more.up_to(3) as usize];
        settings.ucs2_share = share(0.2, 0.6);
        settings.data_share = share(0.1, 0.4);
        settings.multi_share = share(0.05, 0.2);
        settings.parts_share = share(0.1, 0.4);
        settings.query_share = share(0.2, 0.6);
        settings.replace_share = share(0.1, 0.4);
        settings.cancel_all_share = share(0.05, 0.3);
        settings.replacing_share = share(0.1, 0.5);
        settings.inbounds = [0, 0, 5, 30][more.up_to(3) as usize];
        let mut twice = Dice::new(seed ^ 0x2f1d);
        settings.repeated_share = [0.0, 0.1, 0.6][twice.up_to(2) as usize];
        settings.job_lines = [0, 3, 30][twice.up_to(2) as usize];
        settings.limit = [None, Some(0), Some(200), Some(1_000)][twice.up_to(3) as usize];
        settings.top_up_every_ms = if settings.limit.is_some() { [300, 2_000][twice.up_to(1) as usize] } else { 0 };
        let mut operator = Dice::new(seed ^ 0x0be7);
        settings.operate_every_ms = [0, 0, 4_000, 600][operator.up_to(3) as usize];
        settings
    }

    /// A world of this seed in which routing has more to do.
    pub fn routed(seed: u64) -> Settings {
        let mut settings = Settings::drawn(seed);
        let mut dice = Dice::new(seed ^ 0x0072_0075);
        settings.rules = true;
        settings.reroutes = [dice.up_to(1) as u8, dice.up_to(2) as u8, dice.up_to(3) as u8];
        settings.health_sample = [3, 10, u32::MAX][dice.up_to(2) as usize];
        settings.behaviour.receipts = receipts([0.95, 0.8][dice.up_to(1) as usize], [0.3, 0.7][dice.up_to(1) as usize]);
        settings.behaviour.corrected_receipts = [0.0, 0.3][dice.up_to(1) as usize];
        settings
    }

    /// A world of this seed with buckets of every kind, throttle waves, mute and slow binds, hang-ups, and reloads in flight.
    pub fn paced(seed: u64) -> Settings {
        let mut settings = Settings::drawn(seed);
        let mut dice = Dice::new(seed ^ 0x0009_aced);
        settings.dispatch = Some(Dispatch::paced(seed));
        settings.limit = [None, Some(1_000_000)][dice.up_to(1) as usize];
        settings.top_up_every_ms = if settings.limit.is_some() { 2_000 } else { 0 };
        settings.behaviour.hang_up_every = [0, 0, 40, 10][dice.up_to(3) as usize];
        settings.busy_ms = 10_000 + dice.up_to(30_000);
        settings
    }

    /// A world of this seed in which nothing goes wrong and shares of one carrier are told by weights.
    pub fn fair(seed: u64) -> Settings {
        Settings { dispatch: Some(Dispatch::fair(seed)), messages: 0, busy_ms: 5_000, ..Settings::calm() }
    }

    /// A world of this seed with hours for its classes.
    pub fn hourly(seed: u64) -> Settings {
        let dispatch = Some(Dispatch::hourly(seed));
        Settings { dispatch, busy_ms: 240_000, journal_octets: 50_000, limit: None, top_up_every_ms: 0, ..Settings::drawn(seed) }
    }

    /// A world of this seed in which nothing goes wrong and what has gathered leaves at the opening of its hours.
    pub fn gathering(seed: u64) -> Settings {
        let dispatch = Some(Dispatch::gathering(seed));
        Settings { dispatch, messages: 0, busy_ms: 240_000, journal_octets: 50_000, ..Settings::calm() }
    }

    /// The carriers' habits once all misfortunes are over: whatever still comes is answered at once and reported.
    pub fn calmed(&self) -> Behaviour {
        Behaviour {
            lost_answers: 0.0,
            errors: Vec::new(),
            early_receipts: 0.0,
            duplicate_receipts: 0.0,
            corrected_receipts: 0.0,
            hang_up_every: 0,
            answer_jitter_ms: 20,
            rate_per_s: 0,
            ..self.behaviour.clone()
        }
    }
}

fn receipts(answered: f64, failed: f64) -> Vec<Share<StateNumber>> {
    let share = |what: u8, share: f64| Share { what: StateNumber(what), share: share * answered };
    vec![share(2, 1.0 - failed), share(5, failed / 2.0), share(3, failed / 4.0), share(8, failed / 4.0)]
}
