//! Campaigns that staff change after they were made.

use std::time::Duration;

use tidegate_auth::Identity;
use tidegate_proto::{
    issuance::v1::{IssueCouponsRequest, IssueItem, issue_result::Outcome},
    r#type::v1::{Campaign, Reason, Tier, TierStock},
};
use tidegate_rpc::wire;
use tidegate_types::Timestamp;
use uuid::Uuid;

use crate::suite::{Issuance, LANES, Suite, eventually, lane_of, quota::CAMPAIGN};

fn opens_in(campaign: &mut Campaign, seconds: i64) {
    campaign.opens_at = Some(wire::timestamp(from_now(seconds)));
}

fn closes_in(campaign: &mut Campaign, seconds: i64) {
    campaign.closes_at = Some(wire::timestamp(from_now(seconds)));
}

fn from_now(seconds: i64) -> Timestamp {
    let moment = Timestamp::now_utc().unix_timestamp() + seconds;
    Timestamp::from_unix_timestamp(moment).unwrap()
}

/// Claims for new shoppers until one is refused for this reason.
async fn refused_for(issuance: &Issuance, reason: Reason) {
    eventually("a refusal", async || {
        let refusal = issuance.claim(&Uuid::new_v4().to_string()).await.err()?;
        (refusal.reason() == reason).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raised_limit_counts_at_once() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    issuance.claim_in_the_end("ann").await;
    let refusal = issuance.claim_as("ann", "r-2", 1).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::ShopperLimitReached);
    suite.quota.change_silently(|campaign| {
        campaign.revision += 1;
        campaign.limit_per_shopper = 2;
    });
    // The gateway has seen it, and the replica asks.
    let second = issuance.claim_as("ann", "r-2", 2).await.unwrap();
    assert!(!second.replayed);
    let refusal = issuance.claim_as("ann", "r-3", 2).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::ShopperLimitReached);
    // Whoever hears of it by the watch needs nobody to ask.
    suite
        .quota
        .change(|campaign| campaign.limit_per_shopper = 3);
    eventually("a third coupon", async || {
        issuance.claim_as("ann", "r-3", 0).await.ok()
    })
    .await;
    let code = second.coupon.unwrap().code;
    let order = Uuid::new_v4().to_string();
    issuance.redeem("ann", &code, &order).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raised_limit_outlasts_a_restart_without_quota() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    issuance.claim_in_the_end("ann").await;
    suite
        .quota
        .change(|campaign| campaign.limit_per_shopper = 2);
    eventually("a second coupon", async || {
        issuance.claim_as("ann", "r-2", 0).await.ok()
    })
    .await;
    issuance.stop().await;
    let issuance = suite.issuance_without_quota().await;
    let refusal = issuance.claim_as("ann", "r-3", 0).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::ShopperLimitReached);
    let pool = suite.database.open().unwrap().pool(1);
    let limit: i16 = sqlx::query_scalar("SELECT limit_per_shopper FROM campaigns")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(limit, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_that_was_ended_issues_nothing_more() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let first = issuance.claim_in_the_end("ann").await;
    let code = first.coupon.clone().unwrap().code;
    suite.quota.change(|campaign| closes_in(campaign, 0));
    refused_for(&issuance, Reason::CampaignClosed).await;
    let coupons = async || -> i64 {
        let pool = suite.database.open().unwrap().pool(1);
        let counted = sqlx::query_scalar("SELECT count(*) FROM coupons");
        counted.fetch_one(&pool).await.unwrap()
    };
    let issued = coupons().await;
    for number in 0..20 {
        let refusal = issuance.claim(&format!("s-{number}")).await.unwrap_err();
        assert_eq!(refusal.reason(), Reason::CampaignClosed);
        assert_eq!((refusal.retry_after, refusal.retry_at), (None, None));
    }
    assert_eq!(coupons().await, issued);
    // What was issued goes on working.
    let replay = issuance.claim("ann").await.unwrap();
    assert!(replay.replayed);
    let order = Uuid::new_v4().to_string();
    issuance.redeem("ann", &code, &order).await.unwrap();
    issuance.stop().await;

    let issuance = suite.issuance_without_quota().await;
    let refusal = issuance.claim("bob").await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::CampaignClosed);
    assert!(issuance.claim("ann").await.unwrap().replayed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_has_not_heard_of_the_end_never_calls_the_campaign_sold_out() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    suite.quota.change_silently(|campaign| {
        campaign.revision += 1;
        closes_in(campaign, 0);
    });
    let refusal = issuance.claim("ann").await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::StockReturning);
    // A gateway has seen it, and from then on the replica knows.
    let refusal = issuance.claim_seeing("bob", 2).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::CampaignClosed);
    let refusal = issuance.claim("ann").await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::CampaignClosed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_revision_that_comes_late_opens_no_campaign_again() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    issuance.claim_in_the_end("ann").await;
    let open_until = suite.quota.see(|state| state.campaign.closes_at);
    suite.quota.change(|campaign| closes_in(campaign, 0));
    refused_for(&issuance, Reason::CampaignClosed).await;
    // The replica of quota that is asked has seen less than the gateway, and then than the replica.
    suite.quota.change_silently(|campaign| {
        campaign.revision = 1;
        campaign.closes_at = open_until;
    });
    let refusal = issuance.claim_seeing("bob", 3).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::Overloaded);
    let refusal = issuance.claim_seeing("bob", 2).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::CampaignClosed);
    issuance.stop().await;
    let issuance = suite.issuance_without_quota().await;
    let refusal = issuance.claim("bob").await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::CampaignClosed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opening_and_an_end_that_were_moved_count() {
    let suite = Suite::start().await;
    suite.quota.change(|campaign| {
        opens_in(campaign, 600);
        closes_in(campaign, 601);
    });
    let issuance = suite.issuance().await;
    refused_for(&issuance, Reason::CampaignNotOpen).await;
    suite.quota.change(|campaign| opens_in(campaign, -1));
    issuance.claim_in_the_end("ann").await;
    // The end comes near, and is moved away before it is there.
    suite.quota.change(|campaign| closes_in(campaign, 2));
    suite.quota.change(|campaign| closes_in(campaign, 600));
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    issuance.claim_in_the_end("bob").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tiers_and_validity_that_were_changed_before_the_opening_are_those_of_its_coupons() {
    let suite = Suite::start().await;
    suite.quota.change(|campaign| opens_in(campaign, 600));
    let issuance = suite.issuance().await;
    refused_for(&issuance, Reason::CampaignNotOpen).await;
    suite.quota.change(|campaign| {
        opens_in(campaign, -1);
        campaign.coupon_validity = Some(wire::duration(Duration::from_secs(7_200)));
        campaign.tiers = ["cake", "milk-tea"].map(tier).to_vec();
        campaign.stock = ["cake", "milk-tea"].map(stock).to_vec();
    });
    let coupon = issuance.claim_in_the_end("ann").await.coupon.unwrap();
    assert_eq!(coupon.tier_id, "cake");
    assert_eq!(coupon.face_value.unwrap().minor_units, 900);
    let [issued, until] = [coupon.issued_at, coupon.valid_until].map(|moment| moment.unwrap());
    assert_eq!(until.seconds - issued.seconds, 7_200);
    issuance.stop().await;
    let issuance = suite.issuance_without_quota().await;
    let replay = issuance.claim("ann").await.unwrap().coupon.unwrap();
    assert_eq!(replay.tier_id, "cake");
    assert_eq!(replay.face_value.unwrap().minor_units, 900);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_has_not_heard_of_other_tiers_gets_no_coupon_of_another_tier() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let claim_first_tier = async |issuance: &Issuance, shopper_id: &str, campaign_revision| {
        let request = IssueCouponsRequest {
            lane: lane_of(shopper_id),
            lanes: LANES.into(),
            items: vec![IssueItem {
                campaign_number: CAMPAIGN,
                shopper_id: shopper_id.to_owned(),
                request_id: "r-1".to_owned(),
                tier_number: Some(0),
                deadline_ms: 1_900,
                campaign_revision,
                ..IssueItem::default()
            }],
        };
        let mut client = issuance.issuance(Identity::Gateway);
        let answer = client.issue_coupons(request).await.unwrap().into_inner();
        match answer.results[0].outcome.clone().unwrap() {
            Outcome::Issued(issued) => Ok(issued.coupon.unwrap().tier_id),
            Outcome::Refused(refusal) => Err(refusal.reason()),
        }
    };
    eventually("a coupon", async || {
        let tier = claim_first_tier(&issuance, "ann", 1).await.ok()?;
        (tier == "milk-tea").then_some(())
    })
    .await;
    // The budget of what is not touched may change: the numbers mean what they meant.
    suite.quota.change(|campaign| campaign.tiers[0].stock += 1);
    suite.quota.change(|campaign| {
        campaign.tiers = ["cake", "milk-tea"].map(tier).to_vec();
        campaign.stock = ["cake", "milk-tea"].map(stock).to_vec();
    });
    let newest = suite.quota.see(|state| state.campaign.revision);
    let tier = claim_first_tier(&issuance, "bob", newest).await;
    assert_eq!(tier.as_deref(), Ok("cake"));
    suite.quota.change(|campaign| campaign.tiers[0].stock += 1);
    let tier = claim_first_tier(&issuance, "carl", newest).await;
    assert_eq!(tier.as_deref(), Ok("cake"));
    let refused = claim_first_tier(&issuance, "dora", newest - 1).await;
    assert_eq!(refused, Err(Reason::Overloaded));
    // Who names no tier means whichever there is.
    issuance.claim_seeing("dora", newest - 1).await.unwrap();
    issuance.stop().await;
    let issuance = suite.issuance_without_quota().await;
    let refused = claim_first_tier(&issuance, "emil", newest - 1).await;
    assert_eq!(refused, Err(Reason::Overloaded));
    let replay = claim_first_tier(&issuance, "bob", newest).await;
    assert_eq!(replay.as_deref(), Ok("cake"));
}

fn tier(tier_id: &str) -> Tier {
    Tier {
        tier_id: tier_id.to_owned(),
        face_value_minor_units: 900,
        stock: 100,
        terms: None,
    }
}

fn stock(tier_id: &str) -> TierStock {
    TierStock {
        tier_id: tier_id.to_owned(),
        stock: 100,
        free: 100,
        ..TierStock::default()
    }
}
