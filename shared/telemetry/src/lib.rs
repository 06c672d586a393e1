//! What the services tell the people who watch them: spans by OTLP, metrics for Prometheus, logs as JSON lines.

mod context;
mod logs;
mod metrics;
mod spans;

pub use context::{InvalidTraceparent, TraceContext};
pub use logs::{InvalidLogFilter, init_logs};
pub use metrics::{duration_histogram, size_histogram};
pub use spans::{ExporterFailed, Span, SpanKind, Tracing};

/// The registry a service's metrics live in. Each service has its own, so that several can run in one process.
pub use prometheus_client::registry::Registry;
