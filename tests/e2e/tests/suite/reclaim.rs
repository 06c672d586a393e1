//! Stock that a dead, paused or mistaken replica holds comes back and is given out.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::join_all;
use tidegate_client::{CampaignTerms, Staff, eventually, refused};
use tidegate_e2e::{ISSUANCES, Suite, hold};
use tidegate_local::stack::Service;

const LEASE_TTL_MS: &str = "2000";
const STOCK: u64 = 300;
/// The TTL, the readings that notice it, and a margin for a busy machine.
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// Claims for so many shoppers at once; how many got a coupon.
async fn claim_all(suite: &Suite, campaign: &str, prefix: &str, shoppers: u64) -> u64 {
    let claims = join_all((0..shoppers).map(|number| async move {
        let shopper = format!("{prefix}-{number}");
        suite.claim(campaign, &shopper, "r-1").await.is_ok()
    }));
    claims.await.into_iter().filter(|got| *got).count() as u64
}

/// Claims one after the other until nothing is left for ever; how many coupons that gave.
async fn claim_until_sold_out(suite: &Suite, campaign: &str, prefix: &str) -> Result<u64> {
    let mut issued = 0;
    loop {
        let shopper = format!("{prefix}-{issued}");
        let sold_out = eventually(BACK_WITHIN, || async {
            match suite.claim(campaign, &shopper, "r-1").await {
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

/// A campaign of which a part is on lease; how many have a coupon already.
async fn begun(suite: &Suite, campaign: &str) -> Result<(Staff, u64)> {
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open(campaign, STOCK)).await?;
    let before = claim_all(suite, campaign, "early", 100).await;
    Ok((staff, before))
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_of_a_replica_that_is_gone_comes_back_and_is_spent_once() -> Result<()> {
    let ttl = [("TIDEGATE_LEASE_TTL_MS", LEASE_TTL_MS)];
    let mut suite = Suite::start_set(Service::Quota, &ttl).await?;
    hold!(&mut suite;
        stock_of_a_killed_replica_comes_back_and_the_last_coupon_is_given_out,
        a_replica_that_was_paused_past_its_ttl_spends_nothing_of_what_was_taken_back,
        a_replica_that_restarts_gives_back_what_its_earlier_life_held,
    )?;
    suite.end().await
}

async fn stock_of_a_killed_replica_comes_back_and_the_last_coupon_is_given_out(
    suite: &mut Suite,
) -> Result<()> {
    suite.heal().await?;
    let (staff, before) = begun(suite, "killed").await?;
    // Whichever of the two holds leases, they are not returned: it is killed, and stays away.
    suite.stack.kill("issuance-0").await?;
    let after = claim_until_sold_out(suite, "killed", "late").await;
    let differences = staff.differences("killed").await;
    let is_sold_out = staff.read("killed").await?.sold_out;
    suite.stack.restart("issuance-0").await?;
    assert_eq!(before + after?, STOCK);
    assert_eq!(differences?, [""; 0]);
    assert!(is_sold_out);
    Ok(())
}

async fn a_replica_that_was_paused_past_its_ttl_spends_nothing_of_what_was_taken_back(
    suite: &mut Suite,
) -> Result<()> {
    suite.heal().await?;
    let (staff, before) = begun(suite, "paused").await?;
    suite.stack.pause("issuance-0")?;
    let meanwhile = claim_until_sold_out(suite, "paused", "meanwhile").await;
    suite.stack.resume("issuance-0")?;
    let meanwhile = meanwhile?;
    let after = claim_all(suite, "paused", "late", 50).await;
    // What was asked of the paused replica may have been answered to nobody: the books tell.
    assert_eq!(staff.differences("paused").await?, [""; 0]);
    let stock = staff.read("paused").await?.stock;
    assert_eq!(
        stock.iter().map(|tier| tier.settled).sum::<u64>(),
        STOCK,
        "{before} before, {meanwhile} meanwhile, {after} after"
    );
    assert!(before + meanwhile + after <= STOCK);
    Ok(())
}

async fn a_replica_that_restarts_gives_back_what_its_earlier_life_held(
    suite: &mut Suite,
) -> Result<()> {
    suite.heal().await?;
    let (staff, before) = begun(suite, "restarted").await?;
    for replica in ISSUANCES {
        suite.stack.kill(replica).await?;
    }
    for replica in ISSUANCES {
        suite.stack.restart(replica).await?;
    }
    let after = claim_until_sold_out(suite, "restarted", "late").await?;
    assert_eq!(before + after, STOCK);
    assert_eq!(staff.differences("restarted").await?, [""; 0]);
    Ok(())
}
