use http::{HeaderMap, Response};
use tidegate_types::Refusal;
use tonic::body::Body;

use crate::refusal;

/// Copies of one refusal, each with another delay, so that those refused together do not come back together.
const VARIANTS: usize = 64;

/// A refusal made ahead of time: it is given most often when there is least time to make it.
pub(super) struct ReadyRefusal(Vec<HeaderMap>);

impl ReadyRefusal {
    pub(super) fn new(refusal: &Refusal) -> Self {
        let headers = || {
            let answer: Response<Body> = refusal::to_status(refusal).into_http();
            answer.into_parts().0.headers
        };
        Self((0..VARIANTS).map(|_| headers()).collect())
    }

    /// The answer, with a delay of its own.
    pub(super) fn answer(&self) -> Response<Body> {
        let mut answer = Response::new(Body::empty());
        *answer.headers_mut() = self.0[rand::random_range(0..VARIANTS)].clone();
        answer
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
                let answer = ready.answer();
                let status = Status::from_header_map(answer.headers()).unwrap();
                assert_eq!(refusal::reason_of(&status), Some(Reason::QueueFull));
                answer.headers()["grpc-retry-pushback-ms"].clone()
            })
            .map(|pushback| pushback.to_str().unwrap().to_owned())
            .collect();
        assert!(pushbacks.len() > VARIANTS / 2, "{pushbacks:?}");
    }
}
