//! Asking issuance to seal leases, what has become of them, and to obey what staff have said.

mod decode;

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use tidegate_proto::issuance::v1::{
    ApplyControlRequest, CountCouponsRequest, InspectLeasesRequest, LeaseKey, LeaseToSeal,
    RetireCampaignRequest, SealLeasesRequest, lease_fence_service_client::LeaseFenceServiceClient,
};
use tidegate_rpc::{
    MAX_MESSAGE_BYTES,
    client::{Replicas, RetryPolicy, TracedChannel},
};
use tidegate_types::{CampaignNumber, Lane, Lanes, LimitPerShopper};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    domain::{Campaign, CouponBooks, FencedLease, LeaseBooks, TierCounts},
    error::{QuotaError, Result},
    store::LeaseToReclaim,
    told,
};

pub const MAX_LEASES_PER_CALL: i64 = 1_000;
/// A replica that takes longer to write what it is told is given up for the next one.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// Counting reads every coupon of a page of leases. Issuance takes no longer deadline than this.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub struct IssuanceClient(Replicas);

impl IssuanceClient {
    pub fn new(replicas: Replicas) -> Self {
        Self(replicas)
    }

    /// Seals leases for ever, at most [`MAX_LEASES_PER_CALL`]; answers with what was used of each, in their order.
    pub async fn seal(&self, leases: &[LeaseToReclaim]) -> Result<Vec<TierCounts>> {
        let to_seal = |lease: &LeaseToReclaim| LeaseToSeal {
            lease: Some(key(lease.lease_id, lease.lane)),
            campaign_number: lease.campaign.get(),
            holder_id: lease.holder.to_string(),
        };
        let request = SealLeasesRequest {
            leases: leases.iter().map(to_seal).collect(),
        };
        // One replica that is frozen must not use up the time of the others, so only each call is bounded.
        let call = |mut client: Client, request| async move { client.seal_leases(request).await };
        let response = self
            .ask(RetryPolicy::each_in_turn(WRITE_TIMEOUT), request, call)
            .await?;
        decode::sealed(leases, &response.leases)
    }

    /// Puts what staff have said of a campaign's coupons into issuance's database. Answered, it is in force.
    pub async fn apply_control(&self, campaign: &Campaign) -> Result {
        let request = ApplyControlRequest {
            campaign: Some(told::campaign(campaign)),
        };
        let call = |mut client: Client, request| async move { client.apply_control(request).await };
        self.ask(RetryPolicy::each_in_turn(WRITE_TIMEOUT), request, call)
            .await
            .map(|_| ())
    }

    /// How leases stand, at most [`MAX_LEASES_PER_CALL`], in their order; `None` for one that issuance does not know.
    pub async fn inspect(
        &self,
        leases: &[LeaseBooks],
        deadline: Instant,
    ) -> Result<Vec<Option<FencedLease>>> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let keys = leases.iter().map(|lease| key(lease.lease_id, lease.lane));
        let request = InspectLeasesRequest {
            leases: keys.collect(),
        };
        let call =
            |mut client: Client, request| async move { client.inspect_leases(request).await };
        let policy = RetryPolicy::each_in_turn(READ_TIMEOUT).until(deadline);
        let response = self.ask(policy, request, call).await?;
        decode::inspected(leases, &response.leases)
    }

    /// Ends a campaign at issuance: answered, no lease of it is installed any more.
    pub async fn retire(&self, campaign: CampaignNumber) -> Result {
        let request = RetireCampaignRequest {
            campaign_number: campaign.get(),
        };
        let call =
            |mut client: Client, request| async move { client.retire_campaign(request).await };
        self.ask(RetryPolicy::each_in_turn(WRITE_TIMEOUT), request, call)
            .await
            .map(|_| ())
    }

    /// The coupons of a range of a campaign's leases in one lane, what their shoppers hold, and how many lanes there are.
    pub async fn count_coupons(
        &self,
        campaign: (CampaignNumber, LimitPerShopper),
        leases: &RangeInclusive<Uuid>,
        lane: u32,
        deadline: Instant,
    ) -> Result<(Lanes, CouponBooks)> {
        let (campaign, limit_per_shopper) = campaign;
        let request = CountCouponsRequest {
            campaign_number: campaign.get(),
            lane,
            first_lease_id: leases.start().to_string(),
            last_lease_id: leases.end().to_string(),
            limit_per_shopper: limit_per_shopper.get().into(),
        };
        let call = |mut client: Client, request| async move { client.count_coupons(request).await };
        let policy = RetryPolicy::each_in_turn(READ_TIMEOUT).until(deadline);
        let response = self.ask(policy, request, call).await?;
        decode::counted(&response)
    }

    async fn ask<Message, Answer, Answering>(
        &self,
        policy: RetryPolicy,
        message: Message,
        call: impl Fn(Client, Request<Message>) -> Answering,
    ) -> Result<Answer>
    where
        Message: Clone,
        Answering: Future<Output = Result<Response<Answer>, Status>>,
    {
        let send = |channel, request| {
            let client =
                LeaseFenceServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
            call(client, request)
        };
        let answer = self.0.call(policy, || message.clone(), send).await;
        answer.map_err(|failed| QuotaError::IssuanceAway(failed.to_string()))
    }
}

type Client = LeaseFenceServiceClient<TracedChannel>;

fn key(lease_id: Uuid, lane: Lane) -> LeaseKey {
    LeaseKey {
        lease_id: lease_id.to_string(),
        lane: lane.get().into(),
    }
}
