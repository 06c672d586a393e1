//! Each mutation does the wrong it is named after, and nothing else.

use futures_util::future::join_all;
use tidegate_issuance::mutation::{Mutation, UnknownMutation};
use tidegate_telemetry::Registry;
use uuid::Uuid;

use crate::{
    issuing::seals::seal,
    lane::{TestLane, Writer, answered, claim},
    redeeming::coupon_uses::{redeem, release, revoke},
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
    let lane = TestLane::create().await;
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
    let lease = lane.lease(&[(0, 10)]).await;
    writer.hold(1, lease, &[(0, 10)]);
    answered(writer.claim(claim("ann", "r-1")).await).unwrap();
}

#[tokio::test]
async fn spending_without_the_fence_spends_from_a_sealed_lease() {
    let lane = TestLane::create().await;
    let writer = mutated(&lane, Mutation::SpendWithoutFence).await;
    let lease = lane.lease(&[(0, 10)]).await;
    seal(&lane.pool, lease).await.unwrap();
    writer.hold(1, lease, &[(0, 10)]);
    answered(writer.claim(claim("ann", "r-1")).await).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_unique_key_two_writers_that_race_give_a_shopper_too_much_and_all_else_works() {
    let lane = TestLane::create().await;
    let writers = [
        mutated(&lane, Mutation::DropUniqueKey).await,
        mutated(&lane, Mutation::DropUniqueKey).await,
    ];
    for writer in &writers {
        let lease = lane.lease(&[(0, 10_000)]).await;
        writer.hold(1, lease, &[(0, 10_000)]);
    }
    let mut shoppers = 0;
    while lane.issued().await == shoppers {
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
    let order = Uuid::new_v4();
    let coupon = redeem(&writers[0], "s-0", order).await.unwrap();
    assert_eq!(coupon.order_id, Some(order));
    for held in [true, false] {
        assert_eq!(release(&writers[0], "s-0", order).await, held);
    }
    let (_, changed) = revoke(&writers[0], "s-0", "by mistake").await.unwrap();
    assert!(changed);
}
