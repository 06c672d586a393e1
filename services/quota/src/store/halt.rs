use std::time::Duration;

use sqlx::FromRow;
use tidegate_types::{CampaignId, CampaignNumber, Timestamp};

use super::{
    Work,
    values::{ControlRow, FenceRow, campaigns, decoded, numbers, stored},
};
use crate::{
    domain::{Control, Halt, Standing},
    error::QuotaError,
};

#[derive(FromRow)]
struct StandingRow {
    campaign_number: i32,
    campaign_id: String,
    closes_at: Timestamp,
    ended_at: Option<Timestamp>,
    #[sqlx(flatten)]
    control: ControlRow,
    #[sqlx(flatten)]
    fence: FenceRow,
    nothing_leased: bool,
}

impl TryFrom<StandingRow> for Standing {
    type Error = sqlx::Error;

    fn try_from(row: StandingRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            number: decoded(CampaignNumber::new(row.campaign_number))?,
            id: decoded(CampaignId::parse(row.campaign_id))?,
            closes_at: row.closes_at,
            ended_at: row.ended_at,
            control: row.control.try_into()?,
            nothing_leased: row.nothing_leased,
            fence: row.fence.try_into()?,
        })
    }
}

/// Leases of a campaign come back within minutes after its end; older ones need not be looked at.
const CLOSED_LATELY: Duration = Duration::from_secs(24 * 3_600);

impl Work {
    /// At most `limit` campaigns that have not ended at `now`, those that are not halted first.
    pub async fn campaigns_to_halt(
        &mut self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<CampaignNumber>, QuotaError> {
        let statement = include_str!("../../queries/campaigns_to_halt.sql");
        let rows: Vec<i32> = sqlx::query_scalar(statement)
            .bind(now)
            .bind(i64::from(limit))
            .bind(now - CLOSED_LATELY)
            .fetch_all(self.connection())
            .await?;
        Ok(campaigns(rows)?)
    }

    /// Locks the stock of these campaigns.
    pub async fn lock_tiers_of_many(
        &mut self,
        campaigns: &[CampaignNumber],
    ) -> Result<(), QuotaError> {
        let statement = sqlx::query(include_str!("../../queries/lock_tiers_of_many.sql"));
        self.run(statement.bind(numbers(campaigns))).await
    }

    /// How these campaigns stand, in the order of their numbers.
    pub async fn standings(
        &mut self,
        campaigns: &[CampaignNumber],
    ) -> Result<Vec<Standing>, QuotaError> {
        let query =
            sqlx::query_as::<_, StandingRow>(include_str!("../../queries/read_standings.sql"));
        self.rows(query.bind(numbers(campaigns))).await
    }

    /// Gives each of these campaigns the control that a halt makes of its own, in a transaction that holds their locks.
    pub async fn halt_campaigns(
        &mut self,
        halted: &[(CampaignNumber, Control)],
        halt: &Halt,
    ) -> Result<(), QuotaError> {
        let campaigns: Vec<_> = halted.iter().map(|(campaign, _)| *campaign).collect();
        let redemptions = halted.iter().map(|(_, control)| control.redemption.name());
        let epochs = halted.iter().map(|(_, control)| stored(control.epoch));
        let statement = sqlx::query(include_str!("../../queries/halt_campaigns.sql"));
        self.run(
            statement
                .bind(numbers(&campaigns))
                .bind(redemptions.collect::<Vec<_>>())
                .bind(epochs.collect::<Result<Vec<_>, _>>()?)
                .bind(halt.reason.as_str())
                .bind(halt.resume_at),
        )
        .await
    }
}
