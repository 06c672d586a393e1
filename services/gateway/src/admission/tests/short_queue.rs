use super::*;

const NONE: Duration = Duration::ZERO;

/// A turn in a short queue.
fn last_turn(overdue: Duration) -> Asking {
    Asking::Turn {
        overdue,
        is_queue_short: true,
    }
}

/// Two hundred are answered each second, and sixteen are under way: no more find room for a turn.
fn full() -> (Arc<Admission>, Lane, Vec<UnderWay>) {
    let (admission, lane) = with_a_lane();
    answers(&admission, Instant::now(), 80, 2, 1_000);
    let under_way = enter(&admission, lane, 16);
    (admission, lane, under_way)
}

async fn fills_in(admission: &Arc<Admission>, lane: Lane) -> bool {
    let asking = admission.find_room(lane, Asking::NewClaim, NONE);
    asking.await.is_some()
}

#[tokio::test(start_paused = true)]
async fn a_new_claim_fills_what_turns_leave() {
    let (admission, lane) = with_a_lane();
    assert!(fills_in(&admission, lane).await);
    let many = enter(&admission, lane, 100);
    assert!(
        !fills_in(&admission, lane).await,
        "nobody knows whether issuance can do so much"
    );
    drop(many);
    answers(&admission, Instant::now(), 80, 2, 1_000);
    let few = enter(&admission, lane, 15);
    assert!(fills_in(&admission, lane).await);
    let more = enter(&admission, lane, 1);
    assert!(!fills_in(&admission, lane).await);
    drop((few, more));
    assert!(fills_in(&admission, lane).await);
}

#[tokio::test(start_paused = true)]
async fn new_claims_wait_in_line_after_all_turns() {
    let (admission, lane, mut under_way) = full();
    let asking = [
        (1, Asking::NewClaim),
        (2, last_turn(NONE)),
        (3, turn(NONE)),
        (4, last_turn(Duration::from_secs(1))),
        (5, Asking::NewClaim),
    ];
    let line = InLine::of(&admission, lane, asking).await;
    under_way.pop();
    assert_eq!(line.entered().await, [4]);
    under_way.clear();
    assert_eq!(line.entered().await, [4, 2, 3, 1, 5]);
}

#[tokio::test(start_paused = true)]
async fn in_a_short_queue_more_wait_in_line_and_for_longer() {
    let (admission, lane, mut under_way) = full();
    for asking in [last_turn(NONE), Asking::NewClaim] {
        let began = tokio::time::Instant::now();
        let found = admission.find_room(lane, asking, AN_HOUR);
        assert!(found.await.is_none());
        let waited = began.elapsed();
        assert_eq!(waited, Duration::from_millis(500), "{asking:?}");
        advance(TURNS_FIRST_FOR).await;
    }
    // As many as are answered within 250 ms.
    let asking = (0..60).map(|number| (number, last_turn(NONE)));
    let line = InLine::of(&admission, lane, asking).await;
    let began = tokio::time::Instant::now();
    let found = admission.find_room(lane, last_turn(NONE), AN_HOUR);
    assert!(found.await.is_none());
    assert_eq!(began.elapsed(), NONE, "the line is full");
    under_way.clear();
    assert_eq!(line.entered().await, (0..16).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn while_turns_that_were_sent_away_come_back_no_new_claim_fills_in() {
    let (admission, lane, under_way) = full();
    assert!(!finds_room(&admission, lane).await);
    drop(under_way);
    assert!(!fills_in(&admission, lane).await);
    advance(TURNS_FIRST_FOR - STEP).await;
    assert!(!fills_in(&admission, lane).await);
    assert!(finds_room(&admission, lane).await, "a turn does");
    advance(STEP).await;
    assert!(fills_in(&admission, lane).await);
}

#[tokio::test(start_paused = true)]
async fn when_those_are_answered_who_waited_too_long_the_next_fill_in_at_once() {
    let (admission, lane) = with_a_lane();
    let under_way = enter(&admission, lane, 100);
    let now = answers(&admission, Instant::now(), 600, 2, 100);
    assert!(!fills_in(&admission, lane).await);
    drop(under_way);
    assert!(!admission.may_issue(lane, now), "not without a queue");
    assert!(fills_in(&admission, lane).await);
}

#[tokio::test(start_paused = true)]
async fn new_claims_that_wait_hold_others_back_no_more_than_a_queue_does() {
    let (admission, lane, mut under_way) = full();
    admission.mean_delay_since_last();
    let line = InLine::of(&admission, lane, [(1, Asking::NewClaim)]).await;
    let now = Instant::now();
    assert!(admission.may_issue(lane, now), "no turn waits");
    advance(Duration::from_millis(40)).await;
    under_way.pop();
    assert_eq!(line.entered().await, [1]);
    answers(&admission, Instant::now(), 80, 2, 1);
    let mean = admission.mean_delay_since_last();
    assert_eq!(mean, Some(Duration::from_millis(80)), "turns did not wait");
    let line = InLine::of(&admission, lane, [(2, last_turn(NONE))]).await;
    assert!(!admission.may_issue(lane, now));
    assert!(line.entered().await.is_empty());
}
