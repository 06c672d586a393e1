use tidegate_types::Timestamp;

use super::*;

const USABLE: HeldCoupons = HeldCoupons {
    usable: true,
    valid_until: None,
};

fn noon() -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(1_770_379_200)
}

fn said(refusal: &Refusal) -> Words {
    say(refusal, Some(Duration::from_millis(1_200)))
}

/// The situations in which a reason is told in other words than usual.
fn situations(reason: Reason) -> Vec<Refusal> {
    let plain = Refusal::never(reason);
    let held = [
        HeldCoupons {
            usable: false,
            valid_until: None,
        },
        HeldCoupons {
            usable: true,
            valid_until: Some(noon()),
        },
    ];
    let mut situations = vec![plain.clone()];
    situations.extend(held.map(|held| plain.clone().with_held_coupons(held)));
    for (key, value) in [
        ("opens_at", "2026-02-06T12:00:00Z"),
        ("resume_at", "2026-02-06T12:00:00Z"),
        ("next_slot_at", "2026-02-06T12:00:00Z"),
        ("detail", QUEUE_IS_LONGER_THAN_STOCK),
        ("detail", TIER_IS_GONE),
        ("state", "ACCEPTED"),
        ("ticket_kept", "true"),
    ] {
        situations.push(plain.clone().with(key, value));
    }
    situations
}

fn check(words: &Words) {
    assert!(
        words.zh.chars().count() > 5 && words.en.len() > 5,
        "{words:?}"
    );
    assert!(words.en.is_ascii() && !words.zh.is_ascii(), "{words:?}");
    assert!(
        words.zh.ends_with('。') && words.en.ends_with('.'),
        "{words:?}"
    );
    // Nothing of a machine's writing reaches a shopper.
    let machine = [
        "T12:00",
        "{",
        "}",
        "None",
        "Some(",
        "queue_is_longer",
        "tier_is",
    ];
    for text in [&words.zh, &words.en] {
        assert!(machine.iter().all(|mark| !text.contains(mark)), "{text}");
    }
}

#[test]
fn every_reason_is_said_whole_in_both_languages_in_every_situation() {
    for reason in Reason::ALL {
        for refusal in situations(*reason) {
            if matches!(
                reason,
                Reason::Unauthenticated | Reason::PermissionDenied | Reason::Misconfigured
            ) {
                // These are for those who set callers up, and quote the detail.
                continue;
            }
            check(&said(&refusal));
        }
    }
}

#[test]
fn who_gets_none_hears_what_still_works_and_until_when() {
    for reason in [
        Reason::BudgetExhausted,
        Reason::CampaignClosed,
        Reason::IssuanceHalted,
    ] {
        let plain = said(&Refusal::never(reason));
        assert!(
            plain.en.contains("still work until they expire"),
            "{plain:?}"
        );
        let extended = HeldCoupons {
            valid_until: Some(noon()),
            ..USABLE
        };
        let words = said(&Refusal::never(reason).with_held_coupons(extended));
        assert!(
            words.en.contains("at least until 12:00 UTC on 2026-02-06"),
            "{words:?}"
        );
        assert!(words.zh.contains("20:00"), "{words:?}");
        let unusable = HeldCoupons {
            usable: false,
            ..extended
        };
        let words = said(&Refusal::never(reason).with_held_coupons(unusable));
        assert!(!words.en.contains("still work"), "{words:?}");
        assert!(words.en.contains("stay yours"), "{words:?}");
    }
}

#[test]
fn a_place_behind_the_stock_is_not_told_that_every_coupon_has_been_given_out() {
    let behind = Refusal::never(Reason::BudgetExhausted).with("detail", QUEUE_IS_LONGER_THAN_STOCK);
    let words = said(&behind);
    assert!(!words.en.contains("have been given out"), "{words:?}");
    // Some of those ahead may not come.
    assert!(words.en.contains("very probably"), "{words:?}");
    assert!(words.zh.contains("很可能"), "{words:?}");
    assert!(!words.en.contains("your place"), "no place was given");
    let kept = said(&behind.with("ticket_kept", true));
    assert!(
        kept.en.contains("your place in the queue counts again"),
        "{kept:?}"
    );
}

#[test]
fn a_tier_that_is_gone_is_not_told_as_the_end_of_the_giveaway() {
    let words = said(&Refusal::never(Reason::BudgetExhausted).with("detail", TIER_IS_GONE));
    assert!(words.en.contains("of the kind you asked for"), "{words:?}");
    assert!(words.en.contains("may still be others"), "{words:?}");
    assert!(words.zh.contains("其他优惠券可能还有"), "{words:?}");
    assert!(!words.en.contains("All coupons of this giveaway"));
}

#[test]
fn who_waits_for_stock_to_come_back_is_not_told_that_the_claim_is_about_to_be_served() {
    let words = Waiting::ForStock.words(Duration::from_secs(1), USABLE);
    assert!(words.en.contains("a few may come back"), "{words:?}");
    assert!(words.zh.contains("可能还有少量返还"), "{words:?}");
    assert!(!words.en.contains("about to be served"), "{words:?}");
}

#[test]
fn who_asks_too_often_hears_of_that_and_not_of_a_crowd() {
    let refusal = Refusal::never(Reason::Overloaded).with("detail", ASKED_TOO_OFTEN);
    let words = said(&refusal);
    check(&words);
    assert!(words.en.contains("asked too often"), "{words:?}");
    assert!(words.zh.contains("过于频繁"), "{words:?}");
}

#[test]
fn a_kept_place_is_promised_only_to_who_has_one() {
    let halted = Refusal::never(Reason::IssuanceHalted);
    assert!(!said(&halted).en.contains("place"));
    assert!(
        said(&halted.with("ticket_kept", true))
            .en
            .contains("place in the queue is kept")
    );
}

#[test]
fn every_way_of_waiting_is_said_whole_in_both_languages() {
    let second = Duration::from_secs(1);
    let ways = [
        Waiting::ForOpening { opens_at: noon() },
        Waiting::ForOthers {
            position: 7,
            wait: Some((second, 20 * second)),
        },
        Waiting::ForOthers {
            position: 7,
            wait: None,
        },
        Waiting::ForStaff {
            position: 7,
            resume_at: Some(noon()),
        },
        Waiting::ForStaff {
            position: 7,
            resume_at: None,
        },
        Waiting::ForServing,
        Waiting::ForStock,
    ];
    for way in ways {
        for usable in [true, false] {
            let held = HeldCoupons { usable, ..USABLE };
            let words = way.words(second, held);
            check(&words);
            if matches!(way, Waiting::ForOthers { .. } | Waiting::ForStaff { .. }) {
                assert!(words.en.contains("position 7") && words.zh.contains("第 7 位"));
            }
            assert!(!usable || !words.en.contains("cannot be used"), "{words:?}");
        }
    }
}

#[test]
fn nobody_is_told_an_estimate_that_is_not_known() {
    let unknown = Waiting::ForOthers {
        position: 7,
        wait: None,
    };
    let words = unknown.words(Duration::from_secs(1), USABLE);
    assert!(words.en.contains("not known yet") && words.zh.contains("暂时无法估计"));
}
