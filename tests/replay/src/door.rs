//! The gateways as a careful client sees them: few connections with many streams, retries as the answers say, the next gateway if one is gone.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Result, ensure};
use rand::Rng;
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};
use tonic_types::StatusExt;

use crate::{
    measures::{ClaimEnd, OrderEnd},
    shoppers::Scene,
};

/// How long one send waits for its answer; sent along as the deadline.
const CALL_LIMIT: Duration = Duration::from_secs(2);
/// Sends of one call, the first included.
const SEND_LIMIT: u32 = 10;
/// No call is retried when this has passed since it was due.
const RETRY_LIMIT: Duration = Duration::from_secs(30);
/// Between sends of a call whose answer named no time: doubled each time, with chance.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_LIMIT: Duration = Duration::from_secs(2);
/// Calls under way at once; more wait here, and their latency counts from when they were due all the same.
const IN_FLIGHT_LIMIT: usize = 16_384;

/// The gateways, with the token that opens them.
#[derive(Debug)]
pub struct Door {
    gateways: Vec<Channel>,
    authorization: MetadataValue<Ascii>,
    turn: AtomicUsize,
    in_flight: Semaphore,
}

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
    /// Stores nearby that can make it sooner.
    pub stores: Vec<Suggestion>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    pub store_id: String,
    /// When its first slot with room begins.
    pub slot_at: OffsetDateTime,
}

impl Alternatives {
    /// Reads the metadata of an ErrorInfo; what cannot be read is not there.
    pub fn read(metadata: &HashMap<String, String>) -> Self {
        #[derive(Deserialize)]
        struct Document {
            store_id: String,
            slot_at: String,
        }
        let moment = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
        let suggestions: Vec<Document> = metadata
            .get("suggested_stores")
            .and_then(|list| serde_json::from_str(list).ok())
            .unwrap_or_default();
        Self {
            next_slot_at: metadata.get("next_slot_at").and_then(|text| moment(text)),
            stores: suggestions
                .into_iter()
                .filter_map(|suggestion| {
                    Some(Suggestion {
                        slot_at: moment(&suggestion.slot_at)?,
                        store_id: suggestion.store_id,
                    })
                })
                .collect(),
        }
    }
}

impl From<Failure> for ClaimEnd {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Never(reason) | Failure::Refused(reason) => Self::Refused(reason),
            Failure::StoreBusy(_) => Self::Refused(STORE_BUSY.to_owned()),
            Failure::Unanswered => Self::Unanswered,
        }
    }
}

impl From<Failure> for OrderEnd {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Never(reason) | Failure::Refused(reason) => Self::Rejected(reason),
            Failure::StoreBusy(_) => Self::Rejected(STORE_BUSY.to_owned()),
            Failure::Unanswered => Self::Unanswered,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Advice {
    Final(Failure),
    /// Again after a while, at the next gateway if this one gave no answer of its own.
    Again {
        after: Option<Duration>,
        failure: Failure,
    },
}

impl Door {
    pub fn new(gateways: Vec<Channel>, token: &str) -> Result<Self> {
        ensure!(
            !gateways.is_empty(),
            "There is no gateway to send claims to."
        );
        let authorization = format!("Bearer {token}").parse()?;
        Ok(Self {
            gateways,
            authorization,
            turn: AtomicUsize::new(0),
            in_flight: Semaphore::new(IN_FLIGHT_LIMIT),
        })
    }

    pub fn gateways(&self) -> &[Channel] {
        &self.gateways
    }

    /// One of the gateways, each in its turn.
    pub fn next_gateway(&self) -> Channel {
        self.gateways[self.next_turn()].clone()
    }

    fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed) % self.gateways.len()
    }

    /// A request with token, deadline and trace context.
    pub fn request<T>(&self, message: T, traceparent: Option<&str>) -> Request<T> {
        let mut request = self.stream_request(message, traceparent);
        request.set_timeout(CALL_LIMIT);
        request
    }

    /// A request without a deadline, for answers that come over a long time.
    pub fn stream_request<T>(&self, message: T, traceparent: Option<&str>) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", self.authorization.clone());
        if let Some(value) = traceparent.and_then(|traceparent| traceparent.parse().ok()) {
            request.metadata_mut().insert("traceparent", value);
        }
        request
    }

    /// Makes a call, again and again while the answers say that this makes sense. `due` is when it was to be sent first.
    ///
    /// Every refusal is looked at for the audit, those that are tried again included.
    pub async fn call<T, Sent>(
        &self,
        due: Instant,
        scene: &Scene,
        send: impl Fn(Channel) -> Sent,
    ) -> Result<T, Failure>
    where
        Sent: Future<Output = Result<T, Status>>,
    {
        let mut gateway = self.next_turn();
        let mut backoff = BACKOFF_FIRST;
        for attempt in 1.. {
            let status = {
                let _permit = self.in_flight.acquire().await;
                match send(self.gateways[gateway % self.gateways.len()].clone()).await {
                    Ok(answer) => return Ok(answer),
                    Err(status) => status,
                }
            };
            scene.ledger.answer(|answers| answers.refusal(&status));
            let (after, failure) = match advice(&status) {
                Advice::Final(failure) => return Err(failure),
                Advice::Again { after, failure } => (after, failure),
            };
            let pause = after
                .unwrap_or(backoff)
                .mul_f64(rand::rng().random_range(1.0..1.5));
            if attempt >= SEND_LIMIT || due.elapsed() + pause > RETRY_LIMIT {
                return Err(failure);
            }
            if failure == Failure::Unanswered {
                gateway += 1;
            }
            scene.measures.retried();
            sleep(pause).await;
            backoff = (backoff * 2).min(BACKOFF_LIMIT);
        }
        Err(Failure::Unanswered)
    }
}

pub(super) fn advice(status: &Status) -> Advice {
    let details = status.get_error_details();
    let after = details.retry_info().and_then(|info| info.retry_delay);
    match details.error_info() {
        // Asking again would be answered alike; asking for something else may not.
        Some(info) if info.reason == STORE_BUSY => {
            Advice::Final(Failure::StoreBusy(Alternatives::read(&info.metadata)))
        }
        Some(info) => {
            let reason = info.reason.clone();
            if PASSING.contains(&info.reason.as_str()) {
                let failure = Failure::Refused(reason);
                Advice::Again { after, failure }
            } else if after.is_none() {
                Advice::Final(Failure::Never(reason))
            } else {
                Advice::Final(Failure::Refused(reason))
            }
        }
        // A gateway of ours always names a reason: these come from the connection, or from a deadline of this side.
        None => match status.code() {
            Code::Unavailable
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Unknown
            | Code::Internal => Advice::Again {
                after,
                failure: Failure::Unanswered,
            },
            code => Advice::Final(Failure::Refused(format!("GRPC_{code:?}").to_uppercase())),
        },
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use tonic_types::ErrorDetails;

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
        let overload = refusal(
            Code::Unavailable,
            "OVERLOADED",
            Some(Duration::from_millis(300)),
        );
        assert_eq!(
            advice(&overload),
            Advice::Again {
                after: Some(Duration::from_millis(300)),
                failure: Failure::Refused("OVERLOADED".into())
            }
        );
        let sell_out = refusal(Code::ResourceExhausted, "BUDGET_EXHAUSTED", None);
        assert_eq!(
            advice(&sell_out),
            Advice::Final(Failure::Never("BUDGET_EXHAUSTED".into()))
        );
        let later = Some(Duration::from_secs(600));
        let halted = refusal(Code::FailedPrecondition, "ISSUANCE_HALTED", later);
        assert_eq!(
            advice(&halted),
            Advice::Final(Failure::Refused("ISSUANCE_HALTED".into()))
        );
        let long = refusal(Code::FailedPrecondition, "QUEUE_FULL", later);
        assert!(matches!(advice(&long), Advice::Again { .. }));
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
        assert_eq!(
            advice(&Status::unavailable("tcp connect error")),
            Advice::Again {
                after: None,
                failure: Failure::Unanswered
            }
        );
        assert_eq!(
            advice(&Status::invalid_argument("what")),
            Advice::Final(Failure::Refused("GRPC_INVALIDARGUMENT".into()))
        );
    }
}
