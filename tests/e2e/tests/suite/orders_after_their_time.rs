//! Orders whose time passes, stores that fail or close, and codes that never were.

use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use futures_util::future::{join_all, try_join_all};
use tidegate_client::{CampaignTerms, Staff, eventually, order_of, refused, store_of};
use tidegate_e2e::{ISSUANCES, OrderBooks, Suite, hold};
use tidegate_proto::{
    gateway::v1::{PlaceOrderRequest, WatchOrderRequest},
    order_intake::v1::{
        CloseStoresRequest, OpeningHours, PendingOrders, Store, StreamOrdersRequest, WeeklyHours,
        close_stores_request::Stores,
    },
    r#type::v1::{CouponState, Order, OrderState, Reason},
};
use time::OffsetDateTime;
use tonic::Code;

const SOON: Duration = Duration::from_secs(30);
/// The numbers of FAILED and REJECTED in the database.
const FAILED: i16 = 8;
const REJECTED: i16 = 3;

/// A campaign, and a store of this name that makes so many orders in a slot.
async fn campaign_with_store(suite: &Suite, campaign: &str, store: Store) -> Result<Staff> {
    let staff = suite.staff()?;
    staff.put_stores(vec![store]).await?;
    staff.open(CampaignTerms::open(campaign, 1_000)).await?;
    Ok(staff)
}

/// The order once it is in a state, and its coupon given back.
async fn ended(suite: &Suite, order: &Order, state: OrderState) -> Result<Order> {
    eventually(SOON, || async {
        let now = suite.read(order).await?;
        ensure!(now.state() == state, "{now:?}");
        ensure!(now.coupon_released_at.is_some(), "{now:?}");
        Ok(now)
    })
    .await
}

fn in_both_languages(order: &Order) -> bool {
    let locales = order.messages.iter().map(|text| text.locale.as_str());
    locales.eq(["zh-CN", "en"]) && order.messages.iter().all(|text| text.message.len() > 20)
}

/// An order whose id is its store's.
fn order_at(store: &str, shopper: &str, code: &str) -> PlaceOrderRequest {
    PlaceOrderRequest {
        store_id: store.into(),
        ..order_of(shopper, &format!("at-{store}"), code)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_an_order_its_coupon_is_spent_once_or_free() -> Result<()> {
    let mut suite = Suite::start().await?;
    hold!(&mut suite;
        a_store_that_runs_out_of_cups_fails_the_order_and_the_coupon_comes_back,
        a_crowd_of_false_codes_books_no_slot,
        a_closed_store_says_when_it_opens_as_its_own_clock_shows_it,
        an_order_whose_time_passed_during_an_outage_is_rejected_and_its_coupon_is_free,
        closing_a_store_fails_its_orders_once_whatever_is_sent_again,
    )?;
    suite.end().await
}

async fn a_store_that_runs_out_of_cups_fails_the_order_and_the_coupon_comes_back(
    suite: &mut Suite,
) -> Result<()> {
    suite.heal().await?;
    let staff = suite.staff()?;
    staff.make_store().await?;
    let terms = CampaignTerms {
        validity: Duration::from_secs(60),
        ..CampaignTerms::open("tea", 10)
    };
    staff.open(terms).await?;
    let fulfilment = suite.fulfilment()?;
    let code = suite.coupon("tea", "ann-cups").await?;
    let order = suite.order("ann-cups", "o-1", &code).await?;
    let watch = WatchOrderRequest {
        shopper_id: "ann-cups".into(),
        order_id: order.order_id.clone(),
    };
    let mut changes = suite
        .orders()
        .watch_order(suite.request(watch))
        .await?
        .into_inner();
    fulfilment
        .advance(&order, OrderState::InPreparation)
        .await?;
    for answer in join_all((0..4).map(|_| fulfilment.fail(&order, "out of cups"))).await {
        assert_eq!(answer?.state(), OrderState::Failed);
    }
    let mut heard = Vec::new();
    while let Some(change) = changes.message().await? {
        heard.extend(change.order);
    }
    let last = heard.last().cloned().unwrap_or_default();
    assert_eq!(last.state(), OrderState::Failed);
    assert_eq!(last.failed_because(), Reason::StoreFailed);
    assert_eq!(last.failure_note, "out of cups");
    assert!(in_both_languages(&last), "{last:?}");

    let failed = ended(suite, &order, OrderState::Failed).await?;
    let (coupon, usable) = suite.check("ann-cups", &code).await?;
    assert!(usable);
    let until = coupon.valid_until.unwrap_or_default().seconds;
    let released = failed.coupon_released_at.unwrap_or_default().seconds;
    assert!(until - released > 3_500, "an hour is left at least");
    let books = OrderBooks::open(suite).await?;
    assert_eq!(books.changes_to_state(FAILED).await?, 1);
    let mut pages = fulfilment
        .stream(StreamOrdersRequest {
            consumer: "kitchen".into(),
            ..StreamOrdersRequest::default()
        })
        .await?;
    let mut events = Vec::new();
    while events.len() < 4 {
        events.extend(pages.message().await?.unwrap_or_default().events);
    }
    assert_eq!(events[3].failure_note, "out of cups");
    let next = suite.order("ann-cups", "o-2", &code).await?;
    assert_eq!(next.state(), OrderState::Accepted);
    // The store has nothing to make when it is closed later.
    suite.cancel(&next).await?;
    Ok(())
}

async fn a_crowd_of_false_codes_books_no_slot(suite: &mut Suite) -> Result<()> {
    suite.heal().await?;
    campaign_with_store(suite, "false", store_of("false", 1)).await?;
    let rejected_before = OrderBooks::open(suite)
        .await?
        .orders_in_state(REJECTED)
        .await?;
    let code = suite.coupon("false", "ann-false").await?;
    let crowd = (0..64).map(|number| {
        let suite = &*suite;
        // Well formed, and of the same campaign: all but the proof is right.
        let false_code = format!("{}{number:04}", &code[..12]);
        async move {
            let shopper = format!("garbage-{number}");
            loop {
                match suite.place(order_at("false", &shopper, &false_code)).await {
                    // Told to come back, as anybody may be in a crowd.
                    Err(status) if status.code() == Code::Unavailable => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    outcome => return outcome,
                }
            }
        }
    });
    for outcome in join_all(crowd).await {
        let told = refused(&outcome.unwrap_err());
        assert_eq!(
            (told.code, told.reason.as_str()),
            (Code::NotFound, "COUPON_NOT_FOUND")
        );
    }
    let books = OrderBooks::open(suite).await?;
    assert!(books.slots("false").await?.is_empty());
    let rejected = books.orders_in_state(REJECTED).await?;
    assert_eq!(rejected, rejected_before, "nothing to forget");
    let order = suite.place(order_at("false", "ann-false", &code)).await?;
    assert_eq!(order.state(), OrderState::Accepted);
    Ok(())
}

async fn a_closed_store_says_when_it_opens_as_its_own_clock_shows_it(
    suite: &mut Suite,
) -> Result<()> {
    suite.heal().await?;
    let zoned = store_of("zoned", 10);
    let staff = campaign_with_store(suite, "zoned", zoned.clone()).await?;
    let code = suite.coupon("zoned", "ann-zoned").await?;
    // Closed for three days from yesterday on, in a zone that is far from here and from Beijing.
    let days = (-1..3).map(|day| OffsetDateTime::now_utc() + time::Duration::days(day));
    let hours = OpeningHours {
        weekly: (1..=7)
            .map(|weekday| WeeklyHours {
                weekday,
                opens_at_minute: 9 * 60,
                closes_at_minute: 21 * 60,
            })
            .collect(),
        closed_days: days.map(|day| day.date().to_string()).collect(),
    };
    let store = Store {
        time_zone: "America/New_York".into(),
        opening_hours: Some(hours),
        ..zoned
    };
    staff.put_stores(vec![store]).await?;
    let status = suite
        .place(order_at("zoned", "ann-zoned", &code))
        .await
        .unwrap_err();
    let told = refused(&status);
    assert_eq!(told.reason, "STORE_CLOSED");
    let opens_at = &told.metadata["opens_at"];
    assert!(opens_at.contains("T09:00:00-0"), "{opens_at}");
    let said = status.message();
    assert!(said.contains("09:00 on 20"), "{said}");
    assert!(said.contains("by the store's clock (UTC-0"), "{said}");
    Ok(())
}
async fn an_order_whose_time_passed_during_an_outage_is_rejected_and_its_coupon_is_free(
    suite: &mut Suite,
) -> Result<()> {
    suite.heal().await?;
    campaign_with_store(suite, "late", store_of("late", 10_000)).await?;
    let code = suite.coupon("late", "ann-late").await?;
    for replica in ISSUANCES {
        suite.stack.pause(replica)?;
    }
    let latest = SystemTime::now() + Duration::from_secs(8);
    let order = || PlaceOrderRequest {
        latest_acceptable_at: Some(latest.into()),
        store_id: "late".into(),
        ..order_of("ann-late", "o-1", &code)
    };
    let pending = eventually(SOON, || suite.place(order())).await?;
    assert_eq!(pending.state(), OrderState::Pending);
    tokio::time::sleep(Duration::from_secs(10)).await;
    for replica in ISSUANCES {
        suite.stack.resume(replica)?;
    }
    let rejected = ended(suite, &pending, OrderState::Rejected).await?;
    assert_eq!(rejected.rejected_because(), Reason::OrderTooLate);
    assert!(in_both_languages(&rejected), "{rejected:?}");
    let (coupon, usable) = suite.check("ann-late", &code).await?;
    assert!(usable && coupon.state() == CouponState::Issued);
    let told = refused(&suite.place(order()).await.unwrap_err());
    assert_eq!(
        (told.code, told.reason.as_str(), told.retry_after),
        (Code::FailedPrecondition, "ORDER_TOO_LATE", None)
    );
    let next = suite.place(order_at("late", "ann-late", &code)).await?;
    assert_eq!(next.state(), OrderState::Accepted);
    // No redemption of the first order that arrives by now takes the coupon from the second.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let coupon = suite.check("ann-late", &code).await?.0;
    assert_eq!(coupon.order_id, next.order_id);
    assert_eq!(suite.read(&pending).await?.state(), OrderState::Rejected);
    for slot in OrderBooks::open(suite).await?.slots("late").await? {
        assert_eq!(slot.booked, slot.orders, "{slot:?}");
    }
    Ok(())
}

async fn closing_a_store_fails_its_orders_once_whatever_is_sent_again(
    suite: &mut Suite,
) -> Result<()> {
    suite.heal().await?;
    let store = Store {
        area: "harbour".into(),
        ..store_of("store-1", 10_000)
    };
    let staff = campaign_with_store(suite, "closing", store).await?;
    let failed_before = OrderBooks::open(suite)
        .await?
        .changes_to_state(FAILED)
        .await?;
    let shoppers: Vec<_> = (0..12).map(|number| format!("shopper-{number}")).collect();
    let codes = try_join_all(
        shoppers
            .iter()
            .map(|shopper| suite.coupon("closing", shopper)),
    )
    .await?;
    let placing = shoppers.iter().zip(&codes);
    let placing = placing.map(|(shopper, code)| suite.order(shopper, "o-1", code));
    let orders = try_join_all(placing).await?;
    suite
        .fulfilment()?
        .advance(&orders[0], OrderState::InPreparation)
        .await?;
    let closing = || CloseStoresRequest {
        request_id: "no-cups".into(),
        stores: Some(Stores::Area("harbour".into())),
        reason: "out of cups".into(),
        pending_orders: PendingOrders::Fail.into(),
    };
    // The process that was asked dies, and the next one ends what is left.
    let _ = tokio::join!(
        tokio::time::timeout(Duration::from_millis(60), staff.close_stores(closing())),
        tokio::time::sleep(Duration::from_millis(20))
    );
    suite.stack.kill("order-intake-0").await?;
    suite.stack.restart("order-intake-0").await?;
    let done = eventually(SOON, || async {
        let closed = staff.close_stores(closing()).await?;
        ensure!(closed.is_done, "{closed:?}");
        Ok(closed)
    })
    .await?;
    assert_eq!((done.stores_closed, done.orders_failed), (1, 11));
    let again = staff.close_stores(closing()).await?;
    assert_eq!(again, done);
    for order in &orders[1..] {
        ended(suite, order, OrderState::Failed).await?;
    }
    let begun = suite.read(&orders[0]).await?;
    assert_eq!(begun.state(), OrderState::InPreparation);
    for (shopper, code) in shoppers.iter().zip(&codes).skip(1) {
        assert!(suite.check(shopper, code).await?.1, "{shopper}");
    }
    let books = OrderBooks::open(suite).await?;
    assert_eq!(books.changes_to_state(FAILED).await? - failed_before, 11);
    let told = suite.order("ann-closing", "o-1", &codes[0]).await;
    let reason = refused(&told.unwrap_err()).reason;
    assert_eq!(reason, "COUPON_NOT_FOUND", "it is another's");
    let told = suite.order("shopper-1", "o-2", &codes[1]).await;
    assert_eq!(refused(&told.unwrap_err()).reason, "STORE_CLOSED");
    Ok(())
}
