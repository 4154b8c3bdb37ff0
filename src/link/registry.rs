//! Which sessions and binds live, and where to leave what the engine says to them. The only map that is shared between the engine's
//! thread and the drivers; looked up once per batch.

use super::accounts::Accounts;
use super::carrier::{BindProgress, Bound};
use super::driver::Mailbox;
use super::standing::{SessionStanding, Standing};
use super::upstream::UpstreamCommand;
use crate::engine::look::Links;
use crate::engine::port::{BindCommand, BindId, Input, SessionId, Ticket, UpstreamReply};
use crate::model::CarrierId;
use crate::telemetry::{BindFigures, LinkSnapshot, REFUSAL_CAUSES, SessionFigures, WindowFigures};
use dashmap::DashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use tokio::sync::{mpsc, watch};

/// A live bind.
pub(super) struct LiveBind {
    pub mailbox: Mailbox<Vec<BindCommand>>,
    pub progress: Arc<BindProgress>,
}

/// A live session.
pub(super) struct LiveSession {
    pub mailbox: Mailbox<UpstreamCommand>,
    pub standing: Arc<SessionStanding>,
}

/// Binds (`None`: all of the carrier) that stay down.
type Down = Vec<(CarrierId, Option<u16>)>;

/// The live sessions and binds of one gateway.
#[derive(Default)]
pub struct Registry {
    pub(super) sessions: DashMap<SessionId, LiveSession>,
    pub(super) binds: DashMap<BindId, LiveBind>,
    /// Every configured bind, by carrier and index.
    pub(super) standings: DashMap<(CarrierId, u16), Arc<Standing>>,
    /// What an operator wants to stay down.
    down: watch::Sender<Down>,
    /// Where replies to sessions that no socket belongs to are left.
    hooks: OnceLock<mpsc::UnboundedSender<(SessionId, Vec<UpstreamReply>)>>,
    /// Connections with carriers so far.
    generation: AtomicU32,
    /// The listener's, for what they have counted.
    accounts: OnceLock<Arc<Accounts>>,
}

impl Registry {
    /// Leaves the engine's replies with a session. One that is gone needs none: its end has been told to the engine.
    pub fn reply(&self, session: SessionId, replies: Vec<UpstreamReply>) {
        if session.is_hook() {
            // Bounded by the windows that the engine keeps. Without a deliverer they wait in the engine's outbox for the next start.
            let _ = self.hooks.get().map(|hooks| hooks.send((session, replies)));
            return;
        }
        self.tell_session(session, UpstreamCommand::Replies(replies));
    }

    /// Replies to hooks are left here from now on.
    pub fn set_hooks(&self, hooks: mpsc::UnboundedSender<(SessionId, Vec<UpstreamReply>)>) {
        // Set once, when the gateway starts.
        let _ = self.hooks.set(hooks);
    }

    /// Leaves anything with a session.
    pub fn tell_session(&self, session: SessionId, command: UpstreamCommand) {
        if let Some(live) = self.sessions.get(&session) {
            live.mailbox.push_one(command);
        }
    }

    /// Leaves the engine's commands with a bind. If it is gone, what it should have sent comes back as an input for the engine: it went
    /// after the engine last heard of it, so these tickets are in nobody's hands.
    #[must_use = "the tickets of a bind that is gone must go back to the engine"]
    pub fn command(&self, bind: BindId, commands: Vec<BindCommand>) -> Option<Input> {
        // The guard is held while pushing: after `remove_bind` nothing can be left in the mailbox any more.
        if let Some(live) = self.binds.get(&bind) {
            live.mailbox.push_one(commands);
            return None;
        }
        unsent(bind, commands)
    }

    /// A session has begun.
    pub fn add_session(&self, session: SessionId, mailbox: Mailbox<UpstreamCommand>, standing: Arc<SessionStanding>) {
        self.sessions.insert(session, LiveSession { mailbox, standing });
    }

    /// A session has ended.
    pub fn remove_session(&self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// A bind's connection stands.
    pub fn add_bind(&self, bind: BindId, mailbox: Mailbox<Vec<BindCommand>>, progress: Arc<BindProgress>) {
        self.binds.insert(bind, LiveBind { mailbox, progress });
    }

    /// A bind's driver has ended. What was left in its mailbox meanwhile comes back as an input for the engine.
    #[must_use = "the tickets of a bind that is gone must go back to the engine"]
    pub fn remove_bind(&self, bind: BindId) -> Option<Input> {
        let (_, live) = self.binds.remove(&bind)?;
        unsent(bind, live.mailbox.take().into_iter().flatten())
    }

    /// The accounts are others from now on: every session looks its own up again.
    pub fn accounts_changed(&self) {
        for session in &self.sessions {
            session.mailbox.push_one(UpstreamCommand::AccountsChanged);
        }
    }

    /// These binds stay down from now on, all others are held up.
    pub fn stay_down(&self, binds: Down) {
        self.down.send_replace(binds);
    }

    /// Tells of changes to what is to stay down.
    pub(super) fn watch_down(&self) -> watch::Receiver<Down> {
        self.down.subscribe()
    }

    /// A number for the next connection with a carrier, never given before in this run.
    pub(super) fn next_generation(&self) -> u32 {
        self.generation.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Asks all upstream sessions to end gracefully (unbind, wait for answers), or ends them at once.
    pub fn close_sessions(&self, at_once: bool) {
        for session in &self.sessions {
            if at_once { session.mailbox.kill() } else { session.mailbox.close() }
        }
    }

    /// Upstream connections, bound or not.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Whose refusals [`Registry::snapshot`] tells; the first call counts.
    pub fn add_accounts(&self, accounts: Arc<Accounts>) {
        let _first_one_stays = self.accounts.set(accounts);
    }

    /// What the links have counted, for the metrics. `sessions`: bound sessions by account; `carriers`: how many there are.
    pub fn snapshot(&self, sessions: &[u32], carriers: usize) -> LinkSnapshot {
        let mut refusals = vec![[0; REFUSAL_CAUSES]; sessions.len()];
        let mut bind_refusals = Default::default();
        let mut windows = vec![(0, 0); sessions.len()];
        if let Some(accounts) = self.accounts.get() {
            accounts.refusals(&mut refusals);
            bind_refusals = accounts.bind_refusals();
        }
        for (account, size, used) in self.sessions.iter().filter_map(|live| live.standing.windows()) {
            if let Some((all, of_all)) = windows.get_mut(account.0 as usize) {
                (*all, *of_all) = (*all + size, *of_all + used);
            }
        }
        let figures = |((&sessions, refusals), (window_size, window_used))| SessionFigures { sessions, window_size, window_used, refusals };
        let accounts = sessions.iter().zip(refusals).zip(windows).map(figures).collect();
        LinkSnapshot { accounts, carriers: self.windows(carriers), binds: self.bind_figures(), bind_refusals }
    }

    /// Every configured bind.
    fn bind_figures(&self) -> Vec<BindFigures> {
        let figures = |view: crate::engine::look::BindView| {
            let standing = self.standings.get(&(view.carrier, view.bind));
            BindFigures {
                carrier: view.carrier,
                bind: view.bind,
                state: view.state,
                since_ms: view.since_ms,
                window_size: view.window,
                window_used: view.in_flight,
                // Nothing that can panic runs under this lock, so a poisoned one is still whole.
                counts: standing.map(|standing| *standing.counts.lock().unwrap_or_else(PoisonError::into_inner)).unwrap_or_default(),
            }
        };
        self.binds().into_iter().map(figures).collect()
    }

    /// Binds and windows by carrier; `carriers`: how many there are.
    fn windows(&self, carriers: usize) -> Vec<WindowFigures> {
        let mut figures = vec![WindowFigures::default(); carriers];
        for bind in self.binds.iter().filter(|bind| bind.progress.bound() == Bound::Yes) {
            let Some(carrier) = figures.get_mut(usize::from(bind.key().carrier.0)) else { continue };
            carrier.binds_up += 1;
            carrier.window_size += bind.progress.window();
            carrier.window_used += bind.progress.in_flight();
        }
        figures
    }
}

/// The tickets of sends that nobody will see to.
fn unsent(bind: BindId, commands: impl IntoIterator<Item = BindCommand>) -> Option<Input> {
    let mut tickets = Vec::new();
    for command in commands {
        if let BindCommand::Send { message, first_part, end_part, .. } = command {
            tickets.extend((first_part..end_part).map(|part| Ticket { message: message.id, part }));
        }
    }
    (!tickets.is_empty()).then_some(Input::BindDown { bind, unsent: tickets, in_doubt: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIND: BindId = BindId { carrier: CarrierId(1), index: 0, generation: 1 };

    fn send(id: u64) -> BindCommand {
        let message = Arc::new(crate::link::tests::message(id));
        BindCommand::Send { message, first_part: 1, end_part: 3, parts: 3, reference: 0, ask_receipt: true }
    }

    #[test]
    fn what_is_said_to_a_bind_that_is_gone_comes_back_unsent() {
        let registry = Registry::default();
        let back = registry.command(BIND, vec![send(7), BindCommand::Answer { token: 1, stored: true }]);
        let Some(Input::BindDown { bind, unsent, in_doubt }) = back else { panic!("{back:?}") };
        assert_eq!(bind, BIND);
        assert_eq!(unsent.iter().map(|ticket| (ticket.message.0, ticket.part)).collect::<Vec<_>>(), [(7, 1), (7, 2)]);
        assert!(in_doubt.is_empty());
        assert!(registry.command(BIND, vec![BindCommand::Answer { token: 1, stored: true }]).is_none());
    }

    #[test]
    fn what_was_left_in_the_mailbox_when_the_driver_ended_comes_back_unsent() {
        let registry = Registry::default();
        registry.add_bind(BIND, Mailbox::new(), Arc::default());
        assert!(registry.command(BIND, vec![send(7)]).is_none());
        let Some(Input::BindDown { unsent, .. }) = registry.remove_bind(BIND) else { panic!("nothing came back") };
        assert_eq!(unsent.len(), 2);
        assert!(registry.remove_bind(BIND).is_none());
    }
}
