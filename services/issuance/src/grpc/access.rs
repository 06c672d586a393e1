use tidegate_rpc::{
    access_rules,
    server::{CallContext, Limits, Rule, Work},
};
use tidegate_types::ShopperId;

use crate::error::{IssuanceError, Result};

pub const RULES: &[Rule] = access_rules! {
    "tidegate.issuance.v1.IssuanceService" {
        IssueCoupons: Claims, by [Gateway];
        LookupClaims: Browsing, by [Gateway];
        StreamShoppers: Streams, by [Gateway];
        ListCoupons: Browsing, by [Gateway];
        CheckCoupon: Browsing, by [Gateway, OrderIntake];
        RedeemCoupons: Orders, by [OrderIntake];
        ReleaseCoupons: Orders, by [OrderIntake];
        VerifyCodes: Orders, by [OrderIntake];
        LookupRedemptions: Browsing, by [OrderIntake];
    }
    "tidegate.issuance.v1.LeaseFenceService" {
        SealLeases: Inner, by [Quota];
        InspectLeases: Inner, by [Quota];
        CountCoupons: Inner, by [Quota];
        ApplyControl: Inner, by [Quota];
        RetireCampaign: Inner, by [Quota];
    }
    "tidegate.issuance.v1.CouponAdminService" {
        RevokeCoupon: Staff, token CouponsWrite;
        GrantCoupons: Streams, token CouponsWrite;
        FindCoupons: Staff, token CouponsRead;
        ListChanges: Staff, token ChangesRead;
    }
};

/// Of the calls in flight, a half may be claims, a quarter redemptions, releases and what orders
/// ask before, and an eighth reads: no crowd of one keeps out another, and quota's seals always
/// find room.
pub fn limits(max_in_flight: usize) -> Limits {
    Limits::default()
        .at_most(Work::Claims, max_in_flight.div_ceil(2))
        .at_most(Work::Orders, max_in_flight.div_ceil(4))
        .at_most(Work::Browsing, max_in_flight.div_ceil(8))
}

/// A token may be bound to one shopper; the gateway has checked its own callers' tokens.
pub fn check_shopper(call: &CallContext, shopper: &ShopperId) -> Result<()> {
    match &call.caller {
        Some(caller) if !caller.may_act_for(shopper) => Err(IssuanceError::OtherShopper),
        _ => Ok(()),
    }
}

/// What is of all shoppers is not for a token that is bound to one.
pub fn check_unbound(call: &CallContext) -> Result<()> {
    match &call.caller {
        Some(caller) if caller.shopper.is_some() => Err(IssuanceError::BoundToShopper),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tidegate_rpc::server::faults_of_rules;

    use super::*;
    use crate::grpc::SERVICES;

    #[test]
    fn every_method_has_a_rule() {
        assert_eq!(faults_of_rules(RULES, SERVICES), [""; 0]);
    }
}
