//! So many shoppers at a time: each runs its errand, waits for the answer, and makes room for the
//! next.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use serde::Serialize;
use tidegate_client::{Caller, claim_of, framed};
use tidegate_proto::{
    gateway::v1::{ClaimCouponResponse, claim_coupon_response::Outcome},
    r#type::v1::CouponState,
};
use tidegate_types::CouponCode;
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, sleep},
};
use tonic::Status;

use crate::{
    arguments::Timing,
    quantile::{milliseconds, quantile},
    shoppers::claim_answer::Failure,
};

/// The campaign of those who claim in a closed loop.
pub const CAMPAIGN_ID: &str = "load";
/// The request id of every claim; each shopper claims once.
pub const REQUEST_ID: &str = "claim-1";
/// A shopper's place stays empty so long after a refusal: without a rest refusals would crowd out
/// what is measured.
const REST_AFTER_REFUSAL: Duration = Duration::from_millis(50);
const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// How errands ended.
#[derive(Debug, Default)]
pub struct Ends {
    /// Those of the measured stretch that ended as they should, with the time they took.
    pub good: Vec<Duration>,
    /// All others of it, by their reason.
    pub bad: BTreeMap<String, u64>,
    /// Those that ended as they should at any time, warm-up and end included.
    pub good_ever: u64,
}

impl Ends {
    pub fn add(&mut self, end: Result<(), String>, took: Duration, measured: bool) {
        self.good_ever += u64::from(end.is_ok());
        match end {
            _ if !measured => {}
            Ok(()) => self.good.push(took),
            Err(reason) => *self.bad.entry(reason).or_default() += 1,
        }
    }

    fn absorb(&mut self, other: Self) {
        self.good.extend(other.good);
        self.good_ever += other.good_ever;
        for (reason, count) in other.bad {
            *self.bad.entry(reason).or_default() += count;
        }
    }
}

/// A measured stretch, with what was seen at its beginning and at its end.
pub struct Stretch<Seen> {
    pub seconds: f64,
    pub ends: Ends,
    pub before: Seen,
    pub after: Seen,
}

/// Lets so many shoppers at a time run their errands on these threads. An errand is of a place and
/// of a visit there, and none once nothing is left for it; `look` is asked at either end of the
/// measured stretch.
pub async fn run<Seen, Errand>(
    threads: &Handle,
    shoppers: u32,
    timing: Timing,
    errand: impl Fn(u32, u32) -> Errand + Clone + Send + Sync + 'static,
    look: impl AsyncFn() -> Result<Seen>,
) -> Result<Stretch<Seen>>
where
    Errand: Future<Output = Option<Result<(), String>>> + Send + 'static,
{
    let phase = Arc::new(AtomicU8::new(WARMING_UP));
    let mut places = JoinSet::new();
    for place in 0..shoppers {
        let (errand, phase) = (errand.clone(), Arc::clone(&phase));
        places.spawn_on(visits(move |visit| errand(place, visit), phase), threads);
    }
    sleep(timing.warm_up).await;
    let before = look().await?;
    let began = Instant::now();
    phase.store(MEASURING, Ordering::Relaxed);
    sleep(timing.measured).await;
    phase.store(OVER, Ordering::Relaxed);
    let seconds = began.elapsed().as_secs_f64();
    let after = look().await?;
    let mut ends = Ends::default();
    while let Some(of_place) = places.join_next().await {
        ends.absorb(of_place?);
    }
    Ok(Stretch {
        seconds,
        ends,
        before,
        after,
    })
}

/// One place: a new shopper after each answer, until the round is over.
async fn visits<Errand>(errand: impl Fn(u32) -> Errand, phase: Arc<AtomicU8>) -> Ends
where
    Errand: Future<Output = Option<Result<(), String>>>,
{
    let mut ends = Ends::default();
    for visit in 0.. {
        if phase.load(Ordering::Relaxed) == OVER {
            break;
        }
        let sent = Instant::now();
        let end = errand(visit).await;
        let is_over = end.is_none();
        let end = end.unwrap_or_else(|| Err("NOTHING_LEFT".to_owned()));
        let is_refused = end.is_err();
        let measured = phase.load(Ordering::Relaxed) == MEASURING;
        ends.add(end, sent.elapsed(), measured);
        if is_over {
            break;
        }
        if is_refused {
            sleep(REST_AFTER_REFUSAL).await;
        }
    }
    ends
}

/// Claims with so many shoppers at a time. `round` sets them apart from all others.
pub async fn claims<Seen>(
    caller: &Arc<Caller>,
    threads: &Handle,
    round: &str,
    shoppers: u32,
    timing: Timing,
    look: impl AsyncFn() -> Result<Seen>,
) -> Result<Stretch<Seen>> {
    let (caller, round) = (Arc::clone(caller), Arc::<str>::from(round));
    let errand = move |place, visit| {
        let (caller, round) = (Arc::clone(&caller), Arc::clone(&round));
        async move {
            let shopper = format!("{round}-{place}-{visit}");
            let claim = framed(&claim_of(CAMPAIGN_ID, &shopper, REQUEST_ID));
            Some(is_new_coupon(caller.call(claim).await))
        }
    };
    run(threads, shoppers, timing, errand, look).await
}

/// Why an answer is not the new coupon that was asked for.
fn is_new_coupon(answer: Result<ClaimCouponResponse, Status>) -> Result<(), String> {
    let answer = answer.map_err(|status| Failure::from(&status).reason())?;
    let issued = match answer.outcome {
        Some(Outcome::Issued(issued)) => issued,
        Some(Outcome::Queued(_)) => return Err("QUEUED".to_owned()),
        None => return Err("NO_OUTCOME".to_owned()),
    };
    let coupon = issued.coupon.unwrap_or_default();
    let is_right = !issued.replayed
        && coupon.state() == CouponState::Issued
        && coupon.campaign_id == CAMPAIGN_ID
        && coupon.request_id == REQUEST_ID
        && CouponCode::parse(&coupon.code).is_some();
    is_right.then_some(()).ok_or("WRONG_COUPON".to_owned())
}

/// How long answers took, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

/// What claims in a measured stretch amounted to.
#[derive(Debug, Clone, Serialize)]
pub struct Outcomes {
    pub seconds: f64,
    pub issued: u64,
    pub per_second: f64,
    pub refused: BTreeMap<String, u64>,
    pub latency_ms: Latency,
    /// Coupons given before, in and after the stretch.
    pub issued_ever: u64,
}

impl Outcomes {
    pub fn of(ends: &Ends, seconds: f64) -> Self {
        let at = |share| {
            let took = quantile(ends.good.iter().copied(), share);
            milliseconds(took.unwrap_or_default())
        };
        let issued = ends.good.len() as u64;
        Self {
            seconds,
            issued,
            per_second: issued as f64 / seconds,
            refused: ends.bad.clone(),
            latency_ms: Latency {
                p50: at(0.5),
                p99: at(0.99),
                p999: at(0.999),
            },
            issued_ever: ends.good_ever,
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_proto::{gateway::v1::IssuedClaim, r#type::v1::Coupon};

    use super::*;

    fn coupon(replayed: bool) -> Result<(), String> {
        let coupon = Coupon {
            code: "0123456789ABCDEF".to_owned(),
            campaign_id: CAMPAIGN_ID.to_owned(),
            request_id: REQUEST_ID.to_owned(),
            state: CouponState::Issued.into(),
            ..Coupon::default()
        };
        let issued = IssuedClaim {
            coupon: Some(coupon),
            replayed,
        };
        is_new_coupon(Ok(ClaimCouponResponse {
            outcome: Some(Outcome::Issued(issued)),
            trace_id: String::new(),
        }))
    }

    #[test]
    fn only_a_new_coupon_in_the_measured_stretch_counts_for_the_rate() {
        let (mut ends, took) = (Ends::default(), Duration::from_millis(4));
        ends.add(coupon(false), took, false);
        ends.add(coupon(false), took, true);
        ends.add(coupon(true), took, true);
        ends.add(is_new_coupon(Err(Status::cancelled("late"))), took, true);
        let outcomes = Outcomes::of(&ends, 2.0);
        assert_eq!((outcomes.issued, outcomes.issued_ever), (1, 2));
        assert_eq!(outcomes.per_second, 0.5);
        let refused = [("UNANSWERED".into(), 1), ("WRONG_COUPON".into(), 1)];
        assert_eq!(outcomes.refused, BTreeMap::from(refused));
        assert_eq!(outcomes.latency_ms.p50, 4.0);
    }
}
