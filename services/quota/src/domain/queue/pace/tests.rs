use super::{
    issued::{COUNTED_UP_TO, LOADED_FROM},
    *,
};

mod beginning;
mod sent_away;

const STEP: Duration = Duration::from_millis(200);

/// A pace that issuance has felt for long, with as many coupons as it brings.
fn steady(per_second: f64) -> Pace {
    Pace {
        per_second,
        felt_per_second: per_second,
        used_per_second: per_second,
        issued: Issued {
            per_second,
            counted: COUNTED_UP_TO,
            loaded: LOADED_FROM,
            ..Issued::default()
        },
        ..Pace::default()
    }
}

/// The same where it is known what issuance can do.
fn at_its_limit(per_second: f64) -> Pace {
    let mut pace = steady(per_second);
    pace.issued.most_per_second = Some(per_second);
    pace.issued.usual_per_second = Some(per_second);
    pace.shown = Shown {
        due_per_second: per_second,
        used_per_second: per_second,
    };
    pace
}

fn found(per_second: u64, delay_ms: Option<u64>) -> Findings {
    Findings {
        elapsed: STEP,
        used: per_second / 5,
        joined: 0,
        kept: 0,
        leased: 0,
        is_short: false,
        issued: per_second / 5,
        delay: delay_ms.map(Duration::from_millis),
    }
}

fn steered(mut pace: Pace, per_second: u64, delay_ms: Option<u64>) -> f64 {
    pace.steer(found(per_second, delay_ms));
    // An average is taken in steps, and a little off.
    (pace.per_second / 10.0).round() * 10.0
}

#[test]
fn it_grows_until_claims_have_to_wait() {
    assert_eq!(steered(steady(1_000.0), 1_000, Some(10)), 1_500.0);
    // What issuance does while they wait is what it can do.
    assert_eq!(steered(steady(1_000.0), 1_000, Some(80)), 1_100.0);
    assert_eq!(steered(steady(1_000.0), 1_000, Some(400)), 900.0);
}

#[test]
fn it_is_what_issuance_can_do_corrected_for_how_long_claims_wait() {
    for (delay_ms, expected) in [(10, 1_500.0), (80, 1_100.0), (400, 900.0), (9_000, 100.0)] {
        let pace = steered(at_its_limit(1_000.0), 1_000, Some(delay_ms));
        assert_eq!(pace, expected, "{delay_ms} ms");
    }
}

#[test]
fn after_a_breakdown_it_grows_fast_up_to_what_was_usual() {
    let mut pace = at_its_limit(1_000.0);
    pace.issued.usual_per_second = Some(10_000.0);
    assert_eq!(steered(pace, 1_000, Some(10)), 1_500.0);
}

#[test]
fn as_many_turns_come_as_bring_the_claims() {
    let mut pace = at_its_limit(1_000.0);
    pace.shown = Shown {
        due_per_second: 4_000.0,
        used_per_second: 1_000.0,
    };
    pace.felt_per_second = 4_000.0;
    pace.per_second = 4_000.0;
    assert_eq!(steered(pace, 1_000, Some(80)), 4_400.0);
}

#[test]
fn it_falls_when_nobody_is_answered() {
    let mut pace = at_its_limit(1_000.0);
    pace.steer(found(1_000, None));
    assert!(pace.is_unanswered());
    assert_eq!(pace.per_second, 500.0);
}

#[test]
fn a_crowd_that_has_gone_is_passed_by_as_fast_as_it_could_have_been_served() {
    let mut pace = at_its_limit(10_000.0);
    for _ in 0..100 {
        pace.steer(found(0, None));
        pace.made_due(0.2 * pace.per_second, STEP);
    }
    let passed = 10_000.0..50_000.0;
    assert!(passed.contains(&pace.per_second), "{}", pace.per_second);
}

#[test]
fn what_a_claim_in_time_shows_issuance_can_do_is_believed() {
    let mut pace = at_its_limit(1_000.0);
    pace.issued.per_second = 2_000.0;
    pace.steer(found(2_000, Some(80)));
    let most = pace.issued.most_per_second.unwrap();
    assert!((most / 2_000.0 - 1.0).abs() < 0.01, "{most}");
}

#[test]
fn the_worst_delay_of_several_gateways_counts() {
    let mut pace = at_its_limit(1_000.0);
    pace.steer(found(1_000, Some(300)));
    pace.steer(found(1_000, Some(1)));
    assert!(pace.per_second <= 950.0, "{}", pace.per_second);
    pace.steer(found(1_000, Some(1)));
    assert_eq!(pace.delay.unwrap().waited, Duration::from_millis(1));
}

#[test]
fn it_begins_with_what_is_known() {
    let mut pace = Pace::default();
    pace.begin(0);
    assert_eq!(pace.per_second, 500.0);
    let mut pace = Pace::default();
    pace.begin(40_000);
    assert_eq!(pace.per_second, 10_000.0);
    let mut pace = steady(3_000.0);
    pace.begin(0);
    assert_eq!(pace.per_second, 3_000.0);
}

#[test]
fn a_pace_that_issuance_bears_is_told_before_its_limit_is_known() {
    let mut pace = Pace::default();
    pace.begin(0);
    assert_eq!(pace.expected(), None);
    pace.felt_per_second = 400.0;
    assert_eq!(pace.expected(), None, "nobody has come yet");
    pace.used_per_second = 300.0;
    assert_eq!(pace.expected(), None, "nobody has been answered yet");
    let delay = |waited| {
        Some(Delay {
            waited,
            age: Duration::ZERO,
        })
    };
    pace.delay = delay(QUEUE_DELAY_TARGET);
    assert_eq!(pace.expected(), Some((500.0, 4_000.0)));
    pace.delay = delay(QUEUE_DELAY_TARGET * 2);
    assert_eq!(pace.expected(), None, "that is more than it bears");
}

#[test]
fn the_extremes_are_those_of_the_last_half_minute() {
    let mut pace = Pace {
        issued: Issued {
            most_per_second: Some(100.0),
            ..Issued::default()
        },
        ..Pace::default()
    };
    pace.begin(0);
    let mut at = |per_second: f64, seconds: u32| {
        for _ in 0..5 * seconds {
            pace.issued.most_per_second = Some(per_second);
            pace.steer(found(0, None));
        }
        pace.expected().unwrap()
    };
    assert_eq!(at(100.0, 10), (100.0, 100.0));
    assert_eq!(at(200.0, 10), (100.0, 200.0));
    assert_eq!(at(200.0, 40), (200.0, 200.0));
}

#[test]
fn no_more_turns_come_than_ten_times_what_issuance_can_do() {
    let mut pace = at_its_limit(100.0);
    pace.shown = Shown {
        due_per_second: 3_000.0,
        used_per_second: 30.0,
    };
    pace.felt_per_second = 3_000.0;
    pace.joined_per_second = 3_000.0;
    let at_most = 10.0 * PROBE * 100.0;
    let per_second = steered(pace, 30, Some(10));
    assert!(per_second <= at_most, "{per_second}");
}

#[test]
fn claims_that_wait_most_of_the_time_show_what_issuance_can_do() {
    let mut pace = Pace::default();
    pace.begin(0);
    for round in 0..30 {
        // The worst delay counts for one step longer, so that they wait four steps and then two not.
        let delay_ms = if round % 6 < 3 { 80 } else { 10 };
        pace.steer(found(1_000, Some(delay_ms)));
        pace.made_due(0.2 * pace.per_second, STEP);
    }
    let most = pace.issued.most_per_second.unwrap();
    assert!((most / 1_000.0 - 1.0).abs() < 0.05, "{most}");
    let mut pace = Pace::default();
    pace.begin(0);
    for round in 0..30 {
        // The worst delay counts for two of the five.
        let delay_ms = if round % 5 == 4 { 80 } else { 10 };
        pace.steer(found(1_000, Some(delay_ms)));
    }
    assert_eq!(pace.issued.most_per_second, None);
}

#[test]
fn a_stall_at_the_beginning_says_nothing_of_what_issuance_does() {
    let stalled = |leased| {
        let mut pace = Pace::default();
        pace.begin(leased);
        for _ in 0..10 {
            let found = Findings {
                leased,
                ..found(0, Some(400))
            };
            pace.steer(found);
        }
        pace.per_second
    };
    // What is on lease is what it does in four seconds.
    assert_eq!(stalled(400), 90.0);
    assert_eq!(stalled(0), SLOWEST_PER_SECOND);
}

#[test]
fn what_was_on_lease_when_the_queue_began_counts_until_more_is_known() {
    let mut pace = Pace::default();
    pace.begin(400);
    for _ in 0..10 {
        // Nobody is due yet, so leases run out and are not renewed.
        pace.steer(found(0, Some(400)));
    }
    assert_eq!(pace.per_second, UNTIL_KNOWN * 100.0);
}

#[test]
fn the_time_between_the_first_crowd_and_the_first_turns_says_nothing_of_what_issuance_can_do() {
    let mut pace = Pace::default();
    pace.begin(400);
    let mut steer = |per_second, delay_ms, steps| {
        (0..steps).for_each(|_| pace.steer(found(per_second, delay_ms)));
        pace.issued.most_per_second
    };
    assert_eq!(steer(1_000, Some(200), 3), None);
    assert_eq!(steer(0, None, 8), None);
    let most = steer(1_000, Some(80), 6).unwrap();
    // The worst delay of the first crowd counts for two steps more.
    assert!((most / 1_000.0 - 1.0).abs() < 0.3, "{most}");
}

#[test]
fn that_issuance_can_do_less_is_believed_within_seconds_and_that_it_can_do_more_at_once() {
    let mut pace = at_its_limit(1_000.0);
    let mut most_after = |per_second, steps| {
        (0..steps).for_each(|_| pace.steer(found(per_second, Some(80))));
        pace.issued.most_per_second.unwrap()
    };
    assert!(most_after(0, 2) > 900.0, "a short stall");
    assert!(most_after(200, 50) < 300.0, "ten seconds");
    let more = most_after(2_000, 10);
    assert!(more > 1_000.0, "{more}");
}

#[test]
fn a_report_without_an_answer_says_nothing_of_what_issuance_can_do() {
    let mut pace = at_its_limit(1_000.0);
    pace.pause();
    (0..5).for_each(|_| pace.steer(found(1_000, Some(200))));
    // That claims waited is known for longer than any of them is answered.
    (0..3).for_each(|_| pace.steer(found(0, None)));
    let most = pace.issued.most_per_second.unwrap();
    assert!(most > 999.0, "{most}");
}

#[test]
fn leases_that_are_far_too_large_are_forgotten() {
    let mut pace = Pace::default();
    pace.begin(4_000_000);
    (0..10).for_each(|_| pace.steer(found(1_000, Some(80))));
    let issued = pace.issued;
    assert!((issued.most_per_second.unwrap() / 1_000.0 - 1.0).abs() < 0.01);
    assert!(issued.usual_per_second.unwrap() <= 10_000.0);
}

#[test]
fn a_moment_says_nothing_of_a_second() {
    let mut pace = at_its_limit(1_000.0);
    pace.pause();
    let moment = Findings {
        elapsed: Duration::from_millis(3),
        issued: 200,
        ..found(1_000, Some(10))
    };
    pace.steer(moment);
    assert_eq!(pace.issued.most_per_second, Some(1_000.0));
}

#[test]
fn a_gateway_without_answers_does_not_hide_that_claims_wait_at_another() {
    let mut pace = Pace::default();
    pace.begin(0);
    for _ in 0..30 {
        for delay_ms in [Some(80), None] {
            let half = Findings {
                elapsed: STEP / 2,
                ..found(500, delay_ms)
            };
            pace.steer(half);
            pace.made_due(0.1 * pace.per_second, STEP / 2);
        }
    }
    assert!(pace.issued.most_per_second.is_some());
}

#[test]
fn the_range_begins_anew_when_it_is_known_what_issuance_can_do() {
    let mut pace = Pace::default();
    pace.begin(40_000);
    for _ in 0..20 {
        pace.steer(found(1_000, Some(80)));
        pace.made_due(0.2 * pace.per_second, STEP);
    }
    let (_, fastest) = pace.expected().unwrap();
    assert!(
        fastest < 5_000.0,
        "it began with 10,000, and {fastest} is told"
    );
}

#[test]
fn an_average_does_not_depend_on_how_often_it_is_taken() {
    for step_ms in [10, 100, 500] {
        let step = Duration::from_millis(step_ms);
        let mut rate = 0.0;
        for _ in 0..10_000 / step_ms {
            rate = average(rate, 1_000.0 * step.as_secs_f64(), step, 0.9);
        }
        assert!((rate - 1_000.0).abs() < 1.0, "{step_ms}: {rate}");
    }
}

#[test]
fn what_issuance_can_do_is_not_learned_from_a_stall() {
    let mut pace = at_its_limit(1_000.0);
    let stall = Duration::from_secs(30).div_duration_f64(STEP) as u32;
    for _ in 0..stall {
        pace.steer(found(0, Some(9_000)));
    }
    assert!(pace.per_second <= 1_000.0, "{}", pace.per_second);
    for _ in 0..5 {
        pace.steer(found(100, Some(10)));
    }
    assert!(pace.per_second >= 1_000.0, "{}", pace.per_second);
}

#[test]
fn a_pace_that_nobody_knows_begins_anew_after_a_stall() {
    let mut pace = steady(500.0);
    for _ in 0..50 {
        pace.steer(found(0, None));
    }
    assert!(
        pace.per_second < FIRST_GUESS_PER_SECOND,
        "{}",
        pace.per_second
    );
    pace.steer(found(5, Some(10)));
    assert!(
        pace.per_second >= FIRST_GUESS_PER_SECOND,
        "{}",
        pace.per_second
    );
}
