use std::fmt;

use opentelemetry::{Context, global, trace::TracerProvider as _};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::FilterExt as _,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{Format, Json, JsonFields, Writer},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
};

use crate::{TraceContext, sampling};

/// The log filter could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not a log filter such as `info` or `info,tidegate_issuance=debug`")]
pub struct InvalidLogFilter(String);

/// Writes JSON lines to standard error and spans to where they are exported, for the whole process. To be called once, by a binary.
pub fn init(filter: &str, spans: Option<&SdkTracerProvider>) -> Result<(), InvalidLogFilter> {
    let subscriber = subscriber(filter, std::io::stderr, spans)?;
    if let Some(spans) = spans {
        global::set_tracer_provider(spans.clone());
    }
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| InvalidLogFilter(error.to_string()))
}

/// What [`init`] sets up.
///
/// Under `info`, libraries are heard from `warn` on: their own `info` lines are written for their makers, not for whoever is on call.
pub fn subscriber<W>(
    filter: &str,
    writer: W,
    spans: Option<&SdkTracerProvider>,
) -> Result<impl Subscriber + Send + Sync, InvalidLogFilter>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // A bare level speaks of Tidegate's own crates; the filter matches their names by prefix.
    let directives = match filter {
        "trace" | "debug" | "info" => format!("warn,tidegate={filter}"),
        other => other.to_owned(),
    };
    let filter = EnvFilter::builder()
        .parse(&directives)
        .map_err(|_| InvalidLogFilter(filter.to_owned()))?;
    let json = Format::default()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false);
    let logs = tracing_subscriber::fmt::layer()
        .event_format(WithTraceId(json))
        .fmt_fields(JsonFields::new())
        .with_writer(writer)
        .with_filter(sampling::events().and(filter));
    let spans = spans.map(|spans| {
        tracing_opentelemetry::layer()
            .with_tracer(spans.tracer("tidegate"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(sampling::spans_of_recorded())
    });
    Ok(tracing_subscriber::registry().with(logs).with(spans))
}

/// JSON lines that end with the id of the story they belong to, if they belong to one.
struct WithTraceId(Format<Json>);

impl<S, N> FormatEvent<S, N> for WithTraceId
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(step) = Context::map_current(TraceContext::of) else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        let fields = line.trim_end().strip_suffix('}').unwrap_or_default();
        writeln!(writer, r#"{fields},"trace_id":"{}"}}"#, step.trace_id())
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use opentelemetry::{
        context::FutureExt as _,
        trace::{Status, TraceContextExt as _},
    };
    use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SpanData};
    use tracing::info_span;

    use super::*;
    use crate::{Batch, fail, note, story};

    /// What work leaves: its log lines, and its spans in the order in which they ended.
    async fn left_by(work: impl Future) -> (String, Vec<SpanData>) {
        let (lines, writer) = io::pipe().unwrap();
        let exporter = InMemorySpanExporter::default();
        let spans = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
            .build();
        let subscriber = subscriber("info", Arc::new(writer), Some(&spans)).unwrap();
        let set = tracing::subscriber::set_default(subscriber);
        work.await;
        drop(set);
        let lines = io::read_to_string(lines).unwrap();
        (lines, exporter.get_finished_spans().unwrap())
    }

    #[tracing::instrument(skip_all, name = "step", fields(otel.kind = "client"))]
    async fn step() {
        note("tidegate.lane", 7_i64);
        fail(&"no answer");
        tokio::spawn(async { tracing::info!("done") }.with_current_context())
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn only_a_recorded_story_leaves_spans_and_a_line_names_its_story_by_itself() {
        for recorded in [true, false] {
            let call = TraceContext::new_root(recorded);
            let (lines, spans) = left_by(step().with_context(call.context())).await;
            let end = format!(r#","trace_id":"{}"}}"#, call.trace_id());
            assert!(lines.trim_end().ends_with(&end), "{lines}");
            let start = lines.find(r#"","level":"INFO","message":"done","target":"#);
            assert!(start.is_some() && !lines.contains("span"), "{lines}");
            assert_eq!(spans.len(), usize::from(recorded));
            for span in spans {
                let of_call = call.context();
                let called = of_call.span().span_context().clone();
                assert_eq!(span.span_context.trace_id(), called.trace_id());
                assert_eq!(span.parent_span_id, called.span_id());
                assert_eq!(span.attributes.len(), 1, "{:?}", span.attributes);
                assert_eq!(span.status, Status::error("no answer"));
            }
        }
    }

    #[tokio::test]
    async fn work_of_its_own_accord_begins_a_story_if_it_says_so_and_leaves_nothing_otherwise() {
        let (lines, spans) = left_by(step()).await;
        assert!(!lines.contains("trace_id") && spans.is_empty(), "{lines}");
        let (lines, spans) = left_by(step().with_context(story())).await;
        let trace_id = spans[0].span_context.trace_id().to_string();
        assert!(lines.contains(&trace_id), "{lines}");
    }

    #[tokio::test]
    async fn a_batch_is_recorded_if_one_of_its_steps_is_and_links_to_those_that_are() {
        let [first, other] = [true, false].map(TraceContext::new_root);
        for (steps, linked) in [(vec![first, other], Some(first)), (vec![other], None)] {
            let commit = async {
                assert_eq!(TraceContext::current().sampled(), linked.is_some());
                step().await;
            };
            let batch = Batch::of(steps.into_iter());
            let (_, spans) = left_by(batch.run(|| info_span!("commit"), commit)).await;
            let names: Vec<_> = spans.iter().map(|span| span.name.as_ref()).collect();
            assert_eq!(names.is_empty(), linked.is_none());
            let Some(linked) = linked else { continue };
            assert_eq!(names, ["step", "commit"]);
            let links = spans[1].links.iter();
            let linked_to: Vec<_> = links
                .map(|link| link.span_context.trace_id().to_string())
                .collect();
            assert_eq!(linked_to, [linked.trace_id()]);
        }
    }
}
