//! Looks at coupons, which share their statements.

use futures_util::{StreamExt as _, stream};
use tidegate_auth::Identity;
use tidegate_proto::{issuance::v1::CheckCouponRequest, r#type::v1::Reason};
use tidegate_rpc::refusal;
use tidegate_types::Reason as Refused;

use super::suite::{new_order, serving};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_look_at_one_time_each_is_told_of_their_own_coupon() {
    let (_suite, issuance) = serving().await;
    let shoppers: Vec<_> = (0..20).map(|number| format!("shopper-{number}")).collect();
    let mut codes = Vec::new();
    for (number, shopper) in shoppers.iter().enumerate() {
        let code = issuance.code(shopper).await;
        if number % 2 == 0 {
            issuance.redeem(shopper, &code, &new_order()).await.unwrap();
        }
        codes.push(code);
    }
    // Each twice, and with the code of another shopper.
    let looks = (0..60).map(async |number: usize| {
        let (of, code) = (number % 20, (number + number / 40) % 20);
        let request = CheckCouponRequest {
            shopper_id: shoppers[of].clone(),
            coupon_code: codes[code].clone(),
        };
        let mut client = issuance.issuance(Identity::OrderIntake);
        (of, code, client.check_coupon(request).await)
    });
    // No more at a time than a replica with few places takes.
    let looks = stream::iter(looks).buffered(10);
    for (of, code, told) in looks.collect::<Vec<_>>().await {
        if of != code {
            let refused = refusal::reason_of(&told.unwrap_err());
            assert_eq!(refused, Some(Refused::CouponNotFound));
            continue;
        }
        let told = told.unwrap().into_inner();
        assert_eq!(told.coupon.unwrap().code, codes[of]);
        let because = match of % 2 {
            0 => Reason::CouponRedeemed,
            _ => Reason::Unspecified,
        };
        assert_eq!(told.unusable_because, i32::from(because));
    }
}
