//! The backlog of a world: messages of many accounts, classes and campaigns that are handed in through the engine's door with an identity each, all at once,
//! and again until each has its answer.

use super::course::{Due, World};
use super::judge::{Record, Said, mark};
use crate::engine::port::{Draft, Input};
use std::sync::Arc;

impl World {
    /// The messages of all flows, in turn.
    pub(super) fn draw_backlog(&mut self) {
        let Some(dispatch) = &self.settings.dispatch else { return };
        let flows = dispatch.backlog.clone();
        for turn in 0..flows.iter().map(|flow| flow.messages).max().unwrap_or(0) {
            for (at, flow) in flows.iter().enumerate().filter(|(_, flow)| turn < flow.messages) {
                let number = self.judge.records.len();
                let phone = if flow.phones == 0 { 100_000 + number } else { 90_000 + at * 100 + turn % flow.phones };
                let digits = format!("{}{phone:08}", flow.prefix);
                let mut record = Record::new(flow.account, flow.class, digits, 0, mark(number).repeat(flow.marks));
                (record.campaign, record.sender) = (flow.campaign, flow.sender);
                record.routed(&self.settings);
                self.judge.records.push(record);
                self.job.backlog.push(number);
            }
        }
    }

    /// Hands in whatever has no answer yet.
    pub(super) fn backlog_turn(&mut self) {
        let open: Vec<usize> =
            self.job.backlog.iter().copied().filter(|&number| self.judge.records[number].said == Said::Nothing).collect();
        if open.is_empty() {
            return;
        }
        self.after(1_000_000, Due::Backlog);
        if self.gateway.engine.is_none() {
            return;
        }
        let draft = |number: usize| {
            let campaign = self.judge.records[number].campaign.map(Arc::from);
            Draft { token: number as u64, message: Arc::new(self.line(number)), campaign }
        };
        let drafts = open.into_iter().map(draft).collect();
        self.hand_in(vec![Input::HandIn { drafts }]);
    }
}
