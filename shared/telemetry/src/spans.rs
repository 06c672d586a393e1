use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    Context, KeyValue, Value,
    trace::{
        Span as _, SpanBuilder, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider},
};

pub use opentelemetry::trace::SpanKind;

use crate::TraceContext;

/// Spans that wait for the exporter; more are dropped, and the SDK logs that.
const MAX_WAITING_SPANS: usize = 65_536;
const SPANS_PER_EXPORT: usize = 2_048;
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// The exporter could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the OTLP exporter for {endpoint} could not be made: {reason}")]
pub struct ExporterFailed {
    endpoint: String,
    reason: String,
}

/// Makes spans and sends them to a collector.
///
/// A context that is not sampled costs nothing: its spans are never built. Whether a story is sampled is decided once, where it enters the suite.
#[derive(Clone)]
pub struct Tracing {
    exporter: Option<(SdkTracer, SdkTracerProvider)>,
    sample_ratio: f64,
}

impl Tracing {
    /// Records nothing; contexts still pass through.
    pub fn disabled() -> Self {
        Self {
            exporter: None,
            sample_ratio: 0.0,
        }
    }

    /// Sends spans by OTLP over gRPC. `sample_ratio` is the share of new stories that is recorded, 0 to 1. Must be called inside a tokio runtime.
    pub fn export_to(
        endpoint: &str,
        service: &'static str,
        replica: &str,
        sample_ratio: f64,
    ) -> Result<Self, ExporterFailed> {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(|error| ExporterFailed {
                endpoint: endpoint.to_owned(),
                reason: error.to_string(),
            })?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(MAX_WAITING_SPANS)
            .with_max_export_batch_size(SPANS_PER_EXPORT)
            .build();
        let resource = Resource::builder()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.namespace", "tidegate"))
            .with_attribute(KeyValue::new("service.instance.id", replica.to_owned()))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(
                BatchSpanProcessor::builder(exporter)
                    .with_batch_config(batches)
                    .build(),
            )
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
            .with_resource(resource)
            .build();
        Ok(Self {
            exporter: Some((provider.tracer("tidegate"), provider)),
            sample_ratio,
        })
    }

    /// A new story, recorded with the configured probability.
    pub fn new_root(&self) -> TraceContext {
        TraceContext::new_root(self.decides_to_sample())
    }

    /// A story that began outside of the suite, recorded with the configured probability, whatever was decided there.
    pub fn decided_here(&self, story: TraceContext) -> TraceContext {
        story.with_sampled(self.decides_to_sample())
    }

    fn decides_to_sample(&self) -> bool {
        self.exporter.is_some() && rand::random::<f64>() < self.sample_ratio
    }

    /// Starts a span under `parent`.
    pub fn start(
        &self,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: TraceContext,
    ) -> Span {
        self.start_at(name, kind, parent, SystemTime::now())
    }

    /// Starts a span that began earlier, such as the wait in a queue.
    pub fn start_at(
        &self,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: TraceContext,
        began: SystemTime,
    ) -> Span {
        let Some((tracer, _)) = self.exporter.as_ref().filter(|_| parent.sampled()) else {
            return Span {
                recording: None,
                context: parent,
            };
        };
        let builder = SpanBuilder::from_name(name)
            .with_kind(kind)
            .with_start_time(began);
        let span = tracer.build_with_context(
            builder,
            &Context::new().with_remote_span_context(parent.to_span()),
        );
        let context = TraceContext::of_span(span.span_context());
        Span {
            recording: Some(span),
            context,
        }
    }

    /// Sends what is still waiting. Blocks for up to three seconds: call it from a blocking thread, last.
    pub fn flush(&self) {
        if let Some((_, provider)) = &self.exporter
            && let Err(error) = provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT)
        {
            tracing::warn!(%error, "the last spans did not reach the collector; traces of the final seconds may be missing");
        }
    }
}

/// One step of a story. Ends when dropped.
pub struct Span {
    recording: Option<opentelemetry_sdk::trace::Span>,
    context: TraceContext,
}

impl Span {
    /// What the next step names as its parent.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// True if someone will see it; saves the making of attributes nobody reads.
    pub fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    /// Adds a fact.
    pub fn attribute(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.recording {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Links to a step of another story, such as the commit that carried this claim.
    pub fn link(&mut self, other: TraceContext) {
        if let Some(span) = self.recording.as_mut().filter(|_| other.sampled()) {
            span.add_link(other.to_span(), Vec::new());
        }
    }

    /// Marks the step as failed.
    pub fn fail(&mut self, why: impl Into<Cow<'static, str>>) {
        if let Some(span) = &mut self.recording {
            span.set_status(Status::error(why));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_nobody_records_keeps_its_trace_id() {
        let parent = TraceContext::new_root(false);
        let span = Tracing::disabled().start("claim", SpanKind::Server, parent);
        assert!(!span.is_recording());
        assert_eq!(span.context(), parent);
    }

    #[tokio::test]
    async fn a_story_from_outside_keeps_its_trace_id_and_is_recorded_as_often_as_a_new_one() {
        for (ratio, decided) in [(0.0, false), (1.0, true)] {
            let tracing = Tracing::export_to("http://127.0.0.1:1", "test", "test-0", ratio);
            let outside = TraceContext::new_root(!decided);
            let here = tracing.unwrap().decided_here(outside);
            assert_eq!(here.trace_id(), outside.trace_id());
            assert_eq!(here.sampled(), decided);
        }
    }

    #[tokio::test]
    async fn a_recorded_child_stays_in_its_parents_story_under_a_name_of_its_own() {
        let tracing = Tracing::export_to("http://127.0.0.1:1", "test", "test-0", 1.0).unwrap();
        let parent = tracing.new_root();
        let span = tracing.start("claim", SpanKind::Server, parent);
        assert!(span.is_recording());
        assert_eq!(span.context().trace_id(), parent.trace_id());
        assert_ne!(span.context(), parent);
    }
}
