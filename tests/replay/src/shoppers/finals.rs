//! Never means never: whoever was told so asks once more when the day is over, and must not be served then.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tidegate_proto::{
    gateway::v1::{ClaimCouponRequest, PlaceOrderRequest, claim_coupon_response},
    r#type::v1::OrderState,
};
use tokio::time::{Instant, sleep};

use super::Scene;
use crate::{
    answers::poll_after,
    ledger::{AskedAgain, Ledger, ToldNever, ToldStanding},
    refusal::Failure,
};

const ASKED_AT_ONCE: usize = 64;
const WAITS_AT_MOST: Duration = Duration::from_secs(10);

/// Sends every request again that is remembered. What is served then is written down like any other answer.
pub async fn ask_again(scene: &Scene) {
    let finals = scene.ledger.told().remembered;
    stream::iter(finals)
        .for_each_concurrent(ASKED_AT_ONCE, |told| async move {
            let outcome = match told {
                ToldNever::Claim { shopper, request } => claim(scene, shopper, request).await,
                ToldNever::Order { shopper, message } => order(scene, shopper, &message).await,
            };
            scene.ledger.asked_again(outcome);
        })
        .await;
}

async fn claim(scene: &Scene, shopper: u32, request: u8) -> AskedAgain {
    let began = Instant::now();
    let mut message = ClaimCouponRequest {
        campaign_id: scene.campaign_id.clone(),
        shopper_id: scene.ledger.shopper_id(shopper),
        request_id: Ledger::claim_request_id(request),
        ..ClaimCouponRequest::default()
    };
    while began.elapsed() < WAITS_AT_MOST {
        let answer = scene.ask(Instant::now(), &message, None);
        match answer.await.map(|answer| answer.outcome) {
            Ok(Some(claim_coupon_response::Outcome::Issued(issued))) => {
                let code = issued.coupon.unwrap_or_default().code;
                scene.ledger.coupon(shopper, request, &code);
                return AskedAgain::Served;
            }
            Ok(Some(claim_coupon_response::Outcome::Queued(queued))) => {
                sleep(poll_after(&queued).unwrap_or_default()).await;
                message.ticket = queued.ticket;
            }
            Err(Failure::Never(_)) => return AskedAgain::Refused,
            Ok(None) | Err(_) => return AskedAgain::Undecided,
        }
    }
    AskedAgain::Undecided
}

async fn order(scene: &Scene, shopper: u32, message: &PlaceOrderRequest) -> AskedAgain {
    let answer = scene.ask(Instant::now(), message, None);
    match answer.await.map(|answer| answer.order.unwrap_or_default()) {
        Ok(order) => {
            let code = &message.coupon_code;
            let durable = ToldStanding::Durable;
            scene.ledger.order(shopper, &order.order_id, code, durable);
            match order.state() {
                OrderState::Rejected | OrderState::Cancelled => AskedAgain::Refused,
                OrderState::Pending | OrderState::Unspecified => AskedAgain::Undecided,
                _ => AskedAgain::Served,
            }
        }
        Err(Failure::Never(_)) => AskedAgain::Refused,
        Err(_) => AskedAgain::Undecided,
    }
}
