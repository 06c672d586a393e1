//! Shoppers change their minds, and stores make what is left.

use anyhow::{Context as _, Result};
use futures_util::future::{join_all, try_join_all};
use tidegate_client::{order_of, refused, soon, store_of};
use tidegate_e2e::{ISSUANCES, Suite, hold};
use tidegate_proto::r#type::v1::{CouponState, Order, OrderState};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_order_gives_everything_back_and_the_others_are_made() -> Result<()> {
    hold!(Suite::start().await?;
        cancelling_gives_slot_and_coupon_back_once_however_often_it_is_asked,
        an_order_cancelled_while_it_is_accepted_leaves_a_free_coupon,
        an_order_goes_on_step_by_step_before_its_shopper_s_eyes_and_by_no_other_way,
        a_coupon_takes_off_no_more_than_the_total,
        an_order_cancelled_while_issuance_hangs_leaves_a_free_coupon,
    )
}

async fn cancelling_gives_slot_and_coupon_back_once_however_often_it_is_asked(
    suite: &Suite,
) -> Result<()> {
    suite
        .open_with_store("once", store_of("store-1", 1))
        .await?;
    let codes = try_join_all(["ann", "bob", "cem"].map(|who| suite.coupon("once", who))).await?;
    let valid_until = suite.check("ann", &codes[0]).await?.0.valid_until;
    let order = suite.accepted(order_of("ann", "o-1", &codes[0])).await?;

    for cancelled in join_all((0..12).map(|_| suite.cancel(&order))).await {
        let cancelled = cancelled?;
        assert_eq!(cancelled.state(), OrderState::Cancelled);
        assert_eq!(cancelled.slot, order.slot);
    }
    suite.released(&order).await?;
    let (coupon, usable) = suite.check("ann", &codes[0]).await?;
    assert!(usable && coupon.state() == CouponState::Issued);
    let lasts = |until: Option<prost_types::Timestamp>| until.map(|at| (at.seconds, at.nanos));
    // The detour does not shorten it.
    assert!(lasts(coupon.valid_until) >= lasts(valid_until));
    assert_eq!(suite.changes_to_state(OrderState::Cancelled).await?, 1);

    let bob = suite.order("bob", "o-1", &codes[1]).await?;
    assert_eq!(bob.slot, order.slot, "the place is free again");
    let cem = suite.order("cem", "o-1", &codes[2]).await?;
    assert_ne!(cem.slot, order.slot, "one place is free again, and no more");

    let again = suite.accepted(order_of("ann", "o-2", &codes[0])).await?;
    suite.cancel(&order).await?;
    let (coupon, usable) = suite.check("ann", &codes[0]).await?;
    assert!(!usable, "a repeated cancellation takes it from nobody");
    assert_eq!(coupon.order_id, again.order_id);
    let slots = suite.slots("store-1").await?;
    assert!(slots.iter().all(|slot| slot.booked <= 1), "{slots:?}");
    Ok(())
}

/// Cancels the shopper's order as soon as there is one.
async fn cancel_at_once(suite: &Suite, shopper: &str) -> Result<Order> {
    let order = soon(async || {
        let listed = suite.list_orders(shopper, 0).await?;
        let order = listed.orders.into_iter().next();
        order.context("there is no order")
    });
    Ok(suite.cancel(&order.await?).await?)
}

/// A cancelled order leaves a coupon that pays for another one.
async fn coupon_is_free(suite: &Suite, order: &Order, code: &str) -> Result<()> {
    suite.released(order).await?;
    assert!(suite.check(&order.shopper_id, code).await?.1);
    let again = suite
        .accepted(order_of(&order.shopper_id, "again", code))
        .await?;
    let (coupon, _) = suite.check(&order.shopper_id, code).await?;
    assert_eq!(coupon.order_id, again.order_id);
    Ok(())
}

async fn an_order_cancelled_while_it_is_accepted_leaves_a_free_coupon(suite: &Suite) -> Result<()> {
    suite
        .open_with_store("racing", store_of("store-1", 10_000))
        .await?;
    let racing = (0..16).map(async |number| {
        let shopper = format!("shopper-{number}");
        let code = suite.coupon("racing", &shopper).await?;
        let (placed, cancelled) = tokio::join!(
            suite.order(&shopper, "o-1", &code),
            cancel_at_once(suite, &shopper)
        );
        anyhow::Ok((placed?, cancelled?, code))
    });
    for (placed, cancelled, code) in try_join_all(racing).await? {
        assert_eq!(cancelled.state(), OrderState::Cancelled);
        assert_eq!(cancelled.order_id, placed.order_id);
        coupon_is_free(suite, &placed, &code).await?;
    }
    suite.slots("store-1").await?;
    Ok(())
}

async fn an_order_cancelled_while_issuance_hangs_leaves_a_free_coupon(
    suite: &mut Suite,
) -> Result<()> {
    suite
        .open_with_store("hanging", store_of("store-1", 10_000))
        .await?;
    let code = suite.coupon("hanging", "ann-hanging").await?;
    suite.pause(&ISSUANCES)?;
    // The answer comes just before the caller's deadline, and on a busy machine may miss it: who
    // asks again hears the same.
    let pending = soon(|| suite.order("ann-hanging", "o-1", &code)).await?;
    assert_eq!(pending.state(), OrderState::Pending);
    let cancelled = soon(|| suite.cancel(&pending)).await?;
    assert_eq!(cancelled.state(), OrderState::Cancelled);
    assert_eq!(cancelled.coupon_released_at, None);
    suite.resume(&ISSUANCES)?;
    coupon_is_free(suite, &pending, &code).await
}

async fn an_order_goes_on_step_by_step_before_its_shopper_s_eyes_and_by_no_other_way(
    suite: &Suite,
) -> Result<()> {
    suite
        .open_with_store("steps", store_of("store-1", 10))
        .await?;
    let fulfilment = suite.fulfilment()?;
    let code = suite.coupon("steps", "ann-steps").await?;
    let order = suite.order("ann-steps", "o-1", &code).await?;
    assert_eq!(amounts(&order), [Some(2_800), Some(2_500), Some(300)]);
    let mut changes = suite.watch_order("ann-steps", &order.order_id).await?;
    let mut seen = Vec::new();
    let steps = [
        OrderState::InPreparation,
        OrderState::Ready,
        OrderState::Completed,
    ];
    for (place, step) in steps.into_iter().enumerate() {
        let change = changes.message().await?.and_then(|change| change.order);
        let now = change.unwrap_or_default().state();
        seen.push(now);
        let is_wrong = |other: usize| other > place || other + 1 < place;
        for wrong in (0..steps.len()).filter(|other| is_wrong(*other)) {
            let told = refused(fulfilment.advance(&order, steps[wrong]).await)
                .is(Code::FailedPrecondition, "ORDER_STATE_CONFLICT");
            let state = now.as_str_name().trim_start_matches("ORDER_STATE_");
            assert_eq!(told.metadata["state"], state);
        }
        // A step that is asked again changes nothing.
        for _ in 0..2 {
            assert_eq!(fulfilment.advance(&order, step).await?.state(), step);
        }
        let told = refused(suite.cancel(&order).await);
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
        let told = refused(fulfilment.advance(&order, impossible).await);
        assert_eq!(told.fields, ["state"]);
    }
    Ok(())
}

async fn a_coupon_takes_off_no_more_than_the_total(suite: &Suite) -> Result<()> {
    suite
        .open_with_store("total", store_of("store-1", 10))
        .await?;
    let code = suite.coupon("total", "bob-total").await?;
    let mut cheap = order_of("bob-total", "o-1", &code);
    cheap.lines[0].quantity = 2;
    cheap.lines[0].unit_price.as_mut().unwrap().minor_units = 1_000;
    let cheap = suite.place(cheap).await?;
    assert_eq!(amounts(&cheap), [Some(2_000), Some(2_000), Some(0)]);
    Ok(())
}

/// The total, the discount, and what is left to pay.
fn amounts(order: &Order) -> [Option<i64>; 3] {
    let amounts = [&order.total, &order.discount, &order.amount_to_pay];
    amounts.map(|amount| amount.as_ref().map(|money| money.minor_units))
}
