//! Connections that are there and do nothing.

use std::{net::Ipv4Addr, time::Instant};

use futures_util::{StreamExt as _, stream};
use tokio::io::AsyncWriteExt as _;

use crate::{
    attacker::{Attacker, ELSEWHERE, connect, wait_for_the_end},
    suite::{PATIENCE, Suite},
};

const IDLE: usize = 2_000;
/// More than the server shakes hands with at once, of one address.
const STALLED: usize = 600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_idle_connections_leave_others_as_quick_as_before() {
    let suite = Suite::start().await;
    let caller = suite.caller();
    let before = caller.pace().await;
    let idle: Vec<_> = stream::iter(0..IDLE)
        .map(|_| Attacker::enter(&suite, ELSEWHERE))
        .buffer_unordered(32)
        .map(Result::unwrap)
        .collect()
        .await;
    caller.is_as_quick_as(before).await;
    let newcomer = suite.caller();
    newcomer.is_as_quick_as(before).await;
    assert_eq!(idle.len(), IDLE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_opens_connections_without_end_is_cut_short_and_others_still_get_in() {
    let suite = Suite::start().await;
    // Silent connections are the cheapest to open.
    let mut open = Vec::new();
    for _ in 0..2_100 {
        open.push(connect(&suite, ELSEWHERE).await.unwrap());
    }
    let mut last = open.pop().unwrap();
    let began = Instant::now();
    assert!(wait_for_the_end(&mut last).await.is_empty());
    assert!(began.elapsed().as_secs() < 3, "it was closed at once");
    suite.caller().call("").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_stall_are_dropped_and_keep_nobody_waiting() {
    let suite = Suite::start().await;
    let caller = suite.caller();
    let before = caller.pace().await;
    let mut silent = Vec::new();
    let mut half = Vec::new();
    for _ in 0..STALLED {
        // Beside the callers, at their own address.
        silent.push(connect(&suite, Ipv4Addr::LOCALHOST).await.unwrap());
        let mut stream = connect(&suite, ELSEWHERE).await.unwrap();
        // The beginning of a greeting, of which the rest never comes.
        stream.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap();
        half.push(stream);
    }
    let newcomer = suite.caller();
    newcomer.is_as_quick_as(before).await;
    caller.is_as_quick_as(before).await;
    let began = Instant::now();
    for stream in silent.iter_mut().chain(&mut half) {
        wait_for_the_end(stream).await;
    }
    assert!(began.elapsed() < PATIENCE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_shakes_hands_and_then_says_nothing_is_dropped() {
    let suite = Suite::start().await;
    let mut silent = Attacker::shake_hands(&suite, ELSEWHERE).await.unwrap();
    wait_for_the_end(&mut silent.0).await;
}
