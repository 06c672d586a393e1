//! Replicas that have heard less of a campaign than their callers, or than quota knows.

use tidegate_proto::r#type::v1::Reason;
use tidegate_test_kit::eventually;

use super::{
    changed_terms::tier,
    suite::{Issuance, Staff, Suite, new_order, quota::closes_in, serving},
};

/// The refusal of a claim that has to be made again later.
async fn is_asked_to_come_again(issuance: &Issuance, shopper: &str, name: &str, revision: u64) {
    let refusal = issuance.claim_as(shopper, name, revision).await;
    let refusal = refusal.unwrap_err();
    assert_eq!(refusal.reason(), Reason::Overloaded, "{shopper} {name}");
    assert!(refusal.retry_after.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_copy_older_than_its_gateways_no_claim_is_served_or_refused_for_good() {
    let (suite, issuance) = serving().await;
    let code = issuance.code("ann").await;
    // Quota's own answer is late, and stock is in hand.
    is_asked_to_come_again(&issuance, "bob", "r-1", 2).await;
    issuance.claim_as("bob", "r-1", 1).await.unwrap();
    let issuance = suite.restart_without_quota(issuance).await;

    is_asked_to_come_again(&issuance, "ann", "r-2", 2).await;
    let refusal = issuance.refusal("ann", "r-2", 1).await;
    assert_eq!(refusal, Reason::ShopperLimitReached);
    // What was issued goes on working.
    assert!(issuance.claim_as("ann", "r-1", 2).await.unwrap().replayed);
    let order = new_order();
    issuance.redeem("ann", &code, &order).await.unwrap();
    drop(issuance);

    suite.quota.change(|campaign| closes_in(campaign, 0));
    let issuance = suite.issuance().await;
    issuance.refuses_for(Reason::CampaignClosed).await;
    let issuance = suite.restart_without_quota(issuance).await;
    is_asked_to_come_again(&issuance, "carl", "r-1", 3).await;
    let refusal = issuance.refusal("carl", "r-1", 2).await;
    assert_eq!(refusal, Reason::CampaignClosed);
}

async fn grant(staff: &Staff<'_>, shopper: &str, tier_id: &str) -> Result<(), Reason> {
    let granted = staff.grant(&[shopper], "g-1", tier_id).await.remove(0);
    granted.map(|_| ()).map_err(|refusal| refusal.reason())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_is_refused_for_good_only_by_what_quota_says_now() {
    let (suite, issuance) = serving().await;
    let staff = suite.staff(&issuance);
    issuance.claim_in_the_end("ann").await;
    let refused = grant(&staff, "ann", "").await;
    assert_eq!(refused, Err(Reason::ShopperLimitReached));
    suite.quota.change_silently(|campaign| {
        campaign.revision += 1;
        campaign.limit_per_shopper = 2;
    });
    grant(&staff, "ann", "milk-tea").await.unwrap();

    suite.quota.change(|campaign| closes_in(campaign, 0));
    issuance.refuses_for(Reason::CampaignClosed).await;
    assert_eq!(grant(&staff, "bob", "").await, Err(Reason::CampaignClosed));
    suite.quota.change_silently(|campaign| {
        campaign.revision += 1;
        closes_in(campaign, 600);
    });
    grant(&staff, "bob", "").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_of_a_tier_gives_no_other_one_after_the_tiers_were_changed() {
    let (suite, issuance) = serving().await;
    issuance.claim_in_the_end("ann").await;
    suite.quota.change_silently(|campaign| {
        campaign.revision += 1;
        campaign.limit_per_shopper = 2;
        campaign.tiers = vec![tier("cake"), tier("milk-tea")];
    });
    let refused = grant(&suite.staff(&issuance), "ann", "milk-tea").await;
    assert_eq!(refused, Err(Reason::Overloaded));
}

/// By which revisions of its gateway ann gets the coupon that she has.
async fn knows(issuance: &Issuance, revisions: &[(u64, bool)]) {
    for (revision, is_known) in revisions {
        let answer = issuance.claim_first_tier("ann", *revision).await;
        let expected = (!is_known).then_some(Reason::Overloaded);
        assert_eq!(answer.err(), expected, "revision {revision}");
    }
}

/// A suite whose issuance has heard of the campaign first in its revision 5, and ann's first coupon.
async fn heard_of_late() -> (Suite, Issuance) {
    let suite = Suite::start().await;
    revision(&suite, 5);
    let issuance = suite.issuance().await;
    let claiming = async || issuance.claim_first_tier("ann", 5).await.ok();
    eventually("a coupon", claiming).await;
    (suite, issuance)
}

fn revision(suite: &Suite, revision: u64) {
    let quota = &suite.quota;
    quota.change_silently(|campaign| campaign.revision = revision);
}

/// A replica that has heard of revision 5, in this life or before, misses revision 6.
async fn misses_a_revision(suite: &Suite, issuance: Issuance) {
    // In revision 6 the first tier may have been another one.
    revision(suite, 7);
    knows(&issuance, &[(7, true), (6, false)]).await;
    let issuance = suite.restart_without_quota(issuance).await;
    knows(&issuance, &[(7, true), (6, false)]).await;
    drop(issuance);
    // The very next revision tells that the tiers stayed what they were.
    let issuance = suite.issuance().await;
    revision(suite, 8);
    knows(&issuance, &[(8, true), (7, true)]).await;
    let issuance = suite.restart_without_quota(issuance).await;
    knows(&issuance, &[(7, true)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_missed_a_revision_takes_its_tiers_for_others() {
    let (suite, issuance) = heard_of_late().await;
    // Whatever came before the first revision that was heard of is not known either.
    knows(&issuance, &[(4, false)]).await;
    misses_a_revision(&suite, issuance).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_keeps_from_when_on_tiers_of_a_campaign_heard_of_late_are_known() {
    let (suite, issuance) = heard_of_late().await;
    let issuance = suite.restart_without_quota(issuance).await;
    knows(&issuance, &[(5, true), (4, false)]).await;
    drop(issuance);
    misses_a_revision(&suite, suite.issuance().await).await;
}
