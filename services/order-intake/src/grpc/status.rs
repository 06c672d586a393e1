use tidegate_proto::r#type::v1 as proto;
use tidegate_rpc::{refusal, wire};
use tidegate_types::Reason;
use tonic::Status;

use crate::error::OrderIntakeError;

/// What a call that failed is told.
pub(super) fn to_status(error: OrderIntakeError) -> Status {
    refusal::to_status(&error.into_refusal())
}

/// What an item that failed is told, and the reason for counting it.
pub(super) fn to_item_refusal(error: OrderIntakeError) -> (Reason, proto::Refusal) {
    let refusal = error.into_refusal();
    (refusal.reason, wire::refusal(&refusal))
}
