//! The waiting room of a campaign: who came in which second, whose turn it is, and how fast that goes.
//!
//! Nothing that is promised about coupons hangs on it. What does: nobody is served before somebody who came a second or more earlier, and the watermark never goes back.

mod clock;
mod cohort;
mod pace;
mod report;
mod standing;
mod watermark;

use std::time::Duration;

use tidegate_types::{CampaignNumber, Timestamp};

use super::IssuanceControl;

pub use clock::QueueClock;
pub use cohort::{Cohort, CohortChange, CohortCounts, CohortNews, CohortStanding};
pub use pace::{Delay, Findings, Issued, Pace, PaceRange, Shown};
pub use report::{GatewayReport, QueueReport};
pub use standing::{QueueStanding, ToldPace};
pub use watermark::Watermark;

/// A cohort is kept for this many seconds of serving time after its last turn came. Turns expire much sooner, so no gateway meets a ticket of one it was told is forgotten before the ticket has expired.
pub const COHORTS_KEPT_SECONDS: u64 = 600;
/// A gateway that has not heard of quota for a while counts the seconds by itself; it may be ahead by this much and is followed. Tickets that are further ahead count as of now.
const MAX_LEAD_COHORTS: u64 = 10;
/// A cohort's tickets become due only when it has been over for this long, by when every gateway has reported it.
const REPORTED_AFTER: Duration = Duration::from_millis(300);
/// If no more wait than become due in this time they are all called at once: whoever joined last asks within a second, so that they come one after the other all the same.
const SHORT_SECONDS: f64 = 1.0;
/// A queue ends when nobody has waited and no gateway has wanted one for this long.
const ENDS_AFTER: Duration = Duration::from_secs(2);
/// A gateway may hand out tickets of so many cohorts after a queue has ended before it hears of that.
const UNHEARD_COHORTS: u64 = 1;
/// A queue that was moved less than this long ago is not moved for a report without news.
const MOVED_AT_LEAST_EVERY: Duration = Duration::from_millis(100);

/// What a queue has to know of its campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueCampaign {
    /// Which.
    pub number: CampaignNumber,
    /// Nobody becomes due before this moment.
    pub opens_at: Timestamp,
    /// Nor from this one on.
    pub closes_at: Timestamp,
    /// What staff want of issuing.
    pub issuance: IssuanceControl,
    /// Coupons that are in the pool.
    pub free: u64,
    /// Coupons that are on lease.
    pub leased: u64,
}

impl QueueCampaign {
    /// Coupons that can be issued at most.
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

/// A campaign's queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Whether new claims take a ticket.
    pub is_queueing: bool,
    /// The queue's own time.
    pub clock: QueueClock,
    /// How much of that time it served nobody although it was a queue. Turns that have come are kept for as long.
    pub held: Duration,
    /// Whose turn has come.
    pub watermark: Watermark,
    /// Cohorts before this one are forgotten.
    pub oldest_cohort: Cohort,
    /// Grows with every change of a cohort.
    pub version: u64,
    /// How fast it goes.
    pub pace: Pace,
    /// For how long nobody has waited and no gateway has wanted a queue.
    pub quiet: Duration,
}

/// Who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Crowd {
    /// How many.
    pub tickets: u64,
    /// For how long the first of them has waited since the opening.
    pub longest_wait: Duration,
}

/// The cohorts that are not wholly due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The first of them, in order.
    pub first: Vec<CohortCounts>,
    /// Whether there are no more than those.
    pub is_whole: bool,
    /// Tickets that are not due, those of the watermark's cohort counted wholly.
    pub tickets: u64,
}

impl Default for Queue {
    /// A queue that nobody has joined.
    fn default() -> Self {
        Self {
            is_queueing: false,
            clock: QueueClock::default(),
            held: Duration::ZERO,
            watermark: Watermark::START,
            oldest_cohort: Cohort::BEFORE_OPENING,
            version: 0,
            pace: Pace::default(),
            quiet: Duration::ZERO,
        }
    }
}

impl Queue {
    /// Whether a report without news has to move it.
    pub fn is_to_be_moved(&self, campaign: &QueueCampaign, now: Timestamp) -> bool {
        self.is_queueing
            && campaign.is_serving(now)
            && !self.clock.was_moved_within(MOVED_AT_LEAST_EVERY, now)
    }

    /// Takes in what a gateway counted, and begins the queue if it has to. Tells the time since the queue was moved last, and what to add to its cohorts, each change with a version of its own.
    pub fn take_in(
        &mut self,
        report: &QueueReport,
        campaign: &QueueCampaign,
        now: Timestamp,
    ) -> (Duration, Vec<CohortChange>) {
        let elapsed = self.tick(report, campaign, now);
        let current = self.follow(&report.cohorts);
        let counted = report
            .cohorts
            .iter()
            .filter(|news| news.cohort >= self.oldest_cohort && news.joined + news.left > 0);
        let counted: Vec<_> = counted.copied().collect();
        // Tickets of a cohort whose turns have come need no queue.
        let first_joined = counted
            .iter()
            .filter(|news| news.joined > 0 && news.cohort >= self.watermark.cohort);
        let first_joined = first_joined.map(|news| news.cohort.min(current)).min();
        let is_wanted = report.wants_queue && campaign.is_serving(now);
        if !self.is_queueing && (is_wanted || first_joined.is_some()) && now < campaign.closes_at {
            self.is_queueing = true;
            self.quiet = Duration::ZERO;
            let begins = Watermark::before(first_joined.unwrap_or(current));
            self.watermark = self.watermark.max(begins);
            self.pace.begin(campaign.leased);
        }
        let changes = self.changes(&counted, current, self.serving_second(now));
        self.version += changes.len() as u64;
        (elapsed, changes)
    }

    /// Moves the watermark on by what time and pace allow, and ends the queue if nobody needs it. `waiting` is as it is after [`Queue::take_in`]. Tells the cohorts that are wholly due from now on, each
    /// a change with a version of its own.
    pub fn advance(
        &mut self,
        report: &QueueReport,
        campaign: &QueueCampaign,
        waiting: &Waiting,
        elapsed: Duration,
        now: Timestamp,
    ) -> Vec<Cohort> {
        if !self.is_queueing {
            return Vec::new();
        }
        if !campaign.is_serving(now) {
            self.pace.pause();
            self.quiet = Duration::ZERO;
            return Vec::new();
        }
        let (joined, used, _) = report.totals();
        let end = self.reported_before();
        let not_due = self.not_due(waiting, end);
        let is_short = waiting.is_whole && not_due <= SHORT_SECONDS * self.pace.borne_per_second();
        let found = Findings {
            elapsed,
            used,
            joined,
            issued: report.issued,
            kept: report.kept,
            leased: campaign.leased,
            is_short,
            delay: report.queue_delay,
        };
        self.pace.steer(found);
        let mut allowed = self.pace.allowed(elapsed);
        if is_short && self.pace.is_known_to_be_borne() {
            allowed = allowed.max(not_due);
        }
        let mut passed = self
            .watermark
            .pass(&waiting.first, waiting.is_whole, end, allowed);
        self.pace.made_due(passed.tickets, elapsed);
        self.watermark = passed.watermark;
        if report.wants_queue || self.pace.is_over_target() || !is_short {
            self.quiet = Duration::ZERO;
        } else {
            self.quiet += elapsed;
        }
        if self.quiet >= ENDS_AFTER {
            self.end(waiting, &mut passed.cohorts);
        }
        self.version += passed.cohorts.len() as u64;
        passed.cohorts
    }

    /// The cohort of those who join now, also if the queue was not moved for a while.
    pub fn current_cohort(&self, now: Timestamp) -> Cohort {
        Cohort::of_milliseconds(self.clock.at(now))
    }

    /// Who waits, of those that were not due before the queue was moved.
    pub fn crowd(&self, campaign: &QueueCampaign, waiting: &Waiting) -> Crowd {
        if !self.is_queueing {
            return Crowd::default();
        }
        let mut tickets = waiting.tickets as f64;
        let mut first = None;
        for counts in &waiting.first {
            let due = counts.staying() as f64 * self.watermark.due_share(counts.cohort);
            tickets -= due;
            if first.is_none() && counts.staying() as f64 > due {
                first = Some(counts.cohort);
            }
        }
        let opened = u64::try_from(campaign.opens_at.unix_timestamp()).unwrap_or(0);
        let waits = |first: Cohort| {
            self.clock
                .cohort()
                .get()
                .saturating_sub(first.get().max(opened))
        };
        Crowd {
            tickets: tickets.max(0.0) as u64,
            longest_wait: Duration::from_secs(first.map_or(0, waits)),
        }
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

    /// Moves the clock on and tells how much of the time that passed is to be made up for. What is not was time in which nobody was served.
    fn tick(&mut self, report: &QueueReport, campaign: &QueueCampaign, now: Timestamp) -> Duration {
        let before_ms = self.clock.milliseconds;
        let elapsed = self.clock.tick(now);
        if self.is_queueing {
            let passed = Duration::from_millis(self.clock.milliseconds - before_ms);
            // Claims whose turns have come are sent to issuance, and it answers none.
            let is_unanswered = report.wants_queue && self.pace.delay.is_none();
            let served = if campaign.is_serving(now) && !is_unanswered {
                elapsed
            } else {
                Duration::ZERO
            };
            self.held += passed.saturating_sub(served);
        }
        elapsed
    }

    /// Sets the queue's time to what gateways have counted to by themselves, and tells the cohort of those who join now.
    fn follow(&mut self, news: &[CohortNews]) -> Cohort {
        let most = self.clock.cohort().plus(MAX_LEAD_COHORTS);
        let ahead = news.iter().map(|news| news.cohort);
        let ahead = ahead.filter(|cohort| *cohort <= most).max();
        if let Some(ahead) = ahead.filter(|ahead| *ahead > self.clock.cohort()) {
            self.clock.milliseconds = ahead.get() * 1_000;
        }
        self.clock.cohort()
    }

    /// What to add to the cohorts, one change for each in their order.
    fn changes(
        &self,
        counted: &[CohortNews],
        current: Cohort,
        serving_second: u64,
    ) -> Vec<CohortChange> {
        let mut changes: Vec<CohortChange> = Vec::with_capacity(counted.len());
        for news in counted {
            let cohort = news.cohort.min(current);
            let is_due = cohort < self.watermark.cohort;
            let change = CohortChange {
                cohort,
                joined: news.joined,
                // Who gives a turn up that has come makes room for nobody.
                left: if is_due { 0 } else { news.left },
                due_second: is_due.then_some(serving_second),
            };
            match changes.last_mut().filter(|last| last.cohort == cohort) {
                Some(last) => {
                    last.joined += change.joined;
                    last.left += change.left;
                }
                None => changes.push(change),
            }
        }
        changes
    }

    /// Who waits of the cohorts before `end`.
    fn not_due(&self, waiting: &Waiting, end: Cohort) -> f64 {
        let over = waiting
            .first
            .iter()
            .take_while(|counts| counts.cohort < end);
        let not_due = over.map(|counts| {
            counts.staying() as f64 * (1.0 - self.watermark.due_share(counts.cohort))
        });
        not_due.sum()
    }

    /// Every gateway has reported the cohorts before this one.
    fn reported_before(&self) -> Cohort {
        let lag = REPORTED_AFTER.as_millis() as u64;
        Cohort::of_milliseconds(self.clock.milliseconds.saturating_sub(lag))
    }

    /// Whoever is left is served at once, so every turn has come.
    fn end(&mut self, waiting: &Waiting, due: &mut Vec<Cohort>) {
        let passed = self.watermark.cohort;
        let rest = waiting.first.iter().map(|counts| counts.cohort);
        due.extend(rest.filter(|cohort| *cohort >= passed));
        // Gateways hear of it a moment later, and whom they send to the queue meanwhile must not begin it anew.
        let next = Watermark::before(self.clock.cohort().plus(1 + UNHEARD_COHORTS));
        self.watermark = self.watermark.max(next);
        self.is_queueing = false;
        self.pace.pause();
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
