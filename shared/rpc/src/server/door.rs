//! The door of a service: what happens to every call before its handler, and to its answer after it.

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response};
use tidegate_telemetry::Tracing;
use tonic::body::Body;
use tower::{Service, ServiceBuilder};

use super::{
    access::{AccessControl, AccessRules},
    answer::{self, AnswerHeaders},
    call::Call,
    concern::Around,
    deadline::DeadlineLayer,
    metrics::{CallCounts, CallMetrics},
    places::Places,
    spans::CallSpans,
};

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

/// The layers of one service. They decide from headers alone whether a call goes on.
#[derive(Clone)]
pub struct CallLayer {
    rules: Arc<AccessRules>,
    tracing: Arc<Tracing>,
    metrics: CallMetrics,
    counts: CallCounts,
    access: AccessControl,
    places: Places,
    spans: CallSpans,
}

impl CallLayer {
    /// Layers for one service.
    pub fn new(policy: CallPolicy) -> Self {
        let tracing = Arc::new(policy.tracing);
        let spans = CallSpans::new(Arc::clone(&tracing));
        Self {
            places: Places::new(
                policy.max_in_flight,
                policy.access.limits(),
                policy.metrics.in_flight.clone(),
                spans.clone(),
            ),
            access: AccessControl::new(spans.clone()),
            counts: CallCounts::new(policy.metrics.clone()),
            rules: Arc::new(policy.access),
            metrics: policy.metrics,
            tracing,
            spans,
        }
    }

    pub(super) fn metrics(&self) -> CallMetrics {
        self.metrics.clone()
    }

    /// The service behind all its layers.
    pub(super) fn around<S>(
        self,
        routes: S,
    ) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
    {
        let (rules, tracing) = (self.rules, self.tracing);
        ServiceBuilder::new()
            // What a call is and who makes it: all that follows goes by this.
            .map_request(move |request| Call::arrive(&rules, &tracing, request))
            // Around all that answers, so that every answer is counted, refusals too.
            .layer(Around(self.counts))
            // Whoever is answered, by whichever layer, can read it and name its trace.
            .layer(Around(AnswerHeaders))
            // Who may not call learns that also when the service is full, and takes no place.
            .layer(Around(self.access))
            // From here on a call costs something, until the last of its answer is sent.
            .layer(Around(self.places))
            // Inside of what refuses: spans of crowds that are refused would drown the rest.
            .layer(Around(self.spans))
            // Tower's own timeout has one time for all calls. Inside of the span, which so tells that the time ran out.
            .layer(DeadlineLayer)
            // The codec's words on a message that it could not read, before anybody takes them for a defect.
            .map_response(answer::or_unreadable)
            .map_request(Call::into_request)
            .service(routes)
    }
}
