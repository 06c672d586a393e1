use std::time::{Duration, Instant};

use tidegate_proto::quota::v1 as quota;
use tidegate_types::{CampaignNumber, OutOfBounds};

use crate::domain::queue::{Cohort, CohortStanding, Pace, Turn, Word};

/// Quota's word on a queue, and whose queue it is; refused if a field is outside its bounds.
pub(super) fn word_from(
    standing: quota::QueueStanding,
    received_at: Instant,
) -> Result<(CampaignNumber, Word), OutOfBounds> {
    let pace = Pace::new(
        standing.slowest_pace_per_second,
        standing.fastest_pace_per_second,
    );
    let word = Word {
        is_queueing: standing.is_queueing,
        current_cohort: Cohort::new(standing.current_cohort)?,
        current_cohort_age: age_from(standing.current_cohort_age_ms)?,
        received_at,
        watermark: Turn {
            cohort: Cohort::new(standing.watermark_cohort)?,
            draw: standing.watermark_draw,
        },
        pace: pace.filter(|_| standing.pace_per_second > 0.0),
        version: standing.version,
        oldest_cohort: Cohort::new(standing.oldest_cohort)?,
        remaining: standing.remaining,
        serving_second: standing.serving_second,
        cohorts: standing
            .cohorts
            .iter()
            .map(cohort_from)
            .collect::<Result<_, _>>()?,
    };
    Ok((CampaignNumber::new(standing.campaign_number)?, word))
}

fn age_from(milliseconds: u32) -> Result<Duration, OutOfBounds> {
    const BOUNDS: OutOfBounds = OutOfBounds { min: 0, max: 999 };
    let milliseconds = u64::from(milliseconds);
    (milliseconds <= BOUNDS.max)
        .then(|| Duration::from_millis(milliseconds))
        .ok_or(BOUNDS)
}

fn cohort_from(cohort: &quota::CohortStanding) -> Result<CohortStanding, OutOfBounds> {
    Ok(CohortStanding {
        cohort: Cohort::new(cohort.cohort)?,
        joined: cohort.joined,
        left: cohort.left,
        due_second: cohort.due_second,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_of_the_time_while_nobody_is_served() {
        let standing = quota::QueueStanding {
            campaign_number: 7,
            pace_per_second: 0.0,
            slowest_pace_per_second: 10.0,
            fastest_pace_per_second: 20.0,
            ..quota::QueueStanding::default()
        };
        let pace_of = |standing| word_from(standing, Instant::now()).unwrap().1.pace;
        assert_eq!(pace_of(standing.clone()), None);
        let running = quota::QueueStanding {
            pace_per_second: 15.0,
            ..standing
        };
        assert_eq!(pace_of(running), Pace::new(10.0, 20.0));
    }

    #[test]
    fn a_word_that_is_out_of_bounds_is_not_taken_in() {
        let standing = quota::QueueStanding {
            campaign_number: 7,
            watermark_cohort: u64::MAX,
            ..quota::QueueStanding::default()
        };
        assert!(word_from(standing, Instant::now()).is_err());
        let older_than_a_second = quota::QueueStanding {
            campaign_number: 7,
            current_cohort_age_ms: 1_000,
            ..quota::QueueStanding::default()
        };
        assert!(word_from(older_than_a_second, Instant::now()).is_err());
        let nobodys = quota::QueueStanding::default();
        assert!(word_from(nobodys, Instant::now()).is_err());
    }
}
