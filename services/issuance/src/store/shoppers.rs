use sqlx::{FromRow, PgPool};
use tidegate_types::{CampaignNumber, Lane, ShopperId, Slot};

use super::leases::{campaign_number, lane_number};

/// Where a page of a lane's coupons ends, and the next one goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageEnd {
    /// Whose the last coupon is; of nobody at the start.
    pub shopper_id: String,
    /// Of which campaign it is.
    pub campaign_number: i32,
    /// Which of its shopper's coupons.
    pub slot: i16,
}

impl PageEnd {
    /// Before every coupon.
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

#[derive(FromRow)]
struct KeyRow {
    shopper_id: String,
    campaign_number: i32,
    slot: i16,
}

impl KeyRow {
    fn coupon(&self) -> Result<(ShopperId, Slot), sqlx::Error> {
        let shopper = ShopperId::parse(&self.shopper_id);
        let slot = Slot::new(self.slot);
        Ok((
            shopper.map_err(|error| sqlx::Error::Decode(error.into()))?,
            slot.map_err(|error| sqlx::Error::Decode(error.into()))?,
        ))
    }
}

/// Looks at `page_size` coupons of a lane for those of a campaign.
pub async fn page(
    pool: &PgPool,
    lane: Lane,
    campaign: CampaignNumber,
    after: &PageEnd,
    page_size: u32,
) -> Result<ShoppersPage, sqlx::Error> {
    let rows: Vec<KeyRow> = sqlx::query_as(include_str!("../../queries/list_shoppers.sql"))
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
    let coupons = of_campaign.map(KeyRow::coupon).collect::<Result<_, _>>()?;
    let end = rows.into_iter().last().map(|row| PageEnd {
        shopper_id: row.shopper_id,
        campaign_number: row.campaign_number,
        slot: row.slot,
    });
    Ok(ShoppersPage { coupons, end })
}
