use std::time::Duration;

use super::{Findings, LEAST_SHARE, average, stall::STALLED_FROM};

/// Coupons a second are counted over this time.
const ISSUED_SECONDS: f64 = 2.0;
/// For so much longer than not claims have to wait this long before what issuance does says what it can do: before, less was asked of it.
pub(super) const LOADED_FROM: Duration = Duration::from_secs(1);
const LOADED_DELAY: Duration = Duration::from_millis(50);
/// From then on the average holds nothing that was not counted.
pub(super) const COUNTED_UP_TO: Duration = Duration::from_secs(30);
/// Over this time it is believed that issuance can do less. What it does is an average, and at the beginning of a queue, after a stall and wherever few come it is less for a while without that.
const LESS_SECONDS: f64 = 3.0;
/// Over this time is remembered what issuance could do before.
const USUAL_SECONDS: f64 = 30.0;

/// What issuance does each second, and what it can do.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Issued {
    /// What it does now, as far as it was counted.
    pub per_second: f64,
    /// For how long that was counted, up to what matters.
    pub counted: Duration,
    /// For how long its claims have had to wait, up to what matters.
    pub loaded: Duration,
    /// What it can do, as far as is known: what it did when its claims waited last, or more if it did more since.
    pub most_per_second: Option<f64>,
    /// The same over a longer time, for after a breakdown. Before anything is known, what leases tell of the time before the queue.
    pub usual_per_second: Option<f64>,
}

impl Issued {
    /// Coupons a second, also if they have been counted for a moment only.
    pub(super) fn rate(self) -> f64 {
        let counted = self.counted.as_secs_f64();
        if counted <= 0.0 {
            return 0.0;
        }
        self.per_second / (1.0 - (-counted / ISSUED_SECONDS).exp())
    }

    /// Takes in what was found, and how long claims have waited of late.
    pub(super) fn learn(&mut self, found: Findings, waited: Option<Duration>) {
        if waited.is_some_and(|waited| waited >= STALLED_FROM) {
            return;
        }
        let (issued, elapsed) = (found.issued, found.elapsed);
        let is_delayed = waited.is_some_and(|waited| waited > LOADED_DELAY);
        // A delay is known for longer than claims are answered.
        let is_loaded = is_delayed && found.delay.is_some();
        // Polls come in bunches, so that even under a flood there are moments in which few claims wait.
        if is_loaded {
            self.loaded = (self.loaded + elapsed).min(LOADED_FROM);
        } else if !is_delayed {
            self.loaded = self.loaded.saturating_sub(elapsed);
        }
        // Between the crowd that made the queue and its first turns issuance idles, which says nothing of what it can do.
        if self.most_per_second.is_none() && !is_loaded {
            return;
        }
        self.per_second = average(self.per_second, issued as f64, elapsed, ISSUED_SECONDS);
        self.counted = (self.counted + elapsed).min(COUNTED_UP_TO);
        let now = self.rate();
        if self.loaded < LOADED_FROM || !is_loaded {
            if self.counted >= LOADED_FROM {
                self.most_per_second = self.most_per_second.map(|most| most.max(now));
            }
            return;
        }
        if self.most_per_second.is_none() && now <= 0.0 {
            // It stands still, and has not shown what it can do.
            return;
        }
        let mut usual = self.usual_per_second.unwrap_or(now).max(now);
        if self.most_per_second.is_none() {
            // Leases may be far too large for what a queue is to be.
            usual = usual.min(now / LEAST_SHARE);
        }
        // A breakdown says nothing of what is usual.
        let is_usual = now >= LEAST_SHARE * usual;
        let learned = if is_usual {
            learned_within(elapsed, USUAL_SECONDS)
        } else {
            0.0
        };
        self.usual_per_second = Some(usual + learned * (now - usual));
        let most = self.most_per_second.unwrap_or(now);
        let less = learned_within(elapsed, LESS_SECONDS) * (most - now);
        self.most_per_second = Some((most - less).max(now).max(LEAST_SHARE * usual));
    }
}

/// The share of a change that is believed after so much of the time.
fn learned_within(elapsed: Duration, seconds: f64) -> f64 {
    1.0 - (-elapsed.as_secs_f64() / seconds).exp()
}
