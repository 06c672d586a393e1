//! The wallet: reading coupons, and showing them as their callers see them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use sqlx::PgPool;
use tidegate_types::{CampaignNumber, DecodedCode, Lanes, Money, RequestId, ShopperId, TierNumber};
use uuid::Uuid;

use crate::{
    campaigns::Campaigns,
    coupon_keys::CouponKeys,
    domain::{
        campaign::CouponControl,
        coupon::{Coupon, StoredCoupon},
    },
    error::IssuanceError,
    metrics::IssuanceMetrics,
    store,
};

#[derive(Clone)]
pub struct Wallet {
    pub keys: Arc<CouponKeys>,
    pub campaigns: Campaigns,
    pub pool: PgPool,
    pub lanes: Lanes,
    pub metrics: IssuanceMetrics,
}

/// A claim that was made before.
pub struct EarlierClaim {
    pub campaign: CampaignNumber,
    pub shopper: ShopperId,
    pub request_id: RequestId,
    /// What it asks for; `None` if its caller does not say.
    pub content: Option<ClaimContent>,
}

/// What a claim asks for, beside what names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimContent {
    /// The tier wanted; any, if none.
    pub tier: Option<TierNumber>,
}

/// Where a page of a wallet begins: everything before this campaign and slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageStart(pub u32, pub u8);

impl PageStart {
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
        let lane = self.lanes.of(shopper);
        // One more than asked for tells whether there is a next page.
        let mut stored = store::coupons::list(
            &self.pool,
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

    pub async fn get(
        &self,
        shopper: &ShopperId,
        code: &str,
        until: Instant,
    ) -> Result<Coupon, IssuanceError> {
        let decoded = self.keys.decode(code, shopper)?;
        let lane = self.lanes.of(shopper);
        let mut connection = self.pool.acquire().await?;
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

    /// The coupon that an earlier claim produced. It is no other claim's only because the request id is the same.
    pub async fn of_claim(
        &self,
        earlier: &EarlierClaim,
        until: Instant,
    ) -> Result<Option<Coupon>, IssuanceError> {
        let EarlierClaim {
            campaign,
            shopper,
            request_id,
            content,
        } = earlier;
        let lane = self.lanes.of(shopper);
        let found =
            store::coupons::of_claim(&self.pool, lane, shopper, *campaign, request_id).await?;
        let asked_for = |coupon: &StoredCoupon| {
            content.is_none_or(|content| content.tier == coupon.requested_tier)
        };
        if found.as_ref().is_some_and(|found| !asked_for(found)) {
            return Err(IssuanceError::RequestIdConflict);
        }
        let found = found.into_iter().collect();
        let coupons = self.present_all(found, shopper, until).await?;
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
            self.campaigns.get_by(*campaign, 0, until).await?;
        }
        let campaigns: Vec<_> = campaigns.into_iter().collect();
        let lane = self.lanes.of(shopper);
        let controls = store::controls::read(&self.pool, lane, &campaigns).await?;
        let present = |coupon: StoredCoupon| {
            let control = controls.get(&coupon.campaign);
            self.present(coupon, shopper, control)
        };
        stored.into_iter().map(present).collect()
    }

    /// The order that each coupon pays for, in the order of the codes; none for a code that never
    /// was this shopper's.
    pub async fn redemptions(
        &self,
        codes: &[(ShopperId, &str)],
    ) -> Result<Vec<Option<Uuid>>, IssuanceError> {
        let mut by_lane = BTreeMap::<_, Vec<_>>::new();
        for (place, (shopper, typed)) in codes.iter().enumerate() {
            match self.keys.decode_held(typed, shopper) {
                Ok(DecodedCode { campaign, slot }) => by_lane
                    .entry(self.lanes.of(shopper))
                    .or_default()
                    .push((place, (shopper, campaign, slot))),
                Err(IssuanceError::CouponNotFound) => {}
                Err(error) => return Err(error),
            }
        }
        let mut order_ids = vec![None; codes.len()];
        for (lane, asked) in by_lane {
            let keys: Vec<_> = asked.iter().map(|(_, key)| *key).collect();
            let mut connection = self.pool.acquire().await?;
            let coupons = store::coupons::read(&mut connection, lane, &keys).await?;
            for ((place, _), coupon) in asked.into_iter().zip(coupons) {
                order_ids[place] = coupon.and_then(|coupon| coupon.order_id);
            }
        }
        Ok(order_ids)
    }
    /// Adds to a coupon's row what callers see: its code, and its campaign's words. `kept` is what the database says of its campaign's coupons, if it was read.
    pub fn present(
        &self,
        stored: StoredCoupon,
        shopper: &ShopperId,
        kept: Option<&CouponControl>,
    ) -> Result<Coupon, IssuanceError> {
        let campaign = self.campaigns.get(stored.campaign);
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
        coupon.inspect_err(|error| self.metrics.refused(error))
    }
}

fn with_code(coupon: Coupon) -> Result<Coupon, IssuanceError> {
    let key_id = coupon.stored.key_id;
    let code = coupon.code;
    code.map(|_| coupon)
        .ok_or(IssuanceError::CouponKeyMissing { key_id })
}

fn internal(coupon: &StoredCoupon, why: &str) -> IssuanceError {
    tracing::error!(campaign_number = %coupon.campaign, key_id = coupon.key_id, why, "a coupon cannot be shown");
    IssuanceError::Internal
}
