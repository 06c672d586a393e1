use std::time::{Duration, Instant};

use tidegate_proto::quota::v1::{
    AcquireLeaseRequest, Availability, RenewLeasesRequest, ReturnLeaseRequest, TierQuantity,
    lease_service_client::LeaseServiceClient,
};
use tidegate_rpc::{
    client::{Replicas, with_context},
    refusal::reason_of,
};
use tidegate_telemetry::TraceContext;
use tidegate_types::{Lane, Reason, ReplicaId, TierNumber};
use tonic::Status;
use uuid::Uuid;

use crate::{domain::lease_book::Wanted, store::leases::TierCounts};

const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// Shorter, because a quota replica that hangs must not keep the others from hearing that this lease holder lives.
const RENEW_TIMEOUT: Duration = Duration::from_secs(1);

/// Asks quota for leases and settles them.
#[derive(Clone)]
pub struct QuotaClient(Replicas);

/// No quota replica could say. The same question can be asked again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuotaAway;

#[derive(Debug)]
pub(super) enum Acquired {
    /// So much of each tier.
    Granted(TierCounts),
    Nothing {
        /// Whether each tier is gone for good.
        tier_sold_out: Vec<bool>,
    },
    Halted,
    /// It will not grant at all.
    Refused,
}

impl QuotaClient {
    /// A client for these replicas of quota.
    pub fn new(replicas: Replicas) -> Self {
        Self(replicas)
    }

    pub(super) async fn acquire(
        &self,
        lease: Uuid,
        lease_holder: &ReplicaId,
        lane: Lane,
        wanted: &Wanted,
        trace: TraceContext,
    ) -> Result<Acquired, QuotaAway> {
        let request = AcquireLeaseRequest {
            lease_id: lease.to_string(),
            campaign_number: wanted.campaign.get(),
            holder_id: lease_holder.to_string(),
            lane: u32::from(lane.get()),
            wanted: wanted.tiers.iter().map(quantity).collect(),
            wanted_of_any_tier: wanted.any_tier,
        };
        for replica in self.0.in_turn(Instant::now()) {
            let mut client = LeaseServiceClient::new(replica.channel());
            match client
                .acquire_lease(with_context(request.clone(), trace, CALL_TIMEOUT))
                .await
            {
                Ok(response) => {
                    replica.answered();
                    return Ok(read(response.into_inner()));
                }
                Err(status) if reason_of(&status) == Some(Reason::IssuanceHalted) => {
                    replica.answered();
                    return Ok(Acquired::Halted);
                }
                Err(status) if is_final(&status) => {
                    replica.answered();
                    tracing::warn!(%lease, reason = status.message(), "quota will not grant a lease");
                    return Ok(Acquired::Refused);
                }
                Err(_) => replica.failed(Instant::now()),
            }
        }
        Err(QuotaAway)
    }

    pub(super) async fn settle(
        &self,
        lease: Uuid,
        used: &TierCounts,
        trace: TraceContext,
    ) -> Result<(), QuotaAway> {
        let request = ReturnLeaseRequest {
            lease_id: lease.to_string(),
            used: used.iter().map(quantity).collect(),
        };
        for replica in self.0.in_turn(Instant::now()) {
            let mut client = LeaseServiceClient::new(replica.channel());
            match client
                .return_lease(with_context(request.clone(), trace, CALL_TIMEOUT))
                .await
            {
                Ok(_) => {
                    replica.answered();
                    return Ok(());
                }
                Err(status) if is_final(&status) => {
                    replica.answered();
                    tracing::error!(%lease, reason = status.message(), "quota will not settle a lease; its stock stays on lease until somebody finds out why");
                    return Ok(());
                }
                Err(_) => replica.failed(Instant::now()),
            }
        }
        Err(QuotaAway)
    }

    /// Says that a lease holder lives.
    pub(crate) async fn renew(&self, lease_holder: &ReplicaId) -> Result<(), QuotaAway> {
        let request = RenewLeasesRequest {
            holder_id: lease_holder.to_string(),
        };
        let trace = TraceContext::new_root(false);
        for replica in self.0.in_turn(Instant::now()) {
            let mut client = LeaseServiceClient::new(replica.channel());
            match client
                .renew_leases(with_context(request.clone(), trace, RENEW_TIMEOUT))
                .await
            {
                Ok(_) => {
                    replica.answered();
                    return Ok(());
                }
                Err(_) => replica.failed(Instant::now()),
            }
        }
        Err(QuotaAway)
    }
}

/// Whether asking again would get the same answer.
fn is_final(status: &Status) -> bool {
    reason_of(status).is_some_and(|reason| {
        !matches!(
            reason,
            Reason::Overloaded | Reason::QueueFull | Reason::StockReturning
        )
    })
}

fn quantity((tier, quantity): &(TierNumber, u64)) -> TierQuantity {
    TierQuantity {
        tier_number: u32::from(tier.get()),
        quantity: *quantity,
    }
}

fn read(response: tidegate_proto::quota::v1::AcquireLeaseResponse) -> Acquired {
    let granted: TierCounts = response
        .granted
        .iter()
        .filter_map(|granted| Some((TierNumber::new(granted.tier_number).ok()?, granted.quantity)))
        .filter(|(_, quantity)| *quantity > 0)
        .collect();
    if !granted.is_empty() {
        return Acquired::Granted(granted);
    }
    let tiers = response.tier_availability.iter();
    Acquired::Nothing {
        tier_sold_out: tiers
            .map(|tier| *tier == i32::from(Availability::SoldOut))
            .collect(),
    }
}
