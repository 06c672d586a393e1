use super::*;

const TARGET: Duration = Duration::from_millis(100);
const STEP: Duration = Duration::from_millis(10);

fn with_lanes(lanes: u16) -> (Arc<Admission>, Vec<Lane>) {
    let lanes = Lanes::new(lanes).unwrap();
    (
        Arc::new(Admission::new(TARGET, lanes)),
        lanes.all().collect(),
    )
}

fn with_a_lane() -> (Arc<Admission>, Lane) {
    let (admission, lanes) = with_lanes(1);
    (admission, lanes[0])
}

fn answered(delay_ms: u64, issued: usize) -> Answered {
    let queue_delay = Duration::from_millis(delay_ms);
    Answered {
        queue_delay,
        took: queue_delay + STEP,
        claims: issued,
        issued,
    }
}

/// So many answers one after the other, each of `issued` coupons; the moment of the last.
fn answers(
    admission: &Admission,
    mut now: Instant,
    delay_ms: u64,
    issued: usize,
    count: u32,
) -> Instant {
    for _ in 0..count {
        now += STEP;
        admission.observe(answered(delay_ms, issued), now);
    }
    now
}

fn enter(admission: &Arc<Admission>, lane: Lane, claims: usize) -> Vec<UnderWay> {
    (0..claims).map(|_| admission.enter(lane)).collect()
}

#[test]
fn claims_are_held_back_while_issuance_is_over_its_target_and_not_by_one_late_answer() {
    let (admission, lane) = with_a_lane();
    let now = answers(&admission, Instant::now(), 20, 1, 50);
    let now = answers(&admission, now, 500, 1, 1);
    assert!(
        admission.may_issue(lane, now),
        "one late answer is no crowd"
    );
    let now = answers(&admission, now, 500, 1, 20);
    assert!(!admission.may_issue(lane, now));
    let now = answers(&admission, now, 80, 1, 40);
    assert!(!admission.may_issue(lane, now), "just below the target");
    let now = answers(&admission, now, 10, 1, 40);
    assert!(admission.may_issue(lane, now));
}

#[test]
fn many_answers_of_one_moment_count_as_well() {
    let ((admission, lane), now) = (with_a_lane(), Instant::now());
    admission.observe(answered(0, 1), now);
    (0..200).for_each(|_| admission.observe(answered(1_000, 1), now));
    assert!(!admission.may_issue(lane, now));
}

#[test]
fn the_door_opens_again_when_nobody_answers_any_more() {
    let (admission, lane) = with_a_lane();
    let now = answers(&admission, Instant::now(), 500, 1, 20);
    assert!(!admission.may_issue(lane, now + STALE_AFTER));
    assert!(admission.may_issue(lane, now + STALE_AFTER + STEP));
}

#[test]
fn no_more_are_under_way_than_are_answered_in_time_and_who_was_first_finds_room_first() {
    let (admission, lane) = with_a_lane();
    // Two hundred a second, each of which waits for 80 ms.
    let now = answers(&admission, Instant::now(), 80, 2, 1_000);
    let under_way = enter(&admission, lane, 21);
    assert!(admission.may_issue(lane, now), "nobody waits in a queue");
    assert!(admission.may_take_turn(lane, OVERDUE_MOST, now));
    assert!(!admission.may_take_turn(lane, Duration::ZERO, now));
    let more = enter(&admission, lane, 5);
    assert!(
        !admission.may_take_turn(lane, OVERDUE_MOST, now),
        "26 take 130 ms"
    );
    assert!(!admission.may_issue(lane, now), "turns go first");
    let later = now + TURNS_FIRST_FOR;
    assert!(admission.may_issue(lane, later));
    let many = enter(&admission, lane, 40);
    assert!(!admission.may_issue(lane, later), "66 take 330 ms");
    assert!(
        !admission.may_issue(lane, later + STALE_AFTER),
        "and nobody answers"
    );
    drop((under_way, more, many));
    assert!(admission.may_issue(lane, later));
}

#[test]
fn a_new_claim_fills_what_turns_leave_once_it_is_known_how_much_that_is() {
    let (admission, lane) = with_a_lane();
    assert!(admission.may_issue(lane, Instant::now()));
    assert!(!admission.may_fill_in(lane, Instant::now()));
    let now = answers(&admission, Instant::now(), 80, 2, 1_000);
    let few = enter(&admission, lane, 16);
    assert!(admission.may_fill_in(lane, now));
    let more = enter(&admission, lane, 5);
    assert!(!admission.may_fill_in(lane, now));
    assert!(!admission.may_take_turn(lane, Duration::ZERO, now));
    drop((few, more));
    assert!(!admission.may_fill_in(lane, now), "turns go first");
    let now = now + TURNS_FIRST_FOR;
    assert!(admission.may_fill_in(lane, now));
    let now = answers(&admission, now, 500, 2, 20);
    assert!(!admission.may_fill_in(lane, now), "claims wait too long");
}

#[test]
fn a_pause_teaches_nothing_and_more_find_room_when_issuance_can_do_more() {
    let (admission, lane) = with_a_lane();
    let now = answers(&admission, Instant::now(), 80, 5, 1_000);
    let an_hour = Duration::from_secs(3_600);
    let now = answers(&admission, now + an_hour, 1, 1, 1);
    let under_way = enter(&admission, lane, 50);
    assert!(
        admission.may_take_turn(lane, OVERDUE_MOST, now),
        "500 a second"
    );
    let more = enter(&admission, lane, 20);
    assert!(!admission.may_take_turn(lane, OVERDUE_MOST, now));
    let now = answers(&admission, now, 1, 20, 300);
    assert!(
        admission.may_take_turn(lane, Duration::ZERO, now),
        "2,000 a second"
    );
    drop((under_way, more));
}

#[test]
fn one_late_answer_bounds_nothing() {
    let (admission, lane) = with_a_lane();
    let now = answers(&admission, Instant::now(), 500, 1, 2);
    let _under_way = enter(&admission, lane, 1_000);
    assert!(admission.may_take_turn(lane, Duration::ZERO, now));
}

#[test]
fn a_crowd_is_not_held_back_while_nobody_waits() {
    let (admission, lane) = with_a_lane();
    let now = answers(&admission, Instant::now(), 5, 1, 100);
    let _under_way = enter(&admission, lane, 10_000);
    assert!(admission.may_issue(lane, now));
}

#[test]
fn a_lane_that_hangs_leaves_room_for_the_others() {
    let (admission, lanes) = with_lanes(16);
    let now = answers(&admission, Instant::now(), 80, 20, 1_000);
    let mut stuck = Vec::new();
    while admission.may_take_turn(lanes[0], Duration::ZERO, now) {
        stuck.push(admission.enter(lanes[0]));
    }
    assert!(stuck.len() > 20, "{}", stuck.len());
    assert!(admission.may_take_turn(lanes[1], Duration::ZERO, now));
}

#[test]
fn slow_calls_leave_as_many_under_way_as_they_take() {
    let (admission, lane) = with_a_lane();
    let mut now = Instant::now();
    for _ in 0..1_000 {
        now += STEP;
        let slow = Answered {
            took: Duration::from_millis(280),
            ..answered(80, 10)
        };
        admission.observe(slow, now);
    }
    // A thousand a second, for 75 and 200 ms.
    let _under_way = enter(&admission, lane, 250);
    assert!(admission.may_take_turn(lane, Duration::ZERO, now));
}

#[test]
fn the_mean_delay_is_told_once() {
    let (admission, _) = with_a_lane();
    assert_eq!(admission.mean_delay_since_last(), None);
    let now = answers(&admission, Instant::now(), 30, 1, 1);
    answers(&admission, now, 20, 1, 1);
    let mean = Some(Duration::from_millis(25));
    assert_eq!(admission.mean_delay_since_last(), mean);
    assert_eq!(admission.mean_delay_since_last(), None);
}
