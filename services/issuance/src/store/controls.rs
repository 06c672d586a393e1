use std::collections::BTreeMap;

use sqlx::{
    PgConnection, PgPool, Row as _,
    postgres::{PgExecutor, PgRow},
};
use tidegate_types::{CampaignNumber, Lane};

use super::{
    campaigns::{redemption_control, redemption_text},
    column,
    leases::{campaign_number, lane_number},
};
use crate::domain::campaign::CouponControl;

pub type Controls = BTreeMap<CampaignNumber, CouponControl>;

fn control(row: PgRow) -> Result<(CampaignNumber, CouponControl), sqlx::Error> {
    let control = CouponControl {
        revision: column(&row, "revision", |revision: i64| u64::try_from(revision))?,
        redemption: column(&row, "redemption_control", redemption_control)?,
        resume_at: row.try_get("resume_at")?,
        extended_valid_until: row.try_get("extended_valid_until")?,
    };
    let campaign = column(&row, "campaign_number", |number: i32| {
        CampaignNumber::new(number)
    })?;
    Ok((campaign, control))
}

/// Reads what is in force for campaigns in a lane and keeps it so until the transaction ends. Every campaign has an answer.
pub async fn lock(
    transaction: &mut PgConnection,
    lane: Lane,
    campaigns: &[CampaignNumber],
) -> Result<Controls, sqlx::Error> {
    let lock = include_str!("../../queries/lock_controls.sql");
    let locked = select(&mut *transaction, lock, lane, campaigns).await?;
    let missing = campaigns
        .iter()
        .filter(|campaign| !locked.contains_key(campaign));
    let missing: Vec<_> = missing.copied().map(campaign_number).collect();
    if missing.is_empty() {
        return Ok(locked);
    }
    sqlx::query(include_str!("../../queries/make_controls.sql"))
        .bind(lane_number(lane))
        .bind(missing)
        .execute(&mut *transaction)
        .await?;
    select(transaction, lock, lane, campaigns).await
}

/// Reads what is in force for campaigns in a lane; nothing for those of which nobody has said anything.
pub async fn read(
    executor: impl PgExecutor<'_>,
    lane: Lane,
    campaigns: &[CampaignNumber],
) -> Result<Controls, sqlx::Error> {
    let read = include_str!("../../queries/read_controls.sql");
    select(executor, read, lane, campaigns).await
}

async fn select(
    executor: impl PgExecutor<'_>,
    statement: &'static str,
    lane: Lane,
    campaigns: &[CampaignNumber],
) -> Result<Controls, sqlx::Error> {
    let numbers: Vec<_> = campaigns.iter().copied().map(campaign_number).collect();
    let read = sqlx::query(statement).bind(lane_number(lane)).bind(numbers);
    let controls = read.try_map(control).fetch_all(executor).await?;
    Ok(controls.into_iter().collect())
}

/// Puts what staff have said of a campaign into one lane, unless something newer is there.
pub async fn apply(
    pool: &PgPool,
    lane: Lane,
    campaign: CampaignNumber,
    control: &CouponControl,
) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../queries/apply_control.sql"))
        .bind(lane_number(lane))
        .bind(campaign_number(campaign))
        .bind(i64::try_from(control.revision).unwrap_or(i64::MAX))
        .bind(redemption_text(control.redemption))
        .bind(control.resume_at)
        .bind(control.extended_valid_until)
        .execute(pool)
        .await
        .map(|_| ())
}
