//! The carrier simulator and the deterministic world.

pub mod agenda;
pub mod behaviour;
pub mod carrier;
pub mod command;
pub mod delivery;
pub mod profile;
pub mod smsc;
