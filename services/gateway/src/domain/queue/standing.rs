use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{Cohort, DRAWS, DUE_FOR, HandedOut, LAST_COHORT, Pace, Stage, Turn};

/// Without news, the current cohort is counted on for so long, or all who come while quota is away would be one cohort, whose order is drawn by lot.
const MAX_COUNTED_ON: Duration = Duration::from_secs(3_600);
/// A cohort is complete once it is over by so much: every gateway has reported by then.
const COMPLETE_AFTER: Duration = Duration::from_secs(2);

/// A word is late by as long as it took to write and to send it, so the time is counted on from the one that was least late, unless it is by more than this: then quota's clock was set.
const MOST_LATE: Duration = Duration::from_secs(1);
/// So much of that is given up with each word, which keeps up with a clock that is slower than this machine's.
const GIVEN_UP_EACH_WORD: Duration = Duration::from_millis(1);

/// How one cohort stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CohortStanding {
    /// Which.
    pub cohort: Cohort,
    /// Tickets handed out, by all gateways.
    pub joined: u64,
    /// Tickets given back before they were due.
    pub left: u64,
    /// The second of serving time in which its last ticket became due.
    pub due_second: Option<u64>,
}

impl CohortStanding {
    fn waiting(&self) -> u64 {
        self.joined.saturating_sub(self.left)
    }
}

/// Quota's word on a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// Whether new claims take a ticket.
    pub is_queueing: bool,
    /// The cohort of those who joined when this was told.
    pub current_cohort: Cohort,
    /// For how long it had lasted then.
    pub current_cohort_age: Duration,
    /// When this was told, by this gateway's clock.
    pub received_at: Instant,
    /// Turns before this one have come.
    pub watermark: Turn,
    /// How fast turns come; `None` if nobody is served, or nothing is known.
    pub pace: Option<Pace>,
    /// Grows with every change.
    pub version: u64,
    /// Cohorts before this one are forgotten.
    pub oldest_cohort: Cohort,
    /// Coupons that are free or on lease.
    pub remaining: u64,
    /// The queue's time without that in which it served nobody, in seconds.
    pub serving_second: u64,
    /// Cohorts that changed since the version known before.
    pub cohorts: Vec<CohortStanding>,
}

impl Word {
    /// What quota's clock showed.
    fn clock(&self) -> Duration {
        Duration::from_secs(self.current_cohort.get()) + self.current_cohort_age
    }

    /// Takes over what the clock shows by the words before, if this one is later than those were.
    fn count_on(&mut self, counted: Duration) {
        let counted = counted.saturating_sub(GIVEN_UP_EACH_WORD);
        let late = counted.saturating_sub(self.clock());
        if late < MOST_LATE {
            let clock = self.clock() + late;
            self.current_cohort = Cohort(clock.as_secs().min(LAST_COHORT));
            self.current_cohort_age = Duration::from_nanos(clock.subsec_nanos().into());
        }
    }
}

/// How a queue stands by all that quota has told.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The newest word; its cohorts are all that are known, in order.
    word: Word,
    /// Whether quota has said anything yet.
    is_known: bool,
    /// For each cohort known, the tickets that wait in those before it, and at the end the tickets of all.
    waiting_before: Vec<u64>,
}

impl Standing {
    /// What is known before quota said anything: nobody waits but those whom this gateway tells to.
    pub fn unknown(now: Instant) -> Self {
        let nothing = Word {
            is_queueing: false,
            current_cohort: Cohort::BEFORE_OPENING,
            current_cohort_age: Duration::ZERO,
            received_at: now,
            watermark: Turn {
                cohort: Cohort::BEFORE_OPENING,
                draw: 0,
            },
            pace: None,
            version: 0,
            oldest_cohort: Cohort::BEFORE_OPENING,
            remaining: u64::MAX,
            serving_second: 0,
            cohorts: Vec::new(),
        };
        Self::summed(nothing, false)
    }

    /// The same with a newer word.
    pub fn with(&self, mut word: Word) -> Self {
        if self.is_known {
            word.count_on(self.clock(word.received_at));
        }
        let known = self.word.cohorts.iter().copied();
        let mut cohorts: BTreeMap<_, _> = known
            .chain(word.cohorts)
            .map(|cohort| (cohort.cohort, cohort))
            .collect();
        word.cohorts = cohorts
            .split_off(&word.oldest_cohort)
            .into_values()
            .collect();
        Self::summed(word, true)
    }

    fn summed(word: Word, is_known: bool) -> Self {
        let mut sum = 0_u64;
        let sums = word.cohorts.iter().map(|cohort| {
            sum = sum.saturating_add(cohort.waiting());
            sum
        });
        Self {
            waiting_before: std::iter::once(0).chain(sums).collect(),
            word,
            is_known,
        }
    }

    /// The newest word.
    pub fn word(&self) -> &Word {
        &self.word
    }

    /// Whether quota has said anything yet.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// The cohort of those who join at `now`.
    pub fn current_cohort(&self, now: Instant) -> Cohort {
        Cohort(self.clock(now).as_secs().min(LAST_COHORT))
    }

    /// What quota's clock shows at `now`.
    fn clock(&self, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.word.received_at);
        self.word.clock() + since.min(MAX_COUNTED_ON)
    }

    /// Where a ticket with this turn stands.
    pub fn stage(&self, turn: Turn) -> Stage {
        if turn.cohort < self.word.oldest_cohort {
            return Stage::Expired;
        }
        if turn >= self.word.watermark {
            return Stage::Waiting;
        }
        let due = self.known(turn.cohort).and_then(|known| known.due_second);
        match due {
            Some(due) if due.saturating_add(DUE_FOR.as_secs()) < self.word.serving_second => {
                Stage::Expired
            }
            _ => Stage::Due,
        }
    }

    /// How many are ahead of this turn, and its holder. A cohort that is not complete counts wholly, as if its holder had drawn last; `joining` are those who are not counted among the handed out yet.
    pub fn position(&self, turn: Turn, handed_out: &HandedOut, joining: u64) -> u64 {
        let ahead = self.waiting_before(turn.cohort, handed_out);
        let known = self.known(turn.cohort).map_or(0, CohortStanding::waiting);
        if turn.cohort.plus(COMPLETE_AFTER) > self.word.current_cohort {
            let own = known.max(handed_out.of(turn.cohort) + joining);
            return ahead.saturating_add(own.max(1));
        }
        let is_partly_due = turn.cohort == self.word.watermark.cohort;
        let due_draws = if is_partly_due {
            self.word.watermark.draw
        } else {
            0
        };
        let draws = turn.draw.saturating_sub(due_draws);
        ahead.saturating_add(share(known, draws)).saturating_add(1)
    }

    /// Forgets what was handed out in cohorts that are complete and that quota has counted.
    pub fn forget_counted(&self, handed_out: &mut HandedOut) {
        handed_out.0.retain(|cohort, count| {
            let counted = self.known(*cohort).map_or(0, |known| known.joined);
            *count > counted || cohort.plus(COMPLETE_AFTER) > self.word.current_cohort
        });
    }

    /// By how much a position may be wrong: draws are spread evenly, but not exactly.
    pub fn uncertainty(&self, turn: Turn) -> u64 {
        let cohort = self.known(turn.cohort);
        cohort.map_or(0, |cohort| cohort.waiting().isqrt())
    }

    /// How many wait in all.
    pub fn waiting(&self, handed_out: &HandedOut) -> u64 {
        self.waiting_before(Cohort(LAST_COHORT), handed_out)
    }

    /// Whether somebody who came before the opening waits for the order to be drawn.
    pub fn awaits_draw(&self, handed_out: &HandedOut) -> bool {
        let start = Turn {
            cohort: Cohort::BEFORE_OPENING,
            draw: 0,
        };
        let early = self.known(Cohort::BEFORE_OPENING);
        self.word.watermark == start
            && (early.is_some_and(|early| early.waiting() > 0)
                || handed_out.of(Cohort::BEFORE_OPENING) > 0)
    }

    /// Tickets of earlier cohorts that are not due. What this gateway handed out and quota has not counted yet is among them.
    fn waiting_before(&self, cohort: Cohort, handed_out: &HandedOut) -> u64 {
        let first = self.place_of(self.word.watermark.cohort);
        let end = self.place_of(cohort);
        let mut waiting = 0;
        if first < end {
            waiting = self.waiting_before[end].saturating_sub(self.waiting_before[first]);
            let partly_due = &self.word.cohorts[first];
            if partly_due.cohort == self.word.watermark.cohort {
                waiting -= share(partly_due.waiting(), self.word.watermark.draw).min(waiting);
            }
        }
        let not_counted = handed_out.all().filter(|(handed_out_in, _)| {
            (self.word.watermark.cohort..cohort).contains(handed_out_in)
        });
        not_counted.fold(waiting, |waiting, (handed_out_in, count)| {
            let counted = self.known(handed_out_in).map_or(0, |known| known.joined);
            waiting.saturating_add(count.saturating_sub(counted))
        })
    }

    fn known(&self, cohort: Cohort) -> Option<&CohortStanding> {
        let known = self.word.cohorts.get(self.place_of(cohort))?;
        (known.cohort == cohort).then_some(known)
    }

    fn place_of(&self, cohort: Cohort) -> usize {
        self.word
            .cohorts
            .partition_point(|known| known.cohort < cohort)
    }
}

/// How many of `count` tickets have one of the first `draws` draws, since draws are spread evenly.
fn share(count: u64, draws: u32) -> u64 {
    u64::try_from(u128::from(count) * u128::from(draws) / DRAWS).unwrap_or(u64::MAX)
}
