//! Redemptions and releases of a batch.

use std::collections::BTreeSet;

use sqlx::PgConnection;
use tidegate_types::{Lane, Timestamp};

use super::{Changes, CouponUse, LaneCommit, Redemption, Redemptions, Releases};
use crate::{
    domain::{campaign::RedemptionControl, purchase::TierSet},
    store::{
        controls::{self, Controls},
        coupon_changes::{self, RedeemRow, ReleaseRow},
        coupons::CouponKey,
    },
};

impl Changes<'_> {
    /// What staff have said of the coupons of a batch; it cannot change before the batch has committed.
    pub(super) async fn lock_controls(
        &self,
        transaction: &mut PgConnection,
        lane: Lane,
    ) -> sqlx::Result<Controls> {
        let redeemed = self.redemptions.iter().map(|(item, _)| &item.used);
        let released = self.releases.iter().map(|(item, _)| &item.used);
        let used = redeemed.chain(released);
        let campaigns: BTreeSet<_> = used.map(|used| used.campaign).collect();
        if campaigns.is_empty() {
            return Ok(Controls::default());
        }
        let campaigns: Vec<_> = campaigns.into_iter().collect();
        controls::lock(transaction, lane, &campaigns).await
    }
}

impl LaneCommit {
    pub(super) async fn redeem(
        &self,
        connection: &mut PgConnection,
        items: Redemptions<'_>,
        controls: &Controls,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let in_force = |item: &Redemption| item.control.or_newer(controls.get(&item.used.campaign));
        let rows = items.iter().map(|(item, _)| {
            let control = in_force(item);
            RedeemRow {
                key: key_of(&item.used),
                order_id: item.used.order_id,
                payable_tiers: match control.redemption {
                    RedemptionControl::Open => item.payable_tiers,
                    RedemptionControl::Halted => TierSet::NONE,
                },
                extended_valid_until: control.extended_valid_until,
            }
        });
        let rows: Vec<_> = rows.collect();
        let coupons = coupon_changes::redeem(connection, self.lane, &rows, now).await?;
        for ((item, reply), coupon) in items.into_iter().zip(coupons) {
            reply.put(coupon.map(|coupon| Box::new((coupon, in_force(item)))));
        }
        Ok(())
    }

    pub(super) async fn release(
        &self,
        connection: &mut PgConnection,
        items: Releases<'_>,
        controls: &Controls,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let rows = items.iter().map(|(item, _)| {
            let control = controls.get(&item.used.campaign);
            let extended_valid_until = control.and_then(|control| control.extended_valid_until);
            ReleaseRow {
                key: key_of(&item.used),
                order_id: item.used.order_id,
                // Extensions only ever grow, so the later one is the newer.
                extended_valid_until: item.extended_valid_until.max(extended_valid_until),
                valid_at_least_until: item.minimum_validity.map(|least| now + least.get()),
            }
        });
        let rows: Vec<_> = rows.collect();
        let changed = coupon_changes::release(connection, self.lane, &rows, now).await?;
        for ((_, reply), changed) in items.into_iter().zip(changed) {
            reply.put(changed);
        }
        Ok(())
    }
}

fn key_of(used: &CouponUse) -> CouponKey<'_> {
    (&used.shopper, used.campaign, used.slot)
}
