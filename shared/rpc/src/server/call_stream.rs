//! Calls that come as messages of one stream. Each passes the layers of any other call.

mod handlers;
mod streamed;

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use http::{HeaderValue, header::AUTHORIZATION};
use tidegate_proto::gateway::v1::{
    StreamCallsRequest, StreamCallsResponse,
    call_service_server::{CallService, CallServiceServer},
};
use tokio::task::{
    JoinSet,
    coop::{poll_proceed, unconstrained},
};
use tonic::{Status, Streaming};
use tower::Service;

pub use handlers::CallHandlers;
pub(super) use streamed::{StreamedAnswer, StreamedCall};

use super::{CallContext, answer::Answer as _, peer::Peer};
use crate::refusal;

/// Calls in flight on one stream; more wait at the client.
const MAX_CALLS_IN_FLIGHT: usize = 4_000;
/// The largest message: one call.
const MAX_CALL_BYTES: usize = 128 * 1024;

/// What answers calls of a stream, behind the layers of any other call.
pub(super) trait Calls:
    Service<StreamedCall, Response = StreamedAnswer, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Calls for S where
    S: Service<StreamedCall, Response = StreamedAnswer, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// The service that carries calls of these methods to `calls`.
pub(super) fn server<S: Calls>(
    handlers: CallHandlers,
    calls: S,
) -> CallServiceServer<CallStreams<S>> {
    let handlers = Arc::new(handlers);
    CallServiceServer::new(CallStreams { handlers, calls })
        .max_decoding_message_size(MAX_CALL_BYTES)
}

pub(super) struct CallStreams<S> {
    handlers: Arc<CallHandlers>,
    calls: S,
}

#[tonic::async_trait]
impl<S: Calls> CallService for CallStreams<S> {
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
            handlers: Arc::clone(&self.handlers),
            calls: self.calls.clone(),
            peer: Arc::clone(&peer),
            token: token.map(Arc::new),
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
type Answer = (u64, StreamedAnswer);

/// The answers to the calls of a stream, in the order in which they are known.
struct Answers<S> {
    /// `None` once it has ended.
    asked: Option<Asked>,
    /// Why it has ended, if it did not end well.
    failed: Option<Status>,
    opened: Opened<S>,
    /// Calls that wait for something. Each is a task of its own: many in one task would all be polled
    /// in vain whenever tokio's budget for that task is spent. An answer keeps its place until it is
    /// sent.
    in_flight: JoinSet<Answer>,
}

impl<S: Calls> Answers<S> {
    /// Begins a call here, where most refusals are also ended; one that has to wait becomes a task.
    fn begin(&mut self, asked: StreamCallsRequest, cx: &mut Context<'_>) -> Option<Answer> {
        let mut call = Box::pin(self.opened.answer(asked));
        match pin!(unconstrained(call.as_mut())).poll(cx) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => {
                self.in_flight.spawn(call);
                None
            }
        }
    }
}

/// Nothing in it is pinned in its place.
impl<S> Unpin for Answers<S> {}

impl<S: Calls> Stream for Answers<S> {
    type Item = Result<StreamCallsResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            // What was begun is ended before more is begun.
            if let Poll::Ready(Some(answer)) = this.in_flight.poll_join_next(cx) {
                return Poll::Ready(Some(answer.map(message).map_err(|_| refusal::defect())));
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
                        return Poll::Ready(Some(Ok(message(answer))));
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
struct Opened<S> {
    handlers: Arc<CallHandlers>,
    calls: S,
    peer: Arc<Peer>,
    token: Option<Arc<HeaderValue>>,
}

impl<S: Calls> Opened<S> {
    /// The layers are always ready, and so are handlers.
    fn answer(
        &mut self,
        asked: StreamCallsRequest,
    ) -> impl Future<Output = Answer> + Send + use<S> {
        let call_id = asked.call_id;
        let call = StreamedCall {
            handler: self.handlers.find(&asked.method),
            asked,
            peer: Some(Arc::clone(&self.peer)),
            token: self.token.clone(),
            context: None,
        };
        // A defect in one call is not to end those beside it.
        let answered = AssertUnwindSafe(self.calls.call(call)).catch_unwind();
        answered.map(move |answer| {
            let answer = answer.map(|Ok(answer)| answer);
            (
                call_id,
                answer.unwrap_or_else(|_| StreamedAnswer::of(refusal::defect())),
            )
        })
    }
}

fn message((call_id, answer): Answer) -> StreamCallsResponse {
    answer.into_message(call_id)
}

#[cfg(test)]
mod tests;
