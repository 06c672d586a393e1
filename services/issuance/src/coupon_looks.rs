//! Looks at single coupons, those of many callers in one statement. A look of its own takes six round
//! trips: two statements, each with a probe of its connection before it and after it.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use sqlx::PgPool;
use tidegate_rpc::client::{BatchCall, NotAnswered, Pending, last_deadline};
use tidegate_types::{DecodedCode, Lane, ShopperId};
use tokio::time::timeout_at;

use crate::{
    domain::{campaign::CouponControl, coupon::StoredCoupon},
    error::{IssuanceError, Result},
    replica::Replica,
    store::{controls, coupons},
};

/// Statements of one lane in flight at once. What comes meanwhile goes into the next one.
pub const LOOKS_PER_LANE: usize = 2;

/// A coupon, if there is one, and what staff have said of its campaign's coupons, if they have.
pub type Seen = Option<(StoredCoupon, Option<CouponControl>)>;

#[derive(Clone)]
pub struct LookCall {
    pub pool: PgPool,
}

impl LookCall {
    async fn look(
        &self,
        lane: Lane,
        items: &[Pending<(ShopperId, DecodedCode)>],
    ) -> sqlx::Result<Vec<Seen>> {
        let looks = items.iter().map(|pending| &pending.item);
        let keys: Vec<_> = looks
            .map(|(shopper, code)| (shopper, code.campaign, code.slot))
            .collect();
        let mut connection = self.pool.acquire().await?;
        let found = coupons::read(&mut connection, lane, &keys).await?;
        let campaigns: BTreeSet<_> = found.iter().flatten().map(|of| of.campaign).collect();
        let campaigns: Vec<_> = campaigns.into_iter().collect();
        let controls = controls::read(&mut *connection, lane, &campaigns).await?;
        let seen = |coupon: StoredCoupon| {
            let control = controls.get(&coupon.campaign).cloned();
            (coupon, control)
        };
        Ok(found.into_iter().map(|coupon| coupon.map(seen)).collect())
    }
}

impl BatchCall for LookCall {
    type Item = (ShopperId, DecodedCode);
    type Answer = Result<Seen>;
    const NAME: &'static str = "look at coupons";

    async fn send(&self, lane: Lane, items: Arc<Vec<Pending<Self::Item>>>) -> Vec<Result<Seen>> {
        // A connection that hangs is given up with the last who waits, or it would hold up all others.
        let looked = timeout_at(last_deadline(&items).into(), self.look(lane, &items)).await;
        let failed = match looked {
            Ok(Ok(seen)) => return seen.into_iter().map(Ok).collect(),
            Ok(Err(error)) => IssuanceError::from(error),
            Err(_) => return Vec::new(),
        };
        let is_away = matches!(failed, IssuanceError::DatabaseAway);
        let of_each = || match is_away {
            true => IssuanceError::DatabaseAway,
            false => IssuanceError::Internal,
        };
        items.iter().map(|_| Err(of_each())).collect()
    }
}

impl Replica {
    /// How a coupon stands from now on.
    pub(crate) async fn look(
        &self,
        shopper: &ShopperId,
        code: DecodedCode,
        until: Instant,
    ) -> Result<Seen> {
        let pending = Pending::new((shopper.clone(), code), until);
        let seen = self.looks.submit(self.lanes.of(shopper), pending).await;
        seen.unwrap_or_else(|why| {
            Err(match why {
                NotAnswered::Full => IssuanceError::NotNow("too many coupons are being looked at"),
                NotAnswered::NoAnswer => IssuanceError::OutOfTime,
            })
        })
    }
}
