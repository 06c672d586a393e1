//! The crowd that comes after the last coupon is answered from what gateways remember, and they
//! learn it anew only when there is something to learn.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use tidegate_client::{HOUR, becomes, claim_of, refused, soon};
use tidegate_e2e::{ISSUANCES, Suite};
use tidegate_proto::r#type::v1::RedemptionControl;
use tokio::time::sleep;

/// A gateway hears of a change and looks at what it has to learn within this time.
const HEARD: Duration = Duration::from_millis(1_500);

/// How many calls of a method issuance has answered.
async fn calls(suite: &Suite, method: &str) -> Result<f64> {
    let mut all = 0.0;
    for replica in ISSUANCES {
        let name = "grpc_server_handled_total";
        all += suite.metric(replica, name, method).await?;
    }
    Ok(all)
}

/// Waits until it is sold out, and so many streams of holders were asked for in all.
async fn sold_out(suite: &Suite, streams: f64) -> Result<()> {
    becomes(true, async || Ok(suite.staff.read("tea").await?.sold_out)).await?;
    becomes(streams, async || calls(suite, "StreamShoppers").await).await
}

/// Everybody of a crowd hears that it is over, and issuance hears of hardly any.
async fn crowd_is_answered_at_the_door(suite: &Suite, name: &str) -> Result<()> {
    let asked = async || {
        anyhow::Ok(calls(suite, "LookupClaims").await? + calls(suite, "IssueCoupons").await?)
    };
    let before: f64 = asked().await?;
    for number in 0..100 {
        let claim = claim_of("tea", &format!("{name}-{number}"), "r-1");
        let told = refused(suite.gateways[number % 2].ask(claim).await);
        assert_eq!(told.reason, "BUDGET_EXHAUSTED");
    }
    let more = asked().await? - before;
    assert!(more < 20.0, "{name}: {more} were asked of issuance");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_are_streamed_anew_only_after_coupons_were_issued() -> Result<()> {
    let suite = Suite::start().await?;
    suite.open("tea", 2).await?;
    for shopper in ["ann", "bob"] {
        suite.coupon("tea", shopper).await?;
    }
    sold_out(&suite, 2.0).await?;
    crowd_is_answered_at_the_door(&suite, "first").await?;

    suite
        .staff
        .extend("tea", SystemTime::now() + 240 * HOUR)
        .await?;
    for redemption in [RedemptionControl::Halted, RedemptionControl::Open] {
        suite.staff.redeeming("tea", redemption).await?;
        crowd_is_answered_at_the_door(&suite, &format!("{redemption:?}")).await?;
        sleep(HEARD).await;
    }
    sold_out(&suite, 2.0).await?;

    suite.staff.add_budget("tea", "tea", "more", 1).await?;
    let issued = soon(|| suite.claim("tea", "cem", "r-1")).await?;
    sold_out(&suite, 4.0).await?;
    for gateway in &suite.gateways {
        let again = gateway.claim("tea", "cem", "r-1").await?;
        assert_eq!(again.coupon, issued.coupon);
    }
    crowd_is_answered_at_the_door(&suite, "last").await?;
    suite.end().await
}
