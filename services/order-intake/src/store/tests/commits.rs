use futures_util::future::join_all;
use tidegate_types::{Reason, Refusal};

use super::*;

#[tokio::test]
async fn a_new_order_is_pending_and_reads_back_as_it_was_placed() {
    let fixture = Fixture::start().await;
    let order = fixture.placed(&draft("alice", "r-1")).await;
    assert_eq!(order.standing.state, OrderState::Pending);
    assert!(order.standing.trace.is_some());
    let read = fixture
        .store
        .get_order(&order.draft.shopper, order.standing.order_id)
        .await;
    assert_eq!(read.unwrap(), order);
}

#[tokio::test]
async fn a_replay_finds_the_first_order_whatever_its_state() {
    let fixture = Fixture::start().await;
    let order = fixture.placed(&draft("alice", "r-1")).await;
    let replay = fixture.place(&draft("alice", "r-1")).await.unwrap();
    assert!(replay.replayed);
    assert_eq!(replay.standing, order.standing);

    let refusal = Refusal::never(Reason::CouponExpired).with("valid_until", "2026-02-06");
    let rejection = Rejection::of(refusal).unwrap();
    let rejected = OrderState::Rejected(rejection.clone());
    assert_eq!(
        fixture.settle(&order, Move::Reject(rejection)).await,
        rejected
    );
    let replay = fixture.place(&draft("alice", "r-1")).await.unwrap();
    assert_eq!(replay.standing.state, rejected);
    assert_eq!(replay.standing.order_id, order.standing.order_id);
    assert!(replay.standing.updated_at >= replay.standing.created_at);
}

#[tokio::test]
async fn the_same_request_id_with_other_content_is_a_conflict_and_another_shopper_s_is_not() {
    let fixture = Fixture::start().await;
    fixture.placed(&draft("alice", "r-1")).await;
    let other = with_code(draft("alice", "r-1"), OTHER_CODE);
    let refused = fixture.place(&other).await.map(|_| ());
    assert!(matches!(refused, Err(OrderIntakeError::RequestIdConflict)));
    assert!(!fixture.place(&draft("bob", "r-1")).await.unwrap().replayed);
}

#[tokio::test]
async fn an_order_to_an_unknown_store_leaves_no_row_and_may_be_placed_once_the_store_is_there() {
    let fixture = Fixture::start().await;
    let elsewhere = Draft {
        store: StoreId::parse("s-2").unwrap(),
        ..draft("alice", "r-1")
    };
    let refused = fixture.place(&elsewhere).await.map(|_| ());
    assert!(matches!(refused, Err(OrderIntakeError::StoreNotFound)));
    assert_eq!(
        fixture.database.number("SELECT count(*) FROM orders").await,
        0
    );
    fixture
        .store
        .upsert_stores(vec![shop("s-2")], None, Timestamp::now_utc())
        .await
        .unwrap();
    assert!(!fixture.place(&elsewhere).await.unwrap().replayed);
}

#[tokio::test]
async fn duplicates_that_arrive_together_become_one_order_and_the_first_content_wins() {
    let fixture = Fixture::start().await;
    let other = with_code(draft("alice", "r-1"), OTHER_CODE);
    let mut drafts = vec![draft("alice", "r-1"); 20];
    drafts.push(other);
    let answers = join_all(drafts.iter().map(|draft| fixture.place(draft))).await;
    let (last, same) = answers.split_last().unwrap();
    assert!(matches!(last, Err(OrderIntakeError::RequestIdConflict)));
    let placed: Vec<_> = same.iter().flatten().collect();
    assert_eq!(placed.len(), 20);
    assert_eq!(placed.iter().filter(|placed| !placed.replayed).count(), 1);
    assert!(
        placed
            .iter()
            .all(|answer| answer.standing.order_id == placed[0].standing.order_id)
    );
}

#[tokio::test]
async fn two_replicas_that_place_the_same_requests_at_once_make_each_order_once() {
    let fixture = Fixture::start().await;
    let other = fixture.other_replica();
    let place = |store: Store, number: usize| async move {
        let draft = Arc::new(draft("alice", &format!("r-{number}")));
        let id = OrderId(Uuid::now_v7());
        let placed = store.place(
            id,
            draft,
            Verdict::True,
            TraceContext::new_root(false),
            soon(),
        );
        placed.await.unwrap().standing.order_id
    };
    let here = join_all((0..100).map(|number| place(fixture.store.clone(), number)));
    let there = join_all((0..100).map(|number| place(other.clone(), number)));
    let (here, there) = tokio::join!(here, there);
    assert_eq!(here, there);
    assert_eq!(
        fixture.database.number("SELECT count(*) FROM orders").await,
        100
    );
}

#[tokio::test]
async fn an_outcome_is_written_once_and_later_ones_find_it() {
    let fixture = Fixture::start().await;
    let order = fixture.placed(&draft("alice", "r-1")).await;
    assert_eq!(fixture.settle(&order, accept()).await, OrderState::Accepted);
    let before = fixture.placed(&draft("alice", "r-1")).await.standing;
    assert_eq!(
        fixture.settle(&order, reject_for(&order)).await,
        OrderState::Accepted
    );
    assert_eq!(
        fixture.placed(&draft("alice", "r-1")).await.standing,
        before
    );
}

#[tokio::test]
async fn a_coupon_pays_for_one_order_even_if_issuance_says_otherwise() {
    let fixture = Fixture::start().await;
    let first = fixture.placed(&draft("alice", "r-1")).await;
    let second = fixture.placed(&draft("alice", "r-2")).await;
    fixture.settle(&first, accept()).await;
    assert_eq!(fixture.settle(&second, accept()).await, rejected_by(&first));
}

#[tokio::test]
async fn a_coupon_pays_for_one_order_of_those_that_are_settled_together() {
    let fixture = Fixture::start().await;
    let requests: Vec<_> = (0..10).map(|number| format!("r-{number}")).collect();
    let mut orders = Vec::new();
    for request in &requests {
        orders.push(fixture.placed(&draft("alice", request)).await);
    }
    let settling = orders.iter().map(|order| fixture.settle(order, accept()));
    let states = join_all(settling).await;
    let accepted: Vec<_> = orders
        .iter()
        .zip(&states)
        .filter(|(_, state)| **state == OrderState::Accepted)
        .map(|(order, _)| order)
        .collect();
    let [accepted] = accepted[..] else {
        panic!("{} orders were accepted", accepted.len());
    };
    let rejected = states
        .iter()
        .filter(|state| **state == rejected_by(accepted));
    assert_eq!(rejected.count(), 9);
}

#[tokio::test]
async fn the_database_itself_refuses_a_second_accepted_order_of_a_coupon() {
    let fixture = Fixture::start().await;
    for request in ["r-1", "r-2"] {
        fixture.placed(&draft("alice", request)).await;
    }
    let opened = Database::parse(&fixture.database.url(), "by hand").unwrap();
    let refused = sqlx::query("UPDATE orders SET state = 2")
        .execute(&opened.pool(1))
        .await
        .unwrap_err();
    assert_eq!(
        tidegate_pg::constraint(&refused),
        Some("orders_one_paid_per_coupon_of_shopper")
    );
}

#[tokio::test]
async fn two_replicas_that_settle_the_same_orders_at_once_agree_on_each_outcome() {
    let fixture = Fixture::start().await;
    let other = fixture.other_replica();
    let mut orders = Vec::new();
    for number in 0..50 {
        let draft = with_code(
            draft("alice", &format!("r-{number}")),
            &format!("{number:016}"),
        );
        orders.push(fixture.placed(&draft).await);
    }
    let settle = |store: Store, outcome: Move| {
        let settling = orders.iter().cloned().map(move |order| {
            let (store, outcome) = (store.clone(), outcome.clone());
            async move {
                let trace = TraceContext::new_root(false);
                store
                    .move_order(&order, outcome, None, trace, soon())
                    .await
                    .unwrap()
            }
        });
        join_all(settling)
    };
    let here = settle(fixture.store.clone(), accept());
    let there = settle(other, reject_for(&orders[0]));
    let (here, there) = tokio::join!(here, there);
    assert_eq!(here, there);
}
