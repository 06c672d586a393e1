//! What passes over time: read from the shoppers' tally and from every issuance's own count, twice a second.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::{metrics::fetch, tally::Tally};

const INTERVAL: Duration = Duration::from_millis(500);
/// One that is cut off must not hold up the others' readings.
const READ_LIMIT: Duration = Duration::from_millis(400);
/// Claims that a replica of issuance answered with a new coupon.
const ANSWERED: &str = r#"tidegate_coupons_answered_total{replayed="false"} "#;
/// What a caller who follows the answers has to expect: final by the campaign's terms or the caller's own doing, or an invitation to come again.
const EXPECTED: [&str; 8] = [
    "BUDGET_EXHAUSTED",
    "SHOPPER_LIMIT_REACHED",
    "COUPON_REDEEMED",
    "ORDER_STATE_CONFLICT",
    "STORE_BUSY",
    "OVERLOADED",
    "QUEUE_FULL",
    "STOCK_RETURNING",
];

/// Refusals that ask to come again, soon, because the suite cannot serve now. STOCK_RETURNING is none of them: it tells of a stock that is nearly gone, whoever serves it.
const PUT_OFF: [&str; 2] = ["OVERLOADED", "QUEUE_FULL"];

/// Everything counted until a moment.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Sample {
    /// Since the beginning.
    pub at_ms: u64,
    pub replicas: usize,
    pub sent: u64,
    /// Coupons told to be new.
    pub issued: u64,
    /// Requests that ended without an answer of the suite's.
    pub unknown: u64,
    pub refusals: BTreeMap<String, u64>,
    /// New coupons by the replica of issuance that answered; of one that has ended, or is cut off, what it said last.
    pub by_replica: BTreeMap<String, u64>,
}

impl Sample {
    /// All refusals, whatever they say.
    pub fn refused(&self) -> u64 {
        self.refusals.values().sum()
    }

    /// Refusals of calls that the suite could not serve at that moment, and which are sent again.
    pub fn put_off(&self) -> u64 {
        let refused = |reason: &&str| self.refusals.get(*reason).copied().unwrap_or(0);
        PUT_OFF.iter().map(refused).sum()
    }

    /// Calls that failed although the caller did as the answers said: no answer, or one that nobody should get here.
    pub fn failed(&self) -> u64 {
        let unexpected = self
            .refusals
            .iter()
            .filter(|(reason, _)| !EXPECTED.contains(&reason.as_str()));
        self.unknown + unexpected.map(|(_, number)| number).sum::<u64>()
    }
}

/// All readings so far.
#[derive(Debug)]
pub struct Timeline {
    began: Instant,
    tally: Arc<Tally>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    pages: BTreeMap<String, SocketAddr>,
    replicas: usize,
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

    /// Reads again and again, until dropped.
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
            let text = timeout(READ_LIMIT, fetch(page)).await.ok()?.ok()?;
            Some((name, answered(&text)))
        }))
        .await;
        let mut seen = self.seen();
        let mut by_replica = seen
            .samples
            .last()
            .map(|sample| sample.by_replica.clone())
            .unwrap_or_default();
        for (name, issued) in readings.into_iter().flatten() {
            by_replica.insert(name, issued);
        }
        let sample = Sample {
            at_ms: self.now_ms(),
            replicas: seen.replicas,
            sent: self.tally.sent.load(Relaxed),
            issued: self.tally.issued.load(Relaxed),
            unknown: self.tally.unknown.load(Relaxed),
            refusals: self.tally.refusals(),
            by_replica,
        };
        seen.samples.push(sample.clone());
        sample
    }

    /// A replica of issuance was published, and so many are now.
    pub fn joined(&self, name: &str, page: SocketAddr, replicas: usize) {
        let mut seen = self.seen();
        seen.pages.insert(name.to_owned(), page);
        seen.replicas = replicas;
    }

    /// A replica of issuance was withdrawn, and so many are left. It is read until it has ended.
    pub fn left(&self, replicas: usize) {
        self.seen().replicas = replicas;
    }

    /// A replica of issuance has ended.
    pub fn ended(&self, name: &str) {
        self.seen().pages.remove(name);
    }

    /// Milliseconds since the beginning.
    pub fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// Every reading so far.
    pub fn samples(&self) -> Vec<Sample> {
        self.seen().samples.clone()
    }

    /// When a replica was first seen to have issued more than `before`, not earlier than `since_ms`.
    pub fn first_beyond(&self, name: &str, before: u64, since_ms: u64) -> Option<u64> {
        let seen = self.seen();
        let mut samples = seen.samples.iter();
        let beyond = |sample: &&Sample| {
            let issued = sample.by_replica.get(name).copied().unwrap_or(0);
            sample.at_ms >= since_ms && issued > before
        };
        samples.find(beyond).map(|sample| sample.at_ms)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A replica that has answered nothing yet does not have the line.
fn answered(page: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(ANSWERED));
    line.and_then(|value| value.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_coupons_are_counted_and_those_told_again_are_not() {
        let page = "# TYPE tidegate_coupons_answered counter\n\
            tidegate_coupons_answered_total{replayed=\"true\"} 9\n\
            tidegate_coupons_answered_total{replayed=\"false\"} 4\n";
        assert_eq!((answered(page), answered("")), (4, 0));
    }

    #[test]
    fn a_refusal_that_says_when_to_come_again_is_no_failed_call_and_a_missing_campaign_is() {
        let refusals = [
            ("STOCK_RETURNING", 5),
            ("OVERLOADED", 3),
            ("CAMPAIGN_NOT_FOUND", 2),
        ];
        let sample = Sample {
            unknown: 1,
            refusals: refusals
                .map(|(reason, number)| (reason.to_owned(), number))
                .into(),
            ..Sample::default()
        };
        assert_eq!((sample.refused(), sample.failed()), (10, 3));
        assert_eq!(sample.put_off(), 3);
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
