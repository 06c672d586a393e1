use tidegate_auth::Identity;
use tidegate_proto::{
    order_intake::v1::AdvanceOrderRequest,
    r#type::v1::{Money, OrderState, Reason},
};
use tidegate_rpc::refusal::{from_status, reason_of};
use tidegate_types as types;

use crate::suite::{Suite, code, issuance::FACE_VALUE, item, placed, refused};

fn yuan(minor_units: i64) -> Option<Money> {
    Some(Money {
        currency_code: "CNY".to_owned(),
        minor_units,
    })
}

#[tokio::test]
async fn an_order_is_moved_on_step_by_step_and_its_watcher_sees_each() {
    let suite = Suite::start().await;
    let order = placed(suite.place(item("alice", "r-1", &code(1))).await);
    let order = order.order.unwrap();
    let steps = [
        OrderState::InPreparation,
        OrderState::Ready,
        OrderState::Completed,
    ];
    let watching = suite.watch_until(&order, OrderState::Completed);
    let moving = async {
        for step in steps {
            assert_eq!(suite.advance(&order, step).await.unwrap().state(), step);
            assert_eq!(suite.advance(&order, step).await.unwrap().state(), step);
        }
    };
    let (seen, ()) = tokio::join!(watching, moving);
    // A watcher sees how the order stands when it looks, so it may miss a state that passed quickly, but never goes back.
    let states: Vec<_> = seen.iter().map(|order| order.state()).collect();
    assert!(states.is_sorted(), "{states:?}");
    assert_eq!(states.last(), Some(&OrderState::Completed));
    let conflict = suite.advance(&order, OrderState::Ready).await;
    let refusal = from_status(&conflict.unwrap_err());
    assert_eq!(refusal.reason, types::Reason::OrderStateConflict);
    let conflict = suite.cancel(&order).await.unwrap_err();
    assert_eq!(
        reason_of(&conflict),
        Some(types::Reason::OrderStateConflict)
    );
}

#[tokio::test]
async fn only_fulfilment_moves_orders_on_and_only_to_its_states() {
    let suite = Suite::start().await;
    let order = placed(suite.place(item("alice", "r-1", &code(1))).await);
    let order = order.order.unwrap();
    let message = AdvanceOrderRequest {
        shopper_id: order.shopper_id.clone(),
        order_id: order.order_id.clone(),
        state: OrderState::InPreparation.into(),
    };
    let mut gateway = suite.orders(Identity::Gateway);
    let status = gateway.advance_order(message.clone()).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(types::Reason::PermissionDenied));
    let request = suite.with_token(message, "orders:write", None);
    let writer = suite.orders(Identity::Staff).advance_order(request).await;
    assert_eq!(
        reason_of(&writer.unwrap_err()),
        Some(types::Reason::PermissionDenied)
    );
    for state in [OrderState::Accepted, OrderState::Cancelled] {
        let refused = suite.advance(&order, state).await.unwrap_err();
        assert_eq!(reason_of(&refused), Some(types::Reason::InvalidField));
    }
}

#[tokio::test]
async fn an_accepted_order_names_what_is_to_be_paid_and_a_pending_one_its_total_only() {
    let suite = Suite::start().await;
    let order = placed(suite.place(item("alice", "r-1", &code(1))).await);
    let order = order.order.unwrap();
    assert_eq!(order.total, yuan(2_500));
    assert_eq!(order.discount, yuan(FACE_VALUE));
    assert_eq!(order.amount_to_pay, yuan(2_500 - FACE_VALUE));
    let mut small = item("alice", "r-2", &code(2));
    if let Some(price) = &mut small.lines[0].unit_price {
        price.minor_units = 200;
    }
    let order = placed(suite.place(small).await).order.unwrap();
    assert_eq!(order.discount, yuan(400));
    assert_eq!(order.amount_to_pay, yuan(0));
}

#[tokio::test]
async fn a_coupon_s_terms_are_told_and_the_total_beyond_all_bounds_is_refused() {
    let suite = Suite::start().await;
    suite.issuance.ask_for(2_501);
    let refusal = refused(suite.place(item("alice", "r-1", &code(1))).await);
    assert_eq!(refusal.reason(), Reason::CouponNotApplicable);
    assert_eq!(refusal.metadata["minimum_spend_minor_units"], "2501");
    let asked = suite.issuance.calls().concat().remove(0);
    assert_eq!((&*asked.store_id, &*asked.area), ("s-1", "west"));
    assert_eq!(asked.total, yuan(2_500));
    let mut dear = item("alice", "r-2", &code(1));
    dear.lines[0].quantity = 99;
    if let Some(price) = &mut dear.lines[0].unit_price {
        price.minor_units = 10_000_000;
    }
    dear.lines.push(dear.lines[0].clone());
    let refusal = refused(suite.place(dear).await);
    assert_eq!(refusal.reason(), Reason::InvalidField);
    assert_eq!(refusal.violations[0].field, "lines");
}
