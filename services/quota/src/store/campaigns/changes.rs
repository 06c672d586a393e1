use sqlx::FromRow;
use tidegate_types::{CampaignNumber, RequestId, TierNumber, Timestamp};

use crate::{
    domain::{CampaignTerms, End, Tier, UpdateFacts},
    error::QuotaError,
    store::{
        Work,
        values::{decoded, number, stored, text},
    },
};

/// Tiers side by side, as UNNEST takes them.
pub(super) struct TierColumns {
    pub(super) ids: Vec<String>,
    pub(super) face_values_minor_units: Vec<i64>,
    pub(super) stocks: Vec<i64>,
    pub(super) minimum_spends_minor_units: Vec<i64>,
    pub(super) areas: Vec<String>,
    pub(super) stores: Vec<String>,
}

impl TierColumns {
    pub(super) fn of(tiers: &[Tier]) -> Result<Self, sqlx::Error> {
        let numbers = |number: fn(&Tier) -> i64| tiers.iter().map(number).collect();
        let texts = |text: fn(&Tier) -> String| tiers.iter().map(text).collect();
        let stocks = tiers.iter().map(|tier| stored(tier.initial_stock));
        Ok(Self {
            ids: texts(|tier| tier.id.to_string()),
            face_values_minor_units: numbers(|tier| tier.face_value_minor_units),
            stocks: stocks.collect::<Result<_, _>>()?,
            minimum_spends_minor_units: numbers(|tier| tier.terms.minimum_spend_minor_units()),
            areas: texts(|tier| tier.terms.areas_text()),
            stores: texts(|tier| tier.terms.stores_text()),
        })
    }
}

#[derive(FromRow)]
struct FactsRow {
    was_lent: bool,
    has_added_budget: bool,
    has_queue: bool,
}

impl Work {
    /// Whether a campaign, whose terms are others now, was made with these.
    pub async fn was_made_with(
        &mut self,
        campaign: CampaignNumber,
        terms: &CampaignTerms,
    ) -> Result<bool, QuotaError> {
        let statement = include_str!("../../../queries/was_made_with.sql");
        let was_made_with: Option<bool> = sqlx::query_scalar(statement)
            .bind(number(campaign))
            .bind(terms.in_one_text())
            .fetch_optional(self.connection())
            .await?;
        Ok(was_made_with.unwrap_or(false))
    }

    /// What decides what may be changed, in a transaction that holds the campaign's locks.
    pub async fn update_facts(
        &mut self,
        campaign: CampaignNumber,
    ) -> Result<UpdateFacts, QuotaError> {
        let row: FactsRow = sqlx::query_as(include_str!("../../../queries/read_update_facts.sql"))
            .bind(number(campaign))
            .fetch_one(self.connection())
            .await?;
        Ok(UpdateFacts {
            was_lent: row.was_lent,
            has_added_budget: row.has_added_budget,
            has_queue: row.has_queue,
        })
    }

    /// Changes the terms and the revision, in a transaction that holds the campaign's locks.
    pub async fn update_campaign(
        &mut self,
        campaign: CampaignNumber,
        old: &CampaignTerms,
        new: &CampaignTerms,
    ) -> Result<(), QuotaError> {
        sqlx::query(include_str!("../../../queries/update_campaign.sql"))
            .bind(number(campaign))
            .bind(i16::from(new.limit_per_shopper.get()))
            .bind(new.opens_at)
            .bind(new.closes_at)
            .bind(stored(new.coupon_validity.as_secs())?)
            .bind(text(new.display_name.as_ref()))
            .bind(text(new.description.as_ref()))
            .bind(old.in_one_text())
            .execute(self.connection())
            .await?;
        if new.tiers != old.tiers {
            self.replace_tiers(campaign, &new.tiers).await?;
        }
        Ok(())
    }

    async fn replace_tiers(
        &mut self,
        campaign: CampaignNumber,
        tiers: &[Tier],
    ) -> Result<(), QuotaError> {
        sqlx::query(include_str!("../../../queries/drop_later_tiers.sql"))
            .bind(number(campaign))
            .execute(self.connection())
            .await?;
        let tiers = TierColumns::of(tiers)?;
        let statement = sqlx::query(include_str!("../../../queries/replace_tiers.sql"));
        self.run(
            statement
                .bind(number(campaign))
                .bind(tiers.ids)
                .bind(tiers.face_values_minor_units)
                .bind(tiers.stocks)
                .bind(tiers.minimum_spends_minor_units)
                .bind(tiers.areas)
                .bind(tiers.stores),
        )
        .await
    }

    /// Ends a campaign that had these terms, in a transaction that holds its locks.
    pub async fn end_campaign(
        &mut self,
        campaign: CampaignNumber,
        old: &CampaignTerms,
        end: &End,
    ) -> Result<(), QuotaError> {
        let statement = sqlx::query(include_str!("../../../queries/end_campaign.sql"));
        self.run(
            statement
                .bind(number(campaign))
                .bind(end.opens_at)
                .bind(end.closes_at)
                .bind(end.ended_at)
                .bind(old.in_one_text()),
        )
        .await
    }

    /// The tier and quantity that a request id has added to a campaign.
    pub async fn budget_addition(
        &mut self,
        campaign: CampaignNumber,
        request_id: &RequestId,
    ) -> Result<Option<(TierNumber, u64)>, QuotaError> {
        let row: Option<(i16, i64)> =
            sqlx::query_as(include_str!("../../../queries/find_budget_addition.sql"))
                .bind(number(campaign))
                .bind(request_id.as_str())
                .fetch_optional(self.connection())
                .await?;
        let Some((tier, quantity)) = row else {
            return Ok(None);
        };
        Ok(Some((
            decoded(TierNumber::new(tier))?,
            decoded(quantity.try_into())?,
        )))
    }

    /// Adds to a tier's stock, in a transaction that holds the campaign's locks.
    pub async fn add_budget(
        &mut self,
        campaign: CampaignNumber,
        request_id: &RequestId,
        tier: TierNumber,
        quantity: u64,
        now: Timestamp,
    ) -> Result<(), QuotaError> {
        let statement = sqlx::query(include_str!("../../../queries/add_budget.sql"));
        self.run(
            statement
                .bind(number(campaign))
                .bind(request_id.as_str())
                .bind(i16::from(tier.get()))
                .bind(stored(quantity)?)
                .bind(now),
        )
        .await
    }

    /// Marks a change that watchers must be sent, in a transaction that holds the campaign's locks.
    pub async fn bump_revision(&mut self, campaign: CampaignNumber) -> Result<(), QuotaError> {
        let statement = sqlx::query(include_str!("../../../queries/bump_revision.sql"));
        self.run(statement.bind(number(campaign))).await
    }
}
