//! Stock that a dead, paused or mistaken replica holds comes back and is given out.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::join_all;
use tidegate_e2e::{CampaignTerms, Suite, eventually, refused};
use tidegate_local::stack::Service;
use tidegate_proto::quota::v1::AddBudgetRequest;

const LEASE_TTL_MS: u64 = 2_000;
const STOCK: u64 = 300;
/// The TTL, the readings that notice it, and a margin for a busy machine.
const BACK_WITHIN: Duration = Duration::from_secs(30);

async fn suite_with_a_short_ttl() -> Result<Suite> {
    Suite::start_with(|options| {
        options.variables.push((
            Service::Quota,
            "TIDEGATE_LEASE_TTL_MS".into(),
            Some(LEASE_TTL_MS.to_string()),
        ));
    })
    .await
}

/// Claims for so many shoppers at once; how many got a coupon.
async fn claim_all(suite: &Suite, prefix: &str, shoppers: u64) -> u64 {
    let claims = (0..shoppers).map(|number| async move {
        suite
            .claim("tea", &format!("{prefix}-{number}"), "r-1")
            .await
            .is_ok()
    });
    join_all(claims)
        .await
        .into_iter()
        .filter(|got| *got)
        .count() as u64
}

/// Claims one after the other until nothing is left for ever; how many coupons that gave.
async fn claim_until_sold_out(suite: &Suite, prefix: &str) -> Result<u64> {
    let mut issued = 0;
    loop {
        let shopper = format!("{prefix}-{issued}");
        let sold_out = eventually(BACK_WITHIN, || async {
            match suite.claim("tea", &shopper, "r-1").await {
                Ok(_) => Ok(false),
                Err(status) if refused(&status).reason == "BUDGET_EXHAUSTED" => Ok(true),
                Err(status) => Err(status),
            }
        })
        .await?;
        if sold_out {
            return Ok(issued);
        }
        issued += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_of_a_killed_replica_comes_back_and_the_last_coupon_is_given_out() -> Result<()> {
    let mut suite = suite_with_a_short_ttl().await?;
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("tea", STOCK)).await?;
    let before = claim_all(&suite, "early", 100).await;
    // Whichever of the two holds leases, they are not returned: it is killed, and stays away.
    suite.stack.kill("issuance-0").await?;
    let after = claim_until_sold_out(&suite, "late").await?;
    assert_eq!(before + after, STOCK);
    assert_eq!(staff.audit("tea").await?, [""; 0]);
    let stock = staff.read("tea").await?;
    assert!(stock.sold_out);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_paused_past_its_ttl_spends_nothing_of_what_was_taken_back() -> Result<()>
{
    let mut suite = suite_with_a_short_ttl().await?;
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("tea", STOCK)).await?;
    let before = claim_all(&suite, "early", 100).await;
    suite.stack.pause("issuance-0")?;
    let meanwhile = claim_until_sold_out(&suite, "meanwhile").await?;
    suite.stack.resume("issuance-0")?;
    let after = claim_all(&suite, "late", 50).await;
    // What was asked of the paused replica may have been answered to nobody: the books tell.
    assert_eq!(staff.audit("tea").await?, [""; 0]);
    let stock = staff.read("tea").await?.stock;
    assert_eq!(
        stock.iter().map(|tier| tier.settled).sum::<u64>(),
        STOCK,
        "{before} before, {meanwhile} meanwhile, {after} after"
    );
    assert!(before + meanwhile + after <= STOCK);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn budget_added_after_the_sell_out_is_given_out() -> Result<()> {
    let suite = suite_with_a_short_ttl().await?;
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("tea", 20)).await?;
    assert_eq!(claim_until_sold_out(&suite, "first").await?, 20);
    let message = AddBudgetRequest {
        campaign_id: "tea".into(),
        request_id: "more".into(),
        tier_id: "tea".into(),
        additional_stock: 30,
        reason: "more cups".into(),
    };
    staff.campaigns().add_budget(staff.request(message)).await?;
    eventually(BACK_WITHIN, || suite.claim("tea", "second", "r-1")).await?;
    assert_eq!(claim_until_sold_out(&suite, "third").await?, 29);
    assert_eq!(staff.audit("tea").await?, [""; 0]);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_restarts_gives_back_what_its_earlier_life_held() -> Result<()> {
    let mut suite = suite_with_a_short_ttl().await?;
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("tea", STOCK)).await?;
    let before = claim_all(&suite, "early", 60).await;
    for replica in ["issuance-0", "issuance-1"] {
        suite.stack.kill(replica).await?;
    }
    for replica in ["issuance-0", "issuance-1"] {
        suite.stack.restart(replica).await?;
    }
    assert_eq!(before + claim_until_sold_out(&suite, "late").await?, STOCK);
    assert_eq!(staff.audit("tea").await?, [""; 0]);
    suite.end().await
}
