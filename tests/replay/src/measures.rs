//! What happened, counted while it happens.

mod counts;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;

pub use counts::{
    ClaimCounts, ClaimEnd, Detours, Latencies, OrderCounts, OrderEnd, Picture, Quantiles,
    QueueCounts, Second, TracedShopper, WaitTimes,
};

use crate::queue_wait::QueueWait;

/// Latencies beyond this are counted as this.
const LATENCY_LIMIT_US: u64 = 10 * 60 * 1_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
/// Traced shoppers that are kept, at most.
pub const TRACED_LIMIT: usize = 64;

#[derive(Debug)]
pub struct Measures(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    picture: Picture,
    times: [Histogram<u64>; 6],
}

/// What is timed, each with a histogram of its own.
#[derive(Debug, Clone, Copy)]
enum Timed {
    Claim,
    Order,
    Sending,
    WaitFromJoining,
    PromisedAtMost,
    WaitFromEstimate,
}

impl Measures {
    pub fn new() -> anyhow::Result<Self> {
        let empty = Histogram::new_with_max(LATENCY_LIMIT_US, SIGNIFICANT_DIGITS)?;
        Ok(Self(Mutex::new(Inner {
            picture: Picture::default(),
            times: std::array::from_fn(|_| empty.clone()),
        })))
    }

    /// A shopper's first claim is sent, so long after it was due.
    pub fn sent(&self, late_by: Duration) {
        self.lock().record(Timed::Sending, late_by);
    }

    /// A claim is due at this moment of the replay.
    pub fn claim_offered(&self, at: Duration) {
        let mut inner = self.lock();
        inner.picture.claims.offered += 1;
        inner.second(at).offered += 1;
    }

    /// A claim ended at this moment of the replay. `latency` counts from when it was due; none if it had to wait in the queue.
    pub fn claim_ended(&self, at: Duration, latency: Option<Duration>, end: &ClaimEnd) {
        let mut inner = self.lock();
        let claims = &mut inner.picture.claims;
        match end {
            ClaimEnd::Issued => claims.issued += 1,
            ClaimEnd::Replayed => claims.replayed += 1,
            ClaimEnd::Refused(reason) => *claims.refused.entry(reason.clone()).or_default() += 1,
            ClaimEnd::Left => claims.left += 1,
            ClaimEnd::NeverCameBack => claims.never_came_back += 1,
            ClaimEnd::Unanswered => claims.unanswered += 1,
        }
        match end {
            ClaimEnd::Issued | ClaimEnd::Replayed => inner.second(at).issued += 1,
            ClaimEnd::Refused(_) | ClaimEnd::Unanswered => inner.second(at).refused += 1,
            ClaimEnd::Left | ClaimEnd::NeverCameBack => {}
        }
        if let Some(latency) = latency {
            inner.record(Timed::Claim, latency);
        }
    }

    /// A claim was told its first place in the queue at this moment of the replay.
    pub fn queued(&self, at: Duration) {
        let mut inner = self.lock();
        inner.second(at);
        inner.picture.queue.queued += 1;
        let waiting = inner.picture.queue.waiting();
        let second = inner.second(at);
        second.waiting = second.waiting.max(waiting);
    }

    /// A wait ended at this moment of the replay, in the way its claim did.
    pub fn wait_ended(&self, at: Duration, end: &ClaimEnd) {
        let mut inner = self.lock();
        // What waited at the beginning of a second waited in it.
        inner.second(at);
        let queue = &mut inner.picture.queue;
        match end {
            ClaimEnd::Issued | ClaimEnd::Replayed => queue.served += 1,
            ClaimEnd::Refused(reason) => *queue.refused.entry(reason.clone()).or_default() += 1,
            ClaimEnd::Left => queue.left += 1,
            ClaimEnd::NeverCameBack => queue.never_came_back += 1,
            ClaimEnd::Unanswered => queue.unanswered += 1,
        }
        if matches!(end, ClaimEnd::Issued | ClaimEnd::Replayed) {
            inner.second(at).served_from_queue += 1;
        }
    }

    /// How long a shopper waited who did as told and got the coupon.
    pub fn waited(&self, wait: &QueueWait, opening: Duration) {
        let mut inner = self.lock();
        if let Some(waited) = wait.waited(opening) {
            inner.record(Timed::WaitFromJoining, waited);
        }
        if let Some((waited, promised)) = wait.waited_of_promised() {
            inner.record(Timed::WaitFromEstimate, waited);
            inner.record(Timed::PromisedAtMost, promised);
        }
    }

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
        inner.record(Timed::Order, latency);
    }

    pub fn detour(&self, count: impl FnOnce(&mut Detours)) {
        count(&mut self.lock().picture.detours);
    }

    pub fn retried(&self) {
        self.lock().picture.retries += 1;
    }

    pub fn answer_lost(&self) {
        self.lock().picture.answers_lost += 1;
    }

    pub fn traced(&self, shopper: TracedShopper) {
        let mut inner = self.lock();
        if inner.picture.traced.len() < TRACED_LIMIT {
            inner.picture.traced.push(shopper);
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

    pub fn picture(&self) -> Picture {
        let inner = self.lock();
        Picture {
            latency_ms: Latencies {
                claim: inner.quantiles(Timed::Claim),
                order: inner.quantiles(Timed::Order),
                sending: inner.quantiles(Timed::Sending),
            },
            wait_ms: WaitTimes {
                from_joining: inner.quantiles(Timed::WaitFromJoining),
                promised_at_most: inner.quantiles(Timed::PromisedAtMost),
                from_estimate: inner.quantiles(Timed::WaitFromEstimate),
            },
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
        let waiting = self.picture.queue.waiting();
        let seconds = &mut self.picture.seconds;
        if seconds.len() <= second {
            let quiet = Second {
                waiting,
                ..Second::default()
            };
            seconds.resize(second + 1, quiet);
        }
        &mut seconds[second]
    }

    fn record(&mut self, timed: Timed, time: Duration) {
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.times[timed as usize].saturating_record(microseconds);
    }

    fn quantiles(&self, timed: Timed) -> Quantiles {
        let histogram = &self.times[timed as usize];
        let ms = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        Quantiles {
            p50: ms(0.5),
            p99: ms(0.99),
            p999: ms(0.999),
        }
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
            ClaimEnd::Left,
            ClaimEnd::NeverCameBack,
            ClaimEnd::Unanswered,
        ];
        for (second, end) in ends.iter().enumerate() {
            let at = Duration::from_secs(second as u64);
            measures.claim_offered(at);
            measures.claim_ended(at, Some(Duration::from_millis(10)), end);
        }
        assert_eq!(measures.picture().claims.ended(), 6);
        measures.close();
        let picture = measures.picture();
        let claims = &picture.claims;
        let counts = (claims.offered, claims.ended(), claims.unanswered);
        assert_eq!(counts, (7, 7, 2));
        let issued = picture.seconds.iter().map(|second| second.issued);
        assert_eq!(issued.sum::<u64>(), 2);
        assert!((picture.latency_ms.claim.p99 - 10.0).abs() < 0.1);
    }

    #[test]
    fn those_who_wait_are_counted_in_every_second_until_their_wait_ends() {
        let measures = Measures::new().unwrap();
        let at = Duration::from_secs;
        measures.queued(at(1));
        measures.queued(at(1));
        measures.claim_offered(at(3));
        measures.wait_ended(at(4), &ClaimEnd::Issued);
        measures.wait_ended(at(6), &ClaimEnd::Left);
        measures.claim_offered(at(7));
        let picture = measures.picture();
        let waiting: Vec<_> = picture.seconds.iter().map(|now| now.waiting).collect();
        assert_eq!(waiting, [0, 2, 2, 2, 2, 1, 1, 0]);
        assert_eq!(picture.seconds[4].served_from_queue, 1);
        assert_eq!((picture.queue.waiting(), picture.queue.ended()), (0, 2));
    }
}
