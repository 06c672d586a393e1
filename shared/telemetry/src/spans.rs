use std::{
    fmt::Display,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    Context, KeyValue, Value,
    context::FutureExt as _,
    global,
    trace::{Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider},
};
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::{Sampling, TraceContext};

/// Spans that wait for the exporter; more are dropped, and the SDK logs that.
const MAX_WAITING_SPANS: usize = 65_536;
const SPANS_PER_EXPORT: usize = 2_048;
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
/// Links of one batch's span at most.
const MAX_LINKS: usize = 128;

/// The exporter could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the OTLP exporter for {endpoint} could not be made: {reason}")]
pub struct ExporterFailed {
    endpoint: String,
    reason: String,
}

/// Sends spans by OTLP over gRPC. Must be called inside a tokio runtime.
pub fn export_spans(
    endpoint: &str,
    service: &'static str,
    replica: &str,
    Sampling(ratio): Sampling,
) -> Result<SdkTracerProvider, ExporterFailed> {
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
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches);
    let share = Box::new(Sampler::TraceIdRatioBased(ratio));
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor.build())
        .with_sampler(Sampler::ParentBased(share))
        .with_resource(resource)
        .build())
}

/// Sends what is still waiting. Blocks for up to three seconds: call it from a blocking thread, last.
pub fn flush(spans: &SdkTracerProvider) {
    if let Err(error) = spans.shutdown_with_timeout(SHUTDOWN_TIMEOUT) {
        tracing::warn!(%error, "the last spans did not reach the collector; traces of the final seconds may be missing");
    }
}

/// Adds a fact to the current span, if it is recorded.
pub fn note(key: &'static str, value: impl Into<Value>) {
    Context::map_current(|context| context.span().set_attribute(KeyValue::new(key, value)));
}

/// Gives the current span a name that was not known where it began.
pub fn rename(name: String) {
    Context::map_current(|context| context.span().update_name(name));
}

/// Marks the current span as failed.
pub fn fail(why: &impl Display) {
    Context::map_current(|context| {
        if context.span().is_recording() {
            context.span().set_status(Status::error(why.to_string()));
        }
    });
}

/// Links the current span to a recorded step of another story, such as the commit that carried this claim.
pub fn link(other: TraceContext) {
    if other.sampled() {
        Context::map_current(|context| context.span().add_link(other.to_span(), Vec::new()));
    }
}

/// Links a span that is not the current one to the current one.
pub fn link_to_current(span: &Span) {
    Context::map_current(|context| span.add_link(context.span().span_context().clone()));
}

/// Records a call that failed in a story that is not recorded, as if its story were.
pub fn record_failure(
    method: &'static str,
    code: &'static str,
    step: TraceContext,
    began_at: SystemTime,
) {
    let facts = [
        ("rpc.system.name", "grpc"),
        ("rpc.method", method),
        ("rpc.response.status_code", code),
        ("error.type", code),
    ];
    let builder = SpanBuilder::from_name(method)
        .with_kind(SpanKind::Server)
        .with_start_time(began_at)
        .with_attributes(facts.map(|(key, value)| KeyValue::new(key, value)));
    let parent = step.with_sampled(true).context();
    // Ends where it is dropped.
    let mut span = global::tracer("tidegate").build_with_context(builder, &parent);
    span.set_status(Status::error(code));
}

/// What is done for many at once is a story of its own, recorded if one of theirs is, and linked to those.
pub struct Batch {
    size: usize,
    recorded: Vec<TraceContext>,
}

impl Batch {
    /// A batch of the steps that come together in it.
    pub fn of(steps: impl ExactSizeIterator<Item = TraceContext>) -> Self {
        Self {
            size: steps.len(),
            recorded: steps
                .filter(TraceContext::sampled)
                .take(MAX_LINKS)
                .collect(),
        }
    }

    /// Does the work in a span, which `make` makes if it is recorded.
    pub async fn run<W: Future>(self, make: impl FnOnce() -> Span, work: W) -> W::Output {
        let story = TraceContext::new_root(!self.recorded.is_empty()).context();
        let noted = async {
            note("tidegate.batch_size", self.size as i64);
            self.recorded.into_iter().for_each(link);
            work.await
        };
        async { noted.instrument(make()).await }
            .with_context(story)
            .await
    }
}
