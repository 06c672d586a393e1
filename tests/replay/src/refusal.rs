//! What a caller makes of a call that failed: whether to try again, when, and what instead.

use std::{collections::HashMap, time::Duration};

use serde::Deserialize;
use tidegate_client::Refusal;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tonic::{Code, Status};

use crate::measures::{ClaimEnd, OrderEnd};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The answer named this reason and no time to come back.
    Never(String),
    /// The answer named this reason, and trying again was given up.
    Refused(String),
    /// The store has no room in time; the answer names what has.
    StoreBusy(Alternatives),
    Unanswered,
}

pub const STORE_BUSY: &str = "STORE_BUSY";

/// Reasons for which asking again soon makes sense, however long they say to wait.
const PASSING: [&str; 3] = ["OVERLOADED", "QUEUE_FULL", "STOCK_RETURNING"];

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alternatives {
    /// When its next slot with room begins.
    pub next_slot_at: Option<OffsetDateTime>,
    pub stores: Vec<Suggestion>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Suggestion {
    pub store_id: String,
    /// When its first slot with room begins.
    #[serde(with = "time::serde::rfc3339")]
    pub slot_at: OffsetDateTime,
}

impl Alternatives {
    /// Reads the metadata of an ErrorInfo; what cannot be read is not there.
    pub fn read(metadata: &HashMap<String, String>) -> Self {
        Self {
            next_slot_at: metadata
                .get("next_slot_at")
                .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok()),
            stores: metadata
                .get("suggested_stores")
                .and_then(|list| serde_json::from_str(list).ok())
                .unwrap_or_default(),
        }
    }
}

impl Failure {
    /// The reason that the last answer named, if there was one.
    fn reason(self) -> Option<String> {
        match self {
            Self::Never(reason) | Self::Refused(reason) => Some(reason),
            Self::StoreBusy(_) => Some(STORE_BUSY.to_owned()),
            Self::Unanswered => None,
        }
    }
}

impl From<Failure> for ClaimEnd {
    fn from(failure: Failure) -> Self {
        failure.reason().map_or(Self::Unanswered, Self::Refused)
    }
}

impl From<Failure> for OrderEnd {
    fn from(failure: Failure) -> Self {
        failure.reason().map_or(Self::Unanswered, Self::Rejected)
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    Final(Failure),
    /// Again after a while, at the next gateway if this one gave no answer of its own.
    Again {
        after: Option<Duration>,
        failure: Failure,
    },
}

pub(crate) fn advice(status: &Status) -> Advice {
    let Some(refusal) = Refusal::read(status) else {
        // A gateway of ours always names a reason: these come from the connection, or from a deadline of this side.
        return match status.code() {
            Code::Unavailable
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Unknown
            | Code::Internal => Advice::Again {
                after: None,
                failure: Failure::Unanswered,
            },
            code => Advice::Final(Failure::Refused(format!("GRPC_{code:?}").to_uppercase())),
        };
    };
    let (reason, after) = (refusal.reason, refusal.retry_after);
    // Asking a full store again would be answered alike; asking for something else may not.
    if reason == STORE_BUSY {
        return Advice::Final(Failure::StoreBusy(Alternatives::read(&refusal.metadata)));
    }
    if PASSING.contains(&reason.as_str()) {
        let failure = Failure::Refused(reason);
        return Advice::Again { after, failure };
    }
    Advice::Final(match after {
        None => Failure::Never(reason),
        Some(_) => Failure::Refused(reason),
    })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    fn refusal(code: Code, reason: &str, retry: Option<Duration>) -> Status {
        let mut details = ErrorDetails::with_error_info(reason, "tidegate", HashMap::new());
        if retry.is_some() {
            details.set_retry_info(retry);
        }
        Status::with_error_details(code, "words", details)
    }

    #[test]
    fn an_overload_is_retried_when_it_says_and_a_sell_out_never() {
        let (soon, later) = (Duration::from_millis(300), Duration::from_secs(600));
        let refused = |reason: &str| Failure::Refused(reason.into());
        let again = |reason, after| Advice::Again {
            after: Some(after),
            failure: refused(reason),
        };
        let never = |reason: &str| Advice::Final(Failure::Never(reason.into()));
        let not_met = Code::FailedPrecondition;
        for (code, reason, retry, expected) in [
            (
                Code::Unavailable,
                "OVERLOADED",
                Some(soon),
                again("OVERLOADED", soon),
            ),
            (
                not_met,
                "QUEUE_FULL",
                Some(later),
                again("QUEUE_FULL", later),
            ),
            (
                not_met,
                "ISSUANCE_HALTED",
                Some(later),
                Advice::Final(refused("ISSUANCE_HALTED")),
            ),
            (
                Code::ResourceExhausted,
                "BUDGET_EXHAUSTED",
                None,
                never("BUDGET_EXHAUSTED"),
            ),
        ] {
            assert_eq!(advice(&refusal(code, reason, retry)), expected);
        }
    }

    #[test]
    fn a_full_store_is_not_asked_again_but_tells_where_else_and_when() {
        let metadata = HashMap::from([
            ("next_slot_at".to_owned(), "2026-02-06T09:20:00Z".to_owned()),
            (
                "suggested_stores".to_owned(),
                r#"[{"store_id":"store-0041","slot_at":"2026-02-06T09:10:00Z"}]"#.to_owned(),
            ),
        ]);
        let details = ErrorDetails::with_error_info(STORE_BUSY, "tidegate", metadata);
        let full = Status::with_error_details(Code::FailedPrecondition, "words", details);
        let told = Alternatives {
            next_slot_at: Some(datetime!(2026-02-06 09:20 UTC)),
            stores: vec![Suggestion {
                store_id: "store-0041".to_owned(),
                slot_at: datetime!(2026-02-06 09:10 UTC),
            }],
        };
        assert_eq!(advice(&full), Advice::Final(Failure::StoreBusy(told)));
        let bare = refusal(Code::FailedPrecondition, STORE_BUSY, None);
        let nothing = Failure::StoreBusy(Alternatives::default());
        assert_eq!(advice(&bare), Advice::Final(nothing));
    }

    #[test]
    fn a_broken_connection_is_no_answer_and_a_code_without_a_reason_is_named() {
        let again = Advice::Again {
            after: None,
            failure: Failure::Unanswered,
        };
        assert_eq!(advice(&Status::unavailable("tcp connect error")), again);
        let named = Advice::Final(Failure::Refused("GRPC_INVALIDARGUMENT".into()));
        assert_eq!(advice(&Status::invalid_argument("what")), named);
    }
}
