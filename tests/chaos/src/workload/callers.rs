//! Callers with deadlines of their own who come the moment that a fault is over.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use futures_util::future::join_all;
use tidegate_client::Gateway;
use tidegate_proto::{gateway::v1::claim_coupon_response::Outcome, r#type::v1::OrderState};
use tokio::time::{Instant, sleep, timeout};
use tonic::Status;

use super::{Scene, claims::poll_after, orders::Wish};
use crate::{
    campaigns::CALLERS,
    door::{Advice, BACKOFF},
    findings::Count,
    ledger::{ClaimKey, is_paid},
};

/// What callers wait for one answer.
const DEADLINES: [Duration; 4] = [
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(10),
];
/// Everybody has a coupon and an order by then.
const SERVED_WITHIN: Duration = Duration::from_secs(5);
/// The place of the order among those that the coupon is to pay for.
const ONLY: u8 = 1;

/// Somebody in haste, who keeps all that was said.
struct Caller<'a> {
    scene: &'a Scene,
    gateway: usize,
    deadline: Duration,
    came: Instant,
    told: Vec<String>,
}

impl Scene {
    /// One caller of each deadline at each gateway claims and orders, as the answers say, while
    /// half as many shoppers come. Counts those who are not served in time.
    pub async fn call_after_heal(&self, fault: &str) {
        self.tally.half_load.store(true, Relaxed);
        let gateways = 0..self.door.gateways();
        let callers = gateways.flat_map(|gateway| DEADLINES.map(|deadline| (gateway, deadline)));
        join_all(callers.map(|(gateway, deadline)| async move {
            let mut caller = Caller {
                scene: self,
                gateway,
                deadline,
                came: Instant::now(),
                told: Vec::new(),
            };
            if timeout(SERVED_WITHIN, caller.claims_and_orders()).await != Ok(true) {
                if caller.told.is_empty() {
                    caller.told.push("no answer at all".to_owned());
                }
                let (seconds, told) = (SERVED_WITHIN.as_secs(), caller.told.join("; "));
                let example = format!("{seconds} s after \"{fault}\" a caller of gateway {gateway} with a deadline of {deadline:?} was not served: {told}");
                self.found(CALLERS, Count::StuckAfterHeal, example);
            }
        }))
        .await;
        self.tally.half_load.store(false, Relaxed);
    }
}

impl Caller<'_> {
    /// Whether there is a coupon and an order in the end.
    async fn claims_and_orders(&mut self) -> bool {
        let claim = ClaimKey {
            campaign: CALLERS,
            shopper: self.scene.next_shopper(CALLERS),
            request: 1,
        };
        self.scene.ledger.ask(claim);
        let mut message = self.scene.claim_request(claim);
        loop {
            let (sent, claim_now) = (Instant::now(), message.clone());
            let ask = |gateway: Gateway| async move { gateway.ask(claim_now).await };
            match self.send(ask).await {
                Ok(Outcome::Issued(issued)) => {
                    let code = self.scene.told_coupon(claim, issued, sent);
                    return self.orders(Wish::at_big_store(claim, ONLY, &code)).await;
                }
                Ok(Outcome::Queued(queued)) => {
                    let position = queued.position.unwrap_or_default();
                    self.note(format!("queued behind {position}"));
                    sleep(poll_after(&queued)).await;
                    message.ticket = queued.ticket;
                }
                Err(status) => {
                    if !self.may_come_again("claim", &status).await {
                        return false;
                    }
                }
            }
        }
    }

    async fn orders(&mut self, wish: Wish) -> bool {
        loop {
            let (sent, order) = (Instant::now(), wish.message.clone());
            let place = |gateway: Gateway| async move { gateway.place(order).await };
            match self.send(place).await {
                Ok(order) => {
                    self.scene.told_order(wish.key, &order, sent);
                    self.note(format!("order {:?}", order.state()));
                    if order.state() != OrderState::Pending {
                        return is_paid(order.state());
                    }
                }
                Err(status) => {
                    if !self.may_come_again("order", &status).await {
                        return false;
                    }
                }
            }
        }
    }

    async fn send<T, Sent: Future<Output = Result<T, Status>>>(
        &self,
        rpc: impl FnOnce(Gateway) -> Sent,
    ) -> Result<T, Status> {
        let (door, gateway) = (&self.scene.door, self.gateway);
        door.send(gateway, self.deadline, rpc).await
    }

    fn note(&mut self, answer: String) {
        let after = self.came.elapsed().as_millis();
        self.told.push(format!("after {after} ms {answer}"));
    }

    /// Waits for as long as the answer says; false if it is final.
    async fn may_come_again(&mut self, what: &str, status: &Status) -> bool {
        self.note(format!("{what}: {}", status.message()));
        match self.scene.door.advice(status) {
            Advice::Final(_) => return false,
            Advice::Again(pause) => sleep(pause).await,
            Advice::Unknown => sleep(BACKOFF).await,
        }
        true
    }
}
