//! Errors as refusals and statuses; the only place here that makes a `Status`.

use std::time::Duration;

use tidegate_rpc::refusal;
use tidegate_types::{Reason, Refusal, Timestamp};
use time::format_description::well_known::Rfc3339;
use tonic::Status;

use crate::{error::GatewayError, metrics::GatewayMetrics};

const RETRY_WHEN_FULL: Duration = Duration::from_millis(500);
const RETRY_WHEN_STARTING: Duration = Duration::from_secs(1);
const RETRY_WHEN_HELD: Duration = Duration::from_secs(2);

/// What callers are told of an error.
pub fn refusal_of(error: GatewayError) -> Refusal {
    match error {
        GatewayError::InvalidFields(bad) => Refusal::invalid(bad),
        GatewayError::OtherShopper => Refusal::never(Reason::PermissionDenied)
            .with("detail", "the token is bound to another shopper"),
        GatewayError::CampaignNotFound => Refusal::never(Reason::CampaignNotFound),
        GatewayError::CampaignNotOpen { opens_at } => {
            Refusal::at(Reason::CampaignNotOpen, opens_at)
                .with("opens_at", opens_at.format(&Rfc3339).unwrap_or_default())
        }
        GatewayError::IssuanceHalted { resume_at } => {
            Refusal::halted(Reason::IssuanceHalted, resume_at, Timestamp::now_utc())
        }
        GatewayError::IssuanceHeld => Refusal::after(Reason::Overloaded, RETRY_WHEN_HELD),
        GatewayError::ClaimNotFound => Refusal::never(Reason::ClaimNotFound),
        GatewayError::CouponNotFound => Refusal::never(Reason::CouponNotFound),
        GatewayError::Full => Refusal::after(Reason::QueueFull, RETRY_WHEN_FULL),
        GatewayError::NotReady => Refusal::after(Reason::Overloaded, RETRY_WHEN_STARTING),
        GatewayError::NoAnswer => refusal::out_of_time(),
        GatewayError::Refused(refusal) => refusal,
    }
}

/// The status of an error, counted.
pub fn to_status(error: GatewayError, service: &'static str, metrics: &GatewayMetrics) -> Status {
    let refusal = refusal_of(error);
    metrics.refused(service, refusal.reason);
    refusal::to_status(&refusal)
}
