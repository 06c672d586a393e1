//! Keeps what is over small: archives settled leases, retires campaigns that closed long ago, and forgets their leases.
//!
//! An archived lease answers as it did before, so when it is archived is nobody's concern. A campaign is retired only once an audit has found all of it sound after nothing could change any more; from
//! then on neither quota grants nor issuance installs a lease of it, whatever any clock says, so a lease that is forgotten cannot come back.

use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tidegate_telemetry::{FutureExt as _, story};
use tidegate_types::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::nothing_leased,
    error::{QuotaError, Result},
    issuance::IssuanceClient,
    metrics::Metrics,
    outage::Outage,
    store::Store,
};

const ROUND_INTERVAL: Duration = Duration::from_secs(30);
/// Between two batches, so that grants have the database to themselves most of the time.
const BATCH_PAUSE: Duration = Duration::from_millis(50);
const BATCH_LEASES: i64 = 1_000;
const MAX_BATCHES: u32 = 200;
/// Campaigns that one round retires, and forgets the leases of.
const MAX_CAMPAIGNS: i64 = 100;
/// A lease stays as it is for so long after it was settled, while people may still look at it.
const ARCHIVED_AFTER: Duration = Duration::from_secs(600);
/// Work that waits longer for a connection is left to the next round.
const BATCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps history small. Any number of replicas may do so at once.
pub struct History {
    /// One of its own, so that nobody else waits for its connections.
    pub store: Store,
    pub issuance: IssuanceClient,
    pub metrics: Metrics,
    /// Leases are kept for so long after their campaign's end.
    pub retention: Duration,
}

impl History {
    pub async fn run(self, stop: CancellationToken) {
        let mut outage = Outage::default();
        loop {
            let round = async {
                sleep(ROUND_INTERVAL).await;
                self.round(Timestamp::now_utc()).await
            };
            let Some(kept) = stop.run_until_cancelled(round).await else {
                return;
            };
            outage.note(
                &kept,
                "settled leases cannot be archived or forgotten: their tables grow, and nothing else is touched by that; look at issuance and the database, this goes on by itself when they are back",
                "settled leases are archived and forgotten again",
            );
        }
    }

    pub async fn round(&self, now: Timestamp) -> Result {
        self.archive(now - ARCHIVED_AFTER).await?;
        self.retire(now).await?;
        self.forget().await
    }

    pub async fn archive(&self, settled_before: Timestamp) -> Result {
        let archive = || {
            self.store.transaction(deadline(), async |work| {
                work.archive_leases(settled_before, BATCH_LEASES).await
            })
        };
        in_batches(&self.metrics.leases_archived, archive).await
    }

    /// Retires campaigns that closed before the retention, of which all was compared and nothing can change any more.
    async fn retire(&self, now: Timestamp) -> Result {
        let campaigns = self.store.read(async |read| {
            read.campaigns_to_retire(now - self.retention, MAX_CAMPAIGNS)
                .await
        });
        for campaign in campaigns.await? {
            let retired = self.store.transaction(deadline(), async |work| {
                if nothing_leased(&work.lock_tiers(campaign).await?) {
                    work.retire_campaign(campaign, now).await?;
                }
                Ok(())
            });
            match retired.await {
                // One that has no tiers keeps no other from being retired.
                Ok(()) | Err(QuotaError::CampaignNotFound) => {}
                failed => return failed,
            }
        }
        Ok(())
    }

    /// Forgets the leases of retired campaigns, once issuance has answered that none of them can arrive any more.
    async fn forget(&self) -> Result {
        let campaigns = self
            .store
            .read(async |read| read.campaigns_to_forget(MAX_CAMPAIGNS).await);
        for campaign in campaigns.await? {
            self.issuance.retire(campaign).with_context(story()).await?;
            let forget = || {
                self.store.transaction(deadline(), async |work| {
                    work.forget_leases(campaign, BATCH_LEASES).await
                })
            };
            in_batches(&self.metrics.leases_forgotten, forget).await?;
            let forgotten = self.store.transaction(deadline(), async |work| {
                work.mark_leases_forgotten(campaign).await
            });
            forgotten.await?;
        }
        Ok(())
    }
}

fn deadline() -> Instant {
    Instant::now() + BATCH_TIMEOUT
}

/// Does a batch after the other, counting what they come to, until one is not full or it is enough for a round.
async fn in_batches<Batch: Future<Output = Result<u64>>>(
    counter: &Counter,
    batch: impl Fn() -> Batch,
) -> Result {
    for _ in 0..MAX_BATCHES {
        let done = batch().await?;
        counter.inc_by(done);
        if done < BATCH_LEASES as u64 {
            break;
        }
        sleep(BATCH_PAUSE).await;
    }
    Ok(())
}
