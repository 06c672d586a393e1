use std::time::{Duration, Instant};

use tidegate_issuance::domain::lease_book::HELD_WHILE_OTHERS_NEED;
use tidegate_test_kit::{eventually, until};
use tokio::time::sleep;

use super::suite::{Suite, lane_of, serving};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_beats_under_a_name_that_is_another_one_after_each_start() {
    let suite = Suite::start().await;
    let beating = async |lives: usize| {
        eventually("beats", async || {
            let beats = suite.quota.see(|state| state.beats.clone());
            (beats.len() == lives && beats.values().all(|beats| *beats >= 2)).then_some(beats)
        })
        .await
    };
    let issuance = suite.issuance().await;
    issuance.claim_in_the_end("ann").await;
    beating(1).await;
    drop(issuance);
    let left_behind = suite.quota.see(|state| state.granted.clone());
    let issuance = suite.issuance().await;
    let beats = beating(2).await;
    assert!(beats.keys().all(|holder| holder.starts_with("issuance-0/")));
    // What the first life held comes back at the start of the second.
    for (lease, lent) in left_behind {
        assert!(beats.contains_key(&lent.holder_id));
        until("the lease comes back", async || {
            suite.quota.see(|state| state.returned.contains_key(&lease))
        })
        .await;
    }
    drop(issuance);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_in_use_goes_back_once_the_pool_is_empty_and_not_before() {
    let (suite, issuance) = serving().await;
    let began = Instant::now();
    // Of one lane, whose lease is in use all the time: it never is idle.
    let mut shoppers = (1..)
        .map(|number| format!("s-{number}"))
        .filter(|shopper| lane_of(shopper) == lane_of("s-1"));
    while began.elapsed() < HELD_WHILE_OTHERS_NEED + HELD_WHILE_OTHERS_NEED / 2 {
        issuance.claim_in_the_end(&shoppers.next().unwrap()).await;
        // However fast the machine is, quota is not to run out.
        sleep(Duration::from_millis(10)).await;
    }
    // Leases that were spent from and came back although something was left of them.
    let given_up = || {
        suite.quota.see(|state| {
            let has_some_left = |(lease, used): &(&String, &u64)| {
                **used > 0 && state.granted[*lease].quantity > **used
            };
            state.returned.iter().filter(has_some_left).count()
        })
    };
    assert_eq!(given_up(), 0);
    suite.quota.set_free(0);
    until("a lease in use comes back", async || {
        // So seldom that the lease is not used up before it is given back.
        sleep(Duration::from_millis(100)).await;
        let _ = issuance.claim(&shoppers.next().unwrap()).await;
        given_up() > 0
    })
    .await;
}
