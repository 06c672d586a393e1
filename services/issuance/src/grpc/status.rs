//! Errors as refusals and statuses; the only place here that makes a `Status`.

use std::time::Duration;

use tidegate_pg::NotCommitted;
use tidegate_rpc::refusal;
use tidegate_types::{Reason, Refusal};
use time::format_description::well_known::Rfc3339;
use tonic::Status;

use crate::error::IssuanceError;

const RETRY_WHILE_STOCK_RETURNS: Duration = Duration::from_millis(700);
const RETRY_WHILE_AWAY: Duration = Duration::from_secs(1);

/// What callers are told of an error.
pub fn refusal_of(error: &IssuanceError) -> Refusal {
    match error {
        IssuanceError::BudgetExhausted => Refusal::never(Reason::BudgetExhausted),
        IssuanceError::StockReturning => {
            Refusal::after(Reason::StockReturning, RETRY_WHILE_STOCK_RETURNS)
        }
        IssuanceError::ShopperLimitReached => Refusal::never(Reason::ShopperLimitReached),
        IssuanceError::RequestIdConflict => Refusal::never(Reason::RequestIdConflict),
        IssuanceError::CampaignNotOpen { opens_at } => {
            Refusal::at(Reason::CampaignNotOpen, *opens_at)
                .with("opens_at", opens_at.format(&Rfc3339).unwrap_or_default())
        }
        IssuanceError::CampaignClosed => Refusal::never(Reason::CampaignClosed),
        IssuanceError::CouponNotFound => Refusal::never(Reason::CouponNotFound),
        IssuanceError::CouponRedeemed { order_id } => {
            Refusal::never(Reason::CouponRedeemed).with("order_id", order_id)
        }
        IssuanceError::CouponExpired { valid_until } => Refusal::never(Reason::CouponExpired).with(
            "valid_until",
            valid_until.format(&Rfc3339).unwrap_or_default(),
        ),
        IssuanceError::CouponRevoked => Refusal::never(Reason::CouponRevoked),
        IssuanceError::InvalidFields(violations) => Refusal {
            violations: violations.as_slice().to_vec(),
            ..Refusal::never(Reason::InvalidField)
        },
        IssuanceError::OtherLanes { lanes } => Refusal::never(Reason::Misconfigured)
            .with("detail", format!("this database has {lanes} lanes")),
        IssuanceError::NotCommitted(NotCommitted::Full { retry_after }) => {
            Refusal::after(Reason::QueueFull, *retry_after)
        }
        IssuanceError::NotCommitted(NotCommitted::TooLate { retry_after })
        | IssuanceError::StockLate { retry_after } => {
            Refusal::after(Reason::Overloaded, *retry_after)
        }
        IssuanceError::NotCommitted(NotCommitted::Unknown) => refusal::out_of_time(),
        IssuanceError::NotCommitted(NotCommitted::Failed | NotCommitted::Closed)
        | IssuanceError::CampaignNotKnownYet
        | IssuanceError::DatabaseAway
        | IssuanceError::Internal => Refusal::after(Reason::Overloaded, RETRY_WHILE_AWAY),
    }
}

/// The status of an error that ends a call.
pub fn to_status(error: &IssuanceError) -> Status {
    refusal::to_status(&refusal_of(error))
}

/// The status of a call whose work ended without an answer, because the process is ending.
pub fn ended(_: tokio::task::JoinError) -> Status {
    refusal::to_status(&refusal::out_of_time())
}
