use std::time::Duration;

use sqlx::FromRow;
use tidegate_types::{CampaignNumber, Timestamp};

use super::FoundQueue;
use crate::{
    domain::{
        Cohort, Delay, Issued, Pace, PaceRange, Queue, QueueCampaign, QueueClock, Shown, Watermark,
    },
    store::{control::issuance_control, decoded},
};

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
    oldest_cohort: i64,
    version: i64,
    quiet_ms: i64,
    #[sqlx(flatten)]
    pace: PaceRow,
}

#[derive(FromRow)]
struct PaceRow {
    pace_per_second: f64,
    felt_per_second: f64,
    used_per_second: f64,
    joined_per_second: f64,
    kept_per_second: f64,
    shown_due_per_second: f64,
    shown_used_per_second: f64,
    issued_per_second: f64,
    issued_counted_ms: i64,
    issued_loaded_ms: i64,
    issued_most_per_second: Option<f64>,
    issued_usual_per_second: Option<f64>,
    delay_us: Option<i64>,
    delay_age_ms: Option<i64>,
    recent_slowest_per_second: f64,
    recent_fastest_per_second: f64,
    recent_span_ms: i64,
    earlier_slowest_per_second: f64,
    earlier_fastest_per_second: f64,
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
                free: decoded(row.free.try_into())?,
                leased: decoded(row.leased.try_into())?,
            },
            queue: Queue {
                is_queueing: row.is_queueing,
                clock: QueueClock {
                    milliseconds: decoded(row.clock_ms.try_into())?,
                    moved_at: row.moved_at,
                },
                held: span(row.held_ms)?,
                watermark: Watermark {
                    cohort: cohort(row.watermark_cohort)?,
                    draw: decoded(row.watermark_draw.try_into())?,
                },
                oldest_cohort: cohort(row.oldest_cohort)?,
                version: decoded(row.version.try_into())?,
                pace: row.pace.try_into()?,
                quiet: span(row.quiet_ms)?,
            },
            exists: row.has_queue,
        })
    }
}

impl TryFrom<PaceRow> for Pace {
    type Error = sqlx::Error;

    fn try_from(row: PaceRow) -> Result<Self, sqlx::Error> {
        let delay = match row.delay_us.zip(row.delay_age_ms) {
            None => None,
            Some((waited_us, age_ms)) => Some(Delay {
                waited: Duration::from_micros(decoded(waited_us.try_into())?),
                age: span(age_ms)?,
            }),
        };
        Ok(Self {
            per_second: row.pace_per_second,
            felt_per_second: row.felt_per_second,
            used_per_second: row.used_per_second,
            joined_per_second: row.joined_per_second,
            kept_per_second: row.kept_per_second,
            shown: Shown {
                due_per_second: row.shown_due_per_second,
                used_per_second: row.shown_used_per_second,
            },
            issued: Issued {
                per_second: row.issued_per_second,
                counted: span(row.issued_counted_ms)?,
                loaded: span(row.issued_loaded_ms)?,
                most_per_second: row.issued_most_per_second,
                usual_per_second: row.issued_usual_per_second,
            },
            delay,
            recent: PaceRange {
                slowest: row.recent_slowest_per_second,
                fastest: row.recent_fastest_per_second,
                span: span(row.recent_span_ms)?,
            },
            earlier: PaceRange {
                slowest: row.earlier_slowest_per_second,
                fastest: row.earlier_fastest_per_second,
                span: Duration::ZERO,
            },
        })
    }
}

pub(super) fn campaign_number(number: i32) -> Result<CampaignNumber, sqlx::Error> {
    decoded(CampaignNumber::new(number))
}

pub(super) fn cohort(number: i64) -> Result<Cohort, sqlx::Error> {
    decoded(Cohort::new(decoded(number.try_into())?))
}

fn span(milliseconds: i64) -> Result<Duration, sqlx::Error> {
    Ok(Duration::from_millis(decoded(milliseconds.try_into())?))
}

/// A span as the database holds it; none of a queue's is longer than minutes.
pub(super) fn milliseconds(span: Duration) -> i64 {
    span.as_millis() as i64
}
