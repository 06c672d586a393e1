//! What staff do with coupons: withdraw one, or give them to a list of shoppers. Both are recorded
//! in the transaction that does them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tidegate_types::{
    Actor, CampaignId, ChangeReason, DecodedCode, RequestId, Retry, ShopperId, TierNumber,
};
use tokio::{sync::OwnedSemaphorePermit, time::sleep};
use tracing::instrument;

use crate::{
    claims::ClaimRequest,
    domain::{campaign::Campaign, claim::ByStaff, coupon::Coupon},
    error::{IssuanceError, Result},
    lane_work::{Revocation, Work},
    replica::Replica,
};

/// Streams of grants that one process serves at once.
pub const MAX_GRANT_STREAMS: usize = 16;
/// How long one grant is tried before it is refused.
const GRANT_PATIENCE: Duration = Duration::from_secs(5);
/// How long a campaign that is not known yet is waited for: staff may have made it a moment ago.
const WAIT_FOR_CAMPAIGN: Duration = Duration::from_millis(500);

/// A coupon that is to be withdrawn.
pub struct RevokeRequest {
    pub shopper: ShopperId,
    pub code: String,
    pub reason: ChangeReason,
    pub actor: Option<Actor>,
    pub deadline: Instant,
}

/// A coupon that is to be given to a shopper.
pub struct Grant {
    pub shopper: ShopperId,
    pub request_id: RequestId,
    /// The tier; any, if none.
    pub tier: Option<TierNumber>,
}

impl Replica {
    /// Withdraws a coupon for ever; true if it had been withdrawn before.
    #[instrument(name = "revoke coupon", skip_all)]
    pub async fn revoke(&self, request: RevokeRequest) -> Result<(Coupon, bool)> {
        let outcome = self.try_revoke(request).await;
        let revoked = outcome.inspect_err(|error| self.refused(error))?;
        self.metrics.revoked.inc();
        Ok(revoked)
    }

    async fn try_revoke(&self, request: RevokeRequest) -> Result<(Coupon, bool)> {
        let shopper = request.shopper;
        let DecodedCode { campaign, slot } = self.keys.decode(&request.code, &shopper)?;
        // The answer shows the campaign's words, which another replica may have heard of first.
        let campaigns = &self.campaigns;
        let known = campaigns.get_by(campaign, 0, request.deadline).await?;
        let revoked_by = request.actor.map(|actor| {
            Box::new(ByStaff {
                actor,
                reason: request.reason.clone(),
                campaign: known,
            })
        });
        let revocation = Revocation {
            shopper: shopper.clone(),
            campaign,
            slot,
            reason: request.reason,
            revoked_by,
        };
        let queue = &self.queues[self.lanes.of(&shopper)];
        let work = |reply| Work::Revoke(revocation, reply);
        let submitted = queue.submit(work, request.deadline).await?;
        let (coupon, changed) = *submitted.0.ok_or(IssuanceError::CouponNotFound)?;
        match coupon.order_id {
            _ if coupon.revoked => Ok((self.present(coupon, &shopper, None)?, !changed)),
            Some(order_id) => Err(IssuanceError::CouponRedeemed { order_id }),
            None => Err(IssuanceError::Internal),
        }
    }

    /// A place for one stream of grants, held as long as it lasts.
    pub fn open_grants(&self) -> Result<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.grant_streams).try_acquire_owned();
        place.map_err(|_| IssuanceError::NotNow("too many streams of grants are open"))
    }

    pub async fn campaign_of(&self, id: &CampaignId) -> Result<Arc<Campaign>> {
        let until = Instant::now() + WAIT_FOR_CAMPAIGN;
        self.campaigns.find_by(id, until).await
    }

    /// Gives a coupon to a shopper, as a claim would; true if an earlier grant or claim with this request id did. What only time can mend is tried again for a few seconds.
    pub async fn grant(
        &self,
        campaign: &Campaign,
        grant: Grant,
        granted_by: Option<(Actor, ChangeReason)>,
    ) -> Result<(Coupon, bool)> {
        let deadline = Instant::now() + GRANT_PATIENCE;
        let mut revision = campaign.revision;
        loop {
            let request = ClaimRequest {
                campaign: campaign.number,
                campaign_revision: revision,
                shopper: grant.shopper.clone(),
                request_id: grant.request_id.clone(),
                tier: grant.tier,
                deadline,
                granted_by: granted_by.clone(),
            };
            let error = match self.issue(request).await.0 {
                Ok(issued) => return self.hand_out(issued, &grant.shopper),
                // Staff may have added budget, raised the limit or moved the end since this replica
                // heard of the campaign.
                Err(
                    refused @ (IssuanceError::BudgetExhausted
                    | IssuanceError::ShopperLimitReached
                    | IssuanceError::CampaignClosed),
                ) => {
                    let number = campaign.number;
                    let told = self.campaigns.confirm(number, deadline).await?;
                    if told.revision <= revision {
                        return Err(refused);
                    }
                    let id_in = |campaign: &Campaign| {
                        let tier = grant.tier.and_then(|tier| campaign.tier(tier));
                        tier.map(|tier| tier.id.clone())
                    };
                    if id_in(&told) != id_in(campaign) {
                        return Err(IssuanceError::CampaignNotKnownYet);
                    }
                    revision = told.revision;
                    continue;
                }
                Err(error) => error,
            };
            match error.refusal().retry {
                Retry::After(delay) if Instant::now() + delay < deadline => sleep(delay).await,
                Retry::After(_) | Retry::At(_) | Retry::Never => return Err(error),
            }
        }
    }
}
