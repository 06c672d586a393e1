//! Coupons to order with.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidegate_client::{Caller, claim_of, framed, order_of, poll_after};
use tidegate_proto::{
    gateway::v1::{ClaimCouponRequest, PlaceOrderRequest, PlaceOrderResponse},
    r#type::v1::OrderState,
};
use tokio::{runtime::Handle, time::sleep};
use tonic::Status;

use crate::{
    closed_loop::{REQUEST_ID, for_each},
    outcomes::End,
    shoppers::claim_answer::{ClaimAnswer, reason},
};

const REST: Duration = Duration::from_millis(200);

#[derive(Debug, Clone)]
pub struct CouponOwner {
    pub shopper_id: String,
    pub code: String,
}

/// Coupons nobody has ordered with yet.
#[derive(Debug, Default)]
pub struct Wallet(Mutex<VecDeque<CouponOwner>>);

impl Wallet {
    /// Claims so many, some at a time. `round` sets its shoppers apart from all others.
    pub async fn fill(
        caller: &Arc<Caller>,
        campaign_id: &'static str,
        round: &str,
        coupons: u64,
        at_a_time: usize,
        threads: &Handle,
    ) -> Self {
        let (caller, round) = (Arc::clone(caller), round.to_owned());
        let claiming = move |number| {
            let (caller, shopper_id) = (Arc::clone(&caller), format!("{round}-{number}"));
            async move { claim(&caller, campaign_id, shopper_id).await }
        };
        let owners = for_each(0..coupons, at_a_time, threads, claiming).await;
        Self(Mutex::new(owners.into()))
    }

    pub fn put_back(&self, owner: CouponOwner) {
        self.coupons().push_back(owner);
    }

    pub fn take(&self) -> Option<CouponOwner> {
        self.coupons().pop_front()
    }

    fn coupons(&self) -> MutexGuard<'_, VecDeque<CouponOwner>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub async fn claim(caller: &Caller, campaign_id: &str, shopper_id: String) -> CouponOwner {
    let mut ticket = String::new();
    loop {
        let body = framed(&ClaimCouponRequest {
            ticket: ticket.clone(),
            ..claim_of(campaign_id, &shopper_id, REQUEST_ID)
        });
        let answer = caller.call(body).await;
        match ClaimAnswer::read(answer, campaign_id) {
            ClaimAnswer::Coupon(code, _) => return CouponOwner { shopper_id, code },
            ClaimAnswer::Queued(place) => {
                sleep(poll_after(&place).unwrap_or_default()).await;
                ticket = place.ticket;
            }
            ClaimAnswer::Refused(..) | ClaimAnswer::Unanswered => sleep(REST).await,
        }
    }
}

/// A milk tea from this store.
pub fn order(owner: &CouponOwner, store_id: String) -> PlaceOrderRequest {
    PlaceOrderRequest {
        store_id,
        ..order_of(&owner.shopper_id, "order-1", &owner.code)
    }
}

/// Whether its caller has waited as long as it could, and has to ask again.
pub fn is_pending(placed: &PlaceOrderResponse) -> bool {
    placed.order.as_ref().map(|order| order.state()) == Some(OrderState::Pending)
}

/// Whether an order is accepted, or why not. One that is still pending when its caller has waited
/// as long as it could is no good answer.
pub fn accepted(answer: Result<PlaceOrderResponse, Status>) -> End {
    let answer = answer.map_err(|status| reason(&status))?;
    match answer.order.unwrap_or_default().state() {
        OrderState::Accepted => Ok(()),
        state => Err(state.as_str_name().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use tidegate_proto::r#type::v1::Order;

    use super::*;

    #[test]
    fn only_an_accepted_order_is_a_good_end() {
        let answered = |state: OrderState| {
            let order = Some(Order {
                state: state.into(),
                ..Order::default()
            });
            accepted(Ok(PlaceOrderResponse {
                order,
                ..PlaceOrderResponse::default()
            }))
        };
        assert_eq!(answered(OrderState::Accepted), Ok(()));
        let pending = Err("ORDER_STATE_PENDING".to_owned());
        assert_eq!(answered(OrderState::Pending), pending);
        let late = accepted(Err(Status::cancelled("late")));
        assert_eq!(late, Err("UNANSWERED".to_owned()));
    }
}
