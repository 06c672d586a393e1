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
use tonic::{Response, Status, transport::Channel};
use uuid::Uuid;

use crate::{domain::lease_book::Wanted, store::leases::TierCounts};

const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// Shorter, because a quota replica that hangs must not keep the others from hearing that this lease holder lives.
const RENEW_TIMEOUT: Duration = Duration::from_secs(1);

type Client = LeaseServiceClient<Channel>;

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
        let call = |mut quota: Client| {
            let request = with_context(request.clone(), trace, CALL_TIMEOUT);
            async move { quota.acquire_lease(request).await }
        };
        let read = |answer: Result<_, Status>| match answer {
            Ok(response) => Some(read(response)),
            Err(status) if reason_of(&status) == Some(Reason::IssuanceHalted) => {
                Some(Acquired::Halted)
            }
            Err(status) if is_final(&status) => {
                tracing::warn!(%lease, reason = status.message(), "quota will not grant a lease");
                Some(Acquired::Refused)
            }
            Err(_) => None,
        };
        self.ask(call, read).await
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
        let call = |mut quota: Client| {
            let request = with_context(request.clone(), trace, CALL_TIMEOUT);
            async move { quota.return_lease(request).await }
        };
        let read = |answer: Result<_, Status>| match answer {
            Ok(_) => Some(()),
            Err(status) if is_final(&status) => {
                tracing::error!(%lease, reason = status.message(), "quota will not settle a lease; its stock stays on lease until somebody finds out why");
                Some(())
            }
            Err(_) => None,
        };
        self.ask(call, read).await
    }

    /// Says that a lease holder lives.
    pub(crate) async fn renew(&self, lease_holder: &ReplicaId) -> Result<(), QuotaAway> {
        let request = RenewLeasesRequest {
            holder_id: lease_holder.to_string(),
        };
        let trace = TraceContext::new_root(false);
        let call = |mut quota: Client| {
            let request = with_context(request.clone(), trace, RENEW_TIMEOUT);
            async move { quota.renew_leases(request).await }
        };
        self.ask(call, |answer| answer.ok().map(|_| ())).await
    }

    /// Asks one replica after the other, until one gives an answer that can be read.
    async fn ask<R, T, F>(
        &self,
        call: impl Fn(Client) -> F,
        read: impl Fn(Result<R, Status>) -> Option<T>,
    ) -> Result<T, QuotaAway>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        for replica in self.0.in_turn(Instant::now()) {
            let answer = call(Client::new(replica.channel())).await;
            if let Some(read) = read(answer.map(Response::into_inner)) {
                replica.answered();
                return Ok(read);
            }
            replica.failed(Instant::now());
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
