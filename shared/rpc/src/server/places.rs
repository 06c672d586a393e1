use std::{sync::Arc, time::Duration};

use prometheus_client::metrics::gauge::Gauge;
use tidegate_types::{Reason, Refusal};
use tonic::Status;

use super::{
    access::{Access, HEALTH_WATCH},
    answer::Answer,
    call::{Call, Incoming},
    concern::Concern,
    held::Held,
    in_flight::{InFlight, NoPlace},
    limits::Limits,
    peer::NotAnswered,
    ready::ReadyRefusal,
    spans,
};
use crate::refusal;

const CERTIFICATE_ENDED: &str =
    "the certificate of this connection has ended; connect again with a valid one";
const TOLD_TO_GO: &str = "this connection was told to go; connect again";
const TOO_MANY_WATCHES: &str = "as many watches of health are open as may be";
const RETRY_WHEN_FULL: Duration = Duration::from_millis(500);

/// Gives each call a place among those of its connection, of its kind and of all, or refuses it.
#[derive(Clone)]
pub(super) struct Places(Arc<Shared>);

struct Shared {
    in_flight: InFlight,
    full: ReadyRefusal,
    full_of_kind: ReadyRefusal,
}

impl Places {
    pub(super) fn new(most: usize, limits: &Limits, gauge: Gauge) -> Self {
        let full = |reason| ReadyRefusal::new(&Refusal::after(reason, RETRY_WHEN_FULL));
        Self(Arc::new(Shared {
            in_flight: InFlight::new(most, limits, gauge),
            full: full(Reason::Overloaded),
            full_of_kind: full(Reason::QueueFull),
        }))
    }
}

impl Concern for Places {
    type Open = Held;

    fn begin<I: Incoming>(&self, call: &Call<I>) -> Result<Held, Box<I::Answer>> {
        let held = self.0.take(call);
        held.map_err(|answer| spans::refused(call, *answer))
    }

    fn end<A: Answer>(held: Held, answer: A) -> A {
        answer.until_sent(held)
    }
}

impl Shared {
    fn take<I: Incoming>(&self, call: &Call<I>) -> Result<Held, Box<I::Answer>> {
        let permit = call.peer.as_ref().map(|peer| peer.begin_call(call.work));
        let permit = permit.transpose().map_err(|why| match why {
            NotAnswered::CertificateEnded => Box::new(connect_again(CERTIFICATE_ENDED)),
            NotAnswered::ToldToGo => Box::new(connect_again(TOLD_TO_GO)),
            NotAnswered::TooManyOpen => self.no_place_of_kind(call),
        })?;
        let subject = match &call.access {
            Access::ToCaller(caller) => Some(&caller.subject),
            _ => None,
        };
        match self.in_flight.take(call.work, subject) {
            Ok(place) => Ok(Held {
                _place: place,
                _permit: permit,
                story: call.story.clone(),
            }),
            Err(NoPlace::OfKind) => Err(self.no_place_of_kind(call)),
            Err(NoPlace::AtAll) => Err(Box::new(self.full.answer())),
        }
    }

    /// Clients that check health themselves take a server for healthy if it implements no watch, and for ill if it refuses one in any other way (gRFC A17).
    fn no_place_of_kind<I: Incoming>(&self, call: &Call<I>) -> Box<I::Answer> {
        Box::new(if call.request.path() == HEALTH_WATCH {
            I::Answer::of(Status::unimplemented(TOO_MANY_WATCHES))
        } else {
            self.full_of_kind.answer()
        })
    }
}

fn connect_again<A: Answer>(detail: &str) -> A {
    let refusal = Refusal::after(Reason::Overloaded, Duration::ZERO).with("detail", detail);
    A::of(refusal::to_status(&refusal))
}

#[cfg(test)]
mod tests {
    use tidegate_types::Retry;

    use super::*;

    #[test]
    fn who_has_to_connect_again_is_told_why_and_to_do_so_at_once() {
        for why in [CERTIFICATE_ENDED, TOLD_TO_GO] {
            let answer: http::Response<tonic::body::Body> = connect_again(why);
            let status = Status::from_header_map(answer.headers()).unwrap();
            let told = refusal::from_status(&status);
            assert_eq!(told.reason, Reason::Overloaded);
            assert_eq!(told.retry, Retry::After(Duration::ZERO));
            assert_eq!(told.fact("detail"), Some(why));
        }
    }
}
