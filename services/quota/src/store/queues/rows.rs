use std::time::Duration;

use sqlx::FromRow;
use tidegate_types::{CampaignNumber, Cohort, Timestamp, Turn};

use crate::{
    domain::{Pace, PaceRange, Promises, Queue, QueueCampaign, QueueClock},
    store::values::{decoded, issuance_control},
};

pub struct FoundQueue {
    pub campaign: QueueCampaign,
    /// The queue; one that nobody has joined if there is none.
    pub queue: Queue,
    /// Whether there is one.
    pub exists: bool,
}

#[derive(FromRow)]
pub(super) struct QueueRow {
    campaign_number: i32,
    opens_at: Timestamp,
    closes_at: Timestamp,
    issuance_control: String,
    free: i64,
    leased: i64,
    has_queue: bool,
    is_queueing: bool,
    clock_ms: i64,
    moved_at: Option<Timestamp>,
    held_ms: i64,
    watermark_cohort: i64,
    watermark_draw: i64,
    promises_ended: f64,
    promises_kept: f64,
    recent_slowest_per_second: f64,
    recent_fastest_per_second: f64,
    recent_span_ms: i64,
    earlier_slowest_per_second: f64,
    earlier_fastest_per_second: f64,
    earlier_span_ms: i64,
}

impl TryFrom<QueueRow> for FoundQueue {
    type Error = sqlx::Error;

    fn try_from(row: QueueRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            campaign: QueueCampaign {
                number: campaign_number(row.campaign_number)?,
                opens_at: row.opens_at,
                closes_at: row.closes_at,
                issuance: issuance_control(&row.issuance_control)?,
                free: count(row.free)?,
                leased: count(row.leased)?,
            },
            queue: Queue {
                is_queueing: row.is_queueing,
                clock: QueueClock {
                    milliseconds: count(row.clock_ms)?,
                    moved_at: row.moved_at,
                },
                held: span(row.held_ms)?,
                watermark: turn(row.watermark_cohort, row.watermark_draw)?,
                promises: Promises {
                    ended: row.promises_ended,
                    kept: row.promises_kept,
                },
                pace: Pace {
                    recent: PaceRange {
                        slowest: row.recent_slowest_per_second,
                        fastest: row.recent_fastest_per_second,
                        span: span(row.recent_span_ms)?,
                    },
                    earlier: PaceRange {
                        slowest: row.earlier_slowest_per_second,
                        fastest: row.earlier_fastest_per_second,
                        span: span(row.earlier_span_ms)?,
                    },
                },
            },
            exists: row.has_queue,
        })
    }
}

pub(super) fn campaign_number(number: i32) -> Result<CampaignNumber, sqlx::Error> {
    decoded(CampaignNumber::new(number))
}

pub(super) fn cohort(number: i64) -> Result<Cohort, sqlx::Error> {
    decoded(Cohort::new(count(number)?))
}

pub(super) fn turn(cohort_number: i64, draw: i64) -> Result<Turn, sqlx::Error> {
    Ok(Turn {
        cohort: cohort(cohort_number)?,
        draw: decoded(draw.try_into())?,
    })
}

pub(super) fn count(count: i64) -> Result<u64, sqlx::Error> {
    decoded(count.try_into())
}

fn span(milliseconds: i64) -> Result<Duration, sqlx::Error> {
    Ok(Duration::from_millis(count(milliseconds)?))
}

/// A span as the database holds it; none of a queue's is longer than a campaign.
pub(super) fn milliseconds(span: Duration) -> i64 {
    span.as_millis() as i64
}
