//! The engine's refusals of messages in the words of this side: code, field, what is wrong, what to do. The one place where [`Refusal`]s become HTTP.

use crate::engine::scope::Fault;
use crate::model::Refusal;

/// A refusal as the fault of a field. Its code is the refusal's name.
pub fn fault_of(refusal: Refusal) -> Fault {
    let (field, what, fix) = words(refusal);
    Fault::of(refusal.name(), field, what, fix)
}

fn words(refusal: Refusal) -> (&'static str, &'static str, &'static str) {
    match refusal {
        Refusal::Destination => ("to", "no number that can be reached", "a phone number such as +8613800138000"),
        Refusal::Source => ("from", "the account may not send from this sender", "one of its allowed_sources"),
        Refusal::Length => ("text", "the text is longer than 255 segments", "a shorter text"),
        Refusal::Header => ("text", "its header is inconsistent", "a text without one"),
        Refusal::Encoding => ("text", "the text does not fit its encoding", "another text, or encoding auto"),
        Refusal::Schedule => ("send_at_ms", "the time can't be", "a time within a year"),
        Refusal::Validity => ("expire_at_ms", "it is over already", "a time to come"),
        Refusal::Priority => ("", "the priority can't be", "none"),
        Refusal::NoRoute => ("to", "no route leads to this number", "a [[route]] for it"),
        Refusal::Throttled => ("", "the account's rate is used up, or memory is crowded", "again in a moment"),
        Refusal::QueueFull => ("", "too many messages wait", "again when some have left"),
        Refusal::DiskSlow => ("", "the disk is too slow to promise anything now", "again in a moment"),
        Refusal::DiskFull => ("", "the disk is down to its reserve", "room on the disk, then again"),
        Refusal::StoreFailed => ("", "the store has failed and the gateway stops", "a good disk and a new start, then again"),
        Refusal::Stopping => ("", "the gateway is stopping", "again when it is up"),
        Refusal::UnknownMessage => ("message", "there is no such message", "an id that was answered"),
        Refusal::CancelFailed => ("message", "it can't be cancelled any more", "nothing"),
        Refusal::ReplaceFailed => ("message", "it can't be replaced any more", "nothing"),
        Refusal::NotAllowed => ("", "the account may not do this", "another account"),
        Refusal::Unsupported => ("", "this isn't served", "without it"),
        Refusal::Duplicate => ("text", "the account sent this text to this number a short while ago", "another text, or later"),
        Refusal::NoCredit => ("account", "the account's balance doesn't bear it", "a top-up"),
        Refusal::Blocked => ("to", "the number stands in a block list", "nothing, or `hongyan block remove`"),
        Refusal::OptedOut => ("to", "the number's owner has opted out", "nothing"),
        Refusal::Country => ("to", "the account may not write to this country or prefix", "its rules.allowed_destinations"),
        Refusal::Velocity => ("to", "the account wrote to this range too often of late", "later"),
        Refusal::Phrase => ("text", "the text has a denied phrase", "another text"),
        Refusal::KeyReused => ("idempotency-key", "the key was used with something else before", "another key, or the very same request"),
    }
}
