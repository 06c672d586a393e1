mod reports;
mod rows;

use std::{collections::BTreeMap, time::Duration};

use tidegate_types::{CampaignNumber, Timestamp, Turn};

use self::rows::{QueueRow, campaign_number, milliseconds, turn};
use super::{
    Work,
    values::{number, numbers, stored},
};
use crate::{domain::Queue, error::QuotaError};

pub use self::{reports::KeptReport, rows::FoundQueue};

impl Work {
    /// Makes a queue for each of these campaigns that has none.
    pub async fn make_queues(&mut self, campaigns: &[CampaignNumber]) -> Result<(), QuotaError> {
        let statement = sqlx::query(include_str!("../../queries/make_queues.sql"));
        self.run(statement.bind(numbers(campaigns))).await
    }

    /// Locks the queues of these campaigns.
    pub async fn lock_queues(&mut self, campaigns: &[CampaignNumber]) -> Result<(), QuotaError> {
        let statement = sqlx::query(include_str!("../../queries/lock_queues.sql"));
        self.run(statement.bind(numbers(campaigns))).await
    }

    /// These campaigns, in the order of their numbers, without those that do not exist.
    pub async fn queues(
        &mut self,
        campaigns: &[CampaignNumber],
    ) -> Result<Vec<FoundQueue>, QuotaError> {
        let query = sqlx::query_as::<_, QueueRow>(include_str!("../../queries/read_queues.sql"));
        self.rows(query.bind(numbers(campaigns))).await
    }

    /// Keeps a queue as it is now, and how far its turns have come by this second of serving time; in a transaction that holds its lock.
    pub async fn save_queue(
        &mut self,
        campaign: CampaignNumber,
        queue: &Queue,
        serving_second: u64,
    ) -> Result<(), QuotaError> {
        let pace = &queue.pace;
        let statement = sqlx::query(include_str!("../../queries/save_queue.sql"));
        self.run(
            statement
                .bind(number(campaign))
                .bind(queue.is_queueing)
                .bind(stored(queue.clock.milliseconds)?)
                .bind(queue.clock.moved_at)
                .bind(milliseconds(queue.held))
                .bind(stored(queue.watermark.cohort.get())?)
                .bind(i64::from(queue.watermark.draw))
                .bind(queue.promises.ended)
                .bind(queue.promises.kept)
                .bind(pace.recent.slowest)
                .bind(pace.recent.fastest)
                .bind(milliseconds(pace.recent.span))
                .bind(pace.earlier.slowest)
                .bind(pace.earlier.fastest)
                .bind(milliseconds(pace.earlier.span))
                .bind(stored(serving_second)?),
        )
        .await
    }

    /// How far the turns of each campaign had come before a second of its serving time, as far as there is a mark.
    pub async fn turns_before(
        &mut self,
        seconds: &[(CampaignNumber, u64)],
    ) -> Result<BTreeMap<CampaignNumber, Turn>, QuotaError> {
        let campaigns: Vec<_> = seconds.iter().map(|(campaign, _)| *campaign).collect();
        let seconds = seconds.iter().map(|(_, second)| stored(*second));
        let rows: Vec<(i32, i64, i64)> =
            sqlx::query_as(include_str!("../../queries/turns_before.sql"))
                .bind(numbers(&campaigns))
                .bind(seconds.collect::<Result<Vec<_>, _>>()?)
                .fetch_all(self.connection())
                .await?;
        let turns = rows
            .into_iter()
            .map(|(campaign, cohort, draw)| Ok((campaign_number(campaign)?, turn(cohort, draw)?)));
        Ok(turns.collect::<Result<_, sqlx::Error>>()?)
    }

    /// Removes at most `limit` queues of campaigns that closed before a moment.
    pub async fn forget_queues(
        &mut self,
        closed_before: Timestamp,
        limit: u32,
    ) -> Result<(), QuotaError> {
        let statement = sqlx::query(include_str!("../../queries/forget_queues.sql"));
        self.run(statement.bind(closed_before).bind(i64::from(limit)))
            .await
    }

    /// Removes at most `limit` marks that say nothing about turns that are kept for so long.
    pub async fn forget_queue_marks(
        &mut self,
        kept: Duration,
        limit: u32,
    ) -> Result<(), QuotaError> {
        let statement = sqlx::query(include_str!("../../queries/forget_queue_marks.sql"));
        self.run(
            statement
                .bind(stored(kept.as_secs())?)
                .bind(i64::from(limit)),
        )
        .await
    }
}
