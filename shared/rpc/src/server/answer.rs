use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Response};
use http_body::Body as _;
use tidegate_telemetry::{Context, TraceContext};
use tonic::{Code, Status, body::Body};

use super::{
    call::{Call, Incoming},
    concern::Concern,
    held::{Held, HeldBody},
    ready::ReadyAnswer,
};
use crate::{
    TRACE_ID_HEADER,
    refusal::{self, MAX_METADATA_BYTES, PUSHBACK_HEADER, bytes_of, cut},
};

const MESSAGE: &str = "grpc-message";
const DETAILS: &str = "grpc-status-details-bin";
/// Of a message that is too long so much is kept. Sent, it has three times as many bytes at most.
const MAX_STATUS_MESSAGE_BYTES: usize = 512;
/// A retry needs so long to be sent and answered where machines are busy.
const TIME_FOR_AN_ANSWER: Duration = Duration::from_millis(250);

/// The answer to a call, on its own or as a message of a stream.
pub(super) trait Answer: Send + 'static {
    fn of(status: Status) -> Self;
    fn of_ready(ready: &ReadyAnswer) -> Self;
    fn code(&self) -> Code;
    /// Fits it to what its caller can read in the time that is left, and names its trace.
    fn address(&mut self, to: &AnswerTo);
    /// The step of which what a stream goes on with is a part.
    fn goes_on_in(&mut self, span: Context);
    /// Keeps what the call takes until the last of the answer has been sent.
    fn until_sent(self, held: Held) -> Self;
    /// A request that could not be read is its caller's fault.
    fn or_unreadable(self) -> Self;
}

impl Answer for Response<Body> {
    fn of(status: Status) -> Self {
        status.into_http()
    }

    fn of_ready(ready: &ReadyAnswer) -> Self {
        let mut answer = Self::new(Body::empty());
        *answer.headers_mut() = ready.headers.clone();
        answer
    }

    fn code(&self) -> Code {
        code_of(self.headers())
    }

    fn address(&mut self, to: &AnswerTo) {
        let headers = self.headers_mut();
        if code_of(headers) != Code::Ok {
            fit(headers);
            tell_in_time(headers, to);
        }
        if let Ok(trace_id) = HeaderValue::from_str(&to.trace_id()) {
            headers.insert(TRACE_ID_HEADER, trace_id);
        }
    }

    fn goes_on_in(&mut self, span: Context) {
        self.extensions_mut().insert(span);
    }

    fn until_sent(mut self, mut held: Held) -> Self {
        if self.body().is_end_stream() {
            return self;
        }
        if let Some(in_span) = self.extensions_mut().remove() {
            held.story = in_span;
        }
        let held = Some(held);
        self.map(|body| Body::new(HeldBody { body, held }))
    }

    fn or_unreadable(self) -> Self {
        let headers = self.headers();
        if code_of(headers) == Code::Ok || headers.contains_key(DETAILS) {
            return self;
        }
        match Status::from_header_map(headers) {
            Some(said) => refusal::or_unreadable(said).into_http(),
            None => self,
        }
    }
}

/// Names the call in its answer, and sees to it that its caller can read it in time.
#[derive(Clone)]
pub(super) struct AnswerHeaders;

/// What an answer is fitted to.
pub(super) struct AnswerTo {
    began: Instant,
    patience: Option<Duration>,
    trace: TraceContext,
}

impl Concern for AnswerHeaders {
    type Open = AnswerTo;

    fn begin<I: Incoming>(&self, call: &Call<I>) -> Result<AnswerTo, Box<I::Answer>> {
        Ok(AnswerTo {
            began: call.began,
            patience: call.patience,
            trace: call.trace,
        })
    }

    fn end<A: Answer>(to: AnswerTo, mut answer: A) -> A {
        answer.address(&to);
        answer
    }
}

impl AnswerTo {
    pub(super) fn trace_id(&self) -> String {
        self.trace.trace_id()
    }

    /// Whether one who is told to send the call again after so long would have an answer in time. All
    /// that gRPC's own retries do otherwise is keep the reason from their caller.
    pub(super) fn may_come_back(&self, after: Duration) -> bool {
        let left = |patience: Duration| patience.saturating_sub(self.began.elapsed());
        self.patience
            .is_none_or(|patience| after + TIME_FOR_AN_ANSWER <= left(patience))
    }
}

/// The status stands in the headers if the answer is a refusal; otherwise it comes after the body.
pub(super) fn code_of(headers: &HeaderMap) -> Code {
    headers
        .get("grpc-status")
        .map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()))
}

/// Shortens an answer that clients may not take. The suite's own fit; this is for those that a library makes of what a caller sent.
fn fit(headers: &mut HeaderMap) {
    if bytes_of(headers) <= MAX_METADATA_BYTES {
        return;
    }
    let Some(told) = Status::from_header_map(headers) else {
        return;
    };
    let mut message = told.message().to_owned();
    cut(&mut message, MAX_STATUS_MESSAGE_BYTES);
    headers.remove(MESSAGE);
    headers.remove(DETAILS);
    // A text of so few bytes is a header.
    let _ = Status::new(told.code(), message).add_header(headers);
}

/// Tells gRPC's own retries to leave it where they could bring nothing in time.
fn tell_in_time(headers: &mut HeaderMap, to: &AnswerTo) {
    let Some(pushback) = headers.get_mut(PUSHBACK_HEADER) else {
        return;
    };
    let told = pushback.to_str().ok().and_then(|ms| ms.parse().ok());
    if told.is_some_and(|told| !to.may_come_back(Duration::from_millis(told))) {
        *pushback = HeaderValue::from_static("-1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_library_says_of_a_callers_text_is_cut_to_what_clients_take() {
        for said in [
            "compressed with ".to_owned() + &"x".repeat(9_000),
            "奶".repeat(3_000),
        ] {
            let mut headers = Status::unimplemented(said.as_str())
                .into_http::<()>()
                .into_parts()
                .0
                .headers;
            assert!(bytes_of(&headers) > MAX_METADATA_BYTES);
            fit(&mut headers);
            assert!(bytes_of(&headers) <= MAX_METADATA_BYTES);
            let told = Status::from_header_map(&headers).unwrap();
            assert_eq!(told.code(), tonic::Code::Unimplemented);
            let kept = told.message().strip_suffix("...").unwrap();
            assert!(said.starts_with(kept) && kept.len() > 100, "{kept}");
        }
    }

    #[test]
    fn a_retry_that_comes_after_the_deadline_is_not_asked_for() {
        let told = |ms: &'static str, left_ms| {
            let mut headers = HeaderMap::new();
            headers.insert(PUSHBACK_HEADER, HeaderValue::from_static(ms));
            let to = AnswerTo {
                began: Instant::now(),
                patience: Option::map(left_ms, Duration::from_millis),
                trace: TraceContext::new_root(false),
            };
            tell_in_time(&mut headers, &to);
            headers[PUSHBACK_HEADER].to_str().unwrap().to_owned()
        };
        assert_eq!(told("700", Some(2_000)), "700");
        assert_eq!(told("700", Some(700)), "-1");
        assert_eq!(told("700", None), "700");
        assert_eq!(told("-1", Some(2_000)), "-1");
    }

    #[test]
    fn a_request_that_cannot_be_read_is_its_callers_fault_and_a_defect_is_not() {
        let code_after = |status: Status| Response::<Body>::of(status).or_unreadable().code();
        for said in ["Missing request message.", "invalid wire type"] {
            assert_eq!(code_after(Status::internal(said)), Code::InvalidArgument);
        }
        let too_long = Status::out_of_range("decoded message length too large");
        assert_eq!(code_after(too_long), Code::InvalidArgument);
        assert_eq!(code_after(refusal::defect()), Code::Internal);
        let refused = refusal::to_status(&refusal::out_of_time());
        assert_eq!(code_after(refused), Code::Unavailable);
    }
}
