use std::time::{Duration, Instant};

use super::*;

const FIRST: u64 = 1_770_379_200;

fn cohort(second: u64) -> Cohort {
    Cohort::new(FIRST + second).unwrap()
}

fn turn(second: u64, share: f64) -> Turn {
    Turn {
        cohort: cohort(second),
        draw: (share * f64::from(u32::MAX)) as u32,
    }
}

fn joined(second: u64, joined: u64) -> CohortStanding {
    CohortStanding {
        cohort: cohort(second),
        joined,
        left: 0,
        due_second: None,
    }
}

/// A queue at second 10 in which a hundred came each second, and turns up to `watermark` have come.
fn word(watermark: Turn) -> Word {
    Word {
        is_queueing: true,
        current_cohort: cohort(10),
        current_cohort_age: Duration::ZERO,
        received_at: Instant::now(),
        watermark,
        pace: None,
        version: 5,
        oldest_cohort: cohort(0),
        remaining: 1_000_000,
        serving_second: 200,
        cohorts: (0..=10).map(|second| joined(second, 100)).collect(),
    }
}

fn standing(word: Word) -> Standing {
    Standing::unknown(word.received_at).with(word)
}

fn position(standing: &Standing, turn: Turn) -> u64 {
    standing.position(turn, &HandedOut::default(), 0)
}

#[test]
fn a_position_counts_those_ahead_who_have_not_become_due() {
    let standing = standing(word(turn(2, 0.5)));
    // Half of cohort 2, all of 3 and 4, and a quarter of 5.
    let there = position(&standing, turn(5, 0.25));
    assert!((275..=277).contains(&there), "{there}");
    let in_the_cohort_that_is_served = position(&standing, turn(2, 0.75));
    assert!((25..=27).contains(&in_the_cohort_that_is_served));
    let waiting = standing.waiting(&HandedOut::default());
    assert!((850..=851).contains(&waiting), "{waiting}");
}

#[test]
fn a_cohort_that_is_not_complete_counts_wholly() {
    let standing = standing(word(turn(2, 0.0)));
    let mut handed_out = HandedOut::default();
    assert_eq!(standing.position(turn(10, 0.1), &handed_out, 0), 900);
    (0..150).for_each(|_| handed_out.add(cohort(10)));
    // Quota has not heard of fifty of them yet.
    assert_eq!(standing.position(turn(10, 0.1), &handed_out, 0), 950);
    assert_eq!(standing.position(turn(10, 0.1), &handed_out, 1), 951);
    assert_eq!(standing.position(turn(11, 0.1), &handed_out, 1), 951);
}

#[test]
fn who_leaves_lets_others_move_up() {
    let before = standing(word(turn(0, 0.0)));
    let mut news = word(turn(0, 0.0));
    news.cohorts = vec![CohortStanding {
        left: 40,
        ..joined(1, 100)
    }];
    let after = before.with(news);
    assert_eq!(
        after.word().cohorts.len(),
        11,
        "what did not change is kept"
    );
    assert_eq!(
        position(&before, turn(3, 0.5)) - position(&after, turn(3, 0.5)),
        40
    );
}

#[test]
fn turns_come_in_the_order_of_cohorts_and_by_lot_within_one() {
    let standing = standing(word(turn(2, 0.5)));
    for (turn, stage) in [
        (turn(1, 0.99), Stage::Due),
        (turn(2, 0.49), Stage::Due),
        (turn(2, 0.5), Stage::Waiting),
        (turn(3, 0.0), Stage::Waiting),
    ] {
        assert_eq!(standing.stage(turn), stage, "{turn:?}");
    }
}

#[test]
fn a_due_ticket_expires_after_its_turn() {
    let mut news = word(turn(2, 0.5));
    news.cohorts[1].due_second = Some(80);
    let in_time = standing(news.clone());
    assert_eq!(in_time.stage(turn(1, 0.5)), Stage::Due);
    news.serving_second = 201;
    let late = standing(news);
    assert_eq!(late.stage(turn(1, 0.5)), Stage::Expired);
    // Nobody knows when a cohort became due of which a part still waits.
    assert_eq!(late.stage(turn(2, 0.1)), Stage::Due);
}

#[test]
fn a_ticket_that_quota_has_forgotten_has_expired() {
    let mut news = word(turn(5, 0.0));
    news.oldest_cohort = cohort(3);
    let standing = standing(news);
    assert_eq!(standing.stage(turn(2, 0.5)), Stage::Expired);
    assert_eq!(standing.stage(turn(3, 0.5)), Stage::Due);
    assert_eq!(standing.word().cohorts[0].cohort, cohort(3));
}

#[test]
fn those_who_come_while_quota_is_away_are_not_one_cohort() {
    let standing = standing(word(turn(2, 0.5)));
    let at = |seconds| {
        let now = standing.word().received_at + Duration::from_secs(seconds);
        standing.current_cohort(now)
    };
    assert_eq!((at(0), at(3), at(60)), (cohort(10), cohort(13), cohort(70)));
    assert_eq!((at(3_600), at(9_000)), (cohort(3_610), cohort(3_610)));
}

#[test]
fn all_gateways_begin_the_next_cohort_when_quota_does() {
    let told = word(turn(2, 0.5));
    let later = Word {
        current_cohort_age: Duration::from_millis(700),
        received_at: told.received_at + Duration::from_millis(700),
        ..told.clone()
    };
    let after = |word: &Word, milliseconds| {
        let now = told.received_at + Duration::from_millis(milliseconds);
        standing(word.clone()).current_cohort(now)
    };
    for word in [&told, &later] {
        assert_eq!(after(word, 999), cohort(10));
        assert_eq!(after(word, 1_000), cohort(11));
    }
}

#[test]
fn a_word_that_is_late_does_not_put_the_next_cohort_off() {
    let first = word(turn(2, 0.5));
    let told_at = first.received_at;
    let next = |told_ms, received_ms| Word {
        current_cohort_age: Duration::from_millis(told_ms),
        received_at: told_at + Duration::from_millis(received_ms),
        ..first.clone()
    };
    let before = standing(first.clone());
    let begins = |word: Word, milliseconds| {
        let after = before.with(word);
        let at = |milliseconds| after.current_cohort(told_at + Duration::from_millis(milliseconds));
        (at(milliseconds - 1), at(milliseconds)) == (cohort(10), cohort(11))
    };
    assert!(begins(next(200, 500), 1_001));
    assert!(begins(next(300, 200), 900), "this one was less late");
    assert!(begins(next(0, 1_500), 2_500), "its clock was set");
}

#[test]
fn those_who_came_before_the_opening_await_the_draw_until_it_begins() {
    let mut early = HandedOut::default();
    let unknown = Standing::unknown(Instant::now());
    assert!(!unknown.awaits_draw(&early));
    early.add(Cohort::BEFORE_OPENING);
    assert!(unknown.awaits_draw(&early));
    let begun = unknown.with(word(turn(0, 0.0)));
    assert!(!begun.awaits_draw(&early));
}

#[test]
fn what_quota_has_counted_is_forgotten_and_nothing_else() {
    let standing = standing(word(turn(2, 0.0)));
    let mut handed_out = HandedOut::default();
    for second in [3, 4, 10] {
        handed_out.add(cohort(second));
    }
    (0..100).for_each(|_| handed_out.add(cohort(4)));
    let before = standing.waiting(&handed_out);
    standing.forget_counted(&mut handed_out);
    let kept = [3, 4, 10].map(|second| handed_out.of(cohort(second)));
    // Of the fourth second one is not counted yet, and in the tenth more may come.
    assert_eq!(kept, [0, 101, 1]);
    assert_eq!(standing.waiting(&handed_out), before);
}

#[test]
fn only_the_newest_cohorts_handed_out_are_remembered() {
    let mut handed_out = HandedOut::default();
    (0..4_000).for_each(|second| handed_out.add(cohort(second)));
    assert_eq!(handed_out.of(cohort(3_999)), 1);
    assert_eq!(handed_out.all().count(), HandedOut::REMEMBERED);
}
