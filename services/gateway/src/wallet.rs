//! The wallet: reads, forwarded to issuance.

use tidegate_proto::issuance::v1::{
    CheckCouponRequest, CheckCouponResponse, ListCouponsRequest, ListCouponsResponse,
};
use tidegate_rpc::{
    client::{Replicas, RetryPolicy},
    server::CallContext,
};
use tidegate_types::{CampaignId, CouponCode, Lanes, ShopperId};

use crate::{
    campaigns::Campaigns, clients::issuance, concurrency_limits::ConcurrencyLimit,
    error::GatewayError,
};

pub struct Wallet {
    pub campaigns: Campaigns,
    pub lanes: Lanes,
    pub issuance: Replicas,
    pub read_limit: ConcurrencyLimit,
}

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
        let message = || ListCouponsRequest {
            shopper_id: shopper.as_str().to_owned(),
            campaign_number,
            page_size,
            page_token: page_token.clone(),
        };
        let send = |channel, request| async move { issuance(channel).list_coupons(request).await };
        let policy = RetryPolicy::for_key(self.key(shopper), call.deadline);
        Ok(self.issuance.call(policy, message, send).await?)
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
        let message = || CheckCouponRequest {
            shopper_id: shopper.as_str().to_owned(),
            coupon_code: code.reveal(),
        };
        let send = |channel, request| async move { issuance(channel).check_coupon(request).await };
        let policy = RetryPolicy::for_key(self.key(shopper), call.deadline);
        Ok(self.issuance.call(policy, message, send).await?)
    }

    fn key(&self, shopper: &ShopperId) -> u64 {
        u64::from(self.lanes.of(shopper).get())
    }
}
