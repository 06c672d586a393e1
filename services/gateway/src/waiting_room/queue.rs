use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tidegate_types::{Cohort, Turn};
use tokio::sync::oneshot;

use super::Moment;
use crate::domain::{
    promises::Promises,
    queue::{Snapshot, Stage},
    tuning::MOMENT,
    wait_queue::{Key, Rank, WaitQueue},
};

/// Once a claim had to wait, later ones do not overtake it until quota has said what is to be.
const WANTED_FOR: Duration = MOMENT;

pub struct Queue {
    snapshot: ArcSwap<Snapshot>,
    state: Mutex<State>,
}

struct State {
    promises: Promises,
    promises_kept: u64,
    /// Calls that wait here until their turns come.
    held: WaitQueue<oneshot::Sender<()>>,
    wants_queue: bool,
    wanted_at: Option<Instant>,
}

/// A call that is held until its turn comes, or until this is dropped.
pub struct HeldCall {
    queue: Arc<Queue>,
    key: Key,
    called: oneshot::Receiver<()>,
}

/// Those of one cohort who wait here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CohortWaiting {
    pub(super) held: u64,
    pub(super) promised: u64,
    pub(super) promised_soon: u64,
}

/// How a queue stands here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueueState {
    pub(super) wants_queue: bool,
    pub(super) watermark: Turn,
    pub(super) due_soon: u64,
    pub(super) waiting: BTreeMap<Cohort, CohortWaiting>,
    pub(super) promises_ended: u64,
    pub(super) promises_kept: u64,
}

impl Queue {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(Snapshot::unknown(now)),
            state: Mutex::new(State {
                promises: Promises::new(now),
                promises_kept: 0,
                held: WaitQueue::default(),
                wants_queue: false,
                wanted_at: None,
            }),
        }
    }

    /// Whether a claim whose turn has not come has to wait.
    pub fn is_queueing(&self, now: Instant) -> bool {
        let snapshot = self.snapshot.load();
        if snapshot.is_queueing {
            return true;
        }
        let state = self.state();
        let is_wanted = state
            .wanted_at
            .is_some_and(|at| now.saturating_duration_since(at) < WANTED_FOR);
        // Those who came before the opening wait for the order to be drawn.
        let awaits_draw = snapshot.watermark == Turn::FIRST
            && (snapshot.all_waiting() > 0 || state.promises.total() > 0);
        is_wanted || awaits_draw
    }

    /// Whether somebody waits whose turn has not come, here or at another gateway.
    pub(super) fn has_waiting(&self, now: Instant) -> bool {
        self.is_queueing(now) && self.snapshot.load().all_waiting() > 0
    }

    /// A claim could not be served at once.
    pub fn want(&self, now: Instant) {
        let mut state = self.state();
        state.wants_queue = true;
        state.wanted_at = Some(now);
    }

    /// Whether quota has said anything of it yet.
    pub(super) fn is_known(&self) -> bool {
        self.snapshot.load().is_known
    }

    pub fn stage(&self, turn: Turn, now: Instant) -> Stage {
        match self.snapshot.load().stage(turn) {
            Stage::Waiting if !self.is_queueing(now) => Stage::Due,
            stage => stage,
        }
    }

    /// The cohort of those who join at `now`. Before quota has said anything, this machine's clock
    /// tells the second.
    pub(super) fn current_cohort(&self, now: Moment) -> Cohort {
        let snapshot = self.snapshot.load();
        if snapshot.is_known {
            return snapshot.current_cohort(now.instant);
        }
        u64::try_from(now.utc.unix_timestamp())
            .ok()
            .and_then(|seconds| Cohort::new(seconds).ok())
            .unwrap_or(Cohort::BEFORE_OPENING)
    }

    pub(super) fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// The first moment from this one on at which no more come back here than can be answered.
    pub(super) fn free_from(&self, earliest: Instant, most_per_second: f64) -> Instant {
        self.state().promises.free_from(earliest, most_per_second)
    }

    /// Promises that are still to be kept.
    pub(super) fn promises(&self) -> u64 {
        self.state().promises.total()
    }

    pub(super) fn promise(&self, turn: Turn, back_at: Instant) {
        self.state().promises.add(turn, back_at);
    }

    /// The holder of a turn need not come back as it had promised.
    pub(super) fn take_back(&self, turn: Turn, back_at: Instant) {
        self.state().promises.take_back(turn, back_at);
    }

    /// The holder of a turn that has come was back when it had promised.
    pub(super) fn promise_kept(&self) {
        self.state().promises_kept += 1;
    }

    /// Holds a call until its turn comes.
    pub(super) fn hold(self: &Arc<Self>, turn: Turn) -> HeldCall {
        let (call, called) = oneshot::channel();
        let key = self.state().held.push(Rank::Turn(turn), call);
        HeldCall {
            queue: Arc::clone(self),
            key,
            called,
        }
    }

    pub(super) fn report(&self, now: Instant) -> QueueState {
        let watermark = self.snapshot.load().watermark;
        let mut state = self.state();
        state.promises.end(watermark, now);
        let counted = state.promises.count(watermark, now);
        let mut waiting: BTreeMap<_, CohortWaiting> = BTreeMap::new();
        for (cohort, coming) in counted.waiting {
            let of_cohort = waiting.entry(cohort).or_default();
            (of_cohort.promised, of_cohort.promised_soon) = (coming.all, coming.soon);
        }
        for turn in state.held.turns() {
            waiting.entry(turn.cohort).or_default().held += 1;
        }
        QueueState {
            wants_queue: std::mem::take(&mut state.wants_queue),
            watermark,
            due_soon: counted.due_soon,
            waiting,
            promises_ended: state.promises.ended(),
            promises_kept: state.promises_kept,
        }
    }

    /// Takes quota's newest snapshot in, and calls those who are held and whose turns have come.
    pub(super) fn apply(&self, snapshot: Snapshot) {
        let snapshot = snapshot.after(&self.snapshot.load());
        let reached = if snapshot.is_queueing {
            snapshot.watermark
        } else {
            Turn::LAST
        };
        self.snapshot.store(Arc::new(snapshot));
        let mut called = Vec::new();
        {
            let mut state = self.state();
            while let Some((_, call)) = state.held.pop_before(reached) {
                called.push(call);
            }
        }
        for call in called {
            // Who has gone meanwhile comes back, or not.
            let _ = call.send(());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldCall {
    pub async fn called(&mut self) {
        if (&mut self.called).await.is_err() {
            // The queue is gone, and with it whoever could call.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for HeldCall {
    fn drop(&mut self) {
        self.queue.state().held.remove(self.key);
    }
}
