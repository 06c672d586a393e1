use std::collections::BTreeSet;

use prost_types::Duration as WireDuration;
use tidegate_proto::{quota::v1 as proto, r#type::v1 as wire_types};
use tidegate_rpc::wire;
use tidegate_types::{
    CampaignId, CampaignNumber, CurrencyCode, Lanes, LimitPerShopper, MAX_FACE_VALUE_MINOR_UNITS,
    MAX_STOCK, MAX_TIERS, OutOfBounds, ReplicaId, RequestId, TierId, TierNumber, Timestamp,
    Violations,
};
use uuid::Uuid;

use crate::{
    QuotaError,
    campaigns::{BudgetAddition, MAX_PAGE_SIZE, Page},
    domain::{
        Availability, Campaign, CampaignTerms, LeaseAnswer, LeaseRequest,
        MAX_COUPON_VALIDITY_SECONDS, MIN_COUPON_VALIDITY_SECONDS, Tier, TierCounts,
    },
    watch::Event,
};

const DEFAULT_PAGE_SIZE: u8 = 20;

pub(super) fn campaign_terms(
    request: proto::CreateCampaignRequest,
) -> Result<CampaignTerms, QuotaError> {
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
    let terms = (|| {
        Some(CampaignTerms {
            id: id?,
            currency: currency?,
            tiers,
            limit_per_shopper: limit_per_shopper?,
            opens_at: opens_at?,
            closes_at: closes_at?,
            coupon_validity: coupon_validity?,
        })
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
        parsed.extend((|| {
            Some(Tier {
                id: id?,
                face_value_minor_units: face_value?,
                initial_stock: stock?,
            })
        })());
    }
    parsed
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

pub(super) fn campaign_id(request: &proto::GetCampaignRequest) -> Result<CampaignId, QuotaError> {
    let mut bad = Violations::default();
    let id = bad.check("campaign_id", CampaignId::parse(&request.campaign_id));
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
    let addition = (|| {
        Some(BudgetAddition {
            campaign: campaign?,
            request_id: request_id?,
            tier: tier?,
            additional_stock: additional_stock?,
        })
    })();
    if_good(addition, bad)
}

pub(super) fn lease_request(
    request: &proto::AcquireLeaseRequest,
) -> Result<LeaseRequest, QuotaError> {
    let mut bad = Violations::default();
    let lease_id = lease_id(&request.lease_id, &mut bad);
    let campaign = bad.check(
        "campaign_number",
        CampaignNumber::new(request.campaign_number),
    );
    let holder = bad.check("holder_id", ReplicaId::parse(&request.holder_id));
    let lane = bad.check(
        "lane",
        Lanes::new(Lanes::MAX).and_then(|lanes| lanes.lane(request.lane)),
    );
    let wanted = counts("wanted", &request.wanted, &mut bad);
    let wanted_of_any_tier = bad.check(
        "wanted_of_any_tier",
        within(request.wanted_of_any_tier, 0, MAX_STOCK),
    );
    if bad.is_empty() && wanted.total() == 0 && request.wanted_of_any_tier == 0 {
        bad.add(
            "wanted",
            "must ask for one coupon or more, here or in wanted_of_any_tier",
        );
    }
    let asked = (|| {
        Some(LeaseRequest {
            lease_id: lease_id?,
            campaign: campaign?,
            holder: holder?,
            lane: lane?,
            wanted,
            wanted_of_any_tier: wanted_of_any_tier?,
        })
    })();
    if_good(asked, bad)
}

pub(super) fn returned_lease(
    request: &proto::ReturnLeaseRequest,
) -> Result<(Uuid, TierCounts), QuotaError> {
    let mut bad = Violations::default();
    let lease_id = lease_id(&request.lease_id, &mut bad);
    let used = counts("used", &request.used, &mut bad);
    if_good(lease_id.map(|lease_id| (lease_id, used)), bad)
}

fn lease_id(text: &str, bad: &mut Violations) -> Option<Uuid> {
    bad.check(
        "lease_id",
        Uuid::parse_str(text).map_err(|_| "must be a UUID"),
    )
}

fn counts(field: &str, quantities: &[proto::TierQuantity], bad: &mut Violations) -> TierCounts {
    let mut counts = TierCounts::default();
    if quantities.len() > usize::from(MAX_TIERS) {
        bad.add(field, format!("must name at most {MAX_TIERS} tiers"));
        return counts;
    }
    let mut seen = BTreeSet::new();
    for (place, asked) in quantities.iter().enumerate() {
        let tier = bad.check(
            format_args!("{field}[{place}].tier_number"),
            TierNumber::new(asked.tier_number),
        );
        let quantity = bad.check(
            format_args!("{field}[{place}].quantity"),
            within(asked.quantity, 0, MAX_STOCK),
        );
        if !seen.insert(asked.tier_number) {
            bad.add(
                format_args!("{field}[{place}].tier_number"),
                "must be named once only",
            );
        }
        if let Some((tier, quantity)) = tier.zip(quantity) {
            counts.set(tier, quantity);
        }
    }
    counts
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

pub(super) fn campaign(campaign: &Campaign) -> wire_types::Campaign {
    let terms = &campaign.terms;
    let tiers = || terms.tiers.iter().zip(&campaign.stock);
    wire_types::Campaign {
        campaign_id: terms.id.to_string(),
        campaign_number: campaign.number.get(),
        currency_code: terms.currency.to_string(),
        tiers: tiers()
            .map(|(tier, stock)| wire_types::Tier {
                tier_id: tier.id.to_string(),
                face_value_minor_units: tier.face_value_minor_units,
                stock: stock.stock(),
            })
            .collect(),
        limit_per_shopper: terms.limit_per_shopper.get().into(),
        opens_at: Some(wire::timestamp(terms.opens_at)),
        closes_at: Some(wire::timestamp(terms.closes_at)),
        coupon_validity: Some(wire::duration(terms.coupon_validity)),
        stock: tiers()
            .map(|(tier, stock)| wire_types::TierStock {
                tier_id: tier.id.to_string(),
                stock: stock.stock(),
                free: stock.free,
                leased: stock.leased,
                settled: stock.settled,
            })
            .collect(),
        sold_out: campaign.sold_out(),
        revision: campaign.revision,
    }
}

pub(super) fn campaigns(page: &Page) -> proto::ListCampaignsResponse {
    proto::ListCampaignsResponse {
        campaigns: page.campaigns.iter().map(campaign).collect(),
        next_page_token: page.next.map(|last| last.to_string()).unwrap_or_default(),
    }
}

pub(super) fn event(event: Event) -> proto::WatchCampaignsResponse {
    use proto::watch_campaigns_response::Event as WireEvent;

    proto::WatchCampaignsResponse {
        event: Some(match event {
            Event::Campaign(changed) => WireEvent::Campaign(campaign(&changed)),
            Event::Synced => WireEvent::Synced(proto::Synced {}),
        }),
    }
}

pub(super) fn lease_answer(answer: &LeaseAnswer) -> proto::AcquireLeaseResponse {
    let granted = answer
        .granted
        .some()
        .map(|(tier, quantity)| proto::TierQuantity {
            tier_number: tier.get().into(),
            quantity,
        });
    let tiers = answer.tier_availability.iter();
    proto::AcquireLeaseResponse {
        granted: granted.collect(),
        availability: availability(answer.availability).into(),
        tier_availability: tiers.map(|tier| availability(*tier).into()).collect(),
    }
}

fn availability(availability: Availability) -> proto::Availability {
    match availability {
        Availability::Granted => proto::Availability::Granted,
        Availability::Returning => proto::Availability::Returning,
        Availability::SoldOut => proto::Availability::SoldOut,
    }
}

#[cfg(test)]
mod tests;
