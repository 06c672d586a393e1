//! What passes over time: read from the shoppers' tally and from every issuance's own count, twice
//! a second.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures_util::future::join_all;
use serde::Serialize;
use tidegate_chaos::tally::{Counts, Tally, locked};
use tidegate_client::metrics;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

const INTERVAL: Duration = Duration::from_millis(500);
/// One that is cut off must not hold up the others' readings.
const READ_LIMIT: Duration = Duration::from_millis(400);
/// Claims that a replica of issuance answered with a new coupon.
const ANSWERED: (&str, &str) = ("tidegate_coupons_answered_total", r#"replayed="false""#);
/// Refusals that ask to come again, soon, because the suite cannot serve now.
const PUT_OFF: [&str; 2] = ["OVERLOADED", "QUEUE_FULL"];
/// What else a caller who follows the answers has to expect: final by the campaign's terms or the
/// caller's own doing, or a stock that is nearly gone, whoever serves it.
const EXPECTED: [&str; 6] = [
    "BUDGET_EXHAUSTED",
    "SHOPPER_LIMIT_REACHED",
    "COUPON_REDEEMED",
    "ORDER_STATE_CONFLICT",
    "STORE_BUSY",
    "STOCK_RETURNING",
];

/// Everything counted until a moment.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Sample {
    /// Since the beginning.
    pub at_ms: u64,
    #[serde(flatten)]
    pub counts: Counts,
    /// New coupons by the replica of issuance that answered; of one that has ended, or is cut off,
    /// what it said last.
    pub by_replica: BTreeMap<String, u64>,
}

impl Sample {
    pub fn refused(&self) -> u64 {
        self.counts.refusals.values().sum()
    }

    /// Refusals of calls that the suite could not serve at that moment, and which are sent again.
    pub fn put_off(&self) -> u64 {
        self.refusals_that(|reason| PUT_OFF.contains(&reason))
    }

    /// Calls that failed although the caller did as the answers said: no answer, or one that nobody
    /// should get here.
    pub fn failed(&self) -> u64 {
        let is_strange = |reason: &str| !EXPECTED.contains(&reason) && !PUT_OFF.contains(&reason);
        self.counts.unknown + self.refusals_that(is_strange)
    }

    fn refusals_that(&self, wanted: impl Fn(&str) -> bool) -> u64 {
        let refusals = self.counts.refusals.iter();
        let wanted = refusals.filter(|(reason, _)| wanted(reason));
        wanted.map(|(_, number)| number).sum()
    }

    pub fn issued_by(&self, replica: &str) -> u64 {
        self.by_replica.get(replica).copied().unwrap_or(0)
    }
}

#[derive(Debug)]
pub struct Timeline {
    began: Instant,
    tally: Arc<Tally>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    pages: BTreeMap<String, SocketAddr>,
    samples: Vec<Sample>,
}

impl Timeline {
    pub fn begin(tally: Arc<Tally>) -> Self {
        Self {
            began: Instant::now(),
            tally,
            seen: Mutex::default(),
        }
    }

    pub async fn watch(&self) -> Infallible {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.read().await;
        }
    }

    pub async fn read(&self) -> Sample {
        let pages = self.seen().pages.clone();
        let readings = join_all(pages.into_iter().map(|(name, page)| async move {
            let text = timeout(READ_LIMIT, metrics::page(page)).await.ok()?.ok()?;
            let issued = metrics::sum(&text, ANSWERED.0, ANSWERED.1);
            Some((name, issued.unwrap_or(0.0) as u64))
        }))
        .await;
        let mut seen = self.seen();
        let last = seen.samples.last().cloned().unwrap_or_default();
        let mut by_replica = last.by_replica;
        by_replica.extend(readings.into_iter().flatten());
        let sample = Sample {
            at_ms: self.now_ms(),
            counts: self.tally.counts().clone(),
            by_replica,
        };
        seen.samples.push(sample.clone());
        sample
    }

    /// A replica of issuance was published. It is read until it has ended.
    pub fn joined(&self, name: &str, page: SocketAddr) {
        self.seen().pages.insert(name.to_owned(), page);
    }

    pub fn ended(&self, name: &str) {
        self.seen().pages.remove(name);
    }

    pub fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    pub fn samples(&self) -> Vec<Sample> {
        self.seen().samples.clone()
    }

    /// When a replica was first seen to have issued more than `before`, not earlier than
    /// `since_ms`.
    pub fn first_beyond(&self, name: &str, before: u64, since_ms: u64) -> Option<u64> {
        let seen = self.seen();
        let mut samples = seen.samples.iter();
        let beyond = |sample: &&Sample| sample.at_ms >= since_ms && sample.issued_by(name) > before;
        samples.find(beyond).map(|sample| sample.at_ms)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        locked(&self.seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_says_when_to_come_again_is_no_failed_call_and_a_missing_campaign_is() {
        let refusals = [
            ("STOCK_RETURNING", 5),
            ("OVERLOADED", 3),
            ("CAMPAIGN_NOT_FOUND", 2),
        ];
        let sample = Sample {
            counts: Counts {
                unknown: 1,
                refusals: refusals
                    .map(|(reason, number)| (reason.to_owned(), number))
                    .into(),
                ..Counts::default()
            },
            ..Sample::default()
        };
        let counts = (sample.refused(), sample.failed(), sample.put_off());
        assert_eq!(counts, (10, 3, 3));
    }

    #[tokio::test]
    async fn a_replica_takes_load_from_the_first_reading_with_more_than_before() {
        let timeline = Timeline::begin(Arc::default());
        for (at_ms, issued) in [(500, 3), (1_000, 3), (1_500, 4), (2_000, 7)] {
            timeline.seen().samples.push(Sample {
                at_ms,
                by_replica: BTreeMap::from([("issuance-1".to_owned(), issued)]),
                ..Sample::default()
            });
        }
        assert_eq!(timeline.first_beyond("issuance-1", 3, 600), Some(1_500));
        assert_eq!(timeline.first_beyond("issuance-1", 0, 600), Some(1_000));
        assert_eq!(timeline.first_beyond("issuance-2", 0, 0), None);
    }
}
