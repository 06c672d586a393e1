//! gRPC as every service of the suite speaks it: mutual TLS, who may call what, deadlines, typed refusals, and finding replicas.

pub mod client;
pub mod coalesced;
pub mod frame;
pub mod refusal;
pub mod server;
pub mod wire;

/// Response metadata that names the call in traces and logs, on success and on refusal alike.
pub const TRACE_ID_HEADER: &str = "tidegate-trace-id";
/// Request metadata that carries the W3C trace context.
pub const TRACEPARENT_HEADER: &str = "traceparent";
/// Request metadata that says how often a call was sent before, as gRPC libraries do when they send
/// it again.
pub const PREVIOUS_ATTEMPTS_HEADER: &str = "grpc-previous-rpc-attempts";
/// The largest message the suite takes or sends, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
