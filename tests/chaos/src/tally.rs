//! What passes while shoppers come: counted for the report, and to know whether a fault hit
//! anything.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::time::{sleep, timeout};

/// How long whoever wants to break something waits for requests to hit.
const PREY_LIMIT: Duration = Duration::from_secs(3);
const PREY_POLL: Duration = Duration::from_millis(1);

/// Counts since the beginning of a round.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// Requests sent, each copy and each retry counted.
    pub sent: u64,
    /// Sends that ended without an answer of the suite's: whether they had an effect is not known.
    pub unknown: u64,
    /// Coupons told for the first time to a request.
    pub issued: u64,
    pub replayed: u64,
    pub accepted: u64,
    pub cancelled: u64,
    pub duplicated: u64,
    pub late: u64,
    /// Halts that were acknowledged, and had requests under way when staff asked for them.
    pub halts: u64,
    pub refusals: BTreeMap<String, u64>,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.unknown += other.unknown;
        self.issued += other.issued;
        self.replayed += other.replayed;
        self.accepted += other.accepted;
        self.cancelled += other.cancelled;
        self.duplicated += other.duplicated;
        self.late += other.late;
        self.halts += other.halts;
        for (reason, number) in &other.refusals {
            *self.refusals.entry(reason.clone()).or_default() += number;
        }
    }

    /// How often a refusal named this reason.
    pub fn refused(&self, reason: &str) -> u64 {
        self.refusals.get(reason).copied().unwrap_or(0)
    }
}

/// What a mutex holds, also after somebody crashed with it.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
pub struct Tally {
    counts: Mutex<Counts>,
    in_flight: AtomicU64,
    /// Whether only half of the shoppers come, and come again, as usual.
    pub half_load: AtomicBool,
}

impl Tally {
    pub fn counts(&self) -> MutexGuard<'_, Counts> {
        locked(&self.counts)
    }

    /// Notes that a request is under way until the guard is dropped.
    pub fn send(&self) -> InFlight<'_> {
        self.counts().sent += 1;
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(self)
    }

    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// Waits until requests are under way and says how many; none if none come for a while.
    pub async fn prey(&self) -> u64 {
        let some = async {
            loop {
                match self.in_flight() {
                    0 => sleep(PREY_POLL).await,
                    prey => return prey,
                }
            }
        };
        timeout(PREY_LIMIT, some).await.unwrap_or(0)
    }

    pub fn refused(&self, reason: &str) {
        let mut counts = self.counts();
        *counts.refusals.entry(reason.to_owned()).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (now, in_flight) = (self.counts(), self.in_flight());
        write!(
            out,
            "{} sent, {} issued, {} replayed, {} ordered, {} unknown, {} halts, {in_flight} in flight",
            now.sent, now.issued, now.replayed, now.accepted, now.unknown, now.halts
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
