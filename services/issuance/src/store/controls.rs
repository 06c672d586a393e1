use std::collections::BTreeMap;

use sqlx::{FromRow, PgConnection, PgPool, postgres::PgExecutor};
use tidegate_types::{CampaignNumber, Lane, Timestamp};

use super::{
    campaigns::{redemption_control, redemption_text},
    leases::{campaign_number, lane_number},
};
use crate::domain::campaign::CouponControl;

/// What staff have said, campaign by campaign.
pub type Controls = BTreeMap<CampaignNumber, CouponControl>;

#[derive(FromRow)]
struct Row {
    campaign_number: i32,
    revision: i64,
    redemption_control: String,
    resume_at: Option<Timestamp>,
    extended_valid_until: Option<Timestamp>,
}

impl Row {
    fn into_domain(self) -> Option<(CampaignNumber, CouponControl)> {
        let control = CouponControl {
            revision: self.revision.try_into().ok()?,
            redemption: redemption_control(&self.redemption_control)?,
            resume_at: self.resume_at,
            extended_valid_until: self.extended_valid_until,
        };
        Some((CampaignNumber::new(self.campaign_number).ok()?, control))
    }
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
        .filter(|campaign| !locked.contains_key(campaign))
        .map(|campaign| campaign_number(*campaign));
    let missing: Vec<_> = missing.collect();
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
    let rows: Vec<Row> = sqlx::query_as(statement)
        .bind(lane_number(lane))
        .bind(numbers)
        .fetch_all(executor)
        .await?;
    let controls = rows.into_iter().map(Row::into_domain);
    controls.collect::<Option<_>>().ok_or_else(|| {
        sqlx::Error::Decode("a control's row holds a value outside its bounds".into())
    })
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
