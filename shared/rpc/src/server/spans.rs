use std::{convert::Infallible, time::SystemTime};

use tidegate_telemetry::{Context, FutureExt as _, TraceContext, fail, note, record_failure};
use tonic::Code;
use tracing::{Instrument as _, Span, info_span};

use super::{
    answer::Answer,
    call::{Call, Incoming},
    code_name,
};

/// What a call's handling belongs to.
pub(super) struct Story {
    context: Context,
    trace: TraceContext,
    method: &'static str,
    began_at: SystemTime,
}

impl Story {
    pub(super) fn of<I: Incoming>(call: &Call<I>) -> Self {
        Self {
            context: call.story.clone(),
            trace: call.trace,
            method: call.method,
            began_at: call.began_at,
        }
    }

    /// Has the call handled in its story and, if that is recorded, in a span of its own.
    pub(super) fn of_handling<A: Answer>(
        self,
        handled: impl Future<Output = Result<A, Infallible>>,
    ) -> impl Future<Output = Result<A, Infallible>> {
        let (method, context) = (self.method, self.context.clone());
        let noted = async move {
            let Ok(mut answer) = handled.await;
            self.end(answer.code());
            if self.trace.sampled() {
                // What a stream goes on with is a part of the call's own step.
                answer.goes_on_in(Context::current());
            }
            Ok(answer)
        };
        async move { noted.instrument(server_span(method)).await }.with_context(context)
    }

    fn end(&self, code: Code) {
        note_code(code);
        if matches!(code, Code::Internal | Code::Unknown | Code::DataLoss) {
            let method = self.method;
            // Errors are always recorded, also of stories that are not.
            if !self.trace.sampled() {
                record_failure(method, code_name(code), self.trace, self.began_at);
            }
            tracing::error!(
                method,
                "a call failed for a reason that should not occur; look for earlier lines of this trace"
            );
        }
    }
}

/// A refusal on the way to the handler is recorded only for a caller that records its story: spans of crowds that are refused would drown the rest.
pub(super) fn refused<I: Incoming>(call: &Call<I>, answer: I::Answer) -> Box<I::Answer> {
    if call.is_told_to_record {
        let _in_story = call.story.clone().attach();
        server_span(call.method).in_scope(|| note_code(answer.code()));
    }
    Box::new(answer)
}

fn server_span(method: &'static str) -> Span {
    info_span!(
        "server call",
        otel.name = method,
        otel.kind = "server",
        rpc.system.name = "grpc",
        rpc.method = method,
    )
}

fn note_code(code: Code) {
    note("rpc.response.status_code", code_name(code));
    // Those that OpenTelemetry's conventions count as the server's errors.
    if matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    ) {
        note("error.type", code_name(code));
        fail(&code_name(code));
    }
}
