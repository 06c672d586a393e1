use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use prometheus_client::metrics::gauge::Gauge;
use prost::Message as _;
use tidegate_proto::gateway::v1::call_service_client::CallServiceClient;
use tidegate_telemetry::{Context as Story, TraceContext};
use tidegate_types::{Reason, Refusal};
use tokio::{sync::mpsc, task::yield_now, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, body::Body};
use tower::{ServiceExt as _, service_fn};

use super::*;
use crate::{
    PREVIOUS_ATTEMPTS_HEADER,
    server::{Limits, Work, call::Incoming as _, held::Held, in_flight::InFlight},
};

const MAX_REQUEST_BYTES: usize = 1_000;

struct Methods;

type Told = Result<tonic::Response<Vec<u8>>, Status>;

impl Methods {
    /// Says what it is asked, and what its metadata say.
    async fn echo(&self, asked: Request<Vec<u8>>) -> Told {
        let before = asked.metadata().get(PREVIOUS_ATTEMPTS_HEADER);
        let before = before.map_or("never", |times| times.to_str().unwrap());
        let told = [&asked.get_ref()[..], b", sent before: ", before.as_bytes()].concat();
        Ok(tonic::Response::new(told))
    }

    async fn refused(&self) -> Told {
        let refusal = Refusal::after(Reason::QueueFull, Duration::from_secs(1));
        Err(refusal::to_status(&refusal))
    }

    async fn slow(&self, asked: Request<Vec<u8>>) -> Told {
        sleep(Duration::from_millis(100)).await;
        self.echo(asked).await
    }

    async fn broken(&self) -> Told {
        panic!("a defect")
    }
}

fn handlers() -> CallHandlers {
    let methods = Arc::new(Methods);
    CallHandlers::new(MAX_REQUEST_BYTES)
        .with("/a.Service/Echo", &methods, |on, asked| {
            Box::pin(on.echo(asked))
        })
        .with("/a.Service/Slow", &methods, |on, asked| {
            Box::pin(on.slow(asked))
        })
        .with("/a.Service/Refused", &methods, |on, _: Request<Vec<u8>>| {
            Box::pin(on.refused())
        })
        .with("/a.Service/Broken", &methods, |on, _: Request<Vec<u8>>| {
            Box::pin(on.broken())
        })
}

/// Calls go to their handlers, and what has none is refused, as the layers do it.
async fn handle(call: StreamedCall) -> Result<StreamedAnswer, Infallible> {
    if call.path().is_empty() {
        return Ok(StreamedAnswer::of(Status::unimplemented("no such method")));
    }
    call.handle().await.map(StreamedAnswer::or_unreadable)
}

type Asking = mpsc::Sender<StreamCallsRequest>;

/// A stream to these calls, and the peer that opened it.
async fn stream_to(calls: impl Calls) -> (Asking, Streaming<StreamCallsResponse>, Arc<Peer>) {
    let peer = Arc::new(Peer::new(None, None));
    let connection = Arc::clone(&peer);
    let server = server(handlers(), calls);
    let served = service_fn(move |mut request: http::Request<Body>| {
        request.extensions_mut().insert(CallContext {
            deadline: std::time::Instant::now(),
            peer: None,
            caller: None,
            connection: Some(Arc::clone(&connection)),
        });
        server.clone().oneshot(request)
    });
    let (asking, asked) = mpsc::channel(10_000);
    let mut request = Request::new(ReceiverStream::new(asked));
    request
        .metadata_mut()
        .insert("authorization", "Bearer me".parse().unwrap());
    let answers = CallServiceClient::new(served)
        .stream_calls(request)
        .await
        .unwrap();
    (asking, answers.into_inner(), peer)
}

fn call(call_id: u64, method: &str) -> StreamCallsRequest {
    StreamCallsRequest {
        call_id,
        method: format!("a.Service/{method}"),
        request: b"asked".to_vec().encode_to_vec().into(),
        ..StreamCallsRequest::default()
    }
}

fn said(answer: StreamCallsResponse) -> String {
    let told = Vec::decode(answer.response).unwrap();
    String::from_utf8(told).unwrap()
}

#[tokio::test]
async fn a_call_comes_to_its_method_with_all_that_a_call_of_its_own_says() {
    let trace = TraceContext::new_root(true);
    let seen = service_fn(move |call: StreamedCall| {
        assert_eq!(call.path(), "/a.Service/Echo");
        assert_eq!(call.authorization(), Some("Bearer me"));
        assert_eq!(call.patience(), Some(Duration::from_millis(700)));
        assert_eq!(call.trace(), Some(trace));
        handle(call)
    });
    let (asking, mut answers, _) = stream_to(seen).await;
    let asked = StreamCallsRequest {
        timeout_ms: 700,
        traceparent: trace.traceparent(),
        previous_attempts: 3,
        ..call(7, "Echo")
    };
    asking.send(asked).await.unwrap();
    let answer = answers.message().await.unwrap().unwrap();
    assert_eq!((answer.call_id, answer.code), (7, 0));
    assert_eq!(said(answer), "asked, sent before: 3");
}

#[tokio::test]
async fn a_request_that_cannot_be_read_or_is_too_long_is_its_callers_fault() {
    let (asking, mut answers, _) = stream_to(service_fn(handle)).await;
    for request in [vec![7; 10], vec![0; MAX_REQUEST_BYTES + 1]] {
        let asked = StreamCallsRequest {
            request: request.into(),
            ..call(1, "Echo")
        };
        asking.send(asked).await.unwrap();
        let answer = answers.message().await.unwrap().unwrap();
        assert_eq!(Code::from_i32(answer.code), Code::InvalidArgument);
        assert!(!answer.status_details.is_empty(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_refusal_says_over_a_stream_what_it_says_elsewhere() {
    let (asking, mut answers, _) = stream_to(service_fn(handle)).await;
    asking.send(call(1, "Refused")).await.unwrap();
    let answer = answers.message().await.unwrap().unwrap();
    let details = answer.status_details;
    let status = Status::with_details(Code::from_i32(answer.code), answer.message, details);
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(refusal::from_status(&status).reason, Reason::QueueFull);
    assert!(answer.retry_pushback_ms.is_some_and(|ms| ms >= 1_000));
    assert!(answer.response.is_empty());
}

#[tokio::test]
async fn methods_that_stream_and_such_as_there_are_not_are_no_calls_of_a_stream() {
    let (asking, mut answers, _) = stream_to(service_fn(handle)).await;
    for method in ["Watch", "Nothing", " no path", ""] {
        asking.send(call(1, method)).await.unwrap();
        let answer = answers.message().await.unwrap().unwrap();
        assert_eq!(Code::from_i32(answer.code), Code::Unimplemented, "{method}");
    }
}

#[tokio::test]
async fn a_call_that_waits_keeps_no_other_from_its_answer() {
    let (asking, mut answers, _) = stream_to(service_fn(handle)).await;
    for asked in [call(1, "Slow"), call(2, "Echo"), call(3, "Refused")] {
        asking.send(asked).await.unwrap();
    }
    let mut order = Vec::new();
    for _ in 0..3 {
        order.push(answers.message().await.unwrap().unwrap().call_id);
    }
    assert_eq!(order, [2, 3, 1]);
}

#[tokio::test]
async fn a_defect_in_one_call_and_a_message_that_cannot_be_read_cost_no_other_its_answer() {
    let (asking, mut answers, _) = stream_to(service_fn(handle)).await;
    asking.send(call(1, "Slow")).await.unwrap();
    asking.send(call(2, "Broken")).await.unwrap();
    let too_long = StreamCallsRequest {
        request: vec![0; MAX_CALL_BYTES].into(),
        ..call(3, "Echo")
    };
    asking.send(too_long).await.unwrap();
    let broken = answers.message().await.unwrap().unwrap();
    let code = Code::from_i32(broken.code);
    assert_eq!((broken.call_id, code), (2, Code::Internal));
    assert_eq!(answers.message().await.unwrap().unwrap().call_id, 1);
    let unreadable = answers.message().await.unwrap_err();
    assert_eq!(unreadable.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_stream_whose_peer_is_told_to_go_answers_what_it_was_asked_and_ends_well() {
    let (asking, mut answers, peer) = stream_to(service_fn(handle)).await;
    asking.send(call(1, "Slow")).await.unwrap();
    asking.send(call(2, "Echo")).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap().call_id, 2);
    peer.told_to_go();
    assert_eq!(answers.message().await.unwrap().unwrap().call_id, 1);
    assert!(answers.message().await.unwrap().is_none());
}

#[tokio::test]
async fn a_stream_takes_so_many_calls_at_a_time_and_drops_them_when_it_is_given_up() {
    struct Begun(Arc<AtomicUsize>);
    impl Drop for Begun {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let in_flight = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&in_flight);
    let calls = service_fn(move |_: StreamedCall| {
        counted.fetch_add(1, Ordering::SeqCst);
        let begun = Begun(Arc::clone(&counted));
        async move {
            let _begun = begun;
            std::future::pending::<Result<StreamedAnswer, Infallible>>().await
        }
    });
    let (asking, mut answers, _) = stream_to(calls).await;
    for call_id in 0..MAX_CALLS_IN_FLIGHT as u64 + 100 {
        asking.send(call(call_id, "Echo")).await.unwrap();
    }
    let nothing = tokio::time::timeout(Duration::from_millis(300), answers.message()).await;
    assert!(nothing.is_err());
    assert_eq!(in_flight.load(Ordering::SeqCst), MAX_CALLS_IN_FLIGHT);
    drop((answers, asking));
    while in_flight.load(Ordering::SeqCst) > 0 {
        yield_now().await;
    }
}

#[tokio::test]
async fn an_answer_that_nobody_reads_keeps_its_place() {
    let gauge = Gauge::default();
    let in_flight = Arc::new(InFlight::new(10, &Limits::default(), gauge.clone()));
    let calls = service_fn(move |call: StreamedCall| {
        let held = Held {
            _place: in_flight.take(Work::Claims, None).ok().unwrap(),
            _permit: None,
            story: Story::new(),
        };
        async move { Ok(call.handle().await?.until_sent(held)) }
    });
    let (asking, mut answers, _) = stream_to(calls).await;
    asking.send(call(1, "Slow")).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(10), answers.message()).await;
    assert!(early.is_err());
    sleep(Duration::from_millis(200)).await;
    assert_eq!(gauge.get(), 1, "nobody has read it");
    let answer = answers.message().await.unwrap().unwrap();
    assert_eq!(said(answer), "asked, sent before: never");
    assert_eq!(gauge.get(), 0);
}
