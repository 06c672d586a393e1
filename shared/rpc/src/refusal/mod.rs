//! Refusals as gRPC statuses: the code, the reason for machines, when to come back, and words for people.

mod words;

use std::time::Duration;

use tidegate_types::{Reason, Refusal, Retry, Timestamp};
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::{
    BadRequest, ErrorDetail, ErrorInfo, FieldViolation, LocalizedMessage, QuotaFailure,
    QuotaViolation, RetryInfo, StatusExt as _,
};
pub use words::{ASKED_TOO_OFTEN, QUEUE_IS_LONGER_THAN_STOCK, TIER_IS_GONE, Waiting, Words};

/// The domain of every reason.
pub const DOMAIN: &str = "tidegate";
const PUSHBACK_HEADER: &str = "grpc-retry-pushback-ms";
/// Retries are spread over this share of the delay on top of it, so that those refused together do not come back together.
const RETRY_JITTER: f64 = 0.5;
const RETRY_WHEN_OUT_OF_TIME: Duration = Duration::from_millis(500);

/// The gRPC code of a reason.
pub fn code_of(reason: Reason) -> Code {
    match reason {
        Reason::BudgetExhausted => Code::ResourceExhausted,
        Reason::ShopperLimitReached
        | Reason::CampaignClosed
        | Reason::CampaignNotOpen
        | Reason::CouponRedeemed
        | Reason::CouponExpired
        | Reason::CouponRevoked
        | Reason::IssuanceHalted
        | Reason::RedemptionHalted
        | Reason::CouponNotApplicable
        | Reason::StoreClosed
        | Reason::OrderStateConflict
        | Reason::OrderTooLate
        | Reason::StoreFailed
        | Reason::OpenOrderLimitReached
        | Reason::Misconfigured => Code::FailedPrecondition,
        Reason::Overloaded | Reason::QueueFull | Reason::StockReturning | Reason::StoreBusy => {
            Code::Unavailable
        }
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

/// The status that tells a refusal: `ErrorInfo`, `RetryInfo`, `QuotaFailure` or `BadRequest` where they apply, a sentence in zh-CN and en, and the retry pushback.
pub fn to_status(refusal: &Refusal) -> Status {
    let delay = delay_of(refusal.retry, Timestamp::now_utc());
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
    // A negative pushback tells gRPC's own retry logic to leave it.
    let pushback = delay.map_or(-1, |delay| {
        i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)
    });
    metadata.insert(PUSHBACK_HEADER, pushback.into());
    Status::with_error_details_vec_and_metadata(code_of(refusal.reason), message, details, metadata)
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

fn delay_of(retry: Retry, now: Timestamp) -> Option<Duration> {
    match retry {
        Retry::Never => None,
        Retry::After(delay) => Some(delay.mul_f64(1.0 + RETRY_JITTER * rand::random::<f64>())),
        Retry::At(moment) => Some(Duration::try_from(moment - now).unwrap_or(Duration::ZERO)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_types::Violations;

    #[test]
    fn every_reason_has_words_in_both_languages_and_survives_the_wire() {
        for reason in Reason::ALL {
            let status = to_status(&Refusal::never(*reason));
            assert_eq!(reason_of(&status), Some(*reason));
            let spoken: Vec<_> = status
                .get_error_details_vec()
                .into_iter()
                .filter_map(|detail| match detail {
                    ErrorDetail::LocalizedMessage(words) => Some(words),
                    _ => None,
                })
                .collect();
            assert_eq!(
                spoken
                    .iter()
                    .map(|words| words.locale.as_str())
                    .collect::<Vec<_>>(),
                ["zh-CN", "en"],
                "{reason}"
            );
            assert!(
                spoken.iter().all(|words| words.message.chars().count() > 5),
                "{reason}"
            );
            assert!(
                spoken[1].message.is_ascii() && !spoken[0].message.is_ascii(),
                "{reason}"
            );
        }
    }

    #[test]
    fn a_final_refusal_tells_clients_not_to_retry() {
        let status = to_status(&Refusal::never(Reason::BudgetExhausted));
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.metadata().get(PUSHBACK_HEADER).unwrap(), "-1");
        assert!(status.get_details_retry_info().is_none());
        assert!(status.get_details_quota_failure().is_some());
    }

    #[test]
    fn retry_delays_are_at_least_what_was_asked_and_spread() {
        let refusal = Refusal::after(Reason::Overloaded, Duration::from_millis(100));
        let delays: Vec<_> = (0..50)
            .map(|_| {
                to_status(&refusal)
                    .get_details_retry_info()
                    .unwrap()
                    .retry_delay
                    .unwrap()
            })
            .collect();
        assert!(
            delays
                .iter()
                .all(|delay| (100..=150).contains(&delay.as_millis())),
            "{delays:?}"
        );
        assert!(delays.iter().any(|delay| *delay != delays[0]));
    }

    #[test]
    fn bad_fields_are_all_named() {
        let mut violations = Violations::default();
        violations.add("shopper_id", "must not be empty");
        violations.add("lines[0].quantity", "must be from 1 to 99");
        let refusal = Refusal::invalid(violations);
        let status = to_status(&refusal);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(from_status(&status).violations, refusal.violations);
    }
}
