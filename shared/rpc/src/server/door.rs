//! The door of a service: what happens to every call before its handler, and to its answer after it.

use std::{convert::Infallible, sync::Arc};

use tidegate_telemetry::Sampling;
use tower::{Service, ServiceBuilder};

use super::{
    access::{AccessControl, AccessRules},
    answer::{Answer, AnswerHeaders},
    call::{Call, Incoming},
    call_stream::CallHandlers,
    concern::Around,
    deadline::DeadlineLayer,
    metrics::{CallCounts, CallMetrics},
    places::Places,
};

/// How a service takes calls.
pub struct CallPolicy {
    /// Who may call what, and how much of each kind of work.
    pub access: AccessRules,
    /// Calls in flight at once, of all kinds; further ones are refused before their body is read.
    pub max_in_flight: usize,
    /// Which stories that begin here are recorded.
    pub sampling: Sampling,
    /// Where calls are counted.
    pub metrics: CallMetrics,
}

/// The layers of one service. They decide from headers alone whether a call goes on.
pub struct CallLayer {
    policy: CallPolicy,
    of_streams: Option<CallHandlers>,
}

impl CallLayer {
    /// Layers for one service.
    pub fn new(policy: CallPolicy) -> Self {
        Self {
            policy,
            of_streams: None,
        }
    }

    /// The same for a service whose calls also come over streams, if there are handlers for them.
    #[must_use]
    pub fn with_streams(self, of_streams: Option<CallHandlers>) -> Self {
        Self { of_streams, ..self }
    }

    pub(super) fn metrics(&self) -> CallMetrics {
        self.policy.metrics.clone()
    }

    /// The layers, with what they share, and what answers the calls of streams.
    pub(super) fn layers(self) -> (Layers, Option<CallHandlers>) {
        let CallPolicy {
            access,
            max_in_flight,
            sampling,
            metrics,
        } = self.policy;
        let rules = Arc::new(access);
        let gauge = metrics.in_flight.clone();
        let layers = Layers {
            places: Places::new(max_in_flight, rules.limits(), gauge),
            counts: CallCounts::new(metrics),
            access: AccessControl::new(),
            rules,
            sampling,
        };
        (layers, self.of_streams)
    }
}

/// The layers of one service, and what they share, however many services they are put around.
pub(super) struct Layers {
    rules: Arc<AccessRules>,
    sampling: Sampling,
    counts: CallCounts,
    access: AccessControl,
    places: Places,
}

impl Layers {
    /// The service behind all its layers.
    pub(super) fn around<I, S>(
        &self,
        routes: S,
    ) -> impl Service<I, Response = I::Answer, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + use<I, S>
    + 'static
    where
        I: Incoming,
        S: Service<I, Response = I::Answer, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        let (rules, sampling) = (Arc::clone(&self.rules), self.sampling);
        ServiceBuilder::new()
            // What a call is and who makes it: all that follows goes by this.
            .map_request(move |request: I| Call::arrive(&rules, sampling, request))
            // Around all that answers, so that every answer is counted, refusals too.
            .layer(Around(self.counts.clone()))
            // Whoever is answered, by whichever layer, can read it and name its trace.
            .layer(Around(AnswerHeaders))
            // Who may not call learns that also when the service is full, and takes no place.
            .layer(Around(self.access.clone()))
            // From here on a call costs something, until the last of its answer is sent.
            .layer(Around(self.places.clone()))
            // Tower's own timeout has one time for all calls. It is inside of the call's span, which so tells that the time ran out, and that inside of what refuses.
            .layer(DeadlineLayer)
            // The codec's words on a message that it could not read, before anybody takes them for a defect.
            .map_response(I::Answer::or_unreadable)
            .map_request(Call::into_request)
            .service(routes)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{Request, Response};
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
    use tidegate_auth::Identity;
    use tidegate_telemetry::Registry;
    use tokio::time::sleep;
    use tonic::{Code, Status, body::Body};
    use tower::ServiceExt as _;

    use super::*;
    use crate::{
        TRACE_ID_HEADER, access_rules,
        server::{Rule, peer::Peer},
    };

    const METHOD: &str = "/tidegate.quota.v1.LeaseService/AcquireLease";
    const RULES: &[Rule] = access_rules! {
        "tidegate.quota.v1.LeaseService" { AcquireLease: Inner, by [Issuance]; }
    };

    /// What a caller is told by a service that has so many places, and whose handler takes a while.
    async fn told(
        places: usize,
        (path, identity): (&str, Identity),
        handler: (Duration, fn() -> Response<Body>),
    ) -> Code {
        let mut registry = Registry::default();
        let door = CallLayer::new(CallPolicy {
            access: AccessRules::services_only(RULES),
            max_in_flight: places,
            sampling: Sampling::default(),
            metrics: CallMetrics::register(&mut registry),
        });
        let (takes, answer) = handler;
        let routes = tower::service_fn(move |_: Request<Body>| async move {
            sleep(takes).await;
            Ok(answer())
        });
        let request = Request::builder().uri(path).header("grpc-timeout", "50m");
        let mut request = request.body(Body::empty()).unwrap();
        let peer = Arc::new(Peer::new(Some(identity), None));
        request.extensions_mut().insert(peer);
        let Ok(answer): Result<Response<Body>, _> =
            door.layers().0.around(routes).oneshot(request).await;
        assert!(answer.headers().contains_key(TRACE_ID_HEADER));
        let code = answer.code();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let counted = text.contains("grpc_server_handled_total{") && text.contains("} 1\n");
        assert!(counted, "{text}");
        code
    }

    #[tokio::test]
    async fn a_call_that_fails_is_recorded_though_its_story_is_not() {
        let exporter = InMemorySpanExporter::default();
        let spans = SdkTracerProvider::builder().with_simple_exporter(exporter.clone());
        opentelemetry::global::set_tracer_provider(spans.build());
        let defect: fn() -> Response<Body> = || crate::refusal::defect().into_http();
        let takes = Duration::from_millis(10);
        let failed = told(1, (METHOD, Identity::Issuance), (takes, defect)).await;
        assert_eq!(failed, Code::Internal);
        let spans = exporter.get_finished_spans().unwrap();
        let failed = spans
            .iter()
            .find(|span| format!("/{}", span.name) == METHOD);
        let failed = failed.unwrap();
        assert_eq!(
            failed.status,
            opentelemetry::trace::Status::error("INTERNAL")
        );
        let took = failed.end_time.duration_since(failed.start_time).unwrap();
        assert!(took >= takes, "{took:?}");
    }

    #[tokio::test]
    async fn whoever_answers_it_a_call_is_counted_and_its_answer_names_its_trace() {
        const AT_ONCE: Duration = Duration::ZERO;
        let (served, stranger) = ((METHOD, Identity::Issuance), (METHOD, Identity::Chatbot));
        let done: fn() -> Response<Body> = || Response::new(Body::empty());
        assert_eq!(told(1, served, (AT_ONCE, done)).await, Code::Ok);
        let full = told(0, served, (AT_ONCE, done)).await;
        assert_eq!(full, Code::Unavailable);
        let denied = told(0, stranger, (AT_ONCE, done)).await;
        assert_eq!(denied, Code::PermissionDenied, "also where it is full");
        let unknown = told(0, ("/nothing", Identity::Issuance), (AT_ONCE, done)).await;
        assert_eq!(unknown, Code::Unimplemented);
        let late = told(1, served, (Duration::from_secs(5), done)).await;
        assert_eq!(
            late,
            Code::Unavailable,
            "it is answered before the deadline"
        );
        let unread = || Status::internal("Missing request message.").into_http();
        let unread = told(1, served, (AT_ONCE, unread)).await;
        assert_eq!(unread, Code::InvalidArgument, "its caller's fault");
    }
}
