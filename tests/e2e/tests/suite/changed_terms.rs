//! What staff change of a campaign that runs counts at once.

use anyhow::Result;
use futures_util::future::join_all;
use tidegate_client::{CampaignTerms, HOUR, Told, claim_of, later, never};
use tidegate_e2e::{Suite, hold};
use tidegate_proto::{
    gateway::v1::ClaimCouponRequest, quota::v1::UpdateCampaignRequest, r#type::v1::Tier,
};

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
        let told = suite
            .gateways
            .iter()
            .map(|gateway| gateway.told(of_tier("bob")));
        for told in join_all(told).await {
            // Quota may be late to confirm on a busy machine, and then the claim comes back.
            assert!(!matches!(told, Told::Never(_)), "{told:?} of {tier_id}");
        }
        let not_open = later("CAMPAIGN_NOT_OPEN");
        suite.gateways[1].is_told(of_tier("bob"), not_open).await?;
    }
    Ok(())
}
