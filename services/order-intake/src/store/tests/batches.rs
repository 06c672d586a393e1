use super::*;

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
    sqlx::query("SELECT FROM orders WHERE shopper_id = 'holder' FOR UPDATE")
        .execute(&mut *holder)
        .await
        .unwrap();
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
