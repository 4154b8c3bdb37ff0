//! The states of a message and which step may follow which.

/// Where a message stands. Every accepted message is in exactly one of these; the sum over all is the number accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// Accepted, not yet handed to a carrier (or handed back).
    Waiting = 0,
    /// A carrier took it and a receipt is awaited.
    SentWaiting = 1,
    /// Final: the carrier says the phone has it.
    Delivered = 2,
    /// Final: the carrier says it can't be delivered (also: deleted or skipped there).
    Undelivered = 3,
    /// Final: validity ended, here or at the carrier.
    Expired = 4,
    /// Final: every carrier that was tried refused it.
    Rejected = 5,
    /// Final: cancelled from upstream or by an operator.
    Cancelled = 6,
    /// Final: a carrier took it, nobody asked for a receipt.
    SentFinal = 7,
    /// Final, provisional: a receipt was awaited and none came within its time.
    NoReceipt = 8,
    /// Final, provisional: handed to a socket, no answer, and its class forbids another try.
    InDoubt = 9,
}

impl State {
    /// All states in order of their number.
    pub const ALL: [State; 10] = [
        State::Waiting,
        State::SentWaiting,
        State::Delivered,
        State::Undelivered,
        State::Expired,
        State::Rejected,
        State::Cancelled,
        State::SentFinal,
        State::NoReceipt,
        State::InDoubt,
    ];

    /// The name used in metrics, records and the API.
    pub fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::SentWaiting => "sent_waiting",
            State::Delivered => "delivered",
            State::Undelivered => "undelivered",
            State::Expired => "expired",
            State::Rejected => "rejected",
            State::Cancelled => "cancelled",
            State::SentFinal => "sent_final",
            State::NoReceipt => "no_receipt",
            State::InDoubt => "in_doubt",
        }
    }

    /// The state of number `n`, as kept in the journal.
    pub fn from_u8(n: u8) -> Option<State> {
        State::ALL.get(n as usize).copied()
    }

    /// True for every state in which nothing more is awaited (provisional ones included).
    pub fn is_final(self) -> bool {
        !matches!(self, State::Waiting | State::SentWaiting)
    }

    /// True where the verdict is ours and a carrier's final replaces it.
    pub fn is_provisional(self) -> bool {
        matches!(self, State::NoReceipt | State::InDoubt)
    }
}

/// What a carrier's receipt says of one part, in the words of SMPP's message_state (v3.4 5.2.28, v5.0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ReceiptState {
    /// v5.0: waits for its scheduled time.
    Scheduled = 0,
    /// On its way.
    Enroute = 1,
    /// Reached the phone.
    Delivered = 2,
    /// Validity ended at the carrier.
    Expired = 3,
    /// Deleted at the carrier.
    Deleted = 4,
    /// Can't be delivered.
    Undeliverable = 5,
    /// Read by the carrier's clerk; most aggregators send it as an interim state.
    Accepted = 6,
    /// The carrier doesn't know.
    Unknown = 7,
    /// Refused.
    Rejected = 8,
    /// v5.0: skipped.
    Skipped = 9,
}

impl ReceiptState {
    /// All in order of their number.
    pub const ALL: [ReceiptState; 10] = [
        ReceiptState::Scheduled,
        ReceiptState::Enroute,
        ReceiptState::Delivered,
        ReceiptState::Expired,
        ReceiptState::Deleted,
        ReceiptState::Undeliverable,
        ReceiptState::Accepted,
        ReceiptState::Unknown,
        ReceiptState::Rejected,
        ReceiptState::Skipped,
    ];

    /// The state of message_state `n`.
    pub fn from_u8(n: u8) -> Option<ReceiptState> {
        ReceiptState::ALL.get(n as usize).copied()
    }

    /// The long name, as in the test vectors and the API.
    pub fn name(self) -> &'static str {
        match self {
            ReceiptState::Scheduled => "SCHEDULED",
            ReceiptState::Enroute => "ENROUTE",
            ReceiptState::Delivered => "DELIVERED",
            ReceiptState::Expired => "EXPIRED",
            ReceiptState::Deleted => "DELETED",
            ReceiptState::Undeliverable => "UNDELIVERABLE",
            ReceiptState::Accepted => "ACCEPTED",
            ReceiptState::Unknown => "UNKNOWN",
            ReceiptState::Rejected => "REJECTED",
            ReceiptState::Skipped => "SKIPPED",
        }
    }

    /// The seven-letter form of a receipt's `stat:` (v3.4 Appendix B).
    pub fn stat(self) -> &'static str {
        match self {
            ReceiptState::Scheduled => "SCHEDLD",
            ReceiptState::Enroute => "ENROUTE",
            ReceiptState::Delivered => "DELIVRD",
            ReceiptState::Expired => "EXPIRED",
            ReceiptState::Deleted => "DELETED",
            ReceiptState::Undeliverable => "UNDELIV",
            ReceiptState::Accepted => "ACCEPTD",
            ReceiptState::Unknown => "UNKNOWN",
            ReceiptState::Rejected => "REJECTD",
            ReceiptState::Skipped => "SKIPPED",
        }
    }

    /// Final by default. ACCEPTED and UNKNOWN are not: most peers send them as interim states; a carrier's profile
    /// may say otherwise.
    pub fn is_final(self) -> bool {
        !matches!(self, ReceiptState::Scheduled | ReceiptState::Enroute | ReceiptState::Accepted | ReceiptState::Unknown)
    }

    /// The state of the message that this final means.
    pub fn message_state(self) -> State {
        match self {
            ReceiptState::Delivered | ReceiptState::Accepted => State::Delivered,
            ReceiptState::Expired => State::Expired,
            ReceiptState::Rejected => State::Rejected,
            ReceiptState::Scheduled | ReceiptState::Enroute => State::SentWaiting,
            ReceiptState::Deleted | ReceiptState::Undeliverable | ReceiptState::Unknown | ReceiptState::Skipped => State::Undelivered,
        }
    }
}
