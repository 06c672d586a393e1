use std::{collections::BTreeMap, sync::Arc};

use tidegate_proto::issuance::v1::{lease_fence_service_server::LeaseFenceService, *};
use tidegate_types::{
    CampaignNumber, Lane, Lanes, LimitPerShopper, ReplicaId, TierNumber, Violations,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    IssuanceGrpc,
    convert::{self, check_count, parsed},
    open,
    status::detached,
};
use crate::{
    campaigns::campaign_from,
    domain::fence::Fence,
    error::{IssuanceError, Result},
    store::{fence::CouponRange, leases},
};

#[tonic::async_trait]
impl LeaseFenceService for IssuanceGrpc {
    async fn seal_leases(
        &self,
        request: Request<SealLeasesRequest>,
    ) -> Result<Response<SealLeasesResponse>, Status> {
        let (_, message) = open(request)?;
        let leases = read_all(message.leases, self.replica.lanes, lease_to_seal)?;
        let ids: Vec<_> = leases.iter().map(|(_, lease)| lease.id).collect();
        let replica = Arc::clone(&self.replica);
        let sealed = detached(async move { replica.seal_leases(leases).await });
        let sealed = sealed.await??;
        let leases = ids.into_iter().zip(sealed).map(|(id, sealed)| SealedLease {
            lease_id: id.to_string(),
            used: positive(sealed.used),
            was_installed: sealed.was_installed,
        });
        Ok(Response::new(SealLeasesResponse {
            leases: leases.collect(),
        }))
    }

    async fn inspect_leases(
        &self,
        request: Request<InspectLeasesRequest>,
    ) -> Result<Response<InspectLeasesResponse>, Status> {
        let (_, message) = open(request)?;
        let keys = read_all(message.leases, self.replica.lanes, |bad, place, key| {
            lease_key(bad, format!("leases[{place}]"), Some(key))
        })?;
        let fences = self.replica.inspect_leases(keys.clone()).await?.into_iter();
        let leases = keys.into_iter().zip(fences);
        Ok(Response::new(InspectLeasesResponse {
            leases: leases
                .map(|((_, id), fence)| inspected(id, fence))
                .collect(),
        }))
    }

    async fn apply_control(
        &self,
        request: Request<ApplyControlRequest>,
    ) -> Result<Response<ApplyControlResponse>, Status> {
        let (_, message) = open(request)?;
        let campaign = message.campaign.and_then(campaign_from);
        let campaign = campaign.ok_or("must be a campaign as quota has it");
        let campaign = parsed(|bad| bad.check("campaign", campaign))?;
        let replica = Arc::clone(&self.replica);
        detached(async move { replica.apply_control(campaign).await }).await??;
        Ok(Response::new(ApplyControlResponse {}))
    }

    async fn count_coupons(
        &self,
        request: Request<CountCouponsRequest>,
    ) -> Result<Response<CountCouponsResponse>, Status> {
        let (call, message) = open(request)?;
        let lanes = self.replica.lanes;
        let range = which_coupons(&message, lanes)?;
        let replica = Arc::clone(&self.replica);
        let counted =
            detached(async move { replica.count_coupons(range, call.deadline).await }).await??;
        let mismatches = counted.mismatches.into_iter().map(|found| LeaseMismatch {
            lease_id: found.lease.to_string(),
            tier_number: found.tier.get().into(),
            used: found.used,
            coupons: found.coupons,
        });
        Ok(Response::new(CountCouponsResponse {
            lanes: lanes.get().into(),
            coupons: positive(counted.coupons),
            coupons_on_live_leases: positive(counted.on_live_leases),
            mismatches: mismatches.collect(),
            shoppers_over_limit: counted.shoppers_over_limit,
            shoppers_paying_twice: counted.shoppers_paying_twice,
            archived_used: positive(counted.archived_used),
        }))
    }

    async fn retire_campaign(
        &self,
        request: Request<RetireCampaignRequest>,
    ) -> Result<Response<RetireCampaignResponse>, Status> {
        let (_, message) = open(request)?;
        let campaign = convert::campaign(message.campaign_number)?;
        let replica = Arc::clone(&self.replica);
        detached(async move { replica.retire_campaign(campaign).await }).await??;
        Ok(Response::new(RetireCampaignResponse {}))
    }
}

/// Reads leases, each with its lane, or names every bad field of all of them.
fn read_all<M, T>(
    leases: Vec<M>,
    lanes: Lanes,
    read: impl Fn(&mut Violations, usize, M) -> Option<(u32, T)>,
) -> Result<Vec<(Lane, T)>> {
    let leases: Vec<_> = parsed(|bad| {
        check_count(bad, "leases", leases.len())?;
        let leases = leases.into_iter().enumerate();
        let leases = leases.filter_map(|(place, lease)| read(bad, place, lease));
        Some(leases.collect())
    })?;
    let known = |(lane, lease)| Ok((known_lane(lane, lanes)?, lease));
    leases.into_iter().map(known).collect()
}

fn lease_to_seal(
    bad: &mut Violations,
    place: usize,
    lease: LeaseToSeal,
) -> Option<(u32, leases::LeaseToSeal)> {
    let field = |name| format!("leases[{place}].{name}");
    let key = lease_key(bad, field("lease"), lease.lease);
    let campaign = CampaignNumber::new(lease.campaign_number);
    let campaign = bad.check(field("campaign_number"), campaign);
    let lease_holder = bad.check(field("holder_id"), ReplicaId::parse(lease.holder_id));
    let (lane, id) = key?;
    let lease = leases::LeaseToSeal {
        id,
        campaign: campaign?,
        lease_holder: lease_holder?,
    };
    Some((lane, lease))
}

fn lease_key(bad: &mut Violations, field: String, key: Option<LeaseKey>) -> Option<(u32, Uuid)> {
    let key = bad.check(&field, key.ok_or("must be set"))?;
    let id = Uuid::try_parse(&key.lease_id).map_err(|_| "must be a UUID");
    Some((key.lane, bad.check(format_args!("{field}.lease_id"), id)?))
}

fn which_coupons(message: &CountCouponsRequest, lanes: Lanes) -> Result<CouponRange> {
    let (campaign, leases, limit) = parsed(|bad| {
        let number = message.campaign_number;
        let campaign = bad.check("campaign_number", CampaignNumber::new(number));
        let mut end = |field, id: &str, otherwise| {
            let id = Some(id).filter(|id| !id.is_empty()).map(Uuid::try_parse);
            let id = id.unwrap_or(Ok(otherwise)).map_err(|_| "must be a UUID");
            bad.check(field, id)
        };
        let first = end("first_lease_id", &message.first_lease_id, Uuid::nil());
        let last = end("last_lease_id", &message.last_lease_id, Uuid::max());
        let limit = Some(message.limit_per_shopper).filter(|limit| *limit > 0);
        let limit = limit.map(LimitPerShopper::new).transpose();
        let limit = bad.check("limit_per_shopper", limit);
        Some((campaign?, first?..=last?, limit?))
    })?;
    Ok(CouponRange {
        campaign,
        lane: known_lane(message.lane, lanes)?,
        leases,
        limit,
    })
}

fn known_lane(lane: u32, lanes: Lanes) -> Result<Lane> {
    lanes
        .lane(lane)
        .map_err(|_| IssuanceError::OtherLanes { lanes: lanes.get() })
}

fn inspected(id: Uuid, fence: Fence) -> InspectedLease {
    let (is_known, is_sealed, granted, used) = match fence {
        Fence::Unknown => (false, false, BTreeMap::new(), BTreeMap::new()),
        Fence::Open { granted, used } => (true, false, granted, used),
        Fence::Sealed { granted, used } => (true, true, granted, used),
    };
    InspectedLease {
        lease_id: id.to_string(),
        is_known,
        is_sealed,
        granted: positive(granted),
        used: positive(used),
    }
}

fn positive(counts: impl IntoIterator<Item = (TierNumber, u64)>) -> Vec<TierCount> {
    let counts = counts.into_iter().filter(|(_, quantity)| *quantity > 0);
    let counts = counts.map(|(tier, quantity)| TierCount {
        tier_number: tier.get().into(),
        quantity,
    });
    counts.collect()
}
