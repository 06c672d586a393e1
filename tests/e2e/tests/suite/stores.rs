//! Stores take as many orders as they can make, and say so when they cannot.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use futures_util::future::{join_all, try_join_all};
use tidegate_client::{HOUR, Refusal, order_at, order_of, refused, store_of};
use tidegate_e2e::{Suite, hold};
use tidegate_proto::{
    gateway::v1::PlaceOrderRequest,
    order_intake::v1::{OpeningHours, Store, StoreState, WeeklyHours},
    r#type::v1::{Order, OrderLine, OrderState},
};
use tidegate_replay::refusal::Alternatives;
use tonic::{Code, Status};

const HOUR_SECONDS: i64 = 3_600;
/// So near its end an hour may be over before a test is.
const TOO_NEAR_SECONDS: u64 = 30;

/// An open campaign, in an hour that lasts a while: slots of an hour are to be the same throughout
/// a fact.
async fn campaign_in_one_hour(suite: &Suite, campaign: &str) -> Result<()> {
    let into_hour = SystemTime::UNIX_EPOCH.elapsed()?.as_secs() % 3_600;
    if into_hour > 3_600 - TOO_NEAR_SECONDS {
        tokio::time::sleep(Duration::from_secs(3_601 - into_hour)).await;
    }
    suite.open(campaign, 1_000).await
}

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
        a_store_closes_and_opens_at_once_and_makes_nothing_with_a_capacity_of_0,
        bad_slots_and_hours_are_named,
        bad_baskets_and_times_are_named,
        halving_the_capacity_while_orders_run_never_oversells_a_slot,
        fifty_bad_lines_are_named_as_far_as_they_fit_and_the_others_are_counted,
        a_busy_store_tells_its_next_slot_and_no_retry_sleeps_until_then,
    )
}

async fn a_full_store_books_later_slots_and_then_says_when_and_where_there_is_room(
    suite: &Suite,
) -> Result<()> {
    campaign_in_one_hour(suite, "full").await?;
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

async fn a_store_closes_and_opens_at_once_and_makes_nothing_with_a_capacity_of_0(
    suite: &Suite,
) -> Result<()> {
    let staff = &suite.staff;
    campaign_in_one_hour(suite, "closes").await?;
    staff.put_stores(vec![hourly("closes", 10)]).await?;
    let code = suite.coupon("closes", "ann").await?;
    let closed = staff.set_store_state("closes", "out of cups").await?;
    assert_eq!(closed.state(), StoreState::Closed);
    assert_eq!(closed.closed_because, "out of cups");
    let order = || suite.place(order_at("closes", "ann", &code));
    refused(order().await).is(Code::FailedPrecondition, "STORE_CLOSED");
    staff.set_store_state("closes", "").await?;
    staff.put_stores(vec![hourly("closes", 0)]).await?;
    refused(order().await).because("STORE_CLOSED");
    assert!(suite.check("ann", &code).await?.1, "untouched");
    staff.put_stores(vec![hourly("closes", 1)]).await?;
    assert_eq!(order().await?.state(), OrderState::Accepted);
    Ok(())
}

async fn bad_slots_and_hours_are_named(suite: &Suite) -> Result<()> {
    let slot = |minutes| Store {
        slot_minutes: Some(minutes),
        ..hourly("checked", 10)
    };
    let too_late = WeeklyHours {
        weekday: 1,
        opens_at_minute: 1_440,
        closes_at_minute: 0,
    };
    let hours = Store {
        opening_hours: Some(OpeningHours {
            weekly: vec![too_late],
            closed_days: Vec::new(),
        }),
        ..hourly("checked", 10)
    };
    let nowhere = Store {
        time_zone: "Mars/Olympus".into(),
        ..hourly("checked", 10)
    };
    for (store, field) in [
        (slot(0), "stores[1].slot_minutes"),
        (slot(7), "stores[1].slot_minutes"),
        (slot(120), "stores[1].slot_minutes"),
        (hourly("checked", 10_001), "stores[1].orders_per_slot"),
        (hours, "stores[1].opening_hours.weekly[0].opens_at_minute"),
        (nowhere, "stores[1].time_zone"),
        (hourly("", 1), "stores[1].store_id"),
        (hourly("other", 1), "stores[1].store_id"),
    ] {
        let stores = vec![hourly("other", 1), store];
        let told = refused(suite.staff.put_stores(stores).await)
            .is(Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(told.fields, [field]);
    }
    Ok(())
}

async fn bad_baskets_and_times_are_named(suite: &Suite) -> Result<()> {
    campaign_in_one_hour(suite, "fields").await?;
    suite.staff.put_stores(vec![hourly("checked", 10)]).await?;
    let code = suite.coupon("fields", "ann").await?;
    let with = |change: &dyn Fn(&mut PlaceOrderRequest)| {
        let mut order = order_at("checked", "ann", &code);
        change(&mut order);
        order
    };
    let with_line = |quantity, minor_units| {
        with(&|order| {
            order.lines[0].quantity = quantity;
            order.lines[0].unit_price.as_mut().unwrap().minor_units = minor_units;
        })
    };
    let an_hour_ago = SystemTime::now() - HOUR;
    let past = with(&|order| order.latest_acceptable_at = Some(an_hour_ago.into()));
    for (order, field) in [
        (past, "latest_acceptable_at"),
        (with(&|order| order.lines.clear()), "lines"),
        (with_line(0, 2_800), "lines[0].quantity"),
        (with_line(100, 2_800), "lines[0].quantity"),
        (with_line(1, -1), "lines[0].unit_price.minor_units"),
    ] {
        let told = refused(suite.place(order).await);
        assert_eq!(told.code, Code::InvalidArgument);
        assert_eq!(told.fields, [field]);
    }
    refused(suite.place(with_line(99, i64::MAX)).await).because("INVALID_FIELD");
    Ok(())
}

async fn halving_the_capacity_while_orders_run_never_oversells_a_slot(suite: &Suite) -> Result<()> {
    const WAVE: usize = 24;
    campaign_in_one_hour(suite, "halving").await?;
    suite.staff.put_stores(vec![hourly("halved", 8)]).await?;
    let shoppers: Vec<_> = (0..2 * WAVE)
        .map(|number| format!("shopper-{number}"))
        .collect();
    let codes = shoppers
        .iter()
        .map(|shopper| suite.coupon("halving", shopper));
    let codes = try_join_all(codes).await?;
    let order = |number: usize| suite.place(order_at("halved", &shoppers[number], &codes[number]));

    let (before, halved) = tokio::join!(
        join_all((0..WAVE).map(order)),
        suite.staff.put_stores(vec![hourly("halved", 4)])
    );
    halved?;
    let mut at_halving = BTreeMap::new();
    for placed in before {
        *at_halving.entry(slot_of(&placed?)).or_insert(0) += 1;
    }
    let most = at_halving.values().max();
    assert!(most <= Some(&8), "{at_halving:?}");
    let mut in_all = at_halving.clone();
    for placed in join_all((WAVE..2 * WAVE).map(order)).await {
        *in_all.entry(slot_of(&placed?)).or_insert(0) += 1;
    }
    for (slot, orders) in &in_all {
        let had = at_halving.get(slot).copied().unwrap_or(0);
        assert!(
            *orders <= 4 || *orders == had,
            "a slot of {had} orders was filled up to {orders} after the halving"
        );
    }
    suite.slots("halved").await?;
    Ok(())
}

/// Whether the metadata of a refusal is small on the wire, counted as HTTP/2 does.
fn is_small(status: &Status) {
    let headers = status.clone().into_http::<()>().into_parts().0.headers;
    let headers = headers.iter();
    let bytes: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + 32)
        .sum();
    assert!(bytes <= 4 * 1024, "{bytes} bytes");
}

async fn fifty_bad_lines_are_named_as_far_as_they_fit_and_the_others_are_counted(
    suite: &Suite,
) -> Result<()> {
    let bad = PlaceOrderRequest {
        lines: vec![OrderLine::default(); 50],
        ..order_of("ann", "r-1", "0123456789ABCDEF")
    };
    let status = suite.place(bad).await.unwrap_err();
    is_small(&status);
    let told = Refusal::of(&status);
    assert_eq!(told.code, Code::InvalidArgument);
    let left_out: usize = told.metadata["violations_left_out"].parse()?;
    let named = told.fields.len();
    assert!(named >= 10, "{named} are named");
    assert_eq!(named + left_out, 150, "{}", status.message());
    assert!(status.message().contains(" more."), "{}", status.message());
    Ok(())
}

async fn a_busy_store_tells_its_next_slot_and_no_retry_sleeps_until_then(
    suite: &Suite,
) -> Result<()> {
    campaign_in_one_hour(suite, "busy").await?;
    let near = |number: usize| hourly(&format!("{number}{}", "\"".repeat(63)), 5);
    let stores = [hourly("busy", 1)].into_iter().chain((0..8).map(near));
    suite.staff.put_stores(stores.collect()).await?;
    let order = async |shopper: &str| -> Result<_> {
        let code = suite.coupon("busy", shopper).await?;
        let latest = SystemTime::now() + Duration::from_secs(20);
        let order = PlaceOrderRequest {
            store_id: "busy".into(),
            latest_acceptable_at: Some(latest.into()),
            suggest_stores: true,
            ..order_of(shopper, "r-1", &code)
        };
        Ok(suite.place(order).await)
    };
    order("ann").await??;
    let status = order("bob").await?.unwrap_err();
    is_small(&status);
    let told = Refusal::of(&status).is(Code::FailedPrecondition, "STORE_BUSY");
    assert_eq!(told.pushback.as_deref(), Some("-1"));
    assert!(told.metadata.contains_key("suggested_stores"), "{told:?}");
    assert!(told.retry_after.is_some_and(|after| after > Duration::ZERO));
    Ok(())
}
