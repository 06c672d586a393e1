use std::collections::BTreeMap;

use super::*;
use crate::{
    domain::RetentionPeriod,
    retention::{CampaignEnds, Retention},
};

const PERIOD_DAYS: u16 = 30;
const DAY: Duration = Duration::from_secs(86_400);

async fn sweep(fixture: &Fixture) {
    let retention = Retention {
        store: fixture.store.clone(),
        campaigns: CampaignEnds::default(),
        period: RetentionPeriod::days(PERIOD_DAYS),
    };
    retention.sweep(Timestamp::now_utc()).await.unwrap();
}

/// Places an order as if that had been so many days ago, with the table of that day.
async fn placed_days_ago(fixture: &Fixture, days: u32, draft: &Draft) -> Order {
    let then = Timestamp::now_utc() - DAY * days;
    fixture.store.make_days(then.date(), 1).await.unwrap();
    let made = uuid::Timestamp::from_unix(uuid::NoContext, then.unix_timestamp() as u64, 0);
    let id = OrderId(Uuid::new_v7(made));
    let placed = place_as(&fixture.store, id, draft, Verdict::True).await;
    let back = format!(
        "UPDATE orders SET created_at = created_at - interval '{days} days' WHERE order_id = '{id}';
         UPDATE order_details SET placed_on = placed_on - {days} WHERE order_id = '{id}';
         UPDATE order_events SET placed_on = placed_on - {days}, happened_on = happened_on - {days} WHERE order_id = '{id}'"
    );
    fixture.database.execute(&back).await;
    order_of(draft.clone(), placed.unwrap())
}

#[tokio::test]
async fn what_is_written_goes_to_the_table_of_its_day() {
    let fixture = Fixture::start().await;
    let today = Timestamp::now_utc().date();
    assert_eq!(fixture.store.make_days(today, 3).await.unwrap(), 6);
    assert_eq!(fixture.store.make_days(today, 3).await.unwrap(), 0);
    fixture.placed(&draft("alice", "r-1")).await;
    assert_eq!(fixture.count("order_details").await, 1);
    assert_eq!(fixture.count("order_details_of_other_days").await, 0);
    assert_eq!(fixture.count("order_events_of_other_days").await, 0);
}

#[tokio::test]
async fn after_the_period_details_are_gone_and_a_retry_still_finds_its_order() {
    let fixture = Fixture::start().await;
    let old = draft("alice", "r-1");
    let order = placed_days_ago(&fixture, 40, &old).await;
    fixture.settle(&order, accept()).await;
    let young = placed_days_ago(&fixture, 29, &draft("bob", "r-1")).await;
    fixture.settle(&young, reject_for(&order)).await;
    sweep(&fixture).await;
    let forgotten = fixture.read(&order).await;
    assert!(matches!(forgotten, Err(OrderIntakeError::OrderNotFound)));
    assert!(fixture.read(&young).await.is_ok());
    assert_eq!(fixture.count("order_details").await, 1);
    let replay = fixture.place(&old).await.unwrap();
    assert!(replay.replayed);
    assert_eq!(replay.standing.order_id, order.standing.order_id);
    assert_eq!(replay.standing.state, OrderState::Accepted);
}

#[tokio::test]
async fn a_day_is_kept_as_long_as_a_worker_needs_one_of_its_orders() {
    let fixture = Fixture::start().await;
    let pending = placed_days_ago(&fixture, 40, &draft("alice", "r-1")).await;
    let now = Timestamp::now_utc();
    sweep(&fixture).await;
    let fresh = now..=now + Duration::from_secs(3_600);
    let (lane, oldest) = (fixture.lane, PagePosition::OLDEST);
    let found = fixture.store.pending_orders(lane, fresh, oldest, 10).await;
    let found = found.unwrap()[0].standing.order_id;
    assert_eq!(found, pending.standing.order_id);
    fixture.moved(&pending, Move::Cancel).await.unwrap();
    sweep(&fixture).await;
    assert_eq!(fixture.count("order_details").await, 1);
    fixture.note_release(&pending).await;
    sweep(&fixture).await;
    assert_eq!(fixture.count("order_details").await, 0);
}

#[tokio::test]
async fn a_key_lives_as_long_as_its_campaign_and_the_period_after() {
    let fixture = Fixture::start().await;
    let now = Timestamp::now_utc();
    let codes = [CODE, OTHER_CODE, "ZZZZZZ0000000001"];
    let mut orders = Vec::new();
    for (number, code) in codes.into_iter().enumerate() {
        let draft = with_code(draft("alice", &format!("r-{number}")), code);
        let order = placed_days_ago(&fixture, 100, &draft).await;
        fixture.settle(&order, accept()).await;
        orders.push(order);
    }
    let campaign = |order: &Order| order.draft.coupon_code.claimed_campaign();
    let ends = BTreeMap::from([
        (campaign(&orders[0]), now - DAY * 31),
        (campaign(&orders[1]), now - DAY * 29),
    ]);
    fixture.store.note_campaign_ends(&ends).await.unwrap();
    sweep(&fixture).await;
    let kept = async |order: &Order| {
        let placed = fixture.place(&order.draft).await.unwrap();
        placed.standing.order_id == order.standing.order_id
    };
    assert!(!kept(&orders[0]).await, "its campaign has long been over");
    assert!(kept(&orders[1]).await, "its campaign was over a while ago");
    let unknown = "nobody knows when its campaign ends";
    assert!(kept(&orders[2]).await, "{unknown}");
}

#[tokio::test]
async fn the_end_of_a_campaign_is_never_remembered_as_an_earlier_one() {
    let fixture = Fixture::start().await;
    let (first, later) = (Timestamp::UNIX_EPOCH + DAY, Timestamp::UNIX_EPOCH + DAY * 2);
    for closes_at in [first, later, first] {
        let ends = BTreeMap::from([(7, closes_at)]);
        fixture.store.note_campaign_ends(&ends).await.unwrap();
    }
    let known = fixture.store.campaign_ends([7, 8].into_iter()).await;
    let known: Vec<_> = known.unwrap().into_iter().collect();
    assert_eq!(known, [(7, later)]);
}

#[tokio::test]
async fn orders_with_coupons_that_never_were_are_forgotten_within_hours_and_others_are_not() {
    let fixture = Fixture::start().await;
    let reject = reject_because(Reason::CouponNotFound);
    let old = fixture.placed(&draft("alice", "r-1")).await;
    fixture.settle(&old, reject.clone()).await;
    let other = fixture.placed(&draft("alice", "r-2")).await;
    let expired = reject_because(Reason::CouponExpired);
    fixture.settle(&other, expired).await;
    let back = "UPDATE orders SET updated_at = updated_at - interval '61 minutes'";
    fixture.database.execute(back).await;
    let young = fixture.placed(&draft("alice", "r-3")).await;
    fixture.settle(&young, reject).await;
    sweep(&fixture).await;
    assert_eq!(fixture.count("orders").await, 2);
    assert_eq!(fixture.count("order_details").await, 2);
    assert!(!fixture.place(&old.draft).await.unwrap().replayed);
    assert!(fixture.place(&young.draft).await.unwrap().replayed);
}
