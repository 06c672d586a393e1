//! A concern of calls as a tower layer.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{
    answer::Answer,
    call::{Call, Incoming},
};

/// What is done with a call before it goes on, and with its answer.
pub(super) trait Concern: Clone {
    /// What is kept meanwhile. It is dropped without an answer if the caller hangs up.
    type Open;

    /// Lets the call go on, or answers it here.
    fn begin<I: Incoming>(&self, call: &Call<I>) -> Result<Self::Open, Box<I::Answer>>;

    fn end<A: Answer>(open: Self::Open, answer: A) -> A;
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

impl<C, I, S> Service<Call<I>> for ConcernService<C, S>
where
    C: Concern,
    I: Incoming,
    S: Service<Call<I>, Response = I::Answer, Error = Infallible>,
{
    type Response = I::Answer;
    type Error = Infallible;
    type Future = Answering<C, I::Answer, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call<I>) -> Self::Future {
        match self.concern.begin(&call) {
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
    pub(super) enum Answering<C: Concern, A, F> {
        AnsweredHere { answer: Option<Box<A>> },
        GoesOn { #[pin] handled: F, open: Option<C::Open> },
    }
}

impl<C, A, F> Future for Answering<C, A, F>
where
    C: Concern,
    A: Answer,
    F: Future<Output = Result<A, Infallible>>,
{
    type Output = Result<A, Infallible>;

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
