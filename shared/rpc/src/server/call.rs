use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use http::{Request, header::AUTHORIZATION};
use tidegate_telemetry::{Context, Sampling, TraceContext};
use tonic::body::Body;

use super::{
    access::{Access, AccessRules},
    answer::Answer,
    context::CallContext,
    deadline,
    peer::Peer,
    work::Work,
};
use crate::TRACEPARENT_HEADER;

/// A call as it comes, on its own or as a message of a stream.
pub(super) trait Incoming: Send + 'static {
    type Answer: Answer;

    /// Such as `/tidegate.quota.v1.LeaseService/AcquireLease`.
    fn path(&self) -> &str;
    fn authorization(&self) -> Option<&str>;
    /// How long its caller waits, if it says so.
    fn patience(&self) -> Option<Duration>;
    fn trace(&self) -> Option<TraceContext>;
    /// `None` where no connection is known.
    fn take_peer(&mut self) -> Option<Arc<Peer>>;
    /// What its handler sees of it beside what was asked.
    fn put_context(&mut self, context: CallContext);
}

impl Incoming for Request<Body> {
    type Answer = http::Response<Body>;

    fn path(&self) -> &str {
        self.uri().path()
    }

    fn authorization(&self) -> Option<&str> {
        self.headers().get(AUTHORIZATION)?.to_str().ok()
    }

    fn patience(&self) -> Option<Duration> {
        deadline::asked(self.headers())
    }

    fn trace(&self) -> Option<TraceContext> {
        TraceContext::parse(self.headers().get(TRACEPARENT_HEADER)?.to_str().ok()?)
    }

    fn take_peer(&mut self) -> Option<Arc<Peer>> {
        self.extensions_mut().remove()
    }

    fn put_context(&mut self, context: CallContext) {
        self.extensions_mut().insert(context);
    }
}

/// A call on its way to its handler, and what is known of it before what it asks is read.
pub(super) struct Call<I> {
    pub(super) request: I,
    /// Its name for metrics and spans, of the closed set of those there are.
    pub(super) method: &'static str,
    pub(super) work: Work,
    pub(super) access: Access,
    /// `None` where no connection is known.
    pub(super) peer: Option<Arc<Peer>>,
    pub(super) began: Instant,
    pub(super) began_at: SystemTime,
    /// How long its caller waits, if it said so.
    pub(super) patience: Option<Duration>,
    pub(super) deadline: Instant,
    pub(super) trace: TraceContext,
    /// The same, as all that is done for the call has it as its context.
    pub(super) story: Context,
    /// Whether the one who calls decided that it is recorded.
    pub(super) is_told_to_record: bool,
}

impl<I: Incoming> Call<I> {
    pub(super) fn arrive(rules: &AccessRules, sampling: Sampling, mut request: I) -> Self {
        let (began, began_at) = (Instant::now(), SystemTime::now());
        let peer = request.take_peer();
        let identity = peer.as_ref().and_then(|peer| peer.identity);
        let (path, authorization) = (request.path(), request.authorization());
        let (method, work, access) = rules.check(path, identity, authorization, began);
        let (trace, is_told_to_record) = trace_of(rules, sampling, request.trace(), &access, began);
        let patience = request.patience();
        Self {
            method,
            work,
            access,
            peer,
            began,
            began_at,
            patience,
            deadline: deadline::of(patience, began),
            trace,
            story: trace.context(),
            is_told_to_record,
            request,
        }
    }

    /// What its handler sees of it.
    pub(super) fn into_request(mut self) -> I {
        let caller = match self.access {
            Access::ToCaller(caller) => Some(caller),
            _ => None,
        };
        self.request.put_context(CallContext {
            deadline: self.deadline,
            peer: self.peer.as_ref().and_then(|peer| peer.identity),
            caller,
            connection: self.peer,
        });
        self.request
    }
}

/// The step of a story that a call is, and whether the one who calls decided that it is recorded. It decides for a share of its stories at most; for the others this process does.
fn trace_of(
    rules: &AccessRules,
    sampling: Sampling,
    said: Option<TraceContext>,
    access: &Access,
    now: Instant,
) -> (TraceContext, bool) {
    let Some(said) = said else {
        return (sampling.new_root(), false);
    };
    let is_service = matches!(access, Access::ToService);
    let wants_record = said.sampled() && rules.may_decide_to_record(access, now);
    if is_service || wants_record {
        (said, wants_record)
    } else {
        (sampling.decided_here(said), false)
    }
}
