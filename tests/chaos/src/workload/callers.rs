//! Callers with deadlines of their own who come the moment that a fault is over.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use futures_util::future::join_all;
use tidegate_client::Gateway;
use tidegate_proto::{gateway::v1::claim_coupon_response::Outcome, r#type::v1::OrderState};
use tokio::time::{Instant, sleep, timeout};

use super::{Scene, claims::poll_after, orders::Wish};
use crate::{
    campaigns::CALLERS,
    door::Advice,
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

struct Answers(Instant, Vec<String>);

impl Answers {
    fn note(&mut self, answer: String) {
        let after = self.0.elapsed().as_millis();
        self.1.push(format!("after {after} ms {answer}"));
    }
}

impl Scene {
    /// One caller of each deadline at each gateway claims and orders, as the answers say, while
    /// half as many shoppers come. Counts those who are not served in time.
    pub async fn call_after_heal(&self, fault: &str) {
        self.tally.half_load.store(true, Relaxed);
        let gateways = 0..self.door.gateways();
        let callers = gateways.flat_map(|gateway| DEADLINES.map(|deadline| (gateway, deadline)));
        join_all(callers.map(|(gateway, deadline)| async move {
            let mut answers = Answers(Instant::now(), Vec::new());
            let calls = self.claim_and_order(gateway, deadline, &mut answers);
            if timeout(SERVED_WITHIN, calls).await != Ok(true) {
                let mut answers = answers.1.join("; ");
                if answers.is_empty() {
                    answers = "no answer at all".into();
                }
                let example = format!(
                    "{} s after \"{fault}\" a caller of gateway {gateway} with a deadline of {deadline:?} was not served: {answers}",
                    SERVED_WITHIN.as_secs()
                );
                self.found(CALLERS, Count::StuckAfterHeal, example);
            }
        }))
        .await;
        self.tally.half_load.store(false, Relaxed);
    }

    /// Whether the caller has a coupon and an order in the end.
    async fn claim_and_order(
        &self,
        gateway: usize,
        deadline: Duration,
        answers: &mut Answers,
    ) -> bool {
        let claim = ClaimKey {
            campaign: CALLERS,
            shopper: self.next_shopper(CALLERS),
            request: 1,
        };
        self.ledger.ask(claim);
        let mut message = self.claim_request(claim);
        let code = loop {
            let (sent, claim_now) = (Instant::now(), message.clone());
            let ask = |gateway: Gateway| async move { gateway.ask(claim_now).await };
            match self.door.send(gateway, deadline, ask).await {
                Ok(Outcome::Issued(issued)) => break self.told_coupon(claim, issued, sent),
                Ok(Outcome::Queued(queued)) => {
                    let position = queued.position.unwrap_or_default();
                    answers.note(format!("queued behind {position}"));
                    sleep(poll_after(&queued)).await;
                    message.ticket = queued.ticket;
                }
                Err(status) => {
                    answers.note(format!("claim: {}", status.message()));
                    if !self.may_come_again(&status).await {
                        return false;
                    }
                }
            }
        };
        let wish = Wish::at_big_store(claim, ONLY, &code);
        self.order_in_haste(wish, gateway, deadline, answers).await
    }

    async fn order_in_haste(
        &self,
        wish: Wish,
        gateway: usize,
        deadline: Duration,
        answers: &mut Answers,
    ) -> bool {
        loop {
            let (sent, order) = (Instant::now(), wish.message());
            let place = |gateway: Gateway| async move { gateway.place(order).await };
            match self.door.send(gateway, deadline, place).await {
                Ok(order) => {
                    self.told_order(wish.key, &order, sent);
                    if order.state() != OrderState::Pending {
                        answers.note(format!("order {:?}", order.state()));
                        return is_paid(order.state());
                    }
                    answers.note("order pending".to_owned());
                }
                Err(status) => {
                    answers.note(format!("order: {}", status.message()));
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
