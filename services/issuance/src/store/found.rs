use sqlx::{FromRow as _, PgPool, Row as _, postgres::PgRow};
use tidegate_types::{CampaignNumber, Lane, ShopperId, Slot, Timestamp};

use super::{
    campaign_number,
    coupons::{CouponKey, for_each},
    lane_number,
};
use crate::domain::coupon::StoredCoupon;

/// A coupon, and why it was revoked if it was.
pub type FoundCoupon = (StoredCoupon, Option<String>);

fn found(row: PgRow) -> sqlx::Result<FoundCoupon> {
    Ok((
        StoredCoupon::from_row(&row)?,
        row.try_get("revoked_reason")?,
    ))
}

/// Where a page of a shopper's coupons begins: everything older than this coupon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OlderThan {
    pub issued_at: Timestamp,
    pub campaign: CampaignNumber,
    pub slot: Slot,
}

impl OlderThan {
    pub fn coupon(coupon: &StoredCoupon) -> Self {
        Self {
            issued_at: coupon.issued_at,
            campaign: coupon.campaign,
            slot: coupon.slot,
        }
    }
}

pub async fn by_key(
    pool: &PgPool,
    lane: Lane,
    key: CouponKey<'_>,
) -> sqlx::Result<Option<FoundCoupon>> {
    let read = for_each(include_str!("../../queries/read_coupons.sql"), lane, &[key]);
    read.try_map(found).fetch_optional(pool).await
}

/// A page of a shopper's coupons, the newest first.
pub async fn of_shopper(
    pool: &PgPool,
    lane: Lane,
    shopper: &ShopperId,
    before: Option<OlderThan>,
    page_size: u32,
) -> sqlx::Result<Vec<FoundCoupon>> {
    sqlx::query(include_str!("../../queries/find_coupons_of_shopper.sql"))
        .bind(lane_number(lane))
        .bind(shopper.as_str())
        .bind(before.map(|before| before.issued_at))
        .bind(before.map(|before| campaign_number(before.campaign)))
        .bind(before.map(|before| i16::from(before.slot.get())))
        .bind(i64::from(page_size))
        .try_map(found)
        .fetch_all(pool)
        .await
}
