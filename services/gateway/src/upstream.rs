//! Asking the services behind the gateway: the replica that should know first, another one if it
//! does not answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tidegate_rpc::{
    client::{Replica, Replicas, with_context},
    refusal,
    server::{CallContext, for_next_hop},
};
use tidegate_telemetry::TraceContext;
use tidegate_types::Lane;
use tonic::{Request, Response, Status, transport::Channel};

use crate::{domain::retry_budget::RetryBudget, error::GatewayError};

/// Replicas asked for one call at most.
const MAX_ATTEMPTS: usize = 3;
/// A replica that has not answered a call with plenty of time left by then is given up for another
/// one.
const MAX_ATTEMPT: Duration = Duration::from_secs(3);
/// An attempt that had less time than this and got no answer says more of its caller's patience
/// than of the replica.
const FAIR_ATTEMPT: Duration = Duration::from_secs(1);

/// The replicas of one service, with the budget for trying again.
#[derive(Clone)]
pub struct Upstream {
    replicas: Replicas,
    retries: Arc<RetryBudget>,
}

impl Upstream {
    pub fn new(replicas: Replicas) -> Self {
        Self {
            replicas,
            retries: Arc::default(),
        }
    }

    /// Asks for one call, in the lane of its shopper.
    pub async fn ask_for<Message: Clone, Answer, Answering>(
        &self,
        lane: Lane,
        call: &CallContext,
        message: Message,
        send: impl Fn(Channel, Request<Message>) -> Answering,
    ) -> Result<Answer, GatewayError>
    where
        Answering: Future<Output = Result<Response<Answer>, Status>>,
    {
        let (trace, deadline) = (call.trace, call.deadline);
        let key = u64::from(lane.get());
        let message = || message.clone();
        self.ask(key, trace, deadline, message, send).await
    }

    /// Asks the replica that `key` belongs to, and others in turn if it cannot be reached. Every
    /// request made must be idempotent: one whose answer was lost is sent again elsewhere.
    pub async fn ask<Message, Answer, Answering>(
        &self,
        key: u64,
        trace: TraceContext,
        deadline: Instant,
        message: impl Fn() -> Message,
        call: impl Fn(Channel, Request<Message>) -> Answering,
    ) -> Result<Answer, GatewayError>
    where
        Answering: Future<Output = Result<Response<Answer>, Status>>,
    {
        self.retries.earn();
        for (attempt, replica) in self
            .replicas
            .for_key(key, Instant::now())
            .into_iter()
            .take(MAX_ATTEMPTS)
            .enumerate()
        {
            if attempt > 0 && !self.retries.spend() {
                break;
            }
            let began = Instant::now();
            let Some(left) = for_next_hop(deadline, began) else {
                break;
            };
            let allowed = left.min(MAX_ATTEMPT);
            let answer = call(replica.channel(), with_context(message(), trace, allowed)).await;
            if let Some(answer) = judge(&replica, answer, (began, allowed)) {
                return answer;
            }
        }
        Err(GatewayError::NoAnswer)
    }
}

/// What an answer means; `None` if it says nothing but that this replica did not answer.
fn judge<Answer>(
    replica: &Replica,
    answer: Result<Response<Answer>, Status>,
    (began, allowed): (Instant, Duration),
) -> Option<Result<Answer, GatewayError>> {
    let now = Instant::now();
    match answer {
        Ok(response) => {
            replica.answered_in(now - began);
            Some(Ok(response.into_inner()))
        }
        // A refusal is quick also where serving is slow, so it tells nothing of the replica's pace.
        Err(status) if refusal::reason_of(&status).is_some() => {
            replica.answered();
            Some(Err(refusal::from_status(&status).into()))
        }
        Err(status) => {
            tracing::debug!(replica = replica.address(), code = ?status.code(), message = status.message(), "a call got no answer");
            // Otherwise callers in a hurry could eject every replica there is.
            if allowed >= FAIR_ATTEMPT || now - began < allowed {
                replica.failed(now);
            }
            None
        }
    }
}
