//! Coupons to order with.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidegate_local::replay::campaign::CURRENCY;
use tidegate_proto::{
    gateway::v1::{ClaimCouponRequest, PlaceOrderRequest, PlaceOrderResponse},
    r#type::v1::{Money, OrderLine, OrderState},
};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    caller::{Caller, Failure, Method, framed},
    crowd::{CAMPAIGN_ID, Crowd, REQUEST_ID},
    shoppers::claim_answer::ClaimAnswer,
};

const MILK_TEA_MINOR_UNITS: i64 = 2_800;
const REST: Duration = Duration::from_millis(200);
/// Full commits, and nobody has to queue.
const CLAIMS_AT_A_TIME: usize = 128;

#[derive(Debug, Clone)]
pub struct CouponOwner {
    pub shopper_id: String,
    pub code: String,
}

/// Coupons nobody has ordered with yet.
#[derive(Debug, Default)]
pub struct Wallet(Mutex<VecDeque<CouponOwner>>);

impl Wallet {
    /// Claims so many. `round` sets its shoppers apart from all others.
    pub async fn fill(caller: &Arc<Caller>, round: &str, coupons: usize, crowd: &Crowd) -> Self {
        let mut claims = JoinSet::new();
        for place in 0..CLAIMS_AT_A_TIME {
            let (caller, round) = (Arc::clone(caller), round.to_owned());
            let claiming = async move {
                let mut owners = Vec::new();
                for number in (place..coupons).step_by(CLAIMS_AT_A_TIME) {
                    let shopper_id = format!("{round}-{number}");
                    owners.push(claim(&caller, CAMPAIGN_ID, shopper_id).await);
                }
                owners
            };
            claims.spawn_on(claiming, crowd.threads());
        }
        let owners = claims.join_all().await.into_iter().flatten().collect();
        Self(Mutex::new(owners))
    }

    /// Keeps one that was not used.
    pub fn put_back(&self, owner: CouponOwner) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(owner);
    }

    /// One of them, until all are used.
    pub fn take(&self) -> Option<CouponOwner> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }
}

/// Claims until there is a coupon.
pub async fn claim(caller: &Caller, campaign_id: &str, shopper_id: String) -> CouponOwner {
    let mut ticket = String::new();
    loop {
        let body = framed(&ClaimCouponRequest {
            campaign_id: campaign_id.to_owned(),
            shopper_id: shopper_id.clone(),
            request_id: REQUEST_ID.to_owned(),
            tier_id: String::new(),
            ticket: ticket.clone(),
        });
        let answer = caller.call(Method::ClaimCoupon, body).await;
        match ClaimAnswer::read(answer, campaign_id) {
            ClaimAnswer::Coupon(code) => return CouponOwner { shopper_id, code },
            ClaimAnswer::Queued(place) => {
                ticket = place.ticket;
                sleep(place.poll_after).await;
            }
            ClaimAnswer::Refused { .. } | ClaimAnswer::Unanswered => sleep(REST).await,
        }
    }
}

/// A milk tea from this store.
pub fn order(owner: CouponOwner, store_id: String) -> PlaceOrderRequest {
    PlaceOrderRequest {
        shopper_id: owner.shopper_id,
        request_id: "order-1".to_owned(),
        store_id,
        lines: vec![OrderLine {
            sku: "milk-tea".to_owned(),
            quantity: 1,
            unit_price: Some(Money {
                currency_code: CURRENCY.to_owned(),
                minor_units: MILK_TEA_MINOR_UNITS,
            }),
        }],
        coupon_code: owner.code,
        ..PlaceOrderRequest::default()
    }
}

/// Whether an order is accepted. One that is still pending when its caller has waited as long as it could is no good answer.
pub fn accepted(answer: Result<PlaceOrderResponse, Failure>) -> Result<(), String> {
    match answer {
        Ok(response) => {
            let state = response.order.unwrap_or_default().state();
            if state == OrderState::Accepted {
                Ok(())
            } else {
                Err(state.as_str_name().to_owned())
            }
        }
        Err(Failure::Refused { reason, .. }) => Err(reason),
        Err(Failure::Unanswered) => Err("unanswered".to_owned()),
    }
}
