//! So many shoppers at a time: each makes room for the next when it has its answer.

use std::{
    fmt::{self, Display, Formatter},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, SystemTime},
};

use anyhow::Result;
use serde::Serialize;
use tidegate_local::replay::{campaign::store_id, schedule::STORES};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::coupons::{CouponOwner, Wallet, accepted, claim, order};
use crate::{
    arguments::Timing,
    caller::{Caller, Method, framed},
    crowd::{CAMPAIGN_ID, Crowd},
};

const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;
/// Without a rest refusals would crowd out the orders that are measured.
const REST_AFTER_REFUSAL: Duration = Duration::from_millis(50);
/// How late an order to the full store may be made: all slots until then are soon full.
const FULL_STORE_PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Errand {
    /// Orders with a coupon, at stores with room.
    Order,
    Claim,
    /// Claims a coupon and orders with it.
    Pair,
    /// Orders at the one store that everybody wants.
    FullStore,
}

impl Display for Errand {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Order => "orders",
            Self::Claim => "claims",
            Self::Pair => "claims with their orders",
            Self::FullStore => "refusals of a full store",
        })
    }
}

/// How errands ended in the measured stretch.
#[derive(Debug, Default)]
pub struct Ends {
    /// Those that ended as they should: accepted, claimed, or refused by the full store.
    pub good: Vec<Duration>,
    /// All others, by their reason.
    pub bad: Vec<String>,
}

/// A measured stretch, with what was seen at its beginning and at its end.
pub struct Stretch<Seen> {
    pub seconds: f64,
    pub ends: Ends,
    pub before: Seen,
    pub after: Seen,
}

/// What the shoppers of a round share.
#[derive(Clone)]
pub struct Visits {
    pub errand: Errand,
    pub caller: Arc<Caller>,
    pub wallet: Arc<Wallet>,
}

impl Visits {
    /// Lets so many shoppers at a time run their errands.
    pub async fn run<Seen>(
        self,
        shoppers: u32,
        timing: Timing,
        crowd: &Crowd,
        look: impl AsyncFn() -> Result<Seen>,
    ) -> Result<Stretch<Seen>> {
        let phase = Arc::new(AtomicU8::new(WARMING_UP));
        let mut places = JoinSet::new();
        for place in 0..shoppers {
            let visits = self.clone().visits(place, Arc::clone(&phase));
            places.spawn_on(visits, crowd.threads());
        }
        sleep(timing.warm_up).await;
        let before = look().await?;
        let began = Instant::now();
        phase.store(MEASURING, Ordering::Relaxed);
        sleep(timing.measured).await;
        phase.store(OVER, Ordering::Relaxed);
        let seconds = began.elapsed().as_secs_f64();
        let after = look().await?;
        let mut all = Ends::default();
        while let Some(ends) = places.join_next().await {
            let ends = ends?;
            all.good.extend(ends.good);
            all.bad.extend(ends.bad);
        }
        Ok(Stretch {
            seconds,
            ends: all,
            before,
            after,
        })
    }

    async fn visits(self, place: u32, phase: Arc<AtomicU8>) -> Ends {
        let mut ends = Ends::default();
        for visit in 0_u32.. {
            if phase.load(Ordering::Relaxed) == OVER {
                break;
            }
            let sent = Instant::now();
            let Some(end) = self.errand(place, visit).await else {
                ends.bad.push("NO_COUPON_LEFT".to_owned());
                break;
            };
            if phase.load(Ordering::Relaxed) == MEASURING {
                match &end {
                    Ok(()) => ends.good.push(sent.elapsed()),
                    Err(reason) => ends.bad.push(reason.clone()),
                }
            }
            if end.is_err() {
                sleep(REST_AFTER_REFUSAL).await;
            }
        }
        ends
    }

    /// One errand's end; nothing if there is no coupon left for it.
    async fn errand(&self, place: u32, visit: u32) -> Option<Result<(), String>> {
        let somebody = || format!("{:?}-{place}-{visit}", self.errand);
        let store = store_id(place.wrapping_mul(7_919).wrapping_add(visit) % STORES);
        Some(match self.errand {
            Errand::Order => self.order(self.wallet.take()?, store).await,
            Errand::Claim => {
                claim(&self.caller, CAMPAIGN_ID, somebody()).await;
                Ok(())
            }
            Errand::Pair => {
                let owner = claim(&self.caller, CAMPAIGN_ID, somebody()).await;
                self.order(owner, store).await
            }
            Errand::FullStore => {
                let owner = self.wallet.take()?;
                let end = self.order_at_full_store(&owner, visit).await;
                self.wallet.put_back(owner);
                end
            }
        })
    }

    async fn order(&self, owner: CouponOwner, store: String) -> Result<(), String> {
        let body = framed(&order(owner, store));
        accepted(self.caller.call(Method::PlaceOrder, body).await)
    }

    async fn order_at_full_store(&self, owner: &CouponOwner, visit: u32) -> Result<(), String> {
        let mut message = order(owner.clone(), store_id(0));
        message.request_id = format!("order-{visit}");
        message.latest_acceptable_at = Some((SystemTime::now() + FULL_STORE_PATIENCE).into());
        let body = framed(&message);
        match accepted(self.caller.call(Method::PlaceOrder, body).await) {
            Err(reason) if reason == "STORE_BUSY" => Ok(()),
            Ok(()) => Err("ACCEPTED".to_owned()),
            other => other,
        }
    }
}
