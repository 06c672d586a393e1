//! Orders that their shoppers give up, and others that the same coupons pay for afterwards.

use tidegate_client::Gateway;
use tidegate_proto::r#type::v1::OrderState;

use super::{
    Scene,
    orders::{AGAIN, Until},
    wishes::Wish,
};
use crate::{door::Failure, findings::Count, ledger::OrderKey};

impl Scene {
    /// Cancels the first of these orders that may stand, twice at one moment over both gateways,
    /// and orders again with its coupon. Answers with what was asked for then.
    pub async fn change_mind(&self, wishes: &[Wish], code: &str, gateway: usize) -> Option<Wish> {
        let (key, order_id) = wishes.iter().find_map(|wish| {
            let told = self.ledger.told();
            let order = told.orders.get(&wish.key)?;
            order
                .may_stand()
                .then(|| (wish.key, order.order_id.clone()))
        })?;
        self.ledger.told().cancels.insert(key);
        self.tally.counts().duplicated += 1;
        let (first, second) = tokio::join!(
            self.cancel(key, &order_id, gateway),
            self.cancel(key, &order_id, gateway + 1)
        );
        if !(first && second) {
            return None;
        }
        self.tally.counts().cancelled += 1;
        let again = Wish::at_big_store(key.claim, AGAIN, code);
        self.place(&again, gateway, Until::Decided).await;
        Some(again)
    }

    /// Whether the order is cancelled now. An order that was told to be accepted has to be: nobody
    /// but its shopper does anything with it.
    async fn cancel(&self, key: OrderKey, order_id: &str, gateway: usize) -> bool {
        let shopper_id = &key.claim.shopper_id();
        let cancel =
            |gateway: Gateway| async move { gateway.cancel_order(shopper_id, order_id).await };
        match self.call(gateway, cancel).await {
            Ok((order, sent)) => {
                self.told_order(key, &order, sent);
                if order.state() != OrderState::Cancelled {
                    let example = format!("{key:?} was cancelled, and is {:?}", order.state());
                    self.found(key.claim.campaign, Count::AcknowledgedNotKept, example);
                }
                order.state() == OrderState::Cancelled
            }
            Err(Failure::Refused(reason)) => {
                let told = self.ledger.told().orders.get(&key).cloned();
                let was_accepted = told.is_some_and(|order| order.accepted_since.is_some());
                if was_accepted || reason != "ORDER_STATE_CONFLICT" {
                    let example = format!("{key:?} stood, and to cancel it is refused: {reason}");
                    self.found(key.claim.campaign, Count::AcknowledgedNotKept, example);
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
