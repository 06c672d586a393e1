use prometheus_client::metrics::gauge::Gauge;
use tidegate_types::RequestId;

use super::{
    fair_places::{FairPlace, FairPlaces},
    limits::Limits,
    work::Work,
};

/// The calls in flight, all together and of each kind.
pub(super) struct InFlight {
    all: FairPlaces,
    of_kind: [FairPlaces; Work::KINDS],
    gauge: Gauge,
}

/// Which bound was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// Of this kind of work there is no more room for this caller; of others there may be.
    OfKind,
    /// There is no more room at all for this caller.
    AtAll,
}

impl InFlight {
    pub(super) fn new(most: usize, limits: &Limits, gauge: Gauge) -> Self {
        Self {
            all: FairPlaces::new(most),
            of_kind: Work::ALL.map(|work| FairPlaces::new(limits.most(work))),
            gauge,
        }
    }

    /// A place for a call, or which bound it met.
    pub(super) fn take(&self, work: Work, subject: Option<&RequestId>) -> Result<Place, NoPlace> {
        let of_kind = self.of_kind[work as usize].take(subject);
        let of_kind = of_kind.ok_or(NoPlace::OfKind)?;
        let of_all = if work.counts_among_all() {
            let place = self.all.take(subject).ok_or(NoPlace::AtAll)?;
            self.gauge.inc();
            Some((place, self.gauge.clone()))
        } else {
            None
        };
        Ok(Place {
            _of_kind: of_kind,
            of_all,
        })
    }
}

/// One place among the calls in flight, until it is dropped.
pub(super) struct Place {
    _of_kind: FairPlace,
    of_all: Option<(FairPlace, Gauge)>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((_, gauge)) = &self.of_all {
            gauge.dec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_flight(most: usize, claims: usize) -> InFlight {
        let limits = Limits::default().at_most(Work::Claims, claims);
        InFlight::new(most, &limits, Gauge::default())
    }

    #[test]
    fn a_crowd_of_claims_leaves_the_places_of_orders_free() {
        let in_flight = in_flight(10, 4);
        let claims: Vec<_> = (0..100)
            .map(|_| in_flight.take(Work::Claims, None))
            .collect();
        let taken = claims.iter().filter(|place| place.is_ok()).count();
        assert_eq!(taken, 4);
        assert!(matches!(claims[4], Err(NoPlace::OfKind)));
        let orders: Vec<_> = (0..6).map(|_| in_flight.take(Work::Orders, None)).collect();
        assert!(orders.iter().all(Result::is_ok));
    }

    #[test]
    fn a_full_process_still_answers_probes_and_streams_and_a_place_given_back_is_taken_again() {
        let in_flight = in_flight(2, 2);
        let claims = [0; 2].map(|_| in_flight.take(Work::Claims, None).ok().unwrap());
        let refused = in_flight.take(Work::Orders, None).err();
        assert_eq!(refused, Some(NoPlace::AtAll));
        let never_full = [
            Work::Probes,
            Work::ProbeStreams,
            Work::StrangerStreams,
            Work::Streams,
        ];
        for work in never_full {
            assert!(in_flight.take(work, None).is_ok());
        }
        drop(claims);
        assert!(in_flight.take(Work::Orders, None).is_ok());
    }

    #[test]
    fn a_caller_that_floods_one_kind_leaves_others_room_in_it_and_in_all() {
        let in_flight = in_flight(90, usize::MAX);
        let [flood, other] = ["flood", "other"].map(|name| RequestId::parse(name).unwrap());
        let taken: Vec<_> = (0..1_000)
            .map_while(|_| in_flight.take(Work::Claims, Some(&flood)).ok())
            .collect();
        assert_eq!(taken.len(), 80);
        let orders = in_flight.take(Work::Orders, Some(&flood)).err();
        assert_eq!(orders, Some(NoPlace::AtAll));
        assert!(in_flight.take(Work::Claims, Some(&other)).is_ok());
    }
}
