//! The threads of journal and ledger, played by events: what waits is written as one group, syncs take their time and may fail.

use super::course::{Due, World};
use super::judge::Judged;
use crate::engine::port::{DiskState, Input};
use crate::store::{Journal, Ledger};

impl World {
    /// The journal's thread takes whatever waits, if it is idle.
    pub(super) fn write_group(&mut self) {
        let gateway = &mut self.gateway;
        if gateway.writing.is_some() || gateway.waiting.is_empty() {
            return;
        }
        let mut group = Vec::new();
        let mut last = 0;
        for (batch, events) in gateway.waiting.drain(..) {
            group.extend_from_slice(&events);
            last = batch;
        }
        let appended = gateway.journal.append(&group);
        let position = appended.as_ref().copied().unwrap_or_else(|_| gateway.journal.bounds().map_or(0, |(_, last)| last));
        gateway.writing = Some((position, last));
        match appended {
            Ok(_) => {
                let slowest_us = if self.dice.chance(0.06) { 200_000 } else { 3_000 };
                let sync_us = 200 + self.dice.up_to(slowest_us);
                let life = self.gateway.life;
                self.after(sync_us, Due::Synced { life });
            }
            Err(error) => {
                self.note(None, || format!("the journal fails: {error}"));
                self.hand_in(vec![Input::Disk(DiskState::Failed)]);
                let us = self.dice.up_to(500_000);
                self.after(us, Due::Misfortune(super::course::Misfortune::Stop));
            }
        }
    }

    pub(super) fn synced(&mut self, life: u64) -> Judged {
        if life != self.gateway.life {
            return Ok(());
        }
        let Some((position, batch)) = self.gateway.writing.take() else { return Ok(()) };
        if self.gateway.journal.sync().is_err() {
            self.gateway.writing = Some((position, batch));
            return Ok(());
        }
        self.gateway.last_durable = batch;
        self.cancels_taken_in();
        self.judge.durable(batch)?;
        self.record()?;
        self.note(None, || format!("durable up to batch {batch}"));
        self.hand_in(vec![Input::Committed { batch, position }]);
        self.write_group();
        Ok(())
    }

    pub(super) fn apply_update(&mut self) {
        let gateway = &mut self.gateway;
        if gateway.applying.is_some() {
            return;
        }
        let Some(update) = gateway.updates.pop_front() else { return };
        if gateway.ledger.apply(&update).is_ok() {
            gateway.applying = Some(update.absorbed);
            let (life, us) = (gateway.life, self.dice.up_to(20_000));
            self.after(us, Due::Kept { life });
        }
    }

    pub(super) fn kept(&mut self, life: u64) -> Judged {
        if life != self.gateway.life {
            return Ok(());
        }
        let Some(absorbed) = self.gateway.applying.take() else { return Ok(()) };
        if self.gateway.ledger.sync().is_ok() {
            self.carried += 1;
            self.note(None, || format!("the ledger has absorbed {absorbed}"));
            // A journal that has failed drops nothing more; the gateway is about to stop.
            let _ = self.gateway.journal.drop_before(absorbed + 1);
            self.hand_in(vec![Input::LedgerApplied]);
            self.apply_update();
        }
        Ok(())
    }

    pub(super) fn chunk_read(&mut self, life: u64, id: u64) -> Judged {
        if life == self.gateway.life {
            let found = self.gateway.ledger.chunk(id).ok().flatten().map(|(chunk, dead)| (chunk.octets, dead));
            self.chunks_read += 1;
            self.hand_in(vec![Input::Chunk { id, found }]);
        }
        Ok(())
    }

    pub(super) fn page_read(&mut self, life: u64, kind: u8, id: u64) -> Judged {
        if life == self.gateway.life {
            let found = self.gateway.ledger.page(kind, id).ok().flatten();
            self.pages_read += 1;
            self.hand_in(vec![Input::Page { kind, id, found }]);
        }
        Ok(())
    }
}
