use std::time::Duration;

use super::{LEAST_SHOW_RATE, average};

/// Over this time the share of turns that are used is taken.
const SHOW_SECONDS: f64 = 3.0;

/// How many of those whose turns came have used them: both are averages a second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Shown {
    /// Turns that came.
    pub due_per_second: f64,
    /// Turns that were used, or would have been had there been room.
    pub used_per_second: f64,
}

impl Shown {
    /// Takes in how many turns came and were used in `elapsed`. `used` is below 0 where more of those were served who had been sent away than came: they are counted already.
    pub(super) fn note(&mut self, due: f64, used: f64, elapsed: Duration) {
        self.due_per_second = average(self.due_per_second, due, elapsed, SHOW_SECONDS);
        let used = average(self.used_per_second, used, elapsed, SHOW_SECONDS);
        self.used_per_second = used.max(0.0);
    }

    /// The share of turns that are used.
    pub(super) fn rate(self) -> f64 {
        if self.due_per_second <= 0.0 {
            return 1.0;
        }
        (self.used_per_second / self.due_per_second).clamp(LEAST_SHOW_RATE, 1.0)
    }
}
