//! Staff halt, resume, extend, revoke and give, while shoppers go on with what they hold. What
//! they were told is in force is so at every replica, and long after a campaign closed.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use tidegate_client::{
    CampaignTerms, HOUR, SOON, Told, becomes, claim_of, eventually, later, order_of, refused, soon,
};
use tidegate_e2e::{ISSUANCES, Suite, hold};
use tidegate_local::{credentials::Identity, stack::Service};
use tidegate_proto::{
    issuance::v1::{Grant, GrantCouponsRequest, grant_result::Outcome},
    quota::v1::{SetCampaignControlRequest, campaign_service_client::CampaignServiceClient},
    r#type::v1::{
        CouponState, IssuanceControl, IssuanceState, OrderState, RedemptionControl, RedemptionState,
    },
};
use tokio::time::timeout;
use tonic::{Code, Status};

const NOWHERE: &str = "127.0.0.1:1";
/// What staff say of a campaign is heard everywhere within this time.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

async fn heard<T>(wait: impl Future<Output = Result<T>>) -> Result<T> {
    let heard = timeout(HEARD_WITHIN, wait).await;
    heard.context("what staff say is not heard in time")?
}

/// Orders until an order is accepted, each with a request id of its own: a rejection is for ever.
async fn order_is_accepted(suite: &Suite, name: &str, code: &str) -> Result<()> {
    let mut request_ids = (1..).map(|number| format!("{name}-{number}"));
    let order = eventually(HEARD_WITHIN, async || {
        let request_id = request_ids.next().unwrap_or_default();
        suite.order("ann", &request_id, code).await
    });
    assert_eq!(order.await?.state(), OrderState::Accepted);
    Ok(())
}

/// Opens a campaign; the code of Ann's coupon of it.
async fn campaign_with_a_coupon(suite: &Suite, campaign: &str) -> Result<String> {
    suite.open(campaign, 1_000).await?;
    let issued = suite.claim(campaign, "ann", "r-1").await?;
    Ok(issued.coupon.unwrap_or_default().code)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_staff_say_holds_and_leaves_everything_else_as_it_was() -> Result<()> {
    let suite = Suite::start().await?;
    suite.staff.make_store().await?;
    hold!(suite;
        of_two_staff_members_with_one_epoch_the_second_is_told_and_the_first_may_ask_again,
        an_expired_coupon_works_again_once_the_campaign_is_extended,
        a_revoked_coupon_pays_for_nothing_and_one_that_paid_is_not_revoked,
        a_list_of_shoppers_is_given_coupons_once_however_often_it_is_sent,
        a_halt_stops_claims_and_nothing_else_also_while_quota_is_away_and_a_resume_opens_them,
    )
}

async fn a_halt_stops_claims_and_nothing_else_also_while_quota_is_away_and_a_resume_opens_them(
    suite: &mut Suite,
) -> Result<()> {
    let code = campaign_with_a_coupon(suite, "halted").await?;
    let halted = suite.staff.issuing("halted", IssuanceControl::Halted);
    assert_eq!(halted.await?.issuance_state(), IssuanceState::Halted);
    let stock = suite.staff.read("halted").await?.stock;
    let leased: u64 = stock.iter().map(|tier| tier.leased).sum();
    assert_eq!(leased, 0, "an acknowledged halt leaves nothing on lease");
    let bobs = claim_of("halted", "bob", "r-1");
    heard(suite.is_told(bobs.clone(), later("ISSUANCE_HALTED"))).await?;
    refused(suite.ask(bobs.clone()).await).is(Code::FailedPrecondition, "ISSUANCE_HALTED");
    let again = suite.claim("halted", "ann", "r-1").await?;
    assert!(again.replayed, "who holds a coupon still gets it");

    suite.stack.kill("quota-0").await?;
    let wallet = suite.coupons("ann", 10).await?;
    assert!(wallet.iter().any(|coupon| coupon.code == code));
    suite.accepted(order_of("ann", "o-halted", &code)).await?;
    suite.stack.restart("quota-0").await?;

    let resumed = suite.staff.issuing("halted", IssuanceControl::Open);
    assert_eq!(resumed.await?.issuance_state(), IssuanceState::Open);
    heard(suite.is_served(bobs)).await?;
    assert_eq!(suite.staff.differences("halted").await?, [""; 0]);
    Ok(())
}

async fn of_two_staff_members_with_one_epoch_the_second_is_told_and_the_first_may_ask_again(
    suite: &Suite,
) -> Result<()> {
    let staff = &suite.staff;
    campaign_with_a_coupon(suite, "epoch").await?;
    let change = |issuance: IssuanceControl, reason: &str| {
        staff.request(SetCampaignControlRequest {
            campaign_id: "epoch".into(),
            issuance: issuance.into(),
            redemption: RedemptionControl::Open.into(),
            reason: reason.into(),
            resume_at: None,
            epoch: 0,
        })
    };
    let first = || change(IssuanceControl::QueueOnly, "the tea shops are out of cups");
    let mut campaigns = staff.campaigns();
    campaigns.set_campaign_control(first()).await?;
    let second = change(IssuanceControl::Halted, "stop it");
    refused(campaigns.set_campaign_control(second).await)
        .is(Code::Aborted, "CONTROL_EPOCH_CONFLICT");
    let again = campaigns.set_campaign_control(first()).await?.into_inner();
    let control = again.campaign.and_then(|campaign| campaign.control);
    let control = control.unwrap_or_default();
    let expected = (1, IssuanceState::QueueOnly);
    assert_eq!((control.epoch, control.issuance_state()), expected);
    let bobs = claim_of("epoch", "bob", "r-1");
    heard(suite.is_told(bobs, Told::Queued)).await?;
    // A gateway's certificate opens none of this.
    let mut outsider = CampaignServiceClient::new(suite.inside(Identity::Gateway, "quota-0")?);
    let mine = change(IssuanceControl::Open, "mine");
    let denied = outsider.set_campaign_control(mine).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    Ok(())
}

async fn an_expired_coupon_works_again_once_the_campaign_is_extended(suite: &Suite) -> Result<()> {
    let terms = CampaignTerms::open("short", 10).valid_for(Duration::from_secs(1));
    suite.staff.open(terms).await?;
    let code = suite.coupon("short", "ann").await?;
    let state = async || Ok(suite.check("ann", &code).await?.0.state());
    heard(becomes(CouponState::Expired, state)).await?;
    let until = SystemTime::now() + HOUR;
    suite.staff.extend("short", until).await?;
    order_is_accepted(suite, "short", &code).await?;
    let earlier = until - Duration::from_secs(60);
    let refusal = refused(suite.staff.extend("short", earlier).await);
    assert_eq!(refusal.fields, ["valid_until"]);
    Ok(())
}

async fn a_revoked_coupon_pays_for_nothing_and_one_that_paid_is_not_revoked(
    suite: &Suite,
) -> Result<()> {
    let code = campaign_with_a_coupon(suite, "revoked").await?;
    let revoked = suite.staff.revoke("ann", &code).await?;
    let state = revoked.coupon.unwrap_or_default().state();
    assert_eq!((revoked.replayed, state), (false, CouponState::Revoked));
    assert!(suite.staff.revoke("ann", &code).await?.replayed);
    refused(suite.order("ann", "o-revoked", &code).await).because("COUPON_REVOKED");

    let paid = suite.coupon("revoked", "bob").await?;
    suite.order("bob", "o-1", &paid).await?;
    refused(suite.staff.revoke("bob", &paid).await).because("COUPON_REDEEMED");
    Ok(())
}

async fn a_list_of_shoppers_is_given_coupons_once_however_often_it_is_sent(
    suite: &Suite,
) -> Result<()> {
    let staff = &suite.staff;
    suite.open("list", 1_000).await?;
    let part = |part: usize| GrantCouponsRequest {
        campaign_id: "list".into(),
        reason: "an apology".into(),
        grants: (0..100)
            .map(|number| Grant {
                shopper_id: format!("member-{part}-{number}"),
                request_id: "spring-mailing".into(),
                tier_id: String::new(),
            })
            .collect(),
    };
    let parts: Vec<_> = (0..3).map(part).collect();
    for is_again in [false, true] {
        let stream = staff.request(tokio_stream::iter(parts.clone()));
        let answers = staff.coupon_admin().grant_coupons(stream).await?;
        let (mut answers, mut granted) = (answers.into_inner(), 0);
        while let Some(answer) = answers.message().await? {
            for result in answer.results {
                let Some(Outcome::Granted(coupon)) = result.outcome else {
                    panic!("{result:?}")
                };
                assert_eq!(coupon.replayed, is_again);
                granted += 1;
            }
        }
        assert_eq!(granted, 300);
    }
    // What was granted is in the shopper's own wallet, and counts towards the limit.
    refused(suite.claim("list", "member-0-0", "r-1").await).because("SHOPPER_LIMIT_REACHED");
    let half_good = ["carl", ""].map(str::to_owned);
    let results = staff.grant("list", "spring-mailing", half_good).await?;
    assert!(matches!(results[0].outcome, Some(Outcome::Granted(_))));
    let Some(Outcome::Refused(refused)) = &results[1].outcome else {
        panic!("{results:?}");
    };
    assert_eq!(refused.violations[0].field, "grants[1].shopper_id");
    assert_eq!(staff.differences("list").await?, [""; 0]);
    Ok(())
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
async fn a_redemption_halt_holds_at_a_replica_that_is_cut_off_from_quota() -> Result<()> {
    let (mut suite, code) = suite_with_a_coupon().await?;
    cut_issuance_off(&mut suite).await?;
    let state = redeeming(&suite, RedemptionControl::Halted, SOON).await?;
    assert_eq!(state, RedemptionState::Halted);
    suite.stack.kill("issuance-0").await?;
    let (_, usable) = soon(|| suite.check("ann", &code)).await?;
    assert!(!usable);
    refused(suite.order("ann", "o-1", &code).await).because("REDEMPTION_HALTED");
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
    refused(suite.order("ann", "o-1", &code).await).because("REDEMPTION_HALTED");
    suite.end().await
}
