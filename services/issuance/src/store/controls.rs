use std::collections::BTreeMap;

use sqlx::{
    PgConnection, PgPool, Row as _,
    postgres::{PgExecutor, PgRow},
};
use tidegate_types::{CampaignNumber, Lane};

use super::{
    campaign_number, campaign_of,
    campaigns::{redemption_control, redemption_text},
    column, lane_number,
};
use crate::domain::campaign::CouponControl;

pub type Controls = BTreeMap<CampaignNumber, CouponControl>;

fn control(row: PgRow) -> sqlx::Result<(CampaignNumber, CouponControl)> {
    let control = CouponControl {
        revision: column::<i64, _, _>(&row, "revision", u64::try_from)?,
        redemption: column(&row, "redemption_control", redemption_control)?,
        resume_at: row.try_get("resume_at")?,
        extended_valid_until: row.try_get("extended_valid_until")?,
    };
    Ok((campaign_of(&row)?, control))
}

/// Reads what is in force for campaigns in a lane and keeps it so until the transaction ends. Every campaign has an answer.
pub async fn lock(
    transaction: &mut PgConnection,
    lane: Lane,
    campaigns: &[CampaignNumber],
) -> sqlx::Result<Controls> {
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
) -> sqlx::Result<Controls> {
    let read = include_str!("../../queries/read_controls.sql");
    select(executor, read, lane, campaigns).await
}

async fn select(
    executor: impl PgExecutor<'_>,
    statement: &'static str,
    lane: Lane,
    campaigns: &[CampaignNumber],
) -> sqlx::Result<Controls> {
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
) -> sqlx::Result<()> {
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
