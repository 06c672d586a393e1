use super::*;

const MS: Duration = Duration::from_millis(1);

/// Claims served of a crowd that always wants more, from one moment to another.
fn served(pace: &mut OrderPace, from: Instant, time: Duration) -> u32 {
    let mut served = 0;
    for ms in 0..time.as_millis() as u32 {
        while pace.may_serve(from + ms * MS) && served < 1_000_000 {
            pace.serve();
            served += 1;
        }
    }
    served
}

/// So many orders a second are made, and as many coupons issued for each, for 20 s.
fn made(pace: &mut OrderPace, per_second: u32, claims_each: u32, from: Instant) -> Instant {
    let mut now = from;
    for _ in 0..per_second * 20 {
        now += Duration::from_secs(1) / per_second;
        pace.order_asked(now);
        pace.order_made(now);
        (0..claims_each).for_each(|_| pace.coupon_issued(now));
    }
    now
}

/// Orders have to wait for so long, until it was looked at.
fn stood(pace: &mut OrderPace, wait: Duration, from: Instant) -> Instant {
    pace.within(MS, from + LOOK_EVERY);
    pace.orders_wait(wait, wait, from + LOOK_EVERY);
    pace.within(MS, from + 2 * LOOK_EVERY);
    from + 2 * LOOK_EVERY
}

fn is_near(pace: &OrderPace, per_second: f64) -> bool {
    (pace.per_second() / per_second - 1.0).abs() < 0.05
}

/// The share of the rate of orders that claims have while orders wait for so long.
fn share(wait: Duration) -> f64 {
    1.0 / (1.0 + wait.div_duration_f64(CATCH_UP))
}

/// What is left of a rate of late after so long without anything.
fn faded(time: Duration) -> f64 {
    (-time.div_duration_f64(LATELY)).exp()
}

#[test]
fn as_many_claims_follow_as_orders_are_made_less_what_catches_up() {
    let began = Instant::now();
    let mut pace = OrderPace::unlimited(began);
    assert!(pace.within(MS, began).is_infinite() && pace.may_serve(began));
    let now = made(&mut pace, 1_000, 1, began);
    let now = stood(&mut pace, TARGET_DELAY, now);
    assert!(pace.may_serve(now), "nothing had to wait for long");
    let now = stood(&mut pace, 500 * MS, now);
    let lately = 1_000.0 * faded(4 * LOOK_EVERY);
    assert!(is_near(&pace, lately * share(500 * MS)), "{pace:?}");
    let at_once = pace.within(Duration::ZERO, now);
    let served = f64::from(served(&mut pace, now, LOOK_EVERY)) - at_once;
    let expected = lately * share(500 * MS) * LOOK_EVERY.as_secs_f64();
    assert!((served / expected - 1.0).abs() < 0.05, "{served}");
}

#[test]
fn what_is_found_counts_until_claims_of_then_have_led_to_orders() {
    let mut pace = OrderPace::unlimited(Instant::now());
    let now = made(&mut pace, 1_000, 1, Instant::now());
    let now = stood(&mut pace, 500 * MS, now);
    let found = pace.per_second();
    let now = stood(&mut pace, 2_000 * MS, now);
    assert!(pace.per_second() >= found, "{pace:?}");
    let now = now + 2 * LOOK_EVERY;
    stood(&mut pace, 2_000 * MS, now);
    let lately = 1_000.0 * faded(8 * LOOK_EVERY);
    assert!(is_near(&pace, lately * share(2_000 * MS)), "{pace:?}");
}

#[test]
fn where_only_some_claims_lead_to_an_order_so_many_more_are_served() {
    let mut pace = OrderPace::unlimited(Instant::now());
    let now = made(&mut pace, 250, 4, Instant::now());
    stood(&mut pace, 500 * MS, now);
    let claims_each = pace.per_second() / (250.0 * faded(2 * LOOK_EVERY) * share(500 * MS));
    assert!((3.7..=4.0).contains(&claims_each), "{claims_each}");
}

#[test]
fn orders_that_still_wait_make_no_room_for_more_claims() {
    let began = Instant::now();
    let mut pace = OrderPace::unlimited(began);
    let mut now = began;
    for number in 0..20_000 {
        now += MS;
        pace.coupon_issued(now);
        pace.order_asked(now);
        if number % 2 == 0 {
            pace.order_made(now);
        }
    }
    stood(&mut pace, 500 * MS, now);
    let made = 500.0 * faded(2 * LOOK_EVERY);
    assert!(is_near(&pace, made * share(500 * MS)), "{pace:?}");
}

#[test]
fn gateways_that_serve_unlike_many_claims_come_to_one_pace() {
    let paces = [4, 1].map(|claims_each| {
        let mut pace = OrderPace::unlimited(Instant::now());
        let now = made(&mut pace, 500, claims_each, Instant::now());
        pace.claims_lead(2.5, now + 2 * LOOK_EVERY);
        stood(&mut pace, 500 * MS, now);
        pace.per_second()
    });
    assert!((paces[0] / paces[1] - 1.0).abs() < 0.01, "{paces:?}");
    assert!(
        paces[0] > 2.0 * 500.0 * share(500 * MS) * faded(2 * LOOK_EVERY),
        "{paces:?}"
    );
}

#[test]
fn that_fewer_claims_lead_to_orders_than_before_is_learned_within_a_minute_and_not_at_once() {
    let mut pace = OrderPace::unlimited(Instant::now());
    let mut now = made(&mut pace, 1_000, 1, Instant::now());
    for _ in 0..3 {
        now = made(&mut pace, 250, 4, now);
    }
    stood(&mut pace, 500 * MS, now);
    let of_orders = 250.0 * faded(2 * LOOK_EVERY) * share(500 * MS);
    let claims_each = pace.per_second() / of_orders;
    assert!((3.0..3.7).contains(&claims_each), "{claims_each}");
}

#[test]
fn the_rate_of_orders_is_known_from_their_first_moments_on() {
    let began = Instant::now();
    let mut pace = OrderPace::unlimited(began);
    let mut now = began;
    for _ in 0..500 {
        now += MS;
        pace.order_made(now);
        pace.orders_wait(500 * MS, 500 * MS, now);
    }
    assert!(is_near(&pace, 1_000.0 * share(500 * MS)), "{pace:?}");
}

#[test]
fn a_rate_of_orders_after_a_pause_does_not_count_the_pause() {
    let began = Instant::now();
    let mut pace = OrderPace::unlimited(began);
    pace.order_made(began);
    let mut now = began + Duration::from_secs(10);
    for _ in 0..500 {
        now += MS;
        pace.order_made(now);
        pace.orders_wait(500 * MS, 500 * MS, now);
    }
    assert!(is_near(&pace, 1_000.0 * share(500 * MS)), "{pace:?}");
    assert!(pace.proven < 1.0, "half a second proves nothing");
}

#[test]
fn once_no_queue_stands_a_pace_that_is_used_grows_each_second() {
    let mut pace = OrderPace::unlimited(Instant::now());
    let now = made(&mut pace, 1_000, 1, Instant::now());
    let mut now = stood(&mut pace, 500 * MS, now);
    let found = pace.per_second();
    for _ in 0..10_000 {
        now += MS;
        pace.coupon_issued(now);
    }
    let grown = found * GROWTH_PER_SECOND.powi(10);
    assert!(
        pace.per_second() > 1_500.0 && pace.per_second() < grown,
        "{pace:?}"
    );
    // What nobody uses is not saved up, and does not grow.
    let unused = pace.per_second();
    assert!(pace.within(Duration::ZERO, now + 10_000 * MS) < unused * 0.3);
    assert_eq!(pace.per_second(), unused);
    pace.within(MS, now + MEMORY);
    assert!(
        pace.per_second().is_infinite(),
        "what was found is forgotten"
    );
}

#[test]
fn a_pace_that_holds_claims_back_is_given_up_step_by_step() {
    let mut pace = OrderPace::unlimited(Instant::now());
    let now = made(&mut pace, 1_000, 1, Instant::now());
    let mut now = stood(&mut pace, 200 * MS, now);
    let found = pace.per_second();
    for _ in 0..40 {
        let before = pace.per_second();
        for _ in 0..1_000 {
            now += MS;
            while pace.may_serve(now) {
                assert!(pace.per_second().is_finite(), "{pace:?}");
                pace.serve();
                pace.coupon_issued(now);
            }
        }
        let step = pace.per_second() / before;
        assert!(step < 1.3, "{step} within a second: {pace:?}");
    }
    let grown = pace.per_second() / found;
    assert!(
        grown > 5.0,
        "{grown} after {MEMORY:?} in which no order waited"
    );
}

#[test]
fn what_orders_have_shown_is_found_again_three_times_as_fast() {
    let mut pace = OrderPace::unlimited(Instant::now());
    let now = made(&mut pace, 1_000, 1, Instant::now());
    let mut now = stood(&mut pace, 20_000 * MS, now);
    let found = pace.per_second();
    assert!(found < 100.0, "{pace:?}");
    for _ in 0..200 {
        now += 5 * MS;
        pace.coupon_issued(now);
    }
    let grown = pace.per_second() / found;
    let expected = GROWTH_PER_SECOND.powi(3);
    assert!(
        (expected * 0.8..expected * 1.05).contains(&grown),
        "{grown}"
    );
}

#[test]
fn a_pace_goes_no_more_than_a_quarter_beyond_what_orders_have_shown() {
    let mut pace = OrderPace::unlimited(Instant::now());
    let now = made(&mut pace, 1_000, 1, Instant::now());
    let now = stood(&mut pace, 500 * MS, now);
    let now = made(&mut pace, 1_000, 1, now);
    assert!(is_near(&pace, 1_250.0), "{pace:?}");
    made(&mut pace, 1_200, 1, now);
    assert!(pace.per_second() > 1_400.0, "{pace:?}");
}

#[test]
fn orders_that_catch_up_do_not_prove_how_many_can_be_made_beside_claims() {
    let mut pace = OrderPace::unlimited(Instant::now());
    let mut now = made(&mut pace, 1_000, 1, Instant::now());
    for _ in 0..10_000 {
        now += MS;
        (0..3).for_each(|_| pace.order_made(now));
    }
    stood(&mut pace, 20_000 * MS, now);
    assert!(pace.proven < 1_050.0, "{pace:?}");
    let now = made(&mut pace, 1_000, 1, now);
    assert!(is_near(&pace, 1_250.0), "{pace:?} at {now:?}");
}

#[test]
fn after_an_outage_claims_go_on_at_half_the_pace_of_before() {
    let mut pace = OrderPace::unlimited(Instant::now());
    let mut now = made(&mut pace, 1_000, 1, Instant::now());
    for _ in 0..12 {
        now = stood(&mut pace, 5_000 * MS, now);
    }
    assert!(pace.per_second() < 70.0, "no order is made for 6 s");
    pace.within(MS, now + LOOK_EVERY);
    assert!(pace.per_second() < 75.0, "nothing is known yet");
    pace.orders_wait(5_000 * MS, Duration::ZERO, now + LOOK_EVERY);
    pace.within(MS, now + 2 * LOOK_EVERY);
    let half = 500.0 * (-(26 * LOOK_EVERY).div_duration_f64(MEMORY)).exp();
    assert!(
        (half * 0.95..half * 1.3).contains(&pace.per_second()),
        "{pace:?}"
    );
}

#[test]
fn claims_go_on_though_no_order_is_made() {
    let mut pace = OrderPace::unlimited(Instant::now());
    let now = stood(&mut pace, 5_000 * MS, Instant::now());
    let served = served(&mut pace, now, 900 * MS);
    assert!((50..=75).contains(&served), "{served}");
}

/// Orders take so long, some of them and then others, until it was looked at.
fn took(pace: &mut OrderPace, times: [Duration; 2], from: Instant) {
    pace.within(MS, from + LOOK_EVERY);
    for time in times {
        pace.orders_take(time, from + LOOK_EVERY);
    }
    pace.within(MS, from + 2 * LOOK_EVERY);
}

#[test]
fn where_all_orders_take_long_claims_go_no_more_than_a_quarter_faster() {
    let mut pace = OrderPace::unlimited(Instant::now());
    let now = made(&mut pace, 1_000, 1, Instant::now());
    took(&mut pace, [5 * SLOW, SLOW], now);
    assert!(pace.per_second().is_infinite(), "one was in time");
    took(&mut pace, [5 * SLOW, SLOW + MS], now + 2 * LOOK_EVERY);
    assert!(is_near(&pace, 1_250.0 * faded(4 * LOOK_EVERY)), "{pace:?}");
    pace.within(MS, now + 4 * LOOK_EVERY + MEMORY + MS);
    pace.within(MS, now + 5 * LOOK_EVERY + MEMORY + MS);
    assert!(pace.per_second().is_infinite(), "it is forgotten again");
}

#[test]
fn orders_that_take_long_while_few_are_made_leave_claims_their_least() {
    let mut pace = OrderPace::unlimited(Instant::now());
    let now = made(&mut pace, 10, 1, Instant::now());
    took(&mut pace, [5 * SLOW, 5 * SLOW], now);
    assert_eq!(pace.per_second(), FIRST_WINDOW);
}

#[test]
fn coupons_of_this_moment_do_not_count_as_leading_to_no_order() {
    let mut pace = OrderPace::unlimited(Instant::now());
    let now = made(&mut pace, 1_000, 1, Instant::now());
    (0..8_000).for_each(|_| pace.coupon_issued(now));
    stood(&mut pace, 500 * MS, now);
    let lately = 1_000.0 * faded(2 * LOOK_EVERY);
    let claims_each = pace.per_second() / (lately * share(500 * MS));
    assert!((0.95..1.2).contains(&claims_each), "{claims_each}");
}
