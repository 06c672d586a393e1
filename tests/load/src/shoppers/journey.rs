//! What one shopper lived through, for all questions that are asked afterwards. Every moment is
//! counted from the beginning of the crowd.

use std::{collections::BTreeMap, time::Duration};

use tidegate_proto::gateway::v1::QueuedClaim;

use super::claim_answer::Estimate;
use crate::{outcomes, quantile::quantile_ms};

/// How a shopper takes an answer that is no coupon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Manner {
    /// Shows the newest ticket when it is time, and asks again when a refusal says so.
    #[default]
    AsTold,
    /// Sends the same bytes again at once, without a ticket, until there is a coupon or nothing is
    /// left to try.
    AtOnce,
    /// Sends the same bytes again at once as often, and then follows the newest ticket as told.
    AtOnceThenAsTold,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum End {
    Coupon,
    Refused(String),
    /// Gave up the place, or the attempt, because it would have taken longer than the patience.
    Left,
    Unanswered,
    /// Was still told to wait when the run was over.
    #[default]
    Waiting,
}

impl End {
    /// Its name in a table.
    pub fn name(&self) -> String {
        match self {
            Self::Coupon => "coupon",
            Self::Refused(reason) => reason,
            Self::Left => "left",
            Self::Unanswered => "unanswered",
            Self::Waiting => "waiting",
        }
        .to_owned()
    }
}

/// How so many of them ended, by the names of the ends.
pub fn count_ends<'a>(journeys: impl IntoIterator<Item = &'a Journey>) -> BTreeMap<String, u64> {
    let mut ends = BTreeMap::new();
    for journey in journeys {
        *ends.entry(journey.end.name()).or_default() += 1;
    }
    ends
}

/// A shopper's way from arriving to the end.
#[derive(Debug, Clone, Default)]
pub struct Journey {
    pub manner: Manner,
    /// When the first call was to be sent.
    pub due: Duration,
    /// How much later than that it was sent: the generator's fault, and nobody else's.
    pub lag: Duration,
    pub claims: u32,
    /// When the first place in the queue was told.
    pub joined: Option<Duration>,
    /// The first estimate, and when it was told.
    pub estimate: Option<(Duration, Estimate)>,
    /// When the last claim was sent that was answered with a place in the queue.
    pub last_sent_to_wait: Option<Duration>,
    pub position: Option<u64>,
    /// How often a position was higher than the one told before.
    pub grown: u32,
    pub end: End,
    pub ended: Duration,
    /// How long the call took that brought the coupon.
    pub coupon_call: Option<Duration>,
    /// The order that was made with the coupon.
    pub order: Option<Ordered>,
    /// Calls of all kinds that nothing came back from.
    pub unanswered: u32,
}

/// What became of an order.
#[derive(Debug, Clone)]
pub struct Ordered {
    /// Why it was not accepted in the end.
    pub end: outcomes::End,
    pub ended: Duration,
    /// How long the call took that brought the end.
    pub call: Duration,
}

impl Journey {
    pub fn new(manner: Manner, due: Duration, first_sent: Duration) -> Self {
        Self {
            manner,
            due,
            lag: first_sent.saturating_sub(due),
            ended: first_sent,
            ..Self::default()
        }
    }

    /// A claim that was sent at one moment was answered at another with a place in the queue.
    pub fn told_to_wait(&mut self, sent: Duration, answered: Duration, place: &QueuedClaim) {
        self.joined.get_or_insert(answered);
        self.last_sent_to_wait = Some(sent);
        let estimate = Estimate::of(place).map(|estimate| (answered, estimate));
        self.estimate = self.estimate.or(estimate);
        if let Some(position) = place.position {
            if self.position.is_some_and(|before| position > before) {
                self.grown += 1;
            }
            self.position = Some(position);
        }
    }

    pub fn has_coupon(&self) -> bool {
        self.end == End::Coupon
    }

    /// From being due to the end.
    pub fn took(&self) -> Duration {
        self.ended.saturating_sub(self.due)
    }
}

/// How many of them have a coupon.
pub fn coupons(journeys: &[Journey]) -> u64 {
    let served = journeys.iter().filter(|journey| journey.has_coupon());
    served.count() as u64
}

/// How late the generator sent their first calls, in milliseconds.
pub fn lag_p99_ms<'a>(journeys: impl IntoIterator<Item = &'a Journey>) -> f64 {
    let lags = journeys.into_iter().map(|journey| journey.lag);
    quantile_ms(lags, 0.99).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_that_grows_is_counted_and_the_first_estimate_is_kept() {
        let seconds = Duration::from_secs;
        let place = |position, longest| QueuedClaim {
            position: Some(position),
            shortest_wait: seconds(1).try_into().ok(),
            longest_wait: seconds(longest).try_into().ok(),
            ..QueuedClaim::default()
        };
        let mut journey = Journey::new(Manner::AsTold, seconds(1), seconds(2));
        journey.told_to_wait(seconds(2), seconds(3), &place(9, 20));
        journey.told_to_wait(seconds(5), seconds(6), &place(7, 8));
        assert_eq!(journey.grown, 0);
        journey.told_to_wait(seconds(8), seconds(9), &place(8, 8));
        assert_eq!(journey.grown, 1);
        let (told, estimate) = journey.estimate.unwrap();
        assert_eq!((told, estimate.longest), (seconds(3), seconds(20)));
        assert_eq!(journey.joined, Some(seconds(3)));
        assert_eq!(journey.last_sent_to_wait, Some(seconds(8)));
        assert_eq!(journey.lag, seconds(1));
    }
}
