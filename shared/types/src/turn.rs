use crate::numbers::bounded;

bounded! {
    /// One second of a campaign's queue, counted by quota.
    #[derive(Default)]
    Cohort(u64) 0..=Cohort::MAX;
}

impl Cohort {
    /// Everybody who came before the opening.
    pub const BEFORE_OPENING: Self = Self(0);
    /// The last second of the year 9999.
    const MAX: u64 = 253_402_300_799;

    /// The cohort of this millisecond, counted from 1970.
    pub fn of_milliseconds(milliseconds: u64) -> Self {
        Self((milliseconds / 1_000).min(Self::MAX))
    }

    /// The cohort so many seconds later, or the last.
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds).min(Self::MAX))
    }
}

/// A place in the order of service: by cohort, and within a cohort by lot.
///
/// A watermark is a turn as well: every turn before it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Turn {
    /// When its holder joined.
    pub cohort: Cohort,
    /// What its holder drew.
    pub draw: u32,
}

/// Draws there are.
const DRAWS: f64 = 4_294_967_296.0;

impl Turn {
    /// Before every turn.
    pub const FIRST: Self = Self::first_of(Cohort::BEFORE_OPENING);
    /// After every turn.
    pub const LAST: Self = Self {
        cohort: Cohort(Cohort::MAX),
        draw: u32::MAX,
    };

    /// The first turn of a cohort.
    pub const fn first_of(cohort: Cohort) -> Self {
        Self { cohort, draw: 0 }
    }

    /// Which share of a cohort's turns comes before this one.
    pub fn share_before(self, cohort: Cohort) -> f64 {
        match cohort.cmp(&self.cohort) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal => f64::from(self.draw) / DRAWS,
            std::cmp::Ordering::Greater => 0.0,
        }
    }

    /// The turn of its cohort before which this share of the cohort's turns comes.
    #[must_use]
    pub fn at_share(self, share: f64) -> Self {
        // Saturates, so that it never is of the next cohort.
        let draw = (share * DRAWS) as u32;
        Self { draw, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_ordered_by_cohort_and_then_by_draw() {
        let turn = |cohort, draw| Turn {
            cohort: Cohort::new(cohort).unwrap(),
            draw,
        };
        assert!(turn(1, u32::MAX) < turn(2, 0) && turn(2, 0) < turn(2, 1));
        assert_eq!(turn(2, 1 << 31).share_before(Cohort(1)), 1.0);
        assert_eq!(turn(2, 1 << 31).share_before(Cohort(2)), 0.5);
        assert_eq!(turn(2, 1 << 31).share_before(Cohort(3)), 0.0);
        assert_eq!(turn(2, 0).at_share(0.25), turn(2, 1 << 30));
        assert_eq!(turn(2, 0).at_share(2.0), turn(2, u32::MAX));
        assert!(Cohort::new(Cohort::MAX + 1).is_err());
    }
}
