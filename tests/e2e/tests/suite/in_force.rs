//! What staff were told is in force is in force everywhere: at every replica, and long after a
//! campaign closed.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use tidegate_client::{CampaignTerms, HOUR, SOON, becomes, order_of, refused, soon};
use tidegate_e2e::{ISSUANCES, Suite};
use tidegate_local::stack::Service;
use tidegate_proto::r#type::v1::{CouponState, RedemptionControl, RedemptionState};
use tonic::Status;

const NOWHERE: &str = "127.0.0.1:1";

/// A suite with one open campaign, its store and a shopper who holds a coupon.
async fn suite_with_a_coupon() -> Result<(Suite, String)> {
    let suite = Suite::start().await?;
    suite.staff.make_store().await?;
    let terms = CampaignTerms::open("tea", 1_000).valid_for(HOUR);
    suite.staff.open(terms).await?;
    let code = suite.coupon("tea", "ann").await?;
    Ok((suite, code))
}

/// Moves a campaign, and all that came of it, into the past; every service then starts anew.
async fn let_days_pass(suite: &mut Suite, days: i32) -> Result<()> {
    let campaigns = "UPDATE campaigns SET opens_at = opens_at - $1 * interval '1 day', closes_at = closes_at - $1 * interval '1 day'";
    let coupons = "UPDATE coupons SET issued_at = issued_at - $1 * interval '1 day', valid_until = valid_until - $1 * interval '1 day'";
    for (service, statements) in [
        (Service::Quota, &[campaigns][..]),
        (Service::Issuance, &[campaigns, coupons]),
    ] {
        let mut database = suite.database_of(service).await?;
        for statement in statements {
            let statement = sqlx::query(statement).bind(days);
            statement.execute(&mut database).await?;
        }
        // Kept beside what it is made of, by versions that keep it.
        let _ = sqlx::query("UPDATE campaigns SET coupons_end_at = closes_at + coupon_validity_seconds * interval '1 second'")
            .execute(&mut database)
            .await;
    }
    suite
        .restart(&[
            "quota-0",
            "issuance-0",
            "issuance-1",
            "gateway-0",
            "gateway-1",
        ])
        .await
}

/// Sets the control of redeeming and tells how far it has come when the call is answered.
async fn redeeming(
    suite: &Suite,
    redemption: RedemptionControl,
    patience: Duration,
) -> Result<RedemptionState, Status> {
    let staff = suite.staff.clone().within(patience);
    Ok(staff.redeeming("tea", redemption).await?.redemption_state())
}

/// Leaves one replica of issuance, which hears nothing from quota.
async fn cut_issuance_off(suite: &mut Suite) -> Result<()> {
    suite
        .stack
        .set_variable("issuance-1", "TIDEGATE_QUOTA_ADDRESSES", Some(NOWHERE))?;
    suite.stack.restart("issuance-1").await
}

/// Ann's coupon can be used, and is.
async fn is_good(suite: &Suite, code: &str, request_id: &str) -> Result<()> {
    let (coupon, usable) = soon(|| suite.check("ann", code)).await?;
    assert_eq!((coupon.state(), usable), (CouponState::Issued, true));
    suite.accepted(order_of("ann", request_id, code)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_closed_long_ago_is_known_to_restarted_gateways_and_can_be_extended()
-> Result<()> {
    let (mut suite, code) = suite_with_a_coupon().await?;
    // Longer than any coupon of it is watched for.
    let_days_pass(&mut suite, 400).await?;
    for gateway in &suite.gateways {
        assert_eq!(gateway.knows("tea").await, Ok(()));
        let refusal = refused(gateway.claim("tea", "bob", "r-1").await);
        assert_eq!(refusal.reason, "CAMPAIGN_CLOSED");
    }
    let (expired, _) = soon(|| suite.check("ann", &code)).await?;
    assert_eq!(expired.state(), CouponState::Expired);
    suite.staff.extend("tea", SystemTime::now() + HOUR).await?;
    assert!(suite.check("ann", &code).await?.1);
    is_good(&suite, &code, "o-1").await?;
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redemption_halt_holds_at_a_replica_that_is_cut_off_from_quota() -> Result<()> {
    let (mut suite, code) = suite_with_a_coupon().await?;
    cut_issuance_off(&mut suite).await?;
    let state = redeeming(&suite, RedemptionControl::Halted, SOON).await?;
    assert_eq!(state, RedemptionState::Halted);
    suite.stack.kill("issuance-0").await?;
    let (_, usable) = soon(|| suite.check("ann", &code)).await?;
    assert!(!usable);
    let rejected = refused(suite.order("ann", "o-1", &code).await);
    assert_eq!(rejected.reason, "REDEMPTION_HALTED");
    // Opened again, it is in force there as well.
    let state = redeeming(&suite, RedemptionControl::Open, SOON).await?;
    assert_eq!(state, RedemptionState::Open);
    assert!(suite.check("ann", &code).await?.1);
    is_good(&suite, &code, "o-2").await?;
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_is_in_force_at_a_replica_that_is_cut_off_from_quota() -> Result<()> {
    let (mut suite, code) = suite_with_a_coupon().await?;
    let_days_pass(&mut suite, 3).await?;
    cut_issuance_off(&mut suite).await?;
    suite.staff.extend("tea", SystemTime::now() + HOUR).await?;
    suite.stack.kill("issuance-0").await?;
    is_good(&suite, &code, "o-1").await?;
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redemption_halt_reads_halting_while_issuance_is_away_and_halted_once_it_is_back()
-> Result<()> {
    let (mut suite, code) = suite_with_a_coupon().await?;
    suite.kill(&ISSUANCES).await?;
    let patience = Duration::from_secs(2);
    let state = redeeming(&suite, RedemptionControl::Halted, patience).await?;
    assert_eq!(state, RedemptionState::Halting);
    let hasty = suite.staff.clone().within(patience);
    let refusal = refused(hasty.extend("tea", SystemTime::now() + 2 * HOUR).await);
    assert_eq!(refusal.reason, "OVERLOADED");
    assert!(refusal.retry_after.is_some());
    suite.stack.restart("issuance-0").await?;
    becomes(RedemptionState::Halted, async || {
        let control = suite.staff.read("tea").await?.control;
        Ok(control.unwrap_or_default().redemption_state())
    })
    .await?;
    let rejected = refused(suite.order("ann", "o-1", &code).await);
    assert_eq!(rejected.reason, "REDEMPTION_HALTED");
    suite.end().await
}
