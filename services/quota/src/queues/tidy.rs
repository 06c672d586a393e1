use std::time::{Duration, Instant};

use tidegate_types::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Queues;
use crate::{domain::TURNS_KEPT, error::QuotaError, outage::Outage, store::Work};

/// How often what is over is forgotten, and how many rows of a kind at once.
const TIDY_INTERVAL: Duration = Duration::from_secs(30);
const MAX_FORGOTTEN: u32 = 10_000;
/// A waiting room is kept for so long after its campaign.
const KEPT_AFTER_END: Duration = Duration::from_secs(3_600);
/// Far longer than a report may be on its way: one that comes after that is taken for a new one.
const REPORTS_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// Work that waits longer for a connection is left to the next round.
const TIDY_TIMEOUT: Duration = Duration::from_secs(5);

impl Queues {
    /// Forgets what is over until `stop` is cancelled. Any number of replicas may do so at once.
    pub async fn keep_tidy(self, stop: CancellationToken) {
        let mut outage = Outage::default();
        while !stop.is_cancelled() {
            outage.note(
                &self.tidy(Timestamp::now_utc()).await,
                "what is over of waiting rooms cannot be forgotten: their tables grow, and nobody's turn is touched by that; look at the database, this goes on by itself when it is back",
                "what is over of waiting rooms is forgotten again",
            );
            tokio::select! {
                () = sleep(TIDY_INTERVAL) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Forgets turns that have expired, gateways that have ended, and the waiting rooms of campaigns that are long over.
    pub async fn tidy(&self, now: Timestamp) -> Result<(), QuotaError> {
        self.store
            .transaction(Instant::now() + TIDY_TIMEOUT, async |work| {
                tidy(work, now).await
            })
            .await
    }
}

async fn tidy(work: &mut Work, now: Timestamp) -> Result<(), QuotaError> {
    work.forget_queues(now - KEPT_AFTER_END, MAX_FORGOTTEN)
        .await?;
    work.forget_queue_reports(REPORTS_KEPT, MAX_FORGOTTEN)
        .await?;
    work.forget_queue_marks(TURNS_KEPT, MAX_FORGOTTEN).await
}
