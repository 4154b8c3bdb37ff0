//! Messages that come by no session: a batch is handed to the engine in one input and answered once every message of it is durable or refused. The admin
//! port sits on it, as will whatever else takes messages in by other ways than SMPP.

use super::accounts::{AccountEntry, Accounts};
use super::translate::item::Sender;
use crate::engine::port::{Draft, Input, Taken};
use crate::model::clock::SystemClock;
use crate::model::{AccountId, Now, Refusal};
use crate::number::HomeRegion;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Messages in one batch at most.
pub const BATCH_MAX: usize = 10_000;
/// Bits of a token that tell the place in its batch.
const PLACE_BITS: u32 = 16;
/// Batches under way at once: each holds its body and its messages.
const BATCHES_MAX: usize = 8;
/// How long an answer may take: a commit on a slow disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// The engine's word on one draft.
pub type Answer = Result<Taken, Refusal>;

/// A batch whose answers are not all there.
struct Waiting {
    answers: Vec<Answer>,
    left: usize,
    asker: oneshot::Sender<Vec<Answer>>,
}

#[derive(Default)]
struct State {
    waiting: HashMap<u64, Waiting>,
    last: u64,
}

/// Batches under way. Bounded by those who wait.
#[derive(Default)]
pub struct SubmissionsDesk {
    state: Mutex<State>,
}

/// Why a batch has no answer. What was in it may have been taken all the same: whoever gave identities may hand it in again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The engine is gone.
    #[error("the gateway is stopping")]
    Stopping,
    /// See [`PATIENCE`].
    #[error("the engine did not answer in time")]
    NoAnswer,
}

impl SubmissionsDesk {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock, so a poisoned one is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine's answers, of any batches.
    pub fn answered(&self, answers: Vec<(u64, Answer)>) {
        let mut state = self.state();
        for (token, answer) in answers {
            let batch = token >> PLACE_BITS;
            let Some(waiting) = state.waiting.get_mut(&batch) else { continue };
            waiting.answers[(token & ((1 << PLACE_BITS) - 1)) as usize] = answer;
            waiting.left -= 1;
            if waiting.left == 0
                && let Some(done) = state.waiting.remove(&batch)
            {
                // Whoever asked may have gone away.
                let _ = done.asker.send(done.answers);
            }
        }
    }

    fn expect(&self, count: usize) -> (u64, oneshot::Receiver<Vec<Answer>>) {
        let (asker, answer) = oneshot::channel();
        let mut state = self.state();
        state.last += 1;
        let batch = state.last;
        state.waiting.insert(batch, Waiting { answers: vec![Err(Refusal::Stopping); count], left: count, asker });
        (batch, answer)
    }
}

/// The way in for messages without a session.
#[derive(Clone)]
pub struct Submissions {
    desk: Arc<SubmissionsDesk>,
    engine: mpsc::WeakSender<Vec<Input>>,
    accounts: Arc<Accounts>,
    home: HomeRegion,
    allow_private: bool,
    clock: SystemClock,
    places: Arc<Semaphore>,
}

impl Submissions {
    /// Hands in through `engine`, which it doesn't keep alive. `home`: the country of national numbers. `allow_private`: callbacks may name
    /// hosts of private networks.
    pub fn new(
        desk: Arc<SubmissionsDesk>,
        engine: &mpsc::Sender<Vec<Input>>,
        accounts: Arc<Accounts>,
        home: HomeRegion,
        allow_private: bool,
        clock: SystemClock,
    ) -> Submissions {
        Submissions {
            desk,
            engine: engine.downgrade(),
            accounts,
            home,
            allow_private,
            clock,
            places: Arc::new(Semaphore::new(BATCHES_MAX)),
        }
    }

    /// A place for a batch, to be held until it is answered; `None`: too many are under way.
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// The account of this name, if it is configured.
    pub fn account(&self, name: &str) -> Option<Arc<AccountEntry>> {
        self.accounts.named(name)
    }

    /// All accounts.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The account of this id, if it is configured.
    pub fn account_by_id(&self, id: AccountId) -> Option<Arc<AccountEntry>> {
        self.accounts.get(id)
    }

    /// The name of an account, also of one that is configured no more; empty if there never was one.
    pub fn account_name(&self, id: AccountId) -> String {
        self.accounts.name(id)
    }

    /// The country of national numbers.
    pub fn home(&self) -> HomeRegion {
        self.home
    }

    /// An account as the sender of messages that come now.
    pub fn sender<'a>(&self, account: &'a AccountEntry) -> Sender<'a> {
        let allow_private = self.allow_private;
        Sender { id: account.id, account: &account.settings, home: self.home, now: self.now(), allow_private }
    }

    /// The time.
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// Hands in a batch of at most [`BATCH_MAX`] drafts, whose tokens are set here; the answers are in their order, and what was taken is durable.
    ///
    /// # Errors
    /// There is no answer, or not in time.
    pub async fn submit(&self, mut drafts: Vec<Draft>) -> Result<Vec<Answer>, SubmitError> {
        assert!(drafts.len() <= BATCH_MAX, "whoever takes batches in bounds them");
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        let sender = self.engine.upgrade().ok_or(SubmitError::Stopping)?;
        let (batch, answer) = self.desk.expect(drafts.len());
        drafts.iter_mut().zip(0u64..).for_each(|(draft, place)| draft.token = batch << PLACE_BITS | place);
        let sent = sender.send(vec![Input::HandIn { drafts }]).await;
        drop(sender);
        let answered = match sent {
            Ok(()) => tokio::time::timeout(PATIENCE, answer).await,
            Err(_) => return self.given_up(batch, SubmitError::Stopping),
        };
        match answered {
            Ok(Ok(answers)) => Ok(answers),
            Ok(Err(_)) => self.given_up(batch, SubmitError::Stopping),
            Err(_) => self.given_up(batch, SubmitError::NoAnswer),
        }
    }

    fn given_up(&self, batch: u64, error: SubmitError) -> Result<Vec<Answer>, SubmitError> {
        self.desk.state().waiting.remove(&batch);
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MessageId;

    #[test]
    fn a_batch_is_answered_when_the_last_of_its_answers_is_there_whatever_their_order() {
        let desk = SubmissionsDesk::default();
        let (first, mut answers_of_first) = desk.expect(2);
        let (second, mut answers_of_second) = desk.expect(1);
        let taken = |id| Ok(Taken { message: MessageId(id), segments: 1, repeats: None });
        desk.answered(vec![(first << 16 | 1, taken(11)), (second << 16, Err(Refusal::QueueFull))]);
        assert!(answers_of_first.try_recv().is_err());
        assert_eq!(answers_of_second.try_recv(), Ok(vec![Err(Refusal::QueueFull)]));
        // One that nobody waits for is passed over.
        desk.answered(vec![(99 << 16, taken(1)), (first << 16, taken(10))]);
        assert_eq!(answers_of_first.try_recv(), Ok(vec![taken(10), taken(11)]));
        assert!(desk.state().waiting.is_empty());
    }
}
