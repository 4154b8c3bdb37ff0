//! Worlds in which the dispatch engine has more to do: rates and bursts of carriers and binds, limits of all kinds, weights, shares, hours, and a backlog of
//! many accounts and campaigns that is handed in through the engine's door.

use super::plan::ALL_ACCOUNTS;
use crate::config::{Hours, Zone};
use crate::engine::plan::{LimitPlan, Plan};
use crate::model::{AccountId, CarrierId, Class};
use crate::number::ranges::{Fields, Kind, TableBuilder};
use crate::number::{RangeTable, pack};
use crate::sim::behaviour::Dice;
use std::sync::Arc;

/// What is known of numbers, by prefix: operator, region, time zone. No prefix begins with another.
pub const RANGES: [(&str, [&str; 3]); 4] = [
    ("86130", ["China Unicom", "Xinjiang", "Asia/Urumqi"]),
    ("86133", ["China Telecom", "Xizang", "Asia/Kathmandu"]),
    ("86137", ["China Mobile", "Guangdong", "Asia/Shanghai"]),
    ("86138", ["China Mobile", "Beijing", "Asia/Shanghai"]),
];
/// Names of campaigns.
pub const CAMPAIGNS: [&str; 3] = ["spring", "autumn", "slow"];
/// Validity where the sender gave none: no message of these worlds may ever reach it, milliseconds.
const VALIDITY_MS: u64 = 6 * 3_600_000;

/// Operator, region and zone of a number.
pub fn whereabouts(digits: &str) -> [&'static str; 3] {
    RANGES.iter().find(|(prefix, _)| digits.starts_with(prefix)).map_or(["", "", ""], |(_, is)| *is)
}

/// The same for the engine.
fn ranges() -> Arc<RangeTable> {
    let mut builder = TableBuilder::new();
    for (line, (prefix, [operator, region, zone])) in (1..).zip(RANGES) {
        let fields = Fields { country: "CN", operator, region, zone, kind: Kind::Mobile, tags: "" };
        builder.prefix(pack(prefix.as_bytes()).expect("digits"), &fields, line);
    }
    Arc::new(builder.build().expect("its rows are sound"))
}

/// Rates and bursts of a carrier, segments a second and segments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CarrierPace {
    /// `None`: no limit.
    pub rate_per_s: Option<u32>,
    /// 0: the usual one.
    pub burst: u32,
    /// Of each of its binds.
    pub bind_rate_per_s: Option<u32>,
}

/// Messages of a backlog that wait together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Flow {
    /// Index of the account.
    pub account: usize,
    /// Class.
    pub class: Class,
    /// Campaign.
    pub campaign: Option<&'static str>,
    /// Sender.
    pub sender: &'static str,
    /// How many.
    pub messages: usize,
    /// How many marks their texts have: 1 to 20 are one segment, 25 are two, 50 are three.
    pub marks: usize,
    /// Beginning of their numbers.
    pub prefix: &'static str,
    /// They go to so many phones; 0: each to its own.
    pub phones: usize,
}

/// What is drawn for the dispatch engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatch {
    /// The carriers; one or two.
    pub carriers: Vec<CarrierPace>,
    /// Window of their binds; `None`: as drawn.
    pub window: Option<u32>,
    /// Limits.
    pub limits: Vec<LimitPlan>,
    /// Weights of the accounts.
    pub weights: [u32; ALL_ACCOUNTS.len()],
    /// Segments a second that each account may hand in.
    pub intake: [Option<u32>; ALL_ACCOUNTS.len()],
    /// Guaranteed shares of the classes, percent.
    pub shares: [u8; 3],
    /// Hours of the classes.
    pub hours: [Vec<Hours>; 3],
    /// Over how long what has gathered leaves at an opening, milliseconds.
    pub spread_ms: u64,
    /// What is handed in at the beginning.
    pub backlog: Vec<Flow>,
    /// Shares are judged: nothing but limits stands between the backlog and the one carrier.
    pub is_fair: bool,
    /// All of the backlog comes at the start, and what its hours hold back is judged by how it leaves at their opening.
    pub is_gathering: bool,
    /// A carrier allows more or less than before.
    pub wave_every_ms: u64,
    /// A bind's connection stays, and nothing answers on it any more.
    pub mute_every_ms: u64,
    /// A bind is slow for a while.
    pub slow_every_ms: u64,
    /// Another configuration is read.
    pub reload_every_ms: u64,
}

impl Dispatch {
    /// Nothing of it.
    pub fn plain(carriers: usize) -> Dispatch {
        Dispatch {
            carriers: vec![CarrierPace { rate_per_s: None, burst: 0, bind_rate_per_s: None }; carriers],
            window: None,
            limits: Vec::new(),
            weights: [1; ALL_ACCOUNTS.len()],
            intake: [None; ALL_ACCOUNTS.len()],
            shares: [0, 10, 10],
            hours: [const { Vec::new() }; 3],
            spread_ms: 0,
            backlog: Vec::new(),
            is_fair: false,
            is_gathering: false,
            wave_every_ms: 0,
            mute_every_ms: 0,
            slow_every_ms: 0,
            reload_every_ms: 0,
        }
    }

    /// Buckets of every kind, a backlog to empty them, and what goes wrong meanwhile.
    pub fn paced(seed: u64) -> Dispatch {
        let mut dice = Dice::new(seed ^ 0x9ace);
        let mut dispatch = Dispatch::plain(1 + dice.up_to(1) as usize);
        dispatch.redraw(&mut dice);
        for _ in 0..dice.up_to(6) {
            let flow = Flow {
                account: dice.up_to(ALL_ACCOUNTS.len() as u64 - 1) as usize,
                class: Class::ALL[dice.up_to(2) as usize],
                campaign: [None, Some(CAMPAIGNS[0]), Some(CAMPAIGNS[1])][dice.up_to(2) as usize],
                sender: ["SHOP", "BANK"][dice.up_to(1) as usize],
                messages: 5 + dice.up_to(60) as usize,
                marks: [1, 1, 1, 25, 50][dice.up_to(4) as usize],
                prefix: RANGES[dice.up_to(3) as usize].0,
                phones: [0, 0, 3][dice.up_to(2) as usize],
            };
            dispatch.backlog.push(flow);
        }
        let mut every = |rare: u64, frequent: u64| [0, 0, rare, frequent][dice.up_to(3) as usize];
        dispatch.wave_every_ms = every(8_000, 1_500);
        dispatch.mute_every_ms = every(15_000, 4_000);
        dispatch.slow_every_ms = every(10_000, 3_000);
        dispatch.reload_every_ms = every(8_000, 700);
        dispatch
    }

    /// A constant backlog of several accounts and campaigns of several classes before one carrier.
    pub fn fair(seed: u64) -> Dispatch {
        let mut dice = Dice::new(seed ^ 0xfa17);
        let mut dispatch = Dispatch::plain(1);
        let rate = [60, 100, 200][dice.up_to(2) as usize];
        dispatch.carriers[0] = CarrierPace { rate_per_s: Some(rate), burst: [0, 1, 5][dice.up_to(2) as usize], bind_rate_per_s: None };
        dispatch.window = Some(100);
        dispatch.weights = std::array::from_fn(|_| 1 + dice.up_to(8) as u32);
        dispatch.shares = [[0, 0, 0], [0, 10, 10], [0, 20, 5], [10, 30, 20]][dice.up_to(3) as usize];
        let has_long = dice.chance(0.4);
        for class in Class::ALL {
            // Marketing has always at least two.
            let least = if class == Class::Marketing { 2 } else { 0 };
            for account in 0..(dice.up_to(3) as usize).max(least) {
                for &campaign in [None, Some(CAMPAIGNS[0]), Some(CAMPAIGNS[1])].iter().take(1 + dice.up_to(2) as usize) {
                    let marks = if has_long { [1, 20, 25, 50][dice.up_to(3) as usize] } else { 1 };
                    let messages = 30 + dice.up_to(60) as usize;
                    let flow = Flow { account, class, campaign, sender: "SHOP", messages, marks, prefix: "86138", phones: 0 };
                    dispatch.backlog.push(flow);
                }
                if dice.chance(0.4) {
                    let slow = Flow {
                        account,
                        class,
                        campaign: Some(CAMPAIGNS[2]),
                        sender: "SHOP",
                        messages: 20,
                        marks: 1,
                        prefix: "86133",
                        phones: 0,
                    };
                    dispatch.backlog.push(slow);
                }
            }
        }
        let slow = LimitPlan { name: "slow".into(), prefix: Some("86133".into()), rate_per_s: 2, burst: 1, ..LimitPlan::default() };
        dispatch.limits = vec![slow];
        dispatch.is_fair = true;
        dispatch
    }

    /// Classes that may leave at some minutes only. The world begins at 22:13:20 in Shanghai.
    pub fn hourly(seed: u64) -> Dispatch {
        let mut dice = Dice::new(seed ^ 0x40c5);
        let carriers = 1 + dice.up_to(1) as usize;
        Dispatch::with_hours(&mut dice, carriers)
    }

    /// The same before one carrier that takes all.
    pub fn gathering(seed: u64) -> Dispatch {
        let dispatch = Dispatch::with_hours(&mut Dice::new(seed ^ 0x6a7e), 1);
        Dispatch { is_gathering: true, window: Some(1_000), ..dispatch }
    }

    fn with_hours(dice: &mut Dice, carriers: usize) -> Dispatch {
        let mut dispatch = Dispatch::plain(carriers);
        let hours = |stretches: &[(u16, u16)]| -> Vec<Hours> {
            // The same minutes of every hour of the day, so that they mean every zone.
            let stretch =
                |hour: u16, (from, to): (u16, u16)| Hours { days: 0x7f, from_minute: hour * 60 + from, to_minute: hour * 60 + to };
            stretches.iter().flat_map(|&minutes| (0..24).map(move |hour| stretch(hour, minutes))).collect()
        };
        let drawn: [&[(u16, u16)]; 5] =
            [&[], &[(14, 15), (16, 18), (20, 60)], &[(13, 14), (17, 18), (25, 40)], &[(0, 13), (15, 16), (30, 60)], &[(0, 60)]];
        for class in Class::ALL {
            dispatch.hours[class as usize] = hours(drawn[dice.up_to(4) as usize]);
        }
        dispatch.hours[Class::Marketing as usize] = hours(drawn[1 + dice.up_to(2) as usize]);
        dispatch.spread_ms = [0, 5_000, 30_000][dice.up_to(2) as usize];
        for _ in 0..2 + dice.up_to(4) {
            let flow = Flow {
                account: dice.up_to(ALL_ACCOUNTS.len() as u64 - 1) as usize,
                class: Class::ALL[dice.up_to(2) as usize],
                campaign: [None, Some(CAMPAIGNS[0])][dice.up_to(1) as usize],
                sender: "SHOP",
                messages: 5 + dice.up_to(30) as usize,
                marks: 1,
                prefix: RANGES[dice.up_to(3) as usize].0,
                phones: 0,
            };
            dispatch.backlog.push(flow);
        }
        dispatch
    }

    /// Other rates, limits, weights and shares.
    pub fn redraw(&mut self, dice: &mut Dice) {
        for carrier in &mut self.carriers {
            let rate_per_s = [None, Some(0), Some(8), Some(30), Some(100)][dice.up_to(4) as usize];
            let bind_rate_per_s = [None, None, Some(5), Some(20)][dice.up_to(3) as usize];
            *carrier = CarrierPace { rate_per_s, burst: [0, 1, 4, 20][dice.up_to(3) as usize], bind_rate_per_s };
        }
        self.weights = std::array::from_fn(|_| 1 + dice.up_to(4) as u32);
        self.intake = std::array::from_fn(|_| [None, None, Some(0), Some(3), Some(20), Some(60)][dice.up_to(5) as usize]);
        self.shares = [0, dice.up_to(40) as u8, dice.up_to(40) as u8];
        let limits = dice.up_to(5);
        self.limits = (0..limits).map(|at| limit(at, self.carriers.len() as u64, dice)).collect();
        // Now and then some of them are gone.
        self.limits.retain(|_| dice.chance(0.8));
    }

    /// Nothing stands still any more.
    pub fn calm(&mut self) {
        for carrier in &mut self.carriers {
            carrier.rate_per_s = carrier.rate_per_s.map(|rate| rate.max(20));
        }
        for limit in &mut self.limits {
            limit.rate_per_s = limit.rate_per_s.max(10);
        }
        self.intake = [None; ALL_ACCOUNTS.len()];
    }

    /// These limits mean the same messages.
    pub fn has_conditions_of(&self, limits: &[LimitPlan]) -> bool {
        let conditions = |limit: &LimitPlan| LimitPlan { rate_per_s: 0, burst: 0, ..limit.clone() };
        self.limits.iter().map(conditions).eq(limits.iter().map(conditions))
    }

    /// The plan that it makes of `plan`.
    pub fn apply(&self, plan: &mut Plan) {
        for (of, pace) in plan.carriers.iter_mut().zip(&self.carriers) {
            (of.rate_per_s, of.burst, of.bind_rate_per_s) = (pace.rate_per_s, pace.burst, pace.bind_rate_per_s);
        }
        for (of, (&weight, &rate_per_s)) in plan.accounts.iter_mut().zip(self.weights.iter().zip(&self.intake)) {
            (of.weight, of.rate_per_s) = (weight, rate_per_s);
        }
        for (class, of) in Class::ALL.into_iter().zip(&mut plan.classes) {
            of.share_percent = self.shares[class as usize];
            of.hours.clone_from(&self.hours[class as usize]);
            of.spread_ms = self.spread_ms;
            of.validity_ms = VALIDITY_MS;
        }
        plan.limits.clone_from(&self.limits);
        plan.home_zone = "Asia/Shanghai".parse::<Zone>().expect("a zone");
        plan.ranges = ranges();
    }
}

/// Some limit: each condition or not.
fn limit(at: u64, carriers: u64, dice: &mut Dice) -> LimitPlan {
    let mut limit = LimitPlan {
        name: format!("limit {at}"),
        rate_per_s: [0, 2, 5, 10, 30][dice.up_to(4) as usize],
        burst: [0, 1, 3, 10][dice.up_to(3) as usize],
        ..LimitPlan::default()
    };
    if dice.chance(0.3) {
        limit.carrier = Some(CarrierId(dice.up_to(carriers - 1) as u16));
    }
    if dice.chance(0.3) {
        limit.class = Some(Class::ALL[dice.up_to(2) as usize]);
    }
    if dice.chance(0.3) {
        limit.account = Some(AccountId(dice.up_to(ALL_ACCOUNTS.len() as u64 - 1) as u32));
    }
    if dice.chance(0.2) {
        limit.campaign = Some(CAMPAIGNS[dice.up_to(1) as usize].to_owned());
    }
    if dice.chance(0.3) {
        limit.sender = Some([(b"SHOP".to_vec(), false), (b"BA".to_vec(), true), (b"BA".to_vec(), false)][dice.up_to(2) as usize].clone());
    }
    let (prefix, [operator, region, _]) = RANGES[dice.up_to(3) as usize];
    match dice.up_to(5) {
        0 => limit.prefix = Some(prefix.to_owned()),
        1 => limit.prefix = Some("8613".to_owned()),
        2 => limit.operator = Some(operator.to_owned()),
        3 => limit.region = Some(region.to_owned()),
        _ => {}
    }
    limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_knows_of_numbers_what_the_judge_knows() {
        let table = ranges();
        for (prefix, [operator, region, zone]) in RANGES {
            let range = table.get(table.find(pack(format!("{prefix}00001234").as_bytes()).unwrap()).unwrap());
            assert_eq!([table.name(range.operator), table.name(range.region)], [operator, region]);
            assert_eq!(table.zone(range.zone).map(Zone::name), Some(zone));
        }
    }
}
