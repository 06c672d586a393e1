//! What passes while shoppers come: counted for the report, and to know whether a fault hit anything.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

/// Counts since the beginning of a round.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that were sent and are not answered yet.
    pub in_flight: AtomicU64,
    /// Requests sent, again and again counted each time.
    pub sent: AtomicU64,
    /// Sends that ended without an answer of the suite's: whether they had an effect is not known.
    pub unknown: AtomicU64,
    /// Coupons told for the first time to a request.
    pub issued: AtomicU64,
    pub replayed: AtomicU64,
    /// Orders told to be accepted.
    pub accepted: AtomicU64,
    /// Orders told to be cancelled.
    pub cancelled: AtomicU64,
    /// Requests that were sent twice at once, over both gateways.
    pub duplicated: AtomicU64,
    /// Requests that were sent again after everything was over.
    pub late: AtomicU64,
    /// Halts that were acknowledged, and had requests under way when staff asked for them.
    pub halts: AtomicU64,
    /// Whether only half of the shoppers come, and come again, as usual.
    pub half_load: AtomicBool,
    refusals: Mutex<BTreeMap<String, u64>>,
}

impl Tally {
    /// Notes that a request is under way until the guard is dropped.
    pub fn send(&self) -> InFlight<'_> {
        self.sent.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(self)
    }

    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// An answer named this reason.
    pub fn refused(&self, reason: &str) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        *refusals.entry(reason.to_owned()).or_default() += 1;
    }

    pub fn refusals(&self) -> BTreeMap<String, u64> {
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.clone()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} sent, {} issued, {} replayed, {} ordered, {} unknown, {} halts, {} in flight",
            self.sent.load(Relaxed),
            self.issued.load(Relaxed),
            self.replayed.load(Relaxed),
            self.accepted.load(Relaxed),
            self.unknown.load(Relaxed),
            self.halts.load(Relaxed),
            self.in_flight.load(Relaxed),
        )
    }
}

#[derive(Debug)]
pub struct InFlight<'a>(&'a Tally);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}
