//! What a call leaves in traces and logs.

use std::{fs, sync::Arc};

use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider, SpanData};
use tempfile::NamedTempFile;
use tidegate_auth::Identity;
use tidegate_proto::issuance::v1::{
    RevokeCouponRequest, coupon_admin_service_client::CouponAdminServiceClient,
};
use tidegate_rpc::client::{Replicas, RetryPolicy};
use tidegate_telemetry::{FutureExt as _, TraceContext, subscriber};

use tidegate_test_kit::PATIENCE;

use crate::suite::{Suite, UNARY};

/// Makes a call in a story; the log lines and the spans of both ends.
async fn left_by_call(story: TraceContext) -> (String, Vec<SpanData>) {
    let (log, exporter) = (
        NamedTempFile::new().unwrap(),
        InMemorySpanExporter::default(),
    );
    let spans = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)))
        .build();
    let writer = Arc::new(log.reopen().unwrap());
    let subscriber = subscriber("info", writer, Some(&spans)).unwrap();
    let _set = tracing::subscriber::set_default(subscriber);
    let suite = Suite::start().await;
    let (address, tls) = (suite.address.to_string(), suite.tls(Identity::Gateway));
    let (replicas, _) = Replicas::find(vec![address], Identity::Issuance, tls).await;
    let send = |channel, request| async move {
        let mut client = CouponAdminServiceClient::new(channel);
        client.revoke_coupon(request).await
    };
    let policy = RetryPolicy::each_in_turn(PATIENCE);
    let call = replicas.call(policy, RevokeCouponRequest::default, send);
    call.with_context(story.context()).await.unwrap();
    let lines = fs::read_to_string(log.path()).unwrap();
    (lines, exporter.get_finished_spans().unwrap())
}

#[tokio::test]
async fn both_ends_of_a_call_are_in_its_story_and_leave_spans_if_that_is_recorded() {
    for recorded in [true, false] {
        let story = TraceContext::new_root(recorded);
        let (lines, spans) = left_by_call(story).await;
        let line = lines.lines().find(|line| line.contains("was revoked"));
        let end = format!(r#","trace_id":"{}"}}"#, story.trace_id());
        assert!(line.unwrap().ends_with(&end), "{lines}");
        if !recorded {
            assert!(spans.is_empty(), "{spans:?}");
            continue;
        }
        let of_kind = |kind| spans.iter().find(|span| span.span_kind == kind).unwrap();
        let (client, server) = (of_kind(SpanKind::Client), of_kind(SpanKind::Server));
        assert_eq!(server.parent_span_id, client.span_context.span_id());
        for span in [client, server] {
            let trace_id = span.span_context.trace_id().to_string();
            assert_eq!(trace_id, story.trace_id());
            let method = UNARY.trim_start_matches('/');
            assert_eq!(span.name, method);
            for (key, expected) in [
                ("rpc.system.name", "grpc"),
                ("rpc.method", method),
                ("rpc.response.status_code", "OK"),
            ] {
                let mut facts = span.attributes.iter();
                let told = facts.find(|fact| fact.key.as_str() == key).unwrap();
                assert_eq!(told.value.as_str(), expected, "{key}");
            }
        }
        assert_eq!(spans.len(), 2);
    }
}
