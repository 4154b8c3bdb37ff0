//! The engine's doors: everything that goes in and everything that comes out, as plain data in batches.
//!
//! Links (and the deterministic world) turn PDUs into [`Input`]s and [`Output`]s into PDUs; `app` carries them
//! between threads. Whatever comes out of one step may be acted on in any order, except that the replies and commands for one session or
//! bind keep theirs.
#![allow(missing_docs)] // every variant has its line; its fields are the words of the design

pub use super::balance::Balance;
use super::dedupe::Remembered;
pub use super::rules::change::{RulesAnswer, RulesError, RulesRequest};
pub use crate::model::id::{BindId, CarrierId, SessionId};
use crate::model::notes::Notes;
use crate::model::state::ReceiptState;
use crate::model::{AccountId, Address, Body, Encoding, Message, MessageId, Refusal, State};
use crate::telemetry::OutcomeCounts;
use arrayvec::ArrayVec;
use std::sync::Arc;

/// One PDU's worth of a message on its way to a carrier: message and part index from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket {
    /// The message.
    pub message: MessageId,
    /// Part of it, from 0.
    pub part: u8,
}

/// A carrier's id for a part, the raw octets of its answer, without terminator.
pub type CarrierMessageId = ArrayVec<u8, 64>;

/// What goes in. Batches: one per read of a socket, one per sync.
#[derive(Debug)]
pub enum Input {
    /// An upstream session is bound. `window`: how many reports it may have unanswered; 0 for a transmitter.
    SessionUp { session: SessionId, account: AccountId, window: u32 },
    /// The same for what delivers to the account's addresses, its callbacks and its hook. It ends by [`Input::SessionDown`].
    HookUp { session: SessionId, account: AccountId, window: u32 },
    /// It is gone. What it had not answered goes back to its account's outbox.
    SessionDown { session: SessionId },
    /// Messages submitted in one read.
    Submit { session: SessionId, drafts: Vec<Draft> },
    /// Messages that came by no session; each is answered by [`Output::HandedIn`].
    HandIn { drafts: Vec<Draft> },
    /// Messages each of which ends the newest waiting one of the same account, source, destination and service_type, if there is one.
    SubmitReplacing { session: SessionId, drafts: Vec<Draft> },
    /// query_sm: answered from live state.
    Query { session: SessionId, token: u64, message: MessageId, source: Address },
    /// cancel_sm: durable before it is answered.
    Cancel { session: SessionId, token: u64, what: CancelWhat },
    /// replace_sm: durable before it is answered.
    Replace { session: SessionId, token: u64, message: MessageId, source: Address, with: Box<Replacement> },
    /// An upstream answered deliveries (receipts, inbound messages).
    Answered { session: SessionId, answers: Vec<(DeliveryToken, DeliveryAnswer)> },

    /// A bind with a carrier is up. `window`: PDUs in flight; 0 for a receiver bind.
    BindUp { bind: BindId, window: u32 },
    /// It is gone, or going. Every ticket that it held comes back in one of the two lists.
    BindDown { bind: BindId, unsent: Vec<Ticket>, in_doubt: Vec<Ticket> },
    /// The carrier answered parts (or did not, in time).
    Outcomes { bind: BindId, outcomes: Vec<(Ticket, Outcome)> },
    /// The carrier delivered receipts or inbound messages; each is answered by a [`BindCommand::Answer`].
    Received { bind: BindId, deliveries: Vec<(u64, Received)> },

    /// The journal has made every batch up to `batch` durable; the last of them in group `position`.
    Committed { batch: u64, position: u64 },
    /// The ledger has made the last update durable.
    LedgerApplied,
    /// A chunk that was asked for, as octets and list of the dead; `None`: it isn't there.
    Chunk { id: u64, found: Option<(Vec<u8>, Vec<u8>)> },
    /// A page that was asked for; `None`: it isn't there.
    Page { kind: u8, id: u64, found: Option<Vec<u8>> },
    /// What the records know of a message that was asked for; `None`: nothing.
    Recalled { number: u64, found: Option<super::recall::Finished> },
    /// The state of the disk changed.
    Disk(DiskState),
    /// Stop taking new messages; what is in flight may finish.
    Drain,
    /// Lists of numbers are changed or asked; answered by [`Output::Rules`], a change once it is durable.
    Rules { token: u64, request: Box<RulesRequest> },
    /// An operator asks; answered by [`Output::Controlled`], durably where something changes.
    Control { token: u64, request: Box<super::control::Request> },
    /// The configuration says something else: the plan from now on.
    Plan(Arc<super::plan::Plan>),
}

/// What the journal's thread says of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskState {
    /// All is well.
    Ok,
    /// A sync takes over the bound: nothing new is promised (throttled), the rest goes on.
    Slow,
    /// Only the reserve is left: nothing new is taken (queue full), outcomes are still written.
    Reserve,
    /// A sync failed. Nothing will be committed any more; the gateway stops.
    Failed,
}

/// A message as an upstream handed it in, before intake looked at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The session's own mark; comes back in the answer.
    pub token: u64,
    /// The message, with id 0.
    pub message: Arc<Message>,
    /// The name of its campaign, if it has one.
    pub campaign: Option<Arc<str>>,
}

/// A draft that became a message, as [`Output::HandedIn`] tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Its id; of one that was handed in before, the first one's.
    pub message: MessageId,
    /// Segments at the first carrier of its route as it is now; 0 if there is none any more.
    pub segments: u8,
    /// By what it was handed in before; no second message was made. `None`: it was made now.
    pub repeats: Option<Remembered>,
}

/// Which messages a cancel means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelWhat {
    /// One message, if its source agrees.
    One { message: MessageId, source: Address },
    /// All waiting messages of the account from `source` to `destination` (and of `service_type`, if not empty).
    All { source: Address, destination: Address, service_type: ArrayVec<u8, 5> },
}

/// What a replace puts in place of the old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// New text octets, to be read in the encoding of the message that is replaced (SMPP can't change it).
    pub octets: Box<[u8]>,
    /// New earliest time; 0 keeps the old.
    pub due_ms: u64,
    /// New latest time; 0 keeps the old.
    pub expires_ms: u64,
    /// New report wish.
    pub report: crate::model::Report,
}

/// Names one delivery to an upstream between handing it out and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryToken(pub u64);

/// What an upstream said to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryAnswer {
    /// Taken: status 0.
    Taken,
    /// Not now: a temporary status, or no answer in time. It is tried again.
    Later,
    /// Not now, and not before so many milliseconds are over.
    After(u64),
    /// Never: a permanent status. It is dropped and counted.
    Never,
}

/// What a carrier said to one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Taken, under this id (which may be empty). Also comes late, after an `InDoubt`.
    Sent { carrier_id: CarrierMessageId },
    /// Refused for now; the message may be tried again here. `status` is the carrier's raw code.
    Later { status: u32 },
    /// Refused because the whole carrier is asked to slow down; does not count as an attempt.
    Throttled { status: u32 },
    /// Refused here; another carrier may take it.
    Elsewhere { status: u32 },
    /// Refused for good.
    Never { status: u32 },
    /// Handed to the socket, no answer in time.
    InDoubt,
    /// Never handed to the socket (window closed, an earlier part was refused, the session is unbinding).
    NotSent,
}

impl Outcome {
    /// One more of its kind.
    pub fn count(&self, counts: &mut OutcomeCounts) {
        match self {
            Outcome::Sent { .. } => counts.sent += 1,
            Outcome::Later { .. } => counts.later += 1,
            Outcome::Throttled { .. } => counts.throttled += 1,
            Outcome::Elsewhere { .. } => counts.elsewhere += 1,
            Outcome::Never { .. } => counts.never += 1,
            Outcome::InDoubt => counts.in_doubt += 1,
            Outcome::NotSent => {}
        }
    }
}

/// What a carrier delivered.
#[derive(Debug, Clone)]
pub enum Received {
    /// A report on a part of ours.
    Receipt(Box<ReceiptFacts>),
    /// A message from a phone (or one part of it).
    Inbound(Box<InboundPart>),
    /// Nothing that we keep (alert_notification, an SME acknowledgement that nobody waits for). Answered at once.
    Ignored,
}

/// A receipt as the carrier's dialect was read. Ids are raw octets: `engine/receipts` knows the forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptFacts {
    /// The id of record (TLV before text, unless the profile says otherwise); empty if there was none.
    pub id: CarrierMessageId,
    /// The other place's id, if both were there and differ.
    pub other_id: CarrierMessageId,
    /// What it says.
    pub state: ReceiptState,
    /// The state word as it came, for the sender's eyes (`DELIVRD`, `MA:0001` ...), at most 16 octets.
    pub stat: ArrayVec<u8, 16>,
    /// Final, by the state and the carrier's profile.
    pub is_final: bool,
    /// The carrier's error, as text; mostly three digits.
    pub error: ArrayVec<u8, 8>,
    /// network_error_code TLV, raw.
    pub network_error: Option<[u8; 3]>,
    /// done date in wall milliseconds, if it was there and made sense.
    pub done_ms: Option<u64>,
    /// submit date in wall milliseconds.
    pub submit_ms: Option<u64>,
    /// The receipt's source and destination numbers, packed (0 if none): one of them is the phone.
    pub numbers: [u64; 2],
}

/// A message from a phone, or one part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundPart {
    /// The phone.
    pub source: Address,
    /// The service number it wrote to.
    pub destination: Address,
    /// The text; its header has been taken off if it was only for joining.
    pub body: Body,
    /// Which part this is, if it is one (from the header or the sar_ TLVs).
    pub part: Option<crate::model::message::Part>,
    /// service_type as it came.
    pub service_type: ArrayVec<u8, 5>,
    /// protocol_id as it came.
    pub protocol_id: u8,
}

/// What comes out of a step.
#[derive(Debug)]
pub enum Output {
    /// For one upstream session.
    Upstream { session: SessionId, replies: Vec<UpstreamReply> },
    /// The yes (durable by now) or the refusal of each of these drafts, by their tokens, in any order.
    HandedIn { answers: Vec<(u64, Result<Taken, Refusal>)> },
    /// For one bind.
    Bind { bind: BindId, commands: Vec<BindCommand> },
    /// For the journal: append these events; report `Committed` with this `batch` number.
    Append { batch: u64, events: Vec<u8>, urgent: bool },
    /// For the ledger, in one transaction; when it is durable, drop the journal's groups before `absorbed` and say [`Input::LedgerApplied`].
    Ledger(Box<crate::store::LedgerUpdate>),
    /// For the ledger: read this chunk, as it is after the updates before; answered by [`Input::Chunk`].
    ReadChunk(u64),
    /// The answer to [`Input::Rules`].
    Rules { token: u64, answer: Result<RulesAnswer, RulesError> },
    /// For the ledger: read this page, as it is after the updates before; answered by [`Input::Page`].
    ReadPage { kind: u8, id: u64 },
    /// For the records: what became of this message; answered by [`Input::Recalled`] with the same number.
    Recall { number: u64, message: MessageId },
    /// For the operator who asked.
    Controlled { token: u64, answer: Box<super::control::Answered> },
    /// For the links: these binds (`None`: all of the carrier) stay down, all others are held up.
    StayDown(Vec<(CarrierId, Option<u16>)>),
}

/// What the engine says to an upstream session.
#[derive(Debug)]
pub enum UpstreamReply {
    /// The yes (durable by now) or the refusal of one draft.
    Answer { token: u64, result: Result<MessageId, Refusal> },
    /// Answer to a query.
    Queried { token: u64, result: Result<QueryAnswer, Refusal> },
    /// Answer to a cancel or a replace.
    Done { token: u64, result: Result<(), Refusal> },
    /// Deliver this to the client; answered by [`Input::Answered`]. Never more unanswered than the session's window. `since_ms`: since when it waits.
    Deliver { token: DeliveryToken, item: Arc<Delivery>, since_ms: u64 },
}

/// What query_sm tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryAnswer {
    /// The message.
    pub message: MessageId,
    /// Its state.
    pub state: State,
    /// When it became final; 0 if it isn't.
    pub final_ms: u64,
    /// Network error, 0 if none.
    pub error: u8,
}

/// What goes to an account's receivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A report on a message of the account.
    Receipt(Report),
    /// A message from a phone.
    Inbound(Inbound),
}

/// A report on a message, in our words; `link/translate` gives it the form that the account asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Our id.
    pub message: MessageId,
    /// The message's source and destination, as upstream wrote them.
    pub source: Address,
    /// See `source`.
    pub destination: Address,
    /// What is reported.
    pub state: ReceiptState,
    /// An intermediate notification, not the final one.
    pub intermediate: bool,
    /// Of an intermediate one: it is our own, carriers have taken all of it. Of a final one: a carrier had taken some of it.
    pub taken: bool,
    /// The carrier that it is or was with.
    pub carrier: Option<CarrierId>,
    /// Error as text, `000` if none.
    pub error: ArrayVec<u8, 8>,
    /// network_error_code of the carrier.
    pub network_error: Option<[u8; 3]>,
    /// When the message was accepted.
    pub submit_ms: u64,
    /// When it got this state.
    pub done_ms: u64,
    /// Parts, and parts delivered.
    pub parts: u8,
    /// See `parts`.
    pub parts_delivered: u8,
    /// The first octets of the text (up to 20 characters' worth), in `text_encoding`.
    pub text: ArrayVec<u8, 40>,
    /// How `text` is to be read.
    pub text_encoding: Encoding,
    /// The message's notes.
    pub notes: Option<Arc<Notes>>,
}

/// A message from a phone, joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// Our id.
    pub message: MessageId,
    /// The phone.
    pub source: Address,
    /// The service number.
    pub destination: Address,
    /// The text. More than one part's worth of octets goes out in parts again, or as message_payload.
    pub body: Body,
    /// service_type as it came.
    pub service_type: ArrayVec<u8, 5>,
    /// protocol_id as it came.
    pub protocol_id: u8,
    /// Parts are missing: their time was over.
    pub incomplete: bool,
    /// When it came.
    pub received_ms: u64,
}

/// What the engine says to a bind.
#[derive(Debug)]
pub enum BindCommand {
    /// Send this message's parts from `first_part` up to and without `end_part` (of `parts` in all), in order, back to back; each part's outcome comes back under
    /// its ticket. The engine never has more parts with a bind than its window, except for one message longer than the window.
    /// `ask_receipt`: registered_delivery of the submit. `reference`: of the concatenation, where it is cut here.
    Send { message: Arc<Message>, first_part: u8, end_part: u8, parts: u8, reference: u16, ask_receipt: bool },
    /// Answer a delivery: `stored` gives status 0, otherwise "try again" (0x64).
    Answer { token: u64, stored: bool },
}
