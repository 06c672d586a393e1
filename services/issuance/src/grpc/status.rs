//! Errors as statuses; the only place here that makes a `Status`.

use tidegate_rpc::refusal;
use tonic::Status;

use crate::error::IssuanceError;

/// The status of an error that ends a call.
pub fn to_status(error: &IssuanceError) -> Status {
    refusal::to_status(&error.refusal())
}

/// The status of a call whose work ended without an answer, because the process is ending.
pub fn ended(_: tokio::task::JoinError) -> Status {
    refusal::to_status(&refusal::out_of_time())
}
