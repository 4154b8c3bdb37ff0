//! Time as an argument. Nothing below `app` and `link` reads a clock: whoever drives a state machine passes one
//! [`Now`], so that a test or the deterministic world can turn it by hand.

/// One instant, in two clocks.
///
/// `mono_us` never jumps and is what timers and pacing use; `wall_ms` is what is written down, sent to peers and
/// compared with dates of theirs. Neither is ever derived from the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// Microseconds since an arbitrary start; monotonic.
    pub mono_us: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z; may jump.
    pub wall_ms: u64,
}

impl Now {
    /// This instant moved by `us` microseconds in both clocks.
    #[must_use]
    pub fn plus_us(self, us: u64) -> Self {
        Now { mono_us: self.mono_us + us, wall_ms: self.wall_ms + us / 1000 }
    }

    /// True if the wall clock stepped by more than a second against the monotonic one since `before`.
    pub fn jumped(self, before: Now) -> bool {
        let wall = self.wall_ms as i64 - before.wall_ms as i64;
        let mono = (self.mono_us as i64 - before.mono_us as i64) / 1000;
        (wall - mono).abs() > 1000
    }

    /// Monotonic milliseconds, for timers that need no finer grain.
    pub fn mono_ms(self) -> u64 {
        self.mono_us / 1000
    }
}

/// The real clocks. Made once in `app` (or a driver) and asked there; never handed below.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: std::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic side starts at one second (so that "0" can mean never).
    pub fn start() -> Self {
        SystemClock { start: std::time::Instant::now() }
    }

    /// The present instant.
    pub fn now(&self) -> Now {
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Now { mono_us: 1_000_000 + self.start.elapsed().as_micros() as u64, wall_ms: wall.as_millis() as u64 }
    }

    /// The `tokio`-compatible instant at which `mono_us` is reached.
    pub fn instant_at(&self, mono_us: u64) -> std::time::Instant {
        self.start + std::time::Duration::from_micros(mono_us.saturating_sub(1_000_000))
    }
}
