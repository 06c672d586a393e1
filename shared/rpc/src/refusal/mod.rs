//! Refusals as gRPC statuses: the code, the reason for machines, when to come back, and words for people.

mod bounds;
mod words;

use std::time::Duration;

pub use bounds::MAX_METADATA_BYTES;
pub(crate) use bounds::{bytes_of, cut};
use tidegate_types::{Reason, Refusal, Retry, Timestamp};
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::{
    BadRequest, ErrorDetail, ErrorInfo, FieldViolation, LocalizedMessage, QuotaFailure,
    QuotaViolation, RetryInfo, StatusExt as _,
};
pub use words::{ASKED_TOO_OFTEN, QUEUE_IS_LONGER_THAN_STOCK, TIER_IS_GONE, Waiting, Words};

/// The domain of every reason.
pub const DOMAIN: &str = "tidegate";
/// When gRPC's own retries come back, in milliseconds; negative: not at all.
pub const PUSHBACK_HEADER: &str = "grpc-retry-pushback-ms";
/// The longest wait that UNAVAILABLE asks for. Usual retry policies sleep for as long as they are told, and at their deadline the reason is lost.
pub const MAX_PUSHBACK: Duration = Duration::from_secs(5);
/// Retries are spread over this share of the delay on top of it, so that those refused together do not come back together.
const RETRY_JITTER: f64 = 0.5;
const RETRY_WHEN_OUT_OF_TIME: Duration = Duration::from_millis(500);

/// The gRPC code of a reason that may be over after this long, if ever.
pub fn code_of(reason: Reason, delay: Option<Duration>) -> Code {
    match reason {
        Reason::BudgetExhausted => Code::ResourceExhausted,
        Reason::ShopperLimitReached
        | Reason::CampaignClosed
        | Reason::CampaignNotOpen
        | Reason::CampaignBegun
        | Reason::WaitTooLong
        | Reason::CouponRedeemed
        | Reason::CouponExpired
        | Reason::CouponRevoked
        | Reason::CouponKeyMissing
        | Reason::IssuanceHalted
        | Reason::RedemptionHalted
        | Reason::CouponNotApplicable
        | Reason::StoreBusy
        | Reason::StoreClosed
        | Reason::OrderStateConflict
        | Reason::OrderTooLate
        | Reason::StoreFailed
        | Reason::OpenOrderLimitReached
        | Reason::Misconfigured => Code::FailedPrecondition,
        Reason::Overloaded | Reason::QueueFull | Reason::StockReturning => match delay {
            Some(delay) if delay > MAX_PUSHBACK => Code::FailedPrecondition,
            _ => Code::Unavailable,
        },
        Reason::RequestIdConflict => Code::AlreadyExists,
        Reason::ControlEpochConflict => Code::Aborted,
        Reason::CampaignNotFound
        | Reason::ClaimNotFound
        | Reason::CouponNotFound
        | Reason::OrderNotFound
        | Reason::StoreNotFound
        | Reason::LeaseNotFound => Code::NotFound,
        Reason::InvalidField => Code::InvalidArgument,
        Reason::Unauthenticated => Code::Unauthenticated,
        Reason::PermissionDenied => Code::PermissionDenied,
    }
}

/// What shoppers hear of a refusal, where it is told beside an answer and not as a status.
pub fn words_of(refusal: &Refusal) -> Words {
    words::say(refusal, delay_of(refusal.retry, Timestamp::now_utc()))
}

/// The answer of a service whose time ran out before it knew the outcome.
pub fn out_of_time() -> Refusal {
    Refusal::after(Reason::Overloaded, RETRY_WHEN_OUT_OF_TIME).with(
        "detail",
        "the outcome was not known in time; ask again with the same request id",
    )
}

/// The answer of a service that met a defect of its own. Its log says more than a caller should know.
pub fn defect() -> Status {
    let words = Words::of_defect();
    let message = words.en.clone();
    let details = vec![
        LocalizedMessage::new("zh-CN", words.zh).into(),
        LocalizedMessage::new("en", words.en).into(),
    ];
    Status::with_error_details_vec(Code::Internal, message, details)
}

/// Every status of ours has details. One that says INTERNAL without any is the codec's word on a message that it could not read, or that broke off, and OUT_OF_RANGE its word on one that is too long: that is the caller's fault, and no defect.
pub fn or_unreadable(said: Status) -> Status {
    let is_of_codec = matches!(
        said.code(),
        Code::Internal | Code::Unknown | Code::OutOfRange
    );
    if !is_of_codec || !said.details().is_empty() {
        return said;
    }
    to_status(&Refusal::invalid_field("request", said.message()))
}

/// The status that tells a refusal: `ErrorInfo`, `RetryInfo`, `QuotaFailure` or `BadRequest` where they apply, a sentence in zh-CN and en, and the retry pushback. What does not fit into [`MAX_METADATA_BYTES`] is counted.
pub fn to_status(refusal: &Refusal) -> Status {
    let delay = delay_of(refusal.retry, Timestamp::now_utc());
    bounds::fitting(refusal, |refusal| status_after(refusal, delay))
}

fn status_after(refusal: &Refusal, delay: Option<Duration>) -> Status {
    let mut details = vec![ErrorDetail::from(ErrorInfo::new(
        refusal.reason.name(),
        DOMAIN,
        refusal
            .metadata
            .iter()
            .cloned()
            .collect::<std::collections::HashMap<_, _>>(),
    ))];
    if let Some(delay) = delay {
        details.push(RetryInfo::new(Some(delay)).into());
    }
    if refusal.reason == Reason::BudgetExhausted {
        details.push(
            QuotaFailure::new(vec![QuotaViolation::new(
                "campaign",
                match refusal.fact("detail") {
                    Some(words::QUEUE_IS_LONGER_THAN_STOCK) => {
                        "more claims wait than there are coupons left"
                    }
                    Some(words::TIER_IS_GONE) => "every coupon of the tier has been given out",
                    _ => "every coupon has been given out",
                },
            )])
            .into(),
        );
    }
    if !refusal.violations.is_empty() {
        let violations: Vec<_> = refusal
            .violations
            .iter()
            .map(|bad| FieldViolation::new(&bad.field, &bad.description))
            .collect();
        details.push(BadRequest::new(violations).into());
    }
    let words = words::say(refusal, delay);
    let message = words.en.clone();
    details.push(LocalizedMessage::new("zh-CN", words.zh).into());
    details.push(LocalizedMessage::new("en", words.en).into());
    let mut metadata = MetadataMap::new();
    let code = code_of(refusal.reason, delay);
    metadata.insert(PUSHBACK_HEADER, pushback_ms(code, delay).into());
    Status::with_error_details_vec_and_metadata(code, message, details, metadata)
}

/// The reason in a status of this suite; `None` if the status came from somewhere else, such as a broken connection.
pub fn reason_of(status: &Status) -> Option<Reason> {
    let info = status.get_details_error_info()?;
    (info.domain == DOMAIN).then(|| Reason::from_name(&info.reason))?
}

/// What a status of this suite said. A status from somewhere else, such as a broken connection, says only that this did not work now.
pub fn from_status(status: &Status) -> Refusal {
    let details = status.get_error_details();
    let Some(reason) = reason_of(status) else {
        return out_of_time();
    };
    let retry = details
        .retry_info()
        .and_then(|info| info.retry_delay)
        .map_or(Retry::Never, Retry::After);
    let mut refusal = Refusal {
        retry,
        ..Refusal::never(reason)
    };
    if let Some(info) = details.error_info() {
        refusal.metadata = info.metadata.clone().into_iter().collect();
    }
    for bad in details
        .bad_request()
        .into_iter()
        .flat_map(|bad| &bad.field_violations)
    {
        refusal.violations.push(tidegate_types::FieldViolation {
            field: bad.field.clone(),
            description: bad.description.clone(),
        });
    }
    refusal
}

/// Some clients come back after any pushback that is not negative, whatever the code. So only what a retry within seconds may mend has one.
fn pushback_ms(code: Code, delay: Option<Duration>) -> i64 {
    match delay {
        Some(delay) if code == Code::Unavailable => {
            i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)
        }
        _ => -1,
    }
}

fn delay_of(retry: Retry, now: Timestamp) -> Option<Duration> {
    match retry {
        Retry::Never => None,
        Retry::After(delay) => {
            let spread = delay.mul_f64(1.0 + RETRY_JITTER * rand::random::<f64>());
            // What is over within seconds stays so.
            Some(spread.min(delay.max(MAX_PUSHBACK)))
        }
        Retry::At(moment) => Some(Duration::try_from(moment - now).unwrap_or(Duration::ZERO)),
    }
}

#[cfg(test)]
mod tests;
