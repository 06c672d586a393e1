//! Asks issuance for many orders of a lane at once: the replica the lane's batches meet in, and the
//! next one if that one does not answer.

use std::time::{Duration, Instant};

use tidegate_proto::issuance::v1::issuance_service_client::IssuanceServiceClient;
use tidegate_rpc::{
    MAX_MESSAGE_BYTES,
    client::{Replica, Replicas, span_of_batch, with_context},
    refusal::reason_of,
};
use tidegate_telemetry::{TraceContext, Tracing};
use tidegate_types::{Lane, Lanes, Reason};
use tokio::time::timeout_at;
use tonic::{Code, Request, Response, Status, transport::Channel};

use crate::metrics::{IssuanceCall, Metrics};

/// An attempt that had less time than this and got no answer says more of its caller's patience
/// than of the replica.
const FAIR_ATTEMPT: Duration = Duration::from_secs(1);

/// Calls issuance. Everything asked is idempotent by order id. Cheap to clone.
#[derive(Clone)]
pub struct Issuance {
    pub lanes: Lanes,
    pub replicas: Replicas,
    pub tracing: Tracing,
    pub metrics: Metrics,
}

/// The client that a call is made with.
pub type Client = IssuanceServiceClient<Channel>;

/// What a call is about.
pub struct Batch<'a> {
    pub lane: Lane,
    pub method: &'static str,
    pub items: usize,
    /// What the items belong to; none for those that belong to nobody's call.
    pub traces: &'a [TraceContext],
    pub deadline: Instant,
}

impl Issuance {
    /// Makes the call. A result for each item, in their order; none at all if nothing is known of
    /// what came of it, or the whole call was refused: asking again is safe.
    pub async fn call<Message, Answer, Answering, Item>(
        &self,
        batch: Batch<'_>,
        message: impl Fn() -> Message + Send + Sync,
        send: impl Fn(Client, Request<Message>) -> Answering + Send + Sync,
        results: impl FnOnce(Answer) -> Vec<Item> + Send,
    ) -> Vec<Item>
    where
        Answering: Future<Output = Result<Response<Answer>, Status>> + Send,
    {
        let Batch { lane, method, .. } = batch;
        for replica in self.replicas.for_key(lane.get().into(), Instant::now()) {
            let now = Instant::now();
            let left = batch.deadline.saturating_duration_since(now);
            if left.is_zero() {
                break;
            }
            let traces = batch.traces.iter().copied();
            let mut span = span_of_batch(&self.tracing, format!("call {method}"), traces);
            let request = with_context(message(), span.context(), left);
            let client = IssuanceServiceClient::new(replica.channel())
                .max_decoding_message_size(MAX_MESSAGE_BYTES);
            // The client's own timeout does not count the time until the connection takes the call.
            match timeout_at((now + left).into(), send(client, request)).await {
                Ok(Ok(response)) => {
                    replica.answered();
                    self.metrics.issuance_call(method, IssuanceCall::Answered);
                    return complete(&batch, results(response.into_inner()));
                }
                Ok(Err(status)) => {
                    span.fail(status.code().description());
                    if self.is_refused_whole(&batch, &replica, &status) {
                        return Vec::new();
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
        Vec::new()
    }

    fn is_refused_whole(&self, batch: &Batch<'_>, replica: &Replica, status: &Status) -> bool {
        let Batch { lane, method, .. } = *batch;
        // A replica of the version before knows fewer methods.
        let is_unknown = status.code() == Code::Unimplemented;
        let Some(reason) = reason_of(status).or(is_unknown.then_some(Reason::Misconfigured)) else {
            return false;
        };
        replica.answered();
        self.metrics.issuance_call(method, IssuanceCall::Refused);
        tracing::warn!(%lane, replica = replica.address(), %reason, method, orders = batch.items, "issuance refused a whole batch; its orders stay as they are and are tried again");
        true
    }
}

/// If issuance did not answer each item, nothing is known of any.
fn complete<Item>(batch: &Batch<'_>, results: Vec<Item>) -> Vec<Item> {
    let (asked, answered) = (batch.items, results.len());
    if asked == answered {
        return results;
    }
    tracing::error!(lane = %batch.lane, method = batch.method, asked, answered, "issuance did not answer each item; compare the versions of issuance and order-intake");
    Vec::new()
}

#[cfg(test)]
#[path = "../tests/service/suite/certificates.rs"]
mod certificates;

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Arc};

    use tidegate_auth::{Identity, PeerRequirement, TlsIdentity};
    use tidegate_telemetry::Registry;

    use super::*;

    #[tokio::test]
    async fn a_replica_that_does_not_answer_is_asked_last_unless_the_call_was_in_a_hurry() {
        let folder = tempfile::tempdir().unwrap();
        certificates::make(folder.path());
        let files = certificates::files(folder.path(), Identity::OrderIntake);
        let tls = TlsIdentity::load(&files, PeerRequirement::Certificate).unwrap();
        let addresses = ["127.0.0.1:1", "127.0.0.1:2"].map(str::to_owned).to_vec();
        let (replicas, _) = Replicas::find(addresses, Identity::Issuance, Arc::new(tls)).await;
        let lanes = Lanes::new(1u16).unwrap();
        let issuance = Issuance {
            lanes,
            replicas: replicas.clone(),
            tracing: Tracing::disabled(),
            metrics: Metrics::register(&mut Registry::default()),
        };
        let first = || replicas.for_key(0, Instant::now())[0].address().to_owned();
        for (patience, is_asked_last) in [
            (Duration::from_millis(100), false),
            (FAIR_ATTEMPT + Duration::from_millis(50), true),
        ] {
            let before = first();
            let batch = Batch {
                lane: lanes.lane(0).unwrap(),
                method: "VerifyCodes",
                items: 1,
                traces: &[],
                deadline: Instant::now() + patience,
            };
            let never = |_, _: Request<()>| pending::<Result<Response<()>, Status>>();
            let results = issuance.call(batch, || (), never, |()| vec![()]).await;
            assert!(results.is_empty());
            assert_eq!(first() != before, is_asked_last);
        }
    }
}
