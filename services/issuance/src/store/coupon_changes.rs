use std::collections::HashMap;

use sqlx::{FromRow, PgConnection};
use tidegate_types::{Lane, Timestamp};
use uuid::Uuid;

use crate::domain::{
    coupon::{MAX_RELEASED_ORDERS, MAX_VALIDITY_GIVEN_BACK, StoredCoupon},
    purchase::TierSet,
};

use super::{
    coupons::{self, CouponKey, columns, each},
    leases::lane_number,
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

/// A revocation as its statement takes it.
pub struct RevokeRow<'a> {
    pub key: CouponKey<'a>,
    pub reason: &'a str,
}

/// A coupon that a statement has changed.
#[derive(FromRow)]
struct ChangedRow {
    shopper_id: String,
    #[sqlx(flatten)]
    coupon: StoredCoupon,
}

/// Uses each coupon for its order, where it is free and valid. Tells how each coupon stands, whether it changed or not; `None` for those that are not there.
pub async fn redeem(
    connection: &mut PgConnection,
    lane: Lane,
    rows: &[RedeemRow<'_>],
    now: Timestamp,
) -> Result<Vec<Option<StoredCoupon>>, sqlx::Error> {
    let keys = each(rows, |row| row.key);
    let (shoppers, campaigns, slots) = columns(&keys);
    let changed: Vec<ChangedRow> = sqlx::query_as(include_str!("../../queries/redeem_coupons.sql"))
        .bind(lane_number(lane))
        .bind(shoppers)
        .bind(campaigns)
        .bind(slots)
        .bind(each(rows, |row| row.order_id))
        .bind(now)
        .bind(each(rows, |row| i32::from(row.payable_tiers.bits())))
        .bind(each(rows, |row| row.extended_valid_until))
        .fetch_all(&mut *connection)
        .await?;
    let key = |row: &ChangedRow| (row.shopper_id.clone(), row.coupon.campaign, row.coupon.slot);
    let changed = changed.into_iter().map(|row| (key(&row), row.coupon));
    let mut changed: HashMap<_, _> = changed.collect();
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
) -> Result<Vec<bool>, sqlx::Error> {
    let keys = each(rows, |row| row.key);
    let (shoppers, campaigns, slots) = columns(&keys);
    let places: Vec<i64> = sqlx::query_scalar(include_str!("../../queries/release_coupons.sql"))
        .bind(lane_number(lane))
        .bind(shoppers)
        .bind(campaigns)
        .bind(slots)
        .bind(each(rows, |row| row.order_id))
        .bind(now)
        .bind(each(rows, |row| row.extended_valid_until))
        .bind(MAX_VALIDITY_GIVEN_BACK)
        .bind(i32::from(MAX_RELEASED_ORDERS))
        .bind(each(rows, |row| row.valid_at_least_until))
        .fetch_all(connection)
        .await?;
    changed(&places, rows.len())
}

/// Withdraws each coupon that pays for no order and was not withdrawn before; true for those that changed.
pub async fn revoke(
    connection: &mut PgConnection,
    lane: Lane,
    rows: &[RevokeRow<'_>],
    now: Timestamp,
) -> Result<Vec<bool>, sqlx::Error> {
    let keys = each(rows, |row| row.key);
    let (shoppers, campaigns, slots) = columns(&keys);
    let places: Vec<i64> = sqlx::query_scalar(include_str!("../../queries/revoke_coupons.sql"))
        .bind(lane_number(lane))
        .bind(shoppers)
        .bind(campaigns)
        .bind(slots)
        .bind(each(rows, |row| row.reason))
        .bind(now)
        .fetch_all(connection)
        .await?;
    changed(&places, rows.len())
}

fn changed(places: &[i64], count: usize) -> Result<Vec<bool>, sqlx::Error> {
    let mut changed = vec![false; count];
    for place in places {
        let changed = changed.get_mut((place - 1) as usize);
        *changed.ok_or(sqlx::Error::RowNotFound)? = true;
    }
    Ok(changed)
}
