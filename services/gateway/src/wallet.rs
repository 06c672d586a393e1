//! The wallet: reads, forwarded to issuance.

use tidegate_proto::issuance::v1::{
    CheckCouponRequest, CheckCouponResponse, ListCouponsRequest, ListCouponsResponse,
    issuance_service_client::IssuanceServiceClient,
};
use tidegate_rpc::server::CallContext;
use tidegate_types::{CampaignId, CouponCode, Lanes, ShopperId};
use tonic::transport::Channel;

use crate::{
    campaigns::Campaigns, concurrency_limits::ConcurrencyLimit, error::GatewayError,
    upstream::Upstream,
};

pub struct Wallet {
    pub campaigns: Campaigns,
    pub lanes: Lanes,
    pub issuance: Upstream,
    pub read_limit: ConcurrencyLimit,
}

type Client = IssuanceServiceClient<Channel>;

impl Wallet {
    /// A page of a shopper's coupons.
    pub async fn list(
        &self,
        shopper: &ShopperId,
        campaign: Option<&CampaignId>,
        (page_size, page_token): (u32, String),
        call: &CallContext,
    ) -> Result<ListCouponsResponse, GatewayError> {
        let _permit = self.read_limit.acquire(call)?;
        let campaign_number = match campaign {
            Some(campaign) => {
                let known = self.campaigns.get(campaign, call.deadline).await?;
                known.number.get()
            }
            None => 0,
        };
        let message = ListCouponsRequest {
            shopper_id: shopper.as_str().to_owned(),
            campaign_number,
            page_size,
            page_token,
        };
        let send =
            |channel, request| async move { Client::new(channel).list_coupons(request).await };
        self.issuance
            .ask_for(self.lanes.of(shopper), call, message, send)
            .await
    }

    /// One coupon, and whether it can be used. A text that is no code is answered without asking
    /// anybody.
    pub async fn check(
        &self,
        shopper: &ShopperId,
        code: &str,
        call: &CallContext,
    ) -> Result<CheckCouponResponse, GatewayError> {
        let _permit = self.read_limit.acquire(call)?;
        let code = CouponCode::parse(code).ok_or(GatewayError::CouponNotFound)?;
        let message = CheckCouponRequest {
            shopper_id: shopper.as_str().to_owned(),
            coupon_code: code.reveal(),
        };
        let send =
            |channel, request| async move { Client::new(channel).check_coupon(request).await };
        self.issuance
            .ask_for(self.lanes.of(shopper), call, message, send)
            .await
    }
}
