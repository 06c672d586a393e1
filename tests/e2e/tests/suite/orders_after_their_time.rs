//! Orders whose time passes, stores that fail or close, and codes that never were.

use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use futures_util::future::{join_all, try_join_all};
use tidegate_client::{CampaignTerms, Refusal, order_at, order_of, refused, soon, store_of};
use tidegate_e2e::{ISSUANCES, Suite, hold};
use tidegate_proto::{
    gateway::v1::PlaceOrderRequest,
    order_intake::v1::{
        CloseStoresRequest, OpeningHours, PendingOrders, Store, WeeklyHours,
        close_stores_request::Stores,
    },
    r#type::v1::{CouponState, Order, OrderState, Reason},
};
use time::OffsetDateTime;
use tokio::time::{sleep, timeout};
use tonic::Code;

/// The order once it is in a state, and its coupon given back.
async fn ended(suite: &Suite, order: &Order, state: OrderState) -> Result<Order> {
    soon(async || {
        let now = suite.read(order).await?;
        let is_free = now.coupon_released_at.is_some();
        ensure!(now.state() == state && is_free, "{now:?}");
        Ok(now)
    })
    .await
}

fn in_both_languages(order: &Order) {
    let locales = order.messages.iter().map(|text| &*text.locale);
    let say_enough = order.messages.iter().all(|text| text.message.len() > 20);
    assert!(locales.eq(["zh-CN", "en"]) && say_enough, "{order:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_an_order_its_coupon_is_spent_once_or_free() -> Result<()> {
    hold!(Suite::start().await?;
        a_store_that_runs_out_of_cups_fails_the_order_and_the_coupon_comes_back,
        a_crowd_of_false_codes_books_no_slot,
        a_closed_store_says_when_it_opens_as_its_own_clock_shows_it,
        an_order_whose_time_passed_during_an_outage_is_rejected_and_its_coupon_is_free,
        closing_a_store_fails_its_orders_once_whatever_is_sent_again,
    )
}

async fn a_store_that_runs_out_of_cups_fails_the_order_and_the_coupon_comes_back(
    suite: &Suite,
) -> Result<()> {
    suite.staff.make_store().await?;
    let validity = Duration::from_secs(60);
    let terms = CampaignTerms::open("tea", 10).valid_for(validity);
    suite.staff.open(terms).await?;
    let fulfilment = suite.fulfilment()?;
    let code = suite.coupon("tea", "ann-cups").await?;
    let order = suite.order("ann-cups", "o-1", &code).await?;
    let mut changes = suite.watch_order("ann-cups", &order.order_id).await?;
    let begun = OrderState::InPreparation;
    fulfilment.advance(&order, begun).await?;
    for answer in join_all((0..4).map(|_| fulfilment.fail(&order, "out of cups"))).await {
        assert_eq!(answer?.state(), OrderState::Failed);
    }
    let mut last = Order::default();
    while let Some(change) = changes.message().await? {
        last = change.order.unwrap_or_default();
    }
    assert_eq!(last.state(), OrderState::Failed);
    assert_eq!(last.failed_because(), Reason::StoreFailed);
    assert_eq!(last.failure_note, "out of cups");
    in_both_languages(&last);

    let failed = ended(suite, &order, OrderState::Failed).await?;
    let (coupon, usable) = suite.check("ann-cups", &code).await?;
    assert!(usable);
    let until = coupon.valid_until.unwrap_or_default().seconds;
    let released = failed.coupon_released_at.unwrap_or_default().seconds;
    assert!(until - released > 3_500, "an hour is left at least");
    assert_eq!(suite.changes_to_state(OrderState::Failed).await?, 1);
    let mut pages = fulfilment.stream_on("kitchen").await?;
    let mut events = Vec::new();
    while events.len() < 4 {
        events.extend(pages.message().await?.unwrap_or_default().events);
    }
    assert_eq!(events[3].failure_note, "out of cups");
    let next = suite.accepted(order_of("ann-cups", "o-2", &code)).await?;
    // The store has nothing to make when it is closed later.
    suite.cancel(&next).await?;
    Ok(())
}

async fn a_crowd_of_false_codes_books_no_slot(suite: &Suite) -> Result<()> {
    suite.open_with_store("false", store_of("false", 1)).await?;
    let rejected_before = suite.orders_in_state(OrderState::Rejected).await?;
    let code = suite.coupon("false", "ann-false").await?;
    let crowd = (0..64).map(async |number| {
        // Well formed, and of the same campaign: all but the proof is right.
        let false_code = format!("{}{number:04}", &code[..12]);
        let order = order_at("false", &format!("garbage-{number}"), &false_code);
        soon(async || match suite.place(order.clone()).await {
            // Told to come back, as anybody may be in a crowd.
            Err(status) if status.code() == Code::Unavailable => Err(status),
            final_answer => Ok(final_answer),
        })
        .await
    });
    for outcome in join_all(crowd).await {
        refused(outcome?).is(Code::NotFound, "COUPON_NOT_FOUND");
    }
    assert!(suite.slots("false").await?.is_empty());
    let rejected = suite.orders_in_state(OrderState::Rejected).await?;
    assert_eq!(rejected, rejected_before, "nothing to forget");
    suite
        .accepted(order_at("false", "ann-false", &code))
        .await?;
    Ok(())
}

async fn a_closed_store_says_when_it_opens_as_its_own_clock_shows_it(suite: &Suite) -> Result<()> {
    let zoned = store_of("zoned", 10);
    suite.open_with_store("zoned", zoned.clone()).await?;
    let code = suite.coupon("zoned", "ann-zoned").await?;
    // Closed for three days from yesterday on, in a zone that is far from here and from Beijing.
    let days = (-1..3).map(|day| OffsetDateTime::now_utc() + time::Duration::days(day));
    let daily = (1..=7).map(|weekday| WeeklyHours {
        weekday,
        opens_at_minute: 9 * 60,
        closes_at_minute: 21 * 60,
    });
    let store = Store {
        time_zone: "America/New_York".into(),
        opening_hours: Some(OpeningHours {
            weekly: daily.collect(),
            closed_days: days.map(|day| day.date().to_string()).collect(),
        }),
        ..zoned
    };
    suite.staff.put_stores(vec![store]).await?;
    let order = order_at("zoned", "ann-zoned", &code);
    let status = suite.place(order).await.unwrap_err();
    let told = Refusal::of(&status);
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
    suite
        .open_with_store("late", store_of("late", 10_000))
        .await?;
    let code = suite.coupon("late", "ann-late").await?;
    suite.pause(&ISSUANCES)?;
    let latest = SystemTime::now() + Duration::from_secs(8);
    let order = || PlaceOrderRequest {
        latest_acceptable_at: Some(latest.into()),
        store_id: "late".into(),
        ..order_of("ann-late", "o-1", &code)
    };
    let pending = soon(|| suite.place(order())).await?;
    assert_eq!(pending.state(), OrderState::Pending);
    sleep(Duration::from_secs(10)).await;
    suite.resume(&ISSUANCES)?;
    let rejected = ended(suite, &pending, OrderState::Rejected).await?;
    assert_eq!(rejected.rejected_because(), Reason::OrderTooLate);
    in_both_languages(&rejected);
    let (coupon, usable) = suite.check("ann-late", &code).await?;
    assert!(usable && coupon.state() == CouponState::Issued);
    let told = refused(suite.place(order()).await).is(Code::FailedPrecondition, "ORDER_TOO_LATE");
    assert_eq!(told.retry_after, None);
    let next = suite.accepted(order_at("late", "ann-late", &code)).await?;
    // No redemption of the first order that arrives by now takes the coupon from the second.
    sleep(Duration::from_secs(3)).await;
    let coupon = suite.check("ann-late", &code).await?.0;
    assert_eq!(coupon.order_id, next.order_id);
    assert_eq!(suite.read(&pending).await?.state(), OrderState::Rejected);
    suite.slots("late").await?;
    Ok(())
}

async fn closing_a_store_fails_its_orders_once_whatever_is_sent_again(
    suite: &mut Suite,
) -> Result<()> {
    let store = Store {
        area: "harbour".into(),
        ..store_of("store-1", 10_000)
    };
    suite.open_with_store("closing", store).await?;
    let staff = suite.staff.clone();
    let failed_before = suite.changes_to_state(OrderState::Failed).await?;
    let placing = (0..12).map(async |number| {
        let shopper = format!("shopper-{number}");
        let code = suite.coupon("closing", &shopper).await?;
        anyhow::Ok((suite.order(&shopper, "o-1", &code).await?, code))
    });
    let orders = try_join_all(placing).await?;
    let (begun, code_of_begun) = &orders[0];
    let in_preparation = OrderState::InPreparation;
    suite.fulfilment()?.advance(begun, in_preparation).await?;
    let closing = || CloseStoresRequest {
        request_id: "no-cups".into(),
        stores: Some(Stores::Area("harbour".into())),
        reason: "out of cups".into(),
        pending_orders: PendingOrders::Fail.into(),
    };
    // The process that was asked dies, and the next one ends what is left.
    let _ = tokio::join!(
        timeout(Duration::from_millis(60), staff.close_stores(closing())),
        sleep(Duration::from_millis(20))
    );
    suite.stack.kill("order-intake-0").await?;
    suite.stack.restart("order-intake-0").await?;
    let done = soon(async || {
        let closed = staff.close_stores(closing()).await?;
        ensure!(closed.is_done, "{closed:?}");
        Ok(closed)
    })
    .await?;
    assert_eq!((done.stores_closed, done.orders_failed), (1, 11));
    assert_eq!(staff.close_stores(closing()).await?, done);
    for (order, code) in &orders[1..] {
        ended(suite, order, OrderState::Failed).await?;
        assert!(suite.check(&order.shopper_id, code).await?.1, "{order:?}");
    }
    assert_eq!(suite.read(begun).await?.state(), in_preparation);
    let failed = suite.changes_to_state(OrderState::Failed).await?;
    assert_eq!(failed - failed_before, 11);
    let told = refused(suite.order("ann-closing", "o-1", code_of_begun).await);
    assert_eq!(told.reason, "COUPON_NOT_FOUND", "it is another's");
    refused(suite.order("shopper-1", "o-2", &orders[1].1).await).because("STORE_CLOSED");
    Ok(())
}
