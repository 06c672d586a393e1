use std::time::Duration;

/// Two spans of this length are looked back on.
const SPAN: Duration = Duration::from_secs(15);
/// Of a shorter time nothing is told.
const KNOWN_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pace {
    pub recent: PaceRange,
    pub earlier: PaceRange,
}

/// The slowest and the fastest that a queue went in a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PaceRange {
    pub slowest: f64,
    pub fastest: f64,
    pub span: Duration,
}

impl Pace {
    pub fn measure(&mut self, served_per_second: f64, elapsed: Duration) {
        let now = PaceRange {
            slowest: served_per_second,
            fastest: served_per_second,
            span: elapsed,
        };
        if self.recent.span >= SPAN {
            self.earlier = self.recent;
            self.recent = PaceRange::default();
        }
        self.recent = self.recent.with(now);
    }

    /// The slowest and the fastest of the last half minute; `None` if nobody is served, or too little is known.
    pub fn told(&self) -> Option<PaceRange> {
        let both = self.recent.with(self.earlier);
        (both.span >= KNOWN_AFTER && both.slowest > 0.0).then_some(both)
    }
}

impl PaceRange {
    fn with(self, other: Self) -> Self {
        if self.span.is_zero() {
            return other;
        }
        if other.span.is_zero() {
            return self;
        }
        Self {
            slowest: self.slowest.min(other.slowest),
            fastest: self.fastest.max(other.fastest),
            span: self.span + other.span,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_slowest_and_the_fastest_of_the_last_half_minute_are_told() {
        let mut pace = Pace::default();
        assert_eq!(pace.told(), None);
        pace.measure(50.0, SECOND);
        pace.measure(200.0, SECOND);
        let mut told = |served, seconds: u32| {
            for _ in 0..seconds {
                pace.measure(served, SECOND);
            }
            let told = pace.told().unwrap();
            (told.slowest, told.fastest)
        };
        assert_eq!(told(100.0, 10), (50.0, 200.0));
        assert_eq!(told(100.0, 15), (50.0, 200.0));
        assert_eq!(
            told(100.0, 15),
            (100.0, 100.0),
            "the first seconds are forgotten"
        );
    }

    #[test]
    fn nothing_is_told_of_a_queue_in_which_nobody_is_served() {
        let mut pace = Pace::default();
        pace.measure(0.0, 5 * SECOND);
        assert_eq!(pace.told(), None);
    }
}
