use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::HeaderMap;
use tokio::time::timeout_at;
use tower::{Layer, Service};

use super::{
    answer::Answer,
    call::{Call, Incoming},
    spans::Story,
};
use crate::refusal;

/// How long a call may take if its caller does not say.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(2);
/// The longest a caller can ask for.
pub const MAX_DEADLINE: Duration = Duration::from_secs(10);
/// Kept back at each hop, so that the answer still travels in time.
const HOP_MARGIN: Duration = Duration::from_millis(10);
/// Less than the margin of a hop: who is asked gives up first, and says why.
const ANSWER_MARGIN: Duration = Duration::from_millis(5);

/// When the answer must be there for a caller that waits for so long.
pub(super) fn of(patience: Option<Duration>, now: Instant) -> Instant {
    now + patience.unwrap_or(DEFAULT_DEADLINE).min(MAX_DEADLINE)
}

/// How long the caller waits, by the `grpc-timeout` header.
pub(super) fn asked(headers: &HeaderMap) -> Option<Duration> {
    parse(headers.get("grpc-timeout")?.to_str().ok()?)
}

/// How long the next hop may take; `None` if there is no time left to ask it.
pub fn for_next_hop(deadline: Instant, now: Instant) -> Option<Duration> {
    deadline
        .checked_duration_since(now)?
        .checked_sub(HOP_MARGIN)
        .filter(|left| !left.is_zero())
}

/// Has a call handled in its story, and answers it if its handler does not, in time for its caller to hear so.
#[derive(Clone)]
pub(super) struct DeadlineLayer;

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> DeadlineService<S> {
        DeadlineService(inner)
    }
}

/// See [`DeadlineLayer`].
#[derive(Clone)]
pub(super) struct DeadlineService<S>(S);

impl<I, S> Service<Call<I>> for DeadlineService<S>
where
    I: Incoming,
    S: Service<Call<I>, Response = I::Answer, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = I::Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<I::Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, call: Call<I>) -> Self::Future {
        let answer_by = answer_by(call.deadline);
        let story = Story::of(&call);
        let handled = timeout_at(answer_by.into(), self.0.call(call));
        Box::pin(story.of_handling(async {
            handled
                .await
                .unwrap_or_else(|_| Ok(I::Answer::of(refusal::to_status(&refusal::out_of_time()))))
        }))
    }
}

/// When to stop waiting for others, so that the caller still hears what became of the call.
fn answer_by(deadline: Instant) -> Instant {
    deadline.checked_sub(ANSWER_MARGIN).unwrap_or(deadline)
}

/// At most eight digits and a unit, as the gRPC protocol has it.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(timeout: &str) -> Duration {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", timeout.parse().unwrap());
        let now = Instant::now();
        of(super::asked(&headers), now) - now
    }

    #[test]
    fn a_caller_gets_the_time_it_asks_for_up_to_the_bound() {
        assert_eq!(asked("250m"), Duration::from_millis(250));
        assert_eq!(asked("3S"), Duration::from_secs(3));
        assert_eq!(asked("99999999H"), MAX_DEADLINE);
    }

    #[test]
    fn a_caller_that_says_nothing_sensible_gets_the_default() {
        for nonsense in ["", "S", "1", "-1S", "123456789m", "5x", "é"] {
            let mut headers = HeaderMap::new();
            headers.insert(
                "grpc-timeout",
                http::HeaderValue::from_bytes(nonsense.as_bytes()).unwrap(),
            );
            let now = Instant::now();
            assert_eq!(
                of(super::asked(&headers), now) - now,
                DEFAULT_DEADLINE,
                "{nonsense}"
            );
        }
    }

    #[test]
    fn the_next_hop_gets_less_than_is_left() {
        let now = Instant::now();
        assert_eq!(
            for_next_hop(now + Duration::from_millis(110), now),
            Some(Duration::from_millis(100))
        );
        assert_eq!(for_next_hop(now + HOP_MARGIN, now), None);
        assert_eq!(for_next_hop(now, now + HOP_MARGIN), None);
    }
}
