use std::time::{Duration, Instant};

use tidegate_types::{CampaignNumber, Timestamp};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Queues;
use crate::{
    QuotaError,
    domain::COHORTS_KEPT_SECONDS,
    store::{FoundQueue, Work, within_limit},
};

/// How often old cohorts and gateways are forgotten, and how many of each at once.
const TIDY_INTERVAL: Duration = Duration::from_secs(30);
const MAX_FORGOTTEN: u32 = 10_000;
/// A waiting room is kept for so long after its campaign.
const KEPT_AFTER_END: Duration = Duration::from_secs(3_600);
/// Far longer than a cohort is kept: a report that is sent again after that finds its cohorts forgotten.
const REPORTERS_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// Work that waits longer for a connection is left to the next round.
const TIDY_TIMEOUT: Duration = Duration::from_secs(5);

impl Queues {
    /// Forgets old cohorts and gateways until `stop` is cancelled. Any number of replicas may do so at once.
    pub async fn keep_tidy(self, stop: CancellationToken) {
        let mut is_failing = false;
        while !stop.is_cancelled() {
            match self.tidy(Timestamp::now_utc()).await {
                Ok(()) => is_failing = false,
                Err(error) if !std::mem::replace(&mut is_failing, true) => {
                    tracing::warn!(%error, "old cohorts of waiting rooms cannot be forgotten: their tables grow, and nobody's place is touched by that; look at the database, this goes on by itself when it is back");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = sleep(TIDY_INTERVAL) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Forgets cohorts whose turns have expired, and gateways that have ended.
    pub async fn tidy(&self, now: Timestamp) -> Result<(), QuotaError> {
        let campaigns = within_limit(async {
            let mut work = self.store.begin(Instant::now() + TIDY_TIMEOUT).await?;
            let outcome = async {
                let since = now - REPORTERS_KEPT;
                work.forget_queue_reporters(since, MAX_FORGOTTEN).await?;
                work.queues_to_tidy(MAX_FORGOTTEN).await
            }
            .await;
            work.end(outcome).await
        })
        .await?;
        for campaign in campaigns {
            within_limit(async {
                let mut work = self.store.begin(Instant::now() + TIDY_TIMEOUT).await?;
                let outcome = tidy(&mut work, campaign, now).await;
                work.end(outcome).await
            })
            .await?;
        }
        Ok(())
    }
}

async fn tidy(work: &mut Work, campaign: CampaignNumber, now: Timestamp) -> Result<(), QuotaError> {
    work.lock_queues(&[campaign]).await?;
    for FoundQueue {
        campaign, queue, ..
    } in work.queues(&[campaign]).await?
    {
        let current = queue.current_cohort(now);
        let due_before = queue
            .serving_second(now)
            .saturating_sub(COHORTS_KEPT_SECONDS);
        let is_over = campaign.closes_at + KEPT_AFTER_END <= now;
        let end = if is_over {
            current
        } else {
            let kept_from = current.minus(COHORTS_KEPT_SECONDS);
            kept_from.min(queue.watermark.cohort)
        };
        work.forget_cohorts(campaign.number, end, due_before, is_over, MAX_FORGOTTEN)
            .await?;
    }
    Ok(())
}
