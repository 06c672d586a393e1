use super::*;

#[test]
fn whoever_found_no_room_counts_as_waiting_for_two_fifths() {
    let mut pace = at_its_limit(1_000.0);
    pace.kept_per_second = 200.0;
    // 100 ms at issuance, and two fifths of 150 ms before it: 60 ms more than the target, of which a fiftieth is a fiftieth less.
    let found = Findings {
        kept: 40,
        ..found(1_000, Some(100))
    };
    pace.steer(found);
    assert!((pace.per_second - 980.0).abs() < 1.0, "{}", pace.per_second);
}

#[test]
fn who_found_no_room_slows_nothing_down_while_issuance_idles() {
    let mut pace = at_its_limit(1_000.0);
    pace.kept_per_second = 2_000.0;
    let found = Findings {
        kept: 400,
        ..found(1_000, Some(10))
    };
    pace.steer(found);
    assert!(pace.per_second > 1_200.0, "{}", pace.per_second);
}

#[test]
fn nor_before_the_limit_of_issuance_is_known() {
    let mut pace = steady(1_000.0);
    pace.kept_per_second = 500.0;
    let found = Findings {
        kept: 100,
        ..found(1_000, Some(10))
    };
    pace.steer(found);
    assert!(pace.per_second > 1_400.0, "{}", pace.per_second);
}

#[test]
fn a_pace_that_is_set_for_a_moment_is_told_to_nobody() {
    let mut pace = at_its_limit(1_000.0);
    pace.recent = PaceRange::of(1_000.0);
    pace.recent.span = RANGE_IS_NEW_FOR;
    pace.earlier = PaceRange::of(1_000.0);
    pace.shown.used_per_second = 100.0;
    pace.steer(found(1_000, Some(80)));
    assert!(pace.per_second > 3_000.0, "{}", pace.per_second);
    let (_, fastest) = pace.expected().unwrap();
    assert!(fastest < 1_100.0, "{fastest}");
}

#[test]
fn who_is_sent_away_has_shown_up() {
    let mut pace = at_its_limit(1_000.0);
    // A third as many as are served are sent away, and come back every three quarters of a second.
    for step in 0..10 {
        let found = Findings {
            kept: 13 * step,
            used: 150,
            ..found(1_000, Some(400))
        };
        pace.steer(found);
        pace.made_due(200.0, STEP);
    }
    let shown = pace.shown.used_per_second / pace.shown.due_per_second;
    assert!((0.9..1.3).contains(&shown), "{shown}");
}
