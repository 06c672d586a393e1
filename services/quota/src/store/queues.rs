mod cohorts;
mod rows;

use tidegate_types::{CampaignNumber, ReplicaId, Timestamp};

use self::rows::{QueueRow, milliseconds};
use super::{Work, campaigns::number, stored};
use crate::{
    QuotaError,
    domain::{Queue, QueueCampaign},
};

/// A campaign and its queue.
pub struct FoundQueue {
    /// What the queue has to know of the campaign.
    pub campaign: QueueCampaign,
    /// The queue; one that nobody has joined if there is none.
    pub queue: Queue,
    /// Whether there is one.
    pub exists: bool,
}

impl Work {
    /// Notes that a gateway's report is counted; `false` if it was before.
    pub async fn note_queue_report(
        &mut self,
        gateway: &ReplicaId,
        report_number: u64,
        now: Timestamp,
    ) -> Result<bool, QuotaError> {
        let noted: Option<bool> =
            sqlx::query_scalar(include_str!("../../queries/note_queue_report.sql"))
                .bind(gateway.as_str())
                .bind(stored(report_number)?)
                .bind(now)
                .fetch_optional(self.connection())
                .await?;
        Ok(noted.is_some())
    }

    /// Makes a queue for each of these campaigns that has none.
    pub async fn make_queues(&mut self, campaigns: &[CampaignNumber]) -> Result<(), QuotaError> {
        sqlx::query(include_str!("../../queries/make_queues.sql"))
            .bind(numbers(campaigns))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Locks the queues of these campaigns.
    pub async fn lock_queues(&mut self, campaigns: &[CampaignNumber]) -> Result<(), QuotaError> {
        sqlx::query(include_str!("../../queries/lock_queues.sql"))
            .bind(numbers(campaigns))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// These campaigns, in the order of their numbers, without those that do not exist.
    pub async fn queues(
        &mut self,
        campaigns: &[CampaignNumber],
    ) -> Result<Vec<FoundQueue>, QuotaError> {
        let rows: Vec<QueueRow> = sqlx::query_as(include_str!("../../queries/read_queues.sql"))
            .bind(numbers(campaigns))
            .fetch_all(self.connection())
            .await?;
        let found = rows.into_iter().map(FoundQueue::try_from);
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Keeps a queue as it is now, in a transaction that holds its lock.
    pub async fn save_queue(
        &mut self,
        campaign: CampaignNumber,
        queue: &Queue,
    ) -> Result<(), QuotaError> {
        let pace = &queue.pace;
        let delay_us = pace.delay.map(|delay| delay.waited.as_micros() as u64);
        let delay_age = pace.delay.map(|delay| milliseconds(delay.age));
        sqlx::query(include_str!("../../queries/save_queue.sql"))
            .bind(number(campaign))
            .bind(queue.is_queueing)
            .bind(stored(queue.clock.milliseconds)?)
            .bind(queue.clock.moved_at)
            .bind(stored(queue.watermark.cohort.get())?)
            .bind(i64::from(queue.watermark.draw))
            .bind(stored(queue.version)?)
            .bind(milliseconds(queue.quiet))
            .bind(pace.per_second)
            .bind(pace.felt_per_second)
            .bind(pace.used_per_second)
            .bind(pace.shown.due_per_second)
            .bind(pace.shown.used_per_second)
            .bind(pace.issued.per_second)
            .bind(milliseconds(pace.issued.loaded))
            .bind(pace.issued.most_per_second)
            .bind(pace.issued.usual_per_second)
            .bind(delay_us.map(stored).transpose()?)
            .bind(delay_age)
            .bind(pace.recent.slowest)
            .bind(pace.recent.fastest)
            .bind(milliseconds(pace.recent.span))
            .bind(pace.earlier.slowest)
            .bind(pace.earlier.fastest)
            .bind(milliseconds(queue.held))
            .bind(pace.joined_per_second)
            .bind(pace.kept_per_second)
            .bind(milliseconds(pace.issued.counted))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// At most `limit` campaigns of which some cohort is remembered.
    pub async fn queues_to_tidy(&mut self, limit: u32) -> Result<Vec<CampaignNumber>, QuotaError> {
        let rows: Vec<i32> = sqlx::query_scalar(include_str!("../../queries/queues_to_tidy.sql"))
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        let found = rows.into_iter().map(rows::campaign_number);
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Removes at most `limit` gateways that have not reported since a moment.
    pub async fn forget_queue_reporters(
        &mut self,
        since: Timestamp,
        limit: u32,
    ) -> Result<(), QuotaError> {
        sqlx::query(include_str!("../../queries/forget_queue_reporters.sql"))
            .bind(since)
            .bind(i64::from(limit))
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

fn numbers(campaigns: &[CampaignNumber]) -> Vec<i32> {
    campaigns.iter().copied().map(number).collect()
}
