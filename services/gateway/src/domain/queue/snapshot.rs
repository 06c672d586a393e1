use std::time::{Duration, Instant};

use tidegate_types::{Cohort, Turn};

use super::{Pace, Stage};

/// Without a report, the current cohort is counted on for so long, or all who come while quota is
/// away would be one cohort, whose order is drawn by lot.
const MAX_COUNTED_ON: Duration = Duration::from_secs(3_600);
/// A cohort is complete once it is over by so many seconds: every gateway has reported by then.
const COMPLETE_AFTER_SECONDS: u64 = 2;
/// A snapshot is late by as long as it took to write and to send it, so the time is counted on from
/// the one that was least late, unless it is by more than this: then quota's clock was set.
const MOST_LATE: Duration = Duration::from_secs(1);
/// So much of that is given up with each one, which keeps up with a clock that is slower than this
/// machine's.
const GIVEN_UP_EACH_SNAPSHOT: Duration = Duration::from_millis(1);

/// How a queue stands, as quota told it last.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Whether quota has said anything yet.
    pub is_known: bool,
    /// Whether new claims take a ticket.
    pub is_queueing: bool,
    /// What quota's clock showed, since 1970: it counts the cohorts.
    pub clock: Duration,
    /// When this was told, by this gateway's clock.
    pub received_at: Instant,
    /// Turns before this one have come.
    pub watermark: Turn,
    /// Turns before this one came too long ago.
    pub expired_before: Turn,
    /// How fast turns come; `None` if nobody is served, or nothing is known.
    pub pace: Option<Pace>,
    /// The most turns that can come each second; 0 if nothing is known.
    pub able_per_second: f64,
    /// Coupons that are free or on lease.
    pub remaining: u64,
    /// Who waits, at all gateways.
    pub waiting: Waiting,
}

/// Who waits, in the order of their cohorts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waiting(Vec<CohortWaiting>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CohortWaiting {
    cohort: Cohort,
    waiting: u64,
    /// Those of the cohorts before.
    before: u64,
}

impl Snapshot {
    /// What is known before quota said anything: nobody waits but those whom this gateway tells to.
    pub fn unknown(now: Instant) -> Self {
        Self {
            is_known: false,
            is_queueing: false,
            clock: Duration::ZERO,
            received_at: now,
            watermark: Turn::FIRST,
            expired_before: Turn::FIRST,
            pace: None,
            able_per_second: 0.0,
            remaining: u64::MAX,
            waiting: Waiting::default(),
        }
    }

    /// The same, with the time counted on from the snapshot before if that was less late.
    #[must_use]
    pub fn after(self, earlier: &Self) -> Self {
        if !earlier.is_known {
            return self;
        }
        let counted = earlier.clock_at(self.received_at);
        let counted = counted.saturating_sub(GIVEN_UP_EACH_SNAPSHOT);
        let late = counted.saturating_sub(self.clock);
        let late = Some(late).filter(|late| *late < MOST_LATE);
        Self {
            clock: self.clock + late.unwrap_or_default(),
            ..self
        }
    }

    /// The cohort of those who join at `now`.
    pub fn current_cohort(&self, now: Instant) -> Cohort {
        let milliseconds = self.clock_at(now).as_millis();
        Cohort::of_milliseconds(u64::try_from(milliseconds).unwrap_or(u64::MAX))
    }

    fn clock_at(&self, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.received_at);
        self.clock + since.min(MAX_COUNTED_ON)
    }

    pub fn stage(&self, turn: Turn) -> Stage {
        if turn < self.expired_before {
            Stage::Expired
        } else if turn < self.watermark {
            Stage::Due
        } else {
            Stage::Waiting
        }
    }

    /// How many are ahead of this turn, and its holder. A cohort that is not complete counts
    /// wholly, as if its holder had drawn last.
    pub fn position(&self, turn: Turn, now: Instant) -> u64 {
        let at = self.waiting.index_of(turn.cohort);
        let Some(own) = self.waiting.0.get(at) else {
            return self.all_waiting().saturating_add(1);
        };
        let known = if own.cohort == turn.cohort {
            own.waiting
        } else {
            0
        };
        if turn.cohort.plus(COMPLETE_AFTER_SECONDS) > self.current_cohort(now) {
            return own.before.saturating_add(known.max(1));
        }
        // Of the watermark's cohort only those are told whose turns have not come.
        let due = self.watermark.share_before(turn.cohort);
        let share = (turn.share_before(turn.cohort) - due) / (1.0 - due).max(f64::EPSILON);
        let ahead = known as f64 * share.clamp(0.0, 1.0);
        own.before.saturating_add(ahead as u64).saturating_add(1)
    }

    /// By how much a position may be wrong: draws are spread evenly, but not exactly.
    pub fn uncertainty(&self, turn: Turn) -> u64 {
        let at = self.waiting.index_of(turn.cohort);
        let own = self.waiting.0.get(at);
        own.map_or(0, |own| own.waiting.isqrt())
    }

    pub fn all_waiting(&self) -> u64 {
        let last = self.waiting.0.last();
        last.map_or(0, |last| last.before.saturating_add(last.waiting))
    }
}

impl Waiting {
    /// So many of each cohort, in their order.
    pub fn of(cohorts: impl IntoIterator<Item = (Cohort, u64)>) -> Self {
        let mut before = 0_u64;
        let summed = cohorts.into_iter().map(|(cohort, waiting)| {
            let of_cohort = CohortWaiting {
                cohort,
                waiting,
                before,
            };
            before = before.saturating_add(waiting);
            of_cohort
        });
        Self(summed.collect())
    }

    fn index_of(&self, cohort: Cohort) -> usize {
        self.0.partition_point(|of| of.cohort < cohort)
    }
}
