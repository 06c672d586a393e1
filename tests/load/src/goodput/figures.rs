//! What a stretch of a crowd came to.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use serde::Serialize;

use crate::{
    quantile::{milliseconds, quantile, quantile_ms},
    shoppers::journey::{Journey, count_ends, lag_p99_ms},
};

/// Later than this, a shopper came when the generator could, and not when it was to: the load was
/// not the one that is written beside the figures.
const LAG_TOLERATED_MS: f64 = 50.0;
/// A second is normal if all but so many of its shoppers are served as in ordinary times.
const EXCEPTIONS: f64 = 0.01;

#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    pub offered_per_second: f64,
    /// Coupons that came within their shoppers' patience, a second.
    pub goodput_per_second: f64,
    pub claims_per_shopper: f64,
    /// Of the calls that brought a coupon.
    pub admitted_p50_ms: Option<f64>,
    pub admitted_p99_ms: Option<f64>,
    /// The same in the median second: a stall of the disk is in one or two of them, whatever the
    /// load.
    pub admitted_p99_median_second_ms: Option<f64>,
    pub coupon_p99_ms: Option<f64>,
    pub ends: BTreeMap<String, u64>,
    /// Orders that were accepted, a second.
    pub orders_per_second: f64,
    /// Of the calls that brought an order's end.
    pub order_p99_ms: Option<f64>,
    pub orders_refused: u64,
    /// Calls of those who came.
    pub unanswered: u64,
    /// How late the generator sent the first calls.
    pub lag_p99_ms: f64,
    /// Whether the generator fell behind, so that the figures are not those of this load.
    pub is_void: bool,
}

impl Figures {
    /// Looks at who came and which coupons came in the window.
    pub fn of(journeys: &[Journey], window: &Range<Duration>, patience: Duration) -> Self {
        let seconds = (window.end - window.start).as_secs_f64();
        let came = || journeys.iter().filter(|it| window.contains(&it.due));
        let served = journeys.iter().filter(|it| it.has_coupon());
        let served: Vec<_> = served.filter(|it| window.contains(&it.ended)).collect();
        let in_time = served.iter().filter(|it| it.took() <= patience).count();
        let calls = || served.iter().filter_map(|it| it.coupon_call);
        let claims: u64 = came().map(|it| u64::from(it.claims)).sum();
        let orders = journeys.iter().filter_map(|it| it.order.as_ref());
        let orders: Vec<_> = orders.filter(|it| window.contains(&it.ended)).collect();
        let accepted = orders.iter().filter(|it| it.end.is_ok()).count();
        let lag_p99_ms = lag_p99_ms(came());
        Self {
            offered_per_second: came().count() as f64 / seconds,
            goodput_per_second: in_time as f64 / seconds,
            claims_per_shopper: claims as f64 / came().count().max(1) as f64,
            admitted_p50_ms: quantile_ms(calls(), 0.5),
            admitted_p99_ms: quantile_ms(calls(), 0.99),
            admitted_p99_median_second_ms: p99_of_median_second(&served).map(milliseconds),
            coupon_p99_ms: quantile_ms(served.iter().map(|it| it.took()), 0.99),
            ends: count_ends(came()),
            orders_per_second: accepted as f64 / seconds,
            order_p99_ms: quantile_ms(orders.iter().map(|it| it.call), 0.99),
            orders_refused: (orders.len() - accepted) as u64,
            unanswered: came().map(|it| u64::from(it.unanswered)).sum(),
            lag_p99_ms,
            is_void: lag_p99_ms > LAG_TOLERATED_MS,
        }
    }

    /// The ends for a table, and whether it is void.
    pub fn ends(&self) -> String {
        let ends = self.ends.iter();
        let mut words: String = ends
            .map(|(end, count)| format!("{end} {count}  "))
            .collect();
        if self.is_void {
            words += "VOID: the generator fell behind";
        }
        words
    }
}

/// How long it takes after the end of a flood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// Seconds until all that come have their coupon within their patience.
    pub in_time_seconds: u64,
    /// Seconds until they have it at once, because nobody is before them; unknown if the load that
    /// this is taken from was not offered.
    pub at_once_seconds: Option<u64>,
}

impl Recovery {
    /// Looks at those who came after the flood. `at_once` is how long a coupon takes in a busy
    /// hour.
    pub fn of(
        journeys: &[Journey],
        flood_ends: Duration,
        patience: Duration,
        at_once: Option<Duration>,
    ) -> Self {
        let within = |time| seconds_until_all_have(journeys, flood_ends, time);
        Self {
            in_time_seconds: within(patience),
            at_once_seconds: at_once.map(within),
        }
    }
}

/// Seconds from the end of a flood until all that come have a coupon within so long.
fn seconds_until_all_have(journeys: &[Journey], flood_ends: Duration, within: Duration) -> u64 {
    // By the second after the flood: who came, and who had none.
    let mut seconds: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for journey in journeys.iter().filter(|journey| journey.due >= flood_ends) {
        let counts = seconds
            .entry((journey.due - flood_ends).as_secs())
            .or_default();
        counts.0 += 1;
        counts.1 += u64::from(!journey.has_coupon() || journey.took() > within);
    }
    let last_bad = seconds
        .iter()
        .rfind(|(_, (came, badly))| *badly as f64 > *came as f64 * EXCEPTIONS);
    last_bad.map_or(0, |(second, _)| second + 1)
}

/// Of the p99s of calls that brought a coupon, one for each second in which one came, the median.
fn p99_of_median_second(served: &[&Journey]) -> Option<Duration> {
    let mut seconds: BTreeMap<u64, Vec<Duration>> = BTreeMap::new();
    for journey in served {
        let calls = seconds.entry(journey.ended.as_secs()).or_default();
        calls.extend(journey.coupon_call);
    }
    let p99s = seconds
        .into_values()
        .filter_map(|calls| quantile(calls, 0.99));
    quantile(p99s, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shoppers::journey::{End, Manner};

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn journey(due: f64, ended: f64, end: End) -> Journey {
        Journey {
            claims: 2,
            coupon_call: (end == End::Coupon).then_some(Duration::from_millis(40)),
            end,
            ended: seconds(ended),
            ..Journey::new(Manner::AsTold, seconds(due), seconds(due))
        }
    }

    #[test]
    fn only_coupons_that_came_in_the_window_and_in_time_are_goodput() {
        let journeys = [
            journey(1.0, 11.0, End::Coupon),
            journey(0.5, 11.0, End::Coupon),
            journey(11.0, 13.0, End::Coupon),
            journey(11.5, 11.6, End::Refused("OVERLOADED".to_owned())),
        ];
        let figures = Figures::of(&journeys, &(seconds(10.0)..seconds(12.0)), seconds(10.0));
        assert_eq!(figures.goodput_per_second, 0.5);
        assert_eq!(figures.offered_per_second, 1.0);
        assert_eq!(figures.claims_per_shopper, 2.0);
        assert_eq!(figures.admitted_p99_ms, Some(40.0));
        assert_eq!(figures.ends["OVERLOADED"], 1);
        assert!(!figures.is_void);
    }

    #[test]
    fn one_second_of_a_stall_is_not_in_the_median_second() {
        let served: Vec<_> = (0_u32..30)
            .map(|number| {
                let ended = f64::from(number) / 10.0;
                let mut journey = journey(ended, ended, End::Coupon);
                let call_ms = if number < 10 { 900 } else { 50 + number };
                journey.coupon_call = Some(Duration::from_millis(call_ms.into()));
                journey
            })
            .collect();
        let figures = Figures::of(&served, &(seconds(0.0)..seconds(3.0)), seconds(10.0));
        assert_eq!(figures.admitted_p99_ms, Some(900.0));
        assert_eq!(figures.admitted_p99_median_second_ms, Some(79.0));
    }

    #[test]
    fn a_generator_that_fell_behind_voids_the_step() {
        let mut late = journey(1.0, 2.0, End::Coupon);
        late.lag = Duration::from_millis(51);
        let figures = Figures::of(&[late], &(seconds(0.0)..seconds(2.0)), seconds(10.0));
        assert!(figures.is_void);
    }

    #[test]
    fn recovery_ends_after_the_last_second_with_more_than_a_few_exceptions() {
        let (flood_ends, patience) = (seconds(20.0), seconds(10.0));
        let at_once = Duration::from_millis(100);
        let mut journeys: Vec<_> = (0..800)
            .map(|number| {
                let due = 20.0 + f64::from(number) / 100.0;
                journey(due, due + 0.05, End::Coupon)
            })
            .collect();
        let recovery = |journeys: &[Journey]| {
            let found = Recovery::of(journeys, flood_ends, patience, Some(at_once));
            (found.in_time_seconds, found.at_once_seconds)
        };
        assert_eq!(recovery(&journeys), (0, Some(0)));
        // One in a hundred is an exception, two are not.
        journeys[650].end = End::Left;
        assert_eq!(recovery(&journeys), (0, Some(0)));
        journeys[350].end = End::Left;
        journeys[360].ended += at_once;
        assert_eq!(recovery(&journeys), (0, Some(4)));
        journeys[370].ended += patience;
        assert_eq!(recovery(&journeys), (4, Some(4)));
    }
}
