//! What the waiting room promises, in virtual time: where 150 to 100,000 claims a second can be
//! served, with 1 to 200 gateways.

// All of it is test code.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tidegate_model::waiting_room::{Outcome, Scenario, run};

const PATIENT: Duration = Duration::from_secs(1_000);
/// Of the seconds from here on the queue is what it is in the long run.
const SETTLED_FROM: usize = 3;

/// A flood that comes at once and goes on.
fn flood(capacity: f64, times: f64) -> Scenario {
    let commit_every = if capacity < 1_000.0 { 26 } else { 5 };
    Scenario {
        seconds: 15,
        capacity: Box::new(move |_| capacity),
        arrivals: Box::new(move |_| capacity * times),
        commit_every: Duration::from_millis(commit_every),
        patience: PATIENT,
        ..Scenario::default()
    }
}

fn goodput(outcome: &Outcome, capacity: f64) -> f64 {
    outcome.goodput(SETTLED_FROM..15, capacity)
}

/// Of those that were told, and came to their end within the time that is looked at.
fn estimates_kept(outcome: &Outcome) -> f64 {
    match outcome.estimates {
        (0, _) => 1.0,
        (told, kept) => kept as f64 / told as f64,
    }
}

#[test]
fn the_line_is_flat_however_many_more_come_than_can_be_served() {
    for (capacity, times, lanes) in [
        (150.0, 2.0, 1),
        (150.0, 10.0, 4),
        (150.0, 50.0, 1),
        (2_000.0, 2.0, 4),
        (2_000.0, 10.0, 4),
    ] {
        let outcome = run(&Scenario {
            lanes,
            ..flood(capacity, times)
        });
        let flat = goodput(&outcome, capacity);
        assert!(flat >= 0.97, "{flat} at {times} times {capacity}");
        let kept = estimates_kept(&outcome);
        assert!(
            kept >= 0.9,
            "{kept} of the estimates at {times} times {capacity}"
        );
    }
}

#[test]
fn the_line_is_as_flat_with_many_gateways() {
    for gateways in [20, 200] {
        let outcome = run(&Scenario {
            gateways,
            lanes: 8,
            ..flood(10_000.0, 2.0)
        });
        let (flat, kept) = (goodput(&outcome, 10_000.0), estimates_kept(&outcome));
        assert!(flat >= 0.97, "{flat} with {gateways} gateways");
        assert!(kept >= 0.9, "{kept} of the estimates, {gateways} gateways");
    }
}

#[test]
fn below_what_can_be_served_nobody_waits() {
    let outcome = run(&flood(2_000.0, 0.8));
    assert_eq!((outcome.waits.len(), outcome.asks), (0, 0));
}

#[test]
fn those_who_never_come_back_and_those_who_give_up_unseen_cost_nothing() {
    for (times, returning) in [(5.0, 0.5), (10.0, 0.5), (10.0, 1.0)] {
        let outcome = run(&Scenario {
            returning,
            patience: Duration::from_secs(6),
            ..flood(1_000.0, times)
        });
        let flat = goodput(&outcome, 1_000.0);
        assert!(
            flat >= 0.95,
            "{flat} at {times} times, {returning} come back"
        );
    }
}

#[test]
fn nobody_who_comes_back_as_told_is_overtaken_by_more_than_a_cohort() {
    for times in [5.0, 10.0] {
        let outcome = run(&Scenario {
            lanes: 1,
            ..flood(150.0, times)
        });
        let served: u64 = outcome.served.iter().sum();
        let share = outcome.overtaken as f64 / served as f64;
        assert!(
            share <= 0.01,
            "{} of {served} at {times} times",
            outcome.overtaken
        );
    }
}

#[test]
fn an_opening_goes_as_fast_as_the_windows_allow_at_once() {
    let outcome = run(&Scenario {
        early: 2_000,
        ..flood(10_000.0, 0.05)
    });
    assert!(outcome.wait(0.5) < 0.5, "{}", outcome.wait(0.5));
    assert!(outcome.wait(0.99) < 1.2, "{}", outcome.wait(0.99));
    let outcome = run(&Scenario {
        early: 20_000,
        ..flood(10_000.0, 0.05)
    });
    assert!(outcome.wait(1.0) < 2.5, "{}", outcome.wait(1.0));
}

#[test]
fn a_million_who_wait_are_served_in_hardly_more_than_the_time_it_takes() {
    let outcome = run(&Scenario {
        seconds: 12,
        gateways: 20,
        lanes: 8,
        early: 1_000_000,
        ..flood(100_000.0, 0.05)
    });
    assert!(outcome.wait(0.99) < 10.5, "{}", outcome.wait(0.99));
}

#[test]
fn what_waits_during_a_stall_is_served_after_it_in_order_and_the_queue_ends() {
    let outcome = run(&Scenario {
        seconds: 40,
        capacity: Box::new(|now| {
            if (10.0..15.0).contains(&now) {
                100.0
            } else {
                1_000.0
            }
        }),
        arrivals: Box::new(|_| 800.0),
        ..flood(1_000.0, 1.0)
    });
    let again = outcome.goodput(17..25, 1_000.0);
    assert!(again >= 0.95, "{again} from two seconds after the stall on");
    let ended = outcome.goodput(36..40, 800.0);
    assert!((0.9..1.1).contains(&ended), "{ended}: the queue is over");
}

#[test]
fn a_gateway_that_is_started_anew_is_not_noticed() {
    let outcome = run(&Scenario {
        gateway_restarts_at: Some(8.0),
        ..flood(1_000.0, 1.5)
    });
    let flat = outcome.goodput(8..15, 1_000.0);
    assert!(flat >= 0.95, "{flat}");
}

#[test]
fn no_permit_is_idle_while_somebody_waits() {
    let outcome = run(&Scenario {
        lanes: 1,
        ..flood(1_000.0, 3.0)
    });
    // Little's law: as many are in flight as are served each second, times what a call takes.
    let in_flight = 1_000.0 * 0.1 * 15.0;
    let idle = outcome.idle_permit_seconds;
    assert!(idle < 0.1 * in_flight, "{idle} permit-seconds");
}

#[test]
fn whoever_is_served_waits_about_a_tenth_of_a_second_at_issuance() {
    let flight = run(&flood(1_000.0, 3.0)).flight(SETTLED_FROM..15);
    assert!((0.08..0.2).contains(&flight), "{flight} s");
}

#[test]
fn where_issuance_becomes_slower_its_queue_is_short_again_after_two_seconds() {
    let outcome = run(&Scenario {
        capacity: Box::new(|now| if now < 8.0 { 2_000.0 } else { 500.0 }),
        arrivals: Box::new(|_| 4_000.0),
        ..flood(2_000.0, 2.0)
    });
    let flight = outcome.flight(10..15);
    assert!(flight < 0.15, "{flight} s");
    let flat = outcome.goodput(8..15, 500.0);
    assert!(flat >= 0.95, "{flat}");
}

#[test]
fn a_hiccup_of_issuance_sends_nobody_to_the_queue() {
    let outcome = run(&Scenario {
        capacity: Box::new(|now| if now % 2.0 < 0.15 { 0.0 } else { 1_000.0 }),
        arrivals: Box::new(|_| 700.0),
        ..flood(1_000.0, 0.7)
    });
    assert_eq!(outcome.waits.len(), 0);
}

#[test]
fn those_who_wait_are_there_within_seconds_when_turns_come_sooner_than_thought() {
    let outcome = run(&Scenario {
        seconds: 30,
        capacity: Box::new(|now| if now < 10.0 { 20.0 } else { 1_000.0 }),
        arrivals: Box::new(|now| if now < 4.0 { 250.0 } else { 0.0 }),
        ..flood(1_000.0, 1.0)
    });
    let late: u64 = outcome.served[16..].iter().sum();
    assert_eq!(late, 0);
}

#[test]
fn nobody_is_told_to_stay_away_for_more_than_two_minutes() {
    let outcome = run(&Scenario {
        gateways: 1,
        arrivals: Box::new(|now| if now < 2.0 { 20_000.0 } else { 0.0 }),
        ..flood(20.0, 1.0)
    });
    assert!(outcome.longest_away <= 121.0, "{} s", outcome.longest_away);
}

#[test]
fn a_run_is_decided_by_its_seed() {
    let outcome = |seed| {
        let scenario = Scenario {
            seed,
            seconds: 6,
            ..flood(150.0, 5.0)
        };
        let outcome = run(&scenario);
        (outcome.served, outcome.asks)
    };
    assert_eq!(outcome(3), outcome(3));
    assert_ne!(outcome(3), outcome(4));
}
