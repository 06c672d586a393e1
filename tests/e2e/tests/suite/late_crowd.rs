//! The crowd that comes after the last coupon is answered from what gateways remember, and they
//! learn it anew only when there is something to learn.

use std::time::{Duration, SystemTime};

use anyhow::{Result, bail, ensure};
use tidegate_client::{CampaignTerms, Staff, claim_of, eventually, refused};
use tidegate_e2e::{GATEWAYS, ISSUANCES, Suite};
use tidegate_proto::r#type::v1::{IssuanceControl, RedemptionControl};
use tokio::time::sleep;

const SOON: Duration = Duration::from_secs(20);
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

async fn sold_out(staff: &Staff) -> Result<()> {
    eventually(SOON, || async {
        if staff.read("tea").await?.sold_out {
            Ok(())
        } else {
            bail!("it is not sold out")
        }
    })
    .await
}

/// Waits until so many streams of holders were asked for in all.
async fn streams(suite: &Suite, expected: f64) -> Result<()> {
    eventually(SOON, || async {
        let streams = calls(suite, "StreamShoppers").await?;
        ensure!(streams == expected, "{streams} streams, not {expected}");
        Ok(())
    })
    .await
}

/// Everybody of a crowd hears that it is over, and issuance hears of hardly any.
async fn crowd_is_answered_at_the_door(suite: &Suite, name: &str) -> Result<()> {
    let before = calls(suite, "LookupClaims").await? + calls(suite, "IssueCoupons").await?;
    for number in 0..100 {
        let claim = claim_of("tea", &format!("{name}-{number}"), "r-1");
        let late = suite.at(GATEWAYS[number % 2])?.issue(claim).await;
        let told = late.err().map(|status| refused(&status).reason);
        assert_eq!(told.as_deref(), Some("BUDGET_EXHAUSTED"));
    }
    let after = calls(suite, "LookupClaims").await? + calls(suite, "IssueCoupons").await?;
    assert!(
        after - before < 20.0,
        "{name}: {} were asked of issuance",
        after - before
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_are_streamed_anew_only_after_coupons_were_issued() -> Result<()> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("tea", 2)).await?;
    for shopper in ["ann", "bob"] {
        suite.coupon("tea", shopper).await?;
    }
    sold_out(&staff).await?;
    streams(&suite, 2.0).await?;
    crowd_is_answered_at_the_door(&suite, "first").await?;

    let valid_until = SystemTime::now() + Duration::from_secs(10 * 86_400);
    staff.extend("tea", valid_until).await?;
    for redemption in [RedemptionControl::Halted, RedemptionControl::Open] {
        staff
            .control("tea", IssuanceControl::Open, redemption)
            .await?;
        crowd_is_answered_at_the_door(&suite, &format!("{redemption:?}")).await?;
        sleep(HEARD).await;
    }
    streams(&suite, 2.0).await?;

    staff.add_budget(("tea", "tea"), "more", 1).await?;
    let issued = eventually(SOON, || suite.claim("tea", "cem", "r-1")).await?;
    sold_out(&staff).await?;
    streams(&suite, 4.0).await?;
    for gateway in GATEWAYS {
        let again = suite
            .at(gateway)?
            .issue(claim_of("tea", "cem", "r-1"))
            .await?;
        assert_eq!(again.coupon, issued.coupon, "{gateway}");
    }
    crowd_is_answered_at_the_door(&suite, "last").await?;
    suite.end().await
}
