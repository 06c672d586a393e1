//! Callers with deadlines of their own who come the moment that a fault is over.

use std::time::Duration;

use futures_util::future::join_all;
use tidegate_proto::{
    gateway::v1::{
        claim_coupon_response::Outcome, claim_service_client::ClaimServiceClient,
        order_service_client::OrderServiceClient,
    },
    r#type::v1::OrderState,
};
use tokio::time::{Instant, sleep, timeout};

use super::{Scene, claims::poll_after, orders::is_paid, wishes::Wish};
use crate::{campaigns::CALLERS, door::Advice, findings::Count, ledger::ClaimKey};

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

impl Scene {
    /// One caller of each deadline at each gateway claims and orders, as the answers say, while
    /// half as many shoppers come. Counts those who are not served in time.
    pub async fn call_after_heal(&self, fault: &str) {
        self.comes_half
            .store(true, std::sync::atomic::Ordering::Relaxed);
        let gateways = 0..self.door.gateways();
        let callers = gateways.flat_map(|gateway| DEADLINES.map(|deadline| (gateway, deadline)));
        join_all(callers.map(|(gateway, deadline)| async move {
            let mut last_answer = "no answer".to_owned();
            let calls = self.claim_and_order(gateway, deadline, &mut last_answer);
            if timeout(SERVED_WITHIN, calls).await != Ok(true) {
                let example = format!(
                    "{} s after \"{fault}\" a caller of gateway {gateway} with a deadline of {deadline:?} was not served: {last_answer}",
                    SERVED_WITHIN.as_secs()
                );
                let campaign_id = self.campaign_id(CALLERS);
                let mut told = self.ledger.told();
                told.findings.add(campaign_id, Count::StuckAfterHeal, 1, example);
            }
        }))
        .await;
        self.comes_half
            .store(false, std::sync::atomic::Ordering::Relaxed);
    }

    /// Whether the caller has a coupon and an order in the end.
    async fn claim_and_order(
        &self,
        gateway: usize,
        deadline: Duration,
        last_answer: &mut String,
    ) -> bool {
        let claim = ClaimKey {
            campaign: CALLERS,
            shopper: self.next_shopper(CALLERS),
            request: 1,
        };
        self.ledger.ask(claim);
        let mut message = self.claim_request(claim);
        let code = loop {
            let rpc = |channel, request| async move {
                let answer = ClaimServiceClient::new(channel)
                    .claim_coupon(request)
                    .await?;
                Ok(answer.into_inner().outcome)
            };
            let sent = Instant::now();
            match self
                .door
                .send(gateway, message.clone(), deadline, rpc)
                .await
            {
                Ok(Some(Outcome::Issued(issued))) => {
                    let code = issued.coupon.clone().unwrap_or_default().code;
                    self.told_coupon(claim, issued, sent);
                    break code;
                }
                Ok(Some(Outcome::Queued(queued))) => {
                    *last_answer = format!("its claim is queued, {:?} ahead", queued.position);
                    sleep(poll_after(&queued)).await;
                    message.ticket = queued.ticket;
                }
                Ok(None) => return false,
                Err(status) => {
                    *last_answer = format!("its claim is refused: {status}");
                    if !self.may_come_again(&status).await {
                        return false;
                    }
                }
            }
        };
        self.order_in_haste(
            Wish::at_big_store(claim, ONLY, &code),
            gateway,
            deadline,
            last_answer,
        )
        .await
    }

    async fn order_in_haste(
        &self,
        wish: Wish,
        gateway: usize,
        deadline: Duration,
        last_answer: &mut String,
    ) -> bool {
        loop {
            let rpc = |channel, request| async move {
                let answer = OrderServiceClient::new(channel)
                    .place_order(request)
                    .await?;
                Ok(answer.into_inner().order.unwrap_or_default())
            };
            let sent = Instant::now();
            match self.door.send(gateway, wish.message(), deadline, rpc).await {
                Ok(order) => {
                    self.told_order(wish.key, &order, sent);
                    if order.state() != OrderState::Pending {
                        *last_answer = format!("its order is {:?}", order.state());
                        return is_paid(order.state());
                    }
                    "its order is pending".clone_into(last_answer);
                }
                Err(status) => {
                    *last_answer = format!("its order is refused: {status}");
                    if !self.may_come_again(&status).await {
                        return false;
                    }
                }
            }
        }
    }

    /// Waits for as long as the answer says; false if it is final.
    async fn may_come_again(&self, status: &tonic::Status) -> bool {
        match self.door.advice(status) {
            Advice::Final(_) => return false,
            Advice::Again(pause) => sleep(pause).await,
            Advice::Unknown => sleep(crate::door::BACKOFF).await,
        }
        true
    }
}
