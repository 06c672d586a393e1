use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, SystemTime},
};

use tidegate_auth::Identity;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{deadline::MAX_DEADLINE, listener::ConnectionLimits, work::Work};

/// Checks of health and what else is open to all, at once on one connection: a client has one watch, and tools two streams of reflection.
const MAX_OPEN_CALLS: usize = 16;
/// A peer is told to go so long before its certificate ends, so that the calls in flight are answered.
const CERTIFICATE_MARGIN: Duration = MAX_DEADLINE;
/// A peer that was told to go may not have read it yet. After so long no further call of it is answered.
const FAREWELL: Duration = MAX_DEADLINE;
/// Longer than any certificate is good for.
const UNLIMITED: ConnectionLimits = ConnectionLimits {
    per_address: usize::MAX,
    idle: Duration::from_secs(10 * 365 * 86_400),
    age: Duration::from_secs(10 * 365 * 86_400),
};
/// How often it is seen whether a peer that was told to go has calls in flight.
const LEFT_ALONE_POLL: Duration = Duration::from_secs(1);

/// Who is at the other end of a connection, and what it has in flight. Each of its calls carries it.
#[derive(Debug)]
pub(super) struct Peer {
    /// Whom the certificate names; `None` without one, or with one that names nobody of the suite.
    pub(super) identity: Option<Identity>,
    certificate_ends: Option<SystemTime>,
    in_flight: Mutex<CallsInFlight>,
    answered_until: OnceLock<Instant>,
    going: CancellationToken,
}

#[derive(Debug)]
struct CallsInFlight {
    all: usize,
    /// Those of them that are open to all.
    open: usize,
    changed_at: Instant,
}

/// Why a call of a connection is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAnswered {
    /// The certificate that opened the connection has ended.
    CertificateEnded,
    /// The peer was told to go long ago.
    ToldToGo,
    /// So many of the calls that are open to all are in flight already.
    TooManyOpen,
}

impl Peer {
    pub(super) fn new(identity: Option<Identity>, certificate_ends: Option<SystemTime>) -> Self {
        let in_flight = CallsInFlight {
            all: 0,
            open: 0,
            changed_at: Instant::now(),
        };
        Self {
            identity,
            certificate_ends,
            in_flight: Mutex::new(in_flight),
            answered_until: OnceLock::new(),
            going: CancellationToken::new(),
        }
    }

    /// Counts a call as in flight until what is returned is dropped, or refuses it.
    pub(super) fn begin_call(self: &Arc<Self>, work: Work) -> Result<InFlightPermit, NotAnswered> {
        // By the clock of the wall, which may have been set meanwhile.
        if self
            .certificate_ends
            .is_some_and(|end| SystemTime::now() >= end)
        {
            return Err(NotAnswered::CertificateEnded);
        }
        // Before the look at the clock, so that `left_alone` sees every call that is answered.
        let mut in_flight = self.in_flight();
        if self
            .answered_until
            .get()
            .is_some_and(|end| Instant::now() >= *end)
        {
            return Err(NotAnswered::ToldToGo);
        }
        let is_open = work.is_open();
        if is_open && in_flight.open >= MAX_OPEN_CALLS {
            return Err(NotAnswered::TooManyOpen);
        }
        in_flight.all += 1;
        in_flight.open += usize::from(is_open);
        in_flight.changed_at = Instant::now();
        Ok(InFlightPermit {
            peer: Arc::clone(self),
            is_open,
        })
    }

    /// Waits until the peer is to be told to go: it has been there for long enough, has had nothing in flight for long enough, or its certificate is about to end.
    ///
    /// A service of the suite stays until its certificate ends: its client gives up the calls that it is about to send when it is told to go, and there are few of its kind.
    pub(super) async fn time_to_go(&self, limits: ConnectionLimits) {
        let limits = if self.identity.is_some_and(Identity::is_service) {
            UNLIMITED
        } else {
            limits
        };
        let latest = Instant::now() + limits.age.mul_f64(rand::random_range(0.8..=1.0));
        let latest = match self.certificate_left() {
            // Who comes with less than that may use what is left.
            Some(left) => {
                let before_its_end = left.checked_sub(CERTIFICATE_MARGIN).unwrap_or(left);
                latest.min(Instant::now() + before_its_end)
            }
            None => latest,
        };
        loop {
            let now = Instant::now();
            let idle_at = match *self.in_flight() {
                CallsInFlight {
                    all: 0, changed_at, ..
                } => changed_at + limits.idle,
                CallsInFlight { .. } => now + limits.idle,
            };
            let next = idle_at.min(latest);
            if next <= now {
                return;
            }
            sleep_until(next).await;
        }
    }

    /// The peer is being told to go.
    pub(super) fn told_to_go(&self) {
        self.answered_until
            .get_or_init(|| Instant::now() + FAREWELL);
        self.going.cancel();
    }

    /// Waits until the peer was told to go.
    pub(super) async fn going(&self) {
        self.going.cancelled().await;
    }

    /// Waits until a peer that was told to go has nothing in flight that anybody would miss.
    pub(super) async fn left_alone(&self) {
        sleep(FAREWELL).await;
        while self.has_calls_to_end() {
            sleep(LEFT_ALONE_POLL).await;
        }
    }

    fn has_calls_to_end(&self) -> bool {
        let in_flight = self.in_flight();
        in_flight.all > in_flight.open
    }

    /// Waits until the certificate has ended.
    pub(super) async fn certificate_ended(&self) {
        match self.certificate_left() {
            Some(left) => sleep(left).await,
            None => std::future::pending().await,
        }
    }

    fn certificate_left(&self) -> Option<Duration> {
        let left = self.certificate_ends?.duration_since(SystemTime::now());
        Some(left.unwrap_or_default())
    }

    fn in_flight(&self) -> MutexGuard<'_, CallsInFlight> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave for one call of a connection to be in flight, until it is dropped.
pub(super) struct InFlightPermit {
    peer: Arc<Peer>,
    is_open: bool,
}

impl Drop for InFlightPermit {
    fn drop(&mut self) {
        let mut in_flight = self.peer.in_flight();
        in_flight.all -= 1;
        in_flight.open -= usize::from(self.is_open);
        in_flight.changed_at = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> ConnectionLimits {
        ConnectionLimits {
            idle: 10 * SECOND,
            age: 100 * SECOND,
            ..ConnectionLimits::default()
        }
    }

    fn peer() -> Arc<Peer> {
        Arc::new(Peer::new(None, None))
    }

    async fn goes_after(peer: &Arc<Peer>) -> Duration {
        let began = Instant::now();
        peer.time_to_go(limits()).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_without_calls_is_told_to_go_after_the_idle_time_and_not_while_it_has_one() {
        let peer = peer();
        let call = peer.begin_call(Work::Claims).unwrap();
        let other = Arc::clone(&peer);
        tokio::spawn(async move {
            sleep(35 * SECOND).await;
            drop(call);
            let _short = other.begin_call(Work::Claims).unwrap();
        });
        let after = goes_after(&peer).await;
        assert!((45 * SECOND..46 * SECOND).contains(&after), "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn busy_peers_are_told_to_go_at_their_age_and_not_all_at_once() {
        let mut ages = Vec::new();
        for _ in 0..20 {
            let peer = peer();
            let _call = peer.begin_call(Work::Claims).unwrap();
            ages.push(goes_after(&peer).await);
        }
        ages.sort();
        assert!(
            ages[0] >= 80 * SECOND && ages[19] <= 101 * SECOND,
            "{ages:?}"
        );
        assert!(ages[19] - ages[0] > 5 * SECOND, "{ages:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_of_the_suite_is_told_to_go_just_before_its_certificate_ends() {
        let ends = SystemTime::now() + 1_000 * SECOND;
        let peer = Arc::new(Peer::new(Some(Identity::Gateway), Some(ends)));
        let after = goes_after(&peer).await;
        assert!((989 * SECOND..991 * SECOND).contains(&after), "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_was_told_to_go_ends_its_calls_and_begins_none_later() {
        let peer = peer();
        let call = peer.begin_call(Work::Claims).unwrap();
        peer.told_to_go();
        drop(peer.begin_call(Work::Claims).unwrap());
        let _watch = peer.begin_call(Work::ProbeStreams).unwrap();
        sleep(FAREWELL).await;
        let refused = peer.begin_call(Work::Claims).err();
        assert_eq!(refused, Some(NotAnswered::ToldToGo));
        let ending = tokio::spawn(async move {
            sleep(50 * SECOND).await;
            drop(call);
        });
        peer.left_alone().await;
        assert!(ending.is_finished(), "a call was cut");
    }

    #[test]
    fn a_connection_has_few_calls_that_are_open_to_all_and_they_end_with_what_they_answer() {
        let peer = peer();
        let begin = |work| peer.begin_call(work);
        let checks: Vec<_> = (0..MAX_OPEN_CALLS).map(|_| begin(Work::Probes)).collect();
        assert!(checks.iter().all(Result::is_ok));
        assert_eq!(begin(Work::Probes).err(), Some(NotAnswered::TooManyOpen));
        assert!(begin(Work::Claims).is_ok());
        drop(checks);
        assert!(begin(Work::ProbeStreams).is_ok());
    }

    #[test]
    fn a_call_is_seen_however_many_checks_begin_and_end_beside_it() {
        let peer = peer();
        let _call = peer.begin_call(Work::Claims).unwrap();
        std::thread::scope(|scope| {
            let checks = scope.spawn(|| {
                for _ in 0..100_000 {
                    drop(peer.begin_call(Work::Probes));
                }
            });
            while !checks.is_finished() {
                assert!(peer.has_calls_to_end());
            }
        });
    }

    #[test]
    fn no_call_is_answered_once_the_certificate_has_ended() {
        let began = |ends| {
            Arc::new(Peer::new(None, Some(ends)))
                .begin_call(Work::Claims)
                .err()
        };
        let now = SystemTime::now();
        assert_eq!(began(now), Some(NotAnswered::CertificateEnded));
        assert_eq!(began(now + 60 * SECOND), None);
    }
}
