use std::{iter::zip, time::Duration};

use sqlx::{Row as _, postgres::PgRow};
use tidegate_pg::{list_changes, record_changes};
use tidegate_types::{
    CampaignId, CampaignNumber, Change, ChangePage, ChangeQuery, CouponTerms, CurrencyCode,
    LimitPerShopper, RequestId, TierId, TierNumber, Timestamp,
};

use super::{Work, values::*};
use crate::{
    domain::{
        Campaign, CampaignTerms, MAX_COUPON_VALIDITY_SECONDS, Tier, TierStock, UpdateFacts,
        WantedCampaigns, text::shown,
    },
    error::{QuotaError, Result},
};

macro_rules! campaigns {
    ($file:literal $(, $value:expr)* $(,)?) => {
        sql!(["../../queries/select_campaigns.sql", $file] $(, $value)*)
    };
}

fn campaign(row: &PgRow) -> Read<Campaign> {
    let validity_seconds = count(row, "coupon_validity_seconds")?;
    let limit: i16 = row.try_get("limit_per_shopper")?;
    let (free, leased) = (count_list(row, "free")?, count_list(row, "leased")?);
    let stock = zip(zip(free, leased), count_list(row, "settled")?);
    let stock = stock.map(|((free, leased), settled)| TierStock {
        free,
        leased,
        settled,
    });
    Ok(Campaign {
        number: campaign_number(row)?,
        terms: CampaignTerms {
            id: parsed(row, "campaign_id", CampaignId::parse)?,
            currency: parsed(row, "currency_code", |code| CurrencyCode::parse(&code))?,
            tiers: tiers(row)?,
            limit_per_shopper: decoded(LimitPerShopper::new(limit))?,
            opens_at: row.try_get("opens_at")?,
            closes_at: row.try_get("closes_at")?,
            coupon_validity: Duration::from_secs(validity_seconds),
            display_name: printed(row, "display_name")?,
            description: printed(row, "description")?,
        },
        stock: stock.collect(),
        control: control(row)?,
        extended_valid_until: row.try_get("extended_valid_until")?,
        ended_at: row.try_get("ended_at")?,
        revision: count(row, "revision")?,
        fence: fence(row)?,
    })
}

fn tiers(row: &PgRow) -> Read<Vec<Tier>> {
    let ids: Vec<String> = row.try_get("tier_ids")?;
    let values: Vec<i64> = row.try_get("face_values_minor_units")?;
    let minimum_spends: Vec<i64> = row.try_get("minimum_spends_minor_units")?;
    let (areas, stores): (Vec<String>, Vec<String>) =
        (row.try_get("areas")?, row.try_get("store_ids")?);
    let terms = zip(minimum_spends, zip(areas, stores));
    zip(
        zip(ids, values),
        zip(count_list(row, "initial_stocks")?, terms),
    )
    .map(|((id, face_value_minor_units), (initial_stock, terms))| {
        let (minimum_spend, (areas, stores)) = terms;
        let terms = CouponTerms::from_texts(minimum_spend, &areas, &stores);
        Ok(Tier {
            id: decoded(TierId::parse(id))?,
            face_value_minor_units,
            initial_stock,
            terms: terms.ok_or_else(|| sqlx::Error::Decode("terms out of bounds".into()))?,
        })
    })
    .collect()
}

impl Work {
    pub async fn find_campaign(&mut self, id: &CampaignId) -> Result<Option<Campaign>> {
        let found = campaigns!("../../queries/campaign_by_id.sql", id.as_str());
        self.row(found, campaign).await
    }

    /// The campaign with this id. [`QuotaError::CampaignNotFound`] if there is none.
    pub async fn campaign(&mut self, id: &CampaignId) -> Result<Campaign> {
        let found = self.find_campaign(id).await?;
        found.ok_or(QuotaError::CampaignNotFound)
    }

    /// The campaign as it is under its locks. It is read after they were taken: a statement that
    /// waits for a lock shows other tables as they were before the wait.
    pub async fn lock_campaign(&mut self, id: &CampaignId) -> Result<Campaign> {
        let number = self.campaign(id).await?.number;
        self.lock_tiers(number).await?;
        self.campaign(id).await
    }

    /// At most `limit` campaigns with numbers below `before`, newest first.
    pub async fn campaigns_before(&mut self, before: i32, limit: i64) -> Result<Vec<Campaign>> {
        let page = campaigns!("../../queries/list_campaigns.sql", before, limit);
        self.rows(page, campaign).await
    }

    pub async fn lookup_campaigns(&mut self, wanted: &WantedCampaigns) -> Result<Vec<Campaign>> {
        let ids: Vec<_> = wanted.ids.iter().map(CampaignId::as_str).collect();
        let numbers = numbers(&wanted.numbers);
        let found = campaigns!("../../queries/lookup_campaigns.sql", ids, numbers);
        self.rows(found, campaign).await
    }

    /// At most `limit` campaigns that issuance's database is not known to have as they are.
    pub async fn campaigns_to_fence(&mut self, limit: i64) -> Result<Vec<Campaign>> {
        let found = campaigns!("../../queries/campaigns_to_fence.sql", limit);
        self.rows(found, campaign).await
    }

    /// Every campaign that ends after `moment`, and the latest `ended_limit` of those that ended
    /// before and whose coupons can be used after it.
    pub async fn campaigns_in_use_after(
        &mut self,
        moment: Timestamp,
        ended_limit: i64,
    ) -> Result<Vec<Campaign>> {
        let found = campaigns!(
            "../../queries/current_campaigns.sql",
            moment,
            moment - Duration::from_secs(MAX_COUPON_VALIDITY_SECONDS),
            ended_limit
        );
        self.rows(found, campaign).await
    }

    pub async fn count_campaigns_ending_after(&mut self, moment: Timestamp) -> Result<u64> {
        let count = sql!("../../queries/count_current_campaigns.sql", moment);
        self.counted(count).await
    }

    /// Makes a campaign, unless its id is taken; then it answers false, and a new statement finds who has it.
    pub async fn insert_campaign(&mut self, terms: &CampaignTerms, now: Timestamp) -> Result<bool> {
        let made = sql!(
            "../../queries/insert_campaign.sql",
            terms.id.as_str(),
            terms.currency.as_str(),
            i16::from(terms.limit_per_shopper.get()),
            terms.opens_at,
            terms.closes_at,
            stored(terms.coupon_validity.as_secs())?,
            now,
            shown(&terms.display_name),
            shown(&terms.description),
        );
        let Some(campaign) = self.row(made, campaign_number).await? else {
            return Ok(false);
        };
        self.save_tiers(campaign, &terms.tiers).await?;
        Ok(true)
    }

    /// Whether a campaign, whose terms are others now, was made with these.
    pub async fn was_made_with(
        &mut self,
        campaign: CampaignNumber,
        terms: &CampaignTerms,
    ) -> Result<bool> {
        let (campaign, terms) = (number(campaign), terms.in_one_text());
        let made_with = sql!("../../queries/was_made_with.sql", campaign, terms);
        let was_made_with = self.row(made_with, |row| row.try_get(0)).await?;
        Ok(was_made_with.unwrap_or(false))
    }

    /// What decides what may be changed, in a transaction that holds the campaign's locks.
    pub async fn update_facts(&mut self, campaign: CampaignNumber) -> Result<UpdateFacts> {
        let facts = sql!("../../queries/read_update_facts.sql", number(campaign));
        let facts = self.row(facts, |row| {
            Ok(UpdateFacts {
                was_lent: row.try_get("was_lent")?,
                has_added_budget: row.try_get("has_added_budget")?,
                has_queue: row.try_get("has_queue")?,
            })
        });
        facts.await?.ok_or(QuotaError::CampaignNotFound)
    }

    /// Changes the terms and the revision, and ends a campaign for good if there is a moment for that; in a transaction that holds its locks.
    pub async fn update_campaign(
        &mut self,
        campaign: CampaignNumber,
        old: &CampaignTerms,
        new: &CampaignTerms,
        ended_at: Option<Timestamp>,
    ) -> Result {
        let update = sql!(
            "../../queries/update_campaign.sql",
            number(campaign),
            i16::from(new.limit_per_shopper.get()),
            new.opens_at,
            new.closes_at,
            stored(new.coupon_validity.as_secs())?,
            shown(&new.display_name),
            shown(&new.description),
            old.in_one_text(),
            ended_at,
        );
        self.run(update).await?;
        if new.tiers != old.tiers {
            let drop = sql!("../../queries/drop_later_tiers.sql", number(campaign));
            self.run(drop).await?;
            self.save_tiers(campaign, &new.tiers).await?;
        }
        Ok(())
    }

    async fn save_tiers(&mut self, campaign: CampaignNumber, tiers: &[Tier]) -> Result {
        let texts = |text: fn(&Tier) -> String| tiers.iter().map(text).collect::<Vec<_>>();
        let numbers = |number: fn(&Tier) -> i64| tiers.iter().map(number).collect::<Vec<_>>();
        let save = sql!(
            "../../queries/save_tiers.sql",
            number(campaign),
            texts(|tier| tier.id.to_string()),
            numbers(|tier| tier.face_value_minor_units),
            stored_all(tiers.iter().map(|tier| tier.initial_stock))?,
            numbers(|tier| tier.terms.minimum_spend_minor_units()),
            texts(|tier| tier.terms.areas_text()),
            texts(|tier| tier.terms.stores_text()),
        );
        self.run(save).await
    }

    pub async fn budget_addition(
        &mut self,
        campaign: CampaignNumber,
        request_id: &RequestId,
    ) -> Result<Option<(TierNumber, u64)>> {
        let (campaign, request_id) = (number(campaign), request_id.as_str());
        let found = sql!(
            "../../queries/find_budget_addition.sql",
            campaign,
            request_id
        );
        let addition = self.row(found, |row| {
            let tier: i16 = row.try_get("tier_number")?;
            Ok((
                decoded(TierNumber::new(tier))?,
                count(row, "additional_stock")?,
            ))
        });
        addition.await
    }

    pub async fn add_budget(
        &mut self,
        campaign: CampaignNumber,
        request_id: &RequestId,
        tier: TierNumber,
        quantity: u64,
        now: Timestamp,
    ) -> Result {
        let add = sql!(
            "../../queries/add_budget.sql",
            number(campaign),
            request_id.as_str(),
            i16::from(tier.get()),
            stored(quantity)?,
            now,
        );
        self.run(add).await
    }

    /// Marks a change that watchers must be sent, in a transaction that holds the campaign's locks.
    pub async fn bump_revision(&mut self, campaign: CampaignNumber) -> Result {
        let bump = sql!("../../queries/bump_revision.sql", number(campaign));
        self.run(bump).await
    }

    pub async fn record(&mut self, changes: &[Change]) -> Result {
        Ok(record_changes(self.connection(), changes).await?)
    }

    pub async fn changes(&mut self, query: &ChangeQuery) -> Result<ChangePage> {
        Ok(list_changes(self.connection(), query).await?)
    }
}
