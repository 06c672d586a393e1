use base64::{Engine as _, prelude::BASE64_STANDARD};
use tidegate_types::{CampaignNumber, CouponKeyring, Slot};

use super::*;

/// Shoppers of one lane of sixteen whose coupons of a campaign have the same code under the test
/// key: found by trying some ten million ids.
const COLLIDING: [&str; 2] = ["shopper-86530534", "shopper-161455760"];

/// The code that both have, and one order of each with it.
async fn same_code_orders(fixture: &Fixture) -> (String, [Order; 2]) {
    let key = BASE64_STANDARD.encode([1; 32]);
    let json = format!(r#"{{"active":1,"keys":{{"1":"{key}"}}}}"#);
    let keyring = CouponKeyring::from_json(&json).unwrap();
    let code = |shopper| {
        let shopper = ShopperId::parse(shopper).unwrap();
        let (campaign, slot) = (CampaignNumber::new(1u32), Slot::new(1u8));
        let code = keyring.derive(1, campaign.unwrap(), &shopper, slot.unwrap());
        code.unwrap().reveal()
    };
    let [one, two] = COLLIDING;
    assert_eq!(code(one), code(two));
    let sixteen = Lanes::new(16u16).unwrap();
    let lane = |shopper| sixteen.of(&ShopperId::parse(shopper).unwrap());
    assert_eq!(lane(one), lane(two));
    let mut orders = Vec::new();
    for shopper in COLLIDING {
        let draft = with_code(draft(shopper, "r-1"), &code(one));
        orders.push(fixture.placed(&draft).await);
    }
    (code(one), orders.try_into().unwrap())
}

#[tokio::test]
async fn two_shoppers_with_the_same_code_each_pay_with_their_own_coupon_also_in_one_batch() {
    let fixture = Fixture::start().await;
    let (code, [first, second]) = same_code_orders(&fixture).await;
    let states = tokio::join!(
        fixture.settle(&first, accept()),
        fixture.settle(&second, accept())
    );
    assert_eq!(states, (OrderState::Accepted, OrderState::Accepted));
    // Each coupon pays once all the same, and the refusal names the order of its own shopper.
    for order in [&first, &second] {
        let shopper = order.draft.shopper.as_str();
        let again = with_code(draft(shopper, "r-2"), &code);
        let again = fixture.placed(&again).await;
        assert_eq!(fixture.settle(&again, accept()).await, rejected_by(order));
    }
}
