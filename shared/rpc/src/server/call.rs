use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};

use http::{HeaderMap, HeaderValue, Request, Response};
use tidegate_auth::{Caller, Identity};
use tidegate_telemetry::{SpanKind, TraceContext, Tracing};
use tidegate_types::{Reason, Refusal};
use tokio::time::timeout_at;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use super::{
    access::{Access, AccessRules},
    deadline,
    listener::Peer,
    metrics::CallMetrics,
};
use crate::{TRACE_ID_HEADER, TRACEPARENT_HEADER, refusal};

const RETRY_WHEN_FULL: Duration = Duration::from_millis(500);

/// What every handler knows of its call; found in the request's extensions.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// The step of the story this call is.
    pub trace: TraceContext,
    /// When the answer must be there.
    pub deadline: Instant,
    /// Whom the connection's certificate names.
    pub peer: Option<Identity>,
    /// Whom the token speaks for, if a token opened the door.
    pub caller: Option<Arc<Caller>>,
}

/// How a service takes calls.
pub struct CallPolicy {
    /// Who may call what.
    pub access: AccessRules,
    /// Calls in flight at once; further ones are refused before their body is read.
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
    in_flight: AtomicUsize,
}

impl CallLayer {
    /// A layer for one service.
    pub fn new(policy: CallPolicy) -> Self {
        Self(Arc::new(Shared {
            policy,
            in_flight: AtomicUsize::new(0),
        }))
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

/// Holds one place of the calls in flight.
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let before = shared.in_flight.fetch_add(1, Ordering::Relaxed);
        shared.policy.metrics.in_flight.inc();
        let place = Self(Arc::clone(shared));
        (before < shared.policy.max_in_flight).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.policy.metrics.in_flight.dec();
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
        let incoming = trace_of(request.headers()).unwrap_or_else(|| policy.tracing.new_root());
        let peer = request
            .extensions()
            .get::<Peer>()
            .and_then(|peer| peer.identity);
        let (method, access) = policy
            .access
            .check(request.uri().path(), peer, request.headers());
        let mut span = policy.tracing.start(method, SpanKind::Server, incoming);
        let trace = span.context();
        let place = Place::take(&self.shared);
        let answer = match (access, &place) {
            (Access::NoSuchMethod, _) => Err(Status::unimplemented(
                "there is no such method; reflection lists those there are",
            )),
            (Access::Refused(refusal), _) => Err(refusal::to_status(&refusal)),
            (Access::Granted(_), None) => Err(refusal::to_status(&Refusal::after(
                Reason::Overloaded,
                RETRY_WHEN_FULL,
            ))),
            (Access::Granted(caller), Some(_)) => {
                let deadline = deadline::of(request.headers(), began);
                request.extensions_mut().insert(CallContext {
                    trace,
                    deadline,
                    peer,
                    caller,
                });
                Ok((self.inner.call(request), deadline))
            }
        };
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let mut response = match answer {
                Err(status) => status.into_http(),
                Ok((handled, deadline)) => match timeout_at(deadline.into(), handled).await {
                    Ok(Ok(response)) => response,
                    Err(_) => refusal::to_status(&refusal::out_of_time()).into_http(),
                },
            };
            drop(place);
            let code = code_of(response.headers());
            let policy = &shared.policy;
            policy.metrics.answered(method, code, began.elapsed());
            if matches!(code, Code::Internal | Code::Unknown | Code::DataLoss) {
                // Errors are always recorded, also of stories that are not.
                let mut error = policy.tracing.start_at(
                    method,
                    SpanKind::Server,
                    trace.force_sampled(),
                    began_at,
                );
                error.fail("internal error");
                tracing::error!(method, trace_id = %trace, "a call failed for a reason that should not occur; look for earlier lines of this trace");
            }
            span.attribute("rpc.grpc.status_code", i64::from(code as i32));
            if let Ok(trace_id) = HeaderValue::from_str(&trace.trace_id()) {
                response.headers_mut().insert(TRACE_ID_HEADER, trace_id);
            }
            Ok(response)
        })
    }
}

fn trace_of(headers: &HeaderMap) -> Option<TraceContext> {
    TraceContext::parse(headers.get(TRACEPARENT_HEADER)?.to_str().ok()?).ok()
}

/// The status stands in the headers if the answer is a refusal; otherwise it comes after the body.
fn code_of(headers: &HeaderMap) -> Code {
    headers
        .get("grpc-status")
        .map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()))
}
