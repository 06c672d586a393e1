mod changes;

use std::time::Duration;

use sqlx::FromRow;
use tidegate_types::{
    CampaignId, CampaignNumber, CouponTerms, CurrencyCode, LimitPerShopper, TierId, Timestamp,
};

use self::changes::TierColumns;
use super::{
    Work,
    values::{ControlRow, FenceRow, decoded, number, printed, stored, text, tier_stock},
};
use crate::{
    domain::{Campaign, CampaignTerms, MAX_COUPON_VALIDITY_SECONDS, Tier, WantedCampaigns},
    error::QuotaError,
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
    #[sqlx(flatten)]
    fence: FenceRow,
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
            fence: row.fence.try_into()?,
        })
    }
}

impl Work {
    pub async fn find_campaign(&mut self, id: &CampaignId) -> Result<Option<Campaign>, QuotaError> {
        let query = sqlx::query_as::<_, CampaignRow>(concat!(
            include_str!("../../queries/select_campaigns.sql"),
            include_str!("../../queries/campaign_by_id.sql")
        ));
        self.one(query.bind(id.as_str())).await
    }

    /// The campaign with this id. [`QuotaError::CampaignNotFound`] if there is none.
    pub async fn campaign(&mut self, id: &CampaignId) -> Result<Campaign, QuotaError> {
        let found = self.find_campaign(id).await?;
        found.ok_or(QuotaError::CampaignNotFound)
    }

    /// The campaign as it is under its locks. It is read after they were taken: a statement that
    /// waits for a lock shows other tables as they were before the wait.
    pub async fn lock_campaign(&mut self, id: &CampaignId) -> Result<Campaign, QuotaError> {
        let number = self.campaign(id).await?.number;
        let locked = self.lock_tiers(number).await?;
        locked.ok_or(QuotaError::CampaignNotFound)?;
        self.campaign(id).await
    }

    /// At most `limit` campaigns with numbers below `before`, newest first.
    pub async fn campaigns_before(
        &mut self,
        before: i32,
        limit: u8,
    ) -> Result<Vec<Campaign>, QuotaError> {
        let query = sqlx::query_as::<_, CampaignRow>(concat!(
            include_str!("../../queries/select_campaigns.sql"),
            include_str!("../../queries/list_campaigns.sql")
        ));
        self.rows(query.bind(before).bind(i64::from(limit))).await
    }

    /// The campaigns with these ids and numbers, those that there are.
    pub async fn lookup_campaigns(
        &mut self,
        wanted: &WantedCampaigns,
    ) -> Result<Vec<Campaign>, QuotaError> {
        let ids: Vec<_> = wanted.ids.iter().map(CampaignId::as_str).collect();
        let numbers: Vec<_> = wanted.numbers.iter().copied().map(number).collect();
        let query = sqlx::query_as::<_, CampaignRow>(concat!(
            include_str!("../../queries/select_campaigns.sql"),
            include_str!("../../queries/lookup_campaigns.sql")
        ));
        self.rows(query.bind(ids).bind(numbers)).await
    }

    /// At most `limit` campaigns that issuance's database is not known to have as they are.
    pub async fn campaigns_to_fence(&mut self, limit: u32) -> Result<Vec<Campaign>, QuotaError> {
        let query = sqlx::query_as::<_, CampaignRow>(concat!(
            include_str!("../../queries/select_campaigns.sql"),
            include_str!("../../queries/campaigns_to_fence.sql")
        ));
        self.rows(query.bind(i64::from(limit))).await
    }

    /// Issuance's database has this revision of the campaign, or a newer one.
    pub async fn mark_fenced(
        &mut self,
        campaign: CampaignNumber,
        revision: u64,
    ) -> Result<(), QuotaError> {
        let statement = sqlx::query(include_str!("../../queries/mark_fenced.sql"));
        self.run(statement.bind(number(campaign)).bind(stored(revision)?))
            .await
    }

    /// Every campaign that ends after `moment`, and the latest `ended_limit` of those that ended
    /// before and whose coupons can be used after it.
    pub async fn campaigns_in_use_after(
        &mut self,
        moment: Timestamp,
        ended_limit: u32,
    ) -> Result<Vec<Campaign>, QuotaError> {
        let query = sqlx::query_as::<_, CampaignRow>(concat!(
            include_str!("../../queries/select_campaigns.sql"),
            include_str!("../../queries/current_campaigns.sql")
        ));
        self.rows(
            query
                .bind(moment)
                .bind(moment - Duration::from_secs(MAX_COUPON_VALIDITY_SECONDS))
                .bind(i64::from(ended_limit)),
        )
        .await
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
