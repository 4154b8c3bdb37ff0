//! One upstream session: a client's requests become the engine's inputs, the engine's replies become responses and
//! deliveries. Sans-io: the driver (or the deterministic world) feeds it. Whether a message is taken is the engine's to say.
//!
//! `submit_multi`: see the module `multi` for which ids its receipts carry.

mod multi;

use super::accounts::{AccountEntry, Accounts, Authenticated, BindCheck, Verifier};
use super::driver::Handler;
use super::translate::body::default_alphabet;
use super::translate::receipt::{self, DeliveryWriter};
use super::translate::status::{cause, delivery_answer, message_state, of_refusal};
use super::translate::submit::{self, Submitter};
use crate::engine::port::{
    Delivery, DeliveryAnswer, DeliveryToken, Draft, Inbound, Input, QueryAnswer, Replacement, SessionId, UpstreamReply,
};
use crate::model::{MessageId, Now, Refusal};
use crate::smpp::pdu::{CancelSm, QuerySm, QuerySmResp, ReplaceSm, SubmitMulti, UnsuccessesBuf};
use crate::smpp::session::Counters;
use crate::smpp::tlv::tag;
use crate::smpp::{Addr, Bind, BindKind, CloseCause, Destination, Event, Pdu, RequestError, Session, command, status};
use crate::text::segment::{self, SegmentRule};
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

/// An inbound message that goes out in several PDUs to a client that knows no message_payload.
struct Pieces {
    token: DeliveryToken,
    left: usize,
    answer: DeliveryAnswer,
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
}

impl Upstream {
    /// The handler of a connection from `peer`.
    pub fn new(id: SessionId, peer: IpAddr, context: Arc<UpstreamContext>) -> Upstream {
        Upstream {
            id,
            peer,
            port: 0,
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
        }
    }

    /// The same, with the peer's port for the log.
    #[must_use]
    pub fn from_port(self, port: u16) -> Upstream {
        Upstream { port, ..self }
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
        tracing::info!(session = self.id.0, %account, %peer, kind = bind.kind.name(), version = bind.version, "upstream bound");
        self.counted = session.counters();
        self.inputs.push(Input::SessionUp { session: self.id, account: entry.id, window });
        self.account = Some(entry);
    }

    fn request(&mut self, sequence: u32, pdu: &Pdu<'_>, session: &mut Session, now: Now) {
        let Some(entry) = &self.account else { return };
        let by = Submitter { id: entry.id, account: &entry.settings, version: version(session), now };
        match pdu {
            Pdu::SubmitSm(sm) => match submit::of_submit(sm, &by) {
                Ok(message) => {
                    let token = KIND_SUBMIT | u64::from(sequence);
                    self.draft([Draft { token, message, campaign: None }], sm.replace_if_present_flag == 1);
                }
                Err(status) => {
                    entry.refused(cause(status));
                    session.respond_message_id(command::SUBMIT_SM, sequence, status, b"");
                }
            },
            Pdu::DataSm(data) => match submit::of_data(data, &by) {
                Ok(message) => self.drafts.push(Draft { token: KIND_DATA | u64::from(sequence), message, campaign: None }),
                Err(status) => {
                    entry.refused(cause(status));
                    session.respond_message_id(command::DATA_SM, sequence, status, b"");
                }
            },
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

    fn submit_multi(&mut self, sequence: u32, multi: &SubmitMulti<'_>, by: &Submitter<'_>, session: &mut Session) -> Result<(), u32> {
        if multi.dests.is_empty() {
            return Err(status::ESME_RINVNUMDESTS);
        }
        let shared = submit::of_multi(multi, by)?;
        let slot = self.multis.iter().position(Option::is_none).unwrap_or(self.multis.len());
        let mut state = Multi {
            sequence,
            waiting: 0,
            first_id: None,
            first_failure: status::ESME_ROK,
            unsuccess: UnsuccessesBuf::default(),
            recipients: Vec::with_capacity(multi.dests.len()),
        };
        let mut drafts = Vec::with_capacity(multi.dests.len());
        for to in multi.destinations() {
            let addr = match to {
                Destination::Sme(addr) => addr,
                // The list of those refused knows numbers only: the name stands in the number's place.
                Destination::List(name) => Addr { ton: 0, npi: 0, addr: name },
            };
            let made = match to {
                Destination::Sme(addr) => submit::to_destination(&shared, addr),
                Destination::List(_) => Err(status::ESME_RINVDLNAME),
            };
            match made {
                Ok(message) => {
                    let token = KIND_MULTI | (slot as u64) << 8 | state.recipients.len() as u64;
                    state.recipients.push(message.destination.clone());
                    state.waiting += 1;
                    drafts.push(Draft { token, message, campaign: None });
                }
                Err(status) => {
                    self.refused(status);
                    state.refused(addr, status);
                }
            }
        }
        self.draft(drafts, multi.sm.replace_if_present_flag == 1 && state.waiting > 0);
        if state.waiting == 0 {
            state.respond(by, session);
        } else if slot == self.multis.len() {
            self.multis.push(Some(state));
        } else {
            self.multis[slot] = Some(state);
        }
        Ok(())
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

    fn query(&mut self, sequence: u32, query: &QuerySm<'_>, session: &mut Session) {
        let id = self.parse_id(query.message_id);
        let (Some(message), Some(source)) = (id, submit::address(query.source)) else {
            let status = if id.is_none() { status::ESME_RINVMSGID } else { status::ESME_RINVSRCADR };
            self.refused(status);
            session.respond(sequence, status, &Pdu::QuerySmResp(None));
            return;
        };
        self.flush_drafts();
        self.inputs.push(Input::Query { session: self.id, token: u64::from(sequence), message, source });
    }

    fn cancel(&mut self, sequence: u32, cancel: &CancelSm<'_>, session: &mut Session) {
        match submit::cancel_what(cancel, self.parse_id(cancel.message_id)) {
            Ok(what) => {
                self.flush_drafts();
                self.inputs.push(Input::Cancel { session: self.id, token: KIND_CANCEL | u64::from(sequence), what });
            }
            Err(status) => {
                self.refused(status);
                session.respond(sequence, status, &Pdu::CancelSmResp);
            }
        }
    }

    fn replace(&mut self, sequence: u32, replace: &ReplaceSm<'_>, session: &mut Session, now: Now) {
        match self.replacement(replace, now) {
            Ok((message, source, with)) => {
                self.flush_drafts();
                let token = KIND_REPLACE | u64::from(sequence);
                self.inputs.push(Input::Replace { session: self.id, token, message, source, with });
            }
            Err(status) => {
                self.refused(status);
                session.respond(sequence, status, &Pdu::ReplaceSmResp);
            }
        }
    }

    #[allow(clippy::type_complexity, reason = "the three parts of one input")]
    fn replacement(&self, replace: &ReplaceSm<'_>, now: Now) -> Result<(MessageId, crate::model::Address, Box<Replacement>), u32> {
        let message = self.parse_id(replace.message_id).ok_or(status::ESME_RINVMSGID)?;
        let source = submit::address(replace.source).ok_or(status::ESME_RINVSRCADR)?;
        if replace.sm_default_msg_id != 0 {
            return Err(status::ESME_RINVDFTMSGID);
        }
        if replace.registered_delivery & 0xE0 != 0 {
            return Err(status::ESME_RINVREGDLVFLG);
        }
        let octets = match (replace.short_message, replace.tlvs.first(tag::MESSAGE_PAYLOAD)) {
            (short, None) => short,
            (b"", Some(payload)) => payload,
            (_, Some(_)) => return Err(status::ESME_RINVMSGLEN),
        };
        let (due_ms, expires_ms) = submit::times(replace.schedule_delivery_time, replace.validity_period, now)?;
        let report = submit::report(replace.registered_delivery);
        Ok((message, source, Box::new(Replacement { octets: octets.into(), due_ms, expires_ms, report })))
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
            UpstreamReply::Deliver { token, item } => {
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

    fn answer_multi(&mut self, token: u64, result: Result<MessageId, Refusal>, session: &mut Session) {
        let Some(entry) = self.account.clone() else { return };
        let slot = (token as u32 >> 8) as usize;
        let Some(state) = self.multis.get_mut(slot).and_then(Option::as_mut) else { return };
        state.waiting -= 1;
        match result {
            Ok(id) => {
                state.first_id.get_or_insert(id);
            }
            Err(refusal) => {
                entry.refused(refusal);
                let to = state.recipients[(token & 0xFF) as usize].clone();
                state.refused(receipt::addr(&to), of_refusal(refusal, version(session)));
            }
        }
        if state.waiting == 0 {
            let by = Submitter { id: entry.id, account: &entry.settings, version: version(session), now: Now::default() };
            state.respond(&by, session);
            self.multis[slot] = None;
        }
    }

    fn queried(&mut self, sequence: u32, result: Result<QueryAnswer, Refusal>, session: &mut Session) {
        let Some(entry) = &self.account else { return };
        match result {
            Ok(answer) => {
                let id = receipt::message_id(answer.message, entry.settings.receipts.id);
                let final_date = receipt::absolute_time(answer.final_ms);
                let resp = QuerySmResp {
                    message_id: &id,
                    final_date: &final_date,
                    message_state: message_state(answer.state) as u8,
                    error_code: answer.error,
                    ..QuerySmResp::default()
                };
                session.respond(sequence, status::ESME_ROK, &Pdu::QuerySmResp(Some(resp)));
            }
            Err(refusal) => {
                let status = self.refused_by_engine(refusal, status::ESME_RQUERYFAIL, session);
                session.respond(sequence, status, &Pdu::QuerySmResp(None));
            }
        }
    }

    /// The status for what the engine refused to do with a message. `gone`: the one for an id in our form that names no message that is alive
    /// here (it is over, or was never this source's): only ids that can't be ours are called invalid.
    fn refused_by_engine(&self, refusal: Refusal, gone: u32, session: &Session) -> u32 {
        if let Some(entry) = &self.account {
            entry.refused(refusal);
        }
        if refusal == Refusal::UnknownMessage { gone } else { of_refusal(refusal, version(session)) }
    }

    /// Sends a delivery, or keeps it until the window has room.
    fn deliver(&mut self, token: DeliveryToken, item: Arc<Delivery>, session: &mut Session, now: Now) {
        let Some(entry) = &self.account else {
            self.answers.push((token, DeliveryAnswer::Later));
            return;
        };
        let tlvs_allowed = session.allows_tlvs();
        let sent = match &*item {
            Delivery::Receipt(report) => {
                let pdu = self.writer.report(report, &entry.settings.receipts, tlvs_allowed);
                session.request(token.0, &pdu, now).map(|_| ())
            }
            Delivery::Inbound(inbound) if receipt::fits_one(inbound, tlvs_allowed) => {
                let pdu = self.writer.inbound(inbound, default_alphabet(entry.settings.default_alphabet));
                session.request(token.0, &pdu, now).map(|_| ())
            }
            Delivery::Inbound(inbound) => self.deliver_in_pieces(token, inbound, session, now),
        };
        match sent {
            Ok(()) => {}
            Err(RequestError::WindowFull) => self.waiting.push_front((token, item)),
            Err(RequestError::NotBound) => self.answers.push((token, DeliveryAnswer::Later)),
            Err(RequestError::Unsendable) => self.answers.push((token, DeliveryAnswer::Never)),
        }
    }

    /// A long message for a client without message_payload: in parts again, all of them or none; it counts as one delivery.
    fn deliver_in_pieces(&mut self, token: DeliveryToken, inbound: &Inbound, session: &mut Session, now: Now) -> Result<(), RequestError> {
        let rule = SegmentRule::new(segment::Concatenation::Udh8);
        let parts = segment::count(&inbound.body, &rule);
        if parts > session.settings().window {
            return Err(RequestError::Unsendable);
        }
        if parts > session.free() {
            return if session.state().is_bound() { Err(RequestError::WindowFull) } else { Err(RequestError::NotBound) };
        }
        let reference = (inbound.message.0 & 0xFF) as u16;
        let mut sent = 0;
        segment::for_each(&inbound.body, &rule, reference, &mut Vec::new(), |view| {
            let pdu = Pdu::DeliverSm(receipt::inbound(inbound, view.octets, view.has_header));
            sent += usize::from(session.request(token.0, &pdu, now).is_ok());
        });
        if sent < parts {
            return Err(RequestError::Unsendable);
        }
        self.pieces.push(Pieces { token, left: parts, answer: DeliveryAnswer::Taken });
        Ok(())
    }

    fn delivered(&mut self, token: DeliveryToken, answer: DeliveryAnswer) {
        if let Some(at) = self.pieces.iter().position(|pieces| pieces.token == token) {
            let pieces = &mut self.pieces[at];
            pieces.left -= 1;
            if answer != DeliveryAnswer::Taken {
                pieces.answer = answer;
            }
            if pieces.left > 0 {
                return;
            }
            let answer = pieces.answer;
            self.pieces.swap_remove(at);
            self.answers.push((token, answer));
            return;
        }
        self.answers.push((token, answer));
    }

    fn pump(&mut self, session: &mut Session, now: Now) {
        while session.free() > 0 {
            let Some((token, item)) = self.waiting.pop_front() else { return };
            let left = self.waiting.len();
            self.deliver(token, item, session, now);
            if self.waiting.len() > left {
                return;
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
            UpstreamCommand::Authenticated(done) => {
                let check = self.context.accounts.finish(self.id, done, self.peer, now);
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
            Some(entry) => tracing::info!(session = id, account = %entry.settings.name, %peer, cause, "session ended"),
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
