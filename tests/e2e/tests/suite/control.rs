//! Staff halt, resume, extend, revoke and give, while shoppers go on with what they hold.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use tidegate_e2e::{CampaignTerms, QUEUED, StaffDesk, Suite, eventually, refused};
use tidegate_local::credentials::Identity;
use tidegate_proto::{
    gateway::v1::{CheckCouponRequest, ListCouponsRequest},
    issuance::v1::{Grant, GrantCouponsRequest, RevokeCouponRequest, grant_result},
    quota::v1::{
        ExtendValidityRequest, SetCampaignControlRequest,
        campaign_service_client::CampaignServiceClient,
    },
    r#type::v1::{CouponState, IssuanceControl, IssuanceState, OrderState, RedemptionControl},
};
use tonic::Code;

const SOON: Duration = Duration::from_secs(10);

async fn reason_of_claim(suite: &Suite, shopper: &str) -> String {
    match suite.claim("tea", shopper, "r-1").await {
        Ok(_) => "issued".into(),
        Err(status) if status.message() == QUEUED => "queued".into(),
        Err(status) => refused(&status).reason,
    }
}

/// A suite with one open campaign, its store and a shopper who holds a coupon.
async fn suite_with_a_coupon() -> Result<(Suite, StaffDesk, String)> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.make_store().await?;
    staff.open(CampaignTerms::open("tea", 1_000)).await?;
    let issued = suite.claim("tea", "ann", "r-1").await?;
    Ok((suite, staff, issued.coupon.unwrap_or_default().code))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_stops_claims_and_nothing_else_also_while_quota_is_away_and_a_resume_opens_them()
-> Result<()> {
    let (mut suite, staff, code) = suite_with_a_coupon().await?;
    let halted = staff
        .control("tea", IssuanceControl::Halted, RedemptionControl::Open)
        .await?;
    assert_eq!(halted.issuance_state(), IssuanceState::Halted);
    let stock = staff.read("tea").await?.stock;
    assert_eq!(
        stock.iter().map(|tier| tier.leased).sum::<u64>(),
        0,
        "an acknowledged halt leaves nothing on lease"
    );
    eventually(SOON, || async {
        match reason_of_claim(&suite, "bob").await.as_str() {
            "ISSUANCE_HALTED" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await
    .map_err(anyhow::Error::msg)?;
    let refusal = refused(&suite.claim("tea", "bob", "r-1").await.unwrap_err());
    assert_eq!(refusal.code, Code::FailedPrecondition);
    assert!(
        suite.claim("tea", "ann", "r-1").await?.replayed,
        "who holds a coupon still gets it"
    );

    suite.stack.kill("quota-0").await?;
    let message = ListCouponsRequest {
        shopper_id: "ann".into(),
        ..Default::default()
    };
    let wallet = suite
        .wallet()?
        .list_coupons(suite.request(message))
        .await?
        .into_inner();
    assert_eq!(wallet.coupons.len(), 1);
    let order = suite.order("ann", "o-1", &code).await?;
    assert_eq!(order.state(), OrderState::Accepted);
    suite.stack.restart("quota-0").await?;

    let resumed = staff
        .control("tea", IssuanceControl::Open, RedemptionControl::Open)
        .await?;
    assert_eq!(resumed.issuance_state(), IssuanceState::Open);
    eventually(SOON, || suite.claim("tea", "bob", "r-1")).await?;
    assert_eq!(staff.audit("tea").await?, [""; 0]);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_staff_members_with_one_epoch_the_second_is_told_and_the_first_may_ask_again()
-> Result<()> {
    let (suite, staff, _) = suite_with_a_coupon().await?;
    let change = |issuance: IssuanceControl, reason: &str| SetCampaignControlRequest {
        campaign_id: "tea".into(),
        issuance: issuance.into(),
        redemption: RedemptionControl::Open.into(),
        reason: reason.into(),
        resume_at: None,
        epoch: 0,
    };
    let first = change(IssuanceControl::QueueOnly, "the tea shops are out of cups");
    let mut campaigns = staff.campaigns();
    campaigns
        .set_campaign_control(staff.request(first.clone()))
        .await?;
    let lost = campaigns
        .set_campaign_control(staff.request(change(IssuanceControl::Halted, "stop it")))
        .await
        .unwrap_err();
    let told = refused(&lost);
    assert_eq!(
        (told.code, told.reason.as_str()),
        (Code::Aborted, "CONTROL_EPOCH_CONFLICT")
    );
    let again = campaigns
        .set_campaign_control(staff.request(first))
        .await?
        .into_inner();
    let control = again
        .campaign
        .unwrap_or_default()
        .control
        .unwrap_or_default();
    assert_eq!(
        (control.epoch, control.issuance_state()),
        (1, IssuanceState::QueueOnly)
    );
    eventually(SOON, || async {
        match reason_of_claim(&suite, "bob").await.as_str() {
            "queued" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await
    .map_err(anyhow::Error::msg)?;
    // A gateway's certificate opens none of this.
    let mut outsider = CampaignServiceClient::new(suite.inside(Identity::Gateway, "quota-0")?);
    let denied = outsider
        .set_campaign_control(staff.request(change(IssuanceControl::Open, "mine")))
        .await
        .unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_of_redemption_rejects_orders_and_leaves_their_coupons_usable() -> Result<()> {
    let (suite, staff, code) = suite_with_a_coupon().await?;
    staff
        .control("tea", IssuanceControl::Open, RedemptionControl::Halted)
        .await?;
    eventually(SOON, || async {
        let message = CheckCouponRequest {
            shopper_id: "ann".into(),
            coupon_code: code.clone(),
        };
        let mut wallet = suite.wallet().map_err(|error| error.to_string())?;
        let answer = wallet
            .check_coupon(suite.request(message))
            .await
            .map_err(|status| status.to_string())?
            .into_inner();
        if answer.usable {
            Err("still usable".to_owned())
        } else {
            Ok(())
        }
    })
    .await
    .map_err(anyhow::Error::msg)?;
    let rejected = suite.order("ann", "o-1", &code).await.unwrap_err();
    assert_eq!(refused(&rejected).reason, "REDEMPTION_HALTED");
    staff
        .control("tea", IssuanceControl::Open, RedemptionControl::Open)
        .await?;
    // Each order has a request id of its own: a rejection is for ever.
    let mut number = 1;
    let order = eventually(SOON, || {
        number += 1;
        let request_id = format!("o-{number}");
        let (suite, code) = (&suite, &code);
        async move { suite.order("ann", &request_id, code).await }
    })
    .await?;
    assert_eq!(order.state(), OrderState::Accepted);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_coupon_works_again_once_the_campaign_is_extended() -> Result<()> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.make_store().await?;
    let terms = CampaignTerms {
        validity: Duration::from_secs(1),
        ..CampaignTerms::open("tea", 10)
    };
    staff.open(terms).await?;
    let code = suite.coupon("tea", "ann").await?;
    let expired = eventually(SOON, || {
        let message = CheckCouponRequest {
            shopper_id: "ann".into(),
            coupon_code: code.clone(),
        };
        let suite = &suite;
        async move {
            let mut wallet = suite.wallet().map_err(|error| error.to_string())?;
            let answer = wallet.check_coupon(suite.request(message)).await;
            let coupon = answer
                .map_err(|status| status.to_string())?
                .into_inner()
                .coupon;
            match coupon.unwrap_or_default().state() {
                CouponState::Expired => Ok(()),
                other => Err(format!("{other:?}")),
            }
        }
    });
    expired.await.map_err(anyhow::Error::msg)?;
    let until = SystemTime::now() + Duration::from_secs(3_600);
    let message = ExtendValidityRequest {
        campaign_id: "tea".into(),
        valid_until: Some(until.into()),
    };
    staff
        .campaigns()
        .extend_validity(staff.request(message.clone()))
        .await?;
    let mut number = 0;
    let order = eventually(SOON, || {
        number += 1;
        let request_id = format!("o-{number}");
        let (suite, code) = (&suite, &code);
        async move { suite.order("ann", &request_id, code).await }
    })
    .await?;
    assert_eq!(order.state(), OrderState::Accepted);
    let earlier = ExtendValidityRequest {
        valid_until: Some((until - Duration::from_secs(60)).into()),
        ..message
    };
    let refusal = staff
        .campaigns()
        .extend_validity(staff.request(earlier))
        .await
        .unwrap_err();
    assert_eq!(refused(&refusal).fields, ["valid_until"]);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_coupon_pays_for_nothing_and_one_that_paid_is_not_revoked() -> Result<()> {
    let (suite, staff, code) = suite_with_a_coupon().await?;
    let revoke = |shopper: &str, code: &str| RevokeCouponRequest {
        shopper_id: shopper.into(),
        coupon_code: code.into(),
        reason: "claimed with a stolen account".into(),
    };
    let mut admin = staff.coupon_admin();
    let revoked = admin
        .revoke_coupon(staff.request(revoke("ann", &code)))
        .await?
        .into_inner();
    assert_eq!(
        (revoked.replayed, revoked.coupon.unwrap_or_default().state()),
        (false, CouponState::Revoked)
    );
    let again = admin
        .revoke_coupon(staff.request(revoke("ann", &code)))
        .await?;
    assert!(again.into_inner().replayed);
    let rejected = suite.order("ann", "o-1", &code).await.unwrap_err();
    assert_eq!(refused(&rejected).reason, "COUPON_REVOKED");

    let paid = suite.coupon("tea", "bob").await?;
    suite.order("bob", "o-1", &paid).await?;
    let refusal = admin
        .revoke_coupon(staff.request(revoke("bob", &paid)))
        .await
        .unwrap_err();
    assert_eq!(refused(&refusal).reason, "COUPON_REDEEMED");
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_shoppers_is_given_coupons_once_however_often_it_is_sent() -> Result<()> {
    let (suite, staff, _) = suite_with_a_coupon().await?;
    let grant = |shopper: &str| Grant {
        shopper_id: shopper.into(),
        request_id: "spring-mailing".into(),
        tier_id: String::new(),
    };
    let parts: Vec<_> = (0..3)
        .map(|part| GrantCouponsRequest {
            campaign_id: "tea".into(),
            reason: "an apology".to_owned(),
            grants: (0..100)
                .map(|number| grant(&format!("member-{part}-{number}")))
                .collect(),
        })
        .collect();
    for round in 0..2 {
        let stream = tokio_stream::iter(parts.clone());
        let mut answers = staff
            .coupon_admin()
            .grant_coupons(staff.request(stream))
            .await?
            .into_inner();
        let mut granted = 0;
        while let Some(answer) = answers.message().await? {
            for result in answer.results {
                match result.outcome {
                    Some(grant_result::Outcome::Granted(coupon)) => {
                        assert_eq!(coupon.replayed, round == 1);
                        granted += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(granted, 300, "round {round}");
    }
    // What was granted is in the shopper's own wallet, and counts towards the limit.
    let refusal = suite.claim("tea", "member-0-0", "r-1").await.unwrap_err();
    assert_eq!(refused(&refusal).reason, "SHOPPER_LIMIT_REACHED");
    let bad = GrantCouponsRequest {
        campaign_id: "tea".into(),
        reason: "an apology".to_owned(),
        grants: vec![grant("carl"), grant("")],
    };
    let mut answers = staff
        .coupon_admin()
        .grant_coupons(staff.request(tokio_stream::iter([bad])))
        .await?
        .into_inner();
    let results = answers.message().await?.unwrap_or_default().results;
    assert!(matches!(
        results[0].outcome,
        Some(grant_result::Outcome::Granted(_))
    ));
    let Some(grant_result::Outcome::Refused(refused)) = &results[1].outcome else {
        panic!("{results:?}");
    };
    assert_eq!(refused.violations[0].field, "grants[1].shopper_id");
    assert_eq!(staff.audit("tea").await?, [""; 0]);
    suite.end().await
}
