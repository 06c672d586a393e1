//! The wallet: reading coupons, and showing them as their callers see them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use tidegate_pg::list_changes;
use tidegate_types::{
    CampaignNumber, ChangePage, ChangeQuery, DecodedCode, RequestId, ShopperId, TierNumber,
};
use uuid::Uuid;

use crate::{
    domain::{
        campaign::CouponControl,
        coupon::{Coupon, StoredCoupon},
    },
    error::{IssuanceError, Result},
    replica::Replica,
    store::{controls, coupons},
};

pub struct EarlierClaim {
    pub campaign: CampaignNumber,
    pub shopper: ShopperId,
    pub request_id: RequestId,
    /// The tier it asks for, which is any if none; `None` if its caller does not say.
    pub tier: Option<Option<TierNumber>>,
}

pub struct Page {
    pub shopper: ShopperId,
    /// Only of this campaign.
    pub campaign: Option<CampaignNumber>,
    pub before: Before,
    pub size: u32,
}

/// Where a page of a wallet begins: everything before this campaign and slot.
pub type Before = (u32, u8);

impl Replica {
    /// A page of a shopper's coupons, newest campaign first, and where the next begins. One whose
    /// key is missing comes without its code.
    pub async fn list_coupons(
        &self,
        page: &Page,
        until: Instant,
    ) -> Result<(Vec<Coupon>, Option<Before>)> {
        let (shopper, size, before) = (&page.shopper, page.size as usize, page.before);
        let lane = self.lanes.of(shopper);
        // One more than asked for tells whether there is a next page.
        let limit = page.size + 1;
        let listed = coupons::list(&self.pool, lane, shopper, before, page.campaign, limit);
        let mut stored = listed.await?;
        let more = stored.len() > size;
        stored.truncate(size);
        let last = stored.last().filter(|_| more);
        let next = last.map(|last| (last.campaign.get(), last.slot.get()));
        Ok((self.present_all(stored, shopper, until).await?, next))
    }

    pub async fn coupon(&self, shopper: &ShopperId, code: &str, until: Instant) -> Result<Coupon> {
        let key = self.keys.decode(code, shopper)?;
        let seen = self.look(shopper, key, until).await?;
        let (coupon, control) = seen.ok_or(IssuanceError::CouponNotFound)?;
        self.campaigns.get_by(coupon.campaign, 0, until).await?;
        self.present(coupon, shopper, control.as_ref())
    }

    /// The coupon that an earlier claim produced. It is no other claim's only because the request id is the same.
    pub async fn of_claim(&self, earlier: &EarlierClaim, until: Instant) -> Result<Option<Coupon>> {
        let (shopper, campaign) = (&earlier.shopper, earlier.campaign);
        let lane = self.lanes.of(shopper);
        let found = coupons::of_claim(&self.pool, lane, shopper, campaign, &earlier.request_id);
        let found: Vec<_> = found.await?.into_iter().collect();
        let is_other = |coupon: &StoredCoupon| {
            let asked = earlier.tier;
            asked.is_some_and(|tier| tier != coupon.requested_tier)
        };
        if found.iter().any(is_other) {
            return Err(IssuanceError::RequestIdConflict);
        }
        let found = self.present_all(found, shopper, until).await?.pop();
        found.map(with_code).transpose()
    }

    pub async fn changes(&self, query: &ChangeQuery) -> Result<ChangePage> {
        let mut connection = self.background.acquire().await?;
        Ok(list_changes(&mut connection, query).await?)
    }

    /// Coupons as callers see them, by what is in force in the database.
    pub(crate) async fn present_all(
        &self,
        stored: Vec<StoredCoupon>,
        shopper: &ShopperId,
        until: Instant,
    ) -> Result<Vec<Coupon>> {
        let campaigns: BTreeSet<_> = stored.iter().map(|coupon| coupon.campaign).collect();
        if campaigns.is_empty() {
            return Ok(Vec::new());
        }
        for campaign in &campaigns {
            self.campaigns.get_by(*campaign, 0, until).await?;
        }
        let campaigns: Vec<_> = campaigns.into_iter().collect();
        let lane = self.lanes.of(shopper);
        let controls = controls::read(&self.pool, lane, &campaigns).await?;
        let present = |coupon: StoredCoupon| {
            let control = controls.get(&coupon.campaign);
            self.present(coupon, shopper, control)
        };
        stored.into_iter().map(present).collect()
    }

    /// The order that each coupon pays for, in the order of the codes; none for a code that never
    /// was this shopper's.
    pub async fn redemptions(&self, codes: &[(ShopperId, &str)]) -> Result<Vec<Option<Uuid>>> {
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
            let coupons = coupons::read(&mut connection, lane, &keys).await?;
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
    ) -> Result<Coupon> {
        let campaign = self.campaigns.get(stored.campaign);
        let campaign = campaign.ok_or_else(|| internal(&stored, "its campaign is not known"))?;
        let control = campaign.coupon_control().or_newer(kept);
        let tier = campaign.tier(stored.tier).cloned();
        let tier = tier.ok_or_else(|| internal(&stored, "its tier is not known"))?;
        Ok(Coupon {
            code: self.keys.code_of(&stored, shopper),
            stored,
            campaign,
            tier,
            control,
        })
    }
}

/// Refuses for now a coupon whose code cannot be told.
pub fn with_code(coupon: Coupon) -> Result<Coupon> {
    let key_id = coupon.stored.key_id;
    let has_code = coupon.code.is_some();
    has_code
        .then_some(coupon)
        .ok_or(IssuanceError::CouponKeyMissing { key_id })
}

fn internal(coupon: &StoredCoupon, why: &str) -> IssuanceError {
    tracing::error!(campaign_number = %coupon.campaign, key_id = coupon.key_id, why, "a coupon cannot be shown");
    IssuanceError::Internal
}
