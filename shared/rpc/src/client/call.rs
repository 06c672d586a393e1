//! One call: which replicas are asked, for how long, and what their answers mean.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tidegate_telemetry::{fail, note};
use tidegate_types::{Reason, Refusal};
use tokio::time::{error::Elapsed, sleep, timeout};
use tonic::{Code, Request, Response, Status};
use tracing::{Instrument as _, info_span};

use super::{
    connect::TracedChannel,
    replicas::{Replica, Replicas},
};
use crate::{
    refusal::{from_status, reason_of, words_of},
    server::{code_name, for_next_hop},
};

/// Replicas asked at most for one call that belongs to a key.
const MAX_ATTEMPTS: usize = 3;
/// A replica that has not answered a call with plenty of time left by then is given up for another one.
const MAX_ATTEMPT: Duration = Duration::from_secs(3);
/// An attempt that had less time than this, because its caller has no more, and got no answer says more of its caller's patience than of the replica.
const FAIR_ATTEMPT: Duration = Duration::from_secs(1);
const PAUSE_BEFORE_FOLLOWING_AGAIN: Duration = Duration::from_millis(300);

/// How a call is tried at the replicas of a service. Whatever is called must be idempotent: a request whose answer was lost is sent again elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Whose replica is first; without one the replicas are first in turn.
    key: Option<u64>,
    max_attempt: Duration,
    deadline: Option<Instant>,
    /// Whether callers cause it: then retries have a budget, and the time it takes tells of the replica.
    is_for_callers: bool,
    /// Which refusals end a call that every replica would be asked for.
    is_final: fn(Reason) -> bool,
}

impl RetryPolicy {
    /// For what callers cause: the replica that `key` belongs to is asked, and a few others only as far as the retry budget goes, so that retries make no small failure large. A refusal is final.
    pub fn for_key(key: u64, deadline: Instant) -> Self {
        Self {
            key: Some(key),
            max_attempt: MAX_ATTEMPT,
            deadline: Some(deadline),
            is_for_callers: true,
            is_final: |_| true,
        }
    }

    /// For what a service does of its own accord and that belongs to a key: its replica first, and every other one after it for as long as there is time. A refusal is final.
    pub fn of_own_accord(key: u64, deadline: Instant) -> Self {
        Self {
            max_attempt: deadline.saturating_duration_since(Instant::now()),
            is_for_callers: false,
            ..Self::for_key(key, deadline)
        }
    }

    /// For what a service does of its own accord: every replica is asked once, until one does it. What one refuses another may still do, so a refusal is the answer only if nobody does it.
    pub fn each_in_turn(max_attempt: Duration) -> Self {
        Self {
            key: None,
            max_attempt,
            deadline: None,
            is_for_callers: false,
            is_final: |_| false,
        }
    }

    /// Asks nobody else after such a refusal.
    pub fn ending_on(self, is_final: fn(Reason) -> bool) -> Self {
        Self { is_final, ..self }
    }

    /// Asks nobody after the deadline.
    pub fn until(self, deadline: Instant) -> Self {
        Self {
            deadline: Some(deadline),
            ..self
        }
    }

    /// How long an attempt that begins now may take; `None` if there is no time left.
    fn allowed(&self, now: Instant) -> Option<Duration> {
        let left = match self.deadline {
            Some(deadline) => for_next_hop(deadline, now)?,
            None => self.max_attempt,
        };
        Some(left.min(self.max_attempt))
    }

    /// Whether an attempt that had this time and took all of it tells something of the replica. Otherwise callers in a hurry could eject every replica there is.
    fn is_fair(&self, allowed: Duration) -> bool {
        allowed >= self.max_attempt.min(FAIR_ATTEMPT)
    }
}

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallFailed {
    #[error("{}: {}", .0, words_of(.0).en)]
    Refused(Refusal),
    /// Nobody answered in time, and what was asked for may have happened.
    #[error("no answer: {0}")]
    NoAnswer(String),
}

impl Replicas {
    /// Makes a call. Each attempt is a step of the story that it is made in.
    pub async fn call<Message, Answer, Answering>(
        &self,
        policy: RetryPolicy,
        message: impl Fn() -> Message,
        send: impl Fn(TracedChannel, Request<Message>) -> Answering,
    ) -> Result<Answer, CallFailed>
    where
        Answering: Future<Output = Result<Response<Answer>, Status>>,
    {
        let replicas = self.in_order_of(policy);
        let mut failed = CallFailed::NoAnswer(if replicas.is_empty() {
            "no replica is known".to_owned()
        } else {
            "there was no time left to ask".to_owned()
        });
        for (attempt, replica) in replicas.iter().enumerate() {
            let began = Instant::now();
            let Some(allowed) = policy.allowed(began) else {
                break;
            };
            if attempt > 0 && policy.is_for_callers && !self.retries().spend() {
                break;
            }
            let mut request = Request::new(message());
            // Sets the grpc-timeout header, and ends the call here as well if the peer does not keep to it.
            request.set_timeout(allowed);
            // On the heap: it is large, and calls wait by the thousand.
            let sent = Box::pin(send(replica.channel.clone(), request));
            // The client's own timeout does not count the time until the connection takes the call.
            let answer = in_span(replica, timeout(allowed, sent)).await;
            failed = match judge(&policy, replica, answer, (began, allowed)) {
                Ok(answer) => return Ok(answer),
                Err(CallFailed::Refused(refusal)) if (policy.is_final)(refusal.reason) => {
                    return Err(CallFailed::Refused(refusal));
                }
                Err(refused @ CallFailed::Refused(_)) => refused,
                // What one refuses says more than that others did not answer.
                Err(_) if matches!(failed, CallFailed::Refused(_)) => failed,
                Err(failed) => failed,
            };
        }
        Err(failed)
    }

    fn in_order_of(&self, policy: RetryPolicy) -> Vec<Arc<Replica>> {
        let now = Instant::now();
        let Some(key) = policy.key else {
            return self.in_turn(now);
        };
        let mut replicas = self.for_key(key, now);
        if policy.is_for_callers {
            self.retries().earn();
            replicas.truncate(MAX_ATTEMPTS);
        }
        replicas
    }

    /// Follows a stream of one replica and, when it ends, that of the next, for as long as the future runs.
    pub async fn follow<Following>(&self, follow_once: impl Fn(TracedChannel) -> Following)
    where
        Following: Future<Output = Result<(), Status>>,
    {
        loop {
            for replica in self.in_turn(Instant::now()) {
                match follow_once(replica.channel.clone()).await {
                    Ok(()) => replica.answered(None),
                    Err(status) => {
                        tracing::debug!(replica = replica.address, %status, "a stream broke off");
                        replica.failed(Instant::now());
                    }
                }
            }
            sleep(PAUSE_BEFORE_FOLLOWING_AGAIN).await;
        }
    }
}

/// The answer to one attempt, which has a span of its own if its story is recorded.
async fn in_span<Answer>(
    replica: &Replica,
    sent: impl Future<Output = Result<Result<Answer, Status>, Elapsed>>,
) -> Result<Answer, Status> {
    let span = info_span!(
        "client call",
        otel.kind = "client",
        rpc.system.name = "grpc",
        server.address = replica.address,
    );
    let noted = async {
        let answer = sent
            .await
            .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
        let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
        note("rpc.response.status_code", code_name(code));
        if code != Code::Ok {
            note("error.type", code_name(code));
            fail(&code_name(code));
        }
        answer
    };
    noted.instrument(span).await
}

/// What an answer says of the call, and notes what it says of the replica.
fn judge<Answer>(
    policy: &RetryPolicy,
    replica: &Replica,
    answer: Result<Response<Answer>, Status>,
    (began, allowed): (Instant, Duration),
) -> Result<Answer, CallFailed> {
    let (now, took) = (Instant::now(), began.elapsed());
    let status = match answer {
        Ok(response) => {
            // What a service does of its own accord is of many kinds and as many durations, and seldom.
            replica.answered(policy.is_for_callers.then_some(took));
            return Ok(response.into_inner());
        }
        Err(status) => status,
    };
    // A refusal is quick also where serving is slow, so it tells nothing of the replica's pace.
    if reason_of(&status).is_some() {
        replica.answered(None);
        return Err(CallFailed::Refused(from_status(&status)));
    }
    tracing::debug!(replica = replica.address, code = ?status.code(), message = status.message(), "a call got no answer");
    if status.code() == Code::Unimplemented {
        // It is well, and of a build without this method.
        replica.answered(None);
    } else if took < allowed || policy.is_fair(allowed) {
        replica.failed(now);
    }
    let why = format!("{}: {}", status.code(), status.message());
    Err(CallFailed::NoAnswer(why))
}

#[cfg(test)]
mod tests;
