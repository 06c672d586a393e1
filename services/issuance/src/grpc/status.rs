//! Errors as statuses and as refusals of one item; the only place here that makes a `Status`.

use tidegate_proto::r#type::v1 as shared;
use tidegate_rpc::{refusal, wire};
use tidegate_telemetry::FutureExt as _;
use tonic::Status;

use crate::error::IssuanceError;

impl From<IssuanceError> for Status {
    fn from(error: IssuanceError) -> Self {
        refusal::to_status(&error.refusal())
    }
}

impl From<IssuanceError> for shared::Refusal {
    fn from(error: IssuanceError) -> Self {
        wire::refusal(&error.refusal())
    }
}

/// Runs what a call asked for in a task of its own: its caller may hang up, and it goes on, as a part of the caller's story.
pub async fn detached<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Status> {
    // It ends without an answer only if the process is ending.
    let ended = |_| refusal::to_status(&refusal::out_of_time());
    tokio::spawn(work.with_current_context())
        .await
        .map_err(ended)
}
