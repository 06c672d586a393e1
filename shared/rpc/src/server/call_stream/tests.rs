use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tidegate_proto::gateway::v1::call_service_client::CallServiceClient;
use tidegate_types::{Reason, Refusal};
use tokio::{sync::mpsc, task::yield_now, time::sleep};
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::{access_rules, server::Rule};

const RULES: &[Rule] = access_rules! {
    "a.Service" { Echo: Claims; Refused: Claims; Slow: Claims; Broken: Claims; Watch: Streams; }
};

/// Echoes what it is asked, with the headers that came with it.
async fn handle(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    if head.uri.path().ends_with("Refused") {
        let refusal = Refusal::after(Reason::QueueFull, Duration::from_secs(1));
        return Ok(refusal::to_status(&refusal).into_http());
    }
    assert!(!head.uri.path().ends_with("Broken"), "a defect");
    if head.uri.path() == "/" {
        return Ok(Status::unimplemented("no such method").into_http());
    }
    if head.uri.path().ends_with("Slow") {
        sleep(Duration::from_millis(100)).await;
    }
    let asked = body.collect().await.ok().map(|body| body.to_bytes());
    let asked = asked.and_then(unframed).unwrap_or_default();
    let seen = [
        "grpc-timeout",
        TRACEPARENT_HEADER,
        PREVIOUS_ATTEMPTS_HEADER,
        "authorization",
    ];
    let seen = seen.map(|name| text(&head.headers, name)).join(" ");
    let said = [&asked[..], b" ", seen.as_bytes()].concat();
    Ok(Response::new(Body::new(Full::new(framed(&said)))))
}

type Asking = mpsc::Sender<StreamCallsRequest>;

/// A stream to these calls, and the peer that opened it.
async fn stream_to<S>(calls: S) -> (Asking, Streaming<StreamCallsResponse>, Arc<Peer>)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let rules = Arc::new(AccessRules::services_only(RULES));
    let peer = Arc::new(Peer::new(None, None));
    let connection = Arc::clone(&peer);
    let server = server(rules, calls);
    let served = tower::service_fn(move |mut request: Request<Body>| {
        request.extensions_mut().insert(CallContext {
            deadline: std::time::Instant::now(),
            peer: None,
            caller: None,
            connection: Some(Arc::clone(&connection)),
        });
        server.clone().oneshot(request)
    });
    let (asking, asked) = mpsc::channel(10_000);
    let mut request = tonic::Request::new(ReceiverStream::new(asked));
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
        request: Bytes::from_static(b"asked"),
        ..StreamCallsRequest::default()
    }
}

#[tokio::test]
async fn a_call_comes_to_its_method_with_all_that_a_call_of_its_own_says() {
    let (asking, mut answers, _) = stream_to(tower::service_fn(handle)).await;
    let asked = StreamCallsRequest {
        timeout_ms: 700,
        traceparent: "00-trace".to_owned(),
        previous_attempts: 3,
        ..call(7, "Echo")
    };
    asking.send(asked).await.unwrap();
    let answer = answers.message().await.unwrap().unwrap();
    assert_eq!((answer.call_id, answer.code), (7, 0));
    assert_eq!(&answer.response[..], b"asked 700m 00-trace 3 Bearer me");
}

#[tokio::test]
async fn a_refusal_says_over_a_stream_what_it_says_elsewhere() {
    let (asking, mut answers, _) = stream_to(tower::service_fn(handle)).await;
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
    let (asking, mut answers, _) = stream_to(tower::service_fn(handle)).await;
    for method in ["Watch", "Nothing", " no path", ""] {
        asking.send(call(1, method)).await.unwrap();
        let answer = answers.message().await.unwrap().unwrap();
        assert_eq!(Code::from_i32(answer.code), Code::Unimplemented, "{method}");
    }
}

#[tokio::test]
async fn a_call_that_waits_keeps_no_other_from_its_answer() {
    let (asking, mut answers, _) = stream_to(tower::service_fn(handle)).await;
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
    let (asking, mut answers, _) = stream_to(tower::service_fn(handle)).await;
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
    let (asking, mut answers, peer) = stream_to(tower::service_fn(handle)).await;
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
    let calls = tower::service_fn(move |_: Request<Body>| {
        counted.fetch_add(1, Ordering::SeqCst);
        let begun = Begun(Arc::clone(&counted));
        async move {
            let _begun = begun;
            std::future::pending::<Result<Response<Body>, Infallible>>().await
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

/// A body with what is held until it was sent.
struct Holding {
    body: Full<Bytes>,
    _place: Arc<()>,
}

impl http_body::Body for Holding {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }
}

#[tokio::test]
async fn an_answer_that_nobody_reads_keeps_its_place() {
    let place = Arc::new(());
    let given = Arc::clone(&place);
    let calls = tower::service_fn(move |_: Request<Body>| {
        let held = Arc::clone(&given);
        async move {
            sleep(Duration::from_millis(50)).await;
            let body = Holding {
                body: Full::new(framed(b"answer")),
                _place: held,
            };
            Ok(Response::new(Body::new(body)))
        }
    });
    let (asking, mut answers, _) = stream_to(calls).await;
    let without = Arc::strong_count(&place);
    asking.send(call(1, "Echo")).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(10), answers.message()).await;
    assert!(early.is_err());
    sleep(Duration::from_millis(200)).await;
    assert_eq!(Arc::strong_count(&place), without + 1, "nobody has read it");
    assert_eq!(
        &answers.message().await.unwrap().unwrap().response[..],
        b"answer"
    );
    assert_eq!(Arc::strong_count(&place), without);
}
