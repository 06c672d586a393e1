//! The gRPC face: decode, call, encode.

mod claim_service;
pub mod convert;
mod faces;
mod order_service;
pub mod status;
mod wallet_service;

use std::time::Instant;

use tidegate_rpc::{
    access_rules,
    server::{CallContext, Rule},
};
use tidegate_types::ShopperId;
use tonic::Request;

use claim_service::ClaimGrpc;
pub use faces::Faces;
use order_service::OrderGrpc;
use wallet_service::WalletGrpc;

use crate::{error::GatewayError, rate_limits::ShopperLimits};

pub const SERVICES: &[&str] = &[
    "tidegate.gateway.v1.CallService",
    "tidegate.gateway.v1.ClaimService",
    "tidegate.gateway.v1.WalletService",
    "tidegate.gateway.v1.OrderService",
];

pub const RULES: &[Rule] = access_rules! {
    "tidegate.gateway.v1.CallService" {
        StreamCalls: CallStreams, token ClaimsWrite;
    }
    "tidegate.gateway.v1.ClaimService" {
        ClaimCoupon: Claims, token ClaimsWrite;
        GetClaim: Claims, token ClaimsWrite;
        WatchClaim: Streams, token ClaimsWrite;
        LeaveQueue: Claims, token ClaimsWrite;
    }
    "tidegate.gateway.v1.WalletService" {
        ListCoupons: Browsing, token WalletRead;
        GetCoupon: Browsing, token WalletRead;
        CheckCoupon: Browsing, token WalletRead;
    }
    "tidegate.gateway.v1.OrderService" {
        PlaceOrder: Orders, token OrdersWrite;
        CancelOrder: Orders, token OrdersWrite;
        GetOrder: Browsing, token OrdersRead;
        ListOrders: Browsing, token OrdersRead;
        WatchOrder: Streams, token OrdersRead;
    }
};

fn open<T>(request: Request<T>) -> Result<(CallContext, T), GatewayError> {
    // The layer in front puts it there; without it nobody has checked the caller.
    let call = request
        .extensions()
        .get::<CallContext>()
        .cloned()
        .ok_or(GatewayError::NotReady)?;
    Ok((call, request.into_inner()))
}

/// A token that is bound to one shopper speaks for no other, and nobody asks for one shopper
/// without end.
fn check_shopper(
    call: &CallContext,
    shopper: &ShopperId,
    limits: &ShopperLimits,
) -> Result<(), GatewayError> {
    let allowed = call
        .caller
        .as_ref()
        .is_some_and(|caller| caller.may_act_for(shopper));
    if allowed {
        limits.check(shopper, Instant::now())
    } else {
        Err(GatewayError::OtherShopper)
    }
}

#[cfg(test)]
mod tests {
    use tidegate_rpc::server::faults_of_rules;

    use super::*;

    #[test]
    fn every_method_has_a_rule() {
        assert_eq!(faults_of_rules(RULES, SERVICES), [""; 0]);
    }
}
