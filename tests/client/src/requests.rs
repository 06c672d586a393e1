use tidegate_proto::{
    gateway::v1::{ClaimCouponRequest, PlaceOrderRequest},
    r#type::v1::{Money, OrderLine},
};

pub fn claim_of(campaign: &str, shopper: &str, request_id: &str) -> ClaimCouponRequest {
    ClaimCouponRequest {
        campaign_id: campaign.into(),
        shopper_id: shopper.into(),
        request_id: request_id.into(),
        ..ClaimCouponRequest::default()
    }
}

pub fn order_of(shopper: &str, request_id: &str, code: &str) -> PlaceOrderRequest {
    PlaceOrderRequest {
        shopper_id: shopper.into(),
        request_id: request_id.into(),
        store_id: "store-1".into(),
        lines: vec![OrderLine {
            sku: "milk-tea".into(),
            quantity: 1,
            unit_price: Some(Money {
                currency_code: "CNY".into(),
                minor_units: 2_800,
            }),
        }],
        coupon_code: code.into(),
        ..PlaceOrderRequest::default()
    }
}

/// One milk tea at a store, under a request id of that store.
pub fn order_at(store_id: &str, shopper: &str, code: &str) -> PlaceOrderRequest {
    PlaceOrderRequest {
        store_id: store_id.into(),
        ..order_of(shopper, &format!("at-{store_id}"), code)
    }
}
