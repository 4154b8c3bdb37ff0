//! What the ledger keeps besides the engine's: names, submissions, dead letters, keys. Handed in between the engine's own updates.

use crate::http::Keep;
use crate::http::admin::Boxed;
use crate::store::LedgerUpdate;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Times that it is handed in while the ledger has too much to do.
const TRIES: usize = 50;
/// Between them.
const PAUSE: Duration = Duration::from_millis(100);

/// What is to be kept, and who waits for it to be durable. That it can't be had now is told by the end of the channel.
pub type Aside = (Box<LedgerUpdate>, oneshot::Sender<()>);

/// The way to the ledger.
pub struct Asides(pub mpsc::Sender<Aside>);

impl Keep for Asides {
    fn keep(&self, update: LedgerUpdate) -> Boxed<'_, bool> {
        Box::pin(async move {
            for _ in 0..TRIES {
                let (done, kept) = oneshot::channel();
                if self.0.send((Box::new(update.clone()), done)).await.is_err() {
                    return false;
                }
                if kept.await.is_ok() {
                    return true;
                }
                tokio::time::sleep(PAUSE).await;
            }
            false
        })
    }
}
