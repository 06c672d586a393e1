use std::time::Duration;

use sqlx::FromRow;
use tidegate_types::{CampaignId, CampaignNumber, Timestamp};

use super::{Work, campaigns::numbers, control::ControlRow, decoded, stored};
use crate::{
    QuotaError,
    domain::{Control, Fence, Halt, Standing},
};

#[derive(FromRow)]
struct StandingRow {
    campaign_number: i32,
    campaign_id: String,
    closes_at: Timestamp,
    ended_at: Option<Timestamp>,
    #[sqlx(flatten)]
    control: ControlRow,
    redemption_revision: i64,
    extension_revision: i64,
    fenced_revision: i64,
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
            fence: Fence {
                redemption_revision: decoded(row.redemption_revision.try_into())?,
                extension_revision: decoded(row.extension_revision.try_into())?,
                fenced_revision: decoded(row.fenced_revision.try_into())?,
            },
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
        let numbers = rows.into_iter().map(CampaignNumber::new);
        Ok(numbers.map(decoded).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Locks the stock of these campaigns.
    pub async fn lock_tiers_of_many(
        &mut self,
        campaigns: &[CampaignNumber],
    ) -> Result<(), QuotaError> {
        sqlx::query(include_str!("../../queries/lock_tiers_of_many.sql"))
            .bind(numbers(campaigns))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// How these campaigns stand, in the order of their numbers.
    pub async fn standings(
        &mut self,
        campaigns: &[CampaignNumber],
    ) -> Result<Vec<Standing>, QuotaError> {
        let rows: Vec<StandingRow> =
            sqlx::query_as(include_str!("../../queries/read_standings.sql"))
                .bind(numbers(campaigns))
                .fetch_all(self.connection())
                .await?;
        let standings = rows.into_iter().map(Standing::try_from);
        Ok(standings.collect::<Result<_, _>>()?)
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
        sqlx::query(include_str!("../../queries/halt_campaigns.sql"))
            .bind(numbers(&campaigns))
            .bind(redemptions.collect::<Vec<_>>())
            .bind(epochs.collect::<Result<Vec<_>, _>>()?)
            .bind(halt.reason.as_str())
            .bind(halt.resume_at)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
