//! Which orders coupons pay for, as the database has it.

use std::collections::BTreeMap;

use tidegate_types::{DecodedCode, ShopperId};
use uuid::Uuid;

use crate::{error::IssuanceError, store, wallet::Wallet};

impl Wallet {
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
                    .entry(self.claims.lane_count.of(shopper))
                    .or_default()
                    .push((place, (shopper, campaign, slot))),
                Err(IssuanceError::CouponNotFound) => {}
                Err(error) => return Err(error),
            }
        }
        let mut order_ids = vec![None; codes.len()];
        for (lane, asked) in by_lane {
            let keys: Vec<_> = asked.iter().map(|(_, key)| *key).collect();
            let mut connection = self.claims.pool.acquire().await?;
            let coupons = store::coupons::read(&mut connection, lane, &keys).await?;
            for ((place, _), coupon) in asked.into_iter().zip(coupons) {
                order_ids[place] = coupon.and_then(|coupon| coupon.order_id);
            }
        }
        Ok(order_ids)
    }
}
