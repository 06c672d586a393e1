use tidegate_proto::gateway::v1::QueuedClaim;

use super::*;
use crate::queue_wait::Asked;

const OPENING: Duration = Duration::from_secs(5);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn asked(at: u64) -> Asked {
    Asked {
        at: ms(at),
        told_at: ms(at + 20),
    }
}

/// Joined, was told to wait until the last question, and served in the end.
fn wait(joined: u64, last_asked: u64, ended: u64) -> QueueWait {
    let told = |position| QueuedClaim {
        position: Some(position),
        longest_wait: ms(3_000).try_into().ok(),
        ..QueuedClaim::default()
    };
    let mut wait = QueueWait::new(asked(joined), &told(9), InQueue::Polls);
    wait.told_again(asked(last_asked), &told(4));
    wait.end(ms(ended), true);
    wait
}

fn service(joined: u64, told: u64) -> ToldService {
    ToldService {
        joined_after: ms(joined),
        told_at: ms(told),
    }
}

fn order(wait: QueueWait, services: &[ToldService]) -> Finding {
    let told = Told {
        waits: vec![wait],
        services: services.to_vec(),
        ..Told::default()
    };
    order_of_service(&told, OPENING)
}

fn overtaken(wait: QueueWait, services: &[ToldService]) -> Option<i64> {
    order(wait, services).count("wrong_shoppers_overtaken")
}

#[test]
fn who_is_told_to_wait_after_a_later_one_was_served_is_overtaken() {
    let later = [service(14_000, 15_000)];
    assert_eq!(overtaken(wait(10_000, 17_000, 18_000), &later), Some(1));
    // The one served last is not the one who joined last.
    let more = [service(14_000, 15_000), service(7_000, 15_500)];
    assert_eq!(overtaken(wait(10_000, 17_000, 18_000), &more), Some(1));
}

#[test]
fn who_waits_for_the_last_coupons_to_come_back_is_told_apart() {
    let later = [service(14_000, 15_000)];
    let mut waited = wait(10_000, 17_000, 18_000);
    waited.was_for_stock = true;
    let found = order(waited, &later);
    assert_eq!(found.count("wrong_shoppers_overtaken"), Some(0));
    assert_eq!(found.count("waited_for_stock_after_later_ones"), Some(1));
}

#[test]
fn who_comes_late_to_a_turn_that_is_kept_is_not_overtaken() {
    let later = [service(14_000, 15_000)];
    assert_eq!(overtaken(wait(10_000, 14_500, 30_000), &later), Some(0));
    // Nor is one who was told to wait before that gateway can have heard.
    assert_eq!(overtaken(wait(10_000, 15_900, 18_000), &later), Some(0));
}

#[test]
fn those_of_one_second_and_those_before_the_opening_have_no_order_among_them() {
    let same = [service(11_000, 15_000)];
    assert_eq!(overtaken(wait(10_000, 17_000, 18_000), &same), Some(0));
    let early = [service(6_500, 7_500)];
    assert_eq!(overtaken(wait(1_000, 9_000, 10_000), &early), Some(0));
    let after = [service(8_000, 8_500)];
    assert_eq!(overtaken(wait(1_000, 10_000, 11_000), &after), Some(1));
}

#[test]
fn who_does_not_do_as_told_may_be_overtaken_but_no_position_may_grow() {
    let mut bot = wait(10_000, 17_000, 18_000);
    bot.kind = InQueue::Storms;
    bot.grown = 1;
    let finding = order(bot, &[service(14_000, 15_000)]);
    let counts = [
        "wrong_shoppers_overtaken",
        "wrong_shoppers_whose_position_grew",
    ];
    assert_eq!(counts.map(|name| finding.count(name)), [Some(0), Some(1)]);
}

#[test]
fn one_estimate_in_ten_may_be_broken_and_no_more() {
    let waits = |kept: usize, broken: usize| Told {
        waits: [
            vec![wait(10_000, 11_000, 12_000); kept],
            vec![wait(10_000, 11_000, 14_000); broken],
        ]
        .concat(),
        ..Told::default()
    };
    let finding = words_and_estimates(&waits(18, 2));
    assert_eq!(finding.count("estimates_kept_percent"), Some(90));
    assert!(finding.holds());
    let finding = words_and_estimates(&waits(17, 3));
    let broken = finding.count("wrong_estimates_broken_beyond_one_in_ten");
    assert_eq!(broken, Some(1));
}

#[test]
fn an_answer_that_lacks_something_breaks_the_promise() {
    let mut told = Told::default();
    assert!(words_and_estimates(&told).holds());
    told.answers.add("wrong_refusals_without_both_languages", 2);
    assert!(!words_and_estimates(&told).holds());
}

#[test]
fn nobody_who_asks_is_told_to_wait_for_a_coupon_that_is_gone() {
    let told = Told {
        waits: vec![wait(10_000, 24_000, 44_000), wait(10_000, 26_000, 26_500)],
        ..Told::default()
    };
    let wrong = |sold_out_at| {
        let finding = left_waiting(&told, sold_out_at);
        finding.count("wrong_shoppers_left_waiting")
    };
    assert_eq!(wrong(Some(ms(20_000))), Some(1));
    assert_eq!(wrong(Some(ms(22_000))), Some(0));
    assert_eq!(wrong(None), Some(0));
}

#[test]
fn who_is_served_after_a_later_one_is_counted_even_if_never_told_to_wait_again() {
    let told = |kind, last_asked, ended| {
        let mut wait = wait(10_000, last_asked, ended);
        wait.kind = kind;
        let finding = order(wait, &[service(14_000, 15_000)]);
        let counts = [
            "wrong_shoppers_overtaken",
            "shoppers_served_after_later_ones",
            "watchers_served_after_later_ones",
        ];
        counts.map(|name| finding.count(name).unwrap_or(-1))
    };
    assert_eq!(told(InQueue::Polls, 10_500, 30_000), [0, 1, 0]);
    assert_eq!(told(InQueue::Watches, 10_500, 30_000), [0, 1, 1]);
    assert_eq!(told(InQueue::Polls, 10_500, 14_900), [0, 0, 0]);
    assert_eq!(told(InQueue::Storms, 10_500, 30_000), [0, 0, 0]);
}
