use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use tidegate_telemetry::{Registry, duration_histogram};
use tonic::Code;

use super::{
    answer::Answer,
    call::{Call, Incoming},
    concern::Concern,
};

/// Rate, errors and duration of every RPC, and the connections that were refused.
#[derive(Clone)]
pub struct CallMetrics {
    handled: Family<HandledLabels, Counter>,
    duration: Family<MethodLabel, Histogram, fn() -> Histogram>,
    pub(super) in_flight: Gauge,
    connections_refused: Family<RefusedLabel, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusedLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HandledLabels {
    method: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct MethodLabel {
    method: &'static str,
}

impl CallMetrics {
    /// Registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            handled: Family::default(),
            duration: Family::new_with_constructor(duration_histogram as fn() -> Histogram),
            in_flight: Gauge::default(),
            connections_refused: Family::default(),
        };
        registry.register(
            "grpc_server_handled",
            "Calls answered, by method and gRPC code",
            metrics.handled.clone(),
        );
        registry.register(
            "grpc_server_handling_seconds",
            "Time from a call's headers to the head of its answer",
            metrics.duration.clone(),
        );
        registry.register(
            "grpc_server_in_flight",
            "Calls being answered at this moment, without streams and probes",
            metrics.in_flight.clone(),
        );
        registry.register(
            "tidegate_connections_refused",
            "Connections closed before their first call, by reason",
            metrics.connections_refused.clone(),
        );
        metrics
    }

    pub(super) fn connection_refused(&self, reason: &'static str) {
        self.connections_refused
            .get_or_create(&RefusedLabel { reason })
            .inc();
    }

    fn answered(&self, method: &'static str, code: Code, took: Duration) {
        self.handled
            .get_or_create(&HandledLabels {
                method,
                code: code_name(code),
            })
            .inc();
        self.duration
            .get_or_create(&MethodLabel { method })
            .observe(took.as_secs_f64());
    }
}

/// Counts every call once.
#[derive(Clone)]
pub(super) struct CallCounts(Arc<CallMetrics>);

impl CallCounts {
    pub(super) fn new(metrics: CallMetrics) -> Self {
        Self(Arc::new(metrics))
    }
}

impl Concern for CallCounts {
    type Open = OpenCount;

    fn begin<I: Incoming>(&self, call: &Call<I>) -> Result<OpenCount, Box<I::Answer>> {
        Ok(OpenCount {
            metrics: Arc::clone(&self.0),
            method: call.method,
            began: call.began,
            // Until it is answered: its caller may hang up.
            code: Code::Cancelled,
        })
    }

    fn end<A: Answer>(mut open: OpenCount, answer: A) -> A {
        open.code = answer.code();
        answer
    }
}

/// A call that is counted when this is dropped.
pub(super) struct OpenCount {
    metrics: Arc<CallMetrics>,
    method: &'static str,
    began: Instant,
    code: Code,
}

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.metrics
            .answered(self.method, self.code, self.began.elapsed());
    }
}

pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
