//! Calls that are made to hurt.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::{future::join_all, stream};
use tidegate_proto::issuance::v1::{Grant, GrantCouponsRequest};
use tidegate_rpc::refusal::reason_of;
use tidegate_test_kit::until;
use tidegate_types::Reason;
use tokio::time::{sleep, timeout};
use tonic::Status;

use crate::{
    attacker::{
        Attacker, CONTINUATION, DATA, ELSEWHERE, END_HEADERS, HEADERS, RST_STREAM, call_headers,
        header,
    },
    suite::{MAX_UNARY, Suite, UNARY},
};

/// Crowds that hang up one after the other, with far more calls than an HTTP/2 library by itself
/// takes for an attack.
const CROWDS: u64 = 30;
const CALLS_OF_A_CROWD: usize = 1_000;

fn message_of(grants: Vec<Grant>) -> GrantCouponsRequest {
    GrantCouponsRequest {
        campaign_id: String::new(),
        reason: "an apology".to_owned(),
        grants,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_one_kind_is_refused_at_once_and_other_kinds_are_served() {
    let suite = Suite::start().await;
    let caller = suite.caller();
    let crowd: Vec<_> = (0..MAX_UNARY)
        .map(|_| {
            let caller = caller.clone();
            tokio::spawn(async move { caller.call("wait").await })
        })
        .collect();
    let waiting = || suite.seen.waiting.load(Ordering::SeqCst);
    until("the places are taken", async || waiting() == MAX_UNARY).await;
    let refused = caller.call("").await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::QueueFull));
    assert!(refused.metadata().get("tidegate-trace-id").is_some());
    let other = stream::iter([GrantCouponsRequest::default()]);
    let mut answers = caller.0.clone().grant_coupons(other).await.unwrap();
    assert!(answers.get_mut().message().await.unwrap().is_some());
    suite.seen.go_on.notify_waiters();
    let served = join_all(crowd).await;
    assert!(served.into_iter().all(|call| call.unwrap().is_ok()));
    caller.call("").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_hangs_up_is_counted_as_cancelled_and_one_that_is_answered_is_not() {
    let suite = Suite::start().await;
    let caller = suite.caller();
    caller.call("").await.unwrap();
    let hung_up = timeout(Duration::from_millis(300), caller.call("wait")).await;
    assert!(hung_up.is_err());
    let counted = |code: &str, count: u32| {
        let line = format!("code=\"{code}\"}} {count}\n");
        suite.metrics().contains(&line)
    };
    until("it is counted", async || counted("CANCELLED", 1)).await;
    caller.call("").await.unwrap();
    assert!(counted("OK", 2) && counted("CANCELLED", 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_that_hang_up_in_crowds_do_not_end_the_connection_of_the_others() {
    // Whom a busy server puts off is told so; a connection that ended names no reason.
    let is_answered = |answer: Result<(), Status>| match answer {
        Ok(()) => true,
        Err(failed) => {
            assert!(reason_of(&failed).is_some(), "{failed:?}");
            false
        }
    };
    let suite = Suite::start().await;
    let caller = suite.caller();
    for round in 0..CROWDS {
        // Some give up before the server has seen their call, some while the answer is on its way.
        let patience = Duration::from_millis(5 * round);
        let crowd = (0..CALLS_OF_A_CROWD).map(|_| timeout(patience, caller.call("")));
        for failed in join_all(crowd).await.into_iter().flatten() {
            is_answered(failed);
        }
    }
    until("somebody is answered again", async || {
        is_answered(caller.call("").await)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_headers_ends_the_connection_it_comes_over_and_no_other() {
    let suite = Suite::start().await;
    let caller = suite.caller();
    let before = caller.pace().await;
    let mut attacker = Attacker::enter(&suite, ELSEWHERE).await.unwrap();
    let mut more = Vec::new();
    for _ in 0..100 {
        header(&mut more, "x-flood", &"a".repeat(100));
    }
    let flood = async {
        attacker.frame(HEADERS, 0, 1, &call_headers(UNARY)).await?;
        // One block of headers without an end.
        for _ in 0..100_000 {
            attacker.frame(CONTINUATION, 0, 1, &more).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    assert!(flood.await.is_err(), "a gigabyte of headers was taken");
    caller.is_as_quick_as(before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_over_the_bound_are_refused_and_the_connection_goes_on() {
    let suite = Suite::start().await;
    let caller = suite.caller();
    let mut client = caller.0.clone();
    let mut request = tonic::Request::new(Default::default());
    let big = "a".repeat(17 * 1024).parse().unwrap();
    request.metadata_mut().insert("x-big", big);
    assert!(client.revoke_coupon(request).await.is_err());
    caller.call("").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rapid_resets_take_no_place_and_leave_others_as_quick_as_before() {
    let suite = Suite::start().await;
    let caller = suite.caller();
    let before = caller.pace().await;
    let attack = async {
        let (headers, cancelled) = (call_headers(UNARY), 8u32.to_be_bytes());
        for _ in 0..20 {
            let mut attacker = Attacker::enter(&suite, ELSEWHERE).await.unwrap();
            let resets = async {
                for stream in (1..10_000).step_by(2) {
                    attacker
                        .frame(HEADERS, END_HEADERS, stream, &headers)
                        .await?;
                    attacker.frame(RST_STREAM, 0, stream, &cancelled).await?;
                }
                Ok::<_, std::io::Error>(())
            };
            // The server may end the connection.
            let _ = resets.await;
        }
    };
    let normal = async {
        sleep(Duration::from_millis(50)).await;
        caller.is_as_quick_as(before).await;
    };
    tokio::join!(attack, normal);
    caller.is_as_quick_as(before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_giant_message_is_refused_by_its_size_and_not_waited_for() {
    let suite = Suite::start().await;
    let caller = suite.caller();
    let before = caller.pace().await;
    let mut attacker = Attacker::enter(&suite, ELSEWHERE).await.unwrap();
    let headers = call_headers(UNARY);
    let opened = attacker.frame(HEADERS, END_HEADERS, 1, &headers);
    opened.await.unwrap();
    // Says that a gigabyte will come, and sends what the window allows.
    let mut beginning = vec![0];
    beginning.extend((1u32 << 30).to_be_bytes());
    beginning.resize(16 * 1024, 0);
    for _ in 0..16 {
        if attacker.frame(DATA, 0, 1, &beginning).await.is_err() {
            break;
        }
    }
    caller.is_as_quick_as(before).await;
    drop(attacker);
    // The same from a client that keeps to the rules: twice the bound.
    let grant = Grant {
        shopper_id: "s".repeat(1_000),
        ..Grant::default()
    };
    let messages = stream::iter([message_of(vec![grant; 9_000])]);
    let mut answers = caller.0.clone().grant_coupons(messages).await.unwrap();
    let refused = answers.get_mut().message().await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::OutOfRange);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_read_is_not_read_from_either() {
    let suite = Suite::start().await;
    let caller = suite.caller();
    let before = caller.pace().await;
    // Each message is answered by one of 2 kB; nobody takes the answers.
    let message = message_of(vec![Grant::default(); 1_000]);
    let messages = stream::iter(std::iter::repeat_n(message, 100_000));
    let slow = suite.caller();
    let answers = slow.0.clone().grant_coupons(messages).await.unwrap();
    let read = || suite.seen.messages.load(Ordering::SeqCst);
    // Until the server stands still.
    let mut last = usize::MAX;
    while read() != last {
        last = read();
        sleep(Duration::from_millis(500)).await;
    }
    // 1 MiB of window at the reader, and about half of that in between.
    assert!(last < 3_000, "{last} messages were read");
    caller.is_as_quick_as(before).await;
    drop(answers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_body_never_comes_gives_its_place_back_at_its_deadline() {
    let suite = Suite::start().await;
    let mut attacker = Attacker::enter(&suite, ELSEWHERE).await.unwrap();
    let mut headers = call_headers(UNARY);
    header(&mut headers, "grpc-timeout", "4S");
    for call in 0..MAX_UNARY as u32 {
        let opened = attacker.frame(HEADERS, END_HEADERS, 2 * call + 1, &headers);
        opened.await.unwrap();
    }
    let caller = suite.caller();
    let is_refused = async || caller.call("").await.is_err();
    // All places are taken at one time until the first deadline, however busy the machine is.
    let refused = until("the places are taken", is_refused);
    timeout(Duration::from_secs(4), refused).await.unwrap();
    let is_served = async || caller.call("").await.is_ok();
    until("the places are given back", is_served).await;
    drop(attacker);
}
