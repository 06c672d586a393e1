//! The waiting room of a campaign: who came in which second, and whose turn it is.
//!
//! Nothing that is promised about coupons hangs on it. What does: turns come in order, and the watermark never goes back.

mod clock;
mod law;
mod pace;
mod report;
mod standing;

use std::time::Duration;

use tidegate_types::{CampaignNumber, Cohort, Timestamp, Turn};

use super::IssuanceControl;

pub use clock::QueueClock;
pub use law::Coming;
pub use pace::{Pace, PaceRange};
pub use report::{CohortWaiting, GatewayReport, QueueReport};
pub use standing::{QueueSnapshot, QueueStanding};

/// Turns that have come are kept for so long of the queue's serving time: every client asks several times meanwhile.
pub const TURNS_KEPT: Duration = Duration::from_secs(120);
/// What a gateway said last counts for so long. One that is silent for longer has ended, or serves nobody whom quota knows of.
pub const REPORTS_COUNT_FOR: Duration = Duration::from_secs(2);

/// What a queue has to know of its campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueCampaign {
    pub number: CampaignNumber,
    /// Nobody becomes due before this moment.
    pub opens_at: Timestamp,
    /// Nor from this one on.
    pub closes_at: Timestamp,
    pub issuance: IssuanceControl,
    pub free: u64,
    pub leased: u64,
}

impl QueueCampaign {
    pub fn remaining(&self) -> u64 {
        self.free + self.leased
    }

    /// Whether anybody's turn can come.
    pub fn is_serving(&self, now: Timestamp) -> bool {
        self.opens_at <= now
            && now < self.closes_at
            && self.issuance == IssuanceControl::Open
            && self.remaining() > 0
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Queue {
    pub is_queueing: bool,
    pub clock: QueueClock,
    /// How much of that time it served nobody although it was a queue. Turns that have come are kept for as long.
    pub held: Duration,
    /// Turns before this one have come.
    pub watermark: Turn,
    /// Promises to come back when a turn had come.
    pub promises: Promises,
    pub pace: Pace,
}

/// Promises of shoppers whose turns had come, the newest weighing most.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Promises {
    /// Those that had to be kept.
    pub ended: f64,
    pub kept: f64,
}

/// Promises are remembered for so long.
const PROMISES_MEMORY: Duration = Duration::from_millis(500);
/// So many kept promises are taken for granted, so that a few others say little.
const PROMISES_GRANTED: f64 = 5.0;
/// Of a crowd that has gone not even so few come back, and it must be passed.
const LEAST_SHARE_KEPT: f64 = 0.01;

impl Promises {
    fn count(&mut self, delta: Self, elapsed: Duration) {
        let kept = (-elapsed.div_duration_f64(PROMISES_MEMORY)).exp();
        self.ended = self.ended * kept + delta.ended;
        self.kept = self.kept * kept + delta.kept;
    }

    /// The share of promises that are kept.
    pub fn share_kept(&self) -> f64 {
        let share = (self.kept + PROMISES_GRANTED) / (self.ended + PROMISES_GRANTED);
        share.clamp(LEAST_SHARE_KEPT, 1.0)
    }
}

impl Queue {
    /// Moves it on by what the gateways have reported last: begins it if one of them wants it, calls turns, and ends it if everybody is called. `delta` are promises that were reported since it was moved last.
    pub fn advance(
        &mut self,
        reports: &[QueueReport],
        delta: Promises,
        campaign: &QueueCampaign,
        now: Timestamp,
    ) {
        let elapsed = self.tick(reports, campaign, now);
        self.promises.count(delta, elapsed);
        self.begin_if_wanted(reports, campaign, now);
        if !self.is_queueing || !campaign.is_serving(now) {
            return;
        }
        let sum = |of: fn(&QueueReport) -> f64| reports.iter().map(of).sum::<f64>();
        let served = sum(|report| report.served_per_second);
        self.pace.measure(served, elapsed);
        let current = self.clock.cohort();
        let share_kept = self.promises.share_kept();
        let called = law::call(reports, self.watermark, share_kept, current);
        self.watermark = self.watermark.max(called.watermark);
        // Whoever is left is served at once.
        self.is_queueing = !called.is_all;
    }

    /// The cohort of those who join now, also if the queue was not moved for a while.
    pub fn current_cohort(&self, now: Timestamp) -> Cohort {
        Cohort::of_milliseconds(self.clock.at(now))
    }

    /// The second of serving time. While there is a queue, only moving it on makes time pass.
    pub fn serving_second(&self, now: Timestamp) -> u64 {
        let clock_ms = if self.is_queueing {
            self.clock.milliseconds
        } else {
            self.clock.at(now)
        };
        clock_ms.saturating_sub(self.held.as_millis() as u64) / 1_000
    }

    /// A queue begins with the first of those who wait.
    fn begin_if_wanted(
        &mut self,
        reports: &[QueueReport],
        campaign: &QueueCampaign,
        now: Timestamp,
    ) {
        let first = reports
            .iter()
            .flat_map(|report| report.waiting.first())
            .map(|waiting| waiting.cohort)
            .filter(|cohort| *cohort >= self.watermark.cohort)
            .min();
        let is_wanted = reports.iter().any(|report| report.wants_queue) && campaign.is_serving(now);
        if !self.is_queueing && (is_wanted || first.is_some()) && now < campaign.closes_at {
            self.is_queueing = true;
            let current = self.clock.cohort();
            let begins = Turn::first_of(first.map_or(current, |first| first.min(current)));
            self.watermark = self.watermark.max(begins);
        }
    }

    /// Moves the clock on and tells how much of the time that passed is to be made up for. What is not was time in which nobody was served.
    fn tick(
        &mut self,
        reports: &[QueueReport],
        campaign: &QueueCampaign,
        now: Timestamp,
    ) -> Duration {
        let before_ms = self.clock.milliseconds;
        let elapsed = self.clock.tick(now);
        if self.is_queueing {
            let passed = Duration::from_millis(self.clock.milliseconds.saturating_sub(before_ms));
            // Claims whose turns have come wait at the doors, and issuance answers none.
            let is_unanswered = reports.iter().any(|report| report.at_door > 0)
                && reports.iter().all(|report| report.served_per_second <= 0.0);
            let served = if campaign.is_serving(now) && !is_unanswered {
                elapsed
            } else {
                Duration::ZERO
            };
            self.held += passed.saturating_sub(served);
        }
        elapsed
    }
}

#[cfg(test)]
mod tests;
