use sqlx::PgConnection;
use tidegate_types::{Lane, Timestamp};
use uuid::Uuid;

use crate::domain::{
    coupon::{MAX_RELEASED_ORDERS, MAX_VALIDITY_GIVEN_BACK},
    purchase::TierSet,
};

use super::{
    coupons::{CouponKey, columns},
    leases::lane_number,
};

/// A redemption as its statement takes it.
pub struct RedeemRow<'a> {
    /// The coupon.
    pub key: CouponKey<'a>,
    /// The order it is to pay for.
    pub order_id: Uuid,
    /// The tiers whose coupons may change.
    pub payable_tiers: TierSet,
    /// The extension of the coupon's campaign.
    pub extended_valid_until: Option<Timestamp>,
}

/// A release as its statement takes it.
pub struct ReleaseRow<'a> {
    /// The coupon.
    pub key: CouponKey<'a>,
    /// The order that gives it back.
    pub order_id: Uuid,
    /// The extension of the coupon's campaign.
    pub extended_valid_until: Option<Timestamp>,
    /// The earliest end of its validity, if the order held it.
    pub valid_at_least_until: Option<Timestamp>,
}

/// A revocation as its statement takes it.
pub struct RevokeRow<'a> {
    /// The coupon.
    pub key: CouponKey<'a>,
    /// Why.
    pub reason: &'a str,
}

/// Uses each coupon for its order, where it is free and valid. What became of each is read with [`super::coupons::read`].
pub async fn redeem(
    connection: &mut PgConnection,
    statement: &str,
    lane: Lane,
    rows: &[RedeemRow<'_>],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let keys: Vec<_> = rows.iter().map(|row| row.key).collect();
    let (shoppers, campaigns, slots) = columns(&keys);
    sqlx::query(statement)
        .bind(lane_number(lane))
        .bind(shoppers)
        .bind(campaigns)
        .bind(slots)
        .bind(rows.iter().map(|row| row.order_id).collect::<Vec<_>>())
        .bind(now)
        .bind(
            rows.iter()
                .map(|row| i32::from(row.payable_tiers.bits()))
                .collect::<Vec<_>>(),
        )
        .bind(
            rows.iter()
                .map(|row| row.extended_valid_until)
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await
        .map(|_| ())
}

/// Gives back each coupon that its order holds, and keeps the order from taking it later in any case; true for those given back.
pub async fn release(
    connection: &mut PgConnection,
    statement: &str,
    lane: Lane,
    rows: &[ReleaseRow<'_>],
    now: Timestamp,
) -> Result<Vec<bool>, sqlx::Error> {
    let keys: Vec<_> = rows.iter().map(|row| row.key).collect();
    let (shoppers, campaigns, slots) = columns(&keys);
    let places: Vec<i64> = sqlx::query_scalar(statement)
        .bind(lane_number(lane))
        .bind(shoppers)
        .bind(campaigns)
        .bind(slots)
        .bind(rows.iter().map(|row| row.order_id).collect::<Vec<_>>())
        .bind(now)
        .bind(
            rows.iter()
                .map(|row| row.extended_valid_until)
                .collect::<Vec<_>>(),
        )
        .bind(MAX_VALIDITY_GIVEN_BACK)
        .bind(i32::from(MAX_RELEASED_ORDERS))
        .bind(
            rows.iter()
                .map(|row| row.valid_at_least_until)
                .collect::<Vec<_>>(),
        )
        .fetch_all(connection)
        .await?;
    changed(&places, rows.len())
}

/// Withdraws each coupon that pays for no order and was not withdrawn before; true for those that changed.
pub async fn revoke(
    connection: &mut PgConnection,
    statement: &str,
    lane: Lane,
    rows: &[RevokeRow<'_>],
    now: Timestamp,
) -> Result<Vec<bool>, sqlx::Error> {
    let keys: Vec<_> = rows.iter().map(|row| row.key).collect();
    let (shoppers, campaigns, slots) = columns(&keys);
    let places: Vec<i64> = sqlx::query_scalar(statement)
        .bind(lane_number(lane))
        .bind(shoppers)
        .bind(campaigns)
        .bind(slots)
        .bind(rows.iter().map(|row| row.reason).collect::<Vec<_>>())
        .bind(now)
        .fetch_all(connection)
        .await?;
    changed(&places, rows.len())
}

fn changed(places: &[i64], count: usize) -> Result<Vec<bool>, sqlx::Error> {
    let mut changed = vec![false; count];
    for place in places {
        *changed
            .get_mut((place - 1) as usize)
            .ok_or(sqlx::Error::RowNotFound)? = true;
    }
    Ok(changed)
}
