//! A concern of calls as a tower layer.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;
use tonic::body::Body;
use tower::{Layer, Service};

use super::call::Call;

/// What is done with a call before it goes on, and with its answer.
pub(super) trait Concern: Clone {
    /// What is kept meanwhile. It is dropped without an answer if the caller hangs up.
    type Open;

    /// Lets the call go on, or answers it here.
    fn begin(&self, call: &mut Call) -> Result<Self::Open, Box<Response<Body>>>;

    fn end(open: Self::Open, answer: Response<Body>) -> Response<Body>;
}

/// The layer of a concern.
pub(super) struct Around<C>(pub(super) C);

impl<C: Concern, S> Layer<S> for Around<C> {
    type Service = ConcernService<C, S>;

    fn layer(&self, inner: S) -> ConcernService<C, S> {
        ConcernService {
            concern: self.0.clone(),
            inner,
        }
    }
}

/// See [`Around`].
#[derive(Clone)]
pub(super) struct ConcernService<C, S> {
    concern: C,
    inner: S,
}

impl<C, S> Service<Call> for ConcernService<C, S>
where
    C: Concern,
    S: Service<Call, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering<C, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call) -> Self::Future {
        match self.concern.begin(&mut call) {
            Ok(open) => Answering::GoesOn {
                handled: self.inner.call(call),
                open: Some(open),
            },
            Err(answer) => Answering::AnsweredHere {
                answer: Some(answer),
            },
        }
    }
}

pin_project! {
    #[project = Progress]
    pub(super) enum Answering<C: Concern, F> {
        AnsweredHere { answer: Option<Box<Response<Body>>> },
        GoesOn { #[pin] handled: F, open: Option<C::Open> },
    }
}

impl<C, F> Future for Answering<C, F>
where
    C: Concern,
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Nobody polls it again once it was ready.
        match self.project() {
            Progress::AnsweredHere { answer } => answer
                .take()
                .map_or(Poll::Pending, |answer| Poll::Ready(Ok(*answer))),
            Progress::GoesOn { handled, open } => {
                let Ok(answer) = ready!(handled.poll(cx));
                open.take()
                    .map_or(Poll::Pending, |open| Poll::Ready(Ok(C::end(open, answer))))
            }
        }
    }
}
