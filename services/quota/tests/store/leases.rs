//! Leases on a real PostgreSQL.

use crate::giveaway::{Giveaway, closed, counts, open, request, stock};
use tidegate_quota::{
    domain::{Availability, TierCounts},
    error::QuotaError,
};
use tidegate_types::{CampaignNumber, Lanes, ReplicaId};
use uuid::Uuid;

#[tokio::test]
async fn a_lease_asked_for_again_is_granted_the_same_and_moves_nothing() {
    let (giveaway, campaign) = Giveaway::of(&[1_000]).await;
    let asked = request(campaign.number, &[10], 0);
    let first = giveaway.acquire(&asked).await;
    assert_eq!(first.granted, counts(&[10]));
    giveaway.acquire(&request(campaign.number, &[], 7)).await;
    assert_eq!(giveaway.acquire(&asked).await, first);
    // Also when the campaign is over and the lease is settled: what was granted was granted.
    giveaway.give_back(asked.lease_id, &[4]).await;
    let again = giveaway.acquire_at(&asked, closed()).await.unwrap();
    assert_eq!(again.granted, first.granted);
    assert_eq!(giveaway.read("spring").await.stock, [stock(989, 7, 4)]);
}

#[tokio::test]
async fn a_lease_id_with_any_other_content_conflicts() {
    let (giveaway, campaign) = Giveaway::of(&[1_000, 1_000]).await;
    let other = giveaway.create("summer", &[1_000]).await;
    let asked = request(campaign.number, &[10], 5);
    giveaway.acquire(&asked).await;
    let mut others = vec![asked.clone(); 5];
    others[0].campaign = other.number;
    others[1].holder = ReplicaId::parse("issuance-1").unwrap();
    others[2].lane = Lanes::new(1u16).unwrap().lane(0u16).unwrap();
    others[3].wanted = counts(&[0, 10]);
    others[4].wanted_of_any_tier = 6;
    for other in others {
        let refused = giveaway.acquire_at(&other, open()).await;
        refused!(refused, QuotaError::LeaseIdTaken);
    }
}

#[tokio::test]
async fn a_lease_settles_once() {
    let (giveaway, campaign) = Giveaway::of(&[1_000, 1_000]).await;
    let asked = request(campaign.number, &[10, 20], 0);
    giveaway.acquire(&asked).await;
    let refused = giveaway.settle(asked.lease_id, &counts(&[10, 21])).await;
    refused!(refused, QuotaError::InvalidFields(_));
    let refused = giveaway.settle(asked.lease_id, &counts(&[0, 0, 1])).await;
    refused!(refused, QuotaError::InvalidFields(_));
    for _ in 0..3 {
        giveaway.give_back(asked.lease_id, &[10, 3]).await;
    }
    let refused = giveaway.settle(asked.lease_id, &counts(&[10, 4])).await;
    refused!(refused, QuotaError::LeaseSettledOtherwise);
    let left = [stock(990, 0, 10), stock(997, 0, 3)];
    assert_eq!(giveaway.read("spring").await.stock, left);
}

#[tokio::test]
async fn what_does_not_exist_is_refused_by_its_name() {
    let giveaway = Giveaway::start().await;
    let nowhere = CampaignNumber::new(77u32).unwrap();
    let refused = giveaway.acquire_one(nowhere, open()).await;
    refused!(refused, QuotaError::CampaignNotFound);
    let nothing = TierCounts::default();
    let refused = giveaway.settle(Uuid::new_v4(), &nothing).await;
    refused!(refused, QuotaError::LeaseNotFound);
    let campaign = giveaway.create("spring", &[1]).await;
    let second_tier = request(campaign.number, &[0, 1], 0);
    let refused = giveaway.acquire_at(&second_tier, open()).await;
    refused!(refused, QuotaError::InvalidFields(_));
}

#[tokio::test]
async fn leases_are_granted_before_the_opening_and_not_after_the_end() {
    let (giveaway, campaign) = Giveaway::of(&[100]).await;
    let early = campaign.terms.opens_at - std::time::Duration::from_secs(3_600);
    let granted = giveaway.acquire_one(campaign.number, early).await.unwrap();
    assert_eq!(granted.granted, counts(&[1]));
    let refused = giveaway.acquire_one(campaign.number, closed()).await;
    refused!(refused, QuotaError::CampaignClosed);
}

#[tokio::test]
async fn leases_shrink_as_the_pool_drains_and_sold_out_comes_last() {
    let (giveaway, campaign) = Giveaway::of(&[100]).await;
    let mut leases = Vec::new();
    loop {
        let asked = request(campaign.number, &[], 1_000);
        let answer = giveaway.acquire(&asked).await;
        if answer.availability != Availability::Granted {
            assert_eq!(answer.availability, Availability::Returning);
            assert_eq!(answer.granted, TierCounts::default());
            break;
        }
        leases.push((asked.lease_id, answer.granted));
    }
    let sizes: Vec<_> = leases.iter().map(|(_, granted)| granted.total()).collect();
    assert_eq!(sizes[..4], [50, 25, 13, 6]);
    let is_sorted = sizes.is_sorted_by(|before, after| before >= after);
    assert!(is_sorted, "{sizes:?}");
    assert_eq!(sizes.iter().sum::<u64>(), 100);

    let before = giveaway.read("spring").await;
    assert!(!before.sold_out());
    let (last, rest) = leases.split_last().unwrap();
    for (lease_id, granted) in rest {
        giveaway.settle(*lease_id, granted).await.unwrap();
    }
    let asked = request(campaign.number, &[], 1);
    let answer = giveaway.acquire(&asked).await;
    assert_eq!(answer.availability, Availability::Returning);
    assert_eq!(giveaway.read("spring").await.revision, before.revision);
    giveaway.settle(last.0, &last.1).await.unwrap();
    let after = giveaway.read("spring").await;
    assert!(after.sold_out());
    assert_eq!(after.revision, before.revision + 1);
    let answer = giveaway.acquire(&asked).await;
    assert_eq!(answer.availability, Availability::SoldOut);
}

#[tokio::test]
async fn stock_that_comes_back_is_given_out_under_a_lease_id_that_got_nothing() {
    let (giveaway, campaign) = Giveaway::of(&[1, 1]).await;
    let [first, second] = [(); 2].map(|()| request(campaign.number, &[1], 0));
    giveaway.acquire(&first).await;
    let nothing = giveaway.acquire(&second).await;
    let expected = [Availability::Returning, Availability::Granted];
    assert_eq!(nothing.tier_availability, expected);
    giveaway.give_back(first.lease_id, &[0]).await;
    assert_eq!(giveaway.acquire(&second).await.granted, counts(&[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_is_conserved_while_16_replicas_acquire_and_return() {
    const REPLICAS: u64 = 16;
    const ROUNDS: u64 = 12;
    let (giveaway, campaign) = Giveaway::of(&[400, 300]).await;
    let number = campaign.number;
    let replicas: Vec<_> = (0..REPLICAS)
        .map(|replica| {
            let giveaway = giveaway.clone();
            tokio::spawn(async move {
                let mut spent = 0;
                for round in 0..ROUNDS {
                    let asked = request(number, &[0, replica % 3], 1 + round);
                    // The answer was lost once: both attempts run beside each other.
                    let (granted, again) =
                        tokio::join!(giveaway.acquire(&asked), giveaway.acquire(&asked));
                    if granted.granted.total() == 0 || again.granted.total() == 0 {
                        continue;
                    }
                    assert_eq!(granted.granted, again.granted);
                    let mut used = TierCounts::default();
                    for (tier, quantity) in granted.granted.some() {
                        used.set(tier, quantity * (round % 3) / 2);
                    }
                    spent += used.total();
                    let settling = || giveaway.settle(asked.lease_id, &used);
                    tokio::try_join!(settling(), settling()).unwrap();
                }
                spent
            })
        })
        .collect();
    let mut spent = 0;
    for replica in replicas {
        spent += replica.await.unwrap();
    }
    let stock = giveaway.read("spring").await.stock;
    let stocks: Vec<_> = stock.iter().map(|tier| tier.stock()).collect();
    assert_eq!(stocks, [400, 300]);
    assert_eq!(stock.iter().map(|tier| tier.settled).sum::<u64>(), spent);
    assert!(spent > 0);
    // The books agree with the leases, row by row.
    let outstanding = "SELECT coalesce(sum(granted), 0)::bigint FROM lease_tiers JOIN leases USING (lease_id) WHERE settled_at IS NULL";
    let outstanding = giveaway.database.number(outstanding).await;
    let leased: u64 = stock.iter().map(|tier| tier.leased).sum();
    assert_eq!(outstanding as u64, leased);
}
