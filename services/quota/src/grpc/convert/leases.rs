use std::collections::BTreeSet;

use tidegate_proto::quota::v1 as proto;
use tidegate_types::{
    CampaignNumber, Lanes, MAX_STOCK, MAX_TIERS, ReplicaId, TierNumber, Violations,
};
use uuid::Uuid;

use super::{if_good, within};
use crate::{
    domain::{Availability, LeaseAnswer, LeaseRequest, TierCounts},
    error::QuotaError,
};

pub(in crate::grpc) fn lease_request(
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

pub(in crate::grpc) fn returned_lease(
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

pub(in crate::grpc) fn holder(
    request: &proto::RenewLeasesRequest,
) -> Result<ReplicaId, QuotaError> {
    let mut bad = Violations::default();
    let holder = bad.check("holder_id", ReplicaId::parse(&request.holder_id));
    if_good(holder, bad)
}

pub(in crate::grpc) fn lease_answer(answer: &LeaseAnswer) -> proto::AcquireLeaseResponse {
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
