//! Takes PENDING orders to their outcome: redeem at issuance, then commit what came of it.
//!
//! An order is finished by one task of this process at a time, however many wait for it, and
//! whether they go on waiting or not.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::future::{self, FutureExt as _};
use tidegate_runtime::DetachedWork;
use tidegate_telemetry::fail;
use tidegate_types::Timestamp;
use tokio::sync::oneshot;
use tracing::instrument;

use crate::{
    domain::{Move, Order, OrderId, OrderState, Rejection, Standing, Timing},
    metrics::Metrics,
    redeem::{Redeemed, Redeemer},
    retention::CampaignEnds,
    store::Store,
};

/// Orders that are finished at once; more stay PENDING until the recovery worker finds room for
/// them.
const MAX_FINISHING: usize = 20_000;
/// The order is durable, so its coupon is worth redeeming even if its caller's deadline comes
/// sooner.
const REDEEM_TIMEOUT: Duration = Duration::from_secs(2);
/// The coupon is used by then: the commit is worth waiting for.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// A refusal that is younger than the release of the coupon it names may have come before it.
const RELEASE_SHOWS: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub struct Waiter(future::Shared<oneshot::Receiver<Option<Standing>>>);

impl Waiter {
    /// How the order stands once it is settled; `None` if it was left PENDING. May be dropped at
    /// any time: the work goes on.
    pub async fn outcome(self) -> Option<Standing> {
        self.0.await.ok().flatten()
    }
}

#[derive(Clone)]
pub struct Finisher(Arc<Shared>);

struct Shared {
    store: Store,
    redeemer: Redeemer,
    metrics: Metrics,
    work: DetachedWork,
    campaigns: CampaignEnds,
    in_flight: Mutex<HashMap<OrderId, Waiter>>,
}

impl Finisher {
    /// Orders are finished as `work`, so that the process can wait for them before it ends.
    pub fn new(
        store: Store,
        redeemer: Redeemer,
        metrics: Metrics,
        work: DetachedWork,
        campaigns: CampaignEnds,
    ) -> Self {
        Self(Arc::new(Shared {
            store,
            redeemer,
            metrics,
            work,
            campaigns,
            in_flight: Mutex::default(),
        }))
    }

    /// Begins to finish a PENDING order, or joins in if that has begun. `None` if too many are: the
    /// order stays PENDING for now.
    pub fn finish(&self, order: Order) -> Option<Waiter> {
        let mut in_flight = self.0.in_flight();
        if let Some(waiter) = in_flight.get(&order.standing.order_id) {
            return Some(waiter.clone());
        }
        if in_flight.len() >= MAX_FINISHING {
            return None;
        }
        let (sender, settled) = oneshot::channel();
        let waiter = Waiter(settled.shared());
        in_flight.insert(order.standing.order_id, waiter.clone());
        self.0.metrics.finishing.set(in_flight.len() as i64);
        drop(in_flight);
        let permit = InFlight {
            shared: Arc::clone(&self.0),
            order_id: order.standing.order_id,
        };
        self.0.work.start(async move {
            let outcome = permit.shared.finish(&order).await;
            // Whoever waited may have gone.
            let _ = sender.send(outcome);
        });
        Some(waiter)
    }

    pub fn join(&self, order_id: OrderId) -> Option<Waiter> {
        self.0.in_flight().get(&order_id).cloned()
    }
}

/// Keeps an order's entry for as long as a task works at it.
struct InFlight {
    shared: Arc<Shared>,
    order_id: OrderId,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut in_flight = self.shared.in_flight();
        in_flight.remove(&self.order_id);
        self.shared.metrics.finishing.set(in_flight.len() as i64);
    }
}

impl Shared {
    fn in_flight(&self) -> MutexGuard<'_, HashMap<OrderId, Waiter>> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn finish(&self, order: &Order) -> Option<Standing> {
        let settled = match self.outcome(order).await {
            Some(outcome) => self.settle(order, outcome).await,
            None => None,
        };
        if settled.is_none() {
            self.metrics.left_pending();
        }
        settled
    }

    /// What is to become of the order; `None` if that cannot be known yet. An order whose time is
    /// over is not paid any more. Whether an acceptance still comes in time is decided where it is
    /// committed.
    async fn outcome(&self, order: &Order) -> Option<Move> {
        let now = Timestamp::now_utc();
        if Timing::of(&order.draft, order.standing.slot, now) == Timing::Over {
            return Some(Move::Reject(Rejection::too_late()));
        }
        let deadline = Instant::now() + REDEEM_TIMEOUT;
        match self.redeemer.redeem(order, deadline).await {
            Redeemed::Used {
                bill,
                campaign_closes_at,
            } => {
                if let Some(closes_at) = campaign_closes_at {
                    self.campaigns.note(order.draft.coupon_code, closes_at);
                }
                Some(Move::Accept(bill))
            }
            Redeemed::Refused(rejection) if !self.comes_free(order, &rejection).await => {
                Some(Move::Reject(rejection))
            }
            Redeemed::Refused(_) | Redeemed::Undecided => None,
        }
    }

    #[instrument(name = "settle order", skip_all)]
    async fn settle(&self, order: &Order, outcome: Move) -> Option<Standing> {
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        match self.store.move_order(order, outcome, None, deadline).await {
            Ok(standing) => {
                let age = Duration::try_from(Timestamp::now_utc() - standing.created_at);
                self.metrics
                    .settled(&standing.state, age.unwrap_or_default());
                if standing.state == OrderState::Accepted && standing.slot != order.standing.slot {
                    self.metrics.rebooked.inc();
                }
                Some(standing)
            }
            Err(error) => {
                fail(&error);
                None
            }
        }
    }

    /// Whether the coupon that cannot pay is held by an order of the same shopper that will not be
    /// made: it is on its way back, and the recovery worker asks again.
    async fn comes_free(&self, order: &Order, rejection: &Rejection) -> bool {
        let Some(holder) = rejection.coupon_holder() else {
            return false;
        };
        let holder = self.store.get_order(&order.draft.shopper, holder).await;
        let is_on_its_way = |standing: Standing| {
            let freshly = |released: Timestamp| Timestamp::now_utc() - released < RELEASE_SHOWS;
            standing.state.gives_coupon_back() && standing.coupon_released_at.is_none_or(freshly)
        };
        holder.is_ok_and(|holder| is_on_its_way(holder.standing))
    }
}
