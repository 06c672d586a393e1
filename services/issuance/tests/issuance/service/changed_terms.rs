//! Campaigns that staff change after they were made.

use std::time::Duration;

use tidegate_proto::r#type::v1::{Campaign, Reason, Tier, TierStock};
use tidegate_rpc::wire;
use tidegate_test_kit::eventually;

use super::suite::{
    Suite,
    quota::{closes_in, opens_in},
    serving,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_revision_that_comes_late_opens_no_campaign_again() {
    let (suite, issuance) = serving().await;
    issuance.claim_in_the_end("ann").await;
    let open_until = suite.quota.see(|state| state.campaign.closes_at);
    suite.quota.change(|campaign| closes_in(campaign, 0));
    issuance.refuses_for(Reason::CampaignClosed).await;
    // The replica of quota that is asked has seen less than the gateway, and then than the replica.
    suite.quota.change_silently(|campaign| {
        campaign.revision = 1;
        campaign.closes_at = open_until;
    });
    assert_eq!(issuance.refusal("bob", "r-1", 3).await, Reason::Overloaded);
    let refusal = issuance.refusal("bob", "r-1", 2).await;
    assert_eq!(refusal, Reason::CampaignClosed);
    let issuance = suite.restart_without_quota(issuance).await;
    let refusal = issuance.refusal("bob", "r-1", 0).await;
    assert_eq!(refusal, Reason::CampaignClosed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_before_the_opening_counts_after_it_and_outlasts_a_restart_without_quota()
{
    let suite = Suite::start().await;
    suite.quota.change(|campaign| opens_in(campaign, 600));
    let issuance = suite.issuance().await;
    issuance.refuses_for(Reason::CampaignNotOpen).await;
    suite.quota.change(|campaign| {
        opens_in(campaign, -1);
        campaign.coupon_validity = Some(wire::duration(Duration::from_secs(7_200)));
        campaign.limit_per_shopper = 2;
        add_cake(campaign);
    });
    let coupon = issuance.claim_in_the_end("ann").await.coupon.unwrap();
    assert_eq!(coupon.tier_id, "cake");
    assert_eq!(coupon.face_value.as_ref().unwrap().minor_units, 900);
    let [issued, until] = [coupon.issued_at, coupon.valid_until].map(|moment| moment.unwrap());
    assert_eq!(until.seconds - issued.seconds, 7_200);
    let issuance = suite.restart_without_quota(issuance).await;
    let replay = issuance.claim("ann").await.unwrap().coupon.unwrap();
    assert_eq!(replay.tier_id, "cake");
    assert_eq!(replay.face_value, coupon.face_value);
    let limit = "SELECT limit_per_shopper FROM campaigns";
    assert_eq!(suite.database.ask::<i16>(limit).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_has_not_heard_of_other_tiers_gets_no_coupon_of_another_tier() {
    let (suite, issuance) = serving().await;
    let claimed = eventually("a coupon", async || {
        issuance.claim_first_tier("ann", 1).await.ok()
    });
    assert_eq!(claimed.await, "milk-tea");
    // The budget of what is not touched may change: the numbers mean what they meant.
    suite.quota.change(|campaign| campaign.tiers[0].stock += 1);
    suite.quota.change(add_cake);
    let newest = suite.quota.see(|state| state.campaign.revision);
    let cake = Ok("cake".to_owned());
    assert_eq!(issuance.claim_first_tier("bob", newest).await, cake);
    suite.quota.change(|campaign| campaign.tiers[0].stock += 1);
    assert_eq!(issuance.claim_first_tier("carl", newest).await, cake);
    let refused = issuance.claim_first_tier("dora", newest - 1).await;
    assert_eq!(refused, Err(Reason::Overloaded));
    // Who names no tier means whichever there is.
    issuance.claim_as("dora", "r-1", newest - 1).await.unwrap();
    let issuance = suite.restart_without_quota(issuance).await;
    let refused = issuance.claim_first_tier("emil", newest - 1).await;
    assert_eq!(refused, Err(Reason::Overloaded));
    assert_eq!(issuance.claim_first_tier("bob", newest).await, cake);
}

/// Puts another tier before the one there is.
fn add_cake(campaign: &mut Campaign) {
    campaign.tiers = ["cake", "milk-tea"].map(tier).to_vec();
    let stock = |tier_id: &str| TierStock {
        tier_id: tier_id.to_owned(),
        stock: 100,
        free: 100,
        ..TierStock::default()
    };
    campaign.stock = ["cake", "milk-tea"].map(stock).to_vec();
}

pub fn tier(tier_id: &str) -> Tier {
    Tier {
        tier_id: tier_id.to_owned(),
        face_value_minor_units: 900,
        stock: 100,
        terms: None,
    }
}
