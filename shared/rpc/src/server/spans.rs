use std::{sync::Arc, time::SystemTime};

use http::Response;
use tidegate_telemetry::{Span, SpanKind, TraceContext, Tracing};
use tonic::{Code, body::Body};

use super::{answer::code_of, call::Call, concern::Concern};

const CODE_ATTRIBUTE: &str = "rpc.grpc.status_code";

/// Makes the span of every call that goes on.
#[derive(Clone)]
pub(super) struct CallSpans(Arc<Tracing>);

/// The span of a call that is being handled.
pub(super) struct OpenCall {
    tracing: Arc<Tracing>,
    method: &'static str,
    began_at: SystemTime,
    trace: TraceContext,
    span: Span,
}

impl CallSpans {
    pub(super) fn new(tracing: Arc<Tracing>) -> Self {
        Self(tracing)
    }

    /// A refusal is recorded only for a caller that records its story.
    pub(super) fn refused(&self, call: &Call, answer: Response<Body>) -> Box<Response<Body>> {
        if call.is_told_to_record {
            self.span(call).attribute(CODE_ATTRIBUTE, number(&answer));
        }
        Box::new(answer)
    }

    fn span(&self, call: &Call) -> Span {
        let kind = SpanKind::Server;
        self.0
            .start_at(call.method, kind, call.trace, call.began_at)
    }
}

impl Concern for CallSpans {
    type Open = OpenCall;

    fn begin(&self, call: &mut Call) -> Result<OpenCall, Box<Response<Body>>> {
        let span = self.span(call);
        call.trace = span.context();
        Ok(OpenCall {
            tracing: Arc::clone(&self.0),
            method: call.method,
            began_at: call.began_at,
            trace: call.trace,
            span,
        })
    }

    fn end(mut open: OpenCall, answer: Response<Body>) -> Response<Body> {
        if matches!(
            code_of(answer.headers()),
            Code::Internal | Code::Unknown | Code::DataLoss
        ) {
            open.record_error();
        }
        open.span.attribute(CODE_ATTRIBUTE, number(&answer));
        answer
    }
}

impl OpenCall {
    /// Errors are always recorded, also of stories that are not.
    fn record_error(&self) {
        let (method, trace) = (self.method, self.trace);
        let kind = SpanKind::Server;
        self.tracing
            .start_at(method, kind, trace.force_sampled(), self.began_at)
            .fail("internal error");
        tracing::error!(method, trace_id = %trace, "a call failed for a reason that should not occur; look for earlier lines of this trace");
    }
}

fn number(answer: &Response<Body>) -> i64 {
    i64::from(code_of(answer.headers()) as i32)
}
