//! Never means never: nobody is refused for good for what a copy did not know yet.

use std::time::Duration;

use anyhow::Result;
use tidegate_e2e::{CampaignTerms, QUEUED, StaffDesk, Suite, claim_of, eventually, refused};
use tidegate_proto::{
    gateway::v1::{
        ClaimCouponRequest, GetClaimRequest, ListCouponsRequest,
        claim_service_client::ClaimServiceClient, wallet_service_client::WalletServiceClient,
    },
    issuance::v1::{Grant, GrantCouponsRequest, grant_result},
    quota::v1::{AddBudgetRequest, SetCampaignControlRequest},
    r#type::v1::{IssuanceControl, RedemptionControl},
};

pub(crate) const GATEWAYS: [&str; 2] = ["gateway-0", "gateway-1"];
const SOON: Duration = Duration::from_secs(20);
/// How often each race is run: one round may be lucky.
const ROUNDS: usize = 8;

/// What a claim was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Issued,
    /// To wait, or to come back.
    Later(String),
    Never(String),
}

pub(crate) async fn told_of(suite: &Suite, gateway: &str, claim: ClaimCouponRequest) -> Told {
    heard(suite.claim_at(gateway, claim).await)
}

fn heard<T>(answer: Result<T, tonic::Status>) -> Told {
    match answer {
        Ok(_) => Told::Issued,
        Err(status) if status.message() == QUEUED => Told::Later(QUEUED.into()),
        Err(status) => {
            let refusal = refused(&status);
            match refusal.retry_after {
                Some(_) => Told::Later(refusal.reason),
                None => Told::Never(refusal.reason),
            }
        }
    }
}

pub(crate) async fn told(suite: &Suite, gateway: &str, campaign: &str, shopper: &str) -> Told {
    told_of(suite, gateway, claim_of(campaign, shopper, "r-1")).await
}

/// Claims until there is a coupon; never may nobody be told on the way.
pub(crate) async fn is_served(suite: &Suite, gateway: &str, claim: ClaimCouponRequest) {
    let served = eventually(SOON, || async {
        let told = told_of(suite, gateway, claim.clone()).await;
        assert!(
            !matches!(told, Told::Never(_)),
            "{told:?} of {claim:?} at {gateway}"
        );
        if told == Told::Issued {
            Ok(())
        } else {
            Err(told)
        }
    });
    assert_eq!(served.await, Ok(()));
}

pub(crate) async fn is_told(
    suite: &Suite,
    gateway: &str,
    claim: ClaimCouponRequest,
    expected: Told,
) {
    let heard = eventually(SOON, || async {
        let told = told_of(suite, gateway, claim.clone()).await;
        if told == expected { Ok(()) } else { Err(told) }
    });
    assert_eq!(heard.await, Ok(()));
}

pub(crate) fn never(reason: &str) -> Told {
    Told::Never(reason.into())
}

async fn add_budget(staff: &StaffDesk, request_id: &str, tier: &str, more: u64) -> Result<()> {
    let message = AddBudgetRequest {
        campaign_id: "tea".into(),
        request_id: request_id.into(),
        tier_id: tier.into(),
        additional_stock: more,
        reason: "more cups".into(),
    };
    staff.campaigns().add_budget(staff.request(message)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_can_be_claimed_from_at_every_gateway_the_moment_it_was_created() -> Result<()> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    for id in ["t-1", "t-2", "t-3", "t-4", "t-5", "t-6", "t-7", "t-8"] {
        staff.make(&CampaignTerms::open(id, 10)).await?;
        let [ann, bob] = ["ann", "bob"].map(|shopper| claim_of(id, shopper, "r-1"));
        tokio::join!(
            is_served(&suite, GATEWAYS[0], ann),
            is_served(&suite, GATEWAYS[1], bob)
        );
    }
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_is_known_to_wallets_and_to_the_coupon_admin_the_moment_it_was_created()
-> Result<()> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    for id in ["t-1", "t-2", "t-3", "t-4"] {
        staff.make(&CampaignTerms::open(id, 10)).await?;
        for gateway in GATEWAYS {
            let page = ListCouponsRequest {
                shopper_id: "ann".into(),
                campaign_id: id.into(),
                ..Default::default()
            };
            WalletServiceClient::new(suite.door(gateway)?)
                .list_coupons(suite.request(page))
                .await?;
            let claim = GetClaimRequest {
                campaign_id: id.into(),
                shopper_id: "ann".into(),
                request_id: "r-1".into(),
            };
            let refusal = ClaimServiceClient::new(suite.door(gateway)?)
                .get_claim(suite.request(claim))
                .await
                .unwrap_err();
            assert_eq!(refused(&refusal).reason, "CLAIM_NOT_FOUND");
        }
        let grants = GrantCouponsRequest {
            campaign_id: id.into(),
            reason: "an apology".to_owned(),
            grants: vec![Grant {
                shopper_id: "carl".into(),
                request_id: "mailing".into(),
                tier_id: String::new(),
            }],
        };
        let mut answers = staff
            .coupon_admin()
            .grant_coupons(staff.request(tokio_stream::iter([grants])))
            .await?
            .into_inner();
        let results = answers.message().await?.unwrap_or_default().results;
        assert!(
            matches!(results[0].outcome, Some(grant_result::Outcome::Granted(_))),
            "{results:?}"
        );
    }
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn budget_added_is_claimable_at_every_gateway_the_moment_it_was_acknowledged() -> Result<()> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("tea", 2)).await?;
    for round in 0..ROUNDS {
        let [ann, bob, carl] = ["ann", "bob", "carl"]
            .map(|shopper| claim_of("tea", &format!("{shopper}-{round}"), "r-1"));
        tokio::join!(
            is_served(&suite, GATEWAYS[0], ann),
            is_served(&suite, GATEWAYS[1], bob)
        );
        // Every gateway has seen the sell-out, and answers from what it knows.
        for gateway in GATEWAYS {
            is_told(&suite, gateway, carl.clone(), never("BUDGET_EXHAUSTED")).await;
        }
        add_budget(&staff, &format!("more-{round}"), "tea", 2).await?;
    }
    assert_eq!(staff.audit("tea").await?, [""; 0]);
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn budget_added_is_there_for_grants_the_moment_it_was_acknowledged() -> Result<()> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("tea", 1)).await?;
    let grant = async |shopper: String| -> Result<Option<grant_result::Outcome>> {
        let grants = GrantCouponsRequest {
            campaign_id: "tea".into(),
            reason: "an apology".to_owned(),
            grants: vec![Grant {
                shopper_id: shopper,
                request_id: "mailing".into(),
                tier_id: String::new(),
            }],
        };
        let mut answers = staff
            .coupon_admin()
            .grant_coupons(staff.request(tokio_stream::iter([grants])))
            .await?
            .into_inner();
        let mut results = answers.message().await?.unwrap_or_default().results;
        Ok(results.pop().and_then(|result| result.outcome))
    };
    for round in 0..ROUNDS {
        let first = grant(format!("ann-{round}")).await?;
        assert!(
            matches!(first, Some(grant_result::Outcome::Granted(_))),
            "{first:?}"
        );
        let late = grant(format!("bob-{round}")).await?;
        assert!(
            matches!(late, Some(grant_result::Outcome::Refused(_))),
            "{late:?}"
        );
        add_budget(&staff, &format!("more-{round}"), "tea", 1).await?;
    }
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn budget_added_to_a_tier_that_was_gone_is_claimable_at_once_while_others_are_left()
-> Result<()> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    let terms = CampaignTerms {
        tiers: vec![("large", 1), ("small", 1_000)],
        ..CampaignTerms::open("tea", 0)
    };
    staff.open(terms).await?;
    let large = |shopper: String| ClaimCouponRequest {
        tier_id: "large".into(),
        ..claim_of("tea", &shopper, "r-1")
    };
    for round in 0..ROUNDS {
        let gateway = GATEWAYS[round % 2];
        is_served(&suite, gateway, large(format!("ann-{round}"))).await;
        for gateway in GATEWAYS {
            let late = large(format!("bob-{round}"));
            is_told(&suite, gateway, late, never("BUDGET_EXHAUSTED")).await;
        }
        add_budget(&staff, &format!("more-{round}"), "large", 1).await?;
    }
    suite.end().await
}

/// The table of `proto/README.md`, row by row: what a gateway may say for good while it cannot ask quota, and what of that turns out.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_cut_off_from_quota_says_never_only_of_what_cannot_change() -> Result<()> {
    let mut suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("tea", 1)).await?;
    let terms = CampaignTerms {
        tiers: vec![("large", 1), ("small", 1_000)],
        ..CampaignTerms::open("tiers", 0)
    };
    staff.open(terms).await?;
    let terms = CampaignTerms {
        open_for: Duration::from_millis(100),
        ..CampaignTerms::open("over", 10)
    };
    staff.open(terms).await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let large = |shopper: &str| ClaimCouponRequest {
        tier_id: "large".into(),
        ..claim_of("tiers", shopper, "r-1")
    };
    is_served(&suite, GATEWAYS[0], claim_of("tea", "ann", "r-1")).await;
    is_served(&suite, GATEWAYS[0], large("ann")).await;
    for gateway in GATEWAYS {
        for (claim, reason) in [
            (claim_of("tea", "bob", "r-1"), "BUDGET_EXHAUSTED"),
            (large("bob"), "BUDGET_EXHAUSTED"),
            (claim_of("over", "bob", "r-1"), "CAMPAIGN_CLOSED"),
            (claim_of("nowhere", "bob", "r-1"), "CAMPAIGN_NOT_FOUND"),
            (claim_of("tiers", "ann", "r-2"), "SHOPPER_LIMIT_REACHED"),
        ] {
            is_told(&suite, gateway, claim, never(reason)).await;
        }
    }

    suite.stack.pause("quota-0")?;
    for gateway in GATEWAYS {
        // What staff may change would prove these wrong, and only quota knows.
        for claim in [
            claim_of("tea", "carl", "r-1"),
            large("carl"),
            claim_of("nowhere", "carl", "r-1"),
            claim_of("over", "bob", "r-1"),
            claim_of("tiers", "ann", "r-2"),
        ] {
            let told = told_of(&suite, gateway, claim.clone()).await;
            assert!(matches!(told, Told::Later(_)), "{told:?} of {claim:?}");
        }
        // Nothing that anybody can do would.
        let other_content = ClaimCouponRequest {
            tier_id: "small".into(),
            ..large("ann")
        };
        let conflict = told_of(&suite, gateway, other_content).await;
        assert_eq!(conflict, never("REQUEST_ID_CONFLICT"));
        // Who has a coupon gets it, whatever cannot be asked.
        assert_eq!(told(&suite, gateway, "tea", "ann").await, Told::Issued);
    }
    suite.stack.resume("quota-0")?;
    let carl = claim_of("tea", "carl", "r-1");
    is_told(&suite, GATEWAYS[0], carl, never("BUDGET_EXHAUSTED")).await;
    // The change that proves them wrong comes a moment later.
    add_budget(&staff, "more", "tea", 1).await?;
    staff.make(&CampaignTerms::open("nowhere", 1)).await?;
    is_served(&suite, GATEWAYS[1], claim_of("tea", "carl", "r-1")).await;
    is_served(&suite, GATEWAYS[1], claim_of("nowhere", "carl", "r-1")).await;
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_starts_while_quota_is_away_says_never_of_no_campaign() -> Result<()> {
    let mut suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("tea", 1)).await?;
    is_served(&suite, GATEWAYS[0], claim_of("tea", "ann", "r-1")).await;
    suite.stack.pause("quota-0")?;
    suite.stack.kill("gateway-1").await?;
    suite.stack.start_replica("gateway-1")?;
    let mut answered = 0;
    for number in 0..40 {
        for campaign in ["tea", "nowhere"] {
            let shopper = format!("bob-{number}");
            match told(&suite, "gateway-1", campaign, &shopper).await {
                Told::Never(reason) if reason.starts_with("no reason") => {}
                Told::Never(reason) => panic!("{reason} of {campaign}"),
                Told::Issued => panic!("nothing is left"),
                Told::Later(_) => answered += 1,
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(answered > 0, "the gateway never answered");
    suite.stack.resume("quota-0")?;
    is_told(
        &suite,
        "gateway-1",
        claim_of("nowhere", "bob", "r-1"),
        never("CAMPAIGN_NOT_FOUND"),
    )
    .await;
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_whose_end_nobody_knows_is_told_with_a_time_to_ask_again() -> Result<()> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("tea", 10)).await?;
    let halt = SetCampaignControlRequest {
        campaign_id: "tea".into(),
        issuance: IssuanceControl::Halted.into(),
        redemption: RedemptionControl::Open.into(),
        reason: "the tea shops are out of cups".into(),
        resume_at: None,
        epoch: 0,
    };
    staff
        .campaigns()
        .set_campaign_control(staff.request(halt))
        .await?;
    for gateway in GATEWAYS {
        let later = Told::Later("ISSUANCE_HALTED".into());
        is_told(&suite, gateway, claim_of("tea", "bob", "r-1"), later).await;
    }
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_who_ask_for_campaigns_that_are_not_there_keep_nobody_out() -> Result<()> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("tea", 1_000)).await?;
    let door = suite.door(GATEWAYS[0])?;
    let strangers = futures_util::future::join_all((0..2_000).map(async |number| {
        let claim = claim_of(&format!("no-such-{number}"), "stranger", "r-1");
        heard(suite.claim_over(door.clone(), claim).await)
    }));
    let shoppers = (0..50).map(|number| {
        let claim = claim_of("tea", &format!("shopper-{number}"), "r-1");
        is_served(&suite, GATEWAYS[0], claim)
    });
    let (answers, _) = tokio::join!(strangers, futures_util::future::join_all(shoppers));
    let never = answers
        .iter()
        .filter(|told| **told == never("CAMPAIGN_NOT_FOUND"));
    assert!(never.count() > 0);
    let bad = answers.iter().find(|told| {
        !matches!(told, Told::Later(_)) && **told != self::never("CAMPAIGN_NOT_FOUND")
    });
    assert_eq!(bad, None);
    suite.end().await
}
