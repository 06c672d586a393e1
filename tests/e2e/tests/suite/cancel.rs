//! Shoppers change their minds, and stores make what is left.

use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::future::{join_all, try_join_all};
use tidegate_client::{CampaignTerms, eventually, order_of, refused, store_of};
use tidegate_e2e::{ISSUANCES, OrderBooks, Suite, hold};
use tidegate_proto::{
    gateway::v1::{ListOrdersRequest, WatchOrderRequest},
    r#type::v1::{CouponState, Order, OrderState},
};
use tonic::Code;

const SOON: Duration = Duration::from_secs(15);
/// The number of CANCELLED in the database.
const CANCELLED: i16 = 7;

/// A campaign, and a store that makes so many orders in a slot from now on.
async fn campaign_with_store(suite: &Suite, campaign: &str, orders_per_slot: u32) -> Result<()> {
    let staff = suite.staff()?;
    let store = store_of("store-1", orders_per_slot);
    staff.put_stores(vec![store]).await?;
    staff.open(CampaignTerms::open(campaign, 1_000)).await?;
    Ok(())
}

/// Waits until the order's coupon is given back.
async fn released(suite: &Suite, order: &Order) -> Result<()> {
    eventually(SOON, || async {
        let now = suite.read(order).await?;
        if now.coupon_released_at.is_none() {
            bail!("{:?}: the coupon is not given back", now.state());
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_order_gives_everything_back_and_the_others_are_made() -> Result<()> {
    let mut suite = Suite::start().await?;
    hold!(&mut suite;
        cancelling_gives_slot_and_coupon_back_once_however_often_it_is_asked,
        an_order_cancelled_while_it_is_accepted_leaves_a_free_coupon,
        an_order_goes_on_step_by_step_before_its_shopper_s_eyes_and_by_no_other_way,
        an_order_cancelled_while_issuance_hangs_leaves_a_free_coupon,
    )?;
    suite.end().await
}

async fn cancelling_gives_slot_and_coupon_back_once_however_often_it_is_asked(
    suite: &mut Suite,
) -> Result<()> {
    campaign_with_store(suite, "once", 1).await?;
    let codes = try_join_all(["ann", "bob", "cem"].map(|who| suite.coupon("once", who))).await?;
    let valid_until = suite.check("ann", &codes[0]).await?.0.valid_until;
    let order = suite.order("ann", "o-1", &codes[0]).await?;
    assert_eq!(order.state(), OrderState::Accepted);

    for cancelled in join_all((0..12).map(|_| suite.cancel(&order))).await {
        let cancelled = cancelled?;
        assert_eq!(cancelled.state(), OrderState::Cancelled);
        assert_eq!(cancelled.slot, order.slot);
    }
    released(suite, &order).await?;
    let (coupon, usable) = suite.check("ann", &codes[0]).await?;
    assert!(usable && coupon.state() == CouponState::Issued);
    let lasts = |until: Option<prost_types::Timestamp>| until.map(|at| (at.seconds, at.nanos));
    assert!(
        lasts(coupon.valid_until) >= lasts(valid_until),
        "the detour does not shorten the coupon's validity"
    );
    let books = OrderBooks::open(suite).await?;
    assert_eq!(books.changes_to_state(CANCELLED).await?, 1);

    let bob = suite.order("bob", "o-1", &codes[1]).await?;
    assert_eq!(bob.slot, order.slot, "the place is free again");
    let cem = suite.order("cem", "o-1", &codes[2]).await?;
    assert_ne!(cem.slot, order.slot, "one place is free again, and no more");

    let again = suite.order("ann", "o-2", &codes[0]).await?;
    assert_eq!(again.state(), OrderState::Accepted);
    suite.cancel(&order).await?;
    let (coupon, usable) = suite.check("ann", &codes[0]).await?;
    assert!(
        !usable,
        "a cancellation that is asked again takes the coupon from nobody"
    );
    assert_eq!(coupon.order_id, again.order_id);
    for slot in books.slots("store-1").await? {
        assert!(slot.booked == slot.orders && slot.booked <= 1, "{slot:?}");
    }
    Ok(())
}

/// Cancels the shopper's order as soon as there is one.
async fn cancel_at_once(suite: &Suite, shopper: &str) -> Result<Order> {
    let list = || async {
        let message = ListOrdersRequest {
            shopper_id: shopper.into(),
            ..ListOrdersRequest::default()
        };
        let page = suite.orders().list_orders(suite.request(message)).await?;
        match page.into_inner().orders.into_iter().next() {
            Some(order) => Ok(order),
            None => bail!("{shopper} has no order"),
        }
    };
    let order = eventually(SOON, list).await?;
    Ok(suite.cancel(&order).await?)
}

/// A cancelled order leaves a coupon that pays for another one.
async fn coupon_is_free(suite: &Suite, order: &Order, code: &str) -> Result<()> {
    released(suite, order).await?;
    assert!(suite.check(&order.shopper_id, code).await?.1);
    let again = suite.order(&order.shopper_id, "again", code).await?;
    assert_eq!(again.state(), OrderState::Accepted);
    let (coupon, _) = suite.check(&order.shopper_id, code).await?;
    assert_eq!(coupon.order_id, again.order_id);
    Ok(())
}

async fn an_order_cancelled_while_it_is_accepted_leaves_a_free_coupon(
    suite: &mut Suite,
) -> Result<()> {
    campaign_with_store(suite, "racing", 10_000).await?;
    let shoppers: Vec<String> = (0..16).map(|number| format!("shopper-{number}")).collect();
    let codes = try_join_all(
        shoppers
            .iter()
            .map(|shopper| suite.coupon("racing", shopper)),
    )
    .await?;
    let racing = shoppers.iter().zip(&codes).map(|(shopper, code)| {
        let suite = &*suite;
        async move {
            let (placed, cancelled) = tokio::join!(
                suite.order(shopper, "o-1", code),
                cancel_at_once(suite, shopper)
            );
            anyhow::Ok((placed?, cancelled?))
        }
    });
    for ((placed, cancelled), code) in try_join_all(racing).await?.into_iter().zip(&codes) {
        assert_eq!(cancelled.state(), OrderState::Cancelled);
        assert_eq!(cancelled.order_id, placed.order_id);
        coupon_is_free(suite, &placed, code).await?;
    }
    let slots = OrderBooks::open(suite).await?.slots("store-1").await?;
    assert!(
        slots.iter().all(|slot| slot.booked == slot.orders),
        "{slots:?}"
    );
    Ok(())
}

async fn an_order_cancelled_while_issuance_hangs_leaves_a_free_coupon(
    suite: &mut Suite,
) -> Result<()> {
    campaign_with_store(suite, "hanging", 10_000).await?;
    let code = suite.coupon("hanging", "ann-hanging").await?;
    for replica in ISSUANCES {
        suite.stack.pause(replica)?;
    }
    // The answer comes just before the caller's deadline, and on a busy machine may miss it: who
    // asks again hears the same.
    let pending = eventually(SOON, || suite.order("ann-hanging", "o-1", &code)).await?;
    assert_eq!(pending.state(), OrderState::Pending);
    let cancelled = eventually(SOON, || suite.cancel(&pending)).await?;
    assert_eq!(cancelled.state(), OrderState::Cancelled);
    assert_eq!(cancelled.coupon_released_at, None);
    for replica in ISSUANCES {
        suite.stack.resume(replica)?;
    }
    coupon_is_free(suite, &pending, &code).await?;
    Ok(())
}

async fn an_order_goes_on_step_by_step_before_its_shopper_s_eyes_and_by_no_other_way(
    suite: &mut Suite,
) -> Result<()> {
    campaign_with_store(suite, "steps", 10).await?;
    let fulfilment = suite.fulfilment()?;
    let code = suite.coupon("steps", "ann-steps").await?;
    let order = suite.order("ann-steps", "o-1", &code).await?;
    assert_eq!(amounts(&order), [Some(2_800), Some(2_500), Some(300)]);
    let message = WatchOrderRequest {
        shopper_id: "ann-steps".into(),
        order_id: order.order_id.clone(),
    };
    let mut changes = suite
        .orders()
        .watch_order(suite.request(message))
        .await?
        .into_inner();
    let mut seen = Vec::new();
    let steps = [
        OrderState::InPreparation,
        OrderState::Ready,
        OrderState::Completed,
    ];
    for (place, step) in steps.into_iter().enumerate() {
        let change = changes.message().await?.and_then(|change| change.order);
        let now = change.unwrap_or_default();
        seen.push(now.state());
        for wrong in steps
            .into_iter()
            .enumerate()
            .filter(|(other, _)| *other > place || other + 1 < place)
        {
            let told = refused(&fulfilment.advance(&order, wrong.1).await.unwrap_err());
            let state = now.state().as_str_name().replace("ORDER_STATE_", "");
            assert_eq!(
                (told.code, told.reason.as_str(), &told.metadata["state"]),
                (Code::FailedPrecondition, "ORDER_STATE_CONFLICT", &state)
            );
        }
        assert_eq!(fulfilment.advance(&order, step).await?.state(), step);
        let again = fulfilment.advance(&order, step).await?;
        assert_eq!(
            again.state(),
            step,
            "a step that is asked again changes nothing"
        );
        let told = refused(&suite.cancel(&order).await.unwrap_err());
        assert_eq!(
            told.reason, "ORDER_STATE_CONFLICT",
            "too late after {step:?}"
        );
    }
    let last = changes.message().await?.and_then(|change| change.order);
    seen.push(last.unwrap_or_default().state());
    assert_eq!(changes.message().await?, None, "COMPLETED is final");
    assert_eq!(seen[0], OrderState::Accepted);
    assert_eq!(seen[1..], steps);
    for impossible in [
        OrderState::Pending,
        OrderState::Accepted,
        OrderState::Cancelled,
    ] {
        let told = refused(&fulfilment.advance(&order, impossible).await.unwrap_err());
        assert_eq!(told.fields, ["state"]);
    }
    a_coupon_takes_off_no_more_than_the_total(suite).await
}

async fn a_coupon_takes_off_no_more_than_the_total(suite: &Suite) -> Result<()> {
    let code = suite.coupon("steps", "bob-steps").await?;
    let mut cheap = order_of("bob-steps", "o-1", &code);
    cheap.lines[0].quantity = 2;
    if let Some(price) = &mut cheap.lines[0].unit_price {
        price.minor_units = 1_000;
    }
    let cheap = suite.place(cheap).await?;
    assert_eq!(
        amounts(&cheap),
        [Some(2_000), Some(2_000), Some(0)],
        "a coupon takes off no more than the total"
    );
    Ok(())
}

/// The total, the discount, and what is left to pay.
fn amounts(order: &Order) -> [Option<i64>; 3] {
    let amounts = [&order.total, &order.discount, &order.amount_to_pay];
    amounts.map(|amount| amount.as_ref().map(|money| money.minor_units))
}
