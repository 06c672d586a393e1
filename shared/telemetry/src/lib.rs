//! What the services tell the people who watch them: spans by OTLP, metrics for Prometheus, logs as JSON lines.
//!
//! Spans are those of the `tracing` crate. Which story they belong to is OpenTelemetry's current context: what is made of a call sets it, and it stays set, recorded or not, so that log lines,
//! answers and further calls name their story by themselves. Work that is given to another task has to be given its context too, by [`FutureExt::with_current_context`].

mod context;
mod logs;
mod metrics;
mod sampling;
mod spans;

pub use context::{TraceContext, of_item};
pub use logs::{InvalidLogFilter, init, subscriber};
pub use metrics::{duration_histogram, size_histogram};
pub use opentelemetry::{Context, context::FutureExt};
pub use opentelemetry_sdk::trace::SdkTracerProvider;
pub use sampling::{Sampling, story};
pub use spans::{
    Batch, ExporterFailed, export_spans, fail, flush, link, link_to_current, note, record_failure,
    rename,
};

/// The registry a service's metrics live in. Each service has its own, so that several can run in one process.
pub use prometheus_client::registry::Registry;
