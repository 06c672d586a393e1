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
