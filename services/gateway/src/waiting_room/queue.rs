use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;

use super::Moment;
use crate::domain::queue::{Cohort, HandedOut, Stage, Standing, Turn, Word};

/// Cohorts of one campaign in one report at most; the rest comes with the next.
const MAX_COHORTS_PER_REPORT: usize = 10_000;
/// Once a claim had to wait, later ones do not overtake it until quota has said what is to be.
const WANTED_FOR: Duration = Duration::from_secs(1);

/// What happened in one cohort at this gateway and is not in a report yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CohortNews {
    pub(super) joined: u64,
    pub(super) served: u64,
    pub(super) left: u64,
}

/// What a report says of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueueNews {
    pub(super) cohorts: Vec<(Cohort, CohortNews)>,
    pub(super) wants_queue: bool,
    pub(super) known_version: u64,
    pub(super) issued: u64,
    pub(super) kept: u64,
}

/// The queue of one campaign.
pub struct Queue {
    standing: ArcSwap<Standing>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    news: BTreeMap<Cohort, CohortNews>,
    handed_out: HandedOut,
    wants_queue: bool,
    wanted_at: Option<Instant>,
    issued: u64,
    kept: u64,
}

/// A place in the queue, by its numbers.
pub(super) struct Outlook {
    pub(super) position: u64,
    pub(super) waiting: u64,
}

impl Queue {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            standing: ArcSwap::from_pointee(Standing::unknown(now)),
            counts: Mutex::default(),
        }
    }

    /// Whether a claim without a due ticket has to wait.
    pub fn is_queueing(&self, now: Instant) -> bool {
        let standing = self.standing.load();
        if standing.word().is_queueing {
            return true;
        }
        let counts = self.counts();
        let is_wanted = counts
            .wanted_at
            .is_some_and(|at| now.saturating_duration_since(at) < WANTED_FOR);
        is_wanted || standing.awaits_draw(&counts.handed_out)
    }

    /// Turns before this one have come. None before quota has said anything.
    pub(super) fn watermark(&self) -> Option<Turn> {
        let standing = self.standing.load();
        standing.is_known().then(|| standing.word().watermark)
    }

    /// A claim could not be served at once.
    pub fn want(&self, now: Instant) {
        let mut counts = self.counts();
        counts.wants_queue = true;
        counts.wanted_at = Some(now);
    }

    /// A claim whose turn has come found no room, and comes back.
    pub(super) fn kept(&self) {
        self.counts().kept += 1;
    }

    /// Whether quota has said anything of it yet.
    pub(super) fn is_known(&self) -> bool {
        self.standing.load().is_known()
    }

    /// Where a ticket stands.
    pub fn stage(&self, turn: Turn) -> Stage {
        self.standing.load().stage(turn)
    }

    /// The cohort of those who join at `now`. Before quota has said anything, this machine's clock tells the second.
    pub(super) fn current_cohort(&self, now: Moment) -> Cohort {
        let standing = self.standing.load();
        if standing.is_known() {
            return standing.current_cohort(now.instant);
        }
        u64::try_from(now.utc.unix_timestamp())
            .ok()
            .and_then(|seconds| Cohort::new(seconds).ok())
            .unwrap_or(Cohort::BEFORE_OPENING)
    }

    pub(super) fn standing(&self) -> arc_swap::Guard<Arc<Standing>> {
        self.standing.load()
    }

    /// What is ahead of a turn, whose holder is about to join or has done so before.
    pub(super) fn outlook(&self, turn: Turn, is_joining: bool) -> Outlook {
        let standing = self.standing.load();
        let counts = self.counts();
        let joining = u64::from(is_joining);
        Outlook {
            position: standing.position(turn, &counts.handed_out, joining),
            waiting: standing.waiting(&counts.handed_out),
        }
    }

    pub(super) fn joined(&self, cohort: Cohort) {
        let mut counts = self.counts();
        counts.news.entry(cohort).or_default().joined += 1;
        counts.handed_out.add(cohort);
    }

    pub(super) fn served(&self, cohort: Cohort) {
        self.counts().news.entry(cohort).or_default().served += 1;
    }

    pub(super) fn left(&self, cohort: Cohort) {
        self.counts().news.entry(cohort).or_default().left += 1;
    }

    /// Issuance has answered with a coupon.
    pub(super) fn issued(&self) {
        self.counts().issued += 1;
    }

    /// Takes what happened since the last time.
    pub(super) fn take_news(&self) -> QueueNews {
        let known_version = self.standing.load().word().version;
        let mut counts = self.counts();
        let mut cohorts = Vec::new();
        while cohorts.len() < MAX_COHORTS_PER_REPORT {
            let Some(news) = counts.news.pop_first() else {
                break;
            };
            cohorts.push(news);
        }
        QueueNews {
            cohorts,
            wants_queue: std::mem::take(&mut counts.wants_queue),
            known_version,
            issued: std::mem::take(&mut counts.issued),
            kept: std::mem::take(&mut counts.kept),
        }
    }

    /// Takes quota's newest word in. Answers do not overtake each other, so one of a lower version is of a database that was set back: nothing of what was known counts any more.
    pub(super) fn hear(&self, word: Word) {
        let standing = self.standing.load();
        let standing = if word.version >= standing.word().version {
            standing.with(word)
        } else {
            Standing::unknown(word.received_at).with(word)
        };
        standing.forget_counted(&mut self.counts().handed_out);
        self.standing.store(Arc::new(standing));
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
