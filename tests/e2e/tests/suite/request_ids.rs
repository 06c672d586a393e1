//! A request id belongs to one claim, for what it asked for first, whatever its campaign has
//! become.

use std::time::Duration;

use anyhow::{Result, ensure};
use tidegate_client::{CampaignTerms, Staff, claim_of, eventually, refused};
use tidegate_e2e::{GATEWAYS, Suite, hold};
use tidegate_proto::{
    gateway::v1::{ClaimCouponRequest, claim_coupon_response::Outcome},
    r#type::v1::{IssuanceControl, RedemptionControl},
};

const SOON: Duration = Duration::from_secs(20);
const OPEN_FOR: Duration = Duration::from_secs(4);
const CODE_LETTERS: usize = 16;

fn claim_for(campaign: &str, shopper: &str, tier: &str) -> ClaimCouponRequest {
    ClaimCouponRequest {
        tier_id: tier.into(),
        ..claim_of(campaign, shopper, "r-1")
    }
}

/// What a claim is told: the code of its coupon, `queued`, or the reason of its refusal.
async fn told(suite: &Suite, gateway: &str, claim: ClaimCouponRequest) -> Result<String> {
    Ok(match suite.at(gateway)?.ask(claim).await {
        Ok(Outcome::Issued(issued)) => issued.coupon.unwrap_or_default().code,
        Ok(Outcome::Queued(_)) => "queued".to_owned(),
        Err(status) => refused(&status).reason,
    })
}

/// Waits until both gateways tell somebody new this, so that they are in the phase that is tried.
async fn phase(suite: &Suite, claim: ClaimCouponRequest, expected: &str) -> Result<()> {
    for gateway in GATEWAYS {
        eventually(SOON, || async {
            let told = told(suite, gateway, claim.clone()).await?;
            ensure!(told == expected, "{gateway} says {told} and not {expected}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Claims until there is a coupon; its code.
async fn code_of(suite: &Suite, claim: ClaimCouponRequest) -> Result<String> {
    eventually(SOON, || async {
        let told = told(suite, GATEWAYS[0], claim.clone()).await?;
        ensure!(told.len() == CODE_LETTERS, "{told}");
        Ok(told)
    })
    .await
}

/// Ann's claim for a large tea is hers in this phase as well, and no other claim is.
async fn one_rule(suite: &Suite, campaign: &str, code: &str, phase: &str) -> Result<()> {
    for gateway in GATEWAYS {
        for (tier, expected) in [
            ("large", code),
            ("small", "REQUEST_ID_CONFLICT"),
            ("", "REQUEST_ID_CONFLICT"),
        ] {
            let told = told(suite, gateway, claim_for(campaign, "ann", tier)).await?;
            assert_eq!(told, expected, "{phase} at {gateway}: {tier:?}");
        }
        let gateway = suite.at(gateway)?;
        gateway.look_up(campaign, "ann", "r-1").await?;
    }
    Ok(())
}

async fn set(staff: &Staff, campaign: &str, issuance: IssuanceControl) -> Result<()> {
    let redemption = RedemptionControl::Open;
    staff.control(campaign, issuance, redemption).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_id_for_another_tier_is_a_conflict_for_ever() -> Result<()> {
    let suite = Suite::start().await?;
    hold!(&suite;
        it_is_a_conflict_in_every_phase,
        it_is_a_conflict_after_the_end_and_while_the_claim_waits,
    )?;
    suite.end().await
}

async fn it_is_a_conflict_in_every_phase(suite: &Suite) -> Result<()> {
    let staff = suite.staff()?;
    let terms = CampaignTerms {
        tiers: vec![("large", 2), ("small", 1)],
        ..CampaignTerms::open("tea", 0)
    };
    staff.open(terms).await?;
    let small = |shopper| claim_for("tea", shopper, "small");
    let code = code_of(suite, claim_for("tea", "ann", "large")).await?;
    one_rule(suite, "tea", &code, "open").await?;
    for (issuance, told) in [
        (IssuanceControl::QueueOnly, "queued"),
        (IssuanceControl::Halted, "ISSUANCE_HALTED"),
    ] {
        set(&staff, "tea", issuance).await?;
        phase(suite, small("scout"), told).await?;
        one_rule(suite, "tea", &code, told).await?;
    }
    set(&staff, "tea", IssuanceControl::Open).await?;
    // The scout's claim is served now, and takes the last small one.
    code_of(suite, small("scout")).await?;
    phase(suite, small("late"), "BUDGET_EXHAUSTED").await?;
    one_rule(suite, "tea", &code, "tier gone").await?;
    code_of(suite, claim_for("tea", "bob", "large")).await?;
    eventually(SOON, || async {
        ensure!(staff.read("tea").await?.sold_out, "it is not sold out");
        Ok(())
    })
    .await?;
    // A gateway hears of it within a second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    one_rule(suite, "tea", &code, "sold out").await
}

async fn it_is_a_conflict_after_the_end_and_while_the_claim_waits(suite: &Suite) -> Result<()> {
    let staff = suite.staff()?;
    let tiers = vec![("large", 10), ("small", 10)];
    let over = CampaignTerms {
        tiers: tiers.clone(),
        open_for: OPEN_FOR,
        ..CampaignTerms::open("over", 0)
    };
    staff.open(over).await?;
    let code = code_of(suite, claim_for("over", "ann", "large")).await?;
    let held = CampaignTerms {
        tiers,
        ..CampaignTerms::open("held", 0)
    };
    staff.open(held).await?;
    set(&staff, "held", IssuanceControl::QueueOnly).await?;
    phase(suite, claim_for("held", "scout", "large"), "queued").await?;
    for gateway in GATEWAYS {
        for (tier, expected) in [("small", "REQUEST_ID_CONFLICT"), ("large", "queued")] {
            let told = told(suite, gateway, claim_for("held", "scout", tier)).await?;
            assert_eq!(told, expected, "{gateway}");
        }
    }
    tokio::time::sleep(OPEN_FOR).await;
    let scout = claim_for("over", "scout", "large");
    phase(suite, scout, "CAMPAIGN_CLOSED").await?;
    one_rule(suite, "over", &code, "closed").await
}
