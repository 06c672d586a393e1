use tidegate_types::{CampaignId, CampaignNumber, CouponTerms, CurrencyCode, TierId};

use super::*;
use crate::domain::{Control, Fence, TierStock};

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
        control: Control::default(),
        extended_valid_until: None,
        ended_at: None,
        revision: 1,
        fence: Fence::default(),
    }
}

fn limit(limit: u8) -> LimitPerShopper {
    LimitPerShopper::new(limit).unwrap()
}

/// Why nothing was changed, by the fields if it was because of some.
fn refusal(outcome: Result<Option<CampaignTerms>>) -> Option<String> {
    outcome.err().map(|error| match error {
        QuotaError::CampaignBegun { fields } => fields.join(" "),
        QuotaError::InvalidFields(bad) => bad.into_vec().remove(0).field,
        other => other.to_string(),
    })
}

#[test]
fn before_the_opening_everything_may_change_and_afterwards_only_what_breaks_no_promise() {
    let everything = CampaignUpdate {
        limit_per_shopper: Some(limit(1)),
        opens_at: Some(now() + HOUR / 2),
        coupon_validity: Some(2 * HOUR),
        tiers: Some(vec![tier("large", 2_000)]),
        ..CampaignUpdate::default()
    };
    let early = opening_at(now() + HOUR);
    let updated = early.update(everything.clone(), UNTOUCHED, now());
    let expected = CampaignTerms {
        limit_per_shopper: limit(1),
        opens_at: now() + HOUR / 2,
        coupon_validity: 2 * HOUR,
        tiers: vec![tier("large", 2_000)],
        ..early.terms
    };
    assert_eq!(updated.unwrap(), Some(expected));
    for opens_at in [now() - HOUR / 2, now(), now() + APPLIED_WITHIN] {
        let outcome = opening_at(opens_at).update(everything.clone(), UNTOUCHED, now());
        let fields = "limit_per_shopper opens_at coupon_validity tiers";
        assert_eq!(refusal(outcome).as_deref(), Some(fields), "{opens_at}");
    }
    let kind = CampaignUpdate {
        display_name: Some(DisplayName::parse("奶茶节").ok()),
        description: Some(Description::parse("for the spring").ok()),
        limit_per_shopper: Some(limit(3)),
        closes_at: Some(now() + 5 * HOUR),
        ..CampaignUpdate::default()
    };
    let open = opening_at(now() - HOUR / 2);
    let terms = open.update(kind.clone(), UNTOUCHED, now()).unwrap();
    let terms = terms.unwrap();
    assert_eq!(terms.limit_per_shopper, limit(3));
    // The same again changes nothing, also after the end.
    let changed = Campaign { terms, ..open };
    let again = changed.update(kind, UNTOUCHED, now() + 9 * HOUR);
    assert_eq!(again.unwrap(), None);
}

#[test]
fn an_end_is_moved_sooner_or_later_but_never_before_now_and_not_once_it_may_have_been_told() {
    let update = |campaign: &Campaign, closes_at, at| {
        let closing = CampaignUpdate {
            closes_at: Some(closes_at),
            ..CampaignUpdate::default()
        };
        refusal(campaign.update(closing, UNTOUCHED, at))
    };
    let (open, early) = (opening_at(now() - HOUR / 2), opening_at(now() + HOUR));
    let (later, closes_at) = (now() + 9 * HOUR, open.terms.closes_at);
    let closed = Some("the campaign has ended");
    for (campaign, to, at, expected) in [
        (&open, now(), now(), None),
        (&open, later, now(), None),
        (&open, now() - APPLIED_WITHIN, now(), Some("closes_at")),
        (&early, now() + HOUR, now(), Some("closes_at")),
        (&open, later, closes_at, closed),
        (&open, later, closes_at - APPLIED_WITHIN, closed),
    ] {
        let refusal = update(campaign, to, at);
        assert_eq!(refusal.as_deref(), expected, "to {to} at {at}");
    }
    let named = CampaignUpdate {
        display_name: Some(DisplayName::parse("tea").ok()),
        ..CampaignUpdate::default()
    };
    let outcome = open.update(named.clone(), UNTOUCHED, closes_at - APPLIED_WITHIN);
    assert!(outcome.unwrap().is_some());
    let ended = Campaign {
        ended_at: Some(later),
        ..open
    };
    let outcome = ended.update(named, UNTOUCHED, now());
    assert_eq!(refusal(outcome).as_deref(), closed);
}

#[test]
fn the_same_terms_and_no_others_are_the_same_text() {
    let terms = opening_at(now()).terms;
    let text = terms.in_one_text();
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
