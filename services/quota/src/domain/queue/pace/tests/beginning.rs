use super::*;

#[test]
fn of_a_limit_that_has_just_been_seen_more_is_told_than_was_seen() {
    let mut pace = at_its_limit(1_000.0);
    pace.recent = PaceRange::of(900.0);
    pace.earlier = pace.recent;
    assert_eq!(pace.expected(), Some((900.0, 1_500.0)));
    pace.recent.span = RANGE_IS_NEW_FOR;
    assert_eq!(pace.expected(), Some((900.0, 900.0)));
    pace.recent = PaceRange::of(2_000.0);
    assert_eq!(pace.expected(), Some((900.0, 2_000.0)));
}

#[test]
fn turns_whose_holders_had_no_time_to_come_are_no_pace_to_tell() {
    let mut pace = Pace::default();
    pace.begin(4_000);
    pace.issued.loaded = LOADED_FROM;
    pace.made_due(1_500.0, STEP);
    for _ in 0..3 {
        pace.steer(Findings {
            used: 0,
            joined: 1_000,
            ..found(1_000, Some(80))
        });
    }
    let (_, fastest) = pace.expected().unwrap();
    assert!(fastest < 2_000.0, "{fastest}");
}

/// Hardly anybody waits for a while, at a queue whose issuance can do a thousand a second.
fn hardly_needed() -> Pace {
    let mut pace = at_its_limit(1_000.0);
    pace.felt_per_second = 0.0;
    pace.recent = PaceRange::of(1_000.0);
    pace.recent.span = RANGE_IS_NEW_FOR;
    pace.earlier = pace.recent;
    for _ in 0..20 {
        pace.steer(Findings {
            is_short: true,
            used: 0,
            ..found(300, Some(10))
        });
        pace.made_due(1.0, STEP);
    }
    pace
}

#[test]
fn how_few_wait_in_a_short_queue_is_not_told_as_its_pace() {
    let mut pace = hardly_needed();
    pace.steer(found(300, Some(10)));
    let (slowest, fastest) = pace.expected().unwrap();
    assert!((900.0..=1_100.0).contains(&slowest), "{slowest}");
    assert!((900.0..=1_100.0).contains(&fastest), "{fastest}");
}

#[test]
fn turns_that_come_as_their_holders_join_are_not_told_as_the_pace() {
    let told = |is_short| {
        let mut pace = hardly_needed();
        pace.felt_per_second = 700.0;
        pace.steer(Findings {
            is_short,
            ..found(700, Some(10))
        });
        pace.expected().unwrap().0
    };
    assert!(told(true) >= 900.0);
    assert_eq!(told(false), 700.0);
}

#[test]
fn a_few_turns_that_nobody_used_yet_teach_nothing() {
    let pace = hardly_needed();
    assert!(pace.per_second <= PROBE * 1_000.0, "{}", pace.per_second);
}

#[test]
fn after_a_while_in_which_hardly_anybody_waited_the_first_turns_come_at_once_again() {
    let mut pace = at_its_limit(1_000.0);
    pace.per_second = 10_000.0;
    pace.felt_per_second = 0.11 * 1_000.0;
    let of_a_step = pace.per_second * STEP.as_secs_f64();
    assert_eq!(pace.allowed(STEP), of_a_step);
    pace.felt_per_second = 0.09 * 1_000.0;
    let first = 1_000.0 * FIRST_TURNS_SECONDS;
    assert_eq!(pace.allowed(STEP), of_a_step + first);
}
