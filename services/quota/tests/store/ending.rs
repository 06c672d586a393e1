//! Ending a campaign for good, on a real PostgreSQL and with an issuance behind gRPC.

use std::time::{Duration, Instant};

use crate::changes::recorded;
use crate::giveaway::{Giveaway, addition, call, call_by, closed, later, open};
use crate::reclaim::{reclaimer, run, sealed_because, spend};
use crate::updates::update;
use tidegate_quota::{
    control::EndRequest,
    domain::{Campaign, CampaignUpdate, IssuanceControl},
    error::QuotaError,
};
use tidegate_types::{CampaignId, ChangeReason, Timestamp};

fn end(reason: &str) -> EndRequest {
    EndRequest {
        campaign: CampaignId::parse("spring").unwrap(),
        reason: ChangeReason::parse(reason).unwrap(),
    }
}

async fn end_by(giveaway: &Giveaway, reason: &str, now: Timestamp, deadline: Instant) -> Campaign {
    let call = call_by(now, deadline);
    let ended = giveaway.controls.end(&end(reason), &call).await;
    ended.unwrap()
}

#[tokio::test]
async fn an_end_is_answered_once_every_lease_is_sealed_and_is_for_good() {
    let (giveaway, issuance) = Giveaway::fenced().await;
    let campaign = giveaway.create("spring", &[100]).await;
    let now = open();
    let lease = spend(&giveaway, &issuance, campaign.number, 2).await;
    issuance.state().is_away = true;
    run(reclaimer(&giveaway, issuance.client().await));
    let soon = Instant::now() + Duration::from_millis(600);
    let ending = end_by(&giveaway, "no more cups", now, soon).await;
    assert!(ending.is_over(now) && ending.ended_at.is_some());
    assert_eq!(ending.stock[0].leased, 5, "it is told as it is");
    assert_eq!(ending.revision, campaign.revision + 1);
    assert_eq!(ending.terms.opens_at, campaign.terms.opens_at);

    issuance.state().is_away = false;
    let ended = end_by(&giveaway, "another reason", now, later()).await;
    assert_eq!(ended.ended_at, ending.ended_at);
    assert_eq!((ended.stock[0].free, ended.stock[0].settled), (98, 2));
    let because = sealed_because(&giveaway, lease.lease_id).await;
    assert_eq!(because.as_deref(), Some("CLOSED"));
    let changes = recorded(&giveaway).await;
    assert_eq!(changes.len(), 2, "it was made, and ended once");
    assert_eq!(changes[0].change.action, "EndCampaign");
    assert_eq!(changes[0].change.reason, "no more cups");
    let fields = changes[0].change.fields.iter();
    let fields: Vec<_> = fields.map(|field| &*field.field).collect();
    assert_eq!(fields, ["closes_at", "ended_at"]);

    // Whatever a clock says, and whatever staff try.
    let behind = now - Duration::from_secs(60);
    let refused = giveaway.acquire_one(campaign.number, behind).await;
    refused!(refused, QuotaError::CampaignClosed);
    let addition = addition("spring", "more", "tier-0", 1);
    let refused = giveaway.add(&addition, behind).await;
    refused!(refused, QuotaError::CampaignClosed);
    let longer = CampaignUpdate {
        closes_at: Some(closed()),
        ..CampaignUpdate::default()
    };
    let refused = update(&giveaway, longer, behind).await;
    refused!(refused, QuotaError::CampaignClosed);
    let opened = giveaway.wish("spring", IssuanceControl::Open, 0).await;
    assert!(opened.is_over(behind));
    // Its coupons go on.
    let valid_until = closed() + Duration::from_secs(3_600);
    let extended = giveaway.extend(valid_until, &call(now)).await.unwrap();
    assert_eq!(extended.extended_valid_until, Some(valid_until));
    let same = giveaway.create("spring", &[100]).await;
    assert_eq!(same.number, campaign.number);
}

#[tokio::test]
async fn a_campaign_that_has_not_opened_ends_without_having_been_open() {
    let (giveaway, campaign) = Giveaway::of(&[10]).await;
    let early = campaign.terms.opens_at - Duration::from_secs(3_600);
    let ended = end_by(&giveaway, "rain", early, later()).await;
    let soon = early + Duration::from_secs(30);
    let terms = &ended.terms;
    assert!(terms.opens_at < terms.closes_at && terms.closes_at < soon);
    assert_eq!(ended.ended_at, Some(terms.closes_at));
    assert_eq!(giveaway.create("spring", &[10]).await, ended);
    let refused = giveaway.acquire_one(campaign.number, early).await;
    refused!(refused, QuotaError::CampaignClosed);
}

#[tokio::test]
async fn one_that_closed_by_itself_keeps_the_moment_at_which_it_did() {
    let (giveaway, _) = Giveaway::of(&[10]).await;
    let late = closed() + Duration::from_secs(60);
    let ended = end_by(&giveaway, "for the record", late, later()).await;
    assert_eq!(ended.terms.closes_at, closed());
    assert!(ended.ended_at >= Some(late));
    let missing = EndRequest {
        campaign: CampaignId::parse("autumn").unwrap(),
        ..end("rain")
    };
    let refused = giveaway.controls.end(&missing, &call(open())).await;
    refused!(refused, QuotaError::CampaignNotFound);
}
