//! The wallet: reading coupons, using them for orders, giving them back.

use std::{sync::Arc, time::Instant};

use tidegate_telemetry::{SpanKind, TraceContext};
use tidegate_types::{
    CampaignNumber, CouponCode, CouponKeyring, DecodedCode, Lane, Money, ShopperId, Timestamp,
};
use uuid::Uuid;

use crate::{
    claims::Claims,
    domain::{
        campaign::RedemptionControl,
        coupon::{Coupon, CouponState, StoredCoupon},
    },
    error::IssuanceError,
    lane_work::{CouponUse, Done, Redemption, Work},
    store,
};

/// Reads and uses coupons.
#[derive(Clone)]
pub struct Wallet {
    /// The lanes and campaigns.
    pub claims: Claims,
    /// The keys of codes.
    pub keyring: Arc<CouponKeyring>,
}

/// A coupon and an order, as they come in.
pub struct UseRequest {
    /// Whose coupon.
    pub shopper: ShopperId,
    /// Its code, as typed.
    pub code: String,
    /// The order.
    pub order_id: Uuid,
    /// The story it belongs to.
    pub trace: TraceContext,
    /// When its caller stops waiting.
    pub deadline: Instant,
}

/// Where a page of a wallet begins: everything before this campaign and slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageStart(pub u32, pub u8);

impl PageStart {
    /// The first page.
    pub const FIRST: Self = Self(0x7FFF_FFFF, u8::MAX);
}

impl Wallet {
    /// A page of a shopper's coupons, newest campaign first, and where the next begins.
    pub async fn list(
        &self,
        shopper: &ShopperId,
        campaign: Option<CampaignNumber>,
        start: PageStart,
        page_size: u32,
    ) -> Result<(Vec<Coupon>, Option<PageStart>), IssuanceError> {
        let lane = self.claims.lane_count.of(shopper);
        // One more than asked for tells whether there is a next page.
        let mut stored = store::coupons::list(
            &self.claims.pool,
            lane,
            shopper,
            (start.0, start.1),
            campaign,
            page_size + 1,
        )
        .await?;
        let more = stored.len() > page_size as usize;
        stored.truncate(page_size as usize);
        let next = stored
            .last()
            .filter(|_| more)
            .map(|last| PageStart(last.campaign.get(), last.slot.get()));
        let coupons: Result<Vec<_>, _> = stored
            .into_iter()
            .map(|coupon| self.present(coupon, shopper))
            .collect();
        Ok((coupons?, next))
    }

    /// Reads one coupon by its code.
    pub async fn get(&self, shopper: &ShopperId, code: &str) -> Result<Coupon, IssuanceError> {
        let decoded = self.decode(shopper, code)?;
        let lane = self.claims.lane_count.of(shopper);
        let mut connection = self.claims.pool.acquire().await?;
        let found = store::coupons::read(
            &mut connection,
            lane,
            &[(shopper, decoded.campaign, decoded.slot)],
        )
        .await?;
        self.present(
            found
                .into_iter()
                .flatten()
                .next()
                .ok_or(IssuanceError::CouponNotFound)?,
            shopper,
        )
    }

    /// Uses a coupon for an order. The same order may ask again.
    pub async fn redeem(&self, request: UseRequest) -> Result<Coupon, IssuanceError> {
        let mut span =
            self.claims
                .tracing
                .start("redeem coupon", SpanKind::Internal, request.trace);
        let outcome = self.redeem_traced(&request, span.context()).await;
        match &outcome {
            Ok(_) => {
                self.claims.metrics.redeemed.inc();
            }
            Err(error) => {
                self.claims.metrics.refused(error);
                span.fail(error.to_string());
            }
        }
        outcome
    }

    async fn redeem_traced(
        &self,
        request: &UseRequest,
        trace: TraceContext,
    ) -> Result<Coupon, IssuanceError> {
        let (lane, used) = self.coupon_use(request)?;
        let campaign = self.claims.campaigns.get(used.campaign);
        let campaign = campaign.ok_or(IssuanceError::CampaignNotKnownYet)?;
        let may_redeem = campaign.control.redemption == RedemptionControl::Open;
        let redemption = Redemption {
            used,
            may_redeem,
            extended_valid_until: campaign.extended_valid_until,
        };
        let (done, _) = self
            .claims
            .lane(lane)?
            .queue
            .submit(Work::Redeem(redemption), trace, request.deadline)
            .await?;
        let Done::Coupon(Some(coupon)) = done else {
            return Err(IssuanceError::CouponNotFound);
        };
        match coupon.state(campaign.extended_valid_until, Timestamp::now_utc()) {
            CouponState::Redeemed(order) if order == request.order_id => {
                self.present(*coupon, &request.shopper)
            }
            CouponState::Redeemed(order_id) => Err(IssuanceError::CouponRedeemed { order_id }),
            CouponState::Revoked => Err(IssuanceError::CouponRevoked),
            CouponState::Issued if !may_redeem => Err(IssuanceError::RedemptionHalted {
                resume_at: campaign.control.resume_at,
            }),
            // A coupon that was free and valid would have been redeemed: its end came in between.
            CouponState::Expired | CouponState::Issued => Err(IssuanceError::CouponExpired {
                valid_until: coupon.valid_until(campaign.extended_valid_until),
            }),
        }
    }

    /// Gives back a coupon that the order holds; true if this call changed anything.
    pub async fn release(&self, request: UseRequest) -> Result<bool, IssuanceError> {
        let span = self
            .claims
            .tracing
            .start("release coupon", SpanKind::Internal, request.trace);
        let (lane, used) = self.coupon_use(&request)?;
        let (done, _) = self
            .claims
            .lane(lane)?
            .queue
            .submit(Work::Release(used), span.context(), request.deadline)
            .await?;
        Ok(matches!(done, Done::Released(true)))
    }

    /// Adds to a coupon's row what callers see: its code, and its campaign's words.
    pub fn present(
        &self,
        stored: StoredCoupon,
        shopper: &ShopperId,
    ) -> Result<Coupon, IssuanceError> {
        let campaign = self.claims.campaigns.get(stored.campaign);
        let campaign = campaign.ok_or_else(|| internal(&stored, "its campaign is not known"))?;
        let tier = campaign
            .tier(stored.tier)
            .ok_or_else(|| internal(&stored, "its tier is not known"))?;
        let code = self
            .keyring
            .derive(stored.key_id, stored.campaign, shopper, stored.slot);
        let code = code.ok_or_else(|| {
            internal(
                &stored,
                "its key is gone from TIDEGATE_COUPON_KEYS_FILE; put it back",
            )
        })?;
        let face_value = Money {
            currency: campaign.currency,
            minor_units: tier.face_value_minor_units,
        };
        Ok(Coupon {
            code,
            campaign_id: campaign.id.clone(),
            tier_id: tier.id.clone(),
            face_value,
            valid_until: stored.valid_until(campaign.extended_valid_until),
            redemption: campaign.control.redemption,
            stored,
        })
    }

    /// Which coupon of the shopper a code means.
    pub fn decode(&self, shopper: &ShopperId, code: &str) -> Result<DecodedCode, IssuanceError> {
        let code = CouponCode::parse(code).ok_or(IssuanceError::CouponNotFound)?;
        self.keyring
            .verify(code, shopper)
            .ok_or(IssuanceError::CouponNotFound)
    }

    fn coupon_use(&self, request: &UseRequest) -> Result<(Lane, CouponUse), IssuanceError> {
        let DecodedCode { campaign, slot } = self.decode(&request.shopper, &request.code)?;
        let used = CouponUse {
            shopper: request.shopper.clone(),
            campaign,
            slot,
            order_id: request.order_id,
        };
        Ok((self.claims.lane_count.of(&request.shopper), used))
    }
}

fn internal(coupon: &StoredCoupon, why: &str) -> IssuanceError {
    tracing::error!(campaign_number = %coupon.campaign, key_id = coupon.key_id, why, "a coupon cannot be shown");
    IssuanceError::Internal
}
