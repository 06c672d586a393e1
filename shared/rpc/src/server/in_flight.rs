use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use prometheus_client::metrics::gauge::Gauge;

use super::limits::{Limits, Work};

/// The calls in flight, all together and of each kind.
pub(super) struct InFlight {
    most: usize,
    most_of_kind: [usize; Work::KINDS],
    all: AtomicUsize,
    of_kind: [AtomicUsize; Work::KINDS],
    gauge: Gauge,
}

/// Which bound was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// Of this kind of work there is no more room; of others there may be.
    OfKind,
    /// There is no more room at all.
    AtAll,
}

impl InFlight {
    pub(super) fn new(most: usize, limits: &Limits, gauge: Gauge) -> Self {
        let mut most_of_kind = [0; Work::KINDS];
        for work in Work::ALL {
            most_of_kind[work as usize] = limits.most(work);
        }
        Self {
            most,
            most_of_kind,
            all: AtomicUsize::new(0),
            of_kind: Default::default(),
            gauge,
        }
    }
}

/// One place among the calls in flight, until it is dropped.
pub(super) struct Place {
    in_flight: Arc<InFlight>,
    work: Work,
}

impl Place {
    /// Takes a place, or says at once that there is none: who waits for a place only makes others late.
    pub(super) fn take(in_flight: &Arc<InFlight>, work: Work) -> Result<Self, NoPlace> {
        let of_kind = in_flight.of_kind[work as usize].fetch_add(1, Ordering::Relaxed);
        let all = in_flight.all.fetch_add(1, Ordering::Relaxed);
        in_flight.gauge.inc();
        // Made before it is known whether there is room, so that dropping it takes back what was counted.
        let place = Self {
            in_flight: Arc::clone(in_flight),
            work,
        };
        if of_kind >= in_flight.most_of_kind[work as usize] {
            return Err(NoPlace::OfKind);
        }
        if all >= in_flight.most && work != Work::Probes {
            return Err(NoPlace::AtAll);
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.in_flight.of_kind[self.work as usize].fetch_sub(1, Ordering::Relaxed);
        self.in_flight.all.fetch_sub(1, Ordering::Relaxed);
        self.in_flight.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_flight(most: usize, claims: usize) -> Arc<InFlight> {
        let limits = Limits::default().at_most(Work::Claims, claims);
        Arc::new(InFlight::new(most, &limits, Gauge::default()))
    }

    #[test]
    fn a_crowd_of_claims_leaves_the_places_of_orders_free() {
        let in_flight = in_flight(10, 4);
        let claims: Vec<_> = (0..100)
            .map(|_| Place::take(&in_flight, Work::Claims))
            .collect();
        let taken = claims.iter().filter(|place| place.is_ok()).count();
        assert_eq!(taken, 4);
        assert!(matches!(claims[4], Err(NoPlace::OfKind)));
        let orders: Vec<_> = (0..6)
            .map(|_| Place::take(&in_flight, Work::Orders))
            .collect();
        assert!(orders.iter().all(Result::is_ok));
    }

    #[test]
    fn a_full_process_still_answers_probes_and_a_place_given_back_is_taken_again() {
        let in_flight = in_flight(2, 2);
        let claims = [0; 2].map(|_| Place::take(&in_flight, Work::Claims).unwrap());
        let refused = Place::take(&in_flight, Work::Orders).err();
        assert_eq!(refused, Some(NoPlace::AtAll));
        assert!(Place::take(&in_flight, Work::Probes).is_ok());
        drop(claims);
        assert!(Place::take(&in_flight, Work::Orders).is_ok());
    }
}
