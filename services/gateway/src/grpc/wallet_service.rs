use std::sync::Arc;

use tidegate_proto::{
    gateway::v1::{
        CheckCouponRequest, CheckCouponResponse, GetCouponRequest, GetCouponResponse,
        ListCouponsRequest, ListCouponsResponse, wallet_service_server::WalletService,
    },
    issuance,
};
use tidegate_rpc::server::CallContext;
use tidegate_telemetry::TraceContext;
use tonic::{Request, Response, Status};

use super::{check_shopper, convert, open, status::answered};
use crate::{
    error::GatewayError, metrics::GatewayMetrics, rate_limits::ShopperLimits, wallet::Wallet,
};

const SERVICE: &str = "WalletService";

pub struct WalletGrpc {
    pub wallet: Wallet,
    pub shopper_limits: Arc<ShopperLimits>,
    pub metrics: GatewayMetrics,
}

impl WalletGrpc {
    async fn list(
        &self,
        request: Request<ListCouponsRequest>,
    ) -> Result<ListCouponsResponse, GatewayError> {
        let (call, message) = open(request)?;
        let page = convert::page(
            &message.shopper_id,
            &message.campaign_id,
            message.page_size,
            message.page_token,
        )?;
        check_shopper(&call, &page.shopper, &self.shopper_limits)?;
        let answer = self
            .wallet
            .list(&page.shopper, page.campaign.as_ref(), page.range, &call)
            .await?;
        Ok(ListCouponsResponse {
            coupons: answer.coupons,
            next_page_token: answer.next_page_token,
            trace_id: TraceContext::current().trace_id(),
        })
    }

    async fn read(
        &self,
        call: &CallContext,
        shopper_id: &str,
        code: &str,
    ) -> Result<issuance::v1::CheckCouponResponse, GatewayError> {
        let shopper = convert::shopper(shopper_id)?;
        check_shopper(call, &shopper, &self.shopper_limits)?;
        self.wallet.check(&shopper, code, call).await
    }

    async fn get(
        &self,
        request: Request<GetCouponRequest>,
    ) -> Result<GetCouponResponse, GatewayError> {
        let (call, message) = open(request)?;
        let answer = self
            .read(&call, &message.shopper_id, &message.coupon_code)
            .await?;
        Ok(GetCouponResponse {
            coupon: answer.coupon,
            trace_id: TraceContext::current().trace_id(),
        })
    }

    async fn check(
        &self,
        request: Request<CheckCouponRequest>,
    ) -> Result<CheckCouponResponse, GatewayError> {
        let (call, message) = open(request)?;
        let answer = self
            .read(&call, &message.shopper_id, &message.coupon_code)
            .await?;
        Ok(CheckCouponResponse {
            coupon: answer.coupon,
            usable: answer.usable,
            unusable_because: answer.unusable_because,
            trace_id: TraceContext::current().trace_id(),
        })
    }
}

#[tonic::async_trait]
impl WalletService for WalletGrpc {
    async fn list_coupons(
        &self,
        request: Request<ListCouponsRequest>,
    ) -> Result<Response<ListCouponsResponse>, Status> {
        answered(self.list(request).await, SERVICE, &self.metrics)
    }

    async fn get_coupon(
        &self,
        request: Request<GetCouponRequest>,
    ) -> Result<Response<GetCouponResponse>, Status> {
        answered(self.get(request).await, SERVICE, &self.metrics)
    }

    async fn check_coupon(
        &self,
        request: Request<CheckCouponRequest>,
    ) -> Result<Response<CheckCouponResponse>, Status> {
        answered(self.check(request).await, SERVICE, &self.metrics)
    }
}
