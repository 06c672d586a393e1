//! Stock that a dead, paused or mistaken replica holds comes back and is given out.

use anyhow::Result;
use futures_util::future::join_all;
use tidegate_client::{Told, claim_of, never, soon};
use tidegate_e2e::{ISSUANCES, Suite, hold};
use tidegate_local::stack::Service;

const STOCK: u64 = 300;

/// Claims for so many shoppers at once; how many got a coupon.
async fn claim_all(suite: &Suite, campaign: &str, prefix: &str, shoppers: u64) -> u64 {
    let claims = join_all((0..shoppers).map(async |number| {
        let shopper = format!("{prefix}-{number}");
        suite.claim(campaign, &shopper, "r-1").await.is_ok()
    }));
    claims.await.into_iter().filter(|got| *got).count() as u64
}

/// Claims one after the other until nothing is left for ever; how many coupons that gave.
async fn claim_until_sold_out(suite: &Suite, campaign: &str, prefix: &str) -> Result<u64> {
    for issued in 0.. {
        let claim = claim_of(campaign, &format!("{prefix}-{issued}"), "r-1");
        let sold_out = soon(async || match suite.told(claim.clone()).await {
            Told::Issued(_) => Ok(false),
            told if told == never("BUDGET_EXHAUSTED") => Ok(true),
            told => Err(anyhow::anyhow!("{told:?}")),
        });
        if sold_out.await? {
            return Ok(issued);
        }
    }
    unreachable!()
}

/// A campaign of which a part is on lease; how many have a coupon already.
async fn begun(suite: &Suite, campaign: &str) -> Result<u64> {
    suite.open(campaign, STOCK).await?;
    Ok(claim_all(suite, campaign, "early", 100).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_of_a_replica_that_is_gone_comes_back_and_is_spent_once() -> Result<()> {
    let ttl = [("TIDEGATE_LEASE_TTL_MS", "2000")];
    hold!(Suite::start_set(Service::Quota, &ttl).await?;
        stock_of_a_killed_replica_comes_back_and_the_last_coupon_is_given_out,
        a_replica_that_was_paused_past_its_ttl_spends_nothing_of_what_was_taken_back,
        a_replica_that_restarts_gives_back_what_its_earlier_life_held,
    )
}

async fn stock_of_a_killed_replica_comes_back_and_the_last_coupon_is_given_out(
    suite: &mut Suite,
) -> Result<()> {
    let before = begun(suite, "killed").await?;
    // Whichever of the two holds leases, they are not returned: it is killed, and stays away.
    suite.kill(&ISSUANCES[..1]).await?;
    let after = claim_until_sold_out(suite, "killed", "late").await?;
    assert_eq!(before + after, STOCK);
    assert_eq!(suite.staff.differences("killed").await?, [""; 0]);
    assert!(suite.staff.read("killed").await?.sold_out);
    Ok(())
}

async fn a_replica_that_was_paused_past_its_ttl_spends_nothing_of_what_was_taken_back(
    suite: &mut Suite,
) -> Result<()> {
    let before = begun(suite, "paused").await?;
    suite.pause(&ISSUANCES[..1])?;
    let meanwhile = claim_until_sold_out(suite, "paused", "meanwhile").await?;
    suite.resume(&ISSUANCES[..1])?;
    let after = claim_all(suite, "paused", "late", 50).await;
    // What was asked of the paused replica may have been answered to nobody: the books tell.
    assert_eq!(suite.staff.differences("paused").await?, [""; 0]);
    let stock = suite.staff.read("paused").await?.stock;
    let settled: u64 = stock.iter().map(|tier| tier.settled).sum();
    assert_eq!(
        settled, STOCK,
        "{before} before, {meanwhile} meanwhile, {after} after"
    );
    assert!(before + meanwhile + after <= STOCK);
    Ok(())
}

async fn a_replica_that_restarts_gives_back_what_its_earlier_life_held(
    suite: &mut Suite,
) -> Result<()> {
    let before = begun(suite, "restarted").await?;
    suite.kill(&ISSUANCES).await?;
    suite.restart(&ISSUANCES).await?;
    let after = claim_until_sold_out(suite, "restarted", "late").await?;
    assert_eq!(before + after, STOCK);
    assert_eq!(suite.staff.differences("restarted").await?, [""; 0]);
    Ok(())
}
