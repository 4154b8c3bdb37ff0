//! One upstream session: a client's requests become the engine's inputs, the engine's replies become responses and
//! deliveries. Sans-io: the driver (or the deterministic world) feeds it. Whether a message is taken is the engine's to say.
//!
//! `submit_multi`: see the module `multi` for which ids its receipts carry.

mod about;
mod deliveries;
mod multi;

use super::accounts::{AccountEntry, Accounts, Authenticated, BindCheck, Door, Verifier};
use super::driver::Handler;
use super::standing::SessionStanding;
use super::translate::receipt::{self, DeliveryWriter};
use super::translate::status::{cause, delivery_answer, of_refusal};
use super::translate::submit::{self, Submitter};
use crate::engine::port::{Delivery, DeliveryAnswer, DeliveryToken, Draft, Input, SessionId, UpstreamReply};
use crate::model::{MessageId, Now, Refusal};
use crate::smpp::session::Counters;
use crate::smpp::{Bind, BindKind, CloseCause, Event, Pdu, Session, command, status};
use deliveries::Pieces;
use multi::Multi;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// How long the answer to a bind with wrong credentials is held back.
const REFUSAL_DELAY_US: u64 = 500_000;
/// Requests beyond the window that are let through before the session answers 0x58.
const INBOUND_SLACK: usize = 10;

/// What the outside says to an upstream session.
#[derive(Debug)]
pub enum UpstreamCommand {
    /// The engine's replies of one step.
    Replies(Vec<UpstreamReply>),
    /// A password was checked.
    Authenticated(Authenticated),
    /// The accounts are others than before: the session's own may have other settings, or be gone.
    AccountsChanged,
}

/// What all upstream sessions of a listener share.
pub struct UpstreamContext {
    /// Who may bind.
    pub accounts: Arc<Accounts>,
    /// Where passwords are checked.
    pub verifier: Arc<dyn Verifier>,
    /// Our system_id in bind responses.
    pub system_id: Box<[u8]>,
}

/// A bind that waits for its answer.
#[derive(Debug, Clone, Copy)]
struct Pending {
    sequence: u32,
    kind: BindKind,
    version: u8,
}

/// A refusal that is held back.
#[derive(Debug, Clone, Copy)]
struct HeldRefusal {
    bind: Pending,
    status: u32,
    at_us: u64,
}

/// How a draft's token is laid out: which request it answers, and where.
const KIND_SUBMIT: u64 = 0;
const KIND_DATA: u64 = 1 << 32;
const KIND_MULTI: u64 = 2 << 32;
const KIND_CANCEL: u64 = 0;
const KIND_REPLACE: u64 = 1 << 32;

/// The handler of one upstream session.
pub struct Upstream {
    id: SessionId,
    peer: IpAddr,
    /// Of the peer, for the log; 0 where nobody knows it.
    port: u16,
    /// For operators.
    standing: Option<Arc<SessionStanding>>,
    context: Arc<UpstreamContext>,
    account: Option<Arc<AccountEntry>>,
    pending: Option<Pending>,
    held: Option<HeldRefusal>,
    drafts: Vec<Draft>,
    answers: Vec<(DeliveryToken, DeliveryAnswer)>,
    inputs: Vec<Input>,
    /// Deliveries for which the window has no room yet; bounded by the window that the engine was told.
    waiting: VecDeque<(DeliveryToken, Arc<Delivery>)>,
    pieces: Vec<Pieces>,
    multis: Vec<Option<Multi>>,
    writer: DeliveryWriter,
    /// What the session had refused by itself at the last look.
    counted: Counters,
    /// The log has its beginning.
    is_told: bool,
}

impl Upstream {
    /// The handler of a connection from `peer`.
    pub fn new(id: SessionId, peer: IpAddr, context: Arc<UpstreamContext>) -> Upstream {
        Upstream {
            id,
            peer,
            port: 0,
            standing: None,
            context,
            account: None,
            pending: None,
            held: None,
            drafts: Vec::new(),
            answers: Vec::new(),
            inputs: Vec::new(),
            waiting: VecDeque::new(),
            pieces: Vec::new(),
            multis: Vec::new(),
            writer: DeliveryWriter::default(),
            counted: Counters::default(),
            is_told: false,
        }
    }

    /// The same, with what operators see of it.
    #[must_use]
    pub fn standing_as(self, standing: Arc<SessionStanding>) -> Upstream {
        Upstream { port: standing.peer().port(), standing: Some(standing), ..self }
    }

    /// The account's settings may have changed; without an account the session ends gracefully.
    fn follow_account(&mut self, session: &mut Session, now: Now) {
        let Some(entry) = &self.account else { return };
        match self.context.accounts.get(entry.id) {
            Some(new) => {
                session.set_inbound_window(new.settings.window as usize, INBOUND_SLACK);
                if let Some(standing) = &self.standing {
                    standing.set_window(new.settings.window);
                }
                self.account = Some(new);
            }
            None => {
                tracing::info!(session = self.id.0, account = %entry.settings.name, "the account is configured no more: unbinding");
                session.unbind(now);
            }
        }
    }

    fn bind_request(&mut self, bind: Pending, request: &Bind<'_>, session: &mut Session, now: Now) {
        let accounts = &self.context.accounts;
        let check = accounts.check(self.id, bind.kind, request.system_id, request.password, self.peer, now);
        self.decide(bind, check, session, now);
    }

    fn decide(&mut self, bind: Pending, check: BindCheck, session: &mut Session, now: Now) {
        match check {
            BindCheck::Right(entry) => self.accept(bind, entry, session, now),
            BindCheck::Ask(job) => {
                self.pending = Some(bind);
                self.context.verifier.verify(job);
            }
            BindCheck::Refused { status, failed: false } => session.refuse_bind(bind.sequence, bind.kind, status),
            BindCheck::Refused { status, failed: true } => {
                self.held = Some(HeldRefusal { bind, status, at_us: now.mono_us + REFUSAL_DELAY_US });
            }
        }
    }

    fn accept(&mut self, bind: Pending, entry: Arc<AccountEntry>, session: &mut Session, now: Now) {
        if let Err(refused) = self.context.accounts.take_bind(&entry, self.id, self.peer, now) {
            self.decide(bind, refused, session, now);
            return;
        }
        let settings = &entry.settings;
        session.set_inbound_window(settings.window as usize, INBOUND_SLACK);
        session.set_window(settings.receipts.window as usize);
        session.accept_bind(bind.sequence, bind.kind, bind.version, &self.context.system_id, now);
        if !session.state().is_bound() {
            self.context.accounts.release_bind(&entry);
            return;
        }
        let window = if bind.kind.receives() { settings.receipts.window } else { 0 };
        let (account, peer) = (&entry.settings.name, SocketAddr::new(self.peer, self.port));
        if let Some(untold) = self.context.accounts.tells_session(self.peer, now) {
            self.is_told = true;
            tracing::info!(session = self.id.0, %account, %peer, kind = bind.kind.name(), version = bind.version, untold, "upstream bound");
        }
        self.counted = session.counters();
        if let Some(standing) = &self.standing {
            standing.bound(entry.id, account, bind.kind, settings.window, now.wall_ms);
        }
        self.inputs.push(Input::SessionUp { session: self.id, account: entry.id, window });
        self.account = Some(entry);
    }

    fn request(&mut self, sequence: u32, pdu: &Pdu<'_>, session: &mut Session, now: Now) {
        let Some(entry) = &self.account else { return };
        let by = Submitter { id: entry.id, account: &entry.settings, version: version(session), now };
        match pdu {
            Pdu::SubmitSm(sm) => match submit::of_submit(sm, &by).and_then(|message| Ok((message, submit::campaign(sm.tlvs, by.account)?)))
            {
                Ok((message, campaign)) => {
                    let token = KIND_SUBMIT | u64::from(sequence);
                    self.draft([Draft { token, message, campaign }], sm.replace_if_present_flag == 1);
                }
                Err(status) => {
                    entry.refused(cause(status));
                    session.respond_message_id(command::SUBMIT_SM, sequence, status, b"");
                }
            },
            Pdu::DataSm(data) => {
                match submit::of_data(data, &by).and_then(|message| Ok((message, submit::campaign(data.tlvs, by.account)?))) {
                    Ok((message, campaign)) => self.drafts.push(Draft { token: KIND_DATA | u64::from(sequence), message, campaign }),
                    Err(status) => {
                        entry.refused(cause(status));
                        session.respond_message_id(command::DATA_SM, sequence, status, b"");
                    }
                }
            }
            Pdu::SubmitMulti(multi) => {
                let entry = Arc::clone(entry);
                let by = Submitter { id: entry.id, account: &entry.settings, version: version(session), now };
                if let Err(status) = self.submit_multi(sequence, multi, &by, session) {
                    entry.refused(cause(status));
                    session.respond(sequence, status, &Pdu::SubmitMultiResp(None));
                }
            }
            Pdu::QuerySm(query) => self.query(sequence, query, session),
            Pdu::CancelSm(cancel) => self.cancel(sequence, cancel, session),
            Pdu::ReplaceSm(replace) => self.replace(sequence, replace, session, now),
            // The broadcast family is read and not served; what only a message centre sends never comes here.
            other => {
                entry.refused(Refusal::Unsupported);
                respond_unserved(sequence, other, session);
            }
        }
    }

    /// Messages of one request for the engine; those that replace keep their place among the others.
    fn draft(&mut self, drafts: impl IntoIterator<Item = Draft>, replaces: bool) {
        if replaces {
            self.flush_drafts();
            let drafts = drafts.into_iter().collect();
            self.inputs.push(Input::SubmitReplacing { session: self.id, drafts });
        } else {
            self.drafts.extend(drafts);
        }
    }

    fn parse_id(&self, text: &[u8]) -> Option<MessageId> {
        receipt::parse_message_id(text, self.account.as_ref()?.settings.receipts.id)
    }

    /// Submissions keep their place before what follows them in the same read.
    fn flush_drafts(&mut self) {
        if !self.drafts.is_empty() {
            let drafts = std::mem::take(&mut self.drafts);
            self.inputs.push(Input::Submit { session: self.id, drafts });
        }
    }

    /// Counts a request that is refused with this status.
    fn refused(&self, status: u32) {
        if let Some(entry) = &self.account {
            entry.refused(cause(status));
        }
    }

    /// Counts what the session has refused by itself since the last look.
    fn count_refused_by_session(&mut self, session: &Session) {
        let (now, before) = (session.counters(), self.counted);
        let Some(entry) = &self.account else { return };
        if now == before {
            return;
        }
        self.counted = now;
        entry.malformed(now.undecodable - before.undecodable);
        entry.refused_times(Refusal::Throttled, now.over_window - before.over_window);
        entry.refused_times(Refusal::NotAllowed, now.wrong_state - before.wrong_state);
        entry.refused_times(Refusal::Unsupported, now.unknown_commands - before.unknown_commands);
    }

    fn reply(&mut self, reply: UpstreamReply, session: &mut Session, now: Now) {
        match reply {
            UpstreamReply::Answer { token, result } => self.answer(token, result, session),
            UpstreamReply::Queried { token, result } => self.queried(token as u32, result, session),
            UpstreamReply::Done { token, result } => {
                let (pdu, gone) = match token & KIND_REPLACE != 0 {
                    true => (Pdu::ReplaceSmResp, status::ESME_RREPLACEFAIL),
                    false => (Pdu::CancelSmResp, status::ESME_RCANCELFAIL),
                };
                let status = match result {
                    Ok(()) => status::ESME_ROK,
                    Err(refusal) => self.refused_by_engine(refusal, gone, session),
                };
                session.respond(token as u32, status, &pdu);
            }
            UpstreamReply::Deliver { token, item, .. } => {
                if self.waiting.is_empty() {
                    self.deliver(token, item, session, now);
                } else {
                    self.waiting.push_back((token, item));
                }
            }
        }
    }

    fn answer(&mut self, token: u64, result: Result<MessageId, Refusal>, session: &mut Session) {
        let Some(entry) = &self.account else { return };
        if token & KIND_MULTI != 0 {
            self.answer_multi(token, result, session);
            return;
        }
        let command = if token & KIND_DATA != 0 { command::DATA_SM } else { command::SUBMIT_SM };
        match result {
            Ok(id) => {
                let id = receipt::message_id(id, entry.settings.receipts.id);
                session.respond_message_id(command, token as u32, status::ESME_ROK, &id);
            }
            Err(refusal) => {
                entry.refused(refusal);
                let status = of_refusal(refusal, version(session));
                session.respond_message_id(command, token as u32, status, b"");
            }
        }
    }

    fn hand_over(&mut self, reports: &mut Vec<Input>) {
        self.flush_drafts();
        reports.append(&mut self.inputs);
        if !self.answers.is_empty() {
            reports.push(Input::Answered { session: self.id, answers: std::mem::take(&mut self.answers) });
        }
    }
}

/// The lower of the peer's version and ours: what both know.
fn version(session: &Session) -> u8 {
    session.peer_version().min(session.settings().interface_version)
}

/// A request that is read and not served: its own response with 0x03.
fn respond_unserved(sequence: u32, pdu: &Pdu<'_>, session: &mut Session) {
    let resp = match pdu {
        Pdu::BroadcastSm(_) => Pdu::BroadcastSmResp(None),
        Pdu::QueryBroadcastSm(_) => Pdu::QueryBroadcastSmResp(None),
        Pdu::CancelBroadcastSm(_) => Pdu::CancelBroadcastSmResp,
        Pdu::DeliverSm(_) => Pdu::DeliverSmResp(None),
        _ => Pdu::GenericNack,
    };
    session.respond(sequence, status::ESME_RINVCMDID, &resp);
}

impl Handler for Upstream {
    type Command = UpstreamCommand;
    type Report = Input;

    fn opened(&mut self, _session: &mut Session, _now: Now) {}

    fn event(&mut self, event: Event<'_>, session: &mut Session, now: Now) {
        match event {
            Event::Request { sequence, pdu } => self.request(sequence, &pdu, session, now),
            Event::Response { token, status, late: false, .. } => self.delivered(DeliveryToken(token), delivery_answer(status)),
            // The engine was told "later" already; it will deliver it a second time.
            Event::Response { late: true, .. } => {}
            Event::Timeout { token } => self.delivered(DeliveryToken(token), DeliveryAnswer::Later),
            Event::BindRequest { sequence, kind, bind } => {
                let pending = Pending { sequence, kind, version: bind.interface_version };
                self.bind_request(pending, &bind, session, now);
            }
            Event::PeerUnbind | Event::Bound { .. } | Event::BindRefused { .. } | Event::Outbind(_) | Event::Closed { .. } => {}
        }
    }

    fn command(&mut self, command: UpstreamCommand, session: &mut Session, now: Now) {
        match command {
            UpstreamCommand::Replies(replies) => {
                for reply in replies {
                    self.reply(reply, session, now);
                }
            }
            UpstreamCommand::AccountsChanged => self.follow_account(session, now),
            UpstreamCommand::Authenticated(done) => {
                let check = self.context.accounts.finish(Door::Smpp(self.id), done, self.peer, now);
                if let Some(bind) = self.pending.take() {
                    self.decide(bind, check, session, now);
                }
            }
        }
    }

    fn batch_end(&mut self, session: &mut Session, now: Now, reports: &mut Vec<Input>) {
        if !self.waiting.is_empty() {
            self.pump(session, now);
        }
        self.count_refused_by_session(session);
        if let Some(standing) = &self.standing {
            standing.set_in_progress(session.inbound() as u32);
        }
        self.hand_over(reports);
    }

    fn deadline(&self) -> Option<u64> {
        self.held.map(|held| held.at_us)
    }

    fn tick(&mut self, session: &mut Session, now: Now) {
        if let Some(held) = self.held.take_if(|held| held.at_us <= now.mono_us) {
            session.refuse_bind(held.bind.sequence, held.bind.kind, held.status);
        }
    }

    fn closed(&mut self, session: &mut Session, cause: CloseCause, _now: Now, reports: &mut Vec<Input>) {
        self.count_refused_by_session(session);
        let (id, peer, cause) = (self.id.0, SocketAddr::new(self.peer, self.port), cause.name());
        match &self.account {
            Some(entry) if self.is_told => tracing::info!(session = id, account = %entry.settings.name, %peer, cause, "session ended"),
            Some(entry) => tracing::debug!(session = id, account = %entry.settings.name, %peer, cause, "session ended"),
            None => tracing::debug!(session = id, %peer, cause, "connection ended unbound"),
        }
        self.hand_over(reports);
        // Deliveries that wait here, and those that were not answered, the engine takes back by itself.
        self.waiting.clear();
        if let Some(entry) = self.account.take() {
            self.context.accounts.release_bind(&entry);
            reports.push(Input::SessionDown { session: self.id });
        }
    }
}
