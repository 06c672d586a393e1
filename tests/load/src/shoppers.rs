//! Shoppers in an open loop: they come when they come, however the door does, and each takes the
//! answers in its own manner.

pub mod arrivals;
pub mod claim_answer;
pub mod journey;
mod visit;

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use tidegate_client::Caller;
use tokio::{
    runtime::Handle,
    task::{JoinSet, yield_now},
    time::{Instant, sleep_until, timeout_at},
};

use arrivals::Arrivals;
use journey::{Journey, Manner};

/// Shoppers that are sent off before others get their turn on the thread.
const SENT_OFF_IN_A_ROW: u32 = 64;

/// What all shoppers of a crowd share.
pub struct Scene {
    pub caller: Arc<Caller>,
    /// What they claim from.
    pub campaign_id: String,
    /// Sets these shoppers apart from those of other crowds.
    pub round: String,
    /// How long a shopper is content to take, from arriving to the coupon. Who is told that the
    /// shortest wait is more than half of what is left of it gives the place up.
    pub patience: Duration,
    /// How long after the coupon a shopper orders with it, if at all.
    pub orders_after: Option<Duration>,
    pub began: Instant,
}

impl Scene {
    /// A crowd that begins now.
    pub fn new(caller: &Arc<Caller>, campaign_id: &str, round: &str, patience: Duration) -> Self {
        Self {
            caller: Arc::clone(caller),
            campaign_id: campaign_id.to_owned(),
            round: round.to_owned(),
            patience,
            orders_after: None,
            began: Instant::now(),
        }
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// Lets everybody come and waits for the last one, no longer than `at_most` from the beginning; who
/// is on the way then is counted as waiting.
pub async fn come(
    scene: Scene,
    arrivals: Arrivals,
    manner_of: impl Fn(u64) -> Manner + Send + 'static,
    at_most: Duration,
    threads: &Handle,
) -> Result<Vec<Journey>> {
    let dispatching = threads.spawn(dispatch(Arc::new(scene), arrivals, manner_of, at_most));
    dispatching.await?
}

async fn dispatch(
    scene: Arc<Scene>,
    arrivals: Arrivals,
    manner_of: impl Fn(u64) -> Manner,
    at_most: Duration,
) -> Result<Vec<Journey>> {
    let mut visits = JoinSet::new();
    let mut sent_off = 0;
    let end = scene.began + at_most;
    for (number, due) in (0..).zip(arrivals) {
        // Sleeping has the grain of a millisecond; what is due within it goes out at once.
        if scene.elapsed() < due {
            sleep_until(scene.began + due).await;
            sent_off = 0;
        } else if sent_off == SENT_OFF_IN_A_ROW {
            yield_now().await;
            sent_off = 0;
        }
        sent_off += 1;
        visits.spawn(visit::visit(
            Arc::clone(&scene),
            number,
            due,
            manner_of(number),
            end,
        ));
    }
    let mut journeys = Vec::with_capacity(visits.len());
    // Each visit ends by itself at the end of the crowd; the margin is for one call that is under
    // way then.
    let margin = tidegate_client::CALL_LIMIT * 2;
    while let Ok(Some(journey)) = timeout_at(end + margin, visits.join_next()).await {
        journeys.push(journey?);
    }
    journeys.sort_by_key(|journey| journey.due);
    Ok(journeys)
}
