mod audit;
mod changing;
mod control;
mod leases;
mod queues;
mod standing;

use std::collections::BTreeSet;

use prost_types::Duration as WireDuration;
use tidegate_proto::{quota::v1 as proto, r#type::v1 as wire_types};
use tidegate_rpc::wire;
use tidegate_types::{
    CampaignId, CampaignNumber, ChangeReason, CouponTerms, CurrencyCode, LimitPerShopper,
    MAX_FACE_VALUE_MINOR_UNITS, MAX_STOCK, MAX_TIERS, OutOfBounds, RequestId, TierId, Timestamp,
    Violations,
};

pub(super) use self::{
    audit::audit_report,
    changing::{change_query, end_request, halt, halted, update_request},
    control::{control_request, validity_extension},
    leases::{holder, lease_answer, lease_request, returned_lease},
    queues::{gateway_report, queue_snapshots},
    standing::queue_standing,
};
use crate::{
    QuotaError,
    campaigns::{BudgetAddition, MAX_LOOKED_UP, MAX_PAGE_SIZE},
    domain::{
        CampaignTerms, MAX_COUPON_VALIDITY_SECONDS, MIN_COUPON_VALIDITY_SECONDS, Tier,
        WantedCampaigns,
    },
};

const DEFAULT_PAGE_SIZE: u8 = 20;

pub(super) fn campaign_terms(
    request: proto::CreateCampaignRequest,
) -> Result<(CampaignTerms, Option<ChangeReason>), QuotaError> {
    let mut bad = Violations::default();
    let id = bad.check("campaign_id", CampaignId::parse(&request.campaign_id));
    let currency = CurrencyCode::parse(&request.currency_code);
    let currency = bad.check(
        "currency_code",
        currency.map_err(|_| "must be an ISO 4217 code: three capital letters"),
    );
    let limit_per_shopper = bad.check(
        "limit_per_shopper",
        LimitPerShopper::new(request.limit_per_shopper),
    );
    let tiers = tiers(&request.tiers, &mut bad);
    let opens_at = moment("opens_at", request.opens_at, &mut bad);
    let closes_at = moment("closes_at", request.closes_at, &mut bad);
    if let (Some(opens_at), Some(closes_at)) = (opens_at, closes_at)
        && closes_at <= opens_at
    {
        bad.add("closes_at", "must be after opens_at");
    }
    let coupon_validity = bad.check("coupon_validity", coupon_validity(request.coupon_validity));
    let display_name = bad.check("display_name", changing::printed(&request.display_name));
    let description = bad.check("description", changing::printed(&request.description));
    let reason = bad.check("reason", changing::printed(&request.reason));
    let terms = (|| {
        let terms = CampaignTerms {
            id: id?,
            currency: currency?,
            tiers,
            limit_per_shopper: limit_per_shopper?,
            opens_at: opens_at?,
            closes_at: closes_at?,
            coupon_validity: coupon_validity?,
            display_name: display_name?,
            description: description?,
        };
        Some((terms, reason?))
    })();
    if_good(terms, bad)
}

fn tiers(tiers: &[wire_types::Tier], bad: &mut Violations) -> Vec<Tier> {
    if tiers.is_empty() || tiers.len() > usize::from(MAX_TIERS) {
        bad.add("tiers", format!("must be from 1 to {MAX_TIERS} tiers"));
        return Vec::new();
    }
    let mut seen = BTreeSet::new();
    let mut parsed = Vec::with_capacity(tiers.len());
    for (place, tier) in tiers.iter().enumerate() {
        let id = bad.check(
            format_args!("tiers[{place}].tier_id"),
            TierId::parse(&tier.tier_id),
        );
        if id.is_some() && !seen.insert(&tier.tier_id) {
            bad.add(
                format_args!("tiers[{place}].tier_id"),
                "must be unique within the campaign",
            );
        }
        let face_value = bad.check(
            format_args!("tiers[{place}].face_value_minor_units"),
            within(tier.face_value_minor_units, 1, MAX_FACE_VALUE_MINOR_UNITS),
        );
        let stock = bad.check(
            format_args!("tiers[{place}].stock"),
            within(tier.stock, 1, MAX_STOCK),
        );
        let terms = coupon_terms(place, tier.terms.as_ref(), bad);
        parsed.extend((|| {
            Some(Tier {
                id: id?,
                face_value_minor_units: face_value?,
                initial_stock: stock?,
                terms: terms?,
            })
        })());
    }
    parsed
}

/// Terms that were left out ask nothing.
fn coupon_terms(
    place: usize,
    terms: Option<&wire_types::CouponTerms>,
    bad: &mut Violations,
) -> Option<CouponTerms> {
    let Some(terms) = terms else {
        return Some(CouponTerms::default());
    };
    CouponTerms::parse(
        bad,
        format_args!("tiers[{place}].terms"),
        terms.minimum_spend_minor_units,
        &terms.areas,
        &terms.store_ids,
    )
}

/// A moment in whole microseconds, which is what the database keeps: a repeated request must compare equal.
fn moment(
    field: &str,
    timestamp: Option<prost_types::Timestamp>,
    bad: &mut Violations,
) -> Option<Timestamp> {
    let moment = timestamp
        .and_then(wire::moment)
        .and_then(|moment| moment.replace_microsecond(moment.microsecond()).ok());
    bad.check(
        field,
        moment.ok_or("must be a moment in the years 1 to 9999"),
    )
}

fn coupon_validity(validity: Option<WireDuration>) -> Result<std::time::Duration, String> {
    let bounds = MIN_COUPON_VALIDITY_SECONDS..=MAX_COUPON_VALIDITY_SECONDS;
    validity
        .and_then(wire::span)
        .filter(|span| span.subsec_nanos() == 0 && bounds.contains(&span.as_secs()))
        .ok_or_else(|| {
            format!(
                "must be whole seconds, from {MIN_COUPON_VALIDITY_SECONDS} to {MAX_COUPON_VALIDITY_SECONDS}"
            )
        })
}

pub(super) fn campaign_id(campaign_id: &str) -> Result<CampaignId, QuotaError> {
    let mut bad = Violations::default();
    let id = bad.check("campaign_id", CampaignId::parse(campaign_id));
    if_good(id, bad)
}

/// Where a page begins and how long it is. A page token is the number of the last campaign of the page before.
pub(super) fn page(
    request: &proto::ListCampaignsRequest,
) -> Result<(Option<CampaignNumber>, u8), QuotaError> {
    let mut bad = Violations::default();
    let size = match request.page_size {
        0 => Some(DEFAULT_PAGE_SIZE),
        size => bad.check(
            "page_size",
            within(size, 1, u32::from(MAX_PAGE_SIZE)).map(|size| size as u8),
        ),
    };
    let before = match request.page_token.as_str() {
        "" => Some(None),
        token => {
            let number = token
                .parse::<u32>()
                .ok()
                .and_then(|number| CampaignNumber::new(number).ok());
            bad.check(
                "page_token",
                number
                    .map(Some)
                    .ok_or("must be empty or a next_page_token as it was given"),
            )
        }
    };
    if_good(before.zip(size), bad)
}

/// Campaigns that another service asks for.
pub(super) fn wanted_campaigns(
    request: &proto::LookupCampaignsRequest,
) -> Result<WantedCampaigns, QuotaError> {
    let mut bad = Violations::default();
    let count = request.campaign_ids.len() + request.campaign_numbers.len();
    if !(1..=MAX_LOOKED_UP).contains(&count) {
        bad.add(
            "campaign_ids",
            format!("must be 1 to {MAX_LOOKED_UP}, the numbers counted in"),
        );
        return Err(bad.into());
    }
    let mut wanted = WantedCampaigns::default();
    for (place, id) in request.campaign_ids.iter().enumerate() {
        let id = bad.check(format_args!("campaign_ids[{place}]"), CampaignId::parse(id));
        wanted.ids.extend(id);
    }
    for (place, number) in request.campaign_numbers.iter().enumerate() {
        let number = CampaignNumber::new(*number);
        let number = bad.check(format_args!("campaign_numbers[{place}]"), number);
        wanted.numbers.extend(number);
    }
    if_good(Some(wanted), bad)
}

pub(super) fn found_campaigns(
    campaigns: Vec<wire_types::Campaign>,
    unknown: &WantedCampaigns,
) -> proto::LookupCampaignsResponse {
    let numbers = unknown.numbers.iter();
    proto::LookupCampaignsResponse {
        campaigns,
        unknown_campaign_ids: unknown.ids.iter().map(CampaignId::to_string).collect(),
        unknown_campaign_numbers: numbers.map(|number| number.get()).collect(),
    }
}

pub(super) fn budget_addition(
    request: &proto::AddBudgetRequest,
) -> Result<BudgetAddition, QuotaError> {
    let mut bad = Violations::default();
    let campaign = bad.check("campaign_id", CampaignId::parse(&request.campaign_id));
    let request_id = bad.check("request_id", RequestId::parse(&request.request_id));
    let tier = bad.check("tier_id", TierId::parse(&request.tier_id));
    let additional_stock = bad.check(
        "additional_stock",
        within(request.additional_stock, 1, MAX_STOCK),
    );
    let reason = bad.check("reason", ChangeReason::parse(&request.reason));
    let addition = (|| {
        Some(BudgetAddition {
            campaign: campaign?,
            request_id: request_id?,
            tier: tier?,
            additional_stock: additional_stock?,
            reason: reason?,
        })
    })();
    if_good(addition, bad)
}

fn within<T: PartialOrd + TryInto<u64>>(value: T, min: T, max: T) -> Result<T, OutOfBounds> {
    if min <= value && value <= max {
        return Ok(value);
    }
    // Every bound in use is positive.
    let bound = |bound: T| bound.try_into().unwrap_or_default();
    Err(OutOfBounds {
        min: bound(min),
        max: bound(max),
    })
}

fn if_good<T>(parsed: Option<T>, bad: Violations) -> Result<T, QuotaError> {
    match parsed {
        Some(parsed) if bad.is_empty() => Ok(parsed),
        _ => Err(bad.into()),
    }
}

/// Where the next page begins, for [`page`] to read.
pub(super) fn page_token(next: Option<CampaignNumber>) -> String {
    next.map(|last| last.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
