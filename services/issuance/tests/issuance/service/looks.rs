//! Looks at coupons, which share their statements.

use std::time::Duration;

use futures_util::{
    StreamExt as _,
    future::{join, join_all},
    stream,
};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use tidegate_auth::Identity;
use tidegate_issuance::coupon_looks::LOOKS_PER_LANE;
use tidegate_proto::{issuance::v1::CheckCouponRequest, r#type::v1::Reason};
use tidegate_rpc::refusal;
use tidegate_test_kit::until;
use tidegate_types::Reason as Refused;
use tokio::time::sleep;

use super::suite::{new_order, serving};
use crate::flaky_path::FlakyPath;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looks_that_hang_hold_no_later_ones_up_once_answers_come_again() {
    let (suite, first) = serving().await;
    let path = FlakyPath::to(&suite.database).await;
    let issuance = suite.issuance_over(&path).await;
    let code = first.code("ann").await;
    let look = async || {
        let request = CheckCouponRequest {
            shopper_id: "ann".to_owned(),
            coupon_code: code.clone(),
        };
        issuance
            .issuance(Identity::OrderIntake)
            .check_coupon(request)
            .await
    };
    until("it is served", async || look().await.is_ok()).await;
    let mut blocking = suite.database.options().connect().await.unwrap();
    let mut blocking = blocking.begin().await.unwrap();
    let lock = "LOCK TABLE coupons IN ACCESS EXCLUSIVE MODE";
    blocking.execute(lock).await.unwrap();
    let hanging = async {
        sleep(Duration::from_millis(300)).await;
        // The statements have begun. Their answers are on their way for longer than anybody waits.
        path.delay(Duration::from_secs(60));
        blocking.rollback().await.unwrap();
    };
    let looks = join_all((0..LOOKS_PER_LANE).map(|_| look()));
    let (looked, ()) = join(looks, hanging).await;
    assert!(looked.iter().all(Result::is_err));
    path.delay(Duration::ZERO);
    until("it is served again", async || look().await.is_ok()).await;
}
