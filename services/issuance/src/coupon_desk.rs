//! What staff do with coupons: withdraw one, or give them to a list of shoppers. Both are recorded
//! in the transaction that does them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::PgPool;
use tidegate_pg::list_changes;
use tidegate_telemetry::{SpanKind, TraceContext};
use tidegate_types::{
    Actor, CampaignId, ChangePage, ChangeQuery, ChangeReason, DecodedCode, RequestId, Retry,
    ShopperId, TierNumber,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

use crate::{
    claims::{ClaimRequest, Claims},
    domain::{campaign::Campaign, coupon::Coupon},
    error::IssuanceError,
    lane_work::{ByStaff, Done, Revocation, Work},
    wallet::Wallet,
};

/// Streams of grants that one process serves at once.
pub const MAX_GRANT_STREAMS: usize = 16;
/// How long one grant is tried before it is refused.
const GRANT_PATIENCE: Duration = Duration::from_secs(5);
/// How long a campaign that is not known yet is waited for: staff may have made it a moment ago.
const WAIT_FOR_CAMPAIGN: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub struct CouponDesk {
    claims: Claims,
    wallet: Wallet,
    background: PgPool,
    streams: Arc<Semaphore>,
}

/// A coupon that is to be withdrawn.
pub struct RevokeRequest {
    pub shopper: ShopperId,
    pub code: String,
    pub reason: ChangeReason,
    pub actor: Option<Actor>,
    /// The story it belongs to.
    pub trace: TraceContext,
    /// When its caller stops waiting.
    pub deadline: Instant,
}

/// A coupon that is to be given to a shopper.
pub struct Grant {
    pub shopper: ShopperId,
    pub request_id: RequestId,
    /// The tier; any, if none.
    pub tier: Option<TierNumber>,
}

impl CouponDesk {
    /// A desk with no stream open yet. What was changed is read over the `background` connections.
    pub fn new(claims: Claims, wallet: Wallet, background: PgPool) -> Self {
        Self {
            claims,
            wallet,
            background,
            streams: Arc::new(Semaphore::new(MAX_GRANT_STREAMS)),
        }
    }

    /// Withdraws a coupon for ever; true if it had been withdrawn before.
    pub async fn revoke(&self, request: RevokeRequest) -> Result<(Coupon, bool), IssuanceError> {
        let tracing = &self.claims.tracing;
        let mut span = tracing.start("revoke coupon", SpanKind::Internal, request.trace);
        let outcome = self.revoke_traced(request, span.context()).await;
        match &outcome {
            Ok(_) => {
                self.claims.metrics.revoked.inc();
            }
            Err(error) => {
                self.claims.metrics.refused(error);
                span.fail(error.to_string());
            }
        }
        outcome
    }

    async fn revoke_traced(
        &self,
        request: RevokeRequest,
        trace: TraceContext,
    ) -> Result<(Coupon, bool), IssuanceError> {
        let shopper = request.shopper;
        let DecodedCode { campaign, slot } = self.wallet.keys.decode(&request.code, &shopper)?;
        // The answer shows the campaign's words, which another replica may have heard of first.
        let campaigns = &self.claims.campaigns;
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
        let lane = self.claims.lane(self.claims.lane_count.of(&shopper))?;
        let (done, _) = lane
            .queue
            .submit(Work::Revoke(revocation), trace, request.deadline)
            .await?;
        let Done::Revoked(Some((coupon, changed))) = done else {
            return Err(IssuanceError::CouponNotFound);
        };
        match coupon.order_id {
            _ if coupon.revoked => Ok((self.wallet.present(*coupon, &shopper, None)?, !changed)),
            Some(order_id) => Err(IssuanceError::CouponRedeemed { order_id }),
            None => Err(IssuanceError::Internal),
        }
    }

    /// A place for one stream of grants, held as long as it lasts.
    pub fn open_stream(&self) -> Result<OwnedSemaphorePermit, IssuanceError> {
        let streams = Arc::clone(&self.streams);
        let place = streams.try_acquire_owned();
        place.map_err(|_| IssuanceError::TooManyGrantStreams)
    }

    pub async fn campaign(&self, id: &CampaignId) -> Result<Arc<Campaign>, IssuanceError> {
        let until = Instant::now() + WAIT_FOR_CAMPAIGN;
        self.claims.campaigns.find_by(id, until).await
    }

    /// A page of what staff changed.
    pub async fn changes(&self, query: &ChangeQuery) -> Result<ChangePage, IssuanceError> {
        let mut connection = self.background.acquire().await?;
        Ok(list_changes(&mut connection, query).await?)
    }

    /// Gives a coupon to a shopper, as a claim would; true if an earlier grant or claim with this request id did. What only time can mend is tried again for a few seconds.
    pub async fn grant(
        &self,
        campaign: &Campaign,
        grant: Grant,
        (granted_by, trace): (Option<(Actor, ChangeReason)>, TraceContext),
    ) -> Result<(Coupon, bool), IssuanceError> {
        let deadline = Instant::now() + GRANT_PATIENCE;
        let mut revision = campaign.revision;
        loop {
            let request = ClaimRequest {
                campaign: campaign.number,
                campaign_revision: revision,
                shopper: grant.shopper.clone(),
                request_id: grant.request_id.clone(),
                tier: grant.tier,
                trace,
                deadline,
                granted_by: granted_by.clone(),
            };
            let error = match self.claims.issue(request).await.outcome {
                Ok(issued) => {
                    let in_force = issued.in_force.as_ref();
                    let coupon = self
                        .wallet
                        .hand_out(issued.coupon, &grant.shopper, in_force)?;
                    return Ok((coupon, issued.replayed));
                }
                // Staff may have added budget, raised the limit or moved the end since this replica
                // heard of the campaign.
                Err(
                    refused @ (IssuanceError::BudgetExhausted
                    | IssuanceError::ShopperLimitReached
                    | IssuanceError::CampaignClosed),
                ) => {
                    let number = campaign.number;
                    let told = self.claims.campaigns.confirm(number, deadline).await?;
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
