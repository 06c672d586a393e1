//! The gRPC services, as they are served on their own and over streams of calls.

use std::sync::Arc;

use tidegate_proto::gateway::v1::{
    claim_service_server::{ClaimService as _, ClaimServiceServer},
    order_service_server::{OrderService as _, OrderServiceServer},
    wallet_service_server::{WalletService as _, WalletServiceServer},
};
use tidegate_rpc::server::CallHandlers;
use tidegate_runtime::Host;
use tonic::service::Routes;

use super::{ClaimGrpc, OrderGrpc, WalletGrpc};
use crate::{
    claims::Claims,
    concurrency_limits::{ConcurrencyLimit, ShopperStreams},
    config::Config,
    metrics::GatewayMetrics,
    orders::Orders,
    rate_limits::ShopperLimits,
    wallet::Wallet,
};

/// A shopper's request is small; larger ones are refused unread.
const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// A shopper follows its claims on a few devices at once.
const MAX_STREAMS_PER_SHOPPER: usize = 4;

pub struct Faces {
    claims: Arc<ClaimGrpc>,
    wallet: Arc<WalletGrpc>,
    orders: Arc<OrderGrpc>,
}

impl Faces {
    pub fn new(
        config: &Config,
        host: &Host,
        metrics: GatewayMetrics,
        (orders, claims, wallet): (Orders, Claims, Wallet),
    ) -> Self {
        let shopper_limits = Arc::new(ShopperLimits::new(config.shopper_rate_per_second));
        Self {
            claims: Arc::new(ClaimGrpc {
                claims,
                watch_limit: ConcurrencyLimit::new(config.max_claim_watches),
                shopper_streams: ShopperStreams::new(MAX_STREAMS_PER_SHOPPER),
                shopper_limits: Arc::clone(&shopper_limits),
                stop: host.stop.clone(),
                metrics: metrics.clone(),
            }),
            wallet: Arc::new(WalletGrpc {
                wallet,
                shopper_limits: Arc::clone(&shopper_limits),
                metrics: metrics.clone(),
            }),
            orders: Arc::new(OrderGrpc {
                orders,
                watch_limit: ConcurrencyLimit::new(config.max_watches),
                shopper_limits,
                metrics,
            }),
        }
    }

    /// What answers each method that has one answer, for calls over streams.
    pub fn handlers(&self) -> CallHandlers {
        let Self {
            claims,
            wallet,
            orders,
        } = self;
        CallHandlers::new(MAX_REQUEST_BYTES)
            .with(
                "/tidegate.gateway.v1.ClaimService/ClaimCoupon",
                claims,
                |on, asked| on.claim_coupon(asked),
            )
            .with(
                "/tidegate.gateway.v1.ClaimService/GetClaim",
                claims,
                |on, asked| on.get_claim(asked),
            )
            .with(
                "/tidegate.gateway.v1.ClaimService/LeaveQueue",
                claims,
                |on, asked| on.leave_queue(asked),
            )
            .with(
                "/tidegate.gateway.v1.WalletService/ListCoupons",
                wallet,
                |on, asked| on.list_coupons(asked),
            )
            .with(
                "/tidegate.gateway.v1.WalletService/GetCoupon",
                wallet,
                |on, asked| on.get_coupon(asked),
            )
            .with(
                "/tidegate.gateway.v1.WalletService/CheckCoupon",
                wallet,
                |on, asked| on.check_coupon(asked),
            )
            .with(
                "/tidegate.gateway.v1.OrderService/PlaceOrder",
                orders,
                |on, asked| on.place_order(asked),
            )
            .with(
                "/tidegate.gateway.v1.OrderService/CancelOrder",
                orders,
                |on, asked| on.cancel_order(asked),
            )
            .with(
                "/tidegate.gateway.v1.OrderService/GetOrder",
                orders,
                |on, asked| on.get_order(asked),
            )
            .with(
                "/tidegate.gateway.v1.OrderService/ListOrders",
                orders,
                |on, asked| on.list_orders(asked),
            )
    }

    pub fn add_to(self, routes: Routes) -> Routes {
        let claims = ClaimServiceServer::from_arc(self.claims);
        let wallet = WalletServiceServer::from_arc(self.wallet);
        let orders = OrderServiceServer::from_arc(self.orders);
        routes
            .add_service(claims.max_decoding_message_size(MAX_REQUEST_BYTES))
            .add_service(wallet.max_decoding_message_size(MAX_REQUEST_BYTES))
            .add_service(orders.max_decoding_message_size(MAX_REQUEST_BYTES))
    }
}
