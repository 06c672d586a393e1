//! A request id belongs to one claim, for what it asked for first, whatever its campaign has
//! become.

use std::time::Duration;

use anyhow::Result;
use tidegate_client::{CampaignTerms, Told, becomes, claim_of, later, never};
use tidegate_e2e::{Suite, hold};
use tidegate_proto::{gateway::v1::ClaimCouponRequest, r#type::v1::IssuanceControl};

const OPEN_FOR: Duration = Duration::from_secs(4);

pub(super) fn claim_for(campaign: &str, shopper: &str, tier: &str) -> ClaimCouponRequest {
    ClaimCouponRequest {
        tier_id: tier.into(),
        ..claim_of(campaign, shopper, "r-1")
    }
}

/// Waits until both gateways tell somebody new this, so that they are in the phase that is tried.
async fn phase(suite: &Suite, claim: ClaimCouponRequest, expected: Told) -> Result<()> {
    for gateway in &suite.gateways {
        gateway.is_told(claim.clone(), expected.clone()).await?;
    }
    Ok(())
}

/// Ann's claim for a large tea is hers in this phase as well, and no other claim is.
async fn one_rule(suite: &Suite, campaign: &str, code: &str, phase: &str) -> Result<()> {
    for gateway in &suite.gateways {
        for (tier, expected) in [
            ("large", Told::Issued(code.into())),
            ("small", never("REQUEST_ID_CONFLICT")),
            ("", never("REQUEST_ID_CONFLICT")),
        ] {
            let told = gateway.told(claim_for(campaign, "ann", tier)).await;
            assert_eq!(told, expected, "{phase}: {tier:?}");
        }
        gateway.look_up(campaign, "ann", "r-1").await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_id_for_another_tier_is_a_conflict_for_ever() -> Result<()> {
    hold!(Suite::start().await?;
        it_is_a_conflict_in_every_phase,
        it_is_a_conflict_after_the_end_and_while_the_claim_waits,
    )
}

async fn it_is_a_conflict_in_every_phase(suite: &Suite) -> Result<()> {
    let staff = &suite.staff;
    staff
        .open(CampaignTerms::open("tea", 0).with_sizes(2, 1))
        .await?;
    let small = |shopper| claim_for("tea", shopper, "small");
    let code = suite.is_served(claim_for("tea", "ann", "large")).await?;
    one_rule(suite, "tea", &code, "open").await?;
    for (issuance, told) in [
        (IssuanceControl::QueueOnly, Told::Queued),
        (IssuanceControl::Halted, later("ISSUANCE_HALTED")),
    ] {
        staff.issuing("tea", issuance).await?;
        phase(suite, small("scout"), told).await?;
        one_rule(suite, "tea", &code, issuance.as_str_name()).await?;
    }
    staff.issuing("tea", IssuanceControl::Open).await?;
    // The scout's claim is served now, and takes the last small one.
    suite.is_served(small("scout")).await?;
    phase(suite, small("late"), never("BUDGET_EXHAUSTED")).await?;
    one_rule(suite, "tea", &code, "tier gone").await?;
    suite.is_served(claim_for("tea", "bob", "large")).await?;
    becomes(true, async || Ok(staff.read("tea").await?.sold_out)).await?;
    // A gateway hears of it within a second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    one_rule(suite, "tea", &code, "sold out").await
}

async fn it_is_a_conflict_after_the_end_and_while_the_claim_waits(suite: &Suite) -> Result<()> {
    let terms = |id: &str| CampaignTerms::open(id, 0).with_sizes(10, 10);
    let over = terms("over").closing_after(OPEN_FOR);
    suite.staff.open(over).await?;
    let code = suite.is_served(claim_for("over", "ann", "large")).await?;
    suite.staff.open(terms("held")).await?;
    let held = IssuanceControl::QueueOnly;
    suite.staff.issuing("held", held).await?;
    phase(suite, claim_for("held", "scout", "large"), Told::Queued).await?;
    for gateway in &suite.gateways {
        let other = gateway.told(claim_for("held", "scout", "small")).await;
        assert_eq!(other, never("REQUEST_ID_CONFLICT"));
        let same = gateway.told(claim_for("held", "scout", "large")).await;
        assert_eq!(same, Told::Queued);
    }
    tokio::time::sleep(OPEN_FOR).await;
    let scout = claim_for("over", "scout", "large");
    phase(suite, scout, never("CAMPAIGN_CLOSED")).await?;
    one_rule(suite, "over", &code, "closed").await
}
