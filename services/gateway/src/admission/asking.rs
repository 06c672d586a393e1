use std::time::Duration;

/// So many turns wait for room as find it within this time, each of them for no longer.
const ROOM_WITHIN: Duration = Duration::from_millis(50);
/// From here on a turn is overdue: of those who came more than a cohort later the first may have their coupons, so it must not be sent away, for its holder would be back after seconds only. Few are, because they go first.
pub(super) const OVERDUE_FROM: Duration = Duration::from_secs(2);
/// So many overdue turns wait as find room within this time, and for no longer than the other: it takes longer than expected when issuance stands still for a moment.
const OVERDUE_ROOM_WITHIN: Duration = Duration::from_millis(250);
const OVERDUE_WAITS_FOR: Duration = Duration::from_secs(1);
/// The same in a short queue, where sending somebody away makes room for nobody and only the queue longer.
const SHORT_QUEUE_ROOM_WITHIN: Duration = Duration::from_millis(250);
const SHORT_QUEUE_WAITS_FOR: Duration = Duration::from_millis(500);
/// From here on all turns are equally overdue.
pub(super) const OVERDUE_MOST: Duration = Duration::from_secs(4);

/// The rank of a new claim; that of every turn is higher.
pub(super) const NEW_CLAIM: u64 = 0;

/// Who asks for room at issuance while there is a queue.
#[derive(Debug, Clone, Copy)]
pub enum Asking {
    /// One whose turn has come.
    Turn {
        /// Those who came later by so much may be served as well.
        overdue: Duration,
        /// Whether nobody waits in the queue but those who came last.
        is_queue_short: bool,
    },
    /// A new claim, where the queue is short.
    NewClaim,
}

impl Asking {
    pub(super) fn is_turn(self) -> bool {
        matches!(self, Self::Turn { .. })
    }

    pub(super) fn is_overdue(self) -> bool {
        matches!(self, Self::Turn { overdue, .. } if overdue >= OVERDUE_FROM)
    }

    /// Whoever has a higher one goes first: a turn before any new claim.
    pub(super) fn rank(self) -> u64 {
        match self {
            Self::Turn { overdue, .. } => NEW_CLAIM + 1 + overdue.min(OVERDUE_MOST).as_secs(),
            Self::NewClaim => NEW_CLAIM,
        }
    }

    /// So many wait in line as find room within this time.
    pub(super) fn room_within(self) -> Duration {
        match self {
            Self::Turn { .. } if self.is_overdue() => OVERDUE_ROOM_WITHIN,
            Self::Turn {
                is_queue_short: false,
                ..
            } => ROOM_WITHIN,
            Self::Turn { .. } | Self::NewClaim => SHORT_QUEUE_ROOM_WITHIN,
        }
    }

    /// For how long at most.
    pub(super) fn waits_for(self) -> Duration {
        match self {
            Self::Turn { .. } if self.is_overdue() => OVERDUE_WAITS_FOR,
            Self::Turn {
                is_queue_short: false,
                ..
            } => ROOM_WITHIN,
            Self::Turn { .. } | Self::NewClaim => SHORT_QUEUE_WAITS_FOR,
        }
    }
}
