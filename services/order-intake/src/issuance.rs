//! Asks issuance for all that has gathered in a lane: the replica the lane's batches meet in, and the next one if that one does not answer.

use std::time::{Duration, Instant};

use tidegate_proto::issuance::v1::issuance_service_client::IssuanceServiceClient;
use tidegate_rpc::{
    MAX_MESSAGE_BYTES,
    client::{CallFailed, Replicas, RetryPolicy},
};
use tidegate_telemetry::{Span, SpanKind, TraceContext, Tracing};
use tidegate_types::{Lane, Lanes};
use tonic::{Request, Response, Status, transport::Channel};

use crate::metrics::{IssuanceCall, Metrics};

/// Links of one call's span at most.
const MAX_LINKS: usize = 128;

/// Calls issuance for one lane. Everything asked is idempotent by order id.
#[derive(Clone)]
pub struct IssuanceOfLane {
    pub lane: Lane,
    pub lanes: Lanes,
    pub replicas: Replicas,
    pub tracing: Tracing,
    pub metrics: Metrics,
}

/// The client that a call is made with.
pub type Client = IssuanceServiceClient<Channel>;

impl IssuanceOfLane {
    /// Makes the call. `None` if nothing is known of what came of it, or the whole call was refused: asking again is safe.
    pub async fn call<Message, Answer, Answering>(
        &mut self,
        method: &'static str,
        traces: &[TraceContext],
        deadline: Instant,
        message: impl Fn(Instant) -> Message + Send + Sync,
        send: impl Fn(Client, Request<Message>) -> Answering + Send + Sync,
    ) -> Option<Answer>
    where
        Answering: Future<Output = Result<Response<Answer>, Status>> + Send,
    {
        let mut span = self.call_span(method, traces);
        let policy = RetryPolicy::for_key(self.lane.get().into(), deadline);
        let send = |channel, request| {
            let client =
                IssuanceServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
            send(client, request)
        };
        let message = || message(Instant::now());
        let answer = self
            .replicas
            .call(policy, span.context(), message, send)
            .await;
        let ended = match &answer {
            Ok(_) => IssuanceCall::Answered,
            Err(CallFailed::Refused(_) | CallFailed::UnknownMethod) => IssuanceCall::Refused,
            Err(CallFailed::NoAnswer(_)) => IssuanceCall::Failed,
        };
        self.metrics.issuance_call(method, ended);
        let failed = match answer {
            Ok(answer) => return Some(answer),
            Err(failed) => failed,
        };
        span.fail(failed.to_string());
        if ended == IssuanceCall::Refused {
            tracing::warn!(lane = %self.lane, reason = %failed, method, orders = traces.len(), "issuance refused a whole batch; its orders stay as they are and are tried again");
        }
        None
    }

    /// Whether issuance answered each item. If it did not, nothing is known of any.
    pub fn is_complete(&self, method: &'static str, asked: usize, answered: usize) -> bool {
        if asked != answered {
            tracing::error!(lane = %self.lane, method, asked, answered, "issuance did not answer each item; compare the versions of issuance and order-intake");
        }
        asked == answered
    }

    /// The call's own span, which starts a story of its own and links to the orders it carries.
    fn call_span(&self, method: &str, traces: &[TraceContext]) -> Span {
        let recorded = traces.iter().any(TraceContext::sampled);
        let root = TraceContext::new_root(recorded);
        let mut span = self
            .tracing
            .start(format!("call {method}"), SpanKind::Client, root);
        span.attribute(
            "tidegate.batch_size",
            i64::try_from(traces.len()).unwrap_or(i64::MAX),
        );
        traces
            .iter()
            .filter(|trace| trace.sampled())
            .take(MAX_LINKS)
            .for_each(|trace| span.link(*trace));
        span
    }
}

/// What is left until a deadline, as items carry it.
pub fn milliseconds_left(deadline: Instant, now: Instant) -> u32 {
    let left: Duration = deadline.saturating_duration_since(now);
    u32::try_from(left.as_millis()).unwrap_or(u32::MAX)
}
