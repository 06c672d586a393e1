use sqlx::{FromRow, PgPool};
use tidegate_types::{CampaignNumber, Lane, ShopperId};

use super::leases::{campaign_number, lane_number};

/// Where a page of a lane's coupons ends, and the next one goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageEnd {
    shopper_id: String,
    campaign_number: i32,
    slot: i16,
}

impl PageEnd {
    /// Before every coupon.
    pub const START: Self = Self {
        shopper_id: String::new(),
        campaign_number: 0,
        slot: 0,
    };
}

/// The holders that a page of a lane's coupons showed.
pub struct HoldersPage {
    /// Who holds coupons of the campaign; some more than once.
    pub holders: Vec<ShopperId>,
    /// Where the next page begins; none if there is none.
    pub end: Option<PageEnd>,
}

#[derive(FromRow)]
struct KeyRow {
    shopper_id: String,
    campaign_number: i32,
    slot: i16,
}

/// Looks at `page_size` coupons of a lane for those of a campaign.
pub async fn page(
    pool: &PgPool,
    lane: Lane,
    campaign: CampaignNumber,
    after: &PageEnd,
    page_size: u32,
) -> Result<HoldersPage, sqlx::Error> {
    let rows: Vec<KeyRow> = sqlx::query_as(include_str!("../../queries/list_holders.sql"))
        .bind(lane_number(lane))
        .bind(&after.shopper_id)
        .bind(after.campaign_number)
        .bind(after.slot)
        .bind(campaign_number(campaign))
        .bind(i64::from(page_size))
        .fetch_all(pool)
        .await?;
    let of_campaign = rows
        .iter()
        .filter(|row| row.campaign_number == campaign_number(campaign));
    let holders: Result<Vec<_>, _> = of_campaign
        .map(|row| ShopperId::parse(&row.shopper_id))
        .collect();
    let holders = holders.map_err(|error| sqlx::Error::Decode(error.into()))?;
    let end = rows.into_iter().last().map(|row| PageEnd {
        shopper_id: row.shopper_id,
        campaign_number: row.campaign_number,
        slot: row.slot,
    });
    Ok(HoldersPage { holders, end })
}
