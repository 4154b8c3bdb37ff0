//! HTTP: the admin port, through which an operator sees and changes the running gateway. A file per resource, no state of its own: what is asked goes to
//! the engine as [`crate::engine::control::Request`]s, what the links know comes from [`crate::engine::look::Links`], reloading is `app`'s ([`admin::Configured`]), messages go in by [`crate::link::submissions`].
//! Customers have a port of their own, [`api`].

pub mod admin;
pub mod api;
mod balance;
mod change;
pub mod desk;
mod extract;
mod foretell;
mod guard;
pub mod hooks;
mod lists;
mod look;
mod messages;
pub mod problem;
mod recordings;
mod records;
mod refusal;

pub use guard::USER_HEADER;
