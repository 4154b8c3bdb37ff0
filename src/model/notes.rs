//! What a sender wants to find again: in reports on its message, in look-ups, in records. Nobody on the way reads it.

use std::fmt;

/// Longest reference, octets of UTF-8.
pub const REFERENCE_MAX: usize = 128;
/// Longest tag, octets of UTF-8.
pub const TAG_MAX: usize = 64;
/// Most tags of a message.
pub const TAGS_MAX: usize = 10;
/// Longest address of a callback, octets.
pub const URL_MAX: usize = 2_000;

/// A message's notes; most messages have none.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Notes {
    /// The sender's own name for the message; empty: none.
    pub reference: Box<str>,
    /// The sender's own words for what it belongs to.
    pub tags: Box<[Box<str>]>,
    /// Where its reports go instead of to the account's sessions.
    pub callback: Option<Callback>,
    /// The key that it was handed in under, if one was told.
    pub keyed: Option<Keyed>,
}

/// An idempotency key and what it was used with, as hashes: the same key with anything else is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyed {
    /// Of the key.
    pub key: u64,
    /// Of all that was handed in under it.
    pub content: u64,
}

/// How a callback is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum CallbackForm {
    /// JSON in batches, signed as Standard Webhooks say.
    Hook = 0,
    /// A request to an address with placeholders, as Kannel's dlr-url.
    Kannel = 1,
    /// A form of fields, as Jasmin's dlr-url.
    Jasmin = 2,
    /// A signed form of fields, as a status callback of the Twilio message resource.
    Twilio = 3,
}

impl CallbackForm {
    /// The form of number `n`, as kept in the journal.
    pub fn from_u8(n: u8) -> Option<CallbackForm> {
        [CallbackForm::Hook, CallbackForm::Kannel, CallbackForm::Jasmin, CallbackForm::Twilio].get(n as usize).copied()
    }
}

/// Where reports on a message go.
#[derive(Clone, PartialEq, Eq)]
pub struct Callback {
    /// How they are written.
    pub form: CallbackForm,
    /// What the sender asked to be told, in the words of the form: Kannel's dlr-mask, Jasmin's dlr-level and method; 0 elsewhere.
    pub mask: u8,
    /// The address; empty: the account's own hook.
    pub url: Box<str>,
}

/// dlr-mask of Kannel: the carrier took it.
pub const KANNEL_TAKEN: u8 = 8;
/// dlr-level 1 of Jasmin, which 3 holds too: what the carrier said when it was handed the message.
pub const JASMIN_TAKEN: u8 = 1;

impl Callback {
    /// The sender is to be told that a carrier took the message.
    pub fn wants_taken(&self) -> bool {
        match self.form {
            CallbackForm::Hook => false,
            CallbackForm::Kannel => self.mask & KANNEL_TAKEN != 0,
            CallbackForm::Jasmin => self.mask & JASMIN_TAKEN != 0,
            CallbackForm::Twilio => true,
        }
    }
}

/// Addresses hold keys and numbers, references hold names: neither is shown.
impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Notes({} tags, callback {:?})", self.tags.len(), self.callback)
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} octets", self.form, self.url.len())
    }
}
