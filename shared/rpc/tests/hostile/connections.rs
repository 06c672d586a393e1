//! Connections that are there and do nothing.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use tidegate_auth::Identity;
use tidegate_rpc::server::ConnectionLimits;
use tidegate_test_kit::{PATIENCE, until};
use tokio::io::AsyncWriteExt as _;
use tonic::Code;

use crate::{
    attacker::{Attacker, ELSEWHERE, FIRST_WORDS, connect, is_told_to_go, wait_for_the_end},
    suite::Suite,
};

const SECOND: Duration = Duration::from_secs(1);

const IDLE: usize = 2_000;
/// Connections beyond those that an address may have.
const TOO_MANY: usize = 50;
/// More than the server shakes hands with at once, of one address.
const STALLED: usize = 600;
/// More than any of these attacks opens.
const MANY: ConnectionLimits = ConnectionLimits {
    per_address: 3_000,
    idle: Duration::from_secs(300),
    age: Duration::from_secs(1_800),
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_idle_connections_leave_others_as_quick_as_before() {
    let suite = Suite::start_with(MANY).await;
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
    for _ in 0..ConnectionLimits::default().per_address + TOO_MANY {
        open.push(connect(&suite, ELSEWHERE).await.unwrap());
    }
    let mut last = open.pop().unwrap();
    let began = Instant::now();
    assert!(wait_for_the_end(&mut last).await.is_empty());
    assert!(began.elapsed().as_secs() < 3, "it was closed at once");
    let counted = format!("_refused_total{{reason=\"TOO_MANY_OF_ADDRESS\"}} {TOO_MANY}\n");
    assert!(suite.metrics().contains(&counted), "{}", suite.metrics());
    suite.caller().call("").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_stall_are_dropped_and_keep_nobody_waiting() {
    let suite = Suite::start_with(MANY).await;
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
    let mut rubbish = connect(&suite, ELSEWHERE).await.unwrap();
    rubbish.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    wait_for_the_end(&mut rubbish).await;
    let newcomer = suite.caller();
    newcomer.is_as_quick_as(before).await;
    caller.is_as_quick_as(before).await;
    let began = Instant::now();
    for stream in silent.iter_mut().chain(&mut half) {
        wait_for_the_end(stream).await;
    }
    assert!(began.elapsed() < PATIENCE);
    for (reason, count) in [("HANDSHAKE_FAILED", 1), ("HANDSHAKE_TOO_SLOW", 2 * STALLED)] {
        let counted = format!("_refused_total{{reason=\"{reason}\"}} {count}\n");
        until(reason, async || suite.metrics().contains(&counted)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_shakes_hands_and_says_nothing_or_does_not_go_on_is_dropped() {
    let suite = Suite::start().await;
    let began = Instant::now();
    // Nothing, a first byte, and all but the last byte that tells what comes after the preface.
    let mut begun = Vec::new();
    for said in [0, 1, FIRST_WORDS.len() - 1] {
        let mut attacker = Attacker::shake_hands(&suite, ELSEWHERE).await.unwrap();
        attacker.0.write_all(&FIRST_WORDS[..said]).await.unwrap();
        begun.push(attacker);
    }
    for attacker in &mut begun {
        wait_for_the_end(&mut attacker.0).await;
    }
    assert!(began.elapsed() < 8 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_asks_nothing_is_told_to_go_and_dropped_and_one_with_a_call_is_answered() {
    let idle = SECOND;
    let suite = Suite::start_with(ConnectionLimits { idle, ..MANY }).await;
    let mut attacker = Attacker::enter(&suite, ELSEWHERE).await.unwrap();
    let caller = suite.caller_as(Identity::Chatbot);
    let open = caller.open_stream().await.unwrap();
    let began = Instant::now();
    let said = wait_for_the_end(&mut attacker.0).await;
    // It does not acknowledge that it was told, so it has the time that every peer has for its last calls.
    assert!(began.elapsed() < 13 * SECOND, "{:?}", began.elapsed());
    assert!(is_told_to_go(&said));
    caller.call("").await.unwrap();
    drop(open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_replaced_at_its_age_and_no_call_that_was_sent_is_cut() {
    let age = SECOND;
    let suite = Suite::start_with(ConnectionLimits { age, ..MANY }).await;
    let attacker = Attacker::enter(&suite, ELSEWHERE).await.unwrap();
    let attack = tokio::spawn(attacker.ask_until_the_end());
    let (caller, service) = (suite.caller_as(Identity::Chatbot), suite.caller());
    let waiting = [&caller, &service].map(|caller| {
        let caller = caller.clone();
        tokio::spawn(async move { caller.call("wait").await })
    });
    let (mut cut, mut calls, began) = (0, 0, Instant::now());
    while began.elapsed() < 4 * SECOND {
        calls += 1;
        if let Err(error) = caller.call("").await {
            // The client of tonic gives up what it has not sent when it is told to go, and says so in one of two ways.
            let was_not_sent = error.code() == Code::Cancelled
                || error.message() == "h2 protocol error: http2 error"
                    && format!("{error:?}").contains("NO_ERROR, Remote");
            assert!(was_not_sent, "{error:?}");
            cut += 1;
        }
        service.call("").await.unwrap();
        if began.elapsed() > 3 * SECOND / 2 {
            suite.seen.go_on.notify_waiters();
        }
    }
    assert!(cut <= 5, "{cut} of {calls}");
    for call in waiting {
        call.await.unwrap().unwrap();
    }
    let said = attack.await.unwrap();
    // Sooner than the first ping of a connection that is only kept alive is missed.
    assert!(began.elapsed() < 13 * SECOND, "{:?}", began.elapsed());
    assert!(is_told_to_go(&said));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_ends_with_the_certificate_that_opened_it() {
    let suite = Suite::start().await;
    suite.shorten_certificate(4 * SECOND);
    let began = Instant::now();
    let mut attacker = Attacker::enter(&suite, ELSEWHERE).await.unwrap();
    let caller = suite.caller();
    let mut open = caller.open_stream().await.unwrap();
    caller.call("").await.unwrap();
    wait_for_the_end(&mut attacker.0).await;
    // Certificates end at a full second.
    assert!((2 * SECOND..6 * SECOND).contains(&began.elapsed()));
    assert!(open.answers.message().await.is_err(), "a stream goes on");
    assert!(caller.call("").await.is_err(), "a call was answered");
    suite.shorten_certificate(60 * SECOND);
    suite.caller().call("").await.unwrap();
}
