//! Bringing what staff said of coupons, halts of redeeming and extensions, into the database that commits redemptions.
//!
//! It is in force once issuance has answered. Until then it is tried again, whoever made the change and
//! however long issuance is away.

use std::time::{Duration, Instant};

use tidegate_telemetry::{FutureExt as _, TraceContext, fail, story};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::instrument;

use crate::{
    domain::Campaign, error::Result, issuance::IssuanceClient, outage::Outage, store::Store,
    wake::Wake,
};

/// Campaigns of one round at most; the next round follows at once.
const CAMPAIGNS_PER_ROUND: i64 = 100;
/// How soon what could not be brought is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// How often the database is looked at for what another replica of quota left undone.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// A note that waits longer for a connection is left to the next round.
const NOTE_TIMEOUT: Duration = Duration::from_secs(5);

/// Brings controls to issuance. Any number of replicas may do so at once: issuance keeps the newest revision.
pub struct Fencer {
    pub store: Store,
    pub issuance: IssuanceClient,
    pub wake: Wake,
}

impl Fencer {
    pub async fn run(self, stop: CancellationToken) {
        let mut outage = Outage::default();
        while !stop.is_cancelled() {
            let brought = self.round().await;
            outage.note(
                &brought,
                "what staff say of coupons cannot be brought to issuance: halts of redeeming and extensions are not acknowledged, and nothing is lost by that; look at issuance and the database, this goes on by itself when they are back",
                "what staff say of coupons is brought to issuance again",
            );
            let pause = match brought {
                Ok(brought) if brought == CAMPAIGNS_PER_ROUND as usize => continue,
                Ok(_) => LOOK_INTERVAL,
                Err(_) => RETRY_INTERVAL,
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.wake.woken() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Brings what there is to bring; how much that was. One campaign that fails keeps no other back.
    pub async fn round(&self) -> Result<usize> {
        let cause = self.wake.cause().map_or_else(story, TraceContext::context);
        let campaigns = self
            .store
            .read(async |read| read.campaigns_to_fence(CAMPAIGNS_PER_ROUND).await)
            .await?;
        let mut outcome = Ok(campaigns.len());
        for campaign in &campaigns {
            if let Err(error) = self.bring(campaign).with_context(cause.clone()).await {
                outcome = Err(error);
            }
        }
        outcome
    }

    #[instrument(name = "apply control", skip_all, fields(tidegate.campaign = %campaign.terms.id))]
    async fn bring(&self, campaign: &Campaign) -> Result {
        let applied = self.issuance.apply_control(campaign).await;
        applied.inspect_err(fail)?;
        self.store
            .transaction(Instant::now() + NOTE_TIMEOUT, async |work| {
                work.mark_fenced(campaign.number, campaign.revision).await
            })
            .await
    }
}
