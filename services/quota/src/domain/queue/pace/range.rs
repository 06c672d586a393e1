use std::time::Duration;

/// The slowest and the fastest pace of a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PaceRange {
    /// The slowest.
    pub slowest: f64,
    /// The fastest.
    pub fastest: f64,
    /// For how long.
    pub span: Duration,
}

impl PaceRange {
    pub(super) fn of(per_second: f64) -> Self {
        Self {
            slowest: per_second,
            fastest: per_second,
            span: Duration::ZERO,
        }
    }

    pub(super) fn include(&mut self, per_second: f64, elapsed: Duration) {
        self.slowest = self.slowest.min(per_second);
        self.fastest = self.fastest.max(per_second);
        self.span += elapsed;
    }
}
