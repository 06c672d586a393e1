//! The queue of a campaign: who is served before whom, where a ticket stands, and how long it may take.

mod estimate;
mod standing;

use std::{collections::BTreeMap, time::Duration};

use tidegate_types::OutOfBounds;

pub use estimate::{Pace, Wait, poll_after, poll_before_opening};
pub use standing::{CohortStanding, Standing, Word};

/// Draws there are: a ticket's draw is one of them.
const DRAWS: u128 = 1 << u32::BITS;
/// The last second of the year 9999.
const LAST_COHORT: u64 = 253_402_300_799;
/// A turn that has come is kept for so long: every client polls several times meanwhile.
pub const DUE_FOR: Duration = Duration::from_secs(120);
/// So long before the opening there is a place to be had.
pub const PRE_OPENING: Duration = Duration::from_secs(600);
/// More than this do not wait for one campaign.
pub const MAX_WAITING: u64 = 20_000_000;

/// One second of a campaign's queue, counted by quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cohort(u64);

impl Cohort {
    /// Everybody who came before the opening.
    pub const BEFORE_OPENING: Self = Self(0);

    /// Takes a number over if it is within bounds.
    pub fn new(number: u64) -> Result<Self, OutOfBounds> {
        const BOUNDS: OutOfBounds = OutOfBounds {
            min: 0,
            max: LAST_COHORT,
        };
        (number <= LAST_COHORT)
            .then_some(Self(number))
            .ok_or(BOUNDS)
    }

    /// Its number.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The cohort so many whole seconds later, or the last.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_secs()).min(LAST_COHORT))
    }
}

/// A place in the order of service: by cohort, and within a cohort by lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// When its holder joined.
    pub cohort: Cohort,
    /// What its holder drew.
    pub draw: u32,
}

/// Where a ticket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Others are first.
    Waiting,
    /// Its turn has come.
    Due,
    /// Its turn came and was not used in time.
    Expired,
}

/// How many tickets this gateway handed out in the newest cohorts. What quota tells of those is not complete yet.
#[derive(Debug, Clone, Default)]
pub struct HandedOut(BTreeMap<Cohort, u64>);

impl HandedOut {
    /// Cohorts that are remembered: as many as are counted on while quota is away. Those that quota has counted are forgotten before.
    const REMEMBERED: usize = 3_600;

    /// One more was handed out.
    pub fn add(&mut self, cohort: Cohort) {
        *self.0.entry(cohort).or_default() += 1;
        while self.0.len() > Self::REMEMBERED {
            self.0.pop_first();
        }
    }

    /// How many in this cohort.
    pub fn of(&self, cohort: Cohort) -> u64 {
        self.0.get(&cohort).copied().unwrap_or_default()
    }

    fn all(&self) -> impl Iterator<Item = (Cohort, u64)> {
        self.0.iter().map(|(cohort, count)| (*cohort, *count))
    }
}

#[cfg(test)]
mod tests;
