use std::time::Duration;

use super::{LEAST_SHARE, average};

/// Coupons a second are counted over this time.
const ISSUED_SECONDS: f64 = 2.0;
/// For so much longer than not claims have to wait this long before what issuance does says what it can do: before, less was asked of it.
pub(super) const LOADED_FROM: Duration = Duration::from_secs(1);
const LOADED_DELAY: Duration = Duration::from_millis(50);
/// From then on the average holds nothing that was not counted.
pub(super) const COUNTED_UP_TO: Duration = Duration::from_secs(30);
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
    /// The same over a longer time, for after a breakdown.
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

    /// Takes in how many coupons issuance gave, and how long their claims waited.
    pub(super) fn learn(&mut self, issued: u64, waited: Option<Duration>, elapsed: Duration) {
        self.per_second = average(self.per_second, issued as f64, elapsed, ISSUED_SECONDS);
        self.counted = (self.counted + elapsed).min(COUNTED_UP_TO);
        let now = self.rate();
        let is_loaded = waited.is_some_and(|waited| waited > LOADED_DELAY);
        // Polls come in bunches, so that even under a flood there are moments in which few claims wait.
        self.loaded = if is_loaded {
            (self.loaded + elapsed).min(LOADED_FROM)
        } else {
            self.loaded.saturating_sub(elapsed)
        };
        if self.loaded < LOADED_FROM {
            if self.counted >= LOADED_FROM {
                self.most_per_second = self.most_per_second.map(|most| most.max(now));
            }
            return;
        }
        if self.most_per_second.is_none() && now <= 0.0 {
            // It stands still, and has not shown what it can do.
            return;
        }
        let usual = self.usual_per_second.unwrap_or(now).max(now);
        // A breakdown says nothing of what is usual.
        let is_usual = now >= LEAST_SHARE * usual;
        let forgotten = 1.0 - (-elapsed.as_secs_f64() / USUAL_SECONDS).exp();
        let learned = if is_usual { forgotten } else { 0.0 };
        self.usual_per_second = Some(usual + learned * (now - usual));
        self.most_per_second = Some(now.max(LEAST_SHARE * usual));
    }
}
