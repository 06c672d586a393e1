//! What staff were told is in force is in force everywhere: at every replica, and long after a campaign closed.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use sqlx::PgPool;
use tidegate_e2e::{CampaignTerms, StaffDesk, Suite, eventually, refused};
use tidegate_local::stack::Service;
use tidegate_proto::{
    gateway::v1::{GetClaimRequest, claim_service_client::ClaimServiceClient},
    quota::v1::{ExtendValidityRequest, SetCampaignControlRequest},
    r#type::v1::{
        Campaign, CouponState, IssuanceControl, OrderState, RedemptionControl, RedemptionState,
    },
};
use tonic::Status;

const SOON: Duration = Duration::from_secs(20);
const NOWHERE: &str = "127.0.0.1:1";

/// A suite with one open campaign, its store and a shopper who holds a coupon.
async fn suite_with_a_coupon(validity: Duration) -> Result<(Suite, StaffDesk, String)> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.make_store().await?;
    let terms = CampaignTerms {
        validity,
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
        let url = suite.stack.database_url(service).context("no database")?;
        let pool = PgPool::connect(&url).await?;
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

async fn extend(staff: &StaffDesk, until: SystemTime) -> Result<Campaign, Status> {
    let message = ExtendValidityRequest {
        campaign_id: "tea".into(),
        valid_until: Some(until.into()),
    };
    let answer = staff
        .campaigns()
        .extend_validity(staff.request(message))
        .await?;
    Ok(answer.into_inner().campaign.unwrap_or_default())
}

/// Sets the control of redeeming and tells how far it has come when the call is answered.
async fn redeeming(
    staff: &StaffDesk,
    redemption: RedemptionControl,
    patience: Duration,
) -> Result<RedemptionState, Status> {
    let epoch = staff.read("tea").await?.control.unwrap_or_default().epoch;
    let message = SetCampaignControlRequest {
        campaign_id: "tea".into(),
        issuance: IssuanceControl::Open.into(),
        redemption: redemption.into(),
        reason: "the tea shops are out of cups".into(),
        resume_at: None,
        epoch,
    };
    let mut request = staff.request(message);
    request.set_timeout(patience);
    let answer = staff.campaigns().set_campaign_control(request).await?;
    let campaign = answer.into_inner().campaign.unwrap_or_default();
    Ok(campaign.control.unwrap_or_default().redemption_state())
}

/// Leaves one replica of issuance, which hears nothing from quota.
async fn cut_issuance_off(suite: &mut Suite) -> Result<()> {
    suite
        .stack
        .set_variable("issuance-1", "TIDEGATE_QUOTA_ADDRESSES", Some(NOWHERE))?;
    suite.stack.restart("issuance-1").await
}

#[tokio::test(flavor = "multi_thread")]
async fn coupons_extended_days_after_the_campaign_closed_can_be_used() -> Result<()> {
    let (mut suite, staff, code) = suite_with_a_coupon(Duration::from_secs(3_600)).await?;
    let_days_pass(&mut suite, 3).await?;
    let (expired, _) = eventually(SOON, || suite.check("ann", &code)).await?;
    assert_eq!(expired.state(), CouponState::Expired);
    let until = SystemTime::now() + Duration::from_secs(3_600);
    extend(&staff, until).await?;
    let (coupon, usable) = suite.check("ann", &code).await?;
    assert_eq!((coupon.state(), usable), (CouponState::Issued, true));
    let order = suite.order("ann", "o-1", &code).await?;
    assert_eq!(order.state(), OrderState::Accepted);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_gateway_answers_for_a_campaign_that_closed_long_ago() -> Result<()> {
    let (mut suite, staff, code) = suite_with_a_coupon(Duration::from_secs(3_600)).await?;
    // Longer than any coupon of it is watched for.
    let_days_pass(&mut suite, 400).await?;
    for gateway in ["gateway-0", "gateway-1"] {
        let message = GetClaimRequest {
            campaign_id: "tea".into(),
            shopper_id: "ann".into(),
            request_id: "nobody-knows".into(),
        };
        let refusal = ClaimServiceClient::new(suite.door(gateway)?)
            .get_claim(suite.request(message))
            .await
            .unwrap_err();
        assert_eq!(refused(&refusal).reason, "CLAIM_NOT_FOUND");
        let late = tidegate_e2e::claim_of("tea", "bob", "r-1");
        let refusal = suite.claim_at(gateway, late).await.unwrap_err();
        assert_eq!(refused(&refusal).reason, "CAMPAIGN_CLOSED");
    }
    extend(&staff, SystemTime::now() + Duration::from_secs(3_600)).await?;
    let order = suite.order("ann", "o-1", &code).await?;
    assert_eq!(order.state(), OrderState::Accepted);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redemption_halt_holds_at_a_replica_that_is_cut_off_from_quota() -> Result<()> {
    let (mut suite, staff, code) = suite_with_a_coupon(Duration::from_secs(3_600)).await?;
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
    let (mut suite, staff, code) = suite_with_a_coupon(Duration::from_secs(3_600)).await?;
    let_days_pass(&mut suite, 3).await?;
    cut_issuance_off(&mut suite).await?;
    extend(&staff, SystemTime::now() + Duration::from_secs(3_600)).await?;
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
    let (mut suite, staff, code) = suite_with_a_coupon(Duration::from_secs(3_600)).await?;
    for replica in ["issuance-0", "issuance-1"] {
        suite.stack.kill(replica).await?;
    }
    let patience = Duration::from_secs(2);
    let state = redeeming(&staff, RedemptionControl::Halted, patience).await?;
    assert_eq!(state, RedemptionState::Halting);
    let mut request = staff.request(ExtendValidityRequest {
        campaign_id: "tea".into(),
        valid_until: Some((SystemTime::now() + Duration::from_secs(7_200)).into()),
    });
    request.set_timeout(patience);
    let refusal = staff
        .campaigns()
        .extend_validity(request)
        .await
        .unwrap_err();
    let refusal = refused(&refusal);
    assert_eq!(refusal.reason, "OVERLOADED");
    assert!(refusal.retry_after.is_some());
    suite.stack.restart("issuance-0").await?;
    eventually(SOON, || async {
        let read = staff
            .read("tea")
            .await
            .map_err(|status| status.to_string())?;
        match read.control.unwrap_or_default().redemption_state() {
            RedemptionState::Halted => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .map_err(anyhow::Error::msg)?;
    let rejected = suite.order("ann", "o-1", &code).await.unwrap_err();
    assert_eq!(refused(&rejected).reason, "REDEMPTION_HALTED");
    suite.end().await
}
