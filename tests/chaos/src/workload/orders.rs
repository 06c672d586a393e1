//! Orders that coupons pay for: alone, twice at once, and two that race for one coupon.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use rand::{Rng, rngs::StdRng};
use tidegate_proto::{
    gateway::v1::{GetOrderRequest, PlaceOrderRequest, order_service_client::OrderServiceClient},
    r#type::v1::{Money, Order, OrderLine, OrderState},
};
use tokio::time::{Instant, sleep};

use super::Scene;
use crate::{
    door::Failure,
    findings::Count,
    ledger::{ClaimKey, OrderKey, ToldOrder},
    staff::STORE_ID,
};

/// Between two looks at an order that is still being decided.
const POLL: Duration = Duration::from_millis(400);

impl Scene {
    /// Orders with a coupon, in one way or another. Answers with the orders that were placed.
    pub async fn order(&self, claim: ClaimKey, code: &str, random: &mut StdRng) -> Vec<OrderKey> {
        let key = |place| OrderKey { claim, place };
        let gateway = random.random_range(0..self.door.gateways());
        match random.random_range(0..100) {
            0..60 => {
                self.place(key(1), code, gateway).await;
                vec![key(1)]
            }
            60..80 => {
                self.tally.duplicated.fetch_add(1, Relaxed);
                tokio::join!(self.place(key(1), code, 0), self.place(key(1), code, 1));
                vec![key(1)]
            }
            _ => {
                tokio::join!(
                    self.place(key(1), code, gateway),
                    self.place(key(2), code, gateway + 1)
                );
                vec![key(1), key(2)]
            }
        }
    }

    /// Places an order and waits until it is decided.
    pub async fn place(&self, key: OrderKey, code: &str, gateway: usize) {
        let message = order_request(key, code);
        let rpc = |channel, request| async move {
            let answer = OrderServiceClient::new(channel)
                .place_order(request)
                .await?;
            Ok(answer.into_inner().order.unwrap_or_default())
        };
        let answer = self
            .door
            .call(gateway, &message, || self.gives_up_at(), rpc)
            .await;
        match answer {
            Ok((order, sent)) => self.follow(key, order, sent, gateway).await,
            Err(Failure::Refused(_)) => (),
            Err(Failure::Undecided) => self.undecided(key),
        }
    }

    async fn follow(&self, key: OrderKey, mut order: Order, mut sent: Instant, gateway: usize) {
        loop {
            self.told_order(key, &order, sent);
            match order.state() {
                OrderState::Accepted => {
                    self.tally.accepted.fetch_add(1, Relaxed);
                    return;
                }
                OrderState::Rejected => return,
                OrderState::Pending | OrderState::Unspecified => sleep(POLL).await,
            }
            if self.gives_up_at().is_some_and(|at| Instant::now() > at) {
                return self.undecided(key);
            }
            let message = GetOrderRequest {
                shopper_id: key.claim.shopper_id(),
                order_id: order.order_id.clone(),
            };
            let rpc = |channel, request| async move {
                let answer = OrderServiceClient::new(channel).get_order(request).await?;
                Ok(answer.into_inner().order.unwrap_or_default())
            };
            match self
                .door
                .call(gateway, &message, || self.gives_up_at(), rpc)
                .await
            {
                Ok(now) => (order, sent) = now,
                Err(Failure::Refused(reason)) => return self.lost(key, &reason),
                Err(Failure::Undecided) => return self.undecided(key),
            }
        }
    }

    fn told_order(&self, key: OrderKey, order: &Order, sent: Instant) {
        let told = ToldOrder {
            order_id: order.order_id.clone(),
            accepted_since: (order.state() == OrderState::Accepted).then(Instant::now),
        };
        let campaign_id = self.campaign_id(key.claim.campaign);
        self.ledger.told().order(campaign_id, key, told, sent);
    }

    fn undecided(&self, key: OrderKey) {
        let example = format!("{key:?} has no answer");
        self.found(key, Count::LeftUndecided, example);
    }

    fn lost(&self, key: OrderKey, reason: &str) {
        let example = format!("{key:?} was placed, and reading it is refused: {reason}");
        self.found(key, Count::AcknowledgedNotKept, example);
    }

    fn found(&self, key: OrderKey, count: Count, example: String) {
        let campaign_id = self.campaign_id(key.claim.campaign);
        self.ledger
            .told()
            .findings
            .add(campaign_id, count, 1, example);
    }
}

fn order_request(key: OrderKey, code: &str) -> PlaceOrderRequest {
    let line = OrderLine {
        sku: "milk-tea".to_owned(),
        quantity: 1,
        unit_price: Some(Money {
            currency_code: "CNY".to_owned(),
            minor_units: 2_800,
        }),
    };
    PlaceOrderRequest {
        shopper_id: key.claim.shopper_id(),
        request_id: key.request_id(),
        store_id: STORE_ID.to_owned(),
        lines: vec![line],
        coupon_code: code.to_owned(),
        latest_acceptable_at: None,
    }
}
