//! Asks issuance for many orders of a lane at once: the replica the lane's batches meet in, and the
//! next one if that one does not answer.

use std::time::Instant;

use tidegate_proto::issuance::v1::issuance_service_client::IssuanceServiceClient;
use tidegate_rpc::{
    MAX_MESSAGE_BYTES,
    client::{CallFailed, Replicas, RetryPolicy, TracedChannel},
};
use tidegate_telemetry::fail;
use tidegate_types::{Lane, Lanes};
use tonic::{Request, Response, Status};

use crate::metrics::Metrics;

/// Calls issuance. Everything asked is idempotent by order id. Cheap to clone.
#[derive(Clone)]
pub struct Issuance {
    pub lanes: Lanes,
    pub replicas: Replicas,
    pub metrics: Metrics,
}

pub type Client = IssuanceServiceClient<TracedChannel>;

pub struct Batch {
    pub lane: Lane,
    pub method: &'static str,
    pub items: usize,
    pub deadline: Instant,
    /// Whether somebody waits for it; otherwise it is order-intake's own work.
    pub is_for_callers: bool,
}

impl Issuance {
    /// Makes the call. A result for each item, in their order; none at all if nothing is known of
    /// what came of it, or the whole call was refused: asking again is safe.
    pub async fn call<Message, Answer, Answering, Item>(
        &self,
        batch: Batch,
        message: impl Fn() -> Message + Send + Sync,
        send: impl Fn(Client, Request<Message>) -> Answering + Send + Sync,
        results: impl FnOnce(Answer) -> Vec<Item> + Send,
    ) -> Vec<Item>
    where
        Answering: Future<Output = Result<Response<Answer>, Status>> + Send,
    {
        let Batch { lane, method, .. } = batch;
        let key = lane.get().into();
        let policy = match batch.is_for_callers {
            true => RetryPolicy::for_key(key, batch.deadline),
            false => RetryPolicy::of_own_accord(key, batch.deadline),
        };
        let send = |channel, request| {
            let client =
                IssuanceServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
            send(client, request)
        };
        let failed = match self.replicas.call(policy, message, send).await {
            Ok(answer) => {
                self.metrics.issuance_call(method, "answered");
                return complete(&batch, results(answer));
            }
            Err(failed) => failed,
        };
        fail(&failed);
        if let CallFailed::NoAnswer(_) = &failed {
            self.metrics.issuance_call(method, "failed");
        } else {
            self.metrics.issuance_call(method, "refused");
            tracing::warn!(%lane, reason = %failed, method, orders = batch.items, "issuance refused a whole batch; its orders stay as they are and are tried again");
        }
        Vec::new()
    }
}

/// If issuance did not answer each item, nothing is known of any.
fn complete<Item>(batch: &Batch, results: Vec<Item>) -> Vec<Item> {
    let (asked, answered) = (batch.items, results.len());
    if asked == answered {
        return results;
    }
    tracing::error!(lane = %batch.lane, method = batch.method, asked, answered, "issuance did not answer each item; compare the versions of issuance and order-intake");
    Vec::new()
}
