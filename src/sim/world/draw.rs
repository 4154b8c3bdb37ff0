//! Which messages a world has: drawn before it begins, each with how it is submitted and what its upstream does with it afterwards.

use super::course::{Due, World};
use super::inbound::Inbound;
use super::judge::{How, Record, mark};
use crate::model::Class;
use crate::sim::behaviour::Dice;

/// How far apart the parts of one text are submitted at most, microseconds.
const PARTS_APART_US: u64 = 3_000_000;

/// The parts that one text of an upstream is cut into, as its header or TLVs name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Names the set; no two share one.
    pub set: usize,
    /// The reference as upstream writes it.
    pub reference: u16,
    /// How many.
    pub total: u8,
    /// Which one this is, from 1.
    pub number: u8,
    /// Named by the sar_ TLVs.
    pub by_tlvs: bool,
}

/// What is drawn, and the dice for it: apart from the world's own, so that a share more leaves the rest as it was.
pub(super) struct Draw {
    dice: Dice,
    /// Numbers that messages went to.
    recent: Vec<String>,
    sets: usize,
}

impl Draw {
    pub fn new(seed: u64) -> Draw {
        Draw { dice: Dice::new(seed ^ 0xd4a3), recent: Vec::new(), sets: 0 }
    }
}

impl World {
    /// Everything that upstreams and phones will submit.
    pub(super) fn draw_traffic(&mut self, mut draw: Draw) {
        while self.judge.records.len() < self.settings.messages {
            let number = self.judge.records.len();
            let at_us = self.dice.up_to(self.settings.busy_ms * 1000);
            if draw.dice.chance(self.settings.parts_share) {
                self.draw_parts(number, at_us, &mut draw);
            } else if draw.dice.chance(self.settings.multi_share) {
                self.draw_multi(number, at_us, &mut draw);
            } else {
                let record = self.draw_message(number, &mut draw);
                self.judge.records.push(record);
                self.after(at_us, Due::Submit { number });
            }
        }
        for number in 0..self.settings.inbounds {
            self.draw_inbound(number, &mut draw);
        }
        self.to_submit = self.judge.records.len();
        self.prepare_job(&mut draw);
        self.judge.allow_cancels();
    }

    /// The bulk job's lines are messages like others; they are handed in another way.
    fn prepare_job(&mut self, draw: &mut Draw) {
        let first = self.judge.records.len();
        for number in first..first + self.settings.job_lines {
            let record = self.draw_message(number, draw);
            let (account, class) = (Class::ALL.len() - 1, Class::Marketing);
            let mut line = Record::new(account, class, record.digits, 1, record.text);
            line.routed(&self.settings);
            self.judge.records.push(line);
            self.job.lines.push(number);
        }
        self.draw_backlog();
        self.judge.orders.is_single = super::plan::carriers_of(&self.settings) == 1;
        self.judge.dispatch.clone_from(&self.settings.dispatch);
        self.judge.books.limits = self.settings.limit.map_or(Vec::new(), |limit| vec![limit; super::plan::accounts_of(&self.settings)]);
        self.after(100_000, Due::Job);
        self.after(100_000, Due::PayIn);
        if !self.job.backlog.is_empty() {
            self.after(50_000, Due::Backlog);
        }
    }

    fn draw_message(&mut self, number: usize, draw: &mut Draw) -> Record {
        let account = self.dice.up_to(2) as usize;
        let digits = match draw.recent.last() {
            Some(last) if self.dice.chance(self.settings.same_number_share) => last.clone(),
            _ => format!("86138{:08}", 1_000 + number),
        };
        draw.recent.push(digits.clone());
        let registered = [1, 1, 1, 1, 0x11, 2, 3, 0][self.dice.up_to(7) as usize];
        let marks = match self.dice.chance(self.settings.long_share) {
            true => [25, 25, 50][self.dice.up_to(2) as usize],
            false => 1 + self.dice.up_to(15) as usize,
        };
        let mut record = Record::new(account, Class::ALL[account], digits, registered, mark(number).repeat(marks));
        if self.dice.chance(self.settings.scheduled_share) {
            record.delay_s = 1 + self.dice.up_to(8);
        }
        if self.dice.chance(self.settings.short_lived_share) {
            record.validity_s = record.delay_s + 1 + self.dice.up_to(8);
        }
        record.to_cancel = self.dice.chance(self.settings.cancelled_share);
        let (settings, dice) = (&self.settings, &mut draw.dice);
        record.ucs2 = dice.chance(settings.ucs2_share);
        if record.ucs2 {
            // Each part must show a whole mark: the last of 66 or 67 units too.
            record.text = mark(number).repeat(if marks < 25 { marks.min(8) } else { marks / 25 * 24 });
        }
        record.to_query = dice.chance(settings.query_share);
        record.to_replace = dice.chance(settings.replace_share);
        record.cancels_all = dice.chance(settings.cancel_all_share);
        record.replaces = dice.chance(settings.replacing_share);
        // A data_sm has neither of these fields.
        if dice.chance(settings.data_share) && record.delay_s + record.validity_s == 0 && !record.replaces {
            record.how = How::Data;
        }
        record.routed(&self.settings);
        record
    }

    /// One text for several phones.
    fn draw_multi(&mut self, first: usize, at_us: u64, draw: &mut Draw) {
        let count = 2 + draw.dice.up_to(2) as usize;
        let mut model = self.draw_message(first, draw);
        model.how = How::Multi { first, count };
        for number in first..first + count {
            let digits = if number == first { model.digits.clone() } else { format!("86138{:08}", 1_000 + number) };
            let mut record = Record { digits, ..model.clone() };
            record.routed(&self.settings);
            self.judge.records.push(record);
        }
        self.after(at_us, Due::Submit { number: first });
    }

    /// A text that the upstream has cut itself. References are few, so that the sets of several accounts clash.
    fn draw_parts(&mut self, first: usize, at_us: u64, draw: &mut Draw) {
        let model = self.draw_message(first, draw);
        let dice = &mut draw.dice;
        draw.sets += 1;
        let total = 2 + dice.up_to(1) as u8;
        let digits = if dice.chance(0.7) { format!("86137{:08}", dice.up_to(2)) } else { model.digits.clone() };
        let by_tlvs = dice.chance(0.3);
        let mut reference = [7, 8, 0x107][dice.up_to(2) as usize];
        // Which of two texts a part belongs to can't be told where one account sends both under one reference at once.
        while self.judge.records.iter().any(|r| r.account == model.account && r.digits == digits && r.is_cut_with(reference)) {
            reference += 1;
        }
        for part in 1..=total {
            let number = self.judge.records.len();
            let cut = Cut { set: draw.sets, reference, total, number: part, by_tlvs };
            let text = mark(number).repeat(1 + draw.dice.up_to(7) as usize);
            let how = How::Part(cut);
            let record = Record { digits: digits.clone(), text, how, delay_s: 0, validity_s: 0, ..model.clone() };
            let mut record = Record { to_replace: false, replaces: false, cancels_all: false, ..record };
            record.routed(&self.settings);
            self.judge.records.push(record);
            self.after(at_us + draw.dice.up_to(PARTS_APART_US), Due::Submit { number });
        }
    }

    /// A message from a phone: its parts out of order, some twice, some never.
    fn draw_inbound(&mut self, number: usize, draw: &mut Draw) {
        let dice = &mut draw.dice;
        let parts = 1 + dice.up_to(3) as usize;
        let (to, carrier) = (dice.up_to(3) as usize, dice.up_to(1) as usize % super::plan::carriers_of(&self.settings));
        let inbound = Inbound::new(number, to, carrier, parts);
        self.judge.inbound.records.push(inbound);
        let at_us = dice.up_to(self.settings.busy_ms * 1000);
        for part in 0..parts {
            for _ in 0..[1, 1, 1, 1, 1, 1, 2, 0][dice.up_to(7) as usize] {
                self.after(at_us + dice.up_to(PARTS_APART_US), Due::Inbound { number, part });
            }
        }
    }
}
