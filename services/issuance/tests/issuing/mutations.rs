//! Each mutation does the wrong it is named after, and nothing else.

use futures_util::future::join_all;
use tidegate_issuance::{
    domain::campaign::CouponControl,
    lane_work::{CouponUse, Done, Redemption, Release, Revocation, Work},
    mutation::{Mutation, UnknownMutation},
};
use tidegate_telemetry::Registry;
use tidegate_types::{ChangeReason, Slot};
use uuid::Uuid;

use crate::{
    lane::{TestLane, Writer, answered, campaign_of, claim, shopper_of, tier_of},
    seals::seal,
};

async fn mutated(lane: &TestLane, mutation: Mutation) -> Writer {
    let statements = mutation.apply(&lane.pool).await.expect("a mutation");
    let database = lane.database.open().expect("a database");
    Writer::start_with(statements, database, &mut Registry::default())
}

#[test]
fn a_mutation_that_is_not_known_is_refused() {
    assert_eq!(
        "spend-without-fence".parse(),
        Ok(Mutation::SpendWithoutFence)
    );
    assert_eq!("".parse::<Mutation>(), Err(UnknownMutation));
}

#[tokio::test]
async fn acknowledging_before_the_commit_turns_off_the_wait_for_the_disk() {
    let lane = TestLane::create().await.unwrap();
    let mutation = Mutation::AcknowledgeBeforeCommit;
    let statements = mutation.apply(&lane.pool).await.unwrap();
    let mut connection = lane.pool.acquire().await.unwrap();
    statements.prepare(&mut connection).await.unwrap();
    let setting: String = sqlx::query_scalar("SHOW synchronous_commit")
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    assert_eq!(setting, "off");
    let writer = mutated(&lane, mutation).await;
    let lease = lane.lease(&[(0, 10)]).await.unwrap();
    writer.hold(1, lease, &[(0, 10)]);
    answered(writer.claim(claim("ann", "r-1")).await).unwrap();
}

#[tokio::test]
async fn spending_without_the_fence_spends_from_a_sealed_lease() {
    let lane = TestLane::create().await.unwrap();
    let writer = mutated(&lane, Mutation::SpendWithoutFence).await;
    let lease = lane.lease(&[(0, 10)]).await.unwrap();
    seal(&lane.pool, lease).await.unwrap();
    writer.hold(1, lease, &[(0, 10)]);
    answered(writer.claim(claim("ann", "r-1")).await).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_unique_key_two_writers_that_race_give_a_shopper_too_much_and_all_else_works() {
    let lane = TestLane::create().await.unwrap();
    let writers = [
        mutated(&lane, Mutation::DropUniqueKey).await,
        mutated(&lane, Mutation::DropUniqueKey).await,
    ];
    for writer in &writers {
        let lease = lane.lease(&[(0, 10_000)]).await.unwrap();
        writer.hold(1, lease, &[(0, 10_000)]);
    }
    let mut shoppers = 0;
    while lane.issued().await.unwrap() == shoppers {
        assert!(shoppers < 20_000, "no race was lost");
        let names: Vec<_> = (0..200)
            .map(|number| format!("s-{}", shoppers + number))
            .collect();
        let claims = writers.iter().flat_map(|writer| {
            names
                .iter()
                .map(move |name| writer.claim(claim(name, "r-1")))
        });
        join_all(claims).await;
        shoppers += 200;
    }
    let order_id = Uuid::new_v4();
    let used = || CouponUse {
        shopper: shopper_of("s-0"),
        campaign: campaign_of(1),
        slot: Slot::new(1u8).unwrap(),
        order_id,
    };
    let redemption = Redemption {
        used: used(),
        payable_tiers: [tier_of(0)].into_iter().collect(),
        control: CouponControl::default(),
    };
    let redeemed = writers[0].commit(Work::Redeem(redemption)).await;
    let Ok(Done::Coupon(Some((coupon, _)))) = redeemed else {
        panic!("{redeemed:?}");
    };
    assert_eq!(coupon.order_id, Some(order_id));
    for held in [true, false] {
        let release = Release {
            used: used(),
            extended_valid_until: None,
            minimum_validity: None,
        };
        let released = writers[0].commit(Work::Release(release)).await;
        assert!(
            matches!(released, Ok(Done::Released(given_back)) if given_back == held),
            "{released:?}"
        );
    }
    let revocation = Revocation {
        shopper: shopper_of("s-0"),
        campaign: campaign_of(1),
        slot: Slot::new(1u8).unwrap(),
        reason: ChangeReason::parse("by mistake").unwrap(),
        revoked_by: None,
    };
    let revoked = writers[0].commit(Work::Revoke(revocation)).await;
    assert!(
        matches!(revoked, Ok(Done::Revoked(Some((_, true))))),
        "{revoked:?}"
    );
}
