//! Parts go away and come back; nobody is lied to meanwhile.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Result;
use tidegate_e2e::{CampaignTerms, Suite, eventually, refused};
use tidegate_local::stack::{Service, Stack};
use tonic::Code;

const AWAY: Duration = Duration::from_secs(10);
const BACK_WITHIN: Duration = Duration::from_secs(20);
/// A process that was started has read its settings and listens for signals.
const WAITING_BY_THEN: Duration = Duration::from_secs(2);

/// Claims for a while; every answer must be a coupon or a refusal that says when to come back. Returns how many of each.
async fn claim_for(suite: &Suite, prefix: &str, duration: Duration) -> (usize, usize) {
    let (began, mut issued, mut told) = (Instant::now(), 0, 0);
    for number in 0.. {
        if began.elapsed() > duration {
            break;
        }
        match suite
            .claim("tea", &format!("{prefix}-{number}"), "r-1")
            .await
        {
            Ok(_) => issued += 1,
            Err(status) => {
                let refusal = refused(&status);
                assert_eq!(
                    (refusal.code, refusal.reason.as_str()),
                    (Code::Unavailable, "OVERLOADED"),
                    "{status}"
                );
                assert!(refusal.retry_after.is_some(), "{status}");
                told += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (issued, told)
}

async fn works_again(suite: &Suite, shopper: &str) -> Result<()> {
    eventually(BACK_WITHIN, || suite.claim("tea", shopper, "r-1")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_go_on_over_the_other_replica_when_one_is_killed_and_no_coupon_is_lost() -> Result<()>
{
    let mut suite = Suite::start().await?;
    suite
        .staff()?
        .open(CampaignTerms::open("tea", 10_000))
        .await?;
    let mut codes = Vec::new();
    for number in 0..40 {
        codes.push(
            suite
                .claim("tea", &format!("shopper-{number}"), "r-1")
                .await?
                .coupon
                .unwrap()
                .code,
        );
    }
    suite.stack.kill("issuance-0").await?;
    for (number, code) in codes.iter().enumerate() {
        let shopper = format!("shopper-{number}");
        let again = eventually(BACK_WITHIN, || suite.claim("tea", &shopper, "r-1")).await?;
        assert_eq!((again.replayed, &again.coupon.unwrap().code), (true, code));
    }
    for number in 40..80 {
        works_again(&suite, &format!("shopper-{number}")).await?;
    }
    suite.stack.restart("issuance-0").await?;
    works_again(&suite, "after").await?;
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_issuance_away_claims_are_told_to_come_back_and_work_again_by_themselves() -> Result<()>
{
    let mut suite = Suite::start_with(|options| options.issuance_replicas = 1).await?;
    suite
        .staff()?
        .open(CampaignTerms::open("tea", 10_000))
        .await?;
    works_again(&suite, "before").await?;
    suite.stack.kill("issuance-0").await?;
    let (issued, told) = claim_for(&suite, "meanwhile", AWAY).await;
    assert!(issued == 0 && told > 0);
    suite.stack.restart("issuance-0").await?;
    works_again(&suite, "after").await?;
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_quota_away_holders_keep_their_coupons_and_claims_work_again_by_themselves()
-> Result<()> {
    let mut suite = Suite::start().await?;
    suite
        .staff()?
        .open(CampaignTerms::open("tea", 10_000))
        .await?;
    works_again(&suite, "before").await?;
    suite.stack.kill("quota-0").await?;
    claim_for(&suite, "meanwhile", AWAY).await;
    let replayed = suite.claim("tea", "before", "r-1").await?;
    assert!(replayed.replayed, "a replay needs no stock");
    suite.stack.restart("quota-0").await?;
    works_again(&suite, "after").await?;
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_database_away_claims_are_told_to_come_back_and_nothing_acknowledged_is_lost()
-> Result<()> {
    let mut suite = Suite::start().await?;
    suite
        .staff()?
        .open(CampaignTerms::open("tea", 10_000))
        .await?;
    let before = suite.claim("tea", "before", "r-1").await?;
    suite.stack.postgres_mut().kill().await?;
    let (issued, told) = claim_for(&suite, "meanwhile", AWAY).await;
    assert!(issued == 0 && told > 0);
    suite.stack.postgres_mut().start().await?;
    works_again(&suite, "after").await?;
    let again = suite.claim("tea", "before", "r-1").await?;
    assert_eq!(again.coupon, before.coupon);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn services_refuse_a_database_that_forgets() -> Result<()> {
    let mut options = Suite::options();
    options.fsync_off = true;
    let mut stack = Stack::prepare(options).await?;
    let error = stack
        .bring_up()
        .await
        .err()
        .map(|error| format!("{error:#}"))
        .unwrap_or_default();
    assert!(
        error.contains("fsync=off") && error.contains("set fsync=on"),
        "{error}"
    );
    stack.shutdown_and_remove().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_asked_to_end_finishes_and_exits_with_0() -> Result<()> {
    let mut suite = Suite::start().await?;
    suite
        .staff()?
        .open(CampaignTerms::open("tea", 1_000))
        .await?;
    works_again(&suite, "before").await?;
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
    let url = suite.stack.database_url(Service::Quota).unwrap_or_default();
    let pool = sqlx::PgPool::connect(&url).await?;
    let leased: i64 = sqlx::query_scalar("SELECT coalesce(sum(leased), 0)::bigint FROM tiers")
        .fetch_one(&pool)
        .await?;
    pool.close().await;
    assert_eq!(leased, 0, "replicas that end give back what they hold");
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_waits_for_its_database_hears_that_it_is_to_end() -> Result<()> {
    let mut suite = Suite::start().await?;
    suite.stack.terminate("issuance-1").await?;
    suite.stack.postgres_mut().kill().await?;
    suite.stack.start_replica("issuance-1")?;
    tokio::time::sleep(WAITING_BY_THEN).await;
    let status = suite.stack.terminate("issuance-1").await?;
    // Not the 1 of a start that was given up, nor the signal that ends a process which does not listen.
    assert_eq!(status.code(), Some(0));
    suite.stack.postgres_mut().start().await?;
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_settings_are_all_reported_at_once() -> Result<()> {
    let folder = std::env::current_exe()?;
    let binary = folder
        .ancestors()
        .nth(2)
        .map(|target| target.join("tidegate-issuance"))
        .unwrap_or_default();
    let output = std::process::Command::new(binary)
        .env_clear()
        .env("TIDEGATE_LISTEN", "nowhere")
        .env("TIDEGATE_LANES", "0")
        .arg("check-config")
        .stdin(Stdio::null())
        .output()?;
    let faults = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{faults}");
    for variable in [
        "TIDEGATE_LISTEN",
        "TIDEGATE_LANES",
        "TIDEGATE_DATABASE_URL",
        "TIDEGATE_TLS_CA_FILE",
        "TIDEGATE_COUPON_KEYS_FILE",
    ] {
        assert!(
            faults.contains(variable),
            "{variable} is missing in: {faults}"
        );
    }
    Ok(())
}
