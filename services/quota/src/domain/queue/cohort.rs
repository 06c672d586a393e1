use tidegate_types::OutOfBounds;

/// One second of a campaign's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cohort(u64);

impl Cohort {
    /// Everybody who came before the opening.
    pub const BEFORE_OPENING: Self = Self(0);
    /// The last second of the year 9999.
    const MAX: u64 = 253_402_300_799;

    /// Takes a number over if it is within bounds.
    pub fn new(number: u64) -> Result<Self, OutOfBounds> {
        if number > Self::MAX {
            return Err(OutOfBounds {
                min: 0,
                max: Self::MAX,
            });
        }
        Ok(Self(number))
    }

    /// The cohort of this millisecond, counted from 1970.
    pub(super) fn of_milliseconds(milliseconds: u64) -> Self {
        Self((milliseconds / 1_000).min(Self::MAX))
    }

    /// Its number.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The cohort this many seconds later.
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds).min(Self::MAX))
    }

    /// The cohort this many seconds earlier, or the first.
    #[must_use]
    pub fn minus(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }
}

/// How many came in a cohort and how many of them gave up before their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CohortCounts {
    /// Which.
    pub cohort: Cohort,
    /// Tickets handed out, by all gateways that have reported.
    pub joined: u64,
    /// Tickets given back before they were due.
    pub left: u64,
}

impl CohortCounts {
    /// Tickets that hold a place. One gateway may report that a ticket was given back before another reports that it was handed out.
    pub fn staying(&self) -> u64 {
        self.joined.saturating_sub(self.left)
    }
}

/// What happened to tickets of one cohort at one gateway since it reported last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CohortNews {
    /// Which.
    pub cohort: Cohort,
    /// Tickets handed out.
    pub joined: u64,
    /// Due tickets that were used.
    pub served: u64,
    /// Tickets given back before they were used.
    pub left: u64,
}

/// What a report changes of a cohort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CohortChange {
    /// Which.
    pub cohort: Cohort,
    /// Tickets to add to those handed out.
    pub joined: u64,
    /// Tickets to add to those given back before they were due.
    pub left: u64,
    /// Set to the second of serving time if the whole cohort is due already: tickets of it that are handed out this late are due at once.
    pub due_second: Option<u64>,
}

/// How a cohort stands, and which version of the queue made it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CohortStanding {
    /// What came of it.
    pub counts: CohortCounts,
    /// The second of serving time in which its last ticket became due.
    pub due_second: Option<u64>,
    /// The version of the queue that this became so with.
    pub version: u64,
}
