use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    Commit, CommitQueueSettings, NotCommitted, Queued, commit_time::CommitTime,
    metrics::OneQueueMetrics,
};

/// One place in so many is kept for urgent items: the others, however many come, leave them free.
const RESERVED_ONE_IN: usize = 4;
const MIN_RETRY: Duration = Duration::from_millis(100);
/// An estimate may be wrong, so nobody is sent away on one for longer.
const MAX_RETRY: Duration = Duration::from_secs(1);

/// What callers and the writer share.
pub(super) struct State<C: Commit> {
    pub(super) settings: CommitQueueSettings,
    pub(super) metrics: OneQueueMetrics,
    pub(super) arrived: Notify,
    waiting: Mutex<Waiting<C>>,
}

struct Waiting<C: Commit> {
    urgent: VecDeque<Queued<C::Item>>,
    others: VecDeque<Queued<C::Item>>,
    commit_time: CommitTime,
    closed: bool,
}

impl<C: Commit> State<C> {
    pub(super) fn new(settings: CommitQueueSettings, metrics: OneQueueMetrics) -> Self {
        let waiting = Waiting {
            urgent: VecDeque::new(),
            others: VecDeque::new(),
            commit_time: CommitTime::new(Instant::now()),
            closed: false,
        };
        Self {
            settings,
            metrics,
            arrived: Notify::new(),
            waiting: Mutex::new(waiting),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<C>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, queued: Queued<C::Item>, now: Instant) -> Result<(), NotCommitted> {
        let urgent = C::urgent(&queued.item);
        let mut waiting = self.waiting();
        if waiting.closed {
            return Err(NotCommitted::Closed);
        }
        let length = waiting.urgent.len() + waiting.others.len();
        let ahead = if urgent { waiting.urgent.len() } else { length };
        let wait = waiting.estimated_wait(ahead, self.settings.max_batch, now);
        let retry_after = wait.clamp(MIN_RETRY, MAX_RETRY);
        if length >= self.capacity(urgent) {
            self.metrics.refused_full.inc();
            return Err(NotCommitted::Full { retry_after });
        }
        if now + wait > queued.deadline {
            self.metrics.refused_late.inc();
            return Err(NotCommitted::TooLate { retry_after });
        }
        let queue = if urgent {
            &mut waiting.urgent
        } else {
            &mut waiting.others
        };
        queue.push_back(queued);
        drop(waiting);
        self.metrics.length.inc();
        self.arrived.notify_one();
        Ok(())
    }

    /// Up to which length the queue takes an item of this kind.
    fn capacity(&self, urgent: bool) -> usize {
        let capacity = self.settings.capacity;
        if urgent {
            capacity
        } else {
            capacity - capacity / RESERVED_ONE_IN
        }
    }

    /// How long items wait here, as commits that ended tell. A batch that hangs is an outage and no
    /// crowd: told as a delay, it would have callers queue for what nobody is served.
    pub(super) fn queue_delay(&self, now: Instant) -> Duration {
        let waiting = self.waiting();
        let ahead = waiting.urgent.len() + waiting.others.len();
        let batches = 1.0 + ahead as f64 / self.settings.max_batch as f64;
        waiting.commit_time.at(now).mul_f64(batches)
    }

    pub(super) fn is_empty(&self) -> bool {
        let waiting = self.waiting();
        waiting.urgent.is_empty() && waiting.others.is_empty()
    }

    /// A commit succeeded after `took`.
    pub(super) fn committed_in(&self, took: Duration, now: Instant) {
        self.waiting().commit_time.learn(took, now);
    }

    /// The writer has done with the batch that it took, whatever became of it.
    pub(super) fn batch_ended(&self) {
        self.waiting().commit_time.batch_ended();
    }

    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.arrived.notify_one();
    }

    /// Takes the next batch, sorted by key, each key once, and counts it as under way until
    /// [`Self::batch_ended`]. Expired items are answered and dropped; an item whose key is taken
    /// keeps its place for the next batch.
    pub(super) fn take_batch(&self, now: Instant) -> Vec<Queued<C::Item>> {
        let mut batch: Vec<(C::Key, Queued<C::Item>)> = Vec::new();
        let mut keys = BTreeSet::new();
        let mut expired = Vec::new();
        let mut waiting = self.waiting();
        let retry_after = waiting.commit_time.at(now).clamp(MIN_RETRY, MAX_RETRY);
        let Waiting { urgent, others, .. } = &mut *waiting;
        for queue in [urgent, others] {
            let mut kept = VecDeque::new();
            while batch.len() < self.settings.max_batch {
                let Some(queued) = queue.pop_front() else {
                    break;
                };
                if queued.deadline <= now {
                    expired.push(queued);
                    continue;
                }
                let key = C::key(&queued.item);
                if keys.insert(key.clone()) {
                    batch.push((key, queued));
                } else {
                    kept.push_back(queued);
                }
            }
            while let Some(queued) = kept.pop_back() {
                queue.push_front(queued);
            }
        }
        if !batch.is_empty() {
            waiting.commit_time.batch_began(now);
        }
        drop(waiting);
        self.metrics
            .length
            .dec_by((batch.len() + expired.len()) as i64);
        for queued in expired {
            self.metrics.expired.inc();
            C::answer(queued.item, Err(NotCommitted::TooLate { retry_after }));
        }
        batch.sort_by(|(one, _), (other, _)| one.cmp(other));
        batch.into_iter().map(|(_, queued)| queued).collect()
    }
}

impl<C: Commit> Waiting<C> {
    /// What is left of the batch under way, and the batches ahead. Nothing if the writer is idle:
    /// the next item is taken at once, and shows how long a commit takes now.
    fn estimated_wait(&self, ahead: usize, max_batch: usize, now: Instant) -> Duration {
        let batches_ahead = ahead as f64 / max_batch as f64;
        self.commit_time.left_of_batch(now) + self.commit_time.at(now).mul_f64(batches_ahead)
    }
}

#[cfg(test)]
mod tests {
    use sqlx::PgConnection;
    use tidegate_telemetry::Registry;
    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        QueueMetrics, Reply,
        commit_queue::reply::{self, Answer},
    };

    struct Numbers;

    impl Commit for Numbers {
        type Item = ((u32, &'static str), Reply<()>);
        type Key = u32;

        fn key(item: &Self::Item) -> u32 {
            item.0.0
        }

        fn urgent(item: &Self::Item) -> bool {
            item.0.1 == "urgent"
        }

        fn answer((_, reply): Self::Item, ended: Result<Duration, NotCommitted>) {
            reply.end(ended);
        }

        async fn commit(
            &mut self,
            _: &mut PgConnection,
            _: &mut [Queued<Self::Item>],
        ) -> Result<(), sqlx::Error> {
            Ok(())
        }
    }

    fn state(capacity: usize, max_batch: usize) -> State<Numbers> {
        let settings = CommitQueueSettings::new("numbers", capacity, max_batch);
        State::new(
            settings,
            QueueMetrics::register(&mut Registry::default()).of("numbers"),
        )
    }

    fn push(
        state: &State<Numbers>,
        item: (u32, &'static str),
        deadline_ms: u64,
    ) -> Result<oneshot::Receiver<Answer<()>>, NotCommitted> {
        let now = Instant::now();
        let (reply, answer) = reply::channel();
        let deadline = now + Duration::from_millis(deadline_ms);
        let queued = Queued::new((item, reply), "numbers", deadline);
        state.push(queued, now).map(|()| answer)
    }

    fn batch(state: &State<Numbers>) -> Vec<(u32, &'static str)> {
        let taken = state.take_batch(Instant::now());
        taken.iter().map(|queued| queued.item.0).collect()
    }

    #[test]
    fn a_batch_is_sorted_and_holds_each_key_once_and_the_rest_keep_their_order() {
        let state = state(10, 10);
        let _answers: Vec<_> = [(3, "a"), (1, "b"), (3, "c"), (2, "d"), (3, "e")]
            .map(|item| push(&state, item, 1_000).unwrap())
            .into();
        assert_eq!(batch(&state), [(1, "b"), (2, "d"), (3, "a")]);
        assert_eq!(batch(&state), [(3, "c")]);
        assert_eq!(batch(&state), [(3, "e")]);
        assert!(state.is_empty());
    }

    #[test]
    fn urgent_items_go_first_when_the_batch_is_too_small_for_all() {
        let state = state(10, 2);
        let _answers: Vec<_> = [(1, "a"), (2, "b"), (9, "urgent"), (8, "urgent")]
            .map(|item| push(&state, item, 1_000).unwrap())
            .into();
        assert_eq!(batch(&state), [(8, "urgent"), (9, "urgent")]);
        assert_eq!(batch(&state), [(1, "a"), (2, "b")]);
    }

    #[test]
    fn a_full_queue_refuses_at_the_door() {
        let state = state(1, 10);
        let _first = push(&state, (1, "a"), 1_000).unwrap();
        assert!(matches!(
            push(&state, (2, "b"), 1_000),
            Err(NotCommitted::Full { .. })
        ));
    }

    #[test]
    fn items_that_fill_the_queue_leave_places_for_urgent_ones() {
        let state = state(8, 10);
        let pushed = |number, kind| push(&state, (number, kind), 1_000);
        let taken: Vec<_> = (0..8).map(|number| pushed(number, "claim")).collect();
        let refused = |answer: &Result<_, _>| matches!(answer, Err(NotCommitted::Full { .. }));
        assert!(taken[..6].iter().all(Result::is_ok));
        assert!(taken[6..].iter().all(refused));
        let _urgent = [8, 9].map(|number| pushed(number, "urgent").unwrap());
        assert!(refused(&pushed(10, "urgent")));
        assert_eq!(batch(&state)[..2], [(0, "claim"), (1, "claim")]);
        let _again: Vec<_> = (0..6).map(|n| pushed(n, "claim").unwrap()).collect();
    }

    #[test]
    fn an_item_that_cannot_make_its_deadline_is_refused_at_the_door() {
        let state = state(10_000, 1);
        state.committed_in(Duration::from_secs(5), Instant::now());
        let _first = push(&state, (1, "a"), 5_000).unwrap();
        assert_eq!(batch(&state), [(1, "a")], "it is under way");
        let refused = push(&state, (2, "b"), 100);
        assert!(
            matches!(refused, Err(NotCommitted::TooLate { retry_after }) if retry_after <= MAX_RETRY)
        );
        assert!(push(&state, (2, "b"), 5_000).is_ok());
    }

    #[test]
    fn an_idle_queue_takes_an_item_however_long_the_last_commit_took() {
        let state = state(10, 10);
        state.committed_in(Duration::from_secs(60), Instant::now());
        let _probe = push(&state, (1, "a"), 10).unwrap();
        assert_eq!(batch(&state), [(1, "a")]);
        state.batch_ended();
        let _next = push(&state, (2, "b"), 10).unwrap();
    }

    #[test]
    fn a_batch_that_hangs_is_not_told_as_a_delay_and_items_that_cannot_wait_for_it_are_refused() {
        let state = state(10_000, 10);
        let _first = push(&state, (1, "a"), 10_000).unwrap();
        assert_eq!(batch(&state), [(1, "a")], "it is under way");
        let later = Instant::now() + Duration::from_secs(5);
        assert!(state.queue_delay(later) < Duration::from_millis(10));
        let waiting = state.waiting();
        assert!(waiting.estimated_wait(0, 10, later) >= Duration::from_secs(5));
    }

    #[test]
    fn an_expired_item_is_answered_and_not_committed() {
        let state = state(10, 10);
        let mut answer = push(&state, (1, "a"), 50).unwrap();
        assert!(
            state
                .take_batch(Instant::now() + Duration::from_millis(60))
                .is_empty()
        );
        assert!(matches!(
            answer.try_recv(),
            Ok(Err(NotCommitted::TooLate { .. }))
        ));
    }

    #[test]
    fn an_item_whose_outcome_was_not_put_is_not_told_as_committed() {
        let (state, waited) = (state(10, 10), Duration::from_millis(3));
        let mut answers = [1, 2].map(|number| push(&state, (number, "a"), 1_000).unwrap());
        let mut taken = state.take_batch(Instant::now());
        taken[0].item.1.put(());
        for queued in taken {
            Numbers::answer(queued.item, Ok(waited));
        }
        assert_eq!(answers[0].try_recv(), Ok(Ok(((), waited))));
        assert_eq!(answers[1].try_recv(), Ok(Err(NotCommitted::Unknown)));
    }

    #[test]
    fn a_closed_queue_takes_nothing_more() {
        let state = state(10, 10);
        state.close();
        assert_eq!(
            push(&state, (1, "a"), 1_000).err(),
            Some(NotCommitted::Closed)
        );
    }
}
