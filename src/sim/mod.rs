//! The carrier simulator and the deterministic world.
