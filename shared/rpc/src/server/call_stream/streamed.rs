//! A call and its answer as messages of a stream.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderValue;
use tidegate_proto::gateway::v1::{StreamCallsRequest, StreamCallsResponse};
use tidegate_telemetry::{Context, TraceContext};
use tonic::{Code, Request, Status};

use super::handlers::Handler;
use crate::{
    PREVIOUS_ATTEMPTS_HEADER,
    refusal::{self, PUSHBACK_HEADER},
    server::{
        CallContext,
        answer::{Answer, AnswerTo},
        call::Incoming,
        held::Held,
        peer::Peer,
        ready::ReadyAnswer,
    },
};

/// A call that came over a stream.
pub(in crate::server) struct StreamedCall {
    pub(super) asked: StreamCallsRequest,
    /// None for what is no method of one answer.
    pub(super) handler: Option<Handler>,
    pub(super) peer: Option<Arc<Peer>>,
    /// The token that the stream was opened with.
    pub(super) token: Option<Arc<HeaderValue>>,
    pub(super) context: Option<CallContext>,
}

impl StreamedCall {
    /// Has the call answered by its handler.
    pub(in crate::server) async fn handle(self) -> Result<StreamedAnswer, Infallible> {
        let Some(handler) = self.handler else {
            // Nobody may call it, so that nothing comes here.
            return Ok(StreamedAnswer::of(refusal::defect()));
        };
        let mut request = Request::new(self.asked.request);
        let previous_attempts = self.asked.previous_attempts;
        if previous_attempts > 0 {
            let metadata = request.metadata_mut();
            metadata.insert(PREVIOUS_ATTEMPTS_HEADER, previous_attempts.into());
        }
        if let Some(context) = self.context {
            request.extensions_mut().insert(context);
        }
        Ok(match handler.handle(request).await {
            Ok(response) => StreamedAnswer {
                told: StreamCallsResponse {
                    response,
                    ..StreamCallsResponse::default()
                },
                held: None,
            },
            Err(status) => StreamedAnswer::of(status),
        })
    }
}

impl Incoming for StreamedCall {
    type Answer = StreamedAnswer;

    fn path(&self) -> &str {
        self.handler.as_ref().map_or("", |handler| handler.path)
    }

    fn authorization(&self) -> Option<&str> {
        self.token.as_ref()?.to_str().ok()
    }

    fn patience(&self) -> Option<Duration> {
        let timeout_ms = u64::from(self.asked.timeout_ms);
        (timeout_ms > 0).then(|| Duration::from_millis(timeout_ms))
    }

    fn trace(&self) -> Option<TraceContext> {
        TraceContext::parse(&self.asked.traceparent)
    }

    fn take_peer(&mut self) -> Option<Arc<Peer>> {
        self.peer.take()
    }

    fn put_context(&mut self, context: CallContext) {
        self.context = Some(context);
    }
}

/// The answer to a call of a stream. It keeps what the call takes until it is sent.
pub(in crate::server) struct StreamedAnswer {
    told: StreamCallsResponse,
    held: Option<Held>,
}

impl StreamedAnswer {
    /// The message that tells it, at the moment at which it goes.
    pub(super) fn into_message(self, call_id: u64) -> StreamCallsResponse {
        StreamCallsResponse {
            call_id,
            ..self.told
        }
    }
}

impl Answer for StreamedAnswer {
    fn of(status: Status) -> Self {
        Self::of_status(&status)
    }

    fn of_ready(ready: &ReadyAnswer) -> Self {
        Self::of_status(&ready.status)
    }

    fn code(&self) -> Code {
        Code::from_i32(self.told.code)
    }

    fn address(&mut self, to: &AnswerTo) {
        let comes_back_in_time = |ms: i64| {
            let after = u64::try_from(ms).map(Duration::from_millis);
            after.is_ok_and(|after| to.may_come_back(after))
        };
        if let Some(pushback_ms) = &mut self.told.retry_pushback_ms
            && !comes_back_in_time(*pushback_ms)
        {
            *pushback_ms = -1;
        }
        self.told.trace_id = to.trace_id();
    }

    fn goes_on_in(&mut self, _: Context) {}

    fn until_sent(mut self, held: Held) -> Self {
        self.held = Some(held);
        self
    }

    fn or_unreadable(self) -> Self {
        if self.code() == Code::Ok || !self.told.status_details.is_empty() {
            return self;
        }
        let said = Status::new(self.code(), self.told.message);
        Self::of(refusal::or_unreadable(said))
    }
}

impl StreamedAnswer {
    fn of_status(status: &Status) -> Self {
        let pushback = status.metadata().get(PUSHBACK_HEADER);
        let pushback = pushback.and_then(|ms| ms.to_str().ok()?.parse().ok());
        Self {
            told: StreamCallsResponse {
                code: status.code().into(),
                message: status.message().to_owned(),
                status_details: Bytes::copy_from_slice(status.details()),
                retry_pushback_ms: pushback,
                ..StreamCallsResponse::default()
            },
            held: None,
        }
    }
}
