use tidegate_proto::{
    issuance::v1::{
        IssuedCoupon, LookupClaimsRequest, LookupItem,
        issuance_service_client::IssuanceServiceClient,
    },
    r#type::v1::Coupon,
};
use tidegate_rpc::server::CallContext;

use super::{Claim, Claims};
use crate::{domain::ticket::Holder, error::GatewayError};

impl Claims {
    /// Finds the coupon an earlier claim produced.
    pub async fn lookup(&self, claim: &Claim, call: &CallContext) -> Result<Coupon, GatewayError> {
        let campaign = self.campaigns.get(&claim.campaign, call.deadline).await?;
        let holder = claim.holder(campaign.number);
        let found = self.find(holder, call).await?;
        found.ok_or(GatewayError::ClaimNotFound)
    }

    /// The coupon that the claim produced before, if it is one that issues nothing new now.
    pub(super) async fn replay(
        &self,
        holder: Holder<'_>,
        call: &CallContext,
    ) -> Result<Option<IssuedCoupon>, GatewayError> {
        let found = self.find(holder, call).await?;
        Ok(found.map(|coupon| IssuedCoupon {
            coupon: Some(coupon),
            replayed: true,
        }))
    }

    async fn find(
        &self,
        holder: Holder<'_>,
        call: &CallContext,
    ) -> Result<Option<Coupon>, GatewayError> {
        let _place = self.read_places.enter()?;
        let lane = self.lanes.of(holder.shopper);
        let item = LookupItem {
            campaign_number: holder.campaign.get(),
            shopper_id: holder.shopper.as_str().to_owned(),
            request_id: holder.request_id.as_str().to_owned(),
        };
        let message = || LookupClaimsRequest {
            items: vec![item.clone()],
        };
        let answer = self
            .issuance
            .ask(
                u64::from(lane.get()),
                call.trace,
                call.deadline,
                message,
                |channel, request| async move {
                    IssuanceServiceClient::new(channel)
                        .lookup_claims(request)
                        .await
                },
            )
            .await?;
        let found = answer.results.into_iter().next();
        Ok(found.and_then(|result| result.coupon))
    }
}
