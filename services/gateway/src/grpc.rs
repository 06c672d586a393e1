//! The gRPC face: decode, call, encode.

mod claim_service;
pub mod convert;
mod order_service;
pub mod status;
mod wallet_service;

use std::time::Instant;

use tidegate_auth::Scope;
use tidegate_rpc::server::{CallContext, Rule};
use tidegate_types::ShopperId;
use tonic::Request;

pub use claim_service::ClaimGrpc;
pub use order_service::OrderGrpc;
pub use wallet_service::WalletGrpc;

use crate::{error::GatewayError, rate_limits::ShopperLimits};

pub const SERVICES: &[&str] = &[
    "tidegate.gateway.v1.ClaimService",
    "tidegate.gateway.v1.WalletService",
    "tidegate.gateway.v1.OrderService",
];

macro_rules! rule {
    ($path:literal, $scope:ident) => {
        Rule {
            path: concat!("/tidegate.gateway.v1.", $path),
            services: &[],
            scope: Some(Scope::$scope),
        }
    };
}

pub const RULES: &[Rule] = &[
    rule!("ClaimService/ClaimCoupon", ClaimsWrite),
    rule!("ClaimService/GetClaim", ClaimsWrite),
    rule!("ClaimService/WatchClaim", ClaimsWrite),
    rule!("ClaimService/LeaveQueue", ClaimsWrite),
    rule!("WalletService/ListCoupons", WalletRead),
    rule!("WalletService/GetCoupon", WalletRead),
    rule!("WalletService/CheckCoupon", WalletRead),
    rule!("OrderService/PlaceOrder", OrdersWrite),
    rule!("OrderService/CancelOrder", OrdersWrite),
    rule!("OrderService/GetOrder", OrdersRead),
    rule!("OrderService/ListOrders", OrdersRead),
    rule!("OrderService/WatchOrder", OrdersRead),
];

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
    use super::*;

    #[test]
    fn every_method_has_a_rule() {
        let methods = tidegate_proto::methods(SERVICES);
        assert_eq!(methods.len(), RULES.len());
        for method in methods {
            assert!(
                RULES.iter().any(|rule| rule.path == method),
                "{method} has no rule"
            );
        }
    }
}
