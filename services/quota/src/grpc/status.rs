use std::time::Instant;

use tidegate_rpc::{refusal, server::CallContext};
use tidegate_types::Timestamp;
use tonic::{Request, Response, Status};

use crate::{error::QuotaError, metrics::Metrics, staff::StaffCall};

pub(super) type Answer<T> = Result<Response<T>, Status>;

/// Turns outcomes into what callers are told, and counts refusals.
#[derive(Clone)]
pub(super) struct Answers(Metrics);

impl Answers {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self(metrics)
    }

    /// The answer to an outcome.
    pub(super) fn of<T>(&self, outcome: Result<T, QuotaError>) -> Answer<T> {
        outcome.map(Response::new).map_err(|error| match error.refusal() {
            Some(refusal) => {
                self.0.refused(refusal.reason);
                refusal::to_status(&refusal)
            }
            None => {
                tracing::error!(%error, "a call failed for a reason that should not occur; nothing was committed, and the text says which statement or row to look at");
                refusal::defect()
            }
        })
    }

    /// The answer to work that goes on when its caller hangs up: a cancelled call must not cancel a commit.
    pub(super) async fn of_detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, QuotaError>> + Send + 'static,
    ) -> Answer<T> {
        match tokio::spawn(work).await {
            Ok(outcome) => self.of(outcome),
            Err(ended) if ended.is_panic() => Err(refusal::defect()),
            // The process is ending under the task, so the outcome is not known.
            Err(_) => Err(refusal::to_status(&refusal::out_of_time())),
        }
    }
}

pub(super) fn call_of<T>(request: &Request<T>) -> Result<CallContext, Status> {
    let call = request.extensions().get::<CallContext>().cloned();
    call.ok_or_else(|| {
        tracing::error!("a call came past the call layer; the service is wired wrongly");
        refusal::defect()
    })
}

/// A call that changes something.
pub(super) fn staff_call_of<T>(request: &Request<T>) -> Result<StaffCall, Status> {
    let call = call_of(request)?;
    Ok(StaffCall {
        actor: call.actor(),
        came_at: Timestamp::now_utc(),
        began: Instant::now(),
        deadline: call.deadline,
        trace: call.trace,
    })
}
