use tidegate_auth::{Identity, Scope};
use tidegate_rpc::server::{CallContext, Limits, Rule, Work};
use tidegate_types::ShopperId;

use crate::error::IssuanceError;

macro_rules! rule {
    ($method:literal, $($service:ident),+) => {
        Rule { path: concat!("/tidegate.issuance.v1.", $method), services: &[$(Identity::$service),+], scope: None }
    };
    ($method:literal by $scope:ident) => {
        Rule { path: concat!("/tidegate.issuance.v1.", $method), services: &[], scope: Some(Scope::$scope) }
    };
}

/// Who may call what: services by their certificate, staff by their token.
pub const RULES: &[Rule] = &[
    rule!("IssuanceService/IssueCoupons", Gateway),
    rule!("IssuanceService/LookupClaims", Gateway),
    rule!("IssuanceService/StreamShoppers", Gateway),
    rule!("IssuanceService/ListCoupons", Gateway),
    rule!("IssuanceService/CheckCoupon", Gateway, OrderIntake),
    rule!("IssuanceService/RedeemCoupons", OrderIntake),
    rule!("IssuanceService/ReleaseCoupons", OrderIntake),
    rule!("IssuanceService/VerifyCodes", OrderIntake),
    rule!("IssuanceService/LookupRedemptions", OrderIntake),
    rule!("LeaseFenceService/SealLeases", Quota),
    rule!("LeaseFenceService/InspectLeases", Quota),
    rule!("LeaseFenceService/CountCoupons", Quota),
    rule!("LeaseFenceService/ApplyControl", Quota),
    rule!("LeaseFenceService/RetireCampaign", Quota),
    rule!("CouponAdminService/RevokeCoupon" by CouponsWrite),
    rule!("CouponAdminService/GrantCoupons" by CouponsWrite),
    rule!("CouponAdminService/FindCoupons" by CouponsRead),
    rule!("CouponAdminService/ListChanges" by ChangesRead),
];

macro_rules! paths {
    ($($method:literal),+ $(,)?) => { &[$(concat!("/tidegate.issuance.v1.IssuanceService/", $method)),+] };
}

/// Of the calls in flight, a half may be claims, a quarter redemptions, releases and what orders
/// ask before, and an eighth reads: no crowd of one keeps out another, and quota's seals always
/// find room.
pub fn limits(max_in_flight: usize) -> Limits {
    let orders = paths!["RedeemCoupons", "ReleaseCoupons", "VerifyCodes"];
    let reads = paths![
        "LookupClaims",
        "ListCoupons",
        "CheckCoupon",
        "LookupRedemptions"
    ];
    Limits::default()
        .with_work(Work::Orders, orders)
        .with_work(Work::Claims, paths!["IssueCoupons"])
        .with_work(Work::Browsing, reads)
        .at_most(Work::Claims, max_in_flight.div_ceil(2))
        .at_most(Work::Orders, max_in_flight.div_ceil(4))
        .at_most(Work::Browsing, max_in_flight.div_ceil(8))
}

/// A token may be bound to one shopper; the gateway has checked its own callers' tokens.
pub fn check_shopper(call: &CallContext, shopper: &ShopperId) -> Result<(), IssuanceError> {
    match &call.caller {
        Some(caller) if !caller.may_act_for(shopper) => Err(IssuanceError::OtherShopper),
        _ => Ok(()),
    }
}

/// What is of all shoppers is not for a token that is bound to one.
pub fn check_unbound(call: &CallContext) -> Result<(), IssuanceError> {
    match &call.caller {
        Some(caller) if caller.shopper.is_some() => Err(IssuanceError::BoundToShopper),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::SERVICES;

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
