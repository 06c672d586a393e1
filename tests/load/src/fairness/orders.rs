//! Orders beside claims: alone, on an ordinary day, and in a flood.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Result;
use serde::Serialize;
use tidegate_client::{Caller, framed};
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    orders::{Wallet, accepted, order},
    quantile::quantile_ms,
    shoppers::{
        Scene,
        arrivals::{Arrivals, Stretch},
        come,
        journey::Manner,
    },
    stage::Stage,
    suite::{self, store_id},
    tell,
};

const CAMPAIGN_ID: &str = "orders";
const STOCK: (u64, u64) = (50_000_000, 1_000_000);
/// More than a store is asked for.
const ORDERS_PER_SLOT: u32 = 10_000;
const STORES_USED: u32 = 100;
/// Each order is a row of a commit that claims would fill as well.
const ORDERS: Stretch = Stretch {
    length: Duration::from_secs(10),
    per_second: 30.0,
};
/// As many as come in three such stretches, and some.
const COUPONS: usize = 1_200;
/// Who holds coupons to order with; few enough to be refused nothing.
const CLAIMS_AT_A_TIME: usize = 32;
/// Claims meanwhile, as multiples of what the ceiling leaves room for, orders not counted.
const ORDINARY_LOAD: f64 = 0.7;
const FLOOD_LOAD: f64 = 10.0;
/// Claims come so long before the orders that are measured.
const LEAD: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Serialize)]
pub struct OrderFigures {
    /// Claims a second meanwhile, as a multiple of what can be served.
    pub claims_load: f64,
    pub placed: usize,
    pub accepted: usize,
    pub refused: BTreeMap<String, u64>,
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

/// Orders alone, on an ordinary day, in a flood.
pub async fn measure(stage: &Stage, threads: &Handle) -> Result<Vec<OrderFigures>> {
    stage.campaign(CAMPAIGN_ID, STOCK).await?;
    suite::put_stores(&stage.staff, ORDERS_PER_SLOT).await?;
    let caller = stage.caller(threads).await?;
    tell("Claiming coupons to order with.");
    let coupons = Wallet::fill(
        &caller,
        CAMPAIGN_ID,
        "diner",
        COUPONS,
        CLAIMS_AT_A_TIME,
        threads,
    )
    .await;
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
        let scene = Scene::new(&caller, CAMPAIGN_ID, &format!("beside-{load}"), PATIENCE);
        let (arrivals, at_most) = (Arrivals::new(vec![claims], 3), claims.length + PATIENCE);
        let claiming = come(scene, arrivals, |_| Manner::AsTold, at_most, threads);
        let placing = place(&caller, threads, began + LEAD, &coupons);
        let (claimed, answers) = tokio::join!(claiming, placing);
        claimed?;
        all.push(figures(load, &answers?));
    }
    Ok(all)
}

/// One order's end, and how long it took from when it was due.
type Placed = (Result<(), String>, Duration);

async fn place(
    caller: &Arc<Caller>,
    threads: &Handle,
    begins: Instant,
    coupons: &Wallet,
) -> Result<Vec<Placed>> {
    let mut orders = JoinSet::new();
    let owners = std::iter::from_fn(|| coupons.take());
    for (number, (at, owner)) in (0..).zip(Arrivals::new(vec![ORDERS], 4).zip(owners)) {
        let due = begins + at;
        let body = framed(&order(&owner, store_id(number % STORES_USED)));
        sleep_until(due).await;
        let caller = Arc::clone(caller);
        orders.spawn_on(
            async move {
                let answer = caller.call(body).await;
                (accepted(answer), due.elapsed())
            },
            threads,
        );
    }
    Ok(orders.join_all().await)
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
    OrderFigures {
        claims_load,
        placed: orders.len(),
        accepted: accepted.len(),
        refused,
        p50_ms: quantile_ms(&accepted, 0.5),
        p99_ms: quantile_ms(&accepted, 0.99),
    }
}

#[cfg(test)]
mod tests {
    use tidegate_proto::{
        gateway::v1::PlaceOrderResponse,
        r#type::v1::{Order, OrderState},
    };
    use tonic::Status;

    use super::*;

    #[test]
    fn only_an_accepted_order_counts_for_the_latency() {
        let answered = |state: OrderState| {
            accepted(Ok(PlaceOrderResponse {
                order: Some(Order {
                    state: state.into(),
                    ..Order::default()
                }),
                ..PlaceOrderResponse::default()
            }))
        };
        let orders = [
            (answered(OrderState::Accepted), Duration::from_millis(80)),
            (answered(OrderState::Pending), Duration::from_millis(2_000)),
            (
                accepted(Err(Status::cancelled("late"))),
                Duration::from_millis(9),
            ),
        ];
        let figures = figures(10.0, &orders);
        assert_eq!((figures.placed, figures.accepted), (3, 1));
        assert_eq!(figures.p99_ms, Some(80.0));
        assert_eq!(figures.refused["ORDER_STATE_PENDING"], 1);
        assert_eq!(figures.refused["UNANSWERED"], 1);
    }
}
