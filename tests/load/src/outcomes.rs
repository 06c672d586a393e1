//! What errands came to, and what they cost.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::{processor_time::Spent, quantile::quantile_ms};

/// An errand's end: as it should be, or why not.
pub type End = Result<(), String>;

/// How errands ended.
#[derive(Debug, Default)]
pub struct Ends {
    /// Those of the measured stretch that ended as they should, with the time they took.
    good: Vec<Duration>,
    /// All others of it, by their reason.
    bad: BTreeMap<String, u64>,
    /// Those that ended as they should at any time, warm-up and end included.
    good_ever: u64,
}

impl Ends {
    pub fn add(&mut self, end: End, took: Duration, measured: bool) {
        self.good_ever += u64::from(end.is_ok());
        match end {
            _ if !measured => {}
            Ok(()) => self.good.push(took),
            Err(reason) => *self.bad.entry(reason).or_default() += 1,
        }
    }

    pub fn absorb(&mut self, other: Self) {
        self.good.extend(other.good);
        self.good_ever += other.good_ever;
        for (reason, count) in other.bad {
            *self.bad.entry(reason).or_default() += count;
        }
    }

    /// What they amount to in a stretch of so many seconds.
    pub fn in_seconds(self, seconds: f64) -> Outcomes {
        let at = |share| quantile_ms(self.good.iter().copied(), share);
        Outcomes {
            seconds,
            good: self.good.len() as u64,
            per_second: self.good.len() as f64 / seconds,
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            refused: self.bad,
            good_ever: self.good_ever,
        }
    }
}

/// What errands in a measured stretch amounted to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcomes {
    pub seconds: f64,
    /// Those that ended as they should.
    pub good: u64,
    pub per_second: f64,
    /// How long those took.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub p999_ms: Option<f64>,
    pub refused: BTreeMap<String, u64>,
    /// Those that ended as they should before, in and after the stretch.
    pub good_ever: u64,
}

impl Outcomes {
    pub fn all_refused(&self) -> u64 {
        self.refused.values().sum()
    }
}

/// The same, with the processor time they took.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Measured {
    #[serde(flatten)]
    pub outcomes: Outcomes,
    pub processor: Spent,
}

impl Measured {
    /// Fails if nothing ended as it should: then nothing was measured.
    pub fn of_something(self, what: &str) -> Result<Self> {
        let Outcomes { good, refused, .. } = &self.outcomes;
        ensure!(*good > 0, "Nothing but refusals by {what}: {refused:?}");
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ends_well_in_the_measured_stretch_counts_for_the_rate() {
        let (mut ends, took) = (Ends::default(), Duration::from_millis(4));
        ends.add(Ok(()), took, false);
        ends.add(Ok(()), took, true);
        ends.add(Err("UNANSWERED".to_owned()), 2 * took, true);
        ends.add(Err("UNANSWERED".to_owned()), took, false);
        let outcomes = ends.in_seconds(2.0);
        assert_eq!((outcomes.good, outcomes.good_ever), (1, 2));
        assert_eq!((outcomes.per_second, outcomes.p99_ms), (0.5, Some(4.0)));
        assert_eq!(outcomes.refused, [("UNANSWERED".to_owned(), 1)].into());
    }
}
