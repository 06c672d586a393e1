//! Fulfilment hears of every order, whoever crashes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use futures_util::future::try_join_all;
use tidegate_client::{CampaignTerms, Fulfilment, eventually, order_of, refused, store_of};
use tidegate_e2e::{ISSUANCES, OrderBooks, Suite};
use tidegate_proto::{
    gateway::v1::PlaceOrderRequest,
    order_intake::v1::{StreamOrdersRequest, StreamOrdersResponse},
    r#type::v1::{Order, OrderState},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::{Code, Streaming};

const BACK_WITHIN: Duration = Duration::from_secs(20);
const DRAINED_WITHIN: Duration = Duration::from_secs(10);
const BETWEEN_ARRIVALS: Duration = Duration::from_millis(10);
/// The numbers of PENDING and ACCEPTED in the database.
const PENDING: i16 = 1;
const ACCEPTED: i16 = 2;

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

    fn has_all(&self, orders: &[Order]) -> bool {
        orders.iter().all(|order| {
            let states = self.0.get(&order.order_id);
            states.is_some_and(|states| states.contains(&OrderState::Accepted))
        })
    }

    /// Reads on until every one of these orders was told of.
    async fn hear_all(
        &mut self,
        mut pages: Streaming<StreamOrdersResponse>,
        orders: &[Order],
    ) -> Result<()> {
        let began = Instant::now();
        while !self.has_all(orders) {
            let left = BACK_WITHIN.saturating_sub(began.elapsed());
            match timeout(left, pages.message()).await? {
                Ok(Some(page)) => self.take(&page),
                ended => bail!("the feed ended: {ended:?}"),
            }
        }
        for order in orders {
            ensure!(
                self.0[&order.order_id] == [OrderState::Pending, OrderState::Accepted],
                "{}: {:?}",
                order.order_id,
                self.0[&order.order_id]
            );
        }
        Ok(())
    }
}

async fn suite_with_stores() -> Result<(Suite, Fulfilment)> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    let stores = ["store-1", "store-2"].map(|store_id| store_of(store_id, 10_000));
    staff.put_stores(stores.into()).await?;
    staff.open(CampaignTerms::open("tea", 10_000)).await?;
    let fulfilment = suite.fulfilment()?;
    Ok((suite, fulfilment))
}

/// Shoppers with a coupon each.
async fn holders(suite: &Suite, name: &str, count: usize) -> Result<Vec<(String, String)>> {
    let shoppers = (0..count).map(|number| format!("{name}-{number}"));
    try_join_all(shoppers.map(|shopper| async move {
        let code = suite.coupon("tea", &shopper).await?;
        anyhow::Ok((shopper, code))
    }))
    .await
}

async fn orders_of(suite: &Suite, holders: &[(String, String)]) -> Result<Vec<Order>> {
    let orders = holders
        .iter()
        .map(|(shopper, code)| suite.order(shopper, "o-1", code));
    Ok(try_join_all(orders).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_misses_nothing_when_order_intake_and_its_consumer_are_killed() -> Result<()> {
    let (mut suite, fulfilment) = suite_with_stores().await?;
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
    for (shopper, code) in &after {
        let order = || suite.order(shopper, "o-1", code);
        orders.push(eventually(BACK_WITHIN, order).await?);
    }
    let fulfilment = suite.fulfilment()?;
    let pages = eventually(BACK_WITHIN, || fulfilment.stream_on("kitchen")).await?;
    heard.hear_all(pages, &orders).await?;
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_for_its_consumer_only_and_never_goes_back() -> Result<()> {
    let (suite, fulfilment) = suite_with_stores().await?;
    let holders = holders(&suite, "shopper", 4).await?;
    let orders = orders_of(&suite, &holders[..2]).await?;
    let mut pages = fulfilment.stream_on("kitchen").await?;
    let mut heard = Heard::default();
    let mut cursors = Vec::new();
    while !heard.has_all(&orders) {
        let page = pages.message().await?.unwrap_or_default();
        heard.take(&page);
        cursors.push(page.cursor);
    }
    let last = cursors.last().cloned().unwrap_or_default();
    for cursor in ["garbage", &last[1..], &"A".repeat(4_000)] {
        let told = refused(&fulfilment.acknowledge("kitchen", cursor).await.unwrap_err());
        assert_eq!(
            (told.code, told.fields),
            (Code::InvalidArgument, vec!["cursor".to_owned()])
        );
    }
    let others = StreamOrdersRequest {
        consumer: "counter".into(),
        cursor: last.clone(),
        ..StreamOrdersRequest::default()
    };
    let told = refused(&fulfilment.stream(others).await.unwrap_err());
    assert_eq!(
        (told.code, told.fields),
        (Code::InvalidArgument, vec!["cursor".to_owned()])
    );

    fulfilment.acknowledge("kitchen", &last).await?;
    for earlier in &cursors {
        fulfilment.acknowledge("kitchen", earlier).await?;
    }
    let (shopper, code) = &holders[2];
    let next = suite.order(shopper, "o-1", code).await?;
    let page = fulfilment.stream_on("kitchen").await?.message().await?;
    let first = page.and_then(|page| page.events.into_iter().next());
    assert_eq!(first.unwrap_or_default().order_id, next.order_id);

    let (shopper, code) = &holders[3];
    let message = PlaceOrderRequest {
        store_id: "store-2".into(),
        ..order_of(shopper, "o-1", code)
    };
    let other_store = suite.place(message).await?;
    let only = StreamOrdersRequest {
        consumer: "store-2".into(),
        store_id: "store-2".into(),
        ..StreamOrdersRequest::default()
    };
    let mut pages = fulfilment.stream(only).await?;
    let mut heard = Heard::default();
    while !heard.has_all(std::slice::from_ref(&other_store)) {
        heard.take(&pages.message().await?.unwrap_or_default());
    }
    assert_eq!(heard.0.len(), 1, "orders of other stores are left out");
    suite.end().await
}

/// Waits until so many orders are in a state.
async fn at_least(books: &OrderBooks, orders: i64, state: i16) -> Result<()> {
    eventually(BACK_WITHIN, || async {
        let now = books.orders_in_state(state).await?;
        ensure!(now >= orders, "{now} orders are in state {state}");
        Ok(())
    })
    .await
}

/// Everybody orders, one shortly after the other; those who were told of an order hand it back.
fn crowd(suite: &Suite, holders: &[(String, String)]) -> Result<JoinSet<Option<Order>>> {
    let mut crowd = JoinSet::new();
    for (place, (shopper, code)) in (0..).zip(holders) {
        let mut orders = suite.orders();
        let request = suite.request(order_of(shopper, "o-1", code));
        crowd.spawn(async move {
            sleep(place * BETWEEN_ARRIVALS).await;
            orders.place_order(request).await.ok()?.into_inner().order
        });
    }
    Ok(crowd)
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_orders_drain_within_10_seconds_after_order_intake_and_postgresql_are_killed()
-> Result<()> {
    let (mut suite, _) = suite_with_stores().await?;
    let holders = holders(&suite, "shopper", 200).await?;
    let books = OrderBooks::open(&suite).await?;
    let crowd = crowd(&suite, &holders)?;
    at_least(&books, 20, ACCEPTED).await?;
    for replica in ISSUANCES {
        suite.stack.pause(replica)?;
    }
    at_least(&books, 20, PENDING).await?;
    suite.stack.kill("order-intake-0").await?;
    suite.stack.postgres_mut().kill().await?;
    let told: Vec<Order> = crowd.join_all().await.into_iter().flatten().collect();
    assert!(!told.is_empty() && told.len() < holders.len());
    for replica in ISSUANCES {
        suite.stack.resume(replica)?;
    }
    suite.stack.postgres_mut().start().await?;
    // The old connections died with the server.
    let books = OrderBooks::open(&suite).await?;
    assert!(books.orders_in_state(PENDING).await? >= 20);
    suite.stack.restart("order-intake-0").await?;
    let recovered = Instant::now();
    eventually(DRAINED_WITHIN, || async {
        match books.orders_in_state(PENDING).await? {
            0 => Ok(()),
            pending => bail!("{pending} are PENDING after {:?}", recovered.elapsed()),
        }
    })
    .await?;
    for order in told {
        let now = suite.read(&order).await?;
        assert_eq!(now.state(), OrderState::Accepted, "{order:?}");
    }
    // Those who were told nothing ask again, and get what their first request made.
    for (shopper, code) in &holders {
        let order = || suite.order(shopper, "o-1", code);
        let again = eventually(BACK_WITHIN, order).await?;
        let (coupon, usable) = suite.check(shopper, code).await?;
        assert!(!usable && coupon.order_id == again.order_id, "{coupon:?}");
    }
    let slots = books.slots("store-1").await?;
    assert!(
        slots.iter().all(|slot| slot.booked == slot.orders),
        "{slots:?}"
    );
    suite.end().await
}
