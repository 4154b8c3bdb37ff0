//! Where requests about lists of numbers wait for the engine's answers: whoever serves operators asks here, and the engine's task hands the answers in.

use crate::engine::port::{Input, RulesAnswer, RulesError, RulesRequest};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};

type Answer = Result<RulesAnswer, RulesError>;

/// Requests under way. Bounded by those who wait.
#[derive(Default)]
pub struct ListsDesk {
    waiting: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    last: AtomicU64,
}

/// Why there is no answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListsError {
    /// The engine's reason.
    #[error(transparent)]
    Refused(#[from] RulesError),
    /// The engine is gone.
    #[error("the gateway is stopping")]
    Stopping,
}

impl ListsDesk {
    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Answer>>> {
        // Nothing that can panic runs under this lock, so a poisoned one is still whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine's answer to the request of this token.
    pub fn answered(&self, token: u64, answer: Answer) {
        if let Some(asker) = self.waiting().remove(&token) {
            // Whoever asked may have gone away.
            let _ = asker.send(answer);
        }
    }
}

/// The way to the engine's lists and back.
#[derive(Clone)]
pub struct Lists {
    desk: Arc<ListsDesk>,
    engine: mpsc::WeakSender<Vec<Input>>,
}

impl Lists {
    /// Asks through `engine`, which it doesn't keep alive.
    pub fn new(desk: Arc<ListsDesk>, engine: &mpsc::Sender<Vec<Input>>) -> Lists {
        Lists { desk, engine: engine.downgrade() }
    }

    /// Asks the engine. A change is answered once it is durable; millions of numbers take their time.
    ///
    /// # Errors
    /// The engine's reason, or that it is gone. What was asked may have happened all the same then.
    pub async fn ask(&self, request: RulesRequest) -> Result<RulesAnswer, ListsError> {
        let token = self.desk.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (asker, answer) = oneshot::channel();
        let sender = self.engine.upgrade().ok_or(ListsError::Stopping)?;
        self.desk.waiting().insert(token, asker);
        let sent = sender.send(vec![Input::Rules { token, request: Box::new(request) }]).await;
        drop(sender);
        let answered = if sent.is_ok() { answer.await.ok() } else { None };
        self.desk.waiting().remove(&token);
        Ok(answered.ok_or(ListsError::Stopping)??)
    }
}
