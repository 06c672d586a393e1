use super::*;

/// Moves the order's slot, and what is booked in it, into the past.
async fn back_by(fixture: &Fixture, minutes: u32) {
    let back = format!(
        "UPDATE orders SET slot_starts_at = slot_starts_at - interval '{minutes} minutes';
         UPDATE store_slots SET slot_starts_at = slot_starts_at - interval '{minutes} minutes'"
    );
    fixture.database.execute(&back).await;
}

fn any_time(request_id: &str) -> Draft {
    Draft {
        latest_acceptable_at: None,
        ..draft("alice", request_id)
    }
}

fn is_too_late(state: &OrderState) -> bool {
    state.rejection().map(Rejection::because) == Some(Reason::OrderTooLate)
}

#[tokio::test]
async fn a_coupon_that_paid_after_the_latest_time_is_given_back_and_the_order_rejected() {
    let fixture = Fixture::start().await;
    let hasty = Draft {
        latest_acceptable_at: Some(Timestamp::now_utc() + Duration::from_millis(300)),
        ..draft("alice", "r-1")
    };
    let order = fixture.placed(&hasty).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let settled = fixture.moved(&order, accept()).await.unwrap();
    assert!(is_too_late(&settled.state), "{settled:?}");
    assert!(settled.owes_coupon());
    assert_eq!(fixture.booked().await, 0);
    // Another replica's answer that comes even later changes nothing.
    assert_eq!(fixture.settle(&order, accept()).await, settled.state);
    assert_eq!(fixture.owing().await, [order.standing.order_id]);
    let released = fixture.note_release(&order).await;
    assert!(released.coupon_released_at.is_some());
    // It is noted once.
    assert_eq!(fixture.note_release(&order).await, released);
    assert_eq!(fixture.owing().await, []);
    let read = fixture.read(&order).await.unwrap().standing;
    assert!(is_too_late(&read.state) && read == released);
    // The coupon pays for another one.
    let next = fixture.placed(&any_time("r-2")).await;
    assert_eq!(fixture.settle(&next, accept()).await, OrderState::Accepted);
}

#[tokio::test]
async fn an_order_whose_slot_is_over_gets_a_later_one_and_leaves_no_place_behind() {
    let fixture = Fixture::start().await;
    let order = fixture.placed(&any_time("r-1")).await;
    back_by(&fixture, 30).await;
    let settled = fixture.moved(&order, accept()).await.unwrap();
    assert_eq!(settled.state, OrderState::Accepted);
    assert!(settled.slot.ends_at() > Timestamp::now_utc());
    let read = fixture.read(&order).await.unwrap();
    assert_eq!(read.standing, settled);
    let wrong = "store_slots AS slot WHERE booked <> (SELECT count(*) FROM orders WHERE orders.slot_starts_at = slot.slot_starts_at)";
    assert_eq!(fixture.count(wrong).await, 0);
    assert_eq!(fixture.booked().await, 1);
    let told =
        "order_events JOIN orders USING (order_id, slot_starts_at) WHERE order_events.state = 2";
    assert_eq!(fixture.count(told).await, 1);
}

#[tokio::test]
async fn an_order_whose_slot_is_over_is_rejected_hours_later_or_where_no_other_is_to_be_had() {
    for (minutes, is_closed) in [(300, false), (30, true)] {
        let fixture = Fixture::start().await;
        let order = fixture.placed(&any_time("r-1")).await;
        back_by(&fixture, minutes).await;
        if is_closed {
            fixture.set_state("s-1", Some("no milk")).await;
        }
        let state = fixture.settle(&order, accept()).await;
        assert!(is_too_late(&state), "{state:?}");
        assert_eq!(fixture.booked().await, 0);
    }
}

#[tokio::test]
async fn a_shopper_has_no_more_orders_to_come_than_the_deployment_allows() {
    let fixture = Fixture::start().await;
    let strict = fixture.with_orders_to_come(2);
    let place = async |number: usize, code: Verdict| {
        let draft = with_code(any_time(&format!("r-{number}")), &format!("{number:016}"));
        let placed = place_at(&strict, &draft, code).await?;
        Ok::<_, OrderIntakeError>(order_of(draft, placed))
    };
    let first = place(1, Verdict::Unknown).await.unwrap();
    place(2, Verdict::True).await.unwrap();
    let refused = place(3, Verdict::True).await;
    assert!(matches!(
        refused,
        Err(OrderIntakeError::OpenOrderLimitReached)
    ));
    // A replay is no new order, and one that is over makes room.
    assert!(place(2, Verdict::True).await.is_ok());
    fixture.moved(&first, Move::Cancel).await.unwrap();
    place(3, Verdict::True).await.unwrap();
    back_by(&fixture, 30).await;
    place(4, Verdict::True).await.unwrap();
}
