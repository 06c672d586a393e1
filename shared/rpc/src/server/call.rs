use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};

use http::{HeaderMap, HeaderValue, Request, Response};
use tidegate_auth::Caller;
use tidegate_telemetry::{Span, SpanKind, TraceContext, Tracing};
use tidegate_types::{Reason, Refusal};
use tokio::time::timeout_at;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use super::{
    access::{Access, AccessRules, HEALTH_WATCH},
    answer,
    context::CallContext,
    deadline,
    held::Held,
    in_flight::{InFlight, NoPlace},
    metrics::CallMetrics,
    peer::{NotAnswered, Peer},
    ready::ReadyRefusal,
    work::Work,
};
use crate::{
    TRACE_ID_HEADER, TRACEPARENT_HEADER,
    refusal::{self, ASKED_TOO_OFTEN},
};

const CODE_ATTRIBUTE: &str = "rpc.grpc.status_code";
const CERTIFICATE_ENDED: &str =
    "the certificate of this connection has ended; connect again with a valid one";
const TOLD_TO_GO: &str = "this connection was told to go; connect again";
const TOO_MANY_WATCHES: &str = "as many watches of health are open as may be";
const RETRY_WHEN_FULL: Duration = Duration::from_millis(500);
const RETRY_WHEN_TOO_OFTEN: Duration = Duration::from_secs(1);

/// How a service takes calls.
pub struct CallPolicy {
    /// Who may call what, and how much of each kind of work.
    pub access: AccessRules,
    /// Calls in flight at once, of all kinds; further ones are refused before their body is read.
    pub max_in_flight: usize,
    /// Where spans go.
    pub tracing: Tracing,
    /// Where calls are counted.
    pub metrics: CallMetrics,
}

/// Decides, from headers alone, whether a call goes on, and gives it its deadline, its place in a trace and its metrics.
#[derive(Clone)]
pub struct CallLayer(Arc<Shared>);

struct Shared {
    policy: CallPolicy,
    in_flight: InFlight,
    full: ReadyRefusal,
    full_of_kind: ReadyRefusal,
    too_often: ReadyRefusal,
}

impl CallLayer {
    /// A layer for one service.
    pub fn new(policy: CallPolicy) -> Self {
        let in_flight = InFlight::new(
            policy.max_in_flight,
            policy.access.limits(),
            policy.metrics.in_flight.clone(),
        );
        let full = |reason| ReadyRefusal::new(&Refusal::after(reason, RETRY_WHEN_FULL));
        let too_often = Refusal::after(Reason::Overloaded, RETRY_WHEN_TOO_OFTEN)
            .with("detail", ASKED_TOO_OFTEN)
            .with("who", "caller");
        Self(Arc::new(Shared {
            policy,
            in_flight,
            full: full(Reason::Overloaded),
            full_of_kind: full(Reason::QueueFull),
            too_often: ReadyRefusal::new(&too_often),
        }))
    }

    pub(super) fn metrics(&self) -> CallMetrics {
        self.0.policy.metrics.clone()
    }
}

/// A call that goes on: what it takes, and whom its token speaks for.
type Admitted = (Held, Option<Arc<Caller>>);

impl Shared {
    /// What the call takes and its caller, or the answer that ends it here.
    fn admit(
        &self,
        peer: Option<&Arc<Peer>>,
        path: &str,
        access: Access,
        work: Work,
    ) -> Result<Admitted, Box<Response<Body>>> {
        let permit = peer.map(|peer| peer.begin_call(work)).transpose();
        let permit = permit.map_err(|why| Box::new(self.not_answered(why, path)))?;
        let caller = match access {
            Access::ToService | Access::ToAll => None,
            Access::ToCaller(caller) => Some(caller),
            Access::TooOften => return Err(self.too_often.answer().into()),
            Access::Refused(refusal) => {
                return Err(Box::new(refusal::to_status(&refusal).into_http()));
            }
            Access::NoSuchMethod => {
                let status = Status::unimplemented(
                    "there is no such method; reflection lists those there are",
                );
                return Err(Box::new(status.into_http()));
            }
        };
        let subject = caller.as_ref().map(|caller| &caller.subject);
        match self.in_flight.take(work, subject) {
            Ok(place) => {
                let held = Held {
                    _place: place,
                    _permit: permit,
                };
                Ok((held, caller))
            }
            Err(NoPlace::OfKind) => Err(self.no_place_of_kind(path).into()),
            Err(NoPlace::AtAll) => Err(self.full.answer().into()),
        }
    }

    fn not_answered(&self, why: NotAnswered, path: &str) -> Response<Body> {
        match why {
            NotAnswered::CertificateEnded => connect_again(CERTIFICATE_ENDED),
            NotAnswered::ToldToGo => connect_again(TOLD_TO_GO),
            NotAnswered::TooManyOpen => self.no_place_of_kind(path),
        }
    }

    /// Clients that check health themselves take a server for healthy if it implements no watch, and for ill if it refuses one in any other way (gRFC A17).
    fn no_place_of_kind(&self, path: &str) -> Response<Body> {
        if path == HEALTH_WATCH {
            return Status::unimplemented(TOO_MANY_WATCHES).into_http();
        }
        self.full_of_kind.answer()
    }

    /// The step of a story that a call is, and whether the one who calls decided that it is recorded. It decides for a share of its stories at most; for the others this process does.
    fn trace_of(&self, headers: &HeaderMap, access: &Access, now: Instant) -> (TraceContext, bool) {
        let Self { policy, .. } = self;
        let Some(said) = traceparent(headers) else {
            return (policy.tracing.new_root(), false);
        };
        let is_service = matches!(access, Access::ToService);
        let wants_record = said.sampled() && policy.access.may_decide_to_record(access, now);
        if is_service || wants_record {
            (said, wants_record)
        } else {
            (policy.tracing.decided_here(said), false)
        }
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> CallService<S> {
        CallService {
            inner,
            shared: Arc::clone(&self.0),
        }
    }
}

/// See [`CallLayer`].
#[derive(Clone)]
pub struct CallService<S> {
    inner: S,
    shared: Arc<Shared>,
}

/// A call from its headers on.
struct Call {
    method: &'static str,
    began: Instant,
    began_at: SystemTime,
    /// How long its caller waits, if it said so.
    patience: Option<Duration>,
    trace: TraceContext,
}

impl Call {
    /// Counts the answer, names the call in it, and sees to it that its caller can read it.
    fn finish(&self, policy: &CallPolicy, response: &mut Response<Body>) -> Code {
        let code = code_of(response.headers());
        if code != Code::Ok {
            let headers = response.headers_mut();
            answer::fit(headers);
            let left = |patience: Duration| patience.saturating_sub(self.began.elapsed());
            answer::tell_in_time(headers, self.patience.map(left));
        }
        policy
            .metrics
            .answered(self.method, code, self.began.elapsed());
        if let Ok(trace_id) = HeaderValue::from_str(&self.trace.trace_id()) {
            response.headers_mut().insert(TRACE_ID_HEADER, trace_id);
        }
        code
    }

    fn span(&self, policy: &CallPolicy) -> Span {
        let Self { method, trace, .. } = *self;
        policy
            .tracing
            .start_at(method, SpanKind::Server, trace, self.began_at)
    }

    /// Errors are always recorded, also of stories that are not.
    fn record_error(&self, policy: &CallPolicy) {
        let Self { method, trace, .. } = *self;
        let forced = Self {
            trace: trace.force_sampled(),
            ..*self
        };
        forced.span(policy).fail("internal error");
        tracing::error!(method, trace_id = %trace, "a call failed for a reason that should not occur; look for earlier lines of this trace");
    }
}

impl<S> Service<Request<Body>> for CallService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let (began, began_at) = (Instant::now(), SystemTime::now());
        let policy = &self.shared.policy;
        let peer = request.extensions_mut().remove::<Arc<Peer>>();
        let identity = peer.as_ref().and_then(|peer| peer.identity);
        let (path, headers) = (request.uri().path(), request.headers());
        let (method, work, access) = policy.access.check(path, identity, headers, began);
        let (trace, is_told_to_record) = self.shared.trace_of(headers, &access, began);
        let mut call = Call {
            method,
            began,
            began_at,
            patience: deadline::asked(request.headers()),
            trace,
        };
        let (held, caller) = match self.shared.admit(peer.as_ref(), path, access, work) {
            Ok(admitted) => admitted,
            Err(mut response) => {
                let code = call.finish(policy, &mut response);
                // A refusal is recorded only for a caller that records its story: crowds of them would drown the rest.
                if is_told_to_record {
                    let mut span = call.span(policy);
                    span.attribute(CODE_ATTRIBUTE, i64::from(code as i32));
                }
                return Box::pin(ready(Ok(*response)));
            }
        };
        let mut span = call.span(policy);
        call.trace = span.context();
        let deadline = deadline::of(request.headers(), began);
        request.extensions_mut().insert(CallContext {
            trace: call.trace,
            deadline,
            peer: identity,
            caller,
        });
        let handled = self.inner.call(request);
        let shared = Arc::clone(&self.shared);
        let mut hung_up = HungUp {
            metrics: shared.policy.metrics.clone(),
            of: Some((method, began)),
        };
        Box::pin(async move {
            let answer_by = deadline::answer_by(deadline);
            let mut response = match timeout_at(answer_by.into(), handled).await {
                Ok(Ok(response)) => or_unreadable(response),
                Err(_) => refusal::to_status(&refusal::out_of_time()).into_http(),
            };
            hung_up.is_answered();
            let code = call.finish(&shared.policy, &mut response);
            if matches!(code, Code::Internal | Code::Unknown | Code::DataLoss) {
                call.record_error(&shared.policy);
            }
            span.attribute(CODE_ATTRIBUTE, i64::from(code as i32));
            Ok(held.until_sent(response))
        })
    }
}

/// Counts a call whose caller hung up before there was an answer.
struct HungUp {
    metrics: CallMetrics,
    /// None once there is an answer.
    of: Option<(&'static str, Instant)>,
}

impl HungUp {
    fn is_answered(&mut self) {
        self.of = None;
    }
}

impl Drop for HungUp {
    fn drop(&mut self) {
        if let Some((method, began)) = self.of {
            self.metrics
                .answered(method, Code::Cancelled, began.elapsed());
        }
    }
}

fn connect_again(detail: &str) -> Response<Body> {
    let refusal = Refusal::after(Reason::Overloaded, Duration::ZERO).with("detail", detail);
    refusal::to_status(&refusal).into_http()
}

fn traceparent(headers: &HeaderMap) -> Option<TraceContext> {
    TraceContext::parse(headers.get(TRACEPARENT_HEADER)?.to_str().ok()?).ok()
}

fn or_unreadable(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    if code_of(headers) == Code::Ok || headers.contains_key("grpc-status-details-bin") {
        return response;
    }
    match Status::from_header_map(headers) {
        Some(said) => refusal::or_unreadable(said).into_http(),
        None => response,
    }
}

/// The status stands in the headers if the answer is a refusal; otherwise it comes after the body.
fn code_of(headers: &HeaderMap) -> Code {
    headers
        .get("grpc-status")
        .map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()))
}

#[cfg(test)]
mod tests {
    use tidegate_types::Retry;

    use super::*;

    #[test]
    fn who_has_to_connect_again_is_told_why_and_to_do_so_at_once() {
        for why in [CERTIFICATE_ENDED, TOLD_TO_GO] {
            let answer = connect_again(why);
            let status = Status::from_header_map(answer.headers()).unwrap();
            let told = refusal::from_status(&status);
            assert_eq!(told.reason, Reason::Overloaded);
            assert_eq!(told.retry, Retry::After(Duration::ZERO));
            assert_eq!(told.fact("detail"), Some(why));
        }
    }

    #[test]
    fn a_request_that_cannot_be_read_is_its_callers_fault_and_a_defect_is_not() {
        let code_after = |status: Status| code_of(or_unreadable(status.into_http()).headers());
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
