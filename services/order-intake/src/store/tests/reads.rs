use super::*;
use crate::domain::PageSize;

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn pages_show_each_order_once_newest_first_while_more_are_placed() {
    let fixture = Fixture::start().await;
    let mut placed = Vec::new();
    for number in 0..5 {
        let order = fixture
            .placed(&draft("alice", &format!("r-{number}")))
            .await;
        placed.push(order.standing.order_id);
    }
    fixture.placed(&draft("bob", "r-0")).await;
    let (alice, size) = (
        ShopperId::parse("alice").unwrap(),
        PageSize::new(2).unwrap(),
    );
    let (mut seen, mut after) = (Vec::new(), Some(PagePosition::NEWEST));
    while let Some(place) = after {
        let page = fixture.store.list_orders(&alice, size, place).await;
        let (orders, next) = page.unwrap();
        assert!(orders.len() <= 2);
        seen.extend(orders.iter().map(|order| order.standing.order_id));
        after = next;
        // Newer than every page that follows.
        let later = format!("later-{}", seen.len());
        fixture.placed(&draft("alice", &later)).await;
    }
    placed.reverse();
    assert_eq!(seen, placed);
}

#[tokio::test]
async fn recovery_picks_pending_orders_that_are_not_fresh_oldest_first_and_goes_on_after_the_last_one()
 {
    let fixture = Fixture::start().await;
    let orders = fixture.orders(4).await;
    fixture.settle(&orders[1], accept()).await;
    fixture.settle(&orders[2], reject_for(&orders[1])).await;
    let pick = async |before, after, limit| {
        let (lane, fresh) = (fixture.lane, before..=before + HOUR);
        let picked = fixture.store.pending_orders(lane, fresh, after, limit);
        picked.await.unwrap()
    };
    let later = Timestamp::now_utc() + Duration::from_secs(1);
    let first = pick(later, PagePosition::OLDEST, 1).await;
    assert_eq!(first, [orders[0].clone()]);
    let rest = pick(later, PagePosition::after(&first[0]), 10).await;
    assert_eq!(rest, [orders[3].clone()]);
    let too_young = pick(orders[0].standing.created_at, PagePosition::OLDEST, 10).await;
    assert_eq!(too_young, []);
    // What was placed while a clock was ahead is picked once the clock is right.
    let right = orders[0].standing.created_at - 4 * HOUR;
    let ahead = pick(right, PagePosition::OLDEST, 1).await;
    assert_eq!(ahead, first);
}
