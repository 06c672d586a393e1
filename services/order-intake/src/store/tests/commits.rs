use futures_util::future::join_all;
use tidegate_types::{Reason, Refusal};

use super::*;

#[tokio::test]
async fn a_replay_finds_the_first_order_whatever_its_state() {
    let fixture = Fixture::start().await;
    let order = fixture.placed(&draft("alice", "r-1")).await;
    let replay = fixture.place(&draft("alice", "r-1")).await.unwrap();
    assert!(replay.replayed);
    assert_eq!(replay.standing, order.standing);

    let refusal = Refusal::never(Reason::CouponExpired).with("valid_until", "2026-02-06");
    let rejection = Rejection::of(refusal).unwrap();
    let settled = fixture
        .settle(&order, Move::Reject(rejection.clone()))
        .await;
    assert_eq!(settled, OrderState::Rejected(rejection));
    let replay = fixture.place(&draft("alice", "r-1")).await.unwrap();
    assert_eq!(replay.standing.state, settled);
    assert_eq!(replay.standing.order_id, order.standing.order_id);
    assert!(replay.standing.updated_at >= replay.standing.created_at);
}

#[tokio::test]
async fn an_order_to_an_unknown_store_leaves_no_row_and_may_be_placed_once_the_store_is_there() {
    let fixture = Fixture::start().await;
    let elsewhere = at_store("s-2", draft("alice", "r-1"));
    let refused = fixture.place(&elsewhere).await.map(|_| ());
    assert!(matches!(refused, Err(OrderIntakeError::StoreNotFound)));
    assert_eq!(fixture.count("orders").await, 0);
    fixture.upsert(shop("s-2")).await;
    assert!(!fixture.place(&elsewhere).await.unwrap().replayed);
}

#[tokio::test]
async fn duplicates_that_arrive_together_become_one_order_and_the_first_content_wins() {
    let fixture = Fixture::start().await;
    let mut drafts = vec![draft("alice", "r-1"); 20];
    drafts.push(with_code(draft("alice", "r-1"), OTHER_CODE));
    let mut answers = join_all(drafts.iter().map(|draft| fixture.place(draft))).await;
    let other = answers.pop().unwrap();
    assert!(matches!(other, Err(OrderIntakeError::RequestIdConflict)));
    let placed: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(placed.iter().filter(|placed| !placed.replayed).count(), 1);
    let order_id = placed[0].standing.order_id;
    assert!(
        placed
            .iter()
            .all(|placed| placed.standing.order_id == order_id)
    );
    // The same request id of another shopper is another order.
    assert!(!fixture.place(&draft("bob", "r-1")).await.unwrap().replayed);
}

#[tokio::test]
async fn two_replicas_that_place_and_settle_the_same_orders_at_once_agree_on_each() {
    let fixture = Fixture::start().await;
    let other = fixture.other_replica();
    let trace = TraceContext::new_root(false);
    let place = async |store: &Store| {
        let placing = (0..100).map(|number| {
            let (id, draft) = (OrderId(Uuid::now_v7()), Arc::new(numbered(number)));
            async move {
                let code = Verdict::True;
                let placed = store.place(id, Arc::clone(&draft), code, trace, soon());
                let standing = placed.await.unwrap().standing;
                Order { draft, standing }
            }
        });
        join_all(placing).await
    };
    let (orders, there) = tokio::join!(place(&fixture.store), place(&other));
    assert_eq!(orders, there);
    assert_eq!(
        (fixture.count("orders").await, fixture.booked().await),
        (100, 100)
    );
    let settle = async |store: &Store, outcome: Move| {
        let settling = orders.iter().map(|order| {
            let moving = store.move_order(order, outcome.clone(), None, trace, soon());
            async move { moving.await.unwrap() }
        });
        join_all(settling).await
    };
    let rejecting = settle(&other, reject_for(&orders[0]));
    let (here, there) = tokio::join!(settle(&fixture.store, accept()), rejecting);
    assert_eq!(here, there);
}

#[tokio::test]
async fn a_coupon_pays_for_one_order_of_those_that_are_settled_together() {
    let fixture = Fixture::start().await;
    let mut orders = Vec::new();
    for number in 0..10 {
        let draft = draft("alice", &format!("r-{number}"));
        orders.push(fixture.placed(&draft).await);
    }
    let settling = orders.iter().map(|order| fixture.settle(order, accept()));
    let states = join_all(settling).await;
    let (accepted, rejected): (Vec<_>, Vec<_>) = orders
        .iter()
        .zip(states)
        .partition(|(_, state)| *state == OrderState::Accepted);
    let [(accepted, _)] = accepted[..] else {
        panic!("{} orders were accepted", accepted.len());
    };
    let rejected_by_it = rejected
        .iter()
        .filter(|(_, state)| *state == rejected_by(accepted));
    assert_eq!(rejected_by_it.count(), 9);
}
