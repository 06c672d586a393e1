//! The receiver of traces, fed by the exporter that the services use.

use opentelemetry::trace::{
    Link, Span as _, SpanContext, Status, TraceContextExt, TraceFlags, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tidegate_replay::collector::Collector;

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_a_real_exporter_are_received_with_service_parent_link_and_failure() {
    let collector = Collector::start().await.unwrap();
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(collector.endpoint())
        .build()
        .unwrap();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(
            Resource::builder()
                .with_service_name("tidegate-issuance")
                .build(),
        )
        .build();
    let tracer = provider.tracer("test");
    let claim = tracer.start("claim");
    let claimed = claim.span_context().clone();
    let context = opentelemetry::Context::new().with_span(claim);
    let mut child = tracer.start_with_context("wait", &context);
    child.set_status(Status::error("refused"));
    child.end();
    context.span().end();
    let links = vec![Link::new(
        SpanContext::new(
            claimed.trace_id(),
            claimed.span_id(),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ),
        Vec::new(),
        0,
    )];
    tracer
        .build(tracer.span_builder("commit").with_links(links))
        .end();
    tokio::task::spawn_blocking(move || provider.force_flush())
        .await
        .unwrap()
        .unwrap();

    let spans = collector.trace(claimed.trace_id().to_bytes());
    let mut names: Vec<_> = spans
        .iter()
        .map(|span| (span.name.as_str(), span.failed))
        .collect();
    names.sort_unstable();
    assert_eq!(names, [("claim", false), ("commit", false), ("wait", true)]);
    assert!(spans.iter().all(|span| span.service == "issuance"));
    let wait = spans.iter().find(|span| span.name == "wait").unwrap();
    assert_eq!(wait.parent_id, claimed.span_id().to_bytes());
}
