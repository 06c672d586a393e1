//! Claims: checked at the door, queued if they must, gathered by lane, committed by issuance.

mod confirmation;
mod door;
mod ends;
mod issue;
mod lookup;
mod watch;

use std::{sync::Arc, time::Duration};

use tidegate_proto::issuance::v1::IssuedCoupon;
use tidegate_rpc::{
    client::{LaneBatches, Replicas},
    server::CallContext,
};
use tidegate_types::{CampaignId, CampaignNumber, Lanes, RequestId, ShopperId, TierId};

pub use issue::IssueCall;
pub use watch::StreamPermits;

use crate::{
    campaigns::Campaigns,
    concurrency_limits::ConcurrencyLimit,
    coupon_holders::CouponHolders,
    domain::ticket::{ClaimKey, Ticket},
    error::GatewayError,
    limit_reached::LimitReached,
    permits::Permits,
    waiting_room::{ClaimAttempt, Moment, QueuePosition, WaitingRoom},
};

/// A claim whose fields are within bounds.
#[derive(Debug, Clone)]
pub struct Claim {
    pub campaign: CampaignId,
    pub shopper: ShopperId,
    pub request_id: RequestId,
    /// The tier wanted; any, if none.
    pub tier: Option<TierId>,
    /// The ticket shown, if one is.
    pub ticket: Option<String>,
    /// How long its shopper waits; for ever, if none.
    pub patience: Option<Duration>,
}

impl Claim {
    fn key(&self, campaign: CampaignNumber) -> ClaimKey<'_> {
        ClaimKey {
            campaign,
            shopper: &self.shopper,
            request_id: &self.request_id,
        }
    }
}

#[derive(Debug)]
pub enum Outcome {
    /// The shopper has the coupon.
    Issued(IssuedCoupon),
    /// The shopper has a position in the queue.
    Queued(QueuePosition),
}

/// Serves claims. Cheap to clone.
#[derive(Clone)]
pub struct Claims {
    pub campaigns: Campaigns,
    pub lanes: Lanes,
    pub batches: Arc<LaneBatches<IssueCall>>,
    pub issuance: Replicas,
    pub waiting_room: WaitingRoom,
    pub permits: Arc<Permits>,
    /// Claims that were refused a moment ago.
    pub limit_reached: LimitReached,
    pub coupon_holders: CouponHolders,
    pub claim_limit: ConcurrencyLimit,
    pub read_limit: ConcurrencyLimit,
}

impl Claims {
    /// Claims a coupon: it is issued, or there is a position in the queue, or a reason why not.
    pub async fn claim(&self, claim: &Claim, call: &CallContext) -> Result<Outcome, GatewayError> {
        let ticket = self.ticket(claim, call).await?;
        self.decide(claim, ticket, call).await
    }

    /// Gives a position in the queue up.
    pub async fn leave(&self, claim: &Claim, call: &CallContext) -> Result<(), GatewayError> {
        let campaign = self.campaigns.get(&claim.campaign, call.deadline).await?;
        let shown = claim.ticket.as_deref().unwrap_or_default();
        let key = claim.key(campaign.number);
        let ticket = self.waiting_room.read(shown, key)?;
        let now = Moment::now();
        if campaign.may_queue(now.utc) {
            let attempt = ClaimAttempt {
                campaign: &campaign,
                key,
                tier: ticket.tier,
                patience: None,
                now,
            };
            self.waiting_room.leave(attempt);
        }
        Ok(())
    }

    /// The ticket that the claim shows.
    async fn ticket(
        &self,
        claim: &Claim,
        call: &CallContext,
    ) -> Result<Option<Ticket>, GatewayError> {
        let Some(shown) = &claim.ticket else {
            return Ok(None);
        };
        let campaign = self.campaigns.get(&claim.campaign, call.deadline).await?;
        let key = claim.key(campaign.number);
        self.waiting_room.read(shown, key).map(Some)
    }
}
