use std::time::Duration;

use sqlx::FromRow;
use tidegate_types::{CampaignNumber, ReplicaId, Timestamp};

use super::rows::{cohort, count, turn};
use crate::{
    domain::{CohortWaiting, QueueReport, REPORTS_COUNT_FOR},
    error::QuotaError,
    store::{
        Work,
        values::{decoded, number, stored},
    },
};

/// What a gateway reported last of a queue.
#[derive(Debug)]
pub struct KeptReport {
    pub gateway: ReplicaId,
    pub number: u64,
    /// Whether that was so recently that it still counts.
    pub still_counts: bool,
    pub reported_at: Timestamp,
    /// Whether it wanted a queue, which only counted when it was taken in.
    pub wanted_queue: bool,
    pub report: QueueReport,
}

#[derive(FromRow)]
struct ReportRow {
    gateway_id: String,
    report_number: i64,
    reported_at: Timestamp,
    wanted_queue: bool,
    still_counts: bool,
    can_take: f64,
    served_per_second: f64,
    able_per_second: f64,
    at_door: i64,
    watermark_cohort: i64,
    watermark_draw: i64,
    due_soon: i64,
    cohorts: Vec<i64>,
    held: Vec<i64>,
    promised: Vec<i64>,
    promised_soon: Vec<i64>,
    promises_ended: i64,
    promises_kept: i64,
}

impl ReportRow {
    fn into_kept(self, campaign: CampaignNumber) -> Result<KeptReport, sqlx::Error> {
        let waiting = self.cohorts.iter().zip(&self.held);
        let waiting = waiting.zip(self.promised.iter().zip(&self.promised_soon));
        let waiting = waiting.map(|((number, held), (promised, promised_soon))| {
            Ok(CohortWaiting {
                cohort: cohort(*number)?,
                held: count(*held)?,
                promised: count(*promised)?,
                promised_soon: count(*promised_soon)?,
            })
        });
        Ok(KeptReport {
            gateway: decoded(ReplicaId::parse(self.gateway_id))?,
            number: count(self.report_number)?,
            still_counts: self.still_counts,
            reported_at: self.reported_at,
            wanted_queue: self.wanted_queue,
            report: QueueReport {
                campaign,
                // Was taken in, and must not begin a queue again that has ended since.
                wants_queue: false,
                can_take: self.can_take,
                served_per_second: self.served_per_second,
                able_per_second: self.able_per_second,
                at_door: count(self.at_door)?,
                watermark: turn(self.watermark_cohort, self.watermark_draw)?,
                due_soon: count(self.due_soon)?,
                waiting: waiting.collect::<Result<_, sqlx::Error>>()?,
                promises_ended: count(self.promises_ended)?,
                promises_kept: count(self.promises_kept)?,
            },
        })
    }
}

impl Work {
    /// The reports of a queue that still count, and this gateway's own however old it is. Whoever is to move the queue holds its lock.
    pub async fn queue_reports(
        &mut self,
        campaign: CampaignNumber,
        gateway: Option<&ReplicaId>,
    ) -> Result<Vec<KeptReport>, QuotaError> {
        let rows: Vec<ReportRow> =
            sqlx::query_as(include_str!("../../../queries/read_queue_reports.sql"))
                .bind(number(campaign))
                .bind(gateway.map(ReplicaId::as_str))
                .bind(REPORTS_COUNT_FOR)
                .fetch_all(self.connection())
                .await?;
        let kept = rows.into_iter().map(|row| row.into_kept(campaign));
        Ok(kept.collect::<Result<_, _>>()?)
    }

    /// Keeps a gateway's report in place of the one before; in a transaction that holds the queue's lock.
    pub async fn save_queue_report(
        &mut self,
        gateway: &ReplicaId,
        report_number: u64,
        report: &QueueReport,
    ) -> Result<(), QuotaError> {
        let column = |of: fn(&CohortWaiting) -> u64| {
            let values = report.waiting.iter().map(|waiting| stored(of(waiting)));
            values.collect::<Result<Vec<_>, _>>()
        };
        let statement = sqlx::query(include_str!("../../../queries/save_queue_report.sql"));
        self.run(
            statement
                .bind(number(report.campaign))
                .bind(gateway.as_str())
                .bind(stored(report_number)?)
                .bind(report.can_take)
                .bind(report.served_per_second)
                .bind(report.able_per_second)
                .bind(stored(report.at_door)?)
                .bind(stored(report.watermark.cohort.get())?)
                .bind(i64::from(report.watermark.draw))
                .bind(stored(report.due_soon)?)
                .bind(column(|waiting| waiting.cohort.get())?)
                .bind(column(|waiting| waiting.held)?)
                .bind(column(|waiting| waiting.promised)?)
                .bind(column(|waiting| waiting.promised_soon)?)
                .bind(stored(report.promises_ended)?)
                .bind(stored(report.promises_kept)?)
                .bind(report.wants_queue),
        )
        .await
    }

    /// Removes at most `limit` reports of gateways that have been silent for so long.
    pub async fn forget_queue_reports(
        &mut self,
        silent_for: Duration,
        limit: u32,
    ) -> Result<(), QuotaError> {
        let statement = sqlx::query(include_str!("../../../queries/forget_queue_reports.sql"));
        self.run(statement.bind(silent_for).bind(i64::from(limit)))
            .await
    }
}
