//! Replicas that have heard less of a campaign than their callers, or than quota knows.

use futures_util::stream;
use tidegate_auth::Identity;
use tidegate_proto::{
    issuance::v1::{grant_result, issue_result::Outcome, *},
    r#type::v1::{Campaign, Reason, Tier},
};
use tidegate_rpc::wire;
use tidegate_types::Timestamp;
use uuid::Uuid;

use crate::suite::{Issuance, LANES, Suite, eventually, lane_of, quota::CAMPAIGN};

fn closes_in(campaign: &mut Campaign, seconds: i64) {
    let moment = Timestamp::now_utc().unix_timestamp() + seconds;
    let moment = Timestamp::from_unix_timestamp(moment).unwrap();
    campaign.closes_at = Some(wire::timestamp(moment));
}

/// Until the replica knows of the end.
async fn is_closed(issuance: &Issuance) {
    eventually("the campaign is closed", async || {
        let refusal = issuance.claim(&Uuid::new_v4().to_string()).await.err()?;
        (refusal.reason() == Reason::CampaignClosed).then_some(())
    })
    .await;
}

/// The refusal of a claim that has to be made again later.
async fn is_asked_to_come_again(issuance: &Issuance, shopper: &str, name: &str, revision: u64) {
    let refusal = issuance.claim_as(shopper, name, revision).await;
    let refusal = refusal.unwrap_err();
    assert_eq!(refusal.reason(), Reason::Overloaded, "{shopper} {name}");
    assert!(refusal.retry_after.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_copy_older_than_its_gateways_no_claim_is_served_or_refused_for_good() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let code = issuance.claim_in_the_end("ann").await.coupon.unwrap().code;
    // Quota's own answer is late, and stock is in hand.
    is_asked_to_come_again(&issuance, "bob", "r-1", 2).await;
    issuance.claim_as("bob", "r-1", 1).await.unwrap();
    issuance.stop().await;

    let issuance = suite.issuance_without_quota().await;
    is_asked_to_come_again(&issuance, "ann", "r-2", 2).await;
    let refusal = issuance.claim_as("ann", "r-2", 1).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::ShopperLimitReached);
    // What was issued goes on working.
    assert!(issuance.claim_as("ann", "r-1", 2).await.unwrap().replayed);
    let order = Uuid::new_v4().to_string();
    issuance.redeem("ann", &code, &order).await.unwrap();
    issuance.stop().await;

    suite.quota.change(|campaign| closes_in(campaign, 0));
    let issuance = suite.issuance().await;
    is_closed(&issuance).await;
    issuance.stop().await;
    let issuance = suite.issuance_without_quota().await;
    is_asked_to_come_again(&issuance, "carl", "r-1", 3).await;
    let refusal = issuance.claim_as("carl", "r-1", 2).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::CampaignClosed);
}

async fn grant(
    (suite, issuance): (&Suite, &Issuance),
    (shopper_id, request_id, tier_id): (&str, &str, &str),
) -> Result<(), Reason> {
    let grants = vec![Grant {
        shopper_id: shopper_id.to_owned(),
        request_id: request_id.to_owned(),
        tier_id: tier_id.to_owned(),
    }];
    let campaign_id = "spring".to_owned();
    let parts = stream::iter([GrantCouponsRequest {
        campaign_id,
        reason: "an apology".to_owned(),
        grants,
    }]);
    let request = suite.with_token(parts, "coupons:write");
    let mut desk = issuance.desk(Identity::Staff);
    let mut answers = desk.grant_coupons(request).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    match answer.results[0].outcome.clone().unwrap() {
        grant_result::Outcome::Granted(_) => Ok(()),
        grant_result::Outcome::Refused(refusal) => Err(refusal.reason()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_is_refused_for_good_only_by_what_quota_says_now() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let at = (&suite, &issuance);
    issuance.claim_in_the_end("ann").await;
    let refused = grant(at, ("ann", "g-1", "")).await;
    assert_eq!(refused, Err(Reason::ShopperLimitReached));
    suite.quota.change_silently(|campaign| {
        campaign.revision += 1;
        campaign.limit_per_shopper = 2;
    });
    grant(at, ("ann", "g-1", "milk-tea")).await.unwrap();

    suite.quota.change(|campaign| closes_in(campaign, 0));
    is_closed(&issuance).await;
    let refused = grant(at, ("bob", "g-1", "")).await;
    assert_eq!(refused, Err(Reason::CampaignClosed));
    suite.quota.change_silently(|campaign| {
        campaign.revision += 1;
        closes_in(campaign, 600);
    });
    grant(at, ("bob", "g-1", "")).await.unwrap();
}

fn tier(tier_id: &str) -> Tier {
    Tier {
        tier_id: tier_id.to_owned(),
        face_value_minor_units: 900,
        stock: 100,
        terms: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_of_a_tier_gives_no_other_one_after_the_tiers_were_changed() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let at = (&suite, &issuance);
    issuance.claim_in_the_end("ann").await;
    suite.quota.change_silently(|campaign| {
        campaign.revision += 1;
        campaign.limit_per_shopper = 2;
        campaign.tiers = vec![tier("cake"), tier("milk-tea")];
    });
    let refused = grant(at, ("ann", "g-1", "milk-tea")).await;
    assert_eq!(refused, Err(Reason::Overloaded));
}

async fn claim_first_tier(
    issuance: &Issuance,
    shopper_id: &str,
    campaign_revision: u64,
) -> Result<(), Reason> {
    let items = vec![IssueItem {
        campaign_number: CAMPAIGN,
        shopper_id: shopper_id.to_owned(),
        request_id: "r-1".to_owned(),
        tier_number: Some(0),
        deadline_ms: 1_900,
        campaign_revision,
        ..IssueItem::default()
    }];
    let request = IssueCouponsRequest {
        lane: lane_of(shopper_id),
        lanes: LANES.into(),
        items,
    };
    let mut client = issuance.issuance(Identity::Gateway);
    let answer = client.issue_coupons(request).await.unwrap().into_inner();
    match answer.results[0].outcome.clone().unwrap() {
        Outcome::Issued(_) => Ok(()),
        Outcome::Refused(refusal) => Err(refusal.reason()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_missed_a_revision_takes_its_tiers_for_others() {
    let suite = Suite::start().await;
    suite
        .quota
        .change_silently(|campaign| campaign.revision = 5);
    let issuance = suite.issuance().await;
    eventually("a coupon", async || {
        claim_first_tier(&issuance, "ann", 5).await.ok()
    })
    .await;
    // Whatever came before the first revision that was heard of is not known either.
    let refused = claim_first_tier(&issuance, "ann", 4).await;
    assert_eq!(refused, Err(Reason::Overloaded));
    // In revision 6 the first tier may have been another one.
    suite
        .quota
        .change_silently(|campaign| campaign.revision = 7);
    assert_eq!(claim_first_tier(&issuance, "ann", 7).await, Ok(()));
    let refused = claim_first_tier(&issuance, "ann", 6).await;
    assert_eq!(refused, Err(Reason::Overloaded));
    issuance.stop().await;
    let issuance = suite.issuance_without_quota().await;
    assert_eq!(claim_first_tier(&issuance, "ann", 7).await, Ok(()));
    let refused = claim_first_tier(&issuance, "ann", 6).await;
    assert_eq!(refused, Err(Reason::Overloaded));
    issuance.stop().await;
    // The very next revision tells that the tiers stayed what they were.
    let issuance = suite.issuance().await;
    suite
        .quota
        .change_silently(|campaign| campaign.revision = 8);
    assert_eq!(claim_first_tier(&issuance, "ann", 8).await, Ok(()));
    assert_eq!(claim_first_tier(&issuance, "ann", 7).await, Ok(()));
    issuance.stop().await;
    let issuance = suite.issuance_without_quota().await;
    assert_eq!(claim_first_tier(&issuance, "ann", 7).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_keeps_from_when_on_tiers_of_a_campaign_heard_of_late_are_known() {
    let suite = Suite::start().await;
    suite
        .quota
        .change_silently(|campaign| campaign.revision = 5);
    let issuance = suite.issuance().await;
    eventually("a coupon", async || {
        claim_first_tier(&issuance, "ann", 5).await.ok()
    })
    .await;
    issuance.stop().await;
    let issuance = suite.issuance_without_quota().await;
    assert_eq!(claim_first_tier(&issuance, "ann", 5).await, Ok(()));
    let refused = claim_first_tier(&issuance, "ann", 4).await;
    assert_eq!(refused, Err(Reason::Overloaded));
}
