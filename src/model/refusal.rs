//! Why not: one type for every refusal in the house. `link/translate` maps it to an SMPP status, `http/error` to a
//! problem document; nobody else needs to know either.

use std::fmt;

/// Why a request was refused, or why a message can't go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Destination missing, malformed, or not a number that can be reached.
    Destination,
    /// Source address malformed or not allowed for the account.
    Source,
    /// Body longer than can be sent, or two bodies at once.
    Length,
    /// The user data header is inconsistent.
    Header,
    /// data_coding unknown, or text that doesn't fit the encoding that was asked for.
    Encoding,
    /// schedule_delivery_time malformed.
    Schedule,
    /// validity_period malformed or already over.
    Validity,
    /// priority above what the protocol knows.
    Priority,
    /// No route leads to this number.
    NoRoute,
    /// The account's rate or window is used up; try again soon.
    Throttled,
    /// Too many messages wait (account, class or memory); try again later.
    QueueFull,
    /// The disk is too slow to promise anything now; try again soon.
    DiskSlow,
    /// The disk's reserve is all that is left; nothing new is taken.
    DiskFull,
    /// The journal failed; the gateway is stopping.
    StoreFailed,
    /// The gateway is shutting down.
    Stopping,
    /// No such message, or not the account's.
    UnknownMessage,
    /// The message can't be cancelled (any more).
    CancelFailed,
    /// The message can't be replaced (any more).
    ReplaceFailed,
    /// The account may not do this.
    NotAllowed,
    /// The request uses a feature that isn't served.
    Unsupported,
    /// The account sent the same text to the same number a short while ago.
    Duplicate,
    /// The account's balance doesn't bear it.
    NoCredit,
    /// The number stands in a block list (platform, account or sender).
    Blocked,
    /// The number's owner has opted out.
    OptedOut,
    /// The account may not write to this country or prefix.
    Country,
    /// The account wrote to this range too often within the window of a velocity limit; try again later.
    Velocity,
    /// The text has a phrase that is denied.
    Phrase,
    /// The idempotency key was used with something else before.
    KeyReused,
}

/// Who has to act on a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The sender: the same request will be refused again.
    Sender,
    /// Us, for the moment: the same request may pass later.
    Gateway,
}

impl Refusal {
    /// Every refusal, for tables and metrics.
    pub const ALL: [Refusal; 28] = [
        Refusal::Destination,
        Refusal::Source,
        Refusal::Length,
        Refusal::Header,
        Refusal::Encoding,
        Refusal::Schedule,
        Refusal::Validity,
        Refusal::Priority,
        Refusal::NoRoute,
        Refusal::Throttled,
        Refusal::QueueFull,
        Refusal::DiskSlow,
        Refusal::DiskFull,
        Refusal::StoreFailed,
        Refusal::Stopping,
        Refusal::UnknownMessage,
        Refusal::CancelFailed,
        Refusal::ReplaceFailed,
        Refusal::NotAllowed,
        Refusal::Unsupported,
        Refusal::Duplicate,
        Refusal::NoCredit,
        Refusal::Blocked,
        Refusal::OptedOut,
        Refusal::Country,
        Refusal::Velocity,
        Refusal::Phrase,
        Refusal::KeyReused,
    ];

    /// The name in metrics, logs and the API.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Destination => "destination",
            Refusal::Source => "source",
            Refusal::Length => "length",
            Refusal::Header => "header",
            Refusal::Encoding => "encoding",
            Refusal::Schedule => "schedule",
            Refusal::Validity => "validity",
            Refusal::Priority => "priority",
            Refusal::NoRoute => "no_route",
            Refusal::Throttled => "throttled",
            Refusal::QueueFull => "queue_full",
            Refusal::DiskSlow => "disk_slow",
            Refusal::DiskFull => "disk_full",
            Refusal::StoreFailed => "store_failed",
            Refusal::Stopping => "stopping",
            Refusal::UnknownMessage => "unknown_message",
            Refusal::CancelFailed => "cancel_failed",
            Refusal::ReplaceFailed => "replace_failed",
            Refusal::NotAllowed => "not_allowed",
            Refusal::Unsupported => "unsupported",
            Refusal::Duplicate => "duplicate",
            Refusal::NoCredit => "no_credit",
            Refusal::Blocked => "blocked",
            Refusal::OptedOut => "opted_out",
            Refusal::Country => "country",
            Refusal::Velocity => "velocity",
            Refusal::Phrase => "phrase",
            Refusal::KeyReused => "key_reused",
        }
    }

    /// The number by which a report tells that a message was stopped for this cause after it had been accepted (its `err`); 0 for causes that only ever
    /// refuse at the door. Above every number that a carrier's status is told as.
    pub fn report_error(self) -> u32 {
        match self {
            Refusal::Blocked => 901,
            Refusal::OptedOut => 902,
            Refusal::Country => 903,
            Refusal::Phrase => 905,
            _ => 0,
        }
    }

    /// Whose fault it is, and so whether to try again.
    pub fn fault(self) -> Fault {
        match self {
            Refusal::Throttled
            | Refusal::QueueFull
            | Refusal::DiskSlow
            | Refusal::DiskFull
            | Refusal::StoreFailed
            | Refusal::Stopping
            | Refusal::Velocity => Fault::Gateway,
            _ => Fault::Sender,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
