//! Top-ups of a running gateway: hands them to the engine and brings each answer, durable by then, to whoever asked.

use super::Gateway;
use crate::engine::port::{Balance, Input};
use crate::model::{AccountId, Refusal};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::oneshot;

/// Top-ups that may wait for their answers at once.
const ASKED_MAX: usize = 1_000;

/// An answer: what the account has.
type Answer = Result<Balance, Refusal>;

/// Who waits for which answer.
#[derive(Debug, Default)]
pub struct Asked {
    waiting: Mutex<(u64, HashMap<u64, oneshot::Sender<Answer>>)>,
}

impl Asked {
    /// A token for a question, and where its answer will come; `None` if too many wait.
    fn ask(&self) -> Option<(u64, oneshot::Receiver<Answer>)> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody waits any more for those whose other end is gone.
        waiting.1.retain(|_, sender| !sender.is_closed());
        if waiting.1.len() >= ASKED_MAX {
            return None;
        }
        waiting.0 += 1;
        let token = waiting.0;
        waiting.1.insert(token, sender);
        Some((token, receiver))
    }

    /// The engine's answer.
    pub fn answered(&self, token: u64, answer: Answer) {
        let sender = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&token);
        // Whoever asked may have gone; the change is made all the same.
        let _ = sender.map(|sender| sender.send(answer));
    }
}

/// Why a balance wasn't changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopUpError {
    /// No account has this name.
    #[error("no account is called '{0}'")]
    UnknownAccount(String),
    /// It would fall below its limit.
    #[error("the balance of '{0}' would fall below its limit")]
    BelowLimit(String),
    /// More than can be changed.
    #[error("more than {max} thousandths of a credit can't be changed", max = crate::engine::balance::CHANGE_MAX)]
    TooMuch,
    /// The gateway stops, or too many ask at once. Whether the change was made is not known.
    #[error("the gateway gave no answer")]
    NoAnswer,
}

impl Gateway {
    /// Changes what an account has by thousandths of a credit (0: only asks); durable on return. The journal keeps `reason`, up to 120 octets of it.
    pub async fn top_up(&self, account: &str, change: i64, reason: &str) -> Result<Balance, TopUpError> {
        let place = self.account_names.iter().position(|name| name == account);
        let id = place.map(|at| AccountId(at as u32)).ok_or_else(|| TopUpError::UnknownAccount(account.to_owned()))?;
        let (token, answer) = self.asked.ask().ok_or(TopUpError::NoAnswer)?;
        let input = Input::TopUp { token, account: id, change, reason: reason.to_owned() };
        self.engine.send(vec![input]).await.map_err(|_| TopUpError::NoAnswer)?;
        match answer.await {
            Ok(Ok(balance)) => Ok(balance),
            Ok(Err(Refusal::NoCredit)) => Err(TopUpError::BelowLimit(account.to_owned())),
            Ok(Err(_)) => Err(TopUpError::TooMuch),
            Err(_) => Err(TopUpError::NoAnswer),
        }
    }
}
