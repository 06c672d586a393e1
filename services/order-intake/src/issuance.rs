//! Asks issuance for all that has gathered in a lane: the replica the lane's batches meet in, and the next one if that one does not answer.

use std::time::{Duration, Instant};

use tidegate_proto::issuance::v1::issuance_service_client::IssuanceServiceClient;
use tidegate_rpc::{
    MAX_MESSAGE_BYTES,
    client::{Replica, Replicas, with_context},
    refusal::reason_of,
};
use tidegate_telemetry::{Span, SpanKind, TraceContext, Tracing};
use tidegate_types::{Lane, Lanes, Reason};
use tokio::time::timeout_at;
use tonic::{Code, Request, Response, Status, transport::Channel};

use crate::metrics::{IssuanceCall, Metrics};

/// An attempt that had less time than this and got no answer says more of its caller's patience than
/// of the replica.
const FAIR_ATTEMPT: Duration = Duration::from_secs(1);
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
        let replicas = self
            .replicas
            .for_key(self.lane.get().into(), Instant::now());
        for replica in replicas {
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            if left.is_zero() {
                break;
            }
            let mut span = self.call_span(method, traces);
            let request = with_context(message(now), span.context(), left);
            let client = IssuanceServiceClient::new(replica.channel())
                .max_decoding_message_size(MAX_MESSAGE_BYTES);
            // The client's own timeout does not count the time until the connection takes the call.
            match timeout_at((now + left).into(), send(client, request)).await {
                Ok(Ok(response)) => {
                    replica.answered();
                    self.metrics.issuance_call(method, IssuanceCall::Answered);
                    return Some(response.into_inner());
                }
                Ok(Err(status)) => {
                    span.fail(status.code().description());
                    if self.is_refused_whole(method, &replica, &status, traces.len()) {
                        return None;
                    }
                }
                Err(_) => span.fail("no answer in time"),
            }
            // Otherwise calls in a hurry could eject every replica there is.
            if left >= FAIR_ATTEMPT || now.elapsed() < left {
                replica.failed(Instant::now());
            }
            self.metrics.issuance_call(method, IssuanceCall::Failed);
        }
        None
    }

    fn is_refused_whole(
        &self,
        method: &'static str,
        replica: &Replica,
        status: &Status,
        orders: usize,
    ) -> bool {
        // A replica of the version before knows fewer methods.
        let is_unknown = status.code() == Code::Unimplemented;
        let Some(reason) = reason_of(status).or(is_unknown.then_some(Reason::Misconfigured)) else {
            return false;
        };
        replica.answered();
        self.metrics.issuance_call(method, IssuanceCall::Refused);
        tracing::warn!(lane = %self.lane, replica = replica.address(), %reason, method, orders, "issuance refused a whole batch; its orders stay as they are and are tried again");
        true
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

#[cfg(test)]
#[path = "../tests/suite/certificates.rs"]
mod certificates;

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Arc};

    use tidegate_auth::{Identity, PeerRequirement, TlsIdentity};
    use tidegate_telemetry::Registry;

    use super::*;

    const METHOD: &str = "VerifyCodes";

    /// Asks replicas that never answer, and tells which one was first in turn before and after.
    async fn first_before_and_after(patience: Duration) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        certificates::make(folder.path());
        let files = certificates::files(folder.path(), Identity::OrderIntake);
        let tls = TlsIdentity::load(&files, PeerRequirement::Certificate).unwrap();
        let addresses = ["127.0.0.1:1", "127.0.0.1:2"].map(str::to_owned).to_vec();
        let (replicas, _) = Replicas::find(addresses, Identity::Issuance, Arc::new(tls)).await;
        let lanes = Lanes::new(1u16).unwrap();
        let mut issuance = IssuanceOfLane {
            lane: lanes.lane(0).unwrap(),
            lanes,
            replicas: replicas.clone(),
            tracing: Tracing::disabled(),
            metrics: Metrics::register(&mut Registry::default()),
        };
        let first = || {
            let replicas = replicas.for_key(0, Instant::now());
            replicas[0].address().to_owned()
        };
        let before = first();
        let deadline = Instant::now() + patience;
        let never = |_, _: Request<()>| pending::<Result<Response<()>, Status>>();
        let answer = issuance.call(METHOD, &[], deadline, |_| (), never).await;
        assert!(answer.is_none());
        (before, first())
    }

    #[tokio::test]
    async fn a_call_in_a_hurry_that_gets_no_answer_ejects_no_replica() {
        let (before, after) = first_before_and_after(Duration::from_millis(100)).await;
        assert_eq!(before, after);
    }

    #[tokio::test]
    async fn a_replica_that_does_not_answer_a_patient_call_is_asked_last() {
        let (before, after) =
            first_before_and_after(FAIR_ATTEMPT + Duration::from_millis(50)).await;
        assert_ne!(before, after);
    }
}
