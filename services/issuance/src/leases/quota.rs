use std::time::Duration;

use tidegate_proto::quota::v1::{
    AcquireLeaseRequest, Availability, RenewLeasesRequest, ReturnLeaseRequest, TierQuantity,
    lease_service_client::LeaseServiceClient,
};
use tidegate_rpc::{
    client::{CallFailed, Replicas, RetryPolicy, TracedChannel},
    refusal::words_of,
};
use tidegate_types::{Lane, Reason, Refusal, ReplicaId, TierNumber};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{domain::lease_book::Wanted, store::leases::TierCounts};

const ASK_AGAIN_WHEN_RETURNING: Duration = Duration::from_millis(250);
/// Sell-out is final unless budget is added, and then the campaign's revision tells; this is for a revision that got lost.
const ASK_AGAIN_WHEN_SOLD_OUT: Duration = Duration::from_secs(5);
/// A halt that ends changes the campaign's revision; this is for a revision that got lost.
const ASK_AGAIN_WHEN_HALTED: Duration = Duration::from_secs(1);
const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// Shorter, because a quota replica that hangs must not keep the others from hearing that this lease holder lives.
const RENEW_TIMEOUT: Duration = Duration::from_secs(1);

type Client = LeaseServiceClient<TracedChannel>;

#[derive(Clone)]
pub struct QuotaClient(Replicas);

/// No quota replica could say. The same question can be asked again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuotaAway;

#[derive(Debug)]
pub(super) enum Acquired {
    Granted(TierCounts),
    Denied {
        /// Whether each tier is gone for good; empty if quota does not say.
        tier_sold_out: Vec<bool>,
        /// Until it is asked again.
        pause: Duration,
    },
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
    ) -> Result<Acquired, QuotaAway> {
        let request = AcquireLeaseRequest {
            lease_id: lease.to_string(),
            campaign_number: wanted.campaign.get(),
            holder_id: lease_holder.to_string(),
            lane: u32::from(lane.get()),
            wanted: wanted.tiers.iter().map(quantity).collect(),
            wanted_of_any_tier: wanted.any_tier,
        };
        let acquire =
            |mut client: Client, request| async move { client.acquire_lease(request).await };
        let refused = match self.ask(CALL_TIMEOUT, request, acquire).await {
            Ok(answer) => return Ok(read(answer)),
            Err(refused) => refused.ok_or(QuotaAway)?,
        };
        let pause = if refused.reason == Reason::IssuanceHalted {
            ASK_AGAIN_WHEN_HALTED
        } else {
            // The campaign has closed, or quota does not know it; claims are told so before they come here.
            tracing::warn!(%lease, reason = words_of(&refused).en, "quota will not grant a lease");
            ASK_AGAIN_WHEN_SOLD_OUT
        };
        let tier_sold_out = Vec::new();
        Ok(Acquired::Denied {
            tier_sold_out,
            pause,
        })
    }

    pub(super) async fn settle(&self, lease: Uuid, used: &TierCounts) -> Result<(), QuotaAway> {
        let request = ReturnLeaseRequest {
            lease_id: lease.to_string(),
            used: used.iter().map(quantity).collect(),
        };
        let settle =
            |mut client: Client, request| async move { client.return_lease(request).await };
        if let Err(refused) = self.ask(CALL_TIMEOUT, request, settle).await {
            let refused = refused.ok_or(QuotaAway)?;
            tracing::error!(%lease, reason = words_of(&refused).en, "quota will not settle a lease; its stock stays on lease until somebody finds out why");
        }
        Ok(())
    }

    pub(crate) async fn renew(&self, lease_holder: &ReplicaId) -> Result<(), QuotaAway> {
        let request = RenewLeasesRequest {
            holder_id: lease_holder.to_string(),
        };
        let renew = |mut client: Client, request| async move { client.renew_leases(request).await };
        let answer = self.ask(RENEW_TIMEOUT, request, renew).await;
        answer.map(|_| ()).map_err(|_| QuotaAway)
    }

    /// The error tells what quota refuses for good, and nothing if asking again may help.
    async fn ask<Message, Answer, Answering>(
        &self,
        max_attempt: Duration,
        message: Message,
        call: impl Fn(Client, Request<Message>) -> Answering,
    ) -> Result<Answer, Option<Refusal>>
    where
        Message: Clone,
        Answering: Future<Output = Result<Response<Answer>, Status>>,
    {
        let policy = RetryPolicy::each_in_turn(max_attempt).ending_on(is_final);
        let send = |channel, request| call(LeaseServiceClient::new(channel), request);
        let answer = self.0.call(policy, || message.clone(), send).await;
        answer.map_err(|failed| match failed {
            CallFailed::Refused(refusal) if is_final(refusal.reason) => Some(refusal),
            CallFailed::Refused(_) | CallFailed::NoAnswer(_) => None,
        })
    }
}

/// Whether asking again would get the same answer.
fn is_final(reason: Reason) -> bool {
    !matches!(
        reason,
        Reason::Overloaded | Reason::QueueFull | Reason::StockReturning
    )
}

fn quantity((tier, quantity): &(TierNumber, u64)) -> TierQuantity {
    TierQuantity {
        tier_number: u32::from(tier.get()),
        quantity: *quantity,
    }
}

fn read(response: tidegate_proto::quota::v1::AcquireLeaseResponse) -> Acquired {
    let granted = response
        .granted
        .iter()
        .filter(|granted| granted.quantity > 0);
    let granted: TierCounts = granted
        .filter_map(|granted| Some((TierNumber::new(granted.tier_number).ok()?, granted.quantity)))
        .collect();
    if !granted.is_empty() {
        return Acquired::Granted(granted);
    }
    let tiers = response.tier_availability.iter();
    let is_sold_out = tiers.map(|tier| *tier == i32::from(Availability::SoldOut));
    let tier_sold_out: Vec<_> = is_sold_out.collect();
    let pause = match tier_sold_out.contains(&false) {
        true => ASK_AGAIN_WHEN_RETURNING,
        false => ASK_AGAIN_WHEN_SOLD_OUT,
    };
    Acquired::Denied {
        tier_sold_out,
        pause,
    }
}
