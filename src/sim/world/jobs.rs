//! The bulk job of the world: lines that are handed in with an identity each, again and again until every one has its yes; also lines that have it already,
//! and lines whose first hand-over isn't durable yet. And whoever tops up the accounts.

use super::books::PRICE;
use super::course::{Due, World};
use super::judge::{Judged, Said};
use super::plan::ACCOUNTS;
use crate::engine::balance::TopUp;
use crate::engine::control::{Answered, Ask, Request};
use crate::engine::port::{Draft, Input, Taken};
use crate::model::{AccountId, Address, Body, Encoding, Message, Refusal, Report};
use std::sync::Arc;

/// Tokens of top-ups are those from here on; the operator's stay below.
pub(super) const PAYING: u64 = 1 << 40;

/// The job, and what waits for an answer.
#[derive(Debug, Default)]
pub(super) struct Job {
    /// Numbers of its lines.
    pub lines: Vec<usize>,
    /// Numbers of the messages that are handed in at once, for many accounts.
    pub backlog: Vec<usize>,
    last_token: u64,
}

impl World {
    /// Lines that are not settled yet.
    pub(super) fn job_left(&self) -> usize {
        self.job.lines.iter().chain(&self.job.backlog).filter(|&&number| self.judge.records[number].said == Said::Nothing).count()
    }

    /// The job hands in some lines.
    pub(super) fn job_turn(&mut self) -> Judged {
        if self.job.lines.is_empty() {
            return Ok(());
        }
        let pause_us = 50_000 + self.dice.up_to(400_000);
        if self.job_left() > 0 || !self.is_calm {
            self.after(pause_us, Due::Job);
        }
        if self.gateway.engine.is_none() {
            return Ok(());
        }
        let mut drafts = Vec::new();
        for number in self.job.lines.clone() {
            let open = self.judge.records[number].said == Said::Nothing;
            let copies = match self.dice.up_to(9) {
                0..6 if open => 1,
                6 if open => 2,
                7 if !self.is_calm => 1,
                _ => 0,
            };
            for _ in 0..copies {
                self.note(Some(number), || "the job hands in its line".into());
                drafts.push(Draft { token: number as u64, message: Arc::new(self.line(number)), campaign: None });
            }
        }
        if !drafts.is_empty() {
            self.hand_in(vec![Input::HandIn { drafts }]);
        }
        Ok(())
    }

    pub(super) fn line(&self, number: usize) -> Message {
        let record = &self.judge.records[number];
        Message {
            report: Report { on_success: record.registered == 1, on_failure: record.registered == 1, intermediate: false },
            identity: number as u64 + 1,
            ..Message::new(
                AccountId(record.account as u32),
                record.class,
                [
                    Address::new(5, 0, record.sender.as_bytes()).expect("it is short"),
                    Address::new(1, 1, record.digits.as_bytes()).expect("it is short"),
                ],
                crate::number::pack(record.digits.as_bytes()).expect("digits"),
                Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: record.text.clone().into_bytes().into() },
            )
        }
    }

    /// What the engine says to the job.
    pub(super) fn job_told(&mut self, answers: &[(u64, Result<Taken, Refusal>)]) -> Judged {
        for (token, result) in answers {
            let number = *token as usize;
            self.note(Some(number), || format!("the job is told {result:?}"));
            match result {
                Ok(Taken { message: id, .. }) => {
                    self.judge.said_yes(*id)?;
                    self.judge.repeat_told(number, *id)?;
                    self.judge.records[number].said = Said::Yes(*id);
                }
                // Some numbers may not be written to: the job goes on without them.
                Err(Refusal::Blocked | Refusal::OptedOut) if self.judge.records[number].said == Said::Nothing => {
                    self.judge.records[number].said = Said::No(0);
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Somebody pays in, or takes out.
    pub(super) fn pay_in(&mut self) {
        let every_ms = self.settings.top_up_every_ms;
        if every_ms == 0 {
            return;
        }
        // What the last lines of the job cost will be there.
        let change = match self.dice.up_to(4) {
            _ if self.is_calm => 1_000_000,
            0 => -(1 + self.dice.up_to(20) as i64) * i64::from(PRICE),
            _ => (1 + self.dice.up_to(30) as i64) * i64::from(PRICE),
        };
        let account = if self.is_calm { ACCOUNTS.len() as u32 - 1 } else { self.dice.up_to(ACCOUNTS.len() as u64 - 1) as u32 };
        if !self.is_calm || self.job_left() > 0 {
            let us = self.dice.up_to(2 * every_ms * 1000);
            self.after(us, Due::PayIn);
        }
        if self.gateway.engine.is_none() {
            return;
        }
        self.job.last_token += 1;
        let token = self.job.last_token;
        let ask = Ask::TopUp(TopUp { account: ACCOUNTS[account as usize].to_owned(), change, reference: reason(token) });
        let request = Box::new(Request { who: "world".to_owned(), reason: String::new(), ask });
        self.hand_in(vec![Input::Control { token: PAYING | token, request }]);
    }

    /// The engine's answer to a top-up.
    pub(super) fn paid_in(&mut self, token: u64, answer: &Answered) -> Judged {
        if answer.is_ok() { self.judge.books.told(&reason(token & !PAYING)) } else { Ok(()) }
    }
}

fn reason(token: u64) -> String {
    format!("invoice {token}")
}
