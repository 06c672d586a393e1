use std::{sync::Arc, time::Duration};

use sqlx::{FromRow, PgPool};
use tidegate_types::{
    CampaignId, CampaignNumber, CouponTerms, CurrencyCode, LimitPerShopper, TierId, Timestamp,
};

use crate::domain::campaign::{Campaign, Control, IssuanceControl, RedemptionControl, Tier};

/// Campaigns kept in memory; the newest are kept.
pub const MAX_CAMPAIGNS: usize = 10_000;

#[derive(FromRow)]
struct Row {
    campaign_number: i32,
    campaign_id: String,
    currency_code: String,
    limit_per_shopper: i16,
    opens_at: Timestamp,
    closes_at: Timestamp,
    coupon_validity_seconds: i64,
    revision: i64,
    tier_ids: Vec<String>,
    tier_face_values_minor_units: Vec<i64>,
    #[sqlx(flatten)]
    terms: TermsColumns,
    issuance_control: String,
    redemption_control: String,
    resume_at: Option<Timestamp>,
    extended_valid_until: Option<Timestamp>,
    tiers_since: i64,
}

/// What each tier asks of orders; empty in rows of a version that knew of no terms.
#[derive(FromRow)]
struct TermsColumns {
    tier_minimum_spends_minor_units: Vec<i64>,
    tier_areas: Vec<String>,
    tier_store_ids: Vec<String>,
}

impl TermsColumns {
    fn of(tiers: &[Tier]) -> Self {
        let texts = |text: fn(&CouponTerms) -> String| {
            let texts = tiers.iter().map(|tier| text(&tier.terms));
            texts.collect()
        };
        let minimum_spends = tiers
            .iter()
            .map(|tier| tier.terms.minimum_spend_minor_units());
        Self {
            tier_minimum_spends_minor_units: minimum_spends.collect(),
            tier_areas: texts(CouponTerms::areas_text),
            tier_store_ids: texts(CouponTerms::stores_text),
        }
    }

    fn at(&self, place: usize) -> Option<CouponTerms> {
        let Some(minimum_spend) = self.tier_minimum_spends_minor_units.get(place) else {
            return Some(CouponTerms::default());
        };
        let (areas, stores) = (self.tier_areas.get(place)?, self.tier_store_ids.get(place)?);
        CouponTerms::from_texts(*minimum_spend, areas, stores)
    }
}

/// Keeps what quota said of a campaign, unless a newer revision is there.
pub async fn upsert(pool: &PgPool, campaign: &Campaign) -> Result<(), sqlx::Error> {
    let tier_ids: Vec<_> = campaign.tiers.iter().map(|tier| tier.id.as_str()).collect();
    let face_values: Vec<_> = campaign
        .tiers
        .iter()
        .map(|tier| tier.face_value_minor_units)
        .collect();
    let terms = TermsColumns::of(&campaign.tiers);
    sqlx::query(include_str!("../../queries/upsert_campaign.sql"))
        .bind(i64::from(campaign.number.get()) as i32)
        .bind(campaign.id.as_str())
        .bind(campaign.currency.as_str())
        .bind(i16::from(campaign.limit_per_shopper.get()))
        .bind(campaign.opens_at)
        .bind(campaign.closes_at)
        .bind(i64::try_from(campaign.coupon_validity.as_secs()).unwrap_or(i64::MAX))
        .bind(i64::try_from(campaign.revision).unwrap_or(i64::MAX))
        .bind(tier_ids)
        .bind(face_values)
        .bind(terms.tier_minimum_spends_minor_units)
        .bind(terms.tier_areas)
        .bind(terms.tier_store_ids)
        .bind(issuance_text(campaign.control.issuance))
        .bind(redemption_text(campaign.control.redemption))
        .bind(campaign.control.resume_at)
        .bind(campaign.extended_valid_until)
        .execute(pool)
        .await
        .map(|_| ())
}

/// Every campaign kept. A row that cannot be read is left out and logged.
pub async fn list(pool: &PgPool) -> Result<Vec<Campaign>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(include_str!("../../queries/list_campaigns.sql"))
        .bind(i64::try_from(MAX_CAMPAIGNS).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let number = row.campaign_number;
            let campaign = row.into_domain();
            if campaign.is_none() {
                tracing::error!(
                    campaign_number = number,
                    "a campaign's row cannot be read and is left out; its coupons will look unknown"
                );
            }
            campaign
        })
        .collect())
}

impl Row {
    fn into_domain(self) -> Option<Campaign> {
        let tiers = self
            .tier_ids
            .into_iter()
            .zip(self.tier_face_values_minor_units);
        Some(Campaign {
            number: CampaignNumber::new(self.campaign_number).ok()?,
            id: CampaignId::parse(self.campaign_id).ok()?,
            currency: CurrencyCode::parse(&self.currency_code).ok()?,
            limit_per_shopper: LimitPerShopper::new(self.limit_per_shopper).ok()?,
            opens_at: self.opens_at,
            closes_at: self.closes_at,
            coupon_validity: Duration::from_secs(self.coupon_validity_seconds.try_into().ok()?),
            revision: self.revision.try_into().ok()?,
            tiers: tiers
                .enumerate()
                .map(|(place, (id, face_value_minor_units))| {
                    Some(Tier {
                        id: TierId::parse(id).ok()?,
                        face_value_minor_units,
                        terms: Arc::new(self.terms.at(place)?),
                    })
                })
                .collect::<Option<_>>()?,
            control: Control {
                issuance: issuance_control(&self.issuance_control)?,
                redemption: redemption_control(&self.redemption_control)?,
                resume_at: self.resume_at,
            },
            extended_valid_until: self.extended_valid_until,
            tiers_since: self.tiers_since.try_into().ok()?,
        })
    }
}

fn issuance_text(control: IssuanceControl) -> &'static str {
    match control {
        IssuanceControl::Open => "OPEN",
        IssuanceControl::QueueOnly => "QUEUE_ONLY",
        IssuanceControl::Halted => "HALTED",
    }
}

fn issuance_control(text: &str) -> Option<IssuanceControl> {
    use IssuanceControl::{Halted, Open, QueueOnly};
    [Open, QueueOnly, Halted]
        .into_iter()
        .find(|control| issuance_text(*control) == text)
}

pub(super) fn redemption_text(control: RedemptionControl) -> &'static str {
    match control {
        RedemptionControl::Open => "OPEN",
        RedemptionControl::Halted => "HALTED",
    }
}

pub(super) fn redemption_control(text: &str) -> Option<RedemptionControl> {
    [RedemptionControl::Open, RedemptionControl::Halted]
        .into_iter()
        .find(|control| redemption_text(*control) == text)
}
