//! Replays a real day against the gateways: open loop, so that a slow answer delays nobody else's claim and every latency counts from the
//! moment the claim was due.

mod calls;
pub mod finals;
mod ordering;
mod queueing;
mod shopper;
mod waiting;

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    collector::Collector, crowd::schedule::Schedule, door::Door, ledger::Ledger, measures::Measures,
};

/// Between a shopper's steps and the end of its last retry nothing takes longer; what does is cut off and counted as unanswered.
const LAST_SHOPPER_LIMIT: Duration = Duration::from_secs(90);

#[derive(Debug)]
pub struct Scene {
    pub door: Door,
    pub ledger: Ledger,
    pub measures: Measures,
    /// Where traced shoppers leave their own spans.
    pub collector: Collector,
    pub campaign_id: String,
    pub started: Instant,
    /// When the campaign opens, as a moment of the replay.
    pub opening: Duration,
}

impl Scene {
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Sends every arrival of the schedule when it is due and waits for the last shopper.
///
/// Dropping the future ends every call under way.
pub async fn run(scene: Arc<Scene>, schedule: Schedule) {
    let mut shoppers = JoinSet::new();
    for arrival in schedule {
        let due = scene.started + arrival.at;
        // Sleeping has the grain of a millisecond; what is due within it goes out at once.
        if due > Instant::now() {
            sleep_until(due).await;
        }
        shoppers.spawn(shopper::live(scene.clone(), arrival, due));
        while shoppers.try_join_next().is_some() {}
    }
    let _ = tokio::time::timeout(LAST_SHOPPER_LIMIT, async {
        while shoppers.join_next().await.is_some() {}
    })
    .await;
    shoppers.shutdown().await;
    scene.measures.close();
}
