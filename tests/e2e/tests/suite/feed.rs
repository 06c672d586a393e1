//! Fulfilment hears of every order, whoever crashes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use futures_util::future::try_join_all;
use tidegate_client::{SOON, eventually, order_of, soon, store_of};
use tidegate_e2e::{ISSUANCES, Suite};
use tidegate_proto::{
    order_intake::v1::StreamOrdersResponse,
    r#type::v1::{Order, OrderState},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::Streaming;

const DRAINED_WITHIN: Duration = Duration::from_secs(10);
const BETWEEN_ARRIVALS: Duration = Duration::from_millis(10);

/// The states that the feed told of each order, in its order, without those told again.
#[derive(Default)]
struct Heard(BTreeMap<String, Vec<OrderState>>);

impl Heard {
    fn take(&mut self, page: &StreamOrdersResponse) {
        for event in &page.events {
            let states = self.0.entry(event.order_id.clone()).or_default();
            if !states.contains(&event.state()) {
                states.push(event.state());
            }
        }
    }

    /// Reads on until every one of these orders was told of.
    async fn hear_all(
        &mut self,
        pages: &mut Streaming<StreamOrdersResponse>,
        orders: &[Order],
    ) -> Result<()> {
        let began = Instant::now();
        let is_told = |states: &Vec<OrderState>| states.contains(&OrderState::Accepted);
        while !orders
            .iter()
            .all(|order| self.0.get(&order.order_id).is_some_and(is_told))
        {
            let left = SOON.saturating_sub(began.elapsed());
            let Some(page) = timeout(left, pages.message()).await?? else {
                bail!("the feed ended")
            };
            self.take(&page);
        }
        for Order { order_id, .. } in orders {
            let states = &self.0[order_id];
            let is_in_order = *states == [OrderState::Pending, OrderState::Accepted];
            ensure!(is_in_order, "{order_id}: {states:?}");
        }
        Ok(())
    }
}

async fn suite_with_a_store() -> Result<Suite> {
    let suite = Suite::start().await?;
    suite
        .staff
        .put_stores(vec![store_of("store-1", 10_000)])
        .await?;
    suite.open("tea", 10_000).await?;
    Ok(suite)
}

/// Shoppers with a coupon each.
async fn holders(suite: &Suite, name: &str, count: usize) -> Result<Vec<(String, String)>> {
    try_join_all((0..count).map(async |number| {
        let shopper = format!("{name}-{number}");
        let code = suite.coupon("tea", &shopper).await?;
        Ok((shopper, code))
    }))
    .await
}

/// Everybody orders, again while whoever was killed is not back.
async fn orders_of(suite: &Suite, holders: &[(String, String)]) -> Result<Vec<Order>> {
    let holders = holders.iter();
    let orders = holders.map(|(shopper, code)| soon(|| suite.order(shopper, "o-1", code)));
    Ok(try_join_all(orders).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_misses_nothing_when_order_intake_and_its_consumer_are_killed() -> Result<()> {
    let mut suite = suite_with_a_store().await?;
    let fulfilment = suite.fulfilment()?;
    let before = holders(&suite, "before", 20).await?;
    let mut orders = orders_of(&suite, &before).await?;

    // The consumer is done with its first page and is killed over the second.
    let mut heard = Heard::default();
    let mut pages = fulfilment.stream_on("kitchen").await?;
    let Some(first) = pages.message().await? else {
        bail!("the feed has no page")
    };
    heard.take(&first);
    fulfilment.acknowledge("kitchen", &first.cursor).await?;
    let more = holders(&suite, "more", 20).await?;
    orders.extend(orders_of(&suite, &more).await?);
    let lost = pages.message().await?;
    assert!(lost.is_some_and(|page| !page.events.is_empty()));
    suite.stack.kill("order-intake-0").await?;
    drop(pages);
    suite.stack.restart("order-intake-0").await?;

    let after = holders(&suite, "after", 20).await?;
    orders.extend(orders_of(&suite, &after).await?);
    let fulfilment = suite.fulfilment()?;
    let mut pages = soon(|| fulfilment.stream_on("kitchen")).await?;
    heard.hear_all(&mut pages, &orders).await?;
    suite.end().await
}

/// Waits until 20 orders are in a state.
async fn some_are(suite: &Suite, state: OrderState) -> Result<()> {
    soon(async || {
        let now = suite.orders_in_state(state).await?;
        ensure!(now >= 20, "{now} orders are {state:?}");
        Ok(())
    })
    .await
}

/// Everybody orders, one shortly after the other; those who were told of an order hand it back.
fn crowd(suite: &Suite, holders: &[(String, String)]) -> JoinSet<Option<Order>> {
    let mut crowd = JoinSet::new();
    for (place, (shopper, code)) in (0..).zip(holders) {
        let gateway = suite.gateways[0].clone();
        let order = order_of(shopper, "o-1", code);
        crowd.spawn(async move {
            sleep(place * BETWEEN_ARRIVALS).await;
            gateway.place(order).await.ok()
        });
    }
    crowd
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_orders_drain_within_10_seconds_after_order_intake_and_postgresql_are_killed()
-> Result<()> {
    let mut suite = suite_with_a_store().await?;
    let holders = holders(&suite, "shopper", 200).await?;
    let crowd = crowd(&suite, &holders);
    some_are(&suite, OrderState::Accepted).await?;
    suite.pause(&ISSUANCES)?;
    some_are(&suite, OrderState::Pending).await?;
    suite.stack.kill("order-intake-0").await?;
    suite.stack.postgres_mut().kill().await?;
    let told: Vec<Order> = crowd.join_all().await.into_iter().flatten().collect();
    assert!(!told.is_empty() && told.len() < holders.len());
    suite.resume(&ISSUANCES)?;
    suite.stack.postgres_mut().start().await?;
    assert!(suite.orders_in_state(OrderState::Pending).await? >= 20);
    suite.stack.restart("order-intake-0").await?;
    eventually(DRAINED_WITHIN, async || {
        let pending = suite.orders_in_state(OrderState::Pending).await?;
        ensure!(pending == 0, "{pending} are PENDING");
        Ok(())
    })
    .await?;
    for order in told {
        let now = suite.read(&order).await?;
        assert_eq!(now.state(), OrderState::Accepted, "{order:?}");
    }
    // Those who were told nothing ask again, and get what their first request made.
    for ((shopper, code), again) in holders.iter().zip(orders_of(&suite, &holders).await?) {
        let (coupon, usable) = suite.check(shopper, code).await?;
        assert!(!usable && coupon.order_id == again.order_id, "{coupon:?}");
    }
    suite.booked("store-1").await?;
    suite.end().await
}
