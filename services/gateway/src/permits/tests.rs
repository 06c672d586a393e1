use tidegate_types::{Cohort, Turn};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn permits(of: fn(Lanes) -> Permits) -> (Arc<Permits>, Lane) {
    let lanes = Lanes::new(1u16).unwrap();
    (Arc::new(of(lanes)), lanes.lane(0u16).unwrap())
}

async fn all_permits(permits: &Arc<Permits>, lane: Lane) -> Vec<Permit> {
    let mut taken = Vec::new();
    while permits.idle() >= 1.0 {
        taken.push(permits.acquire(lane, Rank::Arrival, SECOND).await.unwrap());
    }
    taken
}

#[tokio::test(start_paused = true)]
async fn turns_go_before_new_claims_and_in_their_order() {
    let (permits, lane) = permits(Permits::of_claims);
    let mut taken = all_permits(&permits, lane).await;
    let (said, mut order) = tokio::sync::mpsc::unbounded_channel();
    let turn = |cohort| Rank::Turn(Turn::first_of(Cohort::new(cohort).unwrap()));
    for (name, rank) in [
        ("new", Rank::Arrival),
        ("late", turn(9)),
        ("early", turn(5)),
    ] {
        let (permits, said) = (Arc::clone(&permits), said.clone());
        tokio::spawn(async move {
            let permit = permits.acquire(lane, rank, SECOND).await;
            said.send((name, permit)).unwrap();
        });
        tokio::task::yield_now().await;
    }
    assert_eq!(permits.turns_waiting(), 2);
    let mut went = Vec::new();
    for _ in 0..3 {
        taken.pop();
        let (name, permit) = order.recv().await.unwrap();
        went.push((name, permit.is_some()));
        taken.extend(permit);
    }
    assert_eq!(went, [("early", true), ("late", true), ("new", true)]);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_too_long_is_sent_away_and_leaves_nothing_behind() {
    let (permits, lane) = permits(Permits::of_claims);
    let mut taken = all_permits(&permits, lane).await;
    assert!(permits.acquire(lane, Rank::Arrival, SECOND).await.is_none());
    let turn = Rank::Turn(Turn::FIRST);
    assert!(permits.acquire(lane, turn, SECOND / 10).await.is_none());
    assert_eq!(permits.turns_waiting(), 0);
    taken.pop();
    assert!(permits.acquire(lane, turn, SECOND).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn orders_wait_as_they_came_for_as_long_as_their_callers_do() {
    let (permits, lane) = permits(Permits::of_orders);
    let mut taken = all_permits(&permits, lane).await;
    let (said, mut order) = tokio::sync::mpsc::unbounded_channel();
    for (name, patience) in [("first", SECOND), ("hasty", SECOND / 2), ("second", SECOND)] {
        let (permits, said) = (Arc::clone(&permits), said.clone());
        tokio::spawn(async move {
            let permit = permits.acquire(lane, Rank::Arrival, patience).await;
            said.send((name, permit)).unwrap();
        });
        tokio::task::yield_now().await;
    }
    let (hasty, none) = order.recv().await.unwrap();
    assert_eq!((hasty, none.is_some()), ("hasty", false));
    for expected in ["first", "second"] {
        taken.pop();
        let (name, permit) = order.recv().await.unwrap();
        assert_eq!((name, permit.is_some()), (expected, true));
        taken.extend(permit);
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_found_a_permit_at_once_did_not_wait_and_one_that_waited_tells_how_long() {
    let (permits, lane) = permits(Permits::of_orders);
    let mut taken = all_permits(&permits, lane).await;
    assert!(taken.iter().all(|permit| permit.waited.is_zero()));
    let waiting = tokio::spawn({
        let permits = Arc::clone(&permits);
        async move { permits.acquire(lane, Rank::Arrival, SECOND).await }
    });
    tokio::task::yield_now().await;
    tokio::time::advance(SECOND / 2).await;
    taken.pop();
    let waited = waiting.await.unwrap().unwrap().waited;
    assert!(waited >= SECOND / 2, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn claims_are_served_at_the_pace_of_orders_that_wait() {
    let (permits, lane) = permits(Permits::of_claims);
    for _ in 0..400 {
        tokio::time::advance(SECOND / 200).await;
        permits.order_made();
    }
    for _ in 0..2 {
        permits.orders_wait(SECOND * 2 / 5, SECOND * 2 / 5);
        tokio::time::advance(SECOND / 4).await;
    }
    let mut served = 0;
    for _ in 0..500 {
        tokio::time::advance(SECOND / 1_000).await;
        let permit = permits.acquire(lane, Rank::Arrival, Duration::ZERO);
        served += u32::from(permit.await.is_some());
    }
    assert!((45..=65).contains(&served), "{served}");
    assert!(permits.measure().able_per_second < 120.0);
}

#[tokio::test(start_paused = true)]
async fn who_found_no_permit_in_a_stall_is_back_within_seconds_of_its_end() {
    let (permits, lane) = permits(Permits::of_orders);
    let _never_answered = all_permits(&permits, lane).await;
    for _ in 0..150 {
        tokio::time::advance(SECOND / 50).await;
        let back_after = permits.come_back_after();
        assert!(back_after < 3 * SECOND, "{back_after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crowd_that_finds_no_permit_comes_back_one_after_the_other() {
    let (permits, lane) = permits(Permits::of_claims);
    for _ in 0..100 {
        let permit = permits.acquire(lane, Rank::Arrival, SECOND).await.unwrap();
        permit.answered(Duration::ZERO);
        drop(permit);
        tokio::time::advance(SECOND / 100).await;
    }
    let times: Vec<_> = (0..1_000).map(|_| permits.come_back_after()).collect();
    assert_eq!(times[0], SOONEST_BACK);
    let between = times[100] - times[0];
    assert!(between > SECOND && between < 3 * SECOND, "{between:?}");
    assert_eq!(times[999], LATEST_BACK);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_comes_too_late_is_given_to_the_next() {
    let (permits, lane) = permits(Permits::of_claims);
    let taken = all_permits(&permits, lane).await;
    let waiting = permits.acquire(lane, Rank::Turn(Turn::FIRST), SECOND);
    assert!(timeout(SECOND / 10, waiting).await.is_err(), "it has gone");
    drop(taken);
    let again = all_permits(&permits, lane).await;
    assert!(again.len() >= 60, "{}", again.len());
}
