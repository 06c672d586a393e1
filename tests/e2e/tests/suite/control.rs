//! Staff halt, resume and extend, while shoppers go on with what they hold. What they were told is
//! in force is so at every replica, and long after a campaign closed.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use tidegate_client::{CampaignTerms, HOUR, SOON, claim_of, later, order_of, refused, soon};
use tidegate_e2e::Suite;
use tidegate_local::stack::Service;
use tidegate_proto::r#type::v1::{
    CouponState, IssuanceControl, IssuanceState, RedemptionControl, RedemptionState,
};
use tokio::time::timeout;
use tonic::Code;

const NOWHERE: &str = "127.0.0.1:1";
/// What staff say of a campaign is heard everywhere within this time.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

async fn heard<T>(wait: impl Future<Output = Result<T>>) -> Result<T> {
    let heard = timeout(HEARD_WITHIN, wait).await;
    heard.context("what staff say is not heard in time")?
}

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

/// Ann's coupon can be used, and is.
async fn is_good(suite: &Suite, code: &str, request_id: &str) -> Result<()> {
    let (coupon, usable) = soon(|| suite.check("ann", code)).await?;
    assert_eq!((coupon.state(), usable), (CouponState::Issued, true));
    suite.accepted(order_of("ann", request_id, code)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_stops_claims_and_nothing_else_also_while_quota_is_away_and_a_resume_opens_them()
-> Result<()> {
    let (mut suite, code) = suite_with_a_coupon().await?;
    let halted = suite.staff.issuing("tea", IssuanceControl::Halted);
    assert_eq!(halted.await?.issuance_state(), IssuanceState::Halted);
    let stock = suite.staff.read("tea").await?.stock;
    let leased: u64 = stock.iter().map(|tier| tier.leased).sum();
    assert_eq!(leased, 0, "an acknowledged halt leaves nothing on lease");
    let bobs = claim_of("tea", "bob", "r-1");
    heard(suite.is_told(bobs.clone(), later("ISSUANCE_HALTED"))).await?;
    refused(suite.ask(bobs.clone()).await).is(Code::FailedPrecondition, "ISSUANCE_HALTED");

    suite.stack.kill("quota-0").await?;
    let wallet = suite.coupons("ann", 10).await?;
    assert!(wallet.iter().any(|coupon| coupon.code == code));
    suite.accepted(order_of("ann", "o-1", &code)).await?;
    suite.stack.restart("quota-0").await?;

    let resumed = suite.staff.issuing("tea", IssuanceControl::Open);
    assert_eq!(resumed.await?.issuance_state(), IssuanceState::Open);
    heard(suite.is_served(bobs)).await?;
    assert_eq!(suite.staff.differences("tea").await?, [""; 0]);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_closed_long_ago_is_known_to_restarted_gateways_and_can_be_extended()
-> Result<()> {
    let (mut suite, code) = suite_with_a_coupon().await?;
    // Longer than any coupon of it is watched for.
    let_days_pass(&mut suite, 400).await?;
    for gateway in &suite.gateways {
        assert_eq!(gateway.knows("tea").await, Ok(()));
        refused(gateway.claim("tea", "bob", "r-1").await).because("CAMPAIGN_CLOSED");
    }
    let (expired, _) = soon(|| suite.check("ann", &code)).await?;
    assert_eq!(expired.state(), CouponState::Expired);
    suite.staff.extend("tea", SystemTime::now() + HOUR).await?;
    assert!(suite.check("ann", &code).await?.1);
    is_good(&suite, &code, "o-1").await?;
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_and_an_extension_are_in_force_at_a_replica_that_is_cut_off_from_quota() -> Result<()>
{
    let (mut suite, code) = suite_with_a_coupon().await?;
    let variable = "TIDEGATE_QUOTA_ADDRESSES";
    suite
        .stack
        .set_variable("issuance-1", variable, Some(NOWHERE))?;
    suite.stack.restart("issuance-1").await?;
    let staff = suite.staff.clone().within(SOON);
    let halted = staff.redeeming("tea", RedemptionControl::Halted).await?;
    assert_eq!(halted.redemption_state(), RedemptionState::Halted);
    suite.stack.kill("issuance-0").await?;
    let (_, usable) = soon(|| suite.check("ann", &code)).await?;
    assert!(!usable);
    refused(suite.order("ann", "o-1", &code).await).because("REDEMPTION_HALTED");
    // Opened again, it is in force there as well.
    let open = staff.redeeming("tea", RedemptionControl::Open).await?;
    assert_eq!(open.redemption_state(), RedemptionState::Open);
    assert!(suite.check("ann", &code).await?.1);

    let_days_pass(&mut suite, 3).await?;
    suite.staff.extend("tea", SystemTime::now() + HOUR).await?;
    suite.stack.kill("issuance-0").await?;
    is_good(&suite, &code, "o-2").await?;
    suite.end().await
}
