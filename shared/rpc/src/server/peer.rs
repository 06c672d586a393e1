use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use tidegate_auth::Identity;
use tokio::time::{Instant, sleep, sleep_until};

use super::{deadline::MAX_DEADLINE, limits::Work, listener::ConnectionLimits};

/// Checks of health and what else is open to all, at once on one connection: a client has one watch, and tools two streams of reflection.
const MAX_OPEN_CALLS: usize = 16;
/// A peer is told to go so long before its certificate ends, so that the calls under way are answered.
const CERTIFICATE_MARGIN: Duration = MAX_DEADLINE;
/// A peer that was told to go may not have read it yet. After so long no further call of it is answered.
const FAREWELL: Duration = MAX_DEADLINE;
/// Longer than any certificate is good for.
const UNLIMITED: ConnectionLimits = ConnectionLimits {
    per_address: usize::MAX,
    idle: Duration::from_secs(10 * 365 * 86_400),
    age: Duration::from_secs(10 * 365 * 86_400),
};
/// How often it is seen whether a peer that was told to go has calls under way.
const LEFT_ALONE_POLL: Duration = Duration::from_secs(1);

/// Who is at the other end of a connection, and what it has under way. Each of its calls carries it.
#[derive(Debug)]
pub(super) struct Peer {
    /// Whom the certificate names; `None` without one, or with one that names nobody of the suite.
    pub(super) identity: Option<Identity>,
    certificate_ends: Option<SystemTime>,
    under_way: Mutex<UnderWay>,
    /// Calls that are open to all, of those under way.
    open_calls: AtomicUsize,
    answered_until: OnceLock<Instant>,
}

#[derive(Debug)]
struct UnderWay {
    calls: usize,
    changed_at: Instant,
}

/// Why a call of a connection is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAnswered {
    /// The certificate that opened the connection has ended.
    CertificateEnded,
    /// The peer was told to go long ago.
    ToldToGo,
    /// So many of the calls that are open to all are under way already.
    TooManyOpen,
}

impl Peer {
    pub(super) fn new(identity: Option<Identity>, certificate_ends: Option<SystemTime>) -> Self {
        let under_way = UnderWay {
            calls: 0,
            changed_at: Instant::now(),
        };
        Self {
            identity,
            certificate_ends,
            under_way: Mutex::new(under_way),
            open_calls: AtomicUsize::new(0),
            answered_until: OnceLock::new(),
        }
    }

    /// Counts a call as under way until what is returned is dropped, or refuses it.
    pub(super) fn begin_call(self: &Arc<Self>, work: Work) -> Result<CallUnderWay, NotAnswered> {
        // By the clock of the wall, which may have been set meanwhile.
        if self
            .certificate_ends
            .is_some_and(|end| SystemTime::now() >= end)
        {
            return Err(NotAnswered::CertificateEnded);
        }
        if self
            .answered_until
            .get()
            .is_some_and(|end| Instant::now() >= *end)
        {
            return Err(NotAnswered::ToldToGo);
        }
        let is_open = work.is_open();
        if is_open && self.open_calls.fetch_add(1, Ordering::Relaxed) >= MAX_OPEN_CALLS {
            self.open_calls.fetch_sub(1, Ordering::Relaxed);
            return Err(NotAnswered::TooManyOpen);
        }
        self.under_way().change(|calls| calls + 1);
        Ok(CallUnderWay {
            peer: Arc::clone(self),
            is_open,
        })
    }

    /// Waits until the peer is to be told to go: it has been there for long enough, has had nothing under way for long enough, or its certificate is about to end.
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
            let idle_at = match &*self.under_way() {
                UnderWay {
                    calls: 0,
                    changed_at,
                } => *changed_at + limits.idle,
                UnderWay { .. } => now + limits.idle,
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
    }

    /// Waits until a peer that was told to go has nothing under way that anybody would miss.
    pub(super) async fn left_alone(&self) {
        sleep(FAREWELL).await;
        while self.under_way().calls > self.open_calls.load(Ordering::Relaxed) {
            sleep(LEFT_ALONE_POLL).await;
        }
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

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    fn change(&mut self, change: impl FnOnce(usize) -> usize) {
        self.calls = change(self.calls);
        self.changed_at = Instant::now();
    }
}

/// One call of a connection, until it is dropped.
pub(super) struct CallUnderWay {
    peer: Arc<Peer>,
    is_open: bool,
}

impl Drop for CallUnderWay {
    fn drop(&mut self) {
        if self.is_open {
            self.peer.open_calls.fetch_sub(1, Ordering::Relaxed);
        }
        self.peer.under_way().change(|calls| calls - 1);
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
