use std::time::{Duration, Instant};

use tidegate_proto::quota::v1 as quota;
use tidegate_types::{CampaignNumber, Cohort, OutOfBounds, Turn};

use crate::domain::queue::{Pace, Snapshot, Waiting};

/// How a queue stands by what quota told, and whose queue it is; refused if a field is outside its
/// bounds.
pub(super) fn snapshot_from(
    told: &quota::QueueSnapshot,
    received_at: Instant,
) -> Result<(CampaignNumber, Snapshot), OutOfBounds> {
    let current = Cohort::new(told.current_cohort)?;
    let turn = |cohort, draw| Cohort::new(cohort).map(|cohort| Turn { cohort, draw });
    let waiting = told
        .waiting
        .iter()
        .map(|of| Ok((Cohort::new(of.cohort)?, of.waiting)))
        .collect::<Result<Vec<_>, _>>()?;
    let snapshot = Snapshot {
        is_known: true,
        is_queueing: told.is_queueing,
        clock: Duration::from_secs(current.get()) + age_from(told.current_cohort_age_ms)?,
        received_at,
        watermark: turn(told.watermark_cohort, told.watermark_draw)?,
        expired_before: turn(told.expired_before_cohort, told.expired_before_draw)?,
        pace: Pace::new(told.slowest_pace_per_second, told.fastest_pace_per_second),
        able_per_second: Some(told.able_per_second)
            .filter(|able| able.is_finite())
            .unwrap_or_default(),
        remaining: told.remaining,
        waiting: Waiting::of(waiting),
    };
    Ok((CampaignNumber::new(told.campaign_number)?, snapshot))
}

fn age_from(milliseconds: u32) -> Result<Duration, OutOfBounds> {
    const BOUNDS: OutOfBounds = OutOfBounds { min: 0, max: 999 };
    let milliseconds = u64::from(milliseconds);
    (milliseconds <= BOUNDS.max)
        .then(|| Duration::from_millis(milliseconds))
        .ok_or(BOUNDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_of_the_time_while_nobody_is_served() {
        let told = quota::QueueSnapshot {
            campaign_number: 7,
            ..quota::QueueSnapshot::default()
        };
        let pace_of = |told| snapshot_from(&told, Instant::now()).unwrap().1.pace;
        assert_eq!(pace_of(told.clone()), None);
        let running = quota::QueueSnapshot {
            slowest_pace_per_second: 10.0,
            fastest_pace_per_second: 20.0,
            ..told
        };
        assert_eq!(pace_of(running), Pace::new(10.0, 20.0));
    }

    #[test]
    fn a_snapshot_that_is_out_of_bounds_is_not_applied() {
        let told = quota::QueueSnapshot {
            campaign_number: 7,
            ..quota::QueueSnapshot::default()
        };
        let is_refused = |told| snapshot_from(&told, Instant::now()).is_err();
        assert!(!is_refused(told.clone()));
        assert!(is_refused(quota::QueueSnapshot {
            watermark_cohort: u64::MAX,
            ..told.clone()
        }));
        assert!(is_refused(quota::QueueSnapshot {
            current_cohort_age_ms: 1_000,
            ..told
        }));
        assert!(is_refused(quota::QueueSnapshot::default()));
    }
}
