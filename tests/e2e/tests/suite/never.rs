//! Never means never: nobody is refused for good for what a copy did not know yet, and
//! what staff change of a campaign that runs counts at once.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::{join_all, try_join_all};
use tidegate_client::{CampaignTerms, HOUR, Told, claim_of, later, never};
use tidegate_e2e::{Suite, hold};
use tidegate_proto::{
    gateway::v1::ClaimCouponRequest,
    issuance::v1::{GrantResult, grant_result},
    quota::v1::UpdateCampaignRequest,
    r#type::v1::Tier,
};

use super::claims::claim_for;

/// How often each race is run: one round may be lucky.
const ROUNDS: usize = 8;

fn large(campaign: &str, shopper: &str) -> ClaimCouponRequest {
    claim_for(campaign, shopper, "large")
}

fn is_granted(results: &[GrantResult]) -> bool {
    matches!(results[0].outcome, Some(grant_result::Outcome::Granted(_)))
}

fn is_later(told: &Told) -> bool {
    matches!(told, Told::Later(_) | Told::Queued)
}

/// Two shoppers are served, each at a gateway of its own.
async fn both_are_served(
    suite: &Suite,
    (campaign, tier): (&str, &str),
    round: usize,
) -> Result<()> {
    let served = suite.gateways.iter().zip(["ann", "bob"]);
    let served = served.map(|(gateway, shopper)| {
        gateway.is_served(claim_for(campaign, &format!("{shopper}-{round}"), tier))
    });
    try_join_all(served).await?;
    Ok(())
}

/// A claim is told this at every gateway.
async fn are_told(suite: &Suite, claim: &ClaimCouponRequest, expected: Told) -> Result<()> {
    for gateway in &suite.gateways {
        gateway.is_told(claim.clone(), expected.clone()).await?;
    }
    Ok(())
}

/// One large tea, and small ones for everybody.
fn one_large(campaign: &str) -> CampaignTerms {
    CampaignTerms::open(campaign, 0).with_sizes(1, 1_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_staff_change_is_known_everywhere_the_moment_it_was_acknowledged() -> Result<()> {
    hold!(Suite::start().await?;
        a_campaign_can_be_claimed_from_at_every_gateway_the_moment_it_was_created,
        a_campaign_is_known_to_wallets_and_to_the_coupon_admin_the_moment_it_was_created,
        budget_added_is_claimable_at_every_gateway_at_once_also_while_other_tiers_are_left,
        budget_added_is_there_for_grants_the_moment_it_was_acknowledged,
        strangers_who_ask_for_campaigns_that_are_not_there_keep_nobody_out,
    )
}

async fn a_campaign_can_be_claimed_from_at_every_gateway_the_moment_it_was_created(
    suite: &Suite,
) -> Result<()> {
    for round in 0..ROUNDS {
        let id = format!("new-{round}");
        suite.staff.make(&CampaignTerms::open(&id, 10)).await?;
        both_are_served(suite, (&id, ""), round).await?;
    }
    Ok(())
}

async fn a_campaign_is_known_to_wallets_and_to_the_coupon_admin_the_moment_it_was_created(
    suite: &Suite,
) -> Result<()> {
    for id in (1..=ROUNDS / 2).map(|round| format!("known-{round}")) {
        suite.staff.make(&CampaignTerms::open(&id, 10)).await?;
        for gateway in &suite.gateways {
            gateway.coupons(&format!("of-{id}"), 10).await?;
            assert_eq!(gateway.knows(&id).await, Ok(()));
        }
        let carl = ["carl".to_owned()];
        let results = suite.staff.grant(&id, "mailing", carl).await?;
        assert!(is_granted(&results), "{results:?}");
    }
    Ok(())
}

async fn budget_added_is_claimable_at_every_gateway_at_once_also_while_other_tiers_are_left(
    suite: &Suite,
) -> Result<()> {
    let staff = &suite.staff;
    for (terms, tier) in [
        (CampaignTerms::open("more", 2), "tea"),
        (CampaignTerms::open("tier", 0).with_sizes(2, 1_000), "large"),
    ] {
        let id = &*terms.id.clone();
        staff.open(terms).await?;
        for round in 0..ROUNDS {
            both_are_served(suite, (id, tier), round).await?;
            // Every gateway has seen the sell-out, and answers from what it knows.
            let carl = claim_for(id, &format!("carl-{round}"), tier);
            are_told(suite, &carl, never("BUDGET_EXHAUSTED")).await?;
            let request_id = format!("more-{round}");
            staff.add_budget(id, tier, &request_id, 2).await?;
        }
        assert_eq!(staff.differences(id).await?, [""; 0]);
    }
    Ok(())
}

async fn budget_added_is_there_for_grants_the_moment_it_was_acknowledged(
    suite: &Suite,
) -> Result<()> {
    let staff = &suite.staff;
    suite.open("grants", 1).await?;
    for round in 0..ROUNDS {
        for (shopper, is_left) in [("ann", true), ("bob", false)] {
            let shopper = format!("{shopper}-{round}");
            let results = staff.grant("grants", "mailing", [shopper]).await?;
            assert_eq!(is_granted(&results), is_left, "{results:?}");
        }
        let request_id = format!("more-{round}");
        staff.add_budget("grants", "tea", &request_id, 1).await?;
    }
    Ok(())
}

async fn strangers_who_ask_for_campaigns_that_are_not_there_keep_nobody_out(
    suite: &Suite,
) -> Result<()> {
    suite.open("there", 1_000).await?;
    let strangers = (0..2_000).map(|number| {
        let campaign = format!("no-such-{number}");
        suite.told(claim_of(&campaign, "stranger", "r-1"))
    });
    let shoppers = (0..50).map(|number| {
        let shopper = format!("shopper-{number}");
        suite.is_served(claim_of("there", &shopper, "r-1"))
    });
    let (answers, served) = tokio::join!(join_all(strangers), try_join_all(shoppers));
    served?;
    let not_found = never("CAMPAIGN_NOT_FOUND");
    assert!(answers.contains(&not_found));
    let is_bad = |told: &&Told| !is_later(told) && **told != not_found;
    assert_eq!(answers.iter().find(is_bad), None);
    Ok(())
}

/// The table of `proto/README.md`, row by row: what a gateway may say for good while it cannot ask
/// quota, and what of that turns out.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_cut_off_from_quota_says_never_only_of_what_cannot_change() -> Result<()> {
    let mut suite = Suite::start().await?;
    suite.open("tea", 1).await?;
    suite.staff.open(one_large("tiers")).await?;
    let moment = Duration::from_millis(100);
    let over = CampaignTerms::open("over", 10).closing_after(moment);
    suite.staff.open(over).await?;
    tokio::time::sleep(2 * moment).await;
    let anns = claim_of("tea", "ann", "r-1");
    let code = suite.is_served(anns.clone()).await?;
    suite.is_served(large("tiers", "ann")).await?;
    let of = |shopper: &str| {
        [
            (claim_of("tea", shopper, "r-1"), "BUDGET_EXHAUSTED"),
            (large("tiers", shopper), "BUDGET_EXHAUSTED"),
            (claim_of("over", shopper, "r-1"), "CAMPAIGN_CLOSED"),
            (claim_of("nowhere", shopper, "r-1"), "CAMPAIGN_NOT_FOUND"),
            (claim_of("tiers", "ann", "r-2"), "SHOPPER_LIMIT_REACHED"),
        ]
    };
    for (claim, reason) in of("bob") {
        are_told(&suite, &claim, never(reason)).await?;
    }

    suite.stack.pause("quota-0")?;
    for gateway in &suite.gateways {
        // What staff may change would prove these wrong, and only quota knows.
        for (claim, _) in of("carl") {
            let told = gateway.told(claim.clone()).await;
            assert!(is_later(&told), "{told:?} of {claim:?}");
        }
        // Nothing that anybody can do would.
        let conflict = gateway.told(claim_for("tiers", "ann", "small")).await;
        assert_eq!(conflict, never("REQUEST_ID_CONFLICT"));
        // Who has a coupon gets it, whatever cannot be asked.
        assert_eq!(gateway.told(anns.clone()).await, Told::Issued(code.clone()));
    }
    suite.stack.resume("quota-0")?;
    let carl = claim_of("tea", "carl", "r-1");
    suite
        .is_told(carl.clone(), never("BUDGET_EXHAUSTED"))
        .await?;
    // The change that proves them wrong comes a moment later.
    suite.staff.add_budget("tea", "tea", "more", 1).await?;
    suite.staff.make(&CampaignTerms::open("nowhere", 1)).await?;
    suite.gateways[1].is_served(carl).await?;
    suite.gateways[1]
        .is_served(claim_of("nowhere", "carl", "r-1"))
        .await?;
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_starts_while_quota_is_away_says_never_of_no_campaign() -> Result<()> {
    let mut suite = Suite::start().await?;
    suite.open("tea", 1).await?;
    suite.is_served(claim_of("tea", "ann", "r-1")).await?;
    suite.stack.pause("quota-0")?;
    suite.stack.kill("gateway-1").await?;
    suite.stack.start_replica("gateway-1")?;
    let gateway = &suite.gateways[1];
    let mut answered = 0;
    for number in 0..40 {
        for campaign in ["tea", "nowhere"] {
            let claim = claim_of(campaign, &format!("bob-{number}"), "r-1");
            match gateway.told(claim).await {
                Told::Never(reason) if reason.starts_with("no reason") => {}
                told if is_later(&told) => answered += 1,
                told => panic!("{told:?} of {campaign}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(answered > 0, "the gateway never answered");
    suite.stack.resume("quota-0")?;
    let nowhere = claim_of("nowhere", "bob", "r-1");
    suite.gateways[1]
        .is_told(nowhere, never("CAMPAIGN_NOT_FOUND"))
        .await?;
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_staff_change_of_a_campaign_counts_at_once() -> Result<()> {
    hold!(Suite::start().await?;
        a_higher_limit_and_an_end_count_at_once,
        a_tier_that_was_added_before_the_opening_is_known_at_every_gateway_at_once,
    )
}

/// The moment before, the refusals were true, and every replica had just heard so.
async fn a_higher_limit_and_an_end_count_at_once(suite: &Suite) -> Result<()> {
    let [first, second] = &suite.gateways[..] else {
        unreachable!()
    };
    let anns = |request_id: &str| claim_of("tea", "ann", request_id);
    let limit = || never("SHOPPER_LIMIT_REACHED");
    suite.open("tea", 100).await?;
    let code = first.is_served(anns("r-1")).await?;
    for gateway in [first, second] {
        gateway.is_told(anns("r-2"), limit()).await?;
    }
    let change = UpdateCampaignRequest {
        campaign_id: "tea".into(),
        limit_per_shopper: Some(2),
        ..UpdateCampaignRequest::default()
    };
    suite.staff.update(change).await?;
    second.is_served(anns("r-2")).await?;
    first.is_told(anns("r-3"), limit()).await?;

    suite.staff.end("tea").await?;
    for gateway in [first, second] {
        let late = claim_of("tea", "bob", "r-1");
        gateway.is_told(late, never("CAMPAIGN_CLOSED")).await?;
        assert_eq!(gateway.told(anns("r-1")).await, Told::Issued(code.clone()));
    }
    Ok(())
}

/// Every copy is a moment behind, and only quota's word is final.
async fn a_tier_that_was_added_before_the_opening_is_known_at_every_gateway_at_once(
    suite: &Suite,
) -> Result<()> {
    let terms = CampaignTerms::open("later", 10).opening_in(HOUR);
    let mut tiers = suite.staff.make(&terms).await?.tiers;
    for number in 0..8 {
        let tier_id = format!("new-{number}");
        let of_tier = |shopper: &str| ClaimCouponRequest {
            tier_id: tier_id.clone(),
            ..claim_of("later", shopper, "r-1")
        };
        suite
            .is_told(of_tier("ann"), never("INVALID_FIELD"))
            .await?;
        tiers.push(Tier {
            tier_id: tier_id.clone(),
            face_value_minor_units: 1_000,
            stock: 1,
            ..Tier::default()
        });
        let change = UpdateCampaignRequest {
            campaign_id: "later".into(),
            tiers: tiers.clone(),
            ..UpdateCampaignRequest::default()
        };
        suite.staff.update(change).await?;
        let gateways = suite.gateways.iter();
        let told = gateways.map(|gateway| gateway.told(of_tier("bob")));
        for told in join_all(told).await {
            // Quota may be late to confirm on a busy machine, and then the claim comes back.
            assert!(!matches!(told, Told::Never(_)), "{told:?} of {tier_id}");
        }
        let not_open = later("CAMPAIGN_NOT_OPEN");
        suite.gateways[1].is_told(of_tier("bob"), not_open).await?;
    }
    Ok(())
}
