mod changes;

use std::time::Duration;

use sqlx::FromRow;
use tidegate_types::{
    CampaignId, CampaignNumber, CouponTerms, CurrencyCode, LimitPerShopper, PrintedText, TierId,
    Timestamp,
};

use self::changes::{TierColumns, text};
use super::{Work, control::ControlRow, decoded, stored};
use crate::{
    QuotaError,
    domain::{
        Campaign, CampaignTerms, Fence, MAX_COUPON_VALIDITY_SECONDS, Tier, TierStock,
        WantedCampaigns,
    },
};

#[derive(FromRow)]
struct CampaignRow {
    campaign_number: i32,
    campaign_id: String,
    currency_code: String,
    limit_per_shopper: i16,
    opens_at: Timestamp,
    closes_at: Timestamp,
    coupon_validity_seconds: i64,
    display_name: String,
    description: String,
    ended_at: Option<Timestamp>,
    revision: i64,
    tier_ids: Vec<String>,
    face_values_minor_units: Vec<i64>,
    minimum_spends_minor_units: Vec<i64>,
    areas: Vec<String>,
    store_ids: Vec<String>,
    initial_stocks: Vec<i64>,
    free: Vec<i64>,
    leased: Vec<i64>,
    settled: Vec<i64>,
    #[sqlx(flatten)]
    control: ControlRow,
    extended_valid_until: Option<Timestamp>,
    redemption_revision: i64,
    extension_revision: i64,
    fenced_revision: i64,
}

impl TryFrom<CampaignRow> for Campaign {
    type Error = sqlx::Error;

    fn try_from(row: CampaignRow) -> Result<Self, sqlx::Error> {
        let places = row.areas.into_iter().zip(row.store_ids);
        let terms = row.minimum_spends_minor_units.into_iter().zip(places);
        let tiers = row
            .tier_ids
            .into_iter()
            .zip(row.face_values_minor_units)
            .zip(row.initial_stocks)
            .zip(terms)
            .map(|(((id, face_value_minor_units), initial_stock), terms)| {
                let (minimum_spend, (areas, store_ids)) = terms;
                Ok(Tier {
                    id: decoded(TierId::parse(id))?,
                    face_value_minor_units,
                    initial_stock: decoded(initial_stock.try_into())?,
                    terms: CouponTerms::from_texts(minimum_spend, &areas, &store_ids)
                        .ok_or_else(|| sqlx::Error::Decode("terms out of bounds".into()))?,
                })
            });
        let stock = row.free.into_iter().zip(row.leased).zip(row.settled);
        Ok(Self {
            number: decoded(CampaignNumber::new(row.campaign_number))?,
            terms: CampaignTerms {
                id: decoded(CampaignId::parse(row.campaign_id))?,
                currency: decoded(CurrencyCode::parse(&row.currency_code))?,
                tiers: tiers.collect::<Result<_, sqlx::Error>>()?,
                limit_per_shopper: decoded(LimitPerShopper::new(row.limit_per_shopper))?,
                opens_at: row.opens_at,
                closes_at: row.closes_at,
                coupon_validity: Duration::from_secs(decoded(
                    row.coupon_validity_seconds.try_into(),
                )?),
                display_name: printed(&row.display_name)?,
                description: printed(&row.description)?,
            },
            stock: stock
                .map(|((free, leased), settled)| tier_stock(free, leased, settled))
                .collect::<Result<_, _>>()?,
            control: row.control.try_into()?,
            extended_valid_until: row.extended_valid_until,
            ended_at: row.ended_at,
            revision: decoded(row.revision.try_into())?,
            fence: Fence {
                redemption_revision: decoded(row.redemption_revision.try_into())?,
                extension_revision: decoded(row.extension_revision.try_into())?,
                fenced_revision: decoded(row.fenced_revision.try_into())?,
            },
        })
    }
}

/// A text for people; none is kept as an empty one.
fn printed<const MAX: usize>(text: &str) -> Result<Option<PrintedText<MAX>>, sqlx::Error> {
    Some(text)
        .filter(|text| !text.is_empty())
        .map(|text| decoded(PrintedText::parse(text)))
        .transpose()
}

pub(super) fn tier_stock(free: i64, leased: i64, settled: i64) -> Result<TierStock, sqlx::Error> {
    Ok(TierStock {
        free: decoded(free.try_into())?,
        leased: decoded(leased.try_into())?,
        settled: decoded(settled.try_into())?,
    })
}

fn campaigns(rows: Vec<CampaignRow>) -> Result<Vec<Campaign>, QuotaError> {
    Ok(rows
        .into_iter()
        .map(Campaign::try_from)
        .collect::<Result<_, _>>()?)
}

impl Work {
    /// The campaign with this id.
    pub async fn campaign(&mut self, id: &CampaignId) -> Result<Option<Campaign>, QuotaError> {
        let row: Option<CampaignRow> = sqlx::query_as(concat!(
            include_str!("../../queries/select_campaigns.sql"),
            include_str!("../../queries/campaign_by_id.sql")
        ))
        .bind(id.as_str())
        .fetch_optional(self.connection())
        .await?;
        Ok(row.map(Campaign::try_from).transpose()?)
    }

    /// At most `limit` campaigns with numbers below `before`, newest first.
    pub async fn campaigns_before(
        &mut self,
        before: i32,
        limit: u8,
    ) -> Result<Vec<Campaign>, QuotaError> {
        let rows = sqlx::query_as(concat!(
            include_str!("../../queries/select_campaigns.sql"),
            include_str!("../../queries/list_campaigns.sql")
        ))
        .bind(before)
        .bind(i64::from(limit))
        .fetch_all(self.connection())
        .await?;
        campaigns(rows)
    }

    /// The campaigns with these ids and numbers, those that there are.
    pub async fn lookup_campaigns(
        &mut self,
        wanted: &WantedCampaigns,
    ) -> Result<Vec<Campaign>, QuotaError> {
        let ids: Vec<_> = wanted.ids.iter().map(CampaignId::as_str).collect();
        let numbers: Vec<_> = wanted.numbers.iter().copied().map(number).collect();
        let rows = sqlx::query_as(concat!(
            include_str!("../../queries/select_campaigns.sql"),
            include_str!("../../queries/lookup_campaigns.sql")
        ))
        .bind(ids)
        .bind(numbers)
        .fetch_all(self.connection())
        .await?;
        campaigns(rows)
    }

    /// At most `limit` campaigns that issuance's database is not known to have as they are.
    pub async fn campaigns_to_fence(&mut self, limit: u32) -> Result<Vec<Campaign>, QuotaError> {
        let rows = sqlx::query_as(concat!(
            include_str!("../../queries/select_campaigns.sql"),
            include_str!("../../queries/campaigns_to_fence.sql")
        ))
        .bind(i64::from(limit))
        .fetch_all(self.connection())
        .await?;
        campaigns(rows)
    }

    /// Issuance's database has this revision of the campaign, or a newer one.
    pub async fn mark_fenced(
        &mut self,
        campaign: CampaignNumber,
        revision: u64,
    ) -> Result<(), QuotaError> {
        sqlx::query(include_str!("../../queries/mark_fenced.sql"))
            .bind(number(campaign))
            .bind(stored(revision)?)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Every campaign that ends after `moment`, and the latest `ended_limit` of those that ended
    /// before and whose coupons can be used after it.
    pub async fn campaigns_in_use_after(
        &mut self,
        moment: Timestamp,
        ended_limit: u32,
    ) -> Result<Vec<Campaign>, QuotaError> {
        let rows = sqlx::query_as(concat!(
            include_str!("../../queries/select_campaigns.sql"),
            include_str!("../../queries/current_campaigns.sql")
        ))
        .bind(moment)
        .bind(moment - Duration::from_secs(MAX_COUPON_VALIDITY_SECONDS))
        .bind(i64::from(ended_limit))
        .fetch_all(self.connection())
        .await?;
        campaigns(rows)
    }

    /// How many campaigns end after `moment`.
    pub async fn count_campaigns_ending_after(
        &mut self,
        moment: Timestamp,
    ) -> Result<i64, QuotaError> {
        Ok(
            sqlx::query_scalar(include_str!("../../queries/count_current_campaigns.sql"))
                .bind(moment)
                .fetch_one(self.connection())
                .await?,
        )
    }

    /// Makes a campaign, unless its id is taken; then it answers false, and a new statement finds who has it.
    pub async fn insert_campaign(
        &mut self,
        terms: &CampaignTerms,
        now: Timestamp,
    ) -> Result<bool, QuotaError> {
        let tiers = TierColumns::of(&terms.tiers)?;
        let statement = include_str!("../../queries/insert_campaign.sql");
        let made: Option<i32> = sqlx::query_scalar(statement)
            .bind(terms.id.as_str())
            .bind(terms.currency.as_str())
            .bind(i16::from(terms.limit_per_shopper.get()))
            .bind(terms.opens_at)
            .bind(terms.closes_at)
            .bind(stored(terms.coupon_validity.as_secs())?)
            .bind(now)
            .bind(tiers.ids)
            .bind(tiers.face_values_minor_units)
            .bind(tiers.stocks)
            .bind(tiers.minimum_spends_minor_units)
            .bind(tiers.areas)
            .bind(tiers.stores)
            .bind(text(terms.display_name.as_ref()))
            .bind(text(terms.description.as_ref()))
            .fetch_optional(self.connection())
            .await?;
        Ok(made.is_some())
    }
}

/// A campaign's number as the database holds it: 24 bits fit.
pub(super) fn number(campaign: CampaignNumber) -> i32 {
    campaign.get() as i32
}

/// The numbers of campaigns as the database holds them.
pub(super) fn numbers(campaigns: &[CampaignNumber]) -> Vec<i32> {
    campaigns.iter().copied().map(number).collect()
}
