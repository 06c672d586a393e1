//! Gathers items of many callers into one call per lane.
//!
//! While calls of a lane are under way, the next items gather; nothing waits for a timer. An item that was taken goes on when its caller hangs up, because it may have been committed already.

mod one_call;

use std::{sync::Arc, time::Instant};

use tidegate_telemetry::TraceContext;
use tidegate_types::{Lane, Lanes, PerLane};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::timeout_at,
};

pub use one_call::{answer_each, last_deadline, span_of};

use crate::error::GatewayError;

/// Items of one call at most.
const MAX_ITEMS_PER_CALL: usize = 500;
/// Items that wait in one lane at most.
const MAX_WAITING_PER_LANE: usize = 10_000;

/// How the items of one lane are sent together.
pub trait BatchCall: Clone + Send + Sync + 'static {
    type Item: Send + Sync + 'static;
    type Answer: Send + 'static;

    /// Sends the items and returns as many answers, in their order.
    fn send(
        &self,
        lane: Lane,
        items: Arc<Vec<Pending<Self::Item>>>,
    ) -> impl Future<Output = Vec<Result<Self::Answer, GatewayError>>> + Send;
}

/// An item on its way.
pub struct Pending<T> {
    /// What the caller handed in.
    pub item: T,
    pub trace: TraceContext,
    /// When its caller stops waiting.
    pub deadline: Instant,
}

type Entry<B> = (
    Pending<<B as BatchCall>::Item>,
    oneshot::Sender<Result<<B as BatchCall>::Answer, GatewayError>>,
);

/// The lanes of one kind of call.
pub struct LaneBatches<B: BatchCall> {
    senders: PerLane<mpsc::Sender<Entry<B>>>,
}

impl<B: BatchCall> LaneBatches<B> {
    /// A gatherer per lane comes with it, which the caller runs. `calls_per_lane` calls of a lane are
    /// under way at once.
    pub fn new(
        lanes: Lanes,
        call: &B,
        calls_per_lane: usize,
    ) -> (Self, Vec<impl Future<Output = ()> + Send + use<B>>) {
        let mut tasks = Vec::new();
        let senders = PerLane::new(lanes, |lane| {
            let (sender, entries) = mpsc::channel(MAX_WAITING_PER_LANE);
            tasks.push(run_lane(lane, call.clone(), entries, calls_per_lane));
            sender
        });
        (Self { senders }, tasks)
    }

    /// Hands an item in and waits for its answer until its deadline.
    pub async fn submit(
        &self,
        lane: Lane,
        pending: Pending<B::Item>,
    ) -> Result<B::Answer, GatewayError> {
        self.hand_in(lane, pending)?.await
    }

    /// Hands an item in, or refuses it at once. The answer comes before the item's deadline.
    pub fn hand_in(
        &self,
        lane: Lane,
        pending: Pending<B::Item>,
    ) -> Result<impl Future<Output = Result<B::Answer, GatewayError>> + use<B>, GatewayError> {
        let deadline = pending.deadline;
        let (reply, answer) = oneshot::channel();
        let taken = self.senders[lane].try_send((pending, reply));
        taken.map_err(|_| GatewayError::Full)?;
        Ok(async move {
            match timeout_at(deadline.into(), answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) | Err(_) => Err(GatewayError::NoAnswer),
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
    let places = Arc::new(Semaphore::new(calls_per_lane));
    loop {
        // First a place, then the items: what comes while all calls are under way is taken together.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let mut taken = Vec::new();
        if entries.recv_many(&mut taken, MAX_ITEMS_PER_CALL).await == 0 {
            return;
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
                let answers = call.send(lane, Arc::new(items)).await;
                for (reply, answer) in replies.into_iter().zip(answers) {
                    // A caller that has gone does not need the answer.
                    let _ = reply.send(answer);
                }
            }
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use tokio::sync::Notify;

    use super::*;

    #[derive(Clone, Default)]
    struct Recorder {
        sizes: Arc<Mutex<Vec<usize>>>,
        gate: Arc<Notify>,
    }

    impl BatchCall for Recorder {
        type Item = u32;
        type Answer = u32;

        async fn send(
            &self,
            _: Lane,
            items: Arc<Vec<Pending<u32>>>,
        ) -> Vec<Result<u32, GatewayError>> {
            self.sizes.lock().unwrap().push(items.len());
            self.gate.notified().await;
            items.iter().map(|pending| Ok(pending.item * 2)).collect()
        }
    }

    fn started<B: BatchCall>(lanes: Lanes, call: &B) -> LaneBatches<B> {
        let (batches, gatherers) = LaneBatches::new(lanes, call, 1);
        gatherers.into_iter().for_each(|gatherer| {
            tokio::spawn(gatherer);
        });
        batches
    }

    fn pending(item: u32) -> Pending<u32> {
        Pending {
            item,
            trace: TraceContext::new_root(false),
            deadline: Instant::now() + Duration::from_secs(60),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn items_gather_while_a_call_is_under_way_and_each_caller_gets_its_own_answer() {
        let (recorder, lanes) = (Recorder::default(), Lanes::new(1u16).unwrap());
        let lane = lanes.lane(0u16).unwrap();
        let batches = started(lanes, &recorder);
        let batches = Arc::new(batches);
        let callers: Vec<_> = (0..5)
            .map(|item| {
                let batches = Arc::clone(&batches);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(u64::from(item))).await;
                    batches.submit(lane, pending(item)).await.unwrap()
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        recorder.gate.notify_one();
        tokio::time::sleep(Duration::from_millis(100)).await;
        recorder.gate.notify_one();
        for (item, caller) in callers.into_iter().enumerate() {
            assert_eq!(caller.await.unwrap(), item as u32 * 2);
        }
        assert_eq!(*recorder.sizes.lock().unwrap(), [1, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_item_whose_caller_hung_up_before_it_was_sent_is_not_sent() {
        let (recorder, lanes) = (Recorder::default(), Lanes::new(1u16).unwrap());
        let lane = lanes.lane(0u16).unwrap();
        let batches = started(lanes, &recorder);
        let batches = Arc::new(batches);
        let first = tokio::spawn({
            let batches = Arc::clone(&batches);
            async move { batches.submit(lane, pending(1)).await }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(
            tokio::time::timeout(Duration::from_millis(10), batches.submit(lane, pending(2)))
                .await
                .is_err()
        );
        recorder.gate.notify_one();
        assert_eq!(first.await.unwrap().unwrap(), 2);
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(*recorder.sizes.lock().unwrap(), [1]);
    }

    #[derive(Clone, Default)]
    struct Keeper(Arc<Notify>);

    impl BatchCall for Keeper {
        type Item = Arc<()>;
        type Answer = ();

        async fn send(
            &self,
            _: Lane,
            items: Arc<Vec<Pending<Arc<()>>>>,
        ) -> Vec<Result<(), GatewayError>> {
            self.0.notified().await;
            items.iter().map(|_| Ok(())).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_item_that_was_sent_is_held_until_it_is_answered_though_its_caller_hangs_up() {
        let (keeper, lanes) = (Keeper::default(), Lanes::new(1u16).unwrap());
        let lane = lanes.lane(0u16).unwrap();
        let batches = started(lanes, &keeper);
        let held = Arc::new(());
        let pending = Pending {
            item: Arc::clone(&held),
            trace: TraceContext::new_root(false),
            deadline: Instant::now() + Duration::from_secs(60),
        };
        let hung_up = timeout_at(
            tokio::time::Instant::now() + Duration::from_millis(10),
            batches.submit(lane, pending),
        );
        assert!(hung_up.await.is_err());
        assert_eq!(Arc::strong_count(&held), 2, "it is under way");
        keeper.0.notify_one();
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
