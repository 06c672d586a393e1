//! Shoppers in a closed loop: each claims, waits for the answer, and makes room for the next new shopper.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use tidegate_local::replay::door::Door;
use tidegate_proto::gateway::v1::{ClaimCouponRequest, claim_service_client::ClaimServiceClient};
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    arguments::Timing,
    tally::{Outcomes, Tally},
};

/// The campaign that every claim is for.
pub const CAMPAIGN_ID: &str = "load";
/// The request id of every claim; each shopper claims once.
pub const REQUEST_ID: &str = "claim-1";
/// What the shoppers' threads are called, by which their processor time is found.
pub const THREAD_NAME: &str = "shoppers";
/// A shopper's place stays empty so long after a refusal: without a rest refusals would crowd out the claims that are measured.
const REST_AFTER_REFUSAL: Duration = Duration::from_millis(50);

const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// The threads that shoppers live on.
#[derive(Debug)]
pub struct Crowd {
    threads: Handle,
}

/// One measured stretch, with what was seen at its beginning and at its end.
pub struct Stretch<Seen> {
    pub outcomes: Outcomes,
    pub before: Seen,
    pub after: Seen,
}

impl Crowd {
    /// A crowd on these threads.
    pub fn new(threads: Handle) -> Self {
        Self { threads }
    }

    /// The threads that shoppers live on.
    pub fn threads(&self) -> &Handle {
        &self.threads
    }

    /// Makes connections whose tasks run on the shoppers' threads.
    pub fn connect<T>(&self, make: impl FnOnce() -> T) -> T {
        let _entered = self.threads.enter();
        make()
    }

    /// Lets so many shoppers at a time claim through the door. `round` sets its shoppers apart from all others; `look` is asked at either
    /// end of the measured stretch.
    pub async fn claim<Seen>(
        &self,
        door: &Arc<Door>,
        round: &str,
        shoppers: u32,
        timing: Timing,
        look: impl AsyncFn() -> Result<Seen>,
    ) -> Result<Stretch<Seen>> {
        let phase = Arc::new(AtomicU8::new(WARMING_UP));
        let mut places = JoinSet::new();
        for place in 0..shoppers {
            let name = format!("{round}-{place}");
            let visits = visits(Arc::clone(door), name, Arc::clone(&phase));
            places.spawn_on(visits, &self.threads);
        }
        sleep(timing.warm_up).await;
        let before = look().await?;
        let began = Instant::now();
        phase.store(MEASURING, Ordering::Relaxed);
        sleep(timing.measured).await;
        phase.store(OVER, Ordering::Relaxed);
        let stretch = began.elapsed();
        let after = look().await?;
        let mut all = Tally::default();
        while let Some(tally) = places.join_next().await {
            all.add(tally?);
        }
        Ok(Stretch {
            outcomes: all.outcomes(stretch)?,
            before,
            after,
        })
    }
}

/// One place in the crowd: a new shopper after each answer, until the round is over.
async fn visits(door: Arc<Door>, name: String, phase: Arc<AtomicU8>) -> Tally {
    let mut client = ClaimServiceClient::new(door.next_gateway());
    let mut tally = Tally::default();
    for visit in 0_u64.. {
        if phase.load(Ordering::Relaxed) == OVER {
            break;
        }
        let claim = ClaimCouponRequest {
            campaign_id: CAMPAIGN_ID.to_owned(),
            shopper_id: format!("{name}-{visit}"),
            request_id: REQUEST_ID.to_owned(),
            ..ClaimCouponRequest::default()
        };
        let sent = Instant::now();
        let answer = client.claim_coupon(door.request(claim, None)).await;
        let took = sent.elapsed();
        let measured = phase.load(Ordering::Relaxed) == MEASURING;
        let answer = answer.map(tonic::Response::into_inner);
        if !tally.count(&answer, took, measured) {
            sleep(REST_AFTER_REFUSAL).await;
        }
    }
    tally
}
