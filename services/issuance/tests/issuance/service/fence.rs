use tidegate_proto::issuance::v1::*;
use tidegate_test_kit::{eventually, heard};
use tidegate_types::Reason;
use uuid::Uuid;

use super::suite::{
    Issuance, LANES, Suite,
    quota::{CAMPAIGN, State},
    serving,
};

fn to_seal(lease_id: &str, lane: u32) -> LeaseToSeal {
    LeaseToSeal {
        lease: Some(LeaseKey {
            lease_id: lease_id.to_owned(),
            lane,
        }),
        campaign_number: CAMPAIGN,
        holder_id: "issuance-0/0123abcd".to_owned(),
    }
}

async fn seal(issuance: &Issuance, leases: Vec<LeaseToSeal>) -> Result<Vec<SealedLease>, Reason> {
    let request = SealLeasesRequest { leases };
    let sealed = heard(issuance.fence().seal_leases(request).await);
    sealed.map(|sealed| sealed.leases)
}

fn sum<'a>(tiers: impl IntoIterator<Item = &'a TierCount>) -> u64 {
    tiers.into_iter().map(|tier| tier.quantity).sum()
}

/// Every lease granted so far.
fn granted(suite: &Suite) -> Vec<LeaseToSeal> {
    suite.quota.see(|state| {
        let leases = state.granted.iter();
        leases.map(|(id, lent)| to_seal(id, lent.lane)).collect()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_whose_leases_were_sealed_behind_its_back_serves_again_from_new_ones() {
    let (suite, issuance) = serving().await;
    for shopper in ["s-1", "s-2", "s-3"] {
        issuance.claim_in_the_end(shopper).await;
    }
    let leases = granted(&suite);
    let sealed = seal(&issuance, leases.clone()).await.unwrap();
    assert!(sealed.iter().all(|lease| lease.was_installed));
    assert_eq!(sum(sealed.iter().flat_map(|lease| &lease.used)), 3);
    for shopper in ["s-4", "s-5", "s-6"] {
        issuance.claim_in_the_end(shopper).await;
    }
    assert!(issuance.metric("tidegate_fence_refusals_total") > 0);
    assert_eq!(seal(&issuance, leases.clone()).await.unwrap(), sealed);
    // What was sealed is given back all the same, with the counts that the seal told.
    for lease in &sealed {
        let returned = async || {
            let returned = |state: &State| state.returned.get(&lease.lease_id).copied();
            suite.quota.see(returned)
        };
        let told = eventually("the lease comes back", returned).await;
        assert_eq!(told, sum(&lease.used));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_never_arrived_is_sealed_and_inspected_as_such() {
    let (suite, issuance) = serving().await;
    issuance.claim_in_the_end("ann").await;
    let live = granted(&suite);
    let (tombstone, unknown) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    // Of both lanes and twice in one call, in an order of its own.
    let asked = vec![
        to_seal(&tombstone, 1),
        to_seal(&tombstone, 0),
        to_seal(&tombstone, 1),
    ];
    let sealed = seal(&issuance, asked).await.unwrap();
    assert_eq!(sealed.len(), 3);
    let is_tombstone = |lease: &SealedLease| !lease.was_installed && lease.used.is_empty();
    assert!(sealed.iter().all(is_tombstone));
    let keys = [
        live[0].clone(),
        to_seal(&unknown, 0),
        to_seal(&tombstone, 1),
    ];
    let request = InspectLeasesRequest {
        leases: keys.iter().filter_map(|key| key.lease.clone()).collect(),
    };
    let inspected = issuance.fence().inspect_leases(request).await;
    let inspected = inspected.unwrap().into_inner();
    let [open, unknown, tombstone] = &inspected.leases[..] else {
        panic!("{inspected:?}");
    };
    assert!(open.is_known && !open.is_sealed);
    let of_first_tier = |quantity| {
        let tier_number = 0;
        vec![TierCount {
            tier_number,
            quantity,
        }]
    };
    assert_eq!(open.used, of_first_tier(1));
    assert_eq!(open.granted, of_first_tier(100));
    assert!(!unknown.is_known && !unknown.is_sealed);
    assert!(tombstone.is_known && tombstone.is_sealed && tombstone.granted.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_tell_coupons_by_lane_those_on_live_leases_and_leases_that_do_not_add_up() {
    let (suite, issuance) = serving().await;
    for number in 0..10 {
        issuance.claim_in_the_end(&format!("s-{number}")).await;
    }
    let count = async || {
        let mut counts = Vec::new();
        for lane in 0..u32::from(LANES) {
            let request = CountCouponsRequest {
                campaign_number: CAMPAIGN,
                lane,
                limit_per_shopper: 1,
                ..CountCouponsRequest::default()
            };
            let counted = issuance.fence().count_coupons(request).await;
            counts.push(counted.unwrap().into_inner());
        }
        counts
    };
    let counts = count().await;
    for count in &counts {
        assert_eq!((count.lanes, count.mismatches.len()), (u32::from(LANES), 0));
    }
    assert_eq!(sum(counts.iter().flat_map(|count| &count.coupons)), 10);

    let sealed = seal(&issuance, granted(&suite)).await.unwrap();
    let counts = count().await;
    assert_eq!(sum(counts.iter().flat_map(|count| &count.coupons)), 10);
    let live = counts
        .iter()
        .flat_map(|count| &count.coupons_on_live_leases);
    assert_eq!(sum(live), 0);

    let used = sealed.iter().find(|lease| !lease.used.is_empty()).unwrap();
    let more = "UPDATE lease_tiers SET used = used + 1 WHERE lease_id";
    let more = format!("{more} = '{}'", used.lease_id);
    suite.database.execute(&more).await;
    let found = |counts: &[CountCouponsResponse]| {
        let over = counts.iter().map(|count| count.shoppers_over_limit);
        let twice = counts.iter().map(|count| count.shoppers_paying_twice);
        (over.sum::<u64>(), twice.sum::<u64>())
    };
    assert_eq!(found(&counts), (0, 0));
    suite.database.execute("INSERT INTO coupons (lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until) SELECT lane, shopper_id, campaign_number, 2, 'r-2', tier_number, gen_random_uuid(), key_id, issued_at, valid_until FROM coupons WHERE shopper_id = 's-1'").await;
    assert_eq!(found(&count().await), (1, 0));
    suite.database.execute("UPDATE coupons SET order_id = '00000000-0000-0000-0000-000000000007', redeemed_at = issued_at WHERE shopper_id = 's-1'").await;
    assert_eq!(found(&count().await), (1, 1));
    let delete = "DELETE FROM coupons WHERE request_id = 'r-2'";
    suite.database.execute(delete).await;

    let counts = count().await.into_iter();
    let mismatches: Vec<_> = counts.flat_map(|count| count.mismatches).collect();
    let quantity = used.used[0].quantity;
    let mismatch = LeaseMismatch {
        lease_id: used.lease_id.clone(),
        tier_number: 0,
        used: quantity + 1,
        coupons: quantity,
    };
    assert_eq!(mismatches, [mismatch]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fence_names_what_is_wrong_with_a_call() {
    let (_suite, issuance) = serving().await;
    let lease = Uuid::now_v7().to_string();
    let refused = seal(&issuance, vec![to_seal(&lease, 9)]).await;
    assert_eq!(refused, Err(Reason::Misconfigured));
    let bad = LeaseToSeal {
        campaign_number: 0,
        ..to_seal("no-uuid", 0)
    };
    for leases in [Vec::new(), vec![LeaseToSeal::default()], vec![bad]] {
        let refused = seal(&issuance, leases).await;
        assert_eq!(refused, Err(Reason::InvalidField));
    }
}
