//! Calls that come as messages of one stream. Each passes the layers of any other call.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, Full};
use tidegate_proto::gateway::v1::{
    StreamCallsRequest, StreamCallsResponse,
    call_service_server::{CallService, CallServiceServer},
};
use tokio::task::{
    JoinSet,
    coop::{poll_proceed, unconstrained},
};
use tonic::{Code, Status, Streaming, body::Body};
use tower::{Service, ServiceExt as _, util::BoxCloneSyncService};

use super::{AccessRules, CallContext, answer::code_of, peer::Peer};
use crate::{
    PREVIOUS_ATTEMPTS_HEADER, TRACE_ID_HEADER, TRACEPARENT_HEADER,
    frame::{framed, unframed},
    refusal::{self, PUSHBACK_HEADER},
};

/// Calls in flight on one stream; more wait at the client.
const MAX_CALLS_IN_FLIGHT: usize = 4_000;
/// The largest message: one call.
const MAX_CALL_BYTES: usize = 128 * 1024;
/// How gRPC tells how long a caller waits.
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// What it takes for a number: eight digits.
const MAX_TIMEOUT_MS: u32 = 99_999_999;
const TRACEPARENT: HeaderName = HeaderName::from_static(TRACEPARENT_HEADER);

type Calls = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// The service that carries calls to `calls`, which are the others of its server.
pub(super) fn server<S>(rules: Arc<AccessRules>, calls: S) -> CallServiceServer<CallStreams>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let calls = BoxCloneSyncService::new(calls);
    CallServiceServer::new(CallStreams { rules, calls }).max_decoding_message_size(MAX_CALL_BYTES)
}

pub(super) struct CallStreams {
    rules: Arc<AccessRules>,
    calls: Calls,
}

#[tonic::async_trait]
impl CallService for CallStreams {
    type StreamCallsStream =
        Pin<Box<dyn Stream<Item = Result<StreamCallsResponse, Status>> + Send>>;

    async fn stream_calls(
        &self,
        request: tonic::Request<Streaming<StreamCallsRequest>>,
    ) -> Result<tonic::Response<Self::StreamCallsStream>, Status> {
        let context = request.extensions().get::<CallContext>();
        let peer = context.and_then(|context| context.connection.clone());
        let peer = peer.ok_or_else(refusal::defect)?;
        let token = request.metadata().as_ref().get(AUTHORIZATION).cloned();
        let opened = Opened {
            rules: Arc::clone(&self.rules),
            calls: self.calls.clone(),
            peer: Arc::clone(&peer),
            token,
        };
        let told_to_go = async move { peer.going().await };
        let asked = request.into_inner().take_until(Box::pin(told_to_go));
        Ok(tonic::Response::new(Box::pin(Answers {
            asked: Some(Box::pin(asked)),
            failed: None,
            opened,
            in_flight: JoinSet::new(),
        })))
    }
}

type Asked = Pin<Box<dyn Stream<Item = Result<StreamCallsRequest, Status>> + Send>>;
type Answer = (u64, Response<Body>);

/// The answers to the calls of a stream, in the order in which they are known.
struct Answers {
    /// `None` once it has ended.
    asked: Option<Asked>,
    /// Why it has ended, if it did not end well.
    failed: Option<Status>,
    opened: Opened,
    /// Calls that wait for something. Each is a task of its own: many in one task would all be polled
    /// in vain whenever tokio's budget for that task is spent. An answer keeps its place until it is
    /// sent.
    in_flight: JoinSet<Answer>,
}

impl Answers {
    /// Begins a call here, where most refusals are also ended; one that has to wait becomes a task.
    fn begin(&mut self, asked: StreamCallsRequest, cx: &mut Context<'_>) -> Option<Answer> {
        let mut call = Box::pin(self.opened.clone().answer(asked));
        match pin!(unconstrained(call.as_mut())).poll(cx) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => {
                self.in_flight.spawn(call);
                None
            }
        }
    }
}

impl Stream for Answers {
    type Item = Result<StreamCallsResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            // What was begun is ended before more is begun.
            if let Poll::Ready(Some(answer)) = this.in_flight.poll_join_next(cx) {
                return Poll::Ready(Some(answer.map(told).map_err(|_| refusal::defect())));
            }
            let Some(asked) = &mut this.asked else {
                return match this.in_flight.is_empty() {
                    true => Poll::Ready(this.failed.take().map(Err)),
                    false => Poll::Pending,
                };
            };
            if this.in_flight.len() >= MAX_CALLS_IN_FLIGHT {
                return Poll::Pending;
            }
            // However much is asked, other work of the process has its turn.
            let turn = ready!(poll_proceed(cx));
            match ready!(asked.poll_next_unpin(cx)) {
                Some(Ok(asked)) => {
                    turn.made_progress();
                    if let Some(answer) = this.begin(asked, cx) {
                        return Poll::Ready(Some(Ok(told(answer))));
                    }
                }
                Some(Err(unreadable)) => {
                    this.failed = Some(refusal::or_unreadable(unreadable));
                    this.asked = None;
                }
                None => this.asked = None,
            }
        }
    }
}

/// What all calls of a stream share.
#[derive(Clone)]
struct Opened {
    rules: Arc<AccessRules>,
    calls: Calls,
    peer: Arc<Peer>,
    token: Option<HeaderValue>,
}

impl Opened {
    async fn answer(self, asked: StreamCallsRequest) -> Answer {
        let call_id = asked.call_id;
        let request = self.request(asked);
        let answered = AssertUnwindSafe(self.calls.oneshot(request)).catch_unwind();
        // A defect in one call is not to end those beside it.
        let answer = answered.await.map(|Ok(answer)| answer);
        (
            call_id,
            answer.unwrap_or_else(|_| refusal::defect().into_http()),
        )
    }

    fn request(&self, asked: StreamCallsRequest) -> Request<Body> {
        let message = Full::new(framed(&asked.request));
        let mut request = Request::new(Body::new(message));
        *request.method_mut() = Method::POST;
        // What is no method of one answer becomes a path that names no method.
        let path = Uri::try_from(format!("/{}", asked.method)).unwrap_or_default();
        if self.rules.has_one_answer(path.path()) {
            *request.uri_mut() = path;
        }
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.extend(self.token.clone().map(|token| (AUTHORIZATION, token)));
        if asked.timeout_ms > 0 {
            let timeout = format!("{}m", asked.timeout_ms.min(MAX_TIMEOUT_MS));
            headers.extend(HeaderValue::try_from(timeout).map(|timeout| (TIMEOUT, timeout)));
        }
        if !asked.traceparent.is_empty() {
            let trace = HeaderValue::try_from(asked.traceparent);
            headers.extend(trace.map(|trace| (TRACEPARENT, trace)));
        }
        if asked.previous_attempts > 0 {
            headers.insert(PREVIOUS_ATTEMPTS_HEADER, asked.previous_attempts.into());
        }
        request.extensions_mut().insert(Arc::clone(&self.peer));
        request
    }
}

/// The answer as a message.
fn told((call_id, answer): Answer) -> StreamCallsResponse {
    let (mut head, body) = answer.into_parts();
    let headers = &mut head.headers;
    let trace_id = text(headers, TRACE_ID_HEADER);
    let mut message = None;
    if code_of(headers) == Code::Ok {
        // The one message is there with the head.
        match body.collect().now_or_never() {
            Some(Ok(body)) => {
                headers.extend(body.trailers().cloned().unwrap_or_default());
                message = unframed(body.to_bytes());
            }
            Some(Err(failed)) => *headers = failed.into_http::<()>().into_parts().0.headers,
            None => {}
        }
    }
    let status = Status::from_header_map(headers).filter(|status| status.code() != Code::Ok);
    let answer = StreamCallsResponse {
        call_id,
        trace_id,
        ..StreamCallsResponse::default()
    };
    match (status, message) {
        (None, Some(response)) => StreamCallsResponse { response, ..answer },
        (status, _) => {
            let status = status.unwrap_or_else(refusal::defect);
            StreamCallsResponse {
                code: status.code().into(),
                message: status.message().to_owned(),
                status_details: Bytes::copy_from_slice(status.details()),
                retry_pushback_ms: text(headers, PUSHBACK_HEADER).parse().ok(),
                ..answer
            }
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
