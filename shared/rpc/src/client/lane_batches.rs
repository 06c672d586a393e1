use std::{sync::Arc, time::Instant};

use tidegate_telemetry::{Batch, TraceContext};
use tidegate_types::{Lane, Lanes, PerLane};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::yield_now,
    time::timeout_at,
};
use tracing::info_span;

use crate::server::for_next_hop;

/// Items of one call at most.
const MAX_ITEMS_PER_CALL: usize = 500;
/// Items that wait in one lane at most.
const MAX_WAITING_PER_LANE: usize = 10_000;

/// How the items of one lane are sent together.
pub trait BatchCall: Clone + Send + Sync + 'static {
    type Item: Send + Sync + 'static;
    type Answer: Send + 'static;

    /// Names the span of a call for many callers, which is a trace of its own, linked to those of its items.
    const NAME: &'static str;

    /// Sends the items and returns as many answers, in their order; none at all if nothing is known
    /// of what came of them.
    fn send(
        &self,
        lane: Lane,
        items: Arc<Vec<Pending<Self::Item>>>,
    ) -> impl Future<Output = Vec<Self::Answer>> + Send;
}

/// An item on its way.
pub struct Pending<T> {
    pub item: T,
    /// The step that it was handed in by.
    pub trace: TraceContext,
    /// When its caller stops waiting.
    pub deadline: Instant,
}

/// Why an item has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnswered {
    /// It was not taken.
    #[error("too many items wait")]
    Full,
    /// What was asked for may have happened.
    #[error("no answer came in time")]
    NoAnswer,
}

type Entry<B> = (
    Pending<<B as BatchCall>::Item>,
    oneshot::Sender<<B as BatchCall>::Answer>,
);

/// Gathers items of many callers into one call a lane.
///
/// While calls of a lane are in flight, the next items gather, and what other tasks are ready to hand
/// in comes along; nothing waits for a timer. An item that was sent goes on when its caller hangs up,
/// because it may have been committed already.
pub struct LaneBatches<B: BatchCall> {
    senders: Arc<PerLane<mpsc::Sender<Entry<B>>>>,
}

impl<B: BatchCall> Clone for LaneBatches<B> {
    fn clone(&self) -> Self {
        Self {
            senders: Arc::clone(&self.senders),
        }
    }
}

impl<B: BatchCall> LaneBatches<B> {
    /// A gatherer a lane comes with it, which the caller runs. Of each lane `calls_per_lane` calls
    /// are in flight at once.
    pub fn new(
        lanes: Lanes,
        call: &B,
        calls_per_lane: usize,
    ) -> (Self, Vec<impl Future<Output = ()> + Send + use<B>>) {
        let mut gatherers = Vec::new();
        let senders = PerLane::new(lanes, |lane| {
            let (sender, entries) = mpsc::channel(MAX_WAITING_PER_LANE);
            gatherers.push(run_lane(lane, call.clone(), entries, calls_per_lane));
            sender
        });
        let senders = Arc::new(senders);
        (Self { senders }, gatherers)
    }

    /// Hands an item in and waits for its answer until its deadline.
    pub async fn submit(
        &self,
        lane: Lane,
        pending: Pending<B::Item>,
    ) -> Result<B::Answer, NotAnswered> {
        self.hand_in(lane, pending)?.await
    }

    /// Hands an item in, or refuses it at once. The answer comes before the item's deadline.
    pub fn hand_in(
        &self,
        lane: Lane,
        pending: Pending<B::Item>,
    ) -> Result<impl Future<Output = Result<B::Answer, NotAnswered>> + use<B>, NotAnswered> {
        let deadline = pending.deadline;
        let (reply, answer) = oneshot::channel();
        let taken = self.senders[lane].try_send((pending, reply));
        taken.map_err(|_| NotAnswered::Full)?;
        Ok(async move {
            match timeout_at(deadline.into(), answer).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(_)) | Err(_) => Err(NotAnswered::NoAnswer),
            }
        })
    }
}

async fn run_lane<B: BatchCall>(
    lane: Lane,
    call: B,
    mut entries: mpsc::Receiver<Entry<B>>,
    calls_per_lane: usize,
) {
    let permits = Arc::new(Semaphore::new(calls_per_lane));
    loop {
        // First a permit, then the items: what comes while all calls are in flight is taken
        // together.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let Some(first) = entries.recv().await else {
            return;
        };
        // A task that was just woken runs before the others. What those are ready to hand in comes
        // along; where there are none, no time is lost.
        yield_now().await;
        let mut taken = vec![first];
        while taken.len() < MAX_ITEMS_PER_CALL
            && let Ok(next) = entries.try_recv()
        {
            taken.push(next);
        }
        let call = call.clone();
        tokio::spawn(async move {
            let now = Instant::now();
            // An item nobody waits for any more was never sent, so it is dropped for free.
            let (items, replies): (Vec<_>, Vec<_>) = taken
                .into_iter()
                .filter(|(pending, reply)| pending.deadline > now && !reply.is_closed())
                .unzip();
            if !items.is_empty() {
                let batch = Batch::of(items.iter().map(|pending| pending.trace));
                let span = || info_span!("batch", otel.name = B::NAME);
                let answers = batch.run(span, call.send(lane, Arc::new(items))).await;
                for (reply, answer) in replies.into_iter().zip(answers) {
                    // A caller that has gone does not need the answer.
                    let _ = reply.send(answer);
                }
            }
            drop(permit);
        });
    }
}

impl<T> Pending<T> {
    /// An item of the story that is current.
    pub fn new(item: T, deadline: Instant) -> Self {
        Self {
            item,
            trace: TraceContext::current(),
            deadline,
        }
    }

    /// The time that is left for whoever is asked next.
    pub fn milliseconds_left(&self) -> u32 {
        milliseconds_left(self.deadline)
    }
}

/// The time that is left until a deadline for whoever is asked next, as items carry it.
pub fn milliseconds_left(deadline: Instant) -> u32 {
    let left = for_next_hop(deadline, Instant::now()).unwrap_or_default();
    u32::try_from(left.as_millis()).unwrap_or(u32::MAX)
}

/// The call as a whole may take as long as its most patient item; each item's own deadline travels
/// with it.
pub fn last_deadline<T>(items: &[Pending<T>]) -> Instant {
    let deadlines = items.iter().map(|pending| pending.deadline);
    deadlines.max().unwrap_or_else(Instant::now)
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use tokio::{
        sync::Notify,
        time::{sleep, timeout},
    };

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Answers an item with its number, once it is let on, and nothing if there is a 0 in the
    /// batch.
    #[derive(Clone, Default)]
    struct Recorder {
        sizes: Arc<Mutex<Vec<usize>>>,
        gate: Arc<Notify>,
    }

    impl BatchCall for Recorder {
        type Item = Arc<u32>;
        type Answer = u32;
        const NAME: &'static str = "record";

        async fn send(&self, _: Lane, items: Arc<Vec<Pending<Arc<u32>>>>) -> Vec<u32> {
            self.sizes.lock().unwrap().push(items.len());
            self.gate.notified().await;
            let numbers: Vec<_> = items.iter().map(|pending| *pending.item).collect();
            match numbers.contains(&0) {
                true => Vec::new(),
                false => numbers,
            }
        }
    }

    fn started() -> (Recorder, Lane, LaneBatches<Recorder>) {
        let (recorder, lanes) = (Recorder::default(), Lanes::new(1u16).unwrap());
        let (batches, gatherers) = LaneBatches::new(lanes, &recorder, 1);
        gatherers.into_iter().for_each(|gatherer| {
            tokio::spawn(gatherer);
        });
        (recorder, lanes.lane(0u16).unwrap(), batches)
    }

    fn pending(item: &Arc<u32>) -> Pending<Arc<u32>> {
        Pending::new(Arc::clone(item), Instant::now() + Duration::from_secs(60))
    }

    #[tokio::test(start_paused = true)]
    async fn items_gather_while_a_call_is_in_flight_and_each_caller_gets_its_own_answer() {
        let (recorder, lane, batches) = started();
        let callers: Vec<_> = (1..6)
            .map(|item| {
                let batches = batches.clone();
                tokio::spawn(async move {
                    sleep(item * MS).await;
                    batches.submit(lane, pending(&Arc::new(item))).await
                })
            })
            .collect();
        for _ in 0..2 {
            sleep(100 * MS).await;
            recorder.gate.notify_one();
        }
        for (item, caller) in (1..6).zip(callers) {
            assert_eq!(caller.await.unwrap(), Ok(item));
        }
        assert_eq!(*recorder.sizes.lock().unwrap(), [1, 4]);
    }

    /// On a worker of its own, as services run: there a task that is woken goes before the others.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn items_that_are_ready_at_one_time_go_in_one_call() {
        let (recorder, lane, batches) = started();
        // Until the gatherer waits.
        sleep(50 * MS).await;
        let all_at_once = tokio::spawn(async move {
            for item in 1..=8 {
                let batches = batches.clone();
                tokio::spawn(async move {
                    let answered = batches.submit(lane, pending(&Arc::new(item)));
                    answered.await.unwrap();
                });
            }
        });
        all_at_once.await.unwrap();
        let is_sent = async {
            while recorder.sizes.lock().unwrap().is_empty() {
                sleep(MS).await;
            }
        };
        timeout(10_000 * MS, is_sent).await.unwrap();
        assert_eq!(*recorder.sizes.lock().unwrap(), [8]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_item_whose_caller_hangs_up_is_held_while_it_is_in_flight_and_else_not_sent() {
        let (recorder, lane, batches) = started();
        let items = [1, 2].map(Arc::new);
        for item in &items {
            let hung_up = timeout(10 * MS, batches.submit(lane, pending(item)));
            assert!(hung_up.await.is_err());
        }
        assert_eq!(Arc::strong_count(&items[0]), 2, "it is in flight");
        recorder.gate.notify_one();
        sleep(10 * MS).await;
        assert_eq!(items.each_ref().map(Arc::strong_count), [1, 1]);
        assert_eq!(*recorder.sizes.lock().unwrap(), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_no_answer_hears_so_at_once_or_at_its_deadline() {
        let (recorder, lane, batches) = started();
        recorder.gate.notify_one();
        let nothing_is_known = batches.submit(lane, pending(&Arc::new(0)));
        assert_eq!(nothing_is_known.await, Err(NotAnswered::NoAnswer));
        let hasty = Pending {
            deadline: Instant::now() + 10 * MS,
            ..pending(&Arc::new(1))
        };
        assert_eq!(
            batches.submit(lane, hasty).await,
            Err(NotAnswered::NoAnswer)
        );
        let answers =
            (0..=MAX_WAITING_PER_LANE).map(|_| batches.hand_in(lane, pending(&Arc::new(1))));
        let answers: Vec<_> = answers.collect();
        let is_full = |answer: &Result<_, _>| matches!(answer, Err(NotAnswered::Full));
        assert!(is_full(answers.last().unwrap()) && !is_full(&answers[0]));
    }
}
