//! Refusals, read as a client has to.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetail, ErrorInfo, StatusExt as _};

/// A refusal that names its reason, as each that comes from the suite does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub reason: String,
    /// What machines are told beside the reason.
    pub metadata: HashMap<String, String>,
    /// When to try again; none if never.
    pub retry_after: Option<Duration>,
    pub fields: Vec<String>,
    pub locales: Vec<String>,
    pub pushback: Option<String>,
}

impl Refusal {
    /// None if no reason is named: then the connection ended, or a deadline of this side.
    pub fn read(status: &Status) -> Option<Self> {
        let names_a_reason = status.get_error_details().error_info().is_some();
        names_a_reason.then(|| Self::of(status))
    }

    /// The refusal, whose reason says so if none is named.
    pub fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().cloned();
        let info = info
            .unwrap_or_else(|| ErrorInfo::new(format!("no reason: {status}"), "", HashMap::new()));
        let bad_fields = details.bad_request().into_iter();
        let bad_fields = bad_fields.flat_map(|bad| &bad.field_violations);
        let all = status.get_error_details_vec().into_iter();
        let pushback = status.metadata().get("grpc-retry-pushback-ms");
        Self {
            code: status.code(),
            reason: info.reason,
            metadata: info.metadata,
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            fields: bad_fields.map(|bad| bad.field.clone()).collect(),
            locales: all
                .filter_map(|detail| match detail {
                    ErrorDetail::LocalizedMessage(words) => Some(words.locale),
                    _ => None,
                })
                .collect(),
            pushback: pushback.and_then(|value| Some(value.to_str().ok()?.to_owned())),
        }
    }

    #[track_caller]
    pub fn is(self, code: Code, reason: &str) -> Self {
        assert_eq!((self.code, &*self.reason), (code, reason));
        self
    }

    #[track_caller]
    pub fn because(self, reason: &str) -> Self {
        assert_eq!(self.reason, reason);
        self
    }
}

/// The refusal of what has to be refused.
#[track_caller]
pub fn refused<T>(answer: Result<T, Status>) -> Refusal {
    Refusal::of(&answer.err().expect("it has to be refused"))
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_refusal_is_read_whole_and_a_lost_connection_is_none() {
        let mut details = ErrorDetails::with_error_info("OVERLOADED", "tidegate", []);
        details.set_retry_info(Some(Duration::from_millis(300)));
        details.add_bad_request_violation("shopper_id", "is empty");
        let told = Status::with_error_details(Code::Unavailable, "words", details);
        let told = Refusal::of(&told).is(Code::Unavailable, "OVERLOADED");
        assert_eq!(told.retry_after, Some(Duration::from_millis(300)));
        assert_eq!(told.fields, ["shopper_id"]);

        let lost = Status::unavailable("tcp connect error");
        assert_eq!(Refusal::read(&lost), None);
        assert!(refused::<()>(Err(lost)).reason.starts_with("no reason: "));
    }
}
