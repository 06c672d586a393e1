//! Changing what a campaign is, on a real PostgreSQL.

use std::time::Duration;

use crate::changes::recorded;
use crate::giveaway::{Giveaway, addition, call, closed, counts, open, request, terms};
use crate::queues::Gateway;
use tidegate_quota::{
    campaigns::UpdateRequest,
    domain::{
        Campaign, CampaignUpdate, Description, DisplayName, IssuanceControl, Tier, TierStock,
        UpdateFacts,
    },
    error::QuotaError,
};
use tidegate_types::{CampaignId, ChangeReason, LimitPerShopper, Reason, Timestamp};

const HOUR: Duration = Duration::from_secs(3_600);

fn early() -> Timestamp {
    terms("spring", &[1]).opens_at - HOUR
}

fn asking(wanted: CampaignUpdate) -> UpdateRequest {
    UpdateRequest {
        campaign: CampaignId::parse("spring").unwrap(),
        reason: ChangeReason::parse("a typo").ok(),
        wanted,
    }
}

fn tiers(stocks: &[u64]) -> Vec<Tier> {
    terms("spring", stocks).tiers
}

fn to_tiers(tiers: Vec<Tier>) -> CampaignUpdate {
    CampaignUpdate {
        tiers: Some(tiers),
        ..CampaignUpdate::default()
    }
}

pub async fn update(
    giveaway: &Giveaway,
    wanted: CampaignUpdate,
    now: Timestamp,
) -> Result<Campaign, QuotaError> {
    giveaway.campaigns.update(asking(wanted), &call(now)).await
}

/// The fields that a refusal says were promised.
fn promised(outcome: Result<Campaign, QuotaError>) -> String {
    let refusal = outcome.unwrap_err().refusal().unwrap();
    assert_eq!(refusal.reason, Reason::CampaignBegun);
    refusal.fact("fields").unwrap().to_owned()
}

fn all_free(stocks: &[u64]) -> Vec<TierStock> {
    let free = |free| TierStock {
        free,
        ..TierStock::default()
    };
    stocks.iter().copied().map(free).collect()
}

#[tokio::test]
async fn before_the_opening_everything_is_changed_and_the_same_again_changes_nothing() {
    let (giveaway, before) = Giveaway::of(&[10, 20, 30]).await;
    let wanted = CampaignUpdate {
        display_name: Some(DisplayName::parse("奶茶节").ok()),
        description: Some(Description::parse("for the spring").ok()),
        limit_per_shopper: LimitPerShopper::new(5u8).ok(),
        opens_at: Some(early() + 2 * HOUR),
        closes_at: Some(closed() + HOUR),
        coupon_validity: Some(2 * HOUR),
        tiers: Some(tiers(&[7])),
    };
    let after = update(&giveaway, wanted.clone(), early()).await.unwrap();
    assert_eq!(after.revision, before.revision + 1);
    let untouched = UpdateFacts {
        was_lent: false,
        has_added_budget: false,
        has_queue: false,
    };
    let expected = before.update(wanted.clone(), untouched, early()).unwrap();
    assert_eq!(Some(&after.terms), expected.as_ref());
    assert_eq!(after.number, before.number);
    assert_eq!(after.stock, all_free(&[7]));
    assert_eq!(giveaway.read("spring").await, after);
    let again = update(&giveaway, wanted, early()).await.unwrap();
    assert_eq!(again, after);
    // Also once it is over.
    let named = CampaignUpdate {
        display_name: Some(after.terms.display_name.clone()),
        ..CampaignUpdate::default()
    };
    let again = update(&giveaway, named, closed() + 9 * HOUR).await;
    assert_eq!(again.unwrap(), after);

    let changes = recorded(&giveaway).await;
    assert_eq!(changes.len(), 2, "it was made, and changed once");
    let change = &changes[0].change;
    let what_and_why = (&*change.action, &*change.reason);
    assert_eq!(what_and_why, ("UpdateCampaign", "a typo"));
    let fields = change.fields.iter();
    let fields = fields.map(|field| (&*field.field, &*field.before, &*field.after));
    let fields: Vec<_> = fields.collect();
    for field in [
        ("display_name", "", "奶茶节"),
        ("limit_per_shopper", "1", "5"),
        ("opens_at", "2026-02-02T02:40:00Z", "2026-02-02T03:40:00Z"),
        ("coupon_validity", "3600 s", "7200 s"),
        ("tiers[0].stock", "10", "7"),
        ("tiers[2]", "tier-2: 2500", ""),
    ] {
        assert!(fields.contains(&field), "{field:?} of {fields:?}");
    }
}

#[tokio::test]
async fn tiers_change_places_and_number_and_keep_their_stock_whole() {
    let (giveaway, _) = Giveaway::of(&[10, 20]).await;
    for stocks in [&[1, 2, 3][..], &[3], &[4, 5]] {
        for is_turned in [false, true] {
            let mut tiers = tiers(stocks);
            if is_turned {
                tiers.reverse();
            }
            let wanted = to_tiers(tiers.clone());
            let after = update(&giveaway, wanted, early()).await.unwrap();
            let stocks: Vec<_> = tiers.iter().map(|tier| tier.initial_stock).collect();
            assert_eq!(after.terms.tiers, tiers);
            assert_eq!(after.stock, all_free(&stocks));
        }
    }
}

#[tokio::test]
async fn after_the_opening_only_what_breaks_no_promise_is_changed() {
    let (giveaway, before) = Giveaway::of(&[10]).await;
    let refused = update(&giveaway, to_tiers(tiers(&[11])), open()).await;
    assert_eq!(promised(refused), "tiers");
    assert_eq!(giveaway.read("spring").await, before);
    let end_at = |closes_at| CampaignUpdate {
        closes_at: Some(closes_at),
        ..CampaignUpdate::default()
    };
    let kind = CampaignUpdate {
        limit_per_shopper: LimitPerShopper::new(2u8).ok(),
        ..end_at(closed() + HOUR)
    };
    let after = update(&giveaway, kind, open()).await.unwrap();
    assert_eq!(after.terms.limit_per_shopper.get(), 2);
    // Stock is lent until the end there is now, and no longer.
    giveaway.acquire_one(after.number, closed()).await.unwrap();
    let sooner = update(&giveaway, end_at(open() + HOUR / 6), open()).await;
    sooner.unwrap();
    let refused = giveaway.acquire_one(after.number, closed()).await;
    refused!(refused, QuotaError::CampaignClosed);
    let changes = recorded(&giveaway).await.len();
    assert_eq!(changes, 3, "refusals are not recorded");
    let other = UpdateRequest {
        campaign: CampaignId::parse("autumn").unwrap(),
        ..asking(end_at(closed()))
    };
    let refused = giveaway.campaigns.update(other, &call(open())).await;
    refused!(refused, QuotaError::CampaignNotFound);
}

#[tokio::test]
async fn what_was_lent_added_to_or_waited_for_keeps_what_it_promised_before_the_opening_too() {
    let (giveaway, campaign) = Giveaway::of(&[10, 20]).await;
    let fewer = || to_tiers(tiers(&[10]));
    let gateway = Gateway::new(&giveaway, "gateway-0/1", campaign.number);
    gateway.send(1, gateway.holding(0, 5, 0.0), early()).await;
    assert_eq!(promised(update(&giveaway, fewer(), early()).await), "tiers");
    let other_stock = to_tiers(tiers(&[10, 21]));
    update(&giveaway, other_stock, early()).await.unwrap();

    let addition = addition("spring", "more", "tier-0", 5);
    let added = giveaway.add(&addition, early()).await;
    added.unwrap();
    let other_stock = to_tiers(tiers(&[10, 22]));
    let refused = update(&giveaway, other_stock, early()).await;
    assert_eq!(promised(refused), "tiers");
    let stock = giveaway.read("spring").await.stock;
    assert_eq!(stock, all_free(&[15, 21]), "added budget is kept");

    let asked = request(campaign.number, &[1], 0);
    giveaway.acquire_at(&asked, early()).await.unwrap();
    giveaway.give_back(asked.lease_id, &[0]).await;
    let later = CampaignUpdate {
        opens_at: Some(open()),
        coupon_validity: Some(2 * HOUR),
        tiers: Some(tiers(&[10, 22])),
        ..CampaignUpdate::default()
    };
    let refused = update(&giveaway, later, early()).await;
    assert_eq!(promised(refused), "opens_at, coupon_validity, tiers");
}

#[tokio::test]
async fn a_campaign_that_was_changed_is_still_the_one_it_was_made_as() {
    let (giveaway, made) = Giveaway::of(&[10, 20]).await;
    for stocks in [[11, 20], [12, 20]] {
        let wanted = to_tiers(tiers(&stocks));
        update(&giveaway, wanted, early()).await.unwrap();
    }
    let now = giveaway.read("spring").await;
    assert_eq!(giveaway.create("spring", &[10, 20]).await, now);
    assert_eq!(giveaway.create("spring", &[12, 20]).await, now);
    let mut named = made.terms.clone();
    named.description = Description::parse("other").ok();
    for other in [terms("spring", &[11, 20]), named] {
        refused!(giveaway.make(&other).await, QuotaError::CampaignIdTaken);
    }
    assert_eq!(recorded(&giveaway).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_waited_for_other_tiers_and_another_end_sees_them() {
    let (giveaway, campaign) = Giveaway::of(&[10]).await;
    let mut new = campaign.terms.clone();
    new.tiers = tiers(&[10, 160]);
    new.closes_at = closed() + HOUR;
    let mut work = giveaway.locking(campaign.number).await;
    let updated = work
        .update_campaign(campaign.number, &campaign.terms, &new, None)
        .await;
    updated.unwrap();
    let waiting = tokio::spawn({
        let giveaway = giveaway.clone();
        let asked = request(campaign.number, &[0, 3], 0);
        async move { giveaway.acquire_at(&asked, closed()).await }
    });
    giveaway.database.until_blocked().await;
    work.end(Ok(())).await.unwrap();
    let granted = waiting.await.unwrap().unwrap();
    assert_eq!(granted.granted, counts(&[0, 3]));
    let stock = giveaway.read("spring").await.stock;
    assert_eq!(stock[1].stock(), 160);
    giveaway.wish("spring", IssuanceControl::QueueOnly, 0).await;
}
