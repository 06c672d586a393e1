//! The wallet: reading coupons, using them for orders, giving them back.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tidegate_telemetry::{SpanKind, TraceContext};
use tidegate_types::{CampaignNumber, DecodedCode, Lane, Money, ShopperId, Timestamp};
use uuid::Uuid;

use crate::{
    claims::{Claims, EarlierClaim},
    coupon_keys::CouponKeys,
    domain::{
        campaign::{Campaign, CouponControl, RedemptionControl},
        coupon::{Coupon, CouponState, MinimumValidity, StoredCoupon},
        purchase::Purchase,
    },
    error::IssuanceError,
    lane_work::{CouponUse, Done, Redemption, Release, Work},
    store,
};

/// When to ask again for a coupon that came free a moment too late.
const RETRY_WHEN_FREE_AGAIN: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub struct Wallet {
    pub claims: Claims,
    pub keys: Arc<CouponKeys>,
}

/// A coupon and an order, as they come in.
pub struct UseRequest {
    pub shopper: ShopperId,
    pub code: String,
    pub order_id: Uuid,
    /// The story it belongs to.
    pub trace: TraceContext,
    /// When its caller stops waiting.
    pub deadline: Instant,
}

/// A coupon that an order gives back, as it comes in.
pub struct ReleaseRequest {
    /// The coupon and the order.
    pub used: UseRequest,
    /// For how long it is valid from then on at least, if the order held it.
    pub minimum_validity: Option<MinimumValidity>,
}

/// A coupon that is to pay for an order, as it comes in.
pub struct RedeemRequest {
    /// The coupon and the order.
    pub used: UseRequest,
    /// What is known of the order.
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

/// Where a page of a wallet begins: everything before this campaign and slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageStart(pub u32, pub u8);

impl PageStart {
    /// The first page.
    pub const FIRST: Self = Self(0x7FFF_FFFF, u8::MAX);
}

impl Wallet {
    /// A page of a shopper's coupons, newest campaign first, and where the next begins. One whose
    /// key is missing comes without its code.
    pub async fn list(
        &self,
        shopper: &ShopperId,
        campaign: Option<CampaignNumber>,
        (start, page_size): (PageStart, u32),
        until: Instant,
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
        Ok((self.present_all(stored, shopper, until).await?, next))
    }

    /// Reads one coupon by its code.
    pub async fn get(
        &self,
        shopper: &ShopperId,
        code: &str,
        until: Instant,
    ) -> Result<Coupon, IssuanceError> {
        let decoded = self.keys.decode(code, shopper)?;
        let lane = self.claims.lane_count.of(shopper);
        let mut connection = self.claims.pool.acquire().await?;
        let found = store::coupons::read(
            &mut connection,
            lane,
            &[(shopper, decoded.campaign, decoded.slot)],
        )
        .await?;
        drop(connection);
        let found = found.into_iter().flatten().collect();
        let presented = self.present_all(found, shopper, until).await?;
        let mut presented = presented.into_iter();
        presented.next().ok_or(IssuanceError::CouponNotFound)
    }

    /// The coupon that an earlier claim produced.
    pub async fn of_claim(
        &self,
        earlier: &EarlierClaim,
        until: Instant,
    ) -> Result<Option<Coupon>, IssuanceError> {
        let found = self.claims.lookup(earlier).await?.into_iter().collect();
        let coupons = self.present_all(found, &earlier.shopper, until).await?;
        coupons.into_iter().next().map(with_code).transpose()
    }

    /// Coupons as callers see them, by what is in force in the database.
    pub(crate) async fn present_all(
        &self,
        stored: Vec<StoredCoupon>,
        shopper: &ShopperId,
        until: Instant,
    ) -> Result<Vec<Coupon>, IssuanceError> {
        let campaigns: BTreeSet<_> = stored.iter().map(|coupon| coupon.campaign).collect();
        if campaigns.is_empty() {
            return Ok(Vec::new());
        }
        for campaign in &campaigns {
            self.claims.campaigns.get_by(*campaign, 0, until).await?;
        }
        let campaigns: Vec<_> = campaigns.into_iter().collect();
        let lane = self.claims.lane_count.of(shopper);
        let controls = store::controls::read(&self.claims.pool, lane, &campaigns).await?;
        let present = |coupon: StoredCoupon| {
            let control = controls.get(&coupon.campaign);
            self.present(coupon, shopper, control)
        };
        stored.into_iter().map(present).collect()
    }

    /// Uses a coupon for an order. The same order may ask again; one that has given the coupon back does not get it.
    pub async fn redeem(&self, request: RedeemRequest) -> Redeemed {
        let mut span =
            self.claims
                .tracing
                .start("redeem coupon", SpanKind::Internal, request.used.trace);
        let found = async {
            let coupon = self
                .keys
                .decode(&request.used.code, &request.used.shopper)?;
            let (lane, used) = self.coupon_use(&request.used, coupon);
            let campaigns = &self.claims.campaigns;
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
                self.claims.metrics.redeemed.inc();
            }
            Err(error) => {
                self.claims.metrics.refused(error);
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
        let (done, _) = self
            .claims
            .lane(lane)?
            .queue
            .submit(Work::Redeem(redemption), trace, asked.deadline)
            .await?;
        let Done::Coupon(Some((coupon, control))) = done else {
            return Err(IssuanceError::CouponNotFound);
        };
        match refused(&coupon, (campaign, &control), asked.order_id, purchase) {
            None => self.present(*coupon, &asked.shopper, Some(&control)),
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
            .claims
            .tracing
            .start("release coupon", SpanKind::Internal, request.trace);
        let coupon = self.keys.decode_held(&request.code, &request.shopper)?;
        let (lane, used) = self.coupon_use(&request, coupon);
        let campaign = self.claims.campaigns.get(used.campaign);
        let release = Release {
            used,
            extended_valid_until: campaign.and_then(|campaign| campaign.extended_valid_until),
            minimum_validity,
        };
        let (done, _) = self
            .claims
            .lane(lane)?
            .queue
            .submit(Work::Release(release), span.context(), request.deadline)
            .await?;
        Ok(matches!(done, Done::Released(true)))
    }

    /// Adds to a coupon's row what callers see: its code, and its campaign's words. `kept` is what the database says of its campaign's coupons, if it was read.
    pub fn present(
        &self,
        stored: StoredCoupon,
        shopper: &ShopperId,
        kept: Option<&CouponControl>,
    ) -> Result<Coupon, IssuanceError> {
        let campaign = self.claims.campaigns.get(stored.campaign);
        let campaign = campaign.ok_or_else(|| internal(&stored, "its campaign is not known"))?;
        let control = campaign.coupon_control().or_newer(kept);
        let tier = campaign
            .tier(stored.tier)
            .ok_or_else(|| internal(&stored, "its tier is not known"))?;
        let code = self.keys.code_of(&stored, shopper);
        let face_value = Money {
            currency: campaign.currency,
            minor_units: tier.face_value_minor_units,
        };
        Ok(Coupon {
            code,
            campaign_id: campaign.id.clone(),
            tier_id: tier.id.clone(),
            face_value,
            terms: Arc::clone(&tier.terms),
            valid_until: stored.valid_until(control.extended_valid_until),
            redemption: control.redemption,
            stored,
        })
    }

    /// The same for the shopper who is to get the code: a claim without one is answered again later.
    pub fn hand_out(
        &self,
        stored: StoredCoupon,
        shopper: &ShopperId,
        kept: Option<&CouponControl>,
    ) -> Result<Coupon, IssuanceError> {
        let coupon = self.present(stored, shopper, kept).and_then(with_code);
        coupon.inspect_err(|error| self.claims.metrics.refused(error))
    }

    fn coupon_use(&self, request: &UseRequest, coupon: DecodedCode) -> (Lane, CouponUse) {
        let DecodedCode { campaign, slot } = coupon;
        let used = CouponUse {
            shopper: request.shopper.clone(),
            campaign,
            slot,
            order_id: request.order_id,
        };
        (self.claims.lane_count.of(&request.shopper), used)
    }
}

fn with_code(coupon: Coupon) -> Result<Coupon, IssuanceError> {
    let key_id = coupon.stored.key_id;
    let code = coupon.code;
    code.map(|_| coupon)
        .ok_or(IssuanceError::CouponKeyMissing { key_id })
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

fn internal(coupon: &StoredCoupon, why: &str) -> IssuanceError {
    tracing::error!(campaign_number = %coupon.campaign, key_id = coupon.key_id, why, "a coupon cannot be shown");
    IssuanceError::Internal
}
