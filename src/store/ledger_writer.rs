//! The thread that owns the ledger: applies updates and reads chunks, in the order asked. What is in them is the engine's business.

use super::{Chunk, Ledger, LedgerUpdate, StoreError};
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Requests that may wait. Each may hold some hundred KiB, and the engine hands in a handful a second.
pub const LEDGER_QUEUE: usize = 64;

/// Pause before another try when there is no space.
const FULL_RETRY: Duration = Duration::from_millis(100);

/// What the thread reports, from the thread itself: the callback must be short.
#[derive(Debug)]
pub enum LedgerEvent {
    /// The update with this number is durable, and so is every earlier one.
    Applied {
        /// The caller's number.
        number: u64,
        /// The journal position absorbed with it.
        absorbed: u64,
    },
    /// A chunk that was asked for, with its list of the dead; `None` if it is not there.
    Found {
        /// Its id.
        id: u64,
        /// The chunk and its dead.
        chunk: Option<(Chunk, Vec<u8>)>,
    },
    /// A page that was asked for; `None` if it is not there.
    FoundPage {
        /// Its kind.
        kind: u8,
        /// Its number.
        id: u64,
        /// Its content.
        octets: Option<Vec<u8>>,
    },
    /// No space for the update with this number. It is kept and tried again; said once until one is applied.
    Full {
        /// The caller's number.
        number: u64,
    },
    /// The ledger has failed: nothing more will be applied or read.
    Failed {
        /// The failure.
        why: String,
    },
}

enum Request {
    Apply { number: u64, update: Box<LedgerUpdate> },
    Read { id: u64 },
    ReadPage { kind: u8, id: u64 },
}

/// Starts the ledger's thread.
#[derive(Debug)]
pub struct LedgerWriter;

impl LedgerWriter {
    /// Moves the ledger to a thread of its own. `on_event` is called on that thread.
    pub fn spawn(ledger: Box<dyn Ledger>, on_event: Box<dyn FnMut(LedgerEvent) + Send>) -> Result<LedgerHandle, StoreError> {
        let (requests, incoming) = bounded(LEDGER_QUEUE);
        let stop = Arc::new(AtomicBool::new(false));
        let worker = Worker { ledger, on_event, stop: stop.clone(), full: false };
        let thread = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || worker.run(&incoming))
            .map_err(|error| StoreError::io("starting the ledger's thread", error))?;
        Ok(LedgerHandle { requests: Some(requests), stop, thread: Some(thread) })
    }
}

/// The engine's side of the thread. Dropping it applies what waits and ends the thread.
pub struct LedgerHandle {
    requests: Option<Sender<Request>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl LedgerHandle {
    /// Hands an update in under a number of the caller's; never waits. It comes back if too many wait or the ledger has failed.
    pub fn apply(&self, number: u64, update: Box<LedgerUpdate>) -> Result<(), Box<LedgerUpdate>> {
        match self.send(Request::Apply { number, update }) {
            Err(Request::Apply { update, .. }) => Err(update),
            _ => Ok(()),
        }
    }

    /// Asks for a chunk, as it will be after the updates handed in before. False if too many wait or the ledger has failed.
    pub fn read(&self, id: u64) -> bool {
        self.send(Request::Read { id }).is_ok()
    }

    /// Asks for a page, as it will be after the updates handed in before. False as for `read`.
    pub fn read_page(&self, kind: u8, id: u64) -> bool {
        self.send(Request::ReadPage { kind, id }).is_ok()
    }

    fn send(&self, request: Request) -> Result<(), Request> {
        match &self.requests {
            Some(requests) => requests.try_send(request).map_err(|error| match error {
                TrySendError::Full(request) | TrySendError::Disconnected(request) => request,
            }),
            None => Err(request),
        }
    }

    /// Applies what waits, then ends the thread.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for LedgerHandle {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Worker {
    ledger: Box<dyn Ledger>,
    on_event: Box<dyn FnMut(LedgerEvent) + Send>,
    stop: Arc<AtomicBool>,
    full: bool,
}

impl Worker {
    fn run(mut self, incoming: &Receiver<Request>) {
        while let Ok(request) = incoming.recv() {
            let result = match request {
                Request::Apply { number, update } => self.apply(number, &update),
                Request::Read { id } => self.ledger.chunk(id).map(|chunk| (self.on_event)(LedgerEvent::Found { id, chunk })),
                Request::ReadPage { kind, id } => {
                    self.ledger.page(kind, id).map(|octets| (self.on_event)(LedgerEvent::FoundPage { kind, id, octets }))
                }
            };
            match result {
                Ok(()) => {}
                // Only at the end: what finds no space stays in the journal.
                Err(StoreError::Full { .. }) => return,
                Err(error) => {
                    (self.on_event)(LedgerEvent::Failed { why: error.to_string() });
                    return;
                }
            }
        }
    }

    fn apply(&mut self, number: u64, update: &LedgerUpdate) -> Result<(), StoreError> {
        loop {
            match self.ledger.apply(update) {
                Ok(()) => {
                    self.full = false;
                    (self.on_event)(LedgerEvent::Applied { number, absorbed: update.absorbed });
                    return Ok(());
                }
                Err(error) if error.is_full() => {
                    if !std::mem::replace(&mut self.full, true) {
                        (self.on_event)(LedgerEvent::Full { number });
                    }
                    if self.stop.load(Ordering::SeqCst) {
                        return Err(error);
                    }
                    std::thread::sleep(FULL_RETRY);
                }
                Err(error) => return Err(error),
            }
        }
    }
}
