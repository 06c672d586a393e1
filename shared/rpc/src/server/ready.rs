use http::{HeaderMap, Response};
use tidegate_types::Refusal;
use tonic::{Status, body::Body};

use super::answer::Answer;
use crate::refusal;

/// Copies of one refusal, each with another delay, so that those refused together do not come back together.
const VARIANTS: usize = 64;

/// A refusal made ahead of time: it is given most often when there is least time to make it.
pub(super) struct ReadyRefusal(Vec<ReadyAnswer>);

/// One of the copies, as a status and as the headers that tell it.
pub(super) struct ReadyAnswer {
    pub(super) status: Status,
    pub(super) headers: HeaderMap,
}

impl ReadyRefusal {
    pub(super) fn new(refusal: &Refusal) -> Self {
        let copy = |_| {
            let status = refusal::to_status(refusal);
            let answer: Response<Body> = status.clone().into_http();
            let headers = answer.into_parts().0.headers;
            ReadyAnswer { status, headers }
        };
        Self((0..VARIANTS).map(copy).collect())
    }

    /// The answer, with a delay of its own.
    pub(super) fn answer<A: Answer>(&self) -> A {
        A::of_ready(&self.0[rand::random_range(0..VARIANTS)])
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use tidegate_types::Reason;
    use tonic::Status;

    use super::*;

    #[test]
    fn a_ready_refusal_says_what_a_fresh_one_says_and_its_delays_are_spread() {
        let refusal = Refusal::after(Reason::QueueFull, Duration::from_millis(500));
        let ready = ReadyRefusal::new(&refusal);
        let pushbacks: BTreeSet<_> = (0..1_000)
            .map(|_| {
                let answer: Response<Body> = ready.answer();
                let status = Status::from_header_map(answer.headers()).unwrap();
                assert_eq!(refusal::reason_of(&status), Some(Reason::QueueFull));
                answer.headers()["grpc-retry-pushback-ms"].clone()
            })
            .map(|pushback| pushback.to_str().unwrap().to_owned())
            .collect();
        assert!(pushbacks.len() > VARIANTS / 2, "{pushbacks:?}");
    }
}
