use std::collections::BTreeMap;

use futures_util::future::join_all;
use tidegate_issuance::{domain::claim::Claim, lane_work::Claimed, store::coupons};
use tidegate_types::RequestId;

use crate::lane::{TestLane, campaign_of, claim, only_lane, shopper_of, stocked};

const SHOPPERS: usize = 64;
const REQUESTS: usize = 8;
const LIMIT: u8 = 3;

#[tokio::test]
async fn a_claim_that_may_not_issue_is_answered_with_the_coupon_that_is_there() {
    let (lane, writer, _) = stocked(&[(0, 10)]).await;
    let (first, _) = writer.claim_coupon(claim("ann", "r-1")).await;
    let closed = |shopper| Claim {
        may_issue: false,
        ..claim(shopper, "r-1")
    };
    for claim in [claim("ann", "r-1"), closed("ann")] {
        assert_eq!(writer.claim_coupon(claim).await, (first.clone(), true));
    }
    let refused = writer.claim(closed("bob")).await;
    assert!(matches!(refused, Ok(Claimed::NoStock)), "{refused:?}");
    assert_eq!(lane.issued().await, 1);
}

#[tokio::test]
async fn a_lookup_finds_the_coupon_of_a_claim_and_of_no_other() {
    let (lane, writer, _) = stocked(&[(0, 10)]).await;
    for request in ["r-1", "r-2"] {
        let of_two = Claim {
            limit: 2,
            ..claim("ann", request)
        };
        writer.claim_coupon(of_two).await;
    }
    let find = async |shopper: &str, campaign: u32, request: &str| {
        let (shopper, campaign) = (shopper_of(shopper), campaign_of(campaign));
        let request = RequestId::parse(request).unwrap();
        let found = coupons::of_claim(&lane.pool, only_lane(), &shopper, campaign, &request);
        let found = found.await.unwrap();
        found.map(|coupon| (coupon.slot.get(), coupon.request_id))
    };
    let second = RequestId::parse("r-2").unwrap();
    assert_eq!(find("ann", 1, "r-2").await, Some((2, second)));
    assert_eq!(find("ann", 1, "r-3").await, None);
    assert_eq!(find("ann", 2, "r-2").await, None);
    assert_eq!(find("bob", 1, "r-2").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_that_race_never_give_a_shopper_more_than_the_limit_and_answer_alike() {
    let lane = TestLane::create().await;
    let writers = [lane.writer(), lane.writer()];
    for writer in &writers {
        let lease = lane.lease(&[(0, 1_000)]).await;
        writer.hold(1, lease, &[(0, 1_000)]);
    }
    // Every request goes to both writers, as it does when a caller tries another replica.
    let claims = (0..REQUESTS).flat_map(|request| {
        (0..SHOPPERS).flat_map(move |shopper| [0, 1].map(|writer| (writer, shopper, request)))
    });
    let outcomes = join_all(claims.map(async |(writer, shopper, request)| {
        let wanted = Claim {
            limit: LIMIT,
            ..claim(&format!("s-{shopper:02}"), &format!("r-{request}"))
        };
        let slot = match writers[writer].claim(wanted).await {
            Ok(Claimed::Issued(issued)) => Some(issued.coupon.slot.get()),
            Ok(Claimed::OverLimit) => None,
            other => panic!("{other:?}"),
        };
        ((shopper, request), slot)
    }))
    .await;

    let mut told = BTreeMap::new();
    for (claim, slot) in outcomes {
        let before = *told.entry(claim).or_insert(slot);
        assert_eq!(
            before, slot,
            "the two writers tell {claim:?} different things"
        );
    }
    for shopper in 0..SHOPPERS {
        let mut slots: Vec<_> = told
            .range((shopper, 0)..(shopper + 1, 0))
            .filter_map(|(_, slot)| *slot)
            .collect();
        slots.sort_unstable();
        assert_eq!(slots, Vec::from_iter(1..=LIMIT), "shopper {shopper}");
    }
    let expected = SHOPPERS * usize::from(LIMIT);
    assert_eq!(lane.issued().await, expected as i64);
    assert_eq!(lane.unbalanced().await, []);
}
