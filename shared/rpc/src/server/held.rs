use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::{Body as _, Frame, SizeHint};
use tidegate_telemetry::Context as Story;
use tonic::{Status, body::Body};

use super::{in_flight::Place, peer::InFlightPermit};

/// What a call takes until the last of its answer has been sent, however long a stream goes on.
pub(super) struct Held {
    pub(super) _place: Place,
    /// None where no connection is known.
    pub(super) _permit: Option<InFlightPermit>,
    /// What is said while a stream goes on belongs to it as well.
    pub(super) story: Story,
}

impl Held {
    /// Ties what is held to the answer's body.
    pub(super) fn until_sent(mut self, mut answer: Response<Body>) -> Response<Body> {
        if answer.body().is_end_stream() {
            return answer;
        }
        if let Some(in_span) = answer.extensions_mut().remove() {
            self.story = in_span;
        }
        answer.map(|body| {
            let held = Some(self);
            Body::new(HeldBody { body, held })
        })
    }
}

struct HeldBody {
    body: Body,
    held: Option<Held>,
}

impl http_body::Body for HeldBody {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let in_story = self.held.as_ref().map(|held| held.story.clone().attach());
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        drop(in_story);
        let frame = ready!(polled);
        // Trailers are the last of an answer.
        if !matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
            self.held = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
