//! Using coupons for orders, and giving them back.

use std::time::{Duration, Instant};

use tidegate_telemetry::{SpanKind, TraceContext, Tracing};
use tidegate_types::{DecodedCode, Lane, ShopperId, Timestamp};
use uuid::Uuid;

use crate::{
    domain::{
        campaign::{Campaign, CouponControl, RedemptionControl},
        coupon::{Coupon, CouponState, MinimumValidity, StoredCoupon},
        purchase::Purchase,
    },
    error::IssuanceError,
    lane_work::{CouponUse, Queues, Redemption, Release, Work},
    metrics::IssuanceMetrics,
    wallet::Wallet,
};

/// When to ask again for a coupon that came free a moment too late.
const RETRY_WHEN_FREE_AGAIN: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub struct CouponUses {
    pub wallet: Wallet,
    pub queues: Queues,
    pub tracing: Tracing,
    pub metrics: IssuanceMetrics,
}

/// A coupon and an order, as they come in.
pub struct UseRequest {
    pub shopper: ShopperId,
    pub code: String,
    pub order_id: Uuid,
    pub trace: TraceContext,
    pub deadline: Instant,
}

/// A coupon that an order gives back, as it comes in.
pub struct ReleaseRequest {
    pub used: UseRequest,
    /// For how long it is valid from then on at least, if the order held it.
    pub minimum_validity: Option<MinimumValidity>,
}

/// A coupon that is to pay for an order, as it comes in.
pub struct RedeemRequest {
    pub used: UseRequest,
    pub purchase: Purchase,
}

/// What became of a redemption.
pub struct Redeemed {
    /// The coupon, if it pays for the order.
    pub outcome: Result<Coupon, IssuanceError>,
    /// When the coupon's campaign ends, if it is known.
    pub campaign_closes_at: Option<Timestamp>,
}

impl Redeemed {
    /// A redemption that was refused before its campaign was looked at.
    pub fn refused(error: IssuanceError) -> Self {
        Self {
            outcome: Err(error),
            campaign_closes_at: None,
        }
    }
}

impl CouponUses {
    /// Uses a coupon for an order. The same order may ask again; one that has given the coupon back does not get it.
    pub async fn redeem(&self, request: RedeemRequest) -> Redeemed {
        let mut span = self
            .tracing
            .start("redeem coupon", SpanKind::Internal, request.used.trace);
        let found = async {
            let coupon = self
                .wallet
                .keys
                .decode(&request.used.code, &request.used.shopper)?;
            let (lane, used) = self.coupon_use(&request.used, coupon);
            let campaigns = &self.wallet.campaigns;
            let campaign = campaigns
                .get_by(used.campaign, 0, request.used.deadline)
                .await?;
            Ok((lane, used, campaign))
        };
        let found: Result<_, IssuanceError> = found.await;
        let (outcome, campaign_closes_at) = match found {
            Ok((lane, used, campaign)) => {
                let redeemed =
                    self.redeem_traced((lane, used), &request, &campaign, span.context());
                (redeemed.await, Some(campaign.closes_at))
            }
            Err(error) => (Err(error), None),
        };
        match &outcome {
            Ok(_) => {
                self.metrics.redeemed.inc();
            }
            Err(error) => {
                self.metrics.refused(error);
                span.fail(error.to_string());
            }
        }
        Redeemed {
            outcome,
            campaign_closes_at,
        }
    }

    async fn redeem_traced(
        &self,
        (lane, used): (Lane, CouponUse),
        request: &RedeemRequest,
        campaign: &Campaign,
        trace: TraceContext,
    ) -> Result<Coupon, IssuanceError> {
        let RedeemRequest {
            used: asked,
            purchase,
        } = request;
        let redemption = Redemption {
            used,
            payable_tiers: campaign.payable_tiers(purchase),
            control: campaign.coupon_control(),
        };
        let work = |reply| Work::Redeem(redemption, reply);
        let submitted = self.queues[lane].submit(work, trace, asked.deadline);
        let tried = submitted.await?.0.ok_or(IssuanceError::CouponNotFound)?;
        let (coupon, control) = *tried;
        match refused(&coupon, (campaign, &control), asked.order_id, purchase) {
            None => self.wallet.present(coupon, &asked.shopper, Some(&control)),
            Some(error) => Err(error),
        }
    }

    /// Gives back a coupon that the order holds, and keeps the order from taking it later in any case; true if this call gave it back.
    pub async fn release(&self, request: ReleaseRequest) -> Result<bool, IssuanceError> {
        let ReleaseRequest {
            used: request,
            minimum_validity,
        } = request;
        let span = self
            .tracing
            .start("release coupon", SpanKind::Internal, request.trace);
        let coupon = self
            .wallet
            .keys
            .decode_held(&request.code, &request.shopper)?;
        let (lane, used) = self.coupon_use(&request, coupon);
        let campaign = self.wallet.campaigns.get(used.campaign);
        let release = Release {
            used,
            extended_valid_until: campaign.and_then(|campaign| campaign.extended_valid_until),
            minimum_validity,
        };
        let work = |reply| Work::Release(release, reply);
        let submitted = self.queues[lane].submit(work, span.context(), request.deadline);
        Ok(submitted.await?.0)
    }

    fn coupon_use(&self, request: &UseRequest, coupon: DecodedCode) -> (Lane, CouponUse) {
        let DecodedCode { campaign, slot } = coupon;
        let used = CouponUse {
            shopper: request.shopper.clone(),
            campaign,
            slot,
            order_id: request.order_id,
        };
        (self.queues.lanes().of(&request.shopper), used)
    }
}

/// Why a coupon, as it is after the order has tried to use it, does not pay for the order; none if it does.
fn refused(
    coupon: &StoredCoupon,
    (campaign, control): (&Campaign, &CouponControl),
    order_id: Uuid,
    purchase: &Purchase,
) -> Option<IssuanceError> {
    let extended_valid_until = control.extended_valid_until;
    let tier = campaign.tier(coupon.tier);
    let misfit = tier.and_then(|tier| campaign.refuses(tier, purchase));
    let is_halted = control.redemption == RedemptionControl::Halted;
    let error = match (
        coupon.state(extended_valid_until, Timestamp::now_utc()),
        misfit,
    ) {
        (CouponState::Redeemed(holder), _) if holder == order_id => return None,
        _ if coupon.released_order_ids.contains(&order_id) => {
            IssuanceError::OrderReleasedCoupon { order_id }
        }
        (CouponState::Redeemed(order_id), _) => IssuanceError::CouponRedeemed { order_id },
        (CouponState::Revoked, _) => IssuanceError::CouponRevoked,
        // For good, and so told rather than a halt that will be over.
        (CouponState::Issued, Some(misfit)) => IssuanceError::CouponNotApplicable(misfit),
        (CouponState::Issued, None) if is_halted => IssuanceError::RedemptionHalted {
            resume_at: control.resume_at,
        },
        (CouponState::Expired, _) => IssuanceError::CouponExpired {
            valid_until: coupon.valid_until(extended_valid_until),
        },
        // It came free after the statement had looked: another order gave it back.
        (CouponState::Issued, None) => IssuanceError::StockLate {
            retry_after: RETRY_WHEN_FREE_AGAIN,
        },
    };
    Some(error)
}
