use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Frame, SizeHint};
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

/// A body whose answer holds something until the last of it has been sent.
pub(super) struct HeldBody {
    pub(super) body: Body,
    pub(super) held: Option<Held>,
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
