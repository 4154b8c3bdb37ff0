//! How much room the disk has left, as a level that intake can ask for at any time. Measuring it is the business of `local`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Whether new submissions may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpaceLevel {
    /// Room enough.
    Ok,
    /// Only the reserve is left: new submissions are refused (0x14), outcomes of what was accepted are still written.
    Reserve,
}

/// A shared level: one relaxed load to read. Clones show the same level.
#[derive(Debug, Clone, Default)]
pub struct SpaceGauge(Arc<AtomicU8>);

impl SpaceGauge {
    /// A gauge that stands at `Ok`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The level now.
    pub fn level(&self) -> SpaceLevel {
        match self.0.load(Ordering::Relaxed) {
            0 => SpaceLevel::Ok,
            _ => SpaceLevel::Reserve,
        }
    }

    /// Sets the level; for the one who measures.
    pub fn set(&self, level: SpaceLevel) {
        self.0.store((level == SpaceLevel::Reserve) as u8, Ordering::Relaxed);
    }
}
