//! The hot path, in the order a message meets it. Knows messages, no wire.

pub mod port;
