//! What happened, counted while it happens.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::collector::TraceId;

/// Latencies beyond this are counted as this.
const LATENCY_LIMIT_US: u64 = 10 * 60 * 1_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
/// Shoppers whose whole story is traced, at most.
pub const STORIES_LIMIT: usize = 64;

/// How one claim ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimEnd {
    /// With a coupon, made for it.
    Issued,
    /// With the coupon of an earlier claim with its request id.
    Replayed,
    /// With a reason.
    Refused(String),
    /// With no answer at all, after every retry.
    Unanswered,
}

/// How one order ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderEnd {
    /// The store makes it.
    Accepted,
    /// It was refused, or rejected later, for a reason.
    Rejected(String),
    /// With no final answer, after every retry.
    Unanswered,
}

/// Claims: each of those offered is in exactly one of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ClaimCounts {
    /// Scheduled.
    pub offered: u64,
    /// Ended with a new coupon.
    pub issued: u64,
    /// Ended with the coupon of an earlier send.
    pub replayed: u64,
    /// Ended with a refusal, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Ended without an answer.
    pub unanswered: u64,
}

impl ClaimCounts {
    /// Claims that have ended.
    pub fn ended(&self) -> u64 {
        self.issued + self.replayed + self.refused.values().sum::<u64>() + self.unanswered
    }
}

/// Orders: each of those placed is in exactly one of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OrderCounts {
    /// Sent.
    pub placed: u64,
    /// Made by a store.
    pub accepted: u64,
    /// Not made, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Without a final answer.
    pub unanswered: u64,
}

impl OrderCounts {
    /// Orders that have ended.
    pub fn ended(&self) -> u64 {
        self.accepted + self.rejected.values().sum::<u64>() + self.unanswered
    }
}

/// What stores with too many friends make shoppers do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Detours {
    /// Answers that a store has no room in time.
    pub told_busy: u64,
    /// Orders that were accepted at a store the answer suggested.
    pub accepted_elsewhere: u64,
    /// Orders that were accepted for the later slot that the answer named.
    pub accepted_later: u64,
    /// Accepted orders whose shopper cancelled them.
    pub cancelled: u64,
    /// Orders that were accepted with the coupon of a cancelled one.
    pub accepted_anew: u64,
}

/// One second of the replay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Second {
    /// Claims scheduled in it.
    pub offered: u64,
    /// Coupons told in it, replays included.
    pub issued: u64,
    /// Refusals told in it.
    pub refused: u64,
}

/// Milliseconds from the scheduled send to the final answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// Half are at most this.
    pub p50: f64,
    /// 99 of a hundred are.
    pub p99: f64,
    /// 999 of a thousand are.
    pub p999: f64,
}

/// Everything counted, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// Claims.
    pub claims: ClaimCounts,
    /// Orders.
    pub orders: OrderCounts,
    /// Detours of orders.
    pub detours: Detours,
    /// Latency of claims.
    pub claim_latency: Quantiles,
    /// Latency of orders.
    pub order_latency: Quantiles,
    /// The replay second by second.
    pub seconds: Vec<Second>,
    /// Sends beyond the first of a claim or order.
    pub retries: u64,
    /// Answers that callers lost on purpose.
    pub answers_lost: u64,
    /// Traces of shoppers who got coupon and order.
    pub stories: Vec<TraceId>,
}

/// The counters, shared by all shoppers.
#[derive(Debug)]
pub struct Measures(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    picture: Picture,
    claim_latency: Histogram<u64>,
    order_latency: Histogram<u64>,
}

impl Measures {
    /// All zero.
    ///
    /// # Errors
    /// Never with the constants of this file.
    pub fn new() -> anyhow::Result<Self> {
        let histogram = || Histogram::new_with_max(LATENCY_LIMIT_US, SIGNIFICANT_DIGITS);
        Ok(Self(Mutex::new(Inner {
            picture: Picture::default(),
            claim_latency: histogram()?,
            order_latency: histogram()?,
        })))
    }

    /// A claim is due at this moment of the replay.
    pub fn claim_offered(&self, at: Duration) {
        let mut inner = self.lock();
        inner.picture.claims.offered += 1;
        inner.second(at).offered += 1;
    }

    /// A claim ended at this moment of the replay, so long after it was due.
    pub fn claim_ended(&self, at: Duration, latency: Duration, end: &ClaimEnd) {
        let mut inner = self.lock();
        let claims = &mut inner.picture.claims;
        match end {
            ClaimEnd::Issued => claims.issued += 1,
            ClaimEnd::Replayed => claims.replayed += 1,
            ClaimEnd::Refused(reason) => *claims.refused.entry(reason.clone()).or_default() += 1,
            ClaimEnd::Unanswered => claims.unanswered += 1,
        }
        match end {
            ClaimEnd::Issued | ClaimEnd::Replayed => inner.second(at).issued += 1,
            ClaimEnd::Refused(_) | ClaimEnd::Unanswered => inner.second(at).refused += 1,
        }
        inner.claim_latency.saturating_record(microseconds(latency));
    }

    /// An order is sent.
    pub fn order_placed(&self) {
        self.lock().picture.orders.placed += 1;
    }

    /// An order ended, so long after it was due.
    pub fn order_ended(&self, latency: Duration, end: &OrderEnd) {
        let mut inner = self.lock();
        let orders = &mut inner.picture.orders;
        match end {
            OrderEnd::Accepted => orders.accepted += 1,
            OrderEnd::Rejected(reason) => *orders.rejected.entry(reason.clone()).or_default() += 1,
            OrderEnd::Unanswered => orders.unanswered += 1,
        }
        inner.order_latency.saturating_record(microseconds(latency));
    }

    /// Counts something about detours.
    pub fn detour(&self, count: impl FnOnce(&mut Detours)) {
        count(&mut self.lock().picture.detours);
    }

    /// Something is sent again.
    pub fn retried(&self) {
        self.lock().picture.retries += 1;
    }

    /// A caller hung up on purpose.
    pub fn answer_lost(&self) {
        self.lock().picture.answers_lost += 1;
    }

    /// A traced shopper got both coupon and order.
    pub fn story_complete(&self, trace_id: TraceId) {
        let mut inner = self.lock();
        if inner.picture.stories.len() < STORIES_LIMIT {
            inner.picture.stories.push(trace_id);
        }
    }

    /// The replay is over: what has not ended by now ended without an answer.
    pub fn close(&self) {
        let picture = &mut self.lock().picture;
        picture.claims.unanswered += picture
            .claims
            .offered
            .saturating_sub(picture.claims.ended());
        picture.orders.unanswered += picture.orders.placed.saturating_sub(picture.orders.ended());
    }

    /// Everything counted so far.
    pub fn picture(&self) -> Picture {
        let inner = self.lock();
        Picture {
            claim_latency: quantiles(&inner.claim_latency),
            order_latency: quantiles(&inner.order_latency),
            ..inner.picture.clone()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn second(&mut self, at: Duration) -> &mut Second {
        let second = at.as_secs() as usize;
        let seconds = &mut self.picture.seconds;
        if seconds.len() <= second {
            seconds.resize(second + 1, Second::default());
        }
        &mut seconds[second]
    }
}

fn microseconds(latency: Duration) -> u64 {
    u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)
}

fn quantiles(histogram: &Histogram<u64>) -> Quantiles {
    let ms = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
    Quantiles {
        p50: ms(0.5),
        p99: ms(0.99),
        p999: ms(0.999),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offered_claim_ends_in_one_bucket() {
        let measures = Measures::new().unwrap();
        measures.claim_offered(Duration::ZERO);
        let ends = [
            ClaimEnd::Issued,
            ClaimEnd::Replayed,
            ClaimEnd::Refused("OVERLOADED".into()),
            ClaimEnd::Unanswered,
        ];
        for (second, end) in ends.iter().enumerate() {
            let at = Duration::from_secs(second as u64);
            measures.claim_offered(at);
            measures.claim_ended(at, Duration::from_millis(10), end);
        }
        assert_eq!(measures.picture().claims.ended(), 4);
        measures.close();
        let picture = measures.picture();
        assert_eq!(
            (
                picture.claims.offered,
                picture.claims.ended(),
                picture.claims.unanswered
            ),
            (5, 5, 2)
        );
        assert_eq!(
            picture
                .seconds
                .iter()
                .map(|second| second.issued)
                .sum::<u64>(),
            2
        );
        assert!((picture.claim_latency.p99 - 10.0).abs() < 0.1);
    }
}
