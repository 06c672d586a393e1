use std::time::{Duration, Instant};

pub(super) const MIN_EJECTION: Duration = Duration::from_millis(500);
const MAX_EJECTION: Duration = Duration::from_secs(8);
/// A probe that has told nothing by then may be repeated: its caller may have given up.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);
/// The share of the newest answer in the running mean of a replica's times.
const NEWEST_SHARE: f64 = 0.1;
/// Fewer answers say nothing of a replica's pace.
const ANSWERS_TO_JUDGE: u32 = 10;
/// A replica is slow if it takes so many times as long as the middle one of its peers ...
const SLOW_BY_FACTOR: f64 = 4.0;
/// ... and longer than this: below, the difference hurts nobody.
const SLOW_FROM: Duration = Duration::from_millis(100);

/// How a replica has answered lately, and what follows for the next call.
#[derive(Debug, Default)]
pub(super) struct Health {
    state: State,
    ejections_in_row: u32,
    mean_seconds: Option<f64>,
    answers_to_judge: u32,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum State {
    #[default]
    Trusted,
    /// Others come first. A replica that was ejected for its pace has to answer within `limit` to be trusted again.
    Ejected {
        until: Instant,
        limit: Option<Duration>,
    },
    /// One call is under way to see whether it can be trusted again.
    Probed {
        since: Instant,
        limit: Option<Duration>,
    },
}

/// What a call may expect of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// It is asked in its turn.
    Trusted,
    /// One call may try it.
    ToBeProbed,
    /// It is asked last.
    Ejected,
}

/// What a report changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    TrustedAgain,
    Ejected,
}

impl Health {
    /// It answered, after `took` if that says something of its pace.
    pub(super) fn answered(&mut self, took: Option<Duration>, now: Instant) -> Change {
        if let Some(took) = took {
            let newest = took.as_secs_f64();
            let mean = self.mean_seconds.unwrap_or(newest);
            self.mean_seconds = Some(mean + NEWEST_SHARE * (newest - mean));
            self.answers_to_judge = self.answers_to_judge.saturating_add(1);
        }
        match self.state {
            State::Trusted => {
                self.ejections_in_row = 0;
                Change::Nothing
            }
            State::Ejected { limit, .. } if is_late(took, limit) => Change::Nothing,
            State::Probed { limit, .. } if is_late(took, limit) => self.eject(limit, now),
            State::Ejected { .. } | State::Probed { .. } => {
                self.state = State::Trusted;
                // What it took while it was ejected says nothing of how it is now.
                self.mean_seconds = took.map(|took| took.as_secs_f64());
                self.answers_to_judge = 0;
                Change::TrustedAgain
            }
        }
    }

    /// It could not be reached, or broke off. Calls of before its ejection that fail now tell nothing new.
    pub(super) fn failed(&mut self, now: Instant) -> Change {
        match self.standing(now) {
            Standing::Ejected if !matches!(self.state, State::Probed { .. }) => Change::Nothing,
            _ => self.eject(None, now),
        }
    }

    /// Ejects it if it is far slower than `middle`, the middle one of its peers' mean times.
    pub(super) fn judge(&mut self, middle: f64, now: Instant) -> Change {
        if self.state != State::Trusted || self.answers_to_judge < ANSWERS_TO_JUDGE {
            return Change::Nothing;
        }
        self.answers_to_judge = 0;
        let limit = (middle * SLOW_BY_FACTOR).max(SLOW_FROM.as_secs_f64());
        if self.mean_seconds.is_none_or(|mean| mean <= limit) {
            return Change::Nothing;
        }
        self.eject(Some(Duration::from_secs_f64(limit)), now)
    }

    /// Its mean time in seconds, if it is trusted and has answered.
    pub(super) fn pace(&self) -> Option<f64> {
        self.mean_seconds.filter(|_| self.state == State::Trusted)
    }

    pub(super) fn standing(&self, now: Instant) -> Standing {
        match self.state {
            State::Trusted => Standing::Trusted,
            State::Ejected { until, .. } if now >= until => Standing::ToBeProbed,
            State::Probed { since, .. } if now >= since + PROBE_PATIENCE => Standing::ToBeProbed,
            State::Ejected { .. } | State::Probed { .. } => Standing::Ejected,
        }
    }

    /// True for the one call that may try it.
    pub(super) fn begin_probe(&mut self, now: Instant) -> bool {
        let (State::Ejected { limit, .. } | State::Probed { limit, .. }) = self.state else {
            return false;
        };
        let may = self.standing(now) == Standing::ToBeProbed;
        if may {
            self.state = State::Probed { since: now, limit };
        }
        may
    }

    fn eject(&mut self, limit: Option<Duration>, now: Instant) -> Change {
        let ejection = MIN_EJECTION
            .saturating_mul(1 << self.ejections_in_row.min(8))
            .min(MAX_EJECTION);
        self.ejections_in_row = self.ejections_in_row.saturating_add(1);
        self.state = State::Ejected {
            until: now + ejection,
            limit,
        };
        Change::Ejected
    }
}

fn is_late(took: Option<Duration>, limit: Option<Duration>) -> bool {
    took.zip(limit).is_some_and(|(took, limit)| took > limit)
}

/// The middle one of some times; none without any.
pub(super) fn middle(mut times: Vec<f64>) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}

#[cfg(test)]
mod tests;
