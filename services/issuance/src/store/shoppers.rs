use sqlx::{FromRow, PgPool, error::BoxDynError};
use tidegate_types::{CampaignNumber, Lane, ShopperId, Slot};

use super::{campaign_number, lane_number};

/// Where a page of a lane's coupons ends, and the next one goes on.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct PageEnd {
    /// Whose the last coupon is; of nobody at the start.
    pub shopper_id: String,
    pub campaign_number: i32,
    pub slot: i16,
}

impl PageEnd {
    pub const START: Self = Self {
        shopper_id: String::new(),
        campaign_number: 0,
        slot: 0,
    };
}

/// The shoppers that a page of a lane's coupons showed.
pub struct ShoppersPage {
    /// Who holds coupons of the campaign, once for each; and which of theirs it is.
    pub coupons: Vec<(ShopperId, Slot)>,
    /// Where the next page begins; none if there is none.
    pub end: Option<PageEnd>,
}

/// Looks at `page_size` coupons of a lane for those of a campaign.
pub async fn page(
    pool: &PgPool,
    lane: Lane,
    campaign: CampaignNumber,
    after: &PageEnd,
    page_size: u32,
) -> sqlx::Result<ShoppersPage> {
    let mut rows: Vec<PageEnd> = sqlx::query_as(include_str!("../../queries/list_shoppers.sql"))
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
    let coupon = |row: &PageEnd| -> Result<_, BoxDynError> {
        Ok((ShopperId::parse(&row.shopper_id)?, Slot::new(row.slot)?))
    };
    let coupons = of_campaign.map(coupon).collect::<Result<_, _>>();
    Ok(ShoppersPage {
        coupons: coupons.map_err(sqlx::Error::Decode)?,
        end: rows.pop(),
    })
}
