//! Redemptions and releases of a batch.

use sqlx::PgConnection;
use tidegate_types::Timestamp;

use super::{CouponUse, LaneCommit, Redemption, Redemptions, Releases, in_force};
use crate::store::{
    controls::Controls,
    coupon_changes::{self, RedeemRow, ReleaseRow},
    coupons::CouponKey,
};

impl LaneCommit {
    pub(super) async fn redeem(
        &self,
        connection: &mut PgConnection,
        items: Redemptions<'_>,
        controls: &Controls,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let in_force = |item: &Redemption| item.control.or_newer(controls.get(&item.used.campaign));
        let rows: Vec<_> = items
            .iter()
            .map(|(item, _)| {
                let control = in_force(item);
                RedeemRow {
                    key: key_of(&item.used),
                    order_id: item.used.order_id,
                    payable_tiers: in_force::payable_tiers(item, &control),
                    extended_valid_until: control.extended_valid_until,
                }
            })
            .collect();
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
    ) -> Result<(), sqlx::Error> {
        let rows: Vec<_> = items
            .iter()
            .map(|(item, _)| ReleaseRow {
                key: key_of(&item.used),
                order_id: item.used.order_id,
                // Extensions only ever grow, so the later one is the newer.
                extended_valid_until: item.extended_valid_until.max(
                    controls
                        .get(&item.used.campaign)
                        .and_then(|control| control.extended_valid_until),
                ),
                valid_at_least_until: item.minimum_validity.map(|least| now + least.get()),
            })
            .collect();
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
