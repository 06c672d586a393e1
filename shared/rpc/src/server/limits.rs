use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use moka::sync::Cache;
use tidegate_auth::{Caller, Scope};
use tidegate_types::RequestId;

use super::{
    listener::MAX_CONNECTIONS,
    rate::{Rate, RateBucket},
    rule::Rule,
};

/// Calls that one token's subject may make each second unless another rate is set: a chatbot backend speaks for millions of shoppers.
const DEFAULT_CALLER_RATE_PER_SECOND: u32 = 50_000;
/// After a pause a caller may make as many calls at once as in this many seconds.
const CALLER_BURST_SECONDS: u32 = 2;
/// Callers whose rate is counted at once; who comes back after being forgotten starts with a full burst.
const MAX_CALLERS: u64 = 10_000;
/// Stories that one subject may have recorded each second because it says so, and as many at once in so many seconds; beyond that the process decides as for others.
const CALLER_STORIES_PER_SECOND: u32 = 100;
/// Streams open at once unless another bound is set.
const MAX_STREAMS: usize = 5_000;
/// Watches of health and reflection open at once, of all peers that show a certificate: one for each connection that there may be.
const MAX_PROBE_STREAMS: usize = MAX_CONNECTIONS;
/// The same of all strangers. They are tools and load balancers, which are few.
const MAX_STRANGER_STREAMS: usize = 200;

/// What a call is about. Each kind has places of its own, so that a crowd of one kind keeps no other out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Placing and cancelling orders, and using coupons for them.
    Orders,
    /// Claiming coupons.
    Claims,
    /// Reading what there is.
    Browsing,
    /// What staff do.
    Staff,
    /// What services ask of each other.
    Inner,
    /// Whatever is answered by a stream. It goes on for long and does little.
    Streams,
    /// Checks of health. Nobody can fill their places: each connection has few of its own.
    Probes,
    /// Watches of health, and reflection, of peers whose certificate names them.
    ProbeStreams,
    /// The same of strangers, so that they take no peer's place.
    StrangerStreams,
}

impl Work {
    pub(super) const ALL: [Self; 9] = [
        Self::Orders,
        Self::Claims,
        Self::Browsing,
        Self::Staff,
        Self::Inner,
        Self::Streams,
        Self::Probes,
        Self::ProbeStreams,
        Self::StrangerStreams,
    ];
    pub(super) const KINDS: usize = Self::ALL.len();

    /// Whether it takes one of the places of all kinds together. A process that is full is not ill, and goes on with what it has told others that it follows.
    pub(super) fn counts_among_all(self) -> bool {
        self != Self::Streams && !self.is_open()
    }

    /// Whether it is open to all.
    pub(super) fn is_open(self) -> bool {
        matches!(
            self,
            Self::Probes | Self::ProbeStreams | Self::StrangerStreams
        )
    }

    /// The kind of an RPC, by what a token must allow for it.
    pub(super) fn of(rule: &Rule) -> Self {
        match rule.scope {
            None => Self::Inner,
            Some(Scope::OrdersWrite) => Self::Orders,
            Some(Scope::ClaimsWrite) => Self::Claims,
            Some(Scope::WalletRead | Scope::OrdersRead) => Self::Browsing,
            Some(
                Scope::CampaignsRead
                | Scope::CampaignsWrite
                | Scope::CouponsWrite
                | Scope::StoresRead
                | Scope::StoresWrite
                | Scope::OrdersFulfil
                | Scope::FeedRead
                | Scope::CouponsRead
                | Scope::ChangesRead
                | Scope::StatusRead,
            ) => Self::Staff,
        }
    }
}

/// How much of each kind of work is in flight at once, and how often one caller may call.
pub struct Limits {
    most: [usize; Work::KINDS],
    caller_rate: Rate,
    others: Vec<(&'static str, Work)>,
    streams: Vec<String>,
}

impl Default for Limits {
    /// Of calls, no kind has a limit but that of all kinds together.
    fn default() -> Self {
        let limits = Self {
            most: [usize::MAX; Work::KINDS],
            caller_rate: caller_rate(DEFAULT_CALLER_RATE_PER_SECOND),
            others: Vec::new(),
            streams: tidegate_proto::streaming_methods(),
        };
        limits
            .at_most(Work::Streams, MAX_STREAMS)
            .at_most(Work::ProbeStreams, MAX_PROBE_STREAMS)
            .at_most(Work::StrangerStreams, MAX_STRANGER_STREAMS)
    }
}

impl Limits {
    /// Bounds one kind of work.
    pub fn at_most(mut self, work: Work, in_flight: usize) -> Self {
        self.most[work as usize] = in_flight;
        self
    }

    /// Bounds how often each caller may call.
    pub fn caller_rate(self, per_second: u32) -> Self {
        Self {
            caller_rate: caller_rate(per_second),
            ..self
        }
    }

    /// Says what an RPC is about that services call by their certificate alone, so that no scope tells.
    pub fn with_work(mut self, work: Work, paths: &[&'static str]) -> Self {
        self.others.extend(paths.iter().map(|path| (*path, work)));
        self
    }

    pub(super) fn work_of(&self, rule: &Rule) -> Work {
        if self.streams.iter().any(|path| path == rule.path) {
            return Work::Streams;
        }
        let said = self.others.iter().find(|(path, _)| *path == rule.path);
        said.map_or_else(|| Work::of(rule), |(_, work)| *work)
    }

    pub(super) fn most(&self, work: Work) -> usize {
        self.most[work as usize]
    }

    pub(super) fn callers(&self) -> CallerRates {
        CallerRates {
            calls: self.caller_rate,
            stories: caller_rate(CALLER_STORIES_PER_SECOND),
            buckets: Cache::new(MAX_CALLERS),
            began: Instant::now(),
        }
    }
}

fn caller_rate(per_second: u32) -> Rate {
    Rate::new(per_second, per_second.saturating_mul(CALLER_BURST_SECONDS))
}

/// Counts the calls of each token's subject, over however many tokens and connections they come, and the stories it wants recorded.
pub(super) struct CallerRates {
    calls: Rate,
    stories: Rate,
    buckets: Cache<RequestId, Arc<Buckets>>,
    began: Instant,
}

#[derive(Default)]
struct Buckets {
    calls: RateBucket,
    stories: RateBucket,
}

impl CallerRates {
    /// Whether the caller may make one more call at `now`.
    pub(super) fn allow(&self, caller: &Caller, now: Instant) -> bool {
        let bucket = &self.buckets_of(&caller.subject).calls;
        bucket.take(self.calls, self.since_began(now)).is_ok()
    }

    /// Whether one more story of the subject is recorded because it says so.
    pub(super) fn may_decide(&self, subject: &RequestId, now: Instant) -> bool {
        let bucket = &self.buckets_of(subject).stories;
        bucket.take(self.stories, self.since_began(now)).is_ok()
    }

    fn buckets_of(&self, subject: &RequestId) -> Arc<Buckets> {
        self.buckets.get_with_by_ref(subject, Arc::default)
    }

    fn since_began(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDEEM: &str = "/tidegate.issuance.v1.IssuanceService/RedeemCoupons";
    const WATCH: &str = "/tidegate.gateway.v1.ClaimService/WatchClaim";

    fn rule(path: &'static str, scope: Option<Scope>) -> Rule {
        Rule {
            path,
            services: &[],
            scope,
        }
    }

    #[test]
    fn the_scope_tells_the_kind_of_work_unless_it_is_said() {
        let limits = Limits::default().with_work(Work::Orders, &[REDEEM]);
        let work = |path, scope| limits.work_of(&rule(path, scope));
        assert_eq!(work("/claim", Some(Scope::ClaimsWrite)), Work::Claims);
        assert_eq!(work("/seal", None), Work::Inner);
        assert_eq!(work(REDEEM, None), Work::Orders);
    }

    #[test]
    fn every_method_that_answers_by_a_stream_has_the_places_of_streams() {
        let limits = Limits::default().with_work(Work::Inner, &[WATCH]);
        let watch = rule(WATCH, Some(Scope::ClaimsWrite));
        assert_eq!(limits.work_of(&watch), Work::Streams);
        assert!(tidegate_proto::streaming_methods().len() >= 6);
    }

    #[test]
    fn a_caller_has_few_stories_recorded_by_its_own_decision_and_others_are_not_touched() {
        let callers = Limits::default().callers();
        let [one, other] = ["one", "other"].map(|subject| RequestId::parse(subject).unwrap());
        let decided = (0..100_000).filter(|_| callers.may_decide(&one, callers.began));
        assert_eq!(decided.count(), 200);
        assert!(callers.may_decide(&other, callers.began));
    }

    #[test]
    fn a_kind_without_a_bound_has_only_that_of_the_whole() {
        let limits = Limits::default().at_most(Work::Claims, 3);
        assert_eq!(limits.most(Work::Claims), 3);
        assert_eq!(limits.most(Work::Orders), usize::MAX);
        assert_eq!(limits.most(Work::ProbeStreams), MAX_PROBE_STREAMS);
        assert_eq!(limits.most(Work::StrangerStreams), MAX_STRANGER_STREAMS);
    }
}
