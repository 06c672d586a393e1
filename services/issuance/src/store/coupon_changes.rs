use std::collections::HashMap;

use sqlx::{FromRow as _, PgConnection, Row as _, postgres::PgRow};
use tidegate_types::{Lane, Timestamp};
use uuid::Uuid;

use crate::domain::{
    coupon::{MAX_RELEASED_ORDERS, MAX_VALIDITY_GIVEN_BACK, StoredCoupon},
    purchase::TierSet,
};

use super::{
    coupons::{self, CouponKey, for_each},
    each, of_row,
};

/// A redemption as its statement takes it.
pub struct RedeemRow<'a> {
    pub key: CouponKey<'a>,
    pub order_id: Uuid,
    /// The tiers whose coupons may change.
    pub payable_tiers: TierSet,
    pub extended_valid_until: Option<Timestamp>,
}

/// A release as its statement takes it.
pub struct ReleaseRow<'a> {
    pub key: CouponKey<'a>,
    pub order_id: Uuid,
    pub extended_valid_until: Option<Timestamp>,
    /// The earliest end of its validity, if the order held it.
    pub valid_at_least_until: Option<Timestamp>,
}

/// Uses each coupon for its order, where it is free and valid. Tells how each coupon stands, whether it changed or not; `None` for those that are not there.
pub async fn redeem(
    connection: &mut PgConnection,
    lane: Lane,
    rows: &[RedeemRow<'_>],
    now: Timestamp,
) -> sqlx::Result<Vec<Option<StoredCoupon>>> {
    let keys = each(rows, |row| row.key);
    let redeem = include_str!("../../queries/redeem_coupons.sql");
    let changed = for_each(redeem, lane, &keys)
        .bind(each(rows, |row| row.order_id))
        .bind(now)
        .bind(each(rows, |row| i32::from(row.payable_tiers.bits())))
        .bind(each(rows, |row| row.extended_valid_until))
        .fetch_all(&mut *connection)
        .await?;
    let coupon = |row: &PgRow| -> sqlx::Result<_> {
        let (shopper, coupon): (String, _) =
            (row.try_get("shopper_id")?, StoredCoupon::from_row(row)?);
        Ok(((shopper, coupon.campaign, coupon.slot), coupon))
    };
    let mut changed: HashMap<_, _> = changed.iter().map(coupon).collect::<sqlx::Result<_>>()?;
    let mut changed_of = |(shopper, campaign, slot): &CouponKey<'_>| {
        changed.remove(&(shopper.as_str().to_owned(), *campaign, *slot))
    };
    let mut coupons: Vec<_> = keys.iter().map(&mut changed_of).collect();
    let unchanged = (0..keys.len()).filter(|at| coupons[*at].is_none());
    let unchanged: Vec<_> = unchanged.collect();
    if !unchanged.is_empty() {
        let unread: Vec<_> = unchanged.iter().map(|at| keys[*at]).collect();
        let read = coupons::read(connection, lane, &unread).await?;
        for (at, coupon) in unchanged.into_iter().zip(read) {
            coupons[at] = coupon;
        }
    }
    Ok(coupons)
}

/// Gives back each coupon that its order holds, and keeps the order from taking it later in any case; true for those given back.
pub async fn release(
    connection: &mut PgConnection,
    lane: Lane,
    rows: &[ReleaseRow<'_>],
    now: Timestamp,
) -> sqlx::Result<Vec<bool>> {
    let keys = each(rows, |row| row.key);
    let release = include_str!("../../queries/release_coupons.sql");
    let released = for_each(release, lane, &keys)
        .bind(each(rows, |row| row.order_id))
        .bind(now)
        .bind(each(rows, |row| row.extended_valid_until))
        .bind(MAX_VALIDITY_GIVEN_BACK)
        .bind(i32::from(MAX_RELEASED_ORDERS))
        .bind(each(rows, |row| row.valid_at_least_until))
        .fetch_all(connection)
        .await?;
    changed(&released, keys.len())
}

/// Withdraws each coupon that pays for no order and was not withdrawn before; true for those that changed.
pub async fn revoke(
    connection: &mut PgConnection,
    lane: Lane,
    keys: &[CouponKey<'_>],
    reasons: Vec<&str>,
    now: Timestamp,
) -> sqlx::Result<Vec<bool>> {
    let revoke = include_str!("../../queries/revoke_coupons.sql");
    let revoke = for_each(revoke, lane, keys).bind(reasons).bind(now);
    changed(&revoke.fetch_all(connection).await?, keys.len())
}

fn changed(rows: &[PgRow], count: usize) -> sqlx::Result<Vec<bool>> {
    let mut changed = vec![false; count];
    for row in rows {
        *of_row(&mut changed, row)? = true;
    }
    Ok(changed)
}
