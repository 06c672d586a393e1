//! Orders that their shoppers give up, and others that the same coupons pay for afterwards.

use std::sync::atomic::Ordering::Relaxed;

use tidegate_proto::{
    gateway::v1::{CancelOrderRequest, order_service_client::OrderServiceClient},
    r#type::v1::OrderState,
};

use super::{
    Scene,
    orders::{AGAIN, Until},
    wishes::Wish,
};
use crate::{door::Failure, findings::Count, ledger::OrderKey};

impl Scene {
    /// Cancels the first of these orders that may stand, twice at one moment over both gateways, and orders again with its coupon. Answers with what was asked for then.
    pub async fn change_mind(&self, wishes: &[Wish], code: &str, gateway: usize) -> Option<Wish> {
        let (key, order_id) = wishes.iter().find_map(|wish| {
            let told = self.ledger.told();
            let order = told.orders.get(&wish.key)?;
            order
                .may_stand()
                .then(|| (wish.key, order.order_id.clone()))
        })?;
        self.ledger.told().cancels.insert(key);
        self.tally.duplicated.fetch_add(1, Relaxed);
        let (first, second) = tokio::join!(
            self.cancel(key, &order_id, gateway),
            self.cancel(key, &order_id, gateway + 1)
        );
        if !(first && second) {
            return None;
        }
        self.tally.cancelled.fetch_add(1, Relaxed);
        let again = Wish::at_big_store(key.claim, AGAIN, code);
        self.place(&again, gateway, Until::Decided).await;
        Some(again)
    }

    /// Whether the order is cancelled now. An order that was told to be accepted has to be: nobody but its shopper does anything with it.
    async fn cancel(&self, key: OrderKey, order_id: &str, gateway: usize) -> bool {
        let message = CancelOrderRequest {
            shopper_id: key.claim.shopper_id(),
            order_id: order_id.to_owned(),
        };
        let rpc = |channel, request| async move {
            let answer = OrderServiceClient::new(channel)
                .cancel_order(request)
                .await?;
            Ok(answer.into_inner().order.unwrap_or_default())
        };
        let answer = self
            .door
            .call(gateway, &message, || self.gives_up_at(), rpc)
            .await;
        match answer {
            Ok((order, sent)) => {
                self.told_order(key, &order, sent);
                if order.state() != OrderState::Cancelled {
                    let example = format!("{key:?} was cancelled, and is {:?}", order.state());
                    self.found(key, Count::AcknowledgedNotKept, example);
                }
                order.state() == OrderState::Cancelled
            }
            Err(Failure::Refused(reason)) => {
                let was_accepted = {
                    let told = self.ledger.told();
                    let order = told.orders.get(&key);
                    order.is_some_and(|order| order.accepted_since.is_some())
                };
                if was_accepted || reason != "ORDER_STATE_CONFLICT" {
                    let example = format!("{key:?} stood, and to cancel it is refused: {reason}");
                    self.found(key, Count::AcknowledgedNotKept, example);
                }
                false
            }
            Err(Failure::Undecided) => {
                self.undecided(key);
                false
            }
        }
    }
}
