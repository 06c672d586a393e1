//! Never means never: nobody is refused for good for what a copy did not know yet.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::join_all;
use tidegate_client::{CampaignTerms, QUEUED, claim_of, eventually, refused};
use tidegate_e2e::{GATEWAYS, Suite, hold};
use tidegate_proto::{
    gateway::v1::ClaimCouponRequest,
    issuance::v1::grant_result,
    r#type::v1::{IssuanceControl, RedemptionControl},
};

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

pub(crate) async fn told(suite: &Suite, gateway: &str, claim: ClaimCouponRequest) -> Result<Told> {
    Ok(heard(suite.at(gateway)?.issue(claim).await))
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

/// Claims until there is a coupon; never may nobody be told on the way.
pub(crate) async fn is_served(suite: &Suite, gateway: &str, claim: ClaimCouponRequest) {
    let served = eventually(SOON, || async {
        let told = told(suite, gateway, claim.clone()).await.unwrap();
        let is_final = matches!(told, Told::Never(_));
        assert!(!is_final, "{told:?} of {claim:?} at {gateway}");
        (told == Told::Issued).then_some(()).ok_or(told)
    });
    assert_eq!(served.await, Ok(()), "{gateway}");
}

pub(crate) async fn is_told(
    suite: &Suite,
    gateway: &str,
    claim: ClaimCouponRequest,
    expected: Told,
) {
    let heard = eventually(SOON, || async {
        let told = told(suite, gateway, claim.clone()).await.unwrap();
        (told == expected).then_some(()).ok_or(told)
    });
    assert_eq!(heard.await, Ok(()), "{gateway} of {claim:?}");
}

pub(crate) fn never(reason: &str) -> Told {
    Told::Never(reason.into())
}

fn large(campaign: &str, shopper: &str) -> ClaimCouponRequest {
    ClaimCouponRequest {
        tier_id: "large".into(),
        ..claim_of(campaign, shopper, "r-1")
    }
}

/// One large tea, and small ones for everybody.
fn one_large(campaign: &str) -> CampaignTerms {
    CampaignTerms {
        tiers: vec![("large", 1), ("small", 1_000)],
        ..CampaignTerms::open(campaign, 0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_staff_change_is_known_everywhere_the_moment_it_was_acknowledged() -> Result<()> {
    let suite = Suite::start().await?;
    hold!(&suite;
        a_campaign_can_be_claimed_from_at_every_gateway_the_moment_it_was_created,
        a_campaign_is_known_to_wallets_and_to_the_coupon_admin_the_moment_it_was_created,
        budget_added_is_claimable_at_every_gateway_the_moment_it_was_acknowledged,
        budget_added_is_there_for_grants_the_moment_it_was_acknowledged,
        budget_added_to_a_tier_that_was_gone_is_claimable_at_once_while_others_are_left,
        a_halt_whose_end_nobody_knows_is_told_with_a_time_to_ask_again,
        strangers_who_ask_for_campaigns_that_are_not_there_keep_nobody_out,
    )?;
    suite.end().await
}

async fn a_campaign_can_be_claimed_from_at_every_gateway_the_moment_it_was_created(
    suite: &Suite,
) -> Result<()> {
    let staff = suite.staff()?;
    for id in (1..=ROUNDS).map(|round| format!("new-{round}")) {
        staff.make(&CampaignTerms::open(&id, 10)).await?;
        let [ann, bob] = ["ann", "bob"].map(|shopper| claim_of(&id, shopper, "r-1"));
        tokio::join!(
            is_served(suite, GATEWAYS[0], ann),
            is_served(suite, GATEWAYS[1], bob)
        );
    }
    Ok(())
}

async fn a_campaign_is_known_to_wallets_and_to_the_coupon_admin_the_moment_it_was_created(
    suite: &Suite,
) -> Result<()> {
    let staff = suite.staff()?;
    for id in (1..=ROUNDS / 2).map(|round| format!("known-{round}")) {
        staff.make(&CampaignTerms::open(&id, 10)).await?;
        for gateway in GATEWAYS {
            let gateway = suite.at(gateway)?;
            gateway.coupons(&format!("of-{id}"), 10).await?;
            assert_eq!(gateway.knows(&id).await, Ok(()));
        }
        let results = staff.grant(&id, "mailing", ["carl".to_owned()]).await?;
        let granted = matches!(results[0].outcome, Some(grant_result::Outcome::Granted(_)));
        assert!(granted, "{results:?}");
    }
    Ok(())
}

async fn budget_added_is_claimable_at_every_gateway_the_moment_it_was_acknowledged(
    suite: &Suite,
) -> Result<()> {
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("more", 2)).await?;
    for round in 0..ROUNDS {
        let [ann, bob, carl] = ["ann", "bob", "carl"]
            .map(|shopper| claim_of("more", &format!("{shopper}-{round}"), "r-1"));
        tokio::join!(
            is_served(suite, GATEWAYS[0], ann),
            is_served(suite, GATEWAYS[1], bob)
        );
        // Every gateway has seen the sell-out, and answers from what it knows.
        for gateway in GATEWAYS {
            is_told(suite, gateway, carl.clone(), never("BUDGET_EXHAUSTED")).await;
        }
        let tier = ("more", "tea");
        staff.add_budget(tier, &format!("more-{round}"), 2).await?;
    }
    assert_eq!(staff.differences("more").await?, [""; 0]);
    Ok(())
}

async fn budget_added_is_there_for_grants_the_moment_it_was_acknowledged(
    suite: &Suite,
) -> Result<()> {
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("grants", 1)).await?;
    for round in 0..ROUNDS {
        for (shopper, is_left) in [("ann", true), ("bob", false)] {
            let shopper = format!("{shopper}-{round}");
            let results = staff.grant("grants", "mailing", [shopper]).await?;
            let granted = matches!(results[0].outcome, Some(grant_result::Outcome::Granted(_)));
            assert_eq!(granted, is_left, "{results:?}");
        }
        let tier = ("grants", "tea");
        staff.add_budget(tier, &format!("more-{round}"), 1).await?;
    }
    Ok(())
}

async fn budget_added_to_a_tier_that_was_gone_is_claimable_at_once_while_others_are_left(
    suite: &Suite,
) -> Result<()> {
    let staff = suite.staff()?;
    staff.open(one_large("tier")).await?;
    for round in 0..ROUNDS {
        let ann = large("tier", &format!("ann-{round}"));
        is_served(suite, GATEWAYS[round % 2], ann).await;
        for gateway in GATEWAYS {
            let late = large("tier", &format!("bob-{round}"));
            is_told(suite, gateway, late, never("BUDGET_EXHAUSTED")).await;
        }
        let tier = ("tier", "large");
        staff.add_budget(tier, &format!("more-{round}"), 1).await?;
    }
    Ok(())
}

async fn a_halt_whose_end_nobody_knows_is_told_with_a_time_to_ask_again(
    suite: &Suite,
) -> Result<()> {
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("halted", 10)).await?;
    let (halted, open) = (IssuanceControl::Halted, RedemptionControl::Open);
    staff.control("halted", halted, open).await?;
    for gateway in GATEWAYS {
        let later = Told::Later("ISSUANCE_HALTED".into());
        is_told(suite, gateway, claim_of("halted", "bob", "r-1"), later).await;
    }
    Ok(())
}

async fn strangers_who_ask_for_campaigns_that_are_not_there_keep_nobody_out(
    suite: &Suite,
) -> Result<()> {
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("there", 1_000)).await?;
    let strangers = join_all((0..2_000).map(async |number| {
        let claim = claim_of(&format!("no-such-{number}"), "stranger", "r-1");
        heard(suite.issue(claim).await)
    }));
    let shoppers = (0..50).map(|number| {
        let claim = claim_of("there", &format!("shopper-{number}"), "r-1");
        is_served(suite, GATEWAYS[0], claim)
    });
    let (answers, _) = tokio::join!(strangers, join_all(shoppers));
    let not_found = never("CAMPAIGN_NOT_FOUND");
    assert!(answers.contains(&not_found));
    let mut answers = answers.iter();
    let bad = answers.find(|told| !matches!(told, Told::Later(_)) && **told != not_found);
    assert_eq!(bad, None);
    Ok(())
}

/// The table of `proto/README.md`, row by row: what a gateway may say for good while it cannot ask
/// quota, and what of that turns out.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_cut_off_from_quota_says_never_only_of_what_cannot_change() -> Result<()> {
    let mut suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("tea", 1)).await?;
    staff.open(one_large("tiers")).await?;
    let over = CampaignTerms {
        open_for: Duration::from_millis(100),
        ..CampaignTerms::open("over", 10)
    };
    staff.open(over).await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    is_served(&suite, GATEWAYS[0], claim_of("tea", "ann", "r-1")).await;
    is_served(&suite, GATEWAYS[0], large("tiers", "ann")).await;
    let of = |shopper: &str| {
        [
            (claim_of("tea", shopper, "r-1"), "BUDGET_EXHAUSTED"),
            (large("tiers", shopper), "BUDGET_EXHAUSTED"),
            (claim_of("over", shopper, "r-1"), "CAMPAIGN_CLOSED"),
            (claim_of("nowhere", shopper, "r-1"), "CAMPAIGN_NOT_FOUND"),
            (claim_of("tiers", "ann", "r-2"), "SHOPPER_LIMIT_REACHED"),
        ]
    };
    for gateway in GATEWAYS {
        for (claim, reason) in of("bob") {
            is_told(&suite, gateway, claim, never(reason)).await;
        }
    }

    suite.stack.pause("quota-0")?;
    for gateway in GATEWAYS {
        // What staff may change would prove these wrong, and only quota knows.
        for (claim, _) in of("carl") {
            let told = told(&suite, gateway, claim.clone()).await?;
            assert!(matches!(told, Told::Later(_)), "{told:?} of {claim:?}");
        }
        // Nothing that anybody can do would.
        let other_content = ClaimCouponRequest {
            tier_id: "small".into(),
            ..large("tiers", "ann")
        };
        let conflict = told(&suite, gateway, other_content).await?;
        assert_eq!(conflict, never("REQUEST_ID_CONFLICT"));
        // Who has a coupon gets it, whatever cannot be asked.
        let mine = claim_of("tea", "ann", "r-1");
        assert_eq!(told(&suite, gateway, mine).await?, Told::Issued);
    }
    suite.stack.resume("quota-0")?;
    let carl = claim_of("tea", "carl", "r-1");
    is_told(&suite, GATEWAYS[0], carl.clone(), never("BUDGET_EXHAUSTED")).await;
    // The change that proves them wrong comes a moment later.
    staff.add_budget(("tea", "tea"), "more", 1).await?;
    staff.make(&CampaignTerms::open("nowhere", 1)).await?;
    is_served(&suite, GATEWAYS[1], carl).await;
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
    suite.stack.kill(GATEWAYS[1]).await?;
    suite.stack.start_replica(GATEWAYS[1])?;
    let mut answered = 0;
    for number in 0..40 {
        for campaign in ["tea", "nowhere"] {
            let claim = claim_of(campaign, &format!("bob-{number}"), "r-1");
            match told(&suite, GATEWAYS[1], claim).await? {
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
    let nowhere = claim_of("nowhere", "bob", "r-1");
    is_told(&suite, GATEWAYS[1], nowhere, never("CAMPAIGN_NOT_FOUND")).await;
    suite.end().await
}
