/// Something of which every part is there. All parts are looked at first, so that each can say what is wrong with it.
macro_rules! all {
    ($name:ident { $($field:ident $(: $part:expr)?),+ $(,)? }) => {{
        $($(let $field = $part;)?)+
        (|| Some($name { $($field: $field?),+ }))()
    }};
}

mod queues;

use std::{collections::BTreeSet, fmt, time::Duration};

use tidegate_proto::{quota::v1 as proto, r#type::v1 as wire_types};
use tidegate_rpc::wire;
use tidegate_types::{
    CampaignId, CampaignNumber, ChangeReason, CouponTerms, CurrencyCode, Lanes, LimitPerShopper,
    MAX_FACE_VALUE_MINOR_UNITS, MAX_STOCK, MAX_TIERS, OutOfBounds, ReplicaId, RequestId, TierId,
    TierNumber, Timestamp, Violations,
};
use uuid::Uuid;

pub(super) use self::queues::{MAX_COHORTS, gateway_report};
use crate::{
    campaigns::{BudgetAddition, MAX_LOOKED_UP, MAX_PAGE_SIZE, UpdateRequest},
    control::{ControlRequest, EndRequest},
    domain::{
        CampaignTerms, CampaignUpdate, Control, Halt, IssuanceControl, LeaseRequest,
        MAX_COUPON_VALIDITY_SECONDS, MIN_COUPON_VALIDITY_SECONDS, RedemptionControl, Tier,
        TierCounts, WantedCampaigns, text,
    },
    error::{QuotaError, Result},
};

const DEFAULT_PAGE_SIZE: u8 = 20;

pub(super) fn campaign_terms(
    request: &proto::CreateCampaignRequest,
) -> Result<(CampaignTerms, Option<ChangeReason>)> {
    let mut bad = Violations::default();
    let id = bad.check("campaign_id", CampaignId::parse(&request.campaign_id));
    let currency = CurrencyCode::parse(&request.currency_code);
    let currency = currency.map_err(|_| "must be an ISO 4217 code: three capital letters");
    let currency = bad.check("currency_code", currency);
    let limit = LimitPerShopper::new(request.limit_per_shopper);
    let limit_per_shopper = bad.check("limit_per_shopper", limit);
    let tiers = Some(tiers(&request.tiers, &mut bad));
    let opens_at = moment("opens_at", request.opens_at, &mut bad);
    let closes_at = moment("closes_at", request.closes_at, &mut bad);
    if opens_at.is_some() && closes_at.is_some() && closes_at <= opens_at {
        bad.add("closes_at", "must be after opens_at");
    }
    let terms = all!(CampaignTerms {
        id,
        currency,
        tiers,
        limit_per_shopper,
        opens_at,
        closes_at,
        coupon_validity: bad.check("coupon_validity", coupon_validity(request.coupon_validity)),
        display_name: bad.check("display_name", text::given(&request.display_name)),
        description: bad.check("description", text::given(&request.description)),
    });
    let reason = bad.check("reason", text::given(&request.reason));
    if_good(terms.zip(reason), bad)
}

fn tiers(tiers: &[wire_types::Tier], bad: &mut Violations) -> Vec<Tier> {
    if tiers.is_empty() || tiers.len() > usize::from(MAX_TIERS) {
        bad.add("tiers", format!("must be from 1 to {MAX_TIERS} tiers"));
        return Vec::new();
    }
    let mut seen = BTreeSet::new();
    let mut parsed = Vec::with_capacity(tiers.len());
    for (place, tier) in tiers.iter().enumerate() {
        let field = |name| fmt::from_fn(move |f| write!(f, "tiers[{place}].{name}"));
        let id = bad.check(field("tier_id"), TierId::parse(&tier.tier_id));
        if id.is_some() && !seen.insert(&tier.tier_id) {
            bad.add(field("tier_id"), "must be unique within the campaign");
        }
        let value = within(tier.face_value_minor_units, 1, MAX_FACE_VALUE_MINOR_UNITS);
        // Those that were left out ask nothing.
        let wire_types::CouponTerms {
            minimum_spend_minor_units: minimum_spend,
            areas,
            store_ids,
        } = &tier.terms.clone().unwrap_or_default();
        parsed.extend(all!(Tier {
            id,
            face_value_minor_units: bad.check(field("face_value_minor_units"), value),
            initial_stock: bad.check(field("stock"), within(tier.stock, 1, MAX_STOCK)),
            terms: CouponTerms::parse(bad, field("terms"), *minimum_spend, areas, store_ids),
        }));
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
    let moment = moment.ok_or("must be a moment in the years 1 to 9999");
    bad.check(field, moment)
}

fn moment_if_given(
    field: &str,
    timestamp: Option<prost_types::Timestamp>,
    bad: &mut Violations,
) -> Option<Timestamp> {
    timestamp.and_then(|given| moment(field, Some(given), bad))
}

fn coupon_validity(validity: Option<prost_types::Duration>) -> Result<Duration, String> {
    const MIN: u64 = MIN_COUPON_VALIDITY_SECONDS;
    const MAX: u64 = MAX_COUPON_VALIDITY_SECONDS;
    validity
        .and_then(wire::span)
        .filter(|span| span.subsec_nanos() == 0 && (MIN..=MAX).contains(&span.as_secs()))
        .ok_or_else(|| format!("must be whole seconds, from {MIN} to {MAX}"))
}

pub(super) fn campaign_id(campaign_id: &str) -> Result<CampaignId> {
    let id = CampaignId::parse(campaign_id);
    id.map_err(|bad| QuotaError::invalid_field("campaign_id", bad))
}

/// Where a page begins and how long it is. A page token is the number of the last campaign of the page before.
pub(super) fn page(request: &proto::ListCampaignsRequest) -> Result<(Option<CampaignNumber>, u8)> {
    let mut bad = Violations::default();
    let size = match request.page_size {
        0 => Some(DEFAULT_PAGE_SIZE),
        size => {
            let size = within(size, 1, u32::from(MAX_PAGE_SIZE));
            bad.check("page_size", size.map(|size| size as u8))
        }
    };
    let before = match request.page_token.as_str() {
        "" => Some(None),
        token => {
            let number = token.parse::<u32>().ok();
            let number = number.and_then(|number| CampaignNumber::new(number).ok());
            let known = number.ok_or("must be empty or a next_page_token as it was given");
            bad.check("page_token", known.map(Some))
        }
    };
    if_good(before.zip(size), bad)
}

/// Where the next page begins, for [`page`] to read.
pub(super) fn page_token(next: Option<CampaignNumber>) -> String {
    next.map(|last| last.to_string()).unwrap_or_default()
}

pub(super) fn wanted_campaigns(request: &proto::LookupCampaignsRequest) -> Result<WantedCampaigns> {
    let mut bad = Violations::default();
    let count = request.campaign_ids.len() + request.campaign_numbers.len();
    if !(1..=MAX_LOOKED_UP).contains(&count) {
        let what = format!("must be 1 to {MAX_LOOKED_UP}, the numbers counted in");
        bad.add("campaign_ids", what);
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

pub(super) fn budget_addition(request: &proto::AddBudgetRequest) -> Result<BudgetAddition> {
    let mut bad = Violations::default();
    let stock = within(request.additional_stock, 1, MAX_STOCK);
    let addition = all!(BudgetAddition {
        campaign: bad.check("campaign_id", CampaignId::parse(&request.campaign_id)),
        request_id: bad.check("request_id", RequestId::parse(&request.request_id)),
        tier: bad.check("tier_id", TierId::parse(&request.tier_id)),
        additional_stock: bad.check("additional_stock", stock),
        reason: bad.check("reason", ChangeReason::parse(&request.reason)),
    });
    if_good(addition, bad)
}

pub(super) fn update(request: &proto::UpdateCampaignRequest) -> Result<UpdateRequest> {
    let mut bad = Violations::default();
    let campaign = bad.check("campaign_id", CampaignId::parse(&request.campaign_id));
    let reason = bad.check("reason", text::given(&request.reason));
    let display_name = request.display_name.as_deref();
    let description = request.description.as_deref();
    let limit = request.limit_per_shopper.map(LimitPerShopper::new);
    let validity = request.coupon_validity;
    let tiers_given = Some(&request.tiers).filter(|given| !given.is_empty());
    let wanted = CampaignUpdate {
        display_name: display_name.and_then(|name| bad.check("display_name", text::given(name))),
        description: description.and_then(|about| bad.check("description", text::given(about))),
        limit_per_shopper: limit.and_then(|limit| bad.check("limit_per_shopper", limit)),
        opens_at: moment_if_given("opens_at", request.opens_at, &mut bad),
        closes_at: moment_if_given("closes_at", request.closes_at, &mut bad),
        coupon_validity: validity
            .and_then(|span| bad.check("coupon_validity", coupon_validity(Some(span)))),
        tiers: tiers_given.map(|given| tiers(given, &mut bad)),
    };
    let update = all!(UpdateRequest {
        campaign,
        reason,
        wanted: Some(wanted),
    });
    if_good(update, bad)
}

pub(super) fn end(request: &proto::EndCampaignRequest) -> Result<EndRequest> {
    let mut bad = Violations::default();
    let end = all!(EndRequest {
        campaign: bad.check("campaign_id", CampaignId::parse(&request.campaign_id)),
        reason: bad.check("reason", ChangeReason::parse(&request.reason)),
    });
    if_good(end, bad)
}

pub(super) fn halt(request: &proto::HaltAllCampaignsRequest) -> Result<Halt> {
    let mut bad = Violations::default();
    let halt = all!(Halt {
        reason: bad.check("reason", ChangeReason::parse(&request.reason)),
        with_redemption: Some(request.halt_redemption),
        resume_at: Some(moment_if_given("resume_at", request.resume_at, &mut bad)),
    });
    if_good(halt, bad)
}

pub(super) fn control(request: &proto::SetCampaignControlRequest) -> Result<ControlRequest> {
    let mut bad = Violations::default();
    let issuance = request.issuance().as_str_name();
    let issuance = issuance.strip_prefix("ISSUANCE_CONTROL_");
    let issuance = issuance.and_then(IssuanceControl::from_name);
    let issuance = issuance.ok_or("must be OPEN, QUEUE_ONLY or HALTED");
    let redemption = request.redemption().as_str_name();
    let redemption = redemption.strip_prefix("REDEMPTION_CONTROL_");
    let redemption = redemption.and_then(RedemptionControl::from_name);
    let redemption = redemption.ok_or("must be OPEN or HALTED");
    let control = all!(ControlRequest {
        campaign: bad.check("campaign_id", CampaignId::parse(&request.campaign_id)),
        wanted: all!(Control {
            issuance: bad.check("issuance", issuance),
            redemption: bad.check("redemption", redemption),
            reason: bad.check("reason", ChangeReason::parse(&request.reason).map(Some)),
            resume_at: Some(moment_if_given("resume_at", request.resume_at, &mut bad)),
            epoch: Some(request.epoch.saturating_add(1)),
        }),
    });
    if_good(control, bad)
}

pub(super) fn validity_extension(
    request: &proto::ExtendValidityRequest,
) -> Result<(CampaignId, Timestamp)> {
    let mut bad = Violations::default();
    let campaign = bad.check("campaign_id", CampaignId::parse(&request.campaign_id));
    let valid_until = moment("valid_until", request.valid_until, &mut bad);
    if_good(campaign.zip(valid_until), bad)
}

pub(super) fn lease(request: &proto::AcquireLeaseRequest) -> Result<LeaseRequest> {
    let mut bad = Violations::default();
    let campaign = CampaignNumber::new(request.campaign_number);
    let lane = Lanes::new(Lanes::MAX).and_then(|lanes| lanes.lane(request.lane));
    let of_any_tier = within(request.wanted_of_any_tier, 0, MAX_STOCK);
    let lease = all!(LeaseRequest {
        lease_id: lease_id(&request.lease_id, &mut bad),
        campaign: bad.check("campaign_number", campaign),
        holder: bad.check("holder_id", ReplicaId::parse(&request.holder_id)),
        lane: bad.check("lane", lane),
        wanted: Some(counts("wanted", &request.wanted, &mut bad)),
        wanted_of_any_tier: bad.check("wanted_of_any_tier", of_any_tier),
    });
    let is_for_nothing =
        |lease: &LeaseRequest| lease.wanted.total() == 0 && lease.wanted_of_any_tier == 0;
    if bad.is_empty() && lease.as_ref().is_some_and(is_for_nothing) {
        let what = "must ask for one coupon or more, here or in wanted_of_any_tier";
        bad.add("wanted", what);
    }
    if_good(lease, bad)
}

pub(super) fn returned_lease(request: &proto::ReturnLeaseRequest) -> Result<(Uuid, TierCounts)> {
    let mut bad = Violations::default();
    let lease_id = lease_id(&request.lease_id, &mut bad);
    let used = counts("used", &request.used, &mut bad);
    if_good(lease_id.map(|lease_id| (lease_id, used)), bad)
}

fn lease_id(text: &str, bad: &mut Violations) -> Option<Uuid> {
    let lease_id = Uuid::parse_str(text);
    bad.check("lease_id", lease_id.map_err(|_| "must be a UUID"))
}

fn counts(field: &str, quantities: &[proto::TierQuantity], bad: &mut Violations) -> TierCounts {
    let mut counts = TierCounts::default();
    if quantities.len() > usize::from(MAX_TIERS) {
        bad.add(field, format!("must name at most {MAX_TIERS} tiers"));
        return counts;
    }
    let mut seen = BTreeSet::new();
    for (place, asked) in quantities.iter().enumerate() {
        let field = |name| fmt::from_fn(move |f| write!(f, "{field}[{place}].{name}"));
        let tier = bad.check(field("tier_number"), TierNumber::new(asked.tier_number));
        let quantity = bad.check(field("quantity"), within(asked.quantity, 0, MAX_STOCK));
        if !seen.insert(asked.tier_number) {
            bad.add(field("tier_number"), "must be named once only");
        }
        if let Some((tier, quantity)) = tier.zip(quantity) {
            counts.set(tier, quantity);
        }
    }
    counts
}

pub(super) fn lease_holder(request: &proto::RenewLeasesRequest) -> Result<ReplicaId> {
    let holder = ReplicaId::parse(&request.holder_id);
    holder.map_err(|bad| QuotaError::invalid_field("holder_id", bad))
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

/// What was made of good fields, or every bad one.
fn if_good<T>(made: Option<T>, bad: Violations) -> Result<T> {
    made.filter(|_| bad.is_empty()).ok_or_else(|| bad.into())
}

#[cfg(test)]
mod tests;
