use std::{sync::Arc, time::Duration};

use sqlx::{PgPool, Row as _, postgres::PgRow};
use tidegate_types::{CampaignId, CouponTerms, CurrencyCode, LimitPerShopper, TierId};

use super::{campaign_number, campaign_of, column, each};
use crate::domain::campaign::{Campaign, IssuanceControl, RedemptionControl, Tier};

/// Campaigns kept in memory; the newest are kept.
pub const MAX_CAMPAIGNS: usize = 10_000;

/// Keeps what quota said of a campaign, unless a newer revision is there.
pub async fn upsert(pool: &PgPool, campaign: &Campaign) -> sqlx::Result<()> {
    let tiers = &campaign.tiers;
    sqlx::query(include_str!("../../queries/upsert_campaign.sql"))
        .bind(campaign_number(campaign.number))
        .bind(campaign.id.as_str())
        .bind(campaign.currency.as_str())
        .bind(i16::from(campaign.limit_per_shopper.get()))
        .bind(campaign.opens_at)
        .bind(campaign.closes_at)
        .bind(i64::try_from(campaign.coupon_validity.as_secs()).unwrap_or(i64::MAX))
        .bind(i64::try_from(campaign.revision).unwrap_or(i64::MAX))
        .bind(each(tiers, |tier| tier.id.as_str()))
        .bind(each(tiers, |tier| tier.face_value_minor_units))
        .bind(each(tiers, |tier| tier.terms.minimum_spend_minor_units()))
        .bind(each(tiers, |tier| tier.terms.areas_text()))
        .bind(each(tiers, |tier| tier.terms.stores_text()))
        .bind(issuance_text(campaign.issuance))
        .bind(redemption_text(campaign.redemption))
        .bind(campaign.resume_at)
        .bind(campaign.extended_valid_until)
        .execute(pool)
        .await
        .map(|_| ())
}

/// Every campaign kept. A row that cannot be read is left out and logged.
pub async fn list(pool: &PgPool) -> sqlx::Result<Vec<Campaign>> {
    let rows = sqlx::query(include_str!("../../queries/list_campaigns.sql"))
        .bind(i64::try_from(MAX_CAMPAIGNS).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await?;
    let campaigns = rows.iter().filter_map(|row| {
        let campaign = campaign(row);
        if campaign.is_err() {
            tracing::error!(
                campaign_number = row.try_get::<i32, _>("campaign_number").ok(),
                "a campaign's row cannot be read and is left out; its coupons will look unknown"
            );
        }
        campaign.ok()
    });
    Ok(campaigns.collect())
}

fn campaign(row: &PgRow) -> sqlx::Result<Campaign> {
    let seconds = |seconds: i64| u64::try_from(seconds).map(Duration::from_secs);
    Ok(Campaign {
        number: campaign_of(row)?,
        id: column(row, "campaign_id", |id: &str| CampaignId::parse(id))?,
        currency: column(row, "currency_code", CurrencyCode::parse)?,
        limit_per_shopper: column::<i16, _, _>(row, "limit_per_shopper", LimitPerShopper::new)?,
        opens_at: row.try_get("opens_at")?,
        closes_at: row.try_get("closes_at")?,
        coupon_validity: column(row, "coupon_validity_seconds", seconds)?,
        revision: column::<i64, _, _>(row, "revision", u64::try_from)?,
        tiers: tiers(row)?,
        issuance: column(row, "issuance_control", issuance_control)?,
        redemption: column(row, "redemption_control", redemption_control)?,
        resume_at: row.try_get("resume_at")?,
        extended_valid_until: row.try_get("extended_valid_until")?,
        tiers_since: column::<i64, _, _>(row, "tiers_since", u64::try_from)?,
    })
}

fn tiers(row: &PgRow) -> sqlx::Result<Vec<Tier>> {
    let face_values: Vec<i64> = row.try_get("tier_face_values_minor_units")?;
    // A row may leave out terms if no tier asks anything.
    let minimum_spends: Vec<i64> = row.try_get("tier_minimum_spends_minor_units")?;
    let (areas, stores): (Vec<String>, Vec<String>) =
        (row.try_get("tier_areas")?, row.try_get("tier_store_ids")?);
    let terms = |place: usize| match minimum_spends.get(place) {
        Some(minimum) => CouponTerms::from_texts(*minimum, areas.get(place)?, stores.get(place)?),
        None => Some(CouponTerms::default()),
    };
    column(row, "tier_ids", |ids: Vec<String>| {
        let tiers = ids.into_iter().zip(face_values).enumerate();
        let tiers = tiers.map(|(place, (id, face_value_minor_units))| {
            Some(Tier {
                id: TierId::parse(id).ok()?,
                face_value_minor_units,
                terms: Arc::new(terms(place)?),
            })
        });
        tiers
            .collect::<Option<_>>()
            .ok_or("a tier is out of bounds")
    })
}

fn issuance_text(control: IssuanceControl) -> &'static str {
    match control {
        IssuanceControl::Open => "OPEN",
        IssuanceControl::QueueOnly => "QUEUE_ONLY",
        IssuanceControl::Halted => "HALTED",
    }
}

fn issuance_control(text: &str) -> Result<IssuanceControl, &'static str> {
    use IssuanceControl::{Halted, Open, QueueOnly};
    let mut controls = [Open, QueueOnly, Halted].into_iter();
    let control = controls.find(|control| issuance_text(*control) == text);
    control.ok_or("is no control of issuing")
}

pub(super) fn redemption_text(control: RedemptionControl) -> &'static str {
    match control {
        RedemptionControl::Open => "OPEN",
        RedemptionControl::Halted => "HALTED",
    }
}

pub(super) fn redemption_control(text: &str) -> Result<RedemptionControl, &'static str> {
    let mut controls = [RedemptionControl::Open, RedemptionControl::Halted].into_iter();
    let control = controls.find(|control| redemption_text(*control) == text);
    control.ok_or("is no control of redeeming")
}
