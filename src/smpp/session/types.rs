//! What a session is told and what it tells: settings, states, events, causes. What they bring about is in the files beside this one.

use super::VERSION_3_4;
use crate::smpp::decode::DecodeLimits;
use crate::smpp::pdu::{Bind, BindKind, BindResp, Outbind, Pdu};

/// Which side of the protocol this end plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Message centre: takes binds and submissions.
    Server,
    /// ESME: binds and submits.
    Client,
}

/// All that a session can be told. Times are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Which side.
    pub role: Role,
    /// Own requests in flight, 1 to [`super::MAX_WINDOW`].
    pub window: usize,
    /// Requests of the peer in progress that are his right.
    pub inbound_window: usize,
    /// How many more are let through; beyond both the session answers 0x58.
    pub inbound_slack: usize,
    /// After this long without an answer a request is in doubt.
    pub response_timeout_ms: u64,
    /// Silence after which enquire_link is sent; 0 never.
    pub enquire_link_ms: u64,
    /// Silence after an enquire_link that ends the connection.
    pub enquire_link_timeout_ms: u64,
    /// Time without any PDU of the peer after which the server unbinds; 0 never.
    pub inactivity_ms: u64,
    /// Connect to bind, and refused bind to the next.
    pub session_init_ms: u64,
    /// Bind to its response.
    pub bind_response_ms: u64,
    /// First to last octet of one PDU.
    pub pdu_completion_ms: u64,
    /// Longest wait in each step of unbinding: for answers before it, for the unbind_resp, for the last answers after it.
    pub unbind_timeout_ms: u64,
    /// How long requests that timed out are remembered (at most [`super::MAX_LATE`] of them).
    pub late_response_ms: u64,
    /// Greatest `command_length` taken, octets.
    pub max_pdu: usize,
    /// The version we speak.
    pub interface_version: u8,
    /// Lengths of credentials.
    pub limits: DecodeLimits,
    /// Client: wait for an outbind rather than refuse it.
    pub accept_outbind: bool,
    /// Client: send TLVs also to servers that leave sc_interface_version out.
    pub assume_tlvs: bool,
}

impl Settings {
    /// The defaults of the server side.
    pub fn server() -> Self {
        Settings {
            role: Role::Server,
            window: 10,
            inbound_window: 10,
            inbound_slack: 10,
            response_timeout_ms: 30_000,
            enquire_link_ms: 30_000,
            enquire_link_timeout_ms: 10_000,
            inactivity_ms: 120_000,
            session_init_ms: 5_000,
            bind_response_ms: 10_000,
            pdu_completion_ms: 10_000,
            unbind_timeout_ms: 5_000,
            late_response_ms: 300_000,
            max_pdu: 128 * 1024,
            interface_version: VERSION_3_4,
            limits: DecodeLimits::default(),
            accept_outbind: false,
            assume_tlvs: false,
        }
    }

    /// The defaults of the client side. A carrier's receipts are to be stored, not refused: the inbound window is wide, and TLVs of a
    /// wrong length are let through.
    pub fn client() -> Self {
        let limits = DecodeLimits { any_tlv_length: true, ..DecodeLimits::default() };
        Settings { role: Role::Client, inbound_window: 1_000, inbound_slack: 1_000, inactivity_ms: 0, limits, ..Settings::server() }
    }
}

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// Connected, nobody has bound.
    Open,
    /// outbind was sent or received; a bind is due.
    Outbound,
    /// A bind waits for its answer.
    Binding,
    /// Bound as transmitter.
    BoundTx,
    /// Bound as receiver.
    BoundRx,
    /// Bound as transceiver.
    BoundTrx,
    /// One side wants to leave; no new requests of ours.
    Unbinding,
    /// Over.
    Closed,
}

impl SessionState {
    /// Whether messages may flow.
    pub const fn is_bound(self) -> bool {
        matches!(self, SessionState::BoundTx | SessionState::BoundRx | SessionState::BoundTrx)
    }
}

/// Why a session ended. The last ones are for the driver, which sees what the session cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseCause {
    /// We unbound and the peer agreed.
    Unbound,
    /// The peer unbound.
    PeerUnbind,
    /// No bind came in time.
    SessionInitTimeout,
    /// No answer to our bind came in time.
    BindTimeout,
    /// The bind was refused (by us too often, or by the peer).
    BindRefused,
    /// Silence after enquire_link.
    EnquireLinkTimeout,
    /// No PDU for too long; we unbound.
    Inactivity,
    /// A PDU was begun and not finished.
    PduTimeout,
    /// An unbind was not answered in time, or the last answers did not come.
    UnbindTimeout,
    /// `command_length` made no sense.
    Framing,
    /// The peer closed the connection without unbind.
    PeerClosed,
    /// The socket failed.
    Io,
    /// The peer did not read what we sent.
    SlowPeer,
    /// Ended at once from our side.
    Killed,
}

impl CloseCause {
    /// Short name for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            CloseCause::Unbound => "unbound",
            CloseCause::PeerUnbind => "peer_unbind",
            CloseCause::SessionInitTimeout => "session_init_timeout",
            CloseCause::BindTimeout => "bind_timeout",
            CloseCause::BindRefused => "bind_refused",
            CloseCause::EnquireLinkTimeout => "enquire_link_timeout",
            CloseCause::Inactivity => "inactivity",
            CloseCause::PduTimeout => "pdu_timeout",
            CloseCause::UnbindTimeout => "unbind_timeout",
            CloseCause::Framing => "framing",
            CloseCause::PeerClosed => "peer_closed",
            CloseCause::Io => "io",
            CloseCause::SlowPeer => "slow_peer",
            CloseCause::Killed => "killed",
        }
    }
}

/// Why [`super::Session::request`] did not take a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No free slot.
    #[error("the window is full")]
    WindowFull,
    /// The session is not bound for this command, or is unbinding.
    #[error("the session is not bound for this command")]
    NotBound,
    /// The PDU cannot be written as it is: a string is too long or holds a NUL, or it needs a TLV that the peer does not know.
    #[error("the PDU cannot be sent to this peer")]
    Unsendable,
}

/// What the session tells its handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'b> {
    /// Server: to be answered by [`super::Session::accept_bind`] or [`super::Session::refuse_bind`], at once or later.
    BindRequest {
        /// Number to answer with.
        sequence: u32,
        /// Which bind.
        kind: BindKind,
        /// Who.
        bind: Bind<'b>,
    },
    /// Client: the bind was accepted.
    Bound {
        /// Body of the answer.
        resp: Option<BindResp<'b>>,
    },
    /// Client: the bind was refused; the session closes.
    BindRefused {
        /// With what.
        status: u32,
    },
    /// Client that waits for it: check the credentials, then [`super::Session::bind`] or [`super::Session::close`].
    Outbind(Outbind<'b>),
    /// To be answered by [`super::Session::respond`]; alert_notification has no answer.
    Request {
        /// Number to answer with.
        sequence: u32,
        /// What is asked.
        pdu: Pdu<'b>,
    },
    /// The answer to a request of ours.
    Response {
        /// What [`super::Session::request`] was given.
        token: u64,
        /// `command_status`; never 0 for a generic_nack.
        status: u32,
        /// The answer; `None` for a generic_nack or when the body made no sense.
        pdu: Option<Pdu<'b>>,
        /// It comes after [`Event::Timeout`] for the same token.
        late: bool,
    },
    /// No answer in time: the request is in doubt, its slot is free.
    Timeout {
        /// What [`super::Session::request`] was given.
        token: u64,
    },
    /// The peer wants to leave; it gets its answer once its own requests are answered. Nothing new is sent.
    PeerUnbind,
    /// Write what is in the output, then close the socket.
    Closed {
        /// Why.
        cause: CloseCause,
    },
}

/// What happened on a session that is nobody's event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Whole PDUs received.
    pub pdus_in: u64,
    /// PDUs that could not be decoded.
    pub undecodable: u64,
    /// Commands of neither version.
    pub unknown_commands: u64,
    /// Requests refused because the state did not allow them.
    pub wrong_state: u64,
    /// Requests answered with 0x58 because the inbound window and its slack were used up.
    pub over_window: u64,
    /// Answers to timed-out requests.
    pub late_responses: u64,
    /// Second answers, and answers to numbers that were never sent or are forgotten.
    pub unmatched_responses: u64,
    /// generic_nacks of the peer.
    pub nacks_in: u64,
    /// Requests of ours that timed out.
    pub timeouts: u64,
}
