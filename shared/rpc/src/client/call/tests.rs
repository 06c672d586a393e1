use std::{
    future::pending,
    sync::atomic::{AtomicUsize, Ordering},
};

use tidegate_types::Reason;
use tonic::transport::Channel;

use super::*;
use crate::refusal::to_status;

const KEY: u64 = 7;
const SECOND: Duration = Duration::from_secs(1);

fn four() -> Replicas {
    let replica = |name: &str| {
        let channel = Channel::from_static("http://127.0.0.1:1").connect_lazy();
        Arc::new(Replica::new(name.to_owned(), channel))
    };
    Replicas::of(["a:1", "b:1", "c:1", "d:1"].map(replica).into())
}

fn for_key(patience: Duration) -> RetryPolicy {
    RetryPolicy::for_key(KEY, Instant::now() + patience)
}

fn order(replicas: &Replicas) -> Vec<String> {
    order_for(replicas, KEY)
}

fn order_for(replicas: &Replicas, key: u64) -> Vec<String> {
    let order = replicas.for_key(key, Instant::now()).into_iter();
    order.map(|replica| replica.address.clone()).collect()
}

/// Makes a call that every replica answers alike, and tells how many were asked.
async fn call(
    replicas: &Replicas,
    policy: RetryPolicy,
    answer: impl Fn() -> Result<(), Status>,
) -> (Result<(), CallFailed>, usize) {
    let asked = AtomicUsize::new(0);
    let send = |_, _: Request<()>| {
        asked.fetch_add(1, Ordering::Relaxed);
        let answer = answer().map(Response::new);
        async move { answer }
    };
    let answer = replicas.call(policy, || (), send).await;
    (answer, asked.into_inner())
}

#[tokio::test]
async fn a_refusal_is_a_callers_answer_and_makes_a_service_ask_the_next_replica() {
    let refuses = || Err(to_status(&Refusal::never(Reason::CampaignClosed)));
    let in_turn = RetryPolicy::each_in_turn(SECOND);
    let ending = in_turn.ending_on(|reason| reason == Reason::CampaignClosed);
    for (policy, expected) in [(for_key(SECOND), 1), (in_turn, 4), (ending, 1)] {
        let replicas = four();
        let before = order(&replicas);
        let (answer, asked) = call(&replicas, policy, refuses).await;
        assert!(
            matches!(&answer, Err(CallFailed::Refused(told)) if told.reason == Reason::CampaignClosed)
        );
        assert_eq!(asked, expected);
        assert_eq!(order(&replicas), before, "who refuses is well");
    }
}

#[tokio::test]
async fn a_replica_without_the_method_is_well_and_the_next_one_is_asked() {
    let replicas = four();
    let before = order(&replicas);
    let unknown = || Err(Status::unimplemented(""));
    let (answer, asked) = call(&replicas, for_key(SECOND), unknown).await;
    assert!(matches!(answer, Err(CallFailed::NoAnswer(_))));
    assert_eq!((asked, order(&replicas)), (MAX_ATTEMPTS, before));
}

#[tokio::test]
async fn a_replica_that_breaks_off_is_asked_last_and_others_answer_for_it() {
    let replicas = four();
    let before = order(&replicas);
    let is_first = AtomicUsize::new(0);
    let first_breaks = || match is_first.fetch_add(1, Ordering::Relaxed) {
        0 => Err(Status::unavailable("connection refused")),
        _ => Ok(()),
    };
    let (answer, asked) = call(&replicas, for_key(SECOND), first_breaks).await;
    assert!(answer.is_ok());
    assert_eq!(asked, 2);
    assert_eq!(order(&replicas)[3], before[0]);
}

#[tokio::test]
async fn retries_of_callers_end_with_their_budget_and_a_service_still_asks_each_replica() {
    let replicas = four();
    while replicas.retries().spend() {}
    let breaks = || Err(Status::unavailable("connection refused"));
    let (answer, asked) = call(&replicas, for_key(SECOND), breaks).await;
    assert!(matches!(answer, Err(CallFailed::NoAnswer(_))));
    assert_eq!(asked, 1);
    let of_own_accord = RetryPolicy::of_own_accord(KEY, Instant::now() + SECOND);
    for policy in [of_own_accord, RetryPolicy::each_in_turn(SECOND)] {
        let (_, asked) = call(&replicas, policy, breaks).await;
        assert_eq!(asked, 4);
    }
}

#[tokio::test]
async fn a_retry_for_which_there_is_no_time_costs_none_of_the_budget() {
    let replicas = four();
    let count = || std::iter::from_fn(|| replicas.retries().spend().then_some(())).count();
    let saved = {
        let fresh = four();
        std::iter::from_fn(|| fresh.retries().spend().then_some(())).count()
    };
    let never = |_, _: Request<()>| pending::<Result<Response<()>, Status>>();
    let policy = for_key(Duration::from_millis(50));
    let answer = replicas.call(policy, || (), never).await;
    assert!(matches!(answer, Err(CallFailed::NoAnswer(_))));
    assert_eq!(count(), saved);
}

/// Whether every replica is trusted as before after a call that nobody answers.
async fn all_are_trusted_after_silence(policy: RetryPolicy) -> bool {
    let replicas = four();
    let orders = || -> Vec<_> { (0..8).map(|key| order_for(&replicas, key)).collect() };
    let before = orders();
    let never = |_, _: Request<()>| pending::<Result<Response<()>, Status>>();
    let answer = replicas.call(policy, || (), never).await;
    assert!(matches!(answer, Err(CallFailed::NoAnswer(_))));
    orders() == before
}

#[tokio::test]
async fn silence_ejects_a_replica_that_had_the_time_to_answer_and_no_other() {
    let hurry = Duration::from_millis(100);
    assert!(all_are_trusted_after_silence(for_key(hurry)).await);
    assert!(!all_are_trusted_after_silence(for_key(FAIR_ATTEMPT + hurry)).await);
    let in_turn =
        |max_attempt, left| RetryPolicy::each_in_turn(max_attempt).until(Instant::now() + left);
    assert!(all_are_trusted_after_silence(in_turn(SECOND, hurry)).await);
    // It is as short, and all that such a call ever has.
    assert!(!all_are_trusted_after_silence(in_turn(hurry / 2, hurry)).await);
}

#[tokio::test]
async fn the_next_hop_is_told_less_time_than_is_left() {
    let told = |patience: Duration| async move {
        let send = |_, request: Request<()>| {
            let told = request.metadata().get("grpc-timeout").cloned();
            async move { Ok(Response::new(told)) }
        };
        four().call(for_key(patience), || (), send).await
    };
    let text = told(SECOND).await.unwrap().unwrap();
    let micros: u64 = text
        .to_str()
        .unwrap()
        .trim_end_matches('u')
        .parse()
        .unwrap();
    assert!((900_000..=990_000).contains(&micros), "{micros}");
    assert!(told(Duration::from_millis(5)).await.is_err());
}
