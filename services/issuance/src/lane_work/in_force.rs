use std::collections::BTreeSet;

use sqlx::PgConnection;
use tidegate_types::Lane;

use super::{Changes, Redemption};
use crate::{
    domain::{
        campaign::{CouponControl, RedemptionControl},
        purchase::TierSet,
    },
    store::controls::{self, Controls},
};

impl Changes<'_> {
    /// What staff have said of the coupons of a batch; it cannot change before the batch has committed.
    pub(super) async fn lock_controls(
        &self,
        transaction: &mut PgConnection,
        lane: Lane,
    ) -> Result<Controls, sqlx::Error> {
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

/// The tiers that may pay for an order under what is in force: none while redeeming is halted.
pub(super) fn payable_tiers(item: &Redemption, control: &CouponControl) -> TierSet {
    match control.redemption {
        RedemptionControl::Open => item.payable_tiers,
        RedemptionControl::Halted => TierSet::NONE,
    }
}
