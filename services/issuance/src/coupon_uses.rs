//! Using coupons for orders, and giving them back.

use std::time::{Duration, Instant};

use tidegate_types::{DecodedCode, Lane, ShopperId, Timestamp};
use tracing::instrument;
use uuid::Uuid;

use crate::{
    domain::{
        campaign::{Campaign, CouponControl, RedemptionControl},
        coupon::{Coupon, CouponState, MinimumValidity, StoredCoupon},
        purchase::Purchase,
    },
    error::{IssuanceError, Result},
    lane_work::{CouponUse, Redemption, Release, Work},
    replica::Replica,
};

/// When to ask again for a coupon that came free a moment too late.
const RETRY_WHEN_FREE_AGAIN: Duration = Duration::from_millis(100);

pub struct UseRequest {
    pub shopper: ShopperId,
    pub code: String,
    pub order_id: Uuid,
    pub deadline: Instant,
}

/// The coupon, if it pays for the order; and when its campaign ends, if that is known.
pub type Redeemed = (Result<Coupon>, Option<Timestamp>);

impl Replica {
    /// Uses a coupon for an order. The same order may ask again; one that has given the coupon back does not get it.
    #[instrument(name = "redeem coupon", skip_all)]
    pub async fn redeem(&self, request: UseRequest, purchase: &Purchase) -> Redeemed {
        let mut closes_at = None;
        let outcome = self.try_redeem(&request, purchase, &mut closes_at).await;
        let outcome = outcome.inspect_err(|error| self.refused(error));
        if outcome.is_ok() {
            self.metrics.redeemed.inc();
        }
        (outcome, closes_at)
    }

    async fn try_redeem(
        &self,
        request: &UseRequest,
        purchase: &Purchase,
        closes_at: &mut Option<Timestamp>,
    ) -> Result<Coupon> {
        let (keys, campaigns) = (&self.keys, &self.campaigns);
        let coupon = keys.decode(&request.code, &request.shopper)?;
        let (lane, used) = self.coupon_use(request, coupon);
        let campaign = campaigns.get_by(used.campaign, 0, request.deadline);
        let campaign = campaign.await?;
        *closes_at = Some(campaign.closes_at);
        let redemption = Redemption {
            used,
            payable_tiers: campaign.payable_tiers(purchase),
            control: campaign.coupon_control(),
        };
        let work = |reply| Work::Redeem(redemption, reply);
        let submitted = self.queues[lane].submit(work, request.deadline);
        let tried = submitted.await?.0.ok_or(IssuanceError::CouponNotFound)?;
        let (coupon, control) = *tried;
        match refused(&coupon, (&campaign, &control), request.order_id, purchase) {
            None => self.present(coupon, &request.shopper, Some(&control)),
            Some(error) => Err(error),
        }
    }

    /// Gives back a coupon that the order holds, and keeps the order from taking it later in any case; true if this call gave it back.
    /// One that the order held is valid for `minimum_validity` from then on at least.
    #[instrument(name = "release coupon", skip_all)]
    pub async fn release(
        &self,
        request: UseRequest,
        minimum_validity: Option<MinimumValidity>,
    ) -> Result<bool> {
        let (keys, campaigns) = (&self.keys, &self.campaigns);
        let coupon = keys.decode_held(&request.code, &request.shopper)?;
        let (lane, used) = self.coupon_use(&request, coupon);
        let campaign = campaigns.get(used.campaign);
        let release = Release {
            used,
            extended_valid_until: campaign.and_then(|campaign| campaign.extended_valid_until),
            minimum_validity,
        };
        let work = |reply| Work::Release(release, reply);
        let submitted = self.queues[lane].submit(work, request.deadline);
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
        (self.lanes.of(&request.shopper), used)
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
    let state = coupon.state(extended_valid_until, Timestamp::now_utc());
    let error = match (state, misfit) {
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
