use tidegate_proto::{
    issuance::v1::{ClaimContent, IssuedCoupon, LookupClaimsRequest, LookupItem},
    r#type::v1::Coupon,
};
use tidegate_rpc::{client::RetryPolicy, server::CallContext, wire};
use tidegate_types::Reason;

use super::{Claim, Claims};
use crate::{
    clients::issuance, domain::ticket::ClaimKey, error::GatewayError, waiting_room::ClaimAttempt,
};

impl Claims {
    /// Finds the coupon an earlier claim produced.
    pub async fn lookup(&self, claim: &Claim, call: &CallContext) -> Result<Coupon, GatewayError> {
        let campaign = self.campaigns.get(&claim.campaign, call.deadline).await?;
        let key = claim.key(campaign.number);
        let found = self.find(key, None, call).await?;
        found.ok_or(GatewayError::ClaimNotFound)
    }

    /// The coupon that the claim produced before, if it is one that issues nothing new now. Refused
    /// if its request id belongs to a claim for something else.
    pub(super) async fn replay(
        &self,
        attempt: ClaimAttempt<'_>,
        call: &CallContext,
    ) -> Result<Option<IssuedCoupon>, GatewayError> {
        let content = ClaimContent {
            tier_number: attempt.tier.map(|tier| u32::from(tier.get())),
        };
        let found = self.find(attempt.key, Some(content), call).await?;
        Ok(found.map(|coupon| IssuedCoupon {
            coupon: Some(coupon),
            replayed: true,
        }))
    }

    /// The same where the claim can wait: not to know is nothing, but a request id that belongs to
    /// another claim is told, and so is a coupon that cannot be shown for want of its key, since no
    /// waiting brings that.
    pub(super) async fn replay_if_known(
        &self,
        attempt: ClaimAttempt<'_>,
        call: &CallContext,
    ) -> Result<Option<IssuedCoupon>, GatewayError> {
        match self.replay(attempt, call).await {
            Err(GatewayError::Refused(refusal))
                if matches!(
                    refusal.reason,
                    Reason::RequestIdConflict | Reason::CouponKeyMissing
                ) =>
            {
                Err(refusal.into())
            }
            found => Ok(found.unwrap_or_default()),
        }
    }

    async fn find(
        &self,
        key: ClaimKey<'_>,
        content: Option<ClaimContent>,
        call: &CallContext,
    ) -> Result<Option<Coupon>, GatewayError> {
        let _permit = self.read_limit.acquire(call)?;
        let lane = self.lanes.of(key.shopper);
        let item = LookupItem {
            campaign_number: key.campaign.get(),
            shopper_id: key.shopper.as_str().to_owned(),
            request_id: key.request_id.as_str().to_owned(),
            content,
        };
        let message = || LookupClaimsRequest {
            items: vec![item.clone()],
        };
        let send = |channel, request| async move { issuance(channel).lookup_claims(request).await };
        let policy = RetryPolicy::for_key(u64::from(lane.get()), call.deadline);
        // On the heap, because hardly a claim gets here, and all would be as large.
        let answer = Box::pin(self.issuance.call(policy, message, send)).await?;
        let found = answer.results.into_iter().next().unwrap_or_default();
        match found.refused {
            Some(refused) => Err(wire::refusal_from(refused).into()),
            None => Ok(found.coupon),
        }
    }
}
