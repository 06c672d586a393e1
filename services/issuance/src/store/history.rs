use sqlx::PgPool;
use tidegate_types::{CampaignNumber, Lane, Timestamp};

use super::leases::{campaign_number, lane_number};

/// Archives at most `limit` leases of a lane that were returned before a moment; how many that were.
pub async fn archive(
    pool: &PgPool,
    lane: Lane,
    returned_before: Timestamp,
    limit: u32,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(include_str!("../../queries/archive_leases.sql"))
        .bind(lane_number(lane))
        .bind(returned_before)
        .bind(i64::from(limit))
        .fetch_one(pool)
        .await
}

/// Ends a campaign in one lane: no lease of it is installed from now on.
pub async fn retire(
    pool: &PgPool,
    lane: Lane,
    campaign: CampaignNumber,
) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../queries/retire_campaign.sql"))
        .bind(lane_number(lane))
        .bind(campaign_number(campaign))
        .execute(pool)
        .await
        .map(|_| ())
}

/// At most `limit` retired campaigns whose leases are still in a lane.
pub async fn to_forget(
    pool: &PgPool,
    lane: Lane,
    limit: u32,
) -> Result<Vec<CampaignNumber>, sqlx::Error> {
    let numbers: Vec<i32> =
        sqlx::query_scalar(include_str!("../../queries/campaigns_to_forget.sql"))
            .bind(lane_number(lane))
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await?;
    let campaigns = numbers.into_iter().map(CampaignNumber::new);
    Ok(campaigns.filter_map(Result::ok).collect())
}

/// Forgets at most `limit` archived leases of a retired campaign in a lane; how many that were.
pub async fn forget(
    pool: &PgPool,
    lane: Lane,
    campaign: CampaignNumber,
    limit: u32,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(include_str!("../../queries/forget_leases.sql"))
        .bind(lane_number(lane))
        .bind(campaign_number(campaign))
        .bind(i64::from(limit))
        .fetch_one(pool)
        .await
}

/// Notes that nothing of a retired campaign is left in a lane, if so it is.
pub async fn mark_forgotten(
    pool: &PgPool,
    lane: Lane,
    campaign: CampaignNumber,
) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../queries/mark_leases_forgotten.sql"))
        .bind(lane_number(lane))
        .bind(campaign_number(campaign))
        .execute(pool)
        .await
        .map(|_| ())
}
