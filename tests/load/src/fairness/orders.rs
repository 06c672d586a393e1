//! Orders beside claims: alone, on an ordinary day, and in a flood.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use serde::Serialize;
use tidegate_local::replay::campaign::{CURRENCY, store_id};
use tidegate_proto::{
    gateway::v1::{ClaimCouponRequest, PlaceOrderRequest, PlaceOrderResponse},
    r#type::v1::{Money, OrderLine, OrderState},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    caller::{Caller, Failure, Method, framed},
    crowd::{Crowd, REQUEST_ID},
    goodput::quantile,
    shoppers::{
        Scene,
        arrivals::{Arrivals, Stretch},
        claim_answer::ClaimAnswer,
        come,
        journey::Manner,
    },
    stage::Stage,
    tell,
};

const CAMPAIGN_ID: &str = "orders";
const STOCK: (u64, u64) = (50_000_000, 1_000_000);
/// More than a store is asked for.
const ORDERS_PER_SLOT: u32 = 10_000;
const STORES_USED: u64 = 100;
const MILK_TEA_MINOR_UNITS: i64 = 2_800;
/// Each order is a row of a commit that claims would fill as well.
const ORDERS: Stretch = Stretch {
    length: Duration::from_secs(10),
    per_second: 30.0,
};
/// As many as come in three such stretches, and some.
const COUPONS: u64 = 1_200;
/// Who holds coupons to order with; few enough to be refused nothing.
const CLAIMS_AT_A_TIME: u64 = 32;
const REST: Duration = Duration::from_millis(200);
/// Claims meanwhile, as multiples of what the ceiling leaves room for, orders not counted.
const ORDINARY_LOAD: f64 = 0.7;
const FLOOD_LOAD: f64 = 10.0;
/// Claims come so long before the orders that are measured.
const LEAD: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(10);

/// Orders under one load of claims.
#[derive(Debug, Clone, Serialize)]
pub struct OrderFigures {
    /// Claims a second meanwhile, as a multiple of what can be served.
    pub claims_load: f64,
    pub placed: usize,
    pub accepted: usize,
    /// Everything else, by its reason.
    pub refused: BTreeMap<String, u64>,
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

/// Orders alone, on an ordinary day, in a flood.
///
/// # Errors
/// No coupons are to be had, or a task fails.
pub async fn measure(stage: &Stage, crowd: &Crowd) -> Result<Vec<OrderFigures>> {
    stage.campaign(CAMPAIGN_ID, STOCK).await?;
    stage.staff().upsert_stores(ORDERS_PER_SLOT).await?;
    let caller = stage.caller(crowd.threads()).await?;
    let mut coupons = coupons(&caller, crowd).await?.into_iter();
    let mut all = Vec::new();
    for load in [0.0, ORDINARY_LOAD, FLOOD_LOAD] {
        tell(&format!(
            "Measuring orders beside {load} times the claims that can be served."
        ));
        let began = Instant::now();
        let claims = Stretch {
            length: LEAD + ORDERS.length,
            per_second: load * Stage::nominal_per_second(),
        };
        let scene = Scene {
            caller: Arc::clone(&caller),
            campaign_id: CAMPAIGN_ID.to_owned(),
            round: format!("beside-{load}"),
            patience: PATIENCE,
            began,
        };
        let claiming = come(
            Arc::new(scene),
            Arrivals::new(vec![claims], 3),
            |_| Manner::AsTold,
            claims.length + PATIENCE,
            crowd.threads(),
        );
        let placing = place(&caller, crowd, began + LEAD, &mut coupons);
        let (claimed, answers) = tokio::join!(claiming, placing);
        claimed?;
        all.push(figures(load, &answers?));
    }
    Ok(all)
}

/// Who has a coupon.
#[derive(Debug)]
struct Holder {
    shopper_id: String,
    code: String,
}

async fn coupons(caller: &Arc<Caller>, crowd: &Crowd) -> Result<Vec<Holder>> {
    tell("Claiming coupons to order with.");
    let mut claims = JoinSet::new();
    for place in 0..CLAIMS_AT_A_TIME {
        let caller = Arc::clone(caller);
        claims.spawn_on(
            async move {
                let mut holders = Vec::new();
                for number in (place..COUPONS).step_by(CLAIMS_AT_A_TIME as usize) {
                    holders.push(claim(&caller, format!("diner-{number}")).await);
                }
                holders
            },
            crowd.threads(),
        );
    }
    let holders: Vec<_> = claims.join_all().await.into_iter().flatten().collect();
    ensure!(
        !holders.is_empty(),
        "No coupon was to be had to order with."
    );
    Ok(holders)
}

async fn claim(caller: &Caller, shopper_id: String) -> Holder {
    let mut ticket = String::new();
    loop {
        let body = framed(&ClaimCouponRequest {
            campaign_id: CAMPAIGN_ID.to_owned(),
            shopper_id: shopper_id.clone(),
            request_id: REQUEST_ID.to_owned(),
            tier_id: String::new(),
            ticket: ticket.clone(),
        });
        let answer = caller.call(Method::ClaimCoupon, body).await;
        match ClaimAnswer::read(answer, CAMPAIGN_ID) {
            ClaimAnswer::Coupon(code) => return Holder { shopper_id, code },
            ClaimAnswer::Queued(place) => {
                ticket = place.ticket;
                sleep(place.poll_after).await;
            }
            ClaimAnswer::Refused { .. } | ClaimAnswer::Unanswered => sleep(REST).await,
        }
    }
}

/// One order's end, and how long it took from when it was due.
type Placed = (Result<(), String>, Duration);

async fn place(
    caller: &Arc<Caller>,
    crowd: &Crowd,
    begins: Instant,
    holders: &mut impl Iterator<Item = Holder>,
) -> Result<Vec<Placed>> {
    let mut orders = JoinSet::new();
    for (number, (at, holder)) in (0..).zip(Arrivals::new(vec![ORDERS], 4).zip(holders)) {
        let due = begins + at;
        let body = framed(&order(holder, store_id((number % STORES_USED) as u32)));
        sleep_until(due).await;
        let caller = Arc::clone(caller);
        orders.spawn_on(
            async move {
                let answer = caller.call(Method::PlaceOrder, body).await;
                (outcome(answer), due.elapsed())
            },
            crowd.threads(),
        );
    }
    Ok(orders.join_all().await)
}

fn order(holder: Holder, store_id: String) -> PlaceOrderRequest {
    PlaceOrderRequest {
        shopper_id: holder.shopper_id,
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
        coupon_code: holder.code,
        ..PlaceOrderRequest::default()
    }
}

/// An order that is still pending when its caller has waited as long as it could is no good answer.
fn outcome(answer: Result<PlaceOrderResponse, Failure>) -> Result<(), String> {
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

fn figures(claims_load: f64, orders: &[Placed]) -> OrderFigures {
    let mut refused = BTreeMap::new();
    for reason in orders.iter().filter_map(|(end, _)| end.as_ref().err()) {
        *refused.entry(reason.clone()).or_default() += 1;
    }
    let accepted: Vec<_> = orders
        .iter()
        .filter(|(end, _)| end.is_ok())
        .map(|(_, took)| *took)
        .collect();
    let at =
        |share| quantile(accepted.iter().copied(), share).map(|took| took.as_secs_f64() * 1_000.0);
    OrderFigures {
        claims_load,
        placed: orders.len(),
        accepted: accepted.len(),
        refused,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
    }
}

#[cfg(test)]
mod tests {
    use tidegate_proto::r#type::v1::Order;

    use super::*;

    #[test]
    fn only_an_accepted_order_counts_for_the_latency() {
        let accepted = |state: OrderState| {
            outcome(Ok(PlaceOrderResponse {
                order: Some(Order {
                    state: state.into(),
                    ..Order::default()
                }),
                ..PlaceOrderResponse::default()
            }))
        };
        let orders = [
            (accepted(OrderState::Accepted), Duration::from_millis(80)),
            (accepted(OrderState::Pending), Duration::from_millis(2_000)),
            (outcome(Err(Failure::Unanswered)), Duration::from_millis(9)),
        ];
        let figures = figures(10.0, &orders);
        assert_eq!((figures.placed, figures.accepted), (3, 1));
        assert_eq!(figures.p99_ms, Some(80.0));
        assert_eq!(figures.refused["ORDER_STATE_PENDING"], 1);
        assert_eq!(figures.refused["unanswered"], 1);
    }
}
