use tokio::{task::yield_now, time::advance};

use super::{
    asking::{OVERDUE_FROM, OVERDUE_MOST},
    *,
};

mod short_queue;
mod stall;

const TARGET: Duration = Duration::from_millis(100);
const STEP: Duration = Duration::from_millis(10);
const AN_HOUR: Duration = Duration::from_secs(3_600);

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

/// A turn in a long queue.
fn turn(overdue: Duration) -> Asking {
    Asking::Turn {
        overdue,
        is_queue_short: false,
    }
}

/// Whether one whose turn has come finds room at this moment.
async fn finds_room(admission: &Arc<Admission>, lane: Lane) -> bool {
    let none = Duration::ZERO;
    let under_way = admission.find_room(lane, turn(none), none).await;
    under_way.is_some()
}

/// Those whose turns have come, each with a number and by how much it is overdue, ask one after the other; in which order they are let in.
struct InLine {
    entered: Arc<Mutex<Vec<u32>>>,
}

impl InLine {
    async fn new(admission: &Arc<Admission>, lane: Lane, asking: &[(u32, Duration)]) -> Self {
        let turns = asking
            .iter()
            .map(|(number, overdue)| (*number, turn(*overdue)));
        Self::of(admission, lane, turns).await
    }

    async fn of(
        admission: &Arc<Admission>,
        lane: Lane,
        all: impl IntoIterator<Item = (u32, Asking)>,
    ) -> Self {
        let entered = Arc::new(Mutex::new(Vec::new()));
        for (number, asking) in all {
            let (admission, entered) = (Arc::clone(admission), Arc::clone(&entered));
            tokio::spawn(async move {
                let taken = admission.find_room(lane, asking, AN_HOUR);
                if let Some(under_way) = taken.await {
                    entered.lock().unwrap().push(number);
                    // It is never answered.
                    std::mem::forget(under_way);
                }
            });
            yield_now().await;
        }
        Self { entered }
    }

    async fn entered(&self) -> Vec<u32> {
        for _ in 0..10 {
            yield_now().await;
        }
        self.entered.lock().unwrap().clone()
    }
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
    let now = answers(&admission, now, 600, 1, 40);
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
    (0..200).for_each(|_| admission.observe(answered(900, 1), now));
    assert!(!admission.may_issue(lane, now));
}

#[test]
fn the_door_opens_again_when_nobody_answers_any_more() {
    let (admission, lane) = with_a_lane();
    let now = answers(&admission, Instant::now(), 500, 1, 20);
    assert!(!admission.may_issue(lane, now + STALE_AFTER));
    assert!(admission.may_issue(lane, now + STALE_AFTER + STEP));
}

#[tokio::test(start_paused = true)]
async fn no_more_are_under_way_than_are_answered_in_time() {
    let (admission, lane) = with_a_lane();
    // Two hundred a second, each of which waits for 80 ms.
    let now = answers(&admission, Instant::now(), 80, 2, 1_000);
    let under_way = enter(&admission, lane, 15);
    assert!(admission.may_issue(lane, now), "nobody waits in a queue");
    assert!(finds_room(&admission, lane).await, "16 take 80 ms");
    let more = enter(&admission, lane, 1);
    assert!(!finds_room(&admission, lane).await);
    let now = tokio::time::Instant::now().into_std();
    assert!(!admission.may_issue(lane, now), "turns go first");
    let later = now + TURNS_FIRST_FOR;
    admission.observe(answered(80, 2), later);
    assert!(admission.may_issue(lane, later));
    let many = enter(&admission, lane, 96);
    assert!(!admission.may_issue(lane, later), "112 take 560 ms");
    assert!(
        !admission.may_issue(lane, later + STALE_AFTER),
        "and nobody answers"
    );
    drop((under_way, more, many));
    assert!(admission.may_issue(lane, later));
}

#[tokio::test(start_paused = true)]
async fn of_those_who_wait_for_room_the_most_overdue_find_it_first() {
    let (admission, lane) = with_a_lane();
    answers(&admission, Instant::now(), 80, 2, 1_000);
    let mut under_way = enter(&admission, lane, 16);
    let (just_due, overdue) = (Duration::ZERO, Duration::from_secs(1));
    let asking = [
        (12, just_due),
        (10, overdue),
        (13, just_due),
        (8, OVERDUE_FROM),
    ];
    let line = InLine::new(&admission, lane, &asking).await;
    assert!(line.entered().await.is_empty());
    under_way.pop();
    assert_eq!(line.entered().await, [8]);
    under_way.truncate(12);
    assert_eq!(line.entered().await, [8, 10, 12, 13]);
}

#[tokio::test(start_paused = true)]
async fn where_too_many_wait_for_room_the_least_overdue_have_to_come_back() {
    let (admission, lane) = with_a_lane();
    answers(&admission, Instant::now(), 80, 2, 1_000);
    let mut under_way = enter(&admission, lane, 16);
    // As many as are answered within 50 ms.
    let mut asking: Vec<_> = (20..30).map(|number| (number, Duration::ZERO)).collect();
    asking.extend([(99, Duration::ZERO), (5, Duration::from_secs(1))]);
    let line = InLine::new(&admission, lane, &asking).await;
    under_way.clear();
    let mut entered = vec![5];
    entered.extend(20..29);
    assert_eq!(line.entered().await, entered);
}

#[tokio::test(start_paused = true)]
async fn who_is_overdue_by_two_seconds_is_not_sent_away_while_others_are_served() {
    let (admission, lane) = with_a_lane();
    answers(&admission, Instant::now(), 80, 2, 1_000);
    let mut under_way = enter(&admission, lane, 16);
    let seconds = Duration::from_secs;
    let asking = [(1, seconds(1)), (2, seconds(2)), (9, seconds(9))];
    for (number, waits_ms) in [(1, 50), (2, 1_000), (9, 1_000)] {
        let began = tokio::time::Instant::now();
        let taken = admission.find_room(lane, turn(seconds(number)), AN_HOUR);
        assert!(taken.await.is_none());
        assert_eq!(began.elapsed(), Duration::from_millis(waits_ms));
    }
    let began = tokio::time::Instant::now();
    let hasty = admission.find_room(lane, turn(seconds(9)), STEP);
    assert!(hasty.await.is_none());
    assert_eq!(began.elapsed(), STEP, "its caller waits no longer");
    let line = InLine::new(&admission, lane, &asking).await;
    advance(Duration::from_millis(500)).await;
    assert!(line.entered().await.is_empty());
    under_way.clear();
    assert_eq!(line.entered().await, [9, 2]);
}

#[tokio::test(start_paused = true)]
async fn there_is_a_place_in_line_for_as_many_overdue_turns_as_are_answered_while_they_wait() {
    let (admission, lane) = with_a_lane();
    answers(&admission, Instant::now(), 80, 2, 1_000);
    let mut under_way = enter(&admission, lane, 16);
    let asking: Vec<_> = (0..50).map(|number| (number, OVERDUE_FROM)).collect();
    let line = InLine::new(&admission, lane, &asking).await;
    let began = tokio::time::Instant::now();
    let taken = admission.find_room(lane, turn(OVERDUE_FROM), AN_HOUR);
    assert!(taken.await.is_none());
    assert_eq!(began.elapsed(), Duration::ZERO, "the line is full");
    under_way.clear();
    assert_eq!(line.entered().await, (0..16).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn who_has_gone_takes_no_room() {
    let (admission, lane) = with_a_lane();
    answers(&admission, Instant::now(), 80, 2, 1_000);
    let mut under_way = enter(&admission, lane, 16);
    let admission_of_one = Arc::clone(&admission);
    let gone = tokio::spawn(async move {
        let none = Duration::ZERO;
        admission_of_one.find_room(lane, turn(none), AN_HOUR).await
    });
    yield_now().await;
    let line = InLine::new(&admission, lane, &[(2, Duration::ZERO)]).await;
    gone.abort();
    yield_now().await;
    under_way.pop();
    assert_eq!(line.entered().await, [2]);
}

#[tokio::test(start_paused = true)]
async fn how_long_turns_wait_for_room_is_told_with_the_delay() {
    let (admission, lane) = with_a_lane();
    answers(&admission, Instant::now(), 80, 2, 1_000);
    let mut under_way = enter(&admission, lane, 16);
    admission.mean_delay_since_last();
    let line = InLine::new(&admission, lane, &[(1, Duration::ZERO)]).await;
    advance(Duration::from_millis(40)).await;
    under_way.pop();
    assert_eq!(line.entered().await, [1]);
    drop(admission.enter(lane));
    answers(&admission, Instant::now(), 80, 2, 1);
    let mean = Some(Duration::from_millis(80 + 40 / 2));
    assert_eq!(admission.mean_delay_since_last(), mean);
}

#[tokio::test(start_paused = true)]
async fn while_turns_wait_for_room_as_many_are_answered_as_can_be() {
    let (admission, lane) = with_a_lane();
    let many = enter(&admission, lane, 1_000);
    let now = answers(&admission, Instant::now(), 40, 2, 1_000);
    assert!(admission.may_issue(lane, now), "nothing is known yet");
    let line = InLine::new(&admission, lane, &[(1, Duration::ZERO)]).await;
    let now = answers(&admission, now, 40, 2, 1_000);
    advance(Duration::from_secs(1)).await;
    assert!(line.entered().await.is_empty(), "it has gone");
    assert!(!admission.may_issue(lane, now), "two hundred a second");
    drop(many);
}

#[tokio::test(start_paused = true)]
async fn a_pause_teaches_nothing_and_more_find_room_when_issuance_can_do_more() {
    let (admission, lane) = with_a_lane();
    let now = answers(&admission, Instant::now(), 80, 5, 1_000);
    let an_hour = Duration::from_secs(3_600);
    let now = answers(&admission, now + an_hour, 1, 1, 1);
    let under_way = enter(&admission, lane, 34);
    assert!(finds_room(&admission, lane).await, "500 a second");
    let more = enter(&admission, lane, 20);
    assert!(!finds_room(&admission, lane).await);
    answers(&admission, now, 1, 20, 300);
    assert!(finds_room(&admission, lane).await, "2,000 a second");
    drop((under_way, more));
}

#[test]
fn one_late_answer_bounds_nothing() {
    let (admission, lane) = with_a_lane();
    let now = answers(&admission, Instant::now(), 20, 1, 50);
    let now = answers(&admission, now, 500, 1, 2);
    let _under_way = enter(&admission, lane, 1_000);
    assert!(admission.may_issue(lane, now));
}

#[test]
fn a_crowd_is_not_held_back_while_nobody_waits() {
    let (admission, lane) = with_a_lane();
    let now = answers(&admission, Instant::now(), 5, 1, 100);
    let _under_way = enter(&admission, lane, 10_000);
    assert!(admission.may_issue(lane, now));
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_hangs_leaves_room_for_the_others() {
    let (admission, lanes) = with_lanes(16);
    answers(&admission, Instant::now(), 80, 20, 1_000);
    let mut stuck = Vec::new();
    while finds_room(&admission, lanes[0]).await {
        stuck.push(admission.enter(lanes[0]));
    }
    assert!(stuck.len() > 20, "{}", stuck.len());
    assert!(finds_room(&admission, lanes[1]).await);
    let asking = [(0, OVERDUE_MOST); 600];
    let line = InLine::new(&admission, lanes[0], &asking).await;
    assert!(line.entered().await.is_empty());
    assert!(finds_room(&admission, lanes[1]).await, "past the line");
    let mut others = Vec::new();
    while finds_room(&admission, lanes[1]).await {
        others.push(admission.enter(lanes[1 + others.len() % 15]));
    }
    let line = InLine::new(&admission, lanes[1], &[(1, OVERDUE_MOST)]).await;
    others.clear();
    assert_eq!(line.entered().await, [1]);
}

#[tokio::test(start_paused = true)]
async fn of_two_lanes_whoever_asked_first_goes_first() {
    let (admission, lanes) = with_lanes(2);
    answers(&admission, Instant::now(), 80, 2, 1_000);
    let mut under_way = enter(&admission, lanes[0], 16);
    let first = InLine::new(&admission, lanes[1], &[(1, Duration::ZERO)]).await;
    let second = InLine::new(&admission, lanes[0], &[(2, Duration::ZERO)]).await;
    under_way.pop();
    assert_eq!(first.entered().await, [1]);
    assert!(second.entered().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn slow_calls_leave_as_many_under_way_as_they_take() {
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
    // A thousand a second, for 200 ms and, as each may just have missed a commit, 200 more.
    let _under_way = enter(&admission, lane, 390);
    assert!(finds_room(&admission, lane).await);
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
