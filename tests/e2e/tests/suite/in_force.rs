//! What staff were told is in force is in force everywhere: at every replica, and long after a
//! campaign closed.

use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use sqlx::PgPool;
use tidegate_client::{CampaignTerms, Staff, eventually, refused};
use tidegate_e2e::{GATEWAYS, ISSUANCES, Suite};
use tidegate_local::stack::Service;
use tidegate_proto::r#type::v1::{
    CouponState, IssuanceControl, OrderState, RedemptionControl, RedemptionState,
};
use tonic::Status;

const SOON: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3_600);
const NOWHERE: &str = "127.0.0.1:1";

/// A suite with one open campaign, its store and a shopper who holds a coupon.
async fn suite_with_a_coupon() -> Result<(Suite, Staff, String)> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.make_store().await?;
    let terms = CampaignTerms {
        validity: HOUR,
        ..CampaignTerms::open("tea", 1_000)
    };
    staff.open(terms).await?;
    let code = suite.coupon("tea", "ann").await?;
    Ok((suite, staff, code))
}

/// Moves a campaign, and all that came of it, into the past; every service then starts anew.
async fn let_days_pass(suite: &mut Suite, days: i32) -> Result<()> {
    for (service, statements) in [
        (
            Service::Quota,
            &[
                "UPDATE campaigns SET opens_at = opens_at - $1 * interval '1 day', closes_at = closes_at - $1 * interval '1 day'",
            ][..],
        ),
        (
            Service::Issuance,
            &[
                "UPDATE campaigns SET opens_at = opens_at - $1 * interval '1 day', closes_at = closes_at - $1 * interval '1 day'",
                "UPDATE coupons SET issued_at = issued_at - $1 * interval '1 day', valid_until = valid_until - $1 * interval '1 day'",
            ][..],
        ),
    ] {
        let pool = PgPool::connect(&suite.database_of(service)?).await?;
        for statement in statements {
            sqlx::query(statement).bind(days).execute(&pool).await?;
        }
        // Kept beside what it is made of, by versions that keep it.
        let _ = sqlx::query("UPDATE campaigns SET coupons_end_at = closes_at + coupon_validity_seconds * interval '1 second'")
            .execute(&pool)
            .await;
        pool.close().await;
    }
    for replica in [
        "quota-0",
        "issuance-0",
        "issuance-1",
        "gateway-0",
        "gateway-1",
    ] {
        suite.stack.restart(replica).await?;
    }
    Ok(())
}

/// Sets the control of redeeming and tells how far it has come when the call is answered.
async fn redeeming(
    staff: &Staff,
    redemption: RedemptionControl,
    patience: Duration,
) -> Result<RedemptionState, Status> {
    let staff = staff.clone().within(patience);
    let control = staff.control("tea", IssuanceControl::Open, redemption);
    Ok(control.await?.redemption_state())
}

/// Leaves one replica of issuance, which hears nothing from quota.
async fn cut_issuance_off(suite: &mut Suite) -> Result<()> {
    suite
        .stack
        .set_variable("issuance-1", "TIDEGATE_QUOTA_ADDRESSES", Some(NOWHERE))?;
    suite.stack.restart("issuance-1").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_closed_long_ago_is_known_to_restarted_gateways_and_can_be_extended()
-> Result<()> {
    let (mut suite, staff, code) = suite_with_a_coupon().await?;
    // Longer than any coupon of it is watched for.
    let_days_pass(&mut suite, 400).await?;
    for gateway in GATEWAYS {
        let gateway = suite.at(gateway)?;
        assert_eq!(gateway.knows("tea").await, Ok(()));
        let refusal = gateway.claim("tea", "bob", "r-1").await.unwrap_err();
        assert_eq!(refused(&refusal).reason, "CAMPAIGN_CLOSED");
    }
    let (expired, _) = eventually(SOON, || suite.check("ann", &code)).await?;
    assert_eq!(expired.state(), CouponState::Expired);
    staff.extend("tea", SystemTime::now() + HOUR).await?;
    let (coupon, usable) = suite.check("ann", &code).await?;
    assert_eq!((coupon.state(), usable), (CouponState::Issued, true));
    let order = suite.order("ann", "o-1", &code).await?;
    assert_eq!(order.state(), OrderState::Accepted);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redemption_halt_holds_at_a_replica_that_is_cut_off_from_quota() -> Result<()> {
    let (mut suite, staff, code) = suite_with_a_coupon().await?;
    cut_issuance_off(&mut suite).await?;
    let state = redeeming(&staff, RedemptionControl::Halted, SOON).await?;
    assert_eq!(state, RedemptionState::Halted);
    suite.stack.kill("issuance-0").await?;
    let (_, usable) = eventually(SOON, || suite.check("ann", &code)).await?;
    assert!(!usable);
    let rejected = suite.order("ann", "o-1", &code).await.unwrap_err();
    assert_eq!(refused(&rejected).reason, "REDEMPTION_HALTED");
    // Opened again, it is in force there as well.
    let state = redeeming(&staff, RedemptionControl::Open, SOON).await?;
    assert_eq!(state, RedemptionState::Open);
    let (_, usable) = suite.check("ann", &code).await?;
    assert!(usable);
    let order = suite.order("ann", "o-2", &code).await?;
    assert_eq!(order.state(), OrderState::Accepted);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_is_in_force_at_a_replica_that_is_cut_off_from_quota() -> Result<()> {
    let (mut suite, staff, code) = suite_with_a_coupon().await?;
    let_days_pass(&mut suite, 3).await?;
    cut_issuance_off(&mut suite).await?;
    staff.extend("tea", SystemTime::now() + HOUR).await?;
    suite.stack.kill("issuance-0").await?;
    let (coupon, usable) = eventually(SOON, || suite.check("ann", &code)).await?;
    assert_eq!((coupon.state(), usable), (CouponState::Issued, true));
    let order = suite.order("ann", "o-1", &code).await?;
    assert_eq!(order.state(), OrderState::Accepted);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redemption_halt_reads_halting_while_issuance_is_away_and_halted_once_it_is_back()
-> Result<()> {
    let (mut suite, staff, code) = suite_with_a_coupon().await?;
    for replica in ISSUANCES {
        suite.stack.kill(replica).await?;
    }
    let patience = Duration::from_secs(2);
    let state = redeeming(&staff, RedemptionControl::Halted, patience).await?;
    assert_eq!(state, RedemptionState::Halting);
    let until = SystemTime::now() + Duration::from_secs(7_200);
    let hasty = suite.staff()?.within(patience);
    let refusal = hasty.extend("tea", until).await.unwrap_err();
    let refusal = refused(&refusal);
    assert_eq!(refusal.reason, "OVERLOADED");
    assert!(refusal.retry_after.is_some());
    suite.stack.restart("issuance-0").await?;
    eventually(SOON, || async {
        let control = staff.read("tea").await?.control.unwrap_or_default();
        let state = control.redemption_state();
        ensure!(state == RedemptionState::Halted, "{state:?}");
        Ok(())
    })
    .await?;
    let rejected = suite.order("ann", "o-1", &code).await.unwrap_err();
    assert_eq!(refused(&rejected).reason, "REDEMPTION_HALTED");
    suite.end().await
}
