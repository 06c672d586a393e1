use futures_util::future::join_all;

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
    for placed in &placed {
        assert_eq!(placed.standing.order_id, order_id);
    }
    // The same request id of another shopper is another order.
    assert!(!fixture.place(&draft("bob", "r-1")).await.unwrap().replayed);
}

#[tokio::test]
async fn two_replicas_that_place_and_settle_the_same_orders_at_once_agree_on_each() {
    let fixture = Fixture::start().await;
    let other = fixture.other_replica();
    let place = async |store: &Store| {
        let placing = (0..100).map(|number| placed_at(store, numbered(number)));
        join_all(placing).await
    };
    let (orders, there) = tokio::join!(place(&fixture.store), place(&other));
    assert_eq!(orders, there);
    assert_eq!(
        (fixture.count("orders").await, fixture.booked().await),
        (100, 100)
    );
    let settle = async |store: &Store, outcome: Move| {
        let settling = orders
            .iter()
            .map(async |order| move_at(store, order, outcome.clone(), None).await.unwrap());
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

/// Makes two moves or placements meet in one batch: they wait while another order of the lane is
/// held.
async fn in_one_batch<A, B>(
    fixture: &Fixture,
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> (A, B) {
    let held = with_code(draft("holder", "r-1"), "ZZZZZZ0000000001");
    let held = fixture.placed(&held).await;
    let mut holder = fixture.by_hand().begin().await.unwrap();
    let hold = sqlx::query("SELECT FROM orders WHERE shopper_id = 'holder' FOR UPDATE");
    hold.execute(&mut *holder).await.unwrap();
    let is_held = async || {
        while fixture.count(WAITING_FOR_LOCK).await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let both = async {
        is_held().await;
        tokio::join!(first, second)
    };
    let freeing = async {
        is_held().await;
        // Time for both to be handed in.
        tokio::time::sleep(Duration::from_millis(300)).await;
        holder.rollback().await.unwrap();
    };
    let (_, both, ()) = tokio::join!(fixture.moved(&held, Move::Cancel), both, freeing);
    both
}

#[tokio::test]
async fn an_order_that_gives_no_place_back_has_nothing_read_of_the_days_since_its_slot() {
    let fixture = Fixture::start().await;
    let order = fixture.placed(&draft("alice", "r-1")).await;
    for step in [accept(), Move::Prepare, Move::MakeReady] {
        fixture.settle(&order, step).await;
    }
    // A booking since then that no batch could read.
    let back = "UPDATE orders SET slot_starts_at = slot_starts_at - interval '25 days' WHERE shopper_id = 'alice';
        INSERT INTO store_slots VALUES ('s-1', now() - interval '20 days', 10, 70000, 70000)";
    fixture.database.execute(back).await;
    let other = with_code(draft("bob", "r-1"), OTHER_CODE);
    let completed = fixture.moved(&order, Move::Complete);
    let (completed, placed) = in_one_batch(&fixture, completed, fixture.place(&other)).await;
    assert_eq!(completed.unwrap().state, OrderState::Completed);
    assert_eq!(placed.unwrap().standing.state, OrderState::Pending);
}

#[tokio::test]
async fn a_store_that_cannot_be_read_fails_its_own_orders_and_no_others() {
    let fixture = Fixture::start().await;
    fixture.upsert(shop("s-2")).await;
    let at = |shopper: &str, store: &str, code: &str| {
        at_store(store, with_code(draft(shopper, "r-1"), code))
    };
    let before = fixture
        .placed(&at("carol", "s-2", "ZZZZZZ0000000002"))
        .await;
    let spoil = "UPDATE stores SET time_zone = 'Nowhere/At all' WHERE store_id = 's-2'";
    fixture.database.execute(spoil).await;
    let (sound, spoilt) = (at("alice", "s-1", CODE), at("bob", "s-2", OTHER_CODE));
    let (sound, spoilt) =
        in_one_batch(&fixture, fixture.place(&sound), fixture.place(&spoilt)).await;
    assert_eq!(sound.unwrap().standing.state, OrderState::Pending);
    assert!(matches!(spoilt, Err(OrderIntakeError::Internal)));
    let cancelled = fixture.moved(&before, Move::Cancel).await;
    assert!(matches!(cancelled, Err(OrderIntakeError::Internal)));
    let mend = "UPDATE stores SET time_zone = 'UTC'";
    fixture.database.execute(mend).await;
    assert_eq!(
        fixture.settle(&before, Move::Cancel).await,
        OrderState::Cancelled
    );
}
