//! Stores take as many orders as they can make, and say so when they cannot, or not any more.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use futures_util::future::{join_all, try_join_all};
use tidegate_client::{CampaignTerms, HOUR, Refusal, order_at, order_of, refused, store_of};
use tidegate_e2e::{Suite, hold};
use tidegate_proto::{
    gateway::v1::PlaceOrderRequest,
    order_intake::v1::{OpeningHours, Store, WeeklyHours},
    r#type::v1::{Order, OrderState, Reason},
};
use tidegate_replay::refusal::Alternatives;
use time::OffsetDateTime;
use tonic::Code;

const HOUR_SECONDS: i64 = 3_600;
/// So near its end an hour may be over before a test is.
const TOO_NEAR_SECONDS: u64 = 30;

/// A store whose slots are an hour long.
fn hourly(store_id: &str, orders_per_slot: u32) -> Store {
    Store {
        slot_minutes: Some(60),
        ..store_of(store_id, orders_per_slot)
    }
}

fn slot_of(order: &Order) -> i64 {
    let starts_at = order.slot.and_then(|slot| slot.starts_at);
    starts_at.unwrap_or_default().seconds
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_takes_what_it_can_make_and_says_when_and_where_there_is_room() -> Result<()> {
    hold!(Suite::start().await?;
        a_full_store_books_later_slots_and_then_says_when_and_where_there_is_room,
        a_store_that_runs_out_of_cups_fails_the_order_and_the_coupon_comes_back,
        a_closed_store_says_when_it_opens_as_its_own_clock_shows_it,
    )
}

async fn a_full_store_books_later_slots_and_then_says_when_and_where_there_is_room(
    suite: &Suite,
) -> Result<()> {
    // The slots of an hour are to be the same throughout.
    let into_hour = SystemTime::UNIX_EPOCH.elapsed()?.as_secs() % 3_600;
    if into_hour > 3_600 - TOO_NEAR_SECONDS {
        tokio::time::sleep(Duration::from_secs(3_601 - into_hour)).await;
    }
    suite.open("full", 1_000).await?;
    let near = (1..=7).map(|number| hourly(&format!("near-{number}"), 1));
    let far = Store {
        area: "suburb".into(),
        ..hourly("far", 1)
    };
    let stores = near.chain([hourly("full", 1), far]).collect();
    suite.staff.put_stores(stores).await?;
    let latest = SystemTime::now() + HOUR;
    let codes = try_join_all(["ann", "bob", "cem"].map(|who| suite.coupon("full", who))).await?;
    let at_full = |shopper: &str, code: &str, suggest_stores| {
        suite.place(PlaceOrderRequest {
            latest_acceptable_at: Some(latest.into()),
            suggest_stores,
            ..order_at("full", shopper, code)
        })
    };
    let first = at_full("ann", &codes[0], true).await?;
    let second = at_full("bob", &codes[1], true).await?;
    assert_eq!(slot_of(&second), slot_of(&first) + HOUR_SECONDS);

    let told =
        refused(at_full("cem", &codes[2], true).await).is(Code::FailedPrecondition, "STORE_BUSY");
    assert!(told.retry_after.is_some() && told.locales.len() == 2);
    let told = Alternatives::read(&told.metadata);
    let next = told.next_slot_at.map(|next| next.unix_timestamp());
    assert_eq!(next, Some(slot_of(&second) + HOUR_SECONDS));
    assert_eq!(told.stores.len(), 5, "{told:?}");
    for suggestion in &told.stores {
        let is_sooner = Some(suggestion.slot_at.unix_timestamp()) < next;
        let is_near = suggestion.store_id.starts_with("near-");
        assert!(is_near && is_sooner, "{suggestion:?}");
    }
    let unasked = refused(at_full("cem", &codes[2], false).await);
    assert_eq!(unasked.reason, "STORE_BUSY");
    assert!(Alternatives::read(&unasked.metadata).stores.is_empty());

    // The coupon is untouched.
    assert!(suite.check("cem", &codes[2]).await?.1);
    let store_id = &told.stores[0].store_id;
    let elsewhere = suite.accepted(order_at(store_id, "cem", &codes[2])).await?;
    assert_eq!(slot_of(&elsewhere), slot_of(&first));
    Ok(())
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
    let locales = last.messages.iter().map(|text| &*text.locale);
    let say_enough = last.messages.iter().all(|text| text.message.len() > 20);
    assert!(locales.eq(["zh-CN", "en"]) && say_enough, "{last:?}");

    suite.released(&order).await?;
    let failed = suite.read(&order).await?;
    let (coupon, usable) = suite.check("ann-cups", &code).await?;
    assert!(usable);
    let until = coupon.valid_until.unwrap_or_default().seconds;
    let released = failed.coupon_released_at.unwrap_or_default().seconds;
    assert!(until - released > 3_500, "an hour is left at least");
    let mut pages = fulfilment.stream_on("kitchen").await?;
    let mut events = Vec::new();
    while events.len() < 4 {
        let page = pages
            .message()
            .await?
            .unwrap_or_default()
            .events
            .into_iter();
        events.extend(page.filter(|event| event.order_id == order.order_id));
    }
    assert_eq!(events[3].failure_note, "out of cups");
    suite.accepted(order_of("ann-cups", "o-2", &code)).await?;
    Ok(())
}

async fn a_closed_store_says_when_it_opens_as_its_own_clock_shows_it(suite: &Suite) -> Result<()> {
    suite.open("zoned", 10).await?;
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
        ..store_of("zoned", 10)
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
