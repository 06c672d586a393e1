use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use http::{HeaderMap, Request};
use tidegate_telemetry::{Context, Sampling, TraceContext};
use tonic::body::Body;

use super::{
    access::{Access, AccessRules},
    context::CallContext,
    deadline,
    peer::Peer,
    work::Work,
};
use crate::TRACEPARENT_HEADER;

/// A call on its way to its handler, and what is known of it from its headers alone.
pub(super) struct Call {
    pub(super) request: Request<Body>,
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

impl Call {
    pub(super) fn arrive(
        rules: &AccessRules,
        sampling: Sampling,
        mut request: Request<Body>,
    ) -> Self {
        let (began, began_at) = (Instant::now(), SystemTime::now());
        let peer = request.extensions_mut().remove::<Arc<Peer>>();
        let identity = peer.as_ref().and_then(|peer| peer.identity);
        let (path, headers) = (request.uri().path(), request.headers());
        let (method, work, access) = rules.check(path, identity, headers, began);
        let (trace, is_told_to_record) = trace_of(rules, sampling, headers, &access, began);
        Self {
            method,
            work,
            access,
            peer,
            began,
            began_at,
            patience: deadline::asked(headers),
            deadline: deadline::of(headers, began),
            trace,
            story: trace.context(),
            is_told_to_record,
            request,
        }
    }

    /// What its handler sees of it.
    pub(super) fn into_request(mut self) -> Request<Body> {
        let caller = match self.access {
            Access::ToCaller(caller) => Some(caller),
            _ => None,
        };
        self.request.extensions_mut().insert(CallContext {
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
    headers: &HeaderMap,
    access: &Access,
    now: Instant,
) -> (TraceContext, bool) {
    let Some(said) = traceparent(headers) else {
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

fn traceparent(headers: &HeaderMap) -> Option<TraceContext> {
    TraceContext::parse(headers.get(TRACEPARENT_HEADER)?.to_str().ok()?)
}
