use proptest::prelude::*;

use super::{law::call, *};

const NOW: u64 = 1_770_000_000;
const HALF: u32 = 1 << 31;

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + time::Duration::milliseconds(NOW as i64 * 1_000 + milliseconds)
}

fn cohort(number: u64) -> Cohort {
    Cohort::new(number).unwrap()
}

fn turn(number: u64, draw: u32) -> Turn {
    Turn {
        cohort: cohort(number),
        draw,
    }
}

fn campaign() -> QueueCampaign {
    QueueCampaign {
        number: CampaignNumber::new(7u32).unwrap(),
        opens_at: at(-60_000),
        closes_at: at(3_600_000),
        issuance: IssuanceControl::Open,
        free: 1_000_000,
        leased: 0,
    }
}

/// A gateway at which calls of one cohort are held, and which can take so many.
fn holding(number: u64, held: u64, can_take: f64) -> QueueReport {
    QueueReport {
        campaign: campaign().number,
        wants_queue: false,
        can_take,
        served_per_second: 0.0,
        able_per_second: 0.0,
        at_door: 0,
        watermark: Turn::FIRST,
        due_soon: 0,
        waiting: vec![CohortWaiting {
            cohort: cohort(number),
            held,
            promised: 0,
            promised_soon: 0,
        }],
        promises_ended: 0,
        promises_kept: 0,
    }
}

fn advance(queue: &mut Queue, report: QueueReport, milliseconds: i64) {
    let delta = Promises::default();
    queue.advance(&[report], delta, &campaign(), at(milliseconds));
}

#[test]
fn turns_are_called_for_what_is_missing_beside_those_who_come() {
    let here = QueueReport {
        at_door: 20,
        due_soon: 10,
        ..holding(NOW, 140, 100.0)
    };
    let called = call(std::slice::from_ref(&here), Turn::FIRST, 1.0, cohort(NOW));
    assert_eq!(called.watermark, turn(NOW, HALF));
    assert!(!called.is_all);
    // Enough are there.
    let full = QueueReport {
        at_door: 90,
        ..here
    };
    let called = call(&[full], Turn::FIRST, 1.0, cohort(NOW));
    assert_eq!(called.watermark, Turn::FIRST);
}

#[test]
fn turns_at_the_door_of_one_gateway_do_not_fill_the_permits_of_another() {
    let crowded = QueueReport {
        at_door: 500,
        ..holding(NOW, 0, 20.0)
    };
    let called = call(
        &[crowded, holding(NOW, 140, 70.0)],
        Turn::FIRST,
        1.0,
        cohort(NOW),
    );
    assert_eq!(called.watermark, turn(NOW, HALF));
}

#[test]
fn held_ones_count_fully_and_promises_by_the_share_that_is_kept() {
    let mut here = holding(NOW, 10, 30.0);
    here.due_soon = 20;
    here.waiting[0].promised = 100;
    here.waiting[0].promised_soon = 60;
    let reports = [here];
    let waiting = law::waiting(&reports, Turn::FIRST, 0.5);
    assert_eq!(
        (waiting[&cohort(NOW)].all, waiting[&cohort(NOW)].soon),
        (110.0, 40.0)
    );
    // Ten of those who were called come, so twenty of the forty are missing.
    let called = call(&reports, Turn::FIRST, 0.5, cohort(NOW));
    assert_eq!(called.watermark, turn(NOW, HALF));
}

#[test]
fn what_was_counted_before_the_watermark_was_heard_of_is_corrected_for() {
    let watermark = turn(NOW, 3 * (1 << 30));
    let unheard = holding(NOW, 100, 75.0);
    let waiting = law::waiting(std::slice::from_ref(&unheard), watermark, 1.0);
    assert_eq!(waiting[&cohort(NOW)].all, 25.0);
    // The 75 who were called are on their way and are all that can be taken.
    let called = call(&[unheard], watermark, 1.0, cohort(NOW));
    assert_eq!(called.watermark, watermark);
    // Once it is applied, those who are left are called, although most of the cohort is served.
    let applied = QueueReport {
        watermark,
        ..holding(NOW, 24, 12.0)
    };
    let called = call(&[applied], watermark, 1.0, cohort(NOW));
    assert_eq!(called.watermark, turn(NOW, 7 * (1 << 29)));
}

#[test]
fn a_queue_ends_when_everybody_is_called_and_begins_behind_them() {
    let mut queue = Queue::default();
    advance(&mut queue, holding(NOW, 10, 0.0), 0);
    advance(&mut queue, holding(NOW, 10, 11.0), 200);
    assert!(!queue.is_queueing);
    assert_eq!(queue.watermark, Turn::first_of(cohort(NOW + 1)));
    // Whoever joins later in the same second joins the next one's cohort.
    advance(&mut queue, holding(NOW + 1, 5, 0.0), 400);
    assert!(queue.is_queueing);
    assert_eq!(queue.watermark, Turn::first_of(cohort(NOW + 1)));
}

#[test]
fn a_cohort_that_is_still_to_come_is_not_used_up() {
    let mut queue = Queue::default();
    for step in 0..5 {
        advance(&mut queue, holding(NOW + 1, 5, 100.0), 100 * step);
        assert!(queue.watermark < Turn::first_of(cohort(NOW + 2)));
    }
}

#[test]
fn serving_time_stands_still_while_nobody_is_served() {
    let mut queue = Queue::default();
    let mut pass = |at_door, served_per_second, campaign: &QueueCampaign, from_ms: i64| {
        let report = QueueReport {
            at_door,
            served_per_second,
            ..holding(NOW, 9, 0.0)
        };
        for step in 1..=50 {
            let now = at(from_ms + 200 * step);
            queue.advance(
                std::slice::from_ref(&report),
                Promises::default(),
                campaign,
                now,
            );
        }
        queue.serving_second(at(from_ms + 10_000))
    };
    let served = pass(1, 50.0, &campaign(), 0);
    let held = QueueCampaign {
        issuance: IssuanceControl::QueueOnly,
        ..campaign()
    };
    assert_eq!(pass(1, 50.0, &held, 10_000), served);
    // Turns wait at a door, and issuance answers none of them.
    assert_eq!(pass(1, 0.0, &campaign(), 20_000), served);
    assert_eq!(pass(0, 0.0, &campaign(), 30_000), served + 10);
}

#[test]
fn of_promises_the_latest_weigh_most_and_little_news_says_little() {
    let mut promises = Promises::default();
    assert_eq!(promises.share_kept(), 1.0);
    let count = |promises: &mut Promises, ended, kept, seconds| {
        let delta = Promises { ended, kept };
        promises.count(delta, Duration::from_secs(seconds));
        promises.share_kept()
    };
    assert!(count(&mut promises, 1.0, 0.0, 1) > 0.8);
    let gone = count(&mut promises, 1_000.0, 0.0, 1);
    assert_eq!(gone, LEAST_SHARE_KEPT);
    assert!(count(&mut promises, 0.0, 0.0, 5) > 0.9);
}

proptest! {
    #[test]
    fn the_watermark_never_goes_back(
        steps in prop::collection::vec(
            (0u64..9, 0u64..200, 0.0..300.0, 0u64..50, any::<bool>(), -900i64..900),
            1..60,
        ),
    ) {
        let mut queue = Queue::default();
        let mut now_ms = 0;
        for (age, held, can_take, at_door, wants_queue, elapsed_ms) in steps {
            now_ms += elapsed_ms;
            let before = queue.clone();
            let first = queue.current_cohort(at(now_ms)).get() - age;
            let report = QueueReport { wants_queue, at_door, ..holding(first, held, can_take) };
            advance(&mut queue, report, now_ms);
            prop_assert!(queue.watermark >= before.watermark);
            prop_assert!(queue.current_cohort(at(now_ms)) >= before.clock.cohort());
        }
    }
}
