//! The carrier simulator and the deterministic world.

pub mod agenda;
pub mod behaviour;
pub mod carrier;
pub mod deliveries;
pub mod delivery;
pub mod memory;
pub mod profile;
pub mod smsc;
pub mod world;
