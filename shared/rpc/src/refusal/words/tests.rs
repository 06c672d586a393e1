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
        // These are for those who set callers up, and quote the detail.
        let quotes_detail = matches!(
            reason,
            Reason::Unauthenticated | Reason::PermissionDenied | Reason::Misconfigured
        );
        for refusal in situations(*reason) {
            if !quotes_detail || refusal.fact("detail").is_none() {
                check(&said(&refusal));
            }
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
fn nobody_is_told_more_or_less_than_is_so() {
    let of = |reason, detail| Refusal::never(reason).with("detail", detail);
    let behind = of(Reason::BudgetExhausted, QUEUE_IS_LONGER_THAN_STOCK);
    let halted = Refusal::never(Reason::IssuanceHalted);
    let kept = |refusal: &Refusal| said(&refusal.clone().with("ticket_kept", true));
    let waiting = |way: Waiting| way.words(Duration::from_secs(1), USABLE);
    let unknown = Waiting::ForOthers {
        position: 7,
        wait: None,
    };
    // What is said, what it has to say, and what it must not.
    let cases: [(Words, &[&str], &[&str]); 8] = [
        // Some of those ahead may not come, and no place was given.
        (
            said(&behind),
            &["very probably", "很可能"],
            &["have been given out", "your place"],
        ),
        (
            kept(&behind),
            &["your place in the queue counts again"],
            &[],
        ),
        // A tier that is gone is not the end of the giveaway.
        (
            said(&of(Reason::BudgetExhausted, TIER_IS_GONE)),
            &[
                "of the kind you asked for",
                "may still be others",
                "其他优惠券可能还有",
            ],
            &["All coupons of this giveaway"],
        ),
        // Who waits for stock to come back is not about to be served.
        (
            waiting(Waiting::ForStock),
            &["a few may come back", "可能还有少量返还"],
            &["about to be served"],
        ),
        // Who asks too often hears of that, and not of a crowd.
        (
            said(&of(Reason::Overloaded, ASKED_TOO_OFTEN)),
            &["asked too often", "过于频繁"],
            &["Very many people"],
        ),
        // A kept place is promised only to who has one.
        (said(&halted), &[], &["place"]),
        (kept(&halted), &["place in the queue is kept"], &[]),
        // An estimate that is not known is not told.
        (
            waiting(unknown),
            &["not known yet", "暂时无法估计"],
            &["will probably"],
        ),
    ];
    for (words, parts, others) in cases {
        check(&words);
        let text = format!("{} {}", words.en, words.zh);
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert!(!others.iter().any(|other| text.contains(other)), "{text}");
    }
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
