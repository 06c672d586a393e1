//! Keeps what is over small: has quota settle what was sealed behind its holder's back, archives leases that are settled, and forgets those of campaigns that are retired.
//!
//! Nothing here decides anything: an archived lease answers as it did before, and of a retired campaign no lease is ever installed again. So no clock is trusted, several replicas may do the same at
//! once, and a step that fails is done by the next round.

use std::{sync::Arc, time::Duration};

use tidegate_types::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    replica::Replica,
    store::{history, leases},
};

/// Between two rounds that find little to do.
const ROUND_INTERVAL: Duration = Duration::from_secs(30);
/// Between two batches, so that commits have the database to themselves most of the time.
const BATCH_PAUSE: Duration = Duration::from_millis(50);
const BATCH_LEASES: u32 = 1_000;
/// Batches of one lane in one round, so that every lane has its turn.
const MAX_BATCHES: u32 = 100;
/// Leases of one lane that quota is asked about in one round.
const MAX_RETURNED: u32 = 100;
/// Retired campaigns of one lane that one round forgets.
const MAX_FORGOTTEN_CAMPAIGNS: u32 = 100;
/// A lease stays as it is for so long after its return, while people may still look at it.
const ARCHIVED_AFTER: Duration = Duration::from_secs(600);

impl Replica {
    pub async fn keep_history(self: Arc<Self>, stop: CancellationToken) {
        let mut is_failing = false;
        loop {
            tokio::select! {
                () = sleep(ROUND_INTERVAL) => {}
                () = stop.cancelled() => return,
            }
            // A statement that is cut off by the end of the process is undone by the database.
            let kept = tokio::select! {
                kept = self.history_round(Timestamp::now_utc()) => kept,
                () = stop.cancelled() => return,
            };
            match kept {
                Ok(()) if std::mem::take(&mut is_failing) => {
                    tracing::info!("settled leases are archived again");
                }
                Ok(()) => {}
                Err(error) if !std::mem::replace(&mut is_failing, true) => {
                    tracing::warn!(%error, "settled leases cannot be archived: their tables grow, and nothing else is touched by that; look at the database, this goes on by itself when it is back");
                }
                Err(_) => {}
            }
        }
    }

    async fn history_round(&self, now: Timestamp) -> sqlx::Result<()> {
        for (lane, stock) in self.stocks.iter() {
            let sealed =
                leases::unsettled(&self.background, lane, true, Some(MAX_RETURNED)).await?;
            stock.settle_sealed(sealed).await;
            for _ in 0..MAX_BATCHES {
                let archived =
                    history::archive(&self.background, lane, now - ARCHIVED_AFTER, BATCH_LEASES)
                        .await?;
                self.metrics.leases_archived.inc_by(archived.unsigned_abs());
                if archived < i64::from(BATCH_LEASES) {
                    break;
                }
                sleep(BATCH_PAUSE).await;
            }
            for campaign in
                history::to_forget(&self.background, lane, MAX_FORGOTTEN_CAMPAIGNS).await?
            {
                let mut batches = 0..MAX_BATCHES;
                while batches.next().is_some()
                    && history::forget(&self.background, lane, campaign, BATCH_LEASES).await?
                        == i64::from(BATCH_LEASES)
                {
                    sleep(BATCH_PAUSE).await;
                }
                history::mark_forgotten(&self.background, lane, campaign).await?;
            }
        }
        Ok(())
    }
}
