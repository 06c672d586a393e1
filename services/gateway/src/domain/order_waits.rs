//! How long orders wait for a permit at this gateway.

use std::time::{Duration, Instant};

use super::tuning::{SOONEST_ASK, TARGET_DELAY};

/// A queue of orders stands if all that came within this time had to wait: a few that wait among
/// others say nothing.
pub const LOOK_EVERY: Duration = SOONEST_ASK;

#[derive(Debug, Clone)]
pub struct OrderWaits {
    looked_from: Instant,
    /// The least that an order had to wait since then.
    least: Option<Duration>,
    /// The latest that one was told to come back.
    latest_back: Duration,
    found: Duration,
}

impl OrderWaits {
    pub fn new(now: Instant) -> Self {
        Self {
            looked_from: now,
            least: None,
            latest_back: Duration::ZERO,
            found: Duration::ZERO,
        }
    }

    pub fn waited(&mut self, waited: Duration, now: Instant) {
        self.look(now);
        self.least = Some(self.least.map_or(waited, |least| least.min(waited)));
    }

    /// An order found no permit and was told to come back in so long: those before it are to be
    /// made by then.
    pub fn turned_away(&mut self, back_after: Duration, now: Instant) {
        self.waited(back_after, now);
        self.latest_back = self.latest_back.max(back_after);
    }

    /// How long one has to wait; zero where no queue stands.
    pub fn at_present(&mut self, now: Instant) -> Duration {
        self.look(now);
        self.found
    }

    fn look(&mut self, now: Instant) {
        if now.saturating_duration_since(self.looked_from) >= LOOK_EVERY {
            self.looked_from = now;
            let back = std::mem::take(&mut self.latest_back);
            let stands = self.least.take().filter(|least| *least > TARGET_DELAY);
            self.found = stands.map_or(Duration::ZERO, |least| least.max(back));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_queue_stands_where_all_have_to_wait_and_lasts_as_long_as_those_turned_away_are_to() {
        let now = Instant::now();
        for (waited, turned_away, found) in [
            (vec![], None, 0),
            (vec![5_000, 0], None, 0),
            (vec![5_000, 100], None, 0),
            (vec![700, 300], None, 300),
            (vec![700, 300], Some(6_000), 6_000),
            (vec![], Some(6_000), 6_000),
            (vec![0], Some(6_000), 0),
        ] {
            let mut waits = OrderWaits::new(now);
            for ms in &waited {
                waits.waited(*ms * MS, now);
            }
            if let Some(ms) = turned_away {
                waits.turned_away(ms * MS, now);
            }
            assert_eq!(waits.at_present(now), Duration::ZERO, "not known yet");
            let seen = waits.at_present(now + LOOK_EVERY);
            assert_eq!(seen, found * MS, "{waited:?} {turned_away:?}");
            assert_eq!(waits.at_present(now + 2 * LOOK_EVERY), Duration::ZERO);
        }
    }
}
