//! Orders beside claims: alone, on an ordinary day, and in a flood.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use serde::Serialize;
use tidegate_client::framed;
use tokio::time::Instant;

use crate::{
    open_loop,
    orders::{Wallet, accepted, order},
    outcomes::Outcomes,
    shoppers::{Scene, arrivals::Arrivals, come, journey::Manner},
    suite::{Suite, slowed::nominal_per_second, store_id},
    tell,
};

const CAMPAIGN_ID: &str = "orders";
const STOCK: (u64, u64) = (50_000_000, 1_000_000);
/// More than a store is asked for.
const ORDERS_PER_SLOT: u32 = 10_000;
const STORES_USED: u32 = 100;
/// Each order is a row of a commit that claims would fill as well.
const ORDERS_PER_SECOND: f64 = 30.0;
const MEASURED: Duration = Duration::from_secs(10);
/// As many as come in three such stretches, and some.
const COUPONS: u64 = 1_200;
/// Who holds coupons to order with; few enough to be refused nothing.
const CLAIMS_AT_A_TIME: usize = 32;
/// Claims meanwhile, as multiples of what the ceiling leaves room for, orders not counted.
const ORDINARY_LOAD: f64 = 0.7;
const FLOOD_LOAD: f64 = 10.0;
/// Claims come so long before the orders that are measured.
const LEAD: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Default, Serialize)]
pub struct OrderFigures {
    /// Claims a second meanwhile, as a multiple of what can be served.
    pub claims_load: f64,
    #[serde(flatten)]
    pub outcomes: Outcomes,
}

/// Orders alone, on an ordinary day, in a flood.
pub async fn measure(suite: &Suite) -> Result<[OrderFigures; 3]> {
    suite.campaign(CAMPAIGN_ID, STOCK).await?;
    suite.put_stores(ORDERS_PER_SLOT).await?;
    let (caller, threads) = (suite.caller().await?, &suite.threads);
    tell("Claiming coupons to order with.");
    let at_a_time = CLAIMS_AT_A_TIME;
    let coupons = Wallet::fill(&caller, CAMPAIGN_ID, "diner", COUPONS, at_a_time, threads).await;
    let coupons = Arc::new(coupons);
    let mut figures = [0.0, ORDINARY_LOAD, FLOOD_LOAD].map(|claims_load| OrderFigures {
        claims_load,
        ..OrderFigures::default()
    });
    for beside in &mut figures {
        let load = beside.claims_load;
        tell(&format!(
            "Measuring orders beside {load} times the claims that can be served."
        ));
        let begins = Instant::now() + LEAD;
        let scene = Scene::new(&caller, CAMPAIGN_ID, &format!("beside-{load}"), PATIENCE);
        let (rate, length) = (load * nominal_per_second(), LEAD + MEASURED);
        let (arrivals, at_most) = (Arrivals::steady(rate, length, 3), length + PATIENCE);
        let claiming = come(scene, arrivals, |_| Manner::AsTold, at_most, threads);
        let arrivals = Arrivals::steady(ORDERS_PER_SECOND, MEASURED, 4);
        let (caller, coupons) = (Arc::clone(&caller), Arc::clone(&coupons));
        let placing = move |number| {
            let store = store_id(number % STORES_USED);
            let (body, caller) = (framed(&order(&coupons.take()?, store)), Arc::clone(&caller));
            Some(async move { accepted(caller.call(body).await) })
        };
        let placing = open_loop::run(threads, begins, Duration::ZERO, arrivals, placing);
        let (_, ends) = tokio::try_join!(claiming, placing)?;
        beside.outcomes = ends.in_seconds(MEASURED.as_secs_f64());
    }
    Ok(figures)
}
