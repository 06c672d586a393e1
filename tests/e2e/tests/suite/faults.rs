//! Parts go away and come back; nobody is lied to meanwhile, and the stock that they hold comes back
//! and is given out.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::join_all;
use tidegate_client::{Refusal, Told, claim_of, never, soon};
use tidegate_e2e::{ISSUANCES, Suite, hold};
use tidegate_local::stack::{Service, Stack};
use tidegate_proto::gateway::v1::IssuedClaim;
use tokio::time::sleep;
use tonic::{Code, Status};

const AWAY: Duration = Duration::from_secs(6);
const STOCK: u64 = 300;
/// A process that was started has read its settings and listens for signals.
const WAITING_BY_THEN: Duration = Duration::from_secs(2);

/// Claims for a while; every answer must be a coupon or a refusal that says when to come back.
/// Returns how many of each.
async fn claim_for(suite: &Suite, prefix: &str, duration: Duration) -> (usize, usize) {
    let (began, mut issued, mut told) = (Instant::now(), 0, 0);
    while began.elapsed() <= duration {
        let shopper = format!("{prefix}-{}", issued + told);
        match suite.claim("tea", &shopper, "r-1").await {
            Ok(_) => issued += 1,
            Err(status) => {
                let refusal = Refusal::of(&status).is(Code::Unavailable, "OVERLOADED");
                assert!(refusal.retry_after.is_some(), "{status}");
                told += 1;
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
    (issued, told)
}

async fn works_again(suite: &Suite, shopper: &str) -> Result<IssuedClaim, Status> {
    soon(|| suite.claim("tea", shopper, "r-1")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_away_nobody_is_lied_to_and_claims_work_again_by_themselves() -> Result<()> {
    let suite = Suite::start().await?;
    suite.open("tea", 100_000).await?;
    hold!(suite;
        a_service_that_is_asked_to_end_gives_back_what_it_holds_and_exits_with_0,
        claims_go_on_over_the_other_replica_when_one_is_killed_and_no_coupon_is_lost,
        with_issuance_away_claims_are_told_to_come_back,
        with_quota_away_holders_keep_their_coupons,
        with_the_database_away_claims_are_told_to_come_back_and_nothing_acknowledged_is_lost,
        a_service_that_waits_for_its_database_hears_that_it_is_to_end,
    )
}

async fn claims_go_on_over_the_other_replica_when_one_is_killed_and_no_coupon_is_lost(
    suite: &mut Suite,
) -> Result<()> {
    let mut before = Vec::new();
    for number in 0..40 {
        before.push(
            works_again(suite, &format!("shopper-{number}"))
                .await?
                .coupon,
        );
    }
    suite.stack.kill("issuance-0").await?;
    for (number, coupon) in before.into_iter().enumerate() {
        let again = works_again(suite, &format!("shopper-{number}")).await?;
        assert!(again.replayed);
        assert_eq!(again.coupon, coupon);
    }
    for number in 40..80 {
        works_again(suite, &format!("shopper-{number}")).await?;
    }
    suite.stack.restart("issuance-0").await?;
    works_again(suite, "after-one").await?;
    Ok(())
}

async fn with_issuance_away_claims_are_told_to_come_back(suite: &mut Suite) -> Result<()> {
    works_again(suite, "before-issuance").await?;
    suite.kill(&ISSUANCES).await?;
    let (issued, told) = claim_for(suite, "without-issuance", AWAY).await;
    assert!(issued == 0 && told > 0);
    suite.restart(&ISSUANCES).await?;
    works_again(suite, "after-issuance").await?;
    Ok(())
}

async fn with_quota_away_holders_keep_their_coupons(suite: &mut Suite) -> Result<()> {
    works_again(suite, "before-quota").await?;
    suite.stack.kill("quota-0").await?;
    claim_for(suite, "without-quota", AWAY).await;
    let replayed = suite.claim("tea", "before-quota", "r-1").await?;
    assert!(replayed.replayed, "a replay needs no stock");
    suite.stack.restart("quota-0").await?;
    works_again(suite, "after-quota").await?;
    Ok(())
}

async fn with_the_database_away_claims_are_told_to_come_back_and_nothing_acknowledged_is_lost(
    suite: &mut Suite,
) -> Result<()> {
    let before = works_again(suite, "before-database").await?;
    suite.stack.postgres_mut().kill().await?;
    let (issued, told) = claim_for(suite, "without-database", AWAY).await;
    assert!(issued == 0 && told > 0);
    suite.stack.postgres_mut().start().await?;
    works_again(suite, "after-database").await?;
    let again = works_again(suite, "before-database").await?;
    assert_eq!(again.coupon, before.coupon);
    Ok(())
}

async fn a_service_that_waits_for_its_database_hears_that_it_is_to_end(
    suite: &mut Suite,
) -> Result<()> {
    suite.stack.terminate("issuance-1").await?;
    suite.stack.postgres_mut().kill().await?;
    suite.stack.start_replica("issuance-1")?;
    sleep(WAITING_BY_THEN).await;
    let status = suite.stack.terminate("issuance-1").await?;
    // Not the 1 of a start that was given up, nor the signal that ends a process which does not
    // listen.
    assert_eq!(status.code(), Some(0));
    Ok(())
}

async fn a_service_that_is_asked_to_end_gives_back_what_it_holds_and_exits_with_0(
    suite: &mut Suite,
) -> Result<()> {
    works_again(suite, "before-the-end").await?;
    for replica in [
        "gateway-0",
        "issuance-0",
        "issuance-1",
        "order-intake-0",
        "quota-0",
    ] {
        let status = suite.stack.terminate(replica).await?;
        assert_eq!(status.code(), Some(0), "{replica}");
    }
    let mut quota = suite.database_of(Service::Quota).await?;
    let leased = sqlx::query_scalar("SELECT coalesce(sum(leased), 0)::bigint FROM tiers");
    let leased: i64 = leased.fetch_one(&mut quota).await?;
    assert_eq!(leased, 0, "replicas that end give back what they hold");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn services_refuse_a_database_that_forgets() -> Result<()> {
    let mut options = Suite::options();
    options.fsync_off = true;
    let mut stack = Stack::prepare(options).await?;
    let error = stack.bring_up().await.unwrap_err();
    let error = format!("{error:#}");
    let says_how = error.contains("fsync=off") && error.contains("set fsync=on");
    assert!(says_how, "{error}");
    stack.shutdown_and_remove().await
}

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
    assert_eq!(settled, STOCK, "{before}, {meanwhile}, {after}");
    assert!(before + meanwhile + after <= STOCK);
    Ok(())
}
