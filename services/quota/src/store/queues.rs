use std::{collections::BTreeMap, iter::zip, time::Duration};

use sqlx::{Row as _, postgres::PgRow};
use tidegate_types::{CampaignNumber, Cohort, ReplicaId, Timestamp, Turn};

use super::{Work, values::*};
use crate::{
    domain::{
        CohortWaiting, Pace, PaceRange, Promises, Queue, QueueCampaign, QueueClock, QueueReport,
        REPORTS_COUNT_FOR,
    },
    error::Result,
};

pub struct FoundQueue {
    pub campaign: QueueCampaign,
    pub queue: Queue,
    pub exists: bool,
}

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

fn found_queue(row: &PgRow) -> Read<FoundQueue> {
    let span = |column| Ok::<_, sqlx::Error>(Duration::from_millis(count(row, column)?));
    Ok(FoundQueue {
        campaign: QueueCampaign {
            number: campaign_number(row)?,
            opens_at: row.try_get("opens_at")?,
            closes_at: row.try_get("closes_at")?,
            issuance: issuance_control(row)?,
            free: count(row, "free")?,
            leased: count(row, "leased")?,
        },
        queue: Queue {
            is_queueing: row.try_get("is_queueing")?,
            clock: QueueClock {
                milliseconds: count(row, "clock_ms")?,
                moved_at: row.try_get("moved_at")?,
            },
            held: span("held_ms")?,
            watermark: turn(row)?,
            promises: Promises {
                ended: row.try_get("promises_ended")?,
                kept: row.try_get("promises_kept")?,
            },
            pace: Pace {
                recent: PaceRange {
                    slowest: row.try_get("recent_slowest_per_second")?,
                    fastest: row.try_get("recent_fastest_per_second")?,
                    span: span("recent_span_ms")?,
                },
                earlier: PaceRange {
                    slowest: row.try_get("earlier_slowest_per_second")?,
                    fastest: row.try_get("earlier_fastest_per_second")?,
                    span: span("earlier_span_ms")?,
                },
            },
        },
        exists: row.try_get("has_queue")?,
    })
}

fn kept_report(campaign: CampaignNumber, row: &PgRow) -> Read<KeptReport> {
    Ok(KeptReport {
        gateway: parsed(row, "gateway_id", ReplicaId::parse)?,
        number: count(row, "report_number")?,
        still_counts: row.try_get("still_counts")?,
        reported_at: row.try_get("reported_at")?,
        wanted_queue: row.try_get("wanted_queue")?,
        report: QueueReport {
            campaign,
            // Was taken in, and must not begin a queue again that has ended since.
            wants_queue: false,
            can_take: row.try_get("can_take")?,
            served_per_second: row.try_get("served_per_second")?,
            able_per_second: row.try_get("able_per_second")?,
            at_door: count(row, "at_door")?,
            watermark: turn(row)?,
            due_soon: count(row, "due_soon")?,
            waiting: waiting(row)?,
            promises_ended: count(row, "promises_ended")?,
            promises_kept: count(row, "promises_kept")?,
        },
    })
}

fn waiting(row: &PgRow) -> Read<Vec<CohortWaiting>> {
    let held = zip(count_list(row, "cohorts")?, count_list(row, "held")?);
    let promised = zip(
        count_list(row, "promised")?,
        count_list(row, "promised_soon")?,
    );
    zip(held, promised)
        .map(|((cohort, held), (promised, promised_soon))| {
            Ok(CohortWaiting {
                cohort: decoded(Cohort::new(cohort))?,
                held,
                promised,
                promised_soon,
            })
        })
        .collect()
}

/// A span as the database holds it; none of a queue's is longer than a campaign.
fn milliseconds(span: Duration) -> i64 {
    span.as_millis() as i64
}

impl Work {
    pub async fn make_queues(&mut self, campaigns: &[CampaignNumber]) -> Result {
        let make = sql!("../../queries/make_queues.sql", numbers(campaigns));
        self.run(make).await
    }

    pub async fn lock_queues(&mut self, campaigns: &[CampaignNumber]) -> Result {
        let lock = sql!("../../queries/lock_queues.sql", numbers(campaigns));
        self.run(lock).await
    }

    /// These campaigns, in the order of their numbers, without those that do not exist.
    pub async fn queues(&mut self, campaigns: &[CampaignNumber]) -> Result<Vec<FoundQueue>> {
        let found = sql!("../../queries/read_queues.sql", numbers(campaigns));
        self.rows(found, found_queue).await
    }

    /// Keeps a queue as it is now, and how far its turns have come by this second of serving time; in a transaction that holds its lock.
    pub async fn save_queue(
        &mut self,
        campaign: CampaignNumber,
        queue: &Queue,
        serving_second: u64,
    ) -> Result {
        let Pace { recent, earlier } = &queue.pace;
        let save = sql!(
            "../../queries/save_queue.sql",
            number(campaign),
            queue.is_queueing,
            stored(queue.clock.milliseconds)?,
            queue.clock.moved_at,
            milliseconds(queue.held),
            stored(queue.watermark.cohort.get())?,
            i64::from(queue.watermark.draw),
            queue.promises.ended,
            queue.promises.kept,
            recent.slowest,
            recent.fastest,
            milliseconds(recent.span),
            earlier.slowest,
            earlier.fastest,
            milliseconds(earlier.span),
            stored(serving_second)?,
        );
        self.run(save).await
    }

    /// How far the turns of each campaign had come before a second of its serving time, as far as there is a mark.
    pub async fn turns_before(
        &mut self,
        seconds: &[(CampaignNumber, u64)],
    ) -> Result<BTreeMap<CampaignNumber, Turn>> {
        let (campaigns, seconds): (Vec<_>, Vec<_>) = seconds.iter().copied().unzip();
        let (campaigns, seconds) = (numbers(&campaigns), stored_all(seconds.into_iter())?);
        let found = sql!("../../queries/turns_before.sql", campaigns, seconds);
        let turns = self.rows(found, |row| Ok((campaign_number(row)?, turn(row)?)));
        Ok(turns.await?.into_iter().collect())
    }

    /// The reports of a queue that still count, and this gateway's own however old it is. Whoever is to move the queue holds its lock.
    pub async fn queue_reports(
        &mut self,
        campaign: CampaignNumber,
        gateway: Option<&ReplicaId>,
    ) -> Result<Vec<KeptReport>> {
        let found = sql!(
            "../../queries/read_queue_reports.sql",
            number(campaign),
            gateway.map(ReplicaId::as_str),
            REPORTS_COUNT_FOR
        );
        self.rows(found, |row| kept_report(campaign, row)).await
    }

    /// Keeps a gateway's report in place of the one before; in a transaction that holds the queue's lock.
    pub async fn save_queue_report(
        &mut self,
        gateway: &ReplicaId,
        report_number: u64,
        report: &QueueReport,
    ) -> Result {
        let column = |of: fn(&CohortWaiting) -> u64| stored_all(report.waiting.iter().map(of));
        let save = sql!(
            "../../queries/save_queue_report.sql",
            number(report.campaign),
            gateway.as_str(),
            stored(report_number)?,
            report.can_take,
            report.served_per_second,
            report.able_per_second,
            stored(report.at_door)?,
            stored(report.watermark.cohort.get())?,
            i64::from(report.watermark.draw),
            stored(report.due_soon)?,
            column(|waiting| waiting.cohort.get())?,
            column(|waiting| waiting.held)?,
            column(|waiting| waiting.promised)?,
            column(|waiting| waiting.promised_soon)?,
            stored(report.promises_ended)?,
            stored(report.promises_kept)?,
            report.wants_queue,
        );
        self.run(save).await
    }

    pub async fn forget_queues(&mut self, closed_before: Timestamp, limit: i64) -> Result {
        let forget = sql!("../../queries/forget_queues.sql", closed_before, limit);
        self.run(forget).await
    }

    pub async fn forget_queue_reports(&mut self, silent_for: Duration, limit: i64) -> Result {
        let forget = sql!("../../queries/forget_queue_reports.sql", silent_for, limit);
        self.run(forget).await
    }

    /// Removes at most `limit` marks that say nothing about turns that are kept for so long.
    pub async fn forget_queue_marks(&mut self, kept: Duration, limit: i64) -> Result {
        let kept = stored(kept.as_secs())?;
        let forget = sql!("../../queries/forget_queue_marks.sql", kept, limit);
        self.run(forget).await
    }
}
