use tidegate_types::Reason;
use uuid::Uuid;

use super::*;
use crate::told::encoded;

/// No moment that there is.
const NEVER: prost_types::Timestamp = prost_types::Timestamp {
    seconds: i64::MAX,
    nanos: 0,
};

fn good() -> proto::CreateCampaignRequest {
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    proto::CreateCampaignRequest {
        campaign_id: "spring".into(),
        currency_code: "CNY".into(),
        tiers: vec![tier("large", 2_500, 10), tier("small", 1_500, 20)],
        limit_per_shopper: 1,
        opens_at: at(1_000),
        closes_at: at(2_000),
        coupon_validity: Some(prost_types::Duration {
            seconds: 3_600,
            nanos: 0,
        }),
        display_name: "奶茶节".into(),
        description: String::new(),
        reason: String::new(),
    }
}

fn tier(tier_id: &str, face_value_minor_units: i64, stock: u64) -> wire_types::Tier {
    wire_types::Tier {
        tier_id: tier_id.into(),
        face_value_minor_units,
        stock,
        terms: None,
    }
}

fn bad_fields<T: std::fmt::Debug>(parsed: Result<T>) -> String {
    let refusal = parsed.unwrap_err().refusal().unwrap();
    assert_eq!(refusal.reason, Reason::InvalidField);
    let violations = refusal.violations.into_iter();
    violations
        .map(|bad| bad.field)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn every_bad_field_of_a_campaign_is_named_at_once() {
    let bad = proto::CreateCampaignRequest {
        campaign_id: "Spring Tea".into(),
        currency_code: "cny".into(),
        tiers: vec![
            tier("same", 0, 1),
            tier("same", 1, MAX_STOCK + 1),
            tier("", 10_000_001, 0),
        ],
        limit_per_shopper: 101,
        opens_at: None,
        closes_at: Some(NEVER),
        coupon_validity: Some(prost_types::Duration {
            seconds: 366 * 24 * 3_600 + 1,
            nanos: 0,
        }),
        display_name: "茶".repeat(101),
        description: "two\nlines".into(),
        reason: "why\nnot".into(),
    };
    let expected = "campaign_id currency_code limit_per_shopper tiers[0].face_value_minor_units \
        tiers[1].tier_id tiers[1].stock tiers[2].tier_id tiers[2].face_value_minor_units \
        tiers[2].stock opens_at closes_at coupon_validity display_name description \
        reason";
    assert_eq!(bad_fields(campaign_terms(&bad)), expected);
}

#[test]
fn every_bad_field_of_an_update_an_end_and_a_halt_of_all_is_named() {
    let bad = proto::UpdateCampaignRequest {
        campaign_id: "Spring Tea".into(),
        reason: "茶".repeat(201),
        display_name: Some("茶".repeat(101)),
        description: Some("two\nlines".into()),
        limit_per_shopper: Some(0),
        opens_at: None,
        closes_at: Some(NEVER),
        coupon_validity: Some(wire::duration(Duration::from_millis(1_500))),
        tiers: vec![wire_types::Tier::default()],
    };
    let expected = "campaign_id reason display_name description limit_per_shopper closes_at \
        coupon_validity tiers[0].tier_id tiers[0].face_value_minor_units tiers[0].stock";
    assert_eq!(bad_fields(update(&bad)), expected);
    for reason in ["", "two\nlines"] {
        let bad = proto::EndCampaignRequest {
            reason: reason.into(),
            ..proto::EndCampaignRequest::default()
        };
        assert_eq!(bad_fields(end(&bad)), "campaign_id reason");
        let bad = proto::HaltAllCampaignsRequest {
            reason: reason.into(),
            resume_at: Some(NEVER),
            ..proto::HaltAllCampaignsRequest::default()
        };
        assert_eq!(bad_fields(halt(&bad)), "reason resume_at");
    }
}

#[test]
fn a_campaign_has_1_to_16_tiers_and_closes_after_it_opens() {
    let with_tiers = |count: usize| {
        campaign_terms(&proto::CreateCampaignRequest {
            tiers: (0..count).map(|n| tier(&format!("t{n}"), 1, 1)).collect(),
            ..good()
        })
    };
    assert_eq!(with_tiers(16).unwrap().0.tiers.len(), 16);
    assert_eq!(bad_fields(with_tiers(0)), "tiers");
    assert_eq!(bad_fields(with_tiers(17)), "tiers");
    let backwards = proto::CreateCampaignRequest {
        closes_at: good().opens_at,
        ..good()
    };
    assert_eq!(bad_fields(campaign_terms(&backwards)), "closes_at");
}

#[test]
fn every_bad_field_of_a_tiers_terms_is_named_with_its_place() {
    let with_terms = |terms: wire_types::CouponTerms| {
        let mut request = good();
        request.tiers[1].terms = Some(terms);
        campaign_terms(&request)
    };
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
    let bad = wire_types::CouponTerms {
        minimum_spend_minor_units: -1,
        areas: texts(&["west", "the east"]),
        store_ids: texts(&["s-1", "s-2", "s-3", "s-1"]),
    };
    let expected = "tiers[1].terms.minimum_spend_minor_units \
        tiers[1].terms.areas[1] tiers[1].terms.store_ids[3]";
    assert_eq!(bad_fields(with_terms(bad)), expected);
    // Terms that ask nothing are no terms, and are told as none.
    let asking_nothing = with_terms(wire_types::CouponTerms::default()).unwrap();
    assert_eq!(asking_nothing, campaign_terms(&good()).unwrap());
    assert_eq!(encoded(&asking_nothing.0.tiers[1].terms), None);
    let sorted = wire_types::CouponTerms {
        minimum_spend_minor_units: 3_000,
        areas: texts(&["east", "west"]),
        store_ids: texts(&["s-1"]),
    };
    let parsed = with_terms(sorted.clone()).unwrap();
    assert_eq!(encoded(&parsed.0.tiers[1].terms), Some(sorted));
}

#[test]
fn validity_is_whole_seconds_up_to_366_days() {
    let with = |seconds, nanos| {
        let coupon_validity = Some(prost_types::Duration { seconds, nanos });
        campaign_terms(&proto::CreateCampaignRequest {
            coupon_validity,
            ..good()
        })
    };
    assert!(with(1, 0).is_ok());
    assert!(with(366 * 24 * 3_600, 0).is_ok());
    for (seconds, nanos) in [(0, 0), (-1, 0), (1, 1), (i64::MAX, 0)] {
        assert_eq!(bad_fields(with(seconds, nanos)), "coupon_validity");
    }
}

#[test]
fn moments_are_kept_as_the_database_keeps_them() {
    let mut request = good();
    request.opens_at = Some(prost_types::Timestamp {
        seconds: 1_000,
        nanos: 123_456_789,
    });
    let opens_at = campaign_terms(&request).unwrap().0.opens_at;
    assert_eq!(opens_at.nanosecond(), 123_456_000);
}

#[test]
fn every_bad_field_of_a_lease_request_is_named_at_once_and_one_of_nothing_is_none() {
    let quantity = |tier_number, quantity| proto::TierQuantity {
        tier_number,
        quantity,
    };
    let bad = proto::AcquireLeaseRequest {
        lease_id: "lease".into(),
        campaign_number: 1 << 24,
        holder_id: "issuance 0".into(),
        lane: 1_024,
        wanted: vec![quantity(16, 1), quantity(1, u64::MAX), quantity(1, 1)],
        wanted_of_any_tier: MAX_STOCK + 1,
    };
    let expected = "lease_id campaign_number holder_id lane wanted[0].tier_number wanted[1].quantity \
        wanted[2].tier_number wanted_of_any_tier";
    assert_eq!(bad_fields(lease(&bad)), expected);
    let nothing = proto::AcquireLeaseRequest {
        lease_id: Uuid::nil().to_string(),
        campaign_number: 1,
        holder_id: "issuance-0".into(),
        ..proto::AcquireLeaseRequest::default()
    };
    assert_eq!(bad_fields(lease(&nothing)), "wanted");
}

#[test]
fn pages_are_bounded_and_tokens_are_ours() {
    let ask = |page_size, page_token: &str| {
        page(&proto::ListCampaignsRequest {
            page_size,
            page_token: page_token.into(),
        })
    };
    assert_eq!(ask(0, "").unwrap(), (None, 20));
    let seven = CampaignNumber::new(7u32).ok();
    assert_eq!(ask(100, "7").unwrap(), (seven, 100));
    assert_eq!(bad_fields(ask(101, "seven")), "page_size page_token");
}

#[test]
fn every_bad_field_of_a_control_change_is_named_at_once_and_it_need_not_say_when_it_ends() {
    let bad = proto::SetCampaignControlRequest {
        campaign_id: "Spring Tea".into(),
        issuance: 0,
        redemption: 7,
        reason: "多".repeat(201),
        resume_at: Some(NEVER),
        epoch: u64::MAX,
    };
    let expected = "campaign_id issuance redemption reason resume_at";
    assert_eq!(bad_fields(control(&bad)), expected);
    let halt = proto::SetCampaignControlRequest {
        campaign_id: "spring".into(),
        issuance: wire_types::IssuanceControl::Halted.into(),
        redemption: wire_types::RedemptionControl::Open.into(),
        reason: "店里忙不过来".into(),
        ..proto::SetCampaignControlRequest::default()
    };
    let parsed = control(&halt).unwrap();
    assert_eq!((parsed.wanted.resume_at, parsed.wanted.epoch), (None, 1));
    let until_when = proto::ExtendValidityRequest {
        campaign_id: "spring".into(),
        valid_until: None,
    };
    assert_eq!(bad_fields(validity_extension(&until_when)), "valid_until");
}
