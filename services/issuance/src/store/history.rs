use sqlx::{PgPool, Postgres, Row as _, postgres::PgArguments, query::Query};
use tidegate_types::{CampaignNumber, Lane, Timestamp};

use super::{campaign_number, campaign_of, lane_number};

/// A statement about a campaign in one lane, with the first of its parameters.
fn of_campaign(
    statement: &'static str,
    lane: Lane,
    campaign: CampaignNumber,
) -> Query<'static, Postgres, PgArguments> {
    let lane = lane_number(lane);
    sqlx::query(statement)
        .bind(lane)
        .bind(campaign_number(campaign))
}

/// Archives at most `limit` leases of a lane that were returned before a moment; how many that were.
pub async fn archive(
    pool: &PgPool,
    lane: Lane,
    returned_before: Timestamp,
    limit: u32,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(include_str!("../../queries/archive_leases.sql"))
        .bind(lane_number(lane))
        .bind(returned_before)
        .bind(i64::from(limit))
        .fetch_one(pool)
        .await
}

/// Ends a campaign in one lane: no lease of it is installed from now on.
pub async fn retire(pool: &PgPool, lane: Lane, campaign: CampaignNumber) -> sqlx::Result<()> {
    let retire = include_str!("../../queries/retire_campaign.sql");
    let retired = of_campaign(retire, lane, campaign).execute(pool).await;
    retired.map(|_| ())
}

/// At most `limit` retired campaigns whose leases are still in a lane.
pub async fn to_forget(pool: &PgPool, lane: Lane, limit: u32) -> sqlx::Result<Vec<CampaignNumber>> {
    let retired = sqlx::query(include_str!("../../queries/campaigns_to_forget.sql"))
        .bind(lane_number(lane))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    Ok(retired.iter().flat_map(campaign_of).collect())
}

/// Forgets at most `limit` archived leases of a retired campaign in a lane; how many that were.
pub async fn forget(
    pool: &PgPool,
    lane: Lane,
    campaign: CampaignNumber,
    limit: u32,
) -> sqlx::Result<i64> {
    let forget = include_str!("../../queries/forget_leases.sql");
    let forget = of_campaign(forget, lane, campaign).bind(i64::from(limit));
    forget.fetch_one(pool).await?.try_get(0)
}

/// Notes that nothing of a retired campaign is left in a lane, if so it is.
pub async fn mark_forgotten(
    pool: &PgPool,
    lane: Lane,
    campaign: CampaignNumber,
) -> sqlx::Result<()> {
    let mark = include_str!("../../queries/mark_leases_forgotten.sql");
    let marked = of_campaign(mark, lane, campaign).execute(pool).await;
    marked.map(|_| ())
}
