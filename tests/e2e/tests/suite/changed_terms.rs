//! What staff change of a campaign that runs counts at once.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use futures_util::future::try_join_all;
use tidegate_client::{CampaignTerms, claim_of};
use tidegate_e2e::{GATEWAYS, Suite, hold};
use tidegate_proto::{
    gateway::v1::ClaimCouponRequest,
    quota::v1::{EndCampaignRequest, UpdateCampaignRequest},
    r#type::v1::Tier,
};

use crate::never::{Told, is_served, is_told, never, told};

#[tokio::test(flavor = "multi_thread")]
async fn what_staff_change_of_a_campaign_counts_at_once() -> Result<()> {
    let suite = Suite::start().await?;
    hold!(&suite;
        a_higher_limit_and_an_end_count_at_once,
        a_tier_that_was_added_before_the_opening_is_known_at_every_gateway_at_once,
    )?;
    suite.end().await
}

/// The moment before, the refusals were true, and every replica had just heard so.
async fn a_higher_limit_and_an_end_count_at_once(suite: &Suite) -> Result<()> {
    let staff = suite.staff()?;
    staff.open(CampaignTerms::open("tea", 100)).await?;
    is_served(suite, GATEWAYS[0], claim_of("tea", "ann", "r-1")).await;
    for gateway in GATEWAYS {
        let again = claim_of("tea", "ann", "r-2");
        is_told(suite, gateway, again, never("SHOPPER_LIMIT_REACHED")).await;
    }
    let change = UpdateCampaignRequest {
        campaign_id: "tea".into(),
        limit_per_shopper: Some(2),
        ..UpdateCampaignRequest::default()
    };
    let changed = staff.request(change);
    staff.campaigns().update_campaign(changed).await?;
    is_served(suite, GATEWAYS[1], claim_of("tea", "ann", "r-2")).await;
    let third = claim_of("tea", "ann", "r-3");
    is_told(suite, GATEWAYS[0], third, never("SHOPPER_LIMIT_REACHED")).await;

    let end = EndCampaignRequest {
        campaign_id: "tea".into(),
        reason: "enough".into(),
    };
    let ended = staff.request(end);
    staff.campaigns().end_campaign(ended).await?;
    for gateway in GATEWAYS {
        let late = claim_of("tea", "bob", "r-1");
        is_told(suite, gateway, late, never("CAMPAIGN_CLOSED")).await;
        let mine = claim_of("tea", "ann", "r-1");
        assert_eq!(told(suite, gateway, mine).await?, Told::Issued);
    }
    Ok(())
}

/// Every copy is a moment behind, and only quota's word is final.
async fn a_tier_that_was_added_before_the_opening_is_known_at_every_gateway_at_once(
    suite: &Suite,
) -> Result<()> {
    let staff = suite.staff()?;
    let later = CampaignTerms {
        opens_at: SystemTime::now() + Duration::from_secs(3_600),
        ..CampaignTerms::open("later", 10)
    };
    let mut tiers = staff.make(&later).await?.tiers;
    for number in 0..8 {
        let tier_id = format!("new-{number}");
        let of_tier = |shopper: &str| ClaimCouponRequest {
            tier_id: tier_id.clone(),
            ..claim_of("later", shopper, "r-1")
        };
        is_told(suite, GATEWAYS[0], of_tier("ann"), never("INVALID_FIELD")).await;
        tiers.push(Tier {
            tier_id: tier_id.clone(),
            face_value_minor_units: 1_000,
            stock: 1,
            ..Tier::default()
        });
        let changed = staff.request(UpdateCampaignRequest {
            campaign_id: "later".into(),
            tiers: tiers.clone(),
            ..UpdateCampaignRequest::default()
        });
        staff.campaigns().update_campaign(changed).await?;
        let told = GATEWAYS.map(|gateway| told(suite, gateway, of_tier("bob")));
        for told in try_join_all(told).await? {
            // Quota may be late to confirm on a busy machine, and then the claim comes back.
            let is_final = matches!(told, Told::Never(_));
            assert!(!is_final, "{told:?} of {tier_id}");
        }
        let not_open = Told::Later("CAMPAIGN_NOT_OPEN".into());
        is_told(suite, GATEWAYS[1], of_tier("bob"), not_open).await;
    }
    Ok(())
}
