//! Where operators' requests wait for the engine's answers. The engine's task hands answers in; a handler that has gone away needs none.

use crate::engine::control::{Answered, Ask, Request};
use crate::engine::port::Input;
use crate::engine::scope::Fault;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long an answer may take: a commit on a slow disk, a look at a chunk.
const PATIENCE: Duration = Duration::from_secs(30);

/// Requests under way. Bounded by the connections that the admin port takes.
#[derive(Default)]
pub struct Desk {
    waiting: Mutex<HashMap<u64, oneshot::Sender<Answered>>>,
    last: AtomicU64,
}

impl Desk {
    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Answered>>> {
        // Nothing that can panic runs under this lock, so a poisoned one is still whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine's answer to the request of this token.
    pub fn answered(&self, token: u64, answer: Answered) {
        if let Some(asker) = self.waiting().remove(&token) {
            // Whoever asked may have gone away.
            let _ = asker.send(answer);
        }
    }
}

/// The way to the engine and back.
#[derive(Clone)]
pub struct Operator {
    desk: Arc<Desk>,
    engine: mpsc::WeakSender<Vec<Input>>,
}

impl Operator {
    /// Asks through `engine`, which it doesn't keep alive.
    pub fn new(desk: Arc<Desk>, engine: &mpsc::Sender<Vec<Input>>) -> Operator {
        Operator { desk, engine: engine.downgrade() }
    }

    /// Asks the engine and waits for its answer.
    ///
    /// # Errors
    /// The engine's fault, or that it doesn't answer.
    pub async fn ask(&self, who: &str, reason: &str, ask: Ask) -> Answered {
        let gone = || Fault::of("stopping", "", "the gateway is stopping", "ask again when it is up");
        let token = self.desk.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (asker, answer) = oneshot::channel();
        self.desk.waiting().insert(token, asker);
        let request = Box::new(Request { who: who.to_owned(), reason: reason.to_owned(), ask });
        let sent = match self.engine.upgrade() {
            Some(engine) => engine.send(vec![Input::Control { token, request }]).await.is_ok(),
            None => false,
        };
        let answered = if sent { tokio::time::timeout(PATIENCE, answer).await } else { Ok(Ok(Err(gone()))) };
        self.desk.waiting().remove(&token);
        match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(Fault::of(
                "no_answer",
                "",
                "the engine did not answer in time",
                "look at the disk: what you asked for may still happen",
            )),
        }
    }

    /// Hands inputs to the engine; false if it is gone.
    pub async fn tell(&self, inputs: Vec<Input>) -> bool {
        match self.engine.upgrade() {
            Some(engine) => engine.send(inputs).await.is_ok(),
            None => false,
        }
    }
}
