//! Whether the order of service is that of joining, as shoppers can tell from outside.

use std::{cmp::Ordering, collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::shoppers::journey::{End, Journey, Manner, count_ends, lag_p99_ms};

/// Two shoppers who joined further apart than this are more than one cohort of a second apart,
/// wherever the seconds begin.
const MORE_THAN_ONE_COHORT: Duration = Duration::from_secs(2);

/// What crowds can say of their treatment.
#[derive(Debug, Clone, Serialize)]
pub struct Treatment {
    /// How many came, one after the other.
    pub crowds: usize,
    pub shoppers: usize,
    /// Of them, who was given a place in the queue.
    pub queued: usize,
    /// How it ended, for all.
    pub ends: BTreeMap<String, u64>,
    /// Who was told to wait although somebody who joined more than one cohort later had the coupon
    /// already.
    pub overtaken: usize,
    /// How often a position was higher than the one told before.
    pub positions_grown: u64,
    /// Of those served from the queue who were told an estimate: whose coupon came within the first
    /// one, sooner, or later.
    pub inside_estimate: Option<f64>,
    pub sooner_than_estimate: Option<f64>,
    pub later_than_estimate: Option<f64>,
    /// Who was still told to wait, or nothing at all, when everything was over.
    pub left_waiting: usize,
    /// The share of those who sent again at once that was served, divided by that of the others.
    pub storm_served_ratio: Option<f64>,
    /// How long the others waited on average for the coupon, divided by how long those waited who
    /// sent again at once.
    pub storm_wait_ratio: Option<f64>,
    /// How late the generator sent the first calls.
    pub lag_p99_ms: f64,
}

impl Treatment {
    /// Asks everybody. Only those of one crowd can overtake each other.
    pub fn of(crowds: &[Vec<Journey>]) -> Self {
        let journeys: Vec<&Journey> = crowds.iter().flatten().collect();
        let estimates = against_estimates(&journeys);
        let share = |which| {
            let count = estimates.iter().filter(|it| **it == which).count();
            (!estimates.is_empty()).then(|| count as f64 / estimates.len() as f64)
        };
        let (storm, told): (Vec<_>, Vec<_>) = journeys
            .iter()
            .copied()
            .partition(|journey| journey.manner != Manner::AsTold);
        Self {
            crowds: crowds.len(),
            shoppers: journeys.len(),
            queued: crowds.iter().flat_map(|crowd| queued(crowd)).count(),
            ends: count_ends(journeys.iter().copied()),
            overtaken: crowds.iter().map(|crowd| overtaken(crowd)).sum(),
            positions_grown: journeys
                .iter()
                .map(|journey| u64::from(journey.grown))
                .sum(),
            inside_estimate: share(Ordering::Equal),
            sooner_than_estimate: share(Ordering::Less),
            later_than_estimate: share(Ordering::Greater),
            left_waiting: journeys
                .iter()
                .filter(|journey| matches!(journey.end, End::Waiting | End::Unanswered))
                .count(),
            storm_served_ratio: ratio(served_share(&storm), served_share(&told)),
            storm_wait_ratio: ratio(mean_wait(&told), mean_wait(&storm)),
            lag_p99_ms: lag_p99_ms(journeys.iter().copied()),
        }
    }
}

fn queued(journeys: &[Journey]) -> impl Iterator<Item = &Journey> {
    journeys.iter().filter(|journey| journey.joined.is_some())
}

/// When the coupon of one is in hand before another, who joined earlier, has even asked, and is
/// then told to wait on, the other was overtaken. That polls come at their own times overtakes
/// nobody.
fn overtaken(journeys: &[Journey]) -> usize {
    let mut served: Vec<_> = queued(journeys)
        .filter(|journey| journey.has_coupon())
        .map(|journey| (journey.due + journey.lag, journey.ended))
        .collect();
    served.sort_unstable();
    // From each on, the first coupon of all who joined then or later.
    let mut first_coupon = Duration::MAX;
    for (_, ended) in served.iter_mut().rev() {
        first_coupon = first_coupon.min(*ended);
        *ended = first_coupon;
    }
    // Who sent again at once has joined again each time, so the first time says nothing of the
    // place.
    queued(journeys)
        .filter(|journey| journey.manner == Manner::AsTold)
        .filter_map(|journey| journey.joined.zip(journey.last_sent_to_wait))
        .filter(|(joined, told_to_wait)| {
            let later = served.partition_point(|(from, _)| *from <= *joined + MORE_THAN_ONE_COHORT);
            served
                .get(later)
                .is_some_and(|(_, first_coupon)| first_coupon < told_to_wait)
        })
        .count()
}

/// Whether the coupon of each who was told an estimate came sooner, within the first one, or later.
fn against_estimates(journeys: &[&Journey]) -> Vec<Ordering> {
    let served = journeys.iter().filter(|journey| journey.has_coupon());
    let against = served.filter_map(|journey| {
        let (told, estimate) = journey.estimate?;
        let waited = journey.ended.saturating_sub(told);
        Some(if waited < estimate.shortest {
            Ordering::Less
        } else if waited > estimate.longest {
            Ordering::Greater
        } else {
            Ordering::Equal
        })
    });
    against.collect()
}

fn served_share(journeys: &[&Journey]) -> Option<f64> {
    let served = journeys.iter().filter(|journey| journey.has_coupon());
    (!journeys.is_empty()).then(|| served.count() as f64 / journeys.len() as f64)
}

fn mean_wait(journeys: &[&Journey]) -> Option<f64> {
    let waits: Vec<_> = journeys
        .iter()
        .filter(|journey| journey.has_coupon() && journey.joined.is_some())
        .map(|journey| journey.took().as_secs_f64())
        .collect();
    (!waits.is_empty()).then(|| waits.iter().sum::<f64>() / waits.len() as f64)
}

fn ratio(above: Option<f64>, below: Option<f64>) -> Option<f64> {
    above
        .zip(below)
        .filter(|(_, below)| *below > 0.0)
        .map(|(above, below)| above / below)
}

#[cfg(test)]
mod tests {
    use tidegate_proto::gateway::v1::QueuedClaim;

    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// Joined at once, was last told to wait for a claim sent at `waiting`, and had the coupon at
    /// `ended`.
    fn journey(due: f64, waiting: f64, ended: f64) -> Journey {
        let mut journey = Journey::new(Manner::AsTold, seconds(due), seconds(due));
        let place = QueuedClaim {
            position: Some(1),
            shortest_wait: seconds(2.0).try_into().ok(),
            longest_wait: seconds(6.0).try_into().ok(),
            ..QueuedClaim::default()
        };
        journey.told_to_wait(seconds(due), seconds(due), &place);
        journey.told_to_wait(seconds(waiting), seconds(waiting), &place);
        journey.end = End::Coupon;
        journey.ended = seconds(ended);
        journey
    }

    #[test]
    fn only_who_is_told_to_wait_after_a_much_later_one_was_served_is_overtaken() {
        let patient = journey(0.0, 6.0, 8.0);
        // More than a cohort later, and in hand before the other asked for the last time.
        assert_eq!(overtaken(&[patient.clone(), journey(2.5, 3.0, 5.0)]), 1);
        // Served after the other had asked: its next poll may be slow, its turn was not.
        assert_eq!(overtaken(&[patient.clone(), journey(2.5, 3.0, 6.5)]), 0);
        // Within one cohort the draw decides.
        assert_eq!(overtaken(&[patient.clone(), journey(1.5, 3.0, 5.0)]), 0);
        // The soonest of all later ones counts.
        let crowd = [
            patient,
            journey(2.5, 3.0, 7.0),
            journey(4.0, 4.5, 5.5),
            journey(5.0, 5.5, 9.0),
        ];
        assert_eq!(overtaken(&crowd), 1);
    }

    #[test]
    fn of_several_crowds_all_are_counted_and_none_overtakes_those_of_another() {
        let (patient, later) = (journey(0.0, 6.0, 8.0), journey(2.5, 3.0, 5.0));
        let apart = Treatment::of(&[vec![patient.clone()], vec![later.clone()]]);
        assert_eq!((apart.shoppers, apart.queued, apart.overtaken), (2, 2, 0));
        let crowd = vec![patient, later];
        let twice = Treatment::of(&[crowd.clone(), crowd]);
        assert_eq!((twice.shoppers, twice.queued, twice.overtaken), (4, 4, 2));
    }

    #[test]
    fn an_estimate_is_kept_between_its_ends_only() {
        let crowd = [
            journey(0.0, 0.5, 1.0),
            journey(0.0, 2.0, 3.0),
            journey(0.0, 2.0, 6.0),
            journey(0.0, 6.0, 7.0),
        ];
        let treatment = Treatment::of(&[crowd.into()]);
        assert_eq!(treatment.inside_estimate, Some(0.5));
        assert_eq!(treatment.sooner_than_estimate, Some(0.25));
        assert_eq!(treatment.later_than_estimate, Some(0.25));
    }

    #[test]
    fn a_storm_is_compared_with_those_who_did_as_told() {
        let mut quick = journey(0.0, 1.0, 2.0);
        quick.manner = Manner::AtOnceThenAsTold;
        let mut refused = journey(0.0, 1.0, 4.0);
        refused.end = End::Refused("BUDGET_EXHAUSTED".to_owned());
        let treatment = Treatment::of(&[vec![quick, journey(0.0, 1.0, 4.0), refused]]);
        assert_eq!(treatment.storm_served_ratio, Some(2.0));
        assert_eq!(treatment.storm_wait_ratio, Some(2.0));
        assert_eq!(treatment.left_waiting, 0);
    }

    #[test]
    fn who_is_never_told_the_end_is_left_waiting() {
        let mut waiting = journey(0.0, 9.0, 9.0);
        waiting.end = End::Waiting;
        let mut unheard = journey(0.0, 9.0, 9.0);
        unheard.end = End::Unanswered;
        assert_eq!(Treatment::of(&[vec![waiting, unheard]]).left_waiting, 2);
    }
}
