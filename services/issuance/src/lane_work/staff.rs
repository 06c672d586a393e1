//! What staff do with coupons, and what is recorded of it in the same transaction.

use sqlx::PgConnection;
use tidegate_pg::Reply;
use tidegate_types::{Change, CouponCode, ResourceKind, ShopperId, Timestamp};

use super::{Claimed, LaneCommit, Revocation, Revocations};
use crate::{
    domain::{
        campaign::Campaign,
        claim::ByStaff,
        coupon::{CouponState, StoredCoupon},
    },
    store::{
        coupon_changes,
        coupons::{self, CouponKey, IssueRow},
    },
};

impl ByStaff {
    /// A change of a coupon. It names the coupon by all but its code, which is worth money.
    fn change(
        &self,
        action: &str,
        shopper: &ShopperId,
        coupon: &StoredCoupon,
        code: Option<CouponCode>,
        now: Timestamp,
    ) -> Change {
        let resource = (ResourceKind::Coupon, shopper.as_str());
        let tier = self.campaign.tier(coupon.tier);
        let tier = tier.map_or(coupon.tier.to_string(), |tier| tier.id.to_string());
        Change::new(&self.actor, now, action, resource, self.reason.as_str())
            .with_field("campaign_id", "", &self.campaign.id)
            .with_field("tier_id", "", tier)
            .with_field("slot", "", coupon.slot)
            .with_field("code", "", code.map(CouponCode::masked).unwrap_or_default())
    }
}

impl LaneCommit {
    /// What is to be recorded of a batch's grants: those that got a new coupon.
    pub(super) fn granted(
        &self,
        claims: &[IssueRow<'_>],
        replies: &[&mut Reply<Claimed>],
        now: Timestamp,
    ) -> Vec<Change> {
        let changes = claims.iter().zip(replies).filter_map(|(row, reply)| {
            let claim = row.claim;
            let by = claim.granted_by.as_ref()?;
            let Some(Claimed::Issued(issued)) = reply.outcome() else {
                return None;
            };
            let coupon = Some(&issued.coupon).filter(|_| !issued.replayed)?;
            let code = self.keys.code_of(coupon, &claim.shopper);
            let change = by.change("GrantCoupons", &claim.shopper, coupon, code, now);
            let change = change.with_field("request_id", "", &claim.request_id);
            Some(change.with_field("state", "", state(coupon, &by.campaign, now)))
        });
        changes.collect()
    }

    /// Withdraws coupons, and tells what is to be recorded of it.
    pub(super) async fn revoke(
        &self,
        connection: &mut PgConnection,
        items: Revocations<'_>,
        now: Timestamp,
    ) -> sqlx::Result<Vec<Change>> {
        let asked = items.iter().map(|(item, _)| {
            let key: CouponKey<'_> = (&item.shopper, item.campaign, item.slot);
            (key, item.reason.as_str())
        });
        let (keys, reasons): (Vec<_>, _) = asked.unzip();
        let changed = coupon_changes::revoke(connection, self.lane, &keys, reasons, now).await?;
        let coupons = coupons::read(connection, self.lane, &keys).await?;
        let mut recorded = Vec::new();
        for (((item, reply), coupon), changed) in items.into_iter().zip(coupons).zip(changed) {
            if let Some(coupon) = coupon.as_ref().filter(|_| changed) {
                recorded.extend(self.withdrawn(item, coupon, now));
            }
            reply.put(coupon.map(|coupon| Box::new((coupon, changed))));
        }
        Ok(recorded)
    }

    fn withdrawn(
        &self,
        revocation: &Revocation,
        coupon: &StoredCoupon,
        now: Timestamp,
    ) -> Option<Change> {
        let (by, shopper) = (revocation.revoked_by.as_ref()?, &revocation.shopper);
        let code = self.keys.code_of(coupon, shopper);
        let change = by.change("RevokeCoupon", shopper, coupon, code, now);
        let before = StoredCoupon {
            revoked: false,
            ..coupon.clone()
        };
        let states = [&before, coupon].map(|coupon| state(coupon, &by.campaign, now));
        Some(change.with_field("state", states[0], states[1]))
    }
}

/// The name that the contract has for where a coupon stands.
fn state(coupon: &StoredCoupon, campaign: &Campaign, now: Timestamp) -> &'static str {
    match coupon.state(campaign.extended_valid_until, now) {
        CouponState::Issued => "ISSUED",
        CouponState::Redeemed(_) => "REDEEMED",
        CouponState::Expired => "EXPIRED",
        CouponState::Revoked => "REVOKED",
    }
}
