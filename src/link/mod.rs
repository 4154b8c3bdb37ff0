//! The only SMPP sockets. What a message means is left to the engine; what stands on the wire to `smpp`.
//!
//! - [`driver`]: one task per connection; reads, writes, and feeds a [`driver::Handler`]. The handlers are plain structs that the
//!   deterministic world drives too: [`upstream`] (we are the message centre; [`accounts`] says who may bind) and [`carrier`] (we are the ESME).
//! - [`translate`]: PDUs to messages and back; the only place that knows both.
//! - [`submissions`] is the way in for messages that come by no session.
//! - [`listener`] takes connections of upstreams, [`pool`] holds the binds with one carrier, [`registry`] knows who lives.

pub mod accounts;
pub mod carrier;
pub mod driver;
mod failures;
pub mod listener;
pub mod lists;
pub mod pool;
pub mod registry;
pub mod standing;
pub mod submissions;
pub mod tape;
pub mod translate;
pub mod upstream;

#[cfg(test)]
mod tests;
