use tidegate_types::{CampaignId, CampaignNumber, CouponTerms, CurrencyCode, TierId};

use super::*;
use crate::domain::{Control, Fence, IssuanceControl, RedemptionControl, TierStock};

const HOUR: Duration = Duration::from_secs(3_600);
const UNTOUCHED: UpdateFacts = UpdateFacts {
    was_lent: false,
    has_added_budget: false,
    has_queue: false,
};

fn now() -> Timestamp {
    Timestamp::from_unix_timestamp(1_770_000_000).unwrap()
}

fn tier(id: &str, face_value_minor_units: i64) -> Tier {
    Tier {
        id: TierId::parse(id).unwrap(),
        face_value_minor_units,
        initial_stock: 10,
        terms: CouponTerms::default(),
    }
}

/// Lasts an hour from its opening.
fn opening_at(opens_at: Timestamp) -> Campaign {
    Campaign {
        number: CampaignNumber::new(1u32).unwrap(),
        terms: CampaignTerms {
            id: CampaignId::parse("tea").unwrap(),
            currency: CurrencyCode::parse("CNY").unwrap(),
            tiers: vec![tier("large", 2_500), tier("small", 1_500)],
            limit_per_shopper: limit(2),
            opens_at,
            closes_at: opens_at + HOUR,
            coupon_validity: HOUR,
            display_name: None,
            description: None,
        },
        stock: vec![TierStock::default(); 2],
        control: Control {
            issuance: IssuanceControl::Open,
            redemption: RedemptionControl::Open,
            reason: None,
            resume_at: None,
            epoch: 0,
        },
        extended_valid_until: None,
        ended_at: None,
        revision: 1,
        fence: Fence::default(),
    }
}

fn limit(limit: u8) -> LimitPerShopper {
    LimitPerShopper::new(limit).unwrap()
}

/// Everything that is promised once a campaign has begun.
fn everything() -> CampaignUpdate {
    CampaignUpdate {
        limit_per_shopper: Some(limit(1)),
        opens_at: Some(now() + HOUR / 2),
        coupon_validity: Some(2 * HOUR),
        tiers: Some(vec![tier("large", 2_000)]),
        ..CampaignUpdate::default()
    }
}

fn begun(outcome: Result<Update, NotUpdated>) -> Vec<&'static str> {
    match outcome {
        Err(NotUpdated::Begun { fields }) => fields,
        other => panic!("{other:?}"),
    }
}

#[test]
fn before_the_opening_everything_may_change_and_afterwards_only_what_breaks_no_promise() {
    let early = opening_at(now() + HOUR);
    let Ok(Update::Now(terms)) = early.update(everything(), UNTOUCHED, now()) else {
        panic!("everything may change");
    };
    assert_eq!((terms.limit_per_shopper, terms.tiers.len()), (limit(1), 1));
    assert_eq!(
        (terms.opens_at, terms.closes_at),
        (now() + HOUR / 2, now() + 2 * HOUR)
    );
    let fields = ["limit_per_shopper", "opens_at", "coupon_validity", "tiers"];
    for opens_at in [now() - HOUR / 2, now(), now() + APPLIED_WITHIN] {
        let outcome = opening_at(opens_at).update(everything(), UNTOUCHED, now());
        assert_eq!(begun(outcome), fields, "{opens_at}");
    }
    let kind = CampaignUpdate {
        display_name: Some(DisplayName::parse("奶茶节").ok()),
        description: Some(Description::parse("for the spring").ok()),
        limit_per_shopper: Some(limit(3)),
        closes_at: Some(now() + 5 * HOUR),
        ..CampaignUpdate::default()
    };
    let open = opening_at(now() - HOUR / 2);
    let Ok(Update::Now(terms)) = open.update(kind.clone(), UNTOUCHED, now()) else {
        panic!("nothing of that was promised otherwise");
    };
    assert_eq!(terms.limit_per_shopper, limit(3));
    // The same again changes nothing, also after the end.
    let changed = Campaign { terms, ..open };
    let again = changed.update(kind, UNTOUCHED, now() + 9 * HOUR);
    assert_eq!(again, Ok(Update::Before));
}

#[test]
fn an_end_is_moved_sooner_or_later_but_never_before_now_and_not_once_it_may_have_been_told() {
    let open = opening_at(now() - HOUR / 2);
    let closing_at = |closes_at| CampaignUpdate {
        closes_at: Some(closes_at),
        ..CampaignUpdate::default()
    };
    let update = |campaign: &Campaign, closes_at, at| {
        let outcome = campaign.update(closing_at(closes_at), UNTOUCHED, at);
        outcome.map(drop)
    };
    assert_eq!(update(&open, now(), now()), Ok(()));
    assert_eq!(update(&open, now() + 9 * HOUR, now()), Ok(()));
    let past = update(&open, now() - APPLIED_WITHIN, now());
    let field = |outcome| match outcome {
        Err(NotUpdated::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(past), "closes_at");
    let early = opening_at(now() + HOUR);
    assert_eq!(field(update(&early, now() + HOUR, now())), "closes_at");

    let later = now() + 9 * HOUR;
    let closes_at = open.terms.closes_at;
    let closed = Err(NotUpdated::Closed);
    assert_eq!(update(&open, later, closes_at), closed);
    assert_eq!(update(&open, later, closes_at - APPLIED_WITHIN), closed);
    let named = CampaignUpdate {
        display_name: Some(DisplayName::parse("tea").ok()),
        ..CampaignUpdate::default()
    };
    let outcome = open.update(named.clone(), UNTOUCHED, closes_at - APPLIED_WITHIN);
    assert!(matches!(outcome, Ok(Update::Now(_))), "{outcome:?}");
    let ended = Campaign {
        ended_at: Some(later),
        ..open
    };
    assert_eq!(
        ended.update(named, UNTOUCHED, now()),
        Err(NotUpdated::Closed)
    );
}

#[test]
fn an_end_closes_what_is_open_or_yet_to_open_and_moves_no_end_later() {
    let open = opening_at(now() - HOUR / 2);
    let end = open.end(now()).unwrap();
    assert_eq!((end.opens_at, end.closes_at), (open.terms.opens_at, now()));
    for opens_at in [now(), now() + HOUR] {
        let end = opening_at(opens_at).end(now()).unwrap();
        assert!(end.opens_at < end.closes_at && end.closes_at == now());
    }
    let closed = opening_at(now() - 5 * HOUR);
    let end = closed.end(now()).unwrap();
    assert_eq!(
        (end.closes_at, end.ended_at),
        (closed.terms.closes_at, now())
    );
    let ended = Campaign {
        ended_at: Some(now()),
        ..closed
    };
    assert_eq!(ended.end(now() + HOUR), None);
}

#[test]
fn the_same_terms_and_no_others_are_the_same_text() {
    let terms = opening_at(now()).terms;
    let text = terms.in_one_text();
    assert_eq!(text, terms.clone().in_one_text());
    assert_eq!(
        text,
        "tea\nCNY\n2\n1770000000000000000\n1770003600000000000\n3600\n\n\n\
         large\n2500\n10\n0\n\n\nsmall\n1500\n10\n0\n\n"
    );
    let mut other = terms.clone();
    other.tiers.swap(0, 1);
    assert_ne!(other.in_one_text(), text);
    let other = CampaignTerms {
        description: Description::parse("tea").ok(),
        ..terms
    };
    assert_ne!(other.in_one_text(), text);
}
